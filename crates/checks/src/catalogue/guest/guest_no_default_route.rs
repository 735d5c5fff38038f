//! # guest-no-default-route
//!
//! The instance has no default route.
//!
//! ## What it means
//! It reaches its own subnet and nothing else: what it sends elsewhere never leaves its NIC, and what the outside asks
//! arrives and stays without an answer. DHCP gave no router, or somebody deleted the route.
//!
//! ## How hopline knows
//! Inside the instance the NIC is up and has its address, a walk ends for want of a route, and the main table has no
//! default. Where the instance cannot be entered, nothing that can be read tells.
//!
//! ## What it looks like
//! Inside: `Network is unreachable` at once, `IpOutNoRoutes` rises. On the tap, tcpdump sees the questions from outside
//! and nothing back.
//!
//! ## Nearest look-alikes
//! * `guest-nic-down`: there every route is gone, with the NIC.
//! * `guest-firewall`: there the instance asks others with success, and answers nobody.
//! * `default-route-missing`: there the instance's packets get to the host.
//!
//! ## Fix
//! In the instance: `ip route add default via GATEWAY`, or its DHCP client anew. Undo: `ip route del default`.
//!
//! ## References
//! RFC 2132 option 3; nova `linux_net.py` `restart_dhcp` (`--dhcp-option=3`).

use model::finding::Confidence;
use model::path::{Stage, Stop};
use model::route::RouteKind;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::restart::typed;
use crate::uplinks;
use crate::view::{Seat, View};

/// Looks inside the instances that can be entered.
pub fn check(view: &View) -> Vec<Found> {
    view.vifs().filter_map(|seat| routeless(view, &seat)).collect()
}

fn routeless(view: &View, seat: &Seat) -> Option<Found> {
    let (inside, nic) = seat.inside(view).filter(|(_, nic)| nic.is_running())?;
    let is_own = |ip| inside.addresses_of(nic.index).any(|address| address.net.addr() == ip);
    let has_address = seat.vif.fixed.iter().any(|ip| is_own(std::net::IpAddr::V4(*ip)));
    let has_default = inside
        .routes
        .iter()
        .any(|r| r.is_default() && r.kind == RouteKind::Unicast && r.destination.addr().is_ipv4());
    let gateway = seat.gateway().filter(|_| has_address && !has_default)?;
    let stopped = view.stop_of(seat.instance, |s| s.is_in(inside) && matches!(s.stop, Stop::NoRoute(_)))?;
    let name = &seat.instance.name;
    let fault = Fault {
        code: "guest-no-default-route",
        hop: at(inside, &nic.name, Stage::Instance),
        summary: format!("{name} reaches its own subnet only: it has no default route"),
        cause: format!("no route in {name} leads to {}, and {} is up", stopped.rung.to, nic.name),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(inside, "ip route show default", uplinks::default_text(inside)),
            evidence::link(inside, nic),
        ],
        owner: "instance",
        remedy: vec![evidence::remedy(
            inside,
            &format!("ip route add default via {gateway} dev {}", typed(&nic.name)),
            "ip route del default",
            "in the instance; lasting by its DHCP client, or its network configuration",
        )],
        instances: vec![name.clone()],
        stopped: Some(stopped),
        mend: vec![Mend::DefaultRoute {
            machine: inside.machine.clone(),
            via: gateway,
            device: nic.name.clone(),
        }],
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_inside_the_instance() {
        assert_eq!(
            codes(&broken("guest-no-default-route").diagnose("web1")),
            ["guest-no-default-route web1//eth0"]
        );
    }

    #[test]
    fn is_the_instances_own_and_not_its_neighbours() {
        assert_eq!(codes(&broken("guest-no-default-route").diagnose("web2")), [""; 0]);
    }

    #[test]
    fn stays_silent_where_more_is_missing_or_it_is_the_hosts() {
        for other in ["guest-nic-down", "guest-wrong-ip", "guest-firewall", "default-route-missing"] {
            assert!(lacks(&broken(other).diagnose("web1"), "guest-no-default-route"), "{other}");
        }
    }
}
