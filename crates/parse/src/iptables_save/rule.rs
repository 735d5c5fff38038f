//! One rule of an iptables dump: its global options; modules and targets have their own files.

use std::collections::HashMap;

use model::netfilter::{Action, AddressOf, Family, Match, NfRule, Test};

use super::dump::RuleLine;
use super::words::Words;
use super::{matches, targets, values};
use crate::Problem;

/// Reads a rule. `chains` are the names that `-j` may jump to.
pub(super) fn read(
    line: &RuleLine<'_>,
    family: Family,
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
    let mut conditions = Vec::new();
    let mut action = Action::Continue;
    while !words.is_done() {
        let start = words.at();
        let negated = words.take("!");
        let Some(option) = words.word() else {
            problems.push(line.problem(line.options, "`!` without an option after it"));
            return line.unreadable();
        };
        if matches!(option.raw, "-j" | "--jump" | "-g" | "--goto") {
            let (read, wrong) = targets::read(&mut words, start, (option.raw, family), chains);
            action = read;
            problems.extend(wrong.map(|what| line.problem(option.raw, what)));
            continue;
        }
        if !is_global(option.raw) && !is_module(option.raw) {
            problems.push(line.problem(option.raw, format!("option {} is not known here", option.raw)));
        }
        if negated && is_module(option.raw) {
            problems.push(line.problem(option.raw, "`!` in front of a module's name"));
        }
        let keep = &mut |condition, _: &dyn Fn() -> String| conditions.push(condition);
        read_conditions(&mut words, (start, negated, option.raw), keep);
    }
    line.rule(conditions, action)
}

/// Reads what an option asks, whose own word, number and `!` were read. `keep` gets each condition, and
/// how the condition alone is written.
pub(super) fn read_conditions(
    words: &mut Words<'_>,
    (start, negated, option): (usize, bool, &str),
    keep: &mut dyn FnMut(Match, &dyn Fn() -> String),
) {
    if is_module(option) {
        return matches::module(words, start, keep);
    }
    let after = words.at();
    let test = if is_global(option) { global(option, words) } else { None };
    let test = test.unwrap_or_else(|| {
        words.rewind(after);
        words.skip_arguments();
        Test::Unmodelled(words.text_since(start).to_owned())
    });
    keep(condition(negated, test), &|| words.text_since(start).to_owned());
}

fn is_module(option: &str) -> bool {
    matches!(option, "-m" | "--match")
}

/// A condition. One that is kept as text has its `!` in its text.
pub(super) fn condition(negated: bool, test: Test) -> Match {
    let is_text = matches!(test, Test::Unmodelled(_) | Test::Unpredictable(..));
    Match { negated: negated && !is_text, test }
}

/// Options that belong to no module (iptables(8), PARAMETERS), which iptables-save prints first.
pub(super) fn is_global(option: &str) -> bool {
    matches!(option, "-s" | "-d" | "-i" | "-o" | "-p" | "-f")
}

/// Reads the arguments of such an option.
fn global(option: &str, words: &mut Words<'_>) -> Option<Test> {
    if option == "-f" {
        return Some(Test::Fragment);
    }
    let value = words.value()?;
    Some(match option {
        "-s" => values::address_test(AddressOf::Source, &value)?,
        "-d" => values::address_test(AddressOf::Destination, &value)?,
        "-i" => Test::In(value.into_owned()),
        "-o" => Test::Out(value.into_owned()),
        "-p" if value == "all" => Test::Always,
        "-p" => Test::Protocol(values::protocol(&value)?),
        _ => return None,
    })
}
