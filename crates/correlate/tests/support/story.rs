//! Sightings made up for a test, and what is told of them.

#![allow(dead_code, reason = "each test program uses its own part")]

use correlate::{Correlator, Findings, Journey, Merge, Nat, Options, Report, Stretch, Vantage};
use model::sighting::{Address, Kind, Sighting};

/// Who asks and who answers, and what the asker is called outside.
pub(crate) const INSIDE: Address = Address::v4([10, 0, 2, 24]);
pub(crate) const OUTSIDE: Address = Address::v4([203, 0, 113, 30]);
pub(crate) const SERVER: Address = Address::v4([198, 51, 100, 7]);

/// Every stretch takes a packet this long, in microseconds.
pub(crate) const STRETCH_US: i64 = 100;
const ICMP: u8 = 1;
const START_US: i64 = 1_700_000_000_000_000;

/// The echo request of that number.
pub(crate) fn request(number: u32) -> Sighting {
    let exchange = u64::from(number) + 1;
    Sighting {
        source: INSIDE,
        destination: SERVER,
        identity: mixed(exchange << 1),
        ask: mixed(exchange << 20),
        answer: 0,
        time_ns: 0,
        sender: 0x0200_0000_0001,
        detail: number,
        quoted: 0,
        frame: 0,
        vantage: 0,
        source_port: 0,
        destination_port: 0,
        ip_id: 0,
        length: 84,
        ttl: 64,
        tos: 0,
        protocol: ICMP,
        kind: Kind::EchoRequest,
    }
}

/// Its reply.
pub(crate) fn reply(number: u32) -> Sighting {
    let asked = request(number);
    Sighting {
        source: SERVER,
        destination: INSIDE,
        identity: mixed(((u64::from(number) + 1) << 1) | 1),
        ask: 0,
        answer: asked.ask,
        sender: 0x0200_0000_0002,
        kind: Kind::EchoReply,
        ..asked
    }
}

/// The segment of that number of one flow, which nobody acknowledges.
pub(crate) fn segment(number: u32) -> Sighting {
    let (kind, protocol) = (Kind::Tcp, 6);
    Sighting { kind, protocol, ask: 0, source_port: 40_000, destination_port: 80, ..request(number) }
}

/// Hashes are spread over all 64 bits.
fn mixed(word: u64) -> u64 {
    word.wrapping_mul(0x9e37_79b9_7f4a_7c15)
}

/// What each source has seen, in any order.
#[derive(Clone)]
pub(crate) struct Story {
    sources: Vec<Vec<Sighting>>,
    pub(crate) is_mixed: Vec<bool>,
    pub(crate) options: Options,
    /// Given, not learned.
    pub(crate) nat: Vec<Nat>,
    /// Known, not inferred: packets for the address come from the one source to the other.
    pub(crate) order: Vec<(usize, Address, usize)>,
}

impl Story {
    pub(crate) fn new(sources: usize) -> Story {
        let options = Options::default();
        let is_mixed = vec![false; sources];
        Story { sources: vec![Vec::new(); sources], is_mixed, options, nat: Vec::new(), order: Vec::new() }
    }

    /// Three vantages, each behind a router, and exchanges over all of them.
    pub(crate) fn quiet(exchanges: u32) -> Story {
        let mut story = Story::new(3);
        story.exchanges(0..exchanges, &[0, 1, 2]);
        story
    }

    /// A packet is seen by a source, that many microseconds after the start by this source's clock.
    pub(crate) fn see(&mut self, source: usize, time_us: i64, packet: Sighting) {
        self.sources[source].push(Sighting { time_ns: (START_US + time_us) * 1_000, ..packet });
    }

    /// A packet passes sources, each behind a router.
    pub(crate) fn pass(&mut self, time_us: i64, way: &[usize], packet: Sighting) {
        for (hops, source) in (0_u8..).zip(way) {
            let time_us = time_us + i64::from(hops) * STRETCH_US;
            self.see(*source, time_us, Sighting { ttl: packet.ttl - hops, ..packet });
        }
    }

    /// Requests of these numbers and their replies, a millisecond apart, there by this way and back by it.
    pub(crate) fn exchanges(&mut self, numbers: std::ops::Range<u32>, way: &[usize]) {
        let back: Vec<usize> = way.iter().rev().copied().collect();
        for number in numbers {
            let time_us = i64::from(number) * 1_000;
            self.pass(time_us, way, request(number));
            self.pass(time_us + 500, &back, reply(number));
        }
    }

    /// A source has not seen what this does not keep; times are in microseconds after the start.
    pub(crate) fn keep(&mut self, source: usize, keeps: impl Fn(&Sighting, i64) -> bool) {
        self.sources[source].retain(|seen| keeps(seen, seen.time_ns / 1_000 - START_US));
    }

    /// Clocks do not agree: what is added to a source's stamps, by the time in microseconds after the start.
    pub(crate) fn shift(&mut self, source: usize, by_us: impl Fn(i64) -> i64) {
        for seen in &mut self.sources[source] {
            seen.time_ns += by_us(seen.time_ns / 1_000 - START_US) * 1_000;
        }
    }

    /// What is told, where every source sees in the order of its clock.
    pub(crate) fn tell(mut self) -> Told {
        for source in &mut self.sources {
            source.sort_by_key(|seen| seen.time_ns);
        }
        self.tell_as_it_stands()
    }

    /// What is told, where sources see in the order in which the story was made up.
    pub(crate) fn tell_as_it_stands(self) -> Told {
        let count = self.sources.len();
        let mut merge = Merge::new(count);
        for (source, mut sightings) in self.sources.into_iter().enumerate() {
            for (frame, seen) in (1..).zip(&mut sightings) {
                seen.frame = frame;
            }
            for batch in sightings.chunks(2_048) {
                merge.give(source, batch.to_vec());
            }
            merge.give(source, Vec::new());
        }
        let mut correlator = Correlator::new(self.options, self.is_mixed);
        correlator.give_nat(self.nat);
        for (at, destination, next) in self.order {
            let [at, next] = [at, next].map(|source| merge.introduce(source, 0).unwrap());
            correlator.teach_order(at, destination, next);
        }
        correlator.look_ahead(&mut merge, count);
        let mut journeys = Vec::new();
        let mut each = |journey: &Journey, _: &[Vantage]| journeys.push(journey.clone());
        correlator.drain(&mut merge, &mut each);
        let report = correlator.finish(&merge, &mut each);
        Told { report, journeys }
    }
}

pub(crate) struct Told {
    pub(crate) report: Report,
    pub(crate) journeys: Vec<Journey>,
}

impl Told {
    pub(crate) fn findings(&self) -> &Findings {
        &self.report.findings
    }

    /// The source of a vantage, where each source is one vantage.
    pub(crate) fn source(&self, vantage: u16) -> usize {
        usize::from(self.report.vantages[usize::from(vantage)].source)
    }

    fn vantage(&self, source: usize) -> usize {
        let is_its = |vantage: u16| usize::from(vantage) == source;
        self.report.vantages.iter().position(|vantage| is_its(vantage.source)).unwrap()
    }

    /// Number of each lost packet, the source that saw it last, and the one that should have seen it.
    pub(crate) fn lost(&self) -> Vec<(u32, usize, usize)> {
        let lost = self.findings().lost.iter();
        lost.map(|lost| {
            let stop = lost.packet.stop;
            (lost.packet.detail, self.source(stop.vantage), self.source(lost.expected_at))
        })
        .collect()
    }

    /// By source, how many packets it has missed.
    pub(crate) fn missed(&self) -> Vec<u64> {
        let sources = 0..self.report.vantages.len();
        sources.map(|source| self.report.vantages[self.vantage(source)].missed).collect()
    }

    /// The stretch from one source to another.
    pub(crate) fn stretch(&self, from: usize, to: usize) -> &Stretch {
        let number = |source: usize| u16::try_from(self.vantage(source)).unwrap();
        &self.report.stretches[&(number(from), number(to))]
    }

    /// How far a source's clock is ahead of the first one's, at least and at most, in microseconds.
    pub(crate) fn ahead_us(&self, source: usize) -> Option<(i64, i64)> {
        let offset = |source: usize| self.report.vantages[self.vantage(source)].offset;
        let (mine, first) = (offset(source)?, offset(0)?);
        assert!(first.low == first.high || source == 0, "the first source is the one to compare with");
        Some(((mine.low - first.low) / 1_000, (mine.high - first.high) / 1_000))
    }

    /// Nothing is wrong, and nothing is worth a word.
    pub(crate) fn assert_silent(&self) {
        let Findings {
            lost,
            lost_count,
            undecided,
            duplicates,
            duplicate,
            repeats,
            repeated,
            looping,
            loops,
            reordered,
            overtakers,
            delayed,
            delays,
            answered_twice,
            second_answers,
            other_way,
            other_ways,
            request_missing,
        } = self.findings();
        assert_eq!((lost.len(), lost_count, undecided), (0, &0, &0), "{lost:?}");
        assert_eq!((duplicates, duplicate), (&0, &None));
        assert_eq!((repeats, repeated), (&0, &None));
        assert_eq!((looping, loops.as_slice()), (&0, [].as_slice()));
        assert_eq!((reordered, overtakers.as_slice()), (&0, [].as_slice()));
        assert_eq!((delayed, delays.as_slice()), (&0, [].as_slice()));
        assert_eq!((answered_twice, second_answers.as_slice()), (&0, [].as_slice()));
        assert_eq!((other_way, other_ways.as_slice()), (&0, [].as_slice()));
        assert!(request_missing.is_empty(), "{request_missing:?}");
        assert!(self.report.vantages.iter().all(|vantage| vantage.missed == 0), "{:?}", self.missed());
    }
}
