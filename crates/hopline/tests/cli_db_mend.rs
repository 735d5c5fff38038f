//! `hopline db release`, `repair` and `undo` on a SQLite file, by the program itself: what it prints, and what
//! it refuses.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use cli_support::{Run, assert_refused, hopline};
use serde_json::Value;
use tempfile::TempDir;

const ADDRESS: &str = "203.0.113.10";

/// A site whose only host is in a bundle, so that none is looked at, with Essex's tables: web1 is deleted, and its
/// floating IP hangs on.
fn site() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let text = "[[host]]\nname = \"compute1\"\nat = \"bundle:none.tar.zst\"\n\n\
                [cloud]\nkind = \"nova-network\"\ndatabase = \"sqlite:nova.sqlite\"\n";
    std::fs::write(folder.path().join("site.toml"), text).unwrap();
    std::fs::write(folder.path().join("nova.sqlite"), "").unwrap();
    run(folder.path(), include_str!("../../cloud/tests/fixtures/essex.sql"));
    run(folder.path(), "UPDATE instances SET deleted = 1 WHERE id = 1");
    folder
}

fn run(folder: &Path, sql: &str) {
    support::sqlite(&folder.join("nova.sqlite"), sql);
}

/// The floating IP's `fixed_ip_id` and `host`.
fn row(folder: &Path) -> String {
    let program = "import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute('SELECT quote(fixed_ip_id) || \
                   quote(host) FROM floating_ips WHERE id = 1').fetchone()[0])";
    let database = folder.join("nova.sqlite");
    support::printed(&["python3", "-c", program, database.to_str().unwrap()]).trim().to_owned()
}

fn json(run: &Run) -> Value {
    assert_eq!(run.code, 0, "{run:?}");
    serde_json::from_str(&run.stdout).unwrap()
}

fn records(folder: &Path) -> Vec<PathBuf> {
    let files = std::fs::read_dir(folder.join(".local/state/hopline/undo")).into_iter().flatten().flatten();
    files.map(|entry| entry.path()).collect()
}

#[test]
fn a_dry_run_prints_all_and_changes_nothing() {
    let site = site();
    let file = std::fs::read(site.path().join("nova.sqlite")).unwrap();
    let page = hopline(site.path(), &["db", "release", ADDRESS]);
    assert_eq!(page.code, 0, "{page:?}");
    for piece in [
        "hangs on 10.0.0.2, whose instance (web1) is deleted",
        "UPDATE floating_ips SET fixed_ip_id = NULL, host = NULL WHERE id = ? AND fixed_ip_id = ?",
        "values: 1, 1",
        "* fixed_ip_id  1 -> NULL",
        "* host         netnode -> NULL",
        "    address      203.0.113.10",
        "whether compute1 carries 203.0.113.10",
        "whether netnode carries 203.0.113.10: the site file does not name it",
        "nothing is changed: `--apply` changes it",
    ] {
        assert!(page.stdout.contains(piece), "{piece:?} is missing: {}", page.stdout);
    }
    let report = json(&hopline(site.path(), &["db", "release", ADDRESS, "--json"]));
    assert_eq!(report["schema"], "hopline.change/1");
    assert_eq!((&report["applied"], &report["undo"]), (&Value::Bool(false), &Value::Null));
    assert_eq!(report["rows"][0]["after"]["host"], Value::Null);
    assert_eq!(std::fs::read(site.path().join("nova.sqlite")).unwrap(), file);
    assert!(records(site.path()).is_empty());
}

/// Statements and rows are there to be compared and copied, so that no width folds them.
#[test]
fn what_would_be_changed_is_told_alike_at_every_width() {
    let site = site();
    let told = |columns: &str, color: &str| {
        let mut release = cli_support::command(site.path());
        release.args(["db", "release", ADDRESS, "--color", color]).env("COLUMNS", columns);
        let told = cli_support::read(release.output().unwrap());
        assert_eq!((told.code, told.stderr.as_str()), (0, ""), "{told:?}");
        told.stdout.replace(site.path().to_str().unwrap(), "SITE")
    };
    let plain = told("80", "never");
    insta::assert_snapshot!(plain);
    // What is to be typed is copied as it stands: it is neither folded nor coloured.
    for (columns, color) in [("200", "never"), ("80", "always"), ("200", "always")] {
        assert_eq!(told(columns, color), plain, "{columns} {color}");
    }
}

#[test]
fn what_is_applied_is_taken_back() {
    let site = site();
    let before = row(site.path());
    let report = json(&hopline(site.path(), &["db", "release", ADDRESS, "--apply", "--json"]));
    assert_eq!(row(site.path()), "NULLNULL");
    let id = report["undo"].as_str().unwrap();
    let [record] = records(site.path()).try_into().unwrap();
    assert_eq!(std::fs::metadata(&record).unwrap().permissions().mode() & 0o7777, 0o600);
    let lines = std::fs::read_to_string(&record).unwrap();
    assert!(lines.ends_with("{\"state\":\"committed\"}\n"), "{lines}");
    let back = hopline(site.path(), &["db", "undo", id]);
    assert_eq!(back.code, 0, "{back:?}");
    assert!(back.stdout.contains("* host         NULL -> netnode"), "{back:?}");
    assert_eq!(row(site.path()), before);
    assert_refused(&hopline(site.path(), &["db", "undo", id]), &["taken back already"]);
}

/// What was printed is lost with the terminal; what is on record is found again.
#[test]
fn what_is_on_record_is_listed() {
    let site = site();
    let empty = hopline(site.path(), &["db", "undo"]);
    assert_eq!(empty.code, 0, "{empty:?}");
    let folder = site.path().join(".local/state/hopline/undo");
    assert_eq!(empty.stdout, format!("no change is on record in {}\n", folder.display()));

    let apply = || json(&hopline(site.path(), &["db", "release", ADDRESS, "--apply", "--json"]));
    let first = apply()["undo"].as_str().unwrap().to_owned();
    assert_eq!(hopline(site.path(), &["db", "undo", &first]).code, 0);
    let second = apply()["undo"].as_str().unwrap().to_owned();
    let listed = json(&hopline(site.path(), &["db", "undo", "--json"]));
    assert_eq!(listed["schema"], "hopline.changes/1");
    assert_eq!(listed["folder"], folder.to_str().unwrap());
    let told = |at: usize, key: &str| listed["changes"][at][key].as_str().unwrap().to_owned();
    assert_eq!([told(0, "id"), told(1, "id")], [second.clone(), first.clone()], "the newest first");
    assert_eq!([told(0, "state"), told(0, "now")], ["committed", "after"]);
    // One row, so that it has now what the second change left.
    assert_eq!([told(1, "state"), told(1, "now")], ["undone", "after"]);
    assert!(told(0, "summary").contains("hangs on 10.0.0.2"), "{listed:#}");

    run(site.path(), "UPDATE floating_ips SET host = 'elsewhere' WHERE id = 1");
    let page = hopline(site.path(), &["db", "undo"]).stdout;
    assert!(page.contains(&format!("\n{second}  20")), "{page}");
    assert!(page.contains("row 1 of floating_ips has changed since"), "{page}");
    let lines = hopline(site.path(), &["db", "undo", "--minimal"]).stdout;
    assert_eq!(lines, format!("{second} floating_ips/1 other\n{first} floating_ips/1 other\n"));

    // What cannot be seen is a gap, and hides nothing.
    std::fs::write(folder.join("3-3.jsonl"), "{}\n").unwrap();
    std::fs::remove_file(site.path().join("nova.sqlite")).unwrap();
    let listed = json(&hopline(site.path(), &["db", "undo", "--json"]));
    assert_eq!(listed["changes"].as_array().unwrap().len(), 2);
    assert_eq!(listed["changes"][0]["now"], Value::Null);
    let gaps = listed["gaps"].to_string();
    assert!(gaps.contains("nova.sqlite") && gaps.contains("3-3.jsonl is no undo record"), "{gaps}");
    let page = hopline(site.path(), &["db", "undo"]).stdout;
    assert!(page.contains("was not looked at; the change is committed on record"), "{page}");
}

#[test]
fn what_a_record_names_must_be_there() {
    let site = site();
    let id = json(&hopline(site.path(), &["db", "release", ADDRESS, "--apply", "--json"]));
    let id = id["undo"].as_str().unwrap();
    let [record] = records(site.path()).try_into().unwrap();
    let text = std::fs::read_to_string(&record).unwrap();
    std::fs::write(&record, text.replace("\"host\":", "\"host = NULL, fixed_ip_id\":")).unwrap();
    assert_refused(&hopline(site.path(), &["db", "undo", id]), &["its table has other columns now"]);
    std::fs::write(&record, text.replace("\"table\":\"floating_ips\"", "\"table\":\"users\"")).unwrap();
    assert_refused(&hopline(site.path(), &["db", "undo", id]), &["its table has other columns now"]);
    assert_eq!(row(site.path()), "NULLNULL");
}

#[test]
fn a_repair_is_by_code_and_row() {
    let site = site();
    let arguments = ["db", "repair", "float-tied-to-deleted-instance", "1", "--apply", "--minimal"];
    let done = hopline(site.path(), &arguments);
    assert_eq!((done.code, row(site.path()).as_str()), (0, "NULLNULL"), "{done:?}");
    assert!(done.stdout.trim().ends_with(" floating_ips/1"), "{done:?}");
    assert_refused(&hopline(site.path(), &arguments), &["row 1 of floating_ips has no float-tied"]);
}

#[test]
fn what_cannot_be_done_is_said_and_changes_nothing() {
    let site = site();
    let before = row(site.path());
    let refuses = |arguments: &[&str], pieces: &[&str]| {
        assert_refused(&hopline(site.path(), &[&["db"], arguments].concat()), pieces);
    };
    refuses(&["release", "192.0.2.1", "--apply"], &["no floating IP 192.0.2.1"]);
    refuses(&["release", "web1"], &["web1"]);
    refuses(&["repair", "no-such", "1", "--apply"], &["`no-such` is no finding"]);
    refuses(&["repair", "network-overlap", "1"], &["row 1 of networks has no network-overlap"]);
    let of_hosts = &["of what a host has", "`virsh destroy DOMAIN`", "hopline db check"];
    refuses(&["repair", "domain-of-deleted-instance", "1"], of_hosts);
    for code in ["db-host-mismatch", "float-address-missing"] {
        refuses(&["repair", code, "1"], &[&format!("{code} is of what hosts have"), "hopline db check"]);
    }
    refuses(&["undo", "../../etc/passwd"], &["names no undo record"]);
    refuses(&["undo", "1-2"], &["cannot read the undo record"]);
    run(site.path(), "UPDATE instances SET deleted = 0 WHERE id = 1");
    refuses(&["release", ADDRESS, "--apply"], &["is on web1, which lives", "floating-ip-disassociate"]);
    // What is typed instead is told with the row's own values.
    run(site.path(), "UPDATE fixed_ips SET virtual_interface_id = NULL WHERE id = 1");
    let typed = "type `SELECT id, address FROM virtual_interfaces WHERE instance_id = 1 AND deleted = 0`";
    refuses(
        &["repair", "fixed-ip-without-vif", "1", "--apply"],
        &["fixed-ip-without-vif right in row 1", typed],
    );
    assert_eq!(row(site.path()), before);

    // Without a record nothing is committed.
    run(site.path(), "UPDATE instances SET deleted = 1 WHERE id = 1");
    std::fs::create_dir_all(site.path().join(".local/state")).unwrap();
    std::fs::write(site.path().join(".local/state/hopline"), "a file where the records' folder is to be")
        .unwrap();
    refuses(&["release", ADDRESS, "--apply"], &["cannot write the undo record", "nothing was changed"]);
    assert_eq!(row(site.path()), before);
}
