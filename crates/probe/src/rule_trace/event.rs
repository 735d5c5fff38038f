//! Trace events as the kernel sends them (`net/netfilter/nf_tables_trace.c nft_trace_notify`).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use collect::netlink::attribute::{text, value};
use collect::netlink::nftables::family_of;
use model::netfilter::{Family, Policy};
use netlink_packet_core::NetlinkBuffer;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_TRACE` (`linux/netfilter/nf_tables.h`).
const TRACE: u16 = 10 << 8 | 0x11;

/// `NFTA_TRACE_*`.
const TABLE: u16 = 1;
const CHAIN: u16 = 2;
const RULE_HANDLE: u16 = 3;
const TYPE: u16 = 4;
const VERDICT: u16 = 5;
const ID: u16 = 6;
const NETWORK_HEADER: u16 = 8;
const TRANSPORT_HEADER: u16 = 9;
const IIF: u16 = 10;
const OIF: u16 = 12;
const MARK: u16 = 14;
const POLICY: u16 = 16;

/// `NFT_TRACETYPE_*`.
const TYPE_POLICY: u32 = 1;
const TYPE_RETURN: u32 = 2;
const TYPE_RULE: u32 = 3;

/// `NFTA_VERDICT_*`.
const VERDICT_CODE: u16 = 1;
const VERDICT_CHAIN: u16 = 2;

const PROTOCOL_ICMP: u8 = 1;
const PROTOCOL_TCP: u8 = 6;
const PROTOCOL_UDP: u8 = 17;
const PROTOCOL_ICMPV6: u8 = 58;

/// Something that a traced packet met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TraceEvent {
    /// Tells packets that are under way at the same time from each other. Later packets may have it again,
    /// and one packet may have several, as when a bridge hands it to the IP layer.
    pub id: u32,
    /// Family of the table.
    pub family: Family,
    /// Its name.
    pub table: String,
    /// The chain's name.
    pub chain: String,
    /// What was met.
    pub kind: Kind,
    /// Index of the link of arrival; on the first event of a base chain.
    pub iif: Option<u32>,
    /// Index of the link of departure, likewise.
    pub oif: Option<u32>,
    /// The packet as it enters a base chain; on the first event of each.
    pub headers: Option<Headers>,
    /// Packet mark after the rule; 0 where it has none.
    pub mark: u32,
}

/// What was met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// A rule that matched.
    Rule {
        /// Its handle.
        handle: u64,
        /// What it said.
        verdict: Verdict,
    },
    /// The end of a base chain.
    Policy(Policy),
    /// The end of any chain, its base chain included: back to the caller, or to the policy.
    Return,
}

/// What a rule says (`enum nft_verdicts`, and `NF_*` of `linux/netfilter.h`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// Ends the base chain.
    Accept,
    /// Ends the packet.
    Drop,
    /// Another part of the kernel took it.
    Stolen,
    /// To a program, by this queue.
    Queue(u16),
    /// The next rule.
    Continue,
    /// Calls a chain.
    Jump(String),
    /// Goes to a chain without coming back.
    Goto(String),
    /// Back to the caller.
    Return,
    /// A code that is not known here.
    Other(i32),
}

impl fmt::Display for Verdict {
    /// In nft's words.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Accept => f.write_str("accept"),
            Verdict::Drop => f.write_str("drop"),
            Verdict::Stolen => f.write_str("stolen"),
            Verdict::Queue(number) => write!(f, "queue to {number}"),
            Verdict::Continue => f.write_str("continue"),
            Verdict::Jump(chain) => write!(f, "jump {chain}"),
            Verdict::Goto(chain) => write!(f, "goto {chain}"),
            Verdict::Return => f.write_str("return"),
            Verdict::Other(code) => write!(f, "verdict {code}"),
        }
    }
}

/// The headers that tell a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Headers {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Protocol number; of IPv6, that of the first header behind the fixed one.
    pub protocol: u8,
    /// Layer 4.
    pub transport: Transport,
}

/// Layer 4 of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transport {
    /// ICMP's or ICMPv6's echo.
    Echo {
        /// A reply; otherwise a request.
        reply: bool,
        /// Identifier.
        id: u16,
        /// Sequence number.
        sequence: u16,
    },
    /// TCP or UDP, by the protocol.
    Ports {
        /// Source port.
        source: u16,
        /// Destination port.
        destination: u16,
    },
    /// Anything else, or too short to tell.
    Other,
}

/// The trace events of a datagram, and whether there was anything in it that should be one and cannot be
/// read. Attributes that are not known are passed over.
pub fn decode(datagram: &[u8]) -> (Vec<TraceEvent>, bool) {
    let (mut events, mut damaged, mut rest) = (Vec::new(), false, datagram);
    while !rest.is_empty() {
        let Ok(message) = NetlinkBuffer::new_checked(rest) else { return (events, true) };
        if message.message_type() == TRACE {
            match event(message.payload()) {
                Some(event) => events.push(event),
                None => damaged = true,
            }
        }
        let length = message.length() as usize;
        rest = rest.get(length.next_multiple_of(4)..).unwrap_or_default();
    }
    (events, damaged)
}

fn event(body: &[u8]) -> Option<TraceEvent> {
    // `struct nfgenmsg`: family, version, resource.
    let ([family, ..], attributes) = body.split_first_chunk::<4>()?;
    Some(TraceEvent {
        id: number(attributes, ID)?,
        family: family_of(*family)?,
        table: text(attributes, TABLE)?,
        chain: text(attributes, CHAIN)?,
        kind: kind(attributes)?,
        iif: number(attributes, IIF),
        oif: number(attributes, OIF),
        headers: headers(attributes),
        mark: number(attributes, MARK).unwrap_or(0),
    })
}

fn kind(attributes: &[u8]) -> Option<Kind> {
    match number(attributes, TYPE)? {
        TYPE_POLICY => Some(Kind::Policy(match number(attributes, POLICY)? {
            0 => Policy::Drop,
            1 => Policy::Accept,
            _ => return None,
        })),
        // A rule that says `return` is told as a return that has a handle.
        TYPE_RULE | TYPE_RETURN => match value(attributes, RULE_HANDLE) {
            Some(handle) => Some(Kind::Rule {
                handle: u64::from_be_bytes(*handle.first_chunk::<8>()?),
                verdict: verdict(value(attributes, VERDICT)?)?,
            }),
            None => Some(Kind::Return),
        },
        _ => None,
    }
}

fn verdict(attributes: &[u8]) -> Option<Verdict> {
    let code = number(attributes, VERDICT_CODE)?.cast_signed();
    let chain = || text(attributes, VERDICT_CHAIN);
    Some(match code {
        -1 => Verdict::Continue,
        -3 => Verdict::Jump(chain()?),
        -4 => Verdict::Goto(chain()?),
        -5 => Verdict::Return,
        // The upper half carries a queue's number or a reason to drop (`NF_VERDICT_QBITS`).
        0.. => match code & 0xff {
            0 => Verdict::Drop,
            1 => Verdict::Accept,
            2 => Verdict::Stolen,
            3 => Verdict::Queue(u16::try_from(code >> 16).unwrap_or(0)),
            _ => Verdict::Other(code),
        },
        _ => Verdict::Other(code),
    })
}

fn headers(attributes: &[u8]) -> Option<Headers> {
    let network = value(attributes, NETWORK_HEADER)?;
    let (source, destination, protocol) = match network.first()? >> 4 {
        4 => (v4(network, 12)?, v4(network, 16)?, *network.get(9)?),
        6 => (v6(network, 8)?, v6(network, 24)?, *network.get(6)?),
        _ => return None,
    };
    let transport = value(attributes, TRANSPORT_HEADER).and_then(|header| transport(protocol, header));
    Some(Headers { source, destination, protocol, transport: transport.unwrap_or(Transport::Other) })
}

fn transport(protocol: u8, header: &[u8]) -> Option<Transport> {
    let at = |offset| Some(u16::from_be_bytes(*header.get(offset..)?.first_chunk::<2>()?));
    match (protocol, *header.first()?) {
        (PROTOCOL_ICMP, kind @ (0 | 8)) | (PROTOCOL_ICMPV6, kind @ (128 | 129)) => {
            Some(Transport::Echo { reply: matches!(kind, 0 | 129), id: at(4)?, sequence: at(6)? })
        }
        (PROTOCOL_TCP | PROTOCOL_UDP, _) => Some(Transport::Ports { source: at(0)?, destination: at(2)? }),
        _ => None,
    }
}

fn v4(header: &[u8], at: usize) -> Option<IpAddr> {
    Some(Ipv4Addr::from(*header.get(at..)?.first_chunk::<4>()?).into())
}

fn v6(header: &[u8], at: usize) -> Option<IpAddr> {
    Some(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?).into())
}

/// A number in network order.
fn number(attributes: &[u8], kind: u16) -> Option<u32> {
    Some(u32::from_be_bytes(*value(attributes, kind)?.first_chunk::<4>()?))
}
