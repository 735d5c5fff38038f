//! The folder of undo records, with whatever else is in it, and rows that cannot be read any more.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/mended.rs"]
mod mended;
#[path = "support/planted.rs"]
mod planted;

use std::path::Path;

use cloud::{Ask, DatabaseUrl, Listing, MendError, Now, RecordError};
use databases::postgresql;
use mended::{LEFT_BEHIND, RELEASE, apply};
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use planted::{PATIENCE, lax_schema, run, sqlite};
use tempfile::TempDir;

const ORPHAN: &str = "INSERT INTO virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted) VALUES \
                      (904, 'fa:16:3e:00:09:04', 1, 'v904', 'u902', 0);";

fn listed(url: &DatabaseUrl, folder: &Path) -> Listing {
    cloud::listed(Some(url), PATIENCE, folder).unwrap()
}

/// The floating IP is released, and a NIC that belongs to nobody deleted: the names of their records.
fn two_changes(url: &DatabaseUrl, folder: &Path) -> [String; 2] {
    run(url, &format!("{}\n{LEFT_BEHIND}\n{ORPHAN}", lax_schema()));
    let orphan = Ask::Repair { code: "vif-orphan".to_owned(), row: 904 };
    [&RELEASE, &orphan].map(|ask| apply(url, ask, folder).unwrap())
}

/// Of the first change's row it is said that it cannot be read, and of the other what it has.
fn one_hides_no_other(url: &DatabaseUrl, folder: &Path, [unread, read]: [String; 2]) {
    let listing = listed(url, folder);
    let [(id, why)] = listing.unread.as_slice() else { panic!("{listing:?}") };
    assert_eq!(id, &unread, "{why}");
    let now = |id: &str| listing.changes.iter().find(|change| change.id == id).unwrap().now;
    assert_eq!((now(&unread), now(&read)), (None, Some(Now::After)), "{listing:?}");
    assert!(listing.unseen.is_none() && listing.unreadable.is_empty(), "{listing:?}");
}

#[test]
fn a_pipe_is_no_record_and_holds_nobody_up() {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let (_dir, url) = sqlite("SELECT 1");
    let ids = two_changes(&url, folder.path());
    let pipe = folder.path().join("1-1.jsonl");
    mkfifo(&pipe, Mode::from_bits_truncate(0o600)).unwrap();
    let refused = cloud::undo(&url, PATIENCE, folder.path(), "1-1").unwrap_err();
    assert!(matches!(refused, MendError::Record(RecordError::Read { .. })), "{refused}");
    assert!(refused.to_string().contains("it is no file"), "{refused}");
    let listing = listed(&url, folder.path());
    let listed_ids: Vec<&String> = listing.changes.iter().map(|change| &change.id).collect();
    assert_eq!(listed_ids, ids.iter().rev().collect::<Vec<_>>());
    let [why] = listing.unreadable.as_slice() else { panic!("{listing:?}") };
    assert!(why.to_string().contains("1-1.jsonl: it is no file"), "{why}");
}

#[test]
fn a_row_that_is_no_text_hides_no_other() {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let (_dir, url) = sqlite("SELECT 1");
    let ids = two_changes(&url, folder.path());
    run(&url, "UPDATE floating_ips SET pool = CAST(X'FF' AS TEXT) WHERE id = 909");
    one_hides_no_other(&url, folder.path(), ids);
}

/// After an error PostgreSQL refuses whatever else is asked in the transaction.
#[test]
fn a_row_that_postgresql_cannot_show_hides_no_other() {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let (_server, url) = postgresql();
    let [first, second] = two_changes(&url, folder.path());
    // The newest is looked at first: that must be the one that fails.
    run(
        &url,
        "ALTER TABLE virtual_interfaces RENAME TO own; CREATE VIEW virtual_interfaces AS SELECT created_at, \
         updated_at, deleted_at, id, CASE WHEN id = 904 THEN CAST(1 / (id - 904) AS VARCHAR) ELSE address END AS \
         address, network_id, uuid, instance_uuid, tag, deleted FROM own",
    );
    one_hides_no_other(&url, folder.path(), [second, first]);
}
