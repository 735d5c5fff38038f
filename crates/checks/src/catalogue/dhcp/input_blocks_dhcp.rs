//! # input-blocks-dhcp
//!
//! The host's own firewall keeps DISCOVERs from its dnsmasq.
//!
//! ## What it means
//! The question arrives at the bridge and dies in INPUT: a rule drops udp/67, or nothing accepts it and the policy
//! drops. New instances get no address, everything else works. tcpdump shows the DISCOVER all the same, as it looks
//! before INPUT does.
//!
//! ## How hopline knows
//! The walk of the DISCOVER ended in a chain that INPUT leads to: at a rule that names DHCP's ports and stops nothing
//! else that was asked, or at the policy.
//!
//! ## What it looks like
//! The console repeats `Sending discover...`; dnsmasq runs, and its log has nothing; the rule's counter rises.
//!
//! ## Nearest look-alikes
//! * `dnsmasq-hung`: the DISCOVER gets to the socket, and waits there (`Recv-Q`).
//! * `foreign-rule-drop`: the rule stops more than DHCP.
//! * `stp-forward-delay`: the DISCOVER never gets to the bridge.
//!
//! ## Fix
//! Delete the rule; of a policy, let nova-network write its accepts again (`-i BRIDGE -p udp --dport 67`). Undo: insert
//! the rule again.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `linux_net.py` `_add_dnsmasq_accept_rules`.

use model::finding::Confidence;
use model::path::{RuleRef, Stop};

use crate::dhcp_rules;
use crate::drift;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::owner;
use crate::removal;
use crate::restart;
use crate::rules;
use crate::view::{Stopped, View};

/// Looks for DISCOVERs that die in INPUT: one finding a rule or policy.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<(Stop, Found)> = Vec::new();
    for stopped in view.stops() {
        let host = &stopped.hop.at.host;
        let is_known = |(stop, f): &(Stop, Found)| {
            f.finding.hop.host == *host && rules::is_same_stop(stop, stopped.stop)
        };
        if let Some(rule) = dhcp_rules::blocks(view, &stopped).filter(|_| !found.iter().any(is_known)) {
            found.extend(blocked(view, stopped, rule).map(|f| (stopped.stop.clone(), f)));
        }
    }
    found.into_iter().map(|(_, f)| f).collect()
}

fn blocked(view: &View, stopped: Stopped, rule: &RuleRef) -> Option<Found> {
    let place = &stopped.hop.at;
    let ns = view.snapshot().main_netns(&place.host)?;
    let is_policy = matches!(stopped.stop, Stop::Policy(_));
    let (cause, owner, remedy, mend) = if is_policy {
        let remedy = vec![
            restart::network(view, &place.host, "writes nova's accepts of DHCP and DNS again"),
            removal::of(ns, rule),
        ];
        let cause = format!("no rule of {} accepts udp/67, and its policy drops it", rule.chain());
        (cause, "nova-network", remedy, drift::opened(view, ns, "nova-network-INPUT", rule))
    } else {
        let owner = owner::of(ns, rule);
        let mend = Mend::RemoveRule { machine: place.host.clone(), rule: rule.clone() };
        let cause = format!("`{}` matches, {}", rule.text, owner.wrote());
        (cause, owner.name(), vec![removal::of(ns, rule)], vec![mend])
    };
    let fault = Fault {
        code: "input-blocks-dhcp",
        hop: place.clone(),
        summary: format!(
            "{} keeps DHCP from its own dnsmasq: {} drops what comes for udp/67",
            place.host,
            rule.chain()
        ),
        cause,
        confidence: Confidence::Proven,
        evidence: evidence::stopping(view, ns, &stopped, rule),
        owner,
        remedy,
        instances: rules::victims(view, &stopped),
        stopped: Some(stopped),
        mend,
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use model::netfilter::Policy;

    use crate::fixture::{broken, codes, drops, healthy, lacks, udp_by};

    #[test]
    fn fires_on_a_rule_that_drops_what_comes_for_port_67() {
        let diagnosis = broken("input-blocks-dhcp").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["input-blocks-dhcp compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert_eq!(finding.owner, "operator");
        assert!(
            finding.remedy[0]
                .command
                .ends_with("iptables -t filter -D INPUT -i br100 -p udp -m udp --dport 67 -j DROP"),
            "{:?}",
            finding.remedy
        );
        assert!(finding.remedy[0].undo.contains("-I INPUT 1 -i br100 -p udp"), "{:?}", finding.remedy);
    }

    #[test]
    fn fires_on_a_policy_that_no_accept_comes_before() {
        let mut cloud = healthy();
        cloud.chain("compute1", "filter", "INPUT").base.as_mut().unwrap().policy = Policy::Drop;
        // nova's accepts stand; what dnsmasq is answered from outside has none.
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//eth0"]);
        for chain in ["nova-network-INPUT", "nova-compute-INPUT"] {
            cloud.chain("compute1", "filter", chain).rules.clear();
        }
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(diagnosis.findings[0].code, "input-blocks-dhcp", "{:?}", codes(&diagnosis));
        assert_eq!(diagnosis.findings[0].remedy[0].command, "systemctl restart nova-network");
    }

    #[test]
    fn leaves_a_rule_that_stops_more_to_its_own_page() {
        let mut cloud = healthy();
        let rule = drops("-A INPUT -i br100 -p udp -j DROP", udp_by("br100"));
        cloud.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
    }

    #[test]
    fn stays_silent_on_a_rule_behind_novas_accept_and_on_another_link() {
        let mut behind = broken("input-blocks-dhcp");
        let input = behind.chain("compute1", "filter", "INPUT");
        input.rules.rotate_left(1);
        assert_eq!(codes(&behind.diagnose("web1")), Vec::<String>::new());
        let mut elsewhere = healthy();
        let rule = drops("-A INPUT -i virbr0 -p udp -j DROP", udp_by("virbr0"));
        elsewhere.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        assert_eq!(codes(&elsewhere.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_when_dnsmasq_hangs_or_the_offer_is_lost() {
        for other in ["dnsmasq-hung", "dhcp-reply-lost"] {
            assert!(lacks(&broken(other).diagnose("web1"), "input-blocks-dhcp"), "{other}");
        }
    }
}
