//! What a server says: an OFFER, an ACK, a NAK, or bytes that are none of them.

use std::net::Ipv4Addr;

use model::addr::Mac;
use model::dhcp::{DhcpReply, ReplyKind};

use super::options::{self, Options};
use super::{COOKIE, Client, ETHERNET, FIXED_BYTES, MAC_BYTES, MESSAGE_BYTES_MAX, OP_REPLY};

/// Message types (RFC 2132, 9.6).
pub(super) const DISCOVER: u8 = 1;
const OFFER: u8 = 2;
const ACK: u8 = 5;
const NAK: u8 = 6;

/// Why bytes are no reply that a client could take. Offsets are from the UDP payload's start.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DhcpProblem {
    /// It ends before its options begin.
    #[error("{bytes} bytes are too few for a DHCP message")]
    TooShort {
        /// Its length.
        bytes: usize,
    },
    /// It is longer than what the client said that it takes.
    #[error("{bytes} bytes are more than the {MESSAGE_BYTES_MAX} that were asked for at most")]
    TooLong {
        /// Its length.
        bytes: usize,
    },
    /// A request of some client, not a reply.
    #[error("it is no reply but has the operation code {op}")]
    NotAReply {
        /// Its first byte.
        op: u8,
    },
    /// It is for another exchange.
    #[error("it is of another transaction, {transaction:#010x}")]
    OtherTransaction {
        /// Its number.
        transaction: u32,
    },
    /// It is for another client.
    #[error("it is for another client, {mac}")]
    OtherClient {
        /// Whom for.
        mac: Mac,
    },
    /// Its hardware addresses are not Ethernet's.
    #[error("it is for hardware of type {kind} with addresses of {bytes} bytes, not for Ethernet")]
    NotEthernet {
        /// Type of hardware (RFC 1700).
        kind: u8,
        /// Length of its addresses.
        bytes: u8,
    },
    /// What follows the fixed fields are no DHCP options.
    #[error("it lacks the cookie before the options: it is BOOTP at best")]
    NoCookie,
    /// An option is longer than what is left.
    #[error("option {code} at byte {offset} is longer than what is left")]
    OptionRunsOut {
        /// The option.
        code: u8,
        /// Where it begins.
        offset: usize,
    },
    /// The options do not end.
    #[error("the options are not ended by byte {offset}, where their place ends")]
    NoEnd {
        /// Where their place ends.
        offset: usize,
    },
    /// An option cannot mean what it says.
    #[error("option {code} is {why}")]
    BadOption {
        /// The option.
        code: u8,
        /// `not made of IPv4 addresses`.
        why: &'static str,
    },
    /// It does not say what it is.
    #[error("it has no message type: it is BOOTP")]
    NoType,
    /// It is something that no server says to a DISCOVER or a REQUEST.
    #[error("it is of type {kind}, neither OFFER, ACK nor NAK")]
    OtherType {
        /// Its type.
        kind: u8,
    },
}

impl DhcpProblem {
    /// It is somebody else's message, or another exchange's: no fault of a server's.
    pub fn is_for_another(&self) -> bool {
        match self {
            DhcpProblem::NotAReply { .. }
            | DhcpProblem::OtherTransaction { .. }
            | DhcpProblem::OtherClient { .. } => true,
            DhcpProblem::TooShort { .. }
            | DhcpProblem::TooLong { .. }
            | DhcpProblem::NotEthernet { .. }
            | DhcpProblem::NoCookie
            | DhcpProblem::OptionRunsOut { .. }
            | DhcpProblem::NoEnd { .. }
            | DhcpProblem::BadOption { .. }
            | DhcpProblem::NoType
            | DhcpProblem::OtherType { .. } => false,
        }
    }
}

/// Reads a UDP payload that came from port 67 as a reply to this client.
pub fn read(payload: &[u8], client: &Client) -> Result<DhcpReply, DhcpProblem> {
    let bytes = payload.len();
    let Some(fixed) = payload.first_chunk::<FIXED_BYTES>() else {
        return Err(DhcpProblem::TooShort { bytes });
    };
    let [op, kind, address_bytes, ..] = *fixed;
    if op != OP_REPLY {
        return Err(DhcpProblem::NotAReply { op });
    }
    let transaction = u32::from_be_bytes(field(fixed, 4));
    if transaction != client.transaction {
        return Err(DhcpProblem::OtherTransaction { transaction });
    }
    if (kind, address_bytes) != (ETHERNET, MAC_BYTES) {
        return Err(DhcpProblem::NotEthernet { kind, bytes: address_bytes });
    }
    let mac = Mac(field(fixed, 28));
    if mac != client.mac {
        return Err(DhcpProblem::OtherClient { mac });
    }
    if bytes > MESSAGE_BYTES_MAX {
        return Err(DhcpProblem::TooLong { bytes });
    }
    if field(fixed, FIXED_BYTES - 4) != COOKIE {
        return Err(DhcpProblem::NoCookie);
    }
    let options = options::read(payload)?;
    Ok(DhcpReply {
        kind: reply_kind(&options)?,
        address: set(field(fixed, 16)),
        server: address(&options, options::SERVER)?,
        relay: set(field(fixed, 24)),
        prefix_bits: prefix_bits(&options)?,
        routers: addresses(&options, options::ROUTER)?,
        dns: addresses(&options, options::DNS)?,
        mtu: mtu(&options)?,
        lease_s: fixed_length(&options, options::LEASE_TIME, "not 4 bytes long")?.map(u32::from_be_bytes),
        message: options.get(&options::MESSAGE).map(|text| String::from_utf8_lossy(text).into_owned()),
        codes: options.keys().copied().collect(),
    })
}

/// Some bytes of the fixed fields. `at` is ours, and within them.
fn field<const N: usize>(fixed: &[u8; FIXED_BYTES], at: usize) -> [u8; N] {
    fixed.get(at..).and_then(|rest| rest.first_chunk()).copied().unwrap_or([0; N])
}

/// 0.0.0.0 stands for none.
fn set(address: [u8; 4]) -> Option<Ipv4Addr> {
    let address = Ipv4Addr::from(address);
    (!address.is_unspecified()).then_some(address)
}

fn reply_kind(options: &Options) -> Result<ReplyKind, DhcpProblem> {
    match fixed_length(options, options::MESSAGE_TYPE, "not 1 byte long")? {
        None => Err(DhcpProblem::NoType),
        Some([OFFER]) => Ok(ReplyKind::Offer),
        Some([ACK]) => Ok(ReplyKind::Ack),
        Some([NAK]) => Ok(ReplyKind::Nak),
        Some([kind]) => Err(DhcpProblem::OtherType { kind }),
    }
}

fn prefix_bits(options: &Options) -> Result<Option<u8>, DhcpProblem> {
    let Some(mask) = fixed_length(options, options::MASK, "not 4 bytes long")? else { return Ok(None) };
    let mask = u32::from_be_bytes(mask);
    if mask.leading_ones() + mask.trailing_zeros() < u32::BITS {
        return Err(DhcpProblem::BadOption { code: options::MASK, why: "a mask with holes" });
    }
    Ok(u8::try_from(mask.leading_ones()).ok())
}

fn mtu(options: &Options) -> Result<Option<u16>, DhcpProblem> {
    let mtu = fixed_length(options, options::MTU, "not 2 bytes long")?.map(u16::from_be_bytes);
    // RFC 2132, 5.1: what IPv4 needs at least.
    if mtu.is_some_and(|mtu| mtu < 68) {
        return Err(DhcpProblem::BadOption { code: options::MTU, why: "an MTU below 68" });
    }
    Ok(mtu)
}

fn address(options: &Options, code: u8) -> Result<Option<Ipv4Addr>, DhcpProblem> {
    Ok(fixed_length::<4>(options, code, "not 4 bytes long")?.map(Ipv4Addr::from))
}

fn addresses(options: &Options, code: u8) -> Result<Vec<Ipv4Addr>, DhcpProblem> {
    let Some(data) = options.get(&code) else { return Ok(Vec::new()) };
    let (addresses, rest) = data.as_chunks::<4>();
    if addresses.is_empty() || !rest.is_empty() {
        return Err(DhcpProblem::BadOption { code, why: "not made of IPv4 addresses" });
    }
    Ok(addresses.iter().map(|address| Ipv4Addr::from(*address)).collect())
}

fn fixed_length<const N: usize>(
    options: &Options,
    code: u8,
    otherwise: &'static str,
) -> Result<Option<[u8; N]>, DhcpProblem> {
    let Some(data) = options.get(&code) else { return Ok(None) };
    let whole = <[u8; N]>::try_from(data.as_slice());
    whole.map(Some).map_err(|_| DhcpProblem::BadOption { code, why: otherwise })
}
