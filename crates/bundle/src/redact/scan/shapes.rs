//! Ids, what is named after them, and addresses without marks.

use std::net::Ipv4Addr;

use super::super::Pseudonyms;
use super::super::lookup::is_word;
use super::super::pseudonyms::BEGINNINGS;
use super::{Found, macs};

/// Digits of a UUID's groups (RFC 9562).
const GROUPS: [usize; 5] = [8, 4, 4, 4, 12];

/// What nova, neutron and their vif drivers put before the beginning of a port's id.
const DEVICES: [&str; 10] = ["tap", "qbr", "qvb", "qvo", "brq", "vhu", "sgi", "i", "o", "s"];

fn is_hex(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn ends(rest: &str, length: usize) -> bool {
    rest.get(length..).is_some_and(|rest| !rest.starts_with(is_word))
}

/// A UUID, also without its dashes, as keystone writes it; or its first ten digits, as devices have them.
pub(super) fn id(pseudonyms: &Pseudonyms, rest: &str, word: &str) -> Found {
    let Some(length) = id_length(rest, word) else {
        return beginning(pseudonyms, rest).filter(|_| word.len() == 8 && is_hex(word));
    };
    let whole = rest.get(..length)?;
    let mapped = pseudonyms.id(whole);
    let mapped = if whole.contains('-') { mapped } else { mapped.replace('-', "") };
    Some((length, as_written(whole, mapped)))
}

/// How long the UUID is that begins there, with its dashes or without.
pub(super) fn id_length(rest: &str, word: &str) -> Option<usize> {
    if word.len() == 32 && is_hex(word) {
        return Some(word.len());
    }
    let mut at = 0;
    for digits in GROUPS {
        let is_parted = at == 0 || rest.as_bytes().get(at - 1) == Some(&b'-');
        rest.get(at..at + digits).filter(|group| is_parted && is_hex(group))?;
        at += digits + 1;
    }
    Some(at - 1).filter(|length| ends(rest, *length))
}

/// `1234abcd-ef`, or `1234abcd-e` of neutron's chains.
fn beginning(pseudonyms: &Pseudonyms, rest: &str) -> Found {
    BEGINNINGS.into_iter().find_map(|length| {
        let written = rest.get(..length).filter(|_| ends(rest, length))?;
        let (first, second) = written.split_once('-')?;
        let fits = first.len() == 8 && is_hex(first) && is_hex(second) && !second.is_empty();
        fits.then(|| (length, as_written(written, pseudonyms.id_beginning(written))))
    })
}

fn as_written(written: &str, pseudonym: String) -> String {
    if written.bytes().any(|byte| byte.is_ascii_uppercase()) {
        pseudonym.to_ascii_uppercase()
    } else {
        pseudonym
    }
}

/// A device that is named after a port's id.
pub(super) fn device(pseudonyms: &Pseudonyms, rest: &str, word: &str) -> Found {
    DEVICES.into_iter().find_map(|ahead| {
        let first = word.strip_prefix(ahead)?;
        let fits = first.len() == 8 && is_hex(first);
        let (length, instead) = beginning(pseudonyms, rest.get(ahead.len()..).filter(|_| fits)?)?;
        Some((ahead.len() + length, format!("{ahead}{instead}")))
    })
}

/// An address of the site, or a MAC that is one's or an instance's, in hex. Of others nobody could tell that they are
/// any.
pub(super) fn hex(pseudonyms: &Pseudonyms, rest: &str, word: &str) -> Found {
    let (ahead, digits) = word.strip_prefix("0x").map_or(("", word), |digits| ("0x", digits));
    if !ends(rest, word.len()) || !is_hex(digits) {
        return None;
    }
    let width = digits.len();
    let written = match width {
        12 => macs::bare(pseudonyms, digits)?,
        7 | 8 if width == 8 || !ahead.is_empty() => {
            let number = u32::from_str_radix(digits, 16).ok()?;
            let mapped = |number: u32| pseudonyms.of_site(Ipv4Addr::from(number)).map(u32::from);
            // Files of /proc/net have them as the CPU has, which is turned round on all that hosts are built of.
            let turned = || mapped(number.swap_bytes()).filter(|_| width == 8).map(u32::swap_bytes);
            format!("{:0width$x}", mapped(number).or_else(turned)?)
        }
        _ => return None,
    };
    Some((word.len(), as_written(digits, format!("{ahead}{written}"))))
}
