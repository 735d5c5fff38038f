//! A journey on one line, for people who watch packets go by.

use correlate::{Example, Journey, Stop};

use super::packet::{ends, line};
use super::stamp::micros;
use crate::clean::clean;
use crate::style::Role;

/// `02:24:42.435672 10.0.2.24 > 1.2.3.4: ICMP echo request, id 7, seq 1, length 64 | vnet0 +4.1us eth0`: when and
/// what it was where it was seen first, and the way with the time that each stretch took; where addresses are
/// rewritten, what they become; at the end the vantage where it was expected and never seen, if it was lost.
pub fn journey_text(journey: &Journey, names: &[String], expected_at: Option<u16>, color: bool) -> String {
    let Some(first) = journey.stops.first() else { return String::new() };
    let micros = micros(first.time_ns);
    let packet = line(&Example::of(journey, first));
    let text = clean(&format!("{micros} {packet} | {}", way(journey, names).join(" "))).into_owned();
    let Some(expected_at) = expected_at else { return text };
    let lost = clean(&format!("LOST, expected at {}", name(names, expected_at))).into_owned();
    if color {
        let ansi = Role::Bad.ansi();
        return format!("{text} {ansi}{lost}{ansi:#}");
    }
    format!("{text} {lost}")
}

/// The same in no more than so many columns, for a journey that still grows: the end of its way is what is new, so
/// what does not fit goes from the way's beginning first.
pub fn journey_fitting(journey: &Journey, names: &[String], columns: usize) -> String {
    let Some(first) = journey.stops.first() else { return String::new() };
    let packet = clean(&line(&Example::of(journey, first))).into_owned();
    let way = way(journey, names);
    let mut text = String::new();
    for skipped in 0..way.len() {
        let shown = way.get(skipped..).unwrap_or_default().join(" ");
        let dots = if skipped > 0 { "... " } else { "" };
        let tail = clean(&format!(" | {dots}{shown}")).into_owned();
        text = format!("{packet}{tail}");
        if width(&text) <= columns {
            return text;
        }
        if skipped + 1 == way.len() {
            text = format!("{}{tail}", cut(&packet, columns.saturating_sub(width(&tail))));
        }
    }
    cut(&text, columns).to_owned()
}

/// Each stop, with how long it took to get there.
fn way(journey: &Journey, names: &[String]) -> Vec<String> {
    let mut way = Vec::new();
    let mut before: Option<&Stop> = None;
    for stop in &journey.stops {
        let took = before.map(|before| took(stop.time_ns.saturating_sub(before.time_ns)) + " ");
        let mut text = format!("{}{}", took.unwrap_or_default(), name(names, stop.vantage));
        let now = ends(stop, journey.protocol);
        if before.is_some_and(|before| ends(before, journey.protocol) != now) {
            text.push_str(&format!(" ({now})"));
        }
        if stop.copies > 1 {
            text.push_str(&format!(" x{}", stop.copies));
        }
        way.push(text);
        before = Some(stop);
    }
    way
}

fn name(names: &[String], vantage: u16) -> &str {
    names.get(usize::from(vantage)).map_or("?", String::as_str)
}

/// Columns that it takes at most: what is beyond ASCII may be two wide.
fn width(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

fn columns_of(c: char) -> usize {
    if c.is_ascii() { 1 } else { 2 }
}

/// As much of it as certainly fits.
fn cut(text: &str, columns: usize) -> &str {
    let mut used = 0;
    for (at, c) in text.char_indices() {
        used += columns_of(c);
        if used > columns {
            return text.get(..at).unwrap_or_default();
        }
    }
    text
}

/// `+4.1us`, `+12.0ms`, `+1.5s`.
pub(crate) fn took(ns: i64) -> String {
    let sign = if ns < 0 { '-' } else { '+' };
    let ns = ns.unsigned_abs();
    let (unit, name) = match ns {
        0..1_000_000 => (1_000, "us"),
        1_000_000..1_000_000_000 => (1_000_000, "ms"),
        _ => (1_000_000_000, "s"),
    };
    format!("{sign}{}.{}{name}", ns / unit, ns % unit / (unit / 10))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_cut_before_they_wrap() {
        assert_eq!(cut("compute1//vnet0", 9), "compute1/");
        assert_eq!(cut("インスタンス", 5), "イン");
        assert_eq!(cut("short", 80), "short");
        assert_eq!(cut("x", 0), "");
    }

    #[test]
    fn times_are_told_in_the_unit_that_fits() {
        let told = [0, 4_190, 999_999, 12_000_000, 1_540_000_000, -4_100].map(took);
        assert_eq!(told, ["+0.0us", "+4.1us", "+999.9us", "+12.0ms", "+1.5s", "-4.1us"]);
    }
}
