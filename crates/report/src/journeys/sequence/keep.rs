//! What is kept of journeys that pass by, in bounded memory.
//!
//! Which of them are lost is known only at the end, when no answer can turn up any more. So of those that end at one
//! vantage for one address the first are kept: a loss is a journey that ended where others for its address went on.

use std::collections::{BTreeMap, BTreeSet};

use correlate::Journey;
use model::sighting::Address;

use super::flows::Flows;
use super::samples::Samples;

/// Journeys that are drawn; of a shorter capture, all.
pub(super) const DRAWN_MAX: usize = 120;
/// Journeys kept by where and for whom they end.
const ENDING_MAX: usize = 60;
const ENDS_MAX: usize = 1_024;
/// Journeys kept of a stretch, those that took longest on it.
const SLOW_MAX: usize = 8;
/// Stretches that are looked at: more pairs of vantages are neighbours in no capture that one page tells of.
const STRETCHES_MAX: usize = 256;
/// Stops of all journeys that are kept besides the first; some eight megabytes.
const STOPS_MAX: usize = 100_000;

/// A journey by where it was seen first: vantage and frame.
pub(super) type Key = (u16, u32);

/// Journeys on their way to a picture.
#[derive(Debug, Default)]
pub struct Sequence {
    pub(super) seen: u64,
    pub(super) flows: Flows,
    pub(super) samples: BTreeMap<(u16, u16), Samples>,
    held: BTreeMap<Key, Held>,
    /// How many are kept by the vantage where they end and the address that they are for.
    ends: BTreeMap<(u16, Address), usize>,
    /// By stretch, how long they took by its clocks, and which they are; the slowest first.
    slow: BTreeMap<(u16, u16), Vec<(i64, Key)>>,
    firsts: BTreeSet<Key>,
    /// Of all that is held.
    stops: usize,
}

/// A journey, and how many reasons there are to keep it.
#[derive(Debug)]
struct Held {
    journey: Journey,
    reasons: usize,
}

impl Sequence {
    /// Nothing has passed by yet.
    pub fn new() -> Sequence {
        Sequence::default()
    }

    /// One journey that is over, its stops in the order of its way.
    pub fn see(&mut self, journey: &Journey) {
        let (Some(first), Some(last)) = (journey.stops.first(), journey.stops.last()) else { return };
        let key = (first.vantage, first.frame);
        self.seen += 1;
        self.flows.count(journey, last.vantage);
        let (as_slow, overtaken) = self.measure(journey, key);
        let is_first = self.firsts.len() < DRAWN_MAX;
        if is_first {
            self.firsts.insert(key);
        }
        let is_of_few = self.ends_here(last.vantage, last.destination);
        let reasons = as_slow + usize::from(is_first) + usize::from(is_of_few);
        if reasons > 0 && (is_first || self.stops + journey.stops.len() <= STOPS_MAX) {
            self.stops += journey.stops.len();
            self.held.insert(key, Held { journey: journey.clone(), reasons });
        }
        overtaken.into_iter().for_each(|key| self.let_go(key));
    }

    /// Whether it is one of the first that end at this vantage for this address.
    fn ends_here(&mut self, vantage: u16, destination: Address) -> bool {
        let has_room = self.ends.len() < ENDS_MAX;
        match self.ends.get_mut(&(vantage, destination)) {
            Some(count) => {
                *count += 1;
                *count <= ENDING_MAX
            }
            None => has_room && self.ends.insert((vantage, destination), 1).is_none(),
        }
    }

    /// Its times on each stretch: on how many it is one of the slowest so far, and which are not any more.
    fn measure(&mut self, journey: &Journey, key: Key) -> (usize, Vec<Key>) {
        let (mut is_slow_on, mut overtaken) = (0, Vec::new());
        for (before, after) in journey.stops.iter().zip(journey.stops.iter().skip(1)) {
            let ends = (before.vantage, after.vantage);
            let is_known = self.samples.contains_key(&ends);
            if before.vantage == after.vantage || (!is_known && self.samples.len() >= STRETCHES_MAX) {
                continue;
            }
            let took = after.time_ns.saturating_sub(before.time_ns);
            self.samples.entry(ends).or_default().add(before.time_ns, took);
            let slow = self.slow.entry(ends).or_default();
            let at = slow.partition_point(|(known, _)| *known >= took);
            if at < SLOW_MAX {
                slow.insert(at, (took, key));
                overtaken.extend(slow.get(SLOW_MAX..).unwrap_or_default().iter().map(|(_, key)| *key));
                slow.truncate(SLOW_MAX);
                is_slow_on += 1;
            }
        }
        (is_slow_on, overtaken)
    }

    fn let_go(&mut self, key: Key) {
        let Some(held) = self.held.get_mut(&key) else { return };
        held.reasons = held.reasons.saturating_sub(1);
        if held.reasons == 0 {
            self.stops = self.stops.saturating_sub(held.journey.stops.len());
            self.held.remove(&key);
        }
    }

    pub(super) fn kept(&self) -> impl Iterator<Item = &Journey> {
        self.held.values().map(|held| &held.journey)
    }

    pub(super) fn get(&self, key: Key) -> Option<&Journey> {
        self.held.get(&key).map(|held| &held.journey)
    }

    /// Those that were over first.
    pub(super) fn firsts(&self) -> impl Iterator<Item = Key> {
        self.firsts.iter().copied()
    }

    /// Stretches with their slowest journeys.
    pub(super) fn slowest(&self) -> impl Iterator<Item = ((u16, u16), &[(i64, Key)])> {
        self.slow.iter().map(|(ends, slow)| (*ends, slow.as_slice()))
    }
}
