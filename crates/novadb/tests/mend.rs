//! Rows put right and restored, on SQLite, MariaDB and PostgreSQL alike: what is restored is what was there, to the
//! byte, and nobody else's change is lost.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/mended.rs"]
mod mended;
#[path = "support/planted.rs"]
mod planted;

use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Instant;

use cloud::{Ask, DatabaseUrl, MendError};
use databases::{mariadb, mariadb_with, postgresql};
use dumped::{dump, rows};
use mended::{apply, clock, each_repair_goes_there_and_back, plan};
use planted::{PATIENCE, everything, lax_schema, run, sqlite};
use tempfile::TempDir;

/// Interleavings on each server, and how many the whole proof takes.
const ROUNDS: &str = "HOPLINE_MEND_ROUNDS";
const ROUNDS_DEFAULT: u32 = 40;

fn release(address: [u8; 4], from_pool: bool) -> Ask {
    Ask::Release { address: Ipv4Addr::from(address), from_pool }
}

/// A floating IP of a deleted instance, which its project keeps or not.
fn release_goes_there_and_back(url: &DatabaseUrl, folder: &Path) {
    run(
        url,
        "INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
         (900, 'u900', 'it''s \"gone\"', 'compute1', 'p1', 'deleted', 900); \
         INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, instance_uuid, updated_at, \
         deleted) VALUES (900, '10.0.0.90', 1, TRUE, FALSE, FALSE, 'u900', '2026-11-01 00:00:00', 0); \
         INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, updated_at, deleted) \
         VALUES (900, '203.0.113.190', 900, '12345', 'comp''ute\"1', TRUE, '2026-11-01 01:02:03', 0)",
    );
    let before = dump(url);
    for from_pool in [false, true] {
        let ask = release([203, 0, 113, 190], from_pool);
        let change = plan(url, &ask).unwrap();
        assert!(change.summary.contains("it's \"gone\""), "{}", change.summary);
        assert_eq!(dump(url), before, "a plan changes nothing");
        let id = apply(url, &ask, folder).unwrap();
        let record = folder.join(format!("{id}.jsonl"));
        assert_eq!(std::fs::metadata(&record).unwrap().permissions().mode() & 0o7777, 0o600);
        let row = "SELECT CAST(COUNT(*) AS CHAR(9)) FROM floating_ips WHERE id = 900 AND fixed_ip_id IS NULL \
                   AND host IS NULL AND project_id";
        let kept = if from_pool { " IS NULL AND NOT auto_assigned" } else { " = '12345' AND auto_assigned" };
        assert_eq!(rows(url, &format!("{row}{kept}"))[0].trim(), "1", "{url}");
        let free = plan(url, &ask).unwrap_err();
        assert!(matches!(free, MendError::Free { .. }), "{free}");
        cloud::undo(url, PATIENCE, folder, &id).unwrap();
        assert_eq!(dump(url), before, "{url}");
    }
    // What others wrote since stays.
    let id = apply(url, &release([203, 0, 113, 190], false), folder).unwrap();
    run(url, "UPDATE floating_ips SET pool = 'other' WHERE id = 900");
    let moved = dump(url);
    let refused = cloud::undo(url, PATIENCE, folder, &id).unwrap_err();
    assert!(refused.to_string().contains("(pool: was NULL, and is other now)"), "{refused}");
    assert_eq!(dump(url), moved);
    // One that is in use is nova's.
    let refused = plan(url, &release([203, 0, 113, 1], false)).unwrap_err();
    assert!(matches!(&refused, MendError::Lives { instance, .. } if instance == "web1"), "{refused}");
    let unknown = plan(url, &release([192, 0, 2, 1], false)).unwrap_err();
    assert!(matches!(unknown, MendError::NoFloating { .. }), "{unknown}");
}

/// A plan that is older than somebody's change is not carried out.
fn an_old_plan_is_refused(url: &DatabaseUrl, folder: &Path) {
    run(
        url,
        "UPDATE floating_ips SET fixed_ip_id = 900, host = 'compute1', project_id = 'p1' WHERE id = 900",
    );
    let ask = release([203, 0, 113, 190], false);
    let planned = plan(url, &ask).unwrap();
    let stale = |sql: &str| {
        run(url, sql);
        let before = dump(url);
        let refused = cloud::apply(url, PATIENCE, &ask, &clock(), &planned, folder).unwrap_err();
        assert_eq!(dump(url), before, "{refused}");
        refused
    };
    let moved = stale("UPDATE floating_ips SET host = 'compute2' WHERE id = 900");
    assert!(matches!(moved, MendError::Moved { .. }), "{moved}");
    run(url, "UPDATE floating_ips SET host = 'compute1' WHERE id = 900");
    let lives = stale("UPDATE instances SET deleted = 0 WHERE id = 900");
    assert!(matches!(lives, MendError::Lives { .. }), "{lives}");
}

/// Wherever an operator put a host's own address, it is no finding, and no repair takes it away.
fn a_hosts_own_address_is_left(url: &DatabaseUrl) {
    let before = dump(url);
    let ask = Ask::Repair { code: "fixed-ip-outside-network".to_owned(), row: 18 };
    let refused = plan(url, &ask).unwrap_err();
    assert!(matches!(refused, MendError::NotFound { .. }), "{refused}");
    assert_eq!(dump(url), before);
}

/// A trigger writes more than is told, and would each time.
#[test]
fn what_would_become_another_row_by_a_trigger_is_not_changed() {
    let (folder, url) = sqlite(&lax_schema());
    run(
        &url,
        "INSERT INTO floating_ips (id, address, project_id, host, auto_assigned, deleted) \
         VALUES (1, '203.0.113.9', 'p1', 'compute1', FALSE, 0); \
         CREATE TRIGGER t AFTER UPDATE ON floating_ips BEGIN \
         UPDATE floating_ips SET pool = 'spoilt' WHERE id = NEW.id AND pool IS NULL; END",
    );
    let before = dump(&url);
    let ask = Ask::Repair { code: "float-host-without-fixed-ip".to_owned(), row: 1 };
    let refused = apply(&url, &ask, folder.path()).unwrap_err();
    assert!(matches!(&refused, MendError::NotAsTold { columns, .. } if columns == "pool"), "{refused}");
    assert_eq!(dump(&url), before);
}

/// nova ties the address to a living instance again and again, and finds it so until it unties it itself; what we
/// release is what nova had left behind.
fn nobodys_change_is_lost(url: &DatabaseUrl, folder: &Path, rounds: u32) {
    let asked = release([203, 0, 113, 190], false);
    let leaves =
        "UPDATE floating_ips SET fixed_ip_id = 900, host = 'gone' WHERE id = 900 AND fixed_ip_id IS NULL";
    let tied = "SELECT COALESCE(CAST(fixed_ip_id AS CHAR(9)), '-') FROM floating_ips WHERE id = 900";
    run(
        url,
        "UPDATE instances SET deleted = 900 WHERE id = 900; UPDATE floating_ips SET fixed_ip_id = 900 WHERE id = 900",
    );
    let applied = std::thread::scope(|scope| {
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let mender = scope.spawn(move || {
            let mut applied = 0_u32;
            while stopped.try_recv() == Err(std::sync::mpsc::TryRecvError::Empty) {
                match apply(url, &asked, folder) {
                    Ok(_) => applied += 1,
                    Err(MendError::Moved { .. } | MendError::Lives { .. } | MendError::Free { .. }) => {}
                    // A deadlock or a wait that was too long: nothing was changed, says the server.
                    Err(MendError::Database(cloud::DatabaseError::Held { .. })) => {}
                    Err(error) => panic!("{error}"),
                }
            }
            applied
        });
        let mut released = 0;
        for round in 0..rounds {
            // At every tenth, whatever the threads do, ours comes first.
            let deadline = Instant::now() + PATIENCE;
            while round % 10 == 0 && rows(url, tied)[0].trim() != "-" {
                assert!(Instant::now() < deadline, "nothing is released in {url}");
                std::thread::yield_now();
            }
            // nova takes it from whatever it hangs on, or finds it free, and gives it to web1.
            released += u32::from(rows(url, tied)[0].trim() == "-");
            run(url, "UPDATE floating_ips SET fixed_ip_id = 2, host = 'compute1' WHERE id = 900");
            assert_eq!(rows(url, tied)[0].trim(), "2", "round {round} in {url}: nova's change is lost");
            run(url, "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = 900");
            run(url, leaves);
        }
        drop(stop);
        (mender.join().unwrap(), released)
    });
    assert!(applied.0 >= applied.1, "{applied:?}: what nova found free, we had released");
    assert!(applied.1 >= rounds.div_ceil(10), "{applied:?}");
}

/// nova's columns for addresses are PostgreSQL's `inet`, which gives them back with their length; a migration from
/// another server makes others of those for uuids and times.
fn with_types_of_its_own(sql: &str) -> String {
    let types = [
        ("VARCHAR(39)", "INET"),
        ("VARCHAR(43)", "INET"),
        ("VARCHAR(36)", "CHAR(36)"),
        ("DATETIME", "TIMESTAMP(6) WITH TIME ZONE"),
        // Such a column has no such value.
        ("'nonsense'", "'192.0.2.77'"),
    ];
    types.into_iter().fold(sql.to_owned(), |sql, (ours, its)| sql.replace(ours, its))
}

fn all_of_it(url: &DatabaseUrl) {
    all_of(url, &everything());
}

fn all_of(url: &DatabaseUrl, everything: &str) {
    let rounds = std::env::var(ROUNDS).ok().map_or(ROUNDS_DEFAULT, |text| text.parse().unwrap());
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let records = folder.path().join("state/undo");
    run(url, everything);
    a_hosts_own_address_is_left(url);
    each_repair_goes_there_and_back(url, &records);
    release_goes_there_and_back(url, &records);
    an_old_plan_is_refused(url, &records);
    nobodys_change_is_lost(url, &records, rounds);
}

/// Where nothing can be written, that is said, and where it can.
fn what_only_reads_is_told(url: &DatabaseUrl, folder: &Path) {
    let refused = apply(url, &release([203, 0, 113, 191], false), folder).unwrap_err();
    assert!(
        matches!(&refused, MendError::Database(cloud::DatabaseError::ReadOnly { .. })),
        "{url}: {refused}, {refused:?}"
    );
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
}

const STUCK: &str = "INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, deleted) \
                     VALUES (901, '203.0.113.191', NULL, 'p1', 'compute1', 0)";

#[test]
fn in_a_file() {
    let (_dir, url) = sqlite("SELECT 1");
    all_of_it(&url);
}

#[test]
fn on_mariadb() {
    let (server, url) = mariadb();
    all_of_it(&url);
    run(&url, STUCK);
    // What is changed without a transaction could not be taken back.
    run(&url, "ALTER TABLE floating_ips ENGINE=MyISAM");
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let before = dump(&url);
    let refused = apply(&url, &release([203, 0, 113, 191], false), folder.path()).unwrap_err();
    assert!(matches!(&refused, MendError::NoTransactions { .. }), "{refused}");
    assert_eq!(dump(&url), before);
    run(&url, "ALTER TABLE floating_ips ENGINE=InnoDB");
    // A replica is read-only to all but its administrators.
    run(&url, "CREATE USER nova@localhost IDENTIFIED BY 'pw'; GRANT ALL ON nova.* TO nova@localhost");
    run(&url, "SET GLOBAL read_only = ON");
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let url = format!("mysql://nova:pw@127.0.0.1:{}/nova", server.port);
    what_only_reads_is_told(&DatabaseUrl::parse(&url).unwrap(), folder.path());
}

/// Where the replication log has statements alone, `InnoDB` changes nothing under READ COMMITTED.
#[test]
fn on_mariadb_that_logs_statements() {
    let logs_statements = ["--log-bin=binlog", "--server-id=1", "--binlog-format=STATEMENT"];
    let (_server, url) = mariadb_with(&logs_statements);
    all_of_it(&url);
}

#[test]
fn on_postgresql_with_its_own_types() {
    let (_server, url) = postgresql();
    all_of(&url, &with_types_of_its_own(&everything()));
}

#[test]
fn on_postgresql() {
    let (_server, url) = postgresql();
    all_of_it(&url);
    // As a standby: every session begins read-only.
    run(&url, STUCK);
    run(&url, "ALTER ROLE postgres SET default_transaction_read_only = on");
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    what_only_reads_is_told(&url, folder.path());
}

#[test]
fn essex_has_fewer_columns() {
    let (_dir, url) = sqlite(include_str!("../../cloud/tests/fixtures/essex.sql"));
    run(&url, "UPDATE instances SET deleted = 1 WHERE id = 1");
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let before = dump(&url);
    let id = apply(&url, &release([203, 0, 113, 10], true), folder.path()).unwrap();
    assert!(dump(&url).contains("text'203.0.113.10' nullNULL nullNULL"), "{}", dump(&url));
    cloud::undo(&url, PATIENCE, folder.path(), &id).unwrap();
    assert_eq!(dump(&url), before);
}
