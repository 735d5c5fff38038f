//! # ebtables-drop
//!
//! A rule of the bridge drops the frame.
//!
//! ## What it means
//! Frames pass ebtables (or nftables' family bridge) before and after iptables sees their packets. A rule there that
//! names IPv4 leaves ARP alone, so neighbours are known and REACHABLE and nothing else works.
//!
//! ## How hopline knows
//! The walk through the bridge ended at that rule, which nova did not write, and which no filter against forged
//! addresses explains.
//!
//! ## What it looks like
//! `ip neigh` is full and pings die; the rule's counter (`ebtables -L --Lc`) rises, those of iptables stand still.
//!
//! ## Nearest look-alikes
//! * `antispoof-mac`: the rule is right, and the instance has another MAC than the one that is recorded.
//! * `foreign-rule-drop`: the rule is one that `iptables-save` shows.
//! * `tap-down`: ARP dies too.
//!
//! ## Fix
//! Delete the rule. Undo: insert it again.
//!
//! ## References
//! ebtables(8); nft(8), family bridge; br_netfilter in `net/bridge/br_netfilter_hooks.c`.

use crate::foreign_rules::{self, Guise};
use crate::found::Found;
use crate::view::View;

/// Looks for walks that a rule of the bridge ended: one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    foreign_rules::found(view, Guise::Bridged)
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes};

    #[test]
    fn fires_on_a_rule_of_the_bridge() {
        let found = broken("ebtables-drop").diagnose("web1");
        assert_eq!(codes(&found), ["ebtables-drop compute1//vnet0"]);
        let remedy = &found.findings[0].remedy[0].command;
        assert!(remedy.ends_with("ebtables -t nat -D PREROUTING -i vnet0 -j DROP"), "{remedy}");
    }

    #[test]
    fn leaves_the_other_instance_alone() {
        let mut cloud = broken("ebtables-drop");
        cloud.intent.instances.truncate(2);
        let found = codes(&cloud.diagnose("web2"));
        // It misses web1, by the same rule.
        assert_eq!(found, ["ebtables-drop compute1//vnet0"]);
    }

    #[test]
    fn stays_silent_on_a_rule_for_another_port() {
        let mut cloud = crate::fixture::healthy();
        crate::fixture::anti_spoofing(&mut cloud, "compute1", "vnet9");
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
    }
}
