//! IPv4, IPv6 with its extension headers, and IP in IP.

use model::sighting::{Address, Kind, Sighting};

use super::identity::Hash;
use super::{Inside, link, transport, u16_at, u32_at};

// include/uapi/linux/in.h, in6.h
const HOP_BY_HOP: u8 = 0;
const IPIP: u8 = 4;
const IPV6_IN_IP: u8 = 41;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const GRE: u8 = 47;
const AH: u8 = 51;
const DESTINATION: u8 = 60;
const HEADER_V6: usize = 40;
const OFFSET: u16 = 0x1fff;

/// An IP packet, by its version.
pub(super) fn read(octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    match octets.first()? >> 4 {
        4 => v4(octets, seen, inside),
        6 => v6(octets, seen, inside),
        _ => None,
    }
}

fn v4(octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    let fixed = octets.first_chunk::<20>()?;
    let header = usize::from(fixed[0] & 15) * 4;
    if header < 20 {
        return None;
    }
    let [_, tos, l0, l1, i0, i1, f0, f1, ttl, protocol, _, _, s0, s1, s2, s3, d0, d1, d2, d3] = *fixed;
    seen.tos = tos;
    seen.length = u16::from_be_bytes([l0, l1]);
    seen.ip_id = u16::from_be_bytes([i0, i1]);
    seen.ttl = ttl;
    seen.protocol = protocol;
    seen.source = Address::v4([s0, s1, s2, s3]);
    seen.destination = Address::v4([d0, d1, d2, d3]);
    let total = usize::from(seen.length);
    // Segmentation offload leaves the length 0 where the packet is longer than it can say.
    let length = if total == 0 { octets.len() } else { total }.checked_sub(header)?;
    // Ethernet pads short packets.
    let body = octets.get(header..)?;
    let body = body.get(..length).unwrap_or(body);
    let fragment = u16::from_be_bytes([f0, f1]);
    if fragment & OFFSET != 0 {
        later_fragment(u64::from(fragment & OFFSET), u32::from(seen.ip_id), body, seen, inside);
        return Some(());
    }
    payload(protocol, Payload { octets: body, length }, seen, inside);
    Some(())
}

fn v6(octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    let first = u32_at(octets, 0)?;
    seen.tos = u8::try_from(first >> 20 & 0xff).unwrap_or_default();
    seen.ttl = *octets.get(7)?;
    let address = |at: usize| Some(Address(u128::from_be_bytes(*octets.get(at..)?.first_chunk::<16>()?)));
    (seen.source, seen.destination) = (address(8)?, address(24)?);
    let mut length = usize::from(u16_at(octets, 4)?);
    seen.length = u16::try_from(length + HEADER_V6).unwrap_or(u16::MAX);
    let mut next = *octets.get(6)?;
    let mut rest = octets.get(HEADER_V6..)?;
    rest = rest.get(..length).unwrap_or(rest);
    // Every header is at least 8 octets long, so this ends.
    loop {
        let header = match next {
            HOP_BY_HOP | ROUTING | DESTINATION => (usize::from(*rest.get(1)?) + 1) * 8,
            AH => (usize::from(*rest.get(1)?) + 2) * 4,
            FRAGMENT => {
                let (offset, id) = (u16_at(rest, 2)?, u32_at(rest, 4)?);
                if offset & !7 != 0 {
                    seen.protocol = *rest.first()?;
                    let body = rest.get(8..)?;
                    later_fragment(u64::from(offset >> 3), id, body, seen, inside);
                    return Some(());
                }
                8
            }
            _ => break,
        };
        next = *rest.first()?;
        rest = rest.get(header..)?;
        length = length.checked_sub(header)?;
    }
    seen.protocol = next;
    payload(next, Payload { octets: rest, length }, seen, inside);
    Some(())
}

/// What an IP packet carries.
#[derive(Clone, Copy)]
pub(super) struct Payload<'a> {
    /// As far as it was captured.
    pub(super) octets: &'a [u8],
    /// As the IP header says.
    pub(super) length: usize,
}

fn payload(protocol: u8, payload: Payload<'_>, seen: &mut Sighting, inside: Inside<'_>) {
    let inner = match protocol {
        IPIP | IPV6_IN_IP => {
            inside.deeper().and_then(|deeper| nested(seen, |seen| read(payload.octets, seen, deeper)))
        }
        GRE => inside.deeper().and_then(|deeper| nested(seen, |seen| gre(payload.octets, seen, deeper))),
        _ => None,
    };
    if inner.is_none() {
        transport::read(protocol, payload, seen, inside);
    }
}

/// Reads what is carried; where that is nothing known, `seen` stays the carrier's.
pub(super) fn nested(seen: &mut Sighting, read: impl FnOnce(&mut Sighting) -> Option<()>) -> Option<()> {
    let mut carried = *seen;
    (carried.source_port, carried.destination_port) = (0, 0);
    carried.ip_id = 0;
    read(&mut carried)?;
    *seen = carried;
    Some(())
}

/// RFC 2784 and 2890, version 0.
fn gre(octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    let flags = u16_at(octets, 0)?;
    if flags & 7 != 0 {
        return None;
    }
    // Checksum, key and sequence number, four octets each where their bit is set.
    let optional = [0x8000, 0x2000, 0x1000].iter().filter(|bit| flags & **bit != 0).count() * 4;
    link::protocol(u16_at(octets, 2)?, octets.get(4 + optional..)?, seen, inside)
}

/// A fragment behind the first has no ports: its packet's IP id and its place in it are all there is.
fn later_fragment(offset: u64, id: u32, body: &[u8], seen: &mut Sighting, inside: Inside<'_>) {
    seen.kind = Kind::Fragment;
    seen.detail = id;
    let kept = body.get(..inside.options.payload_max).unwrap_or(body);
    let hash = Hash::of(u64::from(seen.protocol)).word(offset).word(u64::from(id));
    seen.identity = hash.word(u64::from(seen.length)).octets(kept).finish();
}
