//! Conditions of a rule: what of a packet is looked at, and what it must be.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::set::Lookup;
use crate::Mac;

/// One condition of a rule.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Match {
    /// `!`: holds where the test does not.
    pub negated: bool,
    /// The test.
    pub test: Test,
}

/// What a condition looks at. What is not modelled, or cannot be told from a packet and a dump, makes
/// the walk fork, never guess.
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
    /// ICMP or ICMPv6 type, and codes from..=to where given.
    Icmp(u8, Option<(u8, u8)>),
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
    /// ARP sender and target protocol address are the same.
    ArpGratuitous,
    /// ARP sender hardware address, under a mask.
    ArpSourceMac(Mac, Mac),
    /// ARP target hardware address, under a mask.
    ArpTargetMac(Mac, Mac),
    /// Route type of an address (`-m addrtype`): one of these.
    AddressType {
        /// Whose.
        of: AddressOf,
        /// Types that hold.
        types: Vec<AddrType>,
        /// Only addresses and routes of this side's link count (`--limit-iface-in`, `-out`).
        limit: Option<Side>,
    },
    /// Packet mark: value under mask.
    Mark {
        /// Wanted value.
        value: u32,
        /// Bits compared.
        mask: u32,
    },
    /// Only fragments other than the first (`-f`).
    Fragment,
    /// `-m rpfilter`: the reverse path leads back by the link of arrival.
    ReversePath {
        /// Any link will do.
        loose: bool,
        /// The look-up carries the packet's mark.
        with_mark: bool,
        /// Packets from this machine's own addresses count as valid too.
        accept_local: bool,
    },
    /// A field's bits under the mask lie in one of the inclusive ranges. A packet without the field
    /// fails the condition, negated or not.
    Field {
        /// What is looked at.
        field: Field,
        /// Bits compared.
        mask: u128,
        /// Inclusive.
        within: Vec<(u128, u128)>,
    },
    /// Some of these bits of a field are set (nft's `tcp flags syn,ack` without a mask).
    AnyBit(Field, u128),
    /// The fields, side by side, are a member of a set of the rule's table, or of an anonymous one.
    InSet(Lookup),
    /// `-m set --match-set NAME DIRECTIONS`: the ipset of the namespace.
    InIpset {
        /// The set's name.
        name: String,
        /// For each dimension, which of the packet's ends.
        directions: Vec<AddressOf>,
    },
    /// Always holds (`-m comment`); kept so that the text can be printed again.
    Always,
    /// Depends on what neither packet nor dump can tell: its text, and why.
    Unpredictable(String, Because),
    /// Not modelled: its text.
    Unmodelled(String),
}

/// Why a condition cannot be told in advance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Because {
    /// How many packets came before, and when (limit, hashlimit, connlimit, quota).
    Rate,
    /// Chance, or a counter's state (statistic, numgen, jhash).
    Chance,
    /// Earlier packets' traces (recent, dynamic sets).
    History,
    /// The time of day.
    Time,
    /// Bytes that an imagined packet does not have (string, u32, bpf, raw payload, options).
    Payload,
    /// The sending process or its socket (owner, cgroup, socket).
    Socket,
    /// Hardware or another subsystem (cluster, cpu, policy of IPsec, devgroup, osf).
    Machine,
}

/// Which of a packet's two ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AddressOf {
    /// The sender.
    Source,
    /// The receiver.
    Destination,
}

/// Which link around a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The link of arrival.
    In,
    /// The link it leaves by.
    Out,
}

/// Something of a packet, its connection or its way that has a value. Numbers are as on the wire read
/// big-endian (an IPv4 address is its 32 bits); links are names.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Field {
    /// IPv4 or IPv6 source or destination.
    Ip(AddressOf),
    /// Layer-4 port of either end; of TCP, UDP, UDP-Lite, SCTP and DCCP.
    Port(AddressOf),
    /// Layer-4 protocol number (`meta l4proto`).
    Protocol,
    /// 2 or 10 (`meta nfproto`).
    NfProto,
    /// Time to live, or hop limit.
    Ttl,
    /// The IP packet's length in bytes.
    Length,
    /// The frame's length in bytes, as the kernel has it at the hook (nft's `meta length` where rules see frames).
    FrameLength,
    /// Differentiated services code point, 0..=63.
    Dscp,
    /// ICMP or ICMPv6 type.
    IcmpType,
    /// ICMP or ICMPv6 code.
    IcmpCode,
    /// TCP flags, FIN = 1.
    TcpFlags,
    /// Name of the incoming link.
    In,
    /// Name of the outgoing link.
    Out,
    /// Name of the bridge of the port of arrival.
    LogicalIn,
    /// Name of the bridge of the port it leaves by.
    LogicalOut,
    /// Hardware type (`ARPHRD_*`) of the link that the packet is at (nft's `iiftype`), or leaves by.
    LinkType(Side),
    /// The next hop that routing chose: a gateway, or the destination itself (nft's `rt nexthop`).
    NextHop,
    /// 0 for this host, 1 broadcast, 2 multicast, 3 another host (`PACKET_*`).
    PacketType,
    /// Packet mark.
    Mark,
    /// Ethernet source or destination, 48 bits.
    Ether(AddressOf),
    /// Ethernet type.
    EtherType,
    /// 802.1Q VLAN number.
    Vlan,
    /// ARP operation.
    ArpOperation,
    /// ARP protocol address of sender or target.
    ArpIp(AddressOf),
    /// ARP hardware address of sender or target.
    ArpEther(AddressOf),
    /// Conntrack state as a bit: invalid 1, established 2, related 4, new 8, untracked 64.
    CtState,
    /// Conntrack status bits (`IPS_*`): seen-reply 2, assured 4, confirmed 8, snat 16, dnat 32.
    CtStatus,
    /// 0 in the original direction, 1 in the reply's.
    CtDirection,
    /// Connection mark.
    CtMark,
    /// Conntrack zone.
    CtZone,
    /// IP protocol number of the connection.
    CtProtocol,
    /// A part of one of the connection's two tuples.
    Ct(CtTuple),
    /// An answer of the FIB.
    Fib(FibQuestion),
    /// Not modelled, or of the sending process: its text.
    Unmodelled(String),
}

/// A part of a connection's tuple.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct CtTuple {
    /// The reply's tuple; otherwise the original's.
    pub reply: bool,
    /// Whose.
    pub of: AddressOf,
    /// Its layer-4 port; otherwise its address.
    pub port: bool,
}

/// What is asked of the FIB (`nft` `fib`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct FibQuestion {
    /// Which address is looked up.
    pub of: AddressOf,
    /// Only by this side's link.
    pub link: Option<Side>,
    /// With the packet's mark.
    pub mark: bool,
    /// What is wanted.
    pub result: FibResult,
}

/// What of the route is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FibResult {
    /// The type of address (`RTN_*`).
    Type,
    /// The link's name; without a route, or where it is not the link asked for, there is none.
    Link,
    /// 1 where there is such a link, else 0.
    Present,
}

/// Route type of an address (`-m addrtype`, `fib type`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum AddrType {
    /// Any address that a unicast route covers.
    Unicast,
    /// An address of this machine.
    Local,
    /// A broadcast address of one of its links.
    Broadcast,
    /// An anycast address.
    Anycast,
    /// Multicast.
    Multicast,
    /// A blackhole route.
    Blackhole,
    /// An unreachable route, or none at all.
    Unreachable,
    /// A prohibit route.
    Prohibit,
}

impl AddrType {
    /// The kernel's number (`RTN_*`, `include/uapi/linux/rtnetlink.h`).
    pub fn number(self) -> u8 {
        match self {
            AddrType::Unicast => 1,
            AddrType::Local => 2,
            AddrType::Broadcast => 3,
            AddrType::Anycast => 4,
            AddrType::Multicast => 5,
            AddrType::Blackhole => 6,
            AddrType::Unreachable => 7,
            AddrType::Prohibit => 8,
        }
    }
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
