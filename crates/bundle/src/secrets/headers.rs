//! HTTP's `Authorization` (RFC 9110, 11.6.2), as requests, logs and `curl -H` have it.

use std::ops::Range;

/// Schemes of one word behind them, and of a list of parameters.
const OF_A_WORD: [&str; 7] = ["bearer", "basic", "token", "negotiate", "ntlm", "oauth", "apikey"];
const OF_A_LIST: [&str; 2] = ["digest", "aws4-hmac-sha256"];

/// Shortest word without a scheme: what is shorter speaks of authorization, and is none.
const WORD_MIN: usize = 16;

/// Where credentials lie.
pub(super) fn headers(text: &str) -> Vec<Range<usize>> {
    const NAME: &str = "authorization";
    let lower = text.to_ascii_lowercase();
    lower.match_indices(NAME).filter_map(|(at, _)| credentials(text, at + NAME.len())).collect()
}

/// Those behind the header's name: `: Bearer x`, `": "Basic x"`.
fn credentials(text: &str, behind: usize) -> Option<Range<usize>> {
    let between = |from: usize| text.get(from..).map(|rest| skipped(rest, [' ', '\t', '"', '\'', '\\']));
    let mark = behind + between(behind)?;
    let from = text.get(mark..)?.starts_with([':', '=']).then_some(mark + 1)?;
    let from = from + between(from)?;
    let scheme = word(text.get(from..)?);
    let lower = scheme.to_ascii_lowercase();
    let next = from + scheme.len();
    let value = next + skipped(text.get(next..)?, [' ', '\t']);
    if OF_A_LIST.contains(&&*lower) {
        let rest = text.get(value..)?;
        let list = rest.lines().next().unwrap_or_default();
        return (!list.is_empty()).then(|| value..value + list.len());
    }
    if OF_A_WORD.contains(&&*lower) {
        let length = word(text.get(value..)?).len();
        return (length > 0).then_some(value..value + length);
    }
    (scheme.len() >= WORD_MIN).then_some(from..next)
}

/// How many octets of these marks come first.
fn skipped<const N: usize>(rest: &str, marks: [char; N]) -> usize {
    rest.len() - rest.trim_start_matches(marks).len()
}

fn word(rest: &str) -> &str {
    rest.split(|c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '\\' | '<')).next().unwrap_or_default()
}
