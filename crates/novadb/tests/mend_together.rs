//! Several that change the same rows at once, on MariaDB and PostgreSQL: two of us never stand in each other's way, and
//! never both take the last one; where nova locks in another order, the server's choice is told, and nova's is kept.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/planted.rs"]
mod planted;
#[path = "support/writer.rs"]
mod writer;

use std::net::Ipv4Addr;
use std::path::Path;
use std::sync::Barrier;
use std::time::Instant;

use cloud::{Ask, Change, Clock, DatabaseError, DatabaseUrl, MendError};
use databases::{mariadb_with, postgresql};
use dumped::{dump, rows};
use planted::{PATIENCE, lax_schema, run};
use tempfile::TempDir;
use writer::Writer;

/// How often two of us meet on each server.
const ROUNDS: &str = "HOPLINE_MEND_ROUNDS";
const ROUNDS_DEFAULT: u32 = 25;

/// Two fixed IPs of web1, each with two floating ones, of which one of each share their address: whoever changes one of
/// these holds two rows that the other holds, too.
const PLANTED: &str = "\
    INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
     (1, 'u1', 'web1', 'compute1', 'p1', 'active', 0), (2, 'u2', 'gone1', 'compute1', 'p1', 'deleted', 2); \
    INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, instance_uuid, deleted) VALUES \
     (1, '10.0.0.1', 1, TRUE, TRUE, FALSE, 'u1', 0), (2, '10.0.0.2', 1, TRUE, TRUE, FALSE, 'u1', 0), \
     (3, '10.0.0.3', 1, TRUE, FALSE, FALSE, 'u2', 0); \
    INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, deleted) VALUES \
     (150, '203.0.113.150', 1, 'p1', 'compute1', FALSE, 0), (151, '203.0.113.150', 2, 'p1', 'compute1', FALSE, 0), \
     (152, '203.0.113.152', 1, 'p1', 'compute1', FALSE, 0), (153, '203.0.113.153', 2, 'p1', 'compute1', FALSE, 0), \
     (9, '203.0.113.9', 3, 'p1', 'compute1', FALSE, 0);";
const AGAIN: &str = "UPDATE floating_ips SET fixed_ip_id = 1, host = 'compute1' WHERE id IN (150, 152); \
                     UPDATE floating_ips SET fixed_ip_id = 2, host = 'compute1' WHERE id IN (151, 153)";
/// How many hang on the first fixed IP.
const LEFT: &str = "SELECT CAST(COUNT(*) AS CHAR(9)) FROM floating_ips WHERE fixed_ip_id = 1";

fn apply(url: &DatabaseUrl, ask: &Ask, change: &Change, folder: &Path) -> Result<String, MendError> {
    cloud::apply(url, PATIENCE, ask, &Clock::default(), change, folder).map(|applied| applied.id)
}

/// Both are planned, and then applied at the same moment.
fn at_once(url: &DatabaseUrl, folder: &Path, ids: [u64; 2]) -> [Result<String, MendError>; 2] {
    let asks = ids.map(|row| Ask::Repair { code: "float-twice-to-one".to_owned(), row });
    let plans = asks.map(|ask| (cloud::plan(url, PATIENCE, &ask, &Clock::default()).unwrap(), ask));
    let barrier = Barrier::new(2);
    std::thread::scope(|scope| {
        let started = plans.each_ref().map(|(change, ask)| {
            let barrier = &barrier;
            scope.spawn(move || {
                barrier.wait();
                apply(url, ask, change, folder)
            })
        });
        started.map(|thread| thread.join().unwrap())
    })
}

fn two_of_us(url: &DatabaseUrl) {
    let rounds = std::env::var(ROUNDS).ok().map_or(ROUNDS_DEFAULT, |text| text.parse().unwrap());
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    for round in 0..rounds {
        // Each holds a row that the other wants, and neither changes what the other looks at.
        for applied in at_once(url, folder.path(), [150, 151]) {
            applied.unwrap_or_else(|error| panic!("round {round} in {url}: {error}"));
        }
        run(url, AGAIN);
        // Both want to untie one of the same two.
        let applied = at_once(url, folder.path(), [152, 150]);
        assert_eq!(rows(url, LEFT)[0].trim(), "1", "round {round} in {url}: {applied:?}");
        for error in applied.into_iter().filter_map(Result::err) {
            assert!(matches!(error, MendError::NotFound { .. } | MendError::Moved { .. }), "{error}");
        }
        run(url, AGAIN);
    }
}

/// nova holds the instance and wants the floating IP, which we hold while we want the instance. `waiting` counts those
/// who wait; `heavy` makes the server choose us as the one that gives way.
fn nova_comes_from_the_other_end(url: &DatabaseUrl, waiting: &str, heavy: &str) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let ask = Ask::Release { address: Ipv4Addr::new(203, 0, 113, 9), from_pool: false };
    let change = cloud::plan(url, PATIENCE, &ask, &Clock::default()).unwrap();
    let mut nova = Writer::connect(url);
    nova.run("BEGIN");
    nova.run(heavy);
    nova.run("UPDATE instances SET host = 'compute9' WHERE id = 2");
    let refused = std::thread::scope(|scope| {
        let ours = scope.spawn(|| apply(url, &ask, &change, folder.path()));
        let deadline = Instant::now() + PATIENCE;
        while rows(url, waiting)[0].trim() != "1" {
            assert!(Instant::now() < deadline, "nobody waits in {url}");
        }
        nova.run("UPDATE floating_ips SET host = 'compute9' WHERE id = 9");
        nova.run("COMMIT");
        ours.join().unwrap().unwrap_err()
    });
    assert!(matches!(&refused, MendError::Database(DatabaseError::Held { .. })), "{refused:?}");
    assert!(refused.to_string().contains("nothing was changed, try again"), "{refused}");
    let row = "SELECT CAST(COUNT(*) AS CHAR(9)) FROM floating_ips \
               WHERE id = 9 AND fixed_ip_id = 3 AND host = 'compute9'";
    assert_eq!(rows(url, row)[0].trim(), "1", "{}", dump(url));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "nothing is on record");
    // Trying again is what helps.
    let change = cloud::plan(url, PATIENCE, &ask, &Clock::default()).unwrap();
    apply(url, &ask, &change, folder.path()).unwrap();
}

const MARIADB_WAITS: &str = "SELECT CAST(variable_value AS CHAR) FROM information_schema.global_status \
                             WHERE variable_name = 'Innodb_row_lock_current_waits'";
/// `InnoDB` rolls back who has changed less.
const MARIADB_HEAVY: &str = "INSERT INTO services (host, report_count) SELECT uuid, 1 FROM instances; \
    INSERT INTO services (host, report_count) SELECT a.host, 1 FROM services a, services b, services c, services d";

fn all_on_mariadb(more: &[&str]) {
    let (_server, url) = mariadb_with(more);
    // Rows of services are numbered by the server here.
    let schema = lax_schema().replace("PRIMARY KEY", "PRIMARY KEY AUTO_INCREMENT");
    run(&url, &format!("{schema}\n{PLANTED}"));
    two_of_us(&url);
    nova_comes_from_the_other_end(&url, MARIADB_WAITS, MARIADB_HEAVY);
}

#[test]
fn on_mariadb() {
    all_on_mariadb(&[]);
}

#[test]
fn on_mariadb_that_logs_statements() {
    all_on_mariadb(&["--log-bin=binlog", "--server-id=1", "--binlog-format=STATEMENT"]);
}

#[test]
fn on_postgresql() {
    let (_server, url) = postgresql();
    run(&url, &format!("{}\n{PLANTED}", lax_schema()));
    two_of_us(&url);
    let waits = "SELECT CAST(COUNT(*) AS CHAR(9)) FROM pg_stat_activity \
                 WHERE wait_event_type = 'Lock' AND application_name = 'hopline' AND query LIKE '%FOR UPDATE'";
    // Whoever has waited for so long looks for the knot, and gives way.
    nova_comes_from_the_other_end(&url, waits, "SET LOCAL deadlock_timeout = '100s'");
}
