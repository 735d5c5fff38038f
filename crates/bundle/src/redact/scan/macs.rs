//! MACs as they are written: with colons, alone or in what is longer, under a mask, and in groups as switches do.

use model::Mac;

use super::super::Pseudonyms;
use super::super::lookup::is_word;
use super::{Found, parted};

/// Octets of a MAC and its digits.
const OCTETS: usize = 6;
const DIGITS: usize = 12;

/// How switches write MACs: the mark, and the digits between two.
const GROUPS: [(char, usize); 4] = [('.', 4), ('-', 4), (':', 4), ('-', 6)];

/// Makers of the MACs of instances and of their taps, which nova and libvirt make up.
const MAKERS: [[u8; 3]; 4] = [[0xfa, 0x16, 0x3e], [0xfe, 0x16, 0x3e], [0x52, 0x54, 0x00], [0xfe, 0x54, 0x00]];

/// A MAC, or what ends with one, at the beginning of `rest`: `octets` are its numbers, `written` is all of them.
pub(super) fn colons(pseudonyms: &Pseudonyms, before: &str, rest: &str, written: &str) -> Found {
    let octets: Vec<&str> = written.split(':').collect();
    let is_octet = |part: &&str| (1..=2).contains(&part.len()) && !part.contains('.');
    if octets.len() < OCTETS || !octets.iter().all(is_octet) {
        return None;
    }
    let all_whole = octets.iter().all(|octet| octet.len() == 2);
    if all_whole && let Some(header) = header(pseudonyms, &octets) {
        return Some((written.len(), header));
    }
    let (ahead, octets) = octets.split_at(octets.len() - OCTETS);
    if !ahead.is_empty() && !all_whole {
        return None;
    }
    let mac: Mac = octets.join(":").parse().ok()?;
    // nft's `ether saddr & MASK == MAC`.
    if ahead.is_empty() && before.trim_end().ends_with('&') && is_mask(mac) {
        return Some((written.len(), written.to_owned()));
    }
    let ahead: String = ahead.iter().flat_map(|octet| [*octet, ":"]).collect();
    let (mask_end, mask) = mask(rest, written.len());
    let mapped = masked(pseudonyms.mac(mac), mac, mask);
    let behind = rest.get(written.len()..mask_end).unwrap_or_default();
    Some((mask_end, ahead + &like(mapped, octets, ':') + behind))
}

/// Where a MAC ends with its mask, and that (ebtables(8), `--source`).
fn mask(rest: &str, end: usize) -> (usize, Option<Mac>) {
    let behind = rest.get(end..).and_then(|behind| behind.strip_prefix('/')).unwrap_or_default();
    let length = behind.find(|c: char| !c.is_ascii_hexdigit() && c != ':').unwrap_or(behind.len());
    let written = behind.get(..length).unwrap_or_default();
    let mask = written.parse().ok().filter(|mask| is_mask(*mask));
    match mask {
        Some(mask) if !behind.get(length..).unwrap_or_default().starts_with(is_word) => {
            (end + 1 + length, Some(mask))
        }
        Some(_) | None => (end, None),
    }
}

/// Of each octet the first bits, or the last.
fn is_mask(mac: Mac) -> bool {
    let is_part = |octet: &u8| {
        octet.leading_ones() == octet.count_ones() || octet.trailing_ones() == octet.count_ones()
    };
    mac.0.iter().all(is_part)
}

/// What the mask hides stays nothing where it was nothing.
fn masked(mut mapped: Mac, mac: Mac, mask: Option<Mac>) -> Mac {
    let Some(mask) = mask else { return mapped };
    if mac.0.iter().zip(mask.0).all(|(octet, mask)| octet & mask == *octet) {
        mapped.0.iter_mut().zip(mask.0).for_each(|(octet, mask)| *octet &= mask);
    }
    mapped
}

/// Ethernet's header as netfilter logs it (`MAC=`, nf_log_syslog.c): both MACs and the type. An identifier of DHCPv6
/// that has a time in it (RFC 8415, 11.2) is as long.
fn header(pseudonyms: &Pseudonyms, octets: &[&str]) -> Option<String> {
    const TYPES: [[&str; 2]; 6] =
        [["08", "00"], ["08", "06"], ["86", "dd"], ["81", "00"], ["88", "a8"], ["88", "64"]];
    let (macs, kind) = octets.split_at_checked(2 * OCTETS)?;
    if !TYPES.iter().any(|of| of == kind) || octets.starts_with(&["00", "01", "00", "01"]) {
        return None;
    }
    let mut out = String::new();
    for octets in macs.chunks(OCTETS) {
        let mac: Mac = octets.join(":").parse().ok()?;
        out.push_str(&like(pseudonyms.mac(mac), octets, ':'));
        out.push(':');
    }
    Some(out + &kind.join(":"))
}

/// A MAC among octets with such a mark between (Windows, PXE, libvirt's names of devices), and what stands before it:
/// the one that is known, else the last, which identifiers end with; of seven the first, unless a kind of hardware
/// stands before it (RFC 2132, 9.14).
pub(super) fn octets(pseudonyms: &Pseudonyms, parts: &[&str], mark: char) -> Found {
    let count = parts.iter().take_while(|part| part.len() == 2).count();
    let octets = parts.get(..count).filter(|octets| octets.len() >= OCTETS)?;
    let at = |at: usize| octets.get(at..at + OCTETS)?.join(":").parse::<Mac>().ok();
    let is_known = |start: &usize| at(*start).is_some_and(|mac| pseudonyms.known_mac(mac).is_some());
    let start = (0..=count - OCTETS).find(is_known).unwrap_or(match (count, octets.first()) {
        (7, Some(kind)) if *kind != "01" => 0,
        _ => count - OCTETS,
    });
    let (ahead, octets) = (octets.get(..start)?, octets.get(start..start + OCTETS)?);
    let mut out = parted::before(ahead, mark);
    out.push_str(&like(pseudonyms.mac(octets.join(":").parse().ok()?), octets, mark));
    Some((out.len(), out))
}

/// A MAC in groups of digits: one that is known, or of which nobody would think that it is a number or a word.
pub(super) fn grouped(pseudonyms: &Pseudonyms, before: &str, rest: &str, word: &str) -> Found {
    let next = rest.get(word.len()..)?.chars().next()?;
    let (mark, size) = GROUPS.into_iter().find(|group| *group == (next, word.len()))?;
    let length = DIGITS + DIGITS / size - 1;
    let (written, behind) = rest.split_at_checked(length)?;
    let is_group = |part: &str| part.len() == size && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    let is_hex = |c: char| c.is_ascii_hexdigit();
    let follows = before.strip_suffix(mark).is_some_and(|text| text.ends_with(is_hex));
    let next = behind.strip_prefix(mark).and_then(|next| next.split(|c| !is_word(c)).next());
    let is_longer = follows || next.is_some_and(is_group) || behind.starts_with(is_word);
    if is_longer || !written.split(mark).all(is_group) {
        return None;
    }
    let digits = written.replace(mark, "");
    let mac = of_digits(&digits)?;
    let has = |of: fn(&u8) -> bool| digits.bytes().any(|byte| of(&byte));
    let is_plain = has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic);
    if !is_plain && pseudonyms.known_mac(mac).is_none() {
        return None;
    }
    let mapped = crate::names::hex(&pseudonyms.mac(mac).0);
    let group = |nth: usize| mapped.get(nth * size..(nth + 1) * size);
    let instead = (0..DIGITS / size).filter_map(group).collect::<Vec<_>>().join(&mark.to_string());
    let has_capitals = written.bytes().any(|byte| byte.is_ascii_uppercase());
    Some((length, if has_capitals { instead.to_ascii_uppercase() } else { instead }))
}

/// A MAC of twelve digits.
fn of_digits(digits: &str) -> Option<Mac> {
    let number = u64::from_str_radix(digits, 16).ok().filter(|_| digits.len() == DIGITS)?;
    let [_, _, octets @ ..] = number.to_be_bytes();
    Some(Mac(octets))
}

/// Twelve digits that are a MAC: a known one, or an instance's.
pub(super) fn bare(pseudonyms: &Pseudonyms, digits: &str) -> Option<String> {
    let mac = of_digits(digits)?;
    let is_instances = MAKERS.iter().any(|maker| mac.0.starts_with(maker));
    let mapped = if is_instances { pseudonyms.mac(mac) } else { pseudonyms.known_mac(mac)? };
    Some(crate::names::hex(&mapped.0))
}

/// A MAC in the way that another was written: with or without zeros in front, in small letters or capitals.
fn like(mac: Mac, octets: &[&str], mark: char) -> String {
    let short = octets.iter().any(|octet| octet.len() == 1);
    let capitals = octets.iter().any(|octet| octet.bytes().any(|byte| byte.is_ascii_uppercase()));
    let mut out = String::new();
    for (nth, octet) in mac.0.iter().enumerate() {
        if nth > 0 {
            out.push(mark);
        }
        let written = if short { format!("{octet:x}") } else { format!("{octet:02x}") };
        out.push_str(&if capitals { written.to_ascii_uppercase() } else { written });
    }
    out
}
