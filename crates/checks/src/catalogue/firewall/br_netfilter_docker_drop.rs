//! # br-netfilter-docker-drop
//!
//! Frames between instances of one bridge die in iptables' FORWARD, which has a policy of DROP.
//!
//! ## What it means
//! With `bridge-nf-call-iptables` the kernel shows bridged frames to iptables as if they were routed. Docker sets the
//! policy of FORWARD to DROP and accepts what is its own; nova's accepts, which would let the frames of its bridges
//! pass, are gone or stand elsewhere. Gateway and outside work, for routed packets are let through.
//!
//! ## How hopline knows
//! The walk from port to port of a bridge ended at the policy, and no routed packet that was walked ends there.
//!
//! ## What it looks like
//! The policy's counter rises while instances of one host ping each other; with
//! `sysctl net.bridge.bridge-nf-call-iptables=0` they are answered.
//!
//! ## Nearest look-alikes
//! * `forward-policy-drop-no-accept`: routed packets die there too.
//! * `ebtables-drop`: the bridge's own rules drop the frame.
//!
//! ## Fix
//! Accept what goes from bridge to bridge: in DOCKER-USER, where Docker leaves it, or by nova's own rules, which a
//! restart of nova-network writes. `bridge-nf-call-iptables=0` would take the security groups away with it. Undo:
//! delete the rule.
//!
//! ## References
//! `net/bridge/br_netfilter_hooks.c` `br_nf_forward_ip`; docker/docs "Packet filtering and firewalls"; Debian #865975.

use model::Netns;
use model::finding::Confidence;
use model::path::{RuleRef, Stop};

use crate::drift;
use crate::evidence;
use crate::foreign_rules;
use crate::found::{Fault, Found};
use crate::mend::Mend;
use crate::nova;
use crate::restart;
use crate::rules;
use crate::view::{Stopped, View};

/// The sysctl that shows bridged frames to iptables.
const CALLS: &str = "bridge.bridge-nf-call-iptables";

/// Looks for bridged frames that a forward policy ended: one finding a host.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for stopped in view.stops() {
        let Some((ns, policy)) = only_bridged(view, &stopped) else { continue };
        if found.iter().all(|known| known.finding.hop.host != ns.machine) {
            found.push(finding(view, stopped, ns, policy));
        }
    }
    found
}

/// The policy that a walk from port to port ended at, where no routed packet ends there.
pub(crate) fn only_bridged<'v>(view: &View<'v>, stopped: &Stopped<'v>) -> Option<(&'v Netns, &'v RuleRef)> {
    let Stop::Policy(policy) = stopped.stop else { return None };
    let is_it = foreign_rules::is_routings(stopped);
    let ns = view.snapshot().main_netns(&stopped.hop.at.host).filter(|_| is_it)?;
    let is_port = |s: &Stopped| ns.link_named(&s.hop.at.device).is_some_and(|link| link.master.is_some());
    let mut same =
        view.stops().filter(|s| s.hop.at.host == ns.machine && rules::is_same_stop(s.stop, stopped.stop));
    same.all(|s| is_port(&s)).then_some((ns, policy))
}

fn finding(view: &View, stopped: Stopped, ns: &Netns, policy: &RuleRef) -> Found {
    let bridge = ns.link_named(&stopped.hop.at.device).and_then(|port| port.master_name.clone());
    let bridge = bridge.unwrap_or_default();
    let dockers = nova::iptables(ns).flat_map(|table| &table.chains).find(|c| c.name.starts_with("DOCKER"));
    let edit = policy.dialect.edit_command(policy.family);
    let chain = dockers.map_or(policy.chain(), |_| "DOCKER-USER");
    let accept = |verb: &str| format!("{edit} {verb} {chain} -i {bridge} -o {bridge} -j ACCEPT");
    let mut lines = evidence::stopping(view, ns, &stopped, policy);
    lines.push(evidence::sysctl(ns, CALLS));
    let fault = Fault {
        code: "br-netfilter-docker-drop",
        hop: stopped.hop.at.clone(),
        summary: format!(
            "frames across {bridge} of {} die in iptables: the policy of {} is DROP",
            ns.machine,
            policy.chain()
        ),
        cause: format!("no rule of {} accepts what {bridge} carries from port to port", policy.chain()),
        confidence: Confidence::Proven,
        evidence: lines,
        owner: if dockers.is_some() { "docker" } else { "operator" },
        remedy: vec![
            evidence::remedy(ns, &accept("-I"), &accept("-D"), "instances of all networks of that bridge"),
            restart::network(view, &ns.machine, "writes nova's accept rules again"),
        ],
        instances: view.instances_on(&ns.machine),
        stopped: Some(stopped),
        mend: mended(view, ns, policy),
    };
    fault.found()
}

/// In the model nova's filters as it would write them again, and, for what they do not let pass, an open policy.
fn mended(view: &View, ns: &Netns, policy: &RuleRef) -> Vec<Mend> {
    let host = view.snapshot().host(&ns.machine);
    let drifts = host.map(|host| drift::of(host, ns, view.intent())).unwrap_or_default();
    let of_filter = drifts.iter().filter(|drift| drift.table == "filter");
    let open = Mend::AcceptPolicy { machine: ns.machine.clone(), rule: policy.clone() };
    of_filter.map(|drift| drift.mend(ns)).chain([open]).collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks};

    #[test]
    fn fires_on_frames_that_no_routed_packet_shares_its_fate_with() {
        let found = broken("br-netfilter-docker-drop").diagnose("web1");
        assert_eq!(codes(&found), ["br-netfilter-docker-drop compute1//vnet0"]);
        let finding = &found.findings[0];
        assert_eq!(finding.owner, "docker");
        assert!(
            finding.remedy[0].command.contains("-I DOCKER-USER -i br100 -o br100 -j ACCEPT"),
            "{finding:?}"
        );
    }

    #[test]
    fn stays_silent_where_iptables_is_not_shown_what_is_bridged() {
        let mut cloud = broken("br-netfilter-docker-drop");
        cloud.sysctl("compute1", super::CALLS, "0");
        assert!(
            lacks(&cloud.diagnose("web1"), "br-netfilter-docker-drop"),
            "{:?}",
            codes(&cloud.diagnose("web1"))
        );
    }

    #[test]
    fn stays_silent_where_routed_packets_die_too() {
        let found = broken("forward-policy-drop-no-accept").diagnose("web1");
        assert_eq!(codes(&found), ["forward-policy-drop-no-accept compute1//br100"]);
    }
}
