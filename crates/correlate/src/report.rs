//! What was learned of all journeys: plain data, in an order that depends on the input alone.

use std::collections::BTreeMap;

use model::sighting::{Address, Kind};

use crate::clock::Interval;
use crate::journey::{Journey, Stop};
use crate::spread::Spread;

/// Everything that a run has to tell.
#[derive(Debug)]
pub struct Report {
    /// By number of the vantage.
    pub vantages: Vec<VantageReport>,
    /// Source whose clock the others are compared with.
    pub reference: usize,
    /// A clock drifts: no offset fits the whole of the capture.
    pub drifts: bool,
    /// Journeys.
    pub journeys: u64,
    /// What is wrong, or worth a word.
    pub findings: Findings,
    /// Stretches between two vantages, by their numbers: from, to.
    pub stretches: BTreeMap<(u16, u16), Stretch>,
    /// Addresses that are translated, with how often that was seen.
    pub nat: BTreeMap<Nat, u64>,
    /// Journeys were closed early, because too many were open: the shortest time that one had, in nanoseconds.
    pub window_shortened_ns: Option<i64>,
}

/// An address inside, and what it is outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Nat {
    /// Inside.
    pub inside: Address,
    /// Outside.
    pub outside: Address,
}

/// What was seen at a vantage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VantageReport {
    /// Index of its source.
    pub source: u16,
    /// What the source numbers it.
    pub local: u16,
    /// Sightings.
    pub packets: u64,
    /// Packets whose copies are the same packet at bridge and port.
    pub doubled: u64,
    /// How far its clock is ahead of the reference's, where that is bounded.
    pub offset: Option<Interval>,
    /// Packets that were seen before and after it and not here: its capture is incomplete.
    pub missed: u64,
}

/// Packets of one finding that are told one by one; more are counted.
pub const EXAMPLES_MAX: usize = 1_000;

/// Keeps an example, as long as there are few.
pub(crate) fn keep<T>(examples: &mut Vec<T>, example: T) {
    if examples.len() < EXAMPLES_MAX {
        examples.push(example);
    }
}

/// What is wrong, or worth a word.
#[derive(Debug, Default)]
pub struct Findings {
    /// Lost packets, in the order in which they were first seen; at most `Options::listed_max`.
    pub lost: Vec<Lost>,
    /// How many there are in all.
    pub lost_count: u64,
    /// Packets that end where too little is known to tell a loss from an end of the way.
    pub undecided: u64,
    /// Copies made on the way.
    pub duplicates: u64,
    /// The first of them.
    pub duplicate: Option<Example>,
    /// Packets seen once more where they were seen first, which their sender may have sent again, or else are copies
    /// made before.
    pub repeats: u64,
    /// The first of them.
    pub repeated: Option<Example>,
    /// Packets that came back to a vantage twice or more, with a lower TTL each time.
    pub looping: u64,
    /// The first of them, at most [`EXAMPLES_MAX`].
    pub loops: Vec<Example>,
    /// Packets that were overtaken by later ones of the same flow.
    pub reordered: u64,
    /// The first to overtake each of them, at most [`EXAMPLES_MAX`].
    pub overtakers: Vec<Example>,
    /// Packets that took ten times as long as most on a stretch, and a millisecond more.
    pub delayed: u64,
    /// Those that took longest, the slowest first; at most [`EXAMPLES_MAX`], and a hundred of one stretch.
    pub delays: Vec<Example>,
    /// Requests that two machines have answered.
    pub answered_twice: u64,
    /// The first of them, at most [`EXAMPLES_MAX`]: the second answer, and the link-layer addresses of both.
    pub second_answers: Vec<(Example, u64, u64)>,
    /// Answers that were not seen where the request was, and were seen where it was not.
    pub other_way: u64,
    /// The first of them, at most [`EXAMPLES_MAX`].
    pub other_ways: Vec<Example>,
    /// Answers seen at a vantage that lacks the request, by vantage.
    pub request_missing: BTreeMap<u16, u64>,
}

impl Findings {
    /// Something is wrong with the network.
    pub fn is_fault(&self) -> bool {
        self.lost_count > 0 || self.duplicates > 0 || self.looping > 0 || self.answered_twice > 0
    }
}

/// A packet that stands for others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Example {
    /// What it is.
    pub kind: Kind,
    /// IP protocol number.
    pub protocol: u8,
    /// See [`model::sighting::Sighting::detail`].
    pub detail: u32,
    /// Octets of the IP packet.
    pub length: u16,
    /// Where it was seen.
    pub stop: Stop,
}

impl Example {
    /// A journey's packet at one of its stops.
    pub fn of(journey: &Journey, stop: &Stop) -> Example {
        let Journey { kind, protocol, detail, length, .. } = *journey;
        Example { kind, protocol, detail, length, stop: *stop }
    }
}

/// A packet that did not arrive where it should have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Lost {
    /// The packet where it was last seen.
    pub packet: Example,
    /// Number of the vantage that should have seen it next, and saw others meanwhile.
    pub expected_at: u16,
    /// By the common clock, for order.
    pub(crate) opened: i64,
}

/// What happens to packets between two vantages, in that direction.
#[derive(Debug, Clone, Default)]
pub struct Stretch {
    /// How long it takes, by the clocks as far as they are known.
    pub latency: Spread,
    /// Both vantages have the same clock, or the difference of their clocks is bounded on both sides.
    pub is_timed: bool,
    /// The packets that took longest, and how long.
    pub(crate) slowest: Slowest,
    /// How often the TTL was lowered by how much.
    pub ttl: BTreeMap<u8, u64>,
    /// Packets whose source address changed.
    pub source: u64,
    /// Packets whose destination address changed.
    pub destination: u64,
    /// Packets of which a port changed.
    pub ports: u64,
    /// Packets whose type of service changed.
    pub tos: u64,
}

/// The packets that took longest, the slowest first; of equal ones those that came first.
#[derive(Debug, Clone, Default)]
pub(crate) struct Slowest(pub(crate) Vec<(u64, Example)>);

impl Slowest {
    pub(crate) fn add(&mut self, took: u64, example: impl FnOnce() -> Example) {
        const MAX: usize = 100;
        if self.0.len() >= MAX {
            if self.0.last().is_some_and(|(known, _)| *known >= took) {
                return;
            }
            self.0.pop();
        }
        let at = self.0.partition_point(|(known, _)| *known >= took);
        self.0.insert(at, (took, example()));
    }
}

impl Stretch {
    /// Packets that took much longer than most: more than ten times the median, and a millisecond more.
    pub(crate) fn delayed(&self) -> u64 {
        /// Fewer do not tell what is usual.
        const FEW: u64 = 20;
        if !self.is_timed || self.latency.count() < FEW {
            return 0;
        }
        self.latency.above(self.latency.percentile(50).saturating_mul(10).saturating_add(1_000_000))
    }

    pub(crate) fn rewrites(&mut self, before: &Stop, after: &Stop) {
        let count = |is: bool| u64::from(is);
        self.source += count(before.source != after.source);
        self.destination += count(before.destination != after.destination);
        let ports = |stop: &Stop| (stop.source_port, stop.destination_port);
        self.ports += count(ports(before) != ports(after));
        self.tos += count(before.tos != after.tos);
        if before.ttl > 0 && after.ttl > 0 {
            *self.ttl.entry(before.ttl.saturating_sub(after.ttl)).or_default() += 1;
        }
    }
}
