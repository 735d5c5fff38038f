//! Comments of rules and sets, where people write of people: nft's `comment "..."`, iptables' `--comment ...` and both
//! in JSON.

use super::super::Pseudonyms;
use super::Found;

/// Octets of a comment that are looked at: nft takes 128, iptables 256, and an escape is of two.
const COMMENT_MAX: usize = 600;

/// A comment whose keyword this is; nothing where it is a word like any other.
pub(super) fn comment(pseudonyms: &Pseudonyms, before: &str, rest: &str) -> Found {
    let behind = rest.strip_prefix("comment")?;
    let is_option = before.ends_with("--");
    let value = match before.chars().next_back() {
        // `"comment": "..."`
        Some('"') => behind.strip_prefix('"')?.trim_start().strip_prefix(':')?.trim_start(),
        _ => behind.strip_prefix(' ')?.trim_start_matches(' '),
    };
    let begin = rest.len() - value.len();
    let end = (0..=value.len().min(COMMENT_MAX)).rev().find(|end| value.is_char_boundary(*end))?;
    let value = value.get(..end)?;
    let quote = ["\"", "\\\""].into_iter().find(|quote| value.starts_with(quote));
    let (skipped, length) = match quote {
        Some(quote) => (quote.len(), quoted(value.get(quote.len()..)?, quote)?),
        None if is_option => (0, value.find(char::is_whitespace).unwrap_or(value.len())),
        None => return None,
    };
    let text = value.get(skipped..skipped + length).filter(|text| !text.trim().is_empty())?;
    let from = begin + skipped;
    Some((from + length, format!("{}{}", rest.get(..from)?, pseudonyms.comment(text))))
}

/// How long a text is up to the quote that ends it: of two quotes within quotes, one is escaped.
fn quoted(text: &str, quote: &str) -> Option<usize> {
    let mut is_escaped = false;
    text.char_indices().map(|(at, _)| at).find(|at| {
        let rest = text.get(*at..).unwrap_or_default();
        let ends = !is_escaped && rest.starts_with(quote);
        is_escaped = !is_escaped && rest.starts_with('\\');
        ends
    })
}
