//! A filter as a tree.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;

/// Which packets are wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Expr {
    /// All of these hold; every packet where there is none.
    And(Vec<Expr>),
    /// One of these holds; no packet where there is none.
    Or(Vec<Expr>),
    /// It does not hold.
    Not(Box<Expr>),
    /// One test.
    Test(Primitive),
}

impl Expr {
    /// Every packet.
    pub fn everything() -> Expr {
        Expr::And(Vec::new())
    }
}

/// One test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Primitive {
    /// `ip`, `arp`, `tcp`: what the packet is.
    Protocol(Protocol),
    /// `host`, `net`: an address of the packet, or one that an ARP packet is about, lies in a prefix.
    Net {
        /// Only packets of this family, where one is named.
        family: Option<Family>,
        /// Whose.
        end: End,
        /// A host is a prefix of full length.
        net: IpNet,
    },
    /// `port`, `portrange`: both ends of the range included.
    Port {
        /// TCP, UDP and SCTP where none is named.
        transport: Option<Transport>,
        /// Whose.
        end: End,
        /// The lowest.
        low: u16,
        /// The highest.
        high: u16,
    },
    /// `ether host`.
    Ether {
        /// Whose.
        end: End,
        /// The address.
        mac: Mac,
    },
    /// `vlan [ID]`: a tag, outermost first.
    Vlan {
        /// How many tags are in front of it: 0 for the outermost.
        level: u8,
        /// VLAN id, 0 to 4095; any where none is named.
        id: Option<u16>,
    },
    /// `instance:NAME`, to be resolved.
    Instance(String),
    /// `flow:A,B`: packets from either to the other.
    Flow(IpAddr, IpAddr),
}

/// Which end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The sender.
    Source,
    /// The receiver.
    Destination,
    /// One of them.
    Either,
    /// Both of them.
    Both,
}

/// Families of addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Family {
    /// IPv4.
    Ip,
    /// IPv6.
    Ip6,
    /// ARP.
    Arp,
    /// Reverse ARP.
    Rarp,
}

/// Protocols with ports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
}

/// What a packet is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// By EtherType.
    Family(Family),
    /// ICMP, over IPv4.
    Icmp,
    /// ICMPv6, over IPv6.
    Icmp6,
    /// Over IPv4 or IPv6.
    Transport(Transport),
}
