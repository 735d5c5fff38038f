//! Rules that drop by chance or by count: of the packets that come to them some die, and that much is certain.
//!
//! The walk cannot tell what becomes of one packet there. It can tell that one of which the condition of chance holds
//! dies at just that rule, and nowhere before: that is asked in facts in which it always holds.

use std::collections::BTreeSet;

use model::Netns;
use model::finding::Confidence;
use model::netfilter::{Action, Because, NfRule, Test};
use model::path::{Direction, Disposition, Exchange, Hop, RuleRef, Stop};

use crate::found::{Fault, Found};
use crate::ladder::{self, Rung};
use crate::mend::Mend;
use crate::view::{Order, View};
use crate::{evidence, owner, removal, rules, share};

/// A rule at which some of a question's packets die.
struct Lossy<'v> {
    ns: &'v Netns,
    hop: Hop,
    rule: RuleRef,
    /// Of those that come to it, more than 0 and 1 at most.
    share: f64,
    /// Which walk of the ladder met it.
    order: Order,
    exchange: Exchange,
    direction: Direction,
}

/// Every such rule, once, with the instances that it hits.
pub(crate) fn found(view: &View, code: &'static str) -> Vec<Found> {
    let mut found: Vec<(Hop, Found)> = Vec::new();
    for (nth, rung) in view.rungs.iter().enumerate() {
        let Some((order, hop, why)) = undecided(nth, rung) else { continue };
        if let Some((_, known)) = found.iter_mut().find(|(at, _)| at.at.same_device(&hop.at)) {
            known.finding.instances.extend(name_of(view, rung));
            continue;
        }
        found.extend(
            lossy(view, rung, order, (hop, why)).map(|lossy| (hop.clone(), told(view, code, rung, lossy))),
        );
    }
    for (_, known) in &mut found {
        let names: BTreeSet<String> = known.finding.instances.drain(..).collect();
        known.finding.instances.extend(names);
    }
    found.into_iter().map(|(_, found)| found).collect()
}

/// Where the walk of a question could not tell, and why.
fn undecided(nth: usize, rung: &Rung) -> Option<(Order, &Hop, &str)> {
    rung.answer.paths.iter().enumerate().find_map(|(at, path)| match &path.disposition {
        Disposition::Unknown { why, .. } => {
            Some(((nth, at, path.hops.len()), path.hops.last()?, why.as_str()))
        }
        Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => None,
    })
}

fn lossy<'v>(view: &View<'v>, rung: &Rung, order: Order, (hop, why): (&Hop, &str)) -> Option<Lossy<'v>> {
    let ns = view.netns_at(&hop.at)?;
    let tables = ns.ruleset.tables.iter().enumerate();
    let chains =
        tables.flat_map(|(table, it)| it.chains.iter().enumerate().map(move |(at, it)| (table, at, it)));
    let rules = chains.flat_map(|(table, chain, it)| {
        it.rules.iter().enumerate().map(move |(at, rule)| ((table, chain, at), rule))
    });
    let mut candidates = rules.filter_map(|(at, rule)| Some((at, rule, drops_by_chance(rule)?)));
    candidates.find_map(|(at, rule, (text, share))| {
        let dies = why.contains(text).then(|| always(view, rung, ns, at)).flatten()?;
        let path = dies.answer.paths.into_iter().find(|path| path.stop().is_some())?;
        let (hop, stop) = path.stop()?;
        let met = match stop {
            Stop::Rule(met) if rules::find(ns, met).is_some_and(|found| std::ptr::eq(found, rule)) => met,
            _ => return None,
        };
        let (hop, rule) = (hop.clone(), met.clone());
        Some(Lossy { ns, hop, rule, share, order, exchange: path.exchange, direction: path.direction })
    })
}

/// It drops, or refuses, some of what is like it: the text of its one condition of chance, and the share.
fn drops_by_chance(rule: &NfRule) -> Option<(&str, f64)> {
    if !matches!(rule.action, Action::Drop | Action::Reject(_)) {
        return None;
    }
    let mut of_chance = rule.matches.iter().filter_map(|condition| match &condition.test {
        Test::Unpredictable(text, Because::Chance) if !condition.negated => Some(text.as_str()),
        _ => None,
    });
    let (text, None) = (of_chance.next()?, of_chance.next()) else { return None };
    share::of(text).filter(|share| *share > 0.0).map(|share| (text, share))
}

/// The same question where the condition of chance of this rule always holds.
fn always(view: &View, rung: &Rung, ns: &Netns, (table, chain, rule): (usize, usize, usize)) -> Option<Rung> {
    let mut snapshot = view.snapshot().clone();
    let mut read = snapshot.netns.iter_mut();
    let ns = read.find(|known| (&known.machine, &known.name) == (&ns.machine, &ns.name))?;
    let rule = ns.ruleset.tables.get_mut(table)?.chains.get_mut(chain)?.rules.get_mut(rule)?;
    rule.matches.retain(|condition| !matches!(condition.test, Test::Unpredictable(_, Because::Chance)));
    ladder::again_in(view, rung, &snapshot)
}

fn name_of(view: &View, rung: &Rung) -> Option<String> {
    view.intent().instances.get(rung.instance).map(|instance| instance.name.clone())
}

fn told(view: &View, code: &'static str, rung: &Rung, lossy: Lossy) -> Found {
    let Lossy { ns, hop, rule, share, order, exchange, direction } = lossy;
    let owner = owner::of(ns, &rule);
    let fault = Fault {
        code,
        hop: hop.at.clone(),
        summary: format!(
            "some of what {} sends to {}, or of the answers, die on {}: a rule drops {:.1} % of them",
            rung.from,
            rung.to,
            hop.at.host,
            share * 100.0
        ),
        cause: format!("`{}` matches by chance or by count, {}", rule.text, owner.wrote()),
        confidence: Confidence::Proven,
        evidence: evidence::rule(ns, &rule),
        owner: owner.name(),
        remedy: vec![removal::of(ns, &rule)],
        instances: name_of(view, rung).into_iter().collect(),
        stopped: None,
        mend: vec![Mend::RemoveRule { machine: hop.at.host.clone(), rule }],
    };
    fault.found().breaks(exchange, direction).met_at(Some(order))
}
