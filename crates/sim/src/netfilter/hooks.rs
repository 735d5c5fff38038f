//! A ruleset sorted by hook: which base chains a packet meets, in the kernel's order, and every chain
//! with what makes running it quick.

use std::collections::HashMap;

use model::netfilter::{BaseChain, Chain, ChainKind, Family, Hook, Ipset, NfSet, Ruleset, Table};

use super::guard::Guards;
use super::sets::Members;
use super::tracking;

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
    fn is_legacy(&self) -> bool {
        self.table.dialect.is_legacy()
    }

    /// When the chain runs. Those of type nat all run where the kernel's own NAT hook is, whatever
    /// priority they ask for, which orders them among each other only (`nf_nat_register_fn`).
    pub(super) fn priority(&self) -> i32 {
        let nat = match self.base.kind {
            ChainKind::Nat if matches!(self.table.family, Family::Ip | Family::Ip6 | Family::Inet) => {
                nat_priority(self.base.hook)
            }
            ChainKind::Nat | ChainKind::Filter | ChainKind::Route => None,
        };
        nat.unwrap_or(self.base.priority)
    }
}

/// Chains in their order: two where it is not to be seen which of them is the kernel's.
#[derive(Debug, Default)]
struct Order<'a> {
    legacy_first: Vec<BaseRef<'a>>,
    /// Empty where it would be the same.
    nft_first: Vec<BaseRef<'a>>,
}

impl<'a> Order<'a> {
    /// Of chains in the order of their registration.
    fn of(mut chains: Vec<BaseRef<'a>>) -> Order<'a> {
        // Of equal priorities the one registered last runs first (`nf_hook_entries_grow`).
        chains.reverse();
        let priority = |b: &BaseRef<'_>| (b.priority(), b.base.priority);
        let mut legacy_first = chains.clone();
        legacy_first.sort_by_key(|b| (priority(b), !b.is_legacy()));
        let mixed = legacy_first.windows(2).any(|pair| match pair {
            [one, other] => priority(one) == priority(other) && one.is_legacy() != other.is_legacy(),
            _ => false,
        });
        if mixed {
            chains.sort_by_key(|b| (priority(b), b.is_legacy()));
        } else {
            chains.clear();
        }
        Order { legacy_first, nft_first: chains }
    }
}

/// A chain, ready to be run.
#[derive(Debug)]
pub(crate) struct Ready<'a> {
    pub(crate) chain: &'a Chain,
    pub(crate) guards: Guards,
}

/// Base chains by hook and family, and every table's chains and sets by name.
#[derive(Debug)]
pub(crate) struct Hooks<'a> {
    /// By [`slot`].
    bases: [Order<'a>; SLOTS],
    /// Connections of IPv4 and of IPv6 are tracked.
    tracks: [bool; 2],
    chains: Vec<HashMap<&'a str, Ready<'a>>>,
    sets: Vec<HashMap<&'a str, Members<'a>>>,
    ipsets: HashMap<&'a str, (&'a Ipset, Members<'a>)>,
}

impl<'a> Hooks<'a> {
    /// Linear in rules and elements.
    pub(crate) fn new(ruleset: &'a Ruleset) -> Hooks<'a> {
        let mut bases: [Vec<BaseRef<'a>>; SLOTS] = std::array::from_fn(|_| Vec::new());
        for (table_at, table) in ruleset.tables.iter().enumerate() {
            for chain in &table.chains {
                let Some(base) = &chain.base else { continue };
                let found = BaseRef { table, table_at, chain, base };
                for family in seen_by(table.family, base.hook) {
                    bases[slot(*family, base.hook)].push(found);
                }
            }
        }
        let ready =
            |table: &'a Table, chain: &'a Chain| Ready { chain, guards: Guards::new(table.family, chain) };
        let chains = |table: &'a Table| {
            table.chains.iter().map(|chain| (chain.name.as_str(), ready(table, chain))).collect()
        };
        let set = |set: &'a NfSet| (set.name.as_str(), Members::new(&set.elements));
        let ipset = |set: &'a Ipset| (set.name.as_str(), (set, Members::new(&set.elements)));
        Hooks {
            bases: bases.map(Order::of),
            tracks: tracking::wanted(ruleset),
            chains: ruleset.tables.iter().map(chains).collect(),
            sets: ruleset.tables.iter().map(|table| table.sets.iter().map(set).collect()).collect(),
            ipsets: ruleset.ipsets.iter().map(ipset).collect(),
        }
    }

    /// The base chains that a packet of this family meets at a hook. `legacy_first` is asked where the
    /// order of legacy and nft chains cannot be seen.
    pub(crate) fn at(
        &self,
        family: Family,
        hook: Hook,
        legacy_first: impl FnOnce() -> bool,
    ) -> &[BaseRef<'a>] {
        let order = &self.bases[slot(family, hook)];
        if order.nft_first.is_empty() || legacy_first() { &order.legacy_first } else { &order.nft_first }
    }

    /// Whether some rule has connections of a family tracked.
    pub(crate) fn tracks(&self, family: Family) -> bool {
        let [v4, v6] = self.tracks;
        match family {
            Family::Ip => v4,
            Family::Ip6 => v6,
            Family::Inet | Family::Arp | Family::Bridge | Family::Netdev => false,
        }
    }

    /// A chain of a table by name.
    pub(crate) fn chain(&self, table_at: usize, name: &str) -> Option<&Ready<'a>> {
        self.chains.get(table_at)?.get(name)
    }

    /// A table's named set, by the table's place.
    pub(super) fn set(&self, table_at: usize, name: &str) -> Option<&Members<'a>> {
        self.sets.get(table_at)?.get(name)
    }

    /// An ipset of the namespace.
    pub(super) fn ipset(&self, name: &str) -> Option<&(&'a Ipset, Members<'a>)> {
        self.ipsets.get(name)
    }
}

/// Families times hooks.
const SLOTS: usize = 6 * 7;

/// A hook of a family as one number below [`SLOTS`].
fn slot(family: Family, hook: Hook) -> usize {
    family as usize * 7 + hook as usize
}

/// The families of packets that a table's chains see at a hook. `inet` has an ingress of its own,
/// which is the device's (`nf_tables_api.c`, `nft_chain_parse_hook`).
fn seen_by(family: Family, hook: Hook) -> &'static [Family] {
    match (family, hook) {
        (Family::Inet, Hook::Ingress) | (Family::Netdev, _) => &[Family::Netdev],
        (Family::Inet, _) => &[Family::Ip, Family::Ip6],
        (Family::Ip, _) => &[Family::Ip],
        (Family::Ip6, _) => &[Family::Ip6],
        (Family::Arp, _) => &[Family::Arp],
        (Family::Bridge, _) => &[Family::Bridge],
    }
}
