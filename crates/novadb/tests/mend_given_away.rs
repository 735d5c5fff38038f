//! A repair gives no address away that somebody still has: one that a floating IP hangs on, a host's own, the
//! gateway's or another that nova keeps back; on SQLite, MariaDB and PostgreSQL alike.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/dumped.rs"]
mod dumped;
#[path = "support/mended.rs"]
mod mended;
#[path = "support/planted.rs"]
mod planted;

use std::net::Ipv4Addr;
use std::path::Path;

use cloud::{Ask, DatabaseUrl, MendError};
use databases::{mariadb, postgresql};
use dumped::{dump, rows};
use mended::{apply, clock, plan, repairs};
use planted::{PATIENCE, lax_schema, run, sqlite};
use tempfile::TempDir;

const PLANTED: &str = "\
    INSERT INTO networks (id, label, cidr, netmask, broadcast, gateway, dhcp_server, multi_host, deleted) VALUES \
     (1, 'flat', '10.0.0.0/24', '255.255.255.0', '10.0.0.255', '10.0.0.1', '10.0.0.2', TRUE, 0); \
    INSERT INTO services (id, host, \"binary\", topic, report_count, deleted) VALUES \
     (1, 'compute1', 'nova-network', 'network', 1, 0); \
    INSERT INTO instances (id, uuid, hostname, host, project_id, vm_state, deleted) VALUES \
     (1, 'u1', 'web1', 'compute1', 'p1', 'active', 0), (2, 'u2', 'gone1', 'compute1', 'p1', 'deleted', 2); \
    INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, host, instance_uuid, updated_at, \
     deleted) VALUES \
     (100, '10.0.0.100', 1, TRUE, FALSE, FALSE, NULL, 'u2', '2026-11-01 00:00:00', 0), \
     (101, '10.0.0.101', 1, FALSE, FALSE, FALSE, NULL, 'u2', '2026-11-01 00:00:00', 0), \
     (102, '10.0.0.102', 1, FALSE, FALSE, FALSE, NULL, NULL, '2026-11-01 00:00:00', 0), \
     (103, '10.0.0.102', 1, FALSE, FALSE, FALSE, NULL, NULL, '2026-11-01 00:00:00', 0), \
     (104, '10.9.0.104', 1, FALSE, FALSE, FALSE, NULL, NULL, '2026-11-01 00:00:00', 0), \
     (110, '10.0.0.42', 1, TRUE, TRUE, FALSE, 'compute1', 'u2', '2026-11-01 00:00:00', 0), \
     (111, '10.0.0.43', 1, TRUE, TRUE, FALSE, 'compute1', 'u1', '2026-11-01 00:00:00', 0), \
     (120, '10.0.0.1', 1, TRUE, TRUE, TRUE, NULL, 'u2', '2026-11-01 00:00:00', 0), \
     (121, '10.0.0.0', 1, TRUE, TRUE, TRUE, NULL, 'u1', '2026-11-01 00:00:00', 0), \
     (122, '10.0.0.2', 1, TRUE, TRUE, TRUE, NULL, 'u1', '2026-11-01 00:00:00', 0), \
     (123, '10.0.0.255', 1, TRUE, TRUE, TRUE, NULL, 'u1', '2026-11-01 00:00:00', 0), \
     (124, '10.0.0.77', 1, TRUE, TRUE, TRUE, NULL, 'u1', '2026-11-01 00:00:00', 0), \
     (130, '10.0.0.9', 1, FALSE, FALSE, TRUE, NULL, NULL, '2026-11-01 00:00:00', 0), \
     (131, '10.0.0.9', 1, FALSE, FALSE, FALSE, NULL, NULL, '2026-11-01 00:00:00', 0); \
    INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, deleted) VALUES \
     (200, '203.0.113.100', 100, 'p1', 'compute1', FALSE, 0), (201, '203.0.113.101', 101, 'p1', 'compute1', FALSE, 0), \
     (202, '203.0.113.102', 102, 'p1', 'compute1', FALSE, 0), (204, '203.0.113.104', 104, 'p1', 'compute1', FALSE, 0);";

fn repair(code: &str, row: u64) -> Ask {
    Ask::Repair { code: code.to_owned(), row }
}

/// The flags as they are, `1` and `0`, with who has the row; nothing of a row that is deleted.
fn row(url: &DatabaseUrl, id: u64) -> String {
    let flags = ["allocated", "leased", "reserved"]
        .map(|flag| format!("CASE WHEN {flag} = TRUE THEN '1' ELSE '0' END"));
    let names = ["host", "instance_uuid"].map(|name| format!("COALESCE({name}, '-')"));
    let cell = |column: &String| {
        rows(url, &format!("SELECT {column} FROM fixed_ips WHERE id = {id} AND deleted = 0"))
            .concat()
            .trim()
            .to_owned()
    };
    format!(
        "{} {}",
        flags.iter().map(cell).collect::<String>(),
        names.iter().map(cell).collect::<Vec<_>>().join(" ")
    )
}

/// What a floating IP hangs on stays as it is until that is released; the statement itself is held to it, too.
fn what_a_floating_ip_hangs_on_is_kept(url: &DatabaseUrl, folder: &Path) {
    let kept = [
        ("fixed-ip-leaked", 100, 100),
        ("fixed-ip-not-released", 101, 101),
        ("fixed-ip-twice", 102, 102),
        ("fixed-ip-outside-network", 104, 104),
    ];
    for (code, row, last) in kept {
        let before = dump(url);
        let checked = cloud::check(url, PATIENCE, &clock(), |_| ()).unwrap();
        let found = checked.found.iter().find(|found| found.check.code == code).unwrap();
        let own = format!("WHERE id = {row} AND");
        let remedy = found.finding(99).remedy;
        let typed = remedy.iter().find(|remedy| remedy.command.contains(&own)).unwrap();
        run(url, &typed.command);
        assert_eq!(dump(url), before, "{}", typed.command);

        let refused = plan(url, &repair(code, row)).unwrap_err();
        assert!(matches!(refused, MendError::FloatingHangs { .. }), "{code} in {url}: {refused:?}");
        let first = format!("`hopline db release 203.0.113.{last}` first");
        assert!(refused.to_string().contains(&first), "{refused}");

        // A plan of before the floating IP was tied to it is refused, too.
        let id = 100 + row;
        run(url, &format!("UPDATE floating_ips SET fixed_ip_id = NULL WHERE id = {id}"));
        let planned = plan(url, &repair(code, row)).unwrap();
        run(url, &format!("UPDATE floating_ips SET fixed_ip_id = {row} WHERE id = {id}"));
        let refused =
            cloud::apply(url, PATIENCE, &repair(code, row), &clock(), &planned, folder).unwrap_err();
        assert!(matches!(refused, MendError::FloatingHangs { .. }), "{code} in {url}: {refused:?}");
        assert_eq!(dump(url), before, "{refused}");

        let release = Ask::Release { address: Ipv4Addr::new(203, 0, 113, last), from_pool: false };
        if !matches!(code, "fixed-ip-twice" | "fixed-ip-outside-network") {
            apply(url, &release, folder).unwrap();
            apply(url, &repair(code, row), folder).unwrap();
        }
    }
}

/// Who ended has no claim on a host's own address: the row is untied and stays the host's.
fn a_hosts_own_address_stays_the_hosts(url: &DatabaseUrl, folder: &Path) {
    let refused = plan(url, &repair("host-address-in-use", 110)).unwrap_err();
    assert!(matches!(refused, MendError::NotFound { .. }), "{refused:?}");
    apply(url, &repair("fixed-ip-leaked", 110), folder).unwrap();
    assert_eq!(row(url, 110), "000 compute1 -", "{url}");
    assert!(repairs(url).iter().all(|(_, row)| *row != 110), "{url}: a host's own address is in order");
    // Marked as allocated or leased it is the host's all the same.
    run(url, "UPDATE fixed_ips SET allocated = TRUE, leased = TRUE WHERE id = 110");
    assert!(repairs(url).iter().all(|(_, row)| *row != 110), "{url}: {:?}", repairs(url));
    // Where the instance lives it is the host that is recorded wrongly.
    apply(url, &repair("host-address-in-use", 111), folder).unwrap();
    assert_eq!(row(url, 111), "110 - u1", "{url}");
}

/// What nova keeps back stays kept back.
fn what_is_kept_back_is_not_given_out(url: &DatabaseUrl, folder: &Path) {
    let refused = plan(url, &repair("fixed-ip-reserved-in-use", 120)).unwrap_err();
    assert!(matches!(refused, MendError::NotFound { .. }), "{refused:?}");
    apply(url, &repair("fixed-ip-leaked", 120), folder).unwrap();
    assert_eq!(row(url, 120), "001 - -", "{url}");
    let roles = [(121, "first address"), (122, "DHCP server"), (123, "last address")];
    for (id, role) in roles {
        let before = dump(url);
        let refused = plan(url, &repair("fixed-ip-reserved-in-use", id)).unwrap_err();
        assert!(matches!(refused, MendError::KeptBack { .. }), "{url}: {refused:?}");
        assert!(refused.to_string().contains(role), "{refused}");
        let checked = cloud::check(url, PATIENCE, &clock(), |_| ()).unwrap();
        let found =
            checked.found.iter().find(|found| found.check.code == "fixed-ip-reserved-in-use").unwrap();
        let own = format!("WHERE id = {id} AND");
        let remedy = found.finding(99).remedy;
        run(url, &remedy.iter().find(|remedy| remedy.command.contains(&own)).unwrap().command);
        assert_eq!(dump(url), before, "{url}");
    }
    // One that an operator set aside may be given up.
    apply(url, &repair("fixed-ip-reserved-in-use", 124), folder).unwrap();
    assert_eq!(row(url, 124), "110 - u1", "{url}");
}

/// Of two rows the one that is kept back is the one that stays.
fn the_reserved_one_of_twins_stays(url: &DatabaseUrl, folder: &Path) {
    let checked = cloud::check(url, PATIENCE, &clock(), |_| ()).unwrap();
    let found = checked.found.iter().find(|found| found.check.code == "fixed-ip-twice").unwrap().finding(99);
    let shown = found.evidence.iter().find(|row| row.text.starts_with("fixed_ips 130")).unwrap();
    assert!(shown.text.contains("reserved 1"), "{}", shown.text);
    let before = dump(url);
    for remedy in found.remedy.iter().filter(|remedy| remedy.command.contains("WHERE id = 130 AND")) {
        run(url, &remedy.command);
    }
    assert_eq!(dump(url), before, "{url}");
    let refused = plan(url, &repair("fixed-ip-twice", 130)).unwrap_err();
    assert!(matches!(refused, MendError::Guarded { .. }), "{refused:?}");
    apply(url, &repair("fixed-ip-twice", 131), folder).unwrap();
    assert_eq!((row(url, 130).as_str(), row(url, 131).as_str()), ("001 - -", "  "), "{url}");
}

fn all_of_it(url: &DatabaseUrl) {
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    run(url, &format!("{}\n{PLANTED}", lax_schema()));
    what_a_floating_ip_hangs_on_is_kept(url, folder.path());
    a_hosts_own_address_stays_the_hosts(url, folder.path());
    what_is_kept_back_is_not_given_out(url, folder.path());
    the_reserved_one_of_twins_stays(url, folder.path());
}

#[test]
fn in_a_file() {
    let (_dir, url) = sqlite("SELECT 1");
    all_of_it(&url);
}

#[test]
fn on_mariadb() {
    let (_server, url) = mariadb();
    all_of_it(&url);
}

#[test]
fn on_postgresql() {
    let (_server, url) = postgresql();
    all_of_it(&url);
}

/// nova's columns for addresses are PostgreSQL's own there.
#[test]
fn on_postgresql_with_its_own_types() {
    let (_server, url) = postgresql();
    let schema = lax_schema().replace("VARCHAR(39)", "INET").replace("VARCHAR(43)", "CIDR");
    let folder = TempDir::with_prefix("ht-mend-").unwrap();
    run(&url, &format!("{schema}\n{PLANTED}"));
    what_a_floating_ip_hangs_on_is_kept(&url, folder.path());
    a_hosts_own_address_stays_the_hosts(&url, folder.path());
    what_is_kept_back_is_not_given_out(&url, folder.path());
    the_reserved_one_of_twins_stays(&url, folder.path());
}
