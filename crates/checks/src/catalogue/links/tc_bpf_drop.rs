//! # tc-bpf-drop
//!
//! A tc filter on a device drops packets, most often a BPF program that something has left behind.
//!
//! ## What it means
//! A filter on a device's `clsact` sees each packet that comes in, after captures, or that leaves, before them. What a
//! BPF program decides there no rule shows. It may take some kinds of packets and let others pass: pings die and ssh
//! lives, or the other way round.
//!
//! ## How hopline knows
//! What the program does is not read. Its `clsact` counts what is dropped: the counter is read before the probes and
//! after them, and rose while packets of ours were lost that would pass without the filter. A filter that dropped
//! nothing meanwhile lets packets like ours pass. One that leads packets to another device (`mirred`) counts nothing,
//! and is told where nothing that crosses it is answered. Without probes the diagnosis stays undetermined.
//!
//! ## What it looks like
//! `tc filter show dev eth0 ingress` prints `bpf ... direct-action`; `tc -s qdisc show dev eth0` prints `clsact` with
//! `dropped` that rises. tcpdump on the device sees the packets come in. The kernel's drop reason is `TC_INGRESS` or
//! `TC_EGRESS`.
//!
//! ## Nearest look-alikes
//! * `xdp-drop`: tcpdump sees nothing come in.
//! * `guest-firewall`: the same kinds of packets die, behind the instance's NIC.
//! * `link-queue-drops`: a queue drops, and not its filters.
//!
//! ## Fix
//! `tc filter del dev eth0 ingress`, after a look at what attached it (`bpftool net show dev eth0`). Nothing but that
//! program's own loader puts it back.
//!
//! ## References
//! tc-bpf(8); `sch_handle_ingress`, `tc_run`, net/core/dev.c; cilium's programs, which stay when it goes.

use model::Netns;
use model::finding::{Confidence, Evidence, EvidenceKind, Remedy};
use model::link::Link;
use model::path::{Direction, Disposition, Place};
use model::probe::ProbeResult;
use model::queueing::{QdiscPlace, TcFilter, TcSide};

use crate::diagnose::is_probe_of;
use crate::evidence;
use crate::found::{Fault, Found};
use crate::ladder::{self, Rung};
use crate::mend::{Mend, Setting};
use crate::queues;
use crate::restart::typed;
use crate::said;
use crate::view::View;

const SIDES: [TcSide; 3] = [TcSide::Ingress, TcSide::Egress, TcSide::Root];

/// Looks for questions that lost packets and whose walk cannot tell what a filter does: one finding a link.
pub fn check(view: &View) -> Vec<Found> {
    let mut found: Vec<Found> = Vec::new();
    for rung in view.rungs {
        let Some(at) = undecided_at(view, rung) else { continue };
        if !found.iter().any(|known| known.finding.hop.same_device(at.place)) {
            found.extend(dropped(view, rung, &at));
        }
    }
    found
}

/// A link with a filter at which a walk could not tell.
struct Undecided<'v> {
    place: &'v Place,
    ns: &'v Netns,
    link: &'v Link,
    filter: &'v TcFilter,
}

fn undecided_at<'v>(view: &View<'v>, rung: &'v Rung) -> Option<Undecided<'v>> {
    let is_undecided = |path: &&model::path::Path| matches!(path.disposition, Disposition::Unknown { .. });
    let place = &rung.answer.paths.iter().find(is_undecided)?.hops.last()?.at;
    let ns = view.netns_at(place)?;
    let link = ns.link_named(&place.device).filter(|link| !link.xdp)?;
    Some(Undecided { place, ns, link, filter: link.deciding_filter(&SIDES)? })
}

/// What was asked for a rung, where some of it was lost.
fn lossy<'v>(view: &View<'v>, rung: &Rung) -> Option<&'v ProbeResult> {
    let mut probes = view.probes.iter().filter(|probe| view.is_as_read && is_probe_of(probe, rung));
    probes.find(|probe| probe.received < probe.sent)
}

/// Some question whose walk cannot tell there either was answered.
fn lets_pass(view: &View, place: &Place) -> bool {
    let mut answered = view.rungs.iter().filter(|rung| view.is_answered(rung));
    answered.any(|rung| undecided_at(view, rung).is_some_and(|at| at.place.same_device(place)))
}

fn dropped(view: &View, rung: &Rung, at: &Undecided) -> Option<Found> {
    let Undecided { place, ns, link, filter } = at;
    let probe = lossy(view, rung)?;
    let drops = queues::dropped_by_filters(view.queues, ns, link).filter(|drops| *drops > 0);
    // Who counts nothing is blamed only where nothing passes.
    if drops.is_none() && (probe.received > 0 || lets_pass(view, place)) {
        return None;
    }
    let (machine, device) = (ns.machine.clone(), link.name.clone());
    let without = Mend::Set { machine, device, setting: Setting::NoFilters };
    if !ladder::is_answered_with(view, rung, &without) {
        return None;
    }
    let instance = view.intent().instances.get(rung.instance)?;
    let side = filter.side.word();
    let cause = match drops {
        Some(drops) => format!(
            "a tc filter on {}, {side}, decides what passes ({filter}), and {drops} packets were dropped there while \
             ours were under way",
            link.name
        ),
        None => format!(
            "a tc filter on {}, {side}, decides what passes ({filter}), and everything else would let it pass",
            link.name
        ),
    };
    let fault = Fault {
        code: "tc-bpf-drop",
        hop: (*place).clone(),
        summary: format!(
            "{} of {} to {} is lost at {} of {}, where a tc filter drops packets",
            said::question(probe.asked.exchange()).trim_start_matches("the "),
            rung.from,
            rung.to,
            link.name,
            ns.machine
        ),
        cause,
        confidence: Confidence::Likely,
        evidence: shown(view, at),
        owner: "operator",
        remedy: vec![removed(ns, &link.name, filter)],
        instances: vec![instance.name.clone()],
        stopped: None,
        mend: vec![without],
    };
    Some(fault.found().breaks(probe.asked.exchange(), Direction::Both).met_at(view.beginning_of(rung)))
}

/// Takes a filter, and what else is on its side, away.
pub(crate) fn removed(ns: &Netns, device: &str, filter: &TcFilter) -> Remedy {
    evidence::remedy(
        ns,
        &format!("tc filter del dev {} {}", typed(device), filter.side.word()),
        "",
        "after a look at what attached it (bpftool net), which alone can put it back",
    )
}

/// The filter that the kernel means where it says that traffic control dropped a packet at a device, before it was
/// routed or as it left.
pub(crate) fn meant<'n>(ns: &'n Netns, device: &str, reason: &str) -> Option<&'n TcFilter> {
    let link = ns.link_named(device).filter(|_| matches!(reason, "TC_INGRESS" | "TC_EGRESS"))?;
    link.dropping_filter(&SIDES)
}

/// The filter, and what was dropped before the probes and after them.
fn shown(view: &View, at: &Undecided) -> Vec<Evidence> {
    let Undecided { ns, link, filter, .. } = at;
    let device = typed(&link.name);
    let shown = format!("tc filter show dev {device} {}", filter.side.word());
    let mut evidence = vec![evidence::state(ns, &shown, format!("pref {} {filter}", filter.priority))];
    let holder = link.qdiscs.iter().find(|qdisc| qdisc.place == QdiscPlace::Filters);
    let risen = queues::dropped_by_filters(view.queues, ns, link);
    if let (Some(holder), Some(risen)) = (holder, risen) {
        let before = holder.stats.drops;
        let text = format!(
            "{}: dropped {before} before our probes and {risen} while they were under way",
            holder.kind
        );
        let source = evidence::within(ns, &format!("tc -s qdisc show dev {device}"));
        evidence.push(evidence::record(EvidenceKind::Counter, source, text));
    }
    evidence
}

#[cfg(test)]
mod tests {
    use model::finding::Outcome;
    use model::probe::PING_OCTETS;

    use crate::fixture::{broken, codes, inject, lacks, pinged};

    #[test]
    fn fires_where_its_drops_rose_while_ours_were_lost() {
        let found = broken("tc-bpf-drop").diagnose("web1");
        assert_eq!(codes(&found), ["tc-bpf-drop compute1//eth0"]);
        let finding = &found.findings[0];
        assert!(finding.cause.contains("bpf cls id 7 direct-action"), "{}", finding.cause);
        assert!(finding.cause.contains("2 packets were dropped there"), "{}", finding.cause);
    }

    #[test]
    fn fires_too_where_other_packets_pass() {
        let mut cloud = broken("tc-bpf-drop");
        let upstream = crate::fixture::looked_up("compute1", [1, 2, 3, 4].into(), None);
        cloud.probes.push(model::probe::ProbeResult { received: 1, ..upstream });
        assert!(codes(&cloud.diagnose("web1")).contains(&"tc-bpf-drop compute1//eth0".to_owned()));
    }

    #[test]
    fn stays_silent_where_it_drops_others_only_or_nobody_was_asked() {
        let mut cloud = broken("tc-bpf-drop");
        cloud.probes = vec![pinged("web1", PING_OCTETS, 2)];
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0]);
        cloud.probes.clear();
        cloud.queues.clear();
        let unasked = cloud.diagnose("web1");
        assert_eq!((codes(&unasked).len(), unasked.outcome), (0, Outcome::Undetermined));
    }

    #[test]
    fn one_that_dropped_nothing_hides_nothing() {
        let mut cloud = broken("tc-bpf-drop");
        cloud.queues[0].queues[0].1[0].stats.drops = 0;
        assert!(lacks(&cloud.diagnose("web1"), "tc-bpf-drop"));
        inject(&mut cloud, "ext-gateway-down");
        assert_eq!(codes(&cloud.diagnose("web1")), ["ext-gateway-down gw//eth0"]);
    }
}
