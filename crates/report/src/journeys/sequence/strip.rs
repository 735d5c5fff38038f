//! Strips of dots: how long a stretch took, packet by packet, over the time of the capture. Heights are logarithmic,
//! since times on one stretch differ by factors and not by sums.

use std::fmt::Write as _;

use correlate::Stretch;

use super::super::Journeys;
use super::super::one::took;
use super::super::stamp::micros;
use super::super::told;
use super::Captured;
use super::choose::ahead_ns;
use crate::arrows::{LEFT, RIGHT};
use crate::clean::clean;
use crate::escape::Escaped;
use crate::picture::text::cut;

/// Strips of one page; of more stretches, those that most packets pass.
const STRIPS_MAX: usize = 24;
/// The field that dots are placed in, before it is stretched to its place; and what stays free at its edges.
const FIELD: (u64, u64) = (1_000, 56);
const EDGE: u64 = 6;
/// Pixels of a strip with its words, where it stands in a picture.
const HIGH: usize = 92;

/// A stretch and its dots.
pub(super) struct Strip<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) stretch: &'a Stretch,
    /// Elements within the field; none where clocks drift apart, so that no single time is known well enough.
    pub(super) dots: String,
    /// At the field's lower and upper edge, in nanoseconds.
    pub(super) scale: (u64, u64),
    /// First and last, by the reference's clock.
    pub(super) times: (i64, i64),
    /// How many dots stand for how many packets.
    pub(super) drawn: (usize, u64),
}

impl Strip<'_> {
    /// Too few packets for a picture: what it would show is said in its words.
    pub(super) fn is_of_few(&self) -> bool {
        const FEW: u64 = 8;
        self.drawn.1 < FEW
    }
}

/// Of all stretches that are timed, in the order of their vantages; and how many have none for want of room.
pub(super) fn strips<'a>(captured: &Captured<'a>) -> (Vec<Strip<'a>>, usize) {
    let journeys = captured.journeys;
    let timed = journeys.report.stretches.iter().filter(|((from, to), stretch)| {
        from != to && stretch.is_timed && captured.sequence.samples.contains_key(&(*from, *to))
    });
    let mut timed: Vec<_> = timed.collect();
    timed.sort_by_key(|(ends, stretch)| (std::cmp::Reverse(stretch.latency.count()), **ends));
    let left_out = timed.len().saturating_sub(STRIPS_MAX);
    timed.truncate(STRIPS_MAX);
    timed.sort_by_key(|(ends, _)| **ends);
    let strips = timed.into_iter().filter_map(|(ends, stretch)| strip(captured, *ends, stretch));
    (strips.collect(), left_out)
}

/// Where a scale begins, in nanoseconds, whose least value this is.
fn low_end(least_ns: u64) -> u64 {
    (least_ns.saturating_mul(4) / 5).max(100)
}

fn strip<'a>(captured: &Captured<'a>, (from, to): (u16, u16), stretch: &'a Stretch) -> Option<Strip<'a>> {
    let journeys: &'a Journeys<'a> = captured.journeys;
    let samples = captured.sequence.samples.get(&(from, to))?;
    let ahead = ahead_ns(journeys, to).saturating_sub(ahead_ns(journeys, from));
    let point = |(time, took): (i64, i64)| {
        (
            time.saturating_sub(ahead_ns(journeys, from)),
            u64::try_from(took.saturating_sub(ahead)).unwrap_or(0),
        )
    };
    let points: Vec<(i64, u64)> = samples.drawn().into_iter().map(point).collect();
    let times = (points.iter().map(|point| point.0).min()?, points.iter().map(|point| point.0).max()?);
    // Three times as much as the least is a scale on which small differences look small.
    let low = low_end(points.iter().map(|point| point.1).min()?.min(stretch.latency.percentile(50)));
    let high =
        points.iter().map(|point| point.1).max()?.max(stretch.latency.max()).max(low.saturating_mul(3));
    let source = |vantage: u16| journeys.report.vantages.get(usize::from(vantage)).map(|seen| seen.source);
    let drifts = journeys.report.drifts && source(from) != source(to);
    let place = |ns: u64| height(ns, low, high);
    let mut dots = String::new();
    if !drifts {
        let lines = [("half", stretch.latency.percentile(50)), ("most", stretch.latency.percentile(99))];
        for (class, ns) in lines {
            let _ = write!(dots, "<path class=\"{class}\" d=\"M0 {}H{}\"/>", place(ns), FIELD.0);
        }
        dots.push_str("<path class=\"sample\" d=\"");
        for (time, ns) in &points {
            let _ = write!(dots, "M{} {}h0", across(*time, times), place(*ns));
        }
        dots.push_str("\"/>");
        let stands_out = |point: &&(i64, u64)| point.1 > stretch.latency.percentile(99);
        if let Some((time, ns)) = points.iter().max_by_key(|point| point.1).filter(stands_out) {
            let _ =
                write!(dots, "<path class=\"longest\" d=\"M{} {}h0\"/>", across(*time, times), place(*ns));
        }
    }
    Some(Strip {
        from: journeys.name(from),
        to: journeys.name(to),
        stretch,
        dots,
        scale: (low, high),
        times,
        drawn: (points.len(), samples.count()),
    })
}

/// From the left, in the field's units.
fn across(time: i64, (first, last): (i64, i64)) -> u64 {
    let room = u128::from(FIELD.0 - 2 * EDGE);
    let span = u128::from(last.abs_diff(first)).max(1);
    EDGE + u64::try_from(u128::from(time.abs_diff(first)) * room / span).unwrap_or(0)
}

/// From the top: thousandths of powers of two between the scale's ends.
fn height(ns: u64, low: u64, high: u64) -> u64 {
    let (at, low, high) = (log2_milli(ns.clamp(low, high)), log2_milli(low), log2_milli(high));
    let room = FIELD.1 - 2 * EDGE;
    EDGE + room - (at - low) * room / (high - low).max(1)
}

/// A thousand times the logarithm to base 2, of numbers above 0; between powers of two a straight line.
fn log2_milli(ns: u64) -> u64 {
    let ns = ns.max(1);
    let power = ns.ilog2();
    let rest = (u128::from(ns - (1 << power)) * 1_000) >> power;
    u64::from(power) * 1_000 + u64::try_from(rest).unwrap_or(0)
}

/// `median 4.1us, 99 of 100 within 12.0us, longest 1.2ms; 4000 packets`; of few packets, 99 of 100 are all.
pub(super) fn words(stretch: &Stretch) -> String {
    let latency = &stretch.latency;
    let time = |ns: u64| time_text(i64::try_from(ns).unwrap_or(i64::MAX));
    let count = told::packets(latency.count());
    let (half, longest) = (time(latency.percentile(50)), time(latency.max()));
    match latency.count() {
        0..=1 => format!("{longest}; {count}"),
        2..=99 => format!("median {half}, longest {longest}; {count}"),
        _ => {
            let most = time(latency.percentile(99));
            format!("median {half}, 99 of 100 within {most}, longest {longest}; {count}")
        }
    }
}

/// `4.1us`.
pub(super) fn time_text(ns: i64) -> String {
    took(ns).trim_start_matches('+').to_owned()
}

/// A strip's field, stretched to its place; dots stay round.
pub(super) fn field(strip: &Strip<'_>, place: &str) -> String {
    let (width, height) = FIELD;
    format!(
        "<svg {place} viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\"><rect class=\"field\" \
         width=\"{width}\" height=\"{height}\"/>{}</svg>",
        strip.dots
    )
}

/// Strips beneath a picture that stands alone: of few packets, the arrows tell all. Returns their bottom.
pub(super) fn beneath(out: &mut String, captured: &Captured<'_>, width: usize, top: usize) -> usize {
    let mut bottom = top;
    for strip in strips(captured).0.iter().filter(|strip| !strip.is_of_few()) {
        let name = format!(
            "{} to {}: {}",
            cut(&clean(strip.from), 40),
            cut(&clean(strip.to), 40),
            words(strip.stretch)
        );
        let _ = writeln!(
            out,
            "<text class=\"tell\" x=\"{LEFT}\" y=\"{}\">{}</text>",
            bottom + 20,
            Escaped(&cut(&name, (width - LEFT - RIGHT) * 10 / 75))
        );
        if strip.dots.is_empty() {
            bottom += 26;
            continue;
        }
        let (low, high) = strip.scale;
        let labels = [(bottom + 36, high), (bottom + 80, low)];
        for (y, ns) in labels {
            let text = time_text(i64::try_from(ns).unwrap_or(i64::MAX));
            let _ = write!(out, "<text class=\"scale\" x=\"{}\" y=\"{y}\">{text}</text>", LEFT + 56);
        }
        let place = format!(
            "x=\"{}\" y=\"{}\" width=\"{}\" height=\"56\"",
            LEFT + 62,
            bottom + 28,
            width - LEFT - RIGHT - 62
        );
        out.push_str(&field(strip, &place));
        out.push('\n');
        bottom += HIGH;
    }
    bottom
}

/// When the strip begins and ends.
pub(super) fn span(strip: &Strip<'_>) -> (String, String) {
    (micros(strip.times.0), micros(strip.times.1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_are_by_factors() {
        assert_eq!([1, 2, 3, 4, 1024].map(log2_milli), [0, 1_000, 1_500, 2_000, 10_000]);
        assert_eq!(log2_milli(u64::MAX), 63_999);
        assert_eq!(height(100, 100, 1_600), FIELD.1 - EDGE);
        assert_eq!(height(400, 100, 1_600), FIELD.1 / 2);
        assert_eq!([1_600, u64::MAX].map(|ns| height(ns, 100, 1_600)), [EDGE, EDGE]);
        assert_eq!(height(0, 7, 7), FIELD.1 - EDGE);
    }

    #[test]
    fn a_scale_begins_below_the_least() {
        assert_eq!([0, 1_000, 1 << 62].map(low_end), [100, 800, u64::MAX / 5]);
    }

    #[test]
    fn times_are_spread_over_the_field() {
        assert_eq!([5, 10, 15].map(|time| across(time, (5, 15))), [EDGE, 500, FIELD.0 - EDGE]);
        assert_eq!(across(7, (7, 7)), EDGE);
        assert_eq!(across(i64::MAX, (i64::MIN, i64::MAX)), FIELD.0 - EDGE);
    }
}
