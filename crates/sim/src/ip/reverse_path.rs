//! Source validation of received packets (`fib_validate_source`, `ip-sysctl.rst` rp_filter).

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::path::Stop;
use model::route::RouteKind;

use super::route::{self, Found, Key};

/// The rp_filter value in force on a link: the larger of `all` and the link's own.
pub fn effective(ns: &Netns, link: &str) -> Option<i64> {
    let of = |name: &str| ns.sysctl(&format!("ipv4.conf.{name}.rp_filter"));
    match (of("all"), of(link)) {
        (Some(all), Some(own)) => Some(all.max(own)),
        (all, own) => own.or(all),
    }
}

/// A switch that is on where `all` or the link's own is (`IN_DEV_ORCONF`).
pub(crate) fn either(ns: &Netns, link: &str, what: &str) -> bool {
    ["all", link].iter().any(|name| ns.sysctl(&format!("ipv4.conf.{name}.{what}")) == Some(1))
}

/// What a source is validated for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Arrival<'a> {
    /// Link of arrival.
    pub(crate) link: u32,
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    pub(crate) mark: u32,
    /// Link that it will leave by, `lo` for what stays here.
    pub(crate) towards: &'a str,
}

/// Why a packet, or an ARP question, would be refused for its source, if it would.
pub(crate) fn refuse(ns: &Netns, arrival: &Arrival) -> Option<Stop> {
    let Arrival { link, source, destination, mark, towards } = *arrival;
    if source.is_loopback() || source.is_multicast() || source == IpAddr::V4(Ipv4Addr::BROADCAST) {
        return Some(Stop::MartianSource);
    }
    if source.is_unspecified() {
        return None;
    }
    let name = ns.link_name(link);
    let value = effective(ns, &name).unwrap_or(0);
    // The look-up of the way back carries the mark only with src_valid_mark.
    let mark = if either(ns, &name, "src_valid_mark") { mark } else { 0 };
    // FIB rules see the way back: from the packet's destination, in by where the packet would leave.
    let key = Key { destination: source, source: destination, iif: towards, oif: None, mark };
    // A link without an address has no way back that could lead over it, not even a loose one.
    let bare = !ns.addresses_of(link).any(|a| a.net.addr().is_ipv4());
    let strict =
        |back: String| (value == 1 || (bare && value != 0)).then_some(Stop::ReversePath { value, back });
    match route::lookup(ns, &key) {
        Found::Route(route, _) if route.kind == RouteKind::Local && !either(ns, &name, "accept_local") => {
            Some(Stop::MartianSource)
        }
        Found::Route(route, Some(_)) if route.nexthops.iter().any(|n| n.link == link) => None,
        Found::Route(route, nexthop) => strict(route::text(ns, route, nexthop)),
        Found::Refused(..) | Found::Nothing if value != 0 => {
            Some(Stop::ReversePath { value, back: format!("no route to {source}") })
        }
        Found::Refused(..) | Found::Nothing | Found::Unknown(_) => None,
    }
}
