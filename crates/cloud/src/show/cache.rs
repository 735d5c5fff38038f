//! The info cache of one instance beside its rows.

use std::collections::{BTreeMap, HashSet};

use super::InfoCache;
use crate::cells::Cell;
use crate::check::{Nic, OCTETS_MAX, Said, Uuid, cached, differ, list};
use crate::database::Session;
use crate::records::{address, flag, number};
use crate::schema::Schema;
use crate::whose::{Whose, is_among};

const TABLE: &str = "instance_info_caches";

/// What it says, and whether the tables say the same now: a moment ago they may have.
pub(super) async fn read(
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'_>,
) -> Result<InfoCache, sqlx::Error> {
    if !schema.missing(&[TABLE]).is_empty() {
        return Ok(InfoCache::Absent);
    }
    let (text, live) = (schema.text(TABLE, "network_info"), schema.live(TABLE));
    let is_long = format!("OCTET_LENGTH({TABLE}.network_info) > {OCTETS_MAX}");
    let sql = format!(
        "SELECT CASE WHEN {is_long} THEN NULL ELSE {text} END, CASE WHEN {is_long} THEN '1' ELSE '0' END \
         FROM {} WHERE {live}{}",
        whose.caches(schema),
        whose.only()
    );
    let Some([said, is_long]) = session.rows(sql).await?.into_iter().next() else {
        return Ok(InfoCache::Absent);
    };
    if is_long.as_deref() == Some("1") {
        return Ok(InfoCache::Unreadable);
    }
    let Some(cache) = cached(said.as_deref()) else { return Ok(InfoCache::Unreadable) };
    let tables = by_tables(session, schema, whose).await?;
    Ok(match differ(&cache, &tables, &HashSet::new()) {
        None => InfoCache::Same(list(&cache)),
        Some([cache, tables]) => InfoCache::Differs { cache, tables },
    })
}

async fn by_tables(
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'_>,
) -> Result<Vec<Said>, sqlx::Error> {
    let networks = networks(session, schema).await?;
    let nics = nics(session, schema, whose).await?;
    let table = "fixed_ips";
    let sql = format!(
        "SELECT {} FROM {} WHERE {}{}",
        schema.texts(table, &["id", "address", "allocated", "network_id", "virtual_interface_id"]),
        whose.from(schema, table),
        schema.live(table),
        whose.only(),
    );
    let said = |[id, ip, given, network, vif]: [Cell; 5]| {
        let id: u64 = number(id.as_ref())?;
        let network: Option<u64> = number(network.as_ref());
        let nic = number::<u64>(vif.as_ref()).and_then(|vif| nics.get(&vif));
        let nic = nic.filter(|(of, _)| *of == network).map(|(_, nic)| nic.clone());
        let uuid = network.and_then(|network| networks.get(&network)).cloned();
        Some((id, Said::by_tables(address(ip.as_ref())?, flag(given.as_ref()), nic, uuid)))
    };
    let mut all: BTreeMap<u64, Said> = session.rows(sql).await?.into_iter().filter_map(said).collect();
    let sql = format!(
        "SELECT {} FROM floating_ips WHERE {} AND {}",
        schema.texts("floating_ips", &["address", "fixed_ip_id"]),
        schema.live("floating_ips"),
        is_among("floating_ips.fixed_ip_id", all.keys().copied()),
    );
    for [ip, fixed] in session.rows(sql).await? {
        let fixed = number(fixed.as_ref()).and_then(|fixed: u64| all.get_mut(&fixed));
        if let Some((fixed, ip)) = fixed.zip(address(ip.as_ref())) {
            fixed.floating.push(ip);
        }
    }
    Ok(all.into_values().collect())
}

/// By `virtual_interfaces.id`, with the network of each.
async fn nics(
    session: &mut Session,
    schema: &Schema,
    whose: Whose<'_>,
) -> Result<BTreeMap<u64, (Option<u64>, Nic)>, sqlx::Error> {
    let table = "virtual_interfaces";
    let sql = format!(
        "SELECT {} FROM {} WHERE {}{}",
        schema.texts(table, &["id", "address", "uuid", "network_id"]),
        whose.from(schema, table),
        schema.live(table),
        whose.only(),
    );
    let nic = |[id, mac, uuid, network]: [Cell; 4]| {
        let mac = mac.and_then(|mac| mac.trim().parse().ok());
        let nic = Nic { mac, uuid: Uuid::of(uuid.as_deref()) };
        Some((number(id.as_ref())?, (number(network.as_ref()), nic)))
    };
    Ok(session.rows(sql).await?.into_iter().filter_map(nic).collect())
}

/// By `networks.id`.
async fn networks(session: &mut Session, schema: &Schema) -> Result<BTreeMap<u64, Uuid>, sqlx::Error> {
    let columns = schema.texts("networks", &["id", "uuid"]);
    let sql = format!("SELECT {columns} FROM networks WHERE {}", schema.live("networks"));
    let uuid = |[id, uuid]: [Cell; 2]| Some((number(id.as_ref())?, Uuid::of(uuid.as_deref())));
    Ok(session.rows(sql).await?.into_iter().filter_map(uuid).collect())
}
