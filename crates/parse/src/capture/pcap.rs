//! pcap, as tcpdump writes it: both orders of octets, microseconds and nanoseconds.

use std::io::Read;

use super::window::Window;
use super::{BLOCK_MAX, Damage, Found, Interface, Order};

const HEADER: usize = 24;
const RECORD: usize = 16;
/// A second has at most as many of the file's ticks.
const NS_PER_SECOND: i64 = 1_000_000_000;

pub(super) struct Header {
    order: Order,
    ns_per_tick: i64,
    pub(super) interface: Interface,
}

/// Whether a file begins as pcap does, and what its numbers are in.
pub(super) fn order(magic: [u8; 4]) -> Option<(Order, i64)> {
    match magic {
        [0xd4, 0xc3, 0xb2, 0xa1] => Some((Order::Little, 1_000)),
        [0xa1, 0xb2, 0xc3, 0xd4] => Some((Order::Big, 1_000)),
        [0x4d, 0x3c, 0xb2, 0xa1] => Some((Order::Little, 1)),
        [0xa1, 0xb2, 0x3c, 0x4d] => Some((Order::Big, 1)),
        _ => None,
    }
}

pub(super) fn open<R: Read>(
    window: &mut Window<R>,
    (order, ns_per_tick): (Order, i64),
) -> Result<Header, Damage> {
    let head = window.peek(HEADER)?;
    if head.len() < HEADER {
        let why = format!("the header of a pcap file has {HEADER} octets, here are {}", head.len());
        return Err(Damage { offset: 0, why });
    }
    // The upper four bits tell of a frame check sequence.
    let link_type = order.u32(head, 20) & 0x0fff_ffff;
    let snap_length = order.u32(head, 16);
    window.take(HEADER);
    let interface = Interface { link_type, snap_length, ..Interface::default() };
    Ok(Header { order, ns_per_tick, interface })
}

pub(super) fn next<R: Read>(window: &mut Window<R>, header: &Header) -> Result<Option<Found>, Damage> {
    let offset = window.offset();
    let damage = |why: String| Err(Damage { offset, why });
    let record = window.peek(RECORD)?;
    if record.is_empty() {
        return Ok(None);
    }
    if record.len() < RECORD {
        return damage(format!(
            "the file ends within a packet's header, {} of its {RECORD} octets",
            record.len()
        ));
    }
    let number = |at| header.order.u32(record, at);
    let (seconds, ticks, captured, length) = (number(0), number(4), number(8), number(12));
    let captured_octets = captured as usize;
    if captured_octets > BLOCK_MAX {
        return damage(format!("a packet of {captured} octets is longer than any that is read"));
    }
    let whole = window.peek(RECORD + captured_octets)?.len();
    if whole < RECORD + captured_octets {
        return damage(format!("the file ends within a packet, {} of its {captured} octets", whole - RECORD));
    }
    window.take(RECORD + captured_octets);
    Ok(Some(Found {
        time_ns: i64::from(seconds) * NS_PER_SECOND + i64::from(ticks) * header.ns_per_tick,
        interface: 0,
        link_type: header.interface.link_type,
        length,
        skip: RECORD,
        captured: captured_octets,
        options: 0..0,
    }))
}
