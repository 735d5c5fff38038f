//! Rules that let so many packets pass in a time and no more, on the way of questions for names: what takes the rest,
//! and whether it took any of ours. One question passes and the next does not, and whoever is asked seems to forget.

use std::net::IpAddr;

use model::Snapshot;
use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::netfilter::{Action, Because, NfRule, Test};
use model::path::{Direction, Disposition, Exchange, Place, RuleRef, Stop};
use sim::World;

use crate::catalogue::dns::ssh_slow_reverse_dns;
use crate::diagnose::Case;
use crate::found::Reach;
use crate::ladder::{self, Purpose, Rung};
use crate::ranking::{Rank, Ranked};
use crate::{dropped, evidence, nova, owner, proved, removal, said};

/// What takes the packets that a limit has no room for.
struct Behind {
    at: Place,
    direction: Direction,
    rule: RuleRef,
    /// The condition that has room for some: `limit rate 1/minute`.
    limit: String,
}

/// Questions for names some of which were lost to such a rule, by what the kernel says of them or the rule's own
/// counter: one finding a rule.
pub(crate) fn found(case: &Case, rungs: &[Rung]) -> Vec<Ranked> {
    let mut found: Vec<Ranked> = Vec::new();
    for (nth, rung) in rungs.iter().enumerate().filter(|(_, rung)| is_of_names(rung)) {
        let Some((behind, proof)) = behind(case, rung).and_then(|behind| {
            let proof = proof(case, rung, &behind)?;
            Some((behind, proof))
        }) else {
            continue;
        };
        let new = finding(case, rung, &behind, proof);
        match found.iter_mut().find(|known| known.finding.cause == new.cause) {
            Some(Ranked { finding, .. }) => {
                let missing: Vec<String> =
                    new.instances.into_iter().filter(|name| !finding.instances.contains(name)).collect();
                finding.instances.extend(missing);
            }
            None => found.push(Ranked {
                rank: Rank::Rung(nth),
                reach: Reach::Device,
                is_foreseen: false,
                seen_at: None,
                finding: new,
            }),
        }
    }
    found
}

/// That the walk cannot tell of this question's way is what such a finding says.
pub(crate) fn is_told(findings: &[Ranked], rung: &Rung) -> bool {
    let ends = rung.answer.paths.iter().filter(|path| is_unknown(&path.disposition));
    let mut ends = ends.filter_map(|path| path.hops.last());
    is_of_names(rung)
        && ends.any(|hop| {
            findings.iter().any(|Ranked { finding, .. }| {
                finding.exchange == Exchange::Dns
                    && finding.hop.host == hop.at.host
                    && finding.hop.netns == hop.at.netns
            })
        })
}

fn is_of_names(rung: &Rung) -> bool {
    match rung.purpose {
        Purpose::Resolver
        | Purpose::Inside(_)
        | Purpose::Offered(_)
        | Purpose::Upstream(_)
        | Purpose::Reverse(_) => true,
        Purpose::Dhcp
        | Purpose::Gateway
        | Purpose::Outside
        | Purpose::OutsideBy(_)
        | Purpose::Router(_)
        | Purpose::Large(_)
        | Purpose::Inbound(_)
        | Purpose::InboundBy(..)
        | Purpose::Itself(_)
        | Purpose::Ssh(_)
        | Purpose::Served
        | Purpose::ServedSsh
        | Purpose::Gateway6(_)
        | Purpose::Served6(_)
        | Purpose::Other(_)
        | Purpose::ResolverTcp(_)
        | Purpose::ResolverAtHome
        | Purpose::Metadata
        | Purpose::MetadataAtHome(_)
        | Purpose::Step
        | Purpose::StepBy(_) => false,
    }
}

fn is_unknown(disposition: &Disposition) -> bool {
    matches!(disposition, Disposition::Unknown { .. })
}

/// The question walked once more where no limit has any room: what it ends at then.
fn behind(case: &Case, rung: &Rung) -> Option<Behind> {
    let unknown = rung.answer.paths.iter().find(|path| is_unknown(&path.disposition))?;
    let end = &unknown.hops.last()?.at;
    let (snapshot, limit) = without_room(case.snapshot, end)?;
    let again = ladder::again_by(&World::new(&snapshot, case.intent), rung)?;
    let (path, (hop, stop)) = again.answer.paths.iter().find_map(|path| Some((path, path.stop()?)))?;
    let Stop::Rule(rule) = stop else { return None };
    let is_there = hop.at.host == end.host && hop.at.netns == end.netns;
    (is_there && !nova::wrote(rule)).then(|| Behind {
        at: hop.at.clone(),
        direction: path.direction,
        rule: rule.clone(),
        limit,
    })
}

/// The facts with every limit of a namespace used up, and the first of these limits.
fn without_room(snapshot: &Snapshot, at: &Place) -> Option<(Snapshot, String)> {
    let mut snapshot = snapshot.clone();
    let ns = snapshot.netns.iter_mut().find(|ns| ns.machine == at.host && ns.name == at.netns)?;
    let chains = ns.ruleset.tables.iter_mut().flat_map(|table| &mut table.chains);
    let mut first = None;
    for rule in chains.flat_map(|chain| &mut chain.rules) {
        let Some(limit) = limit_of(rule) else { continue };
        first.get_or_insert(limit);
        match rule.action {
            // It takes what is beyond the limit, which now is all that it matches.
            Action::Drop | Action::Reject(_) => rule.matches.retain(|one| rate(&one.test).is_none()),
            _ => {
                rule.matches.clear();
                rule.action = Action::Continue;
            }
        }
    }
    Some((snapshot, first?))
}

fn limit_of(rule: &NfRule) -> Option<String> {
    rule.matches.iter().find_map(|one| rate(&one.test))
}

fn rate(test: &Test) -> Option<String> {
    match test {
        Test::Unpredictable(text, Because::Rate) => Some(text.clone()),
        _ => None,
    }
}

/// What shows that it took packets of ours: the kernel's own word of those that died there, else its counter, which
/// moved while one of them stayed without an answer.
fn proof(case: &Case, rung: &Rung, behind: &Behind) -> Option<Vec<Evidence>> {
    let is_ours = |from: &str, to: IpAddr| from == rung.from && to == rung.to;
    let drops = case.drops.iter().filter(|drop| {
        let is_there = drop
            .owner
            .as_ref()
            .is_some_and(|owner| (&owner.machine, &owner.netns) == (&behind.at.host, &behind.at.netns));
        let is_filter = drop.reason.contains("NETFILTER");
        is_there && is_filter && drop.exchange == Exchange::Dns && is_ours(&drop.from, drop.to)
    });
    let said: Vec<Evidence> = drops.map(dropped::evidence).collect();
    if !said.is_empty() {
        return Some(said);
    }
    let mut asked = case.probes.iter().filter(|probe| is_ours(&probe.from, probe.to));
    let is_lost = asked.any(|probe| probe.asked.exchange() == Exchange::Dns && probe.received == 0);
    let seen =
        case.rules.iter().find(|seen| (&seen.machine, &seen.netns) == (&behind.at.host, &behind.at.netns))?;
    let after = proved::counters(seen.after.as_ref()?, &behind.rule)?.packets;
    let (before, _) = behind.rule.counters?;
    let text = format!("[{before}] packets before our questions, [{after}] after");
    let moved = Evidence { kind: EvidenceKind::Counter, source: behind.rule.shown_by(), text };
    (is_lost && after > before).then(|| vec![moved])
}

fn finding(case: &Case, rung: &Rung, behind: &Behind, proof: Vec<Evidence>) -> Finding {
    let Behind { at, direction, rule, limit } = behind;
    let ns = case.snapshot.netns.iter().find(|ns| ns.machine == at.host && ns.name == at.netns);
    let asked = case.probes.iter().filter(|probe| (&probe.from, probe.to) == (&rung.from, rung.to));
    let asked = asked.filter(|probe| probe.asked.exchange() == Exchange::Dns).map(said::evidence);
    let instance = case.intent.instances.get(rung.instance).map_or("", |instance| &instance.name);
    let wrote = ns.map_or_else(String::new, |ns| format!(", {}", owner::of(ns, rule).wrote()));
    let finding = Finding {
        code: "foreign-rule-drop".to_owned(),
        hop: at.clone(),
        direction: *direction,
        exchange: Exchange::Dns,
        summary: format!(
            "of what {} asks {} for names {} lets only some pass: rule {} of {} in {} {} takes what is beyond \
             `{limit}`",
            rung.from,
            rung.to,
            at.host,
            rule.number,
            rule.chain(),
            rule.family.name(),
            rule.table
        ),
        cause: format!("`{}` takes what `{limit}` has no room for{wrote}", rule.text),
        confidence: Confidence::Proven,
        evidence: ns.into_iter().flat_map(|ns| evidence::rule(ns, rule)).chain(proof).chain(asked).collect(),
        owner: ns.map_or("unknown", |ns| owner::of(ns, rule).name()).to_owned(),
        remedy: ns.map(|ns| removal::of(ns, rule)).into_iter().collect(),
        instances: vec![instance.to_owned()],
    };
    match rung.purpose {
        Purpose::Reverse(_) => {
            ssh_slow_reverse_dns::told_as(finding, instance, case.snapshot.main_netns(instance))
        }
        _ => finding,
    }
}

#[cfg(test)]
mod tests {
    use model::dns::Rcode;
    use model::finding::Outcome;
    use model::kernel_drop::KernelDrop;
    use model::netfilter::{Action, Because, Match, Test};
    use model::path::Exchange;

    use crate::Symptom;
    use crate::fixture::{
        Cloud, asked_for_ipv6, codes, dropped_at, drops, healthy, looked_up, told_its_version,
    };

    /// compute1 lets one question a minute out, and drops all others.
    fn limited() -> Cloud {
        let mut cloud = healthy();
        let port = || Match { negated: false, test: Test::DestinationPort(vec![(53, 53)]) };
        let udp = || Match { negated: false, test: Test::Protocol(17) };
        let rate = Test::Unpredictable("limit: avg 1/min burst 1".to_owned(), Because::Rate);
        let limit = Match { negated: false, test: rate };
        let mut accept = drops(
            "-A OUTPUT -p udp -m udp --dport 53 -m limit --limit 1/min --limit-burst 1 -j ACCEPT",
            vec![udp(), port(), limit],
        );
        accept.action = Action::Accept;
        let rest = drops("-A OUTPUT -p udp -m udp --dport 53 -j DROP", vec![udp(), port()]);
        let rules = &mut cloud.chain("compute1", "filter", "OUTPUT").rules;
        rules.insert(0, rest);
        rules.insert(0, accept);
        let (gateway, server) = ([10, 0, 0, 42].into(), [1, 2, 3, 4].into());
        cloud.probes = vec![
            told_its_version("web1", gateway),
            looked_up("web1", gateway, None),
            looked_up("compute1", server, Some(Rcode::NoError)),
            asked_for_ipv6("compute1", server, None),
        ];
        cloud
    }

    fn dropped() -> KernelDrop {
        let drop = dropped_at("compute1", "eth0", ("NETFILTER_DROP", "nf_hook_slow"));
        KernelDrop { from: "compute1".to_owned(), exchange: Exchange::Dns, octets: None, ..drop }
    }

    #[test]
    fn what_takes_the_rest_is_named_where_the_kernel_says_that_it_took_some() {
        let mut cloud = limited();
        cloud.drops = vec![dropped()];
        let found = cloud.diagnose_for("web1", Symptom::Dns);
        assert_eq!(codes(&found), ["foreign-rule-drop compute1//eth0"]);
        let finding = &found.findings[0];
        assert!(finding.summary.contains("limit: avg 1/min"), "{}", finding.summary);
        assert!(
            finding.remedy[0].command.contains("-D OUTPUT -p udp -m udp --dport 53 -j DROP"),
            "{finding:?}"
        );
    }

    #[test]
    fn a_limit_that_took_nothing_of_ours_is_no_fault() {
        let mut cloud = limited();
        cloud.probes = vec![
            looked_up("web1", [10, 0, 0, 42].into(), Some(Rcode::NoError)),
            looked_up("compute1", [1, 2, 3, 4].into(), Some(Rcode::NoError)),
        ];
        let found = cloud.diagnose_for("web1", Symptom::Dns);
        assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Healthy));
    }
}
