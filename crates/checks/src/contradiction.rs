//! What was predicted and what came of the real question disagree.

use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::path::{Direction, Exchange, Path, Place, Stage};
use model::probe::{Asked, MetRule, ProbeResult, RulesSeen};
use model::snapshot::Gap;

use crate::catalogue::general::dropped_by_unmodelled;
use crate::diagnose::{Case, probe_of, start_of};
use crate::dropped::Telling;
use crate::explained::Lost;
use crate::ladder::Rung;
use crate::neighbours::{self, Neighbour};
use crate::ranking::{Rank, Ranked};
use crate::{
    dropped, explained, greeting, near_only, next, nova, owner, proved, refused, removal, said, traced,
    unheld, watched,
};

/// A question that was really asked, and what came of it.
#[derive(Clone, Copy)]
pub(crate) struct Asking<'a> {
    pub(crate) case: &'a Case<'a>,
    pub(crate) rung: &'a Rung,
    /// The name of the instance that it is about.
    pub(crate) instance: &'a str,
    pub(crate) probe: &'a ProbeResult,
    /// All questions of the ladder.
    pub(crate) rungs: &'a [Rung],
    /// Those of them, and of the steps between, that were answered.
    pub(crate) answered: &'a [Rung],
    /// The questions for neighbours on which they depend.
    pub(crate) neighbours: &'a [Neighbour],
}

/// Prediction and probe disagree: predicted to be answered and was not, which is a finding by
/// itself; or predicted to die and was answered, which takes the prediction back.
pub(crate) fn found(asking: &Asking, findings: &mut Vec<Ranked>, gaps: &mut Vec<Gap>) -> Option<Finding> {
    let Asking { case, rung, instance, probe, answered, .. } = *asking;
    let exchange = probe.asked.exchange();
    let open = rung.answer.answered || rung.undecided().is_some();
    if open && (probe.received == 0 || probe.is_refused()) {
        // What the walk cannot tell, or tells otherwise, the kernel's trace of our packet does.
        let traced = proved::traced_drop(case.rules, rung.to).filter(|_| exchange == Exchange::Icmp);
        if let Some((seen, met)) = traced {
            let traced = traced_to(case, seen, met, (rung, instance, probe));
            let is_told = findings.iter().any(|known| known.finding.cause == traced.cause);
            return Some(traced).filter(|_| !is_told);
        }
        let parted = watched::parted(case, rung);
        let telling = dropped::telling(case, rung, probe).filter(|_| probe.received == 0);
        let exact = telling.as_ref().filter(|told| told.is_on_way && told.drop.exchange != Exchange::Arp);
        let dropped = exact.map(|telling| &telling.at);
        if explained::is_by(findings, asking, Lost { parted: parted.as_ref(), dropped }) {
            return None;
        }
        // What the walk can tell matters no more where the kernel has told; of a copy beside the way it has not, nor
        // where devices have seen the packet go by.
        let is_seen = parted.as_ref().is_some_and(|parted| parted.before.is_some());
        let is_telling = |telling: &Telling| telling.is_on_way || (rung.answer.answered && !is_seen);
        if let Some(telling) = telling.filter(is_telling) {
            return dropped_by_unmodelled::found(asking, &telling, findings);
        }
        if !rung.answer.answered {
            return None;
        }
        if probe.is_refused() {
            return refused::finding(asking);
        }
        if let Some(unheld) = unheld::of(asking) {
            let asker = case.intent.instances.get(rung.instance);
            return unheld.finding(case, (asker, Some(probe)), findings);
        }
        // Who does not learn whom to send to sends nothing.
        if let Some(lost) = neighbours::first_lost(asking).filter(|_| !is_seen) {
            return Some(neighbours::finding(case, &lost, (instance, probe)));
        }
        if let Some(unasked) = unheld::unasked(asking) {
            return Some(unasked);
        }
        if let Some(parted) = parted {
            if let Some(near_only) = near_only::of(asking, &parted) {
                return near_only.finding(asking, &parted, findings);
            }
            return Some(watched::finding(case, &parted, (rung, instance, probe)));
        }
        if probe.recorded.is_some() {
            // Of what somebody else sent only the captures know, and none of them tells.
            return None;
        }
        let others: Vec<&Rung> = answered.iter().collect();
        let parted = next::uncleared(rung, &others);
        let last = rung.answer.paths.iter().filter_map(|p| p.hops.last().map(|hop| &hop.at)).next_back();
        let hop = parted.or(last).map_or_else(|| start_of(rung), Clone::clone);
        return Some(Finding {
            code: "lost-at-hop".to_owned(),
            hop,
            direction: Direction::Both,
            exchange,
            summary: format!(
                "{} gets no answer {}, though everything that was read would let it pass",
                probe.from,
                said::answer_from(probe)
            ),
            cause: "something on the way that hopline does not read or model drops it".to_owned(),
            confidence: if parted.is_some() { Confidence::Likely } else { Confidence::Possible },
            evidence: std::iter::once(said::evidence(probe))
                .chain(shorter(case, rung, answered))
                .chain(dropped::of(case, rung, probe))
                .chain(traced::evidence(case, rung))
                .collect(),
            owner: "unknown".to_owned(),
            remedy: Vec::new(),
            instances: vec![instance.to_owned()],
        });
    }
    if open {
        gaps.extend(greeting::late(asking));
        if let Some(mute) = greeting::finding(asking, findings) {
            return Some(mute);
        }
    }
    let dies = rung.answer.paths.iter().any(|p| p.stop().is_some());
    if dies && probe.is_telling() && is_from_whom_it_was_meant(case, rung, probe) {
        let nth = asking.rungs.iter().position(|other| std::ptr::eq(other, rung));
        // What another question has lost for real stays.
        let is_lost = |other: &Rung| {
            probe_of(case, other)
                .is_some_and(|probe| probe.received == 0 && probe.asked.exchange() == exchange)
        };
        let is_lost_elsewhere = asking.rungs.iter().any(is_lost);
        findings.retain(|Ranked { rank, is_foreseen, finding: f, .. }| {
            let is_of_it = nth.is_some_and(|nth| *rank == Rank::Rung(nth))
                || (*is_foreseen && !is_lost_elsewhere && f.instances.contains(&probe.from));
            f.exchange != exchange || f.confidence == Confidence::Proven || !is_of_it
        });
        gaps.push(Gap {
            what: format!("why {} reaches {}", probe.from, probe.to),
            why: format!("the walk says that it dies, and yet {}", said::text(probe)),
            would_need: "a capture at each hop of the path".to_owned(),
        });
    }
    None
}

/// Whom the question was meant for has answered: of DHCP, where anybody may, the network's own server.
fn is_from_whom_it_was_meant(case: &Case, rung: &Rung, probe: &ProbeResult) -> bool {
    let Asked::Address { offers, .. } = &probe.asked else {
        return probe.received > 0 && !probe.is_refused();
    };
    let instance = case.intent.instances.get(rung.instance);
    let networks = || {
        let vifs = instance.into_iter().flat_map(|i| &i.vifs);
        vifs.filter_map(|vif| case.intent.networks.get(vif.network?))
    };
    let meant = |server| {
        instance.is_some_and(|i| networks().any(|network| network.gateway_on(&i.host) == Some(server)))
    };
    offers.iter().any(|heard| meant(heard.reply.server.unwrap_or(heard.from)))
}

/// The walk would let it pass, or could not tell, and the kernel's own trace shows the rule at which it
/// died.
fn traced_to(
    case: &Case,
    seen: &RulesSeen,
    met: &MetRule,
    (rung, instance, probe): (&Rung, &str, &ProbeResult),
) -> Finding {
    let rule = &met.rule;
    let direction = match met.ends {
        Some((from, _)) if from == rung.to => Direction::Reply,
        Some((_, to)) if to == rung.to => Direction::Request,
        Some(_) | None => Direction::Both,
    };
    let is_there = |path: &&Path| direction == Direction::Both || path.direction == direction;
    let at_seen = |hop: &&model::path::Hop| hop.at.host == seen.machine && hop.at.netns == seen.netns;
    let hops = || rung.answer.paths.iter().filter(is_there).flat_map(|path| &path.hops).filter(at_seen);
    // Where the walk meets rules, rather than where it enters the machine.
    let met_at = hops().find(|hop| hop.at.stage == Stage::Filter).or_else(|| hops().next());
    let hop = met_at.map_or_else(|| start_of(rung), |hop| hop.at.clone());
    let what = match direction {
        Direction::Reply => format!("what {} answers {}", probe.to, probe.from),
        Direction::Request | Direction::Both => format!("what {} sends to {}", probe.from, probe.to),
    };
    let named = if rule.number == 0 {
        format!("the policy of {}", rule.chain())
    } else {
        format!("rule {} of {}", rule.number, rule.chain_path())
    };
    let source = format!("nftrace of our own pings on {}", seen.machine);
    let ns = case.snapshot.netns.iter().find(|ns| (&ns.machine, &ns.name) == (&seen.machine, &seen.netns));
    Finding {
        code: "lost-at-hop".to_owned(),
        hop: Place { stage: Stage::Filter, ..hop },
        direction,
        exchange: Exchange::Icmp,
        summary: format!("{what} dies on {}: {named} in {} {}", seen.machine, rule.family.name(), rule.table),
        cause: format!("the kernel traced our own packet to `{}`, which dropped it", rule.text),
        confidence: Confidence::Proven,
        evidence: vec![
            Evidence { kind: EvidenceKind::Rule, source: rule.shown_by(), text: rule.text.clone() },
            Evidence { kind: EvidenceKind::Rule, source, text: format!("it said {}", met.verdict) },
            said::evidence(probe),
        ],
        owner: ns.map_or("unknown", |ns| owner::of(ns, rule).name()).to_owned(),
        remedy: ns.filter(|_| !nova::wrote(rule)).map(|ns| removal::of(ns, rule)).into_iter().collect(),
        instances: vec![instance.to_owned()],
    }
}

/// The shorter questions towards the same end that were answered: the loss is before them.
fn shorter(case: &Case, silent: &Rung, answered: &[Rung]) -> Vec<Evidence> {
    let towards = answered.iter().filter(|rung| rung.to == silent.to && rung.from != silent.from);
    towards.filter_map(|rung| probe_of(case, rung)).map(said::evidence).collect()
}

#[cfg(test)]
mod tests {
    use model::finding::Outcome;
    use model::probe::{Asked, PING_OCTETS, ProbeResult};

    use crate::fixture::{broken, codes, healthy, looked_up, pinged};

    /// A SYN to the metadata service and a reset.
    fn refused(accepted: bool) -> ProbeResult {
        let metadata = [169, 254, 169, 254].into();
        let asked = Asked::Connection { port: 80, accepted, page: None, greeting: None };
        ProbeResult { asked, sent: 1, received: 1, ..looked_up("web1", metadata, None) }
    }

    #[test]
    fn a_connection_that_is_refused_is_no_answer_of_the_service() {
        let found = healthy().diagnose_with("web1", &[refused(false)]);
        assert_eq!((codes(&found).len(), found.outcome), (1, Outcome::Fault), "{:?}", codes(&found));
        assert!(
            found.findings[0].summary.contains("is refused by 169.254.169.254:80"),
            "{:?}",
            found.findings
        );
        assert_eq!(codes(&healthy().diagnose_with("web1", &[refused(true)])), [""; 0]);
        // Where the walk says so too, it agrees.
        let found = broken("metadata-service-down").diagnose_with("web1", &[refused(false)]);
        assert_eq!(codes(&found), ["metadata-service-down compute1//br100"]);
        assert!(found.coverage.gaps.is_empty(), "{:?}", found.coverage.gaps);
    }

    #[test]
    fn a_silence_that_a_fault_explains_is_no_second_fault() {
        let mut cloud = broken("ip-forward-0");
        let elsewhere = [1, 2, 3, 4].into();
        let file = "/etc/netns/lab-web1/resolv.conf".to_owned();
        let servers = vec![std::net::IpAddr::V4(elsewhere)];
        cloud.netns("web1").resolver =
            Some(model::service::ResolvConf { file, servers, ..Default::default() });
        let found = codes(&cloud.diagnose_with("web1", &[looked_up("web1", elsewhere, None)]));
        assert_eq!(found, ["ip-forward-0 compute1//br100"]);
    }

    #[test]
    fn an_answer_that_was_not_foreseen_takes_back_nothing_of_what_another_lost() {
        let mut cloud = broken("default-route-wrong-gw");
        cloud.sysctl("compute1", "ipv4.conf.br100.arp_ignore", "8");
        cloud.netns("web1").neighbours.clear();
        let outside = pinged("web1", PING_OCTETS, 0);
        // The gateway's own question to web1 has told web1 its address meanwhile.
        let to_gateway = ProbeResult { to: [10, 0, 0, 42].into(), received: 2, ..outside.clone() };
        let mut found = codes(&cloud.diagnose_with("web1", &[to_gateway, outside]));
        found.sort();
        assert_eq!(found, ["arp-ignore compute1//br100", "default-route-wrong-gw compute1//eth0"]);
    }
}
