//! A few of many by name, for lines that people read.

use std::fmt::Display;

/// Of many, those that are told by name, at most.
const NAMED_MAX: usize = 4;

/// `a, b, c, d and 2 more`: the first of them by name, and how many there are beside.
pub fn named<T: Display>(all: &[T]) -> String {
    let named: Vec<String> = all.iter().take(NAMED_MAX).map(ToString::to_string).collect();
    let named = named.join(", ");
    match all.len().saturating_sub(NAMED_MAX) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

#[cfg(test)]
mod tests {
    use super::named;

    #[test]
    fn the_first_are_named_and_the_others_counted() {
        assert_eq!(named(&[1, 2, 3, 4]), "1, 2, 3, 4");
        assert_eq!(named(&[1, 2, 3, 4, 5, 6]), "1, 2, 3, 4 and 2 more");
        assert_eq!(named::<u8>(&[]), "");
    }
}
