//! `ip route show table all`, `ip -6 route show table all` (ip-route(8)).
//!
//! Devices and tables are told by name, so a listing is read with the names that belong to it. A route whose device,
//! gateway or table cannot be told is a problem with its place, and left out.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::route::{Nexthop, Preference, Route, RouteKind, TABLE_MAIN};

use crate::ip_words::{Names, number, prefix, value_of};
use crate::{Parsed, Problem};

/// What the listing was asked for: `default` is a route of either family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Listing {
    /// `ip route`: whatever a line's addresses say, else IPv4.
    Any,
    /// `ip -6 route`.
    Ipv6,
}

/// Reads a whole listing.
pub fn parse(text: &str, listing: Listing, names: Names<'_>) -> Parsed<Vec<Route>> {
    let mut out = Parsed::<Vec<Route>>::default();
    let mut places = Vec::new();
    // A route whose line could not be read has no nexthops either.
    let mut in_route = false;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        if words.first() == Some(&"nexthop") {
            match (out.value.last_mut().filter(|_| in_route), nexthop(&words, names)) {
                (Some(route), Some(hop)) => route.nexthops.push(hop),
                (Some(_) | None, _) => {
                    let what = "cannot read this way of the route above it";
                    out.problems.push(Problem::at(index, line, line.trim_start(), what));
                }
            }
            continue;
        }
        match route(&words, listing, names) {
            Ok(route) => {
                in_route = true;
                places.push((index, line));
                out.value.push(route);
            }
            Err(what) => {
                in_route = false;
                out.problems.push(Problem::at(index, line, line.trim_start(), what));
            }
        }
    }
    let leads = |route: &Route| !goes_somewhere(route.kind) || !route.nexthops.is_empty();
    let lost = out.value.iter().zip(&places).filter(|(route, _)| !leads(route));
    let what = "expected the device that this route leads to, or ways below it";
    out.problems.extend(lost.map(|(_, (index, line))| Problem::at(*index, line, line, what)));
    out.problems.sort_by_key(|problem| problem.line);
    out.value.retain(leads);
    out
}

const NOT_A_ROUTE: &str = "expected a route as `ip route` prints it: `10.0.0.0/16 dev br100 scope link ...`";

fn route(words: &[&str], listing: Listing, names: Names<'_>) -> Result<Route, String> {
    let (kind, words) = match words.first().and_then(|word| kind(word)) {
        Some(kind) => (kind, words.get(1..).unwrap_or_default()),
        None => (RouteKind::Unicast, words),
    };
    let (to, rest) = words.split_first().ok_or(NOT_A_ROUTE)?;
    if rest.contains(&"encap") {
        return Err("a route that wraps its packets (`encap`) is not modelled".to_owned());
    }
    let destination = destination(to, rest, listing).ok_or(NOT_A_ROUTE)?;
    let table = match value_of(rest, "table") {
        Some(name) => {
            names.table(name).ok_or_else(|| format!("the number of table `{name}` is not known"))?
        }
        None => TABLE_MAIN,
    };
    let of_v4 = destination.addr().is_ipv4();
    let mut out = Route {
        metric: value_of(rest, "metric").and_then(number).unwrap_or(0),
        tos: value_of(rest, "tos").map_or(Some(0), tos).ok_or(NOT_A_ROUTE)?,
        source: value_of(rest, "from").filter(|_| !of_v4).and_then(prefix),
        preferred_source: value_of(rest, "src").and_then(|ip| ip.parse().ok()),
        // What is left out is `boot`, and the whole universe (iproute2 `print_route`).
        protocol: value_of(rest, "proto").unwrap_or("boot").to_owned(),
        scope: value_of(rest, "scope").unwrap_or("global").to_owned(),
        mtu: mtu(rest).unwrap_or(0),
        preference: match value_of(rest, "pref") {
            Some("low") => Preference::Low,
            Some("high") => Preference::High,
            Some(_) | None => Preference::Medium,
        },
        ..Route::new(table, destination, kind)
    };
    if goes_somewhere(kind) && has_way(rest) {
        let hop = nexthop(rest, names).ok_or_else(|| {
            let device = value_of(rest, "dev").unwrap_or_default();
            format!("cannot tell where this route leads: by `{device}`")
        })?;
        out.nexthops.push(hop);
    }
    Ok(out)
}

/// The line itself tells a way; of several each has a line of its own.
fn has_way(words: &[&str]) -> bool {
    words.contains(&"dev")
}

fn kind(word: &str) -> Option<RouteKind> {
    Some(match word {
        "unicast" => RouteKind::Unicast,
        "local" => RouteKind::Local,
        "broadcast" => RouteKind::Broadcast,
        "multicast" => RouteKind::Multicast,
        "anycast" => RouteKind::Anycast,
        "blackhole" => RouteKind::Blackhole,
        "unreachable" => RouteKind::Unreachable,
        "prohibit" => RouteKind::Prohibit,
        "throw" => RouteKind::Throw,
        _ => return None,
    })
}

/// IPv6 names lo as the way out of what it drops.
fn goes_somewhere(kind: RouteKind) -> bool {
    match kind {
        RouteKind::Unicast
        | RouteKind::Local
        | RouteKind::Broadcast
        | RouteKind::Multicast
        | RouteKind::Anycast => true,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw => false,
    }
}

fn destination(word: &str, rest: &[&str], listing: Listing) -> Option<IpNet> {
    if word != "default" {
        return prefix(word);
    }
    let near = value_of(rest, "via").map(|ip| if ip == "inet6" { "::" } else { ip });
    let told = near.or_else(|| value_of(rest, "src")).and_then(|ip| ip.parse::<IpAddr>().ok());
    // `pref` and `error` stand in lines of IPv6 alone.
    let of_v6 = match told {
        Some(ip) => ip.is_ipv6(),
        None => listing == Listing::Ipv6 || rest.contains(&"pref") || rest.contains(&"error"),
    };
    let any = if of_v6 { IpAddr::from(Ipv6Addr::UNSPECIFIED) } else { Ipv4Addr::UNSPECIFIED.into() };
    IpNet::new(any, 0).ok()
}

/// `via 10.0.0.1 dev eth0 weight 1 onlink`, also behind `nexthop`; `via inet6 fe80::1` of an IPv4 route.
fn nexthop(words: &[&str], names: Names<'_>) -> Option<Nexthop> {
    let via = match value_of(words, "via") {
        Some(family @ ("inet" | "inet6")) => Some(value_of(words, family)?.parse().ok()?),
        Some(ip) => Some(ip.parse().ok()?),
        None => None,
    };
    Some(Nexthop {
        via,
        link: names.link(value_of(words, "dev")?)?,
        weight: value_of(words, "weight").map_or(Some(1), number)?,
        onlink: words.contains(&"onlink"),
        dead: words.contains(&"dead"),
        linkdown: words.contains(&"linkdown"),
    })
}

/// `mtu 1400`, and `mtu lock 1400`.
fn mtu(words: &[&str]) -> Option<u32> {
    match value_of(words, "mtu")? {
        "lock" => number(value_of(words, "lock")?),
        mtu => number(mtu),
    }
}

/// `tos 0x10`, or a name of /etc/iproute2/rt_dsfield, which tells that it is not 0.
fn tos(word: &str) -> Option<u8> {
    match number(word) {
        Some(tos) => u8::try_from(tos).ok(),
        None => Some(u8::MAX),
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::link::Link;
    use proptest::prelude::*;

    use super::*;
    use crate::ip_words::numbers;

    fn links() -> Vec<Link> {
        let named = |(index, name): (u32, &str)| Link { index, name: name.to_owned(), ..Link::default() };
        [(1, "lo"), (2, "eth0"), (7, "br100")].map(named).into()
    }

    fn read(text: &str, listing: Listing) -> Parsed<Vec<Route>> {
        let (links, tables) = (links(), BTreeMap::from([("isp1".to_owned(), 100)]));
        parse(text, listing, Names { links: &numbers(&links), tables: &tables })
    }

    #[test]
    fn a_listing_of_all_tables_is_read() {
        let text = "\
default via 203.0.113.1 dev eth0 proto static metric 100 onlink
10.0.0.0/16 dev br100 proto kernel scope link src 10.0.0.42 linkdown
10.9.0.0/16 tos 0x10 via 10.0.0.1 dev br100 table isp1 mtu lock 1400
unreachable 192.0.2.0/24 metric 5
10.8.0.0/16 proto bird
\tnexthop via 203.0.113.1 dev eth0 weight 2
\tnexthop via 203.0.113.2 dev eth0 weight 1 dead linkdown
local 10.0.0.42 dev br100 table local proto kernel scope host src 10.0.0.42
fe80::/64 dev eth0 proto kernel metric 256 pref medium
default via fe80::1 dev eth0 proto ra metric 1024 expires 1700sec hoplimit 64 pref high
unreachable default dev lo table unspec proto kernel metric 4294967295 error -101 pref medium
";
        let read = read(text, Listing::Any);
        assert_eq!(read.problems, []);
        let told: Vec<String> = read
            .value
            .iter()
            .map(|r| {
                let hops: Vec<String> = r
                    .nexthops
                    .iter()
                    .map(|n| {
                        let via = n.via.map(|ip| ip.to_string()).unwrap_or_default();
                        let flags = [(n.onlink, "o"), (n.dead, "d"), (n.linkdown, "l")];
                        let flags: String = flags.iter().filter(|f| f.0).map(|f| f.1).collect();
                        format!("{via}%{}*{}{flags}", n.link, n.weight)
                    })
                    .collect();
                let (table, to, kind) = (r.table, r.destination, r.kind);
                format!("{table} {to} {kind:?} {} {} {} {}", r.metric, r.tos, r.mtu, hops.join(" "))
            })
            .collect();
        let expected = [
            "254 0.0.0.0/0 Unicast 100 0 0 203.0.113.1%2*1o",
            "254 10.0.0.0/16 Unicast 0 0 0 %7*1l",
            "100 10.9.0.0/16 Unicast 0 16 1400 10.0.0.1%7*1",
            "254 192.0.2.0/24 Unreachable 5 0 0 ",
            "254 10.8.0.0/16 Unicast 0 0 0 203.0.113.1%2*2 203.0.113.2%2*1dl",
            "255 10.0.0.42/32 Local 0 0 0 %7*1",
            "254 fe80::/64 Unicast 256 0 0 %2*1",
            "254 ::/0 Unicast 1024 0 0 fe80::1%2*1",
            "0 ::/0 Unreachable 4294967295 0 0 ",
        ];
        assert_eq!(told, expected);
        assert_eq!((read.value[0].protocol.as_str(), read.value[1].scope.as_str()), ("static", "link"));
        assert_eq!(read.value[7].preference, Preference::High);
    }

    #[test]
    fn a_default_without_an_address_is_of_the_family_that_was_asked_for() {
        let text = "default dev eth0 metric 1024\n";
        let of = |listing| read(text, listing).value.first().map(|r| r.destination.addr().is_ipv4());
        assert_eq!([of(Listing::Any), of(Listing::Ipv6)], [Some(true), Some(false)]);
    }

    #[test]
    fn what_cannot_be_placed_is_told_and_left_out() {
        let text = "\
10.0.0.0/8 dev gone
10.1.0.0/16 dev eth0 table nobody
Dump terminated
10.2.0.0/16 nhid 7
10.3.0.0/16  encap mpls  100 via 10.0.0.1 dev eth0
\tnexthop via 10.0.0.1 dev eth0 weight 1
";
        let read = read(text, Listing::Any);
        assert_eq!(read.value, []);
        assert_eq!(read.problems.iter().map(|p| p.line).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    }

    proptest! {
        #[test]
        fn any_words_are_answered(
            words in prop::collection::vec(
                "default|local|via|dev|eth0|nexthop|table|main|10\\.0\\.0\\.1|::1/64|\\PC{0,6}|\n",
                0..40,
            )
        ) {
            let text = words.join(" ");
            let read = read(&text, Listing::Any);
            let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            prop_assert!(read.value.len() + read.problems.len() <= lines);
        }
    }
}
