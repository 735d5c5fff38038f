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
//! another host's instance dies at it; it lacks the `UP` flag.
//!
//! ## What it looks like
//! `bridge link`: `eth1 ... state disabled`. No drop counter moves: the bridge has nowhere to send.
//!
//! ## Nearest look-alikes
//! * `flatif-not-enslaved`: the link is up, and no port of the bridge.
//!
//! ## Fix
//! `ip link set eth1 up`. Undo: `ip link set eth1 down`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`eth1 master br100 state UP`); nova option
//! `flat_interface`.

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::flat_interface::{self, FlatInterface};
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for flat interfaces that are set down.
pub fn check(view: &View) -> Vec<Found> {
    let down = flat_interface::all(view).into_iter().filter(|flat| !flat.link.admin_up);
    down.map(|FlatInterface { ns, link, bridge, source }| {
        let name = &link.name;
        Fault {
            code: "flatif-down",
            hop: at(ns, name, Stage::Bridge),
            summary: format!("instances on {} reach no other host's: {name} is set down", ns.machine),
            cause: format!("{name}, the physical link of {bridge} ({source}), is administratively down"),
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
            stopped: view.stop(|s| s.is_at(ns, name) || s.is_at(ns, &bridge)),
            mend: vec![Mend::LinkUp { machine: ns.machine.clone(), device: name.clone() }],
        }
        .found()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, minicloud};

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
