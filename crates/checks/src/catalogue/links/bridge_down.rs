//! # bridge-down
//!
//! The bridge of the instances is administratively down.
//!
//! ## What it means
//! Every instance of this host on this bridge loses everything: gateway, DHCP, neighbours, outside.
//! The connected route of the network is gone with it.
//!
//! ## How hopline knows
//! The bridge that an instance's NIC belongs in lacks the `UP` flag.
//!
//! ## What it looks like
//! `br100 ... state DOWN`; every frame from every port is dropped on arrival (drop reason
//! `BRIDGE_INGRESS_STP_STATE`).
//!
//! ## Nearest look-alikes
//! * a port in spanning tree's listening state: same drop reason, but the bridge is UP.
//! * an idle `virbr0`: DOWN in health, and no instance is on it.
//!
//! ## Fix
//! `ip link set br100 up`. The connected route comes back by itself. Undo: `ip link set br100 down`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`br100 state UP`); `net/bridge/br_input.c`.

use std::collections::BTreeMap;

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::{Seat, View};

/// Looks for bridges of instances that are set down: one finding a bridge.
pub fn check(view: &View) -> Vec<Found> {
    let mut down: BTreeMap<(&str, &str), Vec<Seat>> = BTreeMap::new();
    for seat in view.vifs() {
        if let Some(bridge) = seat.bridge().filter(|b| !b.admin_up) {
            down.entry((&seat.ns.machine, &bridge.name)).or_default().push(seat);
        }
    }
    let bridges = down.into_values().filter_map(|seats| {
        let first = *seats.first()?;
        let bridge = first.bridge()?;
        let up = format!("ip link set dev {} up", bridge.name);
        let undo = format!("ip link set dev {} down", bridge.name);
        let fault = Fault {
            code: "bridge-down",
            hop: at(first.ns, &bridge.name, Stage::Bridge),
            summary: format!(
                "every instance on {} of {} is cut off: the bridge is set down",
                bridge.name, first.ns.machine
            ),
            cause: format!("{} is administratively down and drops every frame", bridge.name),
            confidence: Confidence::Proven,
            evidence: vec![evidence::link(first.ns, bridge)],
            owner: "nova-network",
            remedy: vec![evidence::remedy(first.ns, &up, &undo, "")],
            instances: seats.iter().map(|s| s.instance.name.clone()).collect(),
            stopped: view
                .stop(|s| s.is_at(first.ns, &bridge.name))
                .or_else(|| view.stop(|s| s.is_in(first.ns))),
            mend: vec![Mend::LinkUp { machine: first.ns.machine.clone(), device: bridge.name.clone() }],
        };
        Some(fault.found())
    });
    bridges.collect()
}

#[cfg(test)]
mod tests {
    use model::link::PortState;

    use crate::fixture::{broken, codes, healthy};

    #[test]
    fn fires_once_on_a_bridge_set_down() {
        let cloud = broken("bridge-down");
        assert_eq!(codes(&cloud.diagnose("web1")), ["bridge-down compute1//br100"]);
        let whole = cloud.check("compute1");
        assert_eq!(codes(&whole), ["bridge-down compute1//br100"]);
        assert_eq!(whole.findings[0].instances, ["web1", "web2"]);
    }

    #[test]
    fn stays_silent_on_a_port_that_spanning_tree_still_listens_on() {
        let mut cloud = healthy();
        cloud.link("compute1", "vnet0").port.as_mut().unwrap().state = PortState::Listening;
        assert_eq!(codes(&cloud.diagnose("web1")), ["stp-forward-delay compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_on_libvirts_idle_bridge() {
        let mut cloud = healthy();
        cloud.set_down("compute1", "virbr0");
        assert_eq!(codes(&cloud.check("compute1")), Vec::<String>::new());
    }
}
