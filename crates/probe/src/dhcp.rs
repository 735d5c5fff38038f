//! DHCP as bytes (RFC 2131, 2132): the DISCOVER that an instance would broadcast, and what servers say to it,
//! read without trust. Nothing is sent or received here.
//!
//! [`discover_frame`] is what the instance's NIC would emit; each frame that leaves by that NIC goes through
//! [`framed`] and [`read`] with the same [`Client`]. Two `Ok` with different [`DhcpReply::server`] are two servers.
//! A problem that [`DhcpProblem::is_for_another`] is passed over; any other is a reply that breaks the RFC, and
//! clients differ in how much of that they put up with.
//!
//! A DISCOVER takes no lease: dnsmasq records one only for a REQUEST (dnsmasq's src/rfc2131.c, `dhcp_reply`),
//! and no REQUEST is made here. The message bears the instance's MAC and no client identifier, by which a
//! static host entry is found; an address to ask for that nobody can have, by which it is known in a server's log; and
//! no broadcast flag, as udhcpc and dhclient set none, so that the OFFER takes
//! the way that the instance's own would.

mod frame;
mod options;
mod reply;

use model::addr::Mac;
use model::dhcp::ASKED_BY_US;

pub use frame::{Framed, discover_frame, framed};
pub use reply::{DhcpProblem, read};

/// What stands before the options: the fixed fields (RFC 2131, 2) and the cookie (RFC 2132, 2).
const FIXED_BYTES: usize = 240;
const COOKIE: [u8; 4] = [99, 130, 83, 99];
/// What BOOTP relays and old servers want a message to have at least (RFC 1542, 2.1).
const MESSAGE_BYTES_MIN: usize = 300;
/// The largest message that is asked for: what an unfragmented packet of 1500 bytes holds, and what option
/// 57 then says (RFC 2132, 9.10).
const MESSAGE_BYTES_MAX: usize = 1472;
/// What option 57 says: the IP packet's length.
const PACKET_BYTES_MAX: u16 = 1500;

const OP_REQUEST: u8 = 1;
const OP_REPLY: u8 = 2;
const ETHERNET: u8 = 1;
const MAC_BYTES: u8 = 6;

/// What we want to be told, as option codes (RFC 2132): mask, router, DNS servers, domain, MTU, broadcast
/// address, lease time, server identifier, classless routes (RFC 3442).
const WANTED: [u8; 9] = [1, 3, 6, 15, 26, 28, 51, 54, 121];

/// Who asks, and the number that the replies repeat.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Client {
    /// The instance's MAC.
    pub mac: Mac,
    /// The transaction's number: random, so that nobody else's reply is taken for ours.
    pub transaction: u32,
}

/// A DISCOVER as a UDP payload of 300 bytes.
pub fn discover(client: &Client) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(MESSAGE_BYTES_MIN);
    bytes.extend([OP_REQUEST, ETHERNET, MAC_BYTES, 0]);
    bytes.extend(client.transaction.to_be_bytes());
    // No seconds, no flags, no addresses: own, your, server's, relay's.
    bytes.resize(28, 0);
    bytes.extend(client.mac.0);
    // The rest of the hardware address, the server's name, the file's name.
    bytes.resize(FIXED_BYTES - COOKIE.len(), 0);
    bytes.extend(COOKIE);
    bytes.extend([options::MESSAGE_TYPE, 1, reply::DISCOVER]);
    bytes.extend([options::REQUESTED, 4]);
    bytes.extend(ASKED_BY_US.octets());
    bytes.extend([options::SIZE_MAX, 2]);
    bytes.extend(PACKET_BYTES_MAX.to_be_bytes());
    bytes.extend([options::WANTED_LIST, u8::try_from(WANTED.len()).unwrap_or(u8::MAX)]);
    bytes.extend(WANTED);
    bytes.push(options::END);
    bytes.resize(MESSAGE_BYTES_MIN, options::PAD);
    bytes
}

#[cfg(test)]
mod tests;
