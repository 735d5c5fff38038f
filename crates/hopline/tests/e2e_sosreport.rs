//! Sosreports of a real lab's host, made by Debian's own program inside the host's namespace: what is broken is told
//! as it is told live, or said to be undetermined with what is missing; and nothing is found that is not there.
//! Needs root and sosreport.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cli_support::Run;
use serde_json::Value;
use support::printed;
use support::test_lab::TestLab;
use tempfile::TempDir;

/// A lab, and a folder for the reports of its host.
struct Reports {
    lab: TestLab,
    folder: TempDir,
}

/// The host that the reports are of.
const HOST: &str = "compute1";

/// Where the lab keeps what a whole machine has in the usual places, and no other namespaces and none of their
/// processes, as on a machine of its own; dnsmasq's messages are where syslog has them. What is mounted here is gone
/// with the process. ethtool is asked about each device, and nothing of it is read. Where it is wanted, nova's folder
/// of dnsmasq's files is among what sos is told to copy.
const WITHIN: &str = "\
set -e
mount -t overlay -o lowerdir=$1/etc:/etc overlay /etc
mount -t tmpfs tmpfs /var/log
cp $1/log/dnsmasq.log /var/log/syslog
mount --bind $1/run/libvirt /mnt
mount --bind $1/networks /media
mount -t tmpfs tmpfs /run
mkdir /run/libvirt
mount --bind /mnt /run/libvirt
if [ -n \"$2\" ]; then
    mkdir -p $1/networks
    mount --bind /media $1/networks
    mount -t tmpfs -o mode=755 tmpfs /etc/sos/extras.d
    echo \":$1/networks\" >/etc/sos/extras.d/nova
fi
mount -t tmpfs tmpfs /sys/class/net
mount -t tmpfs tmpfs /opt
cp /usr/bin/ps /opt/all
cat >/opt/own <<'OWN'
#!/bin/sh
case $1 in aux*) ;; *) exec /opt/all \"$@\" ;; esac
own=$(readlink /proc/self/ns/net)
/opt/all \"$@\" | while read -r user pid rest; do
    if [ \"$pid\" = PID ] || [ \"$(readlink /proc/$pid/ns/net)\" = \"$own\" ]; then
        printf '%s %s %s\\n' \"$user\" \"$pid\" \"$rest\"
    fi
done
OWN
chmod +x /opt/own
mount --bind /opt/own /usr/bin/ps
shift 2
exec sosreport --batch \"$@\"
";

impl Reports {
    fn of(lab: TestLab) -> Reports {
        Reports { lab, folder: tempfile::tempdir().unwrap() }
    }

    /// Has a report made, packed, and returns its archive. `more` are further arguments of sosreport's.
    fn make(&self, more: &[&str]) -> PathBuf {
        self.make_of("networking,kernel,process,libvirt,openstack_nova,logs", "", more)
    }

    /// The same with dnsmasq's files, as who is asked for them has them copied.
    fn make_with_files(&self) -> PathBuf {
        let plugins = "networking,kernel,process,libvirt,openstack_nova,logs,date,sos_extras";
        self.make_of(plugins, "networks", &["--allow-system-changes"])
    }

    fn make_of(&self, plugins: &str, extras: &str, more: &[&str]) -> PathBuf {
        let into = tempfile::tempdir_in(self.folder.path()).unwrap().keep();
        let state = self.lab.state().join(HOST);
        let netns = self.lab.netns(HOST);
        let enter =
            ["ip", "netns", "exec", &netns, "sh", "-c", WITHIN, "sh", state.to_str().unwrap(), extras];
        let what = ["-o", plugins, "-k", "process.lsof=off", "--tmp-dir", into.to_str().unwrap()];
        printed(&[&enter[..], &what, more].concat());
        let made = fs::read_dir(&into).unwrap().flatten().map(|entry| entry.path());
        let mut archives = made.filter(|path| path.extension().is_some_and(|e| e == "xz" || e == "gz"));
        archives.next().expect("an archive")
    }

    /// Asks with the report in the host's place. The switch between the hosts stays out, as it would be: so whom the
    /// uplink leads to is told by the addresses alone, and no instance can be entered.
    fn ask(&self, question: &[&str], report: &Path) -> Run {
        let own = fs::read_to_string(self.lab.site()).unwrap();
        let database = own.lines().find(|line| line.starts_with("database")).unwrap();
        let mut site = format!(
            "[[host]]\nname = \"{HOST}\"\nat = \"bundle:{}\"\nrole = \"compute\"\n",
            report.display()
        );
        for (name, suffix, role) in
            [("gw", "gw", "router"), ("isp", "isp", "router"), ("external", "ext", "external")]
        {
            let netns = self.lab.netns(suffix);
            site += &format!("[[host]]\nname = \"{name}\"\nat = \"netns:{netns}\"\nrole = \"{role}\"\n");
        }
        site += &format!("[cloud]\nkind = \"nova-network\"\n{database}\n");
        let path = self.folder.path().join("site.toml");
        fs::write(&path, site).unwrap();
        self.lab.hopline(&[question, &["--site", path.to_str().unwrap()]].concat())
    }
}

fn json(run: &Run) -> Value {
    serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"))
}

/// The codes of what was found, in order.
fn codes(run: &Run) -> Vec<String> {
    let report = json(run);
    report["findings"].as_array().unwrap().iter().map(|f| f["code"].as_str().unwrap().to_owned()).collect()
}

/// What is wrong with an answer from a report, where live these are found.
fn complaint(when: &str, live: &[String], told: &Run) -> Option<String> {
    let found = codes(told);
    let is_the_same = !live.is_empty() && found == live;
    // Undetermined counts where a gap names what would settle it.
    let gaps = json(told)["coverage"]["gaps"].as_array().unwrap().len();
    let is_undetermined = found.is_empty() && told.code == 3 && gaps > 0;
    let is_healthy = live.is_empty() && found.is_empty() && told.code == 0;
    (!is_the_same && !is_undetermined && !is_healthy)
        .then(|| format!("{when}: live {live:?}, told {found:?} with {}\n{}", told.code, told.stdout))
}

/// Faults of the links and the way into the bridge.
const OF_LINKS: [&str; 8] = [
    "tap-not-enslaved",
    "tap-down",
    "tap-missing",
    "tap-wrong-bridge",
    "bridge-down",
    "flatif-down",
    "flatif-not-enslaved",
    "uplink-down",
];

/// Faults that a host's own files and listings tell of, and those of the walk.
const OF_HOSTS: [&str; 8] = [
    "ip-forward-0",
    "default-route-missing",
    "default-route-wrong-gw",
    "blackhole-route",
    "arp-ignore",
    "gateway-address-missing",
    "dnsmasq-hung",
    "foreign-rule-drop",
];

/// Faults of rules, which nft lists as iptables has them, and of services.
const OF_RULES: [&str; 9] = [
    "snat-missing",
    "snat-wrong-address",
    "dnat-wrong-fixed-ip",
    "float-dnat-missing",
    "float-snat-missing",
    "rules-flushed",
    "sg-missing-icmp",
    "nova-rules-drift",
    "dnsmasq-not-running",
];

/// Those of them that are only not denied where nft's rules are not listed.
const BEHIND_RULES: [&str; 2] = ["blackhole-route", "foreign-rule-drop"];

#[test]
fn broken_links_are_told_as_they_are_live() {
    compare(&Reports::of(TestLab::up("l")), &OF_LINKS);
}

#[test]
fn what_is_broken_on_a_host_is_told_as_it_is_live_or_not_denied() {
    compare(&Reports::of(TestLab::up("s")), &OF_HOSTS);
}

#[test]
fn what_is_wrong_with_novas_rules_is_told_as_it_is_live() {
    compare(&Reports::of(TestLab::up("r")), &OF_RULES);
}

/// Faults that are found together, those of one report in a line: making one is what takes time.
const TOGETHER: [&[&str]; 8] = [
    &["uplink-no-carrier", "hairpin-off", "metadata-dnat-missing", "dns-lookup-fails"],
    &["flatif-mtu-small", "rp-filter-asymmetric", "metadata-service-down", "dns-upstream-dead"],
    &["mtu-tap-small", "forward-policy-drop-no-accept", "dnsmasq-wrong-subnet", "host-neigh-wrong"],
    &["flood-off-unknown-unicast", "link-queue-drops", "tap-tx-queue-drops"],
    &[
        "float-address-missing",
        "ebtables-drop",
        "foreign-rule-bends",
        "fixed-ip-leaked",
        "float-tied-to-deleted-instance",
        "db-host-mismatch",
        "ext-gateway-down",
    ],
    &["nft-other-priority", "dns-name-withheld", "conntrack-stale-dnat", "port-isolated", "fdb-static-stale"],
    &["stp-forward-delay", "br-netfilter-docker-drop", "dns-upstream-wrong"],
    &["input-blocks-dhcp", "libvirt-dnsmasq-steals-port", "float-host-mismatch"],
];

/// What only dnsmasq's hosts file could tell from others like it: its log alone names none.
const OF_FILES: &str = "dnsmasq-hosts-not-reloaded";

#[test]
fn several_faults_are_told_as_they_are_live_and_none_by_half_of_what_tells_it() {
    let reports = Reports::of(TestLab::up("t"));
    let question = ["diagnose", "web1", "--json"];
    let both = || {
        let live = codes(&reports.lab.run(&[&question[..], &["--passive"]].concat()));
        (live, reports.ask(&question, &reports.make(&["--allow-system-changes"])))
    };
    let mut wrong = Vec::new();
    for faults in TOGETHER {
        faults.iter().for_each(|code| reports.lab.break_fault(code));
        let (live, told) = both();
        let is_found = |code: &&str| live.iter().any(|found| found == code);
        // Which of two comes first also follows from what is not known of the way.
        let all = |codes: &[String]| codes.iter().cloned().collect::<BTreeSet<String>>();
        if all(&codes(&told)) != all(&live) || !faults.iter().all(is_found) {
            wrong.push(format!("{faults:?}: live {live:?}, told {:?}", codes(&told)));
        }
        reports.lab.heal();
    }
    reports.lab.break_fault(OF_FILES);
    let (live, told) = both();
    let gaps = json(&told)["coverage"]["gaps"].to_string();
    if live != [OF_FILES] || !codes(&told).is_empty() || told.code != 3 || !gaps.contains("nova-br100.conf") {
        wrong.push(format!("{OF_FILES}: live {live:?}, told {}", told.stdout));
    }
    support::assert_none(&wrong);
}

/// Faults that dnsmasq's files and sockets tell of. Of both in one report, nova's dnsmasq is started last.
const OF_DNSMASQ: [&[&str]; 5] = [
    &["dnsmasq-twice"],
    &["dnsmasq-lease-max"],
    &["dnsmasq-pool-exhausted"],
    &["dnsmasq-stale-hosts-file"],
    &["dnsmasq-twice", "dnsmasq-lease-max"],
];

/// What became of them in the instance only its console tells, which is not there: that is said, and it is not healthy.
const OF_CONSOLES: [&str; 2] = ["dhcp-nak", "dhcp-not-authoritative"];

/// No file of a host tells of them, and that is said.
const OF_INSIDES: [&str; 2] = ["rogue-dhcp", "guest-firewall"];

#[test]
fn with_dnsmasqs_files_its_faults_are_told_as_they_are_live() {
    let reports = Reports::of(TestLab::up("d"));
    let question = ["diagnose", "web1", "--json"];
    let mut wrong = Vec::new();
    for faults in [&[&[OF_FILES][..]][..], &OF_DNSMASQ].concat() {
        faults.iter().for_each(|code| reports.lab.break_fault(code));
        let live = codes(&reports.lab.run(&[&question[..], &["--passive"]].concat()));
        if faults == [OF_FILES] {
            // ps tells when dnsmasq was started to two seconds, and the lab writes its file in these.
            let file = reports.lab.state().join(HOST).join("networks/nova-br100.conf");
            printed(&["touch", "-d", "3 seconds", file.to_str().unwrap()]);
        }
        let told = reports.ask(&question, &reports.make_with_files());
        let are_found =
            live.len() == faults.len() && faults.iter().all(|code| live.iter().any(|found| found == code));
        if !are_found || codes(&told) != live {
            wrong.push(format!("{faults:?}: live {live:?}, told {}", told.stdout));
        }
        reports.lab.heal();
    }
    support::assert_none(&wrong);
}

#[test]
fn what_the_files_of_a_host_do_not_tell_is_said() {
    let reports = Reports::of(TestLab::up("i"));
    let question = ["diagnose", "web1", "--json"];
    let mut wrong = Vec::new();
    for (code, exit, gap) in [("nothing", 0, "what runs inside of the instances of compute1")]
        .into_iter()
        .chain(OF_CONSOLES.map(|code| (code, 3, "instances/8d7b")))
        .chain(OF_INSIDES.map(|code| (code, 0, "what runs inside of the instances of compute1")))
    {
        if code != "nothing" {
            reports.lab.break_fault(code);
        }
        let told = reports.ask(&question, &reports.make_with_files());
        let gaps = json(&told)["coverage"]["gaps"].to_string();
        if told.code != exit || !codes(&told).is_empty() || !gaps.contains(gap) {
            wrong.push(format!("{code}: {} {}", told.code, told.stdout));
        }
        if code != "nothing" {
            reports.lab.heal();
        }
    }
    support::assert_none(&wrong);
}

/// Makes each of the faults and asks the archive of it, as it is.
fn compare(reports: &Reports, faults: &[&str]) {
    let question = ["diagnose", "web1", "--json"];
    let mut wrong = Vec::new();
    for code in [&["nothing"], faults].concat() {
        if code != "nothing" {
            reports.lab.break_fault(code);
        }
        let live = codes(&reports.lab.run(&[&question[..], &["--passive"]].concat()));
        // nft's rules are listed where its module is loaded, or this is said.
        let told = reports.ask(&question, &reports.make(&["--allow-system-changes"]));
        wrong.extend(complaint(code, &live, &told));
        if code != "nothing" {
            if !BEHIND_RULES.contains(&code) && codes(&told) != live {
                wrong.push(format!("{code} is not named: {}", told.stdout));
            }
            reports.lab.heal();
        }
    }
    support::assert_none(&wrong);
}

/// Programs of the kernel that packets pass on the host: no listing of sos's tells what they do.
const OF_PROGRAMS: [&str; 2] = ["xdp-drop", "tc-bpf-drop"];

/// Faults of which no file of a host tells: an instance has changed its own MAC, or answers for others.
const BEYOND_REPORTS: [&str; 2] = ["antispoof-mac", "rogue-dhcp"];

/// With `HOPLINE_SOS=all` every fault of the lab, with `HOPLINE_SOS=CODE,CODE` those: what is found live is found by a
/// report, or not denied.
#[test]
fn what_is_broken_is_told_or_not_denied() {
    let chosen = std::env::var("HOPLINE_SOS").ok();
    let is_wanted = |code: &str| match chosen.as_deref() {
        None => OF_PROGRAMS.contains(&code),
        Some("all") => true,
        Some(codes) => codes.split(',').any(|chosen| chosen == code),
    };
    let reports = Reports::of(TestLab::up("p"));
    let log = reports.lab.state().join(HOST).join("log/dnsmasq.log");
    let question = ["diagnose", "web1", "--json"];
    let listed = reports.lab.hopline(&["lab", "faults"]).stdout;
    let codes_of_lab = listed.lines().filter_map(|line| line.split_whitespace().next());
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for code in codes_of_lab.filter(|code| is_wanted(code)) {
        // What a fault before made dnsmasq say is not this one's.
        fs::write(&log, "").unwrap();
        // What needs another shape of cloud is refused here.
        if reports.lab.lab("break", &[code]).code != 0 {
            continue;
        }
        compared += 1;
        let live = reports.lab.run(&[&question[..], &["--passive"]].concat());
        let told = reports.ask(&question, &reports.make_with_files());
        let is_denied = live.code == 1 && told.code == 0 && !BEYOND_REPORTS.contains(&code);
        // Where iptables-legacy has tables, which sos does not list, what is missing may be there.
        let is_known = |found: &String| codes(&live).contains(found) || found == "nova-rules-drift";
        if is_denied || !codes(&told).iter().all(is_known) {
            wrong.push(format!(
                "{code}: live {:?}, told {:?} with {}",
                codes(&live),
                codes(&told),
                told.code
            ));
        }
        reports.lab.heal();
    }
    support::assert_none(&wrong);
    assert!(compared > 0, "{chosen:?} names no fault");
}

/// As sos makes them without being asked for more: on a kernel whose nf_tables is built in, no rules are listed.
#[test]
fn an_archive_without_rules_says_what_would_tell_them() {
    let reports = Reports::of(TestLab::up("a"));
    let question = ["diagnose", "web1", "--json"];
    for packed in ["xz", "gzip"] {
        let archive = reports.make(&["-z", packed]);
        let told = reports.ask(&question, &archive);
        assert_eq!((codes(&told), told.code), (Vec::new(), 3), "{packed}: {told:?}");
        let gaps = json(&told)["coverage"]["gaps"].to_string();
        assert!(gaps.contains("nft -a list ruleset"), "{gaps}");
        assert!(gaps.contains("of compute1"), "{gaps}");
        assert!(!gaps.contains("what dnsmasq said"), "its log is in the report: {gaps}");
    }
}

/// Without a site file the host is all that there is, and libvirt's domains tell what is meant: nothing of floating
/// addresses and security groups, so that nothing is healthy.
#[test]
fn a_report_alone_is_a_site() {
    let reports = Reports::of(TestLab::up("o"));
    let asked = |report: &Path| {
        let question = ["diagnose", "instance-00000001", "--symptom", "ping", "--json"];
        reports.lab.hopline(&[&question[..], &["--bundle", report.to_str().unwrap()]].concat())
    };
    let told = asked(&reports.make_with_files());
    assert_eq!((codes(&told), told.code), (Vec::new(), 3), "{told:?}");
    reports.lab.break_fault("tap-not-enslaved");
    let archive = reports.make(&["--allow-system-changes"]);
    let folder = archive.parent().unwrap().join("unpacked");
    fs::create_dir(&folder).unwrap();
    printed(&["tar", "-xf", archive.to_str().unwrap(), "-C", folder.to_str().unwrap()]);
    let told = asked(&folder);
    assert_eq!(codes(&told).first().map(String::as_str), Some("tap-not-enslaved"), "{told:?}");
    let gaps = json(&told)["coverage"]["gaps"].to_string();
    assert!(gaps.contains("the cloud's database"), "{gaps}");
}

#[test]
fn what_is_no_report_is_refused() {
    let lab = TestLab::named("n");
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("a.tar.bz2"), b"BZh91AY").unwrap();
    fs::write(path("cut.tar.xz"), b"\xfd7zXZ\0\0\x04").unwrap();
    fs::create_dir(path("empty")).unwrap();
    fs::write(path("note"), "text").unwrap();
    printed(&[
        "tar",
        "-czf",
        path("other.tar.gz").to_str().unwrap(),
        "-C",
        folder.path().to_str().unwrap(),
        "note",
    ]);
    for (name, expected) in [
        (
            "a.tar.bz2",
            "which hopline does not read\n\nhint: unpack it with `bunzip2 FILE`, and give the .tar",
        ),
        ("cut.tar.xz", "damaged at its beginning"),
        ("empty", "no folder sos_commands"),
        ("other.tar.gz", "no folder sos_commands"),
        ("note", "no bundle"),
        ("gone", "No such file"),
    ] {
        let told = lab.hopline(&["check", "--bundle", path(name).to_str().unwrap()]);
        assert_eq!((told.code, told.stdout.as_str()), (2, ""), "{name}: {told:?}");
        assert!(told.stderr.contains(expected) && told.stderr.contains("hint:"), "{name}: {told:?}");
    }
}
