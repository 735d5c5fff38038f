//! One packet: its headers rewritten where they stand, from the outermost in, and what they carry blanked.
//!
//! A checksum is right afterwards where it was right before, left to the NIC where it was, and wrong where it was
//! wrong.

use std::net::{Ipv4Addr, Ipv6Addr};

use model::Mac;

use super::super::Pseudonyms;
use super::sums;

/// Link types (tcpdump.org/linktypes.html).
const ETHERNET: u32 = 1;
const RAW: [u32; 4] = [12, 101, 228, 229];
const COOKED: u32 = 113;
const COOKED_2: u32 = 276;

/// EtherTypes.
const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;
const TAGS: [u16; 3] = [0x8100, 0x88a8, 0x9100];

/// Protocols.
const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMP6: u8 = 58;

/// The port of DNS.
const DNS: u16 = 53;

/// Headers within headers that are followed: packets that errors quote quote none.
const DEPTH_MAX: u8 = 4;

/// The checksum's place in an IPv4 header.
const IPV4_SUM: usize = 10;

/// Rewrites a packet. Of an unknown link everything is blanked.
pub(super) fn redact(pseudonyms: &Pseudonyms, link_type: u32, data: &mut [u8]) {
    match link_type {
        ETHERNET => ethernet(pseudonyms, data, DEPTH_MAX),
        COOKED => {
            let (kind, length) = (kind_at(data, 2), kind_at(data, 4));
            sender(pseudonyms, (kind, length), data.get_mut(6..14));
            network(pseudonyms, kind_at(data, 14), data.get_mut(16..).unwrap_or_default(), DEPTH_MAX);
        }
        COOKED_2 => {
            let (kind, length) = (kind_at(data, 8), kind_at(data, 10) & 0xff);
            sender(pseudonyms, (kind, length), data.get_mut(12..20));
            network(pseudonyms, kind_at(data, 0), data.get_mut(20..).unwrap_or_default(), DEPTH_MAX);
        }
        _ if RAW.contains(&link_type) => raw(pseudonyms, data, DEPTH_MAX),
        _ => data.fill(0),
    }
}

/// Who sent what was captured on any device: a MAC of Ethernet's, else what its link calls an address, IPv4's of a
/// tunnel for one (`LINKTYPE_LINUX_SLL`).
fn sender(pseudonyms: &Pseudonyms, (kind, length): (u16, u16), address: Option<&mut [u8]>) {
    let Some((own, padding)) = address.and_then(|octets| octets.split_at_mut_checked(6)) else { return };
    match (kind, length) {
        (1, 6) => mac(pseudonyms, own),
        _ => own.fill(0),
    }
    padding.fill(0);
}

fn kind_at(data: &[u8], at: usize) -> u16 {
    word(data, at).unwrap_or_default()
}

fn word(data: &[u8], at: usize) -> Option<u16> {
    data.get(at..at + 2)?.try_into().ok().map(u16::from_be_bytes)
}

fn raw(pseudonyms: &Pseudonyms, data: &mut [u8], depth: u8) {
    let kind = match data.first().map(|first| first >> 4) {
        Some(4) => IPV4,
        Some(6) => IPV6,
        Some(_) | None => 0,
    };
    network(pseudonyms, kind, data, depth);
}

fn ethernet(pseudonyms: &Pseudonyms, data: &mut [u8], depth: u8) {
    for at in [0, 6] {
        match data.get_mut(at..at + 6) {
            Some(octets) => mac(pseudonyms, octets),
            // Half a MAC is somebody's, too.
            None => data.get_mut(at..).unwrap_or_default().fill(0),
        }
    }
    let mut at = 12;
    while TAGS.contains(&kind_at(data, at)) && at < 12 + 4 * usize::from(DEPTH_MAX) {
        at += 4;
    }
    network(pseudonyms, kind_at(data, at), data.get_mut(at + 2..).unwrap_or_default(), depth);
}

fn network(pseudonyms: &Pseudonyms, kind: u16, data: &mut [u8], depth: u8) {
    match kind {
        _ if depth == 0 => data.fill(0),
        IPV4 => ipv4(pseudonyms, data, depth - 1),
        IPV6 => ipv6(pseudonyms, data, depth - 1),
        ARP => arp(pseudonyms, data),
        _ => data.fill(0),
    }
}

/// Of Ethernet and IPv4 (RFC 826); what follows is padding.
fn arp(pseudonyms: &Pseudonyms, data: &mut [u8]) {
    if !data.starts_with(&[0, 1, 8, 0, 6, 4]) || data.len() < 28 {
        return data.fill(0);
    }
    for at in [8, 18] {
        data.get_mut(at..at + 6).into_iter().for_each(|octets| mac(pseudonyms, octets));
    }
    for at in [14, 24] {
        data.get_mut(at..at + 4).into_iter().for_each(|octets| v4(pseudonyms, octets));
    }
    data.get_mut(28..).unwrap_or_default().fill(0);
}

fn mac(pseudonyms: &Pseudonyms, octets: &mut [u8]) {
    if let Ok(own) = <[u8; 6]>::try_from(&*octets) {
        octets.copy_from_slice(&pseudonyms.mac(Mac(own)).0);
    }
}

fn v4(pseudonyms: &Pseudonyms, octets: &mut [u8]) {
    if let Ok(own) = <[u8; 4]>::try_from(&*octets) {
        octets.copy_from_slice(&pseudonyms.v4(Ipv4Addr::from(own)).octets());
    }
}

fn v6(pseudonyms: &Pseudonyms, octets: &mut [u8]) {
    if let Ok(own) = <[u8; 16]>::try_from(&*octets) {
        octets.copy_from_slice(&pseudonyms.v6(Ipv6Addr::from(own)).octets());
    }
}

fn ipv4(pseudonyms: &Pseudonyms, data: &mut [u8], depth: u8) {
    let header = data.first().map_or(0, |first| usize::from(first & 15) * 4);
    if header < 20 || data.len() < header {
        return data.fill(0);
    }
    let (head, body) = data.split_at_mut(header);
    let total = usize::from(kind_at(head, 2));
    // Behind the packet lies padding; a NIC that cuts packets itself tells no length.
    let length = if total > header { (total - header).min(body.len()) } else { body.len() };
    let is_whole = total == 0 || total <= header + body.len();
    let (body, padding) = body.split_at_mut(length);
    padding.fill(0);
    let was_right = sums::finish(sums::add(head, 0)) == 0;
    let protocol = head.get(9).copied().unwrap_or_default();
    let is_first = kind_at(head, 6) << 3 == 0;
    let is_only = is_first && kind_at(head, 6) & 0x2000 == 0;
    let pseudo = |head: &[u8]| sums::add(head.get(12..20).unwrap_or_default(), u64::from(protocol));
    let before = pseudo(head);
    for at in [12, 16] {
        head.get_mut(at..at + 4).into_iter().for_each(|octets| v4(pseudonyms, octets));
    }
    // Options hold addresses that the packet went past.
    head.get_mut(20..).unwrap_or_default().fill(0);
    if was_right {
        fill_in(head, IPV4_SUM, |head| sums::finish(sums::add(head, 0)));
    }
    if !is_first {
        return body.fill(0);
    }
    transport(pseudonyms, protocol, body, (before, pseudo(head)), is_whole && is_only, depth);
}

fn ipv6(pseudonyms: &Pseudonyms, data: &mut [u8], depth: u8) {
    if data.len() < 40 {
        return data.fill(0);
    }
    let (head, body) = data.split_at_mut(40);
    let told = usize::from(kind_at(head, 4));
    let (body, padding) = body.split_at_mut(if told > 0 { told.min(body.len()) } else { body.len() });
    padding.fill(0);
    let is_whole = told <= body.len();
    let protocol = head.get(6).copied().unwrap_or_default();
    let pseudo = |head: &[u8]| sums::add(head.get(8..40).unwrap_or_default(), u64::from(protocol));
    let before = pseudo(head);
    for at in [8, 24] {
        head.get_mut(at..at + 16).into_iter().for_each(|octets| v6(pseudonyms, octets));
    }
    // Headers between are rare, and hold addresses: what comes with one is blanked.
    transport(pseudonyms, protocol, body, (before, pseudo(head)), is_whole, depth);
}

/// Puts a checksum where it stands.
fn fill_in(data: &mut [u8], at: usize, sum: impl Fn(&[u8]) -> u16) {
    if let Some(place) = data.get_mut(at..at + 2) {
        place.fill(0);
    }
    let sum = sum(data);
    if let Some(place) = data.get_mut(at..at + 2) {
        place.copy_from_slice(&sum.to_be_bytes());
    }
}

/// What a packet carries. `pseudo` are the sums of the addresses and the protocol before and after; `is_whole` says
/// that the checksum's octets are all here.
fn transport(
    pseudonyms: &Pseudonyms,
    protocol: u8,
    data: &mut [u8],
    pseudo: (u64, u64),
    is_whole: bool,
    depth: u8,
) {
    let length = data.len() as u64;
    let (before, after) = match protocol {
        ICMP => (0, 0),
        _ => (pseudo.0 + length, pseudo.1 + length),
    };
    let sum_at = match protocol {
        ICMP | ICMP6 => 2,
        UDP => 6,
        TCP => 16,
        _ => return data.fill(0),
    };
    let was = Sum::of(data, sum_at, before, is_whole);
    match protocol {
        ICMP => icmp(pseudonyms, data, depth),
        ICMP6 => icmp6(pseudonyms, data, depth),
        UDP => {
            let ports = [kind_at(data, 0), kind_at(data, 2)];
            let payload = data.get_mut(8..).unwrap_or_default();
            if ports.iter().any(|port| [67, 68].contains(port)) {
                dhcp(pseudonyms, payload);
            } else if ports.contains(&DNS) {
                dns(pseudonyms, payload);
            } else {
                blank(pseudonyms, payload);
            }
        }
        _ => {
            let header = data.get(12).map_or(0, |offset| usize::from(offset >> 4) * 4).max(20);
            let (head, payload) = data.split_at_mut(header.min(data.len()));
            // Options may hold anybody's; those of segments are kept.
            tcp_options(head.get_mut(20..).unwrap_or_default());
            blank(pseudonyms, payload);
        }
    }
    fill_in(data, sum_at, |data| {
        let right = sums::finish(sums::add(data, after));
        match was {
            // Of UDP zero would say that none was counted (RFC 768).
            Sum::Right if protocol == UDP && right == 0 => 0xffff,
            Sum::Right => right,
            Sum::Left => !sums::finish(after),
            Sum::Wrong => right ^ 0x5555,
            Sum::None => 0,
        }
    });
}

/// What a checksum was.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Sum {
    Right,
    Wrong,
    /// Of the addresses alone: the NIC does the rest.
    Left,
    /// Not counted, or of more than is here.
    None,
}

impl Sum {
    fn of(data: &[u8], at: usize, pseudo: u64, is_whole: bool) -> Sum {
        match word(data, at) {
            None | Some(0) => Sum::None,
            Some(_) if !is_whole => Sum::None,
            Some(_) if sums::finish(sums::add(data, pseudo)) == 0 => Sum::Right,
            Some(sum) if pseudo > 0 && sum == !sums::finish(pseudo) => Sum::Left,
            Some(_) => Sum::Wrong,
        }
    }
}

/// Of TCP's options stay those that tell of segments (RFC 9293, RFC 7323, RFC 2018); all others become nothing.
fn tcp_options(options: &mut [u8]) {
    let mut at = 0;
    while let Some(kind) = options.get(at).copied() {
        let length = match kind {
            0 | 1 => 1,
            _ => options.get(at + 1).map_or(1, |length| usize::from(*length).max(2)),
        };
        if !matches!(kind, 0..=5 | 8) {
            options.get_mut(at..).unwrap_or_default().iter_mut().take(length).for_each(|octet| *octet = 1);
        }
        at += length;
    }
}

/// Octets of a payload that say, in the key's hash, which others are the same.
const SAME: usize = 8;

/// Octets behind which some of the hash follow again: zeros alone would pack so well that a reader took the bundle for
/// a decompression bomb.
const ZEROS_MAX: usize = 2048;

/// Payload that nobody can read any more; equal ones stay equal, so that a packet is known again at another place.
fn blank(pseudonyms: &Pseudonyms, payload: &mut [u8]) {
    if payload.iter().all(|octet| *octet == 0) {
        return;
    }
    let hash = pseudonyms.key().hash("payload", &[payload]);
    payload.fill(0);
    for (nth, part) in payload.chunks_mut(ZEROS_MAX).enumerate() {
        let own = if nth == 0 { hash } else { pseudonyms.key().hash("part", &[&hash, &nth.to_be_bytes()]) };
        part.iter_mut().zip(own).take(SAME).for_each(|(octet, hash)| *octet = hash);
    }
}

/// Of DNS stay the id, and whether it asks or answers; what is asked for becomes the root, of a type and class that are
/// the question's hash, which the answer repeats (RFC 1035, 4.1).
fn dns(pseudonyms: &Pseudonyms, data: &mut [u8]) {
    const HEADER: usize = 12;
    const QUESTION: usize = 5;
    let Some((head, body)) = data.split_at_mut_checked(HEADER) else { return data.fill(0) };
    let mut end = 0;
    while let Some(length) = body.get(end).filter(|length| **length > 0 && **length < 64) {
        end += usize::from(*length) + 1;
    }
    let (question, _) = body.split_at((end + QUESTION).min(body.len()));
    let question = pseudonyms.key().hash("question", &[question]);
    let whole = pseudonyms.key().hash("payload", &[head, body]);
    body.fill(0);
    body.iter_mut().skip(1).zip(question).take(QUESTION - 1).for_each(|(octet, hash)| *octet = hash);
    body.iter_mut().skip(QUESTION).zip(whole).take(SAME).for_each(|(octet, hash)| *octet = hash);
}

/// An error quotes the packet that it is about; of a redirect, a gateway stands before it.
fn icmp(pseudonyms: &Pseudonyms, data: &mut [u8], depth: u8) {
    let kind = data.first().copied().unwrap_or_default();
    if kind == 5 {
        data.get_mut(4..8).into_iter().for_each(|octets| v4(pseudonyms, octets));
    }
    let body = data.get_mut(8..).unwrap_or_default();
    match kind {
        3 | 4 | 5 | 11 | 12 => network(pseudonyms, IPV4, body, depth),
        _ => blank(pseudonyms, body),
    }
}

/// Errors are below 128; neighbours' messages hold a target and, behind it, options of a MAC each (RFC 4861, 4).
fn icmp6(pseudonyms: &Pseudonyms, data: &mut [u8], depth: u8) {
    let kind = data.first().copied().unwrap_or_default();
    let options_at = match kind {
        1..=127 => return network(pseudonyms, IPV6, data.get_mut(8..).unwrap_or_default(), depth),
        133 => 8,
        135 | 136 => 24,
        _ => return blank(pseudonyms, data.get_mut(8..).unwrap_or_default()),
    };
    if options_at == 24 {
        data.get_mut(8..24).into_iter().for_each(|octets| v6(pseudonyms, octets));
    }
    let mut rest = data.get_mut(options_at..).unwrap_or_default();
    while rest.len() >= 8 && matches!(rest, [1 | 2, 1, ..]) {
        let (option, behind) = rest.split_at_mut(8);
        option.get_mut(2..).into_iter().for_each(|octets| mac(pseudonyms, octets));
        rest = behind;
    }
    rest.fill(0);
}

/// BOOTP's fields, and the options that say which message it is and which addresses it is about (RFC 2131, RFC 2132);
/// names and all others are blanked, as long as they are.
fn dhcp(pseudonyms: &Pseudonyms, data: &mut [u8]) {
    const FIXED: usize = 240;
    const COOKIE: [u8; 4] = [99, 130, 83, 99];
    if data.len() < FIXED || data.get(236..FIXED) != Some(&COOKIE) {
        return data.fill(0);
    }
    for at in [12, 16, 20, 24] {
        data.get_mut(at..at + 4).into_iter().for_each(|octets| v4(pseudonyms, octets));
    }
    data.get_mut(28..34).into_iter().for_each(|octets| mac(pseudonyms, octets));
    data.get_mut(34..236).unwrap_or_default().fill(0);
    let mut at = FIXED;
    while let (Some(code), Some(length)) = (data.get(at).copied(), data.get(at + 1).copied()) {
        if code == 0 {
            at += 1;
            continue;
        }
        let end = at + 2 + usize::from(length);
        let Some(value) = data.get_mut(at + 2..end).filter(|_| code != 255) else { break };
        option(pseudonyms, code, value);
        at = end;
    }
    data.get_mut(at + 1..).unwrap_or_default().fill(0);
}

fn option(pseudonyms: &Pseudonyms, code: u8, value: &mut [u8]) {
    match code {
        // Mask, MTU, times, kind of message, what is asked for, longest message.
        1 | 26 | 51 | 53 | 55 | 57 | 58 | 59 => {}
        // Routers, DNS, broadcast, NTP, address asked for, server.
        3 | 6 | 28 | 42 | 50 | 54 => value.chunks_mut(4).for_each(|octets| v4(pseudonyms, octets)),
        61 if value.len() == 7 => value.get_mut(1..).into_iter().for_each(|octets| mac(pseudonyms, octets)),
        _ => value.fill(0),
    }
}
