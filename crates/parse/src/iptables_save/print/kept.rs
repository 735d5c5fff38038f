//! Words of a rule's text that decide nothing, and that the model therefore has no place for.

use std::collections::VecDeque;

use model::netfilter::Test;

use super::super::matches::surroundings::UNCOUNTED;
use super::super::rule;
use super::super::targets::nat::FLAGS;
use super::super::words::Words;

/// The options of a rule's text, `-A CHAIN` left out.
fn options(text: &str) -> Option<Words<'_>> {
    let (_, options) = text.strip_prefix("-A ")?.split_once(' ')?;
    Words::split(options).ok()
}

/// What is said of conditions besides what the model holds, each in the order of its kind.
#[derive(Debug, Default)]
pub(super) struct Said {
    /// Conditions that always hold or never do, comments foremost, as written.
    pub(super) always: VecDeque<String>,
    /// Of every ipset that is asked, which of its counters leave the packet out.
    pub(super) uncounted: VecDeque<String>,
}

pub(super) fn conditions(text: &str) -> Said {
    let mut said = Said::default();
    let Some(mut words) = options(text) else { return said };
    while !words.is_done() {
        let start = words.at();
        let negated = words.take("!");
        let Some(option) = words.word() else { break };
        if matches!(option.raw, "-j" | "--jump" | "-g" | "--goto") {
            break;
        }
        rule::read_conditions(
            &mut words,
            (start, negated, option.raw),
            &mut |condition, text| match condition.test {
                Test::Always => said.always.push_back(text()),
                Test::InIpset { .. } => said.uncounted.push_back(uncounted(&text())),
                _ => {}
            },
        );
    }
    said
}

fn uncounted(text: &str) -> String {
    let flags = text.split(' ').filter(|word| UNCOUNTED.contains(word));
    flags.fold(String::new(), |said, flag| said + " ! " + flag)
}

/// How NAT chooses among ports and addresses, which is said of a target besides what the model holds.
pub(super) fn flags(text: &str) -> Vec<String> {
    let Some(mut words) = options(text) else { return Vec::new() };
    while words.word().is_some_and(|word| word.raw != "-j") {}
    let rest = std::iter::from_fn(|| words.word());
    rest.filter(|word| FLAGS.contains(&word.raw)).map(|word| word.raw.to_owned()).collect()
}
