//! # network-vlan-twice
//!
//! Two networks have the same VLAN.
//!
//! ## What it means
//! Their bridges hang on the same VLAN device: two projects share a layer 2, and each hears the other's DHCP.
//!
//! ## How hopline knows
//! Two live networks have the same `vlan`. Tables since Havana refuse the second.
//!
//! ## What it looks like
//! Instances get addresses of the other network.
//!
//! ## Nearest look-alikes
//! * `network-bridge-twice`: the same of bridges.
//!
//! ## Fix
//! Give one of them a free VLAN, and restart nova-network on its hosts. Undo: the old number.
//!
//! ## References
//! nova migration 185 (unique key of `vlan`).

use model::finding::Confidence;

use super::networks::{self, Network, Odd};
use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "networks",
    needs: &[],
    look: Look::Networks(doubled),
    columns: &["id", "label", "vlan", "other"],
    one: "network {label} has VLAN {vlan}, and so has {other}",
    many: "{count} networks have a VLAN that another has",
    cause: "two networks share a layer 2",
    confidence: Confidence::Proven,
    repair: "SELECT MAX(vlan) + 1 FROM networks WHERE {live}",
    note: "reads a free VLAN; setting it takes the instances of the network off the net until nova-network \
        is restarted",
};

fn doubled(networks: &[Network]) -> Vec<Odd> {
    let row = |(network, first): (&Network, &Network)| {
        let vlan = network.vlan.map(|vlan| vlan.to_string());
        let row = vec![Some(network.id.to_string()), network.label.clone(), vlan, first.label.clone()];
        Odd { row, networks: vec![network.id, first.id] }
    };
    networks::twice(networks, |network| network.vlan).into_iter().map(row).collect()
}
