//! # fixed-ip-led-astray
//!
//! The instance's own host sends what is for its fixed address somewhere else: it has the address itself, or a route
//! of its leads it away from the bridge.
//!
//! ## What it means
//! Whoever typed `ip address add 10.0.2.24/24 dev br100` in the host's shell in place of the instance's made the host
//! take for its own what is meant for the instance; and what the instance sends, its ARP questions too, comes from an
//! address of the host's own, which the kernel drops. Or a route to the address, or to a part of the network, goes out
//! by another link: the host's answers and whatever comes in by the floating address go there.
//!
//! ## How hopline knows
//! The host has the address on one of its links, or its look-up of the address ends at a route that nobody's address
//! has brought and that leads out by another link than the instances' bridge, on which the address lies. A question
//! from or to the instance dies by it, and is answered in the model once the address, or the route, is gone.
//!
//! ## What it looks like
//! `ip route get 10.0.2.24` on the host says `local 10.0.2.24 dev lo`, or `dev eth0`, where it should say `dev br100`;
//! the instance's neighbours on its bridge still reach it.
//!
//! ## Nearest look-alikes
//! * `duplicate-ip-foreign`: another machine has the address; or the host has the gateway's or a floating one.
//! * `host-subnet-overlap`: an address of another link brought the route.
//! * `policy-route-wrong`: a rule of `ip rule` leads there.
//! * `blackhole-route`: the route leads nowhere.
//!
//! ## Fix
//! `ip address del ADDRESS dev LINK`, or `ip route del ROUTE`. Undo: add it again. A route that a program put there
//! comes back with that program.
//!
//! ## References
//! ip-route(8); `net/ipv4/fib_frontend.c` `__fib_validate_source`; `net/ipv4/arp.c` `arp_process`.

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::finding::{Confidence, Evidence};
use model::path::{Direction, Exchange, Place, Stage};
use model::route::{Address, Nexthop, Route, RouteKind, TABLE_MAIN};
use sim::ip::route::{self, Key};

use crate::evidence;
use crate::found::{Fault, Found, Reach, at};
use crate::ladder;
use crate::mend::{Entry, Mend};
use crate::restart::typed;
use crate::view::{Seat, View};

/// What leads the packets away that are for the instance.
#[derive(Clone, Copy)]
enum Astray<'v> {
    /// The host has the address itself.
    Own(&'v Address),
    /// A route leads out by another link.
    By(&'v Route, &'v Nexthop),
}

/// Looks for fixed addresses that their own hosts do not send to the bridge: one finding an address and host.
pub fn check(view: &View) -> Vec<Found> {
    let mut found = Vec::new();
    for seat in view.vifs() {
        let is_one = std::ptr::eq(seat.ns, seat.server_ns);
        let hosts = [Some(seat.ns), Some(seat.server_ns).filter(|_| !is_one)];
        for ns in hosts.into_iter().flatten() {
            for fixed in &seat.vif.fixed {
                let astray = astray(&seat, ns, *fixed);
                found.extend(astray.and_then(|astray| told(view, &seat, ns, *fixed, astray)));
            }
        }
    }
    found
}

/// It is told that this host has an instance's address itself.
pub(crate) fn tells(view: &View, ns: &Netns, address: IpAddr) -> bool {
    let is_its = |found: &Found| {
        let remedy = found.finding.remedy.first();
        found.finding.hop.host == ns.machine
            && remedy.is_some_and(|remedy| remedy.command.contains(&format!("address del {address}/")))
    };
    ns.has_address(address) && check(view).iter().any(is_its)
}

/// What leads the address away from the bridge, where the host has that bridge and a network on it that the address
/// lies in.
fn astray<'v>(seat: &Seat<'v>, ns: &'v Netns, fixed: Ipv4Addr) -> Option<Astray<'v>> {
    let bridge = ns.link_named(seat.bridge_name()?)?;
    let fixed = IpAddr::V4(fixed);
    let is_own = |address: &&Address| address.net.addr() == fixed;
    let is_near = |address: &Address| address.net.contains(&fixed) && address.net.addr() != fixed;
    if !ns.addresses_of(bridge.index).any(is_near) {
        return None;
    }
    if let Some(own) = ns.addresses.iter().find(is_own) {
        return Some(Astray::Own(own));
    }
    let source = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
    let key = Key { destination: fixed, source, iif: "lo", oif: None, mark: 0 };
    let route::Found::Route(route, Some(nexthop)) = route::lookup(ns, &key) else { return None };
    let is_by_hand = route.kind == RouteKind::Unicast && route.protocol != "kernel";
    let is_elsewhere = nexthop.link != bridge.index && route.nexthops.len() == 1;
    (is_by_hand && is_elsewhere && !route.is_default()).then_some(Astray::By(route, nexthop))
}

fn told(view: &View, seat: &Seat, ns: &Netns, fixed: Ipv4Addr, astray: Astray) -> Option<Found> {
    let machine = ns.machine.clone();
    let mend = Mend::Forget { machine: machine.clone(), entry: entry(ns, astray) };
    let mut lost = view.rungs_of(seat.instance).filter(|rung| !rung.answer.answered);
    lost.find(|rung| ladder::is_answered_with(view, rung, &mend))?;
    let name = &seat.instance.name;
    let (does, cause) = match astray {
        Astray::Own(own) => {
            let link = ns.link_name(own.link);
            (
                "takes it for its own",
                format!("{machine} has {} on {link}, which is {name}'s address", own.net),
            )
        }
        Astray::By(route, nexthop) => {
            let text = route::text(ns, route, Some(nexthop));
            let link = ns.link_name(nexthop.link);
            (
                "sends it elsewhere",
                format!("the route `{text}` is closer than the bridge's, and leads to {link}"),
            )
        }
    };
    let fault = Fault {
        code: "fixed-ip-led-astray",
        hop: place(ns, astray),
        summary: format!("what is for {name} at {fixed} does not come to it: {machine} {does}"),
        cause,
        confidence: Confidence::Proven,
        evidence: evidence(ns, fixed, astray),
        owner: "operator",
        remedy: vec![remedy(ns, astray)],
        instances: vec![name.clone()],
        stopped: view.stop_of(seat.instance, |stopped| stopped.is_in(ns)),
        mend: vec![mend],
    };
    Some(fault.found().breaks(Exchange::Icmp, Direction::Both).reaching(Reach::Instances))
}

fn place(ns: &Netns, astray: Astray) -> Place {
    match astray {
        Astray::Own(own) => at(ns, &ns.link_name(own.link), Stage::Local),
        Astray::By(_, nexthop) => at(ns, &ns.link_name(nexthop.link), Stage::Route),
    }
}

fn entry(ns: &Netns, astray: Astray) -> Entry {
    match astray {
        Astray::Own(own) => Entry::Address { device: ns.link_name(own.link), net: own.net },
        Astray::By(route, _) => {
            Entry::Route { table: route.table, destination: route.destination, kind: route.kind }
        }
    }
}

fn evidence(ns: &Netns, fixed: Ipv4Addr, astray: Astray) -> Vec<Evidence> {
    match astray {
        Astray::Own(own) => {
            let link = ns.link_name(own.link);
            let command = format!("ip -4 address show dev {}", typed(&link));
            vec![
                evidence::state(ns, &command, format!("inet {}", own.net)),
                evidence::state(ns, &format!("ip route get {fixed}"), format!("local {fixed} dev lo")),
            ]
        }
        Astray::By(route, nexthop) => {
            let text = route::text(ns, route, Some(nexthop));
            let by = if route.protocol.is_empty() { "" } else { " proto " };
            let command = format!("ip route show{} {}", table(route), route.destination);
            vec![evidence::state(ns, &command, format!("{text}{by}{}", route.protocol))]
        }
    }
}

fn table(route: &Route) -> String {
    if route.table == TABLE_MAIN { String::new() } else { format!(" table {}", route.table) }
}

fn remedy(ns: &Netns, astray: Astray) -> model::finding::Remedy {
    match astray {
        Astray::Own(own) => {
            let what = format!("{} dev {}", own.net, typed(&ns.link_name(own.link)));
            evidence::remedy(ns, &format!("ip address del {what}"), &format!("ip address add {what}"), "")
        }
        Astray::By(route, nexthop) => {
            let what = format!("{}{}", route::text(ns, route, Some(nexthop)), table(route));
            let note = match route.protocol.as_str() {
                "" | "boot" | "static" => "",
                _ => "the program that put it there puts it back",
            };
            evidence::remedy(ns, &format!("ip route del {what}"), &format!("ip route add {what}"), note)
        }
    }
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::route::Address;

    use crate::fixture::{Cloud, broken, codes, healthy, lacks, reachable_route};

    /// The host has this address on this link.
    fn carrying(net: &str, device: &str) -> Cloud {
        let mut cloud = healthy();
        cloud.address("compute1", device, net);
        cloud
    }

    #[test]
    fn fires_where_the_host_has_the_address_itself() {
        let cloud = carrying("10.0.2.24/24", "br100");
        for is_closed in [false, true] {
            let mut cloud = cloud.clone();
            if is_closed {
                cloud.close("web1");
            }
            let found = cloud.diagnose("web1");
            assert_eq!(codes(&found), ["fixed-ip-led-astray compute1//br100"], "{is_closed}");
            let finding = &found.findings[0];
            assert_eq!(finding.confidence, Confidence::Proven);
            let command = &finding.remedy[0].command;
            assert!(command.ends_with("ip address del 10.0.2.24/24 dev br100"), "{command}");
        }
    }

    #[test]
    fn fires_where_a_route_leads_it_out_by_another_link() {
        for (to, via) in [("10.0.2.24/32", None), ("10.0.2.0/24", Some("203.0.113.1"))] {
            let mut cloud = healthy();
            let eth0 = cloud.link("compute1", "eth0").index;
            cloud.netns("compute1").routes.push(reachable_route(to, via, eth0));
            let found = cloud.diagnose("web1");
            assert_eq!(codes(&found), ["fixed-ip-led-astray compute1//eth0"], "{to}");
            let command = &found.findings[0].remedy[0].command;
            assert!(command.contains("ip route del 10.0.2."), "{command}");
        }
    }

    #[test]
    fn stays_silent_on_a_route_to_the_bridge_and_on_what_an_address_brought() {
        let mut cloud = healthy();
        let bridge = cloud.link("compute1", "br100").index;
        cloud.netns("compute1").routes.push(reachable_route("10.0.2.24/32", None, bridge));
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        for other in ["host-subnet-overlap", "policy-route-wrong", "duplicate-ip-foreign"] {
            assert!(lacks(&broken(other).diagnose("web1"), "fixed-ip-led-astray"), "{other}");
        }
        // An address of the network that is no instance's is anybody's.
        let found: Vec<Address> = carrying("10.0.2.99/24", "br100").netns("compute1").addresses.clone();
        assert!(found.iter().any(|address| address.net.to_string() == "10.0.2.99/24"));
        assert_eq!(codes(&carrying("10.0.2.99/24", "br100").diagnose("web1")), [""; 0]);
    }
}
