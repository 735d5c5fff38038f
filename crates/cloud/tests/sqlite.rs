//! nova's tables of several series, read from SQLite files.

#![allow(clippy::unwrap_used, clippy::panic, reason = "clippy takes a test's helpers for production code")]

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use cloud::DatabaseError;
use support::{assert_queens, make_sqlite, read_sqlite, sqlite_records};

#[test]
fn queens_is_read_whole() {
    let records = sqlite_records(include_str!("fixtures/queens.sql"));
    assert_queens(&records);
    assert!(records.missing_tables.is_empty());
}

#[test]
fn what_is_left_of_instances_that_are_gone() {
    let queens = include_str!("fixtures/queens.sql");
    // web1 is deleted and all else of it stays; 10.0.0.7 is allocated to nobody.
    let badly_ended = "UPDATE instances SET deleted = 10 WHERE id = 10; \
                       UPDATE fixed_ips SET allocated = 1 WHERE id = 7;";
    let remains = sqlite_records(&format!("{queens}{badly_ended}")).remains;
    let floating: Vec<_> = remains.floating.iter().map(|tied| (tied.id, tied.fixed_id)).collect();
    assert_eq!(floating, [(1, 2)]);
    assert_eq!(remains.floating[0].name.as_deref(), Some("web1"));
    assert_eq!(remains.floating[0].floating.host.as_deref(), Some("compute1"));
    // 9 was given back and ends by itself, 12 is invisible to nova.
    let fixed: Vec<_> = remains.fixed.iter().map(|leaked| (leaked.id, leaked.network)).collect();
    assert_eq!(fixed, [(2, Some(0)), (5, Some(0)), (7, Some(0)), (8, Some(0))]);

    let as_it_is = sqlite_records(queens).remains;
    assert_eq!(as_it_is.floating, []);
    assert_eq!(as_it_is.fixed.iter().map(|leaked| leaked.id).collect::<Vec<_>>(), [8], "leased by nobody");
}

#[test]
fn havana_has_no_share_address() {
    let records = sqlite_records(include_str!("fixtures/havana.sql"));
    let network = &records.networks[0];
    assert!(network.multi_host && !network.share_address);
    assert_eq!((network.dhcp_server, network.gateway), (None, Some([10, 0, 0, 1].into())));
    assert_eq!(records.instances[0].floating().count(), 1);
}

#[test]
fn essex_points_at_instances_by_number() {
    let records = sqlite_records(include_str!("fixtures/essex.sql"));
    let [web1] = records.instances.as_slice() else { panic!("{:?}", records.instances) };
    assert_eq!(web1.fixed().collect::<Vec<_>>(), [std::net::Ipv4Addr::new(10, 0, 0, 2)]);
    assert_eq!(web1.vifs[0].mac, Some("fa:16:3e:00:00:01".parse().unwrap()));
    assert_eq!(web1.security_groups[0].rules.len(), 1);
    assert_eq!(records.networks[0].free, Some((1, 3)));
}

#[test]
fn a_slash_16_is_counted_and_not_carried_over() {
    let rows = "WITH RECURSIVE n(i) AS (SELECT 100 UNION ALL SELECT i + 1 FROM n WHERE i < 65599) \
                INSERT INTO fixed_ips \
                SELECT i, '10.1.' || (i / 256 + 1) || '.' || (i % 256), 2, NULL, 0, 0, 0, \
                NULL, NULL, 0 FROM n;";
    let records = sqlite_records(&format!("{}\n{rows}", include_str!("fixtures/queens.sql")));
    assert_eq!(records.networks[1].free, Some((65_500, 65_501)));
    assert!(records.networks[1].host_addresses.is_empty());
    assert_eq!(records.instances.iter().flat_map(model::intent::Instance::fixed).count(), 4);
}

#[test]
fn a_missing_file_is_an_error_and_stays_missing() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    let error = read_sqlite(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::File { .. }), "{error:?}");
    assert!(error.to_string().contains("No such file"), "{error}");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 0);
    let error = read_sqlite(dir.path()).unwrap_err();
    assert!(error.to_string().contains("not a file"), "{error}");
}

#[test]
fn reading_leaves_the_file_and_its_directory_as_they_were() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("nova.db");
    make_sqlite(&path, include_str!("fixtures/queens.sql"));
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o400)).unwrap();
    read_sqlite(&path).unwrap();
    assert!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()) == before);
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn what_is_not_novas_is_said_so() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("other.db");
    make_sqlite(&path, "CREATE TABLE instances (id int, deleted int); CREATE TABLE networks (id int);");
    let error = read_sqlite(&path).unwrap_err();
    let DatabaseError::NotNova { missing, .. } = &error else { panic!("{error:?}") };
    assert_eq!(missing, &["fixed_ips", "floating_ips", "virtual_interfaces"]);
    assert!(
        error.to_string().contains("not a nova database: it has no table fixed_ips, floating_ips"),
        "{error}"
    );

    fs::write(&path, "[[host]] name = 'this is the site file, not a database at all'".repeat(40)).unwrap();
    let error = read_sqlite(&path).unwrap_err();
    assert!(matches!(error, DatabaseError::File { .. }), "{error:?}");
}

#[test]
fn security_groups_without_their_tables_are_unknown() {
    let queens = include_str!("fixtures/queens.sql");
    let records = sqlite_records(&format!("{queens} DROP TABLE security_group_rules;"));
    assert_eq!(records.missing_tables, ["security_group_rules"]);
    assert!(records.instances.iter().all(|instance| instance.security_groups.is_empty()));
}
