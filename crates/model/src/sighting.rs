//! Sightings: one packet seen at one vantage; and replies to what we send.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::netfilter::Ruleset;
use crate::path::RuleRef;

/// One packet seen at one vantage, as tcpdump -v or a capture tells it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sighting {
    /// Vantage; a file's stem where a file is all there is.
    pub vantage: String,
    /// Link named by `tcpdump -i any`, and the direction letter or word it prints.
    pub interface: Option<(String, String)>,
    /// 1-based position in its source.
    pub frame: u32,
    /// Nanoseconds since midnight where only a clock time is known, since the epoch otherwise.
    pub time_ns: u64,
    /// IP header.
    pub ip: IpHeader,
    /// Above IP.
    pub transport: SeenTransport,
}

/// The IP header fields that matter for joining.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct IpHeader {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Time to live or hop limit; `None` where the text does not say.
    pub ttl: Option<u8>,
    /// Identification.
    pub id: Option<u16>,
    /// Do-not-fragment is set.
    pub dont_fragment: bool,
    /// Total length in bytes.
    pub length: Option<u32>,
    /// Type of service.
    pub tos: Option<u8>,
    /// Protocol number.
    pub protocol: u8,
}

/// What is above IP.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeenTransport {
    /// ICMP echo.
    Echo {
        /// A reply.
        reply: bool,
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
    },
    /// TCP or UDP, by the header's protocol.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
        /// What tcpdump says of the contents: `2+ A? openstack.org. (31)`.
        text: String,
    },
    /// Anything else, as text.
    Other(String),
}

/// What came of an echo that was really sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EchoResult {
    /// Who sent: host or instance.
    pub from: String,
    /// Destination.
    pub to: std::net::Ipv4Addr,
    /// Requests sent.
    pub sent: u32,
    /// Replies received.
    pub received: u32,
    /// TTL of the replies, where any.
    pub reply_ttl: Option<u8>,
    /// Median round-trip time in microseconds, where any.
    pub rtt_us: Option<u64>,
    /// ICMP errors that came instead: who sent them and what they say.
    pub errors: Vec<(IpAddr, String)>,
    /// The socket refused to send: why.
    pub send_error: Option<String>,
}

/// What our own probes met of a namespace's rules.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RulesSeen {
    /// Host.
    pub machine: String,
    /// Empty for its main namespace.
    pub netns: String,
    /// Packets that were sent on their way through it.
    pub sent: u32,
    /// The rules after the probes, with their counters; `None` where they could not be read again.
    pub after: Option<Ruleset>,
    /// Rules and policies that our packets met, in order, as the kernel traced them; `None` where it
    /// did not: why.
    pub met: Result<Vec<MetRule>, String>,
}

/// A rule that one of our packets met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MetRule {
    /// The kernel's number for the packet: events of one packet in one family share it.
    pub packet: u32,
    /// The rule, or policy.
    pub rule: RuleRef,
    /// Source and destination of the packet, where the kernel told.
    pub ends: Option<(IpAddr, IpAddr)>,
    /// What it did: `drop`, `accept`, `jump nova-compute-local`.
    pub verdict: String,
    /// It ended the packet's way.
    pub drops: bool,
}
