//! # ext-server-down
//!
//! The machine outside that is asked is down.
//!
//! ## What it means
//! One destination is dead, and others answer. The cloud can do nothing about it.
//!
//! ## How hopline knows
//! The machine is named in the site file as external, its link is seen to be set down or without a carrier, and walks
//! to it, or from it, die at that link or at the last cable before it; or it has no route, and no other link of its own
//! that runs has an address.
//!
//! ## What it looks like
//! `Destination Host Unreachable` from the last router after 3 s; that router has it FAILED in `ip neigh`.
//!
//! ## Nearest look-alikes
//! * `ext-gateway-down`: there nothing outside answers.
//! * `host-subnet-overlap`: there the host itself says `Destination Host Unreachable`.
//! * `ext-no-return-route`: there the link is up.
//!
//! ## Fix
//! Bring it up, or ask for another destination. Nothing on the hosts mends it.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting".

use model::Netns;
use model::finding::Confidence;
use model::link::{Link, LinkKind};
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::uplinks;
use crate::view::{Stopped, View};

/// Looks for external machines whose walks die at their own link.
pub fn check(view: &View) -> Vec<Found> {
    let external = view.snapshot().hosts.iter().filter(|host| host.role == "external");
    let namespaces = external.filter_map(|host| view.snapshot().main_netns(&host.name));
    namespaces.flat_map(|ns| ns.links.iter().filter_map(move |link| down(view, ns, link))).collect()
}

fn down(view: &View, ns: &Netns, link: &Link) -> Option<Found> {
    let is_dead = link.kind != LinkKind::Loopback && !link.is_running();
    let far = uplinks::far_end(view, link).filter(|_| is_dead);
    let dies_there = |s: &Stopped| {
        let is_cut_off = s.is_in(ns) && matches!(s.stop, Stop::NoRoute(_)) && !has_another_way(ns);
        is_cut_off || s.is_at(ns, &link.name) || far.is_some_and(|(ns, link)| s.is_at(ns, &link.name))
    };
    let stopped = if is_dead { view.stop(dies_there) } else { None }?;
    // A carrier that the other end has taken is that one's fault.
    if far.is_some_and(|(_, far)| !far.admin_up) {
        return None;
    }
    let name = &ns.machine;
    let (machine, device) = (name.clone(), link.name.clone());
    let why = if link.admin_up { "has no carrier" } else { "is set down" };
    let mut mend = vec![
        Mend::LinkUp { machine: machine.clone(), device: device.clone() },
        Mend::Carrier { machine: machine.clone(), device: device.clone() },
    ];
    let has_default = uplinks::default_via(ns).is_some();
    let gateway = uplinks::meant_gateway(view, ns, link).filter(|_| !has_default);
    mend.extend(gateway.map(|via| Mend::DefaultRoute { machine, via, device }));
    let fault = Fault {
        code: "ext-server-down",
        hop: at(ns, &link.name, Stage::Wire),
        summary: format!("{name} does not answer: it is down, and the way to it is in order"),
        cause: format!("{} on {name} {why}", link.name),
        confidence: Confidence::Proven,
        evidence: [(ns, link)].into_iter().chain(far).map(|(ns, link)| evidence::link(ns, link)).collect(),
        owner: "network team",
        remedy: vec![evidence::advice(
            format!("bring {name} up, or ask for another destination"),
            "outside the hosts",
        )],
        instances: view.hit_at(&stopped.hop.at),
        stopped: Some(stopped),
        mend,
    };
    Some(fault.found())
}

/// A link runs and has an address: that another one is dead does not keep the machine from being reached.
fn has_another_way(ns: &Netns) -> bool {
    let mut running = ns.links.iter().filter(|l| l.kind != LinkKind::Loopback && l.is_running());
    running.any(|l| ns.addresses_of(l.index).any(|address| address.net.addr().is_ipv4()))
}

#[cfg(test)]
mod tests {
    use model::link::{Link, LinkKind};
    use model::netfilter::Action;

    use crate::fixture::{broken, codes, healthy, inside_firewall, lacks};

    const CODE: &str = "ext-server-down";

    #[test]
    fn fires_on_the_server_whose_link_is_down() {
        assert_eq!(codes(&broken(CODE).diagnose("web1")), ["ext-server-down external//eth0"]);
        assert_eq!(codes(&broken(CODE).check("external")), ["ext-server-down external//eth0"]);
    }

    #[test]
    fn stays_silent_where_the_router_has_set_its_end_down() {
        let mut cloud = healthy();
        cloud.set_down("isp", "eth1");
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_an_unused_link_where_a_rule_of_its_own_drops() {
        let mut cloud = healthy();
        inside_firewall(&mut cloud, "external");
        let rule = &mut cloud.chain("external", "filter", "INPUT").rules[0];
        rule.matches.clear();
        assert_eq!(rule.action, Action::Drop);
        let (name, kind) = ("docker0".to_owned(), LinkKind::Bridge);
        let docker = Link { index: 99, name, kind, admin_up: true, carrier: false, ..Link::default() };
        cloud.netns("external").links.push(docker);
        let found = cloud.diagnose("web1");
        assert!(lacks(&found, CODE) && !found.findings.is_empty(), "{:?}", codes(&found));
        // Nor where it has no route to who asks, by the link that runs.
        let mut cloud = broken("ext-no-return-route");
        let kind = LinkKind::Physical;
        cloud.netns("external").links.push(Link {
            index: 99,
            name: "eth9".to_owned(),
            kind,
            ..Link::default()
        });
        assert!(lacks(&cloud.diagnose("web1"), CODE));
    }

    #[test]
    fn stays_silent_on_other_reasons_for_its_silence() {
        for other in ["ext-no-return-route", "ext-gateway-down", "host-subnet-overlap"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
