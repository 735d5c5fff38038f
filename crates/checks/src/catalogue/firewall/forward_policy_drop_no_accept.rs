//! # forward-policy-drop-no-accept
//!
//! No rule accepts forwarded packets, and the policy of FORWARD drops them.
//!
//! ## What it means
//! Instances reach the host, its DHCP and its DNS; nothing that the host would route for them works.
//! The accept rules of nova-network are gone, or never matched, and the policy decides: Docker and
//! firewalld set it to DROP.
//!
//! ## How hopline knows
//! The walk met no rule that decided and ended at the policy of a base chain at the forward hook.
//!
//! ## What it looks like
//! `-P FORWARD DROP`, and its policy counter rises.
//!
//! ## Nearest look-alikes
//! * `ip-forward-0`: no netfilter counter moves.
//! * `br-netfilter-docker-drop`: only what is bridged dies there.
//! * `foreign-rule-drop`: a rule drops, not the policy.
//!
//! ## Fix
//! Restart nova-network, which writes its accept rules again; or set the policy to ACCEPT. Undo:
//! `iptables -P FORWARD DROP`.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (iptables); moby/moby#39439.

use model::finding::Confidence;
use model::path::Stop;

use super::br_netfilter_docker_drop;
use crate::drift;
use crate::evidence;
use crate::foreign_rules;
use crate::found::{Fault, Found};
use crate::removal;
use crate::restart;
use crate::view::View;

/// Looks for walks that a forward policy ended: one finding a chain.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let Stop::Policy(rule) = stopped.stop else { continue };
        let place = &stopped.hop.at;
        let main = view.snapshot().main_netns(&place.host);
        let (true, Some(ns)) = (foreign_rules::is_routings(&stopped), main) else { continue };
        let is_bridges = br_netfilter_docker_drop::only_bridged(view, &stopped).is_some();
        if is_bridges || found.iter().any(|f| f.finding.hop.host == place.host) {
            continue;
        }
        let fault = Fault {
            code: "forward-policy-drop-no-accept",
            hop: place.clone(),
            summary: format!(
                "{} routes nothing for its instances: no rule accepts it, and the policy of {} is DROP",
                place.host,
                rule.chain()
            ),
            cause: format!("no rule of {} matched, and its policy dropped the packet", rule.chain()),
            confidence: Confidence::Proven,
            evidence: evidence::stopping(view, ns, &stopped, rule),
            owner: "nova-network",
            remedy: vec![
                restart::network(view, &place.host, "writes nova's accept rules again"),
                removal::of(ns, rule),
            ],
            instances: view.instances_on(&place.host),
            stopped: Some(stopped),
            mend: drift::opened(view, ns, "nova-network-FORWARD", rule),
        };
        found.push(fault.found());
    }
    found
}

#[cfg(test)]
mod tests {
    use model::netfilter::Policy;

    use crate::fixture::{broken, codes, healthy, lacks};

    #[test]
    fn fires_on_a_policy_that_no_rule_comes_before() {
        let found = codes(&broken("forward-policy-drop-no-accept").diagnose("web1"));
        assert_eq!(found, ["forward-policy-drop-no-accept compute1//br100"]);
    }

    #[test]
    fn stays_silent_while_novas_accepts_stand() {
        let mut cloud = healthy();
        let base = cloud.chain("compute1", "filter", "FORWARD").base.as_mut();
        base.unwrap().policy = Policy::Drop;
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_forwarding_is_off_or_a_rule_drops() {
        for other in ["ip-forward-0", "foreign-rule-drop"] {
            assert!(lacks(&broken(other).diagnose("web1"), "forward-policy-drop-no-accept"), "{other}");
        }
    }
}
