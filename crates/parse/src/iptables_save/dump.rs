//! The frame that iptables-save and ebtables-save share: `*table`, `:chain POLICY [p:b]`,
//! `[p:b] -A chain ...`, `COMMIT`, and `#` comments.

use std::collections::HashMap;

use model::netfilter::{
    Action, BaseChain, Chain, Counters, Dialect, Family, Match, NfRule, Policy, Table, Test,
};

use crate::{Parsed, Problem, line_number};

/// One `*table` and what stands below it.
#[derive(Debug)]
pub(crate) struct Section<'a> {
    pub(crate) name: &'a str,
    pub(crate) chains: Vec<ChainLine<'a>>,
    pub(crate) rules: Vec<RuleLine<'a>>,
    /// `COMMIT` was there.
    pub(crate) committed: bool,
    /// The last line, with its index.
    pub(crate) last: (usize, &'a str),
}

/// `:name POLICY [packets:bytes]`.
#[derive(Debug)]
pub(crate) struct ChainLine<'a> {
    pub(crate) index: usize,
    pub(crate) line: &'a str,
    pub(crate) name: &'a str,
    /// `-` for iptables' user chains.
    pub(crate) policy: &'a str,
    pub(crate) counters: Option<Counters>,
}

/// `[packets:bytes] -A chain ...`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RuleLine<'a> {
    pub(crate) index: usize,
    pub(crate) line: &'a str,
    /// From `-A` on.
    pub(crate) text: &'a str,
    pub(crate) counters: Option<Counters>,
    pub(crate) chain: &'a str,
    /// What follows the chain's name.
    pub(crate) options: &'a str,
}

impl RuleLine<'_> {
    pub(crate) fn problem(&self, part: &str, what: impl Into<String>) -> Problem {
        Problem::at(self.index, self.line, part, what)
    }

    /// The rule made of what was read of this line.
    pub(crate) fn rule(&self, matches: Vec<Match>, action: Action) -> NfRule {
        NfRule {
            text: self.text.to_owned(),
            counters: self.counters,
            handle: None,
            line: line_number(self.index),
            matches,
            action,
        }
    }

    /// The rule for a line that could not be taken apart: it may match, and do, anything.
    pub(crate) fn unreadable(&self) -> NfRule {
        let text = self.options.to_owned();
        let test = Test::Unmodelled(text.clone());
        self.rule(vec![Match { negated: false, test }], Action::Unmodelled(text))
    }
}

impl<'a> Section<'a> {
    /// The chains' names and their places.
    pub(crate) fn names(&self) -> HashMap<&'a str, usize> {
        self.chains.iter().enumerate().map(|(at, chain)| (chain.name, at)).collect()
    }
}

/// Cuts a dump into its tables.
pub(crate) fn sections(text: &str) -> Parsed<Vec<Section<'_>>> {
    let mut out = Parsed::<Vec<Section<'_>>>::default();
    let mut open = false;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        if let Some(name) = trimmed.strip_prefix('*') {
            let (chains, rules) = (Vec::new(), Vec::new());
            out.value.push(Section { name, chains, rules, committed: false, last: (index, line) });
            open = true;
            continue;
        }
        let Some(section) = out.value.last_mut().filter(|_| open) else {
            out.problems.push(Problem::at(index, line, trimmed, "a line outside of any *table"));
            continue;
        };
        section.last = (index, line);
        if trimmed == "COMMIT" {
            section.committed = true;
            open = false;
        } else if let Some(chain) = trimmed.strip_prefix(':') {
            match chain_line(index, line, chain) {
                Some(chain) => section.chains.push(chain),
                None => out.problems.push(Problem::at(index, line, chain, "expected `:chain POLICY`")),
            }
        } else if let Some(rule) = rule_line(index, line, trimmed) {
            section.rules.push(rule);
        } else {
            let what = "expected `:chain POLICY`, `-A chain ...` or `COMMIT`";
            out.problems.push(Problem::at(index, line, trimmed, what));
        }
    }
    out
}

fn chain_line<'a>(index: usize, line: &'a str, chain: &'a str) -> Option<ChainLine<'a>> {
    let mut parts = chain.split_whitespace();
    let (name, policy) = (parts.next()?, parts.next()?);
    let counters = match parts.next() {
        Some(text) => Some(counters(text)?),
        None => None,
    };
    Some(ChainLine { index, line, name, policy, counters })
}

fn rule_line<'a>(index: usize, line: &'a str, trimmed: &'a str) -> Option<RuleLine<'a>> {
    let (counters, text) = match trimmed.split_once(' ') {
        Some((first, rest)) if first.starts_with('[') => (Some(counters(first)?), rest.trim_start()),
        Some(_) | None => (None, trimmed),
    };
    let after = text.strip_prefix("-A ")?.trim_start();
    let (chain, options) = after.split_once(' ').unwrap_or((after, ""));
    (!chain.is_empty()).then_some(RuleLine { index, line, text, counters, chain, options })
}

/// `[packets:bytes]`.
fn counters(text: &str) -> Option<Counters> {
    let (packets, bytes) = text.strip_prefix('[')?.strip_suffix(']')?.split_once(':')?;
    Some(Counters { packets: packets.parse().ok()?, bytes: bytes.parse().ok()? })
}

/// Builds a table: `base` says where a chain hangs, `rule` reads a rule's options.
pub(crate) fn table(
    section: &Section<'_>,
    (family, dialect): (Family, Dialect),
    base: impl Fn(&ChainLine<'_>) -> Option<BaseChain>,
    rule: impl Fn(&RuleLine<'_>, &mut Vec<Problem>) -> NfRule,
) -> Parsed<Table> {
    let mut problems = Vec::new();
    let mut places = section.names();
    let mut chains: Vec<Chain> = Vec::with_capacity(section.chains.len());
    for line in &section.chains {
        let base = base(line);
        chains.push(Chain { name: line.name.to_owned(), base, rules: Vec::new() });
    }
    for line in &section.rules {
        let place = *places.entry(line.chain).or_insert_with(|| {
            problems.push(line.problem(line.chain, format!("chain {} is not declared", line.chain)));
            chains.push(Chain { name: line.chain.to_owned(), base: None, rules: Vec::new() });
            chains.len() - 1
        });
        let rule = rule(line, &mut problems);
        if let Some(chain) = chains.get_mut(place) {
            chain.rules.push(rule);
        }
    }
    let value = Table { family, name: section.name.to_owned(), dialect, chains, sets: Vec::new() };
    Parsed { value, problems }
}

/// ACCEPT or DROP.
pub(crate) fn policy(text: &str) -> Option<Policy> {
    match text {
        "ACCEPT" => Some(Policy::Accept),
        "DROP" => Some(Policy::Drop),
        _ => None,
    }
}
