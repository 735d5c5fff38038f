//! Reads what lives.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::str::FromStr;

use crate::rows::{Cloud, Fixed, Floating, Group, GroupRule, Instance, Network, Service, Vif};
use crate::sql::{Cell, Work};
use crate::{Database, DbError};

impl Database {
    /// Everything that lives, at one moment.
    pub fn read(&self) -> Result<Cloud, DbError> {
        self.work(async |work| cloud(work).await)
    }
}

/// Everything that lives, as this transaction sees it.
pub(crate) async fn cloud(work: &mut Work) -> Result<Cloud, DbError> {
    Ok(Cloud {
        networks: networks(work).await?,
        instances: instances(work).await?,
        floating: floating(work).await?,
        groups: groups(work).await?,
        services: services(work).await?,
    })
}

/// A value of a row in its own type; what it is not is said with the table.
pub(crate) fn value<T>(work: &Work, table: &'static str, cell: Option<&String>) -> Result<T, DbError>
where
    T: FromStr,
    T::Err: Display,
{
    let damaged = |why: String| DbError::Damaged { database: work.database(), table, why };
    let text = cell.ok_or_else(|| damaged("a value is missing".to_owned()))?;
    text.parse().map_err(|e: T::Err| damaged(format!("{text:?}: {e}")))
}

fn optional<T>(work: &Work, table: &'static str, cell: Option<&String>) -> Result<Option<T>, DbError>
where
    T: FromStr,
    T::Err: Display,
{
    match cell.filter(|text| !text.is_empty()) {
        Some(text) => value(work, table, Some(text)).map(Some),
        None => Ok(None),
    }
}

/// MySQL and SQLite have numbers for truth, PostgreSQL words.
pub(crate) fn flag(cell: Option<&String>) -> bool {
    cell.is_some_and(|text| matches!(text.as_str(), "1" | "true" | "t"))
}

fn word(cell: Option<&String>) -> String {
    cell.cloned().unwrap_or_default()
}

async fn networks(work: &mut Work) -> Result<Vec<Network>, DbError> {
    let rows: Vec<[Cell; 16]> = work
        .rows(
            "SELECT {text:id}, uuid, label, cidr, bridge, bridge_interface, {text:vlan}, gateway, dhcp_server, \
             dhcp_start, dns1, {text:multi_host}, {text:share_address}, project_id, host, vpn_private_address \
             FROM networks WHERE deleted = 0 ORDER BY id",
            &[],
        )
        .await?;
    let own: Vec<[Cell; 3]> = work
        .rows(
            "SELECT {text:network_id}, host, address FROM fixed_ips WHERE deleted = 0 AND host IS NOT NULL \
             ORDER BY id",
            &[],
        )
        .await?;
    let mut networks = Vec::new();
    for row in rows {
        let cell = |at: usize| row.get(at).and_then(Option::as_ref);
        let table = "networks";
        let id: u64 = value(work, table, cell(0))?;
        let mut host_addresses = Vec::new();
        for [network, host, address] in &own {
            if value::<u64>(work, "fixed_ips", network.as_ref())? == id {
                host_addresses.push((word(host.as_ref()), value(work, "fixed_ips", address.as_ref())?));
            }
        }
        networks.push(Network {
            id,
            uuid: word(cell(1)),
            label: word(cell(2)),
            cidr: value(work, table, cell(3))?,
            bridge: word(cell(4)),
            bridge_interface: cell(5).cloned(),
            vlan: optional(work, table, cell(6))?,
            gateway: optional(work, table, cell(7))?,
            dhcp_server: optional(work, table, cell(8))?,
            dhcp_start: value(work, table, cell(9))?,
            dns1: optional(work, table, cell(10))?,
            multi_host: flag(cell(11)),
            share_address: flag(cell(12)),
            project: cell(13).cloned(),
            host: cell(14).cloned(),
            vpn_private_address: optional(work, table, cell(15))?,
            host_addresses,
        });
    }
    Ok(networks)
}

async fn instances(work: &mut Work) -> Result<Vec<Instance>, DbError> {
    let mut vifs = vifs(work).await?;
    let mut groups: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let associations: Vec<[Cell; 2]> = work
        .rows(
            "SELECT instance_uuid, {text:security_group_id} FROM security_group_instance_association \
             WHERE deleted = 0 ORDER BY id",
            &[],
        )
        .await?;
    for [uuid, group] in associations {
        let group = value(work, "security_group_instance_association", group.as_ref())?;
        groups.entry(word(uuid.as_ref())).or_default().push(group);
    }
    let rows: Vec<[Cell; 7]> = work
        .rows(
            "SELECT {text:id}, uuid, hostname, host, project_id, vm_state, {text:power_state} FROM instances \
             WHERE deleted = 0 ORDER BY id",
            &[],
        )
        .await?;
    let mut instances = Vec::new();
    for [id, uuid, hostname, host, project, vm_state, power_state] in rows {
        let uuid = word(uuid.as_ref());
        instances.push(Instance {
            id: value(work, "instances", id.as_ref())?,
            name: word(hostname.as_ref()),
            host: word(host.as_ref()),
            project: word(project.as_ref()),
            vm_state: word(vm_state.as_ref()),
            power_state: optional(work, "instances", power_state.as_ref())?.unwrap_or_default(),
            vifs: vifs.remove(&uuid).unwrap_or_default(),
            groups: groups.remove(&uuid).unwrap_or_default(),
            uuid,
        });
    }
    Ok(instances)
}

/// NICs with their addresses, by their instance's uuid.
async fn vifs(work: &mut Work) -> Result<BTreeMap<String, Vec<Vif>>, DbError> {
    let rows: Vec<[Cell; 5]> = work
        .rows(
            "SELECT {text:id}, {text:virtual_interface_id}, address, {text:allocated}, {text:leased} \
             FROM fixed_ips WHERE deleted = 0 AND instance_uuid IS NOT NULL AND virtual_interface_id IS NOT NULL \
             ORDER BY id",
            &[],
        )
        .await?;
    let mut fixed: BTreeMap<u64, Vec<Fixed>> = BTreeMap::new();
    for [id, vif, address, allocated, leased] in rows {
        let vif = value(work, "fixed_ips", vif.as_ref())?;
        fixed.entry(vif).or_default().push(Fixed {
            id: value(work, "fixed_ips", id.as_ref())?,
            address: value(work, "fixed_ips", address.as_ref())?,
            allocated: flag(allocated.as_ref()),
            leased: flag(leased.as_ref()),
        });
    }
    let rows: Vec<[Cell; 5]> = work
        .rows(
            "SELECT {text:id}, uuid, address, {text:network_id}, instance_uuid FROM virtual_interfaces \
             WHERE deleted = 0 ORDER BY id",
            &[],
        )
        .await?;
    let mut vifs: BTreeMap<String, Vec<Vif>> = BTreeMap::new();
    for [id, uuid, mac, network, instance] in rows {
        let id = value(work, "virtual_interfaces", id.as_ref())?;
        vifs.entry(word(instance.as_ref())).or_default().push(Vif {
            id,
            uuid: word(uuid.as_ref()),
            mac: value(work, "virtual_interfaces", mac.as_ref())?,
            network_id: value(work, "virtual_interfaces", network.as_ref())?,
            fixed: fixed.remove(&id).unwrap_or_default(),
        });
    }
    Ok(vifs)
}

async fn floating(work: &mut Work) -> Result<Vec<Floating>, DbError> {
    let rows: Vec<[Cell; 8]> = work
        .rows(
            "SELECT {text:floating_ips.id}, floating_ips.address, fixed_ips.address, {text:fixed_ip_id}, \
             project_id, floating_ips.host, pool, interface FROM floating_ips \
             LEFT JOIN fixed_ips ON fixed_ips.id = floating_ips.fixed_ip_id AND fixed_ips.deleted = 0 \
             WHERE floating_ips.deleted = 0 ORDER BY floating_ips.id",
            &[],
        )
        .await?;
    let mut floating = Vec::new();
    for [id, address, fixed, fixed_ip_id, project, host, pool, interface] in rows {
        let table = "floating_ips";
        floating.push(Floating {
            id: value(work, table, id.as_ref())?,
            address: value(work, table, address.as_ref())?,
            fixed: optional(work, table, fixed.as_ref())?,
            fixed_ip_id: optional(work, table, fixed_ip_id.as_ref())?,
            project,
            host,
            pool: word(pool.as_ref()),
            interface,
        });
    }
    Ok(floating)
}

async fn groups(work: &mut Work) -> Result<Vec<Group>, DbError> {
    let rows: Vec<[Cell; 7]> = work
        .rows(
            "SELECT {text:id}, {text:parent_group_id}, protocol, {text:from_port}, {text:to_port}, cidr, \
             {text:group_id} FROM security_group_rules WHERE deleted = 0 ORDER BY id",
            &[],
        )
        .await?;
    let table = "security_group_rules";
    let mut rules: BTreeMap<u64, Vec<GroupRule>> = BTreeMap::new();
    for [id, parent, protocol, from_port, to_port, cidr, group] in rows {
        rules.entry(value(work, table, parent.as_ref())?).or_default().push(GroupRule {
            id: value(work, table, id.as_ref())?,
            protocol,
            from_port: optional(work, table, from_port.as_ref())?,
            to_port: optional(work, table, to_port.as_ref())?,
            cidr: optional(work, table, cidr.as_ref())?,
            group: optional(work, table, group.as_ref())?,
        });
    }
    let rows: Vec<[Cell; 3]> = work
        .rows("SELECT {text:id}, name, project_id FROM security_groups WHERE deleted = 0 ORDER BY id", &[])
        .await?;
    let mut groups = Vec::new();
    for [id, name, project] in rows {
        let id = value(work, "security_groups", id.as_ref())?;
        groups.push(Group {
            id,
            name: word(name.as_ref()),
            project: word(project.as_ref()),
            rules: rules.remove(&id).unwrap_or_default(),
        });
    }
    Ok(groups)
}

async fn services(work: &mut Work) -> Result<Vec<Service>, DbError> {
    let rows: Vec<[Cell; 2]> =
        work.rows("SELECT host, {text:binary} FROM services WHERE deleted = 0 ORDER BY id", &[]).await?;
    let service =
        |[host, binary]: [Cell; 2]| Service { host: word(host.as_ref()), binary: word(binary.as_ref()) };
    Ok(rows.into_iter().map(service).collect())
}
