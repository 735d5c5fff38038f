//! What is wrong in the site file or in what it names: one clear message, exit code 2, no panic.
//! Needs root, for the namespaces that some of the cases name.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod cli_support;

use std::fs;

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
