//! Times on a stretch, for a strip of dots: evenly thinned where there are many, with the longest always among them.

/// Dots of one strip.
const SAMPLES_MAX: usize = 600;
/// Of these, the longest times.
const LONGEST_MAX: usize = 16;

/// When, and how long it took, in nanoseconds; each by the clocks of the vantages themselves.
pub(super) type Sample = (i64, i64);

#[derive(Debug)]
pub(super) struct Samples {
    even: Vec<Sample>,
    /// The longest first.
    longest: Vec<Sample>,
    /// One of so many is kept.
    every: u64,
    count: u64,
}

impl Default for Samples {
    fn default() -> Samples {
        Samples { even: Vec::new(), longest: Vec::new(), every: 1, count: 0 }
    }
}

impl Samples {
    pub(super) fn add(&mut self, time_ns: i64, took_ns: i64) {
        if self.count.is_multiple_of(self.every) {
            if self.even.len() >= SAMPLES_MAX {
                let mut number = 0_usize;
                self.even.retain(|_| {
                    number += 1;
                    !number.is_multiple_of(2)
                });
                self.every *= 2;
            }
            if self.count.is_multiple_of(self.every) {
                self.even.push((time_ns, took_ns));
            }
        }
        self.count += 1;
        let at = self.longest.partition_point(|(_, known)| *known >= took_ns);
        if at < LONGEST_MAX {
            self.longest.insert(at, (time_ns, took_ns));
            self.longest.truncate(LONGEST_MAX);
        }
    }

    /// Those that are drawn, by time.
    pub(super) fn drawn(&self) -> Vec<Sample> {
        let mut all: Vec<Sample> = self.even.iter().chain(&self.longest).copied().collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// All that were measured.
    pub(super) fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_thinned_evenly_and_the_longest_stay() {
        let mut samples = Samples::default();
        for number in 0..100_000 {
            samples.add(number, if number == 77_777 { 9_000 } else { 10 + number % 3 });
        }
        let drawn = samples.drawn();
        assert!(drawn.len() <= SAMPLES_MAX + LONGEST_MAX && drawn.len() > SAMPLES_MAX / 2, "{}", drawn.len());
        assert!(drawn.contains(&(77_777, 9_000)));
        let gaps = samples.even.windows(2).map(|pair| pair[1].0 - pair[0].0);
        assert_eq!(gaps.clone().min(), gaps.max(), "as far from one another everywhere");
        assert_eq!(samples.even.first(), Some(&(0, 10)));
        assert_eq!(samples.count(), 100_000);
    }

    #[test]
    fn few_are_all_drawn() {
        let mut samples = Samples::default();
        for (time, took) in [(3, 5), (1, 4), (2, 9)] {
            samples.add(time, took);
        }
        assert_eq!(samples.drawn(), [(1, 4), (2, 9), (3, 5)]);
    }
}
