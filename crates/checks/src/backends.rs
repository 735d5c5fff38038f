//! Two firewalls in one kernel: a packet that one back end's tables let pass may die in another's, whose
//! rules the first one's tool does not show. Said only where that happened.

use model::Netns;
use model::finding::{Evidence, EvidenceKind};
use model::netfilter::{Action, Family};
use model::path::{Hop, Path, RuleRef, Step};

use crate::evidence;
use crate::ladder;
use crate::mend::Mend;
use crate::rules;
use crate::view::{Stopped, View};

/// What the other back ends' rules say to the packet that this rule, or policy, stopped: nothing where
/// none of them lets it pass by a rule at the same hook.
pub(crate) fn unseen(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> Option<Evidence> {
    if !is_ip(rule.family) || !has_others(ns, rule) {
        return None;
    }
    let accepting = accepted(ns, stopped.hop, rule).or_else(|| accepted_behind(view, ns, stopped, rule))?;
    let text = format!(
        "`{}` does not show this rule: by what it shows, rule {} of {} lets the packet pass",
        evidence::within(ns, &accepting.shown_by()),
        accepting.number,
        accepting.chain_path()
    );
    Some(evidence::record(EvidenceKind::Rule, evidence::within(ns, &rule.shown_by()), text))
}

fn is_ip(family: Family) -> bool {
    matches!(family, Family::Ip | Family::Ip6 | Family::Inet)
}

/// Another back end has rules here: most machines have one, and need no second walk.
fn has_others(ns: &Netns, rule: &RuleRef) -> bool {
    let others = ns.ruleset.tables.iter().filter(|t| t.dialect != rule.dialect && is_ip(t.family));
    others.flat_map(|table| &table.chains).any(|chain| !chain.rules.is_empty())
}

/// A rule of another back end that accepted the packet at the hook where this one stopped it.
fn accepted(ns: &Netns, hop: &Hop, stopping: &RuleRef) -> Option<RuleRef> {
    let rules = hop.steps.iter().filter_map(|step| match step {
        Step::Rule(rule) => Some(rule),
        Step::Bridged(_) | Step::Rewritten(..) | Step::Routed(_) | Step::Resolved(_) | Step::Note(_) => None,
    });
    let others = rules.filter(|rule| rule.dialect != stopping.dialect && rule.hook == stopping.hook);
    let accepts = |rule: &&RuleRef| rules::find(ns, rule).is_some_and(|found| found.action == Action::Accept);
    others.into_iter().find(accepts).cloned()
}

/// The other back end's chain runs behind the one that dropped: the packet is walked again without that
/// rule.
fn accepted_behind(view: &View, ns: &Netns, stopped: &Stopped, rule: &RuleRef) -> Option<RuleRef> {
    let machine = ns.machine.clone();
    let without = if rule.number == 0 {
        Mend::AcceptPolicy { machine, rule: rule.clone() }
    } else {
        Mend::RemoveRule { machine, rule: rule.clone() }
    };
    let again = ladder::again_with(view, stopped.rung, &without)?;
    let same = |path: &&Path| path.exchange == stopped.exchange && path.direction == stopped.direction;
    let here = |hop: &&Hop| hop.at.host == ns.machine && hop.at.netns == ns.name;
    let hops = again.answer.paths.iter().filter(same).flat_map(|path| path.hops.iter().filter(here));
    hops.into_iter().find_map(|hop| accepted(ns, hop, rule))
}

#[cfg(test)]
mod tests {
    use model::netfilter::{Action, Dialect, Family, Match, Policy, Test};

    use crate::fixture::{Cloud, codes, drops, healthy, to};

    /// A table `filter` of another back end with one rule for what web1 sends outside.
    fn second_firewall(cloud: &mut Cloud, dialect: Dialect, action: Action) {
        let tables = &mut cloud.netns("compute1").ruleset.tables;
        let mut table = tables.iter().find(|t| t.name == "filter").unwrap().clone();
        table.dialect = dialect;
        table.chains.retain(|chain| chain.base.is_some());
        table.chains.iter_mut().for_each(|chain| chain.rules.clear());
        if dialect == Dialect::Nft {
            (table.family, table.name) = (Family::Inet, "lockdown".to_owned());
        }
        let by_bridge = Match { negated: false, test: Test::In("br100".to_owned()) };
        let mut rule = drops("-A FORWARD -i br100 -j DROP", vec![by_bridge]);
        rule.action = action;
        let forward = table.chains.iter_mut().find(|chain| chain.name == "FORWARD").unwrap();
        forward.rules.push(rule);
        tables.push(table);
    }

    /// What the evidence of the only finding says of the other back end.
    fn said(cloud: &Cloud) -> Vec<(String, String)> {
        let diagnosis = cloud.diagnose("web1");
        let found = codes(&diagnosis);
        assert!(found.len() == 1 && found[0].ends_with(" compute1//br100"), "{found:?}");
        let all = diagnosis.findings.into_iter().flat_map(|f| f.evidence);
        all.filter(|e| e.text.contains("does not show")).map(|e| (e.source, e.text)).collect()
    }

    #[test]
    fn a_drop_that_iptables_save_does_not_show_is_pointed_out() {
        for (dialect, shows) in
            [(Dialect::IptablesLegacy, "iptables-legacy-save -c"), (Dialect::Nft, "nft -a list ruleset")]
        {
            let mut cloud = healthy();
            second_firewall(&mut cloud, dialect, Action::Drop);
            let said = said(&cloud);
            assert_eq!(said.len(), 1, "{said:?}");
            assert!(said[0].0.ends_with(shows), "{said:?}");
            assert!(said[0].1.contains("iptables-save -c` does not show this rule"), "{said:?}");
            assert!(said[0].1.contains("rule 1 of FORWARD → nova-network-FORWARD"), "{said:?}");
        }
    }

    #[test]
    fn the_chain_that_accepts_may_run_behind_the_one_that_drops() {
        let mut cloud = healthy();
        second_firewall(&mut cloud, Dialect::IptablesLegacy, Action::Drop);
        cloud.netns("compute1").ruleset.tables.reverse();
        assert_eq!(said(&cloud).len(), 1);
    }

    #[test]
    fn it_is_said_whichever_of_the_two_drops() {
        let mut cloud = healthy();
        second_firewall(&mut cloud, Dialect::IptablesLegacy, Action::Accept);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new(), "a mix that changes nothing");
        let rule = drops("-A FORWARD -d 1.2.3.4/32 -j DROP", vec![to("1.2.3.4/32")]);
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, rule);
        let said = said(&cloud);
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].1.contains("iptables-legacy-save -c` does not show this rule"), "{said:?}");
    }

    #[test]
    fn stays_silent_where_the_others_rules_are_about_something_else() {
        let mut cloud = healthy();
        second_firewall(&mut cloud, Dialect::IptablesLegacy, Action::Accept);
        let tables = cloud.netns("compute1").ruleset.tables.iter_mut();
        let legacy = tables.filter(|t| t.dialect == Dialect::IptablesLegacy).flat_map(|t| &mut t.chains);
        legacy.flat_map(|chain| &mut chain.rules).for_each(|rule| rule.matches = vec![to("192.0.2.7/32")]);
        let rule = drops("-A FORWARD -d 1.2.3.4/32 -j DROP", vec![to("1.2.3.4/32")]);
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, rule);
        assert_eq!(said(&cloud), Vec::new());
    }

    #[test]
    fn stays_silent_where_the_other_back_end_has_no_word_for_the_packet() {
        let mut cloud = healthy();
        second_firewall(&mut cloud, Dialect::IptablesLegacy, Action::Drop);
        let accepting = cloud.chain("compute1", "filter", "nova-network-FORWARD");
        accepting.rules.clear();
        let base = cloud.chain("compute1", "filter", "FORWARD").base.as_ref().unwrap().policy;
        assert_eq!(base, Policy::Accept);
        let diagnosis = cloud.diagnose("web1");
        let all: Vec<_> = diagnosis.findings.iter().flat_map(|f| &f.evidence).collect();
        assert!(all.iter().all(|e| !e.text.contains("does not show")), "{all:#?}");
    }
}
