//! Rules that let so many packets pass in a time and no more, on the way of our questions: what takes the rest, and
//! whether it took any of ours. One question passes and the next does not, and whoever is asked seems to forget. And
//! rules that take packets by what no walk can decide, the time of day, what is in a packet: whether they took ours.

mod limit;

use std::collections::BTreeSet;

use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::path::{Direction, Disposition, Exchange, Path, Place, RuleRef, Stop};
use model::probe::{MetRule, ProbeResult};
use model::snapshot::Gap;
use sim::World;

use crate::catalogue::dns::ssh_slow_reverse_dns;
use crate::diagnose::{Case, is_probe_of, probe_of};
use crate::found::Reach;
use crate::ladder::{self, Purpose, Rung};
use crate::ranking::{Rank, Ranked};
use crate::{dropped, evidence, foreign_rules, nova, owner, proved, removal, rules, said};
use limit::{Limit, without_room};

/// What was lost to such rules.
#[derive(Debug, Default)]
pub(crate) struct Limited {
    /// One finding a rule.
    pub(crate) findings: Vec<Ranked>,
    /// Questions that these explain, by their place in the ladder: what the walk cannot tell of them is told.
    explained: BTreeSet<usize>,
    /// What pings alone could tell, and such a limit had no room for.
    pub(crate) gaps: Vec<Gap>,
}

impl Limited {
    /// What the walk cannot tell of this question, and why it was lost, is what a finding says.
    pub(crate) fn explains(&self, nth: usize) -> bool {
        self.explained.contains(&nth)
    }
}

/// What takes the packets that a limit has no room for.
struct Behind {
    at: Place,
    direction: Direction,
    exchange: Exchange,
    /// The rule, or the policy.
    rule: RuleRef,
    limit: Limit,
}

/// Questions some of which were lost to such a rule, by what the kernel says of them or the rule's own counter.
pub(crate) fn found(case: &Case, rungs: &[Rung]) -> Limited {
    let mut limited = Limited::default();
    let behind = all_behind(case, rungs);
    for (nth, rung, behind) in &behind {
        let Some(proof) = proof(case, rung, behind) else { continue };
        if behind.limit.has_room_for_a_ping() {
            limited.explained.insert(*nth);
            limited.gaps.push(no_room(rung, behind));
            continue;
        }
        let new = finding(case, rung, behind, proof);
        limited.explained.insert(*nth);
        match limited.findings.iter_mut().find(|known| known.finding.cause == new.cause) {
            Some(Ranked { finding, .. }) => {
                let missing: Vec<String> =
                    new.instances.into_iter().filter(|name| !finding.instances.contains(name)).collect();
                finding.instances.extend(missing);
            }
            None => limited.findings.push(Ranked {
                rank: Rank::Rung(*nth),
                reach: Reach::Device,
                is_foreseen: false,
                seen_at: None,
                finding: new,
            }),
        }
    }
    // What may have been lost to a rule that took others, and to nothing else that is known.
    let taken: Vec<&Behind> = behind
        .iter()
        .filter(|(nth, ..)| limited.explained.contains(nth))
        .map(|(.., behind)| behind)
        .collect();
    let is_of_it = |one: &Behind| {
        taken.iter().any(|other| is_same_place(&one.at, &other.at) && rules::is_same(&one.rule, &other.rule))
    };
    let is_elsewhere = |rung: &Rung, behind: &Behind| {
        let told = probe_of(case, rung).and_then(|probe| dropped::telling(case, rung, probe));
        told.is_some_and(|told| !is_same_place(&told.at, &behind.at))
    };
    let too = behind.iter().filter(|(_, rung, behind)| is_of_it(behind) && !is_elsewhere(rung, behind));
    limited.explained.extend(too.map(|(nth, ..)| *nth).collect::<Vec<_>>());
    limited
}

fn is_same_place(one: &Place, other: &Place) -> bool {
    (&one.host, &one.netns) == (&other.host, &other.netns)
}

/// Of every question of which something is missing and the walk cannot tell for a limit, what it ends at where that has
/// no room.
fn all_behind<'r>(case: &Case, rungs: &'r [Rung]) -> Vec<(usize, &'r Rung, Behind)> {
    let is_missed = |rung: &Rung| {
        let mut asked = case.probes.iter().filter(|probe| is_probe_of(probe, rung)).peekable();
        asked.peek().is_none() || asked.any(is_lost)
    };
    let open = |(nth, rung): (usize, &'r Rung)| {
        let unknown = rung.answer.paths.iter().find(|path| is_unknown(path))?;
        Some((nth, rung, &unknown.hops.last()?.at)).filter(|_| is_missed(rung))
    };
    let open: Vec<(usize, &Rung, &Place)> = rungs.iter().enumerate().filter_map(open).collect();
    let places: BTreeSet<(&str, &str)> =
        open.iter().map(|(.., at)| (at.host.as_str(), at.netns.as_str())).collect();
    let mut all = Vec::new();
    for (host, netns) in places {
        let Some((snapshot, limits)) = without_room(case.snapshot, (host, netns)) else { continue };
        let world = World::new(&snapshot, case.intent);
        let here = open.iter().filter(|(.., at)| (at.host.as_str(), at.netns.as_str()) == (host, netns));
        all.extend(
            here.filter_map(|(nth, rung, at)| Some((*nth, *rung, behind(&world, rung, at, &limits)?))),
        );
    }
    all.sort_by_key(|(nth, ..)| *nth);
    all
}

/// Not all of it was answered as it should.
fn is_lost(probe: &ProbeResult) -> bool {
    probe.received == 0 || probe.is_refused() || probe.lost_some() == Some(true)
}

fn is_unknown(path: &Path) -> bool {
    matches!(path.disposition, Disposition::Unknown { .. })
}

/// The question walked once more where no limit has any room: what it ends at then.
fn behind(world: &World, rung: &Rung, end: &Place, limits: &[Limit]) -> Option<Behind> {
    let (why, _) = rung.undecided()?;
    let limit = limits.iter().find(|limit| why.ends_with(&limit.text))?.clone();
    let again = ladder::again_by(world, rung)?;
    let (path, (hop, stop)) = again.answer.paths.iter().find_map(|path| Some((path, path.stop()?)))?;
    let (Stop::Rule(rule) | Stop::Policy(rule)) = stop else { return None };
    (is_same_place(&hop.at, end) && !nova::wrote(rule)).then(|| Behind {
        at: hop.at.clone(),
        direction: path.direction,
        exchange: rung.purpose.exchange_of(path.exchange),
        rule: rule.clone(),
        limit,
    })
}

fn no_room(rung: &Rung, behind: &Behind) -> Gap {
    Gap {
        what: format!("whether {} reaches {}", rung.from, rung.to),
        why: format!(
            "our pings found no room in `{}` on {}, which has enough for a usual ping",
            behind.limit.text, behind.at.host
        ),
        would_need: "the same question again after a minute".to_owned(),
    }
}

/// What shows that it took packets of ours: the kernel's trace of them, its word of those that died there, else the
/// rule's counter, which moved while one of them stayed without an answer.
fn proof(case: &Case, rung: &Rung, behind: &Behind) -> Option<Vec<Evidence>> {
    let asked = || case.probes.iter().filter(|probe| is_probe_of(probe, rung));
    // Some pings more than are meant to pass are no fault.
    if !asked().any(is_lost) || (behind.limit.is_of_pings && asked().any(|probe| probe.received > 0)) {
        return None;
    }
    let here =
        case.rules.iter().find(|seen| (&seen.machine, &seen.netns) == (&behind.at.host, &behind.at.netns));
    if behind.exchange == Exchange::Icmp {
        let is_its =
            |met: &&MetRule| met.drops && met.ends.is_some_and(|(from, to)| from == rung.to || to == rung.to);
        let met = here.and_then(|seen| seen.met.as_ref().ok());
        let died: Vec<&MetRule> = met.into_iter().flatten().filter(is_its).collect();
        if let Some(first) = died.first() {
            let is_it = rules::is_same(&first.rule, &behind.rule);
            let text = format!("met {} of our pings, and said {}", died.len(), first.verdict);
            let source = format!("nftrace of our own pings on {}", behind.at.host);
            return is_it.then(|| vec![Evidence { kind: EvidenceKind::Rule, source, text }]);
        }
    }
    let said: Vec<Evidence> = dropped_here(case, rung, behind);
    // Of what is no limit the kernel's word does not tell which of several rules it was.
    if !said.is_empty() && behind.limit.is_rate {
        return Some(said);
    }
    let after = proved::counters(here?.after.as_ref()?, &behind.rule)?.packets;
    let (before, _) = behind.rule.counters?;
    let text = format!("[{before}] packets before our questions, [{after}] after");
    let moved = Evidence { kind: EvidenceKind::Counter, source: behind.rule.shown_by(), text };
    (after > before).then(|| said.into_iter().chain([moved]).collect())
}

/// The kernel's word of this question's packets that died of netfilter there.
fn dropped_here(case: &Case, rung: &Rung, behind: &Behind) -> Vec<Evidence> {
    let drops = case.drops.iter().filter(|drop| {
        let owner = drop.owner.as_ref();
        let is_there =
            owner.is_some_and(|owner| (&owner.machine, &owner.netns) == (&behind.at.host, &behind.at.netns));
        let is_its = (drop.exchange, drop.direction) == (behind.exchange, behind.direction)
            && case.probes.iter().any(|probe| is_probe_of(probe, rung) && dropped::is_of(drop, probe));
        is_there && is_its && drop.reason.contains("NETFILTER")
    });
    drops.map(dropped::evidence).collect()
}

fn finding(case: &Case, rung: &Rung, behind: &Behind, proof: Vec<Evidence>) -> Finding {
    let Behind { at, direction, exchange, rule, limit: Limit { text: limit, is_rate, .. } } = behind;
    let ns = case.snapshot.netns.iter().find(|ns| ns.machine == at.host && ns.name == at.netns);
    let asked = case.probes.iter().filter(|probe| is_probe_of(probe, rung)).map(said::evidence);
    let instance = case.intent.instances.get(rung.instance).map_or("", |instance| &instance.name);
    let wrote = ns.map_or_else(String::new, |ns| format!(", {}", owner::of(ns, rule).wrote()));
    let finding = Finding {
        code: ns.map_or("foreign-rule-drop", |ns| foreign_rules::code_by_table(ns, rule)).to_owned(),
        hop: at.clone(),
        direction: *direction,
        exchange: *exchange,
        summary: if *is_rate {
            format!(
                "of {} {} lets only some pass: {} takes what is beyond `{limit}`",
                what(rung, *direction, *exchange),
                at.host,
                rules::named(rule),
            )
        } else {
            format!(
                "{} dies on {}: {} takes it by `{limit}`",
                what(rung, *direction, *exchange),
                at.host,
                rules::named(rule),
            )
        },
        cause: if *is_rate {
            format!("`{}` takes what `{limit}` has no room for{wrote}", rule.text)
        } else {
            format!("`{}` took packets of ours{wrote}", rule.text)
        },
        confidence: Confidence::Proven,
        evidence: ns.into_iter().flat_map(|ns| evidence::rule(ns, rule)).chain(proof).chain(asked).collect(),
        owner: ns.map_or("unknown", |ns| owner::of(ns, rule).name()).to_owned(),
        remedy: ns.map(|ns| removal::of(ns, rule)).into_iter().collect(),
        instances: vec![instance.to_owned()],
    };
    if matches!(rung.purpose, Purpose::Reverse(_)) {
        return ssh_slow_reverse_dns::told_as(finding, instance, case.snapshot.main_netns(instance));
    }
    finding
}

/// Which packets are lost: `what web1 sends to 1.2.3.4`.
fn what(rung: &Rung, direction: Direction, exchange: Exchange) -> String {
    let (from, to) = (&rung.from, rung.to);
    match direction {
        Direction::Reply => format!("what {to} answers {from}"),
        Direction::Request | Direction::Both if exchange == Exchange::Dns => {
            format!("what {from} asks {to} for names")
        }
        Direction::Request | Direction::Both => format!("what {from} sends to {to}"),
    }
}

#[cfg(test)]
mod tests {
    use model::dns::Rcode;
    use model::finding::Outcome;
    use model::kernel_drop::KernelDrop;
    use model::netfilter::{Action, Because, Match, Policy, Test};
    use model::path::{Direction, Exchange};
    use model::probe::PING_OCTETS;

    use crate::Symptom;
    use crate::fixture::{
        Cloud, asked_for_ipv6, codes, dropped_at, drops, forwards_by, healthy, looked_up, pinged, to,
        told_its_version,
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
        KernelDrop {
            from: "compute1".to_owned(),
            exchange: Exchange::Dns,
            octets: None,
            port: Some(53),
            ..drop
        }
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

    fn rate(text: &str) -> Match {
        Match { negated: false, test: Test::Unpredictable(text.to_owned(), Because::Rate) }
    }

    /// The router forwards by one rule, of which the rest is its policy's, and lets so many of web1's pings pass.
    fn by_policy(conditions: Vec<Match>, received: u32) -> Cloud {
        let mut cloud = healthy();
        let mut accept = drops("-A FORWARD -m limit --limit 1/min -j ACCEPT", conditions);
        accept.action = Action::Accept;
        forwards_by(&mut cloud, "gw", accept);
        let base = cloud.chain("gw", "filter", "FORWARD").base.as_mut();
        base.unwrap().policy = Policy::Drop;
        cloud.probes = vec![pinged("web1", PING_OCTETS, received)];
        cloud.drops = vec![dropped_at("gw", "eth0", ("NETFILTER_DROP", "nft_do_chain"))];
        cloud
    }

    #[test]
    fn a_policy_behind_a_limit_is_named_where_it_took_pings() {
        for received in [0, 1] {
            let found = by_policy(vec![rate("-m limit --limit 1/min")], received).diagnose("web1");
            assert_eq!(codes(&found), ["foreign-rule-drop gw//eth0"]);
            let finding = &found.findings[0];
            assert!(finding.summary.contains("the policy of FORWARD"), "{}", finding.summary);
            assert!(finding.remedy[0].command.ends_with("-P FORWARD ACCEPT"), "{:?}", finding.remedy);
        }
    }

    #[test]
    fn who_limits_pings_alone_means_it_where_some_pass() {
        let ping = || Match { negated: false, test: Test::Icmp(8, None) };
        for (received, expected) in [(0, &["foreign-rule-drop gw//eth0"][..]), (1, &[])] {
            let mut cloud = by_policy(vec![ping(), rate("-m limit --limit 1/min")], received);
            let chain = cloud.chain("gw", "filter", "FORWARD");
            chain.base.as_mut().unwrap().policy = Policy::Accept;
            chain.rules.push(drops("-A FORWARD -p icmp -m icmp --icmp-type 8 -j DROP", vec![ping()]));
            assert_eq!(codes(&cloud.diagnose("web1")), expected, "{received}");
            // One that has room for who pings once a second takes nothing but our own crowd.
            let chain = cloud.chain("gw", "filter", "FORWARD");
            chain.rules[0].matches = vec![ping(), rate("-m limit --limit 1/sec")];
            let found = cloud.diagnose("web1");
            assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Undetermined), "{received}");
            let no_room = found.coverage.gaps.iter().any(|gap| gap.why.contains("found no room"));
            assert_eq!(no_room, received == 0);
        }
    }

    #[test]
    fn an_answer_that_a_limit_takes_is_told_as_one_where_it_dies() {
        let mut cloud = healthy();
        let over = "limit rate over 2/minute";
        let text = "ip daddr 203.0.113.30 limit rate over 2/minute drop";
        forwards_by(&mut cloud, "gw", drops(text, vec![to("203.0.113.30/32"), rate(over)]));
        cloud.probes = vec![pinged("web1", PING_OCTETS, 0)];
        let drop = dropped_at("gw", "eth1", ("NETFILTER_DROP", "nft_do_chain"));
        cloud.drops = vec![KernelDrop { direction: Direction::Reply, ..drop }];
        let found = cloud.diagnose("web1");
        assert_eq!(codes(&found), ["foreign-rule-drop gw//eth1"]);
        let finding = &found.findings[0];
        assert_eq!(finding.direction, Direction::Reply);
        assert!(finding.summary.starts_with("of what 1.2.3.4 answers web1 gw"), "{}", finding.summary);
        // What died on its way there died of something else.
        cloud.drops[0].direction = Direction::Request;
        assert_ne!(codes(&cloud.diagnose("web1")), ["foreign-rule-drop gw//eth1"]);
    }
}
