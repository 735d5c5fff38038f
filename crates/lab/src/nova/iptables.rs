//! How a nova service puts its rules among everybody's (nova/network/linux_net.py `IptablesManager`): it saves
//! the tables, takes out every line with its own prefix, puts its chains and rules in front, and restores the
//! lot. What others wrote in built-in chains stays, below nova's jumps.

use std::collections::BTreeSet;

use plumbing::Namespace;

use super::rules::Ruleset;
use crate::command::{command, output, run};
use crate::error::LabError;

/// A table's part that is one service's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Table {
    /// `filter`, `nat` or `mangle`.
    pub name: &'static str,
    /// Its own chains, without the prefix.
    pub chains: Vec<String>,
    /// Chains that all services share.
    pub shared: Vec<String>,
    /// Its rules.
    pub rules: Vec<Rule>,
}

/// A rule without the leading `-A `.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Rule {
    /// Chain, matches and target, as iptables-save prints them.
    pub text: String,
    /// It is moved before all others.
    pub top: bool,
}

impl Rule {
    pub(crate) fn on_top(text: String) -> Rule {
        Rule { text, top: true }
    }
}

impl Table {
    pub(crate) fn new(name: &'static str) -> Table {
        Table { name, chains: Vec::new(), shared: Vec::new(), rules: Vec::new() }
    }

    pub(crate) fn push(&mut self, text: String) {
        self.rules.push(Rule { text, top: false });
    }
}

/// Puts a service's rules in place, whether or not they are there.
pub(crate) fn apply(ns: &Namespace, rules: &Ruleset) -> Result<(), LabError> {
    let saved = output(ns, command("iptables-nft-save", ["-c"]))?;
    let mut input = String::new();
    for table in &rules.tables {
        for line in modified(saved_table(&saved, table.name), rules.prefix, table) {
            input.push_str(&line);
            input.push('\n');
        }
    }
    run(ns, command("iptables-nft-restore", ["-c"]), &input)
}

/// Empties the tables that nova uses: no chains, no rules, policies that accept.
pub(crate) fn clear(ns: &Namespace) -> Result<(), LabError> {
    let tables = ["filter", "nat", "mangle"].map(|name| format!("{}\n", built_in(name).join("\n")));
    run(ns, command("iptables-nft-restore", [""; 0]), &tables.concat())
}

/// Runs `iptables ARGS`, as an operator would.
pub(crate) fn iptables(ns: &Namespace, args: &[&str]) -> Result<(), LabError> {
    run(ns, command("iptables-nft", args.iter().copied()), "")
}

/// The lines of a table from `*NAME` to COMMIT; an empty one where nobody has used it yet.
fn saved_table(saved: &str, name: &'static str) -> Vec<String> {
    let opening = format!("*{name}");
    let lines = saved.lines().skip_while(|line| *line != opening);
    let mut table: Vec<String> = Vec::new();
    for line in lines {
        table.push(line.to_owned());
        if line == "COMMIT" {
            return table;
        }
    }
    built_in(name)
}

fn built_in(table: &str) -> Vec<String> {
    let chains: &[&str] = match table {
        "nat" => &["PREROUTING", "INPUT", "OUTPUT", "POSTROUTING"],
        "mangle" => &["PREROUTING", "INPUT", "FORWARD", "OUTPUT", "POSTROUTING"],
        _ => &["INPUT", "FORWARD", "OUTPUT"],
    };
    let chains = chains.iter().map(|chain| format!(":{chain} ACCEPT [0:0]"));
    [format!("*{table}")].into_iter().chain(chains).chain(["COMMIT".to_owned()]).collect()
}

/// `IptablesManager._modify_rules`: the table with this service's part renewed.
fn modified(current: Vec<String>, prefix: &str, table: &Table) -> Vec<String> {
    // As a substring: nova-api's apply takes nova-api-metadat's rules with it.
    let mut lines: Vec<String> = current.into_iter().filter(|line| !line.contains(prefix)).collect();
    let mut ours = table.chains.clone();
    ours.sort_unstable();
    let mut ours: Vec<String> = ours.iter().map(|chain| format!(":{prefix}-{chain} - [0:0]")).collect();
    ours.extend(table.shared.iter().map(|chain| format!(":{chain} - [0:0]")));
    for Rule { text, .. } in table.rules.iter().filter(|rule| rule.top) {
        let rule = format!("-A {text}");
        // One that is there already moves, with its counters.
        let (there, rest): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.contains(&rule));
        lines = rest;
        ours.push(there.into_iter().next_back().unwrap_or(rule));
    }
    let others = table.rules.iter().filter(|rule| !rule.top);
    ours.extend(others.map(|rule| format!("-A {}", rule.text)));
    let first_rule = lines.iter().position(|line| line.starts_with('[') || line.starts_with("-A"));
    let at = first_rule.unwrap_or(lines.len().saturating_sub(1));
    lines.splice(at..at, ours);
    without_twins(lines)
}

/// Of lines that are the same but for their counters the last one stays.
fn without_twins(lines: Vec<String>) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut kept: Vec<String> = Vec::new();
    for line in lines.into_iter().rev() {
        let bare =
            line.strip_prefix('[').and_then(|rest| rest.split_once("] ")).map_or(&*line, |(_, bare)| bare);
        let bare = if bare.starts_with(':') { bare.split(' ').next().unwrap_or(bare) } else { bare };
        if seen.insert(bare.to_owned()) {
            kept.push(line);
        }
    }
    kept.reverse();
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> Table {
        let mut table = Table::new("filter");
        table.chains.extend(["local", "INPUT"].map(str::to_owned));
        table.shared.push("nova-filter-top".to_owned());
        table.rules.push(Rule::on_top("FORWARD -j nova-filter-top".to_owned()));
        table.push("nova-filter-top -j nova-network-local".to_owned());
        table.push("INPUT -j nova-network-INPUT".to_owned());
        table
    }

    fn lines(text: &str) -> Vec<String> {
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn an_empty_table_gets_the_services_part() {
        let result = modified(saved_table("", "filter"), "nova-network", &table());
        assert_eq!(
            result,
            lines(
                "*filter
                :INPUT ACCEPT [0:0]
                :FORWARD ACCEPT [0:0]
                :OUTPUT ACCEPT [0:0]
                :nova-network-INPUT - [0:0]
                :nova-network-local - [0:0]
                :nova-filter-top - [0:0]
                -A FORWARD -j nova-filter-top
                -A nova-filter-top -j nova-network-local
                -A INPUT -j nova-network-INPUT
                COMMIT"
            )
        );
    }

    /// The guide: "you must restart nova-network" for rules; what really happens to a rule of one's own.
    #[test]
    fn what_others_wrote_stays_below_and_what_bears_the_prefix_goes() {
        let saved = "# Generated by iptables-save
*filter
:INPUT ACCEPT [0:0]
:FORWARD DROP [3:4]
:OUTPUT ACCEPT [0:0]
:nova-compute-INPUT - [0:0]
:nova-filter-top - [0:0]
:nova-network-stray - [0:0]
[7:8] -A INPUT -j nova-compute-INPUT
[0:0] -A FORWARD -s 10.0.0.9/32 -j DROP
[5:6] -A FORWARD -j nova-filter-top
[0:0] -A nova-network-stray -j DROP
[0:0] -A nova-filter-top -j nova-compute-local
COMMIT
";
        let result = modified(saved_table(saved, "filter"), "nova-network", &table());
        assert_eq!(
            result,
            lines(
                "*filter
                :INPUT ACCEPT [0:0]
                :FORWARD DROP [3:4]
                :OUTPUT ACCEPT [0:0]
                :nova-compute-INPUT - [0:0]
                :nova-network-INPUT - [0:0]
                :nova-network-local - [0:0]
                :nova-filter-top - [0:0]
                [5:6] -A FORWARD -j nova-filter-top
                -A nova-filter-top -j nova-network-local
                -A INPUT -j nova-network-INPUT
                [7:8] -A INPUT -j nova-compute-INPUT
                [0:0] -A FORWARD -s 10.0.0.9/32 -j DROP
                [0:0] -A nova-filter-top -j nova-compute-local
                COMMIT"
            )
        );
    }
}
