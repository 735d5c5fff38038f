//! pcapng: sections, interfaces with names and stamps of their own, packets; other blocks are passed over.

use std::io::Read;

use super::window::Window;
use super::{BLOCK_MAX, Damage, Found, Interface, Order, Remarks};

pub(super) const MAGIC: [u8; 4] = [0x0a, 0x0d, 0x0d, 0x0a];

const SECTION: u32 = 0x0a0d_0d0a;
const INTERFACE: u32 = 1;
const PACKET: u32 = 2;
const SIMPLE_PACKET: u32 = 3;
const STATISTICS: u32 = 5;
const ENHANCED_PACKET: u32 = 6;

const OPTION_END: u16 = 0;
const OPTION_COMMENT: u16 = 1;
/// Of packets.
const OPTION_FLAGS: u16 = 2;
const OPTION_NAME: u16 = 2;
const OPTION_RESOLUTION: u16 = 9;
const OPTION_FILTER: u16 = 11;
const OPTION_OFFSET: u16 = 14;
/// Of statistics.
const OPTION_START: u16 = 2;
const OPTION_END_TIME: u16 = 3;
const OPTION_DROPPED: u16 = 5;

/// Type and length before a block's body; the length once more behind it.
const HEAD: usize = 8;
const FRAME: usize = 12;
const NS_PER_SECOND: u64 = 1_000_000_000;
/// Interfaces of one section; their blocks are all that a file can make us keep.
const INTERFACES_MAX: usize = 4096;

/// What a file has told of itself.
pub(super) struct Section {
    order: Order,
    pub(super) interfaces: Vec<Interface>,
    /// Where the present section's interfaces begin: each section counts its own from 0.
    first: usize,
}

/// Reads the section header, and the interfaces that stand before the first packet. What breaks behind the
/// header is met again where it is read.
pub(super) fn open<R: Read>(window: &mut Window<R>) -> Result<Section, Damage> {
    let mut section = Section { order: Order::Little, interfaces: Vec::new(), first: 0 };
    let Some((kind, length)) = block(window, &mut section)? else { return Ok(section) };
    other(window, &mut section, kind, length)?;
    while let Ok(Some((kind, length))) = block(window, &mut section) {
        let is_packet = kind == ENHANCED_PACKET || kind == PACKET || kind == SIMPLE_PACKET;
        if is_packet || other(window, &mut section, kind, length).is_err() {
            break;
        }
    }
    Ok(section)
}

pub(super) fn next<R: Read>(window: &mut Window<R>, section: &mut Section) -> Result<Option<Found>, Damage> {
    loop {
        let offset = window.offset();
        let Some((kind, length)) = block(window, section)? else { return Ok(None) };
        let found = {
            let body = window.peek(length)?.get(HEAD..length - 4).unwrap_or_default();
            match kind {
                ENHANCED_PACKET => enhanced(section, body),
                PACKET => old(section, body),
                SIMPLE_PACKET => simple(section, body),
                _ => {
                    other(window, section, kind, length)?;
                    continue;
                }
            }
        };
        let found = found.map_err(|why| Damage { offset, why: why.to_owned() })?;
        window.take(length);
        return Ok(Some(found));
    }
}

/// Kind and length of the block that comes next; `None` at the end of the file.
fn block<R: Read>(window: &mut Window<R>, section: &mut Section) -> Result<Option<(u32, usize)>, Damage> {
    let offset = window.offset();
    let damage = |why: String| Err(Damage { offset, why });
    let head = window.peek(FRAME)?;
    if head.is_empty() {
        return Ok(None);
    }
    if head.len() < FRAME {
        return damage(format!(
            "the file ends within a block's header, {} of its {FRAME} octets",
            head.len()
        ));
    }
    if head.starts_with(&MAGIC) {
        section.order = match head.get(HEAD..) {
            Some([0x4d, 0x3c, 0x2b, 0x1a]) => Order::Little,
            Some([0x1a, 0x2b, 0x3c, 0x4d]) => Order::Big,
            Some(_) | None => return damage("a section without its byte-order magic".to_owned()),
        };
    }
    let (kind, octets) = (section.order.u32(head, 0), section.order.u32(head, 4));
    let length = octets as usize;
    if length > BLOCK_MAX {
        return damage(format!("a block of {octets} octets is longer than any that is read"));
    }
    if length < FRAME || !length.is_multiple_of(4) {
        return damage(format!("a block cannot have {octets} octets"));
    }
    let whole = window.peek(length)?;
    if whole.len() < length {
        let there = whole.len();
        return damage(format!("the file ends within a block, {there} of its {octets} octets"));
    }
    if section.order.u32(whole, length - 4) != octets {
        return damage("a block's two lengths differ".to_owned());
    }
    Ok(Some((kind, length)))
}

/// Takes a block that is no packet.
fn other<R: Read>(
    window: &mut Window<R>,
    section: &mut Section,
    kind: u32,
    length: usize,
) -> Result<(), Damage> {
    let offset = window.offset();
    let order = section.order;
    let body = window.peek(length)?.get(HEAD..length - 4).unwrap_or_default();
    match kind {
        SECTION => section.first = section.interfaces.len(),
        INTERFACE if section.interfaces.len() >= INTERFACES_MAX => {
            return Err(Damage { offset, why: format!("more than {INTERFACES_MAX} interfaces") });
        }
        INTERFACE => section.interfaces.push(interface(order, body)),
        STATISTICS => {
            let index = section.first.saturating_add(order.u32(body, 0) as usize);
            if let Some(of) = section.interfaces.get_mut(index) {
                statistics(order, body, of);
            }
        }
        _ => {}
    }
    window.take(length);
    Ok(())
}

fn interface(order: Order, body: &[u8]) -> Interface {
    let mut read = Interface {
        name: None,
        link_type: u32::from(order.u16(body, 0)),
        snap_length: order.u32(body, 4),
        filter: None,
        recorded_ns: None,
        dropped: None,
        ticks: 1_000_000,
        offset_ns: 0,
    };
    for (code, value) in options(order, body.get(8..).unwrap_or_default()) {
        match (code, value) {
            (OPTION_NAME, name) => {
                let name = String::from_utf8_lossy(name).trim_end_matches('\0').to_owned();
                read.name = (!name.is_empty()).then_some(name);
            }
            // The highest bit tells powers of two from powers of ten.
            (OPTION_RESOLUTION, [power, ..]) => {
                let (base, power) = if power & 0x80 == 0 { (10_u64, *power) } else { (2, power & 0x7f) };
                read.ticks = base.checked_pow(u32::from(power)).unwrap_or(NS_PER_SECOND);
            }
            // 0: in libpcap's language, and not as a program.
            (OPTION_FILTER, [0, text @ ..]) => {
                read.filter = Some(String::from_utf8_lossy(text).into_owned());
            }
            (OPTION_OFFSET, seconds) if seconds.len() == 8 => {
                let (first, second) = (order.u32(seconds, 0), order.u32(seconds, 4));
                let (high, low) = match order {
                    Order::Little => (second, first),
                    Order::Big => (first, second),
                };
                let seconds = (u64::from(high) << 32 | u64::from(low)).cast_signed();
                read.offset_ns = seconds.saturating_mul(NS_PER_SECOND.cast_signed());
            }
            _ => {}
        }
    }
    read
}

/// What was counted at an interface, the last word of several.
fn statistics(order: Order, body: &[u8], of: &mut Interface) {
    const FIXED: usize = 12;
    let (mut start, mut end) = (None, None);
    for (code, value) in options(order, body.get(FIXED..).unwrap_or_default()) {
        let (first, second) = (u64::from(order.u32(value, 0)), u64::from(order.u32(value, 4)));
        // A time is two numbers, the higher first, whatever the order; a count is one.
        let time = nanoseconds(first << 32 | second, of.ticks).saturating_add(of.offset_ns);
        let count = match order {
            Order::Little => second << 32 | first,
            Order::Big => first << 32 | second,
        };
        match code {
            _ if value.len() != 8 => {}
            OPTION_START => start = Some(time),
            OPTION_END_TIME => end = Some(time),
            OPTION_DROPPED => of.dropped = Some(count),
            _ => {}
        }
    }
    of.recorded_ns = start.zip(end).or(of.recorded_ns);
}

/// A block's options, up to their end or to what is none.
fn options(order: Order, octets: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    let mut rest = octets;
    std::iter::from_fn(move || {
        if rest.len() < 4 {
            return None;
        }
        let (code, length) = (order.u16(rest, 0), usize::from(order.u16(rest, 2)));
        let value = rest.get(4..4 + length).filter(|_| code != OPTION_END)?;
        rest = rest.get(4 + length.next_multiple_of(4)..).unwrap_or_default();
        Some((code, value))
    })
}

impl Section {
    /// Of a packet's options those that are kept.
    pub(super) fn remarks(&self, octets: &[u8]) -> Remarks {
        let mut remarks = Remarks::default();
        for (code, value) in options(self.order, octets) {
            match code {
                OPTION_COMMENT => remarks.comments.push(String::from_utf8_lossy(value).into_owned()),
                OPTION_FLAGS if value.len() == 4 => remarks.flags = Some(self.order.u32(value, 0)),
                _ => {}
            }
        }
        remarks
    }
}

fn enhanced(section: &Section, body: &[u8]) -> Result<Found, &'static str> {
    let number = |at| section.order.u32(body, at);
    stamped(section, body, number(0), [number(4), number(8), number(12), number(16)])
}

/// The block that the enhanced one replaced: its interface has 16 bits.
fn old(section: &Section, body: &[u8]) -> Result<Found, &'static str> {
    let number = |at| section.order.u32(body, at);
    let interface = u32::from(section.order.u16(body, 0));
    stamped(section, body, interface, [number(4), number(8), number(12), number(16)])
}

fn stamped(
    section: &Section,
    body: &[u8],
    interface: u32,
    [high, low, captured, length]: [u32; 4],
) -> Result<Found, &'static str> {
    const FIXED: usize = 20;
    let index = section.first.saturating_add(interface as usize);
    let known = section.interfaces.get(index).ok_or("a packet of an interface that no block describes")?;
    let captured = captured as usize;
    if FIXED + captured > body.len() {
        return Err("a packet is longer than its block");
    }
    let ns = nanoseconds(u64::from(high) << 32 | u64::from(low), known.ticks);
    let time_ns = ns.saturating_add(known.offset_ns);
    let interface = u32::try_from(index).unwrap_or(u32::MAX);
    let options = HEAD + FIXED + captured.next_multiple_of(4)..HEAD + body.len();
    Ok(Found {
        time_ns,
        interface,
        link_type: known.link_type,
        length,
        skip: HEAD + FIXED,
        captured,
        options,
    })
}

fn nanoseconds(count: u64, ticks: u64) -> i64 {
    let ns = match ticks {
        // The two that are written, without the cost of a division.
        1_000_000 => count.saturating_mul(1_000),
        NS_PER_SECOND => count,
        _ => {
            let ns = u128::from(count) * u128::from(NS_PER_SECOND) / u128::from(ticks.max(1));
            u64::try_from(ns).unwrap_or(u64::MAX)
        }
    };
    i64::try_from(ns).unwrap_or(i64::MAX)
}

/// A packet without a stamp, of the first interface.
fn simple(section: &Section, body: &[u8]) -> Result<Found, &'static str> {
    let known = section.interfaces.get(section.first);
    let known = known.ok_or("a packet of an interface that no block describes")?;
    let length = section.order.u32(body, 0);
    let kept = if known.snap_length == 0 { length } else { length.min(known.snap_length) };
    let captured = kept as usize;
    if 4 + captured > body.len() {
        return Err("a packet is longer than its block");
    }
    let interface = u32::try_from(section.first).unwrap_or(u32::MAX);
    let link_type = known.link_type;
    Ok(Found { time_ns: 0, interface, link_type, length, skip: HEAD + 4, captured, options: 0..0 })
}
