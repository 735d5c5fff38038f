//! # snat-missing
//!
//! What instances send outside keeps their fixed address, and no answer finds back.
//!
//! ## What it means
//! Nobody outside knows the way to a fixed address. nova-network translates what leaves to the floating address, or to
//! the host's own; the rule, or the call of the chain that it is in, is gone. Questions arrive, their answers go
//! astray. Floating addresses work inwards, for their translation is another rule.
//!
//! ## How hopline knows
//! The walk outwards arrives with the fixed address as its source, and the answer dies beyond the host.
//!
//! ## What it looks like
//! `tcpdump -ni EXTERNAL icmp` shows requests from 10.0.0.x and the answers to them; `conntrack -L` on the host has
//! entries that are `[UNREPLIED]` and whose answers go to the fixed address.
//!
//! ## Nearest look-alikes
//! * `snat-wrong-address`: the source is translated, to an address that is not the host's.
//! * `float-snat-missing`: it is translated to the host's address in place of the floating one.
//! * `rules-flushed`: all rules are gone.
//!
//! ## Fix
//! Restart nova-network, which writes its rules again. No undo.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (iptables); nova `linux_net.py` `add_snat_rule`.

use std::net::{IpAddr, Ipv4Addr};

use model::finding::{Confidence, EvidenceKind};
use model::path::Stage;

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::left_as::{self, Left};
use crate::restart;
use crate::view::View;

/// Looks for instances that leave with their fixed address and get no answers: one finding a host.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    let is_lost = |left: &Left| left.stopped.is_some() || left.silent.is_some();
    let all = left_as::unanswered(view).into_iter();
    let left = all.filter(|left| left.seat.vif.fixed.contains(&left.seen) && is_lost(left));
    for left in left {
        let host = &left.seat.server.name;
        match found.iter_mut().find(|known| known.finding.hop.host == *host) {
            Some(known) => known.finding.instances.push(left.seat.instance.name.clone()),
            None => found.push(finding(view, &left)),
        }
    }
    found
}

fn finding(view: &View, left: &Left) -> Found {
    let (ns, uplink) = (left.seat.server_ns, left.uplink);
    let name = &left.seat.instance.name;
    let seen = format!("source seen outside: {}", left.seen);
    let calls = evidence::within(ns, "iptables-save -t nat");
    let fault = Fault {
        code: "snat-missing",
        hop: at(ns, &uplink.name, Stage::Nat),
        summary: format!(
            "{name} leaves {} with its fixed address {}, to which no answer finds back",
            ns.machine, left.seen
        ),
        cause: "no rule in nat POSTROUTING translates what instances send outside".to_owned(),
        confidence: Confidence::Proven,
        evidence: [
            evidence::record(EvidenceKind::Rule, calls, unmet(left)),
            evidence::state(ns, "conntrack -L", seen),
        ]
        .into_iter()
        .chain(left.evidence())
        .collect(),
        owner: "nova-network",
        remedy: vec![restart::network(view, &ns.machine, "writes all its rules again")],
        instances: vec![name.clone()],
        stopped: left.stopped,
        mend: left_as::restored(view, left),
    };
    left.breaks(fault.found())
}

/// What is there and is not met, or that nothing is there.
fn unmet(left: &Left) -> String {
    let ns = left.seat.server_ns;
    let carried = ns.addresses_of(left.uplink.index).filter_map(|a| match a.net.addr() {
        IpAddr::V4(ip) => Some(ip),
        IpAddr::V6(_) => None,
    });
    let mut rules = carried.filter_map(|own: Ipv4Addr| left_as::rule_to(ns, own));
    rules.next().map_or_else(
        || format!("no `-o {} -j SNAT`", left.uplink.name),
        |(_, chain, rule)| format!("`{}` in {}, which what leaves does not meet", rule.text, chain.name),
    )
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_where_the_call_of_novas_chain_is_gone() {
        let found = broken("snat-missing").diagnose_all();
        assert_eq!(codes(&found), ["snat-missing compute1//eth0"]);
        assert_eq!(found.findings[0].instances, ["web1", "web2"]);
    }

    #[test]
    fn stays_silent_where_the_outside_knows_the_way_back() {
        let mut cloud = broken("snat-missing");
        for (machine, via, by) in [("gw", "203.0.113.34", "eth0"), ("isp", "198.51.100.1", "eth0")] {
            let link = cloud.link(machine, by).index;
            let route = crate::fixture::reachable_route("10.0.0.0/16", Some(via), link);
            cloud.netns(machine).routes.push(route);
        }
        assert!(lacks(&cloud.diagnose("web1"), "snat-missing"), "{:?}", codes(&cloud.diagnose("web1")));
    }

    #[test]
    fn stays_silent_where_all_rules_are_gone_or_the_address_is_another() {
        for other in ["rules-flushed", "snat-wrong-address", "float-snat-missing", "ext-gateway-down"] {
            assert!(lacks(&broken(other).diagnose("web1"), "snat-missing"), "{other}");
        }
        assert_eq!(codes(&healthy().diagnose_all()), [""; 0]);
    }
}
