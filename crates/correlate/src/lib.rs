//! Sightings into journeys: the same packet at many vantages, through NAT, by clocks that differ.
//!
//! Sources (files, rings) hand over their sightings in batches, each in the order of its own clock;
//! [`Merge`] puts them in one order, and [`Correlator`] joins them. A packet is known by what survives on
//! its way ([`model::sighting::Sighting::identity`]); of several that look alike, addresses, IP id and order
//! decide. A journey is closed a window after its first sighting, and everything that is told is learned
//! from closed journeys, so memory depends on the window and not on the length of the capture.
//!
//! Clocks: of two vantages, the difference is bounded by causality. A packet that is seen at one with a
//! higher TTL was there first; a packet and its answer cross the stretch between them in opposite
//! directions. See [`clock`].

mod clock;
mod close;
mod exchange;
mod hash;
mod join;
mod journey;
mod merge;
mod next_hop;
mod open;
mod prelude;
mod report;
mod spread;

pub use clock::Interval;
pub use join::Correlator;
pub use journey::{Journey, Stop};
pub use merge::Merge;
pub use report::{EXAMPLES_MAX, Example, Findings, Lost, Nat, Report, Stretch, VantageReport};
pub use spread::Spread;

/// Vantages that one run can tell apart.
pub const VANTAGES_MAX: usize = 64;

/// A place to look, and whose clock stamps what is seen there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Vantage {
    /// Index of the source; its vantages share a clock.
    pub source: u16,
    /// What the source itself numbers it.
    pub local: u16,
}

/// What a run keeps, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// A journey is closed this long after its first sighting, in nanoseconds.
    pub window_ns: i64,
    /// The same packet at the same vantage again is a duplicate up to this gap, and sent again beyond it.
    /// TCP waits at least 200 ms before it sends again (include/net/tcp.h, `TCP_RTO_MIN`).
    pub duplicate_ns: i64,
    /// Places for sightings in open journeys, of which each takes at least four; above it the oldest are closed
    /// early, and the report says so. A place has 64 octets.
    pub open_max: usize,
    /// Lost packets that are told one by one; more are counted.
    pub listed_max: usize,
    /// A loss is told as soon as its journey is over, and not only where no answer has shown that it arrived: for
    /// a view of what goes on.
    pub at_once: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            window_ns: 2_000_000_000,
            duplicate_ns: 100_000_000,
            open_max: 1_600_000,
            listed_max: 100_000,
            at_once: false,
        }
    }
}
