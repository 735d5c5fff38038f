//! # float-snat-missing
//!
//! The instance leaves with the host's address instead of its floating one.
//!
//! ## What it means
//! Connections work, but the outside sees the host: allow-lists that name the floating IP refuse the
//! instance, and logs blame the host.
//!
//! ## How hopline knows
//! The walk to the outside ends with another source address than the floating one that the cloud
//! records for this instance, and no SNAT rule for it stands in the nat table.
//!
//! ## What it looks like
//! No ping fails. At the far end the source is the host's address; conntrack's reply destination is.
//!
//! ## Nearest look-alikes
//! * an instance without floating IP: the host's address is right.
//! * an instance that took another fixed address: the rule is there, for the right one.
//! * `rules-flushed`: there the instance leaves with its private address.
//!
//! ## Fix
//! Restart nova-network, or add the rule: `iptables -t nat -A nova-network-float-snat -s FIXED -o eth0
//! -j SNAT --to-source FLOATING`. Undo: the same with `-D`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (addresses in the three captures); nova
//! `linux_net.py` `floating_forward_rules`.

use model::finding::Confidence;
use model::path::{Direction, Exchange, Stage};

use super::{rules_flushed, snat_wrong_address};
use crate::evidence;
use crate::floats;
use crate::found::{Fault, Found, at};
use crate::ladder::Purpose;
use crate::left_as;
use crate::mend::Mend;
use crate::restart;
use crate::uplinks;
use crate::view::View;

/// Looks for instances that leave with another address than their floating one.
pub fn check(view: &View) -> Vec<Found> {
    let mut found = Vec::new();
    for (seat, floating, ns) in floats::settled(view) {
        let name = &seat.instance.name;
        let outward = view.rungs.iter().enumerate().find(|(_, r)| {
            r.purpose == Purpose::Outside
                && view.intent().instances.get(r.instance).is_some_and(|i| i.name == *name)
        });
        let Some((nth, rung)) = outward else { continue };
        let Some(seen) = rung.answer.source_seen else { continue };
        let several = seat.instance.floating().any(|f| f.address == seen);
        let uplink = uplinks::all(view).into_iter().find(|(n, _)| std::ptr::eq(*n, ns));
        let Some((_, uplink)) = uplink else { continue };
        let is_strangers = left_as::unanswered(view).iter().any(|left| {
            std::ptr::eq(left.seat.instance, seat.instance) && snat_wrong_address::is_wrong(left)
        });
        let other_cause = is_strangers
            || seen == floating.fixed
            || rules_flushed::is_bare(ns)
            || floats::has_snat(ns, floating);
        if seen == floating.address || several || other_cause {
            continue;
        }
        let (address, fixed) = (floating.address, floating.fixed);
        let add = format!(
            "iptables -t nat -A nova-network-float-snat -s {fixed}/32 -o {} -j SNAT --to-source {address}",
            uplink.name
        );
        let mut one = Fault {
            code: "float-snat-missing",
            hop: at(ns, &uplink.name, Stage::Nat),
            summary: format!("{name} leaves as {seen}, not as its floating IP {address}"),
            cause: format!(
                "no rule rewrites {fixed} to {address} on the way out, so the host's own SNAT does"
            ),
            confidence: Confidence::Proven,
            evidence: vec![
                evidence::record(
                    model::finding::EvidenceKind::Rule,
                    evidence::within(ns, "iptables-save -t nat"),
                    format!("no `-s {fixed}/32 -o {} -j SNAT --to-source {address}`", uplink.name),
                ),
                evidence::state(ns, "conntrack -L", format!("source seen outside: {seen}")),
            ],
            owner: "nova-network",
            remedy: vec![
                restart::network(view, &ns.machine, "writes all its rules again"),
                evidence::remedy(ns, &add, &add.replace(" -A ", " -D "), ""),
            ],
            instances: vec![name.clone()],
            stopped: None,
            mend: vec![Mend::InsertRule {
                machine: ns.machine.clone(),
                table: "nat".to_owned(),
                chain: "nova-network-float-snat".to_owned(),
                rule: Box::new(floats::snat_rule(floating, &uplink.name)),
            }],
        }
        .found();
        one.order = Some((nth, 0, 0));
        one.finding.exchange = Exchange::Icmp;
        one.finding.direction = Direction::Request;
        found.push(one);
    }
    found
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_an_instance_that_leaves_with_the_hosts_address() {
        assert_eq!(
            codes(&broken("float-snat-missing").diagnose("web1")),
            ["float-snat-missing compute1//eth0"]
        );
    }

    #[test]
    fn stays_silent_on_an_instance_without_floating_ip() {
        assert_eq!(codes(&broken("float-snat-missing").diagnose("web2")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_the_instance_took_another_address() {
        let mut cloud = healthy();
        cloud.readdress("web1", "10.0.2.24", "10.0.2.99");
        assert!(lacks(&cloud.diagnose("web1"), "float-snat-missing"));
    }

    #[test]
    fn stays_silent_when_every_rule_is_gone() {
        assert!(lacks(&broken("rules-flushed").diagnose("web1"), "float-snat-missing"));
    }
}
