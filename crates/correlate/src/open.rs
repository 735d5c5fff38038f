//! Open journeys, numbered as they begin and closed in that order.
//!
//! They lie side by side in chunks that are used again when all of a chunk is over, so that what is begun,
//! joined and closed at a time is near in memory, however many are open. A journey is found by its identity
//! over a table of numbers: each bucket has the youngest of its journeys, and a link for each journey has the one
//! before it. Nothing is taken out of the table: a number of a journey that is over is the end of its chain. Links
//! lie apart from what they are of, so that a search does not fetch journeys from far away to pass them by.

use std::collections::VecDeque;

use model::sighting::{Kind, Sighting};

use crate::journey::{Journey, NIL, Stop};

/// Stops that lie in a journey's own place; more are chained elsewhere.
const HOME: usize = 4;
/// Journeys of a chunk.
const CHUNK: u32 = 4096;
/// Journeys of a bucket that are looked at: more than that are there only where somebody means harm.
const ALIKE_MAX: usize = 128;
/// Buckets at first.
const BUCKETS: usize = 1 << 14;

/// Where a stop is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopAt {
    /// In the place of the journey of this number.
    Home(u32, usize),
    /// In the chain.
    Chained(u32),
}

/// A journey while it may still be seen somewhere.
#[derive(Debug)]
struct Open {
    packet: Packet,
    home: [Stop; HOME],
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    identity: u64,
    ask: u64,
    answer: u64,
    sender: u64,
    opened: i64,
    detail: u32,
    /// The chain of stops beyond the journey's own place.
    first: u32,
    last: u32,
    length: u16,
    protocol: u8,
    kind: Kind,
    /// Stops in the journey's own place.
    at_home: u8,
}

/// What of a journey is looked at in search of another.
#[derive(Debug, Clone, Copy, Default)]
struct Link {
    /// The half of its identity that does not tell its bucket.
    tag: u32,
    /// The number of the journey before it in its bucket.
    older: u32,
}

/// All open journeys. Numbers wrap around; only their distance is ever told.
#[derive(Debug)]
pub(crate) struct OpenJourneys {
    /// The front one has the oldest journey.
    chunks: VecDeque<Vec<Open>>,
    /// Number of the first place of the front chunk.
    base: u32,
    oldest: u32,
    next: u32,
    /// By identity: the youngest journey.
    buckets: Vec<u32>,
    /// By number, as many as there are buckets: a power of two, and never fewer than open journeys.
    links: Vec<Link>,
    chained: Vec<Stop>,
    free: Vec<u32>,
}

impl OpenJourneys {
    pub(crate) fn new() -> OpenJourneys {
        OpenJourneys {
            chunks: VecDeque::new(),
            base: 0,
            oldest: 0,
            next: 0,
            buckets: vec![0; BUCKETS],
            links: vec![Link::default(); BUCKETS],
            chained: Vec::new(),
            free: Vec::new(),
        }
    }

    fn count(&self) -> u32 {
        self.next.wrapping_sub(self.oldest)
    }

    /// Places for stops that are taken.
    pub(crate) fn kept(&self) -> usize {
        self.count() as usize * HOME + self.chained.len() - self.free.len()
    }

    /// When the oldest was first seen, by the common clock.
    pub(crate) fn oldest_opened(&self) -> Option<i64> {
        self.opened(self.oldest)
    }

    /// When a journey was first seen, by the common clock.
    pub(crate) fn opened(&self, number: u32) -> Option<i64> {
        self.get(number).map(|open| open.packet.opened)
    }

    fn is_open(&self, number: u32) -> bool {
        number.wrapping_sub(self.oldest) < self.count()
    }

    fn get(&self, number: u32) -> Option<&Open> {
        if !self.is_open(number) {
            return None;
        }
        let place = number.wrapping_sub(self.base);
        self.chunks.get((place / CHUNK) as usize)?.get((place % CHUNK) as usize)
    }

    fn get_mut(&mut self, number: u32) -> Option<&mut Open> {
        if !self.is_open(number) {
            return None;
        }
        let place = number.wrapping_sub(self.base);
        self.chunks.get_mut((place / CHUNK) as usize)?.get_mut((place % CHUNK) as usize)
    }

    fn bucket(&self, identity: u64) -> usize {
        // An identity is a hash.
        usize::try_from(identity & (self.buckets.len() as u64 - 1)).unwrap_or_default()
    }

    fn link(&self, number: u32) -> Link {
        self.links.get(number as usize & (self.links.len() - 1)).copied().unwrap_or_default()
    }

    /// The journeys that a packet of this identity may belong to, youngest first.
    pub(crate) fn alike(&self, identity: u64) -> impl Iterator<Item = u32> {
        let mut next = self.buckets.get(self.bucket(identity)).copied().unwrap_or_default();
        // Each is older than the one before, or it is what is left of a journey long over.
        let mut left = self.count();
        let links = std::iter::from_fn(move || {
            let age = next.wrapping_sub(self.oldest);
            if age >= left {
                return None;
            }
            left = age;
            let link = self.link(next);
            Some((std::mem::replace(&mut next, link.older), link.tag))
        });
        let tag = tag(identity);
        let is_alike =
            move |number: &u32| self.get(*number).is_some_and(|open| open.packet.identity == identity);
        links.take(ALIKE_MAX).filter(move |link| link.1 == tag).map(|(number, _)| number).filter(is_alike)
    }

    /// Puts a journey before the others of its bucket.
    fn enter(&mut self, number: u32, identity: u64) {
        let bucket = self.bucket(identity);
        let older =
            self.buckets.get_mut(bucket).map_or(number, |youngest| std::mem::replace(youngest, number));
        let at = number as usize & (self.links.len() - 1);
        if let Some(link) = self.links.get_mut(at) {
            *link = Link { tag: tag(identity), older };
        }
    }

    /// Where a journey was seen, and where each stop is kept.
    pub(crate) fn stops(&self, number: u32) -> impl Iterator<Item = (StopAt, &Stop)> {
        let open = self.get(number);
        let home = open.map_or(&[][..], Open::home).iter().enumerate();
        let home = home.map(move |(at, stop)| (StopAt::Home(number, at), stop));
        let chain = self.chain(open.map_or(NIL, |open| open.packet.first));
        home.chain(chain.map(|(at, stop)| (StopAt::Chained(at), stop)))
    }

    fn chain(&self, mut next: u32) -> impl Iterator<Item = (u32, &Stop)> {
        std::iter::from_fn(move || {
            let stop = self.chained.get(next as usize)?;
            Some((std::mem::replace(&mut next, stop.next), stop))
        })
    }

    /// Where a journey was first seen, this sighting is by another machine. Further on the sender is a router.
    pub(crate) fn is_of_another(&self, number: u32, at: StopAt, seen: &Sighting) -> bool {
        let is_first = at == StopAt::Home(number, 0);
        let sender = self.get(number).map_or(0, |open| open.packet.sender);
        is_first && sender != seen.sender && sender != 0 && seen.sender != 0
    }

    pub(crate) fn stop_mut(&mut self, at: StopAt) -> Option<&mut Stop> {
        match at {
            StopAt::Home(number, index) => self.get_mut(number)?.home.get_mut(index),
            StopAt::Chained(index) => self.chained.get_mut(index as usize),
        }
    }

    /// A new journey, at its first sighting.
    pub(crate) fn begin(&mut self, seen: &Sighting, opened: i64) {
        if self.count() as usize >= self.buckets.len() {
            self.widen();
        }
        let number = self.next;
        self.enter(number, seen.identity);
        let stop = Stop::of(seen);
        let packet = Packet {
            identity: seen.identity,
            ask: seen.ask,
            answer: seen.answer,
            sender: seen.sender,
            opened,
            detail: seen.detail,
            first: NIL,
            last: NIL,
            length: seen.length,
            protocol: seen.protocol,
            kind: seen.kind,
            at_home: 1,
        };
        let place = number.wrapping_sub(self.base);
        let chunk = (place / CHUNK) as usize;
        if chunk == self.chunks.len() {
            self.chunks.push_back(Vec::with_capacity(CHUNK as usize));
        }
        if let Some(chunk) = self.chunks.get_mut(chunk) {
            match chunk.get_mut((place % CHUNK) as usize) {
                Some(place) => place.renew(packet, stop),
                None => chunk.push(Open { packet, home: [stop; HOME] }),
            }
        }
        self.next = number.wrapping_add(1);
    }

    /// One sighting more.
    pub(crate) fn extend(&mut self, number: u32, seen: &Sighting) {
        let stop = Stop::of(seen);
        // Places are bounded far below this by `Options::open_max`.
        let free = self.free.last().copied();
        let index = free.unwrap_or_else(|| u32::try_from(self.chained.len()).unwrap_or(NIL));
        let Some(open) = self.get_mut(number) else { return };
        if let Some(home) = open.home.get_mut(usize::from(open.packet.at_home)) {
            *home = stop;
            open.packet.at_home += 1;
            return;
        }
        let last = std::mem::replace(&mut open.packet.last, index);
        if last == NIL {
            open.packet.first = index;
        }
        if let Some(last) = self.chained.get_mut(last as usize) {
            last.next = index;
        }
        self.free.pop();
        match self.chained.get_mut(index as usize) {
            Some(place) => *place = stop,
            None => self.chained.push(stop),
        }
    }

    /// Those that began last, at most `max`, the oldest of them first.
    pub(crate) fn youngest(&self, max: usize) -> impl Iterator<Item = u32> {
        let count = self.count();
        let first = count - u32::try_from(max).map_or(count, |max| max.min(count));
        (first..count).map(|at| self.oldest.wrapping_add(at))
    }

    /// A journey as it is by now, into `into`.
    pub(crate) fn copy(&self, number: u32, into: &mut Journey) {
        into.stops.clear();
        into.stops.extend(self.stops(number).map(|(_, stop)| *stop));
        if let Some(open) = self.get(number) {
            open.packet.tell(into);
        }
    }

    /// Takes the oldest journey out, into `into`.
    pub(crate) fn end_oldest(&mut self, into: &mut Journey) {
        into.stops.clear();
        let Some(open) = self.get(self.oldest) else { return };
        into.stops.extend_from_slice(open.home());
        open.packet.tell(into);
        let mut next = open.packet.first;
        while let Some(stop) = self.chained.get(next as usize) {
            into.stops.push(*stop);
            self.free.push(next);
            next = stop.next;
        }
        self.oldest = self.oldest.wrapping_add(1);
        if self.oldest.wrapping_sub(self.base) == CHUNK {
            self.base = self.oldest;
            // What is free at the end is taken first again; more than one is given back.
            let chunk = self.chunks.pop_front();
            let taken = self.next.wrapping_sub(self.base).div_ceil(CHUNK) as usize;
            self.chunks.extend(chunk.filter(|_| self.chunks.len() <= taken));
        }
    }

    /// Twice the buckets, and every journey in its new one.
    fn widen(&mut self) {
        let count = self.buckets.len() * 2;
        self.buckets = vec![self.oldest; count];
        self.links = vec![Link::default(); count];
        for at in 0..self.count() {
            let number = self.oldest.wrapping_add(at);
            if let Some(identity) = self.get(number).map(|open| open.packet.identity) {
                self.enter(number, identity);
            }
        }
    }
}

fn tag(identity: u64) -> u32 {
    u32::try_from(identity >> 32).unwrap_or_default()
}

impl Packet {
    fn tell(&self, into: &mut Journey) {
        (into.kind, into.protocol, into.detail, into.length) =
            (self.kind, self.protocol, self.detail, self.length);
        (into.ask, into.answer, into.sender, into.opened) = (self.ask, self.answer, self.sender, self.opened);
    }
}

impl Open {
    fn home(&self) -> &[Stop] {
        self.home.get(..usize::from(self.packet.at_home)).unwrap_or_default()
    }

    /// Another packet, at its first stop; the places behind are taken when it is seen again.
    fn renew(&mut self, packet: Packet, stop: Stop) {
        self.packet = packet;
        let [first, ..] = &mut self.home;
        *first = stop;
    }
}
