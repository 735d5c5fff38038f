//! # ip-forward-0
//!
//! The host does not forward IP packets.
//!
//! ## What it means
//! The host is its instances' gateway and refuses to be one: instances reach the host and each other,
//! nothing beyond; floating IPs are dead.
//!
//! ## How hopline knows
//! `net.ipv4.ip_forward` is 0 on a host that is the gateway of instances, or a walk dies because the
//! arriving link does not forward.
//!
//! ## What it looks like
//! `IpInAddrErrors` rises (there is no counter of its own); drop reason `IP_INADDRERRORS` on the
//! bridge and on the uplink; no ICMP error is sent.
//!
//! ## Nearest look-alikes
//! * `forward-policy-drop-no-accept`: netfilter's counters move.
//! * an instance with a wrong address: the same counter rises, but inside the instance.
//!
//! ## Fix
//! `sysctl -w net.ipv4.ip_forward=1`, as nova-network itself does at each network set-up. Undo: `sysctl
//! -w net.ipv4.ip_forward=0`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; `net/ipv4/route.c` `ip_route_input_slow`.

use model::finding::Confidence;
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for gateways that do not forward.
pub fn check(view: &View) -> Vec<Found> {
    let gateways = view.hosts().filter(|(host, ns)| {
        let serves = view.vifs().any(|seat| {
            seat.server.name == host.name && seat.gateway().is_some_and(|g| ns.has_address(g.into()))
        });
        serves && ns.sysctl("ipv4.ip_forward") == Some(0)
    });
    gateways
        .map(|(host, ns)| {
            let stopped = view.stop(|s| s.is_in(ns) && matches!(s.stop, Stop::ForwardingOff));
            Fault {
                code: "ip-forward-0",
                hop: at(ns, view.inner_link(ns), Stage::Route),
                summary: format!("{} does not route for its instances: IP forwarding is off", host.name),
                cause: "net.ipv4.ip_forward is 0, so packets for other machines are dropped on arrival"
                    .to_owned(),
                confidence: Confidence::Proven,
                evidence: vec![evidence::sysctl(ns, "ipv4.ip_forward")],
                owner: "nova-network",
                remedy: vec![evidence::remedy(
                    ns,
                    "sysctl -w net.ipv4.ip_forward=1",
                    "sysctl -w net.ipv4.ip_forward=0",
                    "",
                )],
                instances: view.instances_on(&host.name),
                stopped,
                mend: vec![Mend::Sysctl {
                    machine: ns.machine.clone(),
                    name: "ipv4.ip_forward".to_owned(),
                    value: "1".to_owned(),
                }],
            }
            .found()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks, minicloud};

    #[test]
    fn fires_on_a_gateway_that_does_not_forward() {
        assert_eq!(codes(&broken("ip-forward-0").diagnose("web1")), ["ip-forward-0 compute1//br100"]);
    }

    #[test]
    fn stays_silent_when_the_forward_policy_drops() {
        assert!(lacks(&broken("forward-policy-drop-no-accept").diagnose("web1"), "ip-forward-0"));
    }

    #[test]
    fn stays_silent_when_the_instance_has_a_wrong_address() {
        let mut cloud = healthy();
        cloud.readdress("web1", "10.0.2.24", "10.0.2.99");
        assert!(lacks(&cloud.diagnose("web1"), "ip-forward-0"));
    }

    #[test]
    fn stays_silent_on_a_machine_that_is_nobodys_gateway() {
        let mut cloud = minicloud();
        cloud.sysctl("ext", "ipv4.ip_forward", "0");
        assert_eq!(codes(&cloud.check("ext")), Vec::<String>::new());
    }
}
