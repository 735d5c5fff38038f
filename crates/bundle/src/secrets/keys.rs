//! Private keys in PEM (RFC 7468): between their first line and their last, whatever stands between them.

use std::ops::Range;

/// Bytes after a mark in which the kind of a key stands.
const KIND_MAX: usize = 128;

const BEGIN: &str = "-----BEGIN ";
const END: &str = "-----END ";

/// Where keys lie. One whose end is missing goes on to the text's; one whose beginning is missing, as in the last
/// 32 KiB of a console, has begun with the text, or behind what another mark is of.
pub(super) fn keys(text: &str) -> Vec<Range<usize>> {
    let mut out = Vec::new();
    // Where a key that we are within began, and the earliest place that one without a beginning may lie at.
    let (mut begun, mut earliest) = (None, 0);
    for (at, _) in text.match_indices("-----") {
        let rest = text.get(at..).unwrap_or_default();
        let is_begin = rest.starts_with(BEGIN);
        if at < earliest || !is_begin && !rest.starts_with(END) {
            continue;
        }
        let behind = at + end_of_mark(rest);
        match (begun, is_begin) {
            (None, true) if is_private(rest) => begun = Some(at),
            (Some(from), false) => {
                out.push(from..behind);
                begun = None;
            }
            (None, false) if is_private(rest) => out.push(earliest..behind),
            (Some(_), true) | (None, _) => {}
        }
        earliest = behind;
    }
    out.extend(begun.map(|from| from..text.len()));
    out
}

/// `-----END RSA PRIVATE KEY-----`: how long it is, or its first word where the line tells no more.
fn end_of_mark(rest: &str) -> usize {
    let word = rest.find(' ').map_or(rest.len(), |at| at + 1);
    let kind = kind(rest);
    kind.get(word..).and_then(|kind| kind.find("-----")).map_or(word, |at| word + at + "-----".len())
}

fn is_private(rest: &str) -> bool {
    kind(rest).contains("PRIVATE KEY")
}

/// The mark's line, as far as it matters.
fn kind(rest: &str) -> &str {
    let end = (0..=KIND_MAX.min(rest.len())).rev().find(|at| rest.is_char_boundary(*at)).unwrap_or(0);
    rest.get(..end).and_then(|line| line.lines().next()).unwrap_or_default()
}
