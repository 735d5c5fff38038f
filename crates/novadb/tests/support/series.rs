//! nova's tables in each of its series that had nova-network, as its migrations leave them (082_essex.py,
//! 133_folsom.py, 152 and 149 with `inet`, 216_havana.py, 231, 245, 294, 297, 299, 331, 346 and 359 of
//! nova/db/sqlalchemy/migrate_repo/versions), and a small cloud in them.

/// Oldest first.
pub(crate) const SERIES: [&str; 13] = [
    "essex", "folsom", "grizzly", "havana", "icehouse", "juno", "kilo", "liberty", "mitaka", "newton",
    "ocata", "pike", "queens",
];

/// A server's words for what nova's types are.
pub(crate) struct Types {
    time: &'static str,
    text: &'static str,
    address: &'static str,
    prefix: &'static str,
    /// The column of `services` whose name is a word of MySQL's.
    binary: &'static str,
}

pub(crate) const SQLITE: Types = Types {
    time: "DATETIME",
    text: "TEXT",
    address: "VARCHAR(39)",
    prefix: "VARCHAR(43)",
    binary: "\"binary\"",
};
pub(crate) const MYSQL: Types = Types { text: "MEDIUMTEXT", binary: "`binary`", ..SQLITE };
pub(crate) const POSTGRESQL: Types =
    Types { time: "TIMESTAMP WITHOUT TIME ZONE", address: "INET", prefix: "INET", ..SQLITE };

/// The first series that has it.
fn since(name: &str) -> usize {
    SERIES.iter().position(|series| *series == name).expect("a series")
}

/// The tables of a series, and what is in them.
pub(crate) fn cloud(series: &str, types: &Types) -> String {
    let at = since(series);
    let has = |first: &str| at >= since(first);
    let mut sql = String::new();
    for (table, columns) in TABLES {
        let mut written: Vec<String> =
            ["created_at", "updated_at", "deleted_at"].map(|name| format!("{name} {}", types.time)).into();
        for column in columns.split(", ") {
            let (column, kind) = column.split_once(' ').expect("a name and a type");
            let (kind, first) = kind.split_once(" since ").unwrap_or((kind, "essex"));
            let (kind, last) = kind.split_once(" before ").unwrap_or((kind, ""));
            if !has(first) || (!last.is_empty() && has(last)) {
                continue;
            }
            let kind = match kind {
                "key" => "INTEGER PRIMARY KEY",
                "word" => "VARCHAR(255)",
                "number" => "INTEGER",
                "flag" => "BOOLEAN",
                "mark" => {
                    if has("grizzly") {
                        "INTEGER"
                    } else {
                        "BOOLEAN"
                    }
                }
                "address" => {
                    if has("grizzly") {
                        types.address
                    } else {
                        "VARCHAR(255)"
                    }
                }
                "prefix" => {
                    if has("grizzly") {
                        types.prefix
                    } else {
                        "VARCHAR(255)"
                    }
                }
                "text" => types.text,
                "time" => types.time,
                other => panic!("{table}.{column} is of no known type {other}"),
            };
            let column = if column == "binary" { types.binary } else { column };
            written.push(format!("{column} {kind}"));
        }
        sql.push_str(&format!("CREATE TABLE {table} ({});\n", written.join(", ")));
    }
    let (key, one, two) = if has("folsom") { ("uuid", "'u-1'", "'u-2'") } else { ("id", "1", "2") };
    let cache_key = if has("folsom") { "uuid" } else { "id" };
    let gone = |id: u32| if has("grizzly") { id.to_string() } else { "TRUE".to_owned() };
    let lives = if has("grizzly") { "0" } else { "FALSE" };
    let binary = types.binary;
    sql.push_str(&format!(
        "INSERT INTO networks (id, label, cidr, netmask, broadcast, bridge, gateway, dhcp_start, multi_host, cidr_v6, \
         gateway_v6, deleted) \
         VALUES (1, 'private', '10.0.0.0/24', '255.255.255.0', '10.0.0.255', 'br100', '10.0.0.1', '10.0.0.2', TRUE, \
         'fd00:1::/64', 'fe80::1', {lives});\n\
         INSERT INTO instances (id, uuid, hostname, display_name, host, project_id, vm_state, deleted) VALUES \
         (1, 'u-1', 'web1', 'web1', 'compute1', 'p1', 'active', {lives}), \
         (2, 'u-2', 'web2', 'web2', 'compute1', 'p1', 'deleted', {});\n\
         INSERT INTO virtual_interfaces (id, address, network_id, uuid, instance_{key}, deleted) VALUES \
         (1, 'fa:16:3e:00:00:01', 1, 'v-1', {one}, {lives}), (2, 'fa:16:3e:00:00:02', 1, 'v-2', {two}, {});\n\
         INSERT INTO fixed_ips (id, address, network_id, allocated, leased, reserved, virtual_interface_id, \
         instance_{key}, updated_at, deleted) VALUES \
         (2, '10.0.0.2', 1, TRUE, TRUE, FALSE, 1, {one}, '2026-11-01 00:00:00', {lives}), \
         (3, '10.0.0.3', 1, TRUE, TRUE, FALSE, 2, {two}, '2026-11-01 00:00:00', {lives}), \
         (4, '10.0.0.4', 1, FALSE, FALSE, FALSE, NULL, NULL, NULL, {lives}), \
         (5, '10.0.0.5', 1, FALSE, FALSE, FALSE, NULL, NULL, NULL, {lives});\n\
         INSERT INTO floating_ips (id, address, fixed_ip_id, project_id, host, auto_assigned, pool, deleted) VALUES \
         (1, '203.0.113.10', 2, 'p1', 'compute1', FALSE, 'nova', {lives}), \
         (2, '203.0.113.20', 3, 'p1', 'compute1', FALSE, 'nova', {lives});\n\
         INSERT INTO instance_info_caches (id, network_info, instance_{cache_key}, deleted) VALUES (1, \
         '[{{\"network\": {{\"subnets\": [{{\"ips\": [{{\"address\": \"10.0.0.2\", \"floating_ips\": \
         [{{\"address\": \"203.0.113.10\"}}]}}]}}]}}}}]', 'u-1', {lives});\n\
         INSERT INTO security_groups (id, name, project_id, deleted) VALUES (1, 'default', 'p1', {lives});\n\
         INSERT INTO security_group_rules (id, parent_group_id, protocol, from_port, to_port, cidr, deleted) VALUES \
         (1, 1, 'tcp', 22, 22, '0.0.0.0/0', {lives});\n\
         INSERT INTO security_group_instance_association (id, security_group_id, instance_{key}, deleted) VALUES \
         (1, 1, {one}, {lives});\n\
         INSERT INTO services (id, host, {binary}, topic, report_count, disabled, deleted) VALUES \
         (1, 'compute1', 'nova-network', 'network', 1, FALSE, {lives});\n",
        gone(2),
        gone(2),
    ));
    sql
}

/// Each column with its type, and the first series that has it, or the first that has it no more.
const TABLES: [(&str, &str); 10] = [
    (
        "networks",
        "deleted mark, id key, injected flag, cidr prefix, netmask address, bridge word, gateway address, \
         broadcast address, dns1 address, vlan number, vpn_public_address address, vpn_public_port number, \
         vpn_private_address address, dhcp_start address, project_id word, host word, cidr_v6 prefix, \
         gateway_v6 address, label word, netmask_v6 address, bridge_interface word, multi_host flag, dns2 address, \
         uuid word, priority number, rxtx_base number, mtu number since juno, dhcp_server address since juno, \
         enable_dhcp flag since juno, share_address flag since juno",
    ),
    (
        "instances",
        "deleted mark, id key, internal_id number, user_id word, project_id word, image_ref word, \
         server_name word before grizzly, launch_index number, key_data text, power_state number, vm_state word, \
         memory_mb number, vcpus number, hostname word, host word, user_data text, reservation_id word, \
         scheduled_at time before ocata, launched_at time, terminated_at time, display_name word, \
         availability_zone word, locked flag, launched_on text, uuid word, access_ip_v4 address, task_state word, \
         progress number, root_gb number, cell_name word, node word since grizzly, cleaned number since havana, \
         locked_by word since havana, ephemeral_key_uuid word since icehouse",
    ),
    (
        "virtual_interfaces",
        "deleted mark, id key, address word, network_id number, uuid word, instance_id number before folsom, \
         instance_uuid word since folsom, tag word since newton",
    ),
    (
        "fixed_ips",
        "deleted mark, id key, address address, network_id number, instance_id number before folsom, \
         allocated flag, leased flag, reserved flag, virtual_interface_id number, host word, \
         instance_uuid word since folsom",
    ),
    (
        "floating_ips",
        "deleted mark, id key, address address, fixed_ip_id number, project_id word, host word, auto_assigned flag, \
         pool word, interface word",
    ),
    (
        "instance_info_caches",
        "deleted mark, id key, network_info text, instance_id word before folsom, instance_uuid word since folsom",
    ),
    ("security_groups", "deleted mark, id key, name word, description word, user_id word, project_id word"),
    (
        "security_group_rules",
        "deleted mark, id key, parent_group_id number, protocol word, from_port number, to_port number, cidr prefix, \
         group_id number",
    ),
    (
        "security_group_instance_association",
        "deleted mark, id key, security_group_id number, instance_id number before folsom, \
         instance_uuid word since folsom",
    ),
    (
        "services",
        "deleted mark, id key, host word, binary word, topic word, report_count number, disabled flag, \
         availability_zone word before grizzly, disabled_reason word since havana, last_seen_up time since liberty, \
         forced_down flag since liberty, version number since liberty, uuid word since pike",
    ),
];
