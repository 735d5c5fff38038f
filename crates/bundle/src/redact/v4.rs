//! IPv4 addresses: what is special stays, private stays private, the last octet stays, and all else keeps its prefixes.
//!
//! Where the last bits of a network's addresses were turned, its own and its broadcast address would be two of many,
//! and a range of addresses would be none. So the last octet stays in every network, and in one that is wider than
//! /24, and known when the key is made, all bits behind its prefix. Where that would leave too few bits to hide
//! (192.168.0.0/16 as one network), the last octet alone stays.
//!
//! The first bit behind what is special is always turned: so no network is its own pseudonym, whatever the key.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;

use super::key::Key;
use super::tree::{self, Turn};

const fn net(a: u8, b: u8, c: u8, length: u8) -> (u32, u8) {
    (u32::from_be_bytes([a, b, c, 0]), length)
}

/// Same on every machine of the world, and no secret: this network, loopback, link-local, documentation as the walk
/// uses it for an address of nobody, multicast and everything beyond, in which all netmasks lie but three.
const KEPT: [(u32, u8); 5] =
    [net(0, 0, 0, 8), net(127, 0, 0, 8), net(169, 254, 0, 16), net(192, 0, 2, 24), net(224, 0, 0, 3)];

/// Private addresses stay such: RFC 1918 and RFC 6598.
const CLASSES: [(u32, u8); 4] =
    [net(10, 0, 0, 8), net(172, 16, 0, 12), net(192, 168, 0, 16), net(100, 64, 0, 10)];

/// Bits of every address that stay.
const LAST: u32 = 8;

/// Bits of a wide network's prefix that must be free to be turned for the rest to stay.
const FREE_MIN: u8 = 4;

/// Shortest and longest prefix of a network that is wide, and not the half of the Internet.
const WIDE: std::ops::RangeInclusive<u8> = 12..=23;

/// Whether a network's addresses can keep the bits behind its prefix.
pub(super) fn is_wide(network: Ipv4Net) -> bool {
    let bits = u32::from(network.network());
    let class = CLASSES.iter().find(|(class, length)| shares(bits, *class, u32::from(*length)));
    let class_bits = class.map_or(3, |(_, length)| *length);
    WIDE.contains(&network.prefix_len()) && network.prefix_len() >= class_bits + FREE_MIN
}

/// Whether any key gives a network another name. What is special stays, and so does what is wider than a private
/// class, and half of the Internet, which VPNs have routes to.
pub(super) fn has_others(network: Ipv4Net) -> bool {
    let bits = u32::from(network.network());
    (0..u32::from(network.prefix_len())).any(|depth| is_free(depth, bits))
}

/// An address of a private class.
pub(super) fn is_private(address: Ipv4Addr) -> bool {
    CLASSES.iter().any(|(class, length)| shares(address.into(), *class, u32::from(*length)))
}

/// An address's pseudonym, or back.
pub(super) fn permute(key: &Key, address: Ipv4Addr, back: bool) -> Ipv4Addr {
    let turns = |depth: usize, known: &[u8; 4]| turns(key, depth, u32::from_be_bytes(*known));
    tree::permute(key, "v4", address.octets(), back, turns).into()
}

fn turns(key: &Key, depth: usize, known: u32) -> Turn {
    let depth = u32::try_from(depth).unwrap_or(u32::MAX);
    let within = |network: &&Ipv4Net| {
        let length = u32::from(network.prefix_len());
        depth >= length && shares(known, u32::from(network.network()), length)
    };
    if !is_free(depth, known) || key.networks().iter().any(|network| within(&network)) {
        return Turn::Never;
    }
    // Behind one that is free all are: this is the first.
    let is_first = depth.checked_sub(1).is_none_or(|before| !is_free(before, known));
    if is_first { Turn::Always } else { Turn::ByKey }
}

/// No special network begins with the bits before, and the last bits are not reached.
fn is_free(depth: u32, known: u32) -> bool {
    let leads_to = |(bits, length): &(u32, u8)| shares(known, *bits, depth.min(u32::from(*length)));
    let leads_to_class = |class: &(u32, u8)| depth < u32::from(class.1) && leads_to(class);
    depth < 32 - LAST && !KEPT.iter().any(leads_to) && !CLASSES.iter().any(leads_to_class)
}

/// Two addresses share their first bits.
fn shares(one: u32, other: u32, bits: u32) -> bool {
    (one ^ other).leading_zeros() >= bits
}
