//! How times are spread, in bounded memory.

/// Buckets of each power of two: a bucket is at most this part of its value wide.
const PARTS: usize = 32;
const PARTS_BITS: u32 = 5;

/// A histogram of nanoseconds; values are told within a thirty-second part of them.
#[derive(Debug, Clone, Default)]
pub struct Spread {
    buckets: Vec<u32>,
    count: u64,
    max: u64,
}

impl Spread {
    /// Counts one.
    pub fn add(&mut self, ns: u64) {
        let index = bucket(ns);
        if self.buckets.len() <= index {
            self.buckets.resize(index + 1, 0);
        }
        if let Some(count) = self.buckets.get_mut(index) {
            *count = count.saturating_add(1);
        }
        self.count += 1;
        self.max = self.max.max(ns);
    }

    /// How many were counted.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The largest.
    pub fn max(&self) -> u64 {
        self.max
    }

    /// How many were larger, but for those within a thirty-second part of it.
    pub fn above(&self, ns: u64) -> u64 {
        self.buckets.iter().skip(bucket(ns) + 1).map(|count| u64::from(*count)).sum()
    }

    /// The value that `percent` of a hundred do not exceed; 0 where nothing was counted.
    pub fn percentile(&self, percent: u64) -> u64 {
        let wanted = (self.count * percent).div_ceil(100).max(1);
        let mut seen = 0;
        for (index, count) in self.buckets.iter().enumerate() {
            seen += u64::from(*count);
            if seen >= wanted {
                return top(index).min(self.max);
            }
        }
        self.max
    }
}

fn bucket(ns: u64) -> usize {
    if ns < PARTS as u64 {
        return usize::try_from(ns).unwrap_or_default();
    }
    let power = ns.ilog2() - PARTS_BITS;
    let part = usize::try_from(ns >> power).unwrap_or_default() - PARTS;
    (power as usize + 1) * PARTS + part
}

/// The largest value of a bucket.
fn top(index: usize) -> u64 {
    if index < PARTS {
        return index as u64;
    }
    let power = u32::try_from(index / PARTS - 1).unwrap_or_default();
    // The last bucket ends where the numbers do.
    ((PARTS + index % PARTS + 1) as u64).wrapping_shl(power).wrapping_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_within_a_thirty_second() {
        let mut spread = Spread::default();
        (1..=100_000).for_each(|ns| spread.add(ns));
        for (percent, exact) in [(1, 1_000), (50, 50_000), (99, 99_000), (100, 100_000)] {
            let told = spread.percentile(percent);
            assert!(told >= exact && told <= exact + exact / 31, "{percent}: {told}");
        }
        for (ns, exact) in [(0, 100_000), (50_000, 50_000), (99_000, 1_000), (100_000, 0)] {
            let told = spread.above(ns);
            assert!(told <= exact && told + ns / 31 >= exact, "{ns}: {told}");
        }
        assert_eq!(Spread::default().percentile(50), 0);
        let mut one = Spread::default();
        one.add(u64::MAX);
        assert_eq!(one.percentile(50), u64::MAX);
    }
}
