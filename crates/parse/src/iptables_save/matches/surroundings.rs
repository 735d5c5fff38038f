//! Modules that look at the links around a packet, the routing tables, and ipsets.

use model::netfilter::{AddrType, AddressOf, Because, Match, Side, Test};

use super::super::rule::condition;
use super::super::words::Words;
use super::{inside_module, option};

pub(super) fn physdev(option: &str, words: &mut Words<'_>) -> Option<Test> {
    Some(match option {
        "--physdev-in" => Test::PhysdevIn(words.value()?.into_owned()),
        "--physdev-out" => Test::PhysdevOut(words.value()?.into_owned()),
        "--physdev-is-bridged" => Test::PhysdevIsBridged,
        "--physdev-is-in" => Test::PhysdevIsIn,
        "--physdev-is-out" => Test::PhysdevIsOut,
        _ => return None,
    })
}

/// `--limit-iface-in` and `-out` narrow what both types mean (`addrtype_mt_v1`).
pub(super) fn address_type(words: &mut Words<'_>, _: usize) -> Option<Vec<Match>> {
    let mut asked = Vec::new();
    let mut limit = None;
    while inside_module(words) {
        let (negated, name) = option(words)?;
        match name.as_ref() {
            "--src-type" => asked.push((negated, AddressOf::Source, types(&words.value()?)?)),
            "--dst-type" => asked.push((negated, AddressOf::Destination, types(&words.value()?)?)),
            "--limit-iface-in" if limit.is_none() => limit = Some(Side::In),
            "--limit-iface-out" if limit.is_none() => limit = Some(Side::Out),
            _ => return None,
        }
    }
    if asked.is_empty() {
        return None;
    }
    let test = |(negated, of, types)| condition(negated, Test::AddressType { of, types, limit });
    Some(asked.into_iter().map(test).collect())
}

/// One type or several.
fn types(text: &str) -> Option<Vec<AddrType>> {
    let one = |name: &str| {
        Some(match name {
            "UNICAST" => AddrType::Unicast,
            "LOCAL" => AddrType::Local,
            "BROADCAST" => AddrType::Broadcast,
            "ANYCAST" => AddrType::Anycast,
            "MULTICAST" => AddrType::Multicast,
            "BLACKHOLE" => AddrType::Blackhole,
            "UNREACHABLE" => AddrType::Unreachable,
            "PROHIBIT" => AddrType::Prohibit,
            _ => return None,
        })
    };
    text.split(',').map(one).collect()
}

/// All of its options are flags; without any it is a test too.
pub(super) fn reverse_path(words: &mut Words<'_>, _: usize) -> Option<Vec<Match>> {
    let (mut loose, mut with_mark, mut accept_local, mut inverted) = (false, false, false, false);
    while inside_module(words) {
        let (negated, name) = option(words)?;
        let flag = match name.as_ref() {
            "--loose" => &mut loose,
            "--validmark" => &mut with_mark,
            "--accept-local" => &mut accept_local,
            "--invert" => &mut inverted,
            _ => return None,
        };
        *flag = !negated;
    }
    Some(vec![condition(inverted, Test::ReversePath { loose, with_mark, accept_local })])
}

/// Options by which an ipset's own counters leave the packet out.
pub(in super::super) const UNCOUNTED: [&str; 2] = ["--update-counters", "--update-subcounters"];

/// `--match-set NAME src,dst`. What an element's counters say hangs on the packets before.
pub(super) fn set(words: &mut Words<'_>, start: usize) -> Option<Vec<Match>> {
    let mut asked = None;
    let mut counted = false;
    while inside_module(words) {
        let (negated, option) = option(words)?;
        match option.as_ref() {
            "--match-set" if asked.is_none() => {
                let name = words.value()?.into_owned();
                let directions = directions(&words.value()?)?;
                asked = Some(condition(negated, Test::InIpset { name, directions }));
            }
            "--packets-eq" | "--packets-lt" | "--packets-gt" | "--bytes-eq" | "--bytes-lt" | "--bytes-gt" => {
                words.value()?;
                counted = true;
            }
            // Whether the packet is counted decides nothing.
            option if UNCOUNTED.contains(&option) => {}
            _ => return None,
        }
    }
    let text = || words.text_since(start).to_owned();
    Some(vec![if counted { condition(false, Test::Unpredictable(text(), Because::Rate)) } else { asked? }])
}

/// One for each dimension of the set.
fn directions(text: &str) -> Option<Vec<AddressOf>> {
    let one = |name: &str| {
        Some(match name {
            "src" => AddressOf::Source,
            "dst" => AddressOf::Destination,
            _ => return None,
        })
    };
    text.split(',').map(one).collect()
}
