//! Captures under pseudonyms: pcap and pcapng, packet by packet, each as long as it was.
//!
//! Headers are rewritten and their checksums made right; what they carry is blanked, since nobody can tell whose words
//! it is. Of pcapng stay the interfaces, with their names as texts are told, the packets with their times, and remarks;
//! names of addresses, secrets of TLS and whatever else a block may hold are left out. What breaks off or is damaged
//! ends the file there. However long a file is, one packet of it is held at a time.

mod packet;
mod sums;

use std::io::{self, BufReader, Read, Write};

use parse::capture::BLOCK_MAX;

use super::Pseudonyms;

/// First octets of pcapng, and of pcap in both orders, with micro- and nanoseconds.
const SECTION: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];
const PCAP: [[u8; 4]; 4] =
    [[0xd4, 0xc3, 0xb2, 0xa1], [0xa1, 0xb2, 0xc3, 0xd4], [0x4d, 0x3c, 0xb2, 0xa1], [0xa1, 0xb2, 0x3c, 0x4d]];

/// Octets that tell a capture.
pub(super) const MAGIC: u64 = 4;

/// Octets of pcap's header, and of the one before each packet.
const PCAP_HEAD: usize = 24;
const PCAP_RECORD: usize = 16;

/// Octets of pcapng's shortest block, and the link types of a section that are remembered.
const BLOCK_MIN: usize = 12;
const LINK_TYPES_MAX: usize = 1 << 16;

/// Octets that are read at once.
const CHUNK: usize = 64 * 1024;

/// Blocks of pcapng that stay, and options of theirs (draft-ietf-opsawg-pcapng).
const BLOCK_INTERFACE: u32 = 1;
const BLOCK_SIMPLE: u32 = 3;
const BLOCK_STATISTICS: u32 = 5;
const BLOCK_PACKET: u32 = 6;
const OPTION_COMMENT: u16 = 1;
const OPTION_NAME: u16 = 2;
/// `if_tsresol` and `if_tsoffset` of an interface, `epb_flags` of a packet.
const OPTION_RESOLUTION: u16 = 9;
const OPTION_OFFSET: u16 = 14;
/// Which packets it was to keep.
const OPTION_FILTER: u16 = 11;
/// Of statistics: when recording began and ended, and what was dropped meanwhile. All are numbers.
const COUNTED: [u16; 7] = [2, 3, 4, 5, 6, 7, 8];

/// Whether these are a capture's octets.
pub(super) fn is_one(bytes: &[u8]) -> bool {
    bytes.starts_with(&SECTION) || PCAP.iter().any(|magic| bytes.starts_with(magic))
}

/// What becomes of packets: a file's length is told before its first octet, and rewriting keeps each one's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Packets {
    Rewritten,
    Counted,
}

/// A capture under pseudonyms; nothing of what is none.
pub fn redact(pseudonyms: &Pseudonyms, mut bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    // Neither reading octets nor writing to memory fails.
    let _ = stream(pseudonyms, &mut bytes, Packets::Rewritten, &mut out);
    out
}

/// The same of what is read as it is written.
///
/// # Errors
/// What the source or the destination said; damage within ends the capture and is none.
pub(super) fn stream(
    pseudonyms: &Pseudonyms,
    source: &mut dyn Read,
    packets: Packets,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut source = BufReader::with_capacity(CHUNK, source);
    let mut head = vec![0; BLOCK_MIN];
    if !fill(&mut source, &mut head)? {
        return Ok(());
    }
    if head.starts_with(&SECTION) {
        return sections(pseudonyms, head, &mut source, packets, out);
    }
    if is_one(&head) { pcap(pseudonyms, head, &mut source, packets, out) } else { Ok(()) }
}

/// Reads as many octets as there is room for; false where the file ends before.
fn fill(source: &mut dyn Read, place: &mut [u8]) -> io::Result<bool> {
    match source.read_exact(place) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// The order of a file's octets.
#[derive(Clone, Copy)]
enum Order {
    Big,
    Little,
}

impl Order {
    fn u16(self, bytes: &[u8], at: usize) -> Option<u16> {
        let two = bytes.get(at..at + 2)?.try_into().ok()?;
        Some(match self {
            Order::Big => u16::from_be_bytes(two),
            Order::Little => u16::from_le_bytes(two),
        })
    }

    fn u32(self, bytes: &[u8], at: usize) -> Option<u32> {
        let four = bytes.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(match self {
            Order::Big => u32::from_be_bytes(four),
            Order::Little => u32::from_le_bytes(four),
        })
    }

    fn put16(self, number: u16) -> [u8; 2] {
        match self {
            Order::Big => number.to_be_bytes(),
            Order::Little => number.to_le_bytes(),
        }
    }

    fn put32(self, number: u32) -> [u8; 4] {
        match self {
            Order::Big => number.to_be_bytes(),
            Order::Little => number.to_le_bytes(),
        }
    }
}

fn pcap(
    pseudonyms: &Pseudonyms,
    mut head: Vec<u8>,
    source: &mut dyn Read,
    packets: Packets,
    out: &mut dyn Write,
) -> io::Result<()> {
    let order = if matches!(head.first(), Some(0xa1)) { Order::Big } else { Order::Little };
    head.resize(PCAP_HEAD, 0);
    if !fill(source, head.get_mut(BLOCK_MIN..).unwrap_or_default())? {
        return Ok(());
    }
    out.write_all(&head)?;
    // The upper bits tell of a frame's checksum.
    let link_type = order.u32(&head, 20).unwrap_or_default() & 0xffff;
    let (mut record, mut data) = ([0; PCAP_RECORD], Vec::new());
    while fill(source, &mut record)? {
        let length = order.u32(&record, 8).and_then(|length| usize::try_from(length).ok());
        let Some(length) = length.filter(|length| *length <= BLOCK_MAX) else { break };
        data.resize(length, 0);
        if !fill(source, &mut data)? {
            break;
        }
        if packets == Packets::Rewritten {
            packet::redact(pseudonyms, link_type, &mut data);
        }
        out.write_all(&record)?;
        out.write_all(&data)?;
    }
    Ok(())
}

/// Blocks of pcapng, the first of which begins with `head`. One is written when it is whole.
fn sections(
    pseudonyms: &Pseudonyms,
    mut head: Vec<u8>,
    source: &mut dyn Read,
    packets: Packets,
    out: &mut dyn Write,
) -> io::Result<()> {
    let mut order = Order::Little;
    let mut link_types: Vec<u32> = Vec::new();
    let mut made = Vec::new();
    loop {
        let is_section = head.starts_with(&SECTION);
        if is_section {
            order = match head.get(8..) {
                Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
                Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
                Some(_) | None => return Ok(()),
            };
            link_types.clear();
        }
        let kind = order.u32(&head, 0).unwrap_or_default();
        let length = order.u32(&head, 4).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        if !(BLOCK_MIN..=BLOCK_MAX).contains(&length) || !length.is_multiple_of(4) {
            return Ok(());
        }
        head.resize(length, 0);
        if !fill(source, head.get_mut(BLOCK_MIN..).unwrap_or_default())? {
            return Ok(());
        }
        let body = head.get(8..length - 4).unwrap_or_default();
        made.clear();
        let is_whole = if is_section {
            // Its own length is not told: blocks are left out.
            let fixed = body.get(..8).map(|fixed| [fixed, &[0xff; 8]].concat());
            fixed.map(|fixed| put(order, kind, &fixed, &mut made))
        } else {
            block(pseudonyms, (order, packets), kind, body, &mut link_types, &mut made)
        };
        if is_whole.is_none() {
            return Ok(());
        }
        out.write_all(&made)?;
        head.resize(BLOCK_MIN, 0);
        if !fill(source, &mut head)? {
            return Ok(());
        }
    }
}

fn block(
    pseudonyms: &Pseudonyms,
    (order, packets): (Order, Packets),
    kind: u32,
    body: &[u8],
    link_types: &mut Vec<u32>,
    out: &mut Vec<u8>,
) -> Option<()> {
    let mut made;
    let rewrite = |link_type: u32, data: &mut [u8]| {
        if packets == Packets::Rewritten {
            packet::redact(pseudonyms, link_type, data);
        }
    };
    match kind {
        BLOCK_INTERFACE if link_types.len() >= LINK_TYPES_MAX => return None,
        BLOCK_INTERFACE => {
            link_types.push(u32::from(order.u16(body, 0)?));
            made = body.get(..8)?.to_vec();
            let kept = [OPTION_RESOLUTION, OPTION_OFFSET];
            options(
                pseudonyms,
                order,
                body.get(8..)?,
                &[OPTION_COMMENT, OPTION_FILTER, OPTION_NAME],
                &kept,
                &mut made,
            );
        }
        BLOCK_PACKET => {
            let link_type = link_types.get(usize::try_from(order.u32(body, 0)?).ok()?)?;
            let length = usize::try_from(order.u32(body, 12)?).ok()?;
            let end = 20_usize.checked_add(length)?;
            made = body.get(..end)?.to_vec();
            rewrite(*link_type, made.get_mut(20..)?);
            pad(&mut made);
            let behind = body.get(made.len()..).unwrap_or_default();
            // Its second option is its flags here.
            options(pseudonyms, order, behind, &[OPTION_COMMENT], &[OPTION_NAME], &mut made);
        }
        BLOCK_SIMPLE => {
            made = body.to_vec();
            rewrite(*link_types.first()?, made.get_mut(4..)?);
        }
        BLOCK_STATISTICS => {
            made = body.get(..12)?.to_vec();
            options(pseudonyms, order, body.get(12..)?, &[], &COUNTED, &mut made);
        }
        _ => return Some(()),
    }
    put(order, kind, &made, out);
    Some(())
}

/// Options that stay: texts as texts are told, numbers as they are.
fn options(
    pseudonyms: &Pseudonyms,
    order: Order,
    mut given: &[u8],
    texts: &[u16],
    numbers: &[u16],
    out: &mut Vec<u8>,
) {
    let before = out.len();
    while let (Some(code), Some(length)) = (order.u16(given, 0), order.u16(given, 2)) {
        let end = 4 + usize::from(length);
        let Some(value) = given.get(4..end).filter(|_| code != 0) else { break };
        let text = texts.contains(&code).then(|| {
            let text = String::from_utf8_lossy(value);
            // Only an interface's name is one among texts.
            if code == OPTION_NAME { pseudonyms.vantage(&text) } else { pseudonyms.text(&text).into_owned() }
        });
        let value = text.as_ref().map(String::as_bytes).or(numbers.contains(&code).then_some(value));
        if let Some((value, length)) = value.and_then(|value| Some((value, u16::try_from(value.len()).ok()?)))
        {
            out.extend(order.put16(code));
            out.extend(order.put16(length));
            out.extend(value);
            pad(out);
        }
        given = given.get(end.next_multiple_of(4)..).unwrap_or_default();
    }
    if out.len() > before {
        out.extend([0; 4]);
    }
}

/// Zeros up to a whole word.
fn pad(bytes: &mut Vec<u8>) {
    bytes.resize(bytes.len().next_multiple_of(4), 0);
}

fn put(order: Order, kind: u32, body: &[u8], out: &mut Vec<u8>) {
    let Ok(length) = u32::try_from(body.len() + 12) else { return };
    out.extend(order.put32(kind));
    out.extend(order.put32(length));
    out.extend(body);
    out.extend(order.put32(length));
}

#[cfg(test)]
mod tests;
