//! Requests that wait for their answers: what each pair tells of clocks, of ways and of who answers.

use model::sighting::Kind;

use crate::clock::Clocks;
use crate::journey::Journey;

/// Requests remembered at a time; a newer one takes the place of an older.
/// So few that all stay in a processor's cache.
const PLACES: usize = 1 << 13;
/// Sources that one request is remembered at.
const VISITS_MAX: usize = 6;

/// A journey at one source: stamps of its first and last sighting there.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Visit {
    pub(crate) source: u16,
    pub(crate) first: i64,
    pub(crate) last: i64,
}

#[derive(Debug, Clone, Copy, Default)]
struct Request {
    ask: u64,
    visits: [Visit; VISITS_MAX],
    count: u8,
    /// Vantages, as bits.
    seen_at: u64,
    /// Who answered: its link-layer address, at which vantage.
    answered: Option<(u64, u16)>,
}

#[derive(Debug)]
pub(crate) struct Exchanges {
    places: Vec<Request>,
}

/// What an answer tells of its request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Vantages at which the request was seen, as bits.
    pub(crate) request_at: u64,
    /// Another machine has answered before: its link-layer address.
    pub(crate) other_sender: Option<u64>,
}

impl Exchanges {
    pub(crate) fn new() -> Exchanges {
        Exchanges { places: vec![Request::default(); PLACES] }
    }

    fn place(&mut self, hash: u64) -> Option<&mut Request> {
        let index = usize::try_from(hash >> 20).unwrap_or_default() % PLACES;
        self.places.get_mut(index)
    }

    /// A request is over.
    pub(crate) fn asked(&mut self, ask: u64, visits: &[Visit], seen_at: u64) {
        let Some(place) = self.place(ask) else { return };
        if place.ask == ask {
            // Sent again: an answer may be to either, and bounds no clock less for it. It may have moved since.
            place.seen_at |= seen_at;
            place.answered = None;
            return;
        }
        *place = Request { ask, seen_at, ..Request::default() };
        for (kept, visit) in place.visits.iter_mut().zip(visits) {
            *kept = *visit;
            place.count += 1;
        }
    }

    /// An answer is over: request and answer have crossed whatever lies between two sources in opposite
    /// directions.
    pub(crate) fn answered(
        &mut self,
        journey: &Journey,
        visits: &[Visit],
        clocks: &mut Clocks,
    ) -> Option<Answer> {
        let place = self.place(journey.answer)?;
        if place.ask != journey.answer {
            return None;
        }
        let request = place.visits.get(..usize::from(place.count)).unwrap_or_default();
        let back = |source: u16| visits.iter().find(|visit| visit.source == source);
        for pair in request.windows(2) {
            let [a, b] = pair else { continue };
            let (Some(back_a), Some(back_b)) = (back(a.source), back(b.source)) else { continue };
            // What lies between them: from the last look at one to the first at the other.
            let there = (a.source, [a.last, back_a.first]);
            clocks.crossed(journey.opened, there, (b.source, [b.first, back_b.last]));
        }
        let first = journey.stops.first().map(|stop| stop.vantage);
        let other_sender = match (place.answered, first) {
            // What an ARP packet tells of its sender is the same everywhere.
            (Some((sender, vantage)), Some(first))
                if sender != journey.sender && (vantage == first || journey.kind == Kind::ArpReply) =>
            {
                Some(sender).filter(|sender| *sender != 0 && journey.sender != 0)
            }
            _ => None,
        };
        place.answered = first.map(|vantage| (journey.sender, vantage));
        Some(Answer { request_at: place.seen_at, other_sender })
    }
}
