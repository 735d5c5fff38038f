//! A rule that a walk met, found again among what was read.

use std::collections::BTreeSet;

use model::Netns;
use model::netfilter::{Action, Chain, NfRule, Table};
use model::path::{RuleRef, Stop};

use crate::mend::Mend;
use crate::nova;
use crate::nova::line::Line;
use crate::view::{Stopped, View};

/// Its table.
pub(crate) fn table<'n>(ns: &'n Netns, rule: &RuleRef) -> Option<&'n Table> {
    ns.ruleset.table(rule.dialect, rule.family, &rule.table)
}

/// The chain that holds it, or whose policy it is.
pub(crate) fn chain<'n>(ns: &'n Netns, rule: &RuleRef) -> Option<&'n Chain> {
    table(ns, rule)?.chain(rule.chain())
}

/// The rule itself; `None` for a policy.
pub(crate) fn find<'n>(ns: &'n Netns, rule: &RuleRef) -> Option<&'n NfRule> {
    let at = usize::try_from(rule.number).ok()?.checked_sub(1)?;
    chain(ns, rule)?.rules.get(at).filter(|found| found.text == rule.text)
}

/// A rule by its place; that of a chain which no hook calls by itself, under the first hook of its table.
pub(crate) fn reference(table: &Table, chain: &Chain, rule: &NfRule, number: u32) -> Option<RuleRef> {
    let hook = |chain: &Chain| chain.base.as_ref().map(|base| base.hook);
    Some(RuleRef {
        dialect: table.dialect,
        family: table.family,
        table: table.name.clone(),
        hook: hook(chain).or_else(|| table.chains.iter().find_map(hook))?,
        chains: vec![chain.name.clone()],
        number,
        text: rule.text.clone(),
        counters: rule.counters.map(|counters| (counters.packets, counters.bytes)),
        handle: rule.handle,
        rejects_with: None,
    })
}

/// As it is told: `rule 1 of PREROUTING in ip raw`. A policy is nobody's rule, and has number 0.
pub(crate) fn named(rule: &RuleRef) -> String {
    let which = if rule.number == 0 { "the policy".to_owned() } else { format!("rule {}", rule.number) };
    format!("{which} of {} in {} {}", rule.chain(), rule.family.name(), rule.table)
}

/// The same rule, whatever chains led to it.
pub(crate) fn is_same(a: &RuleRef, b: &RuleRef) -> bool {
    (a.dialect, a.family, &a.table, a.chain(), a.number)
        == (b.dialect, b.family, &b.table, b.chain(), b.number)
}

/// Both end at the same rule, or at the same policy, whose number is 0.
pub(crate) fn is_same_stop(a: &Stop, b: &Stop) -> bool {
    let (Stop::Rule(a) | Stop::Policy(a)) = a else { return false };
    let (Stop::Rule(b) | Stop::Policy(b)) = b else { return false };
    is_same(a, b)
}

/// The instances in question whose walks end where this one does.
pub(crate) fn victims(view: &View, stopped: &Stopped) -> Vec<String> {
    let place = &stopped.hop.at;
    let here = view.stops().filter(|s| s.hop.at.host == place.host && is_same_stop(s.stop, stopped.stop));
    let instances: BTreeSet<usize> = here.map(|s| s.rung.instance).collect();
    instances.into_iter().filter_map(|at| Some(view.intent().instances.get(at)?.name.clone())).collect()
}

/// In the model, a rule that lets something in where nova puts a group's rules: before the fallback.
pub(crate) fn before_fallback(ns: &Netns, chain: &str, like: &RuleRef, line: &Line) -> Mend {
    let mut rules = table(ns, like).and_then(|t| t.chain(chain)).map(|c| c.rules.clone()).unwrap_or_default();
    rules.insert(fallback_at(&rules), line.rule(chain));
    Mend::RewriteChain {
        machine: ns.machine.clone(),
        dialect: like.dialect,
        table: like.table.clone(),
        chain: chain.to_owned(),
        rules,
    }
}

/// Where the call of the fallback stands, else the end.
pub(crate) fn fallback_at(rules: &[NfRule]) -> usize {
    let falls_back = |rule: &NfRule| matches!(&rule.action, Action::Jump(to) if nova::is_fallback(to));
    rules.iter().position(falls_back).unwrap_or(rules.len())
}
