//! Dumps of `iptables-save`, `ip6tables-save`, legacy and nft, with or without `-c`.
//!
//! Every rule is kept: what is not modelled becomes a test or an action that says so with its own
//! text, so that whoever walks the rules answers *unknown* rather than guess.

use model::netfilter::{BaseChain, ChainKind, Dialect, Family, Hook, Table};

use crate::{Parsed, Problem};

pub(crate) mod dump;
mod matches;
pub mod print;
mod rule;
mod targets;
pub(crate) mod values;
pub(crate) mod words;

/// Reads a whole dump.
///
/// Tables that the save command itself could not show ([`incompatible_tables`]) are left out, since
/// what it prints of them is partial: `nft -j list ruleset` has them in full.
pub fn parse(text: &str, dialect: Dialect, family: Family) -> Parsed<Vec<Table>> {
    let Parsed { value: sections, mut problems } = dump::sections(text);
    let left_out = incompatible_tables(text);
    let mut tables = Vec::new();
    for section in sections.iter().filter(|s| !left_out.iter().any(|name| name == s.name)) {
        if !section.committed {
            let (index, line) = section.last;
            let what = format!("table {} ends without COMMIT: the dump is cut short", section.name);
            problems.push(Problem::at(index, line, line, what));
        }
        problems.extend(strange_policies(section));
        let names = section.names();
        let built = dump::table(
            section,
            (family, dialect),
            |chain| base_chain(section.name, chain),
            |line, problems| rule::read(line, family, &names, problems),
        );
        tables.push(built.value);
        problems.extend(built.problems);
    }
    problems.sort_by_key(|p| (p.line, p.column));
    Parsed { value: tables, problems }
}

/// The tables that `iptables-nft-save` says it cannot (fully) show, because somebody put native
/// nftables rules or chains into them (iptables `nft.c`,
/// `nft_assert_table_compatible`).
pub fn incompatible_tables(text: &str) -> Vec<String> {
    let named = |line: &str| {
        let (name, rest) = line.strip_prefix("# Table `")?.split_once('\'')?;
        let told = rest.starts_with(" is incompatible") || rest.starts_with(" contains incompatible");
        told.then(|| name.to_owned())
    };
    text.lines().filter_map(named).collect()
}

/// Only built-in chains have a policy; of any other, nobody knows where it hangs.
fn strange_policies<'s>(section: &'s dump::Section<'_>) -> impl Iterator<Item = Problem> + 's {
    let strange =
        |chain: &&dump::ChainLine<'_>| chain.policy != "-" && base_chain(section.name, chain).is_none();
    section.chains.iter().filter(strange).map(|chain| {
        let what =
            format!("policy {} of {}, no built-in chain of {}", chain.policy, chain.name, section.name);
        Problem::at(chain.index, chain.line, chain.name, what)
    })
}

/// Where the kernel hangs iptables' built-in chains: `NF_IP_PRI_*` of
/// `include/uapi/linux/netfilter_ipv4.h`, the same numbers for IPv6, used by
/// `net/ipv4/netfilter/iptable_*.c` and by iptables' `nft.c` (`xtables_ipv4`).
fn base_chain(table: &str, chain: &dump::ChainLine<'_>) -> Option<BaseChain> {
    let policy = dump::policy(chain.policy)?;
    let hook = match chain.name {
        "PREROUTING" => Hook::Prerouting,
        "INPUT" => Hook::Input,
        "FORWARD" => Hook::Forward,
        "OUTPUT" => Hook::Output,
        "POSTROUTING" => Hook::Postrouting,
        _ => return None,
    };
    let (priority, kind) = match (table, hook) {
        ("raw", Hook::Prerouting | Hook::Output) => (-300, ChainKind::Filter),
        // A mark or TOS changed here makes the kernel route again (`ipt_mangle_out`).
        ("mangle", Hook::Output) => (-150, ChainKind::Route),
        ("mangle", _) => (-150, ChainKind::Filter),
        ("nat", Hook::Prerouting | Hook::Output) => (-100, ChainKind::Nat),
        ("nat", Hook::Input | Hook::Postrouting) => (100, ChainKind::Nat),
        ("filter", Hook::Input | Hook::Forward | Hook::Output) => (0, ChainKind::Filter),
        ("security", Hook::Input | Hook::Forward | Hook::Output) => (50, ChainKind::Filter),
        _ => return None,
    };
    Some(BaseChain { hook, priority, kind, policy, policy_counters: chain.counters, devices: Vec::new() })
}
