//! The undo record of `hopline db ... --apply` is on the disk, with its name in its folder, before anything is
//! committed: seen from outside, in the order of the system calls.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
#[path = "cli_support/databases.rs"]
#[allow(dead_code, reason = "of what is shared this uses a part")]
mod databases;
#[path = "../../novadb/tests/support/planted.rs"]
mod planted;
#[path = "../../novadb/tests/support/series.rs"]
#[allow(dead_code, reason = "of what is shared this uses a part")]
mod series;
#[path = "../../cloud/tests/support/servers.rs"]
mod servers;

use std::path::Path;
use std::process::Command;

use cli_support::command;
use databases::{ADDRESS, Site};

/// What makes files, fills them, sends, and makes lasting. Threads do so for us, too.
const CALLS: &str =
    "trace=openat,write,writev,pwrite64,pwritev,sendto,sendmsg,fsync,fdatasync,unlink,unlinkat";

/// Whether the call is meant.
type Is<'i> = &'i dyn Fn(&str) -> bool;

/// The system calls of a release, in the order in which they were done, each with the paths of what it is done to.
fn traced(site: &Site) -> Vec<String> {
    let log = site.path().join("calls");
    let hopline = command(site.path());
    let mut strace = Command::new("strace");
    strace.args(["-f", "-y", "-s", "64", "-e", CALLS, "-o"]).arg(&log).arg(hopline.get_program());
    strace.args(["db", "release", ADDRESS, "--apply"]).current_dir(site.path());
    for (name, value) in hopline.get_envs() {
        match value {
            Some(value) => strace.env(name, value),
            None => strace.env_remove(name),
        };
    }
    let done = strace.output().expect("strace, of the package of this name");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    assert_eq!(site.state(), "new");
    let text = String::from_utf8_lossy(&std::fs::read(&log).unwrap()).into_owned();
    text.lines().map(str::to_owned).collect()
}

/// Where the first such call is.
#[track_caller]
fn first(calls: &[String], what: &str, is: Is<'_>) -> usize {
    let found = calls.iter().position(|call| is(call));
    found.unwrap_or_else(|| panic!("no {what} in:\n{}", calls.join("\n")))
}

/// A call that has put the file of this path on the disk, and said so.
fn has_synced(call: &str, is_it: impl Fn(&str) -> bool) -> bool {
    let rest = call.split_once("fsync(").or_else(|| call.split_once("fdatasync("));
    let path = rest.and_then(|(_, rest)| rest.split_once('<')?.1.split_once('>'));
    path.is_some_and(|(path, end)| is_it(path) && end.ends_with("= 0"))
}

/// Both are on the disk before the commit, which the call is that `commits`, and all of the record is written before.
#[track_caller]
fn assert_lasting_before(calls: &[String], commits: Is<'_>) {
    let record = |path: &str| Path::new(path).extension().is_some_and(|ending| ending == "jsonl");
    let folder = |path: &str| path.ends_with(".local/state/hopline/undo");
    let written = first(calls, "record", &|call| call.contains(".jsonl>, \"{"));
    let lasting = first(calls, "record that is made lasting", &|call| has_synced(call, record));
    let named = first(calls, "folder that is made lasting", &|call| has_synced(call, folder));
    let commit = first(calls, "commit", commits);
    let order = [("written", written), ("lasting", lasting), ("named", named), ("commit", commit)];
    assert!(order.is_sorted_by_key(|(_, at)| *at), "{order:?} in:\n{}", calls.join("\n"));
}

#[test]
fn of_sqlite_before_the_file_is_written() {
    let calls = traced(&Site::sqlite());
    assert_lasting_before(&calls, &|call| call.contains("pwrite64(") && call.contains("nova.sqlite>"));
}

/// The statement alone, and no level of isolation.
fn commits(call: &str) -> bool {
    ["COMMIT\"", "COMMIT\\0\""].iter().any(|end| call.contains(end))
}

#[test]
fn of_mariadb_before_the_server_is_told_to_commit() {
    let site = Site::mariadb(&[]);
    assert_lasting_before(&traced(&site), &commits);
}

#[test]
fn of_postgresql_before_the_server_is_told_to_commit() {
    let site = Site::postgresql();
    assert_lasting_before(&traced(&site), &commits);
}
