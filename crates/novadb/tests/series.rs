//! Every series of nova that had nova-network, on SQLite, MariaDB and PostgreSQL: read, shown, checked without a gap,
//! and a row of it put right and restored.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/planted.rs"]
mod planted;
#[path = "support/series.rs"]
mod series;

use cloud::{Ask, Clock, DatabaseUrl, InfoCache, ROWS_MAX};
use databases::{made, servers};
use planted::{PATIENCE, run, sqlite};
use series::{MYSQL, POSTGRESQL, SERIES, SQLITE, Types};
use tempfile::TempDir;

fn found(url: &DatabaseUrl, series: &str) -> Vec<String> {
    let clock = Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() };
    let checked = cloud::check(url, PATIENCE, &clock, |_| ()).unwrap_or_else(|e| panic!("{series}: {e}"));
    assert_eq!(checked.not_looked_for, [], "{series} in {url}");
    let findings = checked.found.iter().map(|found| found.finding(ROWS_MAX));
    let row = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
    // PostgreSQL's addresses are told as people write them.
    let told = |text: &str| assert!(!text.contains("/32"), "{series} in {url}: {text}");
    let rows = findings.flat_map(|f| {
        f.evidence.iter().map(|line| line.text.as_str()).chain([f.summary.as_str()]).for_each(told);
        f.evidence.iter().map(|line| format!("{} {}", f.code, row(&line.text))).collect::<Vec<_>>()
    });
    rows.collect()
}

fn holds(url: &DatabaseUrl, series: &str) {
    let records = cloud::read(url, PATIENCE).unwrap_or_else(|error| panic!("{series} in {url}: {error}"));
    assert_eq!(records.missing_tables, [""; 0], "{series} in {url}");
    let [web1] = records.instances.as_slice() else { panic!("{series} in {url}: {records:?}") };
    assert_eq!((web1.fixed().count(), web1.floating().count()), (1, 1), "{series} in {url}");
    assert_eq!(web1.security_groups[0].rules.len(), 1, "{series} in {url}");
    let v6 = (records.networks[0].cidr_v6, records.networks[0].gateway_v6);
    assert_eq!(v6, ("fd00:1::/64".parse().ok(), "fe80::1".parse().ok()), "{series} in {url}");
    assert_eq!(records.networks[0].free, Some((2, 4)), "{series} in {url}");
    let shown = cloud::show(url, PATIENCE, "203.0.113.10").unwrap();
    assert_eq!(shown.records.instances, records.instances, "{series} in {url}");
    assert!(matches!(shown.cache, InfoCache::Same(_)), "{series} in {url}: {:?}", shown.cache);

    let wrong = ["float-tied-to-deleted-instance floating_ips 2", "fixed-ip-leaked fixed_ips 3"];
    assert_eq!(found(url, series), wrong, "{series} in {url}");
    let folder = TempDir::with_prefix("ht-series-").unwrap();
    let ask = Ask::Release { address: [203, 0, 113, 20].into(), from_pool: true };
    let clock = Clock::default();
    let plan = || cloud::plan(url, PATIENCE, &ask, &clock);
    let planned = plan().unwrap_or_else(|error| panic!("{series} in {url}: {error}"));
    let applied = cloud::apply(url, PATIENCE, &ask, &clock, &planned, folder.path()).unwrap();
    assert_eq!(found(url, series), wrong[1..], "{series} in {url}");
    cloud::undo(url, PATIENCE, folder.path(), &applied.id).unwrap();
    assert_eq!(plan().unwrap(), planned, "{series} in {url}: restored as it was");

    // The floating IP hangs on the fixed one, so that it goes first and comes back last.
    let mut mended = Vec::new();
    for (code, row) in [("float-tied-to-deleted-instance", 2), ("fixed-ip-leaked", 3)] {
        let ask = Ask::Repair { code: code.to_owned(), row };
        let planned = cloud::plan(url, PATIENCE, &ask, &clock);
        let planned = planned.unwrap_or_else(|error| panic!("{series} in {url}: {error}"));
        let applied = cloud::apply(url, PATIENCE, &ask, &clock, &planned, folder.path()).unwrap();
        assert!(found(url, series).iter().all(|line| !line.starts_with(code)), "{series} in {url}");
        mended.push(applied.id);
    }
    for id in mended.iter().rev() {
        cloud::undo(url, PATIENCE, folder.path(), id).unwrap();
    }
    assert_eq!(found(url, series), wrong, "{series} in {url}: restored as it was");
}

/// Series whose tables differ from those of the one before.
fn of_its_own(types: &Types) -> Vec<&'static str> {
    let tables = SERIES.map(|series| (series, series::cloud(series, types)));
    let twice = |at: usize| at > 0 && tables[at - 1].1 == tables[at].1;
    (0..SERIES.len()).filter(|at| !twice(*at)).map(|at| SERIES[at]).collect()
}

#[test]
fn in_a_file() {
    for series in SERIES {
        let (_dir, url) = sqlite(&series::cloud(series, &SQLITE));
        holds(&url, series);
    }
}

#[test]
fn on_mariadb() {
    let server = servers::mariadb();
    for series in of_its_own(&MYSQL) {
        let url = made(&server, series);
        run(&url, &series::cloud(series, &MYSQL));
        holds(&url, series);
    }
}

#[test]
fn on_postgresql() {
    let server = servers::postgresql();
    for series in of_its_own(&POSTGRESQL) {
        let url = made(&server, series);
        run(&url, &series::cloud(series, &POSTGRESQL));
        holds(&url, series);
    }
}
