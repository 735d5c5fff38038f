//! A rule proved by what our own packets did to it: its counter, read before and after, and the kernel's
//! trace of them.

use std::net::IpAddr;

use model::finding::{Evidence, EvidenceKind};
use model::netfilter::{Counters, Ruleset};
use model::path::{Place, RuleRef};
use model::probe::{MetRule, RulesSeen};

use crate::diagnose::is_probe_of;
use crate::evidence::within;
use crate::view::View;

/// What our pings show of the rule that a walk ended at; nothing where none was sent that way.
pub(crate) fn by_pings(view: &View, place: &Place, by: &RuleRef) -> Vec<Evidence> {
    let Some(seen) = view.rules.iter().find(|s| s.machine == place.host && s.netns == place.netns) else {
        return Vec::new();
    };
    let ours = pings_that_end_at(view, place, by);
    if ours == 0 {
        return Vec::new();
    }
    let netns = view.snapshot().netns.iter().find(|n| n.machine == place.host && n.name == place.netns);
    let source = netns.map(|ns| within(ns, &by.shown_by())).unwrap_or_default();
    let counted = counted(by, seen, ours).map(|text| Evidence { kind: EvidenceKind::Counter, source, text });
    let source = format!("nftrace of our own pings on {}", place.host);
    let traced = traced(by, seen).map(|text| Evidence { kind: EvidenceKind::Rule, source, text });
    counted.into_iter().chain(traced).collect()
}

/// Packets that were sent and that the walk says end there.
fn pings_that_end_at(view: &View, place: &Place, by: &RuleRef) -> u64 {
    let ends_there = |path: &model::Path| {
        path.stop().is_some_and(|(hop, stop)| {
            let rule = match stop {
                model::path::Stop::Rule(rule) | model::path::Stop::Policy(rule) => Some(rule),
                _ => None,
            };
            hop.at.same_device(place) && rule.is_some_and(|rule| is_same(rule, by))
        })
    };
    let rungs = view.rungs.iter().filter(|rung| rung.answer.paths.iter().any(ends_there));
    let sent = rungs.filter_map(|rung| view.probes.iter().find(|probe| is_probe_of(probe, rung)));
    sent.map(|probe| u64::from(probe.sent)).sum()
}

/// How far the counter moved.
fn counted(by: &RuleRef, seen: &RulesSeen, ours: u64) -> Option<String> {
    let (before, _) = by.counters?;
    let after = counters(seen.after.as_ref()?, by)?.packets;
    let moved = after.checked_sub(before)?;
    let whose = match moved {
        0 => format!("it did not move while {ours} of our packets went that way"),
        _ if moved < ours => format!("it moved by {moved} while {ours} of our packets were sent that way"),
        _ if moved == ours => format!("it moved by {moved}: our {ours} packets and nobody else's"),
        _ => format!("it moved by {moved}, our {ours} packets among them: other traffic meets it too"),
    };
    Some(format!("[{before}] packets before our pings, [{after}] after: {whose}"))
}

/// The counters of the rule in a ruleset, where it still is what it was.
fn counters(ruleset: &Ruleset, by: &RuleRef) -> Option<Counters> {
    let chain = ruleset.table(by.dialect, by.family, &by.table)?.chain(by.chain())?;
    match by.number.checked_sub(1) {
        None => chain.base.as_ref()?.policy_counters,
        Some(at) => chain.rules.get(usize::try_from(at).ok()?).filter(|r| r.text == by.text)?.counters,
    }
}

/// What the kernel's trace says of the rule.
fn traced(by: &RuleRef, seen: &RulesSeen) -> Option<String> {
    let met = seen.met.as_ref().ok()?;
    let here: Vec<&MetRule> = met.iter().filter(|m| is_same(&m.rule, by)).collect();
    match here.first() {
        Some(first) => {
            let times = if here.len() == 1 { "once".to_owned() } else { format!("{} times", here.len()) };
            Some(format!("met {times} by our pings, and said {}", first.verdict))
        }
        // A trace that saw nothing at all may have been looking in the wrong place.
        None if met.is_empty() => None,
        None => Some("not met by our pings".to_owned()),
    }
}

/// The same rule, or policy.
pub(crate) fn is_same(one: &RuleRef, other: &RuleRef) -> bool {
    let place = |r: &RuleRef| (r.dialect, r.family, r.number);
    place(one) == place(other) && one.table == other.table && one.chain() == other.chain()
}

/// The rule that our packets were seen to die at on their way to an address, where the trace shows one.
pub(crate) fn traced_drop(seen: &[RulesSeen], to: IpAddr) -> Option<(&RulesSeen, &MetRule)> {
    let is_ours = |m: &&MetRule| m.drops && m.ends.is_none_or(|(from, at)| from == to || at == to);
    seen.iter().find_map(|s| Some((s, s.met.as_ref().ok()?.iter().find(is_ours)?)))
}
