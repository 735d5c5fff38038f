//! # sg-missing-icmp
//!
//! The instance's security groups do not let ping in. That is policy, not breakage.
//!
//! ## What it means
//! No rule of the instance's chain accepts ICMP from the outside, so the packet falls to nova's
//! fallback and is dropped, as it should be by those groups. Other protocols may work; the instance's
//! own pings outwards do.
//!
//! ## How hopline knows
//! The walk from outside ended at `nova-compute-sg-fallback`, coming from this instance's chain; the
//! database, where there is one, tells whether a group means ICMP to be let in.
//!
//! ## What it looks like
//! The counter of `-A nova-compute-sg-fallback -j DROP` rises with each ping; the request is seen on
//! the uplink and not on the tap.
//!
//! ## Nearest look-alikes
//! * a firewall inside the instance: the request is seen on the tap.
//! * `foreign-rule-drop`: a rule that nova did not write.
//!
//! ## Fix
//! If ping is wanted: `nova secgroup-add-rule GROUP icmp -1 -1 0.0.0.0/0`. Undo:
//! `nova secgroup-delete-rule` with the same arguments.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting"; nova `virt/firewall.py`.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::intent::Instance;
use model::netfilter::{Action, Test};
use model::path::{Exchange, Place, Stop};

use crate::evidence;
use crate::found::{Fault, Found};
use crate::nova;
use crate::nova::line::{ICMP, Line, Then, always};
use crate::restart;
use crate::rules;
use crate::view::View;

/// Looks for pings that ended at nova's fallback: one finding an instance.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops().filter(|s| s.exchange == Exchange::Icmp) {
        let Stop::Rule(rule) = stopped.stop else { continue };
        let Some(ns) = view.snapshot().main_netns(&stopped.hop.at.host) else { continue };
        let Some(chain) = rule.chains.iter().rev().find(|c| nova::is_instance_chain(c)) else { continue };
        if !nova::is_fallback(rule.chain()) || !nova::wrote(rule) {
            continue;
        }
        let Some(instance) = guarded(view, ns, chain) else { continue };
        if found.iter().any(|f| f.finding.instances.contains(&instance.name)) {
            continue;
        }
        let means = meant(instance);
        let mut evidence = evidence::stopping(view, ns, &stopped, rule);
        evidence.extend(groups(instance));
        let cause = if means == Some(true) {
            format!(
                "a group of {} allows ICMP, but {chain} has no rule for it; {} dropped it",
                instance.name,
                rule.chain()
            )
        } else {
            format!(
                "no group of {} allows ICMP, so {} dropped it: that is policy",
                instance.name,
                rule.chain()
            )
        };
        let fault = Fault {
            code: "sg-missing-icmp",
            hop: Place { ..stopped.hop.at.clone() },
            summary: format!(
                "{} does not let ping in: its security groups have no rule for ICMP",
                instance.name
            ),
            cause,
            confidence: Confidence::Proven,
            evidence,
            owner: "nova-compute",
            remedy: vec![remedy(view, &ns.machine, instance, means)],
            instances: vec![instance.name.clone()],
            stopped: Some(stopped),
            mend: vec![rules::before_fallback(
                ns,
                chain,
                rule,
                &Line { protocol: Some(ICMP), ..always(Then::Accept) },
            )],
        };
        found.push(fault.found());
    }
    found
}

/// The instance whose chain it is: by the jump to it, `-d FIXED/32 -j CHAIN`.
fn guarded<'v>(view: &View<'v>, ns: &Netns, chain: &str) -> Option<&'v Instance> {
    let jumps = nova::iptables(ns).flat_map(|t| &t.chains).flat_map(|c| &c.rules);
    let fixed: Vec<IpNet> = jumps
        .filter(|r| matches!(&r.action, Action::Jump(to) if to == chain))
        .flat_map(|r| &r.matches)
        .flat_map(|m| if let Test::Destination(nets) = &m.test { nets.clone() } else { Vec::new() })
        .collect();
    let has = |ip: Ipv4Addr| fixed.iter().any(|net| net.addr() == IpAddr::V4(ip));
    view.intent().instances.iter().find(|i| i.fixed().any(has))
}

/// Whether the database's groups let ping in from anywhere; `None` without a database.
fn meant(instance: &Instance) -> Option<bool> {
    let rules = instance.security_groups.iter().flat_map(|g| &g.rules);
    let anywhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let allows = rules.map(|r| r.allows(1, None, anywhere)).any(|a| a == Some(true));
    (!instance.security_groups.is_empty()).then_some(allows)
}

fn groups(instance: &Instance) -> Option<Evidence> {
    let names: Vec<&str> = instance.security_groups.iter().map(|g| g.name.as_str()).collect();
    let icmp = meant(instance)?;
    let text = format!(
        "groups of {}: {}; ICMP {}",
        instance.name,
        names.join(", "),
        if icmp { "allowed" } else { "not allowed" }
    );
    Some(evidence::record(EvidenceKind::Db, "security_group_rules", text))
}

fn remedy(view: &View, host: &str, instance: &Instance, meant: Option<bool>) -> Remedy {
    if meant == Some(true) {
        return restart::compute(view, host, "writes the instances' chains again");
    }
    let group = instance.security_groups.first().map_or("default", |g| g.name.as_str());
    Remedy {
        command: format!("nova secgroup-add-rule {group} icmp -1 -1 0.0.0.0/0"),
        undo: format!("nova secgroup-delete-rule {group} icmp -1 -1 0.0.0.0/0"),
        note: "only if ping is wanted; applies to every instance of the group".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, healthy, inside_firewall, lacks};

    #[test]
    fn fires_when_no_group_lets_icmp_in() {
        let diagnosis = broken("sg-missing-icmp").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["sg-missing-icmp compute1//eth0"]);
        assert_eq!(
            diagnosis.findings[0].remedy[0].command,
            "nova secgroup-add-rule default icmp -1 -1 0.0.0.0/0"
        );
    }

    #[test]
    fn blames_the_chain_where_the_database_means_icmp_to_be_let_in() {
        let mut cloud = broken("sg-missing-icmp");
        cloud.intent = healthy().intent;
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["sg-missing-icmp compute1//eth0"]);
        assert_eq!(diagnosis.findings[0].remedy[0].command, "systemctl restart nova-compute");
    }

    #[test]
    fn stays_silent_when_the_instances_own_firewall_drops() {
        let mut cloud = healthy();
        inside_firewall(&mut cloud, "web1");
        let diagnosis = cloud.diagnose("web1");
        assert!(lacks(&diagnosis, "sg-missing-icmp"));
        assert_eq!(codes(&diagnosis), ["guest-firewall web1//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_rule_of_somebody_else() {
        assert!(lacks(&broken("foreign-rule-drop").diagnose("web1"), "sg-missing-icmp"));
    }
}
