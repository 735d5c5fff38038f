//! Essex's tables: whatever a later series' repair puts right is put right there, too, and restored.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/essex.rs"]
mod essex;
#[path = "support/mended.rs"]
mod mended;
#[path = "support/planted.rs"]
mod planted;

use cloud::{DatabaseUrl, ROWS_MAX};
use databases::{mariadb, postgresql};
use mended::{clock, each_repair_goes_there_and_back};
use planted::{PATIENCE, everything, run, sqlite};
use tempfile::TempDir;

/// `CODE ROW` of all that is found, with the statement that puts it right; each can be said.
fn found(url: &DatabaseUrl) -> (Vec<String>, Vec<String>) {
    let checked = cloud::check(url, PATIENCE, &clock(), |_| ()).unwrap();
    let findings: Vec<model::Finding> = checked.found.iter().map(|found| found.finding(ROWS_MAX)).collect();
    let rows = findings.iter().flat_map(|finding| {
        let row = |text: &str| text.split(':').next().unwrap_or_default().to_owned();
        finding.evidence.iter().map(move |line| format!("{} {}", finding.code, row(&line.text)))
    });
    let commands = findings.iter().flat_map(|finding| finding.remedy.iter().map(|r| r.command.clone()));
    (rows.collect(), commands.collect())
}

fn all_of_it(url: &DatabaseUrl, as_found: &[String]) {
    run(url, &essex::aged(&everything()));
    let (rows, commands) = found(url);
    assert_eq!(rows, as_found, "{url}");
    assert!(commands.iter().all(|command| !command.is_empty()), "{commands:#?}");
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    each_repair_goes_there_and_back(url, folder.path());
    // What is printed can be typed.
    let is_sql =
        |command: &&String| !["nova ", "hopline "].iter().any(|program| command.starts_with(program));
    commands.iter().filter(is_sql).for_each(|command| run(url, command));
}

#[test]
fn on_each_server() {
    let (_dir, later) = sqlite(&everything());
    let (rows, _) = found(&later);
    let (_dir, file) = sqlite("SELECT 1");
    all_of_it(&file, &rows);
    for (_server, url) in [mariadb(), postgresql()] {
        all_of_it(&url, &rows);
    }
}
