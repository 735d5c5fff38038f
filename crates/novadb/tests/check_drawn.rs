//! Random rows of every table, as a hand may leave them: names in other letters or of blanks alone, flags without a
//! value, ids of nothing, words that are no addresses. Goal: what is found does not depend on the server. Method: the
//! same rows in SQLite, MariaDB and PostgreSQL, and every finding of the three compared, row by row.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/databases.rs"]
mod databases;
#[path = "support/planted.rs"]
mod planted;

use std::fmt::Write;

use cloud::{Clock, DatabaseUrl, ROWS_MAX};
use databases::{mariadb, postgresql};
use planted::{PATIENCE, lax_schema, run, sqlite};

/// How many clouds.
const CLOUDS: u64 = 40;
const TABLES: [&str; 10] = [
    "networks",
    "instances",
    "virtual_interfaces",
    "fixed_ips",
    "floating_ips",
    "instance_info_caches",
    "security_groups",
    "security_group_rules",
    "security_group_instance_association",
    "services",
];

/// Marsaglia's xorshift: the seed tells the cloud.
struct Dice(u64);

impl Dice {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % u64::try_from(count).unwrap()).unwrap()
    }

    fn one<'v>(&mut self, values: &[&'v str]) -> &'v str {
        values[self.below(values.len())]
    }

    fn flag(&mut self) -> &'static str {
        self.one(&["TRUE", "TRUE", "FALSE", "FALSE", "FALSE", "NULL"])
    }

    fn deleted(&mut self, id: usize) -> String {
        match self.below(8) {
            0 => id.to_string(),
            1 => "NULL".to_owned(),
            _ => "0".to_owned(),
        }
    }

    fn host(&mut self) -> &'static str {
        self.one(&[
            "NULL",
            "NULL",
            "''",
            "' '",
            "'compute1'",
            "'compute1'",
            "'Compute1'",
            "'compute1 '",
            "'netnode'",
        ])
    }

    fn project(&mut self) -> &'static str {
        self.one(&["'p1'", "'p1'", "'P1'", "'p2'", "''", "NULL"])
    }

    /// Of one of the first `count` instances, of none, or nothing.
    fn uuid(&mut self, count: usize) -> String {
        let number = self.below(count + 2);
        if number > count {
            return self.one(&["NULL", "NULL", "''", "'nobody'"]).to_owned();
        }
        let small = format!("abcdef00-0000-4000-8000-00000000000{number}");
        match self.below(8) {
            0 => format!("'{}'", small.to_ascii_uppercase()),
            1 => format!("'{}'", small.replace("abc", "aBc")),
            _ => format!("'{small}'"),
        }
    }

    fn id(&mut self, count: usize) -> String {
        if self.below(6) == 0 { "NULL".to_owned() } else { self.below(count + 2).to_string() }
    }

    fn fixed(&mut self) -> String {
        match self.below(16) {
            0 => {
                self.one(&["NULL", "''", "'nonsense'", "'10.0.0.300'", "'fd00::2'", "' 10.0.0.2'"]).to_owned()
            }
            _ => format!("'10.{}.0.{}'", self.below(2), self.below(12)),
        }
    }

    fn floating(&mut self) -> String {
        match self.below(16) {
            0 => self.one(&["NULL", "''", "'nonsense'"]).to_owned(),
            _ => format!("'203.0.113.{}'", self.below(9)),
        }
    }

    fn time(&mut self) -> &'static str {
        let times = ["NULL", "'2026-11-01 00:00:00'", "'2026-11-26 11:48:30'", "'2026-11-26 11:49:30'"];
        self.one(&[&times[..], &["'2026-11-26 11:59:30'", "'2026-11-27 00:00:00'"]].concat())
    }

    fn cache(&mut self) -> String {
        let ip = format!(r#"{{"address":{:?},"floating_ips":[]}}"#, self.fixed().trim_matches('\''));
        let nic = |network: &str| {
            format!(
                r#"[{{"address":"fa:16:3e:00:00:01","network":{{"id":"{network}","subnets":[{{"ips":[{ip}]}}]}}}}]"#
            )
        };
        match self.below(6) {
            0 => "NULL".to_owned(),
            1 => "'[]'".to_owned(),
            2 => "'nonsense'".to_owned(),
            3 => format!("'{}'", nic("net-1")),
            4 => format!("'{}'", nic("NET-1")),
            _ => format!("'{}'", nic("net-9")),
        }
    }
}

/// Every row of one cloud.
fn rows(seed: u64) -> String {
    let mut dice = Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
    let dice = &mut dice;
    let emptied = TABLES.map(|table| format!("DELETE FROM {table};\n"));
    let mut sql = emptied.concat();
    for id in 1..4 {
        let cidr = dice.one(&[
            "'10.0.0.0/24'",
            "'10.0.0.0/29'",
            "'10.1.0.0/24'",
            "'10.1.0.5/24'",
            "'nonsense'",
            "NULL",
        ]);
        let mask = dice.one(&["'255.255.255.0'", "'255.255.255.0'", "'255.255.0.0'", "NULL", "''"]);
        let values = [
            id.to_string(),
            format!("'n{id}'"),
            cidr.to_owned(),
            mask.to_owned(),
            dice.one(&["'10.0.0.255'", "NULL", "''"]).to_owned(),
            dice.one(&["'br100'", "'BR100'", "'br101'", "NULL", "''"]).to_owned(),
            dice.one(&["NULL", "100", "101"]).to_owned(),
            dice.flag().to_owned(),
            dice.flag().to_owned(),
            dice.project().to_owned(),
            dice.host().to_owned(),
            dice.one(&["NULL", "'10.0.0.2'"]).to_owned(),
            dice.one(&["NULL", "'10.0.0.1'"]).to_owned(),
            format!("'net-{id}'"),
            dice.one(&["NULL", "'fd00::/64'", "'nonsense'"]).to_owned(),
            dice.deleted(id),
        ];
        writeln!(
            sql,
            "INSERT INTO networks (id, label, cidr, netmask, broadcast, bridge, vlan, multi_host, enable_dhcp, \
             project_id, host, vpn_private_address, gateway, uuid, cidr_v6, deleted) VALUES ({});",
            values.join(", ")
        )
        .unwrap();
    }
    for id in 1..7 {
        let (host, project, deleted) = (dice.host(), dice.project(), dice.deleted(id));
        let name = dice.one(&["'web'", "'WEB'", "NULL", "''", "'it''s'"]);
        let state = dice.one(&["'active'", "'active'", "'ACTIVE'", "'active '", "'error'", "NULL"]);
        let task = dice.one(&["NULL", "NULL", "NULL", "NULL", "'deleting'", "''"]);
        let uuid = match dice.below(6) {
            0 => format!("'ABCdef00-0000-4000-8000-00000000000{id}'"),
            _ => format!("'abcdef00-0000-4000-8000-00000000000{id}'"),
        };
        writeln!(
            sql,
            "INSERT INTO instances (id, uuid, hostname, display_name, host, project_id, vm_state, task_state, deleted) \
             VALUES ({id}, {uuid}, {name}, 'd{id}', {host}, {project}, {state}, {task}, {deleted});"
        )
        .unwrap();
        let (cache, deleted) = (dice.cache(), dice.deleted(id));
        writeln!(
            sql,
            "INSERT INTO instance_info_caches (id, network_info, instance_uuid, deleted) VALUES \
             ({id}, {cache}, {}, {deleted});",
            dice.uuid(6).replace("NULL", "'nobody'")
        )
        .unwrap();
    }
    for id in 1..9 {
        let mac = dice.one(&["NULL", "''", "'no mac'", "'FA:16:3E:00:00:01'", "'fa:16:3e:00:00:01'"]);
        let mac = if dice.below(2) == 0 { mac.to_owned() } else { format!("'fa:16:3e:00:01:0{id}'") };
        writeln!(
            sql,
            "INSERT INTO virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted) VALUES \
             ({id}, {mac}, {}, 'v{id}', {}, {});",
            dice.id(3),
            dice.uuid(6),
            dice.deleted(id)
        )
        .unwrap();
    }
    for id in 1..21 {
        let (address, flags) = (dice.fixed(), [dice.flag(), dice.flag(), dice.flag()].join(", "));
        writeln!(
            sql,
            "INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, host, \
             instance_uuid, updated_at, deleted) VALUES ({id}, {address}, {}, {flags}, {}, {}, {}, {}, {});",
            dice.id(3),
            dice.id(8),
            dice.host(),
            dice.uuid(6),
            dice.time(),
            dice.deleted(id)
        )
        .unwrap();
    }
    for id in 1..11 {
        writeln!(
            sql,
            "INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, updated_at, deleted) VALUES \
             ({id}, {}, {}, {}, {}, {}, {});",
            dice.floating(),
            dice.id(20),
            dice.project(),
            dice.host(),
            dice.time(),
            dice.deleted(id)
        )
        .unwrap();
    }
    for id in 1..5 {
        writeln!(
            sql,
            "INSERT INTO security_groups (id, name, project_id, deleted) VALUES ({id}, 'g{id}', 'p1', {}); \
             INSERT INTO security_group_rules (id, parent_group_id, protocol, from_port, to_port, cidr, group_id, \
             deleted) VALUES ({id}, {}, {}, NULL, {}, {}, {}, {}); \
             INSERT INTO security_group_instance_association (id, security_group_id, instance_uuid, deleted) VALUES \
             ({id}, {}, {}, {}); \
             INSERT INTO services (id, host, \"binary\", topic, report_count, deleted) VALUES \
             ({id}, {}, {}, 't', 0, {});",
            dice.deleted(id),
            dice.id(4),
            dice.one(&["'tcp'", "NULL"]),
            dice.id(9),
            dice.one(&["NULL", "'0.0.0.0/0'"]),
            dice.id(4),
            dice.deleted(id),
            dice.id(4),
            dice.uuid(6),
            dice.deleted(id),
            dice.host(),
            dice.one(&["'nova-network'", "'nova-network'", "'Nova-Network '", "'nova-compute'"]),
            dice.deleted(id)
        )
        .unwrap();
    }
    sql
}

/// All that is found, `CODE ROW`, and what puts each right; then what a diagnosis is told.
fn found(url: &DatabaseUrl) -> Vec<String> {
    let clock = Clock { now: Some("2026-11-26 12:00:00".to_owned()), ..Clock::default() };
    let checked = cloud::check(url, PATIENCE, &clock, |_| ()).unwrap();
    assert_eq!(checked.not_looked_for, []);
    let mut lines = Vec::new();
    for inconsistency in &checked.found {
        let finding = inconsistency.finding(ROWS_MAX);
        lines.push(format!("{}: {}", finding.code, finding.summary));
        lines.extend(finding.evidence.iter().map(|line| format!("{} {}", finding.code, line.text)));
    }
    let records = cloud::read(url, PATIENCE).unwrap();
    lines.extend(records.instances.iter().map(|instance| format!("{instance:?}")));
    lines.extend(records.networks.iter().map(|network| format!("{network:?}")));
    lines.push(format!("{:?}", (records.remains.floating, records.remains.fixed)));
    lines
}

#[test]
fn no_server_finds_what_another_does_not() {
    let (_dir, file) = sqlite(&lax_schema());
    let ((_mysql, on_mysql), (_postgres, on_postgres)) = (mariadb(), postgresql());
    for url in [&on_mysql, &on_postgres] {
        run(url, &lax_schema());
    }
    let first: u64 = std::env::var("HOPLINE_SEED").map_or(1, |seed| seed.parse().unwrap());
    let mut findings = 0;
    for seed in first..first + CLOUDS {
        let sql = rows(seed);
        run(&file, &sql);
        let in_file = found(&file);
        findings += in_file.len();
        for url in [&on_mysql, &on_postgres] {
            run(url, &sql);
            let here = found(url);
            let only = |some: &[String], others: &[String]| -> Vec<String> {
                some.iter().filter(|line| !others.contains(line)).cloned().collect()
            };
            assert!(
                here == in_file,
                "HOPLINE_SEED={seed}, {url}: only here {:#?}, only in the file {:#?}, or in another order: {:?}",
                only(&here, &in_file),
                only(&in_file, &here),
                here.iter().zip(&in_file).find(|(here, there)| here != there)
            );
        }
    }
    assert!(findings > 1000, "{findings}: the clouds are too well in order");
}
