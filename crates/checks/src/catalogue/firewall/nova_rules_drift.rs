//! # nova-rules-drift
//!
//! The netfilter rules of nova on a host are not those that the cloud calls for.
//!
//! ## What it means
//! Rules that nova-network or nova-compute should have written are missing, rules that it would not
//! write stand in its chains, or some stand in the wrong order. No packet that was looked at dies of it.
//! Often it opens what should be closed: without the call of its chain an instance's security groups do
//! not hold.
//!
//! ## How hopline knows
//! Database (or site file) and nova.conf tell what nova writes: calls, bridges, ranges, floating IPs, the
//! frame of each instance's chain and its groups. It is compared chain by chain with what is there. Not
//! judged: counters, the order between nova's processes, members of source groups, floating IPs that are
//! recorded on a wrong host (`float-host-mismatch`), and what only some versions of nova write (provider
//! rules, VPN, the common source of a fresh multi-host host).
//!
//! ## What it looks like
//! `iptables-save` differs from that of a host on which the service was just restarted. nova itself does
//! not notice: it has no resync, and compares with its own memory only.
//!
//! ## Nearest look-alikes
//! * `rules-flushed`: all rules of a table are gone.
//! * `float-dnat-missing`, `float-snat-missing`, `forward-policy-drop-no-accept`: the missing rule breaks
//!   something, and is told there.
//! * `foreign-rule-drop`: the extra rule drops what was looked at.
//! * `dhcp-bad-udp-checksum`: the missing rule completes checksums, without which old clients get no address.
//! * a rule in a built-in chain: it is nobody's, and no drift.
//!
//! ## Fix
//! Restart the service whose rules they are: it writes all of its chains again. What was put in by hand
//! is lost then; if it is wanted, it belongs in a security group or in a built-in chain. No undo.
//!
//! ## References
//! OpenStack Operations Guide, "Network Troubleshooting" (iptables); nova `linux_net.py`
//! `IptablesManager`, `virt/firewall.py` `IptablesFirewallDriver`.

use std::collections::BTreeSet;

use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::netfilter::Family;
use model::path::Stage;
use model::snapshot::Host;

use super::rules_flushed;
use crate::catalogue::dhcp::dhcp_bad_udp_checksum;
use crate::drift::{self, Drift, DriftKind, DriftLine};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::nova::plan::Process;
use crate::restart;
use crate::view::View;

/// Lines of evidence at most; a host with more is best restarted than read.
const LINES_MAX: usize = 40;

/// Looks for chains of nova's that differ from what is meant: one finding a host and process.
pub fn check(view: &View) -> Vec<Found> {
    let mut found = Vec::new();
    for (host, ns) in view.hosts() {
        let drifts = unexplained(view, host, ns);
        for process in [Process::Network, Process::Compute] {
            let own: Vec<Drift> = drifts.iter().filter_map(|drift| of_process(drift, process)).collect();
            if !own.is_empty() {
                found.push(finding(view, host, ns, process, &own));
            }
        }
    }
    found
}

/// The drift that was read and that is still there after all that was found is mended: what other
/// findings tell of is not told twice. Of other instances than those in question nothing is told.
fn unexplained(view: &View, host: &Host, ns: &Netns) -> Vec<Drift> {
    let Some(read) = view.read.main_netns(&ns.machine) else { return Vec::new() };
    if rules_flushed::is_bare(ns) || rules_flushed::is_bare(read) {
        return Vec::new();
    }
    let before: BTreeSet<DriftLine> =
        drift::of(host, read, view.intent()).into_iter().flat_map(|drift| drift.lines).collect();
    let asked = |line: &DriftLine| line.instance.is_none_or(|at| view.instances.contains(&at));
    let mut drifts = if before.is_empty() { Vec::new() } else { drift::of(host, ns, view.intent()) };
    for drift in &mut drifts {
        let told: Vec<DriftLine> = drift
            .lines
            .iter()
            .filter(|line| before.contains(line) && asked(line))
            .filter(|line| !dhcp_bad_udp_checksum::is_told(ns, drift, line))
            .cloned()
            .collect();
        drift.lines = told;
    }
    drifts
}

fn of_process(drift: &Drift, process: Process) -> Option<Drift> {
    let lines: Vec<DriftLine> = drift.lines.iter().filter(|line| line.process == process).cloned().collect();
    (!lines.is_empty()).then(|| Drift { lines, ..drift.clone() })
}

fn finding(view: &View, host: &Host, ns: &Netns, process: Process, drifts: &[Drift]) -> Found {
    let lines: Vec<&DriftLine> = drifts.iter().flat_map(|drift| &drift.lines).collect();
    let counted = [DriftKind::Missing, DriftKind::Extra, DriftKind::Moved].map(|kind| {
        let count = lines.iter().filter(|line| line.kind == kind).count();
        (count > 0).then(|| format!("{count} {}", kind.name()))
    });
    let counted: Vec<String> = counted.into_iter().flatten().collect();
    let chains: BTreeSet<&str> = drifts.iter().map(|drift| drift.chain.as_str()).collect();
    let chains: Vec<&str> = chains.into_iter().collect();
    let named: BTreeSet<usize> = lines.iter().filter_map(|line| line.instance).collect();
    let of_host = lines.iter().any(|line| line.instance.is_none());
    let instances = if of_host { view.instances_on(&host.name) } else { names(view, &named) };
    let open = if opens(drifts) { ", so security groups do not hold" } else { "" };
    let certain = view.intent().from_database && host.nova.is_some();
    let fault = Fault {
        code: "nova-rules-drift",
        hop: at(ns, view.inner_link(ns), Stage::Filter),
        summary: format!(
            "{}'s rules on {} are not those that the cloud calls for: {}{open}",
            process.name(),
            host.name,
            counted.join(", ")
        ),
        cause: format!(
            "{} compares with its own memory only, so what other hands change in {} stays until it next \
             writes its rules or restarts",
            process.name(),
            chains.join(", ")
        ),
        confidence: if certain { Confidence::Proven } else { Confidence::Likely },
        evidence: diff(ns, drifts),
        owner: process.name(),
        remedy: vec![restarted(view, host, process)],
        instances,
        stopped: None,
        mend: drifts.iter().map(|drift| drift.mend(ns)).collect(),
    };
    fault.found()
}

fn names(view: &View, instances: &BTreeSet<usize>) -> Vec<String> {
    instances.iter().filter_map(|at| Some(view.intent().instances.get(*at)?.name.clone())).collect()
}

/// A call on the way to the instances' chains is missing, or stands behind nova-network's accepts.
fn opens(drifts: &[Drift]) -> bool {
    let on_the_way =
        |drift: &&Drift| ["FORWARD", "nova-filter-top", "nova-compute-local"].contains(&drift.chain.as_str());
    drifts.iter().filter(on_the_way).flat_map(|drift| &drift.lines).any(|line| {
        let calls = ["nova-filter-top", "nova-compute-local", "nova-compute-inst-"];
        let to = line.text.rsplit_once(" -j ").map_or("", |(_, to)| to);
        line.kind != DriftKind::Extra && calls.iter().any(|call| to.starts_with(call))
    })
}

/// One line of evidence a rule that differs.
fn diff(ns: &Netns, drifts: &[Drift]) -> Vec<Evidence> {
    let of_drift = |drift: &Drift| {
        let command = format!("{} -t {}", drift.dialect.save_command(Family::Ip), drift.table);
        let source = evidence::within(ns, &command);
        let text = |line: &DriftLine| format!("{}: {}", line.kind.name(), line.text);
        let lines: Vec<Evidence> = drift
            .lines
            .iter()
            .map(|line| evidence::record(EvidenceKind::Rule, source.clone(), text(line)))
            .collect();
        lines
    };
    let mut all: Vec<Evidence> = drifts.iter().flat_map(of_drift).collect();
    let more = all.len().saturating_sub(LINES_MAX);
    all.truncate(LINES_MAX);
    if let (1.., Some(last)) = (more, all.last_mut()) {
        last.text.push_str(&format!("\n(and {more} more)"));
    }
    all
}

fn restarted(view: &View, host: &Host, process: Process) -> Remedy {
    match process {
        Process::Network => restart::network(
            view,
            &host.name,
            "writes all of its chains again, and starts or reloads the dnsmasq of every network of the host",
        ),
        Process::Compute => restart::compute(view, &host.name, "writes all of its chains again"),
    }
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, Outcome};
    use model::path::Exchange;

    use crate::fixture::{
        Cloud, Hosting, Manager, broken, codes, drops, from, healthy, lacks, minicloud, nova_cloud,
    };

    fn drop_calls(cloud: &mut Cloud, host: &str, chain: &str, text: &str) {
        cloud.chain(host, "filter", chain).rules.retain(|rule| !rule.text.contains(text));
    }

    #[test]
    fn fires_on_a_missing_call_and_an_extra_rule() {
        let diagnosis = broken("nova-rules-drift").diagnose("web1");
        let compute = "nova-rules-drift compute1//br100";
        assert_eq!((codes(&diagnosis), diagnosis.outcome), (vec![compute.to_owned()], Outcome::Fault));
        let finding = &diagnosis.findings[0];
        assert_eq!((finding.exchange, finding.confidence), (Exchange::None, Confidence::Proven));
        assert_eq!((finding.owner.as_str(), &finding.instances), ("nova-compute", &vec!["web1".to_owned()]));
        assert!(finding.summary.ends_with("1 missing, 1 extra, so security groups do not hold"));
        let lines: Vec<&str> = finding.evidence.iter().map(|e| e.text.as_str()).collect();
        assert_eq!(
            lines,
            [
                "missing: -A nova-compute-local -d 10.0.2.24/32 -j nova-compute-inst-1",
                "extra: -A nova-compute-inst-1 -m comment --comment \"change 4712: count\"",
            ]
        );
        assert_eq!(finding.remedy[0].command, "systemctl restart nova-compute");
    }

    #[test]
    fn stands_at_the_bridge_of_a_compute_host_that_is_nobodys_router() {
        let mut cloud = nova_cloud(Manager::FlatDhcp, Hosting::NetworkHost);
        drop_calls(&mut cloud, "compute1", "nova-compute-local", "-j nova-compute-inst-");
        assert_eq!(codes(&cloud.diagnose("web1")), ["nova-rules-drift compute1//br100"]);
    }

    #[test]
    fn each_process_is_told_for_itself() {
        let mut cloud = healthy();
        drop_calls(&mut cloud, "compute1", "INPUT", "-j nova-compute-INPUT");
        drop_calls(&mut cloud, "compute1", "nova-network-INPUT", "-p tcp -m tcp --dport 53");
        let diagnosis = cloud.check("compute1");
        let owners: Vec<&str> = diagnosis.findings.iter().map(|f| f.owner.as_str()).collect();
        assert_eq!(owners, ["nova-network", "nova-compute"]);
        assert!(diagnosis.findings.iter().all(|f| f.instances == ["web1", "web2"]));
    }

    #[test]
    fn is_only_likely_without_database_and_nova_conf() {
        let mut cloud = minicloud();
        drop_calls(&mut cloud, "host", "nova-compute-local", "10.0.0.11");
        drop_calls(&mut cloud, "host", "nova-network-FORWARD", "-o br100");
        let diagnosis = cloud.diagnose("inst1");
        assert_eq!(codes(&diagnosis), ["nova-rules-drift host//br100"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_on_what_other_findings_tell() {
        for code in [
            "rules-flushed",
            "float-dnat-missing",
            "float-snat-missing",
            "forward-policy-drop-no-accept",
            "foreign-rule-drop",
            "sg-missing-icmp",
            "rp-filter-asymmetric",
        ] {
            assert!(lacks(&broken(code).diagnose_all(), "nova-rules-drift"), "{code}");
        }
        let mut cloud = healthy();
        let rule = drops("-A nova-compute-inst-1 -s 1.2.3.4/32 -j DROP", vec![from("1.2.3.4/32")]);
        cloud.chain("compute1", "filter", "nova-compute-inst-1").rules.insert(0, rule);
        assert_eq!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop compute1//eth0"]);
    }

    #[test]
    fn stays_silent_on_a_rule_in_a_chain_that_is_everybodys() {
        let mut cloud = healthy();
        let rule = drops("-A INPUT -s 192.0.2.7/32 -j DROP", vec![from("192.0.2.7/32")]);
        cloud.chain("compute1", "filter", "INPUT").rules.insert(0, rule);
        assert_eq!(codes(&cloud.check("compute1")), Vec::<String>::new());
    }

    #[test]
    fn stays_silent_on_another_instances_chain() {
        let cloud = broken("nova-rules-drift");
        assert_eq!(codes(&cloud.diagnose("web2")), Vec::<String>::new());
        assert_eq!(codes(&cloud.diagnose_all()), ["nova-rules-drift compute1//br100"]);
    }
}
