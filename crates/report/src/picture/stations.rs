//! The stations of a way and of its way back, as one line of them.

use std::collections::VecDeque;

use model::Path;
use model::path::{Hop, Observed, Place, Predicted};

use crate::tree;

/// A device of a machine, and what becomes of the packets there.
#[derive(Debug, Clone)]
pub(crate) struct Station<'a> {
    /// The host with its namespace, or the instance.
    pub(crate) machine: String,
    /// Empty where the machine as a whole is meant.
    pub(crate) device: &'a str,
    /// The way there comes by here.
    pub(crate) there: Option<Call<'a>>,
    /// The way back does.
    pub(crate) back: Option<Call<'a>>,
}

/// A packet at a device: all its hops there, one after the other.
#[derive(Debug, Clone)]
pub(crate) struct Call<'a> {
    /// Index of its first hop in its path.
    pub(crate) first_hop: usize,
    /// In the packet's order.
    pub(crate) hops: &'a [Hop],
}

impl<'a> Call<'a> {
    /// A drop if there is one, else a doubt.
    pub(crate) fn predicted(&self) -> Predicted {
        let is_any = |wanted| self.hops.iter().any(|hop| hop.predicted == wanted);
        if is_any(Predicted::Drop) {
            Predicted::Drop
        } else if is_any(Predicted::Unknown) {
            Predicted::Unknown
        } else {
            Predicted::Pass
        }
    }

    /// Seen if it was seen at any of its hops.
    pub(crate) fn observed(&self) -> Observed {
        let is_any = |wanted| self.hops.iter().any(|hop| hop.observed == wanted);
        if is_any(Observed::Seen) {
            Observed::Seen
        } else if is_any(Observed::NotSeen) {
            Observed::NotSeen
        } else {
            Observed::NotWatched
        }
    }

    /// Index in its path of the hop to look at: where the packet dies, else the first.
    pub(crate) fn deciding_hop(&self) -> usize {
        let dies = self.hops.iter().position(|hop| hop.predicted == Predicted::Drop);
        self.first_hop + dies.unwrap_or(0)
    }

    /// What is decided there, in the packet's order.
    pub(crate) fn details(&self) -> impl Iterator<Item = &'a str> {
        self.hops.iter().map(|hop| hop.detail.as_str()).filter(|detail| !detail.is_empty())
    }

    fn place(&self) -> Option<&'a Place> {
        self.hops.first().map(|hop| &hop.at)
    }

    fn is_at(&self, other: &Call<'_>) -> bool {
        match (self.place(), other.place()) {
            (Some(here), Some(there)) => here.same_device(there),
            (Some(_) | None, None) | (None, Some(_)) => false,
        }
    }
}

/// Calls of one path, in the packet's order.
pub(crate) fn calls(path: &Path) -> Vec<Call<'_>> {
    let mut first_hop = 0;
    path.hops
        .chunk_by(|one, next| one.at.same_device(&next.at))
        .map(|hops| {
            let call = Call { first_hop, hops };
            first_hop += hops.len();
            call
        })
        .collect()
}

/// More stations than these on both ways together are no picture any more; a loop makes such ways.
const CALLS_MAX: usize = 400;

/// Both ways on one line of stations, in the order of the way there. Where they part, each keeps its own stations.
pub(crate) fn stations<'a>(there: &'a Path, back: Option<&'a Path>) -> Vec<Station<'a>> {
    let mut there = calls(there);
    there.truncate(CALLS_MAX);
    let mut back = back.map(calls).unwrap_or_default();
    back.truncate(CALLS_MAX);
    back.reverse();
    let common = common(&there, &back);
    let (mut there, mut back) = (VecDeque::from(there), VecDeque::from(back));
    let (mut taken, mut returned) = (0, 0);
    let mut line = Vec::new();
    for (at, opposite) in common {
        line.extend(there.drain(..at - taken).filter_map(|call| station(Some(call), None)));
        line.extend(back.drain(..opposite - returned).filter_map(|call| station(None, Some(call))));
        line.extend(station(there.pop_front(), back.pop_front()));
        (taken, returned) = (at + 1, opposite + 1);
    }
    line.extend(there.into_iter().filter_map(|call| station(Some(call), None)));
    line.extend(back.into_iter().filter_map(|call| station(None, Some(call))));
    line
}

fn station<'a>(there: Option<Call<'a>>, back: Option<Call<'a>>) -> Option<Station<'a>> {
    let place = there.as_ref().or(back.as_ref())?.place()?;
    Some(Station { machine: tree::machine_name(place), device: &place.device, there, back })
}

/// Index pairs of the longest line of stations that both have, in order.
fn common(there: &[Call<'_>], back: &[Call<'_>]) -> Vec<(usize, usize)> {
    // lengths[i][j]: of what is common to there[i..] and back[j..].
    let mut lengths = vec![vec![0_usize; back.len() + 1]; there.len() + 1];
    let length = |lengths: &[Vec<usize>], i: usize, j: usize| {
        lengths.get(i).and_then(|row| row.get(j)).copied().unwrap_or(0)
    };
    for (i, call) in there.iter().enumerate().rev() {
        for (j, opposite) in back.iter().enumerate().rev() {
            let best = if call.is_at(opposite) {
                length(&lengths, i + 1, j + 1) + 1
            } else {
                length(&lengths, i + 1, j).max(length(&lengths, i, j + 1))
            };
            if let Some(cell) = lengths.get_mut(i).and_then(|row| row.get_mut(j)) {
                *cell = best;
            }
        }
    }
    let (mut i, mut j) = (0, 0);
    let mut pairs = Vec::new();
    while let (Some(call), Some(opposite)) = (there.get(i), back.get(j)) {
        if call.is_at(opposite) {
            pairs.push((i, j));
            (i, j) = (i + 1, j + 1);
        } else if length(&lengths, i + 1, j) >= length(&lengths, i, j + 1) {
            i += 1;
        } else {
            j += 1;
        }
    }
    pairs
}
