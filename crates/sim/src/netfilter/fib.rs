//! What rules ask of the routing tables: address types, the reverse path, nft's `fib`
//! (`xt_addrtype.c`, `ipt_rpfilter.c`, `nft_fib_ipv4.c`).

use std::net::{IpAddr, Ipv4Addr};

use model::link::LinkKind;
use model::netfilter::{AddrType, AddressOf, FibQuestion, FibResult, Hook, Side};
use model::route::{Route, RouteKind};

use super::fib_v6;
use super::fields::end;
use super::look::Look;
use super::marking::Marking;
use super::sets::Value;
use crate::ip::route::{self, Found, Key};

/// Whether one of the packet's addresses is of one of these types.
pub(super) fn is_of_type(
    look: &Look,
    of: AddressOf,
    types: &[AddrType],
    limit: Option<Side>,
) -> Result<bool, String> {
    let Some(ip) = look.packet().map(|p| end(p, of)) else { return Ok(false) };
    // A link of arrival that is absent limits nothing (`addrtype_mt_v1`).
    let link = limit.and_then(|side| side_of(look, side));
    match ip {
        IpAddr::V4(v4) => Ok(types.contains(&v4_type(look, v4, link))),
        IpAddr::V6(v6) => fib_v6::is_of_type(look, v6, types, link),
    }
}

pub(super) fn side_of(look: &Look, side: Side) -> Option<u32> {
    match side {
        Side::In => look.around.indev,
        Side::Out => look.around.outdev,
    }
}

/// By the local table alone; what it does not hold is unicast (`__inet_dev_addr_type`).
fn v4_type(look: &Look, ip: Ipv4Addr, link: Option<u32>) -> AddrType {
    if ip.octets()[0] == 0 || ip.is_broadcast() {
        return AddrType::Broadcast;
    }
    if ip.is_multicast() {
        return AddrType::Multicast;
    }
    let ns = look.world.ns(look.ns);
    let Some(route) = route::local_route(ns, ip.into()) else { return AddrType::Unicast };
    let elsewhere = link.is_some_and(|link| !route.nexthops.iter().any(|n| n.link == link));
    if elsewhere { AddrType::Unicast } else { of_kind(route.kind) }
}

pub(super) fn of_kind(kind: RouteKind) -> AddrType {
    match kind {
        RouteKind::Unicast | RouteKind::Throw => AddrType::Unicast,
        RouteKind::Local => AddrType::Local,
        RouteKind::Broadcast => AddrType::Broadcast,
        RouteKind::Multicast => AddrType::Multicast,
        RouteKind::Anycast => AddrType::Anycast,
        RouteKind::Blackhole => AddrType::Blackhole,
        RouteKind::Unreachable => AddrType::Unreachable,
        RouteKind::Prohibit => AddrType::Prohibit,
    }
}

/// `-m rpfilter`: whether the way back leads over the link of arrival.
pub(super) fn reverse_path(
    look: &Look,
    (loose, with_mark, accept_local): (bool, bool, bool),
    now: Marking,
) -> Result<bool, String> {
    let Some(packet) = look.packet() else { return Ok(false) };
    if from_loopback(look) || is_nobody(packet.source) {
        return Ok(true);
    }
    if packet.is_v6() {
        let mark = if with_mark { now.mark } else { 0 };
        return fib_v6::reverse_path(look, packet, (loose, accept_local), mark);
    }
    let source = if names_nobody(packet.destination) { look.nobody() } else { packet.destination };
    let mark = if with_mark { now.mark } else { 0 };
    Ok(match look_up(look, Key { destination: packet.source, source, iif: "lo", oif: None, mark })? {
        Some(route) if route.kind == RouteKind::Local => accept_local,
        Some(route) if route.kind == RouteKind::Unicast => loose || leads_over(route, look.around.indev),
        Some(_) | None => false,
    })
}

fn leads_over(route: &Route, link: Option<u32>) -> bool {
    link.is_some_and(|link| route.nexthops.iter().any(|n| n.link == link))
}

fn look_up<'w>(look: &Look<'_, 'w>, key: Key) -> Result<Option<&'w Route>, String> {
    match route::lookup(look.world.ns(look.ns), &key) {
        Found::Route(route, _) => Ok(Some(route)),
        Found::Refused(..) | Found::Nothing => Ok(None),
        Found::Unknown(text) => Err(format!("a FIB rule that is not modelled: {text}")),
    }
}

pub(super) fn from_loopback(look: &Look) -> bool {
    let ns = look.world.ns(look.ns);
    look.around.indev.and_then(|l| ns.link(l)).is_some_and(|l| l.kind == LinkKind::Loopback)
}

/// `ipv4_is_zeronet`, or the unspecified address.
fn is_nobody(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_unspecified(),
    }
}

/// Addresses that no packet can come from (`get_saddr`).
fn names_nobody(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.octets()[0] == 0,
        IpAddr::V6(v6) => v6.is_multicast(),
    }
}

/// nft's `fib ADDRESS [. iif|oif] [. mark] type|oif|oifname|check`.
pub(super) fn ask<'l>(
    look: &'l Look,
    question: FibQuestion,
    now: Marking,
) -> Result<Option<Value<'l>>, String> {
    let Some(packet) = look.packet() else { return Ok(None) };
    if question.result == FibResult::Type {
        let kind = match end(packet, question.of) {
            IpAddr::V4(v4) => v4_type(look, v4, question.link.and_then(|side| side_of(look, side))).number(),
            IpAddr::V6(_) => fib_v6::kind(look, question, packet, now)?,
        };
        return Ok(Some(Value::Number(kind.into())));
    }
    let link = match packet.destination {
        IpAddr::V4(_) => found_link(look, question, packet, now)?,
        IpAddr::V6(_) => fib_v6::found_link(look, question, packet, now)?,
    };
    Ok(Some(match question.result {
        FibResult::Present => Value::Number(link.is_some().into()),
        FibResult::Link | FibResult::Type => Value::Name(look.link_name(link)),
    }))
}

/// The link that the look-up leads to (`nft_fib4_eval`).
fn found_link(
    look: &Look,
    question: FibQuestion,
    packet: &model::Packet,
    now: Marking,
) -> Result<Option<u32>, String> {
    if look.hook == Hook::Prerouting && from_loopback(look) {
        return Ok(look.around.indev);
    }
    let wanted = question.link.map(|side| side_of(look, side));
    if is_nobody(packet.source) && names_nobody(packet.destination) {
        return Ok(look.around.indev);
    }
    let (destination, other) = match question.of {
        AddressOf::Source => (packet.source, packet.destination),
        AddressOf::Destination => (packet.destination, packet.source),
    };
    let source = if names_nobody(other) { look.nobody() } else { other };
    let mark = if question.mark { now.mark } else { 0 };
    let ns = look.world.ns(look.ns);
    let out = look.around.outdev.map(|l| ns.link_name(l));
    // A forwarded packet's way back is asked for as if it came in by where it leaves.
    let iif = match (look.hook, question.of, question.link, &out) {
        (Hook::Forward, AddressOf::Source, Some(Side::In), Some(out)) => out.as_str(),
        _ => "lo",
    };
    let key = Key { destination, source, iif, oif: None, mark };
    let Some(route) = look_up(look, key)?.filter(|r| r.kind == RouteKind::Unicast) else { return Ok(None) };
    Ok(match wanted {
        Some(link) => link.filter(|link| route.nexthops.iter().any(|n| n.link == *link)),
        None => route.nexthops.first().map(|n| n.link),
    })
}
