//! `instance_info_caches` beside the tables: nova's API tells users what the cache says.
//!
//! What the tables say of an instance fits in a few octets and is kept; the caches are JSON of a kilobyte or two each,
//! and are looked at one by one as they come.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use super::cached::{Nic, Said, Uuid, cached, differ, list};
use super::instance_without_nic;
use super::words::Words;
use crate::cells::Cell;
use crate::database::Session;
use crate::records::{address, flag, number};

/// Instances at rest, with their caches. One that nova is at work with may lag behind. A cache is tied by uuid in every
/// series, whatever its column is called (in Essex `instance_id`: migrate_repo/versions/082_essex.py).
pub(super) const SQL: &str = "SELECT {c.id}, {i.id}, {key c as text}, {name i}, {brief c.network_info}, \
                              {octets c.network_info} \
                              FROM instances i JOIN instance_info_caches c ON {tie c i} AND {live c} \
                              WHERE {live i} AND {raw i.task_state} IS NULL{and c} ORDER BY c.id";

/// Every fixed IP that is tied to one of them, given or given back, with its NIC and its network where these are there
/// and go together.
pub(super) const FIXED: &str = "SELECT {i.id}, {f.id}, {f.address}, {flag f.allocated}, {v.id}, {v.address}, \
                                {v.uuid}, {n.id}, {n.uuid} FROM fixed_ips f JOIN instances i ON {tie i f} \
                                LEFT JOIN virtual_interfaces v ON v.id = f.virtual_interface_id AND {live v} \
                                AND {tie v i} AND v.network_id = f.network_id \
                                LEFT JOIN networks n ON n.id = f.network_id AND {live n} \
                                WHERE {live f} AND {live i} AND {raw i.task_state} IS NULL{and f}";
pub(super) const FLOATING: &str = "SELECT {i.id}, {f.id}, {fl.address} FROM floating_ips fl \
                                   JOIN fixed_ips f ON f.id = fl.fixed_ip_id JOIN instances i ON {tie i f} \
                                   WHERE {live fl} AND {live f} AND {live i} AND {raw i.task_state} IS NULL{and fl}";
/// What was changed a moment ago: nova writes the rows, then the rules on the hosts, and the caches last.
const RECENT: [&str; 2] = [
    "SELECT {f.address} FROM fixed_ips f WHERE {live f} AND {recent f.updated_at}{and f}",
    "SELECT {fl.address} FROM floating_ips fl WHERE {live fl} AND {recent fl.updated_at}{and fl}",
];

/// nova writes a kilobyte or two a NIC. What is larger is not read: a server may hold a gigabyte in a row.
pub(crate) const OCTETS_MAX: u64 = 1 << 20;

/// By `instances.id`: what the tables say, and of which row of `fixed_ips` each is.
type Tables = HashMap<u64, (Vec<u64>, Vec<Said>)>;

/// Hands on each cache that differs.
pub(super) async fn look(
    session: &mut Session,
    words: &Words<'_>,
    mut take: impl FnMut(Vec<Cell>),
) -> Result<(), sqlx::Error> {
    let tables = tables(session, words).await?;
    let mut recent: HashSet<Ipv4Addr> = HashSet::new();
    for sql in RECENT {
        session
            .each(words.of(sql), |row| recent.extend(address(row.first().and_then(Option::as_ref))))
            .await?;
    }
    // Of these it is told that they have lost their NICs, of which nothing but the cache is left.
    let mut bare: HashSet<u64> = HashSet::new();
    let take_bare = |row: Vec<Cell>| bare.extend(number::<u64>(row.first().and_then(Option::as_ref)));
    instance_without_nic::look(session, words, take_bare).await?;
    let compare = |row: Vec<Cell>| {
        let [id, instance_id, uuid, name, network_info, octets] = row.as_slice() else { return };
        let instance_id: Option<u64> = number(instance_id.as_ref());
        if instance_id.is_some_and(|id| bare.contains(&id)) {
            return;
        }
        let meant = instance_id.and_then(|id| tables.get(&id)).map_or(&[][..], |(_, said)| said);
        let octets: u64 = number(octets.as_ref()).unwrap_or_default();
        let is_read = octets <= OCTETS_MAX;
        let both = match cached(network_info.as_deref()).filter(|_| is_read) {
            Some(said) => differ(&said, meant, &recent),
            None if is_read => Some(["no JSON that can be read".to_owned(), list(meant)]),
            None => Some([format!("{octets} octets, which no NICs fill"), list(meant)]),
        };
        if let Some([said, meant]) = both {
            take(vec![id.clone(), uuid.clone(), name.clone(), Some(said), Some(meant)]);
        }
    };
    session.each(words.of(SQL), compare).await
}

async fn tables(session: &mut Session, words: &Words<'_>) -> Result<Tables, sqlx::Error> {
    let mut tables = Tables::new();
    let take_fixed = |row: Vec<Cell>| {
        let [instance, row, ip, given, vif, mac, uuid, network, network_uuid] = row.as_slice() else {
            return;
        };
        let keys = number::<u64>(instance.as_ref()).zip(number::<u64>(row.as_ref()));
        let (Some((instance, row)), Some(ip)) = (keys, address(ip.as_ref())) else { return };
        let nic = vif.as_ref().map(|_| Nic {
            mac: mac.as_deref().and_then(|mac| mac.trim().parse().ok()),
            uuid: Uuid::of(uuid.as_deref()),
        });
        let network = network.as_ref().map(|_| Uuid::of(network_uuid.as_deref()));
        let (rows, said) = tables.entry(instance).or_default();
        rows.push(row);
        said.push(Said::by_tables(ip, flag(given.as_ref()), nic, network));
    };
    session.each(words.of(FIXED), take_fixed).await?;
    let take_floating = |row: Vec<Cell>| {
        let [instance, row, ip] = row.as_slice() else { return };
        let keys = number::<u64>(instance.as_ref()).zip(number::<u64>(row.as_ref()));
        let (Some((instance, row)), Some(ip)) = (keys, address(ip.as_ref())) else { return };
        let Some((rows, said)) = tables.get_mut(&instance) else { return };
        let hangs_on = rows.iter().zip(said).find(|(known, _)| **known == row);
        if let Some((_, said)) = hangs_on {
            said.floating.push(ip);
        }
    };
    session.each(words.of(FLOATING), take_floating).await?;
    Ok(tables)
}
