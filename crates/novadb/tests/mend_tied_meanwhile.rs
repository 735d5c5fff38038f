//! nova ties a floating IP to a fixed IP at the very moment in which we free that one. nova looks, and writes, and
//! locks nothing: so we must see its tie and refuse, or be done before it can be there.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/planted.rs"]
mod planted;
#[path = "support/writer.rs"]
mod writer;

use std::path::Path;
use std::time::{Duration, Instant};

use cloud::{Ask, Change, Clock, DatabaseError, DatabaseUrl, MendError};
use databases::{Server, mariadb, mariadb_with, postgresql};
use dumped::{dump, rows};
use planted::{PATIENCE, lax_schema, run};
use tempfile::TempDir;
use writer::Writer;

/// 10.0.0.100 is a deleted instance's, 203.0.113.100 hangs on nothing, and 203.0.113.101 on a fixed IP that nobody has.
const PLANTED: &str = "\
    INSERT INTO networks (id, label, cidr, multi_host, deleted) VALUES (1, 'flat', '10.0.0.0/24', TRUE, 0); \
    INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
     (2, 'u2', 'gone1', 'compute1', 'p1', 'deleted', 2); \
    INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, instance_uuid, deleted) VALUES \
     (100, '10.0.0.100', 1, TRUE, FALSE, FALSE, 'u2', 0), (101, '10.0.0.101', 1, FALSE, FALSE, FALSE, NULL, 0); \
    INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, deleted) VALUES \
     (200, '203.0.113.100', NULL, 'p1', NULL, FALSE, 0), (201, '203.0.113.101', 101, 'p1', 'compute1', FALSE, 0);";
/// What nova writes (nova/db/sqlalchemy/api.py `floating_ip_fixed_ip_associate`).
const TIES: &str =
    "UPDATE floating_ips SET fixed_ip_id = 100, host = 'compute1' WHERE id = 200 AND fixed_ip_id IS NULL";
const UNTIES: &str = "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = 200";
const OWNER: &str = "SELECT COALESCE(instance_uuid, 'nobody') FROM fixed_ips WHERE id = 100";

/// A server's own words.
struct Words {
    /// Makes whoever has changed a row of `fixed_ips` wait.
    trigger: &'static str,
    hold: &'static str,
    let_go: &'static str,
    /// Counts those who wait there.
    held: &'static str,
    /// Counts those who wait for what others have locked.
    waiting: &'static str,
}

const MARIADB: Words = Words {
    trigger: "CREATE TRIGGER held AFTER UPDATE ON fixed_ips FOR EACH ROW \
              SET @held = GET_LOCK('ht', 60) + RELEASE_LOCK('ht')",
    hold: "DO GET_LOCK('ht', 0)",
    let_go: "DO RELEASE_LOCK('ht')",
    held: "SELECT CAST(COUNT(*) AS CHAR(9)) FROM information_schema.processlist WHERE state = 'User lock'",
    waiting: "SELECT CAST(variable_value AS CHAR) FROM information_schema.global_status \
              WHERE variable_name = 'Innodb_row_lock_current_waits'",
};

const POSTGRESQL: Words = Words {
    trigger: "CREATE FUNCTION held() RETURNS trigger LANGUAGE plpgsql AS $$ \
              BEGIN PERFORM pg_advisory_xact_lock(7); RETURN NULL; END $$; \
              CREATE TRIGGER held AFTER UPDATE ON fixed_ips FOR EACH ROW EXECUTE FUNCTION held()",
    hold: "SELECT pg_advisory_lock(7)",
    let_go: "SELECT pg_advisory_unlock(7)",
    held: "SELECT CAST(COUNT(*) AS CHAR(9)) FROM pg_stat_activity WHERE wait_event = 'advisory'",
    waiting: "SELECT CAST(COUNT(*) AS CHAR(9)) FROM pg_stat_activity \
              WHERE wait_event_type = 'Lock' AND query LIKE 'UPDATE floating_ips%'",
};

fn repair() -> Ask {
    Ask::Repair { code: "fixed-ip-leaked".to_owned(), row: 100 }
}

fn planned(url: &DatabaseUrl) -> Change {
    cloud::plan(url, PATIENCE, &repair(), &Clock::default()).unwrap()
}

fn apply(url: &DatabaseUrl, patience: Duration, change: &Change, folder: &Path) -> Result<String, MendError> {
    let applied = cloud::apply(url, patience, &repair(), &Clock::default(), change, folder);
    applied.map(|applied| applied.id)
}

fn count(url: &DatabaseUrl, sql: &str) -> u32 {
    rows(url, sql)[0].trim().parse().unwrap()
}

/// Between our look and our commit nova ties a floating IP: it is let do so once we are done, and not before.
fn a_tie_comes_after(
    url: &DatabaseUrl,
    words: &Words,
    ours: impl FnOnce() -> Result<String, MendError> + Send,
) {
    let mut holder = Writer::connect(url);
    holder.run(words.hold);
    let (mended, seen) = std::thread::scope(|scope| {
        let ours = scope.spawn(ours);
        let deadline = Instant::now() + PATIENCE;
        while count(url, words.held) == 0 {
            assert!(Instant::now() < deadline && !ours.is_finished(), "nobody is held in {url}");
        }
        let nova = scope.spawn(|| {
            let mut nova = Writer::connect(url);
            nova.run("BEGIN");
            nova.run(TIES);
            let seen = nova.text(OWNER);
            nova.run("COMMIT");
            seen
        });
        while count(url, words.waiting) == 0 && !nova.is_finished() {
            assert!(Instant::now() < deadline, "nova neither waits nor is done in {url}");
        }
        holder.run(words.let_go);
        (ours.join().unwrap(), nova.join().unwrap())
    });
    mended.unwrap();
    assert_eq!(seen, rows(url, OWNER)[0], "in {url} nova's tie came between our look and our commit");
}

/// What nova has tied and not yet committed is waited for, not for long; then it is refused.
fn a_tie_that_is_there_is_seen(url: &DatabaseUrl, words: &Words, folder: &Path) {
    let change = planned(url);
    let mut nova = Writer::connect(url);
    nova.run("BEGIN");
    nova.run(TIES);
    let refused = apply(url, Duration::from_secs(2), &change, folder).unwrap_err();
    assert!(matches!(&refused, MendError::Database(DatabaseError::Held { .. })), "{url}: {refused:?}");
    assert!(refused.to_string().contains("nothing was changed, try again"), "{refused}");
    let refused = std::thread::scope(|scope| {
        let ours = scope.spawn(|| apply(url, PATIENCE, &change, folder));
        nova.run("COMMIT");
        ours.join().unwrap().unwrap_err()
    });
    let seen = matches!(refused, MendError::Moved { .. } | MendError::FloatingHangs { .. });
    assert!(seen, "{url}: {refused:?}");
    assert_eq!(rows(url, OWNER), ["u2"], "{refused}");
    let left = std::fs::read_dir(folder).map_or(0, Iterator::count);
    assert_eq!(left, 0, "nothing is on record");
    run(url, UNTIES);
    assert_eq!(count(url, words.waiting), 0);
}

fn all_of_it(url: &DatabaseUrl, words: &Words) {
    run(url, &format!("{}\n{PLANTED}", lax_schema()));
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    a_tie_that_is_there_is_seen(url, words, folder.path());
    run(url, words.trigger);
    let change = planned(url);
    a_tie_comes_after(url, words, || apply(url, PATIENCE, &change, folder.path()));
    assert_eq!(rows(url, OWNER), ["nobody"]);
    // As it was, to be given back while nova ties.
    run(url, UNTIES);
    let id = folder.path().read_dir().unwrap().next().unwrap().unwrap().path();
    let id = id.file_stem().unwrap().to_str().unwrap().to_owned();
    let undo = || cloud::undo(url, PATIENCE, folder.path(), &id).map(|_| id.clone());
    a_tie_comes_after(url, words, undo);
    assert_eq!(rows(url, OWNER), ["u2"], "{}", dump(url));
}

#[test]
fn on_mariadb() {
    let (_server, url) = mariadb();
    all_of_it(&url, &MARIADB);
}

#[test]
fn on_mariadb_that_logs_statements() {
    let (_server, url) = mariadb_with(&["--log-bin=binlog", "--server-id=1", "--binlog-format=STATEMENT"]);
    all_of_it(&url, &MARIADB);
}

#[test]
fn on_postgresql() {
    let (server, url) = postgresql();
    all_of_it(&url, &POSTGRESQL);
    who_may_not_lock_the_table_is_told(&server, &url);
}

/// To lock a table takes the right to write into it.
fn who_may_not_lock_the_table_is_told(server: &Server, url: &DatabaseUrl) {
    run(
        url,
        &format!(
            "{UNTIES}; CREATE USER night PASSWORD 'pw'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO night; \
             GRANT UPDATE ON fixed_ips, instances TO night"
        ),
    );
    let night =
        DatabaseUrl::parse(&format!("postgresql://night:pw@127.0.0.1:{}/postgres", server.port)).unwrap();
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let before = dump(url);
    let refused = apply(&night, PATIENCE, &planned(&night), folder.path()).unwrap_err();
    assert!(matches!(&refused, MendError::Database(DatabaseError::Denied { .. })), "{refused:?}");
    assert!(refused.to_string().contains("floating_ips"), "{refused}");
    assert_eq!(dump(url), before);
    run(url, "GRANT UPDATE ON floating_ips TO night");
    apply(&night, PATIENCE, &planned(&night), folder.path()).unwrap();
}
