//! A site of one host, whose cloud has two: what is read of the database for it alone leads to what all of it leads to.
//! Goal: nothing that concerns the host is missed, and no false alarm comes of what was not read. Method: the same
//! questions to the host as it is, for which few rows are read, to a bundle of it, which holds as few, and to that
//! bundle with every row. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use cli_support::{Run, assert_refused};
use cloud::DatabaseUrl;
use score::tables::RECORDS;
use serde_json::{Value, json};
use support::bundles::rewritten;
use support::report::list;
use support::test_lab::TestLab;
use support::{assert_none, printed_in};

const PATIENCE: Duration = Duration::from_mins(1);

/// The lab's site file without the second host and what runs there.
fn first_host_alone(lab: &TestLab, folder: &Path) -> PathBuf {
    let site = std::fs::read_to_string(lab.site()).unwrap();
    let is_kept = |block: &&str| !block.contains("\"compute2\"");
    let blocks: Vec<&str> = site.split("\n\n").filter(is_kept).collect();
    assert!(blocks.len() < site.split("\n\n").count(), "{site}");
    let path = folder.join("site.toml");
    std::fs::write(&path, blocks.join("\n\n")).unwrap();
    path
}

/// The same of one compute host, whose instances cannot be entered: what a support desk has of a cloud as a rule.
fn one_host_from_outside(lab: &TestLab, host: &str, folder: &Path) -> PathBuf {
    let site = std::fs::read_to_string(lab.site()).unwrap();
    let own = format!("name = \"{host}\"");
    let is_kept =
        |block: &&str| block.contains("[cloud]") || (block.contains("[[host]]") && block.contains(&own));
    let blocks: Vec<&str> = site.split("\n\n").filter(is_kept).collect();
    assert_eq!(blocks.len(), 2, "{site}");
    let path = folder.join(format!("{host}.toml"));
    std::fs::write(&path, blocks.join("\n\n")).unwrap();
    path
}

/// What a report says, but for what the clock and the counters of the kernel move.
fn said(run: &Run) -> (i32, Value) {
    let report: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
    let parts = ["code", "hop", "summary", "cause", "confidence", "remedy", "instances"];
    let of_finding = |finding: &Value| json!(parts.map(|part| finding[part].clone()));
    let findings: Vec<Value> = list(&report["findings"]).iter().map(of_finding).collect();
    (run.code, json!({ "outcome": report["outcome"], "findings": findings }))
}

#[test]
fn one_host_of_two_is_judged_by_its_own_rows_as_by_all() {
    let lab = TestLab::up_as("ps", &["--hosts", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let site = first_host_alone(&lab, folder.path());
    let site = ["--site", site.to_str().unwrap()];
    let (own, all) = (folder.path().join("own.tar.zst"), folder.path().join("all.tar.zst"));
    let [own, all] = [&own, &all].map(|path| path.to_str().unwrap());
    let database = DatabaseUrl::parse(&format!("sqlite:{}/nova.sqlite", lab.state().display())).unwrap();
    let mut wrong = Vec::new();
    for code in [&["nothing"][..], &RECORDS.map(|(code, _)| code)].concat() {
        if code != "nothing" {
            lab.break_fault(code);
        }
        let collected = lab.hopline(&[&["collect", "-o", own], &site[..]].concat());
        assert_eq!((collected.code, collected.stderr.as_str()), (0, ""), "{collected:?}");
        rewritten(Path::new(own), Path::new(all), |cloud| {
            cloud.records = Some(cloud::read(&database, PATIENCE).unwrap());
        });
        for question in
            [&["diagnose", "web1"][..], &["diagnose", "--all"], &["check"], &["path", "web1", "web2"]]
        {
            let question = [question, &["--passive", "--json"]].concat();
            let live = lab.hopline(&[&question, &site[..]].concat());
            let [kept, whole] =
                [own, all].map(|bundle| said(&lab.hopline(&[&question[..], &["--bundle", bundle]].concat())));
            let live = said(&live);
            if live != whole || live != kept {
                wrong.push(format!(
                    "{code}: {question:?}: of the host {live:#?}\nof its bundle {kept:#?}\nof all {whole:#?}"
                ));
            }
        }
        if code != "nothing" {
            lab.heal();
        }
    }
    assert_none(&wrong);
}

/// Each host's bundle has the rows of that host alone; together they are the site.
#[test]
fn bundles_of_hosts_that_know_nothing_of_each_other_make_a_site() {
    let lab = TestLab::up_as("pb", &["--hosts", "2"]);
    let folder = tempfile::tempdir().unwrap();
    let bundles = ["compute1", "compute2"].map(|host| {
        let site = one_host_from_outside(&lab, host, folder.path());
        let bundle = folder.path().join(format!("{host}.tar.zst")).to_str().unwrap().to_owned();
        let run = lab.hopline(&["collect", "-o", &bundle, "--site", site.to_str().unwrap()]);
        assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
        bundle
    });
    let both: Vec<&str> = bundles.iter().flat_map(|bundle| ["--bundle", bundle]).collect();
    for instance in ["web1", "web3"] {
        let (_, said) = said(&lab.hopline(&[&["diagnose", instance, "--json"], &both[..]].concat()));
        assert_eq!(said, json!({ "outcome": "healthy", "findings": [] }));
    }
    let path = lab.hopline(&[&["path", "web1", "web3", "--json"], &both[..]].concat());
    assert_eq!(path.code, 0, "{path:?}");
    // Who is on none of them is not said to be nowhere.
    let alone = lab.hopline(&["diagnose", "nobody", "--bundle", &bundles[0]]);
    assert_refused(&alone, &["there is no instance `nobody`", "of the hosts that it was made of"]);
}

/// The gateway of web1 is on a network host that was not read, and web1's neighbour on another.
#[test]
fn who_is_beyond_what_was_read_is_not_taken_for_absent() {
    for shape in [&["--hosts", "2", "--no-multi-host"][..], &["--hosts", "2"]] {
        let lab = TestLab::up_as(if shape.len() > 2 { "pn" } else { "pm" }, shape);
        let folder = tempfile::tempdir().unwrap();
        for host in ["compute1", "compute2"] {
            let site = one_host_from_outside(&lab, host, folder.path());
            for question in [&["check"][..], &["diagnose", "--all", "--passive"], &["diagnose", "--all"]] {
                let run = lab.hopline(&[question, &["--json", "--site", site.to_str().unwrap()]].concat());
                let (_, said) = said(&run);
                assert_eq!(said["findings"], json!([]), "{shape:?} {host} {question:?}: {said:#?}");
            }
        }
        // Who is meant to be on a host that was read, and is not there, is missed.
        let site = one_host_from_outside(&lab, "compute1", folder.path());
        if shape.len() == 2 {
            printed_in(&lab.netns("compute1"), &["ip", "address", "flush", "dev", "br100"]);
            let run = lab.hopline(&["check", "--json", "--site", site.to_str().unwrap()]);
            assert_eq!(run.code, 1, "{run:?}");
        }
    }
}
