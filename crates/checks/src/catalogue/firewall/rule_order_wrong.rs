//! # rule-order-wrong
//!
//! A rule above nova's takes what the instance's security groups would let in.
//!
//! ## What it means
//! nova's filters are called first in FORWARD, and decide what instances receive. Somebody's rule stands above that
//! call and drops or rejects what goes to an instance, answers to its own questions included; below the call it would
//! not be met.
//!
//! ## How hopline knows
//! The walk ended at the rule, which stands in the built-in chain before the call of `nova-filter-top`, and every walk
//! that ends there goes to an instance.
//!
//! ## What it looks like
//! The rule's counter rises. After a REJECT the sender sees `Destination Host Prohibited` from the floating address:
//! connection tracking translates the source of the ICMP error, so that does not name the host that rejects.
//!
//! ## Nearest look-alikes
//! * `sg-missing-icmp`: no rule of the security groups lets it in, and nova's own fallback drops.
//! * `foreign-rule-drop`: the rule stands elsewhere, or takes what instances send.
//!
//! ## Fix
//! Delete the rule, or put it behind nova's calls. nova puts its calls first again when it next writes its rules.
//! Undo: insert it again.
//!
//! ## References
//! nova `linux_net.py` `IptablesManager` (`nova-filter-top`); iptables(8).

use crate::foreign_rules::{self, Guise};
use crate::found::Found;
use crate::view::View;

/// Looks for walks towards instances that a rule above nova's ended: one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    foreign_rules::found(view, Guise::AboveNovas)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes};

    #[test]
    fn fires_on_a_rule_above_novas_call() {
        let found = broken("rule-order-wrong").diagnose("web1");
        assert_eq!(codes(&found), ["rule-order-wrong compute1//eth0"]);
    }

    #[test]
    fn stays_silent_where_it_stands_below() {
        let mut cloud = broken("rule-order-wrong");
        let rules = &mut cloud.chain("compute1", "filter", "FORWARD").rules;
        let rule = rules.remove(0);
        rules.push(rule);
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }

    #[test]
    fn a_rule_that_takes_what_instances_send_too_is_foreign() {
        let mut cloud = broken("rule-order-wrong");
        cloud.chain("compute1", "filter", "FORWARD").rules[0].matches.clear();
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
    }
}
