//! Strips of a capture's stretches: how long each took, packet by packet, over the time of the capture.

use correlate::Stretch;

use super::super::Journeys;
use super::Captured;
use super::choose::ahead_ns;
use crate::clean::clean;
use crate::picture::text::cut;
use crate::strip::{self, STRIPS_MAX, Took};

/// Pixels of a field in a picture that stands alone.
const HIGH: usize = 56;

/// A stretch whose time is known, and its dots.
pub(super) struct Timed<'a> {
    pub(super) from: &'a str,
    pub(super) to: &'a str,
    pub(super) took: Took,
    pub(super) strip: strip::Strip,
    /// Packets that the dots stand for.
    pub(super) count: u64,
}

impl Timed<'_> {
    /// Too few packets for a picture: what it would show is said in its words.
    pub(super) fn is_of_few(&self) -> bool {
        const FEW: u64 = 8;
        self.count < FEW
    }
}

/// Of all stretches that are timed, in the order of their vantages; and how many have none for want of room.
pub(super) fn strips<'a>(captured: &Captured<'a>) -> (Vec<Timed<'a>>, usize) {
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

fn strip<'a>(captured: &Captured<'a>, (from, to): (u16, u16), stretch: &'a Stretch) -> Option<Timed<'a>> {
    let journeys: &'a Journeys<'a> = captured.journeys;
    let samples = captured.sequence.samples.get(&(from, to))?;
    let ahead = ahead_ns(journeys, to).saturating_sub(ahead_ns(journeys, from));
    let point = |(time, took): (i64, i64)| {
        (
            time.saturating_sub(ahead_ns(journeys, from)),
            u64::try_from(took.saturating_sub(ahead)).unwrap_or(0),
        )
    };
    let mut points: Vec<(i64, u64)> = samples.drawn().into_iter().map(point).collect();
    let times = (points.iter().map(|point| point.0).min()?, points.iter().map(|point| point.0).max()?);
    let took = Took::of(&stretch.latency);
    let (least, longest) =
        (points.iter().map(|point| point.1).min()?, points.iter().map(|point| point.1).max()?);
    let source = |vantage: u16| journeys.report.vantages.get(usize::from(vantage)).map(|seen| seen.source);
    if journeys.report.drifts && source(from) != source(to) {
        points.clear();
    }
    let strip = strip::Strip {
        points,
        lost: Vec::new(),
        lines: vec![("half", took.half), ("most", took.most)],
        has_longest: longest > took.most,
        scale: strip::scale(least.min(took.half), longest.max(took.longest)),
        times,
    };
    Some(Timed { from: journeys.name(from), to: journeys.name(to), took, strip, count: samples.count() })
}

/// Strips beneath a picture that stands alone: of few packets, the arrows tell all. Returns their bottom.
pub(super) fn beneath(out: &mut String, captured: &Captured<'_>, width: usize, top: usize) -> usize {
    let strips = strips(captured).0.into_iter().filter(|timed| !timed.is_of_few());
    strips.fold(top, |top, Timed { from, to, took, strip, .. }| {
        let name = format!("{} to {}: {}", cut(&clean(from), 40), cut(&clean(to), 40), took.words());
        strip.beneath(out, &name, width, (top, HIGH))
    })
}
