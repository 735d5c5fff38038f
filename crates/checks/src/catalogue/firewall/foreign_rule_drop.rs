//! # foreign-rule-drop
//!
//! A rule that nova did not write drops or rejects the packet, or a policy does, which nova never sets.
//!
//! ## What it means
//! Somebody, or some other program, put a rule in the way: by hand, Docker, firewalld, a hardening
//! script. Which rule it is, is said: table, chains that lead to it, number,
//! text and counter; who wrote it, and whether it goes away by itself.
//!
//! Or somebody closed a chain (`iptables -P INPUT DROP`): nova puts its rules in for what its own services hear, for
//! DHCP and names, and leaves the policies as they are, ACCEPT. What it has no rule for, the host's own pings, answers
//! from its resolvers, ssh, dies then, too.
//!
//! ## How hopline knows
//! The walk through every table of both back ends ended at that rule, and it is none of the shapes
//! that nova writes into its own chains; or no rule decided, and the policy of INPUT, OUTPUT or another chain that
//! nothing is forwarded by dropped the packet. Where the tool that an operator would look with shows only
//! rules that let the packet pass, that is said too. What takes what a limit before it has no room for
//! (`limit rate 1/minute accept`, then `drop`, or a policy) is told where the kernel's trace, its word of what it
//! drops or the rule's own counter shows that it took packets of ours; not where pings alone are limited, and a usual
//! ping finds room. So is what takes packets by the time of day, by what is in them or by who sent them (`-m time`,
//! `-m string`, `-m u32`), which no walk can decide: where the trace or the counter shows that it took ours.
//!
//! ## What it looks like
//! The rule's counter rises with each packet; a REJECT is answered with an ICMP error whose source
//! NAT may have rewritten.
//!
//! ## Nearest look-alikes
//! * `sg-missing-icmp`: nova's own fallback drops, which is policy.
//! * `forward-policy-drop-no-accept`: the policy of FORWARD, which nova's accepts would come before.
//! * `dns-port53-blocked`: the rule takes what instances ask their resolver, and nothing else.
//! * `ebtables-drop`, `nft-other-priority`, `iptables-legacy-hidden`: the tool that one looks with does not show the
//!   rule.
//! * `rule-order-wrong`: it takes what the security groups let in, and stands above them.
//! * `input-blocks-dhcp`, `dhcp-reply-lost`: it names DHCP's ports, or is a policy, and stops nothing else.
//!
//! ## Fix
//! Delete the rule. One in a built-in chain survives every restart of nova's services; one in a chain
//! of nova's lasts until that service next writes its rules. Undo: insert it again. Of a policy: `iptables -P INPUT
//! ACCEPT`, `nft 'chain inet filter input { policy accept ; }'`. Undo: the same with DROP.
//!
//! ## References
//! iptables-save(8); nft(8); nova `linux_net.py` `IptablesManager`.

use crate::foreign_rules::{self, Guise};
use crate::found::Found;
use crate::view::View;

/// Looks for walks that a rule not written by nova ended: one finding a rule.
pub fn check(view: &View) -> Vec<Found> {
    foreign_rules::found(view, Guise::Plain)
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;
    use model::netfilter::{Action, Dialect, Family, Policy, RejectWith};

    use crate::fixture::{broken, codes, drops, from, healthy, lacks, to};

    #[test]
    fn fires_on_a_rule_inserted_by_hand() {
        let diagnosis = broken("foreign-rule-drop").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["foreign-rule-drop compute1//br100"]);
        assert_eq!(diagnosis.findings[0].instances, ["web1"]);
        assert!(
            diagnosis.findings[0].remedy[0]
                .command
                .contains("iptables -t filter -D FORWARD -s 10.0.2.24/32 ")
        );
        assert!(diagnosis.findings[0].remedy[0].undo.contains("-I FORWARD 1 -s 10.0.2.24/32"));
    }

    #[test]
    fn fires_on_a_rule_inserted_into_a_chain_of_novas() {
        let mut cloud = healthy();
        let rule = drops("-A nova-compute-inst-1 -s 1.2.3.4/32 -j DROP", vec![from("1.2.3.4/32")]);
        cloud.chain("compute1", "filter", "nova-compute-inst-1").rules.insert(0, rule);
        let diagnosis = cloud.diagnose("web1");
        assert!(!lacks(&diagnosis, "foreign-rule-drop"), "{:?}", codes(&diagnosis));
    }

    #[test]
    fn fires_on_a_reject() {
        let mut cloud = broken("foreign-rule-drop");
        let rule = &mut cloud.chain("compute1", "filter", "FORWARD").rules[0];
        rule.action = Action::Reject(RejectWith::Icmp(3));
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//br100"]);
    }

    #[test]
    fn fires_on_a_policy_that_keeps_from_the_host_what_nova_has_no_rule_for() {
        for (chain, direction) in [("INPUT", "compute1//eth0"), ("OUTPUT", "compute1//eth0")] {
            let mut cloud = healthy();
            cloud.chain("compute1", "filter", chain).base.as_mut().unwrap().policy = Policy::Drop;
            let told = cloud.diagnose("web1");
            assert_eq!(codes(&told), [format!("foreign-rule-drop {direction}")]);
            let finding = &told.findings[0];
            assert_eq!((finding.confidence, finding.owner.as_str()), (Confidence::Proven, "operator"));
            let cause = format!("no rule of {chain} accepts it, and its policy drops it, set by hand");
            assert_eq!(finding.cause, cause);
            let mend = &finding.remedy[0];
            assert!(mend.command.ends_with(&format!("iptables -t filter -P {chain} ACCEPT")), "{mend:?}");
            assert!(mend.undo.ends_with(&format!("iptables -t filter -P {chain} DROP")), "{mend:?}");
        }
    }

    #[test]
    fn a_policy_of_another_back_end_or_of_the_bridge_has_its_name_and_its_command() {
        for (dialect, family, code, command) in [
            (
                Dialect::Nft,
                Family::Inet,
                "foreign-rule-drop",
                "nft 'chain inet filter INPUT { policy accept ; }'",
            ),
            (
                Dialect::IptablesLegacy,
                Family::Ip,
                "foreign-rule-drop",
                "iptables-legacy -t filter -P INPUT ACCEPT",
            ),
        ] {
            let mut cloud = healthy();
            for table in &mut cloud.netns("compute1").ruleset.tables {
                table.dialect = dialect;
                table.family = family;
            }
            let tables = &mut cloud.netns("compute1").ruleset.tables;
            let chains = tables.iter_mut().filter(|t| t.name == "filter").flat_map(|t| &mut t.chains);
            let input = chains.filter(|chain| chain.name == "INPUT");
            input.for_each(|chain| chain.base.as_mut().unwrap().policy = Policy::Drop);
            let told = cloud.diagnose("web1");
            let found = told.findings.iter().find(|f| f.code == code);
            assert!(found.is_some_and(|f| f.remedy[0].command.ends_with(command)), "{:?}", told.findings);
        }
    }

    #[test]
    fn stays_silent_on_a_policy_that_a_rule_of_somebodys_comes_before() {
        let mut cloud = healthy();
        let input = cloud.chain("compute1", "filter", "INPUT");
        input.base.as_mut().unwrap().policy = Policy::Drop;
        let mut accept = drops("-A INPUT -j ACCEPT", Vec::new());
        accept.action = Action::Accept;
        input.rules.push(accept);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_a_rule_that_does_not_match() {
        let mut cloud = healthy();
        let rule = drops("-A FORWARD -d 192.0.2.77/32 -j DROP", vec![to("192.0.2.77/32")]);
        cloud.chain("compute1", "filter", "FORWARD").rules.insert(0, rule);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_a_rule_that_an_accept_comes_before() {
        let mut cloud = healthy();
        let rule = drops("-A FORWARD -j DROP", Vec::new());
        cloud.chain("compute1", "filter", "FORWARD").rules.push(rule);
        assert_eq!(codes(&cloud.diagnose("web1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_novas_fallback_and_on_a_policy() {
        for other in ["sg-missing-icmp", "forward-policy-drop-no-accept"] {
            assert!(lacks(&broken(other).diagnose("web1"), "foreign-rule-drop"), "{other}");
        }
    }
}
