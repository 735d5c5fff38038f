//! A change is taken back by whoever may, by whichever address: what counts is that it is the same database. One of
//! another server, or another of the same, is refused, though its rows be the same.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/mended.rs"]
mod mended;
#[path = "support/planted.rs"]
mod planted;

use std::os::unix::fs::symlink;
use std::path::Path;

use cloud::{DatabaseUrl, MendError, Now};
use databases::{made, mariadb, postgresql};
use dumped::dump;
use mended::{LEFT_BEHIND, RELEASE, apply};
use planted::{PATIENCE, lax_schema, run, sqlite};
use tempfile::TempDir;

fn tables() -> String {
    format!("{}\n{LEFT_BEHIND}", lax_schema())
}

fn parse(text: &str) -> DatabaseUrl {
    DatabaseUrl::parse(text).unwrap()
}

fn now(url: &DatabaseUrl, folder: &Path) -> Option<Now> {
    let listing = cloud::listed(Some(url), PATIENCE, folder).unwrap();
    assert!(listing.unseen.is_none() && listing.unread.is_empty(), "{listing:?}");
    let [change] = listing.changes.as_slice() else { panic!("{listing:?}") };
    change.now
}

/// What is applied by the first URL is taken back by each of the same database, and by none of the others, which
/// have the very same row.
fn by_the_same_alone(url: &DatabaseUrl, same: &[DatabaseUrl], others: &[DatabaseUrl]) {
    let before = dump(url);
    for back in same {
        let folder = TempDir::with_prefix("ht-mend-").unwrap();
        let id = apply(url, &RELEASE, folder.path()).unwrap();
        let after = dump(url);
        for other in others {
            // Its row is as the change left it: nothing but which database it is can tell.
            let theirs = TempDir::with_prefix("ht-mend-").unwrap();
            let their_id = apply(other, &RELEASE, theirs.path()).unwrap();
            let their_after = dump(other);
            assert_eq!(now(other, folder.path()), None, "{other}");
            let refused = cloud::undo(other, PATIENCE, folder.path(), &id).unwrap_err();
            assert!(matches!(refused, MendError::OtherDatabase { .. }), "{other}: {refused:?}");
            assert_eq!((dump(other), dump(url)), (their_after, after.clone()), "{refused}");
            cloud::undo(other, PATIENCE, theirs.path(), &their_id).unwrap();
        }
        assert_eq!(now(back, folder.path()), Some(Now::After), "{back}");
        cloud::undo(back, PATIENCE, folder.path(), &id).unwrap();
        assert_eq!(dump(url), before, "{back}");
    }
}

fn edit(folder: &Path, id: &str, edit: impl FnOnce(&mut serde_json::Map<String, serde_json::Value>)) {
    let path = folder.join(format!("{id}.jsonl"));
    let text = std::fs::read_to_string(&path).unwrap();
    let (first, rest) = text.split_once('\n').unwrap();
    let mut first: serde_json::Value = serde_json::from_str(first).unwrap();
    edit(first.as_object_mut().unwrap());
    std::fs::write(path, format!("{first}\n{rest}")).unwrap();
}

/// A record of before databases told what they are.
fn without_identity(folder: &Path, id: &str) {
    edit(folder, id, |first| assert!(first.remove("identity").unwrap().is_object()));
}

/// Then the URL tells, but for its user.
fn an_older_record_goes_by_its_url(url: &DatabaseUrl, another_user: &DatabaseUrl, others: &[DatabaseUrl]) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let before = dump(url);
    let id = apply(url, &RELEASE, folder.path()).unwrap();
    without_identity(folder.path(), &id);
    for other in others {
        let refused = cloud::undo(other, PATIENCE, folder.path(), &id).unwrap_err();
        assert!(matches!(refused, MendError::OtherDatabase { .. }), "{other}: {refused:?}");
    }
    assert_eq!(now(another_user, folder.path()), Some(Now::After));
    cloud::undo(another_user, PATIENCE, folder.path(), &id).unwrap();
    assert_eq!(dump(url), before);
}

#[test]
fn of_files() {
    let (dir, url) = sqlite(&tables());
    let path = url.file().unwrap();
    let link = dir.path().join("link.sqlite");
    symlink(path, &link).unwrap();
    let copy = dir.path().join("copy.sqlite");
    std::fs::copy(path, &copy).unwrap();
    let roundabout = dir.path().join("../").join(dir.path().file_name().unwrap()).join("nova.sqlite");
    let same = [url.clone(), DatabaseUrl::sqlite(link), DatabaseUrl::sqlite(roundabout)];
    by_the_same_alone(&url, &same, &[DatabaseUrl::sqlite(copy)]);
}

#[test]
fn on_mariadb() {
    let (server, url) = mariadb();
    let other = made(&server, "other");
    let (_elsewhere, elsewhere) = mariadb();
    for url in [&url, &other, &elsewhere] {
        run(url, &tables());
    }
    run(&url, "CREATE USER night@localhost IDENTIFIED BY 'pw'; GRANT ALL ON nova.* TO night@localhost");
    let port = server.port;
    let night = parse(&format!("mysql://night:pw@127.0.0.1:{port}/nova"));
    let socket = server.dir.path().join("mysqld.sock").display().to_string();
    let by_socket = parse(&format!("mysql://night:pw@/nova?unix_socket={socket}"));
    let by_name = parse(&server.url("nova").replace("127.0.0.1", "localhost"));
    by_the_same_alone(
        &url,
        &[url.clone(), night.clone(), by_socket, by_name],
        &[other.clone(), elsewhere.clone()],
    );
    an_older_record_goes_by_its_url(&url, &night, &[other, elsewhere]);
}

#[test]
fn on_postgresql() {
    let (server, url) = postgresql();
    let other = made(&server, "other");
    let (_elsewhere, elsewhere) = postgresql();
    for url in [&url, &other, &elsewhere] {
        run(url, &tables());
    }
    run(&url, "CREATE USER night SUPERUSER PASSWORD 'pw'");
    let port = server.port;
    let night = parse(&format!("postgresql://night:pw@127.0.0.1:{port}/postgres"));
    let folder = server.dir.path().display();
    let by_socket = parse(&format!("postgresql://night:pw@/postgres?host={folder}&port={port}"));
    // Of that user's own tables the rows are the same.
    run(&url, "CREATE USER double SUPERUSER PASSWORD 'pw'; CREATE SCHEMA double");
    let double = parse(&format!("postgresql://double:pw@127.0.0.1:{port}/postgres"));
    run(&double, &tables());
    by_the_same_alone(
        &url,
        &[url.clone(), night.clone(), by_socket],
        &[other.clone(), elsewhere.clone(), double],
    );
    an_older_record_goes_by_its_url(&url, &night, &[other, elsewhere]);
    // A server that tells nobody what it is: the URL tells.
    run(
        &url,
        "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC; ALTER USER night NOSUPERUSER; \
               GRANT ALL ON ALL TABLES IN SCHEMA public TO night",
    );
    let before = dump(&url);
    let records = TempDir::with_prefix("ht-mend-").unwrap();
    let id = apply(&night, &RELEASE, records.path()).unwrap();
    cloud::undo(&url, PATIENCE, records.path(), &id).unwrap();
    assert_eq!(dump(&url), before);
}

/// Where its address leads to another server now, a tunnel that was laid anew, say, the address tells nothing.
#[test]
fn another_server_by_the_same_address() {
    let ((_server, url), (_elsewhere, elsewhere)) = (postgresql(), postgresql());
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    run(&url, &tables());
    run(&elsewhere, &tables());
    let id = apply(&url, &RELEASE, folder.path()).unwrap();
    edit(folder.path(), &id, |first| drop(first.insert("database".to_owned(), elsewhere.to_string().into())));
    let refused = cloud::undo(&elsewhere, PATIENCE, folder.path(), &id).unwrap_err();
    assert!(matches!(refused, MendError::OtherDatabase { .. }), "{refused:?}");
    assert!(refused.to_string().contains("system identifier"), "{refused}");
    cloud::undo(&url, PATIENCE, folder.path(), &id).unwrap();
}
