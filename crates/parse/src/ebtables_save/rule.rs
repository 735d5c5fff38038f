//! One rule of an ebtables dump (ebtables(8), ebtables-nft(8)).

use std::collections::HashMap;

use model::netfilter::{Action, Because, Choice, Dialect, Match, NfRule, Test};

use super::{options, targets};
use crate::Problem;
use crate::iptables_save::dump::RuleLine;
use crate::iptables_save::words::Words;

/// Reads a rule. `chains` are the names that `-j` may jump to.
pub(super) fn read(
    line: &RuleLine<'_>,
    (table, dialect): (&str, Dialect),
    chains: &HashMap<&str, usize>,
    problems: &mut Vec<Problem>,
) -> NfRule {
    let mut words = match Words::split(line.options) {
        Ok(words) => words,
        Err(open) => {
            problems.push(line.problem(open, "a quote that is never closed"));
            return line.unreadable();
        }
    };
    let mut conditions: Vec<Match> = Vec::new();
    let mut action = Action::Continue;
    while !words.is_done() {
        let start = words.at();
        let mut negated = words.take("!");
        let Some(option) = words.word() else {
            problems.push(line.problem(line.options, "`!` without an option after it"));
            return line.unreadable();
        };
        if option.raw == "-j" {
            let (read, wrong) = targets::read(&mut words, start, (table, dialect), chains);
            action = read;
            problems.extend(wrong.map(|what| line.problem(option.raw, what)));
            continue;
        }
        if !option.raw.starts_with('-') {
            problems.push(line.problem(option.raw, "expected an option"));
        }
        negated |= words.take("!");
        let after = words.at();
        let context = options::Context { dialect, ether_type: ether_type(&conditions) };
        let read = options::read(option.raw, negated, context, &mut words);
        let used = words.at();
        words.rewind(after);
        words.skip_arguments();
        if is_watcher(option.raw) {
            continue;
        }
        let text = || words.text_since(start).to_owned();
        if option.raw.starts_with("--limit") {
            limit(&mut conditions, text());
            continue;
        }
        match read.filter(|_| used == words.at()) {
            Some(read) => conditions.extend(read),
            None => conditions.push(Match { negated: false, test: Test::Unmodelled(text()) }),
        }
    }
    if matches!(action, Action::Elsewhere(_, Choice::Bridge)) {
        // Only questions are answered; all else goes on to the next rule (`ebt_arpreply_tg`).
        conditions.push(Match { negated: false, test: Test::ArpOperation(1) });
    }
    line.rule(conditions, action)
}

fn ether_type(conditions: &[Match]) -> Option<u16> {
    conditions.iter().find_map(|condition| match condition {
        Match { negated: false, test: Test::EtherType(number) } => Some(*number),
        _ => None,
    })
}

/// `--limit` and its `--limit-burst` are one condition.
fn limit(conditions: &mut Vec<Match>, text: String) {
    if let Some(Match { test: Test::Unpredictable(before, Because::Rate), .. }) = conditions.last_mut() {
        before.push(' ');
        before.push_str(&text);
        return;
    }
    conditions.push(Match { negated: false, test: Test::Unpredictable(text, Because::Rate) });
}

/// Watchers see the frame and do nothing to it (ebtables(8), WATCHER EXTENSIONS).
fn is_watcher(option: &str) -> bool {
    ["--log", "--nflog", "--ulog"].iter().any(|name| {
        let rest = option.strip_prefix(name);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    })
}
