//! How far each source's clock is ahead of another's, bounded by causality.
//!
//! Where a packet is seen at `a` and later on its way at `b`, the stamp at `b` less the stamp at `a` is the
//! time it took plus how far b's clock is ahead; the time it took is not negative, so the difference of the
//! stamps is an upper bound of how far b is ahead of a. A packet that goes the other way bounds it from
//! below. Bounds of three clocks bound one another. Clocks drift: bounds are kept for stretches of time.

/// How far a clock is ahead of another, at least and at most, in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Interval {
    /// At least.
    pub low: i64,
    /// At most.
    pub high: i64,
}

impl Interval {
    fn middle(self) -> i64 {
        self.low.midpoint(self.high)
    }
}

/// No bound.
const NONE: i64 = i64::MAX;
/// Stretches of time kept apart; when there are more, each two are made one.
const STRETCHES_MAX: usize = 64;
/// A crystal drifts by some 50 parts in a million at worst, half a millisecond in this time.
pub(crate) const STRETCH_NS: i64 = 10_000_000_000;

#[derive(Debug)]
pub(crate) struct Clocks {
    sources: usize,
    stretches: Vec<Bounds>,
    stretch_ns: i64,
    begin: Option<i64>,
    /// The stretch of time before, and the one that goes on; of `STRETCH_NS`, however long the capture.
    recent: [Bounds; 2],
    recent_begin: i64,
}

/// `at_most[a * sources + b]`: how far b's clock is ahead of a's at most.
#[derive(Debug, Clone)]
struct Bounds {
    at_most: Vec<i64>,
}

impl Bounds {
    fn new(sources: usize) -> Bounds {
        Bounds { at_most: vec![NONE; sources * sources] }
    }

    fn get(&self, sources: usize, a: usize, b: usize) -> i64 {
        if a == b { 0 } else { self.at_most.get(a * sources + b).copied().unwrap_or(NONE) }
    }

    fn lower(&mut self, sources: usize, a: usize, b: usize, bound: i64) {
        if let Some(at_most) = self.at_most.get_mut(a * sources + b) {
            *at_most = (*at_most).min(bound);
        }
    }

    fn meet(&mut self, other: &Bounds) {
        for (mine, theirs) in self.at_most.iter_mut().zip(&other.at_most) {
            *mine = (*mine).min(*theirs);
        }
    }

    /// Bounds over a third clock (Floyd and Warshall).
    fn close(&mut self, sources: usize) {
        for via in 0..sources {
            for a in 0..sources {
                let first = self.get(sources, a, via);
                if first == NONE {
                    continue;
                }
                for b in 0..sources {
                    let second = self.get(sources, via, b);
                    if second != NONE {
                        self.lower(sources, a, b, first.saturating_add(second));
                    }
                }
            }
        }
    }

    fn interval(&self, sources: usize, a: usize, b: usize) -> Option<Interval> {
        let (high, low) = (self.get(sources, a, b), self.get(sources, b, a));
        (high != NONE && low != NONE).then(|| Interval { low: low.saturating_neg(), high })
    }
}

impl Clocks {
    pub(crate) fn new(sources: usize) -> Clocks {
        let recent = [Bounds::new(sources), Bounds::new(sources)];
        let (stretches, begin) = (Vec::new(), None);
        Clocks { sources, stretches, stretch_ns: STRETCH_NS, begin, recent, recent_begin: i64::MIN }
    }

    /// A packet was at `a`, and later on its way at `b`; `now` by the common clock.
    pub(crate) fn passed(&mut self, now: i64, a: (u16, i64), b: (u16, i64)) {
        if a.0 == b.0 {
            return;
        }
        self.bound(now, usize::from(a.0), usize::from(b.0), b.1.saturating_sub(a.1));
    }

    /// Two packets crossed the stretch between `a` and `b` in opposite directions, whichever: stamps of each.
    pub(crate) fn crossed(&mut self, now: i64, a: (u16, [i64; 2]), b: (u16, [i64; 2])) {
        let [one, other] = [0, 1].map(|i| b.1[i].saturating_sub(a.1[i]));
        let (low, high) = (one.min(other), one.max(other));
        let (a, b) = (usize::from(a.0), usize::from(b.0));
        if a != b {
            self.bound(now, a, b, high);
            self.bound(now, b, a, low.saturating_neg());
        }
    }

    fn bound(&mut self, now: i64, a: usize, b: usize, bound: i64) {
        let sources = self.sources;
        self.stretch(now).lower(sources, a, b, bound);
        if now.saturating_sub(self.recent_begin) >= STRETCH_NS {
            self.recent_begin = now;
            self.recent.swap(0, 1);
            self.recent[1].at_most.fill(NONE);
        }
        self.recent[1].lower(sources, a, b, bound);
    }

    fn stretch(&mut self, now: i64) -> &mut Bounds {
        let begin = *self.begin.get_or_insert(now);
        let mut index =
            usize::try_from(now.saturating_sub(begin).max(0) / self.stretch_ns).unwrap_or_default();
        while index >= STRETCHES_MAX {
            self.coarsen();
            index /= 2;
        }
        let sources = self.sources;
        if self.stretches.len() <= index {
            self.stretches.resize_with(index + 1, || Bounds::new(sources));
        }
        &mut self.stretches[index]
    }

    fn coarsen(&mut self) {
        self.stretch_ns = self.stretch_ns.saturating_mul(2);
        let sources = self.sources;
        let pairs = self.stretches.chunks(2).map(|pair| {
            let mut met = Bounds::new(sources);
            pair.iter().for_each(|bounds| met.meet(bounds));
            met
        });
        self.stretches = pairs.collect();
    }

    /// How far each source is ahead of the first by now, where that is bounded on both sides.
    pub(crate) fn now(&self) -> Vec<Option<i64>> {
        let [before, mut bounds] = self.recent.clone();
        // A new stretch knows little; what the one before knew is still about right.
        let mut met = bounds.clone();
        met.meet(&before);
        met.close(self.sources);
        if met.is_possible(self.sources) {
            bounds = met;
        }
        bounds = bounds.closed_where_possible(self.sources);
        (0..self.sources).map(|b| bounds.interval(self.sources, 0, b).map(Interval::middle)).collect()
    }

    /// How far each source's clock is ahead of the reference's, and whether clocks drift: then no offset fits
    /// all of the time, and the interval spans those of its parts.
    pub(crate) fn offsets(&self, reference: usize) -> (Vec<Option<Interval>>, bool) {
        let sources = self.sources;
        let mut all = Bounds::new(sources);
        self.stretches.iter().for_each(|bounds| all.meet(bounds));
        all.close(sources);
        if all.is_possible(sources) {
            return ((0..sources).map(|b| all.interval(sources, reference, b)).collect(), false);
        }
        // Within one part of a drift, bounds may contradict one another too: it spans both.
        let closed: Vec<Bounds> =
            self.stretches.iter().map(|bounds| bounds.closed_where_possible(sources)).collect();
        let span = |b: usize| {
            let parts = closed.iter().filter_map(|bounds| bounds.interval(sources, reference, b));
            let parts =
                parts.map(|part| Interval { low: part.low.min(part.high), high: part.high.max(part.low) });
            parts.reduce(|a, b| Interval { low: a.low.min(b.low), high: a.high.max(b.high) })
        };
        ((0..sources).map(span).collect(), true)
    }

    /// The intervals between `a` and every other source that is bounded on both sides, closed over all time.
    pub(crate) fn agreeing(&self, a: usize) -> usize {
        let (offsets, _) = self.offsets(a);
        let agrees = |(b, offset): (usize, &Option<Interval>)| {
            b != a && offset.is_some_and(|interval| interval.low <= 0 && interval.high >= 0)
        };
        offsets.iter().enumerate().filter(|of| agrees(*of)).count()
    }
}

impl Bounds {
    /// With bounds over third clocks, unless all together contradict one another.
    fn closed_where_possible(&self, sources: usize) -> Bounds {
        let mut closed = self.clone();
        closed.close(sources);
        if closed.is_possible(sources) { closed } else { self.clone() }
    }

    /// No clock is ahead of itself.
    fn is_possible(&self, sources: usize) -> bool {
        let sum = |a, b| {
            let (there, back) = (self.get(sources, a, b), self.get(sources, b, a));
            if there == NONE || back == NONE { 0 } else { there.saturating_add(back) }
        };
        (0..sources).all(|a| (0..a).all(|b| sum(a, b) >= 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: i64 = 1_000_000_000;

    /// Packets each way every 100 ms, 50 us on the way, between clocks of which one is ahead by what `ahead` says.
    fn run(seconds: i64, ahead: impl Fn(i64) -> i64) -> Clocks {
        let mut clocks = Clocks::new(2);
        for now in (0..seconds * SECOND).step_by(100_000_000) {
            clocks.passed(now, (0, now), (1, now + 50_000 + ahead(now)));
            clocks.passed(now, (1, now + ahead(now)), (0, now + 50_000));
        }
        clocks
    }

    #[test]
    fn a_steady_offset_is_within_its_interval() {
        let clocks = run(100, |_| 3_000_000);
        let (offsets, drifts) = clocks.offsets(0);
        assert_eq!(offsets[1], Some(Interval { low: 2_950_000, high: 3_050_000 }));
        assert!(!drifts);
        let (offsets, _) = clocks.offsets(1);
        assert_eq!(offsets[0], Some(Interval { low: -3_050_000, high: -2_950_000 }));
    }

    #[test]
    fn a_clock_that_drifts_for_hours_is_followed_and_said_to_drift() {
        // Twenty parts in a million, for three hours: 216 ms.
        let ahead = |now: i64| now / 50_000;
        let clocks = run(10_800, ahead);
        let (offsets, drifts) = clocks.offsets(0);
        assert!(drifts);
        let offset = offsets[1].unwrap();
        assert!(offset.low <= 3_000_000 && offset.high >= ahead(10_800 * SECOND) - 3_000_000, "{offset:?}");
        let now = clocks.now()[1].unwrap();
        assert!((now - ahead(10_800 * SECOND)).abs() < 400_000, "{now}");
    }

    #[test]
    fn clocks_are_bounded_over_a_third() {
        let mut clocks = Clocks::new(3);
        clocks.crossed(0, (0, [0, 1000]), (1, [600, 800]));
        clocks.crossed(0, (1, [0, 1000]), (2, [600, 800]));
        assert_eq!(clocks.offsets(0).0[2], Some(Interval { low: -400, high: 1200 }));
        clocks.passed(0, (0, 0), (2, 100));
        assert_eq!(clocks.offsets(0).0[2], Some(Interval { low: -400, high: 100 }));
        assert_eq!(Clocks::new(2).offsets(0).0[1], None);
    }
}
