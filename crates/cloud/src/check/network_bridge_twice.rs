//! # network-bridge-twice
//!
//! Two networks have the same bridge.
//!
//! ## What it means
//! nova runs one dnsmasq a bridge, with one file of hosts and one of its process: the second network's takes the
//! place of the first's, whose instances get no leases any more.
//!
//! ## How hopline knows
//! Two live networks with DHCP have the same `bridge`. FlatManager runs no dnsmasq and may do so rightly; the
//! database does not tell the manager, so it is only possible.
//!
//! ## What it looks like
//! After a second network was made, instances of the first lose their addresses one by one.
//!
//! ## Nearest look-alikes
//! * `network-vlan-twice`: the same of VLANs.
//! * `dnsmasq-wrong-subnet`: what it looks like on the host.
//!
//! ## Fix
//! Give one of them a bridge of its own, and restart nova-network on its hosts. Undo: the old name.
//!
//! ## References
//! nova `network/linux_net.py` `_dhcp_file`, `restart_dhcp`.

use model::finding::Confidence;

use super::networks::{self, Network, Odd};
use super::{Look, Spec};

/// What is looked for, and what is said of it.
pub(super) const SPEC: Spec = Spec {
    table: "networks",
    needs: &[],
    look: Look::Networks(doubled),
    columns: &["id", "label", "bridge", "other"],
    one: "network {label} has bridge {bridge}, and so has {other}",
    many: "{count} networks have a bridge that another has",
    cause: "one dnsmasq a bridge serves one of them",
    confidence: Confidence::Possible,
    repair: "SELECT address, {key} FROM fixed_ips WHERE network_id = {id} AND {key} IS NOT NULL AND {live}",
    note: "reads who is on the network; another bridge takes them off the net until they are plugged into it",
};

fn doubled(networks: &[Network]) -> Vec<Odd> {
    let row = |(network, first): (&Network, &Network)| {
        let (id, bridge) = (network.id.to_string(), network.bridge.clone());
        let row = vec![Some(id), network.label.clone(), bridge, first.label.clone()];
        Odd { row, networks: vec![network.id, first.id] }
    };
    let bridge = |network: &Network| network.bridge.clone().filter(|_| !network.is_without_dhcp);
    networks::twice(networks, bridge).into_iter().map(row).collect()
}
