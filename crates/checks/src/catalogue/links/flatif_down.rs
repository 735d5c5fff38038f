//! # flatif-down
//!
//! The physical link in the instances' bridge is administratively down.
//!
//! ## What it means
//! Instances of different hosts cannot reach each other; everything on the same host, and the way
//! out through the host itself, works.
//!
//! ## How hopline knows
//! nova.conf's `flat_interface` or the network's `bridge_interface` names the link, or a walk to
//! another host's instance dies at it; it lacks the `UP` flag. Its VLAN devices went down with it.
//!
//! ## What it looks like
//! `bridge link`: `eth1 ... state disabled`. No drop counter moves: the bridge has nowhere to send.
//!
//! ## Nearest look-alikes
//! * `flatif-not-enslaved`: the link is up, and no port of the bridge.
//! * `vlan-device-down`: the physical link is up, and the VLAN device on it set down.
//!
//! ## Fix
//! `ip link set eth1 up`. Undo: `ip link set eth1 down`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`eth1 master br100 state UP`); nova option
//! `flat_interface`.

use model::finding::Confidence;
use model::link::{Link, LinkKind};
use model::path::Stage;

use crate::evidence;
use crate::flat_interface::{self, FlatInterface};
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for flat interfaces that are set down: one finding a link, which may have several VLANs on it.
pub fn check(view: &View) -> Vec<Found> {
    let mut told: Vec<(&str, &str)> = Vec::new();
    let mut found = Vec::new();
    for flat in flat_interface::all(view) {
        let Some(link) = flat.set_down().filter(|link| link.kind != LinkKind::Vlan) else { continue };
        if told.contains(&(&flat.ns.machine, &link.name)) {
            continue;
        }
        told.push((&flat.ns.machine, &link.name));
        found.push(down(view, &flat, link));
    }
    found
}

fn down(view: &View, flat: &FlatInterface, link: &Link) -> Found {
    let FlatInterface { ns, link: port, bridge, source } = flat;
    let name = &link.name;
    let lower = if port.index == link.index { String::new() } else { format!(" below {}", port.name) };
    let all = flat_interface::all(view);
    let below = all.iter().filter(|f| f.set_down().is_some_and(|l| std::ptr::eq(l, link)));
    let ports = below.flat_map(|f| [f.link.name.as_str(), f.bridge.as_str()]);
    let devices: Vec<&str> = [name.as_str()].into_iter().chain(ports).collect();
    let fault = Fault {
        code: "flatif-down",
        hop: at(ns, name, Stage::Bridge),
        summary: format!("instances on {} reach no other host's: {name} is set down", ns.machine),
        cause: format!("{name}, the physical link{lower} of {bridge} ({source}), is administratively down"),
        confidence: Confidence::Proven,
        evidence: vec![evidence::link(ns, link)],
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("ip link set dev {name} up"),
            &format!("ip link set dev {name} down"),
            "",
        )],
        instances: view.instances_on(&ns.machine),
        stopped: flat_interface::stopped(view, ns, &devices),
        mend: vec![Mend::LinkUp { machine: ns.machine.clone(), device: name.clone() }],
    };
    fault.found()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, inject, lacks, minicloud};

    #[test]
    fn stops_nothing_that_the_host_itself_stops() {
        for other in ["metadata-service-down", "iptables-legacy-hidden"] {
            let mut cloud = broken("flatif-down");
            inject(&mut cloud, other);
            let named = [format!("{other} compute1//br100"), "flatif-down compute1//eth1".to_owned()];
            assert_eq!(codes(&cloud.diagnose("web1")), named);
        }
    }

    #[test]
    fn fires_on_the_flat_interface_set_down() {
        assert_eq!(codes(&broken("flatif-down").diagnose("web1")), ["flatif-down compute1//eth1"]);
    }

    #[test]
    fn finds_the_link_without_nova_conf_by_the_walk_to_the_other_host() {
        let mut cloud = minicloud();
        cloud.set_down("host", "eth1");
        assert_eq!(codes(&cloud.diagnose("inst1")), ["flatif-down host//eth1"]);
    }

    #[test]
    fn stays_silent_on_a_link_that_is_up_and_no_port() {
        assert!(lacks(&broken("flatif-not-enslaved").diagnose("web1"), "flatif-down"));
    }
}
