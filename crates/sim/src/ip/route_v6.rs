//! IPv6's choice among the routes of one table (`fib6_table_lookup`, `rt6_select`).
//!
//! The longest destination prefix wins, then the longest source prefix, then the lowest metric; of what
//! is left, the route that leaves by the wanted link or whose router is preferred. A machine that does
//! not forward passes over gateways that failed to answer, as long as any other route will do.

use std::cmp::Reverse;
use std::net::IpAddr;

use model::Netns;
use model::link::LinkKind;
use model::route::{NeighbourState, Nexthop, Preference, Route};

use super::route::Key;
use super::scope;

/// A route of the table by one of its nexthops; none, of one that refuses.
#[derive(Clone, Copy)]
struct Candidate<'a> {
    route: &'a Route,
    nexthop: Option<&'a Nexthop>,
}

impl Candidate<'_> {
    fn node(&self) -> (Reverse<u8>, Reverse<u8>) {
        let from = self.route.source.map_or(0, |net| net.prefix_len());
        (Reverse(self.route.destination.prefix_len()), Reverse(from))
    }
}

/// What decides between routes to the same prefixes.
#[derive(Clone, Copy)]
struct Wish {
    /// The link it had better leave by: that of arrival, or the one asked for.
    link: Option<u32>,
    /// No other link will do.
    only: bool,
    /// Gateways that failed to answer are passed over.
    reachable: bool,
}

impl Wish {
    fn new(ns: &Netns, key: &Key) -> Wish {
        let received = key.iif != "lo";
        let link = if received { ns.link_named(key.iif).map(|l| l.index) } else { key.oif };
        // `ip6_route_input_lookup`, `ip6_route_output_flags_noref`.
        let bound = !received && key.source.is_unspecified();
        Wish {
            link,
            only: link.is_some() && (bound || scope::stays_on_link(key.destination)),
            reachable: ns.sysctl("ipv6.conf.all.forwarding").unwrap_or(0) == 0,
        }
    }

    /// `rt6_score_route`; `None` for a route that will not do.
    fn score(self, ns: &Netns, candidate: Candidate) -> Option<(u8, bool)> {
        let leaves_by = candidate.nexthop.map_or_else(|| loopback(ns), |n| Some(n.link));
        let suits = self.link.is_none() || self.link == leaves_by;
        let failed = || candidate.nexthop.is_some_and(|nexthop| has_failed(ns, nexthop));
        if (self.only && !suits) || (self.reachable && failed()) {
            return None;
        }
        let preference = match candidate.route.preference {
            Preference::Low => 1,
            Preference::Medium => 2,
            Preference::High => 3,
        };
        Some((preference, suits))
    }
}

/// The table's route for a packet, by the nexthop that suits best.
pub(super) fn in_table<'a>(ns: &'a Netns, table: u32, key: &Key) -> Option<(&'a Route, Option<&'a Nexthop>)> {
    let mut candidates = candidates(ns, table, key);
    candidates.retain(|candidate| is_usable(ns, candidate));
    let wish = Wish::new(ns, key);
    let anything = Wish { reachable: false, ..wish };
    let best = [wish, anything].into_iter().find_map(|wish| best(ns, &candidates, wish))?;
    Some((best.route, best.nexthop))
}

/// The table's route as netfilter asks for it (`ip6_pol_route_lookup`, `rt6_device_match`): of the longest
/// prefix the first that leaves by the link asked for, whatever its metric; else the first, unless `only`
/// that link will do.
pub(super) fn by_link<'a>(
    ns: &'a Netns,
    table: u32,
    key: &Key,
    only: bool,
) -> Option<(&'a Route, Option<&'a Nexthop>)> {
    let candidates = candidates(ns, table, key);
    let leaves_by = |c: &Candidate| c.nexthop.map_or_else(|| loopback(ns), |n| Some(n.link));
    let best = candidates.chunk_by(|a, b| a.node() == b.node()).find_map(|node| {
        let suits = node.iter().find(|c| key.oif.is_none() || leaves_by(c) == key.oif);
        suits.or_else(|| node.first().filter(|_| !only))
    })?;
    Some((best.route, best.nexthop))
}

/// The table's routes that cover a packet: longest prefix first, then lowest metric.
fn candidates<'a>(ns: &'a Netns, table: u32, key: &Key) -> Vec<Candidate<'a>> {
    let to_here = |route: &&Route| route.table == table && route.destination.contains(&key.destination);
    let from_here = |route: &Route| route.source.is_none_or(|net| net.contains(&key.source));
    let mut candidates: Vec<Candidate> =
        ns.routes.iter().filter(to_here).filter(|r| from_here(r)).flat_map(alive).collect();
    // Stable: of equals the kernel keeps the first added in front.
    candidates.sort_by_key(|candidate| (candidate.node(), candidate.route.metric));
    // The first look finds no route to a prefix that others lead to from other sources only
    // (`fib6_node_lookup_1`); the default route is found for want of anything else.
    let others = |net| ns.routes.iter().filter(to_here).any(|r| r.destination == net && !from_here(r));
    let is_hidden = |c: &Candidate| {
        let net = c.route.destination;
        c.route.source.is_none() && net.prefix_len() > 0 && others(net)
    };
    let hidden = candidates.iter().take_while(|c| is_hidden(c)).count();
    candidates.split_off(hidden)
}

/// Of the longest prefix that has a route which will do (`find_rr_leaf`).
fn best<'a>(ns: &Netns, candidates: &[Candidate<'a>], wish: Wish) -> Option<Candidate<'a>> {
    candidates.chunk_by(|a, b| a.node() == b.node()).find_map(|node| {
        let lowest = node.first()?.route.metric;
        let (first, rest) = node.split_at(node.partition_point(|c| c.route.metric == lowest));
        // Past the lowest metric, metrics do not count any more.
        best_of(ns, first, wish).or_else(|| best_of(ns, rest, wish))
    })
}

fn best_of<'a>(ns: &Netns, candidates: &[Candidate<'a>], wish: Wish) -> Option<Candidate<'a>> {
    let scored = candidates.iter().filter_map(|c| Some((wish.score(ns, *c)?, *c)));
    // The first of equals.
    scored.rev().max_by_key(|(score, _)| *score).map(|(_, candidate)| candidate)
}

/// The nexthops that the kernel may have a packet leave by, which it decides by a hash that nobody can
/// foresee (`fib6_select_path`). `chosen` is what [`in_table`] found.
pub(super) fn ways<'a>(
    ns: &'a Netns,
    route: &'a Route,
    chosen: Option<&'a Nexthop>,
    key: &Key,
) -> Vec<&'a Nexthop> {
    let wish = Wish::new(ns, key);
    let mut ways = Vec::new();
    for candidate in alive(route).filter(|candidate| is_usable(ns, candidate)) {
        let way = if wish.score(ns, candidate).is_some() { candidate.nexthop } else { chosen };
        ways.extend(way.filter(|way| !ways.contains(way)));
    }
    ways
}

/// A route by each of its living nexthops.
fn alive(route: &Route) -> impl Iterator<Item = Candidate<'_>> {
    let refuses = route.nexthops.is_empty().then_some(Candidate { route, nexthop: None });
    let living = route.nexthops.iter().filter(|nexthop| !nexthop.dead);
    refuses.into_iter().chain(living.map(move |nexthop| Candidate { route, nexthop: Some(nexthop) }))
}

/// Not by a link without carrier, where such are passed over (`ip6_ignore_linkdown`).
fn is_usable(ns: &Netns, candidate: &Candidate) -> bool {
    let ignores = |nexthop: &Nexthop| {
        let name = ns.link_name(nexthop.link);
        ns.sysctl(&format!("ipv6.conf.{name}.ignore_routes_with_linkdown")) == Some(1)
    };
    !candidate.nexthop.is_some_and(|nexthop| nexthop.linkdown && ignores(nexthop))
}

/// `rt6_check_neigh`: only what was asked and did not answer counts as unreachable.
fn has_failed(ns: &Netns, nexthop: &Nexthop) -> bool {
    let Some(via @ IpAddr::V6(_)) = nexthop.via else { return false };
    let entry = ns.neighbours.iter().find(|n| n.link == nexthop.link && n.ip == via && !n.proxy);
    entry.is_some_and(|n| n.state == NeighbourState::Failed)
}

fn loopback(ns: &Netns) -> Option<u32> {
    ns.links.iter().find(|l| l.kind == LinkKind::Loopback).map(|l| l.index)
}
