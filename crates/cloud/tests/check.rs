//! Tables of older series, which lack columns and tables, are checked as far as they go.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

mod support;

use cloud::{Clock, DatabaseError, DatabaseUrl, ROWS_MAX};
use support::{PATIENCE, make_sqlite};

/// Columns that every series has, and the small clouds of the fixtures leave out.
const BEYOND_FIXTURES: [(&str, &[&str]); 4] = [
    ("instances", &["task_state", "project_id"]),
    ("networks", &["netmask", "broadcast", "project_id", "vpn_private_address", "uuid", "cidr_v6"]),
    ("fixed_ips", &["updated_at"]),
    ("floating_ips", &["project_id"]),
];

/// What the fixtures, which have neither services nor info caches, are not looked through for.
const WITHOUT_CACHES: [&str; 4] =
    ["host-address-without-service", "instance-without-nic", "info-cache-differs", "info-cache-deleted"];

/// A fixture with them, where it has not got them.
fn whole(fixture: &str) -> String {
    let mut sql = fixture.to_owned();
    for (table, columns) in BEYOND_FIXTURES {
        let start = fixture.find(&format!("CREATE TABLE {table} (")).unwrap();
        let end = start + fixture[start..].find(");").unwrap();
        let missing = columns.iter().filter(|column| !fixture[start..end].contains(&format!(" {column} ")));
        missing.for_each(|column| sql.push_str(&format!("\nALTER TABLE {table} ADD COLUMN {column};")));
    }
    sql
}

/// `CODE: ROW` of all that is found, and which codes could not be looked for.
fn checked(sql: &str) -> (Vec<String>, Vec<&'static str>) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    make_sqlite(&path, sql);
    let checked = cloud::check(&DatabaseUrl::sqlite(path), PATIENCE, &Clock::default(), |_| ()).unwrap();
    let findings = checked.found.iter().map(|found| found.finding(ROWS_MAX));
    let found = findings.flat_map(|finding| {
        let code = finding.code;
        finding.evidence.into_iter().map(move |row| {
            let id = row.text.split(':').next().unwrap_or_default().to_owned();
            format!("{code}: {id}")
        })
    });
    (found.collect(), checked.not_looked_for.iter().map(|(code, _)| *code).collect())
}

#[test]
fn essex_points_at_instances_by_number_and_deletes_by_a_flag() {
    let essex = &whole(include_str!("fixtures/essex.sql"));
    let (found, not_looked_for) = checked(essex);
    // 2 is allocated to an instance that is deleted.
    assert_eq!(found, ["fixed-ip-leaked: fixed_ips 2"]);
    assert_eq!(not_looked_for, WITHOUT_CACHES);
    // The same of a floating address.
    let (found, _) = checked(&format!("{essex} UPDATE floating_ips SET fixed_ip_id = 2;"));
    assert_eq!(found, ["float-tied-to-deleted-instance: floating_ips 1", "fixed-ip-leaked: fixed_ips 2"]);
}

#[test]
fn havana_is_checked_without_share_address() {
    let (found, _) = checked(&whole(include_str!("fixtures/havana.sql")));
    // The fixture has no row that is free.
    assert_eq!(found, ["network-full: networks 1"]);
}

#[test]
fn queens_has_what_its_fixture_says() {
    let (found, _) = checked(&whole(include_str!("fixtures/queens.sql")));
    let expected = [
        // On a fixed address that is deleted, and leased by nobody.
        "float-fixed-ip-gone: floating_ips 4",
        "fixed-ip-leaked: fixed_ips 8",
        // Given back, and `updated_at` is NULL, which nova's time-out misses for ever.
        "fixed-ip-not-released: fixed_ips 9",
        // Its one row is db1's.
        "network-full: networks 2",
        // By a rule whose source is deleted, and an instance that is in it.
        "group-rule-of-deleted-group: security_group_rules 5",
        "group-membership-of-deleted-group: security_group_instance_association 3",
    ];
    assert_eq!(found, expected);
}

#[test]
fn what_is_not_novas_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    make_sqlite(&path, "CREATE TABLE networks (id int)");
    let error = cloud::check(&DatabaseUrl::sqlite(path), PATIENCE, &Clock::default(), |_| ()).err();
    assert!(matches!(error, Some(DatabaseError::NotNova { missing, .. }) if missing.len() == 4));
}

#[test]
fn a_time_out_out_of_all_bounds_is_a_long_one() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    make_sqlite(&path, &whole(include_str!("fixtures/queens.sql")));
    let clock = Clock { timeout_s: u64::MAX, ..Clock::default() };
    let checked = cloud::check(&DatabaseUrl::sqlite(path), PATIENCE, &clock, |_| ()).unwrap();
    assert!(checked.looked_for.contains(&"fixed-ip-not-released"));
}

#[test]
fn repairs_that_a_series_cannot_be_told_are_not_printed() {
    let repairs = |sql: &str| {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("nova.db");
        make_sqlite(&path, sql);
        let checked = cloud::check(&DatabaseUrl::sqlite(path), PATIENCE, &Clock::default(), |_| ()).unwrap();
        let remedies = checked.found.iter().flat_map(|found| found.finding(ROWS_MAX).remedy);
        let by_hand = remedies.filter(|remedy| !remedy.command.starts_with("hopline "));
        by_hand.map(|remedy| (remedy.command, remedy.note)).collect::<Vec<_>>()
    };
    let essex = &whole(include_str!("fixtures/essex.sql"));
    let set = "UPDATE fixed_ips SET allocated = FALSE, leased = FALSE, instance_id = NULL, \
               virtual_interface_id = NULL, updated_at = datetime('now')";
    let row = "WHERE id = 2 AND instance_id = 2 AND deleted = 0 AND NOT EXISTS (SELECT 1 FROM floating_ips AS hung \
               WHERE hung.fixed_ip_id = 2 AND hung.deleted = 0)";
    let [(command, _)] = <[_; 1]>::try_from(repairs(essex)).unwrap();
    assert_eq!(command, format!("{set} {row}"));
    let orphan = "UPDATE fixed_ips SET instance_id = NULL, allocated = 0, leased = 0 WHERE id = 2;\
                  INSERT INTO virtual_interfaces VALUES (9, 'fa:16:3e:00:00:09', 1, 2, 'dddd', 0);";
    let marked = "UPDATE virtual_interfaces SET deleted = TRUE WHERE id = 9 AND address = 'fa:16:3e:00:00:09' AND \
                  instance_id = 2 AND deleted = 0";
    assert_eq!(repairs(&format!("{essex}{orphan}")), [(marked.to_owned(), "one row".to_owned())]);
    let without = "ALTER TABLE fixed_ips DROP COLUMN virtual_interface_id;";
    let why = "no statement for its rows: this database has no fixed_ips.virtual_interface_id".to_owned();
    assert_eq!(repairs(&format!("{essex}{without}")), [(String::new(), why)]);
}

/// What takes a column for NULL that every series has would find what is not so, or miss what is.
#[test]
fn a_column_that_every_series_has_is_missed_by_name() {
    let queens = whole(include_str!("fixtures/queens.sql"));
    let (found, not_looked_for) = checked(&queens);
    assert_eq!(not_looked_for, WITHOUT_CACHES);
    for (table, column, codes) in [
        ("floating_ips", "project_id", &["float-without-project"][..]),
        ("networks", "vpn_private_address", &["fixed-ip-reserved-in-use"]),
        ("fixed_ips", "updated_at", &["fixed-ip-not-released"]),
        ("instances", "vm_state", &["instance-without-address"]),
    ] {
        let without = format!("{queens}\nALTER TABLE {table} DROP COLUMN {column};");
        let (still_found, not_looked_for) = checked(&without);
        assert!(codes.iter().all(|code| not_looked_for.contains(code)), "{column}: {not_looked_for:?}");
        let is_known = |line: &String| found.contains(line);
        assert!(still_found.iter().all(is_known), "{column}: {still_found:?}");
    }
}
