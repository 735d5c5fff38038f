//! Rulesets: iptables (legacy and nft), ebtables, arptables and nftables in one form.
//!
//! Everything is described in nftables' words: tables of a family hold chains, base chains hang on
//! a hook with a priority. iptables' built-in chains are base chains of the priorities that the
//! kernel gives them (`include/uapi/linux/netfilter_ipv4.h`, `NF_IP_PRI_*`).

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::Mac;

/// Every table of one network namespace, all families and back ends together.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Ruleset {
    /// In the order they were read.
    pub tables: Vec<Table>,
}

impl Ruleset {
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
    /// `arptables-nft`.
    ArptablesNft,
    /// Native nftables.
    Nft,
}

impl Dialect {
    /// The command that prints such a table with counters.
    pub fn save_command(self, family: Family) -> &'static str {
        match (self, family) {
            (Dialect::IptablesLegacy, Family::Ip6) => "ip6tables-legacy-save -c",
            (Dialect::IptablesLegacy, _) => "iptables-legacy-save -c",
            (Dialect::IptablesNft, Family::Ip6) => "ip6tables-nft-save -c",
            (Dialect::IptablesNft, _) => "iptables-save -c",
            (Dialect::EbtablesLegacy, _) => "ebtables-legacy-save",
            (Dialect::EbtablesNft, _) => "ebtables-save -c",
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
    /// The device, of a netdev chain.
    pub device: Option<String>,
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

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// `!`: holds where the test does not.
    pub negated: bool,
    /// The test.
    pub test: Test,
}

/// What a condition looks at. `Unmodelled` makes the walk fork, never guess.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Test {
    /// IP source in one of the prefixes.
    Source(Vec<IpNet>),
    /// IP destination in one of the prefixes.
    Destination(Vec<IpNet>),
    /// IP source from..=to (`-m iprange --src-range`).
    SourceRange(IpAddr, IpAddr),
    /// IP destination from..=to.
    DestinationRange(IpAddr, IpAddr),
    /// Incoming link; a trailing `+` (iptables) or `*` (nft, stored as `+`) is a wildcard.
    In(String),
    /// Outgoing link, same wildcard.
    Out(String),
    /// `-m physdev --physdev-in`: bridge port of arrival.
    PhysdevIn(String),
    /// `-m physdev --physdev-out`.
    PhysdevOut(String),
    /// `-m physdev --physdev-is-bridged`: bridged, not routed.
    PhysdevIsBridged,
    /// `-m physdev --physdev-is-in`: came in by a bridge port.
    PhysdevIsIn,
    /// `-m physdev --physdev-is-out`: leaves by a bridge port that is already known.
    PhysdevIsOut,
    /// ebtables `--logical-in`: the bridge of the port of arrival.
    LogicalIn(String),
    /// ebtables `--logical-out`.
    LogicalOut(String),
    /// IP protocol number.
    Protocol(u8),
    /// One of several IP protocol numbers (`meta l4proto { tcp, udp }`).
    Protocols(Vec<u8>),
    /// Layer-4 source port in one of the inclusive ranges.
    SourcePort(Vec<(u16, u16)>),
    /// Layer-4 destination port in one of the inclusive ranges.
    DestinationPort(Vec<(u16, u16)>),
    /// Source or destination port in one of the ranges (`multiport --ports`).
    EitherPort(Vec<(u16, u16)>),
    /// ICMP type, and code where given.
    Icmp(u8, Option<u8>),
    /// TCP flags: of those in the mask, exactly these are set.
    TcpFlags {
        /// Flags looked at.
        mask: u8,
        /// Flags that must be set among them.
        set: u8,
    },
    /// Conntrack state is one of these.
    CtState(CtStates),
    /// Ethernet source (`-m mac --mac-source`, `ether saddr`), under a mask.
    EtherSource(Mac, Mac),
    /// Ethernet destination, under a mask.
    EtherDestination(Mac, Mac),
    /// Ethernet type.
    EtherType(u16),
    /// ARP operation: 1 request, 2 reply.
    ArpOperation(u16),
    /// ARP sender protocol address in the prefix.
    ArpSourceIp(IpNet),
    /// ARP target protocol address in the prefix.
    ArpTargetIp(IpNet),
    /// ARP sender hardware address, under a mask.
    ArpSourceMac(Mac, Mac),
    /// ARP target hardware address, under a mask.
    ArpTargetMac(Mac, Mac),
    /// Route type of the source (`-m addrtype --src-type`).
    SourceType(AddrType),
    /// Route type of the destination.
    DestinationType(AddrType),
    /// Packet mark: value under mask.
    Mark {
        /// Wanted value.
        value: u32,
        /// Bits compared.
        mask: u32,
    },
    /// Only fragments other than the first (`-f`).
    Fragment,
    /// Always holds (`-m comment`); kept so that the text can be printed again.
    Always,
    /// Not modelled: its text. The walk answers *unknown* and explores both sides.
    Unmodelled(String),
}

/// Route type of an address (`-m addrtype`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AddrType {
    /// An address of this machine.
    Local,
    /// A broadcast address of one of its links.
    Broadcast,
    /// Multicast.
    Multicast,
    /// Any other that a unicast route covers.
    Unicast,
}

/// A set of conntrack states.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct CtStates {
    /// INVALID.
    pub invalid: bool,
    /// NEW.
    pub new: bool,
    /// ESTABLISHED.
    pub established: bool,
    /// RELATED.
    pub related: bool,
    /// UNTRACKED.
    pub untracked: bool,
    /// Virtual state DNAT: the connection's destination was rewritten.
    pub dnat: bool,
    /// Virtual state SNAT: the connection's source was rewritten.
    pub snat: bool,
}

/// What a rule does with a packet that matches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Nothing: the rule only counts.
    Continue,
    /// ACCEPT: ends this base chain; others at the hook still run.
    Accept,
    /// DROP: the packet is gone.
    Drop,
    /// REJECT with this answer (`icmp-port-unreachable`, `tcp-reset`, ...).
    Reject(String),
    /// Back to the caller; in a base chain, to the policy.
    Return,
    /// Calls a chain.
    Jump(String),
    /// Goes to a chain without coming back.
    Goto(String),
    /// Rewrites the destination.
    Dnat(NatTarget),
    /// Rewrites the source.
    Snat(NatTarget),
    /// Rewrites the source to the outgoing link's address.
    Masquerade,
    /// Rewrites the destination to this machine, port where given.
    Redirect(Option<(u16, u16)>),
    /// Sets the packet mark: `mark = (mark & !mask) ^ value`.
    SetMark {
        /// Bits set.
        value: u32,
        /// Bits cleared first.
        mask: u32,
    },
    /// `-j CT --notrack` / NOTRACK.
    Notrack,
    /// Does something that does not decide the packet's fate (LOG, CHECKSUM, TRACE, ...): its text.
    NonTerminal(String),
    /// Not modelled: its text. The walk answers *unknown*.
    Unmodelled(String),
}

/// Where NAT rewrites to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct NatTarget {
    /// Inclusive range of addresses; both ends equal for a single one. `None` keeps the address.
    pub addresses: Option<(IpAddr, IpAddr)>,
    /// Inclusive range of ports, `None` keeps the port.
    pub ports: Option<(u16, u16)>,
}

impl fmt::Display for NatTarget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some((low, high)) = self.addresses {
            write!(f, "{low}")?;
            if high != low {
                write!(f, "-{high}")?;
            }
        }
        if let Some((low, high)) = self.ports {
            write!(f, ":{low}")?;
            if high != low {
                write!(f, "-{high}")?;
            }
        }
        Ok(())
    }
}
