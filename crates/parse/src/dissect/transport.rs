//! ICMP, TCP and UDP, and of UDP what has an identity of its own: DNS and DHCP.

use model::sighting::{Kind, Sighting};

use super::identity::Hash;
use super::ip::{Payload, nested};
use super::{Inside, link, u16_at, u32_at};

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

const DNS: u16 = 53;
const MDNS: u16 = 5353;
const DHCP_SERVER: u16 = 67;
const DHCP_CLIENT: u16 = 68;
/// IANA's port, and the one that Linux took before there was one (drivers/net/vxlan.c, `udp_port`).
const VXLAN: [u16; 2] = [4789, 8472];
const GENEVE: u16 = 6081;

/// Fills in what is above IP. What cannot be read is known by its octets.
pub(super) fn read(protocol: u8, payload: Payload<'_>, seen: &mut Sighting, inside: Inside<'_>) {
    let read = match protocol {
        ICMP => icmp(payload, seen, inside, [8, 0]),
        ICMPV6 => icmp(payload, seen, inside, [128, 129]),
        TCP => tcp(payload, seen, inside),
        UDP => udp(payload, seen, inside),
        _ => None,
    };
    if read.is_none() {
        let kept = kept(payload.octets, inside);
        seen.identity = Hash::of(u64::from(protocol)).word(payload.length as u64).octets(kept).finish();
    }
}

/// The part of a payload that every source has kept.
fn kept<'a>(octets: &'a [u8], inside: Inside<'_>) -> &'a [u8] {
    octets.get(..inside.options.payload_max).unwrap_or(octets)
}

fn icmp(
    payload: Payload<'_>,
    seen: &mut Sighting,
    inside: Inside<'_>,
    [request, reply]: [u8; 2],
) -> Option<()> {
    let octets = payload.octets;
    let kind = *octets.first()?;
    if kind != request && kind != reply {
        seen.kind = Kind::Icmp;
        seen.detail = u32::from(u16_at(octets, 0)?);
        let is_error = if request == 8 { matches!(kind, 3 | 4 | 5 | 11 | 12) } else { kind < 5 };
        if !is_error {
            return None;
        }
        let quoted;
        (seen.identity, quoted) = quoting(octets, inside)?;
        seen.quoted = quoted.unwrap_or_default();
        return Some(());
    }
    let id_and_sequence = u32_at(octets, 4)?;
    seen.detail = id_and_sequence;
    let exchange = Hash::of(u64::from(ICMP)).word(u64::from(id_and_sequence));
    let is_reply = kind == reply;
    seen.kind = if is_reply { Kind::EchoReply } else { Kind::EchoRequest };
    let mut identity = exchange.word(u64::from(is_reply));
    if !inside.options.as_listed {
        identity = identity.octets(kept(octets.get(8..)?, inside));
    }
    seen.identity = identity.finish();
    *(if is_reply { &mut seen.answer } else { &mut seen.ask }) = exchange.finish();
    Some(())
}

/// An error is known by what it quotes, of an echo request its id and sequence, too: that is translated as the
/// packet itself was (net/netfilter/nf_nat_proto.c, `nf_nat_icmp_reply_translation`), but for what is no address and
/// no port.
fn quoting(octets: &[u8], inside: Inside<'_>) -> Option<(u64, Option<u32>)> {
    let head = u64::from(u16_at(octets, 0)?) << 32 | u64::from(u32_at(octets, 4)?);
    let quoted = octets.get(8..)?;
    let first = *quoted.first()?;
    let (protocol, header, word) = match first >> 4 {
        4 => (*quoted.get(9)?, usize::from(first & 15) * 4, u32_at(quoted, 2)?),
        6 => (*quoted.get(6)?, 40, u32::from(u16_at(quoted, 4)?)),
        _ => return None,
    };
    // Length of UDP, id and sequence of an echo, sequence number of TCP; then what is behind their sums.
    let (shift, data) = match protocol {
        UDP => (16, 8),
        ICMP | ICMPV6 => (0, 8),
        TCP => (0, 20),
        _ => (32, 8),
    };
    let number = u32_at(quoted, header + 4).unwrap_or_default();
    let is_echo = matches!((protocol, quoted.get(header)), (ICMP, Some(8)) | (ICMPV6, Some(128)));
    let echo = is_echo.then_some(number);
    let number = u64::from(number.checked_shr(shift).unwrap_or_default());
    let what = u64::from(protocol) << 32 | u64::from(word);
    let data = quoted.get(header + data..).unwrap_or_default();
    let hash = Hash::of(u64::from(ICMP)).word(head).word(what).word(number);
    Some((hash.octets(kept(data, inside)).finish(), echo))
}

fn tcp(payload: Payload<'_>, seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    const FIN: u8 = 1;
    const SYN: u8 = 2;
    const ACK: u8 = 16;
    /// ECE and CWR: routers set them.
    const MARKS: u8 = 0xc0;
    let octets = payload.octets;
    let fixed = octets.first_chunk::<20>()?;
    seen.kind = Kind::Tcp;
    (seen.source_port, seen.destination_port) = (u16_at(fixed, 0)?, u16_at(fixed, 2)?);
    let (sequence, acknowledged) = (u32_at(fixed, 4)?, u32_at(fixed, 8)?);
    let header = usize::from(fixed[12] >> 4) * 4;
    let flags = fixed[13] & !MARKS;
    let length = payload.length.checked_sub(header.max(20))?;
    seen.detail = sequence;
    let options = octets.get(20..header).unwrap_or_default();
    let data = octets.get(header..).unwrap_or_default();
    let numbers = u64::from(sequence) << 32 | u64::from(acknowledged);
    let shape = u64::from(flags) << 32 | u64::try_from(length).unwrap_or_default();
    let hash = Hash::of(u64::from(TCP)).word(numbers).word(shape).word(stamp(options));
    seen.identity = hash.octets(kept(data, inside)).finish();
    let phantom = u32::from(flags & SYN != 0) + u32::from(flags & FIN != 0);
    let length = u32::try_from(length).unwrap_or_default() + phantom;
    // Whoever acknowledges the last octet of this packet has got it.
    let exchange = |next: u32| Hash::of(u64::from(TCP)).word(u64::from(next)).finish();
    if length > 0 {
        seen.ask = exchange(sequence.wrapping_add(length));
    }
    if flags & ACK != 0 {
        seen.answer = exchange(acknowledged);
    }
    Some(())
}

/// The sender's stamp (RFC 7323), which tells a packet sent again from the first; 0 where there is none.
fn stamp(mut options: &[u8]) -> u64 {
    const END: u8 = 0;
    const NOTHING: u8 = 1;
    const STAMP: u8 = 8;
    loop {
        match options {
            [] | [END, ..] => return 0,
            [NOTHING, rest @ ..] => options = rest,
            [STAMP, 10, rest @ ..] => return u32_at(rest, 0).map_or(0, u64::from),
            [_, length, ..] => {
                let Some(rest) = options.get(usize::from(*length).max(2)..) else { return 0 };
                options = rest;
            }
            [_] => return 0,
        }
    }
}

fn udp(payload: Payload<'_>, seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    let octets = payload.octets;
    let (source, destination) = (u16_at(octets, 0)?, u16_at(octets, 2)?);
    let length = u16_at(octets, 4)?;
    let data = octets.get(8..)?;
    (seen.source_port, seen.destination_port) = (source, destination);
    if VXLAN.contains(&destination) || destination == GENEVE {
        let carried = |seen: &mut Sighting| tunnel(destination, data, seen, inside.deeper()?);
        if nested(seen, carried).is_some() {
            return Some(());
        }
    }
    if (source == DNS || destination == DNS || destination == MDNS) && dns(data, seen, inside).is_some() {
        return Some(());
    }
    if (source == DHCP_SERVER || source == DHCP_CLIENT) && dhcp(data, seen).is_some() {
        return Some(());
    }
    seen.kind = Kind::Udp;
    if !inside.options.as_listed {
        seen.detail = u32_at(data, 0).unwrap_or_default();
    }
    let mut hash = Hash::of(u64::from(UDP)).word(u64::from(length));
    if data.is_empty() {
        // Nothing else tells empty ones apart.
        hash = hash.word(u64::from(seen.ip_id));
    }
    seen.identity = hash.octets(kept(data, inside)).finish();
    Some(())
}

/// RFC 7348 and RFC 8926.
fn tunnel(port: u16, data: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    const VNI_IS_VALID: u8 = 8;
    if port == GENEVE {
        let options = usize::from(data.first()? & 0x3f) * 4;
        return link::protocol(u16_at(data, 2)?, data.get(8 + options..)?, seen, inside);
    }
    (data.first()? & VNI_IS_VALID != 0).then_some(())?;
    link::ethernet(data.get(8..)?, seen, inside)
}

fn dns(data: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    const HEADER: usize = 12;
    let id = u16_at(data, 0)?;
    let is_response = data.get(2)? & 0x80 != 0;
    seen.kind = if is_response { Kind::DnsResponse } else { Kind::DnsQuery };
    seen.detail = u32::from(id);
    let mut exchange = Hash::of(u64::from(DNS)).word(u64::from(id));
    if !inside.options.as_listed {
        // The question: labels up to the empty one, then type and class; the answer repeats it.
        let question = data.get(HEADER..)?;
        let mut end = 0;
        while let Some(length) = question.get(end).filter(|length| **length > 0 && **length < 64) {
            end += usize::from(*length) + 1;
        }
        let question = question.get(..end + 5).unwrap_or(question);
        exchange = exchange.octets(kept(question, inside));
    }
    let mut identity = exchange.word(u64::from(is_response));
    if is_response && !inside.options.as_listed {
        identity = identity.octets(kept(data, inside));
    }
    seen.identity = identity.finish();
    *(if is_response { &mut seen.answer } else { &mut seen.ask }) = exchange.finish();
    Some(())
}

fn dhcp(data: &[u8], seen: &mut Sighting) -> Option<()> {
    const REQUEST: u8 = 1;
    const COOKIE: [u8; 4] = [0x63, 0x82, 0x53, 0x63];
    /// Where the options begin, with the cookie.
    const OPTIONS: usize = 236;
    let operation = *data.first()?;
    let transaction = u32_at(data, 4)?;
    seen.detail = transaction;
    let is_client = operation == REQUEST;
    seen.kind = if is_client { Kind::DhcpClient } else { Kind::DhcpServer };
    let client = data.get(28..34)?;
    let options = data.get(OPTIONS..).and_then(|rest| rest.strip_prefix(&COOKIE)).unwrap_or_default();
    let message = message_type(options);
    let exchange = Hash::of(u64::from(DHCP_SERVER)).word(u64::from(transaction)).octets(client);
    // Two servers may offer: `siaddr` tells theirs apart.
    let server = u32_at(data, 20)?;
    let what = u64::from(operation) << 40 | u64::from(message) << 32 | u64::from(server);
    seen.identity = exchange.word(what).finish();
    // OFFER (2) answers DISCOVER (1), ACK (5) and NAK (6) answer REQUEST (3).
    let asked = match message {
        1 | 2 => 1,
        3 | 5 | 6 => 3,
        other => u64::from(other),
    };
    let link = exchange.word(asked).finish();
    match (is_client, message) {
        (false, _) => seen.answer = link,
        // BOOTP, DISCOVER and REQUEST, and what was cut off before it said which.
        (true, 0 | 1 | 3) => seen.ask = link,
        // Nothing answers DECLINE (4) and RELEASE (7), and INFORM (8) asks for no address (RFC 2131, 4.3).
        (true, _) => {}
    }
    Some(())
}

/// DHCP's option 53; 0 where there is none.
fn message_type(mut options: &[u8]) -> u8 {
    const PAD: u8 = 0;
    const MESSAGE_TYPE: u8 = 53;
    const END: u8 = 255;
    loop {
        match options {
            [] | [END, ..] | [_] => return 0,
            [PAD, rest @ ..] => options = rest,
            [MESSAGE_TYPE, 1, kind, ..] => return *kind,
            [_, length, rest @ ..] => options = rest.get(usize::from(*length)..).unwrap_or_default(),
        }
    }
}
