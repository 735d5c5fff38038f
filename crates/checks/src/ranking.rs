//! The order in which findings are told: what stops a packet first comes first, what stops nothing comes last.

use model::finding::Finding;
use model::path::Place;

use crate::found::Reach;

/// Where a finding stands among the others.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Rank {
    /// It stops this rung's question, by the ladder's count.
    Rung(usize),
    /// It stops what would pass if those before it were mended.
    Behind,
    /// It stops nothing.
    Idle,
}

/// A finding with its rank.
#[derive(Debug)]
pub(crate) struct Ranked {
    pub(crate) rank: Rank,
    /// How far it goes beyond what walks foresee.
    pub(crate) reach: Reach,
    /// A walk ends at it, and so foresees whatever it stops.
    pub(crate) is_foreseen: bool,
    /// Of a loss, the last device that saw the packets, where one did; of a fault, where it loses them, where that is
    /// not its own hop.
    pub(crate) seen_at: Option<Place>,
    pub(crate) finding: Finding,
}

/// The findings in the order of their ranks; of equals the one that was found first.
pub(crate) fn ordered(mut findings: Vec<Ranked>) -> Vec<Finding> {
    findings.sort_by_key(|ranked| ranked.rank);
    findings.into_iter().map(|ranked| ranked.finding).collect()
}
