//! Open journeys: in a slab, chained by identity, their sightings chained in another.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use model::sighting::{Address, Kind, Sighting};

use crate::hash::AsItIs;

/// The end of a chain.
pub(crate) const NIL: u32 = u32::MAX;
/// Stops that lie side by side in a journey's own place; more are chained elsewhere.
const HOME: usize = 4;

/// Where a stop is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StopAt {
    /// In its journey's own place.
    Home(usize),
    /// In the chain.
    Chained(u32),
}

/// A packet and where it was seen, in the order of its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// What the packet is.
    pub kind: Kind,
    /// IP protocol number.
    pub protocol: u8,
    /// See [`Sighting::detail`].
    pub detail: u32,
    /// Octets of the IP packet.
    pub length: u16,
    /// Where it was seen.
    pub stops: Vec<Stop>,
    pub(crate) ask: u64,
    pub(crate) answer: u64,
    pub(crate) sender: u64,
    /// By the common clock, when it was first seen.
    pub(crate) opened: i64,
}

/// A packet at a vantage, once or in copies that nothing tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Source address here.
    pub source: Address,
    /// Destination address here.
    pub destination: Address,
    /// By the vantage's own clock.
    pub time_ns: i64,
    /// 1-based position in the source, of the first copy.
    pub frame: u32,
    pub(crate) next: u32,
    /// From the first copy to the last.
    pub(crate) last_ns: u32,
    /// Source port here.
    pub source_port: u16,
    /// Destination port here.
    pub destination_port: u16,
    /// Vantage, as [`crate::Merge::vantages`] numbers them.
    pub vantage: u16,
    pub(crate) ip_id: u16,
    /// How many were seen.
    pub copies: u16,
    /// Time to live here; 0 where unknown.
    pub ttl: u8,
    /// Type of service here.
    pub tos: u8,
}

impl Stop {
    pub(crate) fn of(seen: &Sighting) -> Stop {
        Stop {
            source: seen.source,
            destination: seen.destination,
            time_ns: seen.time_ns,
            frame: seen.frame,
            next: NIL,
            last_ns: 0,
            source_port: seen.source_port,
            destination_port: seen.destination_port,
            vantage: seen.vantage,
            ip_id: seen.ip_id,
            copies: 1,
            ttl: seen.ttl,
            tos: seen.tos,
        }
    }

    pub(crate) fn ends(&self) -> (Address, Address) {
        (self.source, self.destination)
    }
}

/// A journey while it may still be seen somewhere.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Open {
    identity: u64,
    ask: u64,
    answer: u64,
    sender: u64,
    pub(crate) opened: i64,
    detail: u32,
    /// The chain of stops beyond the journey's own place.
    first: u32,
    last: u32,
    /// Stops in the journey's own place.
    at_home: u32,
    /// The younger and the older neighbour of the same identity.
    younger: u32,
    older: u32,
    length: u16,
    protocol: u8,
    kind: Kind,
}

/// All open journeys.
#[derive(Debug, Default)]
pub(crate) struct Slab {
    journeys: Vec<Open>,
    free_journeys: Vec<u32>,
    /// `HOME` for each journey, so that one look brings all of them.
    homes: Vec<Stop>,
    chained: Vec<Stop>,
    free_chained: Vec<u32>,
    /// The youngest journey of an identity.
    youngest: HashMap<u64, u32, BuildHasherDefault<AsItIs>>,
}

impl Slab {
    /// Places for stops that are taken.
    pub(crate) fn kept(&self) -> usize {
        let journeys = self.journeys.len() - self.free_journeys.len();
        journeys * HOME + self.chained.len() - self.free_chained.len()
    }

    pub(crate) fn get(&self, index: u32) -> Option<&Open> {
        self.journeys.get(index as usize)
    }

    /// The journeys that a packet of this identity may belong to, youngest first.
    pub(crate) fn alike(&self, identity: u64) -> impl Iterator<Item = u32> {
        let mut next = self.youngest.get(&identity).copied().unwrap_or(NIL);
        std::iter::from_fn(move || {
            let open = self.journeys.get(next as usize)?;
            Some(std::mem::replace(&mut next, open.older))
        })
    }

    fn home(&self, journey: u32) -> &[Stop] {
        let taken = self.journeys.get(journey as usize).map_or(0, |open| open.at_home as usize);
        let start = journey as usize * HOME;
        self.homes.get(start..start + taken).unwrap_or_default()
    }

    fn chain(&self, journey: u32) -> impl Iterator<Item = (u32, &Stop)> {
        let mut next = self.journeys.get(journey as usize).map_or(NIL, |open| open.first);
        std::iter::from_fn(move || {
            let stop = self.chained.get(next as usize)?;
            Some((std::mem::replace(&mut next, stop.next), stop))
        })
    }

    /// Where a journey was seen, and where each stop is kept.
    pub(crate) fn stops(&self, journey: u32) -> impl Iterator<Item = (StopAt, &Stop)> {
        let start = journey as usize * HOME;
        let home =
            self.home(journey).iter().enumerate().map(move |(at, stop)| (StopAt::Home(start + at), stop));
        home.chain(self.chain(journey).map(|(at, stop)| (StopAt::Chained(at), stop)))
    }

    pub(crate) fn stop_mut(&mut self, at: StopAt) -> Option<&mut Stop> {
        match at {
            StopAt::Home(index) => self.homes.get_mut(index),
            StopAt::Chained(index) => self.chained.get_mut(index as usize),
        }
    }

    /// A new journey, at its first sighting.
    pub(crate) fn begin(&mut self, seen: &Sighting, opened: i64) -> u32 {
        let index = self.free_journeys.pop().unwrap_or_else(|| index_of(self.journeys.len()));
        let older = self.youngest.insert(seen.identity, index).unwrap_or(NIL);
        if let Some(older) = self.journeys.get_mut(older as usize) {
            older.younger = index;
        }
        let open = Open {
            identity: seen.identity,
            ask: seen.ask,
            answer: seen.answer,
            sender: seen.sender,
            opened,
            detail: seen.detail,
            first: NIL,
            last: NIL,
            at_home: 1,
            younger: NIL,
            older,
            length: seen.length,
            protocol: seen.protocol,
            kind: seen.kind,
        };
        place(&mut self.journeys, index, open);
        let stop = Stop::of(seen);
        let start = index as usize * HOME;
        if self.homes.len() <= start {
            self.homes.resize(start + HOME, stop);
        } else if let Some(home) = self.homes.get_mut(start) {
            *home = stop;
        }
        index
    }

    /// One sighting more.
    pub(crate) fn extend(&mut self, journey: u32, seen: &Sighting) {
        let stop = Stop::of(seen);
        let Some(open) = self.journeys.get_mut(journey as usize) else { return };
        let at_home = open.at_home as usize;
        if at_home < HOME {
            open.at_home += 1;
            if let Some(home) = self.homes.get_mut(journey as usize * HOME + at_home) {
                *home = stop;
            }
            return;
        }
        let index = self.free_chained.pop().unwrap_or_else(|| index_of(self.chained.len()));
        place(&mut self.chained, index, stop);
        match self.chained.get_mut(open.last as usize) {
            Some(last) => last.next = index,
            None => open.first = index,
        }
        open.last = index;
    }

    /// Takes a journey out, into `into`.
    pub(crate) fn end(&mut self, journey: u32, into: &mut Journey) {
        into.stops.clear();
        let Some(open) = self.journeys.get(journey as usize).copied() else { return };
        into.stops.extend_from_slice(self.home(journey));
        let mut next = open.first;
        while let Some(stop) = self.chained.get(next as usize) {
            into.stops.push(*stop);
            self.free_chained.push(next);
            next = stop.next;
        }
        self.free_journeys.push(journey);
        if let Some(older) = self.journeys.get_mut(open.older as usize) {
            older.younger = open.younger;
        }
        if let Some(younger) = self.journeys.get_mut(open.younger as usize) {
            younger.older = open.older;
        } else if open.older == NIL {
            self.youngest.remove(&open.identity);
        } else {
            self.youngest.insert(open.identity, open.older);
        }
        (into.kind, into.protocol, into.detail, into.length) =
            (open.kind, open.protocol, open.detail, open.length);
        (into.ask, into.answer, into.sender, into.opened) = (open.ask, open.answer, open.sender, open.opened);
    }
}

/// Slabs are bounded far below this by `Options::open_max`.
fn index_of(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(NIL)
}

fn place<T>(slab: &mut Vec<T>, index: u32, value: T) {
    match slab.get_mut(index as usize) {
        Some(place) => *place = value,
        None => slab.push(value),
    }
}
