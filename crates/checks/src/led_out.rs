//! Questions for a host of the site that a rule leads out of it. Who is there may answer them, and a walk cannot tell.

use std::cell::LazyCell;

use model::Netns;
use model::finding::Confidence;
use model::path::{Direction, Disposition, Exchange, RuleRef, Stage};
use model::probe::ProbeResult;
use model::snapshot::Gap;
use sim::World;

use crate::catalogue::firewall::foreign_rule_bends;
use crate::diagnose::{Case, probe_of};
use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::ladder::{self, Rung};
use crate::mend::Mend;
use crate::view::View;
use crate::{owner, removal, rules, said};

/// Looks for such questions that nobody answered, and for the rule without which a host of the site would have heard
/// them: one finding a rule.
pub(crate) fn unanswered(view: &View) -> Vec<Found> {
    let mut found: Vec<(RuleRef, Found)> = Vec::new();
    let world = LazyCell::new(|| World::new(view.snapshot(), view.intent()));
    for (nth, rung) in view.rungs.iter().enumerate().filter(|(_, rung)| is_out(rung)) {
        let Some(probe) = view.silent(rung) else { continue };
        // Which rules had a part in a walk is told only while it is walked.
        if ladder::again_by(&world, rung).is_none() {
            continue;
        }
        for (ns, rule) in foreign_rule_bends::met(view, &world, rung) {
            let mend = Mend::RemoveRule { machine: ns.machine.clone(), rule: rule.clone() };
            let heard = || ladder::again_with(view, rung, &mend).and_then(|again| again.answer.received_by);
            let Some(by) = heard() else { continue };
            if let Some((_, known)) = found.iter_mut().find(|(known, _)| rules::is_same(known, &rule)) {
                let name = view.intent().instances.get(rung.instance).map(|instance| &instance.name);
                let hit = &mut known.finding.instances;
                hit.extend(name.filter(|name| !hit.contains(name)).cloned());
                continue;
            }
            let mut led = finding(view, (ns, &rule), (rung, probe), &by);
            led.order = Some((nth, 0, 0));
            led.finding.exchange = exchange(rung);
            led.finding.direction = Direction::Request;
            found.push((rule, led));
        }
    }
    found.into_iter().map(|(_, found)| found).collect()
}

/// Such questions that nobody asked for real: whether they are answered is not known.
pub(crate) fn doubts(case: &Case, rungs: &[Rung]) -> Vec<Gap> {
    let is_carried = |rung: &&Rung| {
        let mut hosts = case.snapshot.netns.iter().filter(|ns| !ns.instance);
        hosts.any(|ns| ns.addresses.iter().any(|own| own.net.addr() == rung.to))
    };
    let led = rungs.iter().filter(|rung| is_out(rung)).filter(is_carried);
    let unasked = led.filter(|rung| probe_of(case, rung).is_none());
    let gap = |rung: &Rung| Gap {
        what: format!("whether what {} asks {} is answered", rung.from, rung.to),
        why: format!("a rule leads it out of the site: {}", last_seen(rung)),
        would_need: "the same without --passive, which asks".to_owned(),
    };
    unasked.map(gap).collect()
}

fn is_out(rung: &Rung) -> bool {
    let mut asked = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    asked.any(|path| path.exchange != Exchange::Arp && path.disposition == Disposition::LeftSite)
}

fn exchange(rung: &Rung) -> Exchange {
    let mut paths = rung.answer.paths.iter().map(|path| path.exchange);
    paths.find(|exchange| *exchange != Exchange::Arp).unwrap_or(Exchange::None)
}

/// The question as it leaves.
fn last_seen(rung: &Rung) -> &str {
    let mut left = rung.answer.paths.iter().filter(|path| path.disposition == Disposition::LeftSite);
    left.find_map(|path| path.hops.last()).map_or("", |hop| &hop.packet)
}

fn finding(
    view: &View,
    (ns, rule): (&Netns, &RuleRef),
    (rung, probe): (&Rung, &ProbeResult),
    heard_by: &str,
) -> Found {
    let owner = owner::of(ns, rule);
    let instance = view.intent().instances.get(rung.instance);
    let fault = Fault {
        code: "foreign-rule-bends",
        hop: at(ns, view.inner_link(ns), Stage::Nat),
        summary: format!(
            "what {} sends to {} is led out of the site on {}, and nobody answers: {}, which nova did not write",
            rung.from,
            rung.to,
            ns.machine,
            rules::named(rule),
        ),
        cause: format!("without `{}`, {}, {heard_by} would hear it", rule.text, owner.wrote()),
        // Who is led to may be silent for reasons of his own.
        confidence: Confidence::Likely,
        evidence: evidence::rule(ns, rule).into_iter().chain([said::evidence(probe)]).collect(),
        owner: owner.name(),
        remedy: vec![removal::of(ns, rule)],
        instances: instance.map(|instance| instance.name.clone()).into_iter().collect(),
        stopped: None,
        mend: vec![Mend::RemoveRule { machine: ns.machine.clone(), rule: rule.clone() }],
    };
    fault.found()
}

#[cfg(test)]
mod tests {
    use model::finding::Outcome;
    use model::netfilter::{Action, NatTarget, NfRule};
    use model::probe::ProbeResult;

    use crate::fixture::{Cloud, codes, drops, healthy, looked_up, udp_by};

    const GATEWAY: [u8; 4] = [10, 0, 0, 42];

    /// The compute host alone, with a rule that leads questions for names to somebody outside.
    fn led() -> Cloud {
        let mut cloud = healthy();
        cloud.leave_only(&["compute1"]);
        let target = [198, 51, 100, 77].into();
        let text = "-A PREROUTING -i br100 -p udp -m udp --dport 53 -j DNAT --to-destination 198.51.100.77";
        let to = NatTarget { addresses: Some((target, target)), ..NatTarget::default() };
        let rule = NfRule { action: Action::Dnat(to), ..drops(text, udp_by("br100")) };
        cloud.chain("compute1", "nat", "PREROUTING").rules.insert(0, rule);
        cloud
    }

    fn asked(received: u32) -> ProbeResult {
        ProbeResult { sent: 2, received, ..looked_up("web1", GATEWAY.into(), None) }
    }

    #[test]
    fn fires_where_nobody_answers_who_is_asked_in_a_hosts_place() {
        let found = led().diagnose_with("web1", &[asked(0)]);
        assert_eq!(codes(&found), ["foreign-rule-bends compute1//br100"]);
        let remedy = &found.findings[0].remedy[0];
        assert!(remedy.command.contains("-t nat -D PREROUTING -i br100 -p udp"), "{remedy:?}");
    }

    #[test]
    fn is_told_once_for_all_whom_it_hits() {
        let mut cloud = led();
        cloud.probes = vec![asked(0), ProbeResult { from: "web2".to_owned(), ..asked(0) }];
        let found = cloud.diagnose_all();
        assert_eq!(codes(&found), ["foreign-rule-bends compute1//br100"]);
        assert_eq!(found.findings[0].instances, ["web1", "web2"]);
    }

    #[test]
    fn stays_silent_where_somebody_answers_and_is_no_health_where_nobody_asked() {
        let answered = model::dns::Rcode::NoError;
        let told = looked_up("web1", GATEWAY.into(), Some(answered));
        assert_eq!(codes(&led().diagnose_with("web1", &[told])), [""; 0]);
        let passive = led().diagnose("web1");
        assert_eq!((codes(&passive), passive.outcome), (Vec::new(), Outcome::Undetermined));
        let why = "a rule leads it out of the site";
        assert!(passive.coverage.gaps.iter().any(|gap| gap.why.starts_with(why)), "{passive:#?}");
    }
}
