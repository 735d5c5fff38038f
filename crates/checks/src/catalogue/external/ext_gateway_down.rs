//! # ext-gateway-down
//!
//! The gateway beyond the host does not answer.
//!
//! ## What it means
//! All hosts of the cloud lose the outside at once. The hosts are in order; the router in front of
//! them, which is often not the operator's own, is not.
//!
//! ## How hopline knows
//! The default gateway is the right one, the uplink has its carrier, and the gateway's link is seen
//! to be down; or, where the gateway cannot be looked into, its neighbour entry is FAILED and nothing
//! names another gateway. It is not told where the kernel is seen to drop the gateway's answer on the host itself.
//!
//! ## What it looks like
//! `ip neigh`: `203.0.113.1 dev eth0 FAILED`, the same on every host.
//!
//! ## Nearest look-alikes
//! * `default-route-wrong-gw`: the route names an address that nobody has.
//! * `uplink-no-carrier`: one host only, and its own link says so.
//! * `xdp-drop`: the gateway answers, and its answers die on the host's own link.
//!
//! ## Fix
//! Bring the gateway up, or call whoever runs it. Nothing on the hosts mends it.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting".

use model::Netns;
use model::finding::{Confidence, Evidence};
use model::link::Link;
use model::path::{Direction, Exchange, Place, Stage};
use model::route::NeighbourState;
use sim::world::Station;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::View;

/// Looks for default gateways that are there and dead: one finding a gateway.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for (ns, uplink) in uplinks::all(view) {
        let Some((via, out)) = uplinks::default_via(ns) else { continue };
        if !uplink.is_running() || out != uplink.index {
            continue;
        }
        let stopped = view.stop(|s| s.is_at(ns, &uplink.name) || s.hop.at.host != ns.machine);
        let dead = match view.world.owner_of_ip(via.into()) {
            Some(Station::Link(id)) => {
                let Some(link) = view.world.link(id).filter(|l| !l.is_running()) else { continue };
                seen_down(view, view.world.ns(id.ns), link)
            }
            Some(Station::Guest { .. }) => continue,
            // What is dropped here has been answered, and a program that drops what comes drops answers as well.
            None if view.dropped_answer(ns, &uplink.name, via.into()).is_some() => continue,
            None if is_rid_of_xdp(view, ns, uplink) => continue,
            None => match unanswered(ns, uplink, via) {
                Some(dead) if uplinks::meant_gateway(view, ns, uplink).is_none_or(|meant| meant == via) => {
                    dead
                }
                Some(_) | None => continue,
            },
        };
        if found.iter().any(|f| f.finding.hop == dead.hop) {
            continue;
        }
        let mut evidence = dead.evidence;
        evidence.push(evidence::neighbour(ns, uplink, via));
        let fault = Fault {
            code: "ext-gateway-down",
            hop: dead.hop,
            summary: format!("nothing reaches the outside: the gateway {via} is down"),
            cause: dead.cause,
            confidence: dead.confidence,
            evidence,
            owner: "network team",
            remedy: vec![evidence::advice(
                "bring the gateway up, or call whoever runs it",
                "outside the hosts",
            )],
            instances: view.instances_on(&ns.machine),
            stopped,
            mend: dead.mend,
        };
        // A walk takes a gateway for alive that was not asked when its host was read.
        found.push(fault.found().breaks(Exchange::Icmp, Direction::Both));
    }
    found
}

/// An XDP program on the uplink was found to be at fault, and is taken off in the model.
fn is_rid_of_xdp(view: &View, ns: &Netns, uplink: &Link) -> bool {
    let is_ns = |read: &&Netns| (&read.machine, &read.name) == (&ns.machine, &ns.name);
    let read = view.read.netns.iter().find(is_ns).and_then(|read| read.link(uplink.index));
    !uplink.xdp && read.is_some_and(|read| read.xdp)
}

struct Dead {
    hop: Place,
    cause: String,
    confidence: Confidence,
    evidence: Vec<Evidence>,
    mend: Vec<Mend>,
}

/// The gateway is a machine of the site, and its link is down.
fn seen_down(view: &View, gateway: &Netns, link: &Link) -> Dead {
    let why = if link.admin_up { "has no carrier" } else { "is set down" };
    let device = link.name.clone();
    let machine = gateway.machine.clone();
    let mut mend = vec![Mend::LinkUp { machine: machine.clone(), device: device.clone() }];
    mend.extend(
        view.world
            .link_named(view.world.main_ns(&machine).unwrap_or_default(), &device)
            .map(|_| Mend::Carrier { machine: machine.clone(), device }),
    );
    Dead {
        hop: at(gateway, &link.name, Stage::Wire),
        cause: format!("{} on {} {why}", link.name, gateway.machine),
        confidence: Confidence::Proven,
        evidence: vec![evidence::link(gateway, link)],
        mend,
    }
}

/// The gateway cannot be looked into, and the host's own question to it failed.
fn unanswered(ns: &Netns, uplink: &Link, via: std::net::Ipv4Addr) -> Option<Dead> {
    let asked = ns.neighbours.iter().find(|n| n.link == uplink.index && n.ip == std::net::IpAddr::V4(via))?;
    (asked.state == NeighbourState::Failed || asked.state == NeighbourState::Incomplete).then(|| Dead {
        hop: at(ns, &uplink.name, Stage::Neighbour),
        cause: format!("{via} does not answer ARP on {}", uplink.name),
        confidence: Confidence::Likely,
        evidence: Vec::new(),
        mend: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::kernel_drop::KernelDrop;
    use model::path::{Direction, Exchange};
    use model::route::{Neighbour, NeighbourState};

    use crate::fixture::{Cloud, broken, codes, dropped_at, lacks, minicloud};

    #[test]
    fn fires_on_the_gateway_whose_link_is_down() {
        assert_eq!(codes(&broken("ext-gateway-down").diagnose("web1")), ["ext-gateway-down gw//eth0"]);
    }

    #[test]
    fn is_only_likely_where_the_gateway_cannot_be_looked_into() {
        let cloud = unanswered();
        let diagnosis = cloud.diagnose("inst1");
        assert_eq!(codes(&diagnosis), ["ext-gateway-down host//eth0"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
        assert_eq!(diagnosis.findings[0].exchange, Exchange::Icmp, "it stops what goes out");
    }

    #[test]
    fn an_answer_that_is_dropped_on_the_host_clears_the_gateway() {
        let mut cloud = unanswered();
        cloud.drops = vec![KernelDrop {
            from: "203.0.113.2".to_owned(),
            to: [203, 0, 113, 1].into(),
            exchange: Exchange::Arp,
            octets: None,
            direction: Direction::Reply,
            ..dropped_at("host", "eth0", ("NETFILTER_DROP", "nft_do_chain"))
        }];
        assert!(lacks(&cloud.diagnose("inst1"), "ext-gateway-down"));
        // The question is another thing, and so is what another host lost.
        cloud.drops[0].direction = Direction::Request;
        assert!(!lacks(&cloud.diagnose("inst1"), "ext-gateway-down"));
        cloud.drops[0].direction = Direction::Reply;
        cloud.drops[0].owner.as_mut().unwrap().machine = "host2".to_owned();
        assert!(!lacks(&cloud.diagnose("inst1"), "ext-gateway-down"));
    }

    /// A cloud whose gateway cannot be looked into, and has not answered.
    fn unanswered() -> Cloud {
        let mut cloud = minicloud();
        cloud.snapshot.hosts.retain(|h| h.name != "gw");
        cloud.snapshot.netns.retain(|n| n.machine != "gw");
        let link = cloud.link("host", "eth0").index;
        let neighbours = &mut cloud.netns("host").neighbours;
        neighbours.retain(|n| n.link != link);
        let ip = "203.0.113.1".parse().unwrap();
        neighbours.push(Neighbour { link, ip, mac: None, state: NeighbourState::Failed, proxy: false });
        cloud
    }

    #[test]
    fn stays_silent_on_a_wrong_gateway_and_on_a_dead_uplink() {
        for other in ["default-route-wrong-gw", "uplink-no-carrier", "uplink-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "ext-gateway-down"), "{other}");
        }
    }
}
