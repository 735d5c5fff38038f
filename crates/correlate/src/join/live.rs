//! A run that is watched while it goes on: what is open, what is lost so far, and time that brings no packets.

use super::Correlator;
use crate::report::Lost;
use crate::{Journey, Vantage};

impl Correlator {
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
