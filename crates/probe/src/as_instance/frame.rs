//! Frames as an instance would send them, and what is read from those that it is sent: ARP, IPv4 and ICMPv6.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::Mac;

use crate::arp::{self, Arp};
use crate::ethernet::{self, header};
use crate::icmp;

const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];
const IPV6_BYTES: usize = 40;
const ICMP: u8 = 1;
const ICMPV6: u8 = 58;

/// What a frame carries, as far as it matters here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carried<'f> {
    /// A question or an answer for a neighbour.
    Arp(Arp),
    /// An IPv4 packet: its header first, and whatever pads the frame behind it.
    Ipv4 { source: Ipv4Addr, destination: Ipv4Addr, packet: &'f [u8] },
    /// An ICMPv6 message behind nothing but IPv6's header.
    Icmp6 { source: Ipv6Addr, destination: Ipv6Addr, hop_limit: u8, message: &'f [u8] },
}

/// Who sends a frame to whom, and what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frame<'f> {
    pub(crate) destination: Mac,
    pub(crate) source: Mac,
    pub(crate) carried: Carried<'f>,
}

/// Reads a frame; `None` where it carries anything else, or less than it says.
pub(crate) fn read(bytes: &[u8]) -> Option<Frame<'_>> {
    let frame = ethernet::read(bytes)?;
    let carried = match frame.ether_type {
        arp::ETHER_TYPE => Carried::Arp(arp::read(frame.payload)?),
        IPV4 => Carried::Ipv4 {
            source: address(frame.payload, 12)?,
            destination: address(frame.payload, 16)?,
            packet: frame.payload,
        },
        IPV6 => icmp6_of(frame.payload)?,
        _ => return None,
    };
    Some(Frame { destination: frame.destination, source: frame.source, carried })
}

fn icmp6_of(packet: &[u8]) -> Option<Carried<'_>> {
    let (header, behind) = packet.split_first_chunk::<IPV6_BYTES>()?;
    let length = usize::from(u16::from_be_bytes([header[4], header[5]]));
    let is_icmp6 = header[0] >> 4 == 6 && header[6] == ICMPV6;
    let address = |at: usize| Some(Ipv6Addr::from(*header.get(at..)?.first_chunk::<16>()?));
    let (source, destination, hop_limit) = (address(8)?, address(24)?, header[7]);
    // Of a long frame only the beginning is looked at.
    let message = behind.get(..length).unwrap_or(behind);
    is_icmp6.then_some(Carried::Icmp6 { source, destination, hop_limit, message })
}

/// ICMPv6 from this source to that destination, with its checksum (RFC 4443, 2.3).
pub(super) fn icmp6(
    (to, own): (Mac, Mac),
    (source, destination): (Ipv6Addr, Ipv6Addr),
    hop_limit: u8,
    message: &[u8],
) -> Vec<u8> {
    let length = u16::try_from(message.len()).unwrap_or(u16::MAX).to_be_bytes();
    let ends = [source.octets(), destination.octets()].concat();
    let summed = [&ends[..], &[0, 0], &length, &[0, 0, 0, ICMPV6], message].concat();
    let mut message = message.to_vec();
    let sum = icmp::checksum(&summed).to_be_bytes();
    message.get_mut(2..4).into_iter().for_each(|place| place.copy_from_slice(&sum));
    let ip = [0x60, 0, 0, 0, length[0], length[1], ICMPV6, hop_limit];
    [&header(to, own, IPV6)[..], &ip, &ends, &message].concat()
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
    fn a_message_over_ipv6_is_read_back_and_sums_to_zero() {
        let [source, destination] = ["fd77::24", "fd77::1"].map(|ip| ip.parse::<Ipv6Addr>().unwrap());
        let message = crate::icmp6::request(ECHO, b"mark");
        let mut bytes = icmp6((GATEWAY, OWN), (source, destination), 64, &message);
        let length = u32::try_from(message.len()).unwrap().to_be_bytes();
        let summed = [&bytes[22..54], &length, &[0, 0, 0, ICMPV6], &bytes[54..]].concat();
        assert_eq!(icmp::checksum(&summed), 0);
        bytes.resize(80, 0);
        let Some(Frame { destination: GATEWAY, source: OWN, carried }) = read(&bytes) else {
            panic!("{bytes:02x?}");
        };
        let Carried::Icmp6 { source: from, destination: to, hop_limit: 64, message: heard } = carried else {
            panic!("{carried:?}");
        };
        assert_eq!((from, to, heard.len(), &heard[8..]), (source, destination, message.len(), &b"mark"[..]));
        for length in 0..54 {
            assert_eq!(read(&bytes[..length]), None, "{length}");
        }
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
