//! An IPv6 packet received by a namespace's stack (`ip6_rcv_core`, `ip6_rcv_finish`, `ip6_mc_input`,
//! `ip6_forward`).
//!
//! There is no reverse path filter, and a machine's own address is a source like any other.

use std::net::IpAddr;

use model::Netns;
use model::link::{Link, LinkKind};
use model::netfilter::Hook;
use model::packet::{Packet, Transport};
use model::path::{Stage, Stop};
use model::route::RouteKind;

use super::deliver::deliver;
use super::neighbour::Towards;
use super::receive::pass_on;
use super::route::{self, Found, Key};
use super::{neighbour_discovery, scope};
use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::world::{LinkId, World};

/// The smallest MTU that a link may have to speak IPv6, in bytes (`IPV6_MIN_MTU`).
const LEAST_MTU: u32 = 1280;

pub(super) fn receive(
    world: &World,
    mut trail: Trail,
    ingress: LinkId,
    mut skb: Skb,
    before: Packet,
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let link = world.link(ingress);
    if let Some(stop) = link.and_then(|link| refused(ns, link, &before)) {
        return trail.drop(place(ns, link, Stage::Local), &skb.frame, stop, Vec::new());
    }
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
    let Packet { source, destination, .. } = packet;
    let at_route = place(ns, link, Stage::Route);
    let iif = ns.link_name(ingress.link);
    let key = Key { destination, source, iif: &iif, oif: None, mark: skb.mark };
    let (route, nexthop) = match route::lookup_one(ns, &key, &mut trail.choices).or_refused_by_lo(ns) {
        Found::Route(route, nexthop) => (route, nexthop),
        Found::Refused(kind, route) => {
            let text = route::refusal_text(ns, kind, route);
            return trail.drop(at_route, &skb.frame, Stop::RouteRefuses(text), Vec::new());
        }
        Found::Nothing => {
            let stop = Stop::NoRoute(destination.to_string());
            return trail.drop(at_route, &skb.frame, stop, Vec::new());
        }
        Found::Unknown(text) => {
            let why = format!("the route depends on a FIB rule that is not modelled: {text}");
            let need = format!("ip route get {destination} from {source} iif {iif}");
            return trail.unknown(at_route, &skb.frame, why, need);
        }
    };
    match (route.kind, nexthop) {
        (RouteKind::Local | RouteKind::Anycast, _) => deliver(world, trail, ingress, skb),
        _ if route.destination.addr().is_multicast() => to_group(world, trail, ingress, skb),
        (_, Some(nexthop)) => {
            let towards = Towards { link: nexthop.link, via: nexthop.via };
            let text = route::text(ns, route, Some(nexthop));
            forward(world, trail, ingress, skb, (&towards, &text))
        }
        (_, None) => {
            let stop = Stop::RouteRefuses(route::text(ns, route, None));
            trail.drop(at_route, &skb.frame, stop, Vec::new())
        }
    }
}

/// What is thrown away before netfilter sees it.
fn refused(ns: &Netns, link: &Link, packet: &Packet) -> Option<Stop> {
    let Packet { source, destination, .. } = *packet;
    if let Some(why) = is_off(ns, link) {
        return Some(Stop::Ipv6Off(why));
    }
    let outside = link.kind != LinkKind::Loopback;
    if (outside && source.is_loopback()) || source.is_multicast() {
        return Some(Stop::MartianSource);
    }
    if outside && destination.is_loopback() {
        return Some(Stop::RouteRefuses(format!("{destination} arrives from outside")));
    }
    None
}

/// Why a link does not speak IPv6, where it does not (`ip6_rcv_core`, `ipv6_add_dev`).
fn is_off(ns: &Netns, link: &Link) -> Option<String> {
    let of = |name: &str| ns.sysctl(&format!("ipv6.conf.{name}.disable_ipv6"));
    if of(&link.name).or_else(|| of("all")) == Some(1) {
        return Some(format!("net.ipv6.conf.{}.disable_ipv6 is 1", link.name));
    }
    let small = link.mtu < LEAST_MTU && link.kind != LinkKind::Loopback;
    small.then(|| format!("its MTU is {} bytes, and IPv6 needs {LEAST_MTU}", link.mtu))
}

/// `ip6_mc_input`: up to INPUT, where the link listens to the group. Groups of sockets are not read.
fn to_group(world: &World, trail: Trail, ingress: LinkId, skb: Skb) -> Outcome {
    let ns = world.ns(ingress.ns);
    let here = place(ns, world.link(ingress), Stage::Local);
    let packet = skb.packet().copied();
    let Some(Packet { destination: IpAddr::V6(group), transport: Transport::Neighbour { .. }, .. }) = packet
    else {
        let why = "who listens to a multicast group is not read";
        return trail.unknown(here, &skb.frame, why, "ip -6 maddr");
    };
    if !neighbour_discovery::listens(ns, ingress.link, group) {
        return trail.drop(here, &skb.frame, Stop::OtherHost, Vec::new());
    }
    deliver(world, trail, ingress, skb)
}

/// `ip6_forward`.
fn forward(
    world: &World,
    trail: Trail,
    ingress: LinkId,
    skb: Skb,
    (towards, route): (&Towards, &str),
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let at_route = place(ns, world.link(ingress), Stage::Route);
    let Some(packet) = skb.packet().copied() else {
        return trail.drop(at_route, &skb.frame, Stop::OtherHost, Vec::new());
    };
    let refused = if !forwards(ns, &ns.link_name(ingress.link)) {
        Some(Stop::ForwardingOff)
    } else if skb.frame.destination.is_group() {
        Some(Stop::OtherHost)
    } else if packet.ttl <= 1 {
        Some(Stop::TtlExceeded)
    } else {
        // Back out of the link of arrival anything may go.
        let leaves = ingress.link != towards.link;
        leaves.then(|| impossible(packet.source)).flatten().or_else(|| too_big(ns, towards.link, &packet))
    };
    match refused {
        Some(stop) => trail.drop(at_route, &skb.frame, stop, Vec::new()),
        None => pass_on(world, trail, ingress, skb, towards, route),
    }
}

/// A source that must not leave its link, or its machine.
fn impossible(source: IpAddr) -> Option<Stop> {
    if source.is_unspecified() || source.is_multicast() || source.is_loopback() {
        return Some(Stop::MartianSource);
    }
    scope::is_link_local(source).then_some(Stop::BeyondScope)
}

/// `ip6_dst_mtu_forward`: the link's MTU for IPv6, which may be less than its own.
fn too_big(ns: &Netns, link: u32, packet: &Packet) -> Option<Stop> {
    let own = ns.link(link)?.mtu;
    let of_v6 = ns.sysctl(&format!("ipv6.conf.{}.mtu", ns.link_name(link)));
    let mtu = of_v6.and_then(|mtu| u32::try_from(mtu).ok()).map_or(own, |mtu| mtu.min(own)).max(LEAST_MTU);
    (u32::from(packet.length) > mtu).then_some(Stop::TooBig { mtu })
}

/// One switch for all links, and since Linux 6.17 one for packets that arrive by a link. `forwarding` of a
/// link only says whether it behaves as a router's there.
fn forwards(ns: &Netns, link: &str) -> bool {
    let is_on = |name: &str| ns.sysctl(&format!("ipv6.conf.{name}")).unwrap_or(0) != 0;
    is_on("all.forwarding") || is_on(&format!("{link}.force_forwarding"))
}

/// Where bridged IPv6 goes that a rule gave another destination (`br_nf_pre_routing_finish_ipv6`): the
/// address to hand it to on the bridge; `None` up the stack; or why nowhere.
pub(crate) fn redirected(
    ns: &Netns,
    bridge: u32,
    (packet, mark): (&Packet, u32),
    trail: &mut Trail,
) -> Result<Option<IpAddr>, Box<Stop>> {
    let Packet { source, destination, .. } = *packet;
    let iif = ns.link_name(bridge);
    let key = Key { destination, source, iif: &iif, oif: None, mark };
    match route::lookup_one(ns, &key, &mut trail.choices).or_refused_by_lo(ns) {
        Found::Route(route, Some(nexthop)) if route.kind == RouteKind::Unicast => {
            Ok((nexthop.link == bridge).then(|| nexthop.via.unwrap_or(destination)))
        }
        Found::Route(..) | Found::Unknown(_) => Ok(None),
        Found::Refused(kind, route) => {
            Err(Box::new(Stop::RouteRefuses(route::refusal_text(ns, kind, route))))
        }
        Found::Nothing => Err(Box::new(Stop::NoRoute(destination.to_string()))),
    }
}
