//! A text, read once from its beginning to its end: whatever in it is an address, a MAC, an id or a known name is
//! replaced, and all else stays, letter for letter.

use std::borrow::Cow;

mod comments;
mod encoded;
mod macs;
mod numbers;
mod parted;
mod shapes;
#[cfg(test)]
mod tests;

use super::Pseudonyms;
use super::lookup::is_word;

/// What begins at a place of a text: how long it is, and what stands there instead.
pub(super) type Found = Option<(usize, String)>;

/// The text with pseudonyms.
pub(super) fn text<'t>(pseudonyms: &Pseudonyms, text: &'t str) -> Cow<'t, str> {
    let mut out = String::new();
    // Where what is not yet copied begins, and where we are.
    let (mut copied, mut at) = (0, 0);
    let bytes = text.as_bytes();
    while let Some(byte) = bytes.get(at) {
        if *byte == b'[' {
            at += colour(bytes.get(at..).unwrap_or_default());
            continue;
        }
        let begins = is_word_byte(*byte) || *byte == b':' && bytes.get(at + 1) == Some(&b':');
        if !begins {
            at += 1;
            continue;
        }
        let rest = text.get(at..).unwrap_or_default();
        let word_end = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        let word = rest.get(..word_end).unwrap_or_default();
        match found(pseudonyms, text.get(..at).unwrap_or_default(), rest, word) {
            Some((length, instead)) if length > 0 => {
                out.push_str(text.get(copied..at).unwrap_or_default());
                out.push_str(&instead);
                at += length;
                copied = at;
            }
            Some(_) | None => at += passed(bytes, at, word).max(1),
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.push_str(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// Longest sequence that makes a terminal change its colour.
const COLOUR_MAX: usize = 24;

/// Octets of `[0;35m`, which a word may stand right behind; of any other bracket, the bracket alone.
fn colour(bytes: &[u8]) -> usize {
    let numbers = bytes.iter().skip(1).take(COLOUR_MAX);
    let length = 1 + numbers.take_while(|byte| byte.is_ascii_digit() || **byte == b';').count();
    if bytes.get(length) == Some(&b'm') { length + 1 } else { 1 }
}

/// How far a word that is nothing is passed over: not beyond what an escape ends (`\n10.0.2.24` of JSON, `%3D10.0.2.24`
/// of a URL), and not beyond the letters before an address.
fn passed(bytes: &[u8], at: usize, word: &str) -> usize {
    let before = at.checked_sub(1).and_then(|before| bytes.get(before));
    let escaped = match before {
        Some(b'\\') if word.starts_with(['n', 'r', 't', 'b', 'f']) => 1,
        Some(b'%') if word.bytes().take(2).filter(u8::is_ascii_hexdigit).count() == 2 => 2,
        Some(_) | None => 0,
    };
    if escaped > 0 {
        return escaped;
    }
    let letters = word.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let is_dotted = letters > 0 && letters < word.len() && bytes.get(at + word.len()) == Some(&b'.');
    if is_dotted { letters } else { word.len() }
}

fn is_word_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || !byte.is_ascii()
}

/// What stands beside the ids in a text; none where there is no id.
pub(super) fn beside_ids(text: &str) -> Option<Vec<&str>> {
    let mut parts = Vec::new();
    // Where what is beside the last id begins.
    let mut from = 0;
    for (at, word) in words(text) {
        let length = text.get(at..).filter(|_| at >= from).and_then(|rest| shapes::id_length(rest, word));
        if let Some(length) = length {
            parts.extend(text.get(from..at));
            from = at + length;
        }
    }
    parts.extend(text.get(from..).filter(|_| from > 0));
    (from > 0).then_some(parts)
}

/// Words, and where they begin.
fn words(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut at = 0;
    text.split(|c| !is_word(c)).filter_map(move |word| {
        // Whatever parts two words is of one octet.
        let begin = at;
        at += word.len() + 1;
        (!word.is_empty()).then_some((begin, word))
    })
}

/// A name may begin as an address does, and an address as a name: what is longer is meant.
fn found(pseudonyms: &Pseudonyms, before: &str, rest: &str, word: &str) -> Found {
    if word == "comment"
        && let Some(found) = comments::comment(pseudonyms, before, rest)
    {
        return Some(found);
    }
    let number = number(pseudonyms, before, rest, word);
    match (pseudonyms.names.at(rest), &number) {
        (Some((length, _)), Some((other, _))) if *other >= length => number,
        (Some((length, pseudonym)), _) => Some((length, pseudonym.to_owned())),
        (None, _) => number,
    }
}

fn number(pseudonyms: &Pseudonyms, before: &str, rest: &str, word: &str) -> Found {
    let first = *rest.as_bytes().first()?;
    if !first.is_ascii_hexdigit() && first != b':' {
        return shapes::device(pseudonyms, rest, word);
    }
    numbers::colons(pseudonyms, before, rest)
        .or_else(|| encoded::encoded(pseudonyms, rest, word))
        .or_else(|| numbers::dotted(pseudonyms, before, rest))
        .or_else(|| numbers::nibbles(pseudonyms, rest))
        .or_else(|| shapes::id(pseudonyms, rest, word))
        .or_else(|| parted::parted(pseudonyms, before, rest, word))
        .or_else(|| macs::grouped(pseudonyms, before, rest, word))
        .or_else(|| shapes::device(pseudonyms, rest, word))
        .or_else(|| shapes::hex(pseudonyms, rest, word))
}
