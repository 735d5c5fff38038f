//! A cloud in order of ten thousand instances on a hundred hosts, in every state, in security groups, and some of them
//! on a project's VLAN; and as many that are gone as nova leaves them.

use std::fmt::Write;

const SCHEMA: &str = include_str!("../../src/schema.sql");
/// Rows of one INSERT.
const BATCH: u32 = 1000;
const INSTANCES: u32 = 10_000;
const HOSTS: u32 = 100;
const PROJECTS: u32 = 50;
/// Instances on the VLAN, whose numbers follow all others'.
const ON_VLAN: u32 = 100;

/// Tables and rows.
pub(crate) fn cloud() -> String {
    let mut sql = format!("{SCHEMA}\n");
    sql.push_str(
        "INSERT INTO networks (id, label, cidr, netmask, broadcast, bridge, gateway, dhcp_start, multi_host, \
         enable_dhcp, share_address, deleted) VALUES (1, 'private', '10.0.0.0/16', '255.255.0.0', \
         '10.0.255.255', 'br100', '10.0.0.1', '10.0.0.2', TRUE, TRUE, FALSE, 0);\n",
    );
    let host = |i: u32| i % HOSTS;
    let address = |i: u32| format!("10.0.{}.{}", (i + 256) / 256, i % 256);
    let float = |i: u32| format!("203.0.{}.{}", i / 256, i % 256);
    let is_floating = |i: u32| i.is_multiple_of(2);
    insert(&mut sql, "services (id, host, \"binary\", topic, report_count, deleted)", HOSTS, |i| {
        format!("({}, 'c{i}', 'nova-network', 'network', 1, 0)", i + 1)
    });
    // Those that live, then those that are gone.
    let columns =
        "instances (id, uuid, hostname, display_name, host, project_id, vm_state, task_state, deleted)";
    insert(&mut sql, columns, 2 * INSTANCES, |i| {
        let (state, deleted) = if i < INSTANCES { (state(i), 0) } else { (GONE, i + 1) };
        let host = if is_shelved(i) { "NULL".to_owned() } else { format!("'c{}'", host(i)) };
        let names = format!("'u-{i}', 'vm{i}', 'vm{i}'");
        format!("({}, {names}, {host}, 'p{}', {state}, {deleted})", i + 1, i % PROJECTS)
    });
    let columns = "virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted)";
    insert(&mut sql, columns, 2 * INSTANCES, |i| {
        let deleted = if i < INSTANCES { 0 } else { i + 1 };
        format!("({}, 'fa:16:3e:00:{:02x}:{:02x}', 1, 'v-{i}', 'u-{i}', {deleted})", i + 1, i / 256, i % 256)
    });
    let columns = "fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, host, \
                   instance_uuid, updated_at, deleted)";
    insert(&mut sql, columns, 2 * INSTANCES, |i| {
        let (id, address) = (i + 1, address(i));
        if i < INSTANCES {
            format!(
                "({id}, '{address}', 1, TRUE, TRUE, FALSE, {id}, NULL, 'u-{i}', '2026-11-01 00:00:00', 0)"
            )
        } else if i < INSTANCES + HOSTS {
            format!("({id}, '{address}', 1, FALSE, FALSE, FALSE, NULL, 'c{}', NULL, NULL, 0)", host(i))
        } else {
            format!("({id}, '{address}', 1, FALSE, FALSE, FALSE, {id}, NULL, NULL, '2026-11-01 00:00:00', 0)")
        }
    });
    let columns = "floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, pool, deleted)";
    insert(&mut sql, columns, INSTANCES, |i| {
        // It has no host while its instance is moved from one to another.
        let host = if is_moving(i) { "NULL".to_owned() } else { format!("'c{}'", host(i)) };
        let on = if is_floating(i) {
            format!("{}, 'p{}', {host}", i + 1, i % PROJECTS)
        } else {
            "NULL, NULL, NULL".into()
        };
        format!("({}, '{}', {on}, FALSE, 'nova', 0)", i + 1, float(i))
    });
    insert(&mut sql, "instance_info_caches (id, network_info, instance_uuid, deleted)", INSTANCES, |i| {
        let floating =
            if is_floating(i) { format!("{{\"address\": \"{}\"}}", float(i)) } else { String::new() };
        format!(
            "({}, '[{{\"network\": {{\"subnets\": [{{\"ips\": [{{\"address\": \"{}\", \"floating_ips\": \
             [{floating}]}}]}}]}}}}]', 'u-{i}', 0)",
            i + 1,
            address(i)
        )
    });
    add_groups(&mut sql);
    add_vlan(&mut sql);
    sql
}

/// `vm_state` and `task_state` of what is gone.
const GONE: &str = "'deleted', NULL";

/// The same of one that lives.
fn state(i: u32) -> &'static str {
    match i % 100 {
        3 => "'shelved_offloaded', NULL",
        4 => "'active', 'resize_migrating'",
        5 => "'stopped', NULL",
        6 => "'resized', NULL",
        7 => "'error', NULL",
        8 => "'paused', NULL",
        9 => "'soft-delete', NULL",
        10 => "'active', 'rebooting'",
        _ => "'active', NULL",
    }
}

fn is_shelved(i: u32) -> bool {
    i < INSTANCES && i % 100 == 3
}

fn is_moving(i: u32) -> bool {
    i < INSTANCES && i % 100 == 4
}

/// A group a project, which everybody in it is in, and one that is gone with its rules and those who were in it.
fn add_groups(sql: &mut String) {
    insert(sql, "security_groups (id, name, project_id, deleted)", 2 * PROJECTS, |i| {
        let (name, deleted) = if i < PROJECTS { ("default", 0) } else { ("old", i + 1) };
        format!("({}, '{name}', 'p{}', {deleted})", i + 1, i % PROJECTS)
    });
    let columns =
        "security_group_rules (id, parent_group_id, protocol, from_port, to_port, cidr, group_id, deleted)";
    insert(sql, columns, 4 * PROJECTS, |i| {
        let (group, gone) = (i % PROJECTS + 1, i % PROJECTS + 1 + PROJECTS);
        let rule = match i / PROJECTS {
            0 => format!("{group}, 'tcp', 22, 22, '0.0.0.0/0', NULL, 0"),
            1 => format!("{group}, NULL, NULL, NULL, NULL, {group}, 0"),
            // A rule of one that is gone, and one whose source is gone, each with it.
            2 => format!("{gone}, 'icmp', -1, -1, '0.0.0.0/0', NULL, {}", i + 1),
            _ => format!("{group}, 'tcp', 80, 80, NULL, {gone}, {}", i + 1),
        };
        format!("({}, {rule})", i + 1)
    });
    let columns = "security_group_instance_association (id, security_group_id, instance_uuid, deleted)";
    insert(sql, columns, 2 * INSTANCES, |i| {
        let (group, deleted) =
            if i < INSTANCES { (i % PROJECTS + 1, 0) } else { (i % PROJECTS + 1 + PROJECTS, i + 1) };
        format!("({}, {group}, 'u-{i}', {deleted})", i + 1)
    });
}

/// A project's own network, which one host serves: its first addresses and its last are reserved, one for its VPN
/// instance, which has it; and the same network once more, which was deleted.
fn add_vlan(sql: &mut String) {
    let first = 2 * INSTANCES;
    let columns = "networks (id, label, cidr, netmask, broadcast, bridge, gateway, dhcp_start, vpn_private_address, \
                   vlan, project_id, host, multi_host, enable_dhcp, share_address, deleted)";
    insert(sql, columns, 2, |i| {
        format!(
            "({0}, 'vlan', '10.1.0.0/24', '255.255.255.0', '10.1.0.255', 'br101', '10.1.0.1', '10.1.0.3', \
             '10.1.0.2', 101, 'p0', 'c1', FALSE, TRUE, FALSE, {1})",
            i + 2,
            if i == 0 { 0 } else { i + 2 }
        )
    });
    let columns = "instances (id, uuid, hostname, display_name, host, project_id, vm_state, deleted)";
    insert(sql, columns, ON_VLAN, |i| {
        let (id, host) = (first + i + 1, i % HOSTS);
        format!("({id}, 'w-{i}', 'web{i}', 'web{i}', 'c{host}', 'p0', 'active', 0)")
    });
    insert(sql, "virtual_interfaces (id, address, network_id, uuid, instance_uuid, deleted)", ON_VLAN, |i| {
        format!("({}, 'fa:16:3e:01:00:{i:02x}', 2, 'x-{i}', 'w-{i}', 0)", first + i + 1)
    });
    let columns = "fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, host, \
                   instance_uuid, updated_at, deleted)";
    insert(sql, columns, 256, |last| {
        let id = first + last + 1;
        let rest = match last {
            0 | 1 | 255 => "FALSE, FALSE, TRUE, NULL, NULL, NULL".to_owned(),
            // The first is the VPN's.
            2 => format!("TRUE, TRUE, TRUE, {}, NULL, 'w-0'", first + 1),
            3..=101 => format!("TRUE, TRUE, FALSE, {}, NULL, 'w-{}'", first + last - 1, last - 2),
            _ => "FALSE, FALSE, FALSE, NULL, NULL, NULL".to_owned(),
        };
        format!("({id}, '10.1.0.{last}', 2, {rest}, '2026-11-01 00:00:00', 0)")
    });
    insert(
        sql,
        "floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, pool, deleted)",
        50,
        |i| {
            format!(
                "({0}, '198.51.100.{i}', {1}, 'p0', 'c1', FALSE, 'nova', 0)",
                first + i + 1,
                first + i + 4
            )
        },
    );
}

fn insert(sql: &mut String, table: &str, count: u32, row: impl Fn(u32) -> String) {
    for start in (0..count).step_by(BATCH as usize) {
        let rows: Vec<String> = (start..count.min(start + BATCH)).map(&row).collect();
        writeln!(sql, "INSERT INTO {table} VALUES {};", rows.join(", ")).unwrap();
    }
}
