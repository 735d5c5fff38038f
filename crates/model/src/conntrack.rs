//! Connections that the kernel tracks (conntrack(8), `/proc/net/nf_conntrack`).

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

/// A tracked connection.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CtEntry {
    /// IP protocol number.
    pub protocol: u8,
    /// What its first packet looked like.
    pub original: Tuple,
    /// What its answers look like: the original turned round, where NAT did not rewrite.
    pub reply: Tuple,
    /// No answer was seen yet.
    pub unreplied: bool,
    /// It is past its opening, and not dropped early when the table fills up.
    pub assured: bool,
    /// Protocol state as printed (`SYN_SENT`, `ESTABLISHED`); TCP, SCTP and DCCP have one.
    #[serde(default)]
    pub state: Option<String>,
    /// Connection mark.
    #[serde(default)]
    pub mark: u32,
    /// Zone, 0 for the usual one.
    #[serde(default)]
    pub zone: u16,
    /// Seconds left.
    #[serde(default)]
    pub timeout_s: Option<u32>,
}

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Tuple {
    /// Sender.
    pub source: IpAddr,
    /// Receiver.
    pub destination: IpAddr,
    /// Source port; of ICMP the identifier.
    pub source_port: u16,
    /// Destination port; of ICMP the identifier too.
    pub destination_port: u16,
    /// Type and code, of ICMP.
    #[serde(default)]
    pub icmp: Option<(u8, u8)>,
}
