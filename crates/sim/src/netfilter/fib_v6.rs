//! What rules ask of IPv6's routing tables (`xt_addrtype.c`, `ip6t_rpfilter.c`, `nft_fib_ipv6.c`).
//!
//! Address types are mostly read off the address itself, and a reverse path may be any route to the
//! source that leaves by the link of arrival, not only the one that packets would take.

use std::net::{IpAddr, Ipv6Addr};

use model::Packet;
use model::netfilter::{AddrType, AddressOf, FibQuestion, Hook, Side};
use model::route::RouteKind;

use super::fib::{from_loopback, of_kind, side_of};
use super::fields::end;
use super::look::Look;
use super::marking::Marking;
use crate::ip::route::{self, Found, Key};
use crate::ip::scope;

/// `--src-type`, `--dst-type`: all of the types that the address itself tells, and one of those that
/// routes tell (`match_type6`).
pub(super) fn is_of_type(
    look: &Look,
    ip: Ipv6Addr,
    types: &[AddrType],
    link: Option<u32>,
) -> Result<bool, String> {
    let asked = |kind: AddrType| types.contains(&kind);
    if (asked(AddrType::Multicast) && !ip.is_multicast()) || (asked(AddrType::Unicast) && !is_unicast(ip)) {
        return Ok(false);
    }
    let by_route = [AddrType::Local, AddrType::Anycast, AddrType::Unreachable];
    if !by_route.into_iter().any(asked) {
        // Other types iptables does not load for IPv6 (`addrtype_mt_checkentry_v1`).
        return Ok(types.iter().all(|kind| matches!(kind, AddrType::Multicast | AddrType::Unicast)));
    }
    let told = told_by_route(look, ip, link)?;
    Ok(told.into_iter().flatten().any(asked))
}

fn is_unicast(ip: Ipv6Addr) -> bool {
    !ip.is_unspecified() && !ip.is_multicast()
}

/// `match_lookup_rt6`: what refuses is unreachable and nothing else.
fn told_by_route(look: &Look, ip: Ipv6Addr, link: Option<u32>) -> Result<[Option<AddrType>; 2], String> {
    let ns = look.world.ns(look.ns);
    let key = Key { destination: ip.into(), source: look.nobody(), iif: "lo", oif: link, mark: 0 };
    let (route, _) = match route::lookup(ns, &key).or_refused_by_lo(ns) {
        Found::Route(route, nexthop) => (route, nexthop),
        Found::Refused(..) | Found::Nothing => return Ok([Some(AddrType::Unreachable), None]),
        Found::Unknown(text) => return Err(not_modelled(text)),
    };
    let local = match link {
        Some(link) => carries(look, link, ip),
        None => route.kind == RouteKind::Local,
    };
    Ok([local.then_some(AddrType::Local), is_anycast(route, ip).then_some(AddrType::Anycast)])
}

/// `ipv6_anycast_destination`: also the first address of a prefix that is on the link.
fn is_anycast(route: &model::route::Route, ip: Ipv6Addr) -> bool {
    let is_first = route.destination.prefix_len() < 127
        && route.destination.network() == IpAddr::V6(ip)
        && route.nexthops.iter().all(|n| n.via.is_none());
    route.kind == RouteKind::Anycast || is_first
}

fn carries(look: &Look, link: u32, ip: Ipv6Addr) -> bool {
    let ns = look.world.ns(look.ns);
    ns.addresses_of(link).any(|a| a.net.addr() == IpAddr::V6(ip) && a.standing.is_usable())
}

/// nft's `fib ADDRESS [. iif|oif] type`, as the kernel numbers types (`__nft_fib6_eval_type`).
pub(super) fn kind(look: &Look, question: FibQuestion, packet: &Packet, now: Marking) -> Result<u8, String> {
    let IpAddr::V6(ip) = end(packet, question.of) else { return Ok(0) };
    let link = question.link.and_then(|side| side_of(look, side));
    let ns = look.world.ns(look.ns);
    let key = key(look, question, packet, now);
    // The type is looked up as if the packet were made here.
    let route = match route::lookup(ns, &Key { iif: "lo", ..key }).or_refused_by_lo(ns) {
        Found::Route(route, _) => route,
        Found::Refused(kind, _) => return Ok(of_kind(kind).number()),
        Found::Nothing => return Ok(AddrType::Unreachable.number()),
        Found::Unknown(text) => return Err(not_modelled(text)),
    };
    let local = match link {
        Some(link) => carries(look, link, ip),
        None => route.kind == RouteKind::Local,
    };
    let kind = if is_anycast(route, ip) {
        AddrType::Anycast
    } else if local {
        AddrType::Local
    } else if ip.is_multicast() {
        AddrType::Multicast
    } else if is_unicast(ip) {
        AddrType::Unicast
    } else {
        return Ok(0);
    };
    Ok(kind.number())
}

/// `-m rpfilter` (`rpfilter_lookup_reverse6`).
pub(super) fn reverse_path(
    look: &Look,
    packet: &Packet,
    (loose, accept_local): (bool, bool),
    mark: u32,
) -> Result<bool, String> {
    let link = look.around.indev;
    let only = scope::is_link_local(packet.source);
    let source = if packet.destination.is_multicast() { look.nobody() } else { packet.destination };
    let oif = link.filter(|_| only || !loose);
    let key = Key { destination: packet.source, source, iif: "lo", oif, mark };
    let ns = look.world.ns(look.ns);
    match route::lookup_v6_by_link(ns, &key, only).or_refused_by_lo(ns) {
        Found::Route(route, _) if route.kind == RouteKind::Anycast => Ok(false),
        Found::Route(route, _) if route.kind == RouteKind::Local => Ok(accept_local),
        Found::Route(_, nexthop) => Ok(loose || nexthop.is_some_and(|n| Some(n.link) == link)),
        Found::Refused(..) | Found::Nothing => Ok(false),
        Found::Unknown(text) => Err(not_modelled(text)),
    }
}

/// The link that nft's `fib` finds (`nft_fib6_eval`).
pub(super) fn found_link(
    look: &Look,
    question: FibQuestion,
    packet: &Packet,
    now: Marking,
) -> Result<Option<u32>, String> {
    if look.hook == Hook::Prerouting && from_loopback(look) {
        return Ok(look.around.indev);
    }
    let wanted = question.link.and_then(|side| side_of(look, side));
    let key = key(look, question, packet, now);
    let only = scope::is_link_local(key.destination);
    let ns = look.world.ns(look.ns);
    match route::lookup_v6_by_link(ns, &key, only).or_refused_by_lo(ns) {
        Found::Route(route, _) if matches!(route.kind, RouteKind::Local | RouteKind::Anycast) => Ok(None),
        Found::Route(route, Some(nexthop)) => {
            let several = route.nexthops.iter().any(|n| n.link != nexthop.link);
            if several && key.oif.is_none() {
                return Err("which of several routes a hash picks".to_owned());
            }
            Ok(Some(nexthop.link).filter(|link| wanted.is_none_or(|wanted| wanted == *link)))
        }
        Found::Route(_, None) | Found::Refused(..) | Found::Nothing => Ok(None),
        Found::Unknown(text) => Err(not_modelled(text)),
    }
}

/// What nft looks up (`nft_fib6_flowi_init`).
fn key<'l>(look: &'l Look, question: FibQuestion, packet: &Packet, now: Marking) -> Key<'l> {
    let (destination, source) = match question.of {
        AddressOf::Destination => (packet.destination, packet.source),
        AddressOf::Source => (packet.source, packet.destination),
    };
    let wanted = question.link.and_then(|side| side_of(look, side));
    let here = wanted.or(look.around.indev).or(look.around.outdev);
    // A forwarded packet's way back is asked for as if it came in by where it leaves.
    let turned =
        look.hook == Hook::Forward && question.of == AddressOf::Source && question.link == Some(Side::In);
    let iif = if turned { look.link_name(look.around.outdev) } else { "lo" };
    Key {
        destination,
        source: if source.is_multicast() { look.nobody() } else { source },
        iif,
        oif: here.filter(|_| scope::is_link_local(destination)),
        mark: if question.mark { now.mark } else { 0 },
    }
}

fn not_modelled(text: &str) -> String {
    format!("a FIB rule that is not modelled: {text}")
}
