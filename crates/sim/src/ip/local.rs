//! Packets made on a machine: source address, route, OUTPUT, POSTROUTING, out
//! (`ip_route_output_key`, `ip_local_out`).

use std::net::IpAddr;

use model::Netns;
use model::link::LinkKind;
use model::netfilter::Hook;
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Stage, Step, Stop};
use model::route::{Nexthop, Route, RouteKind};

use super::neighbour::{self, Towards};
use super::receive;
use super::route::{self, Found, Key};
use crate::exchange::unspecified;
use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::wire;
use crate::world::{LinkId, World};

/// Sends a packet from a namespace's own stack. An unspecified source is chosen by the route.
pub(crate) fn send(world: &World, trail: Trail, ns: usize, packet: Packet) -> Outcome {
    let frame =
        Frame { source: model::Mac::ZERO, destination: model::Mac::ZERO, payload: Payload::Ip(packet) };
    send_frame(world, trail, ns, Skb::new(frame))
}

/// The same, for a packet whose connection and mark are already known.
pub(crate) fn send_frame(world: &World, mut trail: Trail, ns: usize, mut skb: Skb) -> Outcome {
    let facts = world.ns(ns);
    let Some(packet) = skb.packet().copied() else {
        return trail.drop(place(facts, None, Stage::Local), &skb.frame, Stop::OtherHost, Vec::new());
    };
    let routed = match first_out(facts, &packet, skb.mark) {
        Ok(routed) => routed,
        Err(Refusal::Stop(stop)) => {
            let here = place(facts, None, Stage::Route);
            return trail.drop(with_likely_device(here, facts), &skb.frame, *stop, Vec::new());
        }
        Err(Refusal::Unknown(text)) => {
            let why = format!("the route depends on a FIB rule that is not modelled: {text}");
            let need = format!("ip route get {}", packet.destination);
            return trail.unknown(place(facts, None, Stage::Route), &skb.frame, why, need);
        }
    };
    if packet.source.is_unspecified()
        && let Some(mutable) = skb.packet_mut()
    {
        mutable.source = routed.source;
    }
    let egress = LinkId { ns, link: routed.towards.link };
    let link = world.link(egress);
    let before = skb.packet().map(|p| p.destination);
    let around = Around { outdev: Some(egress.link), ..Around::default() };
    if let Err(end) = netfilter::run(world, &mut trail, ns, skb.family(), Hook::Output, &mut skb, &around) {
        return end.finish(trail, &skb.frame);
    }
    let after = skb.packet().copied().unwrap_or(packet);
    // A DNAT, or a mark changed by a chain of type route, routes anew (`ip_route_me_harder`).
    let routed = if before == Some(after.destination) && !skb.remarked {
        routed
    } else {
        match out(facts, &after, skb.mark) {
            Ok(again) => again,
            Err(Refusal::Stop(stop)) => {
                return trail.drop(place(facts, link, Stage::Route), &skb.frame, *stop, Vec::new());
            }
            Err(Refusal::Unknown(text)) => {
                return trail.unknown(place(facts, link, Stage::Route), &skb.frame, text, "ip route get");
            }
        }
    };
    let steps = vec![Step::Routed(routed.text.clone())];
    trail.pass(place(facts, link, Stage::Route), &skb.frame, format!("routed: {}", routed.text), steps);
    let Towards { link: out_by, via } = routed.towards;
    let around = Around { outdev: Some(out_by), via, ..Around::default() };
    match netfilter::run(world, &mut trail, ns, skb.family(), Hook::Postrouting, &mut skb, &around) {
        Ok(()) if routed.local => receive::receive_own(world, trail, LinkId { ns, link: out_by }, skb),
        Ok(()) => neighbour::send(world, trail, ns, skb, &routed.towards),
        Err(end) => end.finish(trail, &skb.frame),
    }
}

/// The link and address that a packet from here to this destination goes to first.
pub(crate) fn next_hop(world: &World, ns: usize, to: IpAddr) -> Option<(LinkId, IpAddr)> {
    let key = Key { destination: to, source: unspecified(to), iif: "lo", oif: None, mark: 0 };
    match route::lookup(world.ns(ns), &key) {
        Found::Route(route, Some(nexthop)) if route.kind == RouteKind::Unicast => {
            Some((LinkId { ns, link: nexthop.link }, nexthop.via.unwrap_or(to)))
        }
        Found::Route(..) | Found::Refused(..) | Found::Nothing | Found::Unknown(_) => None,
    }
}

struct Routed {
    towards: Towards,
    source: IpAddr,
    local: bool,
    text: String,
}

enum Refusal {
    Stop(Box<Stop>),
    Unknown(String),
}

/// The route of a packet whose source may still be open. TCP looks its route up once more with the
/// source that the first look-up chose, which FIB rules may select by (`ip_route_connect`).
fn first_out(ns: &Netns, packet: &Packet, mark: u32) -> Result<Routed, Refusal> {
    let routed = out(ns, packet, mark)?;
    let is_tcp = matches!(packet.transport, Transport::Tcp { .. });
    if !packet.source.is_unspecified() || !is_tcp {
        return Ok(routed);
    }
    let again = out(ns, &Packet { source: routed.source, ..*packet }, mark)?;
    Ok(Routed { source: routed.source, ..again })
}

fn out(ns: &Netns, packet: &Packet, mark: u32) -> Result<Routed, Refusal> {
    let key = Key { destination: packet.destination, source: packet.source, iif: "lo", oif: None, mark };
    match route::lookup(ns, &key) {
        Found::Route(route, Some(nexthop)) => Ok(Routed {
            towards: if route.kind == RouteKind::Local {
                // What is for this machine leaves by `lo`, whichever link carries the address
                // (`ip_route_output_key_hash_rcu`).
                Towards { link: loopback(ns).unwrap_or(nexthop.link), via: None }
            } else {
                Towards { link: nexthop.link, via: nexthop.via }
            },
            source: source_for(ns, route, nexthop, packet.destination),
            local: matches!(route.kind, RouteKind::Local),
            text: route::text(ns, route, Some(nexthop)),
        }),
        Found::Route(route, None) => {
            Err(Refusal::Stop(Box::new(Stop::RouteRefuses(route::text(ns, route, None)))))
        }
        Found::Refused(kind, route) => {
            let text = route.map_or_else(|| format!("{kind:?}").to_lowercase(), |r| route::text(ns, r, None));
            Err(Refusal::Stop(Box::new(Stop::RouteRefuses(text))))
        }
        Found::Nothing => Err(Refusal::Stop(Box::new(Stop::NoRoute(packet.destination.to_string())))),
        Found::Unknown(text) => Err(Refusal::Unknown(text.to_owned())),
    }
}

fn loopback(ns: &Netns) -> Option<u32> {
    ns.links.iter().find(|l| l.kind == LinkKind::Loopback).map(|l| l.index)
}

/// The route's own choice, else an address of its link, by the gateway's subnet (`fib_result_prefsrc`).
/// To itself a machine speaks with the address spoken to.
fn source_for(ns: &Netns, route: &Route, nexthop: &Nexthop, destination: IpAddr) -> IpAddr {
    match route.preferred_source {
        _ if route.kind == RouteKind::Local => destination,
        Some(preferred) => preferred,
        None => {
            // Without a gateway the subnet does not choose: any address of the link's is outside it.
            let towards = nexthop.via.unwrap_or(unspecified(destination));
            route::select_address(ns, nexthop.link, towards).unwrap_or(unspecified(destination))
        }
    }
}

/// Without a route no link is chosen; where the machine has one cable only, that is the one meant.
fn with_likely_device(mut here: model::path::Place, ns: &Netns) -> model::path::Place {
    let mut cables = ns.links.iter().filter(|l| l.kind != model::link::LinkKind::Loopback);
    if let (Some(only), None) = (cables.next(), cables.next()) {
        here.device.clone_from(&only.name);
    }
    here
}

/// Sends an answer by the link it was asked on, to the MAC already in the frame: OUTPUT and
/// POSTROUTING see it, routing and ARP are not asked.
pub(crate) fn answer_on(world: &World, mut trail: Trail, egress: LinkId, mut skb: Skb) -> Outcome {
    let around = Around { outdev: Some(egress.link), ..Around::default() };
    let filtered = netfilter::run(
        world,
        &mut trail,
        egress.ns,
        skb.family(),
        Hook::Output,
        &mut skb,
        &around,
    )
    .and_then(|()| {
        netfilter::run(world, &mut trail, egress.ns, skb.family(), Hook::Postrouting, &mut skb, &around)
    });
    match filtered {
        Ok(()) => wire::transmit(world, trail, egress, &skb),
        Err(end) => end.finish(trail, &skb.frame),
    }
}
