//! `hopline db ... --apply`, killed at any point, and its server killed at any point: the row is the old one or the
//! new, and the undo record tells which.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test fails by panicking, and tells how often it was killed where"
)]

mod cli_support;
#[path = "cli_support/databases.rs"]
mod databases;
#[path = "../../novadb/tests/support/planted.rs"]
mod planted;
#[path = "../../novadb/tests/support/series.rs"]
mod series;
#[path = "../../cloud/tests/support/servers.rs"]
mod servers;

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use cli_support::{Run, assert_refused, command, hopline, read};
use databases::{ADDRESS, Held, Site, run, value};

/// How often `--apply` is killed on each server; 200 prove it.
const KILLS: &str = "HOPLINE_MEND_KILLS";
const KILLS_DEFAULT: u32 = 20;
/// Starting a server again takes seconds, so it is killed a tenth as often.
const SERVERS_SHARE: u32 = 10;
/// Nobody knows whether the row was changed.
const EXIT_NOT_KNOWN: i32 = 3;
const APPLY: [&str; 5] = ["db", "release", ADDRESS, "--apply", "--minimal"];
const RESET: &str =
    "UPDATE floating_ips SET fixed_ip_id = 3, host = 'compute1', updated_at = NULL WHERE id = 2";

fn kills() -> u32 {
    std::env::var(KILLS).ok().map_or(KILLS_DEFAULT, |text| text.parse().unwrap())
}

fn start(site: &Site) -> Child {
    let mut command = command(site.path());
    command.args(APPLY).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// How long a whole run takes.
fn whole(site: &Site) -> Duration {
    let started = Instant::now();
    let whole = hopline(site.path(), &APPLY);
    assert_eq!((whole.code, site.state().as_str()), (0, "new"), "{whole:?}");
    let took = started.elapsed();
    run(&site.url, RESET);
    took
}

/// Waits for a moment that is spread evenly over the time of a run, in an order that is none; less if it ends before.
fn wait(child: &mut Child, round: u32, rounds: u32, whole: Duration) {
    let point = f64::from(round * 89 % rounds) / f64::from(rounds);
    let at = Instant::now() + whole.mul_f64(point * 1.1);
    while Instant::now() < at && child.try_wait().unwrap().is_none() {
        std::thread::sleep(Duration::from_micros(50));
    }
}

/// The record that was not there before.
fn fresh(site: &Site, known: &[PathBuf]) -> Option<PathBuf> {
    site.records().into_iter().find(|path| !known.contains(path))
}

/// Holds what the record tells to the row, and takes back what it says can be. Whether the row was the new one.
fn told(site: &Site, record: Option<&Path>, round: u32) -> bool {
    let state = site.state();
    assert!(matches!(state.as_str(), "old" | "new"), "round {round}: {state}");
    let is_new = state == "new";
    let text = record.map(|path| std::fs::read_to_string(path).unwrap()).unwrap_or_default();
    let is_told = text.contains("{\"state\":\"committed\"}");
    assert!(!is_told || is_new, "round {round}: told as committed, and is not");
    assert!(!is_new || text.contains('\n'), "round {round}: changed without a record");
    if let Some(path) = record.filter(|_| text.ends_with('\n')) {
        let back = hopline(site.path(), &["db", "undo", path.file_stem().unwrap().to_str().unwrap()]);
        if is_new {
            assert_eq!(back.code, 0, "{back:?}");
        } else {
            assert_refused(&back, &["the row is as it was before"]);
        }
    }
    assert_eq!(site.state(), "old", "round {round}");
    is_new
}

fn killed_at_any_point(site: &Site) {
    let (whole, rounds) = (whole(site), kills());
    let (mut new, mut on_record) = (0, 0);
    for round in 0..rounds {
        let known = site.records();
        let mut child = start(site);
        wait(&mut child, round, rounds, whole);
        child.kill().unwrap();
        child.wait().unwrap();
        let record = fresh(site, &known);
        on_record += u32::from(record.is_some());
        new += u32::from(told(site, record.as_deref(), round));
    }
    println!("{}: {new} new, {on_record} on record, of {rounds}; a run takes {whole:?}", site.url);
    assert!(new < rounds && (new > 0 || rounds < 100), "{new} new: the points do not cover a run");
}

#[test]
fn killed_at_any_point_in_a_file() {
    killed_at_any_point(&Site::sqlite());
}

#[test]
fn killed_at_any_point_on_mariadb() {
    let mut site = Site::mariadb(&["--innodb-flush-log-at-trx-commit=1"]);
    killed_at_any_point(&site);
    server_killed_at_any_point(&mut site);
}

#[test]
fn killed_at_any_point_on_postgresql() {
    let mut site = Site::postgresql();
    killed_at_any_point(&site);
    server_killed_at_any_point(&mut site);
}

/// A refusal, in whatever way the server was missed.
fn assert_told_of_the_server(run: &Run) {
    let told = ["broke the connection off", "cannot reach the database", "is not known", "did not answer"];
    let code = if run.stderr.contains("is not known") { EXIT_NOT_KNOWN } else { 2 };
    assert!(run.code == code && told.iter().any(|piece| run.stderr.contains(piece)), "{run:?}");
    assert!(!run.stderr.contains(servers::ADMIN_PASSWORD), "{run:?}");
}

fn server_killed_at_any_point(site: &mut Site) {
    // A server that has just started is slower.
    let (whole, rounds) = (whole(site) * 2, kills().div_ceil(SERVERS_SHARE));
    let (mut new, mut done) = (0, 0);
    for round in 0..rounds {
        let known = site.records();
        let mut child = start(site);
        wait(&mut child, round, rounds, whole);
        site.server.as_mut().unwrap().kill();
        let ended = read(child.wait_with_output().unwrap());
        site.server.as_mut().unwrap().start_again();
        if ended.code == 0 {
            assert_eq!(site.state(), "new", "{ended:?}");
            done += 1;
        } else {
            assert_told_of_the_server(&ended);
        }
        let record = fresh(site, &known);
        new += u32::from(told(site, record.as_deref(), round));
    }
    println!("{}: the server killed: {new} new, {done} done, of {rounds}", site.url);
}

/// Waits until hopline has come so far.
fn until(what: &str, child: &mut Child, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while !holds() {
        if child.try_wait().unwrap().is_some() {
            let mut said = String::new();
            std::io::Read::read_to_string(&mut child.stderr.take().unwrap(), &mut said).unwrap();
            panic!("it ended before {what}: {said}");
        }
        assert!(Instant::now() < deadline, "waited in vain for: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// How a server is made to stop where it hurts, each of which statements tells `1` once it has.
struct Hurts {
    waits_for_the_row: &'static str,
    stops_commits: fn(&Site) -> Option<Held>,
    waits_for_the_commit: &'static str,
    goes_on: fn(&Site),
}

/// The server is killed while hopline waits for a row, and while it waits for the commit; whether that was done.
fn server_killed_where_it_hurts(site: &mut Site, hurts: &Hurts) -> bool {
    let url = site.url.clone();
    let held = Held::by(&url, "BEGIN; UPDATE floating_ips SET host = 'nova' WHERE id = 2");
    let mut child = start(site);
    until("it waits for the row", &mut child, || value(&url, hurts.waits_for_the_row) == "1");
    site.server.as_mut().unwrap().kill();
    let ended = read(child.wait_with_output().unwrap());
    drop(held);
    site.server.as_mut().unwrap().start_again();
    assert_refused(&ended, &["broke the connection off", "nothing was changed"]);
    assert!(site.records().is_empty() && site.state() == "old");

    let held = (hurts.stops_commits)(site);
    let mut child = start(site);
    until("it waits for the commit", &mut child, || value(&url, hurts.waits_for_the_commit) == "1");
    site.server.as_mut().unwrap().kill();
    let ended = read(child.wait_with_output().unwrap());
    drop(held);
    site.server.as_mut().unwrap().start_again();
    (hurts.goes_on)(site);
    assert_eq!(ended.code, EXIT_NOT_KNOWN, "{ended:?}");
    assert!(ended.stderr.contains("committed is not known") && ended.stderr.contains("hopline db undo "));
    let record = site.records().pop().unwrap();
    assert!(!std::fs::read_to_string(&record).unwrap().contains("committed\"}"));
    told(site, Some(&record), 0)
}

#[test]
fn mariadb_is_killed_where_it_hurts() {
    let mut site = Site::mariadb(&["--innodb-flush-log-at-trx-commit=1"]);
    let hurts = Hurts {
        // INNODB_TRX would not do: who asks again and again is told what was.
        waits_for_the_row: "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.PROCESSLIST \
                            WHERE info LIKE 'SELECT % FOR UPDATE'",
        stops_commits: |site| {
            let stages = ["START", "FLUSH", "BLOCK_DDL", "BLOCK_COMMIT"].map(|s| format!("BACKUP STAGE {s}"));
            Some(Held::by(&site.url, &stages.join("; ")))
        },
        waits_for_the_commit: "SELECT CAST(COUNT(*) AS CHAR) FROM information_schema.PROCESSLIST \
                               WHERE info = 'COMMIT' AND state LIKE 'Waiting for backup lock%'",
        goes_on: |_| (),
    };
    assert!(!server_killed_where_it_hurts(&mut site, &hurts), "it never came to the commit");
}

#[test]
fn postgresql_is_killed_where_it_hurts() {
    let mut site = Site::postgresql();
    let hurts = Hurts {
        waits_for_the_row: "SELECT CAST(COUNT(DISTINCT pid) AS TEXT) FROM pg_locks WHERE NOT granted",
        // It commits, and waits for a standby that never comes.
        stops_commits: |site| {
            run(&site.url, "ALTER SYSTEM SET synchronous_standby_names = 'nobody'");
            run(&site.url, "SELECT pg_reload_conf()");
            None
        },
        waits_for_the_commit: "SELECT CAST(COUNT(*) AS TEXT) FROM pg_stat_activity WHERE wait_event = 'SyncRep'",
        goes_on: |site| {
            run(&site.url, "ALTER SYSTEM RESET synchronous_standby_names");
            run(&site.url, "SELECT pg_reload_conf()");
        },
    };
    assert!(server_killed_where_it_hurts(&mut site, &hurts), "it was on its disk");
}
