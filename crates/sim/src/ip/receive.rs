//! A packet received by a namespace's stack: for here, for another, or for nobody (`ip_rcv`,
//! `ip_route_input_slow`, `ip_forward`).

use std::net::{IpAddr, Ipv4Addr};

use model::netfilter::{Hook, RejectWith};
use model::packet::{Packet, Payload, Transport};
use model::path::{Stage, Step, Stop};
use model::route::RouteKind;

use super::deliver::deliver;
use super::neighbour::{self, Towards};
use super::reverse_path::{self, Arrival};
use super::route::{self, Found, Key};
use super::{arp, receive_v6};
use crate::netfilter::{self, Around};
use crate::refusal::{Refused, Word};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::world::{LinkId, World};

/// A frame reaches the stack of the namespace by `ingress` (a plain link, or a bridge device).
pub(crate) fn receive(world: &World, trail: Trail, ingress: LinkId, skb: Skb) -> Outcome {
    let ns = world.ns(ingress.ns);
    let link = world.link(ingress);
    let here = place(ns, link, Stage::Local);
    let to_here = || link.is_none_or(|l| l.mac.is_none_or(|mac| mac == skb.frame.destination));
    // A bridge takes what is for any of its ports, but its stack only what is for itself, or for the very port that it
    // came in by (`eth_type_trans`, `br_handle_frame`).
    let by_its_port = || {
        let port = skb.physin.and_then(|port| ns.link(port)?.mac);
        port == Some(skb.frame.destination)
    };
    let addressed = !skb.other_host
        && (skb.frame.destination.is_group() || skb.taken_below || to_here() || by_its_port());
    match skb.frame.payload {
        // Even a question about a foreign address teaches the asker nothing: ignored.
        Payload::Arp(question) => arp::receive(world, trail, ingress, &skb, question, addressed),
        Payload::Ip(_) if !addressed => trail.drop(here, &skb.frame, Stop::OtherHost, Vec::new()),
        Payload::Ip(packet) if ns.instance && is_for_a_dhcp_client(&packet) => {
            let mut trail = trail;
            trail.pass(here, &skb.frame, "read by its DHCP client", Vec::new());
            trail.delivered(&ns.machine, &skb.frame, Some(ingress))
        }
        Payload::Ip(packet) if packet.is_v6() => receive_v6::receive(world, trail, ingress, skb, packet),
        Payload::Ip(packet) => ip(world, trail, ingress, skb, packet),
    }
}

/// A client without an address reads by a packet socket, before any rule and whatever addresses there are
/// (`__netif_receive_skb_core`).
fn is_for_a_dhcp_client(packet: &Packet) -> bool {
    matches!(packet.transport, Transport::Udp { source: 67, destination: 68 })
}

fn ip(world: &World, mut trail: Trail, ingress: LinkId, mut skb: Skb, before: Packet) -> Outcome {
    let ns = world.ns(ingress.ns);
    let link = world.link(ingress);
    if !skb.prerouted {
        let around =
            Around { indev: Some(ingress.link), physin: skb.physin_of_iptables(), ..Around::default() };
        if let Err(end) =
            netfilter::run(world, &mut trail, ingress.ns, skb.family(), Hook::Prerouting, &mut skb, &around)
        {
            return end.finish(trail, &skb.frame);
        }
    }
    let packet = skb.packet().copied().unwrap_or(before);
    let at_route = place(ns, link, Stage::Route);
    let iif = ns.link_name(ingress.link);
    if packet.destination == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return deliver(world, trail, ingress, skb);
    }
    if packet.destination.is_loopback() && !reverse_path::either(ns, &iif, "route_localnet") {
        let why = format!("{} arrives from outside, and route_localnet is 0", packet.destination);
        return trail.drop(at_route, &skb.frame, Stop::RouteRefuses(why), Vec::new());
    }
    let key =
        Key { destination: packet.destination, source: packet.source, iif: &iif, oif: None, mark: skb.mark };
    let found = route::lookup(ns, &key);
    let refused = |towards: &str| {
        let Packet { source, destination, .. } = packet;
        let arrival = Arrival { link: ingress.link, source, destination, mark: skb.mark, towards };
        reverse_path::refuse(ns, &arrival)
    };
    let (route, nexthop) = match found {
        Found::Route(route, nexthop) => (route, nexthop),
        Found::Refused(kind, route) => {
            let text = route::refusal_text(ns, kind, route);
            return trail.drop(at_route, &skb.frame, Stop::RouteRefuses(text), Vec::new());
        }
        Found::Nothing if !forwards(ns, &iif) => {
            return trail.drop(at_route, &skb.frame, Stop::ForwardingOff, Vec::new());
        }
        Found::Nothing => {
            let stop = Stop::NoRoute(packet.destination.to_string());
            return trail.drop(at_route, &skb.frame, stop, Vec::new());
        }
        Found::Unknown(text) => {
            let why = format!("the route depends on a FIB rule that is not modelled: {text}");
            let need = format!("ip route get {} from {} iif {iif}", packet.destination, packet.source);
            return trail.unknown(at_route, &skb.frame, why, need);
        }
    };
    match route.kind {
        RouteKind::Local | RouteKind::Broadcast | RouteKind::Anycast | RouteKind::Multicast => {
            if let Some(stop) = refused("lo") {
                return trail.drop(at_route, &skb.frame, stop, Vec::new());
            }
            deliver(world, trail, ingress, skb)
        }
        RouteKind::Unicast
        | RouteKind::Blackhole
        | RouteKind::Unreachable
        | RouteKind::Prohibit
        | RouteKind::Throw => {
            if !forwards(ns, &iif) {
                return trail.drop(at_route, &skb.frame, Stop::ForwardingOff, Vec::new());
            }
            let text = route::text(ns, route, nexthop);
            let Some(nexthop) = nexthop else {
                return trail.drop(at_route, &skb.frame, Stop::RouteRefuses(text), Vec::new());
            };
            if let Some(stop) = refused(&ns.link_name(nexthop.link)) {
                return trail.drop(at_route, &skb.frame, stop, Vec::new());
            }
            let towards = Towards { link: nexthop.link, via: nexthop.via };
            forward(world, trail, ingress, skb, packet, &towards, &text)
        }
    }
}

/// The code of an ICMP error that says which size would pass (RFC 1191).
const FRAGMENTATION_NEEDED: u8 = 4;

/// `ip_forward`: TTL and size, then on.
fn forward(
    world: &World,
    mut trail: Trail,
    ingress: LinkId,
    skb: Skb,
    packet: Packet,
    towards: &Towards,
    route: &str,
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let at_route = place(ns, world.link(ingress), Stage::Route);
    if packet.ttl <= 1 {
        let (link, with) = (Some(ingress.link), Word::TimeExceeded);
        trail.refused = Some(Box::new(Refused { ns: ingress.ns, link, port: None, ct: skb.ct, with }));
        return trail.drop(at_route, &skb.frame, Stop::TtlExceeded, Vec::new());
    }
    let egress = world.link(LinkId { ns: ingress.ns, link: towards.link });
    if let Some(out) = egress.filter(|out| u32::from(packet.length) > out.mtu) {
        let (link, with) = (Some(ingress.link), Word::Rejected(RejectWith::Icmp(FRAGMENTATION_NEEDED)));
        trail.refused = Some(Box::new(Refused { ns: ingress.ns, link, port: None, ct: skb.ct, with }));
        return trail.drop(at_route, &skb.frame, Stop::TooBig { mtu: out.mtu }, Vec::new());
    }
    pass_on(world, trail, ingress, skb, towards, route)
}

/// What nothing speaks against leaves: one hop less to go, FORWARD, POSTROUTING, out.
pub(super) fn pass_on(
    world: &World,
    mut trail: Trail,
    ingress: LinkId,
    mut skb: Skb,
    towards: &Towards,
    route: &str,
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let at_route = place(ns, world.link(ingress), Stage::Route);
    if let Some(packet) = skb.packet_mut() {
        packet.ttl = packet.ttl.saturating_sub(1);
    }
    let steps = vec![Step::Routed(route.to_owned())];
    trail.pass(at_route, &skb.frame, format!("routed: {route}"), steps);
    let through = Around {
        indev: Some(ingress.link),
        outdev: Some(towards.link),
        physin: skb.physin_of_iptables(),
        ..Around::default()
    };
    let out = Around {
        outdev: Some(towards.link),
        via: towards.via,
        physin: skb.physin_of_iptables(),
        ..Around::default()
    };
    let filtered =
        netfilter::run(world, &mut trail, ingress.ns, skb.family(), Hook::Forward, &mut skb, &through)
            .and_then(|()| {
                netfilter::run(world, &mut trail, ingress.ns, skb.family(), Hook::Postrouting, &mut skb, &out)
            });
    match filtered {
        Ok(()) => neighbour::send(world, trail, ingress.ns, skb, towards),
        Err(end) => end.finish(trail, &skb.frame),
    }
}

/// The next hop of a packet received on a link, where it would be forwarded out of the same link
/// (`br_nf_pre_routing_finish` asks `ip_route_input`).
pub(crate) fn turned_back(world: &World, link: LinkId, packet: &Packet, mark: u32) -> Option<IpAddr> {
    let ns = world.ns(link.ns);
    let iif = ns.link_name(link.link);
    let Packet { source, destination, .. } = *packet;
    let key = Key { destination, source, iif: &iif, oif: None, mark };
    let nexthop = match route::lookup(ns, &key) {
        Found::Route(route, Some(nexthop)) if route.kind == RouteKind::Unicast => nexthop,
        Found::Route(..) | Found::Refused(..) | Found::Nothing | Found::Unknown(_) => return None,
    };
    let arrival = Arrival { link: link.link, source, destination, mark, towards: &iif };
    let stays =
        nexthop.link == link.link && forwards(ns, &iif) && reverse_path::refuse(ns, &arrival).is_none();
    stays.then(|| nexthop.via.unwrap_or(destination))
}

/// A packet that this machine sent to itself comes back by `lo` with its connection and route:
/// PREROUTING sees it, routing is not asked again (`loopback_xmit`, `ip_rcv_finish_core`) unless NAT has
/// changed where it goes (`nf_nat_ipv4_pre_routing`, `nf_nat_ipv6_in`).
pub(crate) fn receive_own(world: &World, mut trail: Trail, lo: LinkId, mut skb: Skb) -> Outcome {
    let around = Around { indev: Some(lo.link), ..Around::default() };
    let before = skb.packet().map(|packet| packet.destination);
    if let Err(end) =
        netfilter::run(world, &mut trail, lo.ns, skb.family(), Hook::Prerouting, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    match skb.packet().copied() {
        Some(packet) if before != Some(packet.destination) => {
            skb.prerouted = true;
            if packet.is_v6() {
                receive_v6::receive(world, trail, lo, skb, packet)
            } else {
                ip(world, trail, lo, skb, packet)
            }
        }
        Some(_) | None => deliver(world, trail, lo, skb),
    }
}

/// Whether a link forwards IPv4: its own setting where it was read, else the global one.
pub(crate) fn forwards(ns: &model::Netns, link: &str) -> bool {
    let own = ns.sysctl(&format!("ipv4.conf.{link}.forwarding"));
    own.or_else(|| ns.sysctl("ipv4.ip_forward")) == Some(1)
}
