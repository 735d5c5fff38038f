//! nova's tables of one moment: what lives (`deleted = 0` on every side), joined by us.
//!
//! Joins are made here and not by the server, because the columns to join on differ between nova
//! series, and because a handful of plain SELECTs is quicker than one clever one.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::str::FromStr;

use ipnet::Ipv4Net;
use model::Mac;
use model::intent::{Floating, Instance, Network, Remains, SecurityGroup, SecurityGroupRule, Vif};
use serde::{Deserialize, Serialize};

use crate::cells::Cell;
use crate::database::Session;
use crate::database_error::{DatabaseError, classify};
use crate::remains;
use crate::schema::{self, Schema};
use crate::secret_url::DatabaseUrl;
use crate::whose::Whose;

/// Living instances and their networks as nova's database tells.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Records {
    /// The database's URL, without its password.
    pub source: String,
    /// Instances by ascending id. Hosts are named as nova names them, devices not at all.
    pub instances: Vec<Instance>,
    /// `virtual_interfaces.uuid`, which Newton and later name the tap after.
    pub vif_uuids: BTreeMap<Mac, String>,
    /// Networks by ascending id.
    pub networks: Vec<Network>,
    /// Rows of instances that live no more.
    pub remains: Remains,
    /// Tables of security groups that the database lacks: groups are unknown then, not empty.
    pub missing_tables: Vec<String>,
}

/// Reads all of it within the session's one transaction.
pub(crate) async fn read(session: &mut Session, url: &DatabaseUrl) -> Result<Records, DatabaseError> {
    let schema = schema_of(session, url).await?;
    of(session, &schema, url, Whose::Everybodys).await.map_err(|error| classify(url, &error))
}

/// The schema, where it is nova's.
pub(crate) async fn schema_of(session: &mut Session, url: &DatabaseUrl) -> Result<Schema, DatabaseError> {
    let schema = Schema::read(session).await.map_err(|error| classify(url, &error))?;
    schema.must_be_novas(url)?;
    Ok(schema)
}

/// What concerns everybody, or one instance: of one, neither the count of its networks' free addresses nor what is left
/// of others is read.
pub(crate) async fn of(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
    whose: Whose,
) -> Result<Records, sqlx::Error> {
    let mut records = Records { source: url.to_string(), ..Records::default() };
    records.missing_tables = schema.missing(&schema::SECURITY).into_iter().map(str::to_owned).collect();
    fill(&mut records, session, schema, whose).await?;
    Ok(records)
}

async fn fill(
    records: &mut Records,
    session: &mut Session,
    schema: &Schema,
    whose: Whose,
) -> Result<(), sqlx::Error> {
    records.networks = networks(session, schema).await?;
    let ids = records.networks.iter().enumerate().filter_map(|(at, n)| Some((n.id?, at))).collect();
    if whose == Whose::Everybodys {
        count_addresses(session, schema, &mut records.networks, &ids).await?;
        records.remains = remains::read(session, schema, &ids).await?;
    }
    records.instances = instances(session, schema, whose).await?;
    let index = Index { keys: instance_keys(&records.instances), networks: ids, whose };
    let vifs = vifs(session, schema, records, &index).await?;
    let fixed = fixed_addresses(session, schema, records, &index, &vifs).await?;
    floating_addresses(session, schema, records, &fixed, whose).await?;
    if records.missing_tables.is_empty() {
        security_groups(session, schema, records, &index).await?;
    }
    Ok(())
}

/// Where a row of `networks` went, by its id.
pub(crate) type NetworkIndex = BTreeMap<u64, usize>;
/// Where an instance went, by its uuid and, for Essex, by its number.
type InstanceIndex = BTreeMap<String, usize>;
/// What rows of other tables are placed by.
struct Index {
    keys: InstanceIndex,
    networks: NetworkIndex,
    whose: Whose,
}
/// (instance, vif) by the id of a row of another table.
type VifIndex = BTreeMap<u64, (usize, usize)>;

async fn networks(session: &mut Session, schema: &Schema) -> Result<Vec<Network>, sqlx::Error> {
    let columns = [
        "id",
        "label",
        "cidr",
        "bridge",
        "bridge_interface",
        "vlan",
        "gateway",
        "dhcp_server",
        "dhcp_start",
        "multi_host",
        "share_address",
        "host",
    ];
    let columns = schema.texts("networks", &columns);
    let live = schema.live("networks");
    let sql = format!("SELECT {columns} FROM networks WHERE {live} ORDER BY networks.id");
    let network = |row: [Cell; 12]| {
        let [
            id,
            label,
            cidr,
            bridge,
            bridge_interface,
            vlan,
            gateway,
            dhcp_server,
            dhcp_start,
            multi,
            share,
            host,
        ] = row;
        Network {
            id: number(id.as_ref()),
            label: label.unwrap_or_default(),
            cidr: prefix(cidr.as_ref()).map(|cidr| cidr.trunc()),
            bridge: filled(bridge),
            bridge_interface: filled(bridge_interface),
            vlan: number(vlan.as_ref()),
            gateway: address(gateway.as_ref()),
            dhcp_server: address(dhcp_server.as_ref()),
            dhcp_start: address(dhcp_start.as_ref()),
            multi_host: flag(multi.as_ref()),
            share_address: flag(share.as_ref()),
            host_addresses: Vec::new(),
            host: filled(host),
            free: None,
        }
    };
    Ok(session.rows(sql).await?.into_iter().map(network).collect())
}

/// Counted by the server: a /16 has 65,536 rows. What is free is what nova's own query would give
/// (nova/db/sqlalchemy/api.py `fixed_ip_associate_pool`); it does not look at `allocated`.
async fn count_addresses(
    session: &mut Session,
    schema: &Schema,
    networks: &mut [Network],
    ids: &NetworkIndex,
) -> Result<(), sqlx::Error> {
    let unreserved = schema.is("fixed_ips", "reserved", false);
    let unleased = schema.is("fixed_ips", "leased", false);
    let instance = schema.instance_key("fixed_ips");
    let free = format!("{unreserved} AND {unleased} AND {instance} IS NULL AND host IS NULL");
    let texts = ["network_id", "free", "every"].map(|count| schema.as_text(&format!("counted.{count}")));
    // Cast outside: of an expression in a larger one ONLY_FULL_GROUP_BY says that it is not grouped by.
    let sql = format!(
        "SELECT {} FROM (SELECT {network} AS network_id, SUM(CASE WHEN {free} THEN 1 ELSE 0 END) AS free, \
         SUM(CASE WHEN {unreserved} THEN 1 ELSE 0 END) AS every FROM fixed_ips WHERE {} GROUP BY {network}) counted",
        texts.join(", "),
        schema.live_of_all("fixed_ips"),
        network = schema.scanned("fixed_ips.network_id"),
    );
    for [network, free, all] in session.rows(sql).await? {
        let network =
            number(network.as_ref()).and_then(|id| ids.get(&id)).and_then(|at| networks.get_mut(*at));
        if let (Some(network), Some(free), Some(all)) = (network, number(free.as_ref()), number(all.as_ref()))
        {
            network.free = Some((free, all));
        }
    }
    Ok(())
}

async fn instances(
    session: &mut Session,
    schema: &Schema,
    whose: Whose,
) -> Result<Vec<Instance>, sqlx::Error> {
    let columns = ["id", "uuid", "hostname", "display_name", "host", "vm_state", "task_state", "project_id"];
    let columns = schema.texts("instances", &columns);
    let live = whose.live(schema, "instances");
    let of = whose.instance();
    let sql = format!("SELECT {columns} FROM instances WHERE {live}{of} ORDER BY instances.id");
    let instance = |[id, uuid, hostname, display_name, host, vm_state, task, project]: [Cell; 8]| {
        let id = number(id.as_ref());
        let libvirt_name = id.map(|id: u64| format!("instance-{id:08x}"));
        let name = filled(hostname).or(filled(display_name));
        Instance {
            id,
            name: name.or_else(|| libvirt_name.clone()).unwrap_or_default(),
            uuid: filled(uuid),
            libvirt_name,
            host: host.clone().unwrap_or_default(),
            recorded_host: filled(host),
            vm_state: filled(vm_state),
            task: filled(task),
            project: filled(project),
            ..Instance::default()
        }
    };
    Ok(session.rows(sql).await?.into_iter().map(instance).collect())
}

fn instance_keys(instances: &[Instance]) -> InstanceIndex {
    let keys = |(at, instance): (usize, &Instance)| {
        let number = instance.id.map(|id| (id.to_string(), at));
        let uuid = instance.uuid.clone().map(|uuid| (uuid, at));
        number.into_iter().chain(uuid)
    };
    instances.iter().enumerate().flat_map(keys).collect()
}

async fn vifs(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    Index { keys, networks, whose }: &Index,
) -> Result<VifIndex, sqlx::Error> {
    let table = "virtual_interfaces";
    let columns = schema.texts(table, &["id", "uuid", "address", "network_id", schema.instance_key(table)]);
    let (live, of) = (whose.live(schema, table), whose.rows_of(schema, table));
    let sql = format!("SELECT {columns} FROM {table} WHERE {live}{of} ORDER BY {table}.id");
    let mut index = VifIndex::new();
    for [id, uuid, mac, network, instance] in session.rows(sql).await? {
        let owner = instance.as_ref().and_then(|key| keys.get(key));
        let (Some(&at), Some(id)) = (owner, number(id.as_ref())) else { continue };
        let Some(instance) = records.instances.get_mut(at) else { continue };
        let mac = mac.and_then(|mac| mac.parse().ok());
        if let (Some(mac), Some(uuid)) = (mac, filled(uuid)) {
            records.vif_uuids.insert(mac, uuid);
        }
        let network = number(network.as_ref()).and_then(|id| networks.get(&id)).copied();
        index.insert(id, (at, instance.vifs.len()));
        instance.vifs.push(Vif { mac, network, ..Vif::default() });
    }
    Ok(index)
}

/// Only rows that are given to an instance or that are a host's own; (instance, vif, address) by id.
async fn fixed_addresses(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    Index { keys, networks, whose }: &Index,
    vifs: &VifIndex,
) -> Result<BTreeMap<u64, (usize, usize, Ipv4Addr)>, sqlx::Error> {
    let instance_key = schema.instance_key("fixed_ips");
    let columns = ["id", "address", "network_id", "virtual_interface_id", "host", instance_key];
    let select = format!(
        "SELECT {} FROM fixed_ips WHERE {}",
        schema.texts("fixed_ips", &columns),
        whose.live(schema, "fixed_ips"),
    );
    // Two statements, each of which has an index to go by where one instance is meant.
    let given = format!(
        "{select} AND {instance_key} IS NOT NULL AND {}{} ORDER BY fixed_ips.id",
        schema.is("fixed_ips", "allocated", true),
        whose.rows_of(schema, "fixed_ips"),
    );
    let of_hosts = format!(
        "{select} AND {instance_key} IS NULL AND host IS NOT NULL{} ORDER BY fixed_ips.id",
        whose.host_of("fixed_ips"),
    );
    let mut rows = session.rows(given).await?;
    rows.extend(session.rows(of_hosts).await?);
    let mut index = BTreeMap::new();
    for [id, ip, network, vif, host, instance] in rows {
        let (Some(id), Some(ip)) = (number(id.as_ref()), address(ip.as_ref())) else { continue };
        let network = number(network.as_ref()).and_then(|id| networks.get(&id)).copied();
        let Some(key) = instance else {
            if let (Some(network), Some(host)) = (network.and_then(|at| records.networks.get_mut(at)), host) {
                network.host_addresses.push((host, ip));
            }
            continue;
        };
        let Some(&at) = keys.get(&key) else { continue };
        let Some(owner) = records.instances.get_mut(at) else { continue };
        let of_vif = number(vif.as_ref()).and_then(|id| vifs.get(&id)).filter(|(of, _)| *of == at);
        // An address whose vif is deleted or another instance's stands by itself, without a MAC.
        let vif_at = of_vif.map_or(owner.vifs.len(), |(_, vif_at)| *vif_at);
        if vif_at == owner.vifs.len() {
            owner.vifs.push(Vif::default());
        }
        if let Some(vif) = owner.vifs.get_mut(vif_at) {
            vif.network = vif.network.or(network);
            vif.fixed.push(ip);
        }
        index.insert(id, (at, vif_at, ip));
    }
    Ok(index)
}

async fn floating_addresses(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    fixed: &BTreeMap<u64, (usize, usize, Ipv4Addr)>,
    whose: Whose,
) -> Result<(), sqlx::Error> {
    let columns = schema.texts("floating_ips", &["address", "fixed_ip_id", "host"]);
    let live = whose.live(schema, "floating_ips");
    let of = whose.among("fixed_ip_id", fixed.keys().copied());
    let sql = format!(
        "SELECT {columns} FROM floating_ips WHERE {live} AND fixed_ip_id IS NOT NULL{of} \
         ORDER BY floating_ips.id"
    );
    for [ip, fixed_id, host] in session.rows(sql).await? {
        let hangs_on = number(fixed_id.as_ref()).and_then(|id| fixed.get(&id));
        let (Some(&(at, vif_at, fixed)), Some(ip)) = (hangs_on, address(ip.as_ref())) else { continue };
        if let Some(vif) = records.instances.get_mut(at).and_then(|i| i.vifs.get_mut(vif_at)) {
            vif.floating.push(Floating { address: ip, fixed, host: filled(host) });
        }
    }
    Ok(())
}

async fn security_groups(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    Index { keys, whose, .. }: &Index,
) -> Result<(), sqlx::Error> {
    let member = "security_group_instance_association";
    let sql = format!(
        "SELECT {}, {}, {} FROM {member} \
         JOIN security_groups ON security_groups.id = {member}.security_group_id \
         WHERE {} AND {}{} ORDER BY security_groups.id",
        schema.text(member, schema.instance_key(member)),
        schema.text("security_groups", "id"),
        schema.text("security_groups", "name"),
        whose.live(schema, member),
        schema.live("security_groups"),
        whose.rows_of(schema, member),
    );
    let members = session.rows(sql).await?;
    let groups = members.iter().filter_map(|[_, group, _]| number(group.as_ref()));
    let of = whose.among("security_group_rules.parent_group_id", groups);
    let rules = security_group_rules(session, schema, &of).await?;
    for [instance, group, name] in members {
        let owner = instance.as_ref().and_then(|key| keys.get(key));
        let Some(owner) = owner.and_then(|at| records.instances.get_mut(*at)) else { continue };
        let rules = group.as_ref().and_then(|id| rules.get(id)).cloned().unwrap_or_default();
        owner.security_groups.push(SecurityGroup { name: name.unwrap_or_default(), rules });
    }
    Ok(())
}

/// Rules by their group's id, as text. A rule that nova would make no IPv4 netfilter rule of (an IPv6
/// source, neither source nor group, a deleted source group) lets nothing in and is left out:
/// nova/virt/firewall.py `instance_rules`.
async fn security_group_rules(
    session: &mut Session,
    schema: &Schema,
    of: &str,
) -> Result<BTreeMap<String, Vec<SecurityGroupRule>>, sqlx::Error> {
    let table = "security_group_rules";
    let sql = format!(
        "SELECT {}, {} FROM {table} \
         LEFT JOIN security_groups ON security_groups.id = {table}.group_id AND {} \
         WHERE {}{of} ORDER BY {table}.id",
        schema.texts(table, &["parent_group_id", "protocol", "from_port", "to_port", "cidr"]),
        schema.text("security_groups", "name"),
        schema.live("security_groups"),
        schema.live(table),
    );
    let mut rules: BTreeMap<String, Vec<SecurityGroupRule>> = BTreeMap::new();
    for [parent, protocol, from_port, to_port, cidr, source_group] in session.rows(sql).await? {
        let by_address = filled(cidr);
        let cidr = prefix(by_address.as_ref());
        let group = if by_address.is_none() { source_group } else { None };
        let (Some(parent), true) = (parent, cidr.is_some() || group.is_some()) else { continue };
        let rule = SecurityGroupRule {
            protocol: filled(protocol).map(|protocol| protocol.to_ascii_lowercase()),
            from_port: number(from_port.as_ref()),
            to_port: number(to_port.as_ref()),
            cidr,
            group,
        };
        rules.entry(parent).or_default().push(rule);
    }
    Ok(rules)
}

/// NULL and the empty string both mean "none" in nova's tables.
pub(crate) fn filled(cell: Cell) -> Option<String> {
    cell.filter(|text| !text.is_empty())
}

pub(crate) fn number<T: FromStr>(cell: Option<&String>) -> Option<T> {
    cell?.trim().parse().ok()
}

/// `1` from MySQL and SQLite, `true` from PostgreSQL.
pub(crate) fn flag(cell: Option<&String>) -> bool {
    cell.is_some_and(|text| matches!(text.as_str(), "1" | "true"))
}

/// PostgreSQL's `inet` prints a single address with `/32` once it is cast to text.
pub(crate) fn address(cell: Option<&String>) -> Option<Ipv4Addr> {
    cell?.split('/').next()?.trim().parse().ok()
}

/// A prefix; an address without a length is a prefix of one.
fn prefix(cell: Option<&String>) -> Option<Ipv4Net> {
    let text = cell?.trim();
    text.parse().ok().or_else(|| text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}
