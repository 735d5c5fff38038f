//! Packets as a listing of tcpdump tells them.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// One packet seen at one vantage, as `tcpdump -v` prints it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ListedPacket {
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
