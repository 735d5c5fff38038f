//! Passwords that a sentence tells: `root password is x`, `password for user admin: x`, `password set to 'x'`.

use std::ops::Range;

/// What follows the word, and is followed by the password.
const PHRASES: [&str; 9] = [
    " has been set to ",
    " has been changed to ",
    " changed to ",
    " was set to ",
    " is set to ",
    " set to ",
    " is now ",
    " is: ",
    " is ",
];

/// Words that follow it in sentences which tell none.
const ORDINARY: &str = "
    a about already always an at being blank changed correct default disabled empty enabled expired going hidden
    ignored in incorrect invalid locked missing needed never no not now null only optional random required safe same
    secret set still stored the to too unchanged unknown unset used valid weak wrong
";

/// Bytes of a sentence that are looked at.
const SENTENCE_MAX: usize = 256;

/// Words between `password for` and the colon.
const WORDS_MAX: usize = 3;

/// Where passwords lie.
pub(super) fn told(text: &str) -> Vec<Range<usize>> {
    let lower = text.to_ascii_lowercase();
    let mut out: Vec<Range<usize>> = Vec::new();
    for word in ["password", "passphrase"] {
        let behind = lower.match_indices(word).map(|(at, _)| at + word.len());
        out.extend(behind.filter_map(|at| password(text, &lower, at)));
    }
    out
}

/// That in the sentence whose word `password` ends there.
fn password(text: &str, lower: &str, at: usize) -> Option<Range<usize>> {
    let end = (at..=text.len().min(at + SENTENCE_MAX)).rev().find(|end| text.is_char_boundary(*end))?;
    let rest = lower.get(at..end)?.lines().next()?;
    if let Some(phrase) = PHRASES.iter().find(|phrase| rest.starts_with(**phrase)) {
        return value(text, at + phrase.len()).filter(|range| is_one(text.get(range.clone())));
    }
    // `password to log in` is a sentence of its own.
    if rest.starts_with(" to '") || rest.starts_with(" to \"") {
        return value(text, at + " to ".len());
    }
    let names = rest.strip_prefix(" for ")?.split(':').next()?;
    let words: Vec<&str> = names.split(' ').collect();
    // `Failed password for root from fe80::1` tells an address.
    if words.len() > WORDS_MAX || words.contains(&"from") || names.contains(['(', '=', '/']) {
        return None;
    }
    let colon = at + " for ".len() + names.len();
    let blanks = text.get(colon..)?.strip_prefix(": ")?;
    value(text, colon + 2 + (blanks.len() - blanks.trim_start_matches(' ').len()))
}

/// The word there, or what stands in quotes.
fn value(text: &str, from: usize) -> Option<Range<usize>> {
    let rest = text.get(from..)?.lines().next()?;
    let quote = rest.chars().next().filter(|c| matches!(c, '"' | '\'' | '`'));
    let quoted = quote.and_then(|quote| rest.get(1..)?.find(quote));
    let (start, length) = match quoted {
        Some(length) => (from + 1, length),
        None => (from, rest.find(char::is_whitespace).unwrap_or(rest.len())),
    };
    (length > 0).then_some(start..start + length)
}

fn is_one(word: Option<&str>) -> bool {
    let word = word.unwrap_or_default().trim_end_matches(['.', ',', ';', '!', ':']).to_ascii_lowercase();
    !word.is_empty() && !ORDINARY.split_ascii_whitespace().any(|known| known == word)
}
