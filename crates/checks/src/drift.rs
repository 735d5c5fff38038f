//! How nova's chains on a host differ from what the intent calls for, rule by rule.
//!
//! What the intent does not tell is not judged: then whatever nova may have written is right. Neither
//! are counters, the order between nova's processes, and what some version of nova leaves out.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use model::Netns;
use model::intent::Intent;
use model::netfilter::{Dialect, NfRule};
use model::path::RuleRef;
use model::snapshot::Host;

use crate::mend::Mend;
use crate::nova::line::Line;
use crate::nova::plan::{self, Here, Others, Plan, Process, Wanted};
use crate::view::View;

/// How one chain differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Drift {
    /// Back end whose table it is.
    pub(crate) dialect: Dialect,
    /// Table.
    pub(crate) table: &'static str,
    /// Chain.
    pub(crate) chain: String,
    /// What differs; never empty.
    pub(crate) lines: Vec<DriftLine>,
    /// The chain's rules as they would be after the process has written its own again.
    pub(crate) repaired: Vec<NfRule>,
}

/// One rule that differs.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct DriftLine {
    /// The process whose next write, or restart, puts it right.
    pub(crate) process: Process,
    /// How it differs.
    pub(crate) kind: DriftKind,
    /// The rule as `iptables-save` prints it, or would.
    pub(crate) text: String,
    /// The instance that it concerns, by its place in the intent; `None` for the whole host.
    pub(crate) instance: Option<usize>,
}

/// How a rule differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum DriftKind {
    /// It is called for, and not there.
    Missing,
    /// It is there, and nova would not write it.
    Extra,
    /// It stands behind rules that nova writes behind it, or before such as belong before it.
    Moved,
}

impl DriftKind {
    /// In one word.
    pub(crate) fn name(self) -> &'static str {
        match self {
            DriftKind::Missing => "missing",
            DriftKind::Extra => "extra",
            DriftKind::Moved => "out of order",
        }
    }
}

impl Drift {
    /// The model's share of a restart of the process.
    pub(crate) fn mend(&self, ns: &Netns) -> Mend {
        Mend::RewriteChain {
            machine: ns.machine.clone(),
            dialect: self.dialect,
            table: self.table.to_owned(),
            chain: self.chain.clone(),
            rules: self.repaired.clone(),
        }
    }
}

/// The drift of every chain of nova-network and nova-compute on a host, and of the chains that call
/// them. Empty where neither has a chain.
pub(crate) fn of(host: &Host, ns: &Netns, intent: &Intent) -> Vec<Drift> {
    let Some(here) = Here::of(host, ns, intent) else { return Vec::new() };
    // Of a chain that nft alone lists what it has no words for is not known.
    let is_told = |plan: &&Plan| here.rules(plan.table, &plan.chain).iter().all(is_in_its_words);
    let drift = |plan: &Plan| {
        let drift = compare(&here, plan);
        (!drift.lines.is_empty()).then_some(drift)
    };
    plan::plans(&here).iter().filter(is_told).filter_map(drift).collect()
}

/// As iptables-save prints it; or the model took it out, or put it in.
fn is_in_its_words(rule: &NfRule) -> bool {
    rule.text.is_empty() || rule.text.starts_with("-A ")
}

/// What mends a chain of nova's that differs, once its process has written it again.
pub(crate) fn rewritten(view: &View, ns: &Netns, chain: &str) -> Vec<Mend> {
    let host = view.snapshot().host(&ns.machine);
    let drifts = host.map(|host| of(host, ns, view.intent())).unwrap_or_default();
    drifts.iter().filter(|drift| drift.chain == chain).map(|drift| drift.mend(ns)).collect()
}

/// What mends a policy that drops for want of nova-network's accepts: a restart writes them again, where what is meant
/// tells which; that something else passes too is what the open policy is for.
pub(crate) fn opened(view: &View, ns: &Netns, chain: &str, policy: &RuleRef) -> Vec<Mend> {
    let policy = Mend::AcceptPolicy { machine: ns.machine.clone(), rule: policy.clone() };
    rewritten(view, ns, chain).into_iter().chain([policy]).collect()
}

/// A rule that is there, once it is told what it is.
struct Found<'r> {
    rule: &'r NfRule,
    place: Place,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    /// One of nova's, with its rank and, where one is called for, which of the wanted.
    Ours {
        rank: u8,
        wanted: Option<usize>,
    },
    Extra,
    /// Somebody else's in a chain that is everybody's.
    Others,
}

impl Place {
    fn wanted(self) -> Option<usize> {
        match self {
            Place::Ours { wanted, .. } => wanted,
            Place::Extra | Place::Others => None,
        }
    }
}

fn compare(here: &Here, plan: &Plan) -> Drift {
    let rules = here.rules(plan.table, &plan.chain);
    let found = recognise(plan, rules);
    let met: BTreeSet<usize> = found.iter().filter_map(|f| f.place.wanted()).collect();
    let lost = |(at, wanted): &(usize, &Wanted)| wanted.must && !met.contains(at);
    let missing: Vec<&Wanted> =
        plan.wanted.iter().enumerate().filter(lost).map(|(_, wanted)| wanted).collect();
    let mut lines = Vec::new();
    if plan.stray {
        let text = format!(":{} - [0:0]", plan.chain);
        lines.push(DriftLine { process: plan.process, kind: DriftKind::Extra, text, instance: None });
    }
    lines.extend(missing.iter().filter_map(|wanted| {
        let text = wanted.lines.first()?.text(&plan.chain);
        Some(DriftLine { process: wanted.process, kind: DriftKind::Missing, text, instance: wanted.instance })
    }));
    let moved = out_of_order(&found);
    for (at, Found { rule, place }) in found.iter().enumerate() {
        let kind = match place {
            Place::Extra if !plan.stray => DriftKind::Extra,
            Place::Ours { .. } if moved.contains(&at) => DriftKind::Moved,
            Place::Extra | Place::Ours { .. } | Place::Others => continue,
        };
        let wanted = place.wanted().and_then(|at| plan.wanted.get(at));
        let (process, instance) = match wanted {
            Some(wanted) => (wanted.process, wanted.instance),
            None => (plan.process, plan.instance.or_else(|| concerned(here, &Line::of(rule)?))),
        };
        lines.push(DriftLine { process, kind, text: rule.text.clone(), instance });
    }
    let repaired = repair(plan, &found, &missing);
    Drift { dialect: here.dialect, table: plan.table, chain: plan.chain.clone(), lines, repaired }
}

/// The instance whose fixed or floating address a rule names.
fn concerned(here: &Here, line: &Line) -> Option<usize> {
    use crate::nova::shape::{float_dnat, only, snat_to};
    let floating = float_dnat(line).map(|(_, fixed)| fixed).or_else(|| snat_to(line));
    let named = [line.source.and_then(only), line.destination.and_then(only), floating];
    here.intent.instances.iter().position(|instance| {
        let floating = instance.floating().map(|f| f.address);
        instance.fixed().chain(floating).any(|ip| named.contains(&Some(ip)))
    })
}

/// Tells of each rule what it is. Of two that are alike nova leaves the last.
fn recognise<'r>(plan: &Plan, rules: &'r [NfRule]) -> Vec<Found<'r>> {
    // By addresses first: a network host has thousands of floating addresses in one chain.
    let mut index: BTreeMap<(Option<IpNet>, Option<IpNet>), Vec<usize>> = BTreeMap::new();
    for (at, wanted) in plan.wanted.iter().enumerate() {
        for line in &wanted.lines {
            index.entry((line.source, line.destination)).or_default().push(at);
        }
    }
    let is = |at: &usize, line: &Line| plan.wanted.get(*at).is_some_and(|w| w.lines.contains(line));
    let mut met = vec![false; plan.wanted.len()];
    let mut found: Vec<Found> = Vec::new();
    // What the model took out has no text any more.
    for rule in rules.iter().rev().filter(|rule| !rule.text.is_empty()) {
        let line = Line::of(rule);
        let wanted = line.as_ref().and_then(|line| {
            let alike = index.get(&(line.source, line.destination))?;
            alike.iter().find(|at| is(at, line)).copied()
        });
        let rank_of = |at: usize| plan.wanted.get(at).map_or(0, |wanted| wanted.rank);
        let place = match (wanted, &line) {
            (Some(at), _) if !met.get(at).copied().unwrap_or_default() => {
                met.get_mut(at).into_iter().for_each(|met| *met = true);
                Place::Ours { rank: rank_of(at), wanted: Some(at) }
            }
            (Some(_), _) => Place::Extra,
            (None, Some(line)) => match plan.may.iter().find(|may| (may.holds)(line)) {
                Some(may) => Place::Ours { rank: may.rank, wanted: None },
                None => foreign(plan),
            },
            (None, None) => foreign(plan),
        };
        found.push(Found { rule, place });
    }
    found.reverse();
    found
}

fn foreign(plan: &Plan) -> Place {
    match plan.others {
        Others::None => Place::Extra,
        Others::Anybodys => Place::Others,
    }
}

/// The fewest of nova's rules that would have to move for the ranks to rise: those outside the longest
/// run of ranks that never fall.
fn out_of_order(found: &[Found]) -> BTreeSet<usize> {
    let rank = |f: &Found| match f.place {
        Place::Ours { rank, .. } => Some(rank),
        Place::Extra | Place::Others => None,
    };
    let ranked: Vec<(usize, u8)> =
        found.iter().enumerate().filter_map(|(at, f)| Some((at, rank(f)?))).collect();
    // Of each rank the longest run that ends with it: how long, and which rule is its last.
    let mut runs: BTreeMap<u8, (usize, usize)> = BTreeMap::new();
    // The rule before each in its run.
    let mut before: BTreeMap<usize, Option<usize>> = BTreeMap::new();
    for (at, rank) in &ranked {
        let longest = runs.range(..=*rank).map(|(_, run)| *run).max_by_key(|(length, _)| *length);
        before.insert(*at, longest.map(|(_, last)| last));
        runs.insert(*rank, (longest.map_or(0, |(length, _)| length) + 1, *at));
    }
    let mut outside: BTreeSet<usize> = ranked.iter().map(|(at, _)| *at).collect();
    let mut next = runs.into_values().max_by_key(|(length, _)| *length).map(|(_, last)| last);
    while let Some(at) = next {
        outside.remove(&at);
        next = before.get(&at).copied().flatten();
    }
    outside
}

/// The chain as nova would leave it: its own rules in their order before everybody else's, nothing that
/// nova would not write in a chain of its own.
fn repair(plan: &Plan, found: &[Found], missing: &[&Wanted]) -> Vec<NfRule> {
    if plan.stray {
        return Vec::new();
    }
    let mut ours: Vec<(u8, NfRule)> = Vec::new();
    let mut others = Vec::new();
    for Found { rule, place } in found {
        match place {
            Place::Ours { rank, .. } => ours.push((*rank, (*rule).clone())),
            Place::Others => others.push((*rule).clone()),
            Place::Extra => {}
        }
    }
    let rule = |wanted: &&Wanted| Some((wanted.rank, wanted.lines.first()?.rule(&plan.chain)));
    ours.extend(missing.iter().filter_map(rule));
    ours.sort_by_key(|(rank, _)| *rank);
    ours.into_iter().map(|(_, rule)| rule).chain(others).collect()
}

#[cfg(test)]
mod tests;
