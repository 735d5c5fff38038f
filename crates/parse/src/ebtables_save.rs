//! Dumps of `ebtables-save`, legacy and nft, with or without counters.
//!
//! Neither ends a table with `COMMIT`. Counters are `[p:b]` before a rule (nft, `-c`) or `-c p b`
//! behind it (legacy with `EBTABLES_SAVE_COUNTER=yes`; the legacy script knows no `-c`).
//!
//! A user chain has a policy of its own, `ACCEPT` unless said otherwise. ebtables-nft makes it a
//! real last rule of the kernel's chain (iptables `nft.c`, `ebt_add_policy_rule`; seen with
//! `nft list table bridge filter`), which its save command hides; legacy keeps it in the chain's head
//! (`ebt_do_table` in `net/bridge/netfilter/ebtables.c`). Here both become a last rule.

use model::netfilter::{
    Action, BaseChain, Chain, ChainKind, Choice, Counters, Dialect, Family, Hook, NfRule, Policy, Table,
};

use crate::iptables_save::dump::{self, ChainLine, RuleLine, Section};
use crate::{Parsed, Problem, line_number};

mod options;
mod rule;
mod targets;

/// `NF_BR_PRI_*` of `include/uapi/linux/netfilter_bridge.h`.
const FIRST: i32 = i32::MIN;
const NAT_DST_BRIDGED: i32 = -300;
const FILTER_BRIDGED: i32 = -200;
const NAT_DST_OTHER: i32 = 100;
const FILTER_OTHER: i32 = 200;
const NAT_SRC: i32 = 300;

/// Reads a whole dump.
pub fn parse(text: &str, dialect: Dialect) -> Parsed<Vec<Table>> {
    let Parsed { value: sections, mut problems } = dump::sections(text);
    let mut tables = Vec::new();
    for section in &sections {
        let names = section.names();
        let mut built = dump::table(
            section,
            (Family::Bridge, dialect),
            |chain| base_chain(section.name, chain, dialect),
            |line, problems| rule::read(&without_counters(line), (section.name, dialect), &names, problems),
        );
        problems.extend(append_policies(section, &mut built.value));
        tables.push(built.value);
        problems.extend(built.problems);
    }
    problems.sort_by_key(|p| (p.line, p.column));
    Parsed { value: tables, problems }
}

/// Reads what `ebtables-legacy -t TABLE -L --Lc` lists of one table.
pub fn parse_list(text: &str) -> Parsed<Vec<Table>> {
    let mut save = String::with_capacity(text.len() * 2);
    let mut chain = String::new();
    // Line for line, so that places are the listing's.
    for line in text.lines() {
        if let Some(table) = line.strip_prefix("Bridge table: ") {
            save.push('*');
            save.push_str(table.trim());
        } else if let Some(head) = line.strip_prefix("Bridge chain: ") {
            let (name, rest) = head.split_once(',').unwrap_or((head, ""));
            let policy = rest.rsplit_once("policy: ").map_or("-", |(_, policy)| policy);
            name.clone_into(&mut chain);
            save.push_str(&format!(":{name} {policy}"));
        } else if !line.trim().is_empty() {
            save.push_str(&format!("-A {chain} {line}"));
        }
        save.push('\n');
    }
    parse(&save, Dialect::EbtablesLegacy)
}

/// Takes the legacy script's counters off a rule's end: `-c p b`, or `, pcnt = p -- bcnt = b` as
/// `ebtables -L --Lc` prints them. The script puts no space before its `-c`, and only few targets print
/// one behind themselves, so that a jump ends in `-j guests-c 0 0`.
fn without_counters<'a>(line: &RuleLine<'a>) -> RuleLine<'a> {
    let split = |text: &'a str| {
        let (before, after) = text.rsplit_once("-c ").or_else(|| text.rsplit_once(", pcnt = "))?;
        let (packets, bytes) = after.split_once(" -- bcnt = ").or_else(|| after.split_once(' '))?;
        let (packets, bytes) = (packets.trim().parse().ok()?, bytes.trim().parse().ok()?);
        Some((before.trim_end(), Counters { packets, bytes }))
    };
    match split(line.text) {
        Some((text, counters)) => {
            // A rule without any option has nothing before its counters.
            let options = split(line.options).map_or("", |(options, _)| options);
            RuleLine { text, options, counters: Some(counters), ..*line }
        }
        None => *line,
    }
}

/// Where the chains hang: `net/bridge/netfilter/ebtable_{filter,nat,broute}.c`, and for
/// ebtables-nft iptables' `nft.c` (`xtables_bridge`), which puts filter's OUTPUT elsewhere.
fn base_chain(table: &str, chain: &ChainLine<'_>, dialect: Dialect) -> Option<BaseChain> {
    let (hook, priority) = match (table, chain.name) {
        ("filter", "INPUT") => (Hook::Input, FILTER_BRIDGED),
        ("filter", "FORWARD") => (Hook::Forward, FILTER_BRIDGED),
        ("filter", "OUTPUT") if dialect == Dialect::EbtablesLegacy => (Hook::Output, FILTER_OTHER),
        ("filter", "OUTPUT") => (Hook::Output, FILTER_BRIDGED),
        ("nat", "PREROUTING") => (Hook::Prerouting, NAT_DST_BRIDGED),
        ("nat", "OUTPUT") => (Hook::Output, NAT_DST_OTHER),
        ("nat", "POSTROUTING") => (Hook::Postrouting, NAT_SRC),
        ("broute", "BROUTING") => (Hook::Prerouting, FIRST),
        _ => return None,
    };
    // BROUTING's DROP routes the frame; its policy becomes a rule, as a user chain's does.
    let policy = if table == "broute" { Policy::Accept } else { dump::policy(chain.policy)? };
    let kind = ChainKind::Filter;
    Some(BaseChain { hook, priority, kind, policy, policy_counters: chain.counters, devices: Vec::new() })
}

/// Appends the policies of the chains that have no base chain's, as rules.
fn append_policies(section: &Section<'_>, table: &mut Table) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (line, chain) in section.chains.iter().zip(&mut table.chains) {
        if chain.base.is_some() && section.name != "broute" {
            continue;
        }
        match (line.policy, section.name) {
            ("RETURN", _) => {}
            ("ACCEPT", _) if chain.base.is_some() => {}
            ("ACCEPT", _) => push_policy(chain, line, Action::Accept),
            ("DROP", "broute") => {
                push_policy(chain, line, Action::Elsewhere(targets::BROUTE_DROP.to_owned(), Choice::Port));
            }
            ("DROP", _) => push_policy(chain, line, Action::Drop),
            (other, _) => {
                let what = format!("policy {other}, where ACCEPT, DROP or RETURN was expected");
                problems.push(Problem::at(line.index, line.line, line.policy, what));
                push_policy(chain, line, Action::Unmodelled(format!("policy {other}")));
            }
        }
    }
    problems
}

fn push_policy(chain: &mut Chain, line: &ChainLine<'_>, action: Action) {
    chain.rules.push(NfRule {
        text: format!("(policy of {})", line.name),
        counters: None,
        handle: None,
        line: line_number(line.index),
        matches: Vec::new(),
        action,
    });
}
