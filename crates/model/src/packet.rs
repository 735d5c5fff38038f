//! Packets as the walk imagines them: the headers that decide a packet's fate.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use serde::{Deserialize, Serialize};

use crate::Mac;
use crate::vlan::Tags;

/// An Ethernet frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Ethernet source.
    pub source: Mac,
    /// Ethernet destination.
    pub destination: Mac,
    /// VLAN tags.
    #[serde(default)]
    pub tags: Tags,
    /// What it carries.
    pub payload: Payload,
}

impl Frame {
    /// Without tags.
    pub fn untagged(source: Mac, destination: Mac, payload: Payload) -> Frame {
        Frame { source, destination, tags: Tags::default(), payload }
    }
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// ARP (RFC 826).
    Arp(Arp),
    /// IPv4 or IPv6.
    Ip(Packet),
}

/// An ARP packet for IPv4 over Ethernet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arp {
    /// A reply; otherwise a request.
    pub reply: bool,
    /// Sender hardware address.
    pub sender_mac: Mac,
    /// Sender protocol address.
    pub sender_ip: Ipv4Addr,
    /// Target hardware address, zero in a request.
    pub target_mac: Mac,
    /// Target protocol address.
    pub target_ip: Ipv4Addr,
}

/// An IPv4 or IPv6 packet. Both addresses are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live, or hop limit.
    pub ttl: u8,
    /// Total length in bytes, header included.
    pub length: u16,
    /// Layer 4.
    pub transport: Transport,
}

/// Layer 4 of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// ICMP or ICMPv6 echo.
    Echo {
        /// A reply; otherwise a request.
        reply: bool,
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
    },
    /// ICMP or ICMPv6 error about a packet of another sender.
    IcmpError {
        /// Type: 3 or 11 of ICMP, 1 or 3 of ICMPv6.
        kind: u8,
        /// Code.
        code: u8,
    },
    /// Neighbour discovery (RFC 4861).
    Neighbour {
        /// An advertisement; otherwise a solicitation.
        advertisement: bool,
        /// The address asked for, or told of.
        target: Ipv6Addr,
        /// Link-layer address option: of the asker, or of the target.
        mac: Mac,
    },
    /// TCP; only the opening packets are imagined.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// Which of them.
        segment: Segment,
    },
    /// UDP.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
}

/// A segment of TCP's opening.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Segment {
    /// The question.
    Syn,
    /// The answer.
    SynAck,
    /// The refusal.
    Reset,
}

impl Segment {
    /// The flags set, FIN = 1.
    pub fn flags(self) -> u8 {
        match self {
            Segment::Syn => 0x02,
            Segment::SynAck => 0x12,
            Segment::Reset => 0x14,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Segment::Syn => "SYN",
            Segment::SynAck => "SYN-ACK",
            Segment::Reset => "RST",
        }
    }
}

/// ICMP's protocol number.
pub const ICMP: u8 = 1;
/// TCP's.
pub const TCP: u8 = 6;
/// UDP's.
pub const UDP: u8 = 17;
/// ICMPv6's.
pub const ICMPV6: u8 = 58;

impl Packet {
    /// It is of IPv6.
    pub fn is_v6(&self) -> bool {
        self.destination.is_ipv6()
    }

    /// IP protocol number of what it carries.
    pub fn protocol(&self) -> u8 {
        match self.transport {
            Transport::Echo { .. } | Transport::IcmpError { .. } if self.is_v6() => ICMPV6,
            Transport::Echo { .. } | Transport::IcmpError { .. } => ICMP,
            Transport::Neighbour { .. } => ICMPV6,
            Transport::Tcp { .. } => TCP,
            Transport::Udp { .. } => UDP,
        }
    }

    /// ICMP or ICMPv6 type and code.
    pub fn icmp(&self) -> Option<(u8, u8)> {
        match self.transport {
            Transport::Echo { reply, .. } => Some(match (self.is_v6(), reply) {
                (false, false) => (8, 0),
                (false, true) => (0, 0),
                (true, false) => (128, 0),
                (true, true) => (129, 0),
            }),
            Transport::IcmpError { kind, code } => Some((kind, code)),
            Transport::Neighbour { advertisement, .. } => Some((if advertisement { 136 } else { 135 }, 0)),
            Transport::Tcp { .. } | Transport::Udp { .. } => None,
        }
    }
}

impl Transport {
    /// Source and destination port; the echo identifier stands in for both of ICMP's, as in
    /// conntrack's tuples (`nf_conntrack_proto_icmp.c`).
    pub fn ports(self) -> (u16, u16) {
        match self {
            Transport::Echo { id, .. } => (id, id),
            Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => {
                (source, destination)
            }
            Transport::IcmpError { .. } | Transport::Neighbour { .. } => (0, 0),
        }
    }
}

/// A usual ping's packets are no longer: ping(8)'s default, over IPv6.
const PING_LENGTH_MAX: u16 = 104;

impl fmt::Display for Packet {
    /// `10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64`, the contract's wording; `hlim` of IPv6. Of an echo that is
    /// longer than usual its length, too.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packet { source, destination, ttl, length, .. } = self;
        let (icmp, limit) = if self.is_v6() { ("ICMPv6", "hlim") } else { ("ICMP", "ttl") };
        let end = |address: &IpAddr, port: u16| match address {
            IpAddr::V4(v4) => format!("{v4}:{port}"),
            IpAddr::V6(v6) => format!("[{v6}]:{port}"),
        };
        match self.transport {
            Transport::Echo { reply, .. } => {
                let kind = if reply { "reply" } else { "request" };
                write!(f, "{source} > {destination} {icmp} echo {kind} {limit} {ttl}")?;
                if *length > PING_LENGTH_MAX { write!(f, " length {length}") } else { Ok(()) }
            }
            Transport::IcmpError { kind, code } => {
                let name = error_name(self.is_v6(), kind, code);
                write!(f, "{source} > {destination} {icmp} {name} {limit} {ttl}")
            }
            Transport::Neighbour { advertisement: true, target, mac } => {
                write!(f, "{source} > {destination} neighbour advertisement {target} is at {mac}")
            }
            Transport::Neighbour { advertisement: false, target, .. } => {
                write!(f, "{source} > {destination} neighbour solicitation who has {target}")
            }
            Transport::Tcp { source: sport, destination: dport, segment } => {
                let (from, to) = (end(source, sport), end(destination, dport));
                write!(f, "{from} > {to} TCP {} {limit} {ttl}", segment.name())
            }
            Transport::Udp { source: sport, destination: dport } => {
                write!(f, "{} > {} UDP {limit} {ttl}", end(source, sport), end(destination, dport))
            }
        }
    }
}

/// An ICMP error's name as tcpdump and iptables say it.
pub fn error_name(is_v6: bool, kind: u8, code: u8) -> String {
    let name = match (is_v6, kind, code) {
        (false, 3, 0) => "net unreachable",
        (false, 3, 1) => "host unreachable",
        (false, 3, 2) => "protocol unreachable",
        (false, 3, 3) => "port unreachable",
        (false, 3, 4) => "fragmentation needed",
        (false, 3, 9) => "net prohibited",
        (false, 3, 10) => "host prohibited",
        (false, 3, 13) => "administratively prohibited",
        (false, 11, 0) => "time exceeded",
        (true, 1, 0) => "no route",
        (true, 1, 1) => "administratively prohibited",
        (true, 1, 3) => "address unreachable",
        (true, 1, 4) => "port unreachable",
        (true, 1, 5) => "source policy failed",
        (true, 1, 6) => "reject route",
        (true, 2, 0) => "packet too big",
        (true, 3, 0) => "time exceeded",
        (_, kind, code) => return format!("type {kind} code {code}"),
    };
    name.to_owned()
}

impl fmt::Display for Arp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.reply {
            write!(f, "ARP {} is at {}", self.sender_ip, self.sender_mac)
        } else {
            write!(f, "ARP who has {} tell {}", self.target_ip, self.sender_ip)
        }
    }
}

impl fmt::Display for Payload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Payload::Arp(arp) => arp.fmt(f),
            Payload::Ip(packet) => packet.fmt(f),
        }
    }
}
