//! Captures made of a few packets, for tests: raw IPv4, in a plain pcap.

use ::correlate::{Journey, Vantage};

use crate::commands::correlate::{self, source};

/// Who takes part.
pub(super) const A: [u8; 4] = [10, 0, 2, 24];
pub(super) const B: [u8; 4] = [1, 2, 3, 4];

/// An IPv4 packet, its checksum left out.
fn ip(protocol: u8, (from, to): ([u8; 4], [u8; 4]), body: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(20 + body.len()).unwrap().to_be_bytes();
    [&[0x45, 0, high, low, 0, 0, 0, 0, 64, protocol, 0, 0][..], &from, &to, body].concat()
}

/// An echo request, or the reply to it.
pub(super) fn echo(ends: ([u8; 4], [u8; 4]), is_reply: bool, number: u32) -> Vec<u8> {
    let kind = if is_reply { 0 } else { 8 };
    ip(1, ends, &[&[kind, 0, 0, 0][..], &number.to_be_bytes()].concat())
}

/// TCP without octets: ports, sequence number, what it acknowledges, flags.
pub(super) fn tcp(
    ends: ([u8; 4], [u8; 4]),
    (from, to): (u16, u16),
    (sequence, acknowledged): (u32, u32),
    flags: u8,
) -> Vec<u8> {
    let ports = [from.to_be_bytes(), to.to_be_bytes()].concat();
    let numbers = [sequence.to_be_bytes(), acknowledged.to_be_bytes()].concat();
    ip(6, ends, &[&ports[..], &numbers, &[0x50, flags, 255, 255, 0, 0, 0, 0]].concat())
}

/// A message of DHCP by its type (RFC 2132, 9.6), in transaction 7.
pub(super) fn dhcp(ends: ([u8; 4], [u8; 4]), message: u8) -> Vec<u8> {
    let is_client = matches!(message, 1 | 3 | 4 | 7 | 8);
    let mut data = vec![0; 236];
    (data[0], data[7]) = (if is_client { 1 } else { 2 }, 7);
    data.extend([0x63, 0x82, 0x53, 0x63, 53, 1, message, 255]);
    let (from, to): (u16, u16) = if is_client { (68, 67) } else { (67, 68) };
    let length = u16::try_from(8 + data.len()).unwrap();
    let head = [from, to, length, 0].map(u16::to_be_bytes).concat();
    ip(17, ends, &[head, data].concat())
}

/// Reads packets, each with its time in nanoseconds, as `hopline diagnose --capture` does.
pub(super) fn read(packets: &[(i64, Vec<u8>)], see: &mut dyn FnMut(&Journey, &[Vantage])) {
    const RAW: u32 = 101;
    let head = [0xa1b2_3c4d, 4 << 16 | 2, 0, 0, 65_535, RAW];
    let mut file: Vec<u8> = head.into_iter().flat_map(u32::to_le_bytes).collect();
    for (time_ns, packet) in packets {
        let length = i64::try_from(packet.len()).unwrap();
        let record = [time_ns / 1_000_000_000, time_ns % 1_000_000_000, length, length];
        file.extend(record.into_iter().flat_map(|word| u32::try_from(word).unwrap().to_le_bytes()));
        file.extend(packet);
    }
    let opened = source::of_octets("a.pcap".to_owned(), Box::new(std::io::Cursor::new(file)));
    let sources = source::comparable(vec![opened.unwrap_or_else(|_| panic!("it is a capture"))]);
    assert!(correlate::each(sources, see).is_ok());
}
