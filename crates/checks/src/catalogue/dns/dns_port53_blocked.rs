//! # dns-port53-blocked
//!
//! A rule on the host drops what instances ask their resolver.
//!
//! ## What it means
//! dnsmasq runs and could answer, but a rule in INPUT takes udp/53 away before it gets there. No name
//! resolves in the instances of that bridge, and whatever looks names up is slow: ssh, apt, mail. The host
//! itself resolves, and addresses are reached. A rule that takes tcp/53 does so with answers that are too large for
//! UDP alone.
//!
//! ## How hopline knows
//! The walk of the instance's question to its gateway's port 53 ended in INPUT at a rule that names that
//! port and that nova did not write. To tcp/53 a walk is made, too, and under `--symptom dns` a SYN goes.
//!
//! ## What it looks like
//! The rule's counter rises with each question; `tcpdump -ni br100 udp port 53` shows questions and no
//! answers; dnsmasq's log (`--log-queries`) has none of them.
//!
//! ## Nearest look-alikes
//! * a dnsmasq that hangs: its receive queue grows.
//! * `dnsmasq-not-running`: the host answers with port unreachable.
//! * `foreign-rule-drop`: the rule takes more than names, and other things fail too.
//!
//! ## Fix
//! Delete the rule. Undo: insert it again.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (udp port 53); iptables(8); nova `linux_net.py`
//! `_add_dnsmasq_accept_rules`.

use model::Netns;
use model::finding::Confidence;
use model::netfilter::{Hook, Test};
use model::path::{RuleRef, Stop};

use crate::dns;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::nova;
use crate::owner;
use crate::removal;
use crate::rules;
use crate::view::{Stopped, View};

/// Looks for rules that take questions for names away from the host: one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let place = &stopped.hop.at;
        let here = |ns: &&Netns| ns.machine == place.host && ns.name == place.netns;
        let Some(ns) = view.snapshot().netns.iter().find(here) else { continue };
        let Some(rule) = blocking(ns, &stopped) else { continue };
        let fault = finding(view, ns, stopped, rule).found();
        let known = |f: &Found| f.finding.hop == fault.finding.hop && f.finding.cause == fault.finding.cause;
        if !found.iter().any(known) {
            found.push(fault);
        }
    }
    found
}

/// The rule that keeps a question for names from its resolver, and nothing else.
pub(crate) fn blocking<'s>(ns: &Netns, stopped: &Stopped<'s>) -> Option<&'s RuleRef> {
    let Stop::Rule(rule) = stopped.stop else { return None };
    let holds = |ports: &[(u16, u16)]| ports.iter().any(|(low, high)| (*low..=*high).contains(&dns::PORT));
    let names_it = rules::find(ns, rule)?
        .matches
        .iter()
        .any(|m| matches!(&m.test, Test::DestinationPort(ports) if !m.negated && holds(ports)));
    let asks = matches!(stopped.rung.purpose, Purpose::Resolver | Purpose::ResolverTcp(_));
    let asks = asks && rule.hook == Hook::Input;
    (asks && names_it && !nova::wrote(rule)).then_some(rule)
}

fn finding<'f>(view: &View<'f>, ns: &Netns, stopped: Stopped<'f>, rule: &RuleRef) -> Fault<'f> {
    let owner = owner::of(ns, rule);
    let (what, port) = if matches!(stopped.rung.purpose, Purpose::ResolverTcp(_)) {
        ("what instances fetch over TCP of answers that were cut short", "tcp/53")
    } else {
        ("what instances ask their resolver", "udp/53")
    };
    Fault {
        code: "dns-port53-blocked",
        hop: stopped.hop.at.clone(),
        summary: format!(
            "{} drops {what}: rule {} of {} takes {port}",
            ns.machine,
            rule.number,
            rule.chain()
        ),
        cause: format!("`{}` matches, {}", rule.text, owner.wrote()),
        confidence: Confidence::Proven,
        evidence: evidence::stopping(view, ns, &stopped, rule),
        owner: owner.name(),
        remedy: vec![removal::of(ns, rule)],
        instances: view.instances_on(&ns.machine),
        stopped: Some(stopped),
        mend: vec![Mend::RemoveRule { machine: ns.machine.clone(), rule: rule.clone() }],
    }
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Match, Test};

    use crate::Symptom;
    use crate::fixture::{broken, codes, connected, cut_short, drops, healthy, lacks, udp_by};

    #[test]
    fn fires_on_a_rule_that_names_the_port() {
        let diagnosis = broken("dns-port53-blocked").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["dns-port53-blocked compute1//br100"]);
        let finding = &diagnosis.findings[0];
        assert!(
            finding.remedy[0]
                .command
                .ends_with("iptables -t filter -D INPUT -i br100 -p udp -m udp --dport 53 -j DROP"),
            "{finding:?}"
        );
        assert_eq!(finding.owner, "operator");
    }

    #[test]
    fn a_rule_that_takes_tcp_is_told_whether_or_not_an_answer_was_cut_short() {
        let mut cloud = healthy();
        let port = Match { negated: false, test: Test::DestinationPort(vec![(53, 53)]) };
        let tcp = Match { negated: false, test: Test::Protocol(6) };
        let rule = drops("-A INPUT -p tcp -m tcp --dport 53 -j DROP", vec![tcp, port]);
        cloud.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        for symptom in [Symptom::Auto, Symptom::Dns] {
            let found = cloud.diagnose_for("web1", symptom);
            assert_eq!(codes(&found), ["dns-port53-blocked compute1//br100"], "{symptom:?}");
        }
        let found = cloud.diagnose_with("web1", &[cut_short("web1", [10, 0, 0, 42].into())]);
        assert_eq!(codes(&found), ["dns-port53-blocked compute1//br100"]);
        assert!(found.findings[0].summary.contains("takes tcp/53"), "{:?}", found.findings[0]);
    }

    #[test]
    fn an_answer_that_was_cut_short_and_is_had_over_tcp_is_no_fault() {
        let gateway = [10, 0, 0, 42].into();
        let found = |accepted| {
            let probes = [cut_short("web1", gateway), connected("web1", gateway, 53, accepted)];
            codes(&healthy().diagnose_with("web1", &probes))
        };
        assert_eq!(found(true), [""; 0]);
        let lost = found(false);
        assert!(lost.len() == 1 && lost[0].starts_with("lost-at-hop compute1/"), "{lost:?}");
    }

    #[test]
    fn stays_silent_on_a_rule_that_takes_more() {
        let mut cloud = healthy();
        let rule = drops("-A INPUT -i br100 -p udp -j DROP", udp_by("br100"));
        cloud.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        let found = cloud.diagnose("web1");
        assert!(lacks(&found, "dns-port53-blocked") && !found.findings.is_empty(), "{:?}", codes(&found));
    }

    #[test]
    fn stays_silent_on_a_rule_for_another_port() {
        let mut cloud = healthy();
        let mut matches = udp_by("br100");
        matches.push(Match { negated: false, test: Test::DestinationPort(vec![(123, 123)]) });
        let rule = drops("-A INPUT -i br100 -p udp -m udp --dport 123 -j DROP", matches);
        cloud.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_where_nothing_answers_anyway() {
        assert!(lacks(&broken("dnsmasq-not-running").diagnose("web1"), "dns-port53-blocked"));
    }
}
