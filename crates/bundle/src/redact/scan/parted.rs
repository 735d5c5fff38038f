//! Numbers with dashes or underscores between, as the names of hosts, devices and files have them: addresses
//! (`ip-10-0-2-24-eth0`) and MACs.

use std::net::Ipv4Addr;

use super::super::Pseudonyms;
use super::super::v4;
use super::numbers::{ends_word, run};
use super::{Found, macs};

const MARKS: [char; 2] = ['-', '_'];

/// Octets of an IPv4 address.
const OCTETS: usize = 4;

/// An address or a MAC, and the numbers before it.
pub(super) fn parted(pseudonyms: &Pseudonyms, before: &str, rest: &str, word: &str) -> Found {
    let mark = rest.get(word.len()..)?.chars().next().filter(|mark| MARKS.contains(mark))?;
    let parts = parts(rest, mark);
    macs::octets(pseudonyms, &parts, mark).or_else(|| address(pseudonyms, before, &parts, mark))
}

/// The hexadecimal numbers that a text begins with.
fn parts(rest: &str, mark: char) -> Vec<&str> {
    let whole = run(rest, |byte| byte.is_ascii_hexdigit() || char::from(byte) == mark);
    let mut parts: Vec<&str> = whole.split(mark).take_while(|part| !part.is_empty()).collect();
    // A word may begin with such digits and go on otherwise.
    let length = (parts.iter().map(|part| part.len() + 1).sum::<usize>()).saturating_sub(1);
    if !ends_word(rest, length) {
        parts.pop();
    }
    parts
}

/// Of several numbers, those that are an address of the site; else, where they are no end of a date, a private one, or
/// the first four of hardly more.
fn address(pseudonyms: &Pseudonyms, text: &str, parts: &[&str], mark: char) -> Found {
    // As people write numbers: none begins with a zero.
    let octet = |part: &&str| part.parse::<u8>().ok().filter(|octet| octet.to_string() == **part);
    let octets: Vec<u8> = parts.iter().map_while(octet).collect();
    let all: Vec<Ipv4Addr> = octets
        .windows(OCTETS)
        .filter_map(|four| <[u8; OCTETS]>::try_from(four).ok())
        .map(Ipv4Addr::from)
        .collect();
    let is_known = |ip: &Ipv4Addr| pseudonyms.known_v4(*ip).is_some();
    let known = all.iter().position(is_known);
    let follows_number = text.strip_suffix(mark).is_some_and(|text| {
        let last = text.rsplit(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
        !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_digit())
    });
    let guessed = || {
        let private = all.iter().position(|ip| v4::is_private(*ip));
        private.or((octets.len() <= OCTETS + 1).then_some(0)).filter(|_| !follows_number)
    };
    let start = known.or_else(guessed)?;
    let ahead = before(parts.get(..start)?, mark);
    let address = *all.get(start)?;
    let length = ahead.len() + address.to_string().len();
    let mapped = pseudonyms.v4(address).to_string().replace('.', &mark.to_string());
    Some((length, ahead + &mapped))
}

/// Parts as they stand before another.
pub(super) fn before(parts: &[&str], mark: char) -> String {
    parts.iter().fold(String::new(), |mut out, part| {
        out.push_str(part);
        out.push(mark);
        out
    })
}
