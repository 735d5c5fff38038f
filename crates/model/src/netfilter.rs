//! Rulesets: iptables (legacy and nft), ebtables, arptables and nftables in one form.
//!
//! Everything is described in nftables' words: tables of a family hold chains, base chains hang on
//! a hook with a priority. iptables' built-in chains are base chains of the priorities that the
//! kernel gives them (`include/uapi/linux/netfilter_ipv4.h`, `NF_IP_PRI_*`).

use serde::{Deserialize, Serialize};

mod action;
mod set;
mod test;

pub use action::{Action, ArpChange, Choice, EtherChange, NatTarget, RejectWith, TtlChange};
pub use set::{Data, Dimension, Element, Elements, Ipset, Lookup, NfSet, Part};
pub use test::{
    AddrType, AddressOf, Because, CtStates, CtTuple, FibQuestion, FibResult, Field, Match, Side, Test,
};

/// Every table of one network namespace, all families and back ends together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ruleset {
    /// In the order they were read.
    pub tables: Vec<Table>,
    /// ipsets of the namespace (`ipset save`), which iptables' `-m set` asks.
    #[serde(default)]
    pub ipsets: Vec<Ipset>,
    /// Families of which some rules are known to be missing here: what is not in `tables` tells nothing of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub unread: Vec<Unread>,
}

/// Rules that could not be read, where the rest of their machine could: of a support archive that holds but a listing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unread {
    /// Whose packets they may decide about.
    pub family: Family,
    /// Which: `iptables' rules`.
    pub what: String,
    /// The command or file that would tell them.
    pub would_need: String,
}

impl Ruleset {
    /// Rules that may decide about a family's packets and were not read. Those of `inet` decide about two.
    pub fn unread_of(&self, family: Family) -> Option<&Unread> {
        let decides =
            |of: Family| of == family || of == Family::Inet && matches!(family, Family::Ip | Family::Ip6);
        self.unread.iter().find(|unread| decides(unread.family))
    }

    /// The table of this family, name and back end.
    pub fn table(&self, dialect: Dialect, family: Family, name: &str) -> Option<&Table> {
        self.tables.iter().find(|t| t.dialect == dialect && t.family == family && t.name == name)
    }
}

/// Protocol family of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// IPv4 and IPv6.
    Inet,
    /// ARP.
    Arp,
    /// Bridged frames.
    Bridge,
    /// One device's ingress or egress.
    Netdev,
}

impl Family {
    /// As nft prints it.
    pub fn name(self) -> &'static str {
        match self {
            Family::Ip => "ip",
            Family::Ip6 => "ip6",
            Family::Inet => "inet",
            Family::Arp => "arp",
            Family::Bridge => "bridge",
            Family::Netdev => "netdev",
        }
    }
}

/// Which tool's back end holds the table, and so which tool shows and edits it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Dialect {
    /// `iptables-legacy`, `ip6tables-legacy`: the xtables of old.
    IptablesLegacy,
    /// `iptables-nft`, `ip6tables-nft`: iptables' language on nf_tables.
    IptablesNft,
    /// `ebtables-legacy`.
    EbtablesLegacy,
    /// `ebtables-nft`.
    EbtablesNft,
    /// `arptables-legacy`.
    ArptablesLegacy,
    /// `arptables-nft`.
    ArptablesNft,
    /// Native nftables.
    Nft,
}

impl Dialect {
    /// Its rules are not nf_tables'.
    pub fn is_legacy(self) -> bool {
        match self {
            Dialect::IptablesLegacy | Dialect::EbtablesLegacy | Dialect::ArptablesLegacy => true,
            Dialect::IptablesNft | Dialect::EbtablesNft | Dialect::ArptablesNft | Dialect::Nft => false,
        }
    }

    /// The command that prints such a table with counters.
    pub fn save_command(self, family: Family) -> &'static str {
        match (self, family) {
            (Dialect::IptablesLegacy, Family::Ip6) => "ip6tables-legacy-save -c",
            (Dialect::IptablesLegacy, _) => "iptables-legacy-save -c",
            (Dialect::IptablesNft, Family::Ip6) => "ip6tables-nft-save -c",
            (Dialect::IptablesNft, _) => "iptables-save -c",
            (Dialect::EbtablesLegacy, _) => "ebtables-legacy-save",
            (Dialect::EbtablesNft, _) => "ebtables-save -c",
            (Dialect::ArptablesLegacy, _) => "arptables-legacy -L -n -v",
            (Dialect::ArptablesNft, _) => "arptables-save -c",
            (Dialect::Nft, _) => "nft -a list ruleset",
        }
    }

    /// The command that edits such a table.
    pub fn edit_command(self, family: Family) -> &'static str {
        match (self, family) {
            (Dialect::IptablesLegacy, Family::Ip6) => "ip6tables-legacy",
            (Dialect::IptablesLegacy, _) => "iptables-legacy",
            (Dialect::IptablesNft, Family::Ip6) => "ip6tables",
            (Dialect::IptablesNft, _) => "iptables",
            (Dialect::EbtablesLegacy, _) => "ebtables-legacy",
            (Dialect::EbtablesNft, _) => "ebtables",
            (Dialect::ArptablesLegacy, _) => "arptables-legacy",
            (Dialect::ArptablesNft, _) => "arptables",
            (Dialect::Nft, _) => "nft",
        }
    }
}

/// One table.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its family.
    pub family: Family,
    /// Its name: `filter`, `nat`, ...
    pub name: String,
    /// Whose back end.
    pub dialect: Dialect,
    /// In the order printed.
    pub chains: Vec<Chain>,
    /// nft's named sets, maps and verdict maps.
    #[serde(default)]
    pub sets: Vec<NfSet>,
}

impl Table {
    /// The chain of this name.
    pub fn chain(&self, name: &str) -> Option<&Chain> {
        self.chains.iter().find(|c| c.name == name)
    }
}

/// One chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// Its name.
    pub name: String,
    /// Where it hangs, of a base chain; `None` for chains only jumped to.
    pub base: Option<BaseChain>,
    /// In order; the first is rule number 1.
    pub rules: Vec<NfRule>,
}

/// How a base chain hangs on its hook.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BaseChain {
    /// The hook.
    pub hook: Hook,
    /// Lower runs first (`NF_IP_PRI_*`).
    pub priority: i32,
    /// filter, nat or route.
    pub kind: ChainKind,
    /// What happens at its end.
    pub policy: Policy,
    /// Packets and bytes that met the policy.
    pub policy_counters: Option<Counters>,
    /// The devices of a netdev chain, or of an inet chain at ingress; empty for all other chains.
    #[serde(default)]
    pub devices: Vec<String>,
}

/// Where netfilter looks at packets (`NF_INET_*`, `NF_BR_*`, `NF_NETDEV_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Hook {
    /// A device's ingress.
    Ingress,
    /// A device's egress.
    Egress,
    /// Arrived, before routing. Bridge: ebtables BROUTING is this hook at priority -300 too.
    Prerouting,
    /// For this machine.
    Input,
    /// Passing through.
    Forward,
    /// Made on this machine.
    Output,
    /// About to leave.
    Postrouting,
}

impl Hook {
    /// As iptables names the built-in chain of this hook.
    pub fn builtin(self) -> &'static str {
        match self {
            Hook::Ingress => "INGRESS",
            Hook::Egress => "EGRESS",
            Hook::Prerouting => "PREROUTING",
            Hook::Input => "INPUT",
            Hook::Forward => "FORWARD",
            Hook::Output => "OUTPUT",
            Hook::Postrouting => "POSTROUTING",
        }
    }
}

/// Type of a base chain (nft(8), CHAINS).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ChainKind {
    /// Sees every packet.
    Filter,
    /// Sees the first packet of each connection only.
    Nat,
    /// Output only; a changed mark reroutes.
    Route,
}

/// A base chain's policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Policy {
    /// Packets that meet the end go on.
    Accept,
    /// Packets that meet the end are dropped.
    Drop,
}

/// Packets and bytes counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counters {
    /// Packets.
    pub packets: u64,
    /// Bytes.
    pub bytes: u64,
}

/// One netfilter rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NfRule {
    /// As its owner's tool prints it, without counters: `-A FORWARD -i br100 -j ACCEPT`.
    pub text: String,
    /// Counted so far, where the dump had counters.
    pub counters: Option<Counters>,
    /// nftables handle.
    pub handle: Option<u64>,
    /// 1-based line of the dump it was read from; 0 where it has none.
    pub line: u32,
    /// All must hold.
    pub matches: Vec<Match>,
    /// What then happens.
    pub action: Action,
}
