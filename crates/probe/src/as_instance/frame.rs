//! Frames as an instance would send them, and what is read from those that it is sent: ARP and IPv4.

use std::net::Ipv4Addr;

use model::Mac;

use crate::arp::{self, Arp};
use crate::ethernet::{self, header};
use crate::icmp;

const IPV4: [u8; 2] = [0x08, 0x00];
const ICMP: u8 = 1;

/// What a frame carries, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Carried<'f> {
    /// A question or an answer for a neighbour.
    Arp(Arp),
    /// An IPv4 packet: its header first, and whatever pads the frame behind it.
    Ipv4 { source: Ipv4Addr, destination: Ipv4Addr, packet: &'f [u8] },
}

/// Who sends a frame to whom, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Frame<'f> {
    pub(super) destination: Mac,
    pub(super) source: Mac,
    pub(super) carried: Carried<'f>,
}

/// Reads a frame; `None` where it carries anything else, or less than it says.
pub(super) fn read(bytes: &[u8]) -> Option<Frame<'_>> {
    let frame = ethernet::read(bytes)?;
    let carried = match frame.ether_type {
        arp::ETHER_TYPE => Carried::Arp(arp::read(frame.payload)?),
        IPV4 => Carried::Ipv4 {
            source: address(frame.payload, 12)?,
            destination: address(frame.payload, 16)?,
            packet: frame.payload,
        },
        _ => return None,
    };
    Some(Frame { destination: frame.destination, source: frame.source, carried })
}

/// An IPv4 packet's header, as far as it differs between ours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ip {
    pub(super) source: Ipv4Addr,
    pub(super) destination: Ipv4Addr,
    pub(super) ttl: u8,
}

/// ICMP in an IPv4 packet that may not be fragmented, as ping sends it.
pub(super) fn icmp(to: Mac, own: Mac, ip: Ip, message: &[u8]) -> Vec<u8> {
    let length = u16::try_from(20 + message.len()).unwrap_or(u16::MAX).to_be_bytes();
    let dont_fragment = 0x40;
    let mut packet = vec![0x45, 0, length[0], length[1], 0, 0, dont_fragment, 0, ip.ttl, ICMP, 0, 0];
    packet.extend(ip.source.octets());
    packet.extend(ip.destination.octets());
    let sum = icmp::checksum(&packet).to_be_bytes();
    packet.splice(10..12, sum);
    packet.extend(message);
    let mut bytes = header(to, own, IPV4);
    bytes.extend(packet);
    bytes
}

fn address(bytes: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(*bytes.get(at..)?.first_chunk::<4>()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arp::who_has;
    use crate::icmp::{Echo, Message};

    const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x11]);
    const GATEWAY: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 1]);
    const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 24);
    const OTHER: Ipv4Addr = Ipv4Addr::new(1, 2, 3, 4);
    const ECHO: Echo = Echo { id: 7, sequence: 1 };

    #[test]
    fn a_question_is_read_back_as_it_was_asked() {
        let bytes = who_has(Mac::BROADCAST, OWN, SOURCE, OTHER);
        let arp = Arp { is_request: true, sender_mac: OWN, sender: SOURCE, target: OTHER };
        let expected = Frame { destination: Mac::BROADCAST, source: OWN, carried: Carried::Arp(arp) };
        assert_eq!((bytes.len(), read(&bytes)), (42, Some(expected)));
    }

    #[test]
    fn a_packet_is_read_back_and_its_header_sums_to_zero() {
        let ip = Ip { source: SOURCE, destination: OTHER, ttl: 64 };
        let mut message = icmp::request(ECHO, b"mark");
        message[0] = 0;
        let mut bytes = icmp(GATEWAY, OWN, ip, &message);
        assert_eq!(icmp::checksum(&bytes[14..34]), 0);
        assert_eq!(u16::from_be_bytes([bytes[16], bytes[17]]), 20 + 8 + 4);
        bytes.resize(60, 0);
        let Some(Frame { destination: GATEWAY, source: OWN, carried }) = read(&bytes) else {
            panic!("{bytes:02x?}");
        };
        let Carried::Ipv4 { source: SOURCE, destination: OTHER, packet } = carried else {
            panic!("{carried:?}");
        };
        let Some(Message::Reply { ttl: Some(64), echo: ECHO, payload }) = icmp::parse(packet) else {
            panic!("{packet:02x?}");
        };
        assert!(payload.starts_with(b"mark"));
    }

    #[test]
    fn what_is_cut_off_or_something_else_is_not_read() {
        let question = who_has(Mac::BROADCAST, OWN, SOURCE, OTHER);
        for length in 0..question.len() {
            assert_eq!(read(&question[..length]), None, "{length}");
        }
        // Another protocol, hardware, address length and operation.
        for (at, value) in [(12, 0x86), (15, 6), (18, 8), (21, 9)] {
            let mut other = question.clone();
            other[at] = value;
            assert_eq!(read(&other), None, "{at}");
        }
    }
}
