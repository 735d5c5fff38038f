//! A rule that a walk met, found again among what was read.

use model::Netns;
use model::netfilter::{Chain, NfRule, Table};
use model::path::RuleRef;

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
