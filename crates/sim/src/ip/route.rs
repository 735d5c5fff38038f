//! Route look-up: FIB rules in order, longest prefix, lowest metric (`fib_table_lookup`, ip-rule(8)).

use std::net::IpAddr;

use ipnet::IpNet;
use model::Netns;
use model::link::LinkKind;
use model::route::{Address, FibRule, Nexthop, Route, RouteKind, RuleAction, TABLE_LOCAL};

use super::route_v6;
use crate::trail::Choices;

/// What is asked of the FIB.
#[derive(Debug, Clone, Copy)]
pub struct Key<'k> {
    /// Where to.
    pub destination: IpAddr,
    /// Where from, unspecified when the route is to choose it.
    pub source: IpAddr,
    /// Link of arrival, `lo` for packets made here.
    pub iif: &'k str,
    /// Link it must leave by, where bound. IPv6 also has links that a packet had better leave by: that of
    /// arrival, and of an answer the one that was asked on.
    pub oif: Option<u32>,
    /// Packet mark.
    pub mark: u32,
}

/// What the FIB answers.
#[derive(Debug, Clone, Copy)]
pub enum Found<'a> {
    /// A route and the nexthop chosen; local and broadcast routes have one too.
    Route(&'a Route, Option<&'a Nexthop>),
    /// A rule or route that refuses.
    Refused(RouteKind, Option<&'a Route>),
    /// No rule led to a route.
    Nothing,
    /// A rule's selector is not modelled: its text.
    Unknown(&'a str),
}

/// Looks a route up as the kernel does for a packet.
pub fn lookup<'a>(ns: &'a Netns, key: &Key) -> Found<'a> {
    through(ns, key, |table| in_table(ns, table, key))
}

/// Looks an IPv6 route up as netfilter does, by a link where one is asked for: `only` by that one, or else
/// by any (`ip6_route_lookup`).
pub(crate) fn lookup_v6_by_link<'a>(ns: &'a Netns, key: &Key, only: bool) -> Found<'a> {
    through(ns, key, |table| route_v6::by_link(ns, table, key, only))
}

/// Goes through the FIB rules.
fn through<'a>(
    ns: &'a Netns,
    key: &Key,
    in_table: impl Fn(u32) -> Option<(&'a Route, Option<&'a Nexthop>)>,
) -> Found<'a> {
    let rules = if key.destination.is_ipv4() { &ns.rules } else { &ns.rules6 };
    let mut at = 0;
    // A goto only ever leads forward, so the look-up ends.
    while let Some(rule) = rules.get(at) {
        at += 1;
        match selects(rule, ns, key) {
            Some(true) => {}
            Some(false) => continue,
            None => return Found::Unknown(rule.unmodelled.as_deref().unwrap_or_default()),
        }
        match rule.action {
            RuleAction::Lookup(table) => match in_table(table) {
                Some((route, nexthop)) if route.kind != RouteKind::Throw => {
                    return answer(route, nexthop);
                }
                Some(_) | None => {}
            },
            RuleAction::Goto(priority) => {
                // A goto whose target is missing is passed over (`fib_rules_lookup`).
                let target = rules.iter().position(|r| r.priority == priority);
                at = target.map_or(at, |found| found.max(at));
            }
            RuleAction::Nop => {}
            RuleAction::Blackhole => return Found::Refused(RouteKind::Blackhole, None),
            RuleAction::Unreachable => return Found::Refused(RouteKind::Unreachable, None),
            RuleAction::Prohibit => return Found::Refused(RouteKind::Prohibit, None),
        }
    }
    Found::Nothing
}

fn answer<'a>(route: &'a Route, nexthop: Option<&'a Nexthop>) -> Found<'a> {
    match route.kind {
        RouteKind::Unicast
        | RouteKind::Local
        | RouteKind::Broadcast
        | RouteKind::Multicast
        | RouteKind::Anycast => Found::Route(route, nexthop),
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw => {
            Found::Refused(route.kind, Some(route))
        }
    }
}

impl<'a> Found<'a> {
    /// The same for a packet received, and for what rules ask: IPv6 has a route by the loopback link refuse,
    /// lest packets go round, but only once OUTPUT has seen those made here (`fib6_is_reject`,
    /// `ip6_rt_init_dst_reject`).
    pub(crate) fn or_refused_by_lo(self, ns: &Netns) -> Found<'a> {
        let loops =
            |nexthop: &Nexthop| ns.link(nexthop.link).is_some_and(|link| link.kind == LinkKind::Loopback);
        match self {
            Found::Route(route, Some(nexthop))
                if route.kind == RouteKind::Unicast
                    && route.destination.addr().is_ipv6()
                    && loops(nexthop) =>
            {
                Found::Refused(RouteKind::Unreachable, Some(route))
            }
            found @ (Found::Route(..) | Found::Refused(..) | Found::Nothing | Found::Unknown(_)) => found,
        }
    }
}

/// The same, and of several ways that the kernel would spread flows over, one: whoever asked walks again
/// for each of the others.
pub(super) fn lookup_one<'a>(ns: &'a Netns, key: &Key, choices: &mut Choices) -> Found<'a> {
    match lookup(ns, key) {
        Found::Route(route, nexthop) if key.destination.is_ipv6() && route.nexthops.len() > 1 => {
            let ways = route_v6::ways(ns, route, nexthop, key);
            let nth = if ways.len() > 1 { choices.choose(ways.len()) } else { 0 };
            Found::Route(route, ways.get(nth).copied().or(nexthop))
        }
        found @ (Found::Route(..) | Found::Refused(..) | Found::Nothing | Found::Unknown(_)) => found,
    }
}

/// Whether a rule applies; `None` where a selector is not modelled and the others hold.
fn selects(rule: &FibRule, ns: &Netns, key: &Key) -> Option<bool> {
    let covers = |net: Option<IpNet>, ip: IpAddr| net.is_none_or(|n| n.contains(&ip));
    // IPv6 has no rule for a source that is still open (`fib6_rule_match`); to IPv4 it is 0.0.0.0.
    let is_open = key.source.is_ipv6() && key.source.is_unspecified();
    let by_source = if is_open { rule.source.is_none() } else { covers(rule.source, key.source) };
    let leaves_by = |name: &String| key.oif.is_some_and(|oif| ns.link_name(oif) == *name);
    let holds = by_source
        && covers(rule.destination, key.destination)
        && rule.iif.as_ref().is_none_or(|name| name == key.iif)
        && rule.fwmark.is_none_or(|(value, mask)| key.mark & mask == value & mask)
        && rule.oif.as_ref().is_none_or(leaves_by)
        && rule.tos == 0;
    match (&rule.unmodelled, holds) {
        (Some(_), true) => None,
        (Some(_), false) if rule.invert => None,
        (Some(_) | None, _) => Some(holds != rule.invert),
    }
}

/// The longest prefix of a table that has a living nexthop.
fn in_table<'a>(ns: &'a Netns, table: u32, key: &Key) -> Option<(&'a Route, Option<&'a Nexthop>)> {
    if key.destination.is_ipv6() {
        return route_v6::in_table(ns, table, key);
    }
    let candidates = ns
        .routes
        .iter()
        .filter(|r| r.table == table && r.tos == 0 && r.destination.contains(&key.destination));
    let usable = candidates.filter_map(|route| {
        if route.nexthops.is_empty() {
            return Some((route, None));
        }
        let nexthop = route.nexthops.iter().find(|n| alive(ns, n, key))?;
        Some((route, Some(nexthop)))
    });
    // Of equal prefixes and metrics the kernel keeps the first added in front.
    usable.min_by_key(|(route, _)| (std::cmp::Reverse(route.destination.prefix_len()), route.metric))
}

/// A nexthop that `fib_table_lookup` takes: not dead, on the link asked for, and, under
/// `ignore_routes_with_linkdown`, with a carrier.
fn alive(ns: &Netns, nexthop: &Nexthop, key: &Key) -> bool {
    let ignores = || {
        let name = ns.link_name(nexthop.link);
        ns.sysctl(&format!("ipv4.conf.{name}.ignore_routes_with_linkdown")) == Some(1)
    };
    !nexthop.dead && key.oif.is_none_or(|oif| oif == nexthop.link) && !(nexthop.linkdown && ignores())
}

/// The address that a link speaks IPv4 with towards another (`inet_select_addr`): its first in the subnet
/// of that one, else its first, else the first of any other link.
pub(crate) fn select_address(ns: &Netns, link: u32, towards: IpAddr) -> Option<IpAddr> {
    let speaking = |a: &&Address| !a.secondary && a.scope != "host";
    let of_family = |a: &Address| Some(a.net.addr()).filter(IpAddr::is_ipv4);
    let own = || ns.addresses_of(link).filter(speaking);
    let covering = own().filter(|a| a.net.contains(&towards)).find_map(of_family);
    let elsewhere = || ns.addresses.iter().filter(speaking).filter(|a| a.scope != "link").find_map(of_family);
    covering.or_else(|| own().find_map(of_family)).or_else(elsewhere)
}

/// Whether an address is local or a broadcast address here, by the local table.
pub fn local_kind(ns: &Netns, ip: IpAddr) -> Option<RouteKind> {
    local_route(ns, ip).map(|route| route.kind)
}

/// The local table's route for an address.
pub(crate) fn local_route(ns: &Netns, ip: IpAddr) -> Option<&Route> {
    let here = ns.routes.iter().filter(|r| r.table == TABLE_LOCAL && r.destination.contains(&ip));
    here.max_by_key(|r| r.destination.prefix_len())
}

/// What refuses, as `ip route` prints it: a route, or the action of a rule.
pub(super) fn refusal_text(ns: &Netns, kind: RouteKind, route: Option<&Route>) -> String {
    route.map_or_else(|| format!("{kind:?}").to_lowercase(), |route| text(ns, route, None))
}

/// A route as `ip route` prints it.
pub fn text(ns: &Netns, route: &Route, nexthop: Option<&Nexthop>) -> String {
    let mut out = match route.kind {
        RouteKind::Unicast => String::new(),
        RouteKind::Local => "local ".to_owned(),
        RouteKind::Broadcast => "broadcast ".to_owned(),
        RouteKind::Multicast => "multicast ".to_owned(),
        RouteKind::Anycast => "anycast ".to_owned(),
        RouteKind::Blackhole => "blackhole ".to_owned(),
        RouteKind::Unreachable => "unreachable ".to_owned(),
        RouteKind::Prohibit => "prohibit ".to_owned(),
        RouteKind::Throw => "throw ".to_owned(),
    };
    match route.destination {
        net if net.prefix_len() == 0 => out.push_str("default"),
        net if net.prefix_len() == net.max_prefix_len() => out.push_str(&net.addr().to_string()),
        net => out.push_str(&net.to_string()),
    }
    if let Some(nexthop) = nexthop {
        if let Some(via) = nexthop.via {
            out.push_str(&format!(" via {via}"));
        }
        out.push_str(&format!(" dev {}", ns.link_name(nexthop.link)));
    }
    if route.metric != 0 {
        out.push_str(&format!(" metric {}", route.metric));
    }
    out
}
