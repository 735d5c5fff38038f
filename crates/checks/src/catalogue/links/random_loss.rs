//! # random-loss
//!
//! On one stretch of the way some packets die, and others like them pass.
//!
//! ## What it means
//! One packet passes, and the next one like it dies. A bad cable, transceiver or NIC loses packets by chance; so does a
//! rule that drops at random or every so many, a member of a bond that is dead, or a
//! device that is overloaded. TCP slows down to a crawl where a few of a hundred are lost.
//!
//! ## How hopline knows
//! A netfilter rule that drops by `numgen` or `statistic`, and that the walk would end at if its number came up, is
//! told as it is, with its share. Else `diagnose` sends six more pings to the outside where the first ones are
//! answered, and up to twelve more of a question that is answered in part, and counts them at every device of
//! their predicted way. The hop is the device to which fewer come than have passed the one before it. A single loss is
//! told of no more than an answer that is late: at least two must be missing, and the devices must agree. Where
//! nothing can be watched the hop is a guess, and said to be possible only. Nothing is said of who limits pings by a
//! rule.
//!
//! ## What it looks like
//! `ping -c 100 -i 0.1 1.2.3.4` prints `37% packet loss`; `ip -s -s link show eth0` may count errors, `ethtool -S eth0`
//! more of them. The counts of two captures differ.
//!
//! ## Nearest look-alikes
//! * `lost-at-hop`: nothing passes at all.
//! * `tap-tx-queue-drops`: a queue drops what is too much, and counts it.
//! * `duplicate-ip-foreign`: answers go to another machine with the same address, now and then.
//!
//! ## Fix
//! Replace the cable, the transceiver or the switch's port on that stretch, or take away what drops there at random, if
//! the evidence names it: `nft list ruleset | grep numgen`, `iptables-save | grep statistic`, `tc qdisc | grep netem`.
//!
//! ## References
//! ip-link(8) `-s -s`; ethtool(8) `-S`; nft(8) `numgen`; iptables-extensions(8) `statistic`; tc-netem(8).

use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::path::{Direction, Disposition, Hop, Path, Place};

use crate::contradiction::Asking;
use crate::explained::Lost;
use crate::found::{Found, Reach};
use crate::ladder::{Purpose, Rung};
use crate::ranking::{Rank, Ranked};
use crate::view::View;
use crate::watched::{self, Parted, Thinned};
use crate::{chance, evidence, explained, proved, said};

/// Fewer packets than this tell nothing of a loss: the first two and one count more.
const SENT_MIN: u32 = 8;
/// One loss is an accident.
const LOST_MIN: u32 = 2;

/// Looks for rules that drop by chance or by count; what else does so only answers tell.
pub fn check(view: &View) -> Vec<Found> {
    chance::found(view, "random-loss")
}

/// A rule that drops by chance is all that a question's walk cannot tell of: the one finding of it says so.
pub(crate) fn is_told(findings: &[Ranked], rung: &Rung) -> bool {
    let is_unknown = |path: &&Path| matches!(path.disposition, Disposition::Unknown { .. });
    let ends = rung.answer.paths.iter().filter(is_unknown).filter_map(|path| path.hops.last());
    let is_at = |hop: &Hop, known: &Ranked| {
        let Ranked { finding, .. } = known;
        finding.code == "random-loss"
            && finding.confidence == Confidence::Proven
            && finding.hop.same_device(&hop.at)
    };
    ends.into_iter().any(|hop| findings.iter().any(|known| is_at(hop, known)))
}

/// Of many packets that asked this question some were lost, and nothing that was found explains it.
pub(crate) fn found(asking: &Asking, rank: Rank, findings: &[Ranked]) -> Option<Ranked> {
    let Asking { case, rung, instance, probe, .. } = *asking;
    let lost = probe.sent.saturating_sub(probe.received);
    let is_large = matches!(rung.purpose, Purpose::Large(_));
    let is_counted = probe.asked.octets().is_some() && !is_large && probe.sent >= SENT_MIN;
    if !is_counted || probe.received == 0 || lost < LOST_MIN {
        return None;
    }
    let thinned = watched::thinned(case, rung, probe)?;
    let Thinned { direction, before, at, passed, came } = thinned;
    let parted = Parted { direction, before, at, behind: Vec::new() };
    // Who limits pings on purpose means it.
    let is_limited = rung.undecided().is_some_and(|(why, _)| why.contains("limit"));
    if is_limited
        || passed.saturating_sub(came) < LOST_MIN
        || explained::is_by(findings, asking, Lost { parted: Some(&parted), dropped: None })
    {
        return None;
    }
    let asked = said::question(probe.asked.exchange()).trim_start_matches("the ");
    let what =
        if direction == Direction::Reply { format!("answers to {asked}s") } else { format!("{asked}s") };
    let stretch = stretch(before, at);
    let counted = watched::counted(case, &parted, rung, probe);
    let finding = Finding {
        code: "random-loss".to_owned(),
        hop: at.at.clone(),
        direction,
        exchange: probe.asked.exchange(),
        summary: format!(
            "some {what} from {} to {} die {stretch} and others pass: {came} of {passed} get through",
            probe.from, probe.to
        ),
        cause: cause(asking, &stretch),
        confidence: if counted.is_empty() { Confidence::Possible } else { Confidence::Likely },
        evidence: counted.into_iter().chain([said::evidence(probe)]).chain(errors(asking, at)).collect(),
        owner: "unknown".to_owned(),
        remedy: vec![evidence::advice(
            format!("ip -s -s link show dev {0}; ethtool -S {0}; tc qdisc show dev {0}", at.at.device),
            "mends nothing: shows whether the device itself counts errors, or something set drops at random",
        )],
        instances: vec![instance.to_owned()],
    };
    let seen_at = before.map(|hop| hop.at.clone());
    Some(Ranked { rank, reach: Reach::Device, is_foreseen: false, seen_at, finding })
}

/// Takes back what asking once or twice for a name tells, where what it asked for crosses such a stretch: the question
/// is lost there, or its answer, as others are.
pub(crate) fn take_back_echoes(findings: &mut Vec<Ranked>, rungs: &[Rung]) {
    let losses: Vec<Place> = findings
        .iter()
        .filter(|known| known.finding.code == "random-loss")
        .map(|known| known.finding.hop.clone())
        .collect();
    let is_asked_behind = |rung: &&Rung| matches!(rung.purpose, Purpose::Upstream(_) | Purpose::Reverse(_));
    let mut hops =
        rungs.iter().filter(is_asked_behind).flat_map(|rung| &rung.answer.paths).flat_map(|path| &path.hops);
    if hops.any(|hop| losses.iter().any(|at| at.same_device(&hop.at))) {
        findings
            .retain(|known| known.finding.code != "dns-lookup-fails" || known.finding.owner == "operator");
    }
}

fn stretch(before: Option<&Hop>, at: &Hop) -> String {
    match before {
        Some(hop) if !hop.at.same_device(&at.at) => format!("between {} and {}", hop.at, at.at),
        Some(_) => format!("at {} or beyond", at.at),
        None => format!("before {}", at.at),
    }
}

fn cause(asking: &Asking, stretch: &str) -> String {
    if let Some((seen, met)) = proved::traced_drop(asking.case.rules, asking.rung.to) {
        return format!(
            "the kernel of {} traced one of our own packets to `{}`, which dropped it",
            seen.machine, met.rule.text
        );
    }
    match asking.rung.undecided() {
        Some((why, _)) => {
            format!("{stretch} something drops by chance or by count; the walk cannot tell of {why}")
        }
        None => format!(
            "{stretch} something drops by chance or by count, and everything that was read would let all of them pass: \
             a cable, a transceiver, a switch, an overloaded device"
        ),
    }
}

/// What the device has counted itself, where it counted any.
fn errors(asking: &Asking, at: &Hop) -> Option<Evidence> {
    let mut read = asking.case.snapshot.netns.iter();
    let ns = read.find(|ns| (&ns.machine, &ns.name) == (&at.at.host, &at.at.netns))?;
    let stats = ns.link_named(&at.at.device)?.stats?;
    let all = [stats.rx_errors, stats.tx_errors, stats.rx_dropped, stats.tx_dropped];
    let text = format!("RX errors {} dropped {}, TX errors {} dropped {}", all[0], all[2], all[1], all[3]);
    let source = evidence::within(ns, &format!("ip -s link show dev {}", at.at.device));
    all.iter().any(|count| *count > 0).then(|| evidence::record(EvidenceKind::Counter, source, text))
}

#[cfg(test)]
mod tests {
    use model::finding::{Confidence, Outcome};
    use model::netfilter::{Because, Match, Test};
    use model::path::Direction;
    use model::probe::{DeviceWatch, PING_OCTETS, ProbeResult};

    use crate::fixture::{Cloud, broken, codes, drops, forwards_by, healthy, inject, lacks, pinged, to};

    fn many(received: u32) -> ProbeResult {
        ProbeResult { sent: 22, ..pinged("web1", PING_OCTETS, received) }
    }

    #[test]
    fn fires_at_the_device_to_which_fewer_come() {
        let found = broken("random-loss").diagnose("web1");
        assert_eq!(codes(&found), ["random-loss gw//eth0"]);
        let finding = &found.findings[0];
        assert_eq!(finding.confidence, Confidence::Likely);
        assert!(
            finding.summary.contains("between compute1//eth0 and gw//eth0 and others pass: 13 of 22"),
            "{}",
            finding.summary
        );
        assert!(finding.evidence.iter().any(|line| line.text.contains("of 22 echo requests 13 were seen")));
    }

    /// A rule of the router's that drops by chance.
    fn with_rule(text: &str, matches: Vec<Match>) -> Cloud {
        let mut cloud = healthy();
        forwards_by(&mut cloud, "gw", drops(text, matches));
        cloud
    }

    fn by_chance(text: &str) -> Match {
        Match { negated: false, test: Test::Unpredictable(text.to_owned(), Because::Chance) }
    }

    #[test]
    fn fires_unasked_on_a_rule_that_drops_a_share() {
        let chance = "-m statistic --mode nth --every 4";
        let text = "-A FORWARD -d 1.2.3.4/32 -m statistic --mode nth --every 4 -j DROP";
        let found = with_rule(text, vec![to("1.2.3.4/32"), by_chance(chance)]).diagnose("web1");
        assert_eq!(codes(&found), ["random-loss gw//eth0"]);
        let finding = &found.findings[0];
        assert_eq!((finding.confidence, finding.direction), (Confidence::Proven, Direction::Request));
        assert!(finding.summary.ends_with("drops 25.0 % of them"), "{}", finding.summary);
        assert!(finding.remedy[0].command.ends_with("--every 4 -j DROP"), "{:?}", finding.remedy);
        let gaps = &found.coverage.gaps;
        assert!(gaps.iter().all(|gap| !gap.why.contains("statistic")), "{gaps:?}");
    }

    #[test]
    fn stays_undecided_where_it_may_drop_nothing_of_ours() {
        let never = vec![by_chance("-m statistic --mode random --probability 0.0")];
        let hashed = vec![by_chance("jhash ip saddr mod 4 0")];
        let unknown = Match { negated: false, test: Test::Unmodelled("-m geoip".to_owned()) };
        let perhaps = vec![by_chance("numgen random mod 2 0"), unknown];
        for matches in [never, hashed, perhaps] {
            let found = with_rule("a rule", matches).diagnose("web1");
            assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Undetermined));
        }
        let elsewhere = vec![to("192.0.2.77/32"), by_chance("numgen random mod 2 0")];
        let found = with_rule("a rule", elsewhere).diagnose("web1");
        assert_eq!((codes(&found), found.outcome), (Vec::new(), Outcome::Healthy));
    }

    #[test]
    fn a_silence_on_the_same_stretch_is_no_second_fault() {
        let mut cloud = broken("random-loss");
        let inbound = ProbeResult {
            from: "external".to_owned(),
            to: "203.0.113.30".parse().unwrap(),
            ..pinged("web1", PING_OCTETS, 0)
        };
        cloud.probes.push(inbound);
        let found = cloud.diagnose("web1");
        assert_eq!(found.findings[0].code, "random-loss", "{:?}", codes(&found));
    }

    #[test]
    fn one_loss_or_a_late_answer_is_no_fault() {
        let mut cloud = broken("random-loss");
        cloud.probes = vec![many(21)];
        assert_eq!(codes(&cloud.diagnose("web1")), [""; 0], "one is lost");
        // All of them came back to the instance, some of them too late to be counted.
        let mut cloud = broken("random-loss");
        for watch in &mut cloud.watches {
            watch.probes[0].requests = 22;
            watch.probes[0].replies = 22;
        }
        let inside = DeviceWatch { machine: "web1".to_owned(), ..cloud.watches[1].clone() };
        cloud.watches.push(inside);
        let found = cloud.diagnose("web1");
        assert!(lacks(&found, "random-loss"), "{:?}", codes(&found));
        let few = [pinged("web1", PING_OCTETS, 1)];
        let found = healthy().diagnose_with("web1", &few);
        assert_eq!((codes(&found).len(), found.outcome), (0, Outcome::Healthy), "too few to tell");
    }

    #[test]
    fn what_another_fault_explains_is_not_told_twice() {
        let mut cloud = broken("random-loss");
        inject(&mut cloud, "ip-forward-0");
        assert!(lacks(&cloud.diagnose("web1"), "random-loss"));
    }

    #[test]
    fn without_any_watch_the_hop_is_a_guess() {
        let found = healthy().diagnose_with("web1", &[many(13)]);
        assert_eq!(found.findings[0].code, "random-loss");
        assert_eq!(found.findings[0].confidence, Confidence::Possible);
    }
}
