//! Numbers from a seed, the same on every machine.

/// splitmix64.
#[derive(Debug, Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Random {
        Random(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// From 0 up to, and without, `end`; 0 where that is 0.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        let number = self.next().checked_rem(end as u64).unwrap_or(0);
        usize::try_from(number).unwrap_or(0)
    }

    pub(crate) fn one_in(&mut self, chances: usize) -> bool {
        self.below(chances) == 0
    }

    /// One of several; `None` of none.
    pub(crate) fn pick<'t, T>(&mut self, choices: &'t [T]) -> Option<&'t T> {
        choices.get(self.below(choices.len()))
    }

    /// One of several that are written down here.
    pub(crate) fn of<T: Copy, const N: usize>(&mut self, choices: [T; N]) -> T {
        const { assert!(N > 0) };
        choices[self.below(N)]
    }
}

/// The seed of the case of this number in a run of this seed: neighbouring runs share no cases.
pub(crate) fn case_seed(seed: u64, number: u64) -> u64 {
    Random::new(seed).next() ^ Random::new(!number).next()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_numbers_and_another_gives_others() {
        let draw = |seed| (0..8).map(|_| 0).scan(Random::new(seed), |r, _: i32| Some(r.next())).collect();
        let (one, again, other): (Vec<u64>, Vec<u64>, Vec<u64>) = (draw(7), draw(7), draw(8));
        assert_eq!(one, again);
        assert_ne!(one, other);
        assert_ne!(case_seed(1, 2), case_seed(2, 1));
    }
}
