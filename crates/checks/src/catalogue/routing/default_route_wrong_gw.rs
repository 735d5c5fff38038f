//! # default-route-wrong-gw
//!
//! The host's default route leads to a gateway that does not exist.
//!
//! ## What it means
//! Everything for the outside is sent to an address that nobody on the segment has: ARP fails, and
//! after about 3 s the host itself answers `Destination Host Unreachable`.
//!
//! ## How hopline knows
//! No machine of the site carries the gateway's address, the host has no MAC for it, and a router of
//! the site, or another host's default route, names another gateway in the same subnet.
//!
//! ## What it looks like
//! `ip neigh`: `203.0.113.254 dev eth0 FAILED`; the real gateway answers ping.
//!
//! ## Nearest look-alikes
//! * `ext-gateway-down`: the right gateway, and it does not answer.
//! * a second router that the site file does not name: it answers ARP, so the host has its MAC.
//!
//! ## Fix
//! `ip route replace default via GATEWAY`. Undo: the same with the old address.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting".

use std::net::IpAddr;

use model::finding::Confidence;
use model::path::Stage;
use model::route::Neighbour;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::View;

/// Looks for default gateways that nobody has while the site names another.
pub fn check(view: &View) -> Vec<Found> {
    let astray = uplinks::all(view).into_iter().filter_map(|(ns, link)| {
        let (via, out) = uplinks::default_via(ns)?;
        let meant = uplinks::meant_gateway(view, ns, link)?;
        let answers = |n: &Neighbour| n.ip == IpAddr::V4(via) && n.mac.is_some() && n.state.is_valid();
        let somebody = view.world.owner_of_ip(via.into()).is_some() || ns.neighbours.iter().any(answers);
        let nobody = out == link.index && via != meant && !somebody;
        nobody.then_some((ns, link, via, meant))
    });
    astray
        .map(|(ns, link, via, meant)| {
            let name = &link.name;
            let mut evidence = vec![evidence::state(ns, "ip route show default", uplinks::default_text(ns))];
            evidence.push(evidence::neighbour(ns, link, via));
            Fault {
                code: "default-route-wrong-gw",
                hop: at(ns, name, Stage::Neighbour),
                summary: format!(
                    "nothing on {} reaches the outside: its default gateway {via} does not exist",
                    ns.machine
                ),
                cause: format!("nobody has {via}; the gateway of this subnet is {meant}"),
                confidence: Confidence::Likely,
                evidence,
                owner: "operator",
                remedy: vec![evidence::remedy(
                    ns,
                    &format!("ip route replace default via {meant} dev {name}"),
                    &format!("ip route replace default via {via} dev {name}"),
                    "",
                )],
                instances: view.instances_on(&ns.machine),
                stopped: view.stop(|s| s.is_at(ns, name)),
                mend: vec![Mend::DefaultRoute {
                    machine: ns.machine.clone(),
                    via: meant,
                    device: name.clone(),
                }],
            }
            .found()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{broken, codes, lacks, minicloud};

    #[test]
    fn fires_on_a_gateway_that_nobody_is() {
        let found = codes(&broken("default-route-wrong-gw").diagnose("web1"));
        assert_eq!(found, ["default-route-wrong-gw compute1//eth0"]);
    }

    #[test]
    fn knows_the_right_gateway_from_the_other_host_where_no_router_is_named() {
        let mut cloud = minicloud();
        cloud.snapshot.hosts.retain(|h| h.name != "gw");
        cloud.snapshot.netns.retain(|n| n.machine != "gw");
        let defaults = cloud.netns("host").routes.iter_mut().filter(|r| r.is_default());
        defaults.flat_map(|r| &mut r.nexthops).for_each(|n| n.via = "203.0.113.254".parse().ok());
        assert_eq!(codes(&cloud.diagnose("inst1")), ["default-route-wrong-gw host//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_second_router_that_answers() {
        let mut cloud = broken("default-route-wrong-gw");
        let link = cloud.link("compute1", "eth0").index;
        let (ip, mac) = ("203.0.113.254".parse().unwrap(), "02:de:ad:00:00:01".parse().ok());
        let state = NeighbourState::Reachable;
        cloud.netns("compute1").neighbours.push(Neighbour { link, ip, mac, state, proxy: false });
        assert!(lacks(&cloud.diagnose("web1"), "default-route-wrong-gw"));
    }

    #[test]
    fn stays_silent_when_the_right_gateway_is_dead() {
        assert!(lacks(&broken("ext-gateway-down").diagnose("web1"), "default-route-wrong-gw"));
    }
}
