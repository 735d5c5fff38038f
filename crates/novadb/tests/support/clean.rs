//! A cloud in order of ten thousand instances on a hundred hosts, and as many that are gone as nova leaves them.

use std::fmt::Write;

const SCHEMA: &str = include_str!("../../src/schema.sql");
/// Rows of one INSERT.
const BATCH: u32 = 1000;
const INSTANCES: u32 = 10_000;
const HOSTS: u32 = 100;

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
    let columns = "instances (id, uuid, hostname, display_name, host, project_id, vm_state, deleted)";
    insert(&mut sql, columns, 2 * INSTANCES, |i| {
        let (state, deleted) = if i < INSTANCES { ("active", 0) } else { ("deleted", i + 1) };
        format!("({}, 'u-{i}', 'vm{i}', 'vm{i}', 'c{}', 'p{}', '{state}', {deleted})", i + 1, host(i), i % 50)
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
        let on = if is_floating(i) {
            format!("{}, 'p{}', 'c{}'", i + 1, i % 50, host(i))
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
    sql
}

fn insert(sql: &mut String, table: &str, count: u32, row: impl Fn(u32) -> String) {
    for start in (0..count).step_by(BATCH as usize) {
        let rows: Vec<String> = (start..count.min(start + BATCH)).map(&row).collect();
        writeln!(sql, "INSERT INTO {table} VALUES {};", rows.join(", ")).unwrap();
    }
}
