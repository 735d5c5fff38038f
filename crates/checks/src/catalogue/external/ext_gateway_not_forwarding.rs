//! # ext-gateway-not-forwarding
//!
//! A router beyond the hosts forwards nothing.
//!
//! ## What it means
//! Its own addresses answer, and nothing beyond does: what is for another machine ends there, and nobody is told.
//!
//! ## How hopline knows
//! The walk ends on a router of the site because forwarding is off there. Of a router that cannot be looked into, only
//! answers tell: it answers a ping, and nothing behind it does.
//!
//! ## What it looks like
//! On the router: `net.ipv4.ip_forward = 0`; `IpInAddrErrors` rises by every packet; tcpdump sees questions come in and
//! nothing go out.
//!
//! ## Nearest look-alikes
//! * `ext-gateway-down`: there the router itself does not answer.
//! * `ext-server-down`: there the last router says `Destination Host Unreachable`.
//! * `ip-forward-0`: there it is the host.
//!
//! ## Fix
//! On the router: `sysctl -w net.ipv4.ip_forward=1`, or call whoever runs it. Undo: `=0`.
//!
//! ## References
//! `Documentation/networking/ip-sysctl.rst` `ip_forward`; `net/ipv4/route.c` `ip_route_input_slow`.

use model::finding::Confidence;
use model::path::Stop;

use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::view::View;

/// Looks for walks that end at a router for want of forwarding: one finding a router.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops().filter(|s| *s.stop == Stop::ForwardingOff) {
        let place = &stopped.hop.at;
        let is_router = view.snapshot().host(&place.host).is_some_and(|host| host.role == "router");
        let Some(ns) = view.netns_at(place).filter(|_| is_router) else { continue };
        if found.iter().any(|f| f.finding.hop.host == place.host) {
            continue;
        }
        // The link's own setting is what counts; writing ip_forward writes it.
        let own = format!("ipv4.conf.{}.forwarding", place.device);
        let is_off = |name: &str| ns.sysctl(name) == Some(0);
        let name = if is_off("ipv4.ip_forward") { "ipv4.ip_forward".to_owned() } else { own };
        let fault = Fault {
            code: "ext-gateway-not-forwarding",
            hop: place.clone(),
            summary: format!("nothing passes {}: it answers for itself and forwards nothing", place.host),
            cause: format!("net.{name} is 0 on {}", place.host),
            confidence: Confidence::Proven,
            evidence: vec![
                evidence::sysctl(ns, &name),
                evidence::state(ns, "nstat -az IpInAddrErrors", stopped.hop.packet.clone()),
            ],
            owner: "network team",
            remedy: vec![evidence::remedy(
                ns,
                &format!("sysctl -w net.{name}=1"),
                &format!("sysctl -w net.{name}=0"),
                "",
            )],
            instances: view.hit_at(place),
            stopped: Some(stopped),
            mend: vec![Mend::Sysctl { machine: place.host.clone(), name, value: "1".to_owned() }],
        };
        found.push(fault.found());
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    const CODE: &str = "ext-gateway-not-forwarding";

    #[test]
    fn fires_on_a_router_that_forwards_nothing() {
        assert_eq!(codes(&broken(CODE).diagnose("web1")), ["ext-gateway-not-forwarding gw//eth0"]);
        assert_eq!(codes(&broken(CODE).check("gw")), ["ext-gateway-not-forwarding gw//eth0"]);
    }

    #[test]
    fn fires_on_one_link_that_does_not() {
        let mut cloud = healthy();
        cloud.sysctl("isp", "ipv4.conf.eth0.forwarding", "0");
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["ext-gateway-not-forwarding isp//eth0"]);
        assert!(diagnosis.findings[0].cause.contains("conf.eth0.forwarding"));
    }

    #[test]
    fn stays_silent_on_a_host_a_dead_router_and_a_dead_server() {
        for other in ["ip-forward-0", "ext-gateway-down", "ext-server-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
