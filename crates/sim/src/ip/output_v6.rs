//! The route and source of IPv6 packets made here (`ip6_dst_lookup_tail`, `ip6_route_output_flags`).

use std::net::IpAddr;

use model::Netns;
use model::link::LinkKind;
use model::packet::{Packet, Transport};
use model::path::Stop;
use model::route::RouteKind;

use super::local::{Refusal, Routed, loopback, refusal};
use super::neighbour::Towards;
use super::route::{self, Found, Key};
use super::{scope, source_v6};
use crate::trail::Choices;

/// The route of a packet whose source may still be open; `by` is the link that it is bound to, or had
/// better leave by.
pub(super) fn route(
    ns: &Netns,
    (packet, mark): (&Packet, u32),
    by: Option<u32>,
    choices: &mut Choices,
) -> Result<Routed, Refusal> {
    let IpAddr::V6(destination) = packet.destination else {
        return Err(Refusal::Stop(Box::new(Stop::NoRoute(packet.destination.to_string()))));
    };
    if destination.is_multicast() {
        return Err(Refusal::Unknown(format!("which of the group {destination} answers is not modelled")));
    }
    let oif = match by {
        Some(link) => Some(link),
        None => link_meant(ns, packet.destination).map_err(Refusal::Unknown)?,
    };
    let key = Key { destination: packet.destination, source: packet.source, iif: "lo", oif, mark };
    let found = route::lookup_one(ns, &key, choices);
    if !packet.source.is_unspecified() {
        return routed(ns, found, packet.source, packet.destination);
    }
    let (prefers, link) = match found {
        Found::Route(route, nexthop) => (route.preferred_source, nexthop.map(|n| n.link)),
        Found::Refused(..) | Found::Nothing => (None, None),
        Found::Unknown(text) => return Err(Refusal::by_rule(text)),
    };
    let source = prefers.or_else(|| source_v6::choose(ns, link, destination)).ok_or_else(|| {
        let why = format!("no address of this machine reaches as far as {destination}");
        Refusal::Stop(Box::new(Stop::Ipv6Off(why)))
    })?;
    if let Found::Route(_, Some(_)) = found {
        return routed(ns, found, source, packet.destination);
    }
    // What leads nowhere is asked again with the source that was found meanwhile.
    routed(ns, route::lookup_one(ns, &Key { source, ..key }, choices), source, packet.destination)
}

/// The same after OUTPUT: only what stays on a link is held to the link that it would have left by
/// (`ip6_route_me_harder`).
pub(super) fn reroute(
    ns: &Netns,
    (packet, mark): (&Packet, u32),
    egress: u32,
    choices: &mut Choices,
) -> Result<Routed, Refusal> {
    let Packet { source, destination, .. } = *packet;
    let oif = scope::needs_link(destination).then_some(egress);
    let found = route::lookup_one(ns, &Key { destination, source, iif: "lo", oif, mark }, choices);
    routed(ns, found, source, destination)
}

fn routed(ns: &Netns, found: Found, source: IpAddr, destination: IpAddr) -> Result<Routed, Refusal> {
    let Found::Route(route, Some(nexthop)) = found else { return Err(refusal(ns, found, destination)) };
    let local = matches!(route.kind, RouteKind::Local | RouteKind::Anycast);
    let towards = if local {
        // What is for this machine leaves by `lo`, whichever link carries the address
        // (`ip6_rt_get_dev_rcu`).
        Towards { link: loopback(ns).unwrap_or(nexthop.link), via: None }
    } else {
        Towards { link: nexthop.link, via: nexthop.via }
    };
    let limit = ns.sysctl(&format!("ipv6.conf.{}.hop_limit", ns.link_name(towards.link)));
    let hop_limit = limit.and_then(|limit| u8::try_from(limit).ok()).filter(|limit| *limit > 0);
    Ok(Routed { towards, source, local, text: route::text(ns, route, Some(nexthop)), hop_limit })
}

/// Whether an answer had better leave by the link that it was asked on: an echo's always
/// (`icmpv6_echo_reply`), others' where the asker's address means nothing elsewhere
/// (`inet6_csk_route_req`).
pub(super) fn answers_by(packet: &Packet) -> bool {
    let is_echo = matches!(packet.transport, Transport::Echo { .. });
    packet.is_v6() && (is_echo || scope::is_link_local(packet.destination))
}

/// The link that a destination without one is taken to be on. A link-local address means something on
/// its link only: where the machine has one that speaks IPv6, that one is meant.
pub(super) fn link_meant(ns: &Netns, destination: IpAddr) -> Result<Option<u32>, String> {
    if destination.is_ipv4() || !scope::is_link_local(destination) {
        return Ok(None);
    }
    if ns.addresses.iter().any(|a| a.net.addr() == destination) {
        return Ok(None);
    }
    let speaks = |link: u32| ns.addresses_of(link).any(|a| scope::is_link_local(a.net.addr()));
    let mut links = ns.links.iter().filter(|l| l.kind != LinkKind::Loopback && speaks(l.index));
    match (links.next(), links.next()) {
        (Some(only), None) => Ok(Some(only.index)),
        (None, _) => Ok(None),
        (Some(_), Some(_)) => Err(format!("which link {destination} is meant on: every link has its own")),
    }
}
