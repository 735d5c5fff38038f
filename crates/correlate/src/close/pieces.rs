//! TCP in other pieces than before: a sender's device cuts what it is given into segments (TSO, GSO), and a
//! receiver's puts segments together (GRO), and captures are made on the side where packets are large. Such a
//! packet seems lost at one vantage, and others that begin at the next one hold its octets: it has arrived.
//!
//! Of a packet that was cut the first piece speaks for all: that a later one was lost is not told.

use std::collections::{HashMap, VecDeque};
use std::hash::BuildHasherDefault;

use model::sighting::{Address, Kind};

use super::Closing;
use super::unanswered::Unanswered;
use crate::hash::Mixed;
use crate::journey::{Journey, Stop};
use crate::next_hop::bit;
use crate::report::Example;

/// Packets missing at one end that wait for pieces; of more the newest.
const HELD_MAX: usize = 64;
/// Ends with packets that wait; when there are more, all are forgotten.
const ENDS_MAX: usize = 16_384;

/// One end of a flow; where one is translated on the way, the other stays.
type End = (Address, u16);

/// A packet that is missing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Missing {
    ask: u64,
    octets: Octets,
}

pub(super) type Held = HashMap<End, VecDeque<Missing>, BuildHasherDefault<Mixed>>;

/// What a packet of TCP carries: its sequence number, and how many octets there are at least.
#[derive(Debug, Clone, Copy)]
struct Octets {
    start: u32,
    count: u32,
}

impl Octets {
    fn of(sequence: u32, length: u16) -> Octets {
        /// IPv4 and TCP with all the options there can be.
        const HEADERS: u16 = 120;
        Octets { start: sequence, count: u32::from(length.saturating_sub(HEADERS)).max(1) }
    }

    /// One of the two begins within the other.
    fn share(self, other: Octets) -> bool {
        let begins_in = |one: Octets, other: Octets| one.start.wrapping_sub(other.start) < other.count;
        begins_in(self, other) || begins_in(other, self)
    }
}

impl Closing {
    /// Remembers that a packet of TCP is missing, until pieces of it turn up.
    pub(super) fn hold(&mut self, packet: &Example, ask: u64) {
        if packet.kind != Kind::Tcp {
            return;
        }
        let missing = Missing { ask, octets: Octets::of(packet.detail, packet.length) };
        for end in ends(&packet.stop) {
            if self.held.len() >= ENDS_MAX {
                self.held.clear();
            }
            let held = self.held.entry(end).or_default();
            if held.len() >= HELD_MAX {
                held.pop_front();
            }
            held.push_back(missing);
        }
    }

    /// A packet of TCP has begun at its first vantage: what is missing on the way there may be in it.
    pub(super) fn piece(&mut self, journey: &Journey) {
        let Some(first) = journey.stops.first().filter(|_| journey.kind == Kind::Tcp && journey.ask != 0)
        else {
            return;
        };
        let octets = Octets::of(journey.detail, journey.length);
        for end in ends(first) {
            let Some(held) = self.held.get_mut(&end) else { continue };
            // Most share nothing, and are not looked at any closer.
            if !held.iter().any(|missing| missing.octets.share(octets)) {
                continue;
            }
            let mut held = std::mem::take(held);
            held.retain(|missing| {
                !missing.octets.share(octets) || !self.is_settled(missing.ask, first.vantage)
            });
            if held.is_empty() {
                self.held.remove(&end);
            } else {
                self.held.insert(end, held);
            }
        }
    }

    /// It has arrived, as a piece of it has begun there; or there is nothing left to be told of it.
    fn is_settled(&mut self, ask: u64, at: u16) -> bool {
        match self.unanswered.get(&ask) {
            Some(Unanswered::Lost(lost)) => {
                let has_arrived = lost.expected_at == at;
                if has_arrived {
                    self.unanswered.remove(&ask);
                }
                has_arrived
            }
            Some(Unanswered::Pending(index)) => {
                let Some(pending) = self.pending.get_mut(*index as usize) else { return true };
                pending.is_answered |= pending.visited & bit(at) == 0;
                pending.is_answered
            }
            Some(Unanswered::Undecided) | None => true,
        }
    }
}

fn ends(stop: &Stop) -> [End; 2] {
    [(stop.source, stop.source_port), (stop.destination, stop.destination_port)]
}
