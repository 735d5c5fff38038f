//! Which journeys are drawn, and what is said of the others.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use correlate::{Example, Journey, Lost, Stop};

use super::super::Journeys;
use super::super::packet::line;
use super::keep::{DRAWN_MAX, Key, Sequence};

/// Of a long capture, how many of the lost and of the slowest are drawn; the first ones fill up.
const LOST_MAX: usize = 60;
const SLOW_MAX: usize = 30;
/// Stops of one journey; a packet that loops has hundreds, and they all look alike.
const STOPS_MAX: usize = 24;

/// A journey to be drawn.
#[derive(Debug, Clone)]
pub(super) struct Drawn {
    /// In the order of its way.
    pub(super) stops: Vec<Stop>,
    /// Stops that are left out before the last one.
    pub(super) skipped: usize,
    pub(super) protocol: u8,
    /// What it is, with its first addresses.
    pub(super) packet: String,
    /// Where it was lost on its way to.
    pub(super) expected_at: Option<u16>,
    /// Only its last stop is known.
    pub(super) is_end_only: bool,
    /// When it was first seen, by the reference's clock, in nanoseconds.
    pub(super) time_ns: i64,
}

/// What is drawn of a capture.
#[derive(Debug)]
pub(super) struct Choice {
    /// By time.
    pub(super) drawn: Vec<Drawn>,
    /// What was left out, in a sentence; none where nothing was.
    pub(super) left_out: Option<String>,
}

pub(super) fn choose(journeys: &Journeys<'_>, sequence: &Sequence) -> Choice {
    let lost: BTreeMap<Key, &Lost> =
        journeys.report.findings.lost.iter().map(|lost| (frame_of(&lost.packet.stop), lost)).collect();
    let by_end: BTreeMap<Key, &Journey> =
        sequence.kept().filter_map(|journey| Some((frame_of(journey.stops.last()?), journey))).collect();
    let drawn_of = |journey: &Journey| {
        let end = journey.stops.last().map(frame_of);
        let expected_at = end.and_then(|end| lost.get(&end)).map(|lost| lost.expected_at);
        drawn(journeys, journey, expected_at)
    };
    let mut taken = BTreeSet::new();
    let mut chosen = Vec::new();
    let is_all = sequence.seen <= DRAWN_MAX as u64;
    let (mut lost_drawn, mut slow_drawn) = (0, 0);
    if !is_all {
        for lost in of_each_stretch(&journeys.report.findings.lost).take(LOST_MAX) {
            lost_drawn += 1;
            chosen.extend(match by_end.get(&frame_of(&lost.packet.stop)) {
                Some(journey) => {
                    taken.extend(journey.stops.first().map(frame_of));
                    drawn_of(journey)
                }
                None => Some(end_only(journeys, lost)),
            });
        }
        let slow = slowest(journeys, sequence);
        let slow = slow.into_iter().filter(|key| taken.insert(*key)).take(SLOW_MAX);
        let slow: Vec<Drawn> = slow.filter_map(|key| drawn_of(sequence.get(key)?)).collect();
        slow_drawn = slow.len();
        chosen.extend(slow);
    }
    let firsts = sequence.firsts().filter(|key| !taken.contains(key));
    let firsts: Vec<Drawn> = firsts.filter_map(|key| drawn_of(sequence.get(key)?)).collect();
    let room = DRAWN_MAX.saturating_sub(chosen.len());
    let first_drawn = firsts.len().min(room);
    chosen.extend(in_time(firsts).into_iter().take(room));
    let left_out = (!is_all).then(|| {
        format!(
            "{} of {} journeys are drawn: {lost_drawn} of {} that were lost, the {slow_drawn} slowest, and \
             {first_drawn} of the first. All are summed below, by who sends what to whom.",
            chosen.len(),
            sequence.seen,
            journeys.report.findings.lost_count,
        )
    });
    Choice { drawn: in_time(chosen), left_out }
}

fn in_time(mut drawn: Vec<Drawn>) -> Vec<Drawn> {
    drawn.sort_by_key(|drawn| (drawn.time_ns, drawn.stops.first().map(frame_of)));
    drawn
}

fn frame_of(stop: &Stop) -> Key {
    (stop.vantage, stop.frame)
}

/// The first of each stretch that loses packets, then the second of each, and so on.
fn of_each_stretch(lost: &[Lost]) -> impl Iterator<Item = &Lost> {
    let mut ranks: BTreeMap<(u16, u16), usize> = BTreeMap::new();
    let mut ranked: Vec<(usize, &Lost)> = Vec::with_capacity(lost.len());
    for one in lost {
        let rank = ranks.entry((one.packet.stop.vantage, one.expected_at)).or_default();
        ranked.push((*rank, one));
        *rank += 1;
    }
    ranked.sort_by_key(|(rank, _)| *rank);
    ranked.into_iter().map(|(_, lost)| lost)
}

/// Of all stretches whose clocks are known, by how long they took.
fn slowest(journeys: &Journeys<'_>, sequence: &Sequence) -> Vec<Key> {
    let mut slow: Vec<(i64, Key)> = Vec::new();
    for ((from, to), of_stretch) in sequence.slowest() {
        if journeys.report.stretches.get(&(from, to)).is_some_and(|stretch| stretch.is_timed) {
            let ahead = ahead_ns(journeys, to).saturating_sub(ahead_ns(journeys, from));
            slow.extend(of_stretch.iter().map(|(took, key)| (took.saturating_sub(ahead), *key)));
        }
    }
    slow.sort_by_key(|(took, key)| (Reverse(*took), *key));
    slow.into_iter().map(|(_, key)| key).collect()
}

/// How far a vantage's clock is ahead of the reference's, by the best guess; 0 where nothing is known of it.
pub(super) fn ahead_ns(journeys: &Journeys<'_>, vantage: u16) -> i64 {
    let offset = journeys.report.vantages.get(usize::from(vantage)).and_then(|vantage| vantage.offset);
    offset.map_or(0, |offset| offset.low.midpoint(offset.high))
}

/// A stop's stamp by the reference's clock.
pub(super) fn common_ns(journeys: &Journeys<'_>, stop: &Stop) -> i64 {
    stop.time_ns.saturating_sub(ahead_ns(journeys, stop.vantage))
}

fn drawn(journeys: &Journeys<'_>, journey: &Journey, expected_at: Option<u16>) -> Option<Drawn> {
    let (first, last) = (journey.stops.first()?, journey.stops.last()?);
    let skipped = journey.stops.len().saturating_sub(STOPS_MAX);
    let mut stops = journey.stops.clone();
    if skipped > 0 {
        stops.truncate(STOPS_MAX - 1);
        stops.push(*last);
    }
    Some(Drawn {
        stops,
        skipped,
        protocol: journey.protocol,
        packet: line(&Example::of(journey, first)),
        expected_at,
        is_end_only: false,
        time_ns: common_ns(journeys, first),
    })
}

/// A loss of which the way before was not kept.
fn end_only(journeys: &Journeys<'_>, lost: &Lost) -> Drawn {
    Drawn {
        stops: vec![lost.packet.stop],
        skipped: 0,
        protocol: lost.packet.protocol,
        packet: line(&lost.packet),
        expected_at: Some(lost.expected_at),
        is_end_only: true,
        time_ns: common_ns(journeys, &lost.packet.stop),
    }
}
