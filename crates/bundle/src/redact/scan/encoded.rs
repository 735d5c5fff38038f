//! Addresses and MACs whose colons are written otherwise: in URLs, and where a colon parts fields.

use super::super::Pseudonyms;
use super::{Found, numbers};

/// A colon in a URL, in a URL within one (RFC 3986, 2.1), and in what `nmcli -t` prints.
const COLONS: [&str; 5] = ["%3A", "%3a", "%253A", "%253a", "\\:"];

/// Longest run that is looked at, decoded.
const RUN_MAX: usize = 64;

/// What [`numbers::colons`] finds, its colons as they were written.
pub(super) fn encoded(pseudonyms: &Pseudonyms, rest: &str, word: &str) -> Found {
    let behind = rest.get(word.len()..)?;
    let colon = COLONS.into_iter().find(|colon| behind.starts_with(colon))?;
    let (mut decoded, mut at) = (String::new(), 0);
    while decoded.len() < RUN_MAX {
        let left = rest.get(at..)?;
        match left.bytes().next() {
            Some(byte) if byte.is_ascii_hexdigit() || byte == b'.' => {
                decoded.push(char::from(byte));
                at += 1;
            }
            Some(_) if left.starts_with(colon) => {
                decoded.push(':');
                at += colon.len();
            }
            Some(_) | None => break,
        }
    }
    // Whether a word ends there is seen by what follows.
    decoded.extend(rest.get(at..)?.chars().next());
    let (length, instead) = numbers::colons(pseudonyms, "", &decoded)?;
    let colons = decoded.get(..length)?.matches(':').count();
    Some((length + colons * (colon.len() - 1), instead.replace(':', colon)))
}
