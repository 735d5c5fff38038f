//! ARP between IPv4 addresses on Ethernet (RFC 826): the question, and what is read of both.

use std::net::Ipv4Addr;

use model::Mac;

use crate::ethernet;

/// What a frame with ARP in it says of itself.
pub(crate) const ETHER_TYPE: [u8; 2] = [0x08, 0x06];
/// Ethernet and IPv4 as ARP numbers them, with the lengths of their addresses.
const OF_IPV4: [u8; 6] = [0, 1, 0x08, 0x00, 6, 4];
const REQUEST: u16 = 1;
pub(crate) const REPLY: u16 = 2;

/// A question or an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Arp {
    pub(crate) is_request: bool,
    pub(crate) sender_mac: Mac,
    pub(crate) sender: Ipv4Addr,
    pub(crate) target: Ipv4Addr,
}

/// Reads what a frame carries; `None` for anything but a question or an answer that is whole.
pub(crate) fn read(bytes: &[u8]) -> Option<Arp> {
    let (kind, rest) = bytes.split_first_chunk::<6>()?;
    let (operation, rest) = rest.split_first_chunk::<2>()?;
    let operation = u16::from_be_bytes(*operation);
    if *kind != OF_IPV4 || !matches!(operation, REQUEST | REPLY) {
        return None;
    }
    let address = |at: usize| Some(Ipv4Addr::from(*rest.get(at..)?.first_chunk::<4>()?));
    Some(Arp {
        is_request: operation == REQUEST,
        sender_mac: Mac(*rest.first_chunk::<6>()?),
        sender: address(6)?,
        target: address(16)?,
    })
}

/// The frame of a question who has this address, asked of one station or of all. One from 0.0.0.0 is a probe, of
/// which nobody learns anything (RFC 5227).
pub(crate) fn who_has(to: Mac, own: Mac, source: Ipv4Addr, asked: Ipv4Addr) -> Vec<u8> {
    let mut bytes = ethernet::header(to, own, ETHER_TYPE);
    bytes.extend(OF_IPV4);
    bytes.extend(REQUEST.to_be_bytes());
    bytes.extend(own.0);
    bytes.extend(source.octets());
    bytes.extend(Mac::ZERO.0);
    bytes.extend(asked.octets());
    bytes
}
