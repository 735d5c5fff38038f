//! nova's tables of one moment: what lives (`deleted = 0` on every side), joined by us.
//!
//! Joins are made here and not by the server, because the columns to join on differ between nova
//! series, and because a handful of plain SELECTs is quicker than one clever one.

mod joined;
mod networks;

use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::Ipv4Net;
use model::Mac;
use model::intent::{Floating, Instance, Network, Remains, RowLack, SecurityGroup, SecurityGroupRule, Vif};
use serde::{Deserialize, Serialize};

pub use self::joined::Hosts;
pub(crate) use self::networks::{count_addresses, host_addresses};
use crate::cells::Cell;
use crate::database::Session;
use crate::database_error::{DatabaseError, classify};
use crate::remains;
use crate::schema::{self, Schema};
use crate::secret_url::DatabaseUrl;
use crate::whose::{Whose, among};

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
    /// Networks by ascending id, and behind them what older records alone tell of.
    pub networks: Vec<Network>,
    /// Rows of instances that live no more.
    pub remains: Remains,
    /// Tables of security groups that the database lacks: groups are unknown then, not empty.
    pub missing_tables: Vec<String>,
}

/// Reads all of it within the session's one transaction.
pub(crate) async fn read(session: &mut Session, url: &DatabaseUrl) -> Result<Records, DatabaseError> {
    let schema = schema_of(session, url).await?;
    everything(session, &schema, url).await.map_err(|error| classify(url, &error))
}

/// The schema, where it is nova's.
pub(crate) async fn schema_of(session: &mut Session, url: &DatabaseUrl) -> Result<Schema, DatabaseError> {
    let schema = Schema::read(session).await.map_err(|error| classify(url, &error))?;
    schema.must_be_novas(url)?;
    Ok(schema)
}

async fn everything(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
) -> Result<Records, sqlx::Error> {
    let mut records = begun(session, schema, url).await?;
    let ids = records.network_index();
    count_addresses(session, schema, &mut records.networks, &ids, "").await?;
    host_addresses(session, schema, &mut records.networks, &ids, None).await?;
    records.remains = remains::read(session, schema, &ids, None).await?;
    add(&mut records, session, schema, Whose::Everybodys).await?;
    Ok(records)
}

/// Every network, and nothing of any instance.
pub(crate) async fn begun(
    session: &mut Session,
    schema: &Schema,
    url: &DatabaseUrl,
) -> Result<Records, sqlx::Error> {
    let missing_tables = schema.missing(&schema::SECURITY).into_iter().map(str::to_owned).collect();
    let networks = networks::networks(session, schema).await?;
    Ok(Records { source: url.to_string(), networks, missing_tables, ..Records::default() })
}

/// Adds instances, with all that hangs on them.
pub(crate) async fn add(
    records: &mut Records,
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'_>,
) -> Result<(), sqlx::Error> {
    let (index, fixed) = add_addressed(records, session, schema, whose).await?;
    floating_addresses(session, schema, records, &fixed, whose).await?;
    if records.missing_tables.is_empty() {
        security_groups(session, schema, records, &index).await?;
    }
    Ok(())
}

/// Adds instances with their NICs and fixed addresses.
async fn add_addressed<'i>(
    records: &mut Records,
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'i>,
) -> Result<(Index<'i>, FixedIndex), sqlx::Error> {
    let first = records.instances.len();
    records.instances.extend(instances(session, schema, whose).await?);
    let keys = instance_keys(&records.instances, first);
    let index = Index { keys, networks: records.network_index(), whose };
    let vifs = vifs(session, schema, records, &index).await?;
    let fixed = fixed_addresses(session, schema, records, &index, &vifs).await?;
    Ok((index, fixed))
}

impl Records {
    /// Where each row of `networks` is.
    pub(crate) fn network_index(&self) -> NetworkIndex {
        self.networks.iter().enumerate().filter_map(|(at, network)| Some((network.id?, at))).collect()
    }
}

/// Where a row of `networks` went, by its id.
pub(crate) type NetworkIndex = BTreeMap<u64, usize>;
/// Where an instance went, by its uuid in small letters and, for Essex, by its number.
type InstanceIndex = BTreeMap<String, usize>;
/// What rows of other tables are placed by.
struct Index<'i> {
    keys: InstanceIndex,
    networks: NetworkIndex,
    whose: Whose<'i>,
}
/// (instance, vif) by the id of a row of another table.
type VifIndex = BTreeMap<u64, (usize, usize)>;
/// (instance, vif, address) by the id of a row of `fixed_ips`.
type FixedIndex = BTreeMap<u64, (usize, usize, Ipv4Addr)>;

async fn instances(
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'_>,
) -> Result<Vec<Instance>, sqlx::Error> {
    let columns = ["id", "uuid", "hostname", "display_name", "host", "vm_state", "task_state", "project_id"];
    let columns = schema.texts("instances", &columns);
    let live = whose.live(schema, "instances");
    let of = whose.only();
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

/// Of those that begin at `first`.
fn instance_keys(instances: &[Instance], first: usize) -> InstanceIndex {
    let keys = |(at, instance): (usize, &Instance)| {
        let number = instance.id.map(|id| (id.to_string(), at));
        let uuid = instance.uuid.as_deref().map(|uuid| (uuid.to_ascii_lowercase(), at));
        number.into_iter().chain(uuid)
    };
    instances.iter().enumerate().skip(first).flat_map(keys).collect()
}

/// Which instance a row is tied to. Letters of a uuid may be capitals, to nova's database as to us.
fn owner(keys: &InstanceIndex, key: &Cell) -> Option<usize> {
    keys.get(&key.as_ref()?.to_ascii_lowercase()).copied()
}

async fn vifs(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    Index { keys, networks, whose }: &Index<'_>,
) -> Result<VifIndex, sqlx::Error> {
    let table = "virtual_interfaces";
    let columns = schema.texts(table, &["id", "uuid", "address", "network_id", schema.instance_key(table)]);
    let (from, live, of) = (whose.from(schema, table), whose.live(schema, table), whose.only());
    let sql = format!("SELECT {columns} FROM {from} WHERE {live}{of} ORDER BY {table}.id");
    let mut index = VifIndex::new();
    for [id, uuid, mac, network, instance] in session.rows(sql).await? {
        let (Some(at), Some(id)) = (owner(keys, &instance), number(id.as_ref())) else { continue };
        let Some(instance) = records.instances.get_mut(at) else { continue };
        let mac = mac.and_then(|mac| mac.parse().ok());
        if let (Some(mac), Some(uuid)) = (mac, filled(uuid)) {
            records.vif_uuids.insert(mac, uuid);
        }
        let network = number(network.as_ref()).and_then(|id| networks.get(&id)).copied();
        index.insert(id, (at, instance.vifs.len()));
        // Until a fixed address is met.
        let lacks = RowLack::Address { vif_id: id };
        instance.vifs.push(Vif { mac, network, lacks, ..Vif::default() });
    }
    Ok(index)
}

/// Only rows that are given to an instance.
async fn fixed_addresses(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    Index { keys, networks, whose }: &Index<'_>,
    vifs: &VifIndex,
) -> Result<FixedIndex, sqlx::Error> {
    let table = "fixed_ips";
    let instance_key = schema.instance_key(table);
    let sql = format!(
        "SELECT {} FROM {} WHERE {} AND {table}.{instance_key} IS NOT NULL AND {}{} ORDER BY {table}.id",
        schema.texts(table, &["id", "address", "network_id", "virtual_interface_id", instance_key]),
        whose.from(schema, table),
        whose.live(schema, table),
        schema.is(table, "allocated", true),
        whose.only(),
    );
    let mut index = BTreeMap::new();
    let mut alone = Vec::new();
    for [id, ip, network, vif, instance] in session.rows(sql).await? {
        let Some(id) = number(id.as_ref()) else { continue };
        let network = number(network.as_ref()).and_then(|id| networks.get(&id)).copied();
        let Some(at) = owner(keys, &instance) else { continue };
        let Some(owner) = records.instances.get_mut(at) else { continue };
        let vif_id = number(vif.as_ref());
        let of_vif = vif_id.and_then(|id| vifs.get(&id)).filter(|(of, _)| *of == at);
        if let Some(vif) = of_vif.and_then(|(_, vif_at)| owner.vifs.get_mut(*vif_at)) {
            vif.lacks = RowLack::Nothing;
        }
        let Some(ip) = address(ip.as_ref()) else { continue };
        // An address whose vif is deleted or another instance's stands by itself, without a MAC.
        let vif_at = of_vif.map_or(owner.vifs.len(), |(_, vif_at)| *vif_at);
        if vif_at == owner.vifs.len() {
            owner.vifs.push(Vif::default());
            alone.push(Alone { fixed_id: id, vif_id, place: (at, vif_at) });
        }
        if let Some(vif) = owner.vifs.get_mut(vif_at) {
            vif.network = vif.network.or(network);
            vif.fixed.push(ip);
        }
        index.insert(id, (at, vif_at, ip));
    }
    alone.truncate(ALONE_MAX);
    mark_nics_that_are_gone(session, schema, records, &alone).await?;
    Ok(index)
}

/// A fixed address that none of its instance's NICs has.
struct Alone {
    fixed_id: u64,
    vif_id: Option<u64>,
    place: (usize, usize),
}

/// As many of them are looked at: one is a fault, and thousands are another story.
const ALONE_MAX: usize = 100;

/// The NIC that such an address names may live, and be another's: of that nothing is said here.
async fn mark_nics_that_are_gone(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    alone: &[Alone],
) -> Result<(), sqlx::Error> {
    let named: Vec<u64> = alone.iter().filter_map(|one| one.vif_id).collect();
    let mut living = BTreeSet::new();
    if !named.is_empty() {
        let table = "virtual_interfaces";
        let (id, live) = (schema.text(table, "id"), schema.live(table));
        let among = among(&format!("{table}.id"), named.into_iter());
        let rows: Vec<[Cell; 1]> =
            session.rows(format!("SELECT {id} FROM {table} WHERE {live}{among}")).await?;
        living.extend(rows.into_iter().filter_map(|[id]| number::<u64>(id.as_ref())));
    }
    for Alone { fixed_id, vif_id, place: (at, vif_at) } in alone {
        let vif = records.instances.get_mut(*at).and_then(|instance| instance.vifs.get_mut(*vif_at));
        if let Some(vif) = vif.filter(|_| vif_id.is_none_or(|id| !living.contains(&id))) {
            vif.lacks = RowLack::Nic { fixed_id: *fixed_id };
        }
    }
    Ok(())
}

async fn floating_addresses(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    fixed: &FixedIndex,
    whose: Whose<'_>,
) -> Result<(), sqlx::Error> {
    let columns = schema.texts("floating_ips", &["id", "address", "fixed_ip_id", "host"]);
    let live = whose.live(schema, "floating_ips");
    let of = whose.among("fixed_ip_id", fixed.keys().copied());
    let sql = format!(
        "SELECT {columns} FROM floating_ips WHERE {live} AND fixed_ip_id IS NOT NULL{of} \
         ORDER BY floating_ips.id"
    );
    for [id, ip, fixed_id, host] in session.rows(sql).await? {
        let hangs_on = number(fixed_id.as_ref()).and_then(|id| fixed.get(&id));
        let (Some(&(at, vif_at, fixed)), Some(ip)) = (hangs_on, address(ip.as_ref())) else { continue };
        if let Some(vif) = records.instances.get_mut(at).and_then(|i| i.vifs.get_mut(vif_at)) {
            let id = number(id.as_ref());
            vif.floating.push(Floating { id, address: ip, fixed, host: filled(host) });
        }
    }
    Ok(())
}

async fn security_groups(
    session: &mut Session,
    schema: &Schema,
    records: &mut Records,
    Index { keys, whose, .. }: &Index<'_>,
) -> Result<(), sqlx::Error> {
    let member = "security_group_instance_association";
    let sql = format!(
        "SELECT {}, {}, {} FROM {} \
         JOIN security_groups ON security_groups.id = {member}.security_group_id \
         WHERE {} AND {}{} ORDER BY security_groups.id",
        schema.text(member, schema.instance_key(member)),
        schema.text("security_groups", "id"),
        schema.text("security_groups", "name"),
        whose.from(schema, member),
        whose.live(schema, member),
        schema.live("security_groups"),
        whose.only(),
    );
    let members = session.rows(sql).await?;
    let groups = members.iter().filter_map(|[_, group, _]| number(group.as_ref()));
    let of = whose.among("security_group_rules.parent_group_id", groups);
    let rules = security_group_rules(session, schema, &of).await?;
    for [instance, group, name] in members {
        let owner = owner(keys, &instance).and_then(|at| records.instances.get_mut(at));
        let Some(owner) = owner else { continue };
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
    alone(cell)
}

/// The same of IPv6.
pub(crate) fn address_v6(cell: Option<&String>) -> Option<Ipv6Addr> {
    alone(cell)
}

fn alone<T: FromStr>(cell: Option<&String>) -> Option<T> {
    cell?.split('/').next()?.trim().parse().ok()
}

/// A prefix; an address without a length is a prefix of one.
pub(crate) fn prefix(cell: Option<&String>) -> Option<Ipv4Net> {
    let text = cell?.trim();
    text.parse().ok().or_else(|| text.parse::<Ipv4Addr>().ok().map(Ipv4Net::from))
}
