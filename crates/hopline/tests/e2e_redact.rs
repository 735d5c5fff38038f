//! Redacted bundles of a real lab: whatever is broken, the diagnosis is the one of the bundle under its true names, and
//! none of them is anywhere in the file. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cli_support::{Run, assert_refused};
use score::tables::OF_PEERS;
use serde_json::Value;
use support::pseudonyms::{Table, leaks};
use support::test_lab::TestLab;
use support::{assert_none, printed};
use tempfile::TempDir;

/// Faults as unlike each other as can be, which are compared in every run. With `HOPLINE_REDACT=all`, all are, and with
/// `HOPLINE_REDACT=CODE,CODE` those.
const UNLIKE: [&str; 16] = [
    "tap-not-enslaved",
    "antispoof-mac",
    "default-route-missing",
    "float-dnat-missing",
    "snat-missing",
    "dnsmasq-stale-hosts-file",
    "duplicate-mac",
    "ext-no-return-route",
    "guest-wrong-ip",
    "metadata-dnat-missing",
    "rogue-dhcp",
    "sg-missing-ssh",
    "conntrack-stale-dnat",
    "float-tied-to-deleted-instance",
    "nft-other-priority",
    "rp-filter-asymmetric",
];

struct Lab {
    lab: TestLab,
    folder: TempDir,
}

impl Lab {
    fn up(tag: &str, shape: &[&str]) -> Lab {
        Lab { lab: TestLab::up_as(tag, shape), folder: tempfile::tempdir().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn run(&self, arguments: &[&str]) -> Run {
        let run = self.lab.run(arguments);
        assert!(run.code != 2, "{arguments:?}: {run:?}");
        run
    }

    /// Collects, and redacts the very same facts.
    fn both(&self) -> (PathBuf, PathBuf) {
        let (plain, redacted) = (self.path("plain.tar.zst"), self.path("redacted.tar.zst"));
        self.run(&["collect", "-o", plain.to_str().unwrap()]);
        let bundle = ["--bundle", plain.to_str().unwrap()];
        // Each with a key of its own: one that lies there would be used again.
        for ending in ["key", "names"] {
            let _ = fs::remove_file(self.path(&format!("redacted.tar.zst.{ending}")));
        }
        let run = self
            .lab
            .hopline(&[&["collect", "--redact", "-o", redacted.to_str().unwrap()], &bundle[..]].concat());
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        (plain, redacted)
    }

    fn ask(&self, question: &[&str], bundle: &Path) -> Run {
        self.lab.hopline(&[question, &["--json", "--bundle", bundle.to_str().unwrap()]].concat())
    }
}

/// A report without what is told of the file and of the clock.
fn compared(report: &str) -> Value {
    let mut report: Value = serde_json::from_str(report).unwrap();
    report["elapsed_ms"] = Value::Null;
    let gaps = report["coverage"]["gaps"].as_array_mut().unwrap();
    gaps.retain(|gap| !gap["what"].as_str().unwrap().starts_with("the real names of"));
    // Sorted by what they say, which is in other words.
    gaps.sort_by_key(Value::to_string);
    for finding in report["findings"].as_array_mut().unwrap() {
        finding["instances"].as_array_mut().unwrap().sort_by_key(Value::to_string);
    }
    report
}

#[test]
fn whatever_is_broken_the_diagnosis_is_the_same_and_nothing_leaks() {
    let chosen = std::env::var("HOPLINE_REDACT").ok();
    let is_wanted = |code: &str| match chosen.as_deref() {
        None => UNLIKE.contains(&code),
        Some("all") => true,
        Some(codes) => codes.split(',').any(|chosen| chosen == code),
    };
    let lab = Lab::up("r", &[]);
    let listed = lab.lab.hopline(&["lab", "faults"]).stdout;
    let codes = listed.lines().filter_map(|line| line.split_whitespace().next());
    let compared = compare(&lab, codes.filter(|code| is_wanted(code)));
    let least = if chosen.as_deref().is_none_or(|codes| codes == "all") { 12 } else { 1 };
    assert!(compared > least, "only {compared} of them were compared");
}

/// The other host's addresses, and those of the tunnels between, are redacted like the one's.
#[test]
fn between_two_hosts_the_diagnosis_is_the_same_and_nothing_leaks() {
    let lab = Lab::up("r2", &["--hosts", "2"]);
    let compared = compare(&lab, OF_PEERS.iter().map(|(code, _)| *code));
    assert_eq!(compared, 1 + OF_PEERS.len(), "each of them can be made here");
}

/// Compares with nothing broken and with each of these faults that this shape of cloud can have; how often it did.
fn compare<'c>(lab: &Lab, codes: impl Iterator<Item = &'c str>) -> usize {
    let (mut wrong, mut compared) = (Vec::new(), 0);
    for code in ["nothing"].into_iter().chain(codes) {
        // What needs another shape of cloud is refused here.
        if code != "nothing" && lab.lab.lab("break", &[code]).code != 0 {
            continue;
        }
        compared += 1;
        wrong.extend(differences(lab, code));
        if code != "nothing" {
            lab.lab.heal();
        }
    }
    assert_none(&wrong);
    compared
}

/// Rows that contradict each other, with names that stand nowhere else.
const PLANTED: [&str; 5] = [
    // Called like a word of our own codes.
    "UPDATE networks SET project_id = 'rivals', label = 'fixed-ip'",
    "INSERT INTO security_groups (id, name, project_id, deleted) VALUES (9, 'bygone-group', 'p', 9);
     INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted)
     SELECT 99, 9, uuid, 0 FROM instances WHERE id = 1",
    "UPDATE fixed_ips SET instance_uuid = (SELECT uuid FROM instances WHERE id = 1), allocated = 1,
     virtual_interface_id = 1 WHERE address = '10.0.0.42'",
    "INSERT INTO networks (id, injected, cidr, netmask, bridge, gateway, broadcast, dns1, dhcp_start, label,
     bridge_interface, multi_host, uuid, deleted, dhcp_server, enable_dhcp, share_address)
     VALUES (2, 0, '10.0.0.0/24', '255.255.255.0', 'br101', '10.0.0.1', '10.0.0.255', '1.2.3.4', '10.0.0.2',
     'overlapping-net', 'eth1', 1, 'net-2', 0, '10.0.0.1', 1, 0)",
    "UPDATE instance_info_caches SET network_info = '[]' WHERE id = 1;
     UPDATE fixed_ips SET updated_at = '2026-01-01 00:00:00';
     UPDATE floating_ips SET updated_at = '2026-01-01 00:00:00'",
];

#[test]
fn what_contradicts_in_the_databases_rows_is_told_of_pseudonyms_alone() {
    let lab = Lab::up("rc", &[]);
    let database = lab.lab.state().join("nova.sqlite");
    for sql in PLANTED {
        support::sqlite(&database, &format!("PRAGMA foreign_keys = OFF; {sql}"));
    }
    assert_none(&differences(&lab, "planted"));
    let (plain, redacted) = lab.both();
    let told = lab.ask(&["diagnose", "web1"], &plain).stdout;
    for code in [
        "fixed-ip-of-other-project",
        "group-membership-of-deleted-group",
        "host-address-in-use",
        "network-overlap",
        "info-cache-differs",
    ] {
        assert!(told.contains(code), "{code}: {told}");
    }
    let table = Table::beside(&redacted);
    for name in ["rivals", "bygone-group", "overlapping-net", "fixed-ip"] {
        assert_ne!(table.pseudonym(name), name);
    }
}

/// Where the two bundles of this moment tell another story, or one tells too much.
fn differences(lab: &Lab, code: &str) -> Vec<String> {
    let (plain, redacted) = lab.both();
    let table = Table::beside(&redacted);
    let mut wrong = Vec::new();
    for (question, other) in [
        (vec!["diagnose", "web1"], vec!["diagnose", table.pseudonym("web1")]),
        (vec!["check"], vec!["check"]),
    ] {
        let (plainly, told) = (lab.ask(&question, &plain), lab.ask(&other, &redacted));
        if plainly.code == 2 {
            continue;
        }
        let back = table.back(&told.stdout);
        if plainly.code != told.code || compared(&plainly.stdout) != compared(&back) {
            wrong.push(format!(
                "{code} {question:?}: plain {}\nredacted {back}{}",
                plainly.stdout, told.stderr
            ));
        }
    }
    wrong.extend(leaks(&redacted, &table).into_iter().map(|leak| format!("{code}: {leak}")));
    wrong
}

#[test]
fn a_key_fits_bundles_of_several_hosts_together_and_stays_outside() {
    let lab = Lab::up("rk", &[]);
    lab.lab.break_fault("default-route-missing");
    let (plain, first) = (lab.path("plain.tar.zst"), lab.path("first.tar.zst"));
    lab.run(&["collect", "-o", plain.to_str().unwrap()]);
    let redact = |more: &[&str], to: &Path| {
        lab.run(&[&["collect", "--redact", "-o", to.to_str().unwrap()], more].concat());
        Table::beside(to)
    };
    let table = redact(&["compute1"], &first);
    let key = format!("{}.key", first.display());
    let others = lab.path("others.tar.zst");
    redact(&["gw", "isp", "external", "fabric", "--redact-key", &key], &others);
    let used = fs::read(lab.path("others.tar.zst.key")).unwrap();
    assert_eq!(used, fs::read(&key).unwrap(), "beside each bundle lies the key that made its names");
    for private in [first.clone(), PathBuf::from(&key), lab.path("first.tar.zst.names")] {
        assert_eq!(fs::metadata(&private).unwrap().permissions().mode() & 0o777, 0o600, "{private:?}");
    }

    let plainly = lab.ask(&["diagnose", "web1"], &plain);
    let both = ["--bundle", first.to_str().unwrap(), "--bundle", others.to_str().unwrap()];
    let told = lab.lab.hopline(&[&["diagnose", table.pseudonym("web1"), "--json"], &both[..]].concat());
    let codes = |report: &str| {
        let report: Value = serde_json::from_str(report).unwrap();
        let findings = report["findings"].as_array().unwrap().clone();
        findings.iter().map(|finding| (finding["code"].clone(), finding["hop"].clone())).collect::<Vec<_>>()
    };
    assert_eq!(codes(&table.back(&told.stdout)), codes(&plainly.stdout), "{told:?}");
    assert!(
        told.stdout.contains("it is redacted: names, ids, addresses and MACs are pseudonyms"),
        "{told:?}"
    );

    // By another key, or by none, the same machines are others.
    let strange = lab.path("strange.tar.zst");
    redact(&["gw", "isp", "external", "fabric"], &strange);
    for (other, why) in [
        (&strange, Some("they are redacted by different keys")),
        (&plain, Some("some of them are redacted and others are not")),
        (&others, None),
    ] {
        let both = ["--bundle", first.to_str().unwrap(), "--bundle", other.to_str().unwrap()];
        let told = lab.lab.hopline(&[&["diagnose", table.pseudonym("web1"), "--json"], &both[..]].concat());
        assert_eq!(told.stdout.contains(": a machine has a"), why.is_some(), "{why:?}: {told:?}");
        assert!(why.is_none_or(|why| told.stdout.contains(why)), "{why:?}: {told:?}");
    }

    let secret = fs::read_to_string(&key).unwrap();
    let secret = secret.lines().find(|line| line.len() == 64).unwrap();
    let raw = printed(&["tar", "--zstd", "-xOf", first.to_str().unwrap()]);
    assert!(!raw.contains(secret) && raw.contains("\"redacted\": true"));
}

#[test]
fn what_cannot_be_redacted_is_refused() {
    let lab = Lab { lab: TestLab::named("rn"), folder: tempfile::tempdir().unwrap() };
    let (key, none, out) = (lab.path("key"), lab.path("none"), lab.path("out.tar.zst"));
    fs::write(&key, "hopline.redact-key/1\n12\n").unwrap();
    let (key, none, out) = (key.to_str().unwrap(), none.to_str().unwrap(), out.to_str().unwrap());
    let collect = |more: &[&str]| lab.lab.hopline(&[&["collect", "-o", out], more].concat());
    assert_refused(&collect(&["--redact", "--redact-key", none]), &["cannot read the key", "No such file"]);
    assert_refused(&collect(&["--redact", "--redact-key", key]), &["cannot read the key", "64 hex digits"]);
    assert_refused(&collect(&["--redact", "--bundle", none]), &["cannot read the bundle", "No such file"]);
    assert_refused(
        &collect(&["--redact", "--bundle", key]),
        &["cannot redact the bundle", "it is no bundle"],
    );
    assert_refused(&collect(&["--bundle", none]), &["--redact"]);
    // However it is spelt: nobody would have the true names any more.
    let spelt = format!("{}/./out.tar.zst", lab.folder.path().display());
    assert_refused(&collect(&["--redact", "--bundle", &spelt]), &["`-o` would write over"]);
    assert_refused(&collect(&["--redact", "--capture", &spelt]), &["`-o` would write over"]);
    assert!(!Path::new(out).exists());
}

/// A key and a table stand for bundles that others have already.
#[test]
fn a_key_and_its_table_are_not_lost() {
    let folder = tempfile::tempdir().unwrap();
    let hopline = |arguments: &[&str]| cli_support::hopline(folder.path(), arguments);
    let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
    let site = "[[host]]\nname = \"payroll7\"\nat = \"local\"\n";
    fs::write(folder.path().join("site.toml"), site).unwrap();
    let redact = |more: &[&str]| hopline(&[&["collect", "--redact", "-o", "r"], more].concat());
    assert_eq!(redact(&[]).code, 0);
    let (key, table) = (read("r.key"), read("r.names"));
    assert!(table.contains("\tpayroll7\n"), "{table}");
    for out in ["r.key", "x"] {
        fs::write(folder.path().join("x.names"), &key).unwrap();
        let given = if out == "x" { "x.names" } else { "r.key" };
        let run = hopline(&["collect", "--redact", "-o", out, "--redact-key", given]);
        assert_refused(&run, &[&format!("`-o` would write over {given}")]);
    }
    // The same names again, and those of the earlier bundle beside them.
    fs::write(folder.path().join("r.names"), table.clone() + "host-gone\tacme3\n").unwrap();
    assert_eq!(redact(&[]).code, 0);
    assert_eq!(redact(&["--redact-key", "r.key"]).code, 0);
    assert_eq!(read("r.key"), key);
    let now = read("r.names");
    assert!(now.contains("host-gone\tacme3\n"), "{now}");
    let host = |table: &str| table.lines().find(|line| line.ends_with("\tpayroll7")).map(str::to_owned);
    assert_eq!(host(&now), host(&table));
    // Another key does not take its place.
    assert_eq!(hopline(&["collect", "--redact", "-o", "other"]).code, 0);
    assert_refused(
        &redact(&["--redact-key", "other.key"]),
        &["would write over r.key, which is another key"],
    );
    assert_eq!((read("r.key"), read("r.names")), (key, now));
}
