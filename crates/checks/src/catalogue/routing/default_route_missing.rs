//! # default-route-missing
//!
//! The host has no default route.
//!
//! ## What it means
//! Neither the host nor its instances reach anything outside their own subnets; floating IPs answer
//! nothing.
//!
//! ## How hopline knows
//! No routing table of the host has an IPv4 default route while its uplink is up, and a walk ended on
//! the host for want of a route.
//!
//! ## What it looks like
//! `ip route get 1.2.3.4`: `Network is unreachable`; drop reason `IP_INNOROUTES`; the ICMP errors are
//! rate limited, so their absence proves nothing.
//!
//! ## Nearest look-alikes
//! * `uplink-down`: the route is gone because the link is down; only the link is reported.
//! * a blackhole route: there is a route, and it refuses.
//!
//! ## Fix
//! `ip route add default via GATEWAY`. Undo: `ip route del default`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (the compute node's default gateway).

use model::finding::Confidence;
use model::path::{Stage, Stop};
use model::route::{Route, RouteKind};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::View;

/// Looks for hosts whose walks end for want of a route although their uplink is up.
pub fn check(view: &View) -> Vec<Found> {
    let lost = uplinks::all(view).into_iter().filter(|(ns, link)| {
        let leads = |r: &Route| r.is_default() && r.destination.addr().is_ipv4() && !is_fallback(r);
        link.admin_up && !ns.routes.iter().any(leads)
    });
    lost.filter_map(|(ns, link)| {
        let stopped = view.stop(|s| s.is_in(ns) && finds_none(s.stop))?;
        let gateway = uplinks::meant_gateway(view, ns, link);
        let via = gateway.map_or_else(|| "GATEWAY".to_owned(), |g| g.to_string());
        let mend = gateway.map(|via| Mend::DefaultRoute {
            machine: ns.machine.clone(),
            via,
            device: link.name.clone(),
        });
        let fault = Fault {
            code: "default-route-missing",
            hop: at(ns, view.inner_link(ns), Stage::Route),
            summary: format!("nothing on {} reaches the outside: it has no default route", ns.machine),
            cause: format!(
                "no route on {} leads to {}, and {} is up",
                ns.machine, stopped.rung.to, link.name
            ),
            confidence: Confidence::Proven,
            evidence: vec![
                evidence::state(ns, "ip route show default", uplinks::default_text(ns)),
                evidence::link(ns, link),
            ],
            owner: "operator",
            remedy: vec![evidence::remedy(
                ns,
                &format!("ip route add default via {via} dev {}", link.name),
                "ip route del default",
                "",
            )],
            instances: view.instances_on(&ns.machine),
            stopped: Some(stopped),
            mend: mend.into_iter().collect(),
        };
        Some(fault.found())
    })
    .collect()
}

/// What is left when the default route is gone: one that refuses, behind all others.
fn is_fallback(route: &Route) -> bool {
    route.metric != 0 && route.kind == RouteKind::Unreachable
}

fn finds_none(stop: &Stop) -> bool {
    let refuses = matches!(stop, Stop::RouteRefuses(text) if text.starts_with("unreachable default metric "));
    refuses || matches!(stop, Stop::NoRoute(_))
}

#[cfg(test)]
mod tests {
    use model::route::RouteKind;

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_host_without_default_route() {
        let found = codes(&broken("default-route-missing").diagnose("web1"));
        assert_eq!(found, ["default-route-missing compute1//br100"]);
    }

    #[test]
    fn stays_silent_when_the_uplink_took_the_route_along() {
        assert!(lacks(&broken("uplink-down").diagnose("web1"), "default-route-missing"));
    }

    #[test]
    fn stays_silent_on_a_default_route_that_refuses() {
        let mut cloud = healthy();
        let defaults = cloud.netns("compute1").routes.iter_mut().filter(|r| r.is_default());
        defaults.for_each(|r| (r.kind, r.nexthops) = (RouteKind::Blackhole, Vec::new()));
        assert_eq!(codes(&cloud.diagnose("web1")), ["blackhole-route compute1//br100"]);
    }
}
