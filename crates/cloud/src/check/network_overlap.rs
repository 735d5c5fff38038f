//! # network-overlap
//!
//! Two networks have ranges that overlap.
//!
//! ## What it means
//! An address in both can be given out twice, and a host that serves both routes it to one bridge only: instances on
//! the other are cut off from it.
//!
//! ## How hopline knows
//! The prefixes of all live networks are compared, in `cidr` and in `cidr_v6`. nova refuses a network whose `cidr`
//! overlaps; rows written by hand are not asked, nor is `cidr_v6`. That is told only where the nova.conf of a host in
//! reach has `use_ipv6`: without it nova puts no prefix of IPv6 onto a bridge.
//!
//! ## What it looks like
//! Instances of one network reach their gateway, and are not reached from outside.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-twice`: single addresses stand twice.
//! * `host-subnet-overlap`: a network of the host's own is in the way.
//!
//! ## Fix
//! Move the instances off one of them, and delete it (`nova network-delete`). Undo: none.
//!
//! ## References
//! nova `network/manager.py` `_do_create_networks`; nova `network/linux_net.py` `initialize_gateway_device`.

use ipnet::IpNet;
use model::finding::Confidence;

use super::networks::{Network, Odd};
use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "networks",
    needs: &[],
    look: Look::Networks(overlapping),
    columns: &["id", "label", "range", "other", "other's range"],
    one: "the range of network {label} ({range}) overlaps that of {other} ({other's range})",
    many: "{count} networks overlap with another",
    cause: "a host routes a range to one bridge only",
    confidence: Confidence::Proven,
    repair: "SELECT COUNT(*) FROM fixed_ips WHERE network_id = {id} AND {key} IS NOT NULL AND {live}",
    note: "reads how many addresses are in use there; move them off before it is deleted",
};

/// Of IPv4 and of IPv6, each by its network's id.
fn overlapping(networks: &[Network]) -> Vec<Odd> {
    let v4 = networks.iter().filter_map(|network| Some((IpNet::V4(network.cidr?.trunc()), network)));
    let v6 = networks.iter().filter_map(|network| Some((IpNet::V6(network.cidr_v6?.trunc()), network)));
    let mut rows = of_family(v4.collect());
    rows.extend(of_family(v6.collect()));
    rows.sort_by_key(|odd| odd.networks.first().copied());
    rows
}

/// By ascending range: one that begins before the widest so far ends overlaps it.
fn of_family(mut ranges: Vec<(IpNet, &Network)>) -> Vec<Odd> {
    ranges.sort_by_key(|(range, network)| (range.network(), range.prefix_len(), network.id));
    let mut widest: Option<(IpNet, &Network)> = None;
    let mut rows = Vec::new();
    for (range, network) in ranges {
        match widest {
            Some((other, first)) if other.contains(&range) => rows.push(Odd {
                row: vec![
                    Some(network.id.to_string()),
                    network.label.clone(),
                    Some(range.to_string()),
                    first.label.clone(),
                    Some(other.to_string()),
                ],
                networks: vec![network.id, first.id],
            }),
            _ => widest = Some((range, network)),
        }
    }
    rows
}
