//! What somebody probably meant to type.

/// The candidate with the smallest edit distance; the first of equals.
pub(crate) fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    candidates.into_iter().min_by_key(|candidate| distance(typed, candidate))
}

/// The same, but only where it is near enough to be what was meant: at most a third of it differs.
pub(crate) fn meant<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = nearest(typed, candidates)?;
    (distance(typed, near) <= (near.chars().count() / 3).max(1)).then_some(near)
}

/// Levenshtein distance in characters, ignoring case.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.to_lowercase().chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, from) in a.to_lowercase().chars().enumerate() {
        let mut next = vec![i + 1];
        for ((to, diagonal), above) in b.iter().zip(&row).zip(row.iter().skip(1)) {
            let left = next.last().copied().unwrap_or(0);
            let replaced = diagonal + usize::from(from != *to);
            next.push(replaced.min(above + 1).min(left + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        let cases =
            [("", "", 0), ("abc", "", 3), ("", "ab", 2), ("kitten", "sitting", 3), ("NAME", "name", 0)];
        for (a, b, expected) in cases {
            assert_eq!(distance(a, b), expected, "{a} {b}");
        }
    }

    #[test]
    fn a_typo_is_recognised_and_a_stranger_is_not() {
        let keys = ["name", "at", "role", "nova_conf"];
        assert_eq!(nearest("nova-conf", keys), Some("nova_conf"));
        assert_eq!(meant("nmae", keys), None, "two of four letters differ");
        assert_eq!(meant("nam", keys), Some("name"));
        assert_eq!(meant("libvirt", keys), None);
    }
}
