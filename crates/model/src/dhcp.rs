//! What a DHCP server says to a client (RFC 2131, 2132).

use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use crate::Mac;

/// The address that our own DISCOVERs ask for (option 50), and no client of anybody's: no network may have it
/// (RFC 1112, section 4), so a server offers what it would have offered anyway. dnsmasq writes it into its log, which
/// so tells our questions from the instance's own.
pub const ASKED_BY_US: Ipv4Addr = Ipv4Addr::new(240, 0, 0, 67);

/// A reply to a client, as a server means it. What it lacks is `None` or empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DhcpReply {
    /// What it is.
    pub kind: ReplyKind,
    /// The address for the client.
    pub address: Option<Ipv4Addr>,
    /// Who says so (option 54): whom a REQUEST would name.
    pub server: Option<Ipv4Addr>,
    /// The relay that it went through.
    pub relay: Option<Ipv4Addr>,
    /// The network's prefix length, 0 to 32.
    pub prefix_bits: Option<u8>,
    /// Default gateways, the preferred one first. A client passes over them where `codes` has 121, the
    /// classless routes (RFC 3442).
    pub routers: Vec<Ipv4Addr>,
    /// DNS servers, the preferred one first.
    pub dns: Vec<Ipv4Addr>,
    /// The link's MTU in bytes, 68 or more.
    pub mtu: Option<u16>,
    /// The lease's length in seconds; `u32::MAX` is for ever.
    pub lease_s: Option<u32>,
    /// The server's words, with a NAK as a rule; what is no UTF-8 is replaced.
    pub message: Option<String>,
    /// The codes of all options in it, ascending.
    pub codes: Vec<u8>,
}

/// What a server may say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplyKind {
    /// An address is offered.
    Offer,
    /// A lease is given.
    Ack,
    /// The address asked for is refused.
    Nak,
}

/// A reply as it left for a client, with what carried it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeardReply {
    /// What it says.
    pub reply: DhcpReply,
    /// The sender's address.
    pub from: Ipv4Addr,
    /// The sender's MAC: the server's, or the last router's.
    pub from_mac: Mac,
    /// Whether a client that looks at the checksum takes it.
    pub checksum: UdpChecksum,
}

/// A reply to a client's question that no client could take.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct UnreadableReply {
    /// The sender's address.
    pub from: Ipv4Addr,
    /// The sender's MAC: the server's, or the last router's.
    pub from_mac: Mac,
    /// What is wrong with it.
    pub why: String,
}

/// A UDP checksum, compared with its datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum UdpChecksum {
    /// It is right.
    Right,
    /// There is none, which UDP over IPv4 allows.
    Absent,
    /// Only the pseudo header is summed up, and the rest was left to hardware (skbuff.h `CHECKSUM_PARTIAL`).
    /// An instance sees that where a tap's offload is on and its client reads raw packets: old dhclients
    /// drop such replies.
    Unfinished,
    /// It is wrong.
    Wrong,
}
