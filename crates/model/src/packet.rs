//! Packets as the walk imagines them: the headers that decide a packet's fate.

use std::fmt;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::Mac;

/// An Ethernet frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Frame {
    /// Ethernet source.
    pub source: Mac,
    /// Ethernet destination.
    pub destination: Mac,
    /// What it carries.
    pub payload: Payload,
}

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Payload {
    /// ARP (RFC 826).
    Arp(Arp),
    /// IPv4.
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

/// An IPv4 packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Packet {
    /// Source address.
    pub source: Ipv4Addr,
    /// Destination address.
    pub destination: Ipv4Addr,
    /// Time to live.
    pub ttl: u8,
    /// Total length in bytes.
    pub length: u16,
    /// Layer 4.
    pub transport: Transport,
}

/// Layer 4 of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Transport {
    /// ICMP echo.
    Echo {
        /// A reply; otherwise a request.
        reply: bool,
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
    },
    /// TCP; only the opening packets are imagined.
    Tcp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// It is the answering SYN-ACK; otherwise the SYN.
        answer: bool,
    },
    /// UDP.
    Udp {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
}

impl Transport {
    /// IP protocol number.
    pub fn protocol(self) -> u8 {
        match self {
            Transport::Echo { .. } => 1,
            Transport::Tcp { .. } => 6,
            Transport::Udp { .. } => 17,
        }
    }

    /// Source and destination port; the echo identifier stands in for both of ICMP's, as in
    /// conntrack's tuples (`nf_conntrack_proto_icmp.c`).
    pub fn ports(self) -> (u16, u16) {
        match self {
            Transport::Echo { id, .. } => (id, id),
            Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => {
                (source, destination)
            }
        }
    }
}

impl fmt::Display for Packet {
    /// `10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64`, the contract's wording.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Packet { source, destination, ttl, .. } = self;
        match self.transport {
            Transport::Echo { reply, .. } => {
                let kind = if reply { "reply" } else { "request" };
                write!(f, "{source} > {destination} ICMP echo {kind} ttl {ttl}")
            }
            Transport::Tcp { source: sport, destination: dport, answer } => {
                let flags = if answer { "SYN-ACK" } else { "SYN" };
                write!(f, "{source}:{sport} > {destination}:{dport} TCP {flags} ttl {ttl}")
            }
            Transport::Udp { source: sport, destination: dport } => {
                write!(f, "{source}:{sport} > {destination}:{dport} UDP ttl {ttl}")
            }
        }
    }
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
