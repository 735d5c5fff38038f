//! # host-subnet-overlap
//!
//! A bridge of the host's own has a subnet that covers the destination.
//!
//! ## What it means
//! docker, libvirt and their like give their bridges a subnet each. Where a network outside lies inside one, the host
//! takes it for its own: what is sent there goes to that bridge, where nobody has the address.
//!
//! ## How hopline knows
//! The walk dies on a link that is no uplink and no network's bridge, by the route that an address of that very link
//! has brought; and another machine of the site has the destination's address, or none that was read and the link is a
//! bridge: behind a second NIC without a carrier the destination may well be.
//!
//! ## What it looks like
//! `ip route get EXTERNAL` says `dev docker0`; `ip neigh` has EXTERNAL FAILED there; the host itself tells the instance
//! `Destination Host Unreachable`.
//!
//! ## Nearest look-alikes
//! * `ext-server-down`: the route leads to the gateway, and the gateway says `Destination Host Unreachable`.
//! * `policy-route-wrong`: the host itself reaches the destination.
//!
//! ## Fix
//! Give that bridge another subnet (docker: `bip` and `default-address-pools`; libvirt: `virsh net-edit`). At once:
//! `ip addr del SUBNET dev BRIDGE`, which cuts off what is plugged in there. Undo: add it again.
//!
//! ## References
//! `net/ipv4/fib_frontend.c` `fib_add_ifaddr`; docker's documentation of `default-address-pools`.

use std::net::IpAddr;

use model::Netns;
use model::finding::Confidence;
use model::link::{Link, LinkKind};
use model::path::Stop;
use model::route::Address;

use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::{Entry, Mend};
use crate::uplinks;
use crate::view::{Stopped, View};

/// Looks for links whose subnet swallows a destination: one finding a link.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops().filter(|stopped| is_of_nobody(stopped.stop)) {
        let is_told = found.iter().any(|f| f.finding.hop.same_device(&stopped.hop.at));
        let new = if is_told { None } else { swallowed(view, &stopped) };
        found.extend(new);
    }
    found
}

fn is_of_nobody(stop: &Stop) -> bool {
    matches!(stop, Stop::NeighbourUnresolved { .. } | Stop::NoTarget(_) | Stop::NoCarrier)
}

fn swallowed(view: &View, stopped: &Stopped) -> Option<Found> {
    let (ns, uplink) = uplinks::all(view).into_iter().find(|(ns, _)| stopped.is_in(ns))?;
    let link = ns.link_named(&stopped.hop.at.device)?;
    let of_networks = || view.intent().networks.iter().filter_map(|network| network.bridge.as_deref());
    let of_instances = || view.vifs().filter_map(|seat| seat.bridge_name());
    if link.index == uplink.index || of_networks().chain(of_instances()).any(|bridge| bridge == link.name) {
        return None;
    }
    let (wanted, address) = asked_there(view, ns, link, stopped)?;
    let owner = view.world.owner_of_ip(wanted);
    if owner.is_none() && link.kind != LinkKind::Bridge {
        return None;
    }
    let net = address.net;
    let fault = Fault {
        code: "host-subnet-overlap",
        hop: stopped.hop.at.clone(),
        summary: format!(
            "{} looks for {wanted} on its own {}, whose subnet {} covers it",
            ns.machine,
            link.name,
            net.trunc()
        ),
        cause: format!(
            "the address {net} of {} brings a route that is closer than the default route",
            link.name
        ),
        confidence: if owner.is_some() { Confidence::Proven } else { Confidence::Likely },
        evidence: vec![
            evidence::state(ns, &format!("ip route get {wanted}"), format!("{wanted} dev {}", link.name)),
            evidence::state(ns, &format!("ip addr show dev {}", link.name), net.to_string()),
            evidence::link(ns, link),
        ],
        owner: "operator",
        remedy: vec![
            evidence::advice(
                format!("give {} another subnet (docker: bip, default-address-pools)", link.name),
                "the lasting remedy",
            ),
            evidence::remedy(
                ns,
                &format!("ip addr del {net} dev {}", link.name),
                &format!("ip addr add {net} dev {}", link.name),
                "at once; cuts off what is plugged in there",
            ),
        ],
        instances: view.hit_at(&stopped.hop.at),
        stopped: Some(*stopped),
        mend: vec![Mend::Forget {
            machine: ns.machine.clone(),
            entry: Entry::Address { device: link.name.clone(), net },
        }],
    };
    Some(fault.found())
}

/// What the packet is for, and the address of the link's whose subnet it lies in: the question's end, or, of an
/// answer, who asked.
fn asked_there<'n>(
    view: &View,
    ns: &'n Netns,
    link: &Link,
    stopped: &Stopped,
) -> Option<(IpAddr, &'n Address)> {
    let asker = view.snapshot().main_netns(&stopped.rung.from);
    // What the host has itself it does not look for.
    let ends = asker.into_iter().flat_map(|asker| &asker.addresses).map(|address| address.net.addr());
    let ends = ends.filter(|ip| !ns.has_address(*ip));
    let covering = |ip: IpAddr| ns.addresses_of(link.index).find(|address| address.net.contains(&ip));
    [stopped.rung.to].into_iter().chain(ends).find_map(|ip| Some((ip, covering(ip)?)))
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::link::LinkKind;

    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_on_a_bridge_whose_subnet_covers_the_server() {
        let diagnosis = broken("host-subnet-overlap").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["host-subnet-overlap compute1//docker0"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Proven);
    }

    #[test]
    fn is_only_likely_where_nobody_knows_the_server() {
        let mut cloud = broken("host-subnet-overlap");
        cloud.snapshot.hosts.retain(|h| h.name != "external");
        cloud.snapshot.netns.retain(|n| n.machine != "external");
        let diagnosis = cloud.diagnose_to("web1", "1.2.3.4");
        assert_eq!(codes(&diagnosis), ["host-subnet-overlap compute1//docker0"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_on_a_second_nic_without_a_carrier_where_nobody_knows_the_server() {
        let mut cloud = broken("host-subnet-overlap");
        cloud.snapshot.hosts.retain(|h| h.name != "external");
        cloud.snapshot.netns.retain(|n| n.machine != "external");
        let nic = cloud.link("compute1", "docker0");
        (nic.kind, nic.carrier, nic.bridge) = (LinkKind::Physical, false, None);
        assert!(lacks(&cloud.diagnose_to("web1", "1.2.3.4"), "host-subnet-overlap"));
    }

    #[test]
    fn stays_silent_on_a_bridge_of_another_subnet_and_on_a_wrong_gateway() {
        let mut cloud = broken("host-subnet-overlap");
        let index = cloud.link("compute1", "docker0").index;
        let ns = cloud.netns("compute1");
        ns.addresses.retain(|a| a.link != index);
        ns.routes.retain(|r| r.nexthops.iter().all(|n| n.link != index));
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        for other in ["default-route-wrong-gw", "policy-route-wrong", "ext-gateway-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "host-subnet-overlap"), "{other}");
        }
    }
}
