//! Rows of the database that contradict each other, changed by hand in a real cloud: `diagnose` tells each with its
//! row, as the cause of what is broken by it, and last while nothing is. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs;
use std::path::Path;

use serde_json::Value;
use support::assert_none;
use support::bundles::{Bundles, rewritten};
use support::report::{Report, list, text};
use support::test_lab::TestLab;

/// What is changed, and what is then told.
struct Planted {
    code: &'static str,
    sql: &'static str,
    /// What the row is told with.
    row: &'static str,
    /// What it breaks before and after nova-network has read the rows again: the exchange.
    breaks: [&'static str; 2],
    /// What is told in its place no more, whenever it is told.
    instead_of: &'static [&'static str],
}

const IDLE: [&str; 2] = ["none", "none"];

/// web1 is on compute1 with NIC 1, web2 there with NIC 2, web3 on compute2.
const PLANTED: [Planted; 14] = [
    Planted {
        code: "fixed-ip-vif-mismatch",
        sql: "UPDATE fixed_ips SET virtual_interface_id = 2 WHERE address = '10.0.2.24'",
        row: "address 10.0.2.24, network_id 1, virtual_interface_id 2",
        breaks: ["none", "dhcp"],
        instead_of: &["instance-without-address", "dnsmasq-stale-hosts-file"],
    },
    Planted {
        code: "fixed-ip-flag-missing",
        sql: "UPDATE fixed_ips SET allocated = NULL WHERE address = '10.0.2.24'",
        row: "address 10.0.2.24, allocated NULL",
        breaks: ["none", "dhcp"],
        instead_of: &["instance-without-address", "dnsmasq-stale-hosts-file"],
    },
    Planted {
        code: "instance-without-nic",
        sql: "UPDATE virtual_interfaces SET deleted = id WHERE id = 1;
              UPDATE fixed_ips SET instance_uuid = NULL, allocated = 0, leased = 0, virtual_interface_id = NULL
              WHERE address = '10.0.2.24'",
        row: "instances 1: MAC fa:16:3e:00:02:24, cache 10.0.2.24",
        breaks: ["none", "dhcp"],
        instead_of: &["dnsmasq-stale-hosts-file"],
    },
    Planted {
        code: "fixed-ip-outside-network",
        sql: "UPDATE networks SET cidr = '10.0.0.0/23', netmask = '255.255.254.0', broadcast = '10.0.1.255'",
        row: "address 10.0.2.24, network_id 1, range 10.0.0.0/23",
        breaks: ["dhcp", "icmp"],
        instead_of: &[],
    },
    Planted {
        code: "host-address-in-use",
        sql: "UPDATE fixed_ips SET instance_uuid = (SELECT uuid FROM instances WHERE id = 1), allocated = 1,
              virtual_interface_id = 1 WHERE address = '10.0.0.42'",
        row: "address 10.0.0.42, host compute1",
        breaks: ["arp", "arp"],
        instead_of: &[],
    },
    Planted {
        code: "group-rule-of-deleted-group",
        sql: "UPDATE security_group_rules SET cidr = NULL, group_id = 2 WHERE id = 1;
              UPDATE security_groups SET deleted = id WHERE id = 2",
        row: "security_group_rules 1: protocol icmp",
        breaks: ["icmp", "icmp"],
        instead_of: &[],
    },
    Planted {
        code: "mac-twice",
        sql: "UPDATE virtual_interfaces SET address = 'FA:16:3E:00:02:24' WHERE id = 2",
        row: "virtual_interfaces 2: MAC fa:16:3e:00:02:24",
        breaks: ["none", "dhcp"],
        instead_of: &[],
    },
    Planted {
        code: "group-membership-of-deleted-group",
        sql: "INSERT INTO security_groups (id, name, project_id, deleted) VALUES (9, 'gone', 'p', 9);
              INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted)
              SELECT 99, 9, uuid, 0 FROM instances WHERE id = 1",
        row: "security_group_instance_association 99: security_group_id 9, group gone",
        breaks: IDLE,
        instead_of: &[],
    },
    Planted {
        code: "fixed-ip-reserved-in-use",
        sql: "UPDATE fixed_ips SET reserved = 1 WHERE address = '10.0.2.24'",
        row: "address 10.0.2.24, allocated 1",
        breaks: IDLE,
        instead_of: &[],
    },
    Planted {
        code: "fixed-ip-of-other-project",
        sql: "UPDATE networks SET project_id = 'others'",
        row: "address 10.0.2.24, network novanetwork, network's project others",
        breaks: IDLE,
        instead_of: &[],
    },
    Planted {
        code: "network-mask-wrong",
        sql: "UPDATE networks SET netmask = '255.255.255.0'",
        row: "netmask 255.255.255.0",
        breaks: IDLE,
        instead_of: &[],
    },
    Planted {
        code: "float-without-project",
        sql: "UPDATE floating_ips SET project_id = NULL WHERE address = '203.0.113.30'",
        row: "floating_ips 1: address 203.0.113.30",
        breaks: IDLE,
        instead_of: &[],
    },
    Planted {
        code: "info-cache-differs",
        // Rows that were written within a minute do not count: nova writes the caches last.
        sql: "UPDATE instance_info_caches SET network_info = '[]' WHERE id = 1;
              UPDATE fixed_ips SET updated_at = '2026-01-01 00:00:00';
              UPDATE floating_ips SET updated_at = '2026-01-01 00:00:00'",
        row: "cache no fixed IP, tables 10.0.2.24",
        breaks: IDLE,
        instead_of: &[],
    },
    Planted {
        code: "info-cache-deleted",
        sql: "UPDATE instance_info_caches SET deleted = id WHERE id = 1",
        row: "instance_info_caches 1: deleted 1",
        breaks: IDLE,
        instead_of: &[],
    },
];

/// The cloud's database, and how it was.
struct Rows<'l> {
    lab: &'l TestLab,
    before: Vec<u8>,
}

impl Rows<'_> {
    fn of(lab: &TestLab) -> Rows<'_> {
        Rows { lab, before: fs::read(lab.state().join("nova.sqlite")).unwrap() }
    }

    fn change(&self, sql: &str) {
        support::sqlite(&self.lab.state().join("nova.sqlite"), &format!("PRAGMA foreign_keys = OFF; {sql}"));
    }

    fn restart(&self) {
        assert_eq!(self.lab.lab("restart", &["nova-network"]).code, 0);
    }

    /// Nobody has the file open between two commands.
    fn restore(&self) {
        fs::write(self.lab.state().join("nova.sqlite"), &self.before).unwrap();
        self.restart();
    }
}

fn codes(report: &Report) -> Vec<&str> {
    list(&report.json["findings"]).iter().map(|finding| text(&finding["code"])).collect()
}

#[track_caller]
fn told<'r>(report: &'r Report, code: &str) -> &'r Value {
    let found = list(&report.json["findings"]).iter().find(|finding| finding["code"] == code);
    found.unwrap_or_else(|| panic!("{code} is not among {:?}: {:#}", codes(report), report.json))
}

#[track_caller]
fn assert_told(report: &Report, planted: &Planted, breaks: &str) {
    let Planted { code, row, instead_of, .. } = planted;
    let finding = told(report, code);
    assert_eq!(text(&finding["exchange"]), breaks, "{code}: {:#}", report.json);
    let rows: Vec<&str> = list(&finding["evidence"]).iter().map(|line| text(&line["text"])).collect();
    assert!(rows.iter().any(|line| line.contains(row)), "{code}: {rows:?}");
    assert!(text(&finding["evidence"][0]["source"]).starts_with("SELECT "), "{finding:#}");
    assert!(!list(&finding["remedy"]).is_empty(), "{finding:#}");
    assert!(list(&finding["instances"]).contains(&Value::from("web1")), "{finding:#}");
    if breaks != "none" {
        assert_eq!(codes(report)[0], *code, "what is recorded is the cause: {:#}", report.json);
    }
    for other in *instead_of {
        assert!(!codes(report).contains(other), "{code}: {:#}", report.json);
    }
}

#[test]
fn rows_that_contradict_each_other_are_told_with_what_they_break() {
    let lab = TestLab::up_as("rw", &["--hosts", "2"]);
    let rows = Rows::of(&lab);
    let bundles = Bundles::of(&lab);
    for planted in &PLANTED {
        rows.change(planted.sql);
        assert_none(bundles.complaint(planted.code).as_slice());
        let [now, later] = planted.breaks;
        assert_told(&lab.report(&["diagnose", "web1"]), planted, now);
        let all = lab.report(&["diagnose", "--all", "--passive"]);
        let finding = told(&all, planted.code);
        assert_eq!(text(&finding["evidence"][0]["kind"]), "db", "{finding:#}");
        // Whom it hits is told it, and nobody else.
        let web2 = lab.report(&["diagnose", "web2", "--passive"]);
        let is_hit = list(&finding["instances"]).contains(&Value::from("web2"));
        assert_eq!(codes(&web2).contains(&planted.code), is_hit, "{}: {:#}", planted.code, web2.json);
        if later != now {
            rows.restart();
            assert_told(&lab.report(&["diagnose", "web1"]), planted, later);
        }
        rows.restore();
    }
    lab.report(&["diagnose", "web1"]).assert_healthy("all is as it was");
    lab.report(&["diagnose", "--all"]).assert_healthy("all is as it was");
}

/// What could not be looked for is said live and in a bundle; and so is that nobody has looked.
#[test]
fn a_bundle_says_of_which_rows_nobody_asked() {
    let lab = TestLab::up("rg");
    let rows = Rows::of(&lab);
    let bundles = Bundles::of(&lab);
    let gaps = |bundle: &Path| -> String {
        let told = bundles.ask(&["diagnose", "web1", "--json"], &[bundle]);
        let report: Value = serde_json::from_str(&told.stdout).unwrap();
        report["coverage"]["gaps"].to_string()
    };
    let asked = bundles.collect("asked.tar.zst", &[]);
    assert!(!gaps(&asked).contains(CONTRADICTIONS), "{}", gaps(&asked));
    let older = bundles.path("older.tar.zst");
    // As a hopline made it that did not ask the rows.
    rewritten(&asked, &older, |cloud| assert!(cloud.contradictions.take().is_some()));
    assert!(gaps(&older).contains(CONTRADICTIONS), "{}", gaps(&older));
    assert!(gaps(&older).contains("no bundle tells what was found in those of web1\""), "{}", gaps(&older));
    rows.change("DROP TABLE instance_info_caches");
    assert_none(bundles.complaint("a table is missing").as_slice());
    let lacking = bundles.collect("lacking.tar.zst", &[]);
    assert!(gaps(&lacking).contains("info-cache-differs"), "{}", gaps(&lacking));
    rows.restore();
}

const CONTRADICTIONS: &str = "whether the database's rows contradict each other";

/// `fixed_ips` as before Havana, without what forbids the second row of an address.
const LAX: &str = "CREATE TABLE kept AS SELECT * FROM fixed_ips; DROP TABLE fixed_ips;
    CREATE TABLE fixed_ips (created_at DATETIME, updated_at DATETIME, deleted_at DATETIME,
    id INTEGER NOT NULL PRIMARY KEY, address VARCHAR(39), network_id INTEGER, allocated BOOLEAN, leased BOOLEAN,
    reserved BOOLEAN, virtual_interface_id INTEGER, host VARCHAR(255), instance_uuid VARCHAR(36), deleted INTEGER);
    INSERT INTO fixed_ips SELECT * FROM kept; DROP TABLE kept;";

#[test]
fn two_rows_of_one_address_are_why_two_answer_for_it() {
    let lab = TestLab::up("rt");
    let rows = Rows::of(&lab);
    let second =
        "INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id,
                  instance_uuid, deleted)
                  SELECT 90001, '10.0.2.24', 1, 1, 1, 0, 2, uuid, 0 FROM instances WHERE id = 2";
    rows.change(&format!("{LAX} {second}"));
    let report = lab.report(&["diagnose", "web1"]);
    let finding = told(&report, "fixed-ip-twice");
    assert_eq!(list(&finding["evidence"]).len(), 2, "both rows: {finding:#}");
    // web2 takes its second address.
    let web2 = lab.netns("web2");
    support::printed(&["ip", "-n", &web2, "addr", "add", "10.0.2.24/16", "dev", "eth0"]);
    let report = lab.report(&["diagnose", "web1"]);
    let finding = told(&report, "fixed-ip-twice");
    assert_eq!(codes(&report)[..2], ["fixed-ip-twice", "duplicate-ip-foreign"], "{:#}", report.json);
    assert_ne!(text(&finding["exchange"]), "none");
    assert_eq!(list(&finding["instances"]), [Value::from("web1"), Value::from("web2")]);
    support::printed(&["ip", "-n", &web2, "addr", "del", "10.0.2.24/16", "dev", "eth0"]);
    rows.restore();
}

/// What nova allows is no fault of an instance that works, and is said all the same.
#[test]
fn two_floating_ips_on_one_fixed_ip_are_a_doubt() {
    let lab = TestLab::up("rf");
    let rows = Rows::of(&lab);
    rows.change(
        "UPDATE floating_ips SET host = 'compute1', project_id = (SELECT project_id FROM floating_ips WHERE id = 1),
         fixed_ip_id = (SELECT fixed_ip_id FROM floating_ips WHERE id = 1) WHERE id = 2;
         UPDATE instance_info_caches SET network_info = replace(network_info, '[{\"address\":\"203.0.113.30\",',
         '[{\"address\":\"203.0.113.31\"},{\"address\":\"203.0.113.30\",') WHERE id = 1",
    );
    rows.restart();
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nova allows it");
    let gaps = report.json["coverage"]["gaps"].to_string();
    assert!(gaps.contains("whether it is meant that 2 floating IPs share"), "{gaps}");
    rows.restore();
}

/// One dnsmasq a bridge: the hosts file is the second network's.
#[test]
fn a_second_network_on_the_bridge_is_why_a_first_ones_instances_get_no_lease() {
    let lab = TestLab::up("rb");
    let rows = Rows::of(&lab);
    rows.change(
        "INSERT INTO networks (id, injected, cidr, netmask, bridge, gateway, broadcast, dns1, dhcp_start, label,
         bridge_interface, multi_host, uuid, deleted, dhcp_server, enable_dhcp, share_address)
         VALUES (2, 0, '10.5.0.0/24', '255.255.255.0', 'br100', '10.5.0.1', '10.5.0.255', '1.2.3.4', '10.5.0.2',
         'second', 'eth1', 1, 'net-2', 0, '10.5.0.1', 1, 0);
         INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, host, deleted)
         VALUES (90002, '10.5.0.9', 2, 0, 0, 0, 'compute1', 0)",
    );
    let before = lab.report(&["diagnose", "web1"]);
    before.assert_healthy("what may be meant breaks nothing yet");
    assert!(before.json["coverage"]["gaps"].to_string().contains("network second has bridge br100"));
    rows.restart();
    let after = lab.report(&["diagnose", "web1"]);
    assert_eq!(codes(&after)[0], "network-bridge-twice", "{:#}", after.json);
    assert_eq!(text(&told(&after, "network-bridge-twice")["exchange"]), "dhcp");
    rows.restore();
}
