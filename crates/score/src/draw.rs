//! Drawing by a seed, without a stream of numbers: each thing has a number of its own, from the seed and its name, and
//! the lowest are drawn. So a corpus that grows changes few draws, and none of the rest's order.

/// FNV-1a (Fowler, Noll, Vo) over seed and name, stirred by splitmix64's last step, for FNV's high bits are weak.
pub(crate) fn number(seed: u64, name: &str) -> u64 {
    let hash =
        seed.to_le_bytes().iter().chain(name.as_bytes()).fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3)
        });
    let hash = (hash ^ (hash >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let hash = (hash ^ (hash >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    hash ^ (hash >> 31)
}

/// At most so many of these things, in the order of their numbers.
pub(crate) fn first<T>(seed: u64, mut things: Vec<T>, count: usize, name: impl Fn(&T) -> String) -> Vec<T> {
    things.sort_by_cached_key(|thing| number(seed, &name(thing)));
    things.truncate(count);
    things
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_draws_the_same_and_another_seed_other_things() {
        let draw = |seed| first(seed, (0..1000).collect(), 5, i32::to_string);
        assert_eq!(draw(7), draw(7));
        assert_ne!(draw(7), draw(8));
    }

    #[test]
    fn what_is_added_leaves_the_order_of_the_rest() {
        let some = first(3, (0..50).collect(), 50, i32::to_string);
        let mut more = first(3, (0..60).collect(), 60, i32::to_string);
        more.retain(|thing| *thing < 50);
        assert_eq!(some, more);
    }
}
