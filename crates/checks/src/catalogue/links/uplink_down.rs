//! # uplink-down
//!
//! The host's public link is administratively down.
//!
//! ## What it means
//! No instance of this host reaches the outside, the host neither, and no floating IP answers.
//! Instances still reach each other and their gateway. The kernel deleted every route through the
//! link with it, the default route among them.
//!
//! ## How hopline knows
//! nova.conf's `public_interface`, or the link that carries the floating addresses, lacks the `UP`
//! flag.
//!
//! ## What it looks like
//! `eth0: <BROADCAST,MULTICAST> state DOWN`; `ip route` has no default; drop reason `IP_INNOROUTES`
//! on the bridge. The floating /32 addresses stay on the link.
//!
//! ## Nearest look-alikes
//! * `default-route-missing`: the link is UP and its subnet's route is still there. The missing route
//!   is here a consequence, and not reported.
//! * `uplink-no-carrier`: the link is UP and its routes stay.
//!
//! ## Fix
//! `ip link set eth0 up`, then `ip route add default via GATEWAY`: the default route does not come
//! back by itself. Undo: `ip link set eth0 down`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (`ip a`); `net/ipv4/fib_frontend.c`
//! `fib_disable_ip`.

use model::finding::Confidence;
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::uplinks;
use crate::view::View;

/// Looks for uplinks that are set down.
pub fn check(view: &View) -> Vec<Found> {
    let down = uplinks::all(view).into_iter().filter(|(_, link)| !link.admin_up);
    down.map(|(ns, link)| {
        let name = &link.name;
        let machine = &ns.machine;
        let gateway = uplinks::gateway(view, ns, link);
        let mut remedy = vec![evidence::remedy(
            ns,
            &format!("ip link set dev {name} up"),
            &format!("ip link set dev {name} down"),
            "",
        )];
        let via = gateway.map_or_else(|| "GATEWAY".to_owned(), |g| g.to_string());
        remedy.push(evidence::remedy(
            ns,
            &format!("ip route add default via {via} dev {name}"),
            "ip route del default",
            "the default route does not come back by itself",
        ));
        let mut mend = vec![Mend::LinkUp { machine: machine.clone(), device: name.clone() }];
        mend.extend(gateway.map(|via| Mend::DefaultRoute {
            machine: machine.clone(),
            via,
            device: name.clone(),
        }));
        Fault {
            code: "uplink-down",
            hop: at(ns, name, Stage::Wire),
            summary: format!("nothing on {machine} reaches the outside: {name} is set down"),
            cause: format!("{name} is administratively down; the kernel took its routes away with it"),
            confidence: Confidence::Proven,
            evidence: vec![
                evidence::link(ns, link),
                evidence::state(ns, "ip route show default", uplinks::default_text(ns)),
            ],
            owner: "operator",
            remedy,
            instances: view.instances_on(machine),
            stopped: view
                .stop(|s| s.is_in(ns) && uplinks::kills(s.stop))
                .or_else(|| view.stop(|s| s.is_at(ns, name)))
                // Another fault may kill the way out first; from outside it is still this one.
                .or_else(|| view.stop(|s| matches!(s.rung.purpose, Purpose::Inbound(_))))
                .or_else(|| view.stop(|s| s.rung.purpose == Purpose::Outside)),
            mend,
        }
        .found()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, inject, minicloud};

    #[test]
    fn fires_on_an_uplink_set_down_and_not_on_the_route_it_took_along() {
        assert_eq!(codes(&broken("uplink-down").diagnose("web1")), ["uplink-down compute1//eth0"]);
    }

    #[test]
    fn comes_behind_what_has_the_packets_before_it() {
        let mut cloud = broken("uplink-down");
        inject(&mut cloud, "host-subnet-overlap");
        assert_eq!(
            codes(&cloud.diagnose("web1")),
            ["host-subnet-overlap compute1//docker0", "uplink-down compute1//eth0"]
        );
    }

    #[test]
    fn finds_the_uplink_without_nova_conf() {
        let mut cloud = minicloud();
        cloud.set_down("host", "eth0");
        assert_eq!(codes(&cloud.diagnose("inst1")), ["uplink-down host//eth0"]);
    }

    #[test]
    fn stays_silent_when_only_the_default_route_is_missing() {
        let found = codes(&broken("default-route-missing").diagnose("web1"));
        assert_eq!(found, ["default-route-missing compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_an_uplink_without_carrier() {
        let found = codes(&broken("uplink-no-carrier").diagnose("web1"));
        assert_eq!(found, ["uplink-no-carrier compute1//eth0"]);
    }
}
