//! What the security groups of an instance do not let in: policy, unless a group means it to be let in.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::IpNet;
use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::intent::Instance;
use model::netfilter::{Action, Test};
use model::path::Stop;

use crate::evidence;
use crate::found::{Fault, Found};
use crate::nova;
use crate::nova::line::Line;
use crate::restart;
use crate::rules;
use crate::view::{Stopped, View};

/// Something that groups may let in.
pub(crate) struct Wanted {
    pub(crate) code: &'static str,
    /// What people call it: `ping`.
    pub(crate) what: &'static str,
    /// What rules call it: `ICMP`.
    pub(crate) protocol: &'static str,
    /// IP protocol number, and port where it has one.
    pub(crate) number: u8,
    pub(crate) port: Option<u16>,
    /// As `nova secgroup-add-rule GROUP` takes it: `icmp -1 -1 0.0.0.0/0`.
    pub(crate) words: &'static str,
    /// The rule that would let it in.
    pub(crate) line: Line,
}

/// Looks for walks of this kind that ended at nova's fallback: one finding an instance.
pub(crate) fn found(view: &View, wanted: &Wanted, is_it: impl Fn(&Stopped) -> bool) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops().filter(is_it) {
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
        let Wanted { what, protocol, .. } = wanted;
        let means = meant(wanted, instance);
        let mut evidence = evidence::stopping(view, ns, &stopped, rule);
        evidence.extend(groups(wanted, instance));
        let cause = if means == Some(true) {
            format!(
                "a group of {} allows {protocol}, but {chain} has no rule for it; {} dropped it",
                instance.name,
                rule.chain()
            )
        } else {
            format!(
                "no group of {} allows {protocol}, so {} dropped it: that is policy",
                instance.name,
                rule.chain()
            )
        };
        let fault = Fault {
            code: wanted.code,
            hop: stopped.hop.at.clone(),
            summary: format!(
                "{} does not let {what} in: its security groups have no rule for {protocol}",
                instance.name
            ),
            cause,
            confidence: Confidence::Proven,
            evidence,
            owner: "nova-compute",
            remedy: vec![remedy(view, &ns.machine, instance, wanted, means)],
            instances: vec![instance.name.clone()],
            stopped: Some(stopped),
            mend: vec![rules::before_fallback(ns, chain, rule, &wanted.line)],
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

/// Whether the database's groups let it in from anywhere; `None` without a database.
fn meant(wanted: &Wanted, instance: &Instance) -> Option<bool> {
    let rules = instance.security_groups.iter().flat_map(|g| &g.rules);
    let anywhere = IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1));
    let allows = rules.map(|r| r.allows(wanted.number, wanted.port, anywhere)).any(|a| a == Some(true));
    (!instance.security_groups.is_empty()).then_some(allows)
}

fn groups(wanted: &Wanted, instance: &Instance) -> Option<Evidence> {
    let names: Vec<&str> = instance.security_groups.iter().map(|g| g.name.as_str()).collect();
    let allowed = meant(wanted, instance)?;
    let text = format!(
        "groups of {}: {}; {} {}",
        instance.name,
        names.join(", "),
        wanted.protocol,
        if allowed { "allowed" } else { "not allowed" }
    );
    Some(evidence::record(EvidenceKind::Db, "security_group_rules", text))
}

fn remedy(view: &View, host: &str, instance: &Instance, wanted: &Wanted, meant: Option<bool>) -> Remedy {
    if meant == Some(true) {
        return restart::compute(view, host, "writes the instances' chains again");
    }
    let group = restart::operand(instance.security_groups.first().map_or("default", |g| g.name.as_str()));
    Remedy {
        command: format!("nova secgroup-add-rule {group} {}", wanted.words),
        undo: format!("nova secgroup-delete-rule {group} {}", wanted.words),
        note: format!("only if {} is wanted; applies to every instance of the group", wanted.what),
    }
}
