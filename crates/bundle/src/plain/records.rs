//! The cloud's records as tables (RFC 4180).

use cloud::Records;

/// A table with its name.
pub(super) fn tables(records: &Records) -> [(&'static str, String); 8] {
    let mut instances = Table::new(&["id", "uuid", "name", "host", "vm_state", "project"]);
    let mut vifs = Table::new(&["instance", "mac", "network", "fixed", "uuid"]);
    let mut fixed_ips = Table::new(&["address", "network", "instance", "mac"]);
    let mut floating = Table::new(&["address", "fixed", "host", "instance"]);
    let mut groups =
        Table::new(&["instance", "group", "protocol", "from_port", "to_port", "cidr", "source_group"]);
    for instance in &records.instances {
        let name = &instance.name;
        instances.row(&[
            text(instance.id),
            text(instance.uuid.as_ref()),
            name.clone(),
            instance.host.clone(),
            text(instance.vm_state.as_ref()),
            text(instance.project.as_ref()),
        ]);
        for vif in &instance.vifs {
            let network = label(records, vif.network);
            let fixed = vif.fixed.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ");
            let uuid = vif.mac.and_then(|mac| records.vif_uuids.get(&mac));
            vifs.row(&[name.clone(), text(vif.mac), network.clone(), fixed, text(uuid)]);
            for address in &vif.fixed {
                fixed_ips.row(&[address.to_string(), network.clone(), name.clone(), text(vif.mac)]);
            }
            for float in &vif.floating {
                let host = text(float.host.as_ref());
                floating.row(&[float.address.to_string(), float.fixed.to_string(), host, name.clone()]);
            }
        }
        for group in &instance.security_groups {
            for rule in &group.rules {
                groups.row(&[
                    name.clone(),
                    group.name.clone(),
                    text(rule.protocol.as_ref()),
                    text(rule.from_port),
                    text(rule.to_port),
                    text(rule.cidr),
                    text(rule.group.as_ref()),
                ]);
            }
        }
    }
    let names = [
        "id",
        "label",
        "cidr",
        "bridge",
        "bridge_interface",
        "vlan",
        "gateway",
        "dhcp_server",
        "multi_host",
        "share_address",
        "host",
    ];
    let mut networks = Table::new(&names);
    for network in &records.networks {
        networks.row(&[
            text(network.id),
            network.label.clone(),
            text(network.cidr),
            text(network.bridge.as_ref()),
            text(network.bridge_interface.as_ref()),
            text(network.vlan),
            text(network.gateway),
            text(network.dhcp_server),
            network.multi_host.to_string(),
            network.share_address.to_string(),
            text(network.host.as_ref()),
        ]);
    }
    let [left_fixed, left_floating] = left(records);
    [
        ("instances.csv", instances.0),
        ("virtual_interfaces.csv", vifs.0),
        ("fixed_ips.csv", fixed_ips.0),
        ("floating_ips.csv", floating.0),
        ("left_fixed_ips.csv", left_fixed.0),
        ("left_floating_ips.csv", left_floating.0),
        ("security_group_rules.csv", groups.0),
        ("networks.csv", networks.0),
    ]
}

/// Rows that hang on instances which live no more: fixed addresses, and floating ones.
fn left(records: &Records) -> [Table; 2] {
    let names = ["id", "address", "network", "allocated", "leased", "instance", "name"];
    let mut fixed = Table::new(&names);
    for row in &records.remains.fixed {
        fixed.row(&[
            row.id.to_string(),
            row.address.to_string(),
            label(records, row.network),
            row.allocated.to_string(),
            row.leased.to_string(),
            text(row.instance.as_ref()),
            text(row.name.as_ref()),
        ]);
    }
    let mut floating = Table::new(&["id", "address", "fixed", "fixed_id", "host", "instance", "name"]);
    for row in &records.remains.floating {
        floating.row(&[
            row.id.to_string(),
            row.floating.address.to_string(),
            row.floating.fixed.to_string(),
            row.fixed_id.to_string(),
            text(row.floating.host.as_ref()),
            text(row.instance.as_ref()),
            text(row.name.as_ref()),
        ]);
    }
    [fixed, floating]
}

/// What a network is called.
fn label(records: &Records, network: Option<usize>) -> String {
    text(network.and_then(|at| records.networks.get(at)).map(|network| &network.label))
}

fn text<T: ToString>(value: Option<T>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}

struct Table(String);

impl Table {
    fn new(names: &[&str]) -> Table {
        Table(format!("{}\n", names.join(",")))
    }

    fn row(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| quoted(cell)).collect();
        self.0.push_str(&cells.join(","));
        self.0.push('\n');
    }
}

fn quoted(cell: &str) -> String {
    if cell.contains(['"', ',', '\n', '\r']) {
        format!("\"{}\"", cell.replace('"', "\"\""))
    } else {
        cell.to_owned()
    }
}
