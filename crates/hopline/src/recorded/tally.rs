//! Which packets of a question are counted at which vantages: those that each of them recorded, or would have.

use std::collections::{BTreeMap, BTreeSet};

use model::path::Direction;

use super::seen::{At, Packet};
use super::spots::Spot;
use crate::sightings::Half;

/// So long before the recording ends an answer may still be under way.
const UNDER_WAY_NS: i64 = 1_000_000_000;

/// When the vantages recorded, and when packets were seen.
#[derive(Clone, Copy)]
pub(crate) struct Times<'p> {
    pub(crate) spots: &'p [Spot],
    /// See [`super::seen::Seen::cut_ns`].
    pub(crate) cut_ns: &'p BTreeMap<u16, i64>,
}

/// A vantage on a question's way that would have kept its packets.
#[derive(Clone, Copy)]
pub(crate) struct Watcher<'p> {
    pub(crate) spot: &'p Spot,
    /// The last hop of its device, in the order of the way there and back, and in which direction that is.
    pub(crate) last: (usize, Direction),
}

/// The packets of a question that are counted: all that were sent while every watcher recorded, and that are over.
pub(crate) struct Tally<'p> {
    pub(crate) packets: &'p [Packet],
    pub(crate) asked: Vec<&'p Packet>,
    /// Questions, of which each may be several packets.
    pub(crate) keys: BTreeSet<u64>,
    /// Questions that were answered anywhere.
    pub(crate) answered: BTreeSet<u64>,
}

impl<'p> Tally<'p> {
    fn of(packets: &'p [Packet], asked: Vec<&'p Packet>) -> Tally<'p> {
        let answers = packets.iter().filter(|packet| packet.half == Half::Answer);
        let answered = answers.map(|packet| packet.key).collect();
        let keys = asked.iter().map(|packet| packet.key).collect();
        Tally { packets, asked, keys, answered }
    }

    /// An answer would have come before the recording ends.
    fn is_over(&self, packet: &Packet, time: i64, until: i64) -> bool {
        let is_answered = self.answered.contains(&packet.key);
        time <= until && (time <= until.saturating_sub(UNDER_WAY_NS) || is_answered)
    }

    /// Questions and answers that passed a vantage.
    pub(crate) fn at(&self, spot: &Spot) -> (u32, u32) {
        let passed = |packet: &&Packet| packet.sightings.iter().any(|at| spot.has(at));
        let keys = |packet: &Packet| packet.key;
        let requests: BTreeSet<u64> = self.asked.iter().copied().filter(passed).map(keys).collect();
        let answers = self.packets.iter().filter(|p| p.half == Half::Answer && self.keys.contains(&p.key));
        let replies: BTreeSet<u64> = answers.filter(passed).map(keys).collect();
        (super::judged::count(requests.len()), super::judged::count(replies.len()))
    }
}

impl<'p> Times<'p> {
    /// What those tell whose clock this is; `None` where that is nothing. Of a machine whose clock is not known beside
    /// it no silence counts: but of what it has seen it tells what came of it.
    pub(crate) fn by_clock(
        &self,
        clock: u16,
        all: &[Watcher<'p>],
        packets: &'p [Packet],
    ) -> Option<(Tally<'p>, Vec<Watcher<'p>>)> {
        let is_by = |watcher: &&Watcher| watcher.spot.clock == clock;
        let mut watchers: Vec<Watcher> = all.iter().filter(is_by).copied().collect();
        let mut tally = self.tally(clock, &watchers, packets)?;
        if tally.keys.is_empty() {
            // A capture of another time says nothing of these packets, and must not silence those that have them.
            let has = |spot: &Spot| packets.iter().flat_map(|p| &p.sightings).any(|at| spot.has(at));
            watchers.retain(|watcher| has(watcher.spot));
            tally = self.tally(clock, &watchers, packets)?;
        }
        let saw = |watcher: &Watcher, packet: &Packet| {
            let (from, last) = watcher.spot.span_ns;
            let until = self.cut_of(watcher.spot).map_or(last, |cut| cut.min(last));
            let mut here =
                packet.sightings.iter().filter(|at| watcher.spot.has(at)).map(|at| self.common(at));
            here.any(|time| time >= from && tally.is_over(packet, time, until))
        };
        let others = all.iter().filter(|watcher| !is_by(watcher));
        let others: Vec<Watcher> =
            others.filter(|watcher| tally.asked.iter().any(|packet| saw(watcher, packet))).copied().collect();
        let is_seen = |packet: &&Packet| others.iter().all(|watcher| saw(watcher, packet));
        let asked: Vec<&Packet> = tally.asked.iter().copied().filter(is_seen).collect();
        watchers.extend(&others);
        (!asked.is_empty()).then(|| (Tally::of(packets, asked), watchers))
    }

    fn tally(&self, clock: u16, watchers: &[Watcher], packets: &'p [Packet]) -> Option<Tally<'p>> {
        let from = watchers.iter().map(|watcher| watcher.spot.span_ns.0).max()?;
        let ends = watchers.iter().map(|watcher| watcher.spot.span_ns.1);
        let cuts = self.spots.iter().filter(|spot| spot.clock == clock);
        let until = ends.chain(cuts.filter_map(|spot| self.cut_of(spot))).min()?;
        let none = Tally::of(packets, Vec::new());
        let is_counted = |packet: &&Packet| {
            let time = self.by(clock, packet).map(|(time, _)| time).min();
            time.is_some_and(|time| time >= from && none.is_over(packet, time, until))
        };
        let questions = packets.iter().filter(|packet| packet.half == Half::Question);
        Some(Tally::of(packets, questions.filter(is_counted).collect()))
    }

    /// Behind it, answers to what was kept may be missing.
    fn cut_of(&self, spot: &Spot) -> Option<i64> {
        Some(self.cut_ns.get(&spot.source)?.saturating_sub(spot.ahead_ns))
    }

    /// Where a packet was seen whose times are known by this clock, with them.
    pub(crate) fn by<'a>(&'a self, clock: u16, packet: &'a Packet) -> impl Iterator<Item = (i64, &'a At)> {
        let seen = packet.sightings.iter();
        seen.filter(move |at| self.spot_of(at).is_some_and(|spot| spot.clock == clock))
            .map(|at| (self.common(at), at))
    }

    pub(crate) fn common(&self, at: &At) -> i64 {
        at.time_ns.saturating_sub(self.spot_of(at).map_or(0, |spot| spot.ahead_ns))
    }

    pub(crate) fn spot_of(&self, at: &At) -> Option<&Spot> {
        self.spots.iter().find(|spot| spot.has(at))
    }
}

impl Spot {
    pub(crate) fn has(&self, at: &At) -> bool {
        (self.source, self.local) == (at.vantage.source, at.vantage.local)
    }

    pub(crate) fn vantage(&self) -> ::correlate::Vantage {
        ::correlate::Vantage { source: self.source, local: self.local }
    }
}

#[cfg(test)]
mod tests {
    use ::correlate::Vantage;
    use model::sighting::Address;

    use super::super::octets::{A, B, echo, read};
    use super::super::seen::What;
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// A packet of this question, with the sources that saw it and when, in seconds.
    fn packet(half: Half, key: u64, seen: &[(u16, i64)]) -> Packet {
        let at = |(source, seconds): &(u16, i64)| At {
            vantage: Vantage { source: *source, local: 0 },
            frame: 1,
            time_ns: seconds * SECOND,
            source: Address::default(),
            destination: Address::default(),
            ports: (0, 0),
            ttl: 0,
            copies: 1,
        };
        let mut what = None;
        read(&[(0, echo((A, B), false, 1))], &mut |journey, _| what = Some(What::of(journey)));
        Packet { half, key, what: what.unwrap(), sightings: seen.iter().map(at).collect() }
    }

    /// What the first source's clock tells at each of the spots: questions and answers; by their sources.
    fn told(spots: &[Spot], cut: Option<i64>, packets: &[Packet]) -> Vec<(u16, (u32, u32))> {
        let cut_ns = cut.map(|seconds| (0, seconds * SECOND)).into_iter().collect();
        let times = Times { spots, cut_ns: &cut_ns };
        let all: Vec<Watcher> =
            spots.iter().map(|spot| Watcher { spot, last: (0, Direction::Request) }).collect();
        let Some((tally, watchers)) = times.by_clock(0, &all, packets) else { return Vec::new() };
        watchers.iter().map(|watcher| (watcher.spot.source, tally.at(watcher.spot))).collect()
    }

    fn spots(clocks: &[u16]) -> Vec<Spot> {
        let of = |(source, clock): (u16, &u16)| {
            let mut spot = Spot::sample(source, "a", (0, 100 * SECOND));
            spot.clock = *clock;
            spot
        };
        (0..).zip(clocks).map(of).collect()
    }

    #[test]
    fn a_silence_counts_by_a_known_clock_only() {
        let packets = [packet(Half::Question, 1, &[(0, 5)]), packet(Half::Question, 2, &[(0, 6)])];
        assert_eq!(told(&spots(&[0, 0]), None, &packets), [(0, (2, 0)), (1, (0, 0))]);
        assert_eq!(told(&spots(&[0, 1]), None, &packets), [(0, (2, 0))]);
        // What came to it tells all the same.
        let passed = [packet(Half::Question, 1, &[(0, 5), (1, 45)]), packet(Half::Question, 2, &[(0, 6)])];
        assert_eq!(told(&spots(&[0, 1]), None, &passed), [(0, (1, 0)), (1, (1, 0))]);
        // But for what came when its recording ends.
        let late = [packet(Half::Question, 1, &[(0, 5), (1, 100)])];
        assert_eq!(told(&spots(&[0, 1]), None, &late), [(0, (1, 0))]);
    }

    #[test]
    fn a_second_before_the_cut_is_not_counted() {
        let packets = [
            packet(Half::Question, 1, &[(0, 5)]),
            packet(Half::Question, 2, &[(0, 8)]),
            packet(Half::Answer, 2, &[(0, 8)]),
            packet(Half::Question, 3, &[(0, 9)]),
            packet(Half::Question, 4, &[(0, 10)]),
        ];
        assert_eq!(told(&spots(&[0]), None, &packets), [(0, (4, 1))]);
        assert_eq!(told(&spots(&[0]), Some(9), &packets), [(0, (2, 1))]);
    }
}
