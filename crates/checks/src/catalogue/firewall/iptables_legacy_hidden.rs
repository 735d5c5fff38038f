//! # iptables-legacy-hidden
//!
//! A rule in the legacy tables drops what iptables, which by now is nftables', lets pass.
//!
//! ## What it means
//! One kernel has both: the xtables of old and nf_tables. `iptables` edits one of them, by the distribution's choice,
//! and packets pass both. What an old script or an old program put into the other is not seen by who looks with
//! `iptables-save`.
//!
//! ## How hopline knows
//! Both were read, the walk asked both, and it ended in the legacy tables, while iptables' other back end has rules at
//! the same hook.
//!
//! ## What it looks like
//! `iptables-legacy-save -c` shows the rule and its counter; `iptables-save` warns that legacy tables are present.
//!
//! ## Nearest look-alikes
//! * `nft-other-priority`: the rule is nftables' own.
//! * `foreign-rule-drop`: the rule is in the tables that everything else is in.
//!
//! ## Fix
//! Delete the rule, and let all programs use one back end (`update-alternatives --config iptables`). Undo: insert it
//! again.
//!
//! ## References
//! iptables-legacy(8), xtables-nft(8); kubernetes/kubernetes#71305.

use crate::foreign_rules::{self, Guise};
use crate::found::Found;
use crate::view::View;

/// Looks for walks that a legacy rule ended where iptables is nftables': one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    foreign_rules::found(view, Guise::Legacy)
}

#[cfg(test)]
mod tests {
    use model::netfilter::Dialect;

    use crate::fixture::{broken, codes};

    #[test]
    fn fires_beside_the_other_back_end() {
        let found = broken("iptables-legacy-hidden").diagnose("web1");
        assert_eq!(codes(&found), ["iptables-legacy-hidden compute1//br100"]);
        let remedy = &found.findings[0].remedy[0].command;
        assert!(
            remedy.ends_with("iptables-legacy -t filter -D FORWARD -i br100 -o eth0 -j DROP"),
            "{remedy}"
        );
    }

    #[test]
    fn is_a_plain_rule_where_all_is_legacy() {
        let mut cloud = broken("foreign-rule-drop");
        for table in &mut cloud.netns("compute1").ruleset.tables {
            table.dialect = Dialect::IptablesLegacy;
        }
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
    }
}
