//! # guest-firewall
//!
//! The instance's own firewall drops what gets to it, or what it sends.
//!
//! ## What it means
//! Rules inside the instance, which no security group and nothing on the host has written. The cloud has delivered the
//! packet.
//!
//! ## How hopline knows
//! Inside the instance, the walk ends at a rule, or at a chain's policy. Where the instance cannot be entered, its tap
//! tells that packets go in and none comes out, and why stays open.
//!
//! ## What it looks like
//! tcpdump on the tap: questions go out to the instance, no answer comes back, ARP is answered. No counter on the host
//! moves. The instance still gets its lease, since DHCP clients read past their own firewall.
//!
//! ## Nearest look-alikes
//! * `sg-missing-icmp`: there a counter on the host moves.
//! * `guest-no-default-route`: there the instance's neighbours are answered.
//!
//! ## Fix
//! In the instance: `iptables -P INPUT ACCEPT`, or a rule that lets the packet in. Undo: as it was.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting": the firewall of the instance.

use model::Netns;
use model::finding::{Confidence, Remedy};
use model::netfilter::Dialect;
use model::path::{Direction, RuleRef, Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::removal;
use crate::restart::typed;
use crate::rules;
use crate::view::{Stopped, View};

/// Looks for walks that end at a rule inside an instance: one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<(RuleRef, Found)> = Vec::new();
    for stopped in view.stops() {
        let (Stop::Rule(rule) | Stop::Policy(rule)) = stopped.stop else { continue };
        let Some(ns) = view.netns_at(&stopped.hop.at).filter(|ns| ns.instance) else { continue };
        if found.iter().all(|(known, f)| !rules::is_same(known, rule) || f.finding.hop.host != ns.machine) {
            found.push((rule.clone(), dropped(view, ns, &stopped, rule)));
        }
    }
    found.into_iter().map(|(_, f)| f).collect()
}

fn dropped(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> Found {
    let name = &ns.machine;
    let what = match stopped.direction {
        Direction::Request | Direction::Both => {
            format!("what {} sends to {}", stopped.rung.from, stopped.rung.to)
        }
        Direction::Reply => format!("the answer of {} to {}", stopped.rung.to, stopped.rung.from),
    };
    let machine = name.clone();
    let mend = if rule.number == 0 {
        Mend::AcceptPolicy { machine, rule: rule.clone() }
    } else {
        Mend::RemoveRule { machine, rule: rule.clone() }
    };
    let mut hit = view.hit_at(&stopped.hop.at);
    if view.intent().instances.iter().any(|instance| instance.name == *name) && !hit.contains(name) {
        hit.insert(0, name.clone());
    }
    let fault = Fault {
        code: "guest-firewall",
        hop: model::path::Place { stage: Stage::Instance, ..stopped.hop.at.clone() },
        summary: format!("{what} is dropped inside {name}, by a firewall of its own"),
        cause: format!("`{}` in {name} drops it", rule.text),
        confidence: Confidence::Proven,
        evidence: evidence::stopping(view, ns, stopped, rule),
        owner: "instance",
        remedy: vec![opened(ns, rule)],
        instances: hit,
        stopped: Some(*stopped),
        mend: vec![mend],
    };
    fault.found()
}

/// Takes the rule out, or the policy back.
fn opened(ns: &Netns, rule: &RuleRef) -> Remedy {
    if rule.number != 0 {
        return removal::of(ns, rule);
    }
    let (chain, table) = (typed(rule.chain()), typed(&rule.table));
    let note = "in the instance; or a rule that lets the packet in";
    if rule.dialect == Dialect::Nft {
        let change = |policy| {
            let family = rule.family.name();
            format!("nft chain {family} {table} {chain} '{{ policy {policy}; }}'")
        };
        return evidence::remedy(ns, &change("accept"), &change("drop"), note);
    }
    let change =
        |policy| format!("{} -t {table} -P {chain} {policy}", rule.dialect.edit_command(rule.family));
    evidence::remedy(ns, &change("ACCEPT"), &change("DROP"), note)
}

#[cfg(test)]
mod tests {
    use model::netfilter::Action;

    use crate::fixture::{broken, codes, healthy, inject, inside_firewall, lacks};

    const CODE: &str = "guest-firewall";

    #[test]
    fn fires_on_a_policy_and_names_the_command() {
        let diagnosis = broken(CODE).diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-firewall web1//eth0"]);
        let command = &diagnosis.findings[0].remedy[0].command;
        assert!(command.ends_with("-t filter -P INPUT ACCEPT"), "{command}");
    }

    #[test]
    fn is_met_by_the_gateways_answer_before_the_outside_is_asked() {
        let mut cloud = broken(CODE);
        inject(&mut cloud, "ext-gateway-down");
        assert_eq!(
            codes(&cloud.diagnose("web1")),
            ["guest-firewall web1//eth0", "ext-gateway-down gw//eth0"]
        );
    }

    #[test]
    fn fires_on_a_rule_once_for_all_whom_it_hits() {
        let mut cloud = healthy();
        inside_firewall(&mut cloud, "web1");
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["guest-firewall web1//eth0"]);
        let command = &diagnosis.findings[0].remedy[0].command;
        assert!(command.contains("-t filter -D INPUT -s 1.2.3.4/32 "), "{command}");
    }

    #[test]
    fn stays_silent_on_rules_that_let_through_and_on_those_of_the_host() {
        let mut cloud = healthy();
        inside_firewall(&mut cloud, "web1");
        cloud.chain("web1", "filter", "INPUT").rules[0].action = Action::Accept;
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        for other in ["sg-missing-icmp", "foreign-rule-drop", "forward-policy-drop-no-accept"] {
            assert!(lacks(&broken(other).diagnose("web1"), CODE), "{other}");
        }
    }
}
