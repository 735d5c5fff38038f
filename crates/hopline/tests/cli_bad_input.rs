//! What is wrong in the site file or in what it names: one clear message, exit code 2, no panic.
//! Needs root, for the namespaces that some of the cases name.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cli_support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use cli_support::{assert_refused, hopline, site};

#[test]
fn a_typo_in_the_site_file_is_told_with_line_and_nearest_key() {
    let (folder, _) = site("rolle = \"compute\"\n");
    for arguments in
        [&["check"][..], &["diagnose", "web1"], &["path", "web1", "1.2.3.4"], &["check", "--json"]]
    {
        let run = hopline(folder.path(), arguments);
        assert_refused(&run, &["site.toml, line 4: unknown key `rolle` in [[host]]", "hint: ", "`role`"]);
    }
}

#[test]
fn a_site_file_that_cannot_be_read_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let run = hopline(folder.path(), &["check", "--site", "no-such.toml"]);
    assert_refused(&run, &["cannot read the site file no-such.toml", "No such file", "hint: "]);
    let run = hopline(folder.path(), &["check", "--site", "/dev/zero"]);
    assert_refused(&run, &["cannot read the site file /dev/zero", "larger than"]);
    fs::write(folder.path().join("site.toml"), b"\xff\xfe").unwrap();
    assert_refused(&hopline(folder.path(), &["check"]), &["cannot read the site file", "UTF-8"]);
}

#[test]
fn names_with_control_characters_are_refused_and_shown_escaped() {
    let (folder, _) = site("[[instance]]\nname = \"web\\u001b[2J1\"\nhost = \"compute1\"\n");
    let run = hopline(folder.path(), &["diagnose", "web1"]);
    assert_refused(&run, &["line 5", "`web\\u{1b}[2J1`"]);
}

#[test]
fn an_instance_that_does_not_exist_is_told_with_the_one_that_was_meant() {
    let (folder, _) =
        site("[[instance]]\nname = \"web-one\"\nhost = \"compute1\"\naddresses = [\"192.0.2.10\"]\n");
    let run = hopline(folder.path(), &["diagnose", "web-on", "--passive"]);
    assert_refused(&run, &["web-on", "did you mean web-one"]);
    let run = hopline(folder.path(), &["diagnose", "x\x1b[31m'\"", "--passive"]);
    assert_refused(&run, &["\\u{1b}[31m"]);
}

#[test]
fn an_ambiguous_instance_lists_the_candidates() {
    let (folder, _) = site(
        "[[instance]]\nname = \"web1\"\nhost = \"compute1\"\naddresses = [\"192.0.2.10\"]\n\
         [[instance]]\nname = \"web2\"\nhost = \"compute1\"\naddresses = [\"192.0.2.10\"]\n",
    );
    let run = hopline(folder.path(), &["diagnose", "192.0.2.10", "--passive"]);
    assert_refused(&run, &["192.0.2.10", "web1", "web2"]);
}

#[test]
fn a_host_that_does_not_exist_is_told() {
    let (folder, _) = site("");
    let run = hopline(folder.path(), &["check", "compute2"]);
    assert_refused(&run, &["there is no host `compute2`", "hint: did you mean `compute1`?"]);
}

#[test]
fn a_namespace_that_does_not_exist_puts_its_host_out_of_reach() {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[host]]\nname = \"compute1\"\nat = \"netns:ht-cli-absent\"\n";
    fs::write(folder.path().join("site.toml"), text).unwrap();
    for arguments in [&["check"][..], &["check", "compute1"], &["diagnose", "web1"]] {
        let run = hopline(folder.path(), arguments);
        assert_refused(&run, &["compute1 is out of reach", "ht-cli-absent", "hint: "]);
    }
}

#[test]
fn a_database_that_is_none_is_told() {
    let (folder, _) = site("[cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n");
    let run = hopline(folder.path(), &["diagnose", "web1"]);
    assert_refused(&run, &["nova.sqlite"]);
    fs::write(folder.path().join("nova.sqlite"), "this is a letter, not a database\n".repeat(100)).unwrap();
    for arguments in [&["diagnose", "web1"][..], &["check"]] {
        assert_refused(&hopline(folder.path(), arguments), &["nova.sqlite", "not a database"]);
    }
}

#[test]
fn a_database_url_that_is_none_is_told_with_its_line() {
    let (folder, _) = site("[cloud]\nkind = \"nova-network\"\ndatabase = \"oracle://x/y\"\n");
    assert_refused(&hopline(folder.path(), &["check"]), &["site.toml, line 6: ", "oracle"]);
}

#[test]
fn a_truncated_domain_xml_is_a_gap_with_its_place_and_the_rest_is_used() {
    let (folder, _) = site("libvirt = \"domains\"\n");
    fs::create_dir(folder.path().join("domains")).unwrap();
    let xml = "<domain type='kvm'>\n  <name>instance-00000001</name>\n  <devices>\n    <interface type='bri";
    fs::write(folder.path().join("domains/instance-00000001.xml"), xml).unwrap();
    let run = hopline(folder.path(), &["check", "--json"]);
    assert!([0, 1, 3].contains(&run.code), "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).expect("one JSON document");
    let gaps = report["coverage"]["gaps"].as_array().unwrap();
    let about = |gap: &&serde_json::Value| gap.to_string().contains("instance-00000001.xml");
    let gap = gaps.iter().find(about).unwrap_or_else(|| panic!("no gap names the file: {gaps:?}"));
    assert!(!gap["would_need"].as_str().unwrap().is_empty(), "{gap}");
}

/// A name in Latin-1 costs no domain; configuration in UTF-16 is none, and is told.
#[test]
fn files_of_other_encodings_are_read_as_far_as_they_go() {
    let (folder, _) = site("libvirt = \"domains\"\nnova_conf = \"nova.conf\"\n");
    fs::create_dir(folder.path().join("domains")).unwrap();
    let xml =
        b"<domain type='kvm'>\r\n<name>instance-00000001</name>\r\n<title>caf\xe9</title>\r\n</domain>\r\n";
    fs::write(folder.path().join("domains/instance-00000001.xml"), xml).unwrap();
    let conf = "\u{feff}[DEFAULT]\nmy_ip = 10.0.0.1\n";
    let utf16: Vec<u8> = conf.encode_utf16().flat_map(u16::to_le_bytes).collect();
    fs::write(folder.path().join("nova.conf"), utf16).unwrap();
    let run = hopline(folder.path(), &["check", "--json"]);
    assert!([0, 1, 3].contains(&run.code), "{run:?}");
    let report: serde_json::Value = serde_json::from_str(&run.stdout).expect("one JSON document");
    let gaps: Vec<String> =
        report["coverage"]["gaps"].as_array().unwrap().iter().map(ToString::to_string).collect();
    assert!(gaps.iter().any(|gap| gap.contains("nova.conf")), "{gaps:?}");
    assert!(!gaps.iter().any(|gap| gap.contains("instance-00000001.xml")), "{gaps:?}");
}

/// What a bundle cannot tell is refused with its name, and with what to do instead.
#[test]
fn commands_that_a_bundle_does_not_serve_say_so() {
    let folder = tempfile::tempdir().unwrap();
    let bundled = "[[host]]\nname = \"compute1\"\nat = \"bundle:/case/host.tar.zst\"\n";
    fs::write(folder.path().join("site.toml"), bundled).unwrap();
    for arguments in [
        &["db", "check"][..],
        &["db", "show", "web1"],
        &["db", "release", "203.0.113.20"],
        &["capture", "icmp"],
        &["capture", "--at", "compute1//br100"],
    ] {
        let run = hopline(folder.path(), arguments);
        assert_refused(&run, &["/case/host.tar.zst", "bundle", "hint: "]);
    }
    let beside = "[[host]]\nname = \"gw\"\nat = \"local\"\n";
    fs::write(folder.path().join("site.toml"), format!("{bundled}{beside}")).unwrap();
    let run = hopline(folder.path(), &["capture", "--at", "compute1//br100"]);
    assert_refused(&run, &["`compute1` is known from the bundle /case/host.tar.zst", "hint: "]);
}

/// A file of 5 GB, of which all but this end are holes.
fn gigabytes(path: &Path, end: &str) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    let file = fs::File::create(path).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&file, end.as_bytes(), 5_000_000_000).unwrap();
}

/// A log and a console that nobody rotated take the memory and time of their ends, which are in the bundle, and say
/// that they are ends.
#[test]
fn of_gigabytes_of_live_log_a_bundle_has_the_end() {
    let (folder, _) = site("dnsmasq_log = \"dnsmasq.log\"\nconsole_logs = \"consoles\"\n");
    let ack = "dnsmasq-dhcp[1]: DHCPACK(br100) 10.0.0.2 fa:16:3e:00:00:01 web1\n";
    gigabytes(&folder.path().join("dnsmasq.log"), &format!("\n{ack}"));
    gigabytes(&folder.path().join("consoles/web1/console.log"), "\nweb1 login:\n");
    let mut command = Command::new("prlimit");
    command.args([
        "--data=256000000",
        "--cpu=30",
        env!("CARGO_BIN_EXE_hopline"),
        "collect",
        "-o",
        "x.tar.zst",
    ]);
    let run = cli_support::read(command.current_dir(folder.path()).output().unwrap());
    assert!([0, 3].contains(&run.code), "{run:?}");
    let bundle = folder.path().join("x.tar.zst");
    assert!(fs::metadata(&bundle).unwrap().len() < 20 << 20, "it has only the ends");
    let member = |name: &str| {
        let mut tar = Command::new("tar");
        tar.args(["--zstd", "-xOf"]).arg(&bundle).args(["--wildcards", &format!("compute1/*{name}")]);
        String::from_utf8(tar.output().unwrap().stdout).unwrap()
    };
    let said = |kept: u32, end: &str| {
        let length = 5_000_000_000 + 1 + end.len();
        format!("[hopline: this is of the last {kept} of {length} bytes]\n{end}")
    };
    assert_eq!(member("/dnsmasq.log"), said(8 << 20, ack));
    assert_eq!(member("/web1/console.log"), said(32 << 10, "web1 login:\n"));
}

/// A bundle of machines of this name and number, each with so many links of two octets.
fn bundle_of_links(folder: &Path, machines: usize, links: usize) -> PathBuf {
    let (mut entries, mut files) = (Vec::new(), Vec::new());
    for nth in 0..machines {
        let (name, links) = (format!("c{nth}"), vec!["{}"; links].join(","));
        let netns = format!(r#"{{"machine":"{name}","links":[{links}]}}"#);
        let facts = format!(r#"{{"schema":"hopline.facts/1","netns":{netns},"host":{{"name":"{name}"}}}}"#);
        let path = format!("{name}/facts.json");
        fs::create_dir(folder.join(&name)).unwrap();
        fs::write(folder.join(&path), &facts).unwrap();
        let sum = Command::new("sha256sum").arg(folder.join(&path)).output().unwrap().stdout;
        let sum = String::from_utf8(sum).unwrap();
        let sum = sum.split(' ').next().unwrap();
        entries.push(format!(r#"{{"name":"{name}","folder":"{name}"}}"#));
        files.push(format!(r#"{{"path":"{path}","bytes":{},"sha256":"{sum}"}}"#, facts.len()));
    }
    let (machines, listed) = (entries.join(","), files.join(","));
    let manifest = format!(r#"{{"schema":"hopline.bundle/1","machines":[{machines}],"files":[{listed}]}}"#);
    fs::write(folder.join("manifest.json"), manifest).unwrap();
    let bundle = folder.join("small.tar.zst");
    let mut tar = Command::new("tar");
    tar.args(["--format=ustar", "-C", folder.to_str().unwrap(), "-I", "zstd -19", "-cf"]).arg(&bundle);
    tar.arg("manifest.json").args(entries.iter().enumerate().map(|(nth, _)| format!("c{nth}/facts.json")));
    assert!(tar.status().unwrap().success());
    bundle
}

/// Within half a gigabyte, of which a machine of three million links alone would take five times as much.
#[test]
fn a_small_bundle_that_would_take_gigabytes_is_read_in_bounded_memory() {
    let folder = tempfile::tempdir().unwrap();
    let bundle = bundle_of_links(folder.path(), 7, 2_900_000);
    assert!(fs::metadata(&bundle).unwrap().len() < 20_000, "it is small");
    let mut command = Command::new("prlimit");
    command.args(["--data=512000000", env!("CARGO_BIN_EXE_hopline"), "check", "--json", "--bundle"]);
    let run = cli_support::read(command.arg(&bundle).current_dir(folder.path()).output().unwrap());
    assert!(matches!(run.code, 2 | 3), "{run:?}");
    let told = format!("{}{}", run.stdout, run.stderr);
    assert!(told.contains("too large for any real bundle"), "{told:.2000}");
}
