//! # float-dnat-missing
//!
//! The rule that leads a floating IP to its instance is missing.
//!
//! ## What it means
//! The address is on the host, so the host itself answers: ping works and lies, ssh is refused or
//! lands on the host.
//!
//! ## How hopline knows
//! No DNAT rule for the address stands in nat PREROUTING or the chains it calls, while nova's other
//! rules are there; the walk from outside ends on the host.
//!
//! ## What it looks like
//! The reply's TTL is one higher than the instance's would be; nothing is seen on the bridge.
//!
//! ## Nearest look-alikes
//! * a service down in the instance: the SYN is seen on the tap.
//! * `rules-flushed`: all of nova's rules are gone, not one.
//!
//! ## Fix
//! Restart nova-network, or add the rule: `iptables -t nat -A nova-network-PREROUTING -d FLOATING -j
//! DNAT --to-destination FIXED`. It is kept until nova next writes its rules, which then have it too.
//! Undo: the same with `-D`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (iptables-save); nova `linux_net.py`
//! `floating_forward_rules`.

use model::finding::Confidence;
use model::path::{Direction, Exchange, Stage};

use super::rules_flushed;
use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::restart;
use crate::view::View;

/// Looks for floating addresses without their DNAT.
pub fn check(view: &View) -> Vec<Found> {
    // However it gets there, an address that leads to its instance lacks nothing.
    let arrives = |name: &str, address| {
        let inbound = view.rungs.iter().find(|r| r.purpose == Purpose::Inbound(address));
        inbound.is_some_and(|r| r.answer.received_by.as_deref() == Some(name))
    };
    let missing = floats::settled(view).filter(|(seat, floating, ns)| {
        !rules_flushed::is_bare(ns)
            && !floats::has_dnat(ns, floating)
            && !arrives(&seat.instance.name, floating.address)
    });
    missing
        .map(|(seat, floating, ns)| {
            let (address, fixed) = (floating.address, floating.fixed);
            let name = &seat.instance.name;
            let carrier = ns.addresses.iter().find(|a| a.net.addr() == address);
            let device = carrier.map_or_else(String::new, |a| ns.link_name(a.link));
            let add = format!(
                "iptables -t nat -A nova-network-PREROUTING -d {address}/32 -j DNAT --to-destination {fixed}"
            );
            let mut found = Fault {
                code: "float-dnat-missing",
                hop: at(ns, &device, Stage::Nat),
                summary: format!(
                    "{address} does not lead to {name}: its DNAT rule is missing, so {} answers itself",
                    ns.machine
                ),
                cause: format!("no rule in nat PREROUTING rewrites {address} to {fixed}"),
                confidence: Confidence::Proven,
                evidence: vec![evidence::record(
                    model::finding::EvidenceKind::Rule,
                    evidence::within(ns, "iptables-save -t nat"),
                    format!("no `-d {address}/32 ... -j DNAT --to-destination {fixed}`"),
                )],
                owner: "nova-network",
                remedy: vec![
                    restart::network(view, &ns.machine, "writes all its rules again"),
                    evidence::remedy(ns, &add, &add.replace(" -A ", " -D "), ""),
                ],
                instances: vec![name.clone()],
                stopped: view.stop(|s| s.rung.purpose == Purpose::Inbound(address)),
                mend: vec![Mend::InsertRule {
                    machine: ns.machine.clone(),
                    table: "nat".to_owned(),
                    chain: "nova-network-PREROUTING".to_owned(),
                    rule: Box::new(floats::dnat_rule(floating)),
                }],
            }
            .found();
            // The packet does not die, it goes astray: that breaks the exchange all the same.
            if let Some(rung) = view.rungs.iter().position(|r| r.purpose == Purpose::Inbound(address)) {
                found.order.get_or_insert((rung, 0, 0));
                found.finding.exchange = Exchange::Icmp;
                found.finding.direction = Direction::Request;
            }
            found
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_on_a_floating_ip_that_the_host_answers_itself() {
        assert_eq!(
            codes(&broken("float-dnat-missing").diagnose("web1")),
            ["float-dnat-missing compute1//eth0"]
        );
    }

    #[test]
    fn stays_silent_when_every_rule_is_gone() {
        assert!(lacks(&broken("rules-flushed").diagnose("web1"), "float-dnat-missing"));
    }

    #[test]
    fn stays_silent_when_another_hand_wrote_the_rule() {
        let mut cloud = broken("float-dnat-missing");
        let floating = cloud.intent.instances[0].vifs[0].floating[0].clone();
        let rule = crate::floats::dnat_rule(&floating);
        cloud.chain("compute1", "nat", "PREROUTING").rules.insert(0, rule);
        // Nothing is amiss for the packets; nova's own rule is missing all the same.
        assert_eq!(codes(&cloud.diagnose("web1")), ["nova-rules-drift compute1//br100"]);
    }
}
