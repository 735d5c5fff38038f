//! Words as the values that libnftables prints for them in JSON: numbers as numbers, names as names,
//! prefixes and ranges as objects, durations in seconds.

use std::net::IpAddr;

use model::Mac;
use serde_json::{Value, json};

/// A JSON object of these, which are moved into it.
pub(super) fn object<const N: usize>(entries: [(&str, Value); N]) -> Value {
    Value::Object(entries.into_iter().map(|(key, value)| (key.to_owned(), value)).collect())
}

/// What a word stands for.
pub(super) fn word(word: &str) -> Value {
    let known = prefix(word).or_else(|| range(word)).or_else(|| scalar(word)).or_else(|| flags(word));
    known.unwrap_or_else(|| Value::from(word))
}

/// `fin|syn|rst`, as nft 0.9 wrote what is `fin | syn | rst` since.
fn flags(word: &str) -> Option<Value> {
    let (first, last) = word.rsplit_once('|')?;
    let is_name = !last.is_empty() && last.bytes().all(|byte| byte.is_ascii_alphabetic());
    is_name.then(|| json!({"|": [flags(first).unwrap_or_else(|| first.into()), last]}))
}

/// A number or a duration; other words are names, or addresses, which JSON writes as they are.
fn scalar(word: &str) -> Option<Value> {
    if let Some(number) = number(word) {
        return Some(Value::from(number));
    }
    seconds(word).map(Value::from)
}

/// Decimal, or hexadecimal with `0x`.
pub(super) fn number(word: &str) -> Option<u64> {
    match word.strip_prefix("0x") {
        Some(digits) => u64::from_str_radix(digits, 16).ok(),
        None if word.starts_with(|c: char| c.is_ascii_digit()) => word.parse().ok(),
        None => None,
    }
}

/// `1d2h3m4s5ms`, to the second, as JSON has it.
pub(super) fn seconds(word: &str) -> Option<u64> {
    let mut rest = word;
    let mut milliseconds = 0_u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit())?;
        let (number, after) = rest.split_at_checked(digits)?;
        let unit_length = after.find(|c: char| c.is_ascii_digit()).unwrap_or(after.len());
        let (unit, after) = after.split_at_checked(unit_length)?;
        let unit = match unit {
            "ms" => 1,
            "s" => 1000,
            "m" => 60_000,
            "h" => 3_600_000,
            "d" => 86_400_000,
            "w" => 604_800_000,
            _ => return None,
        };
        milliseconds = milliseconds.checked_add(number.parse::<u64>().ok()?.checked_mul(unit)?)?;
        rest = after;
    }
    (!word.is_empty()).then_some(milliseconds / 1000)
}

fn prefix(word: &str) -> Option<Value> {
    let (value, length) = word.rsplit_once('/')?;
    let length: u32 = length.parse().ok()?;
    (!value.is_empty())
        .then(|| json!({"prefix": {"addr": scalar(value).unwrap_or_else(|| value.into()), "len": length}}))
}

/// Names contain hyphens too: only what is clearly two values is a range.
fn range(word: &str) -> Option<Value> {
    let ends = word.match_indices('-').filter_map(|(at, _)| Some((word.get(..at)?, word.get(at + 1..)?)));
    let (low, high) = ends.into_iter().find_map(|(low, high)| Some((end(low)?, end(high)?)))?;
    Some(json!({"range": [low, high]}))
}

fn end(word: &str) -> Option<Value> {
    let is_address = word.parse::<IpAddr>().is_ok() || word.parse::<Mac>().is_ok();
    if is_address || is_class(word) { Some(word.into()) } else { scalar(word) }
}

/// A class of traffic control: `1:10`.
fn is_class(word: &str) -> bool {
    let is_hex = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_hexdigit());
    word.split_once(':').is_some_and(|(major, minor)| is_hex(major) && is_hex(minor))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_what_json_has_for_them() {
        let cases = [
            ("22", json!(22)),
            ("0x0000000a", json!(10)),
            ("80-90", json!({"range": [80, 90]})),
            ("10.0.0.0/8", json!({"prefix": {"addr": "10.0.0.0", "len": 8}})),
            ("fe80::-fe80::5", json!({"range": ["fe80::", "fe80::5"]})),
            (
                "00:11:22:33:44:55-00:11:22:33:44:66",
                json!({"range": ["00:11:22:33:44:55", "00:11:22:33:44:66"]}),
            ),
            ("echo-request", json!("echo-request")),
            ("1h30m", json!(5400)),
            ("1500ms", json!(1)),
            ("8021q", json!("8021q")),
            ("1:10", json!("1:10")),
            ("0x123456789abcdef01", json!("0x123456789abcdef01")),
            ("18446744073709551616s", json!("18446744073709551616s")),
        ];
        for (text, wanted) in cases {
            assert_eq!(word(text), wanted, "{text}");
        }
    }
}
