//! A rule proved by what our own packets did to it: its counter, read before and after, and the kernel's
//! trace of them.

use std::net::IpAddr;

use model::finding::{Evidence, EvidenceKind};
use model::netfilter::{Counters, Ruleset};
use model::path::{Exchange, Place, RuleRef};
use model::probe::{MetRule, ProbeResult, RulesSeen};

use crate::diagnose::is_probe_of;
use crate::evidence::within;
use crate::ladder::Rung;
use crate::view::View;

/// What our probes show of the rule that a walk ended at; nothing where none was sent that way.
pub(crate) fn by_probes(view: &View, place: &Place, by: &RuleRef) -> Vec<Evidence> {
    let Some(seen) = view.rules.iter().find(|s| s.machine == place.host && s.netns == place.netns) else {
        return Vec::new();
    };
    let probes = probes_that_end_at(view, place, by);
    let ours: u64 = probes.iter().map(|probe| u64::from(probe.sent)).sum();
    if ours == 0 {
        return Vec::new();
    }
    let netns = view.snapshot().netns.iter().find(|n| n.machine == place.host && n.name == place.netns);
    let source = netns.map(|ns| within(ns, &by.shown_by())).unwrap_or_default();
    let is_ping = |probe: &ProbeResult| probe.asked.exchange() == Exchange::Icmp;
    let what = if probes.iter().all(|probe| is_ping(probe)) { "pings" } else { "probes" };
    // Whatever else is asked is repeated by sockets, and asked by servers and hosts on the way; pings are traced.
    let met = met(by, seen).map(|met| met.len()).and_then(|met| u64::try_from(met).ok()).unwrap_or_default();
    let is_exact = what == "pings" && met > 0;
    let counted = counted(by, seen, (ours.max(met), what, is_exact)).map(|text| Evidence {
        kind: EvidenceKind::Counter,
        source,
        text,
    });
    let source = format!("nftrace of our own pings on {}", place.host);
    // Nothing else is traced: that no ping met the rule says nothing of it where none was sent that way.
    let traced = traced(by, seen).filter(|_| probes.iter().any(|probe| is_ping(probe)));
    let traced = traced.map(|text| Evidence { kind: EvidenceKind::Rule, source, text });
    counted.into_iter().chain(traced).collect()
}

/// What was sent and, the walk says, ends there: all that was asked of a rung's server.
fn probes_that_end_at<'v>(view: &View<'v>, place: &Place, by: &RuleRef) -> Vec<&'v ProbeResult> {
    let ends_there = |path: &model::Path| {
        path.stop().is_some_and(|(hop, stop)| {
            let rule = match stop {
                model::path::Stop::Rule(rule) | model::path::Stop::Policy(rule) => Some(rule),
                _ => None,
            };
            hop.at.same_device(place) && rule.is_some_and(|rule| is_same(rule, by))
        })
    };
    let rungs: Vec<&Rung> =
        view.rungs.iter().filter(|rung| rung.answer.paths.iter().any(ends_there)).collect();
    let is_of_one = |probe: &&ProbeResult| rungs.iter().any(|rung| is_probe_of(probe, rung));
    view.probes.iter().filter(is_of_one).collect()
}

/// How far the counter moved while so many packets of ours, of this kind, were sent, or at least so many.
fn counted(by: &RuleRef, seen: &RulesSeen, (ours, what, is_exact): (u64, &str, bool)) -> Option<String> {
    let (before, _) = by.counters?;
    let after = counters(seen.after.as_ref()?, by)?.packets;
    let moved = after.checked_sub(before)?;
    let whose = match moved {
        0 => format!("it did not move while {ours} of our packets went that way"),
        _ if moved < ours => format!("it moved by {moved} while {ours} of our packets were sent that way"),
        _ if moved == ours => format!("it moved by {moved}: our {ours} packets and nobody else's"),
        _ if is_exact => {
            format!("it moved by {moved}, our {ours} packets among them: other traffic meets it too")
        }
        _ => format!("it moved by {moved}, and {ours} packets or more of these are ours"),
    };
    Some(format!("[{before}] packets before our {what}, [{after}] after: {whose}"))
}

/// The counters of the rule in a ruleset, where it still is what it was.
pub(crate) fn counters(ruleset: &Ruleset, by: &RuleRef) -> Option<Counters> {
    let chain = ruleset.table(by.dialect, by.family, &by.table)?.chain(by.chain())?;
    match by.number.checked_sub(1) {
        None => chain.base.as_ref()?.policy_counters,
        Some(at) => chain.rules.get(usize::try_from(at).ok()?).filter(|r| r.text == by.text)?.counters,
    }
}

/// How our pings met the rule, where the kernel traced them.
fn met<'s>(by: &RuleRef, seen: &'s RulesSeen) -> Option<Vec<&'s MetRule>> {
    let met = seen.met.as_ref().ok()?;
    Some(met.iter().filter(|m| is_same(&m.rule, by)).collect())
}

/// What the kernel's trace says of the rule.
fn traced(by: &RuleRef, seen: &RulesSeen) -> Option<String> {
    let here = met(by, seen)?;
    match here.first() {
        Some(first) => {
            let times = if here.len() == 1 { "once".to_owned() } else { format!("{} times", here.len()) };
            Some(format!("met {times} by our pings, and said {}", first.verdict))
        }
        // A trace that saw nothing at all may have been looking in the wrong place.
        None if seen.met.as_ref().is_ok_and(Vec::is_empty) => None,
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

#[cfg(test)]
mod tests {
    use model::netfilter::Counters;
    use model::path::{RuleRef, Stop};
    use model::probe::{MetRule, ProbeResult, RulesSeen};

    use crate::fixture::{Cloud, broken, looked_up, offered, told_its_version};
    use crate::{Case, Request, Subject, Symptom, diagnose};

    /// What is told of the rule that this fault puts first into INPUT, of which these were sent and by which so many
    /// were counted. The trace has met another one.
    fn told(fault: &str, probes: Vec<ProbeResult>, counted: u64) -> Vec<String> {
        let mut cloud: Cloud = broken(fault);
        let counters = |packets| Some(Counters { packets, bytes: 0 });
        cloud.chain("compute1", "filter", "INPUT").rules[0].counters = counters(0);
        cloud.probes = probes;
        let mut after = cloud.netns("compute1").ruleset.clone();
        let chains =
            after.tables.iter_mut().filter(|table| table.name == "filter").flat_map(|t| &mut t.chains);
        let rules = chains.filter(|chain| chain.name == "INPUT").flat_map(|chain| &mut chain.rules);
        rules.take(1).for_each(|rule| rule.counters = counters(counted));
        let rule = RuleRef { number: 99, ..rule_of(&cloud) };
        let met = MetRule { packet: 1, rule, ends: None, verdict: "accept".to_owned(), drops: false };
        let (machine, netns) = ("compute1".to_owned(), String::new());
        let rules = [RulesSeen { machine, netns, sent: 2, after: Some(after), met: Ok(vec![met]) }];
        let case = Case { rules: &rules, ..cloud.case() };
        let request = Request { subject: Subject::Instance(0), to: None, symptom: Symptom::Auto };
        let found = diagnose(&case, &request).findings.remove(0);
        assert_eq!(found.code, fault);
        found.evidence.into_iter().map(|line| format!("{}: {}", line.source, line.text)).collect()
    }

    fn rule_of(cloud: &Cloud) -> RuleRef {
        let paths = cloud.diagnose("web1").paths;
        let rule = paths.iter().find_map(|path| match path.stop() {
            Some((_, Stop::Rule(rule))) => Some(rule.clone()),
            Some(_) | None => None,
        });
        rule.unwrap()
    }

    #[test]
    fn what_is_no_ping_is_counted_and_not_looked_for_in_the_trace_of_pings() {
        let asked = ProbeResult { sent: 2, ..offered("web1", Vec::new()) };
        let told = told("input-blocks-dhcp", vec![asked], 2);
        let counted =
            "[0] packets before our probes, [2] after: it moved by 2: our 2 packets and nobody else's";
        assert!(told.iter().any(|line| line.ends_with(counted)), "{told:#?}");
        assert!(told.iter().all(|line| !line.contains("nftrace")), "{told:#?}");
    }

    #[test]
    fn every_question_to_a_server_counts() {
        let server = [10, 0, 0, 42].into();
        let unanswered = |probe: ProbeResult| ProbeResult { sent: 2, received: 0, ..probe };
        let asked = [told_its_version("web1", server), looked_up("web1", server, None)].map(unanswered);
        let told_of = |counted| told("dns-port53-blocked", asked.to_vec(), counted);
        let ours = "it moved by 4: our 4 packets and nobody else's";
        assert!(told_of(4).iter().any(|line| line.ends_with(ours)), "{:#?}", told_of(4));
        let others = "it moved by 9, and 4 packets or more of these are ours";
        assert!(told_of(9).iter().any(|line| line.ends_with(others)), "{:#?}", told_of(9));
    }
}
