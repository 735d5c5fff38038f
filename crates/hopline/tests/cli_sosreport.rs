//! Sosreports with files that tell less than they should: what is found is what the whole one tells, or less.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use cli_support::capture_files::pcap;
use cli_support::{Run, assert_refused, hopline, site};
use serde_json::Value;
use tempfile::TempDir;

fn sample(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../bundle/tests/sosreports").join(name)
}

/// Every file below a folder, by its path from there; links lead to others of them.
fn files(root: &Path, under: &str) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(root.join(under)).unwrap().flatten() {
        let path = format!("{under}{}", entry.file_name().to_str().unwrap());
        match entry.file_type().unwrap() {
            kind if kind.is_dir() => found.extend(files(root, &format!("{path}/"))),
            kind if kind.is_file() => found.push(path),
            _ => {}
        }
    }
    found
}

/// A copy of a sample, with this text in place of one file's.
fn with(name: &str, file: &str, text: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let all = format!("{}/.", sample(name).display());
    let copied = std::process::Command::new("cp").args(["-a", &all]).arg(folder.path()).status();
    assert!(copied.unwrap().success());
    fs::write(folder.path().join(file), text).unwrap();
    folder
}

fn diagnose(report: &Path) -> Run {
    let folder = tempfile::tempdir().unwrap();
    let report = report.to_str().unwrap();
    hopline(folder.path(), &["diagnose", "instance-00000001", "--json", "--bundle", report])
}

fn codes(run: &Run) -> BTreeSet<String> {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|error| panic!("{error}: {run:?}"));
    let findings = report["findings"].as_array().unwrap().iter();
    findings.map(|finding| finding["code"].as_str().unwrap().to_owned()).collect()
}

/// Nothing is proven by a file that holds a complaint, or by one that is cut off: it is found to be as it is, or not
/// known, or the host is out of reach.
#[test]
fn no_fault_is_proven_by_what_a_file_does_not_tell() {
    let mut wrong = Vec::new();
    for name in ["sos-3.2", "sos-4.8"] {
        let whole = codes(&diagnose(&sample(name)));
        for file in files(&sample(name), "sos_commands/") {
            // Who is asked about has no other source.
            if file.starts_with("sos_commands/virsh/") {
                continue;
            }
            let own = fs::read_to_string(sample(name).join(&file)).unwrap();
            let half = own.get(..own.len() * 2 / 3).unwrap_or_default();
            for text in ["Operation not permitted\n", "[plugin timeout]", half] {
                let run = diagnose(with(name, &file, text).path());
                if run.code == 2 {
                    assert_refused(&run, &["is out of reach"]);
                    continue;
                }
                let more: Vec<String> = codes(&run).difference(&whole).cloned().collect();
                if !more.is_empty() {
                    wrong.push(format!("{name}, {file} = {:?}: {more:?}", text.lines().last()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What a sosreport does not have of the cloud's records is not said of the cloud.
#[test]
fn an_instance_that_only_the_records_know_is_not_denied() {
    let folder = tempfile::tempdir().unwrap();
    let run = hopline(folder.path(), &["diagnose", "web1", "--bundle", sample("sos-4.8").to_str().unwrap()]);
    let pieces =
        ["nobody can tell whether there is an instance `web1`", "the cloud's database", "instance-00000001"];
    assert_refused(&run, &pieces);
    assert_refused(&run, &["hint: it needs the database in a site file"]);
}

/// Tens of mebibytes that sos never wrote take bounded memory and time, whichever file has them, and what of them is
/// not read is told.
#[test]
fn a_hostile_sosreport_takes_bounded_memory_and_time() {
    let own = |file: &str| fs::read_to_string(sample("sos-4.8").join(NETWORKING).join(file)).unwrap();
    let lines = |count: u32, line: fn(u32) -> String| (0..count).map(line).collect::<String>();
    let routes = |count| own("ip_route_show_table_all") + &lines(count, route);
    let links =
        |count| own("ip_-s_-d_link") + &lines(count, |nth| format!("{nth}9: a{nth}: <UP> mtu 1\n    a\n"));
    let neighbours = |count| lines(count, |nth| format!("10.0.0.{} dev ens{nth} STALE\n", nth % 256));
    for (file, text, told) in [
        ("ip_route_show_table_all", routes(1_000_000), "more than 400000"),
        ("ip_route_show_table_all", routes(100_000), "\"code\""),
        ("ip_-s_-d_link", links(199_000), "list of links that a host could have"),
        ("ip_-s_-s_neigh_show", "x\n".repeat(30_000_000), "more than 400000"),
        ("ip_-s_-s_neigh_show", neighbours(300_000), "expected a neighbour"),
        ("ip_netns", lines(390_000, |nth| format!("n{nth} (id: {nth})\n")), "388000 more than the 2000"),
        ("ip_netns", lines(1_000_000, |nth| format!("n{nth}\n")), "more than 400000"),
    ] {
        let folder = with("sos-4.8", &format!("{NETWORKING}/{file}"), &text);
        let mut bounded = std::process::Command::new("prlimit");
        bounded.args([
            "--data=512000000",
            "--cpu=60",
            env!("CARGO_BIN_EXE_hopline"),
            "check",
            "--json",
            "--bundle",
        ]);
        let run = cli_support::read(bounded.arg(folder.path()).current_dir(folder.path()).output().unwrap());
        assert!([0, 1, 2, 3].contains(&run.code), "{file}: {} {:.2000}", run.code, run.stderr);
        let all = format!("{}{}", run.stdout, run.stderr);
        assert!(all.contains(told), "{file}, {} octets: {told:?} is missing: {all:.3000}", text.len());
    }
}

const NETWORKING: &str = "sos_commands/networking";

/// One that no other is the same as.
fn route(nth: u32) -> String {
    let to = std::net::Ipv4Addr::from(0x0a00_0000 + nth);
    format!("{to} dev ens3 metric {nth}\n")
}

/// Sosreports and a bundle of `collect` are one site: each host as its own report tells it, and each instance with what
/// its host's report alone finds of it.
#[test]
fn several_sosreports_and_a_bundle_are_one_site() {
    let other = "sos_commands/virsh/virsh_-r_dumpxml_instance-00000001";
    let own = fs::read_to_string(sample("sos-4.8").join(other)).unwrap();
    let renamed =
        own.replace("00000001<", "00000002<").replace("8d7b1f36", "8d7b1f37").replace(":11'", ":12'");
    let second = with("sos-4.8", other, &renamed);
    let (folder, _) = site("");
    let made = hopline(folder.path(), &["collect", "-o", "compute1.tar.zst"]);
    assert!([0, 3].contains(&made.code), "{made:?}");
    let first = sample("sos-3.2");
    let [first, second] = [&first, second.path()].map(|path| path.to_str().unwrap());
    let own = ["--bundle", "compute1.tar.zst", "--bundle"];
    let elsewhere = tempfile::tempdir().unwrap();
    fs::rename(folder.path().join("compute1.tar.zst"), elsewhere.path().join("compute1.tar.zst")).unwrap();
    let ask = |question: &[&str], bundles: &[&str]| {
        let run = hopline(elsewhere.path(), &[question, &["--json"], bundles].concat());
        assert!([0, 1, 3].contains(&run.code), "{run:?}");
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    let all = [&own[..], &[first, "--bundle", second]].concat();
    let told = ask(&["check"], &all);
    for host in ["compute1", "node7.example.org", "node8"] {
        let looked_at = told["coverage"]["looked_at"].as_array().unwrap();
        let is_its = |line: &&Value| line.as_str().unwrap().starts_with(&format!("{host}: "));
        let count = looked_at.iter().filter(is_its).count();
        assert_eq!(count, if host == "node8" { 2 } else { 1 }, "{host} and its namespaces: {looked_at:?}");
    }
    let found = |report: &Value| {
        let findings = report["findings"].as_array().unwrap().iter();
        findings.map(|finding| (finding["code"].to_string(), finding["hop"].to_string())).collect::<Vec<_>>()
    };
    for (instance, alone) in [("instance-00000001", first), ("instance-00000002", second)] {
        let (together, alone) =
            (ask(&["diagnose", instance], &all), ask(&["diagnose", instance], &["--bundle", alone]));
        assert_eq!(together["subject"], instance);
        assert_eq!(found(&together), found(&alone), "{instance}");
    }
}

/// What was recorded at a device of a sosreport's host is looked for there, and a device that it lacks is refused.
#[test]
fn a_capture_beside_a_sosreport_is_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    let text = format!(
        "[[host]]\nname = \"node8\"\nat = \"bundle:{}\"\n[[instance]]\nname = \"instance-00000001\"\n\
         host = \"node8\"\naddresses = [\"203.0.113.50\"]\n",
        sample("sos-4.8").display()
    );
    fs::write(folder.path().join("site.toml"), text).unwrap();
    let pings: Vec<(i64, Vec<u8>)> = (0..3).map(|nth| (nth * 1_000_000_000, ping(nth))).collect();
    fs::write(folder.path().join("x.pcap"), pcap(1, &pings)).unwrap();
    let ask = |vantage: &str| {
        let given = format!("{vantage}=x.pcap");
        hopline(folder.path(), &["diagnose", "instance-00000001", "--json", "--capture", &given])
    };
    for vantage in ["node8//vnet0", "vnet0"] {
        let report: Value = serde_json::from_str(&ask(vantage).stdout).unwrap();
        let looked_at = report["coverage"]["looked_at"].to_string();
        let seen = "capture x.pcap: 3 packets at 1 devices of the site, 3 of questions of the ladder";
        assert!(looked_at.contains(seen), "{vantage}: {looked_at}");
        // Recorded long before the sosreport was made.
        let gaps = report["coverage"]["gaps"].to_string();
        assert!(gaps.contains("the site at the time of x.pcap"), "{gaps}");
    }
    assert_refused(
        &ask("node8//vnet9"),
        &["the site has no `node8//vnet9`", "hint: --capture HOST/NETNS/DEVICE"],
    );
}

/// The instance asks its gateway: Ethernet, IPv4 and ICMP, whose checksums nobody here looks at.
fn ping(nth: i64) -> Vec<u8> {
    let ethernet = [0x52, 0x54, 0, 0xaa, 0, 1, 0xfa, 0x16, 0x3e, 0, 0, 0x11, 8, 0];
    let ip = [0x45, 0, 0, 28, 0, 1, 0, 0, 64, 1, 0, 0, 203, 0, 113, 50, 203, 0, 113, 1];
    [&ethernet[..], &ip, &[8, 0, 0, 0, 0, 7, 0, u8::try_from(nth).unwrap()]].concat()
}

/// A refusal names the program that writes such files.
#[test]
fn a_hostile_sosreport_is_none_that_sos_wrote() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("sosreport-x/sos_commands/kernel");
    fs::create_dir_all(&root).unwrap();
    fs::write(root.join("uname_-a"), "Linux a 5.10").unwrap();
    let tar = [
        "-C",
        folder.path().to_str().unwrap(),
        "-cf",
        "x.tar",
        "--transform=s,uname,../../uname,",
        "sosreport-x",
    ];
    let made = std::process::Command::new("tar").current_dir(folder.path()).args(["-P"]).args(tar).status();
    assert!(made.unwrap().success());
    let run = hopline(folder.path(), &["check", "--bundle", "x.tar"]);
    assert_refused(&run, &["cannot read the bundle x.tar", "hint: `sos report` writes no such thing"]);
}
