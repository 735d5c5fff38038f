//! # blackhole-route
//!
//! A route throws packets away on purpose.
//!
//! ## What it means
//! A route of type `blackhole`, `unreachable` or `prohibit` is more specific than what leads on, so everything for its
//! prefix ends at this machine. A blackhole is silent; the other two tell the sender by ICMP.
//!
//! ## How hopline knows
//! The walk's look-up ends at that route. An unreachable default route with a metric is what is left when the real
//! one is gone, and is not blamed.
//!
//! ## What it looks like
//! `ip route get` says `Invalid argument` (blackhole), `No route to host` (unreachable) or `Permission denied`
//! (prohibit). No counter moves, and the kernel's drop has no reason of its own, only a place: `ip_error`.
//!
//! ## Nearest look-alikes
//! * `default-route-missing`: `Network is unreachable`, and `IpExtInNoRoutes` rises.
//! * `ip-forward-0`: nothing at all is forwarded, and `IpInAddrErrors` rises.
//!
//! ## Fix
//! `ip route del blackhole PREFIX`. Undo: add it again.
//!
//! ## References
//! ip-route(8); `net/ipv4/fib_semantics.c` `fib_props`; `net/ipv4/route.c` `ip_error`.

use model::Netns;
use model::finding::Confidence;
use model::path::Stop;
use model::route::{Route, RouteKind, TABLE_MAIN};
use sim::ip::route;

use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::{Entry, Mend};
use crate::uplinks;
use crate::view::{Stopped, View};

/// Looks for walks that end at a route which refuses: one finding a route.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let Some(ns) = view.netns_at(&stopped.hop.at) else { continue };
        let Some(route) = refusing(ns, &stopped) else { continue };
        let new = refused(view, ns, &stopped, route);
        if found.iter().all(|f| f.finding.hop.host != ns.machine || f.finding.cause != new.finding.cause) {
            found.push(new);
        }
    }
    found
}

/// The route that a walk ended at.
pub(crate) fn refusing<'n>(ns: &'n Netns, stopped: &Stopped) -> Option<&'n Route> {
    let Stop::RouteRefuses(text) = stopped.stop else { return None };
    let refuses = |route: &&Route| match route.kind {
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit => true,
        RouteKind::Unicast
        | RouteKind::Local
        | RouteKind::Broadcast
        | RouteKind::Multicast
        | RouteKind::Anycast
        | RouteKind::Throw => false,
    };
    let is_fallback = |r: &&Route| r.is_default() && r.metric != 0 && r.kind == RouteKind::Unreachable;
    let mut refusing = ns.routes.iter().filter(refuses).filter(|route| !is_fallback(route));
    refusing.find(|route| route::text(ns, route, None) == *text)
}

fn refused(view: &View, ns: &Netns, stopped: &Stopped, route: &Route) -> Found {
    let text = route::text(ns, route, None);
    let ip = if route.destination.addr().is_ipv4() { "ip" } else { "ip -6" };
    let table = if route.table == TABLE_MAIN { String::new() } else { format!(" table {}", route.table) };
    let (kind, _) = text.split_once(' ').unwrap_or((&text, ""));
    let mut mend = vec![Mend::Forget {
        machine: ns.machine.clone(),
        entry: Entry::Route { table: route.table, destination: route.destination, kind: route.kind },
    }];
    // A default route that refuses stands in the place of one that leads on.
    let uplink =
        uplinks::all(view).into_iter().find(|(host, _)| std::ptr::eq(*host, ns) && route.is_default());
    let meant = uplink.and_then(|(ns, link)| Some((uplinks::meant_gateway(view, ns, link)?, link)));
    mend.extend(meant.map(|(via, link)| Mend::DefaultRoute {
        machine: ns.machine.clone(),
        via,
        device: link.name.clone(),
    }));
    let fault = Fault {
        code: "blackhole-route",
        hop: stopped.hop.at.clone(),
        summary: format!(
            "what {} sends to {} is thrown away on {}, by a route of its own",
            stopped.rung.from, stopped.rung.to, ns.machine
        ),
        cause: format!("the route `{text}{table}` is more specific than what leads on"),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(ns, &format!("{ip} route show{table} type {kind}"), text.clone()),
            evidence::state(ns, "the walk", stopped.hop.detail.clone()),
        ],
        owner: "operator",
        remedy: vec![evidence::remedy(
            ns,
            &format!("{ip} route del {text}{table}"),
            &format!("{ip} route add {text}{table}"),
            "",
        )],
        instances: view.hit_at(&stopped.hop.at),
        stopped: Some(*stopped),
        mend,
    };
    fault.found()
}

#[cfg(test)]
mod tests {
    use model::route::{Route, RouteKind, TABLE_MAIN};

    use crate::fixture::{Cloud, broken, codes, healthy, lacks};

    fn refuse(cloud: &mut Cloud, destination: &str, kind: RouteKind, metric: u32) {
        let route = Route::new(TABLE_MAIN, destination.parse().unwrap(), kind);
        cloud.netns("compute1").routes.push(Route { metric, ..route });
    }

    #[test]
    fn fires_on_every_kind_that_refuses_and_says_how_to_delete_it() {
        for (kind, name) in [
            (RouteKind::Blackhole, "blackhole"),
            (RouteKind::Unreachable, "unreachable"),
            (RouteKind::Prohibit, "prohibit"),
        ] {
            let mut cloud = healthy();
            refuse(&mut cloud, "1.2.3.0/24", kind, 0);
            let diagnosis = cloud.diagnose("web1");
            assert_eq!(codes(&diagnosis), ["blackhole-route compute1//br100"], "{name}");
            let command = &diagnosis.findings[0].remedy[0].command;
            assert!(command.ends_with(&format!("ip route del {name} 1.2.3.0/24")), "{command}");
        }
    }

    #[test]
    fn stays_silent_where_a_more_specific_route_leads_on_or_nothing_goes_there() {
        for elsewhere in ["1.2.0.0/16", "198.51.100.0/24"] {
            let mut cloud = healthy();
            refuse(&mut cloud, elsewhere, RouteKind::Blackhole, 0);
            let ns = cloud.netns("compute1");
            let mut onward = ns.routes.iter().find(|r| r.is_default()).unwrap().clone();
            onward.destination = "1.2.3.0/24".parse().unwrap();
            ns.routes.push(onward);
            assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "{elsewhere}");
        }
    }

    #[test]
    fn a_fallback_is_not_blamed_for_the_default_route_that_is_gone() {
        let mut cloud = broken("default-route-missing");
        refuse(&mut cloud, "0.0.0.0/0", RouteKind::Unreachable, u32::MAX);
        assert_eq!(codes(&cloud.diagnose("web1")), ["default-route-missing compute1//br100"]);
        assert!(lacks(&broken("default-route-missing").diagnose("web1"), "blackhole-route"));
    }
}
