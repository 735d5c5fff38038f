//! # network-mask-wrong
//!
//! A network's netmask or broadcast address does not fit its range.
//!
//! ## What it means
//! nova builds bridges and DHCP ranges partly from `cidr` and partly from `netmask` and `broadcast`: host and
//! instances disagree who is a neighbour.
//!
//! ## How hopline knows
//! Both follow from the prefix in `cidr`, and differ from it.
//!
//! ## What it looks like
//! Instances reach some neighbours and not others.
//!
//! ## Nearest look-alikes
//! * `fixed-ip-outside-network`: addresses do not fit the range.
//!
//! ## Fix
//! Set what follows from the range, and restart nova-network on the hosts that serve it. Undo: the old values.
//!
//! ## References
//! nova `network/linux_net.py` `initialize_gateway_device`, `_calc_netmask`.

use model::finding::Confidence;

use super::networks::{Network, Odd};
use super::{Look, Spec};
use crate::cells::Cell;

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "networks",
    needs: &[],
    look: Look::Networks(contradicting),
    columns: &["id", "label", "range", "netmask", "broadcast", "right netmask", "right broadcast"],
    one: "network {label} is {range}, with netmask {netmask} and broadcast {broadcast}",
    many: "{count} networks have a netmask or broadcast address that does not fit their range",
    cause: "hosts and instances disagree who is a neighbour",
    confidence: Confidence::Proven,
    repair: "UPDATE networks SET netmask = {right netmask}, broadcast = {right broadcast} WHERE id = {id} AND \
        {cidr is range} AND {netmask is netmask} AND {broadcast is broadcast} AND {live}",
    note: "one row; nova-network must restart to follow",
};

fn contradicting(networks: &[Network]) -> Vec<Odd> {
    let differs =
        |said: &Cell, right: String| said.as_ref().is_some_and(|said| !said.is_empty() && *said != right);
    let row = |network: &Network| {
        let range = network.cidr?;
        let mask = differs(&network.netmask, range.netmask().to_string());
        let broadcast = differs(&network.broadcast, range.broadcast().to_string());
        (mask || broadcast).then(|| {
            let row = vec![
                Some(network.id.to_string()),
                network.label.clone(),
                network.range.clone(),
                network.netmask.clone(),
                network.broadcast.clone(),
                Some(range.netmask().to_string()),
                Some(range.broadcast().to_string()),
            ];
            Odd { row, networks: vec![network.id] }
        })
    };
    networks.iter().filter_map(row).collect()
}
