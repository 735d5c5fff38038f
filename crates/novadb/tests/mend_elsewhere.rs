//! Changes taken back after the world has gone on: what the old values lean on may be somebody else's by now. And in
//! which words a floating IP is released that hangs on what is not there.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/planted.rs"]
mod planted;

use std::net::Ipv4Addr;
use std::path::Path;

use cloud::{Ask, Change, Clock, DatabaseUrl, MendError};
use dumped::dump;
use planted::{PATIENCE, lax_schema, run, sqlite};
use tempfile::TempDir;

/// web1 lives on 10.0.0.2, gone1 is deleted and was on 10.0.0.3, with 203.0.113.9.
const CLOUD: &str = "\
    INSERT INTO networks (id, label, cidr, bridge, deleted) VALUES (1, 'flat', '10.0.0.0/24', 'br100', 0); \
    INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
     (1, 'u1', 'web1', 'compute1', 'p1', 'active', 0), (2, 'u2', 'gone1', 'compute1', 'p1', 'deleted', 2), \
     (3, 'u3', 'unseen1', 'compute1', 'p1', 'active', NULL); \
    INSERT INTO virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted) VALUES \
     (1, 'fa:16:3e:00:00:01', 1, 'v1', 'u1', 0), (2, 'fa:16:3e:00:00:02', 1, 'v2', 'u2', 0); \
    INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, instance_uuid, \
     deleted) VALUES \
     (2, '10.0.0.2', 1, TRUE, TRUE, FALSE, 1, 'u1', 0), (3, '10.0.0.3', 1, TRUE, FALSE, FALSE, 2, 'u2', 0), \
     (4, '10.0.0.4', 1, TRUE, TRUE, FALSE, 1, 'u1', 4), (5, '10.0.0.5', 1, FALSE, FALSE, FALSE, NULL, NULL, 0), \
     (6, '10.0.0.6', 1, TRUE, TRUE, FALSE, NULL, 'nobody', 0), (7, '10.0.0.7', 1, TRUE, TRUE, FALSE, NULL, 'u3', 0), \
     (8, '10.0.0.8', 1, TRUE, FALSE, FALSE, 2, 'u2', 0); \
    INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, deleted) VALUES \
     (9, '203.0.113.9', 3, 'p1', 'compute1', FALSE, 0), (10, '203.0.113.10', NULL, 'p1', NULL, FALSE, 0);";

fn cloud() -> (TempDir, DatabaseUrl, TempDir) {
    let (dir, url) = sqlite(&format!("{}\n{CLOUD}", lax_schema()));
    (dir, url, TempDir::with_prefix("ht-mend-").unwrap())
}

fn clock() -> Clock {
    Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() }
}

fn release(last: u8) -> Ask {
    Ask::Release { address: Ipv4Addr::new(203, 0, 113, last), from_pool: false }
}

fn repair(code: &str, row: u64) -> Ask {
    Ask::Repair { code: code.to_owned(), row }
}

fn plan(url: &DatabaseUrl, ask: &Ask) -> Result<Change, MendError> {
    cloud::plan(url, PATIENCE, ask, &clock())
}

fn apply(url: &DatabaseUrl, ask: &Ask, folder: &Path) -> String {
    let change = plan(url, ask).unwrap();
    cloud::apply(url, PATIENCE, ask, &clock(), &change, folder).unwrap().id
}

/// Undo is refused, changes nothing, and says these pieces; once the world is back it goes through.
fn refused_while(ask: &Ask, others: &str, back: &str, pieces: &[&str]) {
    let (_dir, url, folder) = cloud();
    let before = dump(&url);
    let id = apply(&url, ask, folder.path());
    run(&url, others);
    let moved = dump(&url);
    let refused = cloud::undo(&url, PATIENCE, folder.path(), &id).unwrap_err();
    assert!(matches!(refused, MendError::GivenElsewhere { .. }), "{refused:?}");
    for piece in pieces {
        assert!(refused.to_string().contains(piece), "{piece:?} is missing: {refused}");
    }
    assert_eq!(dump(&url), moved, "{refused}");
    run(&url, back);
    cloud::undo(&url, PATIENCE, folder.path(), &id).unwrap();
    assert_eq!(dump(&url), before);
}

#[test]
fn the_old_fixed_ip_is_another_instances() {
    refused_while(
        &release(9),
        "UPDATE fixed_ips SET instance_uuid = 'u1', virtual_interface_id = 1 WHERE id = 3",
        "UPDATE fixed_ips SET instance_uuid = 'u2', virtual_interface_id = 2 WHERE id = 3",
        &[
            "row 3 of fixed_ips: was 10.0.0.3, whose instance (gone1) is deleted",
            "10.0.0.3 of web1, which lives now",
        ],
    );
}

#[test]
fn the_old_fixed_ip_has_another_floating_ip() {
    refused_while(
        &release(9),
        "UPDATE floating_ips SET fixed_ip_id = 3, host = 'compute1' WHERE id = 10",
        "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = 10",
        &["who else has fixed_ip_id 3 in floating_ips: was nobody, and is row 10 now"],
    );
}

#[test]
fn the_old_fixed_ip_is_gone() {
    refused_while(
        &release(9),
        "UPDATE fixed_ips SET id = 99 WHERE id = 3",
        "UPDATE fixed_ips SET id = 3 WHERE id = 99",
        &["and is gone now"],
    );
}

#[test]
fn the_old_instance_is_purged() {
    refused_while(
        &repair("fixed-ip-leaked", 8),
        "UPDATE instances SET uuid = 'away' WHERE id = 2",
        "UPDATE instances SET uuid = 'u2' WHERE id = 2",
        &["uuid u2 of instances: was deleted, and is gone now"],
    );
}

#[test]
fn the_mac_of_a_nic_that_comes_back_is_anothers() {
    refused_while(
        &repair("vif-orphan", 2),
        "UPDATE virtual_interfaces SET address = 'fa:16:3e:00:00:02' WHERE id = 1",
        "UPDATE virtual_interfaces SET address = 'fa:16:3e:00:00:01' WHERE id = 1",
        &["who else has address fa:16:3e:00:00:02 in virtual_interfaces: was nobody, and is row 1 now"],
    );
}

/// What happens elsewhere holds nobody up.
#[test]
fn what_does_not_touch_the_row_is_no_reason() {
    let (_dir, url, folder) = cloud();
    run(&url, "UPDATE floating_ips SET fixed_ip_id = 3 WHERE id = 10");
    let before = dump(&url);
    let id = apply(&url, &release(9), folder.path());
    // The other one lets go of the fixed IP, and the instance that lives moves.
    run(&url, "UPDATE floating_ips SET fixed_ip_id = NULL WHERE id = 10");
    run(&url, "UPDATE instances SET host = 'compute2' WHERE id = 1");
    cloud::undo(&url, PATIENCE, folder.path(), &id).unwrap();
    run(&url, "UPDATE floating_ips SET fixed_ip_id = 3 WHERE id = 10");
    run(&url, "UPDATE instances SET host = 'compute1' WHERE id = 1");
    assert_eq!(dump(&url), before);
}

#[test]
fn what_it_hangs_on_is_told_as_it_is() {
    let told = [
        ("fixed_ip_id = 3", "hangs on 10.0.0.3, whose instance (gone1) is deleted"),
        ("fixed_ip_id = 4", "hangs on 10.0.0.4, whose own row is deleted"),
        ("fixed_ip_id = 5", "hangs on 10.0.0.5, which is no instance's"),
        ("fixed_ip_id = 6", "hangs on 10.0.0.6, whose instance (nobody) is gone"),
        ("fixed_ip_id = 7", "hangs on 10.0.0.7, whose instance (unseen1) nova cannot see"),
        ("fixed_ip_id = 77", "hangs on row 77 of fixed_ips, which is gone"),
        ("fixed_ip_id = NULL", "hangs on nothing, and names compute1 as its host"),
    ];
    let (_dir, url, _folder) = cloud();
    for (set, words) in told {
        run(&url, &format!("UPDATE floating_ips SET {set} WHERE id = 9"));
        let summary = plan(&url, &release(9)).unwrap().summary;
        assert!(summary.contains(words), "{set}: {summary}");
    }
    run(&url, "UPDATE floating_ips SET fixed_ip_id = 2 WHERE id = 9");
    assert!(matches!(plan(&url, &release(9)), Err(MendError::Lives { .. })));
}

/// Whatever is said first can be done, until one row is left.
#[test]
fn of_two_rows_of_one_address_the_way_out_is_told() {
    let (_dir, url, folder) = cloud();
    run(&url, "UPDATE floating_ips SET address = '203.0.113.9', fixed_ip_id = 2 WHERE id = 10");
    let follow = |code: &str, row: u64| {
        let told = plan(&url, &release(9)).unwrap_err().to_string();
        assert!(told.contains(&format!("`hopline db repair {code} {row}`")), "{told}");
        apply(&url, &repair(code, row), folder.path());
    };
    follow("float-tied-to-deleted-instance", 9);
    follow("floating-ip-twice", 9);
    assert!(matches!(plan(&url, &release(9)), Err(MendError::Lives { .. })));

    run(&url, "UPDATE floating_ips SET fixed_ip_id = 77, deleted = 0 WHERE id = 9");
    follow("float-fixed-ip-gone", 9);
    run(&url, "UPDATE floating_ips SET fixed_ip_id = 2 WHERE id = 9");
    let told = plan(&url, &release(9)).unwrap_err().to_string();
    assert!(told.contains("each hangs on an instance"), "{told}");
}

/// Essex marks with a flag.
#[test]
fn of_two_rows_of_one_address_essex_loses_the_one_that_hangs_on_nothing() {
    let (_dir, url) = sqlite(include_str!("../../cloud/tests/fixtures/essex.sql"));
    run(
        &url,
        "INSERT INTO floating_ips (id, address, fixed_ip_id, host, deleted) VALUES (2, '203.0.113.10', NULL, NULL, 0)",
    );
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let told = plan(&url, &release(10)).unwrap_err().to_string();
    assert!(told.contains("`hopline db repair floating-ip-twice 2`"), "{told}");
    apply(&url, &repair("floating-ip-twice", 2), folder.path());
    assert!(matches!(plan(&url, &release(10)), Err(MendError::Lives { .. })));
}
