//! Resolving the next hop, then out (`neigh_resolve_output`, `arp_solicit`, `ndisc_solicit`).

use std::net::{IpAddr, Ipv4Addr};

use model::Mac;
use model::link::LinkKind;
use model::path::{Disposition, Path, Stage, Step, Stop};
use model::route::{NeighbourState, RouteKind};

use super::{neighbour_discovery, route};
use crate::exchange::unspecified;
use crate::resolution::{self, Asker, Resolution};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::wire;
use crate::world::{LinkId, World};

/// Where a packet leaves to: a link, by a gateway or straight to its destination.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Towards {
    pub(crate) link: u32,
    pub(crate) via: Option<IpAddr>,
}

/// Resolves the next hop's MAC and sends the packet out.
pub(crate) fn send(world: &World, mut trail: Trail, ns: usize, mut skb: Skb, towards: &Towards) -> Outcome {
    let facts = world.ns(ns);
    let egress = LinkId { ns, link: towards.link };
    let Some(link) = world.link(egress) else {
        return trail.drop(place(facts, None, Stage::Wire), &skb.frame, Stop::DeviceMissing, Vec::new());
    };
    let Some(packet) = skb.packet().copied() else {
        return wire::transmit(world, trail, egress, &skb);
    };
    let next = towards.via.unwrap_or(packet.destination);
    skb.frame.source = link.mac.unwrap_or_default();
    if link.kind == LinkKind::Loopback && !packet.destination.is_multicast() {
        // It comes back with a route that is not to here: thrown away, or sent round until it is too old
        // (`loopback_xmit`, `rt_dst_alloc`, `ip6_rt_init_dst`).
        let why = format!("{} has a route by {}, but is not this machine's", packet.destination, link.name);
        return trail.drop(
            place(facts, Some(link), Stage::Route),
            &skb.frame,
            Stop::NoTarget(why),
            Vec::new(),
        );
    }
    if link.kind == LinkKind::Loopback || link.mac.is_none() {
        return wire::transmit(world, trail, egress, &skb);
    }
    let here = place(facts, Some(link), Stage::Neighbour);
    if link.admin_up && !link.carrier && link.kind != LinkKind::Bridge {
        // The question itself cannot leave: said of the link, not of the neighbour.
        return trail.drop(place(facts, Some(link), Stage::Wire), &skb.frame, Stop::NoCarrier, Vec::new());
    }
    match resolve(world, &mut trail, egress, next, packet.source) {
        Next::Known(mac, how) => {
            skb.frame.destination = mac;
            let steps = vec![Step::Resolved(format!("{next} is at {mac}"))];
            trail.pass(here, &skb.frame, format!("next hop {next} is at {mac} ({how})"), steps);
            wire::transmit(world, trail, egress, &skb)
        }
        Next::Beyond => {
            let detail = format!("next hop {next} is beyond what was read");
            trail.pass(here.clone(), &skb.frame, detail, Vec::new());
            trail.left_site(here, &skb, egress)
        }
        Next::Unanswered(because) => {
            let stop = Stop::NeighbourUnresolved { ip: next, because: Some(because) };
            trail.drop(here, &skb.frame, stop, Vec::new())
        }
        Next::Unknown { why, would_need } => {
            trail.unknown(here, &skb.frame, format!("who answers for {next}: {why}"), would_need)
        }
    }
}

/// What is known of a next hop.
pub(crate) enum Next {
    Known(Mac, &'static str),
    /// Nobody of the site has the address, and the segment goes on beyond what was read.
    Beyond,
    /// Nobody answers: the path on which question or answer died.
    Unanswered(Box<Path>),
    /// Whether anybody answers cannot be told.
    Unknown {
        why: String,
        would_need: String,
    },
}

/// The MAC for an address: the neighbour entry where it is valid, else what asking would bring.
pub(crate) fn resolve(world: &World, trail: &mut Trail, egress: LinkId, ip: IpAddr, source: IpAddr) -> Next {
    let entry =
        world.ns(egress.ns).neighbours.iter().find(|n| n.link == egress.link && n.ip == ip && !n.proxy);
    let known = entry.and_then(|n| Some((n.mac?, n.state))).filter(|(_, state)| state.is_valid());
    // Nothing overrules what was set by hand (`neigh_update`).
    let pinned = |state| matches!(state, NeighbourState::Permanent | NeighbourState::Noarp);
    let learned = trail.neighbours.iter().rev().find(|(link, asked, _)| *link == egress && *asked == ip);
    match (known, learned) {
        (Some((mac, state)), _) if pinned(state) => return Next::Known(mac, state.name()),
        (_, Some((_, _, mac))) => return Next::Known(*mac, "it asked for us"),
        (Some((mac, state)), None) => return Next::Known(mac, state.name()),
        (None, None) => {}
    }
    let asked = ask(world, trail, egress, ip, source);
    if let Some(mac) = asked.mac() {
        return Next::Known(mac, if ip.is_ipv4() { "answers ARP" } else { "answers" });
    }
    if let Some((why, would_need)) = asked.unknown() {
        return Next::Unknown { why, would_need };
    }
    let failed = entry.is_some_and(|n| n.state == NeighbourState::Failed);
    match asked.question.disposition {
        Disposition::LeftSite if !failed => Next::Beyond,
        Disposition::LeftSite
        | Disposition::Delivered { .. }
        | Disposition::Dropped(_)
        | Disposition::Unknown { .. } => Next::Unanswered(Box::new(asked.died_on())),
    }
}

fn ask(world: &World, trail: &mut Trail, link: LinkId, ip: IpAddr, source: IpAddr) -> Resolution {
    trail.asking += 1;
    let resolution = match ip {
        IpAddr::V4(ip) => resolution::ask(world, trail, asker(world, link, ip, source), ip),
        IpAddr::V6(ip) => neighbour_discovery::ask(world, trail, link, source, ip),
    };
    trail.asking -= 1;
    resolution
}

/// A link as the asker: its MAC, and the packet's source where that is an address of this machine,
/// else the link's own (`arp_solicit` with `arp_announce` 0).
fn asker(world: &World, link: LinkId, ip: Ipv4Addr, source: IpAddr) -> Asker {
    let ns = world.ns(link.ns);
    let is_own = route::local_kind(ns, source) == Some(RouteKind::Local);
    let own = || route::select_address(ns, link.link, ip.into()).unwrap_or(source);
    let mac = world.link(link).and_then(|l| l.mac).unwrap_or_default();
    let ip = match if is_own { source } else { own() } {
        IpAddr::V4(ip) => ip,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    Asker { link, guest: false, mac, ip }
}

/// The exchange for an address by a link, whatever the neighbour table says.
pub(crate) fn paths(world: &World, egress: LinkId, ip: IpAddr) -> Vec<Path> {
    ask(world, &mut Trail::default(), egress, ip, unspecified(ip)).paths()
}
