//! What a journey that is over tells: the order of its stops, and from that everything else.

mod conclude;
mod copies;
mod kinds;
mod known;
mod live;
mod order;
mod pieces;
mod stack;
mod unanswered;

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use model::sighting::{Address, Kind, Sighting};

pub(crate) use self::kinds::is_only_answer;
use self::kinds::{is_request, way};
use self::known::KnownOrder;
use self::order::{FLOWS, FlowEnd};
use self::pieces::Held;
use self::stack::Stack;
use self::unanswered::Unanswered;
use crate::clock::Clocks;
use crate::exchange::{Exchanges, Visit};
use crate::hash::{AsItIs, Mixed};
use crate::journey::{Journey, Stop, is_for_many};
use crate::next_hop::{Expected, NextHops, Remembered, bit};
use crate::report::{Example, Findings, Nat, Stretch, keep};
use crate::{Options, VANTAGES_MAX, Vantage};

/// Journeys whose end is judged when all is known.
const PENDING_MAX: usize = 65_536;
/// Translations told apart.
const NAT_MAX: usize = 4_096;

/// What a vantage has seen so far.
#[derive(Debug, Clone, Copy)]
struct Watch {
    packets: u64,
    first: i64,
    last: i64,
    /// Stops, those with copies, and the copies; for vantages that may be several devices.
    stops: u64,
    doubled: u64,
    copies: u64,
    /// The first with copies.
    copied: Option<Example>,
    /// The same of those that their sender may have sent more than once.
    repeats: u64,
    repeated: Option<Example>,
    missed: u64,
    /// It is known to see whatever passes, so its silence tells as much as its packets.
    is_awake: bool,
}

const UNUSED: Watch = Watch {
    packets: 0,
    first: i64::MAX,
    last: i64::MIN,
    stops: 0,
    doubled: 0,
    copies: 0,
    copied: None,
    repeats: 0,
    repeated: None,
    missed: 0,
    is_awake: false,
};

/// A journey that ended where too little is known yet.
#[derive(Debug, Clone, Copy)]
struct Pending {
    packet: Example,
    before: Option<u16>,
    visited: u64,
    opened: i64,
    is_answered: bool,
}

#[derive(Debug)]
pub(crate) struct Closing {
    options: Options,
    is_mixed: Vec<bool>,
    pub(crate) vantages: Vec<Vantage>,
    pub(crate) clocks: Clocks,
    /// How far each source's clock is ahead of the first one's, by the best guess.
    pub(crate) ahead: Vec<i64>,
    is_timed: Vec<bool>,
    watches: Vec<Watch>,
    next_hops: NextHops,
    known_order: KnownOrder,
    exchanges: Exchanges,
    pending: Vec<Pending>,
    /// Requests by `ask` whose answers have not been seen.
    unanswered: HashMap<u64, Unanswered, BuildHasherDefault<AsItIs>>,
    held: Held,
    flows: Vec<FlowEnd>,
    stack: Stack,
    stretches: Vec<Option<Box<Stretch>>>,
    visits: Vec<Visit>,
    nat: HashMap<Nat, u64, BuildHasherDefault<Mixed>>,
    journeys: u64,
    findings: Findings,
    /// Copies of a stop that has more than it can count, and packets that may have been sent so often.
    pub(crate) uncounted_copies: u64,
    pub(crate) uncounted_repeats: u64,
    window_shortened_ns: Option<i64>,
}

impl Closing {
    pub(crate) fn new(options: Options, is_mixed: Vec<bool>) -> Closing {
        let sources = is_mixed.len();
        Closing {
            options,
            is_mixed,
            vantages: Vec::new(),
            clocks: Clocks::new(sources),
            ahead: vec![0; sources],
            is_timed: vec![false; sources],
            watches: vec![UNUSED; VANTAGES_MAX],
            next_hops: NextHops::new(),
            known_order: KnownOrder::default(),
            exchanges: Exchanges::new(),
            pending: Vec::new(),
            unanswered: HashMap::default(),
            held: Held::default(),
            flows: vec![FlowEnd::default(); FLOWS],
            stack: Stack::new(),
            stretches: vec![None; VANTAGES_MAX * VANTAGES_MAX],
            visits: Vec::new(),
            nat: HashMap::default(),
            journeys: 0,
            findings: Findings::default(),
            uncounted_copies: 0,
            uncounted_repeats: 0,
            window_shortened_ns: None,
        }
    }

    /// What the first sightings tell of a source's clock.
    pub(crate) fn begin(&mut self, source: usize, ahead_ns: i64, is_bounded: bool) {
        if let (Some(ahead), Some(is_timed)) = (self.ahead.get_mut(source), self.is_timed.get_mut(source)) {
            (*ahead, *is_timed) = (ahead_ns, is_bounded);
        }
    }

    pub(crate) fn sources(&self) -> u64 {
        self.ahead.len() as u64
    }

    /// More vantages have turned up.
    pub(crate) fn meet(&mut self, vantages: &[Vantage]) {
        self.vantages = vantages.to_vec();
    }

    pub(crate) fn saw(&mut self, seen: &Sighting) {
        if let Some(watch) = self.watches.get_mut(usize::from(seen.vantage)) {
            watch.packets += 1;
            watch.first = watch.first.min(seen.time_ns);
            watch.last = watch.last.max(seen.time_ns);
        }
    }

    pub(crate) fn shortened(&mut self, age: i64) {
        self.window_shortened_ns = Some(self.window_shortened_ns.map_or(age, |known| known.min(age)));
    }

    /// Takes over what causality tells of the clocks by now.
    pub(crate) fn look_at_clocks(&mut self) {
        for (source, known) in self.clocks.now().into_iter().enumerate() {
            if let (Some(ahead), Some(place)) = (known, self.ahead.get_mut(source)) {
                *place = ahead;
            }
            if let (Some(_), Some(place)) = (known, self.is_timed.get_mut(source)) {
                *place = true;
            }
        }
    }

    fn source(&self, vantage: u16) -> u16 {
        self.vantages.get(usize::from(vantage)).map_or(0, |vantage| vantage.source)
    }

    /// A vantage's stamp by the common clock.
    pub(crate) fn common(&self, vantage: u16, time_ns: i64) -> i64 {
        let ahead = self.ahead.get(usize::from(self.source(vantage))).copied().unwrap_or_default();
        time_ns.saturating_sub(ahead)
    }

    pub(crate) fn give_nat(&mut self, pairs: impl IntoIterator<Item = Nat>) {
        // Not seen so far.
        self.nat.extend(pairs.into_iter().take(NAT_MAX).map(|nat| (nat, 0)));
    }

    /// Both ends of a packet are translated, and each translation is known.
    pub(crate) fn is_nat(&self, stop: &Stop, seen: &Sighting) -> bool {
        let known = |a: Address, b: Address| {
            a == b
                || self.nat.contains_key(&Nat { inside: a, outside: b })
                || self.nat.contains_key(&Nat { inside: b, outside: a })
        };
        known(stop.source, seen.source) && known(stop.destination, seen.destination)
    }

    fn is_mixed(&self, vantage: u16) -> bool {
        self.is_mixed.get(usize::from(self.source(vantage))).copied().unwrap_or_default()
    }

    /// Puts the stops in the order of the way, and learns.
    pub(crate) fn close(&mut self, journey: &mut Journey) {
        self.journeys += 1;
        self.order(journey);
        self.settle(&mut journey.stops);
        self.visit(journey);
        self.copies(journey);
        self.learn_stretches(journey);
        self.learn_order(journey);
        let visited = journey.stops.iter().fold(0, |visited, stop| visited | bit(stop.vantage));
        if visited.count_ones() as usize != journey.stops.len() {
            self.learn_loop(journey);
        }
        self.piece(journey);
        self.exchange(journey, visited);
        self.end(journey, visited);
    }

    /// Each router lowers the TTL; between routers, and where it is unknown, what is known beforehand decides, and
    /// then the clocks.
    fn order(&self, journey: &mut Journey) {
        let by_ttl = journey.stops.iter().all(|stop| stop.ttl > 0);
        let key = |stop: &Stop| {
            let hops = if by_ttl { u8::MAX - stop.ttl } else { 0 };
            (hops, self.common(stop.vantage, stop.time_ns), stop.frame)
        };
        if !journey.stops.is_sorted_by_key(key) {
            journey.stops.sort_unstable_by_key(key);
        }
        if !self.known_order.is_empty() {
            self.order_as_known(&mut journey.stops, by_ttl);
        }
    }

    /// The sources that the packet came by, and what that tells of their clocks.
    fn visit(&mut self, journey: &Journey) {
        self.visits.clear();
        let mut before: Option<&Stop> = None;
        for stop in &journey.stops {
            let source = self.source(stop.vantage);
            let has_passed = |before: &Stop| {
                let is_routed = before.ttl > stop.ttl && stop.ttl > 0;
                is_routed || self.is_known_before(before, stop, &journey.stops)
            };
            let has_passed = before.is_some_and(has_passed);
            match self.visits.last_mut() {
                Some(visit) if visit.source == source => visit.last = visit.last.max(stop.time_ns),
                last => {
                    if let Some(from) = last
                        && has_passed
                    {
                        let from = (from.source, from.last);
                        self.clocks.passed(journey.opened, from, (source, stop.time_ns));
                    }
                    self.visits.push(Visit { source, first: stop.time_ns, last: stop.time_ns });
                }
            }
            before = Some(stop);
        }
    }

    fn learn_stretches(&mut self, journey: &Journey) {
        for pair in journey.stops.windows(2) {
            let [before, after] = pair else { continue };
            self.learn_nat(before, after);
            let times = [before, after].map(|stop| self.common(stop.vantage, stop.time_ns));
            let sources = [before, after].map(|stop| self.source(stop.vantage));
            let is_timed = |source: u16| source == 0 || self.is_timed.get(usize::from(source)) == Some(&true);
            let both_timed = sources[0] == sources[1] || sources.into_iter().all(is_timed);
            let index = usize::from(before.vantage) * VANTAGES_MAX + usize::from(after.vantage);
            let Some(stretch) = self.stretches.get_mut(index) else { continue };
            let stretch = stretch.get_or_insert_default();
            stretch.rewrites(before, after);
            if before.vantage == after.vantage {
                continue;
            }
            stretch.is_timed |= both_timed;
            let took = u64::try_from(times[1].saturating_sub(times[0])).unwrap_or_default();
            stretch.slowest.add(took, || Example::of(journey, after));
            stretch.latency.add(took);
        }
    }

    fn learn_nat(&mut self, before: &Stop, after: &Stop) {
        let source = Nat { inside: before.source, outside: after.source };
        let destination = Nat { inside: after.destination, outside: before.destination };
        for nat in [source, destination] {
            if nat.inside == nat.outside {
                continue;
            }
            let is_full = self.nat.len() >= NAT_MAX;
            match self.nat.get_mut(&nat) {
                Some(count) => *count += 1,
                None if is_full => {}
                None => drop(self.nat.insert(nat, 1)),
            }
        }
    }

    fn learn_loop(&mut self, journey: &Journey) {
        for (at, stop) in journey.stops.iter().enumerate() {
            let again = journey.stops.iter().skip(at + 1).filter(|later| later.vantage == stop.vantage);
            let mut ttl = stop.ttl;
            let lower = again.filter(|later| std::mem::replace(&mut ttl, later.ttl) > later.ttl).count();
            // Once more is a packet that a router sends back where it came from.
            if lower >= 2 {
                self.findings.looping += 1;
                keep(&mut self.findings.loops, Example::of(journey, stop));
                return;
            }
        }
    }

    fn exchange(&mut self, journey: &Journey, visited: u64) {
        if journey.ask != 0 {
            self.asked_again(journey.ask);
            self.exchanges.asked(journey.ask, &self.visits, visited);
        }
        if journey.answer == 0 {
            return;
        }
        self.got_answer(journey);
        let Some(answer) = self.exchanges.answered(journey, &self.visits, &mut self.clocks) else { return };
        if is_only_answer(journey.kind) {
            if let (Some(other), Some(first)) = (answer.other_sender, journey.stops.first()) {
                self.findings.answered_twice += 1;
                let second = (Example::of(journey, first), other, journey.sender);
                keep(&mut self.findings.second_answers, second);
            }
            let (only_there, only_back) = (answer.request_at & !visited, visited & !answer.request_at);
            let is_elsewhere = |stop: &&Stop| only_back & bit(stop.vantage) != 0;
            if let Some(stop) = journey.stops.iter().find(is_elsewhere) {
                if only_there == 0 {
                    *self.findings.request_missing.entry(stop.vantage).or_default() += 1;
                } else if answer.request_at & visited != 0 {
                    self.findings.other_way += 1;
                    keep(&mut self.findings.other_ways, Example::of(journey, stop));
                }
            }
        }
    }

    /// Where the packet was last seen, and whether that is the end of its way.
    fn end(&mut self, journey: &Journey, visited: u64) {
        let mut before = None;
        let mut stops = journey.stops.iter().peekable();
        while let Some(stop) = stops.next() {
            let next = stops.peek().map(|next| next.vantage);
            if next == Some(stop.vantage) {
                continue;
            }
            let to = way(journey.kind, stop.destination);
            let remembered = self.next_hops.place(stop.vantage, to);
            match next {
                Some(next) => self.passed_over(remembered, to, next, visited),
                None => self.ended(journey, remembered, stop, before, visited),
            }
            self.next_hops.learn(before, stop.vantage, remembered, next);
            before = Some(stop.vantage);
        }
    }

    /// Went on to `next`; where nearly all others are seen somewhere between, that vantage has missed it.
    fn passed_over(&mut self, remembered: Option<Remembered>, to: Address, next: u16, visited: u64) {
        if let Some(missed) = self.next_hops.between(remembered, to, next, visited)
            && let Some(watch) = self.watches.get_mut(usize::from(missed))
        {
            watch.missed += 1;
        }
    }

    fn ended(
        &mut self,
        journey: &Journey,
        remembered: Option<Remembered>,
        stop: &Stop,
        before: Option<u16>,
        visited: u64,
    ) {
        let is_over = stop.ttl == 1 || is_for_many(stop.destination);
        if is_over {
            return;
        }
        let packet = Example::of(journey, stop);
        let expected = self.next_hops.expected(remembered, visited);
        match expected {
            Expected::At(next) => self.lose(packet, next, journey.opened, journey.ask),
            // Where none goes on, whole packets do.
            Expected::Nowhere | Expected::Unknown if journey.kind == Kind::Fragment => {}
            Expected::Nowhere if !is_request(journey.kind) => {}
            Expected::Nowhere | Expected::Unknown => {
                if self.pending.len() < PENDING_MAX {
                    if journey.ask != 0 {
                        let index = u32::try_from(self.pending.len()).unwrap_or(u32::MAX);
                        self.unanswered.insert(journey.ask, Unanswered::Pending(index));
                        self.hold(&packet, journey.ask);
                    }
                    let opened = journey.opened;
                    self.pending.push(Pending { packet, before, visited, opened, is_answered: false });
                } else {
                    // Where packets for this address always end, nothing is open about another.
                    let is_open = expected == Expected::Unknown && is_request(journey.kind);
                    self.findings.undecided += u64::from(is_open);
                }
            }
        }
    }

    /// It saw others before and after; or its last packet was so little before that no more was to be expected.
    fn was_watching(&self, vantage: u16, time: i64) -> bool {
        /// Gaps between packets for which silence is not odd.
        const GAPS: i64 = 20;
        let Some(watch) = self.watches.get(usize::from(vantage)).filter(|w| w.is_awake || w.packets > 0)
        else {
            return false;
        };
        if watch.is_awake {
            return true;
        }
        let (first, last) = (self.common(vantage, watch.first), self.common(vantage, watch.last));
        let packets = i64::try_from(watch.packets).unwrap_or(i64::MAX);
        let slack = last.saturating_sub(first).checked_div(packets).unwrap_or_default().saturating_mul(GAPS);
        time >= first.saturating_sub(slack) && time <= last.saturating_add(slack)
    }

    /// Judges what had to wait until all was known.
    fn judge(&mut self) {
        for pending in std::mem::take(&mut self.pending) {
            let Pending { packet, before, visited, opened, is_answered } = pending;
            let at = packet.stop.vantage;
            let remembered = self.next_hops.place(at, packet.stop.destination);
            match self.next_hops.expected(remembered, visited) {
                Expected::At(_) | Expected::Nowhere | Expected::Unknown if is_answered => {}
                Expected::At(next) => self.lose(packet, next, opened, 0),
                Expected::Nowhere | Expected::Unknown => {
                    let is_request = is_request(packet.kind);
                    match self.next_hops.usual(before, at, visited) {
                        Some(next) => self.lose(packet, next, opened, 0),
                        // Of two vantages, an unanswered request should have been seen at both.
                        None if is_request && self.vantages.len() == 2 && self.is_first(at, visited) => {
                            self.lose(packet, 1 - at, opened, 0);
                        }
                        None => {}
                    }
                }
            }
        }
    }

    /// Packets have gone from this one of two vantages to the other at least as often as back, or never either way.
    fn is_first(&self, at: u16, visited: u64) -> bool {
        let count = |from: u16, to: u16| {
            let index = usize::from(from) * VANTAGES_MAX + usize::from(to);
            self.stretches.get(index).and_then(|s| s.as_ref()).map_or(0, |s| s.latency.count())
        };
        at < 2 && visited == bit(at) && count(at, 1 - at) >= count(1 - at, at)
    }
}
