//! A ruleset sorted by hook: which base chains a packet meets, in the kernel's order.

use std::collections::HashMap;

use model::netfilter::{BaseChain, Chain, ChainKind, Family, Hook, Ruleset, Table};

/// Destination NAT (`NF_IP_PRI_NAT_DST`).
const PRIORITY_NAT_DST: i32 = -100;
/// Source NAT (`NF_IP_PRI_NAT_SRC`).
const PRIORITY_NAT_SRC: i32 = 100;

/// When NAT happens at a hook, where it does.
pub(super) fn nat_priority(hook: Hook) -> Option<i32> {
    match hook {
        Hook::Prerouting | Hook::Output => Some(PRIORITY_NAT_DST),
        Hook::Postrouting | Hook::Input => Some(PRIORITY_NAT_SRC),
        Hook::Forward | Hook::Ingress | Hook::Egress => None,
    }
}

/// One base chain with its table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BaseRef<'a> {
    pub(crate) table: &'a Table,
    /// Index into `Ruleset::tables`.
    pub(crate) table_at: usize,
    pub(crate) chain: &'a Chain,
    pub(crate) base: &'a BaseChain,
}

impl BaseRef<'_> {
    /// When the chain runs. Those of type nat all run where the kernel's own NAT hook is, whatever
    /// priority they ask for, which orders them among each other only (`nf_nat_register_fn`).
    pub(super) fn priority(&self) -> i32 {
        let nat = match self.base.kind {
            ChainKind::Nat if matches!(self.table.family, Family::Ip | Family::Inet) => {
                nat_priority(self.base.hook)
            }
            ChainKind::Nat | ChainKind::Filter | ChainKind::Route => None,
        };
        nat.unwrap_or(self.base.priority)
    }
}

/// Base chains by hook and family, and every table's chains by name.
#[derive(Debug)]
pub(crate) struct Hooks<'a> {
    bases: HashMap<(Family, Hook), Vec<BaseRef<'a>>>,
    chains: Vec<HashMap<&'a str, &'a Chain>>,
}

impl<'a> Hooks<'a> {
    pub(crate) fn new(ruleset: &'a Ruleset) -> Hooks<'a> {
        let mut bases: HashMap<(Family, Hook), Vec<BaseRef<'a>>> = HashMap::new();
        for (table_at, table) in ruleset.tables.iter().enumerate() {
            for chain in &table.chains {
                let Some(base) = &chain.base else { continue };
                let found = BaseRef { table, table_at, chain, base };
                for family in seen_by(table.family) {
                    bases.entry((*family, base.hook)).or_default().push(found);
                }
            }
        }
        for chains in bases.values_mut() {
            // Stable: of equal priorities the one registered first runs first.
            chains.sort_by_key(|b| (b.priority(), b.base.priority));
        }
        let by_name = |table: &'a Table| table.chains.iter().map(|c| (c.name.as_str(), c)).collect();
        Hooks { bases, chains: ruleset.tables.iter().map(by_name).collect() }
    }

    /// The base chains that a packet of this family meets at a hook.
    pub(crate) fn at(&self, family: Family, hook: Hook) -> &[BaseRef<'a>] {
        self.bases.get(&(family, hook)).map_or(&[], Vec::as_slice)
    }

    /// A chain of a table by name.
    pub(crate) fn chain(&self, table_at: usize, name: &str) -> Option<&'a Chain> {
        self.chains.get(table_at)?.get(name).copied()
    }
}

/// The families of packets that a table's chains see.
fn seen_by(family: Family) -> &'static [Family] {
    match family {
        Family::Ip => &[Family::Ip],
        Family::Ip6 => &[Family::Ip6],
        Family::Inet => &[Family::Ip, Family::Ip6],
        Family::Arp => &[Family::Arp],
        Family::Bridge => &[Family::Bridge],
        Family::Netdev => &[Family::Netdev],
    }
}
