//! Packets octet by octet, in all their wrappings.

#![allow(dead_code, reason = "each test program uses its own part")]

use model::sighting::Sighting;
use parse::capture::Frame;
use parse::dissect::{self, Options};

pub(crate) const ETHERNET: u32 = 1;
pub(crate) const RAW: u32 = 101;
pub(crate) const ICMP: u8 = 1;
pub(crate) const IPIP: u8 = 4;
pub(crate) const TCP: u8 = 6;
pub(crate) const UDP: u8 = 17;
pub(crate) const GRE: u8 = 47;
const ETH_P_IP: u16 = 0x0800;

/// An IPv4 packet's header, as far as it matters.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ip {
    pub(crate) source: [u8; 4],
    pub(crate) destination: [u8; 4],
    pub(crate) ttl: u8,
    pub(crate) id: u16,
    pub(crate) protocol: u8,
    /// Flag for more fragments, and the offset in eights of octets.
    pub(crate) fragment: (bool, u16),
}

impl Ip {
    pub(crate) fn around(&self, body: &[u8]) -> Vec<u8> {
        let length = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
        let [id, fragment] =
            [self.id, u16::from(self.fragment.0) << 13 | self.fragment.1].map(u16::to_be_bytes);
        let mut packet = vec![0x45, 0, length[0], length[1], id[0], id[1], fragment[0], fragment[1]];
        packet.extend([self.ttl, self.protocol, 0, 0]);
        packet.extend([self.source, self.destination].concat());
        let checksum = checksum(&packet).to_be_bytes();
        packet[10..12].copy_from_slice(&checksum);
        packet.extend(body);
        packet
    }
}

/// RFC 1071.
pub(crate) fn checksum(octets: &[u8]) -> u16 {
    let words = octets.chunks(2).map(|word| u32::from(word[0]) << 8 | u32::from(*word.get(1).unwrap_or(&0)));
    let mut sum: u32 = words.sum();
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap()
}

pub(crate) fn ethernet(sender: u8, kind: u16, body: &[u8]) -> Vec<u8> {
    [&[2, 0, 0, 0, 0, 9, 2, 0, 0, 0, 0, sender][..], &kind.to_be_bytes(), body].concat()
}

pub(crate) fn plain(packet: &[u8]) -> Vec<u8> {
    ethernet(1, ETH_P_IP, packet)
}

pub(crate) fn vlan(id: u8, packet: &[u8]) -> Vec<u8> {
    ethernet(1, 0x8100, &[&[0, id][..], &ETH_P_IP.to_be_bytes(), packet].concat())
}

pub(crate) fn qinq(outer: u8, inner: u8, packet: &[u8]) -> Vec<u8> {
    let tag = [&[0, outer][..], &[0x81, 0, 0, inner], &ETH_P_IP.to_be_bytes()].concat();
    ethernet(1, 0x88a8, &[&tag, packet].concat())
}

/// Between two hosts that carry others' packets.
fn carried(protocol: u8, id: u16, body: &[u8]) -> Vec<u8> {
    let (source, destination) = ([192, 0, 2, 1], [192, 0, 2, 2]);
    plain(&Ip { source, destination, ttl: 33, id, protocol, fragment: (false, 0) }.around(body))
}

pub(crate) fn vxlan(id: u16, frame: &[u8]) -> Vec<u8> {
    carried(UDP, id, &udp(id, 4789, &[&[8, 0, 0, 0, 0, 0, 7, 0][..], frame].concat()))
}

pub(crate) fn geneve(id: u16, frame: &[u8]) -> Vec<u8> {
    carried(UDP, id, &udp(id, 6081, &[&[1, 0, 0x65, 0x58, 0, 0, 7, 0, 1, 2, 3, 4][..], frame].concat()))
}

pub(crate) fn gre(id: u16, packet: &[u8]) -> Vec<u8> {
    carried(GRE, id, &[&[0x20, 0, 8, 0, 0, 0, 0, 1][..], packet].concat())
}

pub(crate) fn ipip(id: u16, packet: &[u8]) -> Vec<u8> {
    carried(IPIP, id, packet)
}

pub(crate) fn udp(source: u16, destination: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap();
    [&source.to_be_bytes()[..], &destination.to_be_bytes(), &length.to_be_bytes(), &[0, 0], data].concat()
}

/// With a sum that depends on what is changed on the way.
pub(crate) fn tcp(source: u16, destination: u16, sequence: u32, sum: u16, data: &[u8]) -> Vec<u8> {
    let ports = [source.to_be_bytes(), destination.to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), [0, 0, 0, 1]].concat();
    [&ports[..], &numbers, &[0x50, 0x18, 1, 2], &sum.to_be_bytes(), &[0, 0], data].concat()
}

/// An echo request, or the reply to it.
pub(crate) fn echo(is_reply: bool, id: u16, sequence: u16, data: &[u8]) -> Vec<u8> {
    icmp([if is_reply { 0 } else { 8 }, 0], &[id.to_be_bytes(), sequence.to_be_bytes()].concat(), data)
}

pub(crate) fn icmp([kind, code]: [u8; 2], word: &[u8], data: &[u8]) -> Vec<u8> {
    let mut message = [&[kind, code, 0, 0][..], word, data].concat();
    let checksum = checksum(&message).to_be_bytes();
    message[2..4].copy_from_slice(&checksum);
    message
}

/// What is seen of a frame.
pub(crate) fn seen(link_type: u32, data: &[u8]) -> Sighting {
    let length = u32::try_from(data.len()).unwrap();
    let frame = Frame { number: 1, time_ns: 0, interface: 0, link_type, data, length };
    dissect::sighting(&frame, 0, &Options::for_snap_length(None)).expect("an IP packet")
}
