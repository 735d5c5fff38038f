//! # uplink-no-carrier
//!
//! The host's public link is up and has no carrier: cable out, or switch port down.
//!
//! ## What it means
//! As `uplink-down`, after a failure outside the host. Routes stay and are still used
//! (`ignore_routes_with_linkdown` is 0), so packets die at the link, not at the route.
//!
//! ## How hopline knows
//! nova.conf's `public_interface`, or the link that carries the way out, has the `UP` flag and no
//! `LOWER_UP`.
//!
//! ## What it looks like
//! `eth0: <NO-CARRIER,...,UP> state DOWN`; `ip route` shows `linkdown`; `ethtool eth0`: `Link
//! detected: no`. The drop reason `QDISC_DROP` here means "no carrier", not a shaper.
//!
//! ## Nearest look-alikes
//! * `uplink-down`: the `UP` flag is missing and the routes are gone.
//! * `ext-gateway-down`: the link has a carrier; only the gateway's neighbour entry is FAILED.
//! * an idle `virbr0`: NO-CARRIER in health.
//!
//! ## Fix
//! The cable, or the switch port. Nothing on the host mends it.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`NO-CARRIER`); ip-sysctl.rst.

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::View;

/// Looks for uplinks that are up without carrier.
pub fn check(view: &View) -> Vec<Found> {
    let dead = uplinks::all(view).into_iter().filter(|(_, link)| link.admin_up && !link.carrier);
    dead.map(|(ns, link)| {
        let name = &link.name;
        let mut evidence = vec![evidence::link(ns, link)];
        let far = uplinks::far_end(view, link);
        let beyond = far.map_or_else(
            || "the cable or the switch port it leads to is dead".to_owned(),
            |(far_ns, far)| format!("its other end, {} on {}, is down", far.name, far_ns.machine),
        );
        evidence.extend(far.map(|(far_ns, far)| evidence::link(far_ns, far)));
        let remedy = match far {
            Some((far_ns, far)) => evidence::remedy(
                far_ns,
                &format!("ip link set dev {} up", far.name),
                &format!("ip link set dev {} down", far.name),
                &format!("on {}", far_ns.machine),
            ),
            None => evidence::advice("bring the cable or the switch port up", "nothing on the host mends it"),
        };
        Fault {
            code: "uplink-no-carrier",
            hop: at(ns, name, Stage::Wire),
            summary: format!("nothing on {} reaches the outside: {name} has no carrier", ns.machine),
            cause: format!("{name} is up without carrier: {beyond}"),
            confidence: Confidence::Proven,
            evidence,
            owner: "operator",
            remedy: vec![remedy],
            instances: view.instances_on(&ns.machine),
            stopped: view.stop(|s| s.is_at(ns, name)),
            mend: vec![Mend::Carrier { machine: ns.machine.clone(), device: name.clone() }],
        }
        .found()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, minicloud};

    #[test]
    fn fires_on_an_uplink_without_carrier() {
        let found = codes(&broken("uplink-no-carrier").diagnose("web1"));
        assert_eq!(found, ["uplink-no-carrier compute1//eth0"]);
    }

    #[test]
    fn fires_where_the_far_end_cannot_be_seen() {
        let mut cloud = minicloud();
        let index = cloud.link("host", "eth0").index;
        cloud.lose_carrier("host", index);
        assert_eq!(codes(&cloud.diagnose("inst1")), ["uplink-no-carrier host//eth0"]);
    }

    #[test]
    fn stays_silent_on_an_uplink_set_down_and_on_a_dead_gateway() {
        for other in ["uplink-down", "ext-gateway-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "uplink-no-carrier"), "{other}");
        }
    }
}
