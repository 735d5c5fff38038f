//! # nft-other-priority
//!
//! A table of nftables' own drops what iptables has let pass.
//!
//! ## What it means
//! Every table that hangs on a hook is asked, in the order of priorities, and an accept in one is no accept in the
//! next. So a packet passes iptables' chains, their counters rise, and it dies in a table that `iptables-save` does not
//! show: firewalld's, a hardening script's, one that was left behind.
//!
//! ## How hopline knows
//! The walk asked every table at the hook and ended at that rule; iptables has rules at the same hook.
//!
//! ## What it looks like
//! `nft list ruleset` shows the rule and its counter, if it has one; iptables' ACCEPT rises by the same number.
//!
//! ## Nearest look-alikes
//! * `iptables-legacy-hidden`: `nft list ruleset` shows nothing either.
//! * `foreign-rule-drop`: the rule is one that `iptables-save` shows.
//!
//! ## Fix
//! Delete the rule, or the table with the program that wrote it. Undo: add it again at its place.
//!
//! ## References
//! nft(8), priorities and verdicts; `nf_hook_slow`, net/netfilter/core.c.

use crate::foreign_rules::{self, Guise};
use crate::found::Found;
use crate::view::View;

/// Looks for walks that a native table ended beside iptables': one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    foreign_rules::found(view, Guise::OtherTable)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy};

    #[test]
    fn fires_beside_iptables() {
        let found = broken("nft-other-priority").diagnose("web1");
        assert_eq!(codes(&found), ["nft-other-priority compute1//br100"]);
        let evidence: Vec<&str> = found.findings[0].evidence.iter().map(|line| line.text.as_str()).collect();
        assert!(evidence.iter().any(|line| line.contains("does not show this rule")), "{evidence:#?}");
    }

    #[test]
    fn is_a_plain_rule_where_nftables_is_all_there_is() {
        let mut cloud = healthy();
        let tables = broken("nft-other-priority").netns("compute1").ruleset.tables.clone();
        let own = tables.into_iter().filter(|table| table.name == "lockdown");
        cloud.netns("gw").ruleset.tables.extend(own);
        for rule in
            cloud.netns("gw").ruleset.tables.iter_mut().flat_map(|t| &mut t.chains).flat_map(|c| &mut c.rules)
        {
            rule.matches.clear();
        }
        let found = codes(&cloud.diagnose("web1"));
        assert_eq!(found, ["foreign-rule-drop gw//eth0"]);
    }
}
