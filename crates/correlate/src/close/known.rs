//! The order of vantages where it is known beforehand. A bridge leaves the TTL alone, and two clocks of which
//! nobody knows how far they are apart tell nothing: then a packet that has no answer could have gone either way.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use model::sighting::Address;

use super::Closing;
use crate::VANTAGES_MAX;
use crate::hash::Mixed;
use crate::journey::Stop;

/// Of a vantage and the destination of a packet there: the vantage that it comes to next, of all that are watched.
pub(super) type KnownOrder = HashMap<(u16, Address), u16, BuildHasherDefault<Mixed>>;

impl Closing {
    /// Packets for `destination` come from `at` to `next`, if they come so far.
    pub(crate) fn teach_order(&mut self, at: u16, destination: Address, next: u16) {
        self.known_order.insert((at, destination), next);
    }

    /// Changes the order of stops, which is that of TTLs and then of clocks, where TTLs do not tell it and the
    /// clocks are not the same.
    pub(super) fn order_as_known(&self, stops: &mut [Stop], by_ttl: bool) {
        let all = stops.to_vec();
        for run in stops.chunk_by_mut(|a, b| !by_ttl || a.ttl == b.ttl) {
            for begin in 0..run.len() {
                let rest = run.get_mut(begin..).unwrap_or_default();
                let is_first = |stop: &&Stop| !rest.iter().any(|other| self.precedes(other, stop, &all));
                // Where all have another before them, what is known contradicts itself, and the clocks decide.
                let first = rest.iter().position(|stop| is_first(&stop)).unwrap_or_default();
                if let Some(until_first) = rest.get_mut(..=first) {
                    until_first.rotate_right(1);
                }
            }
        }
    }

    fn precedes(&self, a: &Stop, b: &Stop, all: &[Stop]) -> bool {
        if self.source(a.vantage) == self.source(b.vantage) {
            return (a.time_ns, a.frame) < (b.time_ns, b.frame);
        }
        self.is_known_before(a, b, all)
    }

    /// From `a` the packet is known to come to `b`, over others or not. Addresses are those that it had at each, as
    /// far as it was seen there.
    pub(super) fn is_known_before(&self, a: &Stop, b: &Stop, all: &[Stop]) -> bool {
        if self.known_order.is_empty() {
            return false;
        }
        let (mut at, mut to) = (a.vantage, a.destination);
        for _ in 0..VANTAGES_MAX {
            let Some(next) = self.known_order.get(&(at, to)) else { return false };
            if *next == b.vantage {
                return true;
            }
            at = *next;
            to = all.iter().find(|stop| stop.vantage == at).map_or(to, |stop| stop.destination);
        }
        false
    }
}
