//! Tables back into the text that `iptables-save` prints and `iptables-restore` loads.
//!
//! Rules are spelt from the model. Only what the model keeps as text is printed as that text; and what
//! decides nothing, comments and NAT's choice among equals, is taken from the rule's own text.

use std::fmt::Write as _;

use model::netfilter::{Action, Chain, Counters, Family, Match, NfRule, Policy, Table, Test};

mod kept;
mod matches;
mod targets;

/// The tables, with all counters that there are. What iptables has no words for, which tables of
/// another tool hold, becomes a line of comment.
pub fn print(tables: &[Table]) -> String {
    let mut out = String::new();
    for table in tables {
        // Writing into a string cannot fail.
        let _ = write_table(&mut out, table);
    }
    out
}

/// One rule as iptables-save prints it, `-A CHAIN` first and without counters; `None` for what
/// iptables has no words for.
pub fn rule(rule: &NfRule, chain: &str, family: Family) -> Option<String> {
    let mut words = format!("-A {chain}");
    if let Some(text) = unreadable(rule) {
        push(&mut words, text);
        return Some(words);
    }
    matches::print(&mut words, &rule.matches, kept::conditions(&rule.text), family)?;
    targets::print(&mut words, &rule.action, &kept::flags(&rule.text), family)?;
    Some(words)
}

/// The text of a rule that could not be taken apart, which stands for its conditions and its action
/// both.
fn unreadable(rule: &NfRule) -> Option<&str> {
    match (rule.matches.as_slice(), &rule.action) {
        ([Match { test: Test::Unmodelled(text), .. }], Action::Unmodelled(same)) if text == same => {
            Some(text)
        }
        _ => None,
    }
}

fn write_table(out: &mut String, table: &Table) -> std::fmt::Result {
    writeln!(out, "*{}", table.name)?;
    for chain in &table.chains {
        let (policy, counters) = head(chain);
        writeln!(out, ":{} {policy} {}", chain.name, counted(counters))?;
    }
    for chain in &table.chains {
        for rule in &chain.rules {
            write_rule(out, rule, &chain.name, table.family)?;
        }
    }
    writeln!(out, "COMMIT")
}

fn write_rule(out: &mut String, rule: &NfRule, chain: &str, family: Family) -> std::fmt::Result {
    match self::rule(rule, chain, family) {
        Some(words) => {
            if let Some(counters) = rule.counters {
                write!(out, "{} ", counted(counters))?;
            }
            writeln!(out, "{words}")
        }
        None => writeln!(out, "# not iptables': {}", rule.text.replace(['\n', '\r'], " ")),
    }
}

fn head(chain: &Chain) -> (&'static str, Counters) {
    match &chain.base {
        None => ("-", Counters::default()),
        Some(base) => (
            match base.policy {
                Policy::Accept => "ACCEPT",
                Policy::Drop => "DROP",
            },
            base.policy_counters.unwrap_or_default(),
        ),
    }
}

fn counted(Counters { packets, bytes }: Counters) -> String {
    format!("[{packets}:{bytes}]")
}

fn push(words: &mut String, word: &str) {
    words.push(' ');
    words.push_str(word);
}
