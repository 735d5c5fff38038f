//! `instance_info_caches` beside the tables: nova's API tells users what the cache says.
//!
//! What the tables say of an instance fits in a few octets and is kept; the caches are JSON of a kilobyte or two each,
//! and are looked at one by one as they come.

use std::collections::{HashMap, HashSet};
use std::net::Ipv4Addr;

use serde_json::Value;

use super::instance_without_nic;
use super::words::Words;
use crate::cells::Cell;
use crate::database::Session;
use crate::records::{address, number};

/// Instances at rest, with their caches. One that nova is at work with may lag behind. A cache is tied by uuid in every
/// series, whatever its column is called (in Essex `instance_id`: migrate_repo/versions/082_essex.py).
pub(super) const SQL: &str = "SELECT {c.id}, {i.id}, {key c as text}, {name i}, {brief c.network_info}, \
                              {octets c.network_info} \
                              FROM instances i JOIN instance_info_caches c ON {tie c i} AND {live c} \
                              WHERE {live i} AND {raw i.task_state} IS NULL ORDER BY c.id";

const FIXED: &str = "SELECT {i.id}, {f.address} FROM fixed_ips f JOIN instances i ON {tie i f} \
                     WHERE {live f} AND {live i} AND {yes f.allocated} AND {raw i.task_state} IS NULL";
const FLOATING: &str = "SELECT {i.id}, {fl.address} FROM floating_ips fl JOIN fixed_ips f ON f.id = fl.fixed_ip_id \
                        JOIN instances i ON {tie i f} \
                        WHERE {live fl} AND {live f} AND {live i} AND {raw i.task_state} IS NULL";
/// What was changed a moment ago: nova writes the rows, then the rules on the hosts, and the caches last.
const RECENT: [&str; 2] = [
    "SELECT {f.address} FROM fixed_ips f WHERE {live f} AND {recent f.updated_at}",
    "SELECT {fl.address} FROM floating_ips fl WHERE {live fl} AND {recent fl.updated_at}",
];

/// nova writes a kilobyte or two a NIC. What is larger is not read: a server may hold a gigabyte in a row.
pub(crate) const OCTETS_MAX: u64 = 1 << 20;

/// Fixed and floating addresses, each in ascending order.
#[derive(Default, PartialEq, Eq)]
pub(crate) struct Addresses {
    fixed: Vec<Ipv4Addr>,
    floating: Vec<Ipv4Addr>,
}

impl Addresses {
    /// In order, whatever they come in.
    pub(crate) fn sorted(mut fixed: Vec<Ipv4Addr>, mut floating: Vec<Ipv4Addr>) -> Addresses {
        fixed.sort_unstable();
        floating.sort_unstable();
        Addresses { fixed, floating }
    }

    /// They are the same but for some of these.
    fn differs_only_in(&self, other: &Addresses, some: &HashSet<Ipv4Addr>) -> bool {
        let rest = |own: &[Ipv4Addr]| -> Vec<Ipv4Addr> {
            own.iter().filter(|ip| !some.contains(ip)).copied().collect()
        };
        let both = |all: &Addresses| (rest(&all.fixed), rest(&all.floating));
        both(self) == both(other)
    }
}

/// Hands on each cache that differs.
pub(super) async fn look(
    session: &mut Session,
    words: &Words<'_>,
    mut take: impl FnMut(Vec<Cell>),
) -> Result<(), sqlx::Error> {
    let mut tables: HashMap<u64, Addresses> = HashMap::new();
    let key_and_ip = |row: &[Cell]| match row {
        [id, ip] => Some((number::<u64>(id.as_ref())?, address(ip.as_ref())?)),
        _ => None,
    };
    let take_fixed = |row: Vec<Cell>| {
        if let Some((id, ip)) = key_and_ip(&row) {
            tables.entry(id).or_default().fixed.push(ip);
        }
    };
    session.each(words.of(FIXED), take_fixed).await?;
    let take_floating = |row: Vec<Cell>| {
        if let Some((id, ip)) = key_and_ip(&row) {
            tables.entry(id).or_default().floating.push(ip);
        }
    };
    session.each(words.of(FLOATING), take_floating).await?;
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
    let none = Addresses::default();
    for addresses in tables.values_mut() {
        addresses.fixed.sort_unstable();
        addresses.floating.sort_unstable();
    }
    let compare = |row: Vec<Cell>| {
        let [id, instance_id, uuid, name, network_info, octets] = row.as_slice() else { return };
        let instance_id: Option<u64> = number(instance_id.as_ref());
        if instance_id.is_some_and(|id| bare.contains(&id)) {
            return;
        }
        let meant = instance_id.and_then(|id| tables.get(&id)).unwrap_or(&none);
        let octets: u64 = number(octets.as_ref()).unwrap_or_default();
        let is_read = octets <= OCTETS_MAX;
        let said = cached(network_info.as_deref()).filter(|_| is_read);
        if said.as_ref().is_some_and(|said| said.differs_only_in(meant, &recent)) {
            return;
        }
        if said.as_ref() != Some(meant) {
            let unreadable = if is_read {
                "no JSON that can be read".to_owned()
            } else {
                format!("{octets} octets, which no NICs fill")
            };
            let said = said.map_or(unreadable, |said| list(&said));
            take(vec![id.clone(), uuid.clone(), name.clone(), Some(said), Some(list(meant))]);
        }
    };
    session.each(words.of(SQL), compare).await
}

/// The IPv4 addresses of a cache; `None` where it is not what nova writes. An empty one has none.
pub(crate) fn cached(network_info: Option<&str>) -> Option<Addresses> {
    let text = network_info.unwrap_or_default().trim();
    if text.is_empty() {
        return Some(Addresses::default());
    }
    let info: Value = serde_json::from_str(text).ok()?;
    let mut addresses = Addresses::default();
    let ip = |value: &Value| -> Option<Ipv4Addr> {
        value.get("address").and_then(Value::as_str).and_then(|text| text.parse().ok())
    };
    for vif in info.as_array()? {
        for subnet in each(vif.get("network"), "subnets") {
            for fixed in each(Some(subnet), "ips") {
                addresses.fixed.extend(ip(fixed));
                addresses.floating.extend(each(Some(fixed), "floating_ips").filter_map(ip));
            }
        }
    }
    Some(Addresses::sorted(addresses.fixed, addresses.floating))
}

fn each<'v>(value: Option<&'v Value>, name: &str) -> impl Iterator<Item = &'v Value> {
    value.and_then(|value| value.get(name)).and_then(Value::as_array).into_iter().flatten()
}

/// The addresses in a sentence.
pub(crate) fn list(addresses: &Addresses) -> String {
    let all = |ips: &[Ipv4Addr]| ips.iter().map(Ipv4Addr::to_string).collect::<Vec<_>>().join(" ");
    let fixed = if addresses.fixed.is_empty() { "no fixed IP".to_owned() } else { all(&addresses.fixed) };
    if addresses.floating.is_empty() {
        fixed
    } else {
        format!("{fixed}, floating {}", all(&addresses.floating))
    }
}

#[cfg(test)]
mod tests {
    use super::{cached, list};

    #[test]
    fn addresses_are_read_wherever_they_stand() {
        let text = r#"[{"network": {"subnets": [{"ips": [
            {"address": "10.0.0.9", "floating_ips": []},
            {"address": "10.0.0.2", "floating_ips": [{"address": "203.0.113.1"}]},
            {"address": "fd00::2"}]}]}}, {"network": {}}]"#;
        assert_eq!(list(&cached(Some(text)).unwrap()), "10.0.0.2 10.0.0.9, floating 203.0.113.1");
        for (text, said) in
            [(None, Some("no fixed IP")), (Some("[]"), Some("no fixed IP")), (Some("[{"), None)]
        {
            assert_eq!(cached(text).map(|said| list(&said)).as_deref(), said, "{text:?}");
        }
        assert!(cached(Some("{}")).is_none(), "not a list");
    }
}
