//! A run that is watched while it goes on: what is open, what is lost so far, and time that brings no packets.

use model::sighting::Address;

use super::Correlator;
use crate::report::Lost;
use crate::{Journey, Vantage};

impl Correlator {
    /// A way that is known beforehand: packets seen at `at` for `destination` are meant to go on to `next`, which sees
    /// whatever passes there. So a packet that ends at `at` is lost although no other was seen to go on. The numbers
    /// are those of [`crate::Merge::introduce`].
    pub fn teach(&mut self, at: u16, destination: Address, next: u16) {
        self.closing.teach(at, destination, next);
    }

    /// Closes the journeys whose window is over at `now` by the common clock, whether or not packets come.
    pub fn pass_time(&mut self, now: i64, each: &mut impl FnMut(&Journey, &[Vantage])) {
        while self
            .open
            .oldest_opened()
            .is_some_and(|opened| now.saturating_sub(opened) > self.options.window_ns)
        {
            self.close(each);
        }
    }

    /// Of the open journeys those that began last, at most `max`, the oldest of them first; each with its stops
    /// in order of time, which is their way as far as it can be told before it is over.
    pub fn open(&self, max: usize) -> Vec<Journey> {
        let copy = |number: u32| {
            let mut journey = self.journey.clone();
            self.open.copy(number, &mut journey);
            journey.stops.sort_by_key(|stop| (self.closing.common(stop.vantage, stop.time_ns), stop.frame));
            journey
        };
        self.open.youngest(max).map(copy).collect()
    }

    /// The packets lost so far, in the order in which that was found out; at most `Options::listed_max`.
    pub fn lost(&self) -> &[Lost] {
        self.closing.lost()
    }
}
