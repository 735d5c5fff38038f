//! Hosts, projects and uuids that are written in other letters, or with a blank behind them: nova asks its database for
//! them, and MySQL's usual collation takes them for the same. The three databases find the same of them.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/planted.rs"]
mod planted;
#[path = "../../cloud/tests/support/servers.rs"]
mod servers;

use cloud::{Clock, DatabaseUrl, ROWS_MAX};
use planted::{PATIENCE, lax_schema, pieces, pieces_of, run, sqlite};
use servers::ADMIN_PASSWORD;

const LETTERS: &str = include_str!("letters.sql");

/// All that is found, `CODE ROW`. What is printed as a finding's statement is one that the server's own client takes.
fn found(url: &DatabaseUrl) -> Vec<String> {
    let clock = Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() };
    let checked = cloud::check(url, PATIENCE, &clock, |_| ()).unwrap();
    checked.found.iter().for_each(|found| run(url, &found.select));
    let findings = checked.found.iter().map(|found| found.finding(ROWS_MAX));
    let lines = findings.flat_map(|finding| {
        let code = finding.code;
        finding.evidence.into_iter().map(move |line| format!("{code} {}", line.text))
    });
    lines.collect()
}

#[test]
fn other_letters_are_the_same_to_all_three() {
    let (base, _) = pieces();
    let (_, letters) = pieces_of(LETTERS);
    let [same, faults] = letters.as_slice() else { panic!("{}", letters.len()) };
    let in_order = format!("{}\n{base}\n{}", lax_schema(), same.sql);
    let (_dir, file) = sqlite(&in_order);
    assert_eq!(found(&file), [""; 0]);
    run(&file, &faults.sql);
    assert_eq!(found(&file), faults.finds);
    let (mysql, postgres) = (servers::mariadb(), servers::postgresql());
    let url = |text: String| DatabaseUrl::parse(&text).unwrap();
    run(
        &url(format!("mysql://root:{ADMIN_PASSWORD}@127.0.0.1:{}/mysql", mysql.port)),
        "CREATE DATABASE nova",
    );
    for url in [
        url(format!("mysql://root:{ADMIN_PASSWORD}@127.0.0.1:{}/nova", mysql.port)),
        url(format!("postgresql://postgres:{ADMIN_PASSWORD}@127.0.0.1:{}/postgres", postgres.port)),
    ] {
        run(&url, &in_order);
        assert_eq!(found(&url), [""; 0], "{url}");
        run(&url, &faults.sql);
        assert_eq!(found(&url), faults.finds, "{url}");
    }
}
