//! Strips of dots: how long a stretch took, packet by packet, over time. Heights are logarithmic, since times on one
//! stretch differ by factors and not by sums. A packet that was lost is no dot but a broken line from top to bottom.
//! Those of a capture and those of a diagnosis' questions look alike.

use std::fmt::Write as _;

use correlate::Spread;

use crate::arrows::{self, LEFT, RIGHT};
use crate::clean::clean;
use crate::escape::Escaped;
use crate::journeys::{micros, packets};
use crate::picture::text::cut;

/// How it looks, beside what all pictures have in common.
pub(crate) const STYLE: &str = include_str!("strip/style.css");

/// Strips of one picture; of more stretches, some have none.
pub(crate) const STRIPS_MAX: usize = 24;
/// What is said where two clocks have stamped a packet and nobody knows how far they are apart.
pub(crate) const APART: &str = "not timed: the clocks are not known to agree";
/// The field that dots are placed in, before it is stretched to its place; and what stays free at its edges.
const FIELD: (u64, u64) = (1_000, 56);
const EDGE: u64 = 6;
/// Of fewer packets, dots are larger, since none hides another.
const FEW: usize = 60;
/// Pixels of the words above a strip, and of what is free beneath it, where it stands in a picture.
const WORDS: usize = 28;
const GAP: usize = 8;

/// How long a stretch took, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Took {
    /// Packets that were measured.
    pub(crate) count: u64,
    /// Half of them took no longer.
    pub(crate) half: u64,
    /// 99 of 100 took no longer.
    pub(crate) most: u64,
    pub(crate) longest: u64,
    /// How far each may be off, since clocks are known no better.
    pub(crate) doubt: i64,
}

/// A stretch and its packets.
#[derive(Debug)]
pub(crate) struct Strip {
    /// When each was seen at its beginning, and how long it took; none where no single time is known well enough.
    pub(crate) points: Vec<(i64, u64)>,
    /// When those that were lost on it were seen last.
    pub(crate) lost: Vec<i64>,
    /// Lines across, each with its class, at so many nanoseconds.
    pub(crate) lines: Vec<(&'static str, u64)>,
    /// One packet stands out from all others.
    pub(crate) has_longest: bool,
    /// At the field's lower and upper edge, in nanoseconds.
    pub(crate) scale: (u64, u64),
    /// At its left and right edge.
    pub(crate) times: (i64, i64),
}

impl Took {
    pub(crate) fn of(latency: &Spread) -> Took {
        let (count, longest) = (latency.count(), latency.max());
        Took { count, half: latency.percentile(50), most: latency.percentile(99), longest, doubt: 0 }
    }

    /// `median 4.1us, 99 of 100 within 12.0us, longest 1.2ms; 4000 packets`; of few packets, 99 of 100 are all, and two
    /// have no middle.
    pub(crate) fn words(&self) -> String {
        let count = packets(self.count);
        let time = |ns: u64| about(ns, self.doubt);
        let (half, longest) = (time(self.half), time(self.longest));
        match self.count {
            0..=1 => format!("{longest}; {count}"),
            2 => format!("{half} and {longest}; {count}"),
            3..=99 => format!("median {half}, longest {longest}; {count}"),
            _ => {
                let most = time(self.most);
                format!("median {half}, 99 of 100 within {most}, longest {longest}; {count}")
            }
        }
    }
}

/// `4.1us`.
pub(crate) fn time_text(ns: u64) -> String {
    about(ns, 0)
}

/// The same with `~` before it where clocks are not known to agree within a twentieth of it.
fn about(ns: u64, doubt: i64) -> String {
    arrows::about(i64::try_from(ns).unwrap_or(i64::MAX), doubt).replacen('+', "", 1)
}

/// From a little below the least to the longest. Three times as much as the least is a scale on which small
/// differences look small.
pub(crate) fn scale(least_ns: u64, longest_ns: u64) -> (u64, u64) {
    let low = (least_ns.saturating_mul(4) / 5).max(100);
    (low, longest_ns.max(low.saturating_mul(3)))
}

impl Strip {
    /// A strip's field, stretched to its place; dots stay round.
    fn field(&self, place: &str) -> String {
        let (width, height) = FIELD;
        format!(
            "<svg {place} viewBox=\"0 0 {width} {height}\" preserveAspectRatio=\"none\"><rect class=\"field\" \
             width=\"{width}\" height=\"{height}\"/>{}</svg>",
            self.dots()
        )
    }

    fn dots(&self) -> String {
        let (low, high) = self.scale;
        let place = |ns: u64| height(ns, low, high);
        let mut dots = String::new();
        for (class, ns) in &self.lines {
            let _ = write!(dots, "<path class=\"{class}\" d=\"M0 {}H{}\"/>", place(*ns), FIELD.0);
        }
        if !self.lost.is_empty() {
            dots.push_str("<path class=\"never\" d=\"");
            for time in &self.lost {
                let _ = write!(dots, "M{} 0V{}", across(*time, self.times), FIELD.1);
            }
            dots.push_str("\"/>");
        }
        let few = if self.points.len() < FEW { " few" } else { "" };
        let _ = write!(dots, "<path class=\"sample{few}\" d=\"");
        for (time, ns) in &self.points {
            let _ = write!(dots, "M{} {}h0", across(*time, self.times), place(*ns));
        }
        dots.push_str("\"/>");
        if let Some((time, ns)) = self.points.iter().max_by_key(|point| point.1).filter(|_| self.has_longest)
        {
            let (x, y) = (across(*time, self.times), place(*ns));
            let _ = write!(dots, "<path class=\"longest\" d=\"M{x} {y}h0\"/>");
        }
        dots
    }

    /// The strip within a page, beside its scale; the words say what it shows to whoever does not see it.
    pub(crate) fn inline(&self, out: &mut String, words: &str) {
        let _ = writeln!(
            out,
            "<figure class=\"strip\"><p class=\"scale\"><span>{}</span><span>{}</span></p>{}</figure>",
            time_text(self.scale.1),
            time_text(self.scale.0),
            self.field(&format!("role=\"img\" aria-label=\"times as dots: {}\"", Escaped(words))),
        );
    }

    /// When it begins and ends, and between them what it shows.
    pub(crate) fn span(&self, out: &mut String, legend: &str) {
        let (begin, end) = (micros(self.times.0), micros(self.times.1));
        let _ = writeln!(
            out,
            "<p class=\"span\"><span>{begin}</span><span>{legend}</span><span>{end}</span></p>"
        );
    }

    /// The strip beneath a picture that stands alone, so many pixels high, with what it is and tells above it. Returns
    /// its bottom.
    pub(crate) fn beneath(
        &self,
        out: &mut String,
        name: &str,
        width: usize,
        (top, high): (usize, usize),
    ) -> usize {
        let bottom = told(out, name, width, top);
        if self.points.is_empty() {
            return bottom;
        }
        let field = top + WORDS;
        for (y, ns) in [(field + 8, self.scale.1), (field + high - 4, self.scale.0)] {
            let (x, text) = (LEFT + 56, time_text(ns));
            let _ = write!(out, "<text class=\"scale\" x=\"{x}\" y=\"{y}\">{text}</text>");
        }
        let (x, wide) = (LEFT + 62, width - LEFT - RIGHT - 62);
        out.push_str(&self.field(&format!("x=\"{x}\" y=\"{field}\" width=\"{wide}\" height=\"{high}\"")));
        out.push('\n');
        field + high + GAP
    }
}

/// A strip's words in one line, and where what is beneath it begins.
fn told(out: &mut String, name: &str, width: usize, top: usize) -> usize {
    let (y, text) = (top + 20, cut(&clean(name), (width - LEFT - RIGHT) * 10 / 75));
    let _ = writeln!(out, "<text class=\"tell\" x=\"{LEFT}\" y=\"{y}\">{}</text>", Escaped(&text));
    top + WORDS - 2
}

/// From the left, in the field's units.
fn across(time: i64, (first, last): (i64, i64)) -> u64 {
    let room = u128::from(FIELD.0 - 2 * EDGE);
    let span = u128::from(last.abs_diff(first)).max(1);
    let at = u128::from(time.clamp(first, last.max(first)).abs_diff(first));
    EDGE + u64::try_from(at * room / span).unwrap_or(0)
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
        assert_eq!([0, 1_000, 1 << 62].map(|least| scale(least, 0).0), [100, 800, u64::MAX / 5]);
        assert_eq!(
            [(1_000, 2_000), (1_000, 9_000)].map(|(least, most)| scale(least, most).1),
            [2_400, 9_000]
        );
    }

    #[test]
    fn times_are_spread_over_the_field() {
        assert_eq!([5, 10, 15].map(|time| across(time, (5, 15))), [EDGE, 500, FIELD.0 - EDGE]);
        assert_eq!(across(7, (7, 7)), EDGE);
        assert_eq!(across(i64::MAX, (i64::MIN, i64::MAX)), FIELD.0 - EDGE);
        assert_eq!([-9, 99].map(|time| across(time, (5, 15))), [EDGE, FIELD.0 - EDGE], "never outside of it");
    }

    #[test]
    fn words_say_how_well_clocks_are_known() {
        let took = |count, doubt| Took { count, half: 30_000, most: 40_000, longest: 900_000, doubt };
        assert_eq!(took(1, 0).words(), "900.0us; 1 packet");
        assert_eq!(took(2, 5_000).words(), "~30.0us and 900.0us; 2 packets");
        assert_eq!(took(3, 0).words(), "median 30.0us, longest 900.0us; 3 packets");
        let many = "median 30.0us, 99 of 100 within 40.0us, longest 900.0us; 100 packets";
        assert_eq!(took(100, 0).words(), many);
    }

    #[test]
    fn a_lost_packet_is_another_shape_than_a_dot() {
        let strip = Strip {
            points: vec![(5, 400)],
            lost: vec![15],
            lines: Vec::new(),
            has_longest: false,
            scale: (100, 1_600),
            times: (5, 15),
        };
        let dots = "<path class=\"never\" d=\"M994 0V56\"/><path class=\"sample few\" d=\"M6 28h0\"/>";
        assert_eq!(strip.dots(), dots);
    }
}
