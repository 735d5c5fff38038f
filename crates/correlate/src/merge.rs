//! Sightings of several sources in one order of time.

use std::collections::VecDeque;

use model::sighting::Sighting;

use crate::{VANTAGES_MAX, Vantage};

/// A vantage that has not turned up yet, and one too many.
const UNSEEN: u16 = u16::MAX;
const TOO_MANY: u16 = u16::MAX - 1;

/// The sources' sightings that have not been joined yet.
///
/// The caller asks which source is [`Merge::wanted`], gives its next batch or says that it is over, and takes
/// sightings with [`Merge::take`] until another batch is wanted.
#[derive(Debug, Default)]
pub struct Merge {
    sources: Vec<Source>,
    vantages: Vec<Vantage>,
    unplaced: u64,
}

#[derive(Debug, Default)]
struct Source {
    batches: VecDeque<Vec<Sighting>>,
    /// Position in the first batch; its end when all of it was taken.
    at: usize,
    /// Aligned time of the sighting at `at`; `None` while there is no batch.
    head: Option<i64>,
    is_over: bool,
    /// What this source's vantages are in all; they are numbered as they turn up.
    numbers: Vec<u16>,
    /// Nanoseconds that this source's clock is ahead, as far as is known.
    ahead_ns: i64,
}

impl Source {
    fn look(&mut self) {
        let first = self.batches.front().and_then(|batch| batch.get(self.at));
        // No batch is empty.
        let sighting = first.or_else(|| self.batches.get(1).and_then(|batch| batch.first()));
        self.head = sighting.map(|s| s.time_ns.saturating_sub(self.ahead_ns));
    }

    /// The sighting at the head, and the one behind it becomes the head.
    fn take(&mut self) -> Option<&Sighting> {
        if self.batches.front().is_some_and(|batch| self.at >= batch.len()) {
            self.batches.pop_front();
            self.at = 0;
        }
        self.at += 1;
        self.look();
        self.batches.front()?.get(self.at - 1)
    }
}

impl Merge {
    /// Of that many sources.
    pub fn new(sources: usize) -> Merge {
        Merge {
            sources: (0..sources).map(|_| Source::default()).collect(),
            vantages: Vec::new(),
            unplaced: 0,
        }
    }

    /// The vantages that have turned up, in the order in which sightings are numbered with them.
    pub fn vantages(&self) -> &[Vantage] {
        &self.vantages
    }

    /// The number of a vantage at which nothing was seen yet; `None` where there are too many.
    pub fn introduce(&mut self, source: usize, local: u16) -> Option<u16> {
        let numbers = &self.sources.get(source)?.numbers;
        let number = match numbers.get(usize::from(local)).copied().unwrap_or(UNSEEN) {
            UNSEEN => self.number(source, local),
            number => number,
        };
        (number != TOO_MANY).then_some(number)
    }

    /// Sightings passed over because they are of more vantages than can be told apart.
    pub fn unplaced(&self) -> u64 {
        self.unplaced
    }

    /// A source without which the order cannot be told.
    pub fn wanted(&self) -> Option<usize> {
        self.sources.iter().position(|source| source.head.is_none() && !source.is_over)
    }

    /// The next sightings of a source; an empty batch is its end.
    pub fn give(&mut self, source: usize, batch: Vec<Sighting>) {
        let Some(source) = self.sources.get_mut(source) else { return };
        if batch.is_empty() {
            source.is_over = true;
        } else {
            source.batches.push_back(batch);
            source.look();
        }
    }

    /// Batches given and not taken, for a look ahead.
    pub fn waiting(&self, source: usize) -> impl Iterator<Item = &Sighting> {
        let batches = self.sources.get(source).map(|source| &source.batches);
        batches.into_iter().flatten().flatten()
    }

    /// Says how far a source's clock is ahead, for the order of what follows.
    pub fn set_ahead(&mut self, source: usize, ahead_ns: i64) {
        if let Some(source) = self.sources.get_mut(source) {
            source.ahead_ns = ahead_ns;
            source.look();
        }
    }

    /// The earliest sighting, numbered among all vantages, what that vantage is, and the time by the common
    /// clock; `None` where a batch is wanted, or at the end.
    pub fn take(&mut self) -> Option<(&Sighting, Vantage, i64)> {
        loop {
            let (index, time) = self.earliest()?;
            let source = self.sources.get_mut(index)?;
            let local = source.take()?.vantage;
            let number = match source.numbers.get(usize::from(local)).copied().unwrap_or(UNSEEN) {
                UNSEEN => self.number(index, local),
                number => number,
            };
            if number == TOO_MANY {
                self.unplaced += 1;
                continue;
            }
            let source = self.sources.get_mut(index)?;
            let sighting = source.batches.front_mut()?.get_mut(source.at - 1)?;
            sighting.vantage = number;
            let source = u16::try_from(index).unwrap_or(u16::MAX);
            return Some((sighting, Vantage { source, local }, time));
        }
    }

    fn earliest(&self) -> Option<(usize, i64)> {
        let mut best: Option<(usize, i64)> = None;
        for (index, source) in self.sources.iter().enumerate() {
            match (source.head, best) {
                (None, _) if source.is_over => {}
                (None, _) => return None,
                (Some(head), Some((_, earliest))) if head >= earliest => {}
                (Some(head), _) => best = Some((index, head)),
            }
        }
        best
    }

    fn number(&mut self, index: usize, local: u16) -> u16 {
        let number = if self.vantages.len() < VANTAGES_MAX {
            let source = u16::try_from(index).unwrap_or(u16::MAX);
            self.vantages.push(Vantage { source, local });
            u16::try_from(self.vantages.len() - 1).unwrap_or(TOO_MANY)
        } else {
            TOO_MANY
        };
        if let Some(source) = self.sources.get_mut(index) {
            if source.numbers.len() <= usize::from(local) {
                source.numbers.resize(usize::from(local) + 1, UNSEEN);
            }
            if let Some(known) = source.numbers.get_mut(usize::from(local)) {
                *known = number;
            }
        }
        number
    }
}
