//! # ext-no-return-route
//!
//! The answer finds no way back: a machine outside has no route to the cloud.
//!
//! ## What it means
//! Questions arrive out there, and the server, or a router on the way back, cannot send what it would answer. The hosts
//! are in order.
//!
//! ## How hopline knows
//! The walk of the answer, or of a question from out there, ends on a machine beyond the hosts for want of a route,
//! while its link is up and the asker's address is a public one of the cloud's.
//!
//! ## What it looks like
//! On that machine: tcpdump sees the question come in and nothing go out; `IpOutNoRoutes`, on a router
//! `IpExtInNoRoutes`, rises.
//!
//! ## Nearest look-alikes
//! * `ext-server-down`: there the routes are gone with the link.
//! * `float-snat-missing`: there the question arrives with another source than it should have.
//!
//! ## Fix
//! There: `ip route add default via GATEWAY`, or call whoever runs it. Undo: `ip route del default`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting": the capture on the external server.

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::finding::Confidence;
use model::link::{Link, LinkKind};
use model::path::{Direction, Hop, Path, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::{Stopped, View};

/// Looks for answers that no route leads back: one finding a machine.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let Stop::NoRoute(to) = stopped.stop else { continue };
        let is_told = found.iter().any(|f| f.finding.hop.host == stopped.hop.at.host);
        let new = if is_told { None } else { routeless(view, &stopped, to) };
        found.extend(new);
    }
    found
}

fn routeless<'v>(view: &View<'v>, stopped: &Stopped<'v>, to: &str) -> Option<Found> {
    let place = &stopped.hop.at;
    let role = view.snapshot().host(&place.host).map(|host| host.role.as_str())?;
    let is_back = stopped.direction == Direction::Reply || stopped.rung.from == place.host;
    let ns = view.netns_at(place).filter(|_| is_back && matches!(role, "external" | "router"))?;
    let link = cable(ns, &place.device)?;
    // Of IPv6 neither its gateway nor what it is meant to know is told anywhere.
    let is_no_matter = to.parse().is_ok_and(|ip: IpAddr| ip.is_ipv6() || is_private(view, ip));
    if !link.is_running() || is_no_matter {
        return None;
    }
    let name = &place.host;
    let handed = handed_by(view, stopped, ns);
    let (gateway, link) = match handed {
        Some((via, link)) => (Some(via), link),
        None => (uplinks::meant_gateway(view, ns, link), link),
    };
    let via = gateway.map_or_else(|| "GATEWAY".to_owned(), |ip| ip.to_string());
    let mend =
        gateway.map(|via| Mend::DefaultRoute { machine: name.clone(), via, device: link.name.clone() });
    let fault = Fault {
        code: "ext-no-return-route",
        hop: at(ns, &link.name, Stage::Route),
        summary: format!("{name} gets what is asked and cannot answer: it has no route back to {to}"),
        cause: format!("no route on {name} leads to {to}, and {} is up", link.name),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(ns, &format!("ip route get {to}"), stopped.hop.detail.clone()),
            evidence::state(ns, "ip route show default", uplinks::default_text(ns)),
            evidence::link(ns, link),
        ],
        owner: "network team",
        remedy: vec![evidence::remedy(
            ns,
            &format!("ip route add default via {via} dev {}", link.name),
            "ip route del default",
            "or a route to the cloud's public network alone",
        )],
        instances: view.hit_at(place),
        stopped: Some(*stopped),
        mend: mend.into_iter().collect(),
    };
    Some(fault.found())
}

/// Who handed it what it would answer, or takes the other half of the exchange from it: the way back leads there. Its
/// address, and the link to it.
fn handed_by<'v>(view: &View<'v>, stopped: &Stopped<'v>, ns: &'v Netns) -> Option<(Ipv4Addr, &'v Link)> {
    let is_other = |path: &&Path| path.exchange == stopped.exchange && path.direction != stopped.direction;
    let other = stopped.rung.answer.paths.iter().find(is_other)?;
    let is_here = |hop: &Hop| hop.at.host == ns.machine && hop.at.netns == ns.name;
    let first = other.hops.iter().position(is_here)?;
    // Switches on the way have no address in the link's subnet.
    other.hops.iter().take(first).rev().find_map(|hop| {
        let before = view.netns_at(&hop.at)?;
        let device = before.link_named(&hop.at.device)?;
        before.addresses_of(device.index).find_map(|carried| {
            let IpAddr::V4(ip) = carried.net.addr() else { return None };
            let near = ns.addresses.iter().find(|own| {
                own.net.prefix_len() < 32 && own.net.contains(&IpAddr::V4(ip)) && own.net.addr() != ip
            })?;
            Some((ip, ns.link(near.link)?))
        })
    })
}

/// The link at which it died; without a route none is chosen, and the first cable is looked at.
fn cable<'n>(ns: &'n Netns, device: &str) -> Option<&'n Link> {
    let cables = || ns.links.iter().filter(|link| link.kind != LinkKind::Loopback);
    ns.link_named(device).or_else(|| cables().next())
}

/// An address of the instances' own networks: nobody outside is to know a way there.
fn is_private(view: &View, ip: IpAddr) -> bool {
    let mut nets = view.intent().networks.iter().filter_map(|network| network.cidr);
    nets.any(|net| matches!(ip, IpAddr::V4(ip) if net.contains(&ip)))
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    const CODE: &str = "ext-no-return-route";

    #[test]
    fn fires_on_the_server_that_cannot_answer() {
        assert_eq!(codes(&broken(CODE).diagnose("web1")), ["ext-no-return-route external//eth0"]);
        assert_eq!(codes(&broken(CODE).check("external")), ["ext-no-return-route external//eth0"]);
    }

    /// A router is in its own subnets, and no gateway of its own.
    #[test]
    fn sends_what_would_be_answered_to_whoever_handed_on_the_question() {
        let mut cloud = healthy();
        cloud.netns("gw").routes.retain(|route| !route.is_default());
        let told = cloud.diagnose("web1");
        assert_eq!(codes(&told)[0], "ext-no-return-route gw//eth1");
        let command = &told.findings[0].remedy[0].command;
        let via = command.split(" via ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap();
        let own: Vec<String> =
            cloud.netns("gw").addresses.iter().map(|own| own.net.addr().to_string()).collect();
        assert!(!own.contains(&via.to_owned()), "{command}: {own:?}");
    }

    #[test]
    fn stays_silent_where_the_routes_went_with_the_link() {
        for other in ["ext-server-down", "ext-gateway-down", "default-route-missing"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }

    #[test]
    fn stays_silent_on_a_source_that_nobody_outside_is_to_know() {
        let mut cloud = broken("rules-flushed");
        let defaults = cloud.netns("external").routes.iter_mut().filter(|r| r.is_default());
        defaults.for_each(|r| r.destination = "203.0.113.0/24".parse().unwrap());
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }
}
