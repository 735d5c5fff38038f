//! Requests that seem lost, or of which too little is known, until their answers are seen or not: what was
//! answered has arrived, and it was a capture that missed it.

use super::{Closing, PENDING_MAX};
use crate::journey::Journey;
use crate::report::{Example, Lost};

/// Requests remembered; of more, what is known when they end decides.
const UNANSWERED_MAX: usize = 2 * PENDING_MAX;

/// What is told of a request that stays without an answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// Whatever comes of this one in `pending`.
    Pending(u32),
    /// It was lost. Few are, and most places of the table are for others.
    Lost(Box<Lost>),
    /// The vantage that should have seen it was not watching.
    Undecided,
}

impl Closing {
    /// A packet ended where others go on to `expected_at`.
    pub(super) fn lose(&mut self, packet: Example, expected_at: u16, opened: i64, ask: u64) {
        let time = self.common(packet.stop.vantage, packet.stop.time_ns);
        let lost = Lost { packet, expected_at, opened };
        let is_watched = self.was_watching(expected_at, time);
        let is_kept = ask != 0 && !self.options.at_once && self.unanswered.len() < UNANSWERED_MAX;
        if is_watched && is_kept {
            self.hold(&packet, ask);
        }
        let unanswered = if is_watched { Unanswered::Lost(Box::new(lost)) } else { Unanswered::Undecided };
        if is_kept {
            self.unanswered.insert(ask, unanswered);
        } else {
            self.tell_unanswered(unanswered);
        }
    }

    /// A request was asked that may have been asked before: an answer is as well to this one.
    pub(super) fn asked_again(&mut self, ask: u64) {
        if let Some(before) = self.unanswered.remove(&ask) {
            self.tell_unanswered(before);
        }
    }

    /// An answer is over: its request has arrived, if they are each other's.
    pub(super) fn got_answer(&mut self, journey: &Journey) {
        match self.unanswered.get(&journey.answer) {
            None => {}
            Some(Unanswered::Pending(at)) => {
                if let Some(pending) = self.pending.get_mut(*at as usize) {
                    pending.is_answered = true;
                }
            }
            Some(Unanswered::Lost(lost)) if !is_answered_by(lost, journey) => {}
            Some(Unanswered::Lost(_) | Unanswered::Undecided) => {
                self.unanswered.remove(&journey.answer);
            }
        }
    }

    /// No answer came until the end.
    pub(super) fn tell_all_unanswered(&mut self) {
        for unanswered in std::mem::take(&mut self.unanswered).into_values() {
            self.tell_unanswered(unanswered);
        }
    }

    fn tell_unanswered(&mut self, unanswered: Unanswered) {
        match unanswered {
            Unanswered::Pending(_) => {}
            Unanswered::Lost(lost) => {
                self.findings.lost_count += 1;
                if self.findings.lost.len() < self.options.listed_max {
                    self.findings.lost.push(*lost);
                }
            }
            Unanswered::Undecided => self.findings.undecided += 1,
        }
    }
}

/// Of TCP a number alone links the two, so that others may share it.
fn is_answered_by(lost: &Lost, answer: &Journey) -> bool {
    let asked = lost.packet.stop;
    let (source, destination) =
        ((asked.source, asked.source_port), (asked.destination, asked.destination_port));
    let mut stops = answer.stops.iter();
    stops.any(|stop| {
        (stop.destination, stop.destination_port) == source && (stop.source, stop.source_port) == destination
    })
}
