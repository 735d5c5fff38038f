//! Packets made on a machine: source address, route, OUTPUT, POSTROUTING, out
//! (`ip_route_output_key`, `ip_local_out`, `ip6_xmit`).

use std::net::IpAddr;

use model::Netns;
use model::link::LinkKind;
use model::netfilter::Hook;
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Stage, Step, Stop};
use model::route::{Nexthop, Route, RouteKind};

use super::neighbour::{self, Towards};
use super::route::{self, Found, Key};
use super::{output_v6, receive, reverse_path};
use crate::exchange::unspecified;
use crate::netfilter::{self, Around};
use crate::trail::{Choices, Outcome, Skb, Trail, place};
use crate::wire;
use crate::world::{LinkId, World};

/// Sends a packet from a namespace's own stack. An unspecified source is chosen by the route.
pub(crate) fn send(world: &World, trail: Trail, ns: usize, packet: Packet) -> Outcome {
    send_frame(world, trail, From { ns, by: None }, Skb::new(unaddressed(packet)))
}

/// Answers what a machine received by a link.
pub(crate) fn answer(world: &World, trail: Trail, asked_on: LinkId, packet: Packet) -> Outcome {
    let by = output_v6::answers_by(&packet).then_some(asked_on.link);
    let skb = Skb { dscp: trail.echoed_dscp, ..Skb::new(unaddressed(packet)) };
    send_frame(world, trail, From { ns: asked_on.ns, by }, skb)
}

fn unaddressed(packet: Packet) -> Frame {
    Frame::untagged(model::Mac::ZERO, model::Mac::ZERO, Payload::Ip(packet))
}

/// Where a packet is made, and the link that it is bound to or had better leave by: only IPv6 knows such.
#[derive(Debug, Clone, Copy)]
pub(crate) struct From {
    pub(crate) ns: usize,
    pub(crate) by: Option<u32>,
}

/// The same, for a packet whose connection and mark are already known.
pub(crate) fn send_frame(world: &World, mut trail: Trail, from: From, mut skb: Skb) -> Outcome {
    let From { ns, by } = from;
    let facts = world.ns(ns);
    let Some(packet) = skb.packet().copied() else {
        return trail.drop(place(facts, None, Stage::Local), &skb.frame, Stop::OtherHost, Vec::new());
    };
    let routed = match first_out(facts, (&packet, skb.mark), by, &mut trail.choices) {
        Ok(routed) => routed,
        Err(Refusal::Stop(stop)) => {
            let here = place(facts, None, Stage::Route);
            return trail.drop(with_likely_device(here, facts), &skb.frame, *stop, Vec::new());
        }
        Err(Refusal::Unknown(why)) => {
            let need = format!("ip route get {}", packet.destination);
            return trail.unknown(place(facts, None, Stage::Route), &skb.frame, why, need);
        }
    };
    if let Some(mutable) = skb.packet_mut() {
        if packet.source.is_unspecified() {
            mutable.source = routed.source;
        }
        mutable.ttl = routed.hop_limit.unwrap_or(packet.ttl);
        if trail.overlays == 0 {
            trail.asker.get_or_insert(mutable.source);
        }
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
        match rerouted(facts, (&after, skb.mark), egress.link, &mut trail.choices) {
            Ok(again) => again,
            Err(Refusal::Stop(stop)) => {
                return trail.drop(place(facts, link, Stage::Route), &skb.frame, *stop, Vec::new());
            }
            Err(Refusal::Unknown(why)) => {
                return trail.unknown(place(facts, link, Stage::Route), &skb.frame, why, "ip route get");
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
    let oif = output_v6::link_meant(world.ns(ns), to).ok()?;
    let key = Key { destination: to, source: unspecified(to), iif: "lo", oif, mark: 0 };
    match route::lookup(world.ns(ns), &key) {
        Found::Route(route, Some(nexthop)) if route.kind == RouteKind::Unicast => {
            Some((LinkId { ns, link: nexthop.link }, nexthop.via.unwrap_or(to)))
        }
        Found::Route(..) | Found::Refused(..) | Found::Nothing | Found::Unknown(_) => None,
    }
}

/// Whether a packet made here has a route out.
pub(crate) fn has_route_out(world: &World, ns: usize, packet: &Packet) -> bool {
    first_out(world.ns(ns), (packet, 0), None, &mut Choices::default()).is_ok()
}

pub(super) struct Routed {
    pub(super) towards: Towards,
    pub(super) source: IpAddr,
    pub(super) local: bool,
    pub(super) text: String,
    /// What the link starts packets with, where it says so.
    pub(super) hop_limit: Option<u8>,
}

pub(super) enum Refusal {
    Stop(Box<Stop>),
    /// Why it cannot be told.
    Unknown(String),
}

impl Refusal {
    pub(super) fn by_rule(text: &str) -> Refusal {
        Refusal::Unknown(format!("the route depends on a FIB rule that is not modelled: {text}"))
    }
}

/// The route of a packet whose source may still be open. TCP looks its route up once more with the
/// source that the first look-up chose, which FIB rules may select by (`ip_route_connect`); over IPv6 it
/// does not.
fn first_out(
    ns: &Netns,
    (packet, mark): (&Packet, u32),
    by: Option<u32>,
    choices: &mut Choices,
) -> Result<Routed, Refusal> {
    if packet.is_v6() {
        return output_v6::route(ns, (packet, mark), by, choices);
    }
    let routed = out(ns, packet, mark)?;
    let is_tcp = matches!(packet.transport, Transport::Tcp { .. });
    if !packet.source.is_unspecified() || !is_tcp {
        return Ok(routed);
    }
    let again = out(ns, &Packet { source: routed.source, ..*packet }, mark)?;
    Ok(Routed { source: routed.source, ..again })
}

/// The route of a packet that OUTPUT changed; `egress` is where it would have left by.
fn rerouted(
    ns: &Netns,
    (packet, mark): (&Packet, u32),
    egress: u32,
    choices: &mut Choices,
) -> Result<Routed, Refusal> {
    if packet.is_v6() {
        return output_v6::reroute(ns, (packet, mark), egress, choices);
    }
    out(ns, packet, mark)
}

fn out(ns: &Netns, packet: &Packet, mark: u32) -> Result<Routed, Refusal> {
    let key = Key { destination: packet.destination, source: packet.source, iif: "lo", oif: None, mark };
    match route::lookup(ns, &key) {
        Found::Route(route, Some(nexthop))
            if route.kind != RouteKind::Local && keeps_loopback_in(ns, packet.source, nexthop.link) =>
        {
            let why = format!("{} does not leave the machine, and route_localnet is 0", packet.source);
            Err(Refusal::Stop(Box::new(Stop::RouteRefuses(why))))
        }
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
            hop_limit: None,
        }),
        found => Err(refusal(ns, found, packet.destination)),
    }
}

/// A loopback address speaks over the loopback link only (`__mkroute_output`).
fn keeps_loopback_in(ns: &Netns, source: IpAddr, link: u32) -> bool {
    let is_lo = ns.link(link).is_some_and(|l| l.kind == LinkKind::Loopback);
    let allowed = || reverse_path::either(ns, &ns.link_name(link), "route_localnet");
    source.is_ipv4() && source.is_loopback() && !is_lo && !allowed()
}

/// Why a look-up leads nowhere.
pub(super) fn refusal(ns: &Netns, found: Found, destination: IpAddr) -> Refusal {
    Refusal::Stop(Box::new(match found {
        Found::Route(route, _) => Stop::RouteRefuses(route::text(ns, route, None)),
        Found::Refused(kind, route) => Stop::RouteRefuses(route::refusal_text(ns, kind, route)),
        Found::Nothing => Stop::NoRoute(destination.to_string()),
        Found::Unknown(text) => return Refusal::by_rule(text),
    }))
}

pub(super) fn loopback(ns: &Netns) -> Option<u32> {
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
