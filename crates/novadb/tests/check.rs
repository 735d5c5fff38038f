//! Every inconsistency, planted in a cloud that is full of what looks odd and is in order: each is found alone, with
//! the rows that are meant and no others, and all together on SQLite, MariaDB and PostgreSQL alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/clean.rs"]
mod clean;
#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/planted.rs"]
mod planted;

use std::collections::BTreeSet;

use cloud::{Access, Clock, Connection, DB_CATALOGUE, DatabaseUrl, ROWS_MAX};
use databases::{made, mariadb, postgresql};
use dumped::dump;
use model::Finding;
use planted::{PATIENCE, everything, lax_schema, pieces, run, sqlite};
use sqlx::Row;

/// Findings whose repairs leave one row of each pair, and the rows that `planted.sql` has in pairs.
const OF_TWINS: [(&str, &str); 3] = [
    ("float-twice-to-one", "SELECT COUNT(*) FROM floating_ips WHERE fixed_ip_id = 150 AND deleted = 0"),
    (
        "floating-ip-twice",
        "SELECT COUNT(*) FROM floating_ips WHERE address = '203.0.113.160' AND deleted = 0",
    ),
    ("fixed-ip-twice", "SELECT COUNT(*) FROM fixed_ips WHERE address = '10.1.0.4' AND deleted = 0"),
];
/// What takes hosts beside the tables.
const OF_HOSTS: [&str; 3] = ["domain-of-deleted-instance", "dhcp-line-of-nobody", "dhcp-lease-of-another"];

fn count(url: &DatabaseUrl, sql: &'static str) -> i64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let query = sqlx::raw_sql(sql);
        match url.connect(Access::Write, PATIENCE).await.unwrap() {
            Connection::MySql(mut connection) => query.fetch_one(&mut connection).await.unwrap().get(0),
            Connection::Postgres(mut connection) => query.fetch_one(&mut connection).await.unwrap().get(0),
            Connection::Sqlite(mut connection) => query.fetch_one(&mut connection).await.unwrap().get(0),
        }
    })
}

/// It is typed into the server's own client.
fn is_sql(command: &str) -> bool {
    !["nova ", "hopline "].iter().any(|program| command.starts_with(program))
}

/// Whatever is printed is typed, one after the other, those of twins first, of which one each is left.
fn type_all(url: &DatabaseUrl) {
    let checked = cloud::check(url, PATIENCE, &Clock::default(), |_| ()).unwrap();
    let findings = checked.found.iter().map(|inconsistency| inconsistency.finding(ROWS_MAX));
    let is_of_twins = |finding: &Finding| OF_TWINS.iter().any(|(code, _)| *code == finding.code);
    let (twins, others): (Vec<Finding>, Vec<Finding>) = findings.partition(is_of_twins);
    for finding in twins.iter().chain(&others) {
        finding.evidence.iter().take(1).for_each(|row| run(url, &row.source));
        let commands = finding.remedy.iter().map(|remedy| remedy.command.as_str());
        commands.filter(|command| is_sql(command)).for_each(|command| run(url, command));
    }
    for (code, sql) in OF_TWINS {
        assert_eq!(count(url, sql), 1, "{code}, {url}");
    }
}

/// All that is found, `CODE ROW`.
fn found(url: &DatabaseUrl) -> Vec<String> {
    let clock = Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() };
    let checked = cloud::check(url, PATIENCE, &clock, |_| ()).unwrap();
    assert_eq!(checked.not_looked_for, []);
    let findings = checked.found.iter().map(|inconsistency| inconsistency.finding(ROWS_MAX));
    findings
        .flat_map(|finding| {
            assert!(!finding.remedy.is_empty() && !finding.summary.contains('{'), "{finding:?}");
            assert!(finding.evidence.iter().all(|line| line.source.starts_with("SELECT ")), "{finding:?}");
            let code = finding.code;
            finding.evidence.into_iter().map(move |line| format!("{code} {}", line.text))
        })
        .collect()
}

#[test]
fn what_only_looks_odd_is_not_reported() {
    let (base, _) = pieces();
    let (_dir, url) = sqlite(&format!("{}\n{base}", lax_schema()));
    assert_eq!(found(&url), [""; 0]);
}

#[test]
fn ten_thousand_in_order_have_nothing_to_tell() {
    let (_dir, url) = sqlite(&clean::cloud());
    // Without it SQLite takes the wrong ones of nova's indexes.
    run(&url, "ANALYZE");
    assert_eq!(found(&url), [""; 0]);
    run(&url, "UPDATE instances SET deleted = id WHERE id = 5000");
    assert_ne!(found(&url), [""; 0], "one of them is not");
}

#[test]
fn each_is_found_alone_and_near_misses_are_not() {
    let (base, pieces) = pieces();
    let planted: BTreeSet<&str> =
        pieces.iter().filter(|piece| !piece.finds.is_empty()).map(|piece| piece.name).collect();
    let of_tables = DB_CATALOGUE.iter().map(|check| check.code).filter(|code| !OF_HOSTS.contains(code));
    let codes: BTreeSet<&str> = of_tables.collect();
    assert_eq!(planted, codes, "every code is planted");
    for piece in &pieces {
        let (_dir, url) = sqlite(&format!("{}\n{base}\n{}", lax_schema(), piece.sql));
        assert_eq!(sorted(&found(&url)), sorted(&piece.finds), "{}", piece.name);
    }
}

/// Fewer than one in fifty left is hardly any: on both sides of the bound.
#[test]
fn a_network_is_nearly_full_below_one_in_fifty() {
    let told = |all: u32, free: u32| -> Vec<String> {
        let row = |id: u32| {
            // What is leased for nobody's good or kept for a host is not free, and what is reserved does not count.
            let state = match id {
                id if id > all => "FALSE, TRUE, NULL, NULL",
                id if id <= free => "FALSE, FALSE, NULL, NULL",
                id if id % 2 == 0 => "FALSE, FALSE, 'compute1', NULL",
                _ => "FALSE, FALSE, NULL, 'u1'",
            };
            format!("({}, '10.50.0.{id}', 500, TRUE, {state}, '2026-11-26 11:59:00', 0)", 5000 + id)
        };
        let rows: Vec<String> = (1..=all + 9).map(row).collect();
        let (base, _) = pieces();
        let network = "INSERT INTO networks (id, label, cidr, netmask, broadcast, bridge, vlan, multi_host, deleted) \
                       VALUES (500, 'near', '10.50.0.0/24', '255.255.255.0', '10.50.0.255', 'br500', 500, TRUE, 0)";
        let columns =
            "id, address, network_id, allocated, leased, reserved, host, instance_uuid, updated_at, deleted";
        let sql = format!("INSERT INTO fixed_ips ({columns}) VALUES {}", rows.join(", "));
        let (_dir, url) = sqlite(&format!("{}\n{base}\n{network};{sql};", lax_schema()));
        found(&url).into_iter().filter(|line| line.starts_with("network-full")).collect()
    };
    for (all, free) in [(50, 1), (51, 2), (100, 2), (101, 3)] {
        assert_eq!(told(all, free), [""; 0], "{free} of {all} are enough");
    }
    for (all, free) in [(50, 0), (51, 1), (100, 1), (101, 2)] {
        let text = format!("free {free}, of {all}, leaked 0, not released 0");
        let row = format!("network-full networks 500: label near, range 10.50.0.0/24, {text}");
        assert_eq!(told(all, free), [row]);
    }
}

/// What became of rows after they were found, by finding: a statement that is typed late changes nothing of that.
const BECAME: [(&str, &str); 22] = [
    ("float-tied-to-deleted-instance", "UPDATE floating_ips SET fixed_ip_id = 2 WHERE id IN (100, 101)"),
    ("float-fixed-ip-gone", "UPDATE floating_ips SET fixed_ip_id = 2 WHERE id IN (110, 111)"),
    ("float-host-without-fixed-ip", "UPDATE floating_ips SET host = 'compute2' WHERE id = 120"),
    ("float-without-project", "UPDATE floating_ips SET fixed_ip_id = 2 WHERE id = 130"),
    ("float-host-mismatch", "UPDATE floating_ips SET host = 'compute9' WHERE id IN (140, 141)"),
    ("float-twice-to-one", "UPDATE floating_ips SET fixed_ip_id = 2 WHERE id = 150"),
    ("floating-ip-twice", "UPDATE floating_ips SET project_id = 'p9' WHERE id IN (160, 161)"),
    ("floating-ip-twice", "UPDATE floating_ips SET address = '203.0.113.99' WHERE id = 160"),
    (
        "fixed-ip-leaked",
        "UPDATE fixed_ips SET instance_uuid = 'u1' WHERE id IN (100, 170, 171, 172, 173, 174, 175, 311, 314)",
    ),
    ("fixed-ip-not-released", "UPDATE fixed_ips SET instance_uuid = 'u1' WHERE id IN (180, 181, 313)"),
    ("fixed-ip-reserved-in-use", "UPDATE fixed_ips SET instance_uuid = 'u1' WHERE id = 210"),
    ("host-address-in-use", "UPDATE fixed_ips SET instance_uuid = NULL WHERE id = 220"),
    ("host-address-without-service", "UPDATE fixed_ips SET host = 'compute1' WHERE id = 230"),
    ("fixed-ip-outside-network", "UPDATE fixed_ips SET network_id = 3 WHERE id IN (240, 241)"),
    ("fixed-ip-twice", "UPDATE fixed_ips SET address = '10.1.0.99' WHERE id = 12"),
    ("fixed-ip-without-network", "UPDATE fixed_ips SET network_id = 1 WHERE id IN (410, 411)"),
    ("fixed-ip-flag-missing", "UPDATE fixed_ips SET instance_uuid = 'u1' WHERE id IN (420, 421, 422)"),
    ("info-cache-deleted", "UPDATE instance_info_caches SET deleted = 0 WHERE id = 430"),
    ("vif-orphan", "UPDATE virtual_interfaces SET instance_uuid = 'u1' WHERE id IN (100, 280, 281)"),
    (
        "network-mask-wrong",
        "UPDATE networks SET cidr = '10.35.0.0/16', broadcast = '10.35.255.255' WHERE id = 350",
    ),
    ("group-rule-of-deleted-group", "UPDATE security_group_rules SET group_id = 1 WHERE id = 360"),
    (
        "group-membership-of-deleted-group",
        "UPDATE security_group_instance_association SET security_group_id = 1 WHERE id = 370",
    ),
];

#[test]
fn what_has_become_of_a_row_is_not_typed_away() {
    let all = everything();
    let clock = Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() };
    let mut codes = BTreeSet::new();
    for (code, became) in BECAME {
        let (_dir, url) = sqlite(&all);
        let checked = cloud::check(&url, PATIENCE, &clock, |_| ()).unwrap();
        let found = checked.found.iter().find(|found| found.check.code == code).unwrap();
        run(&url, became);
        let before = dump(&url);
        for remedy in found.finding(ROWS_MAX).remedy.iter().filter(|remedy| is_sql(&remedy.command)) {
            run(&url, &remedy.command);
            assert!(dump(&url) == before, "{code}: {}", remedy.command);
        }
        codes.insert(code);
    }
    let (_dir, url) = sqlite(&all);
    let checked = cloud::check(&url, PATIENCE, &clock, |_| ()).unwrap();
    let findings = checked.found.iter().map(|inconsistency| inconsistency.finding(ROWS_MAX));
    let by_hopline = |finding: &Finding| format!("hopline db repair {} ", finding.code);
    let writes = findings.filter(|finding| finding.remedy[0].command.starts_with(&by_hopline(finding)));
    assert_eq!(
        codes,
        writes.map(|finding| finding.code).collect::<BTreeSet<_>>().iter().map(String::as_str).collect()
    );
}

fn sorted(rows: &[impl AsRef<str>]) -> Vec<&str> {
    let mut rows: Vec<&str> = rows.iter().map(AsRef::as_ref).collect();
    rows.sort_unstable();
    rows
}

#[test]
fn three_databases_find_the_same() {
    let (base, pieces) = pieces();
    let planted = pieces.iter().filter(|piece| !piece.finds.is_empty());
    let (sql, finds): (Vec<&str>, Vec<&Vec<&str>>) =
        planted.map(|piece| (piece.sql.as_str(), &piece.finds)).unzip();
    let finds: Vec<&str> = finds.into_iter().flatten().copied().collect();
    let all = format!("{}\n{base}\n{}", lax_schema(), sql.join("\n"));
    let (_dir, file) = sqlite(&all);
    let in_file = found(&file);
    assert_eq!(sorted(&in_file), sorted(&finds));
    type_all(&file);
    let ((mysql, on_mysql), (postgres, on_postgres)) = (mariadb(), postgresql());
    for url in [on_mysql, on_postgres] {
        run(&url, &all);
        assert_eq!(found(&url), in_file, "{url}");
        type_all(&url);
    }
    // nova's columns for addresses are PostgreSQL's own, which compares them with prefixes itself, takes no word for
    // one, and prints some with their length.
    let own = made(&postgres, "own");
    let addresses: Vec<&str> = all.lines().filter(|line| !line.contains("'nonsense'")).collect();
    run(&own, &addresses.join("\n").replace("VARCHAR(39)", "INET").replace("VARCHAR(43)", "INET"));
    let row = |found: &String| found.split(':').next().unwrap().to_owned();
    let meant = in_file.iter().filter(|found| !found.contains("nonsense")).map(row);
    assert_eq!(found(&own).iter().map(row).collect::<Vec<_>>(), meant.collect::<Vec<_>>(), "{own}");
    let clean = clean::cloud();
    for url in [made(&mysql, "clean"), made(&postgres, "clean")] {
        run(&url, &clean);
        // As PostgreSQL does by itself within a minute or two.
        run(&url, if url.to_string().starts_with("postgresql") { "ANALYZE" } else { "SELECT 1" });
        assert_eq!(found(&url), [""; 0], "ten thousand instances in order, in {url}");
    }
}
