//! The rows of `networks`, for what no portable statement compares: prefixes.

use ipnet::{Ipv4Net, Ipv6Net};

use super::words::Words;
use crate::cells::Cell;
use crate::database::Session;
use crate::records::number;

/// Reads them.
pub(super) const SQL: &str = "SELECT {n.id}, {n.label}, {n.cidr}, {n.netmask}, {n.broadcast}, {n.bridge}, {n.vlan}, \
                              {n.enable_dhcp}, {n.cidr_v6} FROM networks n WHERE {live n} ORDER BY n.id";

/// A network.
pub(super) struct Network {
    pub(super) id: u64,
    pub(super) label: Cell,
    /// Its prefix, where that can be read.
    pub(super) cidr: Option<Ipv4Net>,
    /// That as it is written.
    pub(super) range: Cell,
    pub(super) netmask: Cell,
    pub(super) broadcast: Cell,
    pub(super) bridge: Cell,
    pub(super) vlan: Option<u16>,
    /// No dnsmasq serves it.
    pub(super) is_without_dhcp: bool,
    /// Its prefix of IPv6, where it has one.
    pub(super) cidr_v6: Option<Ipv6Net>,
}

/// A network that is wrong.
pub(super) struct Odd {
    /// As it is told.
    pub(super) row: Vec<Cell>,
    /// `networks.id` of all that it is about.
    pub(super) networks: Vec<u64>,
}

/// Every live network by ascending id.
pub(super) async fn read(session: &mut Session, words: &Words<'_>) -> Result<Vec<Network>, sqlx::Error> {
    let mut networks = Vec::new();
    session
        .each(words.of(SQL), |row| {
            let mut cells = row.into_iter();
            let mut next = || cells.next().flatten();
            let id = number(next().as_ref()).unwrap_or_default();
            let (label, range) = (next(), next());
            let (netmask, broadcast, bridge) = (next(), next(), next());
            networks.push(Network {
                id,
                label,
                cidr: range.as_ref().and_then(|cidr| cidr.trim().parse::<Ipv4Net>().ok()),
                range,
                // PostgreSQL's `inet` prints an address with its length.
                netmask: netmask.map(|mask| mask.trim_end_matches("/32").to_owned()),
                broadcast: broadcast.map(|address| address.trim_end_matches("/32").to_owned()),
                bridge: bridge.filter(|text| !text.is_empty()),
                vlan: number(next().as_ref()),
                is_without_dhcp: next().is_some_and(|dhcp| matches!(dhcp.as_str(), "0" | "false")),
                cidr_v6: next().and_then(|cidr| cidr.trim().parse::<Ipv6Net>().ok()),
            });
        })
        .await?;
    Ok(networks)
}

/// Every network but the first of those that have the same, each with that first one.
pub(super) fn twice<K: Ord>(
    networks: &[Network],
    key: impl Fn(&Network) -> Option<K>,
) -> Vec<(&Network, &Network)> {
    let mut first: std::collections::BTreeMap<K, &Network> = std::collections::BTreeMap::new();
    let mut twice = Vec::new();
    for network in networks {
        let Some(key) = key(network) else { continue };
        match first.get(&key) {
            Some(other) => twice.push((network, *other)),
            None => drop(first.insert(key, network)),
        }
    }
    twice
}
