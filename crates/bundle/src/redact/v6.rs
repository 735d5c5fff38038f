//! IPv6 addresses: what is special stays, and what is made of a MAC follows it.
//!
//! The first 64 bits keep their prefixes. Behind them stay the first 24, in which a MAC's maker stands, numbers that
//! people count by hand (`::1`), and the shape of what is made of a MAC (RFC 4291, appendix A), whose last 24 bits
//! are those of the MAC's pseudonym.

use std::net::Ipv6Addr;

use super::key::Key;
use super::tree::{self, Turn};
use super::{mac, v4};

/// Prefixes that lead to kinds of addresses: global, unique local, link-local, multicast, and zeros.
const CLASSES: [(u128, u32); 4] =
    [(0x2000 << 112, 3), (0xfd00 << 112, 8), (0xfe80 << 112, 64), (0xff00 << 112, 8)];

/// `64:ff9b::/96`, which holds an IPv4 address (RFC 6052).
const OF_V4: u128 = 0x0064_ff9b << 96;

/// Solicited-node groups, which end as the address does (RFC 4291, 2.7.1).
const SOLICITED: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;

/// An address's pseudonym, or back.
pub(super) fn permute(key: &Key, address: Ipv6Addr, back: bool) -> Ipv6Addr {
    let bits = u128::from(address);
    // `::`, `::ffff:0:0` and whatever else begins with zeros ends with an IPv4 address (RFC 4291, RFC 2765); `::1` ends
    // with one of 0/8, which stays.
    if shares(bits, OF_V4, 96) || shares(bits, 0, 64) {
        let low = v4::permute(key, u32::try_from(bits & 0xffff_ffff).unwrap_or_default().into(), back);
        return Ipv6Addr::from(bits >> 32 << 32 | u128::from(u32::from(low)));
    }
    if shares(bits, SOLICITED, 104) {
        return Ipv6Addr::from(with_mac_end(key, bits, back));
    }
    if shares(bits, 0xff00 << 112, 8) {
        return address;
    }
    let turns = |depth: usize, known: &[u8; 16]| {
        turns(u32::try_from(depth).unwrap_or(u32::MAX), u128::from_be_bytes(*known))
    };
    let mapped = u128::from(Ipv6Addr::from(tree::permute(key, "v6", address.octets(), back, turns)));
    let of_mac = bits >> 24 & 0xffff == 0xfffe;
    if of_mac { Ipv6Addr::from(with_mac_end(key, mapped, back)) } else { Ipv6Addr::from(mapped) }
}

fn with_mac_end(key: &Key, bits: u128, back: bool) -> u128 {
    let [.., a, b, c] = bits.to_be_bytes();
    let [a, b, c] = mac::end(key, [a, b, c], back);
    bits >> 24 << 24 | u128::from(u32::from_be_bytes([0, a, b, c]))
}

fn turns(depth: u32, known: u128) -> Turn {
    if may_turn(depth, known) { Turn::ByKey } else { Turn::Never }
}

fn may_turn(depth: u32, known: u128) -> bool {
    let on_the_way = |(bits, length): &(u128, u32)| depth < *length && shares(known, *bits, depth);
    if depth < 64 {
        // Zeros in front lead to `::` and its like.
        return !CLASSES.iter().any(on_the_way) && !shares(known, 0, depth) && !shares(known, OF_V4, depth);
    }
    if depth < 88 {
        return false;
    }
    let behind = known & u128::from(u64::MAX);
    let to_mac = shares(behind >> 24 & 0xffff, 0xfffe, 112 + (depth - 88).min(16));
    let counted = shares(behind, 0, depth.min(112));
    !to_mac && !counted
}

/// Two addresses share their first bits.
fn shares(one: u128, other: u128, bits: u32) -> bool {
    (one ^ other).leading_zeros() >= bits
}
