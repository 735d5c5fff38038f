//! A journey on one line, for people who watch packets go by.

use correlate::{Example, Journey, Stop};

use super::packet::{ends, line};
use super::stamp::clock;
use crate::clean::clean;
use crate::style::Role;

/// `HH:MM:SS.ffffff`, as far as the eye wants a time.
const MICROS: usize = 15;

/// `02:24:42.435672 10.0.2.24 > 1.2.3.4: ICMP echo request, id 7, seq 1, length 64 | vnet0 +4.1us eth0`: when and
/// what it was where it was seen first, and the way with the time that each stretch took; where addresses are
/// rewritten, what they become; at the end the vantage where it was expected and never seen, if it was lost.
pub fn journey_text(journey: &Journey, names: &[String], expected_at: Option<u16>, color: bool) -> String {
    let name = |vantage: u16| names.get(usize::from(vantage)).map_or("?", String::as_str);
    let Some(first) = journey.stops.first() else { return String::new() };
    let time = clock(first.time_ns);
    let micros = time.get(..MICROS).unwrap_or(&time);
    let mut text = format!("{micros} {} |", line(&Example::of(journey, first)));
    let mut before: Option<&Stop> = None;
    for stop in &journey.stops {
        if let Some(before) = before {
            text.push_str(&format!(" {}", took(stop.time_ns.saturating_sub(before.time_ns))));
        }
        text.push_str(&format!(" {}", name(stop.vantage)));
        let now = ends(stop, journey.protocol);
        if before.is_some_and(|before| ends(before, journey.protocol) != now) {
            text.push_str(&format!(" ({now})"));
        }
        if stop.copies > 1 {
            text.push_str(&format!(" x{}", stop.copies));
        }
        before = Some(stop);
    }
    let text = clean(&text).into_owned();
    let Some(expected_at) = expected_at else { return text };
    let lost = clean(&format!("LOST, expected at {}", name(expected_at))).into_owned();
    if color {
        let ansi = Role::Bad.ansi();
        return format!("{text} {ansi}{lost}{ansi:#}");
    }
    format!("{text} {lost}")
}

/// `+4.1us`, `+12.0ms`, `+1.5s`.
fn took(ns: i64) -> String {
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
    fn times_are_told_in_the_unit_that_fits() {
        let told = [0, 4_190, 999_999, 12_000_000, 1_540_000_000, -4_100].map(took);
        assert_eq!(told, ["+0.0us", "+4.1us", "+999.9us", "+12.0ms", "+1.5s", "-4.1us"]);
    }
}
