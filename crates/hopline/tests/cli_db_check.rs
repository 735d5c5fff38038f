//! `hopline db check` on a SQLite file, by the program itself: what it says is to be typed, typed; and what it says
//! that nobody knows.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::path::Path;

use cli_support::hopline;
use serde_json::Value;
use tempfile::TempDir;

/// A site whose only host is in a bundle, so that none is looked at, with nova's tables, and these rows.
fn site(rows: &str) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[host]]\nname = \"compute1\"\nat = \"bundle:none.tar.zst\"\n\n\
                [cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n";
    std::fs::write(folder.path().join("site.toml"), text).unwrap();
    std::fs::write(folder.path().join("nova.sqlite"), "").unwrap();
    let schema = include_str!("../../novadb/src/schema.sql");
    support::sqlite(&folder.path().join("nova.sqlite"), &format!("{schema}\n{rows}"));
    folder
}

/// Its document.
fn check(folder: &Path, code: u8) -> Value {
    let run = hopline(folder, &["db", "check", "--json"]);
    assert_eq!(run.code, i32::from(code), "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

#[test]
fn what_it_says_is_typed_and_taken_back() {
    let rows =
        "INSERT INTO floating_ips (id, address, host, deleted) VALUES (7, '203.0.113.7', 'compute1', 0);";
    let site = site(rows);
    let found = check(site.path(), 1);
    let remedy = &found["findings"][0]["remedy"];
    let typed = |field: &str| remedy[0][field].as_str().unwrap().strip_prefix("hopline ").unwrap().to_owned();
    assert_eq!(typed("command"), "db repair float-host-without-fixed-ip 7 --apply");
    let by_hand = remedy[1]["command"].as_str().unwrap();
    assert!(
        by_hand
            .starts_with("UPDATE floating_ips SET host = NULL, updated_at = datetime('now') WHERE id = 7 ")
    );
    let page = hopline(site.path(), &["db", "check"]).stdout;
    for line in
        ["fix: hopline db repair float-host-without-fixed-ip 7 --apply\n", "undo: hopline db undo ID\n"]
    {
        assert!(page.contains(line), "{page}");
    }

    let run = |command: &str| {
        let words: Vec<&str> = command.split(' ').chain(["--json"]).collect();
        let run = hopline(site.path(), &words);
        assert_eq!(run.code, 0, "{command}: {run:?}");
        serde_json::from_str::<Value>(&run.stdout).unwrap()
    };
    let dry = run(typed("command").strip_suffix(" --apply").unwrap());
    assert_eq!(dry["applied"], false);
    check(site.path(), 1);
    let applied = run(&typed("command"));
    check(site.path(), 0);
    run(&typed("undo").replace("ID", applied["undo"].as_str().unwrap()));
    assert_eq!(check(site.path(), 1)["findings"], found["findings"]);
}

#[test]
fn ranges_of_ipv6_that_nobody_may_use_are_a_gap() {
    let network = |id: u8, v6: &str| {
        format!(
            "INSERT INTO networks (id, label, cidr, cidr_v6, bridge, vlan, deleted) VALUES \
             ({id}, 'n{id}', '10.0.{id}.0/24', '{v6}', 'br{id}', {id}, 0);"
        )
    };
    let apart = site(&[network(1, "fd00:1::/64"), network(2, "fd00:2::/64")].concat());
    let gaps = |document: &Value| document["coverage"]["gaps"].to_string();
    assert!(!gaps(&check(apart.path(), 0)).contains("IPv6"));
    let same = site(&[network(1, "fd00:1::/64"), network(2, "fd00:1::/64")].concat());
    assert!(gaps(&check(same.path(), 0)).contains("whether ranges of IPv6 that overlap are in use"));
}

/// compute1 is in the site file, by its short name and in small letters.
#[test]
fn hosts_that_the_site_file_does_not_name_are_a_gap() {
    let instance = |id: u8, host: &str, deleted: u8| {
        format!(
            "INSERT INTO instances (id, uuid, hostname, display_name, host, vm_state, deleted) VALUES \
             ({id}, 'u{id}', 'w{id}', 'w{id}', {host}, 'error', {deleted});"
        )
    };
    let floating = |id: u8, host: &str| {
        format!(
            "INSERT INTO fixed_ips (id, address, allocated, leased, reserved, instance_uuid, host, deleted) VALUES \
             ({id}, '10.0.0.{id}', TRUE, TRUE, FALSE, 'u{id}', NULL, 0);\
             INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, deleted) VALUES \
             ({id}, '203.0.113.{id}', {id}, 'p1', {host}, 0);"
        )
    };
    let unnamed = |rows: &[String]| -> Vec<String> {
        let folder = site(&rows.concat());
        let run = hopline(folder.path(), &["db", "check", "--json"]);
        let document: Value = serde_json::from_str(&run.stdout).unwrap();
        let gaps = document["coverage"]["gaps"].as_array().unwrap().iter();
        let of_site = gaps.filter(|gap| gap["why"].as_str().unwrap().contains("the site file names no"));
        of_site.map(|gap| gap["what"].as_str().unwrap().to_owned()).collect()
    };
    let known = [instance(1, "'Compute1.example.org'", 0), instance(2, "NULL", 0), instance(9, "'gone'", 9)];
    assert_eq!(unnamed(&known), [""; 0]);
    let one = [&known[..], &[instance(3, "'compute8'", 0)]].concat();
    assert_eq!(unnamed(&one), ["whether compute8 has what the database says"]);
    let both = [&one[..], &[floating(3, "'netnode'")]].concat();
    assert_eq!(unnamed(&both), ["whether 2 hosts have what the database says: compute8, netnode"]);
}
