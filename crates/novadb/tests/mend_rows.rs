//! Rows as somebody made them: values of any class, names with quotes and backslashes, triggers and columns that fill
//! themselves in. What is restored is what was there, or it is said that it is not.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/mended.rs"]
mod mended;
#[path = "support/planted.rs"]
mod planted;

use cloud::{Ask, DatabaseUrl, MendError};
use databases::{at, made, postgresql, servers};
use dumped::{dump, rows};
use mended::{LEFT_BEHIND, RELEASE, apply, clock, each_repair_goes_there_and_back, plan};
use planted::{PATIENCE, everything, lax_schema, run, sqlite};
use tempfile::TempDir;

fn there_and_back(url: &DatabaseUrl) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let before = dump(url);
    let id = apply(url, &RELEASE, folder.path()).unwrap();
    assert!(dump(url) != before, "{url}");
    cloud::undo(url, PATIENCE, folder.path(), &id).unwrap();
    assert_eq!(dump(url), before, "{url}");
}

/// One value of each class, in columns that are changed.
const CLASSES: [&str; 4] = [
    "host = X'00FF27', project_id = 'p1', auto_assigned = 2.5, updated_at = 0.1 + 0.2, pool = NULL",
    "host = X'636F6D7075746531', project_id = X'', auto_assigned = 9007199254740993, updated_at = -1e300",
    "host = 'text''s', project_id = '007', auto_assigned = 'yes', updated_at = 20261101",
    "host = 7, project_id = 7.0, auto_assigned = NULL, updated_at = X'27'",
];

#[test]
fn sqlite_gets_every_class_back() {
    // As nova declares its columns, and without any type, where SQLite keeps whatever it is given.
    let declared = lax_schema();
    let start = declared.find("CREATE TABLE floating_ips").unwrap();
    let end = start + declared[start..].find(";\n").unwrap();
    let untyped = "CREATE TABLE floating_ips (created_at, updated_at, deleted_at, id INTEGER PRIMARY KEY, address, \
                   fixed_ip_id, project_id, host, auto_assigned, pool, interface, deleted)";
    let untyped = format!("{}{untyped}{}", &declared[..start], &declared[end..]);
    for schema in [declared, untyped] {
        for values in CLASSES {
            let (_dir, url) = sqlite(&format!("{schema}\n{LEFT_BEHIND}"));
            run(&url, &format!("UPDATE floating_ips SET {values}, interface = X'FF00' WHERE id = 909"));
            there_and_back(&url);
        }
    }
}

/// The change is made, and by the time it is taken back a trigger, or the column itself, makes another row of it.
fn what_comes_out_differently_is_named(url: &DatabaseUrl, meanwhile: &str, column: &str) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    let id = apply(url, &RELEASE, folder.path()).unwrap();
    run(url, meanwhile);
    let before = dump(url);
    let refused = cloud::undo(url, PATIENCE, folder.path(), &id).unwrap_err();
    assert!(matches!(&refused, MendError::NotAsBefore { columns, .. } if columns == column), "{refused}");
    assert!(refused.to_string().contains(&format!("{column} would come out differently")), "{refused}");
    assert_eq!(dump(url), before, "{refused}");
}

#[test]
fn what_a_trigger_makes_of_what_is_restored_is_named() {
    let (_dir, url) = sqlite(&format!("{}\n{LEFT_BEHIND}", lax_schema()));
    let trigger = "CREATE TRIGGER t AFTER UPDATE ON floating_ips WHEN NEW.host IS NOT NULL BEGIN \
                   UPDATE floating_ips SET pool = 'spoilt' WHERE id = NEW.id; END";
    what_comes_out_differently_is_named(&url, trigger, "pool");
}

#[test]
fn what_sqlite_would_keep_as_another_class_is_named() {
    let (_dir, url) = sqlite(&format!("{}\n{LEFT_BEHIND}", lax_schema()));
    let trigger = "CREATE TRIGGER t AFTER UPDATE ON floating_ips WHEN typeof(NEW.host) = 'text' BEGIN \
                   UPDATE floating_ips SET interface = NULL, host = CAST(NEW.host AS BLOB) WHERE id = NEW.id; END";
    what_comes_out_differently_is_named(&url, trigger, "host");
}

#[test]
fn on_mariadb_of_any_mode() {
    let server = servers::mariadb();
    let modes = [
        "",
        "ANSI_QUOTES,NO_BACKSLASH_ESCAPES",
        "ANSI,PAD_CHAR_TO_FULL_LENGTH,HIGH_NOT_PRECEDENCE",
        "TRADITIONAL,ONLY_FULL_GROUP_BY,EMPTY_STRING_IS_NULL",
        "ORACLE",
    ];
    for (number, mode) in modes.iter().enumerate() {
        let url = made(&server, &format!("mode{number}"));
        run(&url, &format!("SET GLOBAL sql_mode = '{mode}'"));
        let told = rows(&url, "SELECT CAST(@@sql_mode AS CHAR)").concat();
        assert!(mode.split(',').all(|word| told.contains(word)), "{mode}: {told}");
        run(&url, &everything());
        let folder = TempDir::with_prefix("ht-mend-").unwrap();
        each_repair_goes_there_and_back(&url, folder.path());
        run(&url, LEFT_BEHIND);
        // c\'"\ and \\"
        run(&url, "UPDATE floating_ips SET host = X'635C27225C', project_id = X'5C5C22' WHERE id = 909");
        there_and_back(&url);
    }
    let own = "ALTER TABLE floating_ips MODIFY created_at TIMESTAMP NULL ON UPDATE CURRENT_TIMESTAMP";
    let url = at(&server, "mode0");
    run(&url, "UPDATE floating_ips SET created_at = '2026-01-02 03:04:05' WHERE id = 909");
    what_comes_out_differently_is_named(&url, own, "created_at");
}

#[test]
fn on_postgresql() {
    let (_server, url) = postgresql();
    run(&url, &format!("{}\n{LEFT_BEHIND}", lax_schema()));
    run(&url, "UPDATE floating_ips SET host = 'c\\''\"\\', project_id = '\\\\\"' WHERE id = 909");
    there_and_back(&url);
    let trigger = "CREATE FUNCTION spoil() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.pool = 'spoilt'; \
                   RETURN NEW; END $$; \
                   CREATE TRIGGER t BEFORE UPDATE ON floating_ips FOR EACH ROW EXECUTE FUNCTION spoil()";
    what_comes_out_differently_is_named(&url, trigger, "pool");
}

/// What no statement puts right is told with what `db check` prints for the row, and never denied where it is found.
#[test]
fn what_is_typed_instead_is_what_the_check_prints() {
    let (_dir, url) = sqlite(&everything());
    let checked = cloud::check(&url, PATIENCE, &clock(), |_| ()).unwrap();
    let findings = checked.found.iter().map(|found| found.finding(cloud::ROWS_MAX));
    let reads = findings.filter(|finding| !finding.remedy[0].command.starts_with("hopline db repair "));
    let mut codes = 0;
    for finding in reads {
        codes += 1;
        for row in &finding.evidence {
            let row = row.text.split([' ', ':']).nth(1).unwrap().parse().unwrap();
            let ask = Ask::Repair { code: finding.code.clone(), row };
            let Err(MendError::NoStatement { instead, .. }) = plan(&url, &ask) else { panic!("{ask:?}") };
            let told = finding.remedy.iter().any(|remedy| remedy.command == instead);
            assert!(told, "{instead}: {:?}", finding.remedy);
        }
        let ask = Ask::Repair { code: finding.code.clone(), row: 8888 };
        let absent = plan(&url, &ask).unwrap_err();
        assert!(matches!(absent, MendError::NotFound { row: 8888, .. }), "{absent}");
    }
    assert!(codes >= 10, "{codes}");
}
