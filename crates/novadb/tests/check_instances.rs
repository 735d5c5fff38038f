//! What is inconsistent in the rows of instances: the same that is found in the whole database, of those rows that
//! concern them, whether one is asked about or all; on SQLite, MariaDB and PostgreSQL alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/planted.rs"]
mod planted;

use std::collections::{BTreeMap, BTreeSet};

use cloud::{Checked, Clock, Contradictions, DatabaseUrl, ROWS_MAX};
use databases::{mariadb, postgresql};
use planted::{PATIENCE, Piece, lax_schema, pieces, pieces_of, run, sqlite};

const THEIRS: &str = include_str!("theirs.sql");

/// Rows of `planted.sql` that concern nobody who lives: of free addresses, of who is gone, of networks without anybody.
const NOBODYS: [&str; 17] = [
    "fixed-ip-flag-missing fixed_ips 420",
    "fixed-ip-flag-missing fixed_ips 421",
    "fixed-ip-outside-network fixed_ips 240",
    "fixed-ip-outside-network fixed_ips 241",
    "fixed-ip-twice fixed_ips 12",
    "fixed-ip-twice fixed_ips 260",
    "fixed-ip-without-network fixed_ips 410",
    "fixed-ip-without-network fixed_ips 411",
    "floating-ip-twice floating_ips 160",
    "floating-ip-twice floating_ips 161",
    "network-mask-wrong networks 350",
    "network-overlap networks 320",
    "network-overlap networks 323",
    "network-vlan-twice networks 331",
    "vif-orphan virtual_interfaces 100",
    "vif-orphan virtual_interfaces 280",
    "vif-orphan virtual_interfaces 281",
];

fn clock() -> Clock {
    Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() }
}

fn lines(checked: &Checked, is_asked: impl Fn(&str) -> bool) -> BTreeSet<String> {
    let findings = checked.found.iter().filter(|found| is_asked(found.check.code));
    let lines = findings.map(|found| found.finding(ROWS_MAX)).flat_map(|finding| {
        assert!(!finding.instances.is_empty() && !finding.remedy.is_empty(), "{finding:?}");
        assert!(finding.evidence.iter().all(|line| line.source.starts_with("SELECT ")), "{finding:?}");
        let code = finding.code;
        finding.evidence.into_iter().map(move |line| format!("{code} {}", line.text))
    });
    lines.collect()
}

/// Living instances by their numbers.
fn living(url: &DatabaseUrl) -> BTreeMap<u64, String> {
    let instances = cloud::read(url, PATIENCE).unwrap().instances;
    instances.into_iter().filter_map(|instance| Some((instance.id?, instance.name))).collect()
}

fn asked(url: &DatabaseUrl, instances: &BTreeMap<u64, String>) -> Checked {
    let checked = cloud::check_instances(url, PATIENCE, &clock(), instances).unwrap();
    assert_eq!(checked.not_looked_for, []);
    checked
}

/// What was kept of all and is held to one is what the database tells of that one, to the statement that shows it.
fn assert_kept(kept: &Contradictions, one: &Checked, of: &BTreeMap<u64, String>) {
    let (held, unknown) = Checked::of_kept(std::slice::from_ref(kept), &clock(), of);
    assert_eq!(unknown, BTreeMap::new());
    let findings = |checked: &Checked| -> Vec<_> {
        checked.found.iter().map(|found| (found.select.clone(), found.finding(ROWS_MAX))).collect()
    };
    assert_eq!(findings(&held), findings(one));
}

/// What is found when all are asked about; when each is asked about alone, it must be the same.
fn found(url: &DatabaseUrl) -> BTreeSet<String> {
    let all = living(url);
    let together = lines(&asked(url, &all), |_| true);
    let (kept, not_looked_for) = cloud::contradictions(url, PATIENCE, &clock(), &all).unwrap();
    assert_eq!(not_looked_for, []);
    // It goes through a bundle.
    let kept = serde_json::from_slice(&serde_json::to_vec(&kept).unwrap()).unwrap();
    assert_kept(&kept, &asked(url, &all), &all);
    let stranger = BTreeMap::from([(u64::MAX, "stranger".to_owned())]);
    let (none, unknown) = Checked::of_kept(std::slice::from_ref(&kept), &clock(), &stranger);
    assert_eq!((none.found.len(), unknown), (0, stranger));
    let each = all.iter().flat_map(|(id, name)| {
        let one = asked(url, &BTreeMap::from([(*id, name.clone())]));
        assert_kept(&kept, &one, &BTreeMap::from([(*id, name.clone())]));
        let findings = one.found.iter().map(|found| found.finding(ROWS_MAX));
        findings.for_each(|finding| assert!(finding.instances.contains(name), "{finding:?}"));
        // What the statement that is told shows, typed into the server's own client, is no error.
        let told = one.found.iter().filter(|found| found.select.starts_with("SELECT "));
        told.for_each(|found| run(url, &found.select));
        lines(&one, |_| true)
    });
    assert_eq!(each.collect::<BTreeSet<_>>(), together, "{url}");
    together
}

fn row(line: &str) -> &str {
    line.split(':').next().unwrap_or_default()
}

#[test]
fn what_the_whole_database_tells_of_them_is_told_of_each() {
    let (base, pieces) = pieces();
    let nobodys = BTreeSet::from(NOBODYS);
    let mut left_out = BTreeSet::new();
    for Piece { name, sql, finds } in &pieces {
        let (_dir, url) = sqlite(&format!("{}\n{base}\n{sql}", lax_schema()));
        let codes = asked(&url, &living(&url)).looked_for;
        let is_asked = |line: &&&str| codes.iter().any(|code| row(line).starts_with(&format!("{code} ")));
        let (theirs, others): (Vec<&str>, Vec<&str>) =
            finds.iter().filter(is_asked).partition(|line| !nobodys.contains(row(line)));
        left_out.extend(others.into_iter().map(row));
        let theirs: BTreeSet<String> = theirs.into_iter().map(str::to_owned).collect();
        assert_eq!(found(&url), theirs, "{name}");
    }
    assert_eq!(left_out, nobodys);
}

#[test]
fn what_others_have_as_well_is_told_of_whom_it_touches() {
    let (base, _) = pieces();
    let ((_mysql, on_mysql), (_postgres, on_postgres)) = (mariadb(), postgresql());
    let (_, theirs) = pieces_of(THEIRS);
    let mut planted = String::new();
    for Piece { name, sql, finds } in &theirs {
        let (_dir, url) = sqlite(&format!("{}\n{base}\n{sql}", lax_schema()));
        let finds = finds.iter().map(|line| (*line).to_owned());
        assert_eq!(found(&url), finds.collect(), "{name}");
        planted.push_str(sql);
    }
    let all = format!("{}\n{base}\n{planted}", lax_schema());
    let (_dir, file) = sqlite(&all);
    let in_file = found(&file);
    assert!(in_file.len() >= theirs.iter().map(|piece| piece.finds.len()).sum(), "{in_file:#?}");
    for url in [on_mysql, on_postgres] {
        run(&url, &all);
        assert_eq!(found(&url), in_file, "{url}");
    }
}

/// What is asked of many at a time is asked of the last of them as of the first.
#[test]
fn what_is_wrong_with_the_last_of_many_is_found_beside_what_is_wrong_with_the_first() {
    let mut many = String::new();
    for n in 1000..1600 {
        many.push_str(&format!("I ({n}, 'u{n}', 'vm{n}', 'compute1', 'p1', 'active', NULL, 0);\n"));
        many.push_str(&format!(
            "V ({n}, 'fa:16:3e:01:{:02x}:{:02x}', 1, 'v{n}', 'u{n}', 0);\n",
            n / 256,
            n % 256
        ));
    }
    many.push_str(
        "UPDATE virtual_interfaces SET address = 'fa:16:3e:01:03:e8' WHERE id = 1001;\n\
         F (9999, '10.0.0.77', 1, TRUE, TRUE, FALSE, 1599, NULL, 'u1599', '2026-11-01 00:00:00', 0);\n\
         L (9999, '203.0.113.77', 9999, NULL, 'compute1', 0);\n",
    );
    let ((base, _), (many, _)) = (pieces(), pieces_of(&many));
    let (_dir, url) = sqlite(&format!("{}\n{base}\n{many}", lax_schema()));
    let lines = lines(&asked(&url, &living(&url)), |_| true);
    let found: Vec<&str> = lines.iter().map(|line| row(line)).collect();
    assert_eq!(
        found,
        [
            "float-without-project floating_ips 9999",
            "mac-twice virtual_interfaces 1000",
            "mac-twice virtual_interfaces 1001"
        ]
    );
}
