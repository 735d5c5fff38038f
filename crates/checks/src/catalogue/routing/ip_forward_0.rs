//! # ip-forward-0
//!
//! The host does not forward IP packets.
//!
//! ## What it means
//! The host is its instances' gateway and refuses to be one: instances reach the host and each other,
//! nothing beyond; floating IPs are dead. The kernel asks the link by which a packet arrives: one whose own setting is
//! off drops what comes by it, and only that.
//!
//! ## How hopline knows
//! `net.ipv4.ip_forward` is 0 on a host that is the gateway of instances; or a walk dies there because
//! `net.ipv4.conf.LINK.forwarding` of the link that the packet arrives by is, or in IPv6
//! `net.ipv6.conf.all.forwarding`.
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
//! -w net.ipv4.ip_forward=0`. Of one link: `sysctl -w net.ipv4.conf.LINK.forwarding=1`, which leaves the others as they
//! are. Undo: the same with 0.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; `net/ipv4/route.c` `ip_route_input_slow`.

use model::Netns;
use model::finding::Confidence;
use model::path::{Place, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::restart::typed;
use crate::view::{Stopped, View};

/// Looks for gateways that do not forward, or not what comes by some link.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = view.hosts().filter_map(|(_, ns)| of_host(view, ns)).collect();
    for stopped in view.stops().filter(|s| *s.stop == Stop::ForwardingOff) {
        let place = &stopped.hop.at;
        let is_host = view.snapshot().host(&place.host).is_some_and(|host| host.role != "router");
        let ns = view.snapshot().main_netns(&place.host).filter(|ns| is_host && stopped.is_in(ns));
        let is_told = || found.iter().any(|f| f.finding.hop.same_device(place));
        let Some((ns, name)) = ns.and_then(|ns| Some((ns, switch(ns, &stopped)?))) else { continue };
        if !is_told() {
            found.push(of_switch(view, ns, stopped, name));
        }
    }
    found
}

fn of_host(view: &View, ns: &Netns) -> Option<Found> {
    let host = &ns.machine;
    let serves = view
        .vifs()
        .any(|seat| seat.server.name == *host && seat.gateway().is_some_and(|g| ns.has_address(g.into())));
    let is_off = serves && ns.sysctl("ipv4.ip_forward") == Some(0);
    let stopped = view.stop(|s| s.is_in(ns) && matches!(s.stop, Stop::ForwardingOff));
    let hop = at(ns, view.inner_link(ns), Stage::Route);
    is_off.then(|| {
        fault(
            ns,
            (hop, "ipv4.ip_forward"),
            format!("{host} does not route for its instances: IP forwarding is off"),
            "net.ipv4.ip_forward is 0, so packets for other machines are dropped on arrival".to_owned(),
            view.instances_on(host),
            stopped,
        )
    })
}

/// What decided: in IPv4 the link's own setting, where the host forwards at all, which is told of the host; in IPv6
/// that of all links.
fn switch(ns: &Netns, stopped: &Stopped) -> Option<String> {
    let is_off = |name: &String| ns.sysctl(name) == Some(0);
    let name = if stopped.rung.to.is_ipv6() {
        "ipv6.conf.all.forwarding".to_owned()
    } else {
        format!("ipv4.conf.{}.forwarding", stopped.hop.at.device)
    };
    let is_hosts = !stopped.rung.to.is_ipv6() && ns.sysctl("ipv4.ip_forward") != Some(1);
    Some(name).filter(|name| !is_hosts && is_off(name))
}

fn of_switch(view: &View, ns: &Netns, stopped: Stopped, name: String) -> Found {
    let place = stopped.hop.at.clone();
    let (host, device) = (&ns.machine, &place.device);
    let family = if stopped.rung.to.is_ipv6() { "IPv6" } else { "IP" };
    let summary =
        format!("{host} does not route what comes to it by {device}: {family} forwarding is off there");
    let cause = format!("net.{name} is 0, so packets for other machines that come by {device} are dropped");
    let instances = view.hit_at(&place);
    fault(ns, (place, &name), summary, cause, instances, Some(stopped))
}

fn fault(
    ns: &Netns,
    (hop, name): (Place, &str),
    summary: String,
    cause: String,
    instances: Vec<String>,
    stopped: Option<Stopped>,
) -> Found {
    let set = |value: u8| format!("sysctl -w {}", typed(&format!("net.{name}={value}")));
    let fault = Fault {
        code: "ip-forward-0",
        hop,
        summary,
        cause,
        confidence: Confidence::Proven,
        evidence: vec![evidence::sysctl(ns, name)],
        owner: if name == "ipv4.ip_forward" { "nova-network" } else { "operator" },
        remedy: vec![evidence::remedy(ns, &set(1), &set(0), "")],
        instances,
        stopped,
        mend: vec![Mend::Sysctl {
            machine: ns.machine.clone(),
            name: name.to_owned(),
            value: "1".to_owned(),
        }],
    };
    fault.found()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks, minicloud};

    #[test]
    fn fires_on_a_gateway_that_does_not_forward() {
        assert_eq!(codes(&broken("ip-forward-0").diagnose("web1")), ["ip-forward-0 compute1//br100"]);
    }

    #[test]
    fn fires_on_the_one_link_that_does_not_forward() {
        for link in ["br100", "eth0"] {
            let mut cloud = healthy();
            let name = format!("ipv4.conf.{link}.forwarding");
            cloud.sysctl("compute1", &name, "0");
            let told = cloud.diagnose("web1");
            assert_eq!(codes(&told), [format!("ip-forward-0 compute1//{link}")]);
            let finding = &told.findings[0];
            assert_eq!(finding.evidence[0].text, format!("net.{name} = 0"));
            assert!(finding.remedy[0].command.ends_with(&format!("sysctl -w net.{name}=1")));
            assert!(finding.remedy[0].undo.ends_with(&format!("sysctl -w net.{name}=0")));
        }
    }

    #[test]
    fn of_a_host_that_forwards_nothing_no_link_is_told_beside_it() {
        let mut cloud = broken("ip-forward-0");
        cloud.sysctl("compute1", "ipv4.conf.br100.forwarding", "0");
        assert_eq!(codes(&cloud.diagnose("web1")), ["ip-forward-0 compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_a_link_that_nothing_is_routed_from() {
        let mut cloud = healthy();
        cloud.sysctl("compute1", "ipv4.conf.virbr0.forwarding", "0");
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
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
