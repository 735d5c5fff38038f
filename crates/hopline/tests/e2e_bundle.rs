//! Bundles of a real lab: the same diagnosis as where they were made, whatever is broken; what people read in them is
//! what the tools print; and nothing secret. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use cli_support::assert_refused;
use score::tables::{ANSWERS, OF_KERNELS, OF_MACHINES, OF_PEERS, OF_VLANS, READ_TOO, Row};
use serde_json::Value;
use support::bundles::{Bundles, GONE, found, listed, timeless};
use support::report::{Report, list, text};
use support::test_lab::TestLab;
use support::{assert_none, printed, printed_in, run};
use tempfile::TempDir;

/// Where each kernel begins to number namespaces (`PROC_DYNAMIC_FIRST`, fs/proc/generic.c).
const FIRST_NETNS: usize = 4_026_531_840;

/// The same bundle as from a machine that has booted by itself: its kernel gives its namespaces the numbers
/// that any other's does.
fn booted(bundles: &Bundles, bundle: &Path, boot_id: &str) -> PathBuf {
    let files = unpacked(bundle);
    let read = |name: &str| fs::read_to_string(files.path().join(name)).unwrap();
    let packed = printed(&["tar", "--zstd", "-tf", bundle.to_str().unwrap()]);
    let names: Vec<&str> = packed.lines().collect();
    let facts: Vec<&str> = names.iter().copied().filter(|name| name.ends_with("/facts.json")).collect();
    let mut told: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    assert!(!text(&told["boot_id"]).is_empty(), "{told:#}");
    let number = |name: &&str| {
        let facts: Value = serde_json::from_str(&read(name)).unwrap();
        facts["netns"]["inode"].as_u64().unwrap().to_string()
    };
    let numbers: Vec<String> = facts.iter().map(number).collect();
    for name in &facts {
        let mut all = read(name);
        for (at, number) in numbers.iter().enumerate() {
            all = all.replace(number, &(FIRST_NETNS + at).to_string());
        }
        fs::write(files.path().join(name), all).unwrap();
        let hash = printed(&["sha256sum", files.path().join(name).to_str().unwrap()]);
        let entries = told["files"].as_array_mut().unwrap();
        let entry = entries.iter_mut().find(|entry| entry["path"] == *name).unwrap();
        entry["sha256"] = Value::from(hash.split_whitespace().next());
    }
    told["boot_id"] = Value::from(boot_id);
    fs::write(files.path().join("manifest.json"), told.to_string()).unwrap();
    let path = bundles.path(&format!("{boot_id}.tar.zst"));
    let into = ["tar", "--zstd", "--format=ustar", "-cf", path.to_str().unwrap()];
    printed(&[&into[..], &["-C", files.path().to_str().unwrap()], &names].concat());
    path
}

/// The files of a bundle, unpacked by tar itself.
fn unpacked(bundle: &Path) -> TempDir {
    let to = tempfile::tempdir().unwrap();
    printed(&["tar", "--zstd", "-xf", bundle.to_str().unwrap(), "-C", to.path().to_str().unwrap()]);
    to
}

#[test]
fn whatever_is_broken_a_bundle_tells_the_same() {
    compare(&TestLab::up("u"), &OF_PEERS);
}

#[test]
fn whatever_is_broken_on_two_hosts_a_bundle_tells_the_same() {
    compare(&TestLab::up_as("u2", &["--hosts", "2"]), &[]);
}

/// Makes each fault that there is, and demands of a bundle what is told live. `others` are those that this cloud
/// cannot have, beside those that are compared where there are VLANs, kernels and machines: in `e2e_vlan` and
/// `e2e_machines`.
fn compare(lab: &TestLab, others: &[Row]) {
    let bundles = Bundles::of(lab);
    let others: BTreeSet<String> = [others, &OF_VLANS, &OF_KERNELS, &OF_MACHINES]
        .concat()
        .into_iter()
        .map(|(code, _)| code.to_owned())
        .collect();
    let mut wrong: Vec<String> = bundles.complaint("nothing").into_iter().collect();
    let mut refused = BTreeSet::new();
    for code in listed(lab) {
        if lab.lab("break", &[&code]).code != 0 {
            refused.insert(code);
            continue;
        }
        wrong.extend(match code.as_str() {
            GONE => bundles.complaint_of_what_is_gone(),
            code => bundles.complaint(code),
        });
        lab.heal();
    }
    assert_none(&wrong);
    assert_eq!(refused, others, "each of the others is compared");
}

/// What is found of everybody, and of the hosts themselves, with faults as unlike each other as can be.
#[test]
fn of_the_whole_site_a_bundle_tells_the_same() {
    let lab = TestLab::up("uw");
    let bundles = Bundles::of(&lab);
    let mut wrong: Vec<String> = bundles.complaint_of_site("nothing").into_iter().collect();
    for code in ["tap-not-enslaved", "snat-missing", "dnsmasq-not-running", "duplicate-mac"] {
        lab.break_fault(code);
        wrong.extend(bundles.complaint_of_site(code));
        lab.heal();
    }
    assert_none(&wrong);
}

#[test]
fn what_no_packet_has_to_be_sent_for_is_named_from_a_bundle() {
    let lab = TestLab::up("p");
    let bundles = Bundles::of(&lab);
    let question = ["diagnose", "web1", "--json"];
    for (code, hop) in READ_TOO.into_iter().chain(ANSWERS) {
        assert_eq!(lab.lab("break", &[code]).code, 0, "{code}");
        let told = bundles.ask(&question, &[&bundles.collect("read.tar.zst", &[])]);
        Report::of(&told, &question).assert_finds(&[format!("{code} {hop}")], code);
        lab.heal();
    }
}

#[test]
fn bundles_of_hosts_make_a_site() {
    let lab = TestLab::up("h");
    let bundles = Bundles::of(&lab);
    lab.break_fault("default-route-missing");
    let live = lab.run(&["diagnose", "web1", "--json", "--passive"]);
    let one = bundles.collect("one.tar.zst", &["compute1"]);
    let others = bundles.collect("others.tar.zst", &["gw", "isp", "external", "fabric"]);
    // The order in which they are given does not matter, nor is any packet sent.
    for both in [[&one, &others], [&others, &one]] {
        let told = bundles.ask(&["diagnose", "web1", "--json"], &both.map(PathBuf::as_path));
        assert_eq!(timeless(&told), timeless(&live));
    }
    // What is missing is told.
    let told = bundles.ask(&["check", "--json"], &[&one]);
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    let gaps = report["coverage"]["gaps"].to_string();
    assert!(
        gaps.contains("everything of gw") && gaps.contains("hopline collect -o FILE.tar.zst gw"),
        "{gaps}"
    );
    assert_refused(&bundles.ask(&["check", "gw"], &[&one]), &["gw is out of reach", "left out"]);
    assert_refused(&bundles.ask(&["diagnose", "web1"], &[&others]), &["compute1 is out of reach"]);
    // One host in two bundles would be told of twice.
    let again = bundles.collect("again.tar.zst", &["compute1"]);
    assert_refused(&bundles.ask(&["check"], &[&one, &again]), &["`compute1` is in two bundles"]);

    let hosts = |name: &str, file: &Path| {
        format!(
            "[[host]]\nname = \"{name}\"\nat = \"bundle:{}\"\n",
            file.file_name().unwrap().to_str().unwrap()
        )
    };
    let site = bundles.path("site.toml");
    let others = ["gw", "isp", "external", "fabric"].map(|name| hosts(name, &others)).concat();
    let instances = ["web1", "web2"].map(|name| {
        format!("[[instance]]\nname = \"{name}\"\nhost = \"compute1\"\nat = \"bundle:one.tar.zst\"\n")
    });
    fs::write(&site, hosts("compute1", &one) + &others + &instances.concat()).unwrap();
    let site = ["--site", site.to_str().unwrap()];
    let told = lab.hopline(&[&["diagnose", "web1", "--json"], &site[..]].concat());
    assert_eq!(timeless(&told), timeless(&live));
    let path = lab.hopline(&[&["path", "web1", "1.2.3.4"], &site[..]].concat());
    assert_eq!((path.code, path.stderr.as_str()), (1, ""), "{path:?}");
    let collected = lab.hopline(&[&["collect", "-o", "x"], &site[..]].concat());
    assert_refused(&collected, &["cannot be collected again"]);
    let mistyped = bundles.path("mistyped.toml");
    fs::write(&mistyped, hosts("compute2", &one)).unwrap();
    let run = lab.hopline(&["check", "--site", mistyped.to_str().unwrap()]);
    assert_refused(&run, &["there is no `compute2` in the bundle", "did you mean `compute1`"]);
}

/// Hosts are machines of their own: each has booted by itself, and their kernels number namespaces alike.
#[test]
fn bundles_of_hosts_with_kernels_of_their_own_make_a_site() {
    let lab = TestLab::up_as("k2", &["--hosts", "2"]);
    let bundles = Bundles::of(&lab);
    let question = ["diagnose", "web1", "--json"];
    let told = || {
        let one = booted(&bundles, &bundles.collect("one.tar.zst", &["compute1"]), "first");
        let two = booted(&bundles, &bundles.collect("two.tar.zst", &["compute2"]), "second");
        let others = bundles.collect("others.tar.zst", &["gw", "isp", "external", "fabric"]);
        [[&one, &two, &others], [&others, &two, &one]]
            .map(|three| bundles.ask(&question, &three.map(PathBuf::as_path)))
    };
    for run in told() {
        Report::of(&run, &question).assert_healthy("two hosts");
    }
    // It is the other host that web1's packets for web3 do not enter.
    printed_in(&lab.netns("compute2"), &["ip", "link", "set", "eth1", "down"]);
    let live = found(&lab.run(&[&question[..], &["--passive"]].concat()));
    let first = live.first().map(|(code, hop)| (code.as_str(), text(&hop["host"]), text(&hop["device"])));
    assert_eq!(first, Some(("\"flatif-down\"", "compute2", "eth1")));
    for run in told() {
        assert_eq!((run.code, found(&run)), (1, live.clone()), "{run:?}");
    }
}

#[test]
fn what_people_read_is_what_the_tools_print() {
    let lab = TestLab::up("t");
    let bundles = Bundles::of(&lab);
    let host = lab.netns("compute1");
    printed_in(
        &host,
        &["nft", "add table inet mine; add chain inet mine c { type filter hook input priority 5; }"],
    );
    printed_in(&host, &["nft", "add rule inet mine c ip saddr 10.9.9.9 counter drop"]);
    printed_in(&host, &["ip", "rule", "add", "from", "10.9.0.0/16", "fwmark", "0x7/0xff", "lookup", "100"]);
    printed_in(&host, &["ip", "route", "add", "blackhole", "10.9.9.0/24", "table", "100"]);
    let files = unpacked(&bundles.collect("all.tar.zst", &[]));
    let read =
        |file: &str| fs::read_to_string(files.path().join(file)).unwrap_or_else(|e| panic!("{file}: {e}"));
    let mut wrong = Vec::new();
    let listings: [(&str, &[&str]); 8] = [
        ("ip-d-j-link.json", &["ip", "-s", "-d", "-j", "link"]),
        ("ip-j-address.json", &["ip", "-d", "-j", "address"]),
        ("ip-j-route-show-table-all.json", &["ip", "-j", "route", "show", "table", "all"]),
        ("ip-j-rule.json", &["ip", "-j", "rule"]),
        ("ip-6-j-rule.json", &["ip", "-6", "-j", "rule"]),
        ("ip-j-neighbour-show-nud-all.json", &["ip", "-j", "neighbour", "show", "nud", "all"]),
        ("bridge-j-fdb.json", &["bridge", "-j", "fdb"]),
        ("bridge-j-vlan.json", &["bridge", "-j", "vlan"]),
    ];
    for machine in ["compute1", "gw", "web1"] {
        for (file, tool) in listings {
            let ours: Value = serde_json::from_str(&read(&format!("{machine}/main/{file}"))).unwrap();
            let theirs: Value = serde_json::from_str(&printed_in(&lab.netns(machine), tool)).unwrap();
            // IPv6 routes are of a listing of their own.
            let ours: Vec<&Value> = list(&ours).iter().filter(|one| one.get("pref").is_none()).collect();
            let unlike = |one: &&&Value| !list(&theirs).iter().any(|other| agrees(one, other));
            wrong.extend(ours.iter().filter(unlike).map(|one| format!("{machine} {file}: {one}")));
            let told =
                list(&theirs).iter().filter(|one| !file.contains("neighbour") && !one["dst"].is_null());
            if ours.len() < told.count() {
                wrong.push(format!("{machine} {file}: {} entries of {theirs}", ours.len()));
            }
        }
    }
    assert_none(&wrong);

    let rules = |text: &str| {
        let kept = text.lines().filter(|line| !line.starts_with('#'));
        kept.map(|line| line.split_once(']').map_or(line, |(_, rule)| rule).to_owned()).collect::<Vec<_>>()
    };
    let saved = read("compute1/main/iptables-nft-save.txt");
    assert_eq!(rules(&saved), rules(&printed_in(&host, &["iptables-nft-save", "-c"])));
    assert!(
        read("compute1/main/nft-table-inet-mine.txt").contains("ip saddr 10.9.9.9 counter"),
        "nft's text"
    );
    let json: Value = serde_json::from_str(&read("compute1/main/nft-table-inet-mine.json")).unwrap();
    let rule = list(&json["nftables"]).iter().find(|object| !object["rule"].is_null()).expect("the rule");
    assert_eq!(rule["rule"]["expr"][0]["match"]["right"], "10.9.9.9", "{rule}");
    for (file, expected) in [
        ("compute1/main/sysctl.txt", "net.ipv4.ip_forward = 1"),
        ("compute1/main/ss-lntu.txt", "udp 0 0.0.0.0"),
        ("compute1/ps.txt", "--dhcp-hostsfile="),
        ("cloud/instances.csv", "web1"),
        ("cloud/floating_ips.csv", "203.0.113.30,10.0.2.24,compute1,web1"),
        ("cloud/networks.csv", "br100"),
    ] {
        let text = read(file);
        assert!(text.contains(expected), "{file}: {text}");
    }
    let names = printed(&["find", files.path().to_str().unwrap(), "-type", "f"]);
    for name in [
        "/etc/nova/nova.conf",
        "/nova-br100.conf",
        "/dnsmasq.log",
        ".xml",
        "/console.log",
        "/nf_conntrack.txt",
    ] {
        assert!(
            names.lines().any(|line| line.contains("/compute1/") && line.ends_with(name)),
            "{name} in {names}"
        );
    }
}

/// All that we say is said there, but for numbers and states that move by themselves.
fn agrees(ours: &Value, theirs: &Value) -> bool {
    const MOVING: [&str; 5] = ["stats64", "state", "flags", "lladdr", "operstate"];
    match (ours, theirs) {
        (Value::Object(ours), Value::Object(theirs)) => ours.iter().all(|(key, value)| {
            MOVING.contains(&key.as_str()) || theirs.get(key).is_some_and(|other| agrees(value, other))
        }),
        (Value::Array(ours), Value::Array(theirs)) => {
            ours.iter().all(|one| theirs.iter().any(|other| agrees(one, other)))
        }
        (ours, theirs) => ours == theirs,
    }
}

#[test]
fn nothing_secret_enters_and_nobody_else_reads_it() {
    let lab = TestLab::up("s");
    let bundles = Bundles::of(&lab);
    let conf = lab.state().join("compute1/etc/nova/nova.conf");
    let more = "\nrabbit_password = PLANTEDa\nadmin_token=PLANTEDb\nsql_connection = mysql://nova:PLANTEDc@db/nova\n\
                [database]\nconnection = mysql+pymysql://nova:p/PLANTEDd@db/nova\n";
    fs::write(&conf, fs::read_to_string(&conf).unwrap() + more).unwrap();
    let xml = lab.state().join("compute1/run/libvirt/qemu");
    let domain = fs::read_dir(&xml).unwrap().flatten().map(|entry| entry.path());
    let domain = domain.filter(|path| path.extension().is_some_and(|e| e == "xml")).min().expect("a domain");
    let vnc = "<graphics type='vnc' passwd='PLANTEDe'/></devices>";
    fs::write(&domain, fs::read_to_string(&domain).unwrap().replace("</devices>", vnc)).unwrap();
    let consoles = fs::read_dir(lab.state().join("compute1/instances")).unwrap();
    let console = consoles.flatten().map(|entry| entry.path().join("console.log")).min().expect("a console");
    let log =
        "\n-----BEGIN RSA PRIVATE KEY-----\nPLANTEDf\n-----END RSA PRIVATE KEY-----\npassword: PLANTEDg\n";
    fs::write(&console, fs::read_to_string(&console).unwrap() + log).unwrap();

    let path = bundles.path("b.tar.zst");
    fs::write(&path, "old").unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
    let bundle = bundles.collect("b.tar.zst", &[]);
    assert_eq!(fs::metadata(&bundle).unwrap().permissions().mode() & 0o777, 0o600);
    let names: Vec<_> =
        fs::read_dir(bundles.folder.path()).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["b.tar.zst"], "nothing else is left there");
    let files = unpacked(&bundle);
    let found = run(&["grep", "-ra", "PLANTED", files.path().to_str().unwrap()]);
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let kept = fs::read_to_string(files.path().join(format!("compute1{}", conf.display()))).unwrap();
    assert!(kept.contains("rabbit_password = ***") && kept.contains("flat_network_bridge"), "{kept}");
    let manifest = fs::read_to_string(files.path().join("manifest.json")).unwrap();
    let manifest: Value = serde_json::from_str(&manifest).unwrap();
    assert!(text(&manifest["read_as"]).starts_with("root, capabilities "), "{manifest:#}");
    for (name, asked) in [
        ("kernel", &["uname", "-r"][..]),
        ("nft", &["nft", "--version"]),
        ("iptables", &["iptables-save", "--version"]),
    ] {
        let own = printed(asked);
        assert_eq!(text(&manifest["versions"][name]), own.lines().next().unwrap().trim(), "{manifest:#}");
    }
}

#[test]
fn bad_bundles_and_places_are_refused_in_words() {
    let folder = tempfile::tempdir().unwrap();
    let hopline = |arguments: &[&str]| cli_support::hopline(folder.path(), arguments);
    fs::write(folder.path().join("text"), "hello").unwrap();
    assert_refused(&hopline(&["check", "--bundle", "text"]), &["cannot read the bundle text", "hint: "]);
    assert_refused(
        &hopline(&["check", "--bundle", "none"]),
        &["cannot read the bundle none", "No such file"],
    );
    assert_refused(
        &hopline(&["check", "--bundle", "text", "--site", "x"]),
        &["`--site` and `--bundle` cannot both be given"],
    );
    assert_refused(
        &hopline(&["collect", "-o", "none/b.tar.zst"]),
        &["cannot write the bundle none/b.tar.zst"],
    );
    symlink("text", folder.path().join("link")).unwrap();
    assert_refused(&hopline(&["collect", "-o", "link"]), &["cannot write the bundle link", "regular file"]);
    fs::write(folder.path().join("site.toml"), "[[host]]\nname = \"a\"\nat = \"bundle:\"\n").unwrap();
    assert_refused(&hopline(&["check"]), &["line 3", "names no bundle", "bundle:FILE.tar.zst"]);
}

#[test]
fn without_the_clouds_database_a_bundle_is_not_whole_and_nothing_is_healthy() {
    let folder = tempfile::tempdir().unwrap();
    let hopline = |arguments: &[&str]| cli_support::hopline(folder.path(), arguments);
    let site = "[[host]]\nname = \"a\"\nat = \"local\"\n\n[cloud]\nkind = \"nova-network\"\n\
                database = \"sqlite:none/nova.sqlite\"\n";
    fs::write(folder.path().join("site.toml"), site).unwrap();
    let run = hopline(&["collect", "-o", "b.tar.zst", "--json"]);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (run.code, list(&told["missing"])),
        (3, [Value::from("the cloud's database")].as_slice()),
        "{run:?}"
    );
    let run = hopline(&["diagnose", "web1", "--bundle", "b.tar.zst"]);
    assert_refused(
        &run,
        &["nobody can tell whether there is an instance `web1`: the cloud's database: ", "none/nova.sqlite"],
    );
    // The machine itself may have a fault.
    let run = hopline(&["check", "--bundle", "b.tar.zst"]);
    assert!([1, 3].contains(&run.code) && run.stdout.contains("the cloud's database"), "{run:?}");
}

/// What could not be learned is in the manifest, with the machine that it is of, and `-v` tells it.
#[test]
fn what_could_not_be_learned_is_in_the_manifest() {
    let folder = tempfile::tempdir().unwrap();
    let hopline = |arguments: &[&str]| cli_support::hopline(folder.path(), arguments);
    let site = "[[host]]\nname = \"a\"\nat = \"local\"\nnova_conf = \"nova.conf\"\n";
    fs::write(folder.path().join("site.toml"), site).unwrap();
    fs::write(folder.path().join("nova.conf"), "[DEFAULT]\nwhat is this\n").unwrap();
    let run = hopline(&["collect", "-v", "-o", "b.tar.zst"]);
    assert_eq!(run.code, 0, "{run:?}");
    let lines: Vec<&str> = run.stdout.lines().filter(|line| line.contains("nova.conf")).collect();
    assert!(lines.iter().any(|line| line.starts_with("  a: ") && line.contains("it needs")), "{run:?}");
    let bundle = folder.path().join("b.tar.zst");
    let raw = printed(&["tar", "--zstd", "-xOf", bundle.to_str().unwrap(), "manifest.json"]);
    let manifest: Value = serde_json::from_str(&raw).unwrap();
    let gaps = list(&manifest["machines"][0]["gaps"]);
    assert!(gaps.iter().any(|gap| gap["what"].as_str().unwrap().contains("nova.conf")), "{gaps:?}");
    assert!(run.stdout.contains(&format!(" {} gaps", gaps.len())), "{run:?}");
    // A reader counts each once.
    let told = hopline(&["check", "--json", "--bundle", "b.tar.zst"]);
    let report: Value = serde_json::from_str(&told.stdout).unwrap();
    let about = |gap: &&Value| gap["what"].as_str().unwrap().contains("nova.conf");
    assert_eq!(list(&report["coverage"]["gaps"]).iter().filter(about).count(), lines.len(), "{told:?}");
}
