//! Modules that look at the packet's connection, and at what its sender did before.

use model::netfilter::{AddressOf, Because, CtStates, CtTuple, Field, Match, Test};

use super::super::rule::condition;
use super::super::values;
use super::super::words::Words;
use super::{inside_module, option};

pub(super) fn state(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--state" => values::ct_states(words.value()?.split(',')).map(Test::CtState),
        _ => None,
    }
}

pub(super) fn mark(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--mark" => {
            let (value, mask) = values::masked_number(&words.value()?)?;
            Some(exactly(Field::CtMark, mask.into(), value.into()))
        }
        _ => None,
    }
}

/// All options are anded, but for one case: of a packet without a connection, whose state is INVALID
/// or UNTRACKED, the state alone decides (`conntrack_mt`).
pub(super) fn conntrack(words: &mut Words<'_>, _: usize) -> Option<Vec<Match>> {
    let mut read = Vec::new();
    while let Some(condition) = next(words) {
        read.push(condition);
    }
    let alone = read.len() == 1;
    (!inside_module(words) && (alone || !read.iter().any(decides_alone))).then_some(read)
}

/// A condition of the state that a packet without a connection may fulfil.
pub(in super::super) fn decides_alone(condition: &Match) -> bool {
    match condition.test {
        Test::CtState(CtStates { invalid, untracked, .. }) => {
            invalid != condition.negated || untracked != condition.negated
        }
        _ => false,
    }
}

/// One option; `None` where nothing is left, or where what comes next is not modelled.
fn next(words: &mut Words<'_>) -> Option<Match> {
    let before = words.at();
    let read = one(words, before);
    if read.is_none() {
        words.rewind(before);
    }
    read
}

fn one(words: &mut Words<'_>, from: usize) -> Option<Match> {
    let (negated, name) = option(words)?;
    let value = words.value()?;
    let test = match name.as_ref() {
        "--ctstate" | "--state" => Test::CtState(values::ct_states(value.split(','))?),
        "--ctproto" => exactly(Field::CtProtocol, 0xff, values::protocol(&value)?.into()),
        "--ctstatus" => Test::AnyBit(Field::CtStatus, values::ct_status(value.split(','))?),
        "--ctdir" => exactly(
            Field::CtDirection,
            1,
            match value.as_ref() {
                "ORIGINAL" => 0,
                "REPLY" => 1,
                _ => return None,
            },
        ),
        // How long the entry still has.
        "--ctexpire" => {
            let text = format!("-m conntrack {}", words.text_since(from));
            Test::Unpredictable(text, Because::Time)
        }
        name => {
            let part = tuple_part(name)?;
            if part.port {
                let (low, high) = values::ports(&value, ':')?;
                Test::Field { field: Field::Ct(part), mask: 0xffff, within: vec![(low.into(), high.into())] }
            } else {
                let (address, mask) = values::masked_address(&value)?;
                exactly(Field::Ct(part), mask, address)
            }
        }
    };
    Some(condition(negated, test))
}

/// `--set` writes the packet's address down, and holds whatever was there (`recent_mt`); the other
/// questions hang on what earlier packets left.
pub(super) fn recent(words: &mut Words<'_>, start: usize) -> Option<Vec<Match>> {
    let mut set = None;
    while inside_module(words) {
        let (negated, name) = option(words)?;
        words.skip_arguments();
        if name == "--set" {
            set = Some(negated);
        }
    }
    let text = || words.text_since(start).to_owned();
    Some(vec![match set {
        Some(negated) => condition(negated, Test::Always),
        None => condition(false, Test::Unpredictable(text(), Because::History)),
    }])
}

fn exactly(field: Field, mask: u128, value: u128) -> Test {
    Test::Field { field, mask, within: vec![(value, value)] }
}

/// `--ctorigsrc` and its seven likes.
fn tuple_part(option: &str) -> Option<CtTuple> {
    let name = option.strip_prefix("--ct")?;
    let (reply, name) = match name.strip_prefix("orig") {
        Some(name) => (false, name),
        None => (true, name.strip_prefix("repl")?),
    };
    let (of, port) = match name {
        "src" => (AddressOf::Source, false),
        "dst" => (AddressOf::Destination, false),
        "srcport" => (AddressOf::Source, true),
        "dstport" => (AddressOf::Destination, true),
        _ => return None,
    };
    Some(CtTuple { reply, of, port })
}
