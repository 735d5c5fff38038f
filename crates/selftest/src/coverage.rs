//! What was drawn, and what decided a packet's fate: counted by name.

use std::collections::BTreeMap;

use model::netfilter::Dialect;
use model::path::RuleRef;
use serde::Serialize;

use crate::case::{Backend, Case, Chain, Kind, Rule, Table};
use crate::judge::Said;

/// How often something was drawn, and how often it stood in a rule that decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Count {
    /// Times that it was drawn.
    pub drawn: u64,
    /// Times that a rule with it decided or rewrote a packet that was compared.
    pub decided: u64,
}

/// Counts by name.
type Counts = BTreeMap<String, Count>;

/// What a run went through.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct Coverage {
    /// Matches.
    pub matches: Counts,
    /// Targets, jumps and gotos.
    pub targets: Counts,
    /// Back end, table and base chain.
    pub hooks: Counts,
    /// Packets sent, by what they were.
    pub packets: BTreeMap<String, u64>,
    /// Sysctls set.
    pub sysctls: BTreeMap<String, u64>,
    /// Packets whose fate was not known, by why.
    pub unknown: BTreeMap<String, u64>,
    /// What could not be drawn on this machine, and why.
    pub left_out: BTreeMap<String, String>,
}

impl Coverage {
    /// Counts all of a case as drawn.
    pub(crate) fn add_case(&mut self, case: &Case) {
        for machine in &case.machines {
            for (key, _) in &machine.sysctls {
                *self.sysctls.entry(general(key)).or_default() += 1;
            }
            for ruleset in &machine.rulesets {
                for table in &ruleset.tables {
                    self.add_table(ruleset.backend, table);
                }
            }
        }
        for probe in &case.probes {
            let kind = match probe.kind {
                Kind::Echo => "echo",
                Kind::Tcp(_) => "tcp",
                Kind::Udp(_) => "udp",
                Kind::Arp => "arp",
            };
            let version = if probe.to.is_ipv6() { "IPv6" } else { "IPv4" };
            *self.packets.entry(format!("{version} {kind}")).or_default() += 1;
        }
    }

    fn add_table(&mut self, backend: Backend, table: &Table) {
        for chain in &table.chains {
            if chain.base.is_some() {
                self.hooks.entry(hook_name(backend, table, chain)).or_default().drawn += 1;
            }
            for rule in &chain.rules {
                self.each(rule, |count| count.drawn += 1);
            }
        }
    }

    /// Counts the rules that the walk names of a probe whose fate was as said.
    pub(crate) fn add_decided(&mut self, case: &Case, said: &Said) {
        for (machine, by) in &said.rules {
            let Some(machine) = case.machines.iter().find(|m| m.name == *machine) else { continue };
            for ruleset in machine.rulesets.iter().filter(|r| is_of(r.backend, by)) {
                for table in &ruleset.tables {
                    if table.name == by.table {
                        self.decided(ruleset.backend, table, by);
                    }
                }
            }
        }
    }

    fn decided(&mut self, backend: Backend, table: &Table, by: &RuleRef) {
        let of = |name: Option<&String>| table.chains.iter().find(|c| Some(&c.name) == name);
        if let Some(base) = of(by.chains.first()) {
            self.hooks.entry(hook_name(backend, table, base)).or_default().decided += 1;
        }
        let at = usize::try_from(by.number).ok().and_then(|n| n.checked_sub(1));
        let rule = of(by.chains.last()).zip(at).and_then(|(chain, at)| chain.rules.get(at));
        if let Some(rule) = rule {
            self.each(rule, |count| count.decided += 1);
        }
    }

    fn each(&mut self, rule: &Rule, add: impl Fn(&mut Count)) {
        for condition in &rule.conditions {
            add(self.matches.entry(condition.name.to_owned()).or_default());
        }
        add(self.targets.entry(rule.verdict.name.to_owned()).or_default());
    }
}

/// A sysctl without the name of its link.
fn general(key: &str) -> String {
    let parts: Vec<&str> = key.split('/').collect();
    match parts.as_slice() {
        [version, "conf", link, name] if !matches!(*link, "all" | "default") => {
            format!("{version}/conf/LINK/{name}")
        }
        _ => key.to_owned(),
    }
}

fn hook_name(backend: Backend, table: &Table, chain: &Chain) -> String {
    match (&chain.base, backend) {
        (Some(base), Backend::Nft) => {
            format!("nft {} {} {}", table.family, base.kind, base.hook.builtin().to_lowercase())
        }
        _ => format!("{} {} {}", backend.name(), table.name, chain.name),
    }
}

fn is_of(backend: Backend, rule: &RuleRef) -> bool {
    use model::netfilter::Family;
    let v6 = rule.family == Family::Ip6;
    match backend {
        Backend::IptablesLegacy => rule.dialect == Dialect::IptablesLegacy && !v6,
        Backend::Ip6tablesLegacy => rule.dialect == Dialect::IptablesLegacy && v6,
        Backend::IptablesNft => rule.dialect == Dialect::IptablesNft && !v6,
        Backend::Ip6tablesNft => rule.dialect == Dialect::IptablesNft && v6,
        Backend::EbtablesLegacy => rule.dialect == Dialect::EbtablesLegacy,
        Backend::EbtablesNft => rule.dialect == Dialect::EbtablesNft,
        Backend::ArptablesNft => rule.dialect == Dialect::ArptablesNft,
        Backend::Nft => rule.dialect == Dialect::Nft,
    }
}
