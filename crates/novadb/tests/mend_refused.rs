//! A commit that the database refuses: it says so itself, so that it is known that nothing was changed.

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
use std::time::{Duration, Instant};

use cloud::{Access, Connection, DatabaseError, DatabaseUrl, MendError};
use databases::postgresql;
use dumped::dump;
use mended::{LEFT_BEHIND, RELEASE, apply, clock, plan};
use planted::{PATIENCE, lax_schema, run, sqlite};
use tempfile::TempDir;

/// Somebody's table leans on the host that is taken away, which is looked at when all else is done.
const LEANS: &str = "CREATE UNIQUE INDEX own_host ON floating_ips (host); \
    CREATE TABLE leans (id INTEGER PRIMARY KEY, host VARCHAR(255) REFERENCES floating_ips (host) \
    DEFERRABLE INITIALLY DEFERRED); INSERT INTO leans (id, host) VALUES (1, 'compute1')";

/// The only record of a folder.
fn on_record(url: &DatabaseUrl, folder: &Path) -> (String, Option<cloud::Now>) {
    let listing = cloud::listed(Some(url), PATIENCE, folder).unwrap();
    let [change] = listing.changes.as_slice() else { panic!("{listing:?}") };
    (change.id.clone(), change.now)
}

fn is_taken_back(url: &DatabaseUrl, words: &str) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let before = dump(url);
    let refused = apply(url, &RELEASE, folder.path()).unwrap_err();
    assert!(matches!(&refused, MendError::TakenBack { why } if why.contains(words)), "{refused:?}");
    assert!(refused.to_string().contains("nothing was changed"), "{refused}");
    assert_eq!(dump(url), before, "{refused}");
    let (id, now) = on_record(url, folder.path());
    assert_eq!(now, Some(cloud::Now::Before));
    let told = cloud::undo(url, PATIENCE, folder.path(), &id).unwrap_err();
    assert!(matches!(told, MendError::NotApplied { .. }), "{told}");
}

#[test]
fn in_a_file() {
    let (_dir, url) = sqlite(&format!("{}\n{LEFT_BEHIND}", lax_schema()));
    run(&url, LEANS);
    is_taken_back(&url, "FOREIGN KEY constraint failed");
}

#[test]
fn on_postgresql() {
    let (_server, url) = postgresql();
    run(&url, &format!("{}\n{LEFT_BEHIND}", lax_schema()));
    run(&url, LEANS);
    is_taken_back(&url, "violates foreign key constraint");
    run(&url, "DROP TABLE leans");
    // Of no class that a standard names.
    run(
        &url,
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE 'not on my watch'; END $$; \
         CREATE CONSTRAINT TRIGGER t AFTER UPDATE ON floating_ips DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
         EXECUTE FUNCTION refuse()",
    );
    is_taken_back(&url, "not on my watch");
}

/// Whoever reads the file keeps it from being written, and is waited for no longer than somebody waits for us.
#[test]
fn a_file_that_is_read_for_long_is_held() {
    let (_dir, url) = sqlite(&format!("{}\n{LEFT_BEHIND}", lax_schema()));
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let Ok(Connection::Sqlite(mut reader)) = runtime.block_on(url.connect(Access::Read, PATIENCE)) else {
        panic!("a SQLite file is one")
    };
    let begin = sqlx::raw_sql("BEGIN; SELECT COUNT(*) FROM floating_ips");
    runtime.block_on(begin.execute(&mut reader)).unwrap();
    let before = dump(&url);
    let change = plan(&url, &RELEASE).unwrap();
    let patience = Duration::from_secs(2);
    let started = Instant::now();
    let refused = cloud::apply(&url, patience, &RELEASE, &clock(), &change, folder.path()).unwrap_err();
    assert!(matches!(&refused, MendError::Database(DatabaseError::Held { .. })), "{refused:?}");
    assert!(started.elapsed() < PATIENCE, "{refused}");
    runtime.block_on(sqlx::raw_sql("COMMIT").execute(&mut reader)).unwrap();
    assert_eq!(dump(&url), before);
    assert_eq!(on_record(&url, folder.path()).1, Some(cloud::Now::Before));
    apply(&url, &RELEASE, folder.path()).unwrap();
}
