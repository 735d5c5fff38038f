//! Addresses as they are written: with dots and colons, and in the reverse trees.

use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};

use super::super::Pseudonyms;
use super::super::lookup::is_word;
use super::{Found, macs};

/// Longest run that is looked at: an address with a zone, or a client's identifier (RFC 4361).
const RUN_MAX: usize = 64;

/// The longest run of such marks at the beginning.
pub(super) fn run(text: &str, fits: impl Fn(u8) -> bool) -> &str {
    let end = text.bytes().take(RUN_MAX).take_while(|byte| fits(*byte)).count();
    text.get(..end).unwrap_or_default()
}

/// No word goes on there.
pub(super) fn ends_word(rest: &str, length: usize) -> bool {
    rest.get(length..).is_some_and(|rest| !rest.starts_with(is_word))
}

/// A MAC, a client's identifier that ends with one, or an IPv6 address.
pub(super) fn colons(pseudonyms: &Pseudonyms, before: &str, rest: &str) -> Found {
    let whole = run(rest, |byte| byte.is_ascii_hexdigit() || matches!(byte, b':' | b'.'));
    // A word that only begins as a number may follow.
    let cut = whole.rfind(':').and_then(|at| whole.get(..at));
    let whole = if ends_word(rest, whole.len()) { whole } else { cut? };
    let marked = whole.trim_end_matches(['.', ':']);
    // `::` itself and what ends so, as `fe80::`.
    let ends = [whole.get(..marked.len() + 2).filter(|text| text.ends_with("::")), Some(marked)];
    if !whole.contains(':') {
        return None;
    }
    if let Some(mac) = macs::colons(pseudonyms, before, rest, marked) {
        return Some(mac);
    }
    ends.into_iter().flatten().find_map(|text| {
        let address: Ipv6Addr = text.parse().ok()?;
        let (length, prefix) = prefix_length(rest, text.len());
        let mapped = pseudonyms.v6(address);
        let net = prefix.and_then(|prefix| Ipv6Net::new(address, prefix).ok());
        let is_net = net.is_some_and(|net| net.trunc() == net);
        let mapped = net
            .filter(|_| is_net)
            .and_then(|net| Ipv6Net::new(mapped, net.prefix_len()).ok())
            .map_or(mapped, |net| net.trunc().addr());
        let behind = rest.get(text.len()..length).unwrap_or_default();
        Some((length, format!("{mapped}{behind}")))
    })
}

/// Where an address ends with its prefix length, and that length, also as a netmask.
fn prefix_length(rest: &str, address: usize) -> (usize, Option<u8>) {
    let behind = rest.get(address..).and_then(|text| text.strip_prefix('/')).unwrap_or_default();
    let written = run(behind, |byte| byte.is_ascii_digit() || byte == b'.').trim_end_matches('.');
    let length = address + 1 + written.len();
    if written.is_empty() || !ends_word(rest, length) {
        return (address, None);
    }
    if let Ok(mask) = written.parse::<Ipv4Addr>() {
        let prefix = ipnet::ipv4_mask_to_prefix(mask).ok();
        return prefix.map_or((address, None), |prefix| (length, Some(prefix)));
    }
    written.parse::<u8>().map_or((address, None), |prefix| (length, Some(prefix)))
}

/// Names are compared without their case (RFC 4343).
fn is_followed_by(rest: &str, at: usize, what: &str) -> bool {
    rest.get(at..at + what.len()).is_some_and(|behind| behind.eq_ignore_ascii_case(what))
}

/// An IPv6 address in the reverse tree (RFC 3596, 2.5): its digits from the last to the first, or a network's first
/// ones so.
pub(super) fn nibbles(pseudonyms: &Pseudonyms, rest: &str) -> Found {
    const DIGITS: usize = 32;
    let whole = run(rest, |byte| byte.is_ascii_hexdigit() || byte == b'.').trim_end_matches('.');
    let digits: Option<Vec<u32>> =
        whole.split('.').map(|part| part.chars().next().filter(|_| part.len() == 1)?.to_digit(16)).collect();
    let digits =
        digits.filter(|digits| digits.len() <= DIGITS && is_followed_by(rest, whole.len(), ".ip6.arpa"))?;
    let place = |nth: usize| 4 * (DIGITS - 1 - nth);
    let bits =
        digits.iter().rev().enumerate().fold(0, |bits, (nth, digit)| bits | u128::from(*digit) << place(nth));
    let mapped = u128::from(pseudonyms.v6(Ipv6Addr::from(bits)));
    let back: Vec<String> =
        (0..digits.len()).rev().map(|nth| format!("{:x}", mapped >> place(nth) & 15)).collect();
    Some((whole.len(), back.join(".")))
}

/// An IPv4 address, with its prefix length where it has one; of a network, all bits behind it stay zero. Turned round
/// where a name of the reverse tree follows.
pub(super) fn dotted(pseudonyms: &Pseudonyms, before: &str, rest: &str) -> Found {
    let in_a_run = before.strip_suffix('.').is_some_and(|text| text.ends_with(|c: char| c.is_ascii_digit()));
    let whole = run(rest, |byte| byte.is_ascii_digit() || byte == b'.').trim_end_matches('.');
    let is_reverse = is_followed_by(rest, whole.len(), ".in-addr.arpa");
    if in_a_run || !whole.contains('.') && !is_reverse {
        return None;
    }
    let parts: Vec<&str> = whole.split('.').collect();
    if (1..=4).contains(&parts.len()) && is_reverse {
        let mut turned: Vec<&str> = parts.iter().rev().copied().collect();
        turned.resize(4, "0");
        let mapped = pseudonyms.v4(turned.join(".").parse().ok()?).octets();
        let back = mapped.iter().take(parts.len()).rev().map(u8::to_string).collect::<Vec<_>>();
        return Some((whole.len(), back.join(".")));
    }
    // tcpdump writes the port behind a dot.
    if !(4..=5).contains(&parts.len()) || !ends_word(rest, whole.len()) {
        return None;
    }
    let length = parts.iter().take(4).map(|part| part.len() + 1).sum::<usize>() - 1;
    let address: Ipv4Addr = whole.get(..length)?.parse().ok()?;
    if parts.len() == 5 {
        return Some((length, pseudonyms.v4(address).to_string()));
    }
    let (length, prefix) = prefix_length(rest, length);
    let behind = rest.get(whole.len()..length).unwrap_or_default();
    Some((length, format!("{}{behind}", net_v4(pseudonyms, address, prefix))))
}

fn net_v4(pseudonyms: &Pseudonyms, address: Ipv4Addr, prefix: Option<u8>) -> Ipv4Addr {
    let mapped = pseudonyms.v4(address);
    let net = |address| prefix.and_then(|prefix| Ipv4Net::new(address, prefix).ok());
    match (net(address), net(mapped)) {
        (Some(net), Some(mapped)) if net.trunc() == net => mapped.trunc().addr(),
        (Some(_) | None, Some(_) | None) => mapped,
    }
}
