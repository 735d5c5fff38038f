//! Where packets go on to from a vantage, learned from those that did: what makes a missing sighting a loss.

use std::collections::HashMap;
use std::hash::BuildHasherDefault;

use model::sighting::Address;

use crate::VANTAGES_MAX;
use crate::hash::Mixed;

/// Destinations remembered; of more, what is known of the stretch before decides.
const DESTINATIONS_MAX: usize = 100_000;
/// Vantages that one destination is reached over, from one vantage.
const WAYS: usize = 3;
/// One in so many must go on for a stop to be a loss: what goes on more rarely goes there by accident.
const SHARE: u32 = 100;

/// Of the packets at one vantage for one destination: where they went on to, and how many ended there.
#[derive(Debug, Clone, Copy, Default)]
struct Ways {
    to: [(u16, u32); WAYS],
    ended: u32,
    /// What was known beforehand: it counts where nothing else was seen.
    taught: Option<u16>,
}

impl Ways {
    fn went(&mut self, vantage: u16) {
        let known = self.to.iter_mut().find(|(to, count)| *count > 0 && *to == vantage);
        if let Some((_, count)) = known {
            *count = count.saturating_add(1);
        } else if let Some(free) = self.to.iter_mut().find(|(_, count)| *count == 0) {
            *free = (vantage, 1);
        }
    }

    fn best(&self, visited: u64) -> Option<u16> {
        let open = self.to.iter().filter(|(to, count)| *count > 0 && visited & bit(*to) == 0);
        let (to, count) = open.max_by_key(|(_, count)| *count)?;
        (count.saturating_mul(SHARE) >= self.ended).then_some(*to)
    }
}

/// Where what is known of a vantage and a destination is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Remembered(u32);

pub(crate) fn bit(vantage: u16) -> u64 {
    1_u64.checked_shl(u32::from(vantage)).unwrap_or_default()
}

#[derive(Debug)]
pub(crate) struct NextHops {
    /// Where in `ways` a vantage and destination are.
    by_destination: HashMap<(u16, Address), u32, BuildHasherDefault<Mixed>>,
    ways: Vec<Ways>,
    /// By the vantage before (the last row is for none) and this one.
    by_stretch: Vec<Ways>,
}

/// Where in `by_stretch` a stretch is.
fn row(before: Option<u16>, at: u16) -> usize {
    before.map_or(VANTAGES_MAX, usize::from) * VANTAGES_MAX + usize::from(at)
}

/// What is known of a packet that was last seen at a vantage.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Expected {
    /// Others for the same destination went on to there.
    At(u16),
    /// This is where packets to this destination end.
    Nowhere,
    /// Too little was seen.
    Unknown,
}

impl NextHops {
    pub(crate) fn new() -> NextHops {
        let by_stretch = vec![Ways::default(); (VANTAGES_MAX + 1) * VANTAGES_MAX];
        NextHops { by_destination: HashMap::default(), ways: Vec::new(), by_stretch }
    }

    /// Packets for `destination` are meant to go from `at` on to `next`.
    pub(crate) fn teach(&mut self, at: u16, destination: Address, next: u16) {
        let remembered = self.place(at, destination);
        if let Some(ways) = remembered.and_then(|place| self.ways.get_mut(place.0 as usize)) {
            ways.taught = Some(next);
        }
    }

    /// Where packets at one vantage for one destination are remembered; `None` where there is no room for more.
    pub(crate) fn place(&mut self, at: u16, destination: Address) -> Option<Remembered> {
        if let Some(known) = self.by_destination.get(&(at, destination)) {
            return Some(Remembered(*known));
        }
        let index = u32::try_from(self.ways.len()).ok().filter(|_| self.ways.len() < DESTINATIONS_MAX)?;
        self.by_destination.insert((at, destination), index);
        self.ways.push(Ways::default());
        Some(Remembered(index))
    }

    fn ways(&self, remembered: Option<Remembered>) -> Option<&Ways> {
        self.ways.get(remembered?.0 as usize)
    }

    /// A packet remembered there went from `at` on to `next`, or ended there; `before` is where it was before.
    pub(crate) fn learn(
        &mut self,
        before: Option<u16>,
        at: u16,
        remembered: Option<Remembered>,
        next: Option<u16>,
    ) {
        let by_destination = remembered.and_then(|place| self.ways.get_mut(place.0 as usize));
        let by_stretch = self.by_stretch.get_mut(row(before, at));
        for ways in by_destination.into_iter().chain(by_stretch) {
            match next {
                Some(next) => ways.went(next),
                None => ways.ended = ways.ended.saturating_add(1),
            }
        }
    }

    /// Where a packet that was last seen at a vantage should have been seen next.
    pub(crate) fn expected(&self, remembered: Option<Remembered>, visited: u64) -> Expected {
        /// So many that ended are a habit.
        const HABIT: u32 = 64;
        let Some(ways) = self.ways(remembered) else { return Expected::Unknown };
        match (ways.best(visited), ways.taught) {
            (Some(next), _) => Expected::At(next),
            (None, Some(next)) if visited & bit(next) == 0 => Expected::At(next),
            (None, Some(_) | None) if ways.ended >= HABIT => Expected::Nowhere,
            (None, Some(_) | None) => Expected::Unknown,
        }
    }

    /// The same where nothing is known of the destination: where nearly all others went that came as it did.
    pub(crate) fn usual(&self, before: Option<u16>, at: u16, visited: u64) -> Option<u16> {
        let ways = self.by_stretch.get(row(before, at))?;
        let next = ways.best(visited)?;
        let count = ways.to.iter().find(|(to, _)| *to == next)?.1;
        // Nineteen of twenty.
        (count >= 20 && count / 19 >= ways.ended).then_some(next)
    }

    /// A vantage before `next` that nearly every packet remembered there is seen at.
    pub(crate) fn between(
        &self,
        remembered: Option<Remembered>,
        destination: Address,
        next: u16,
        visited: u64,
    ) -> Option<u16> {
        let ways = self.ways(remembered)?;
        let usual = ways.best(visited)?;
        let count_to =
            |to: u16| ways.to.iter().find(|(known, _)| *known == to).map_or(0, |(_, count)| *count);
        let behind = self.by_destination.get(&(usual, destination)).copied().map(Remembered);
        let goes_on = self.ways(behind)?.to.iter().any(|(to, count)| *to == next && *count > 0);
        (goes_on && count_to(usual) / 10 > count_to(next)).then_some(usual)
    }
}
