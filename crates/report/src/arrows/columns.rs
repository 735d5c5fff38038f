//! The order of the columns: vantages that packets pass one after another stand side by side.

/// Vantages from left to right, by the ways of packets over them. The longest way is the line that the others join; an
/// answer goes it backwards. What goes first, goes to the right.
pub(crate) fn order(ways: &[Vec<u16>]) -> Vec<u16> {
    let mut longest: Vec<&Vec<u16>> = ways.iter().collect();
    longest.sort_by_key(|way| std::cmp::Reverse(way.len()));
    let mut line: Vec<u16> = Vec::new();
    for way in longest {
        join(&mut line, way);
    }
    if ways.iter().find_map(|way| goes_left(&line, way)) == Some(true) {
        line.reverse();
    }
    line
}

/// Whether a way leads to the left; none where it leads nowhere.
fn goes_left(line: &[u16], way: &[u16]) -> Option<bool> {
    let column = |vantage: u16| line.iter().position(|known| *known == vantage);
    let (from, to) = (column(*way.first()?)?, column(*way.last()?)?);
    (from != to).then_some(to < from)
}

/// Puts what is new of a way beside what is known of it, in the direction in which the way goes along the line.
fn join(line: &mut Vec<u16>, way: &[u16]) {
    let place = |line: &[u16], vantage: u16| line.iter().position(|known| *known == vantage);
    let known: Vec<usize> = way.iter().filter_map(|vantage| place(line, *vantage)).collect();
    let goes_right = known.first() <= known.last();
    // What comes before the first known one is put there the other way round.
    let start = way.iter().position(|vantage| line.contains(vantage)).unwrap_or(0);
    let (before, after) = way.split_at(start);
    let mut beside = after.first().copied();
    for vantage in before.iter().rev() {
        if line.contains(vantage) {
            continue;
        }
        let at = beside.and_then(|beside| place(line, beside)).unwrap_or(0);
        line.insert(if goes_right { at } else { at + 1 }, *vantage);
        beside = Some(*vantage);
    }
    let mut beside = None;
    for vantage in after {
        if !line.contains(vantage) {
            let at = beside.and_then(|beside| place(line, beside));
            match at {
                Some(at) => line.insert(if goes_right { at + 1 } else { at }, *vantage),
                None => line.push(*vantage),
            }
        }
        beside = Some(*vantage);
    }
}

/// The machine and the device that a vantage's name tells of: `HOST/NETNS/DEVICE`; any other name is a device's.
pub(crate) fn parts(name: &str) -> (String, &str) {
    let mut parts = name.splitn(3, '/');
    match (parts.next(), parts.next(), parts.next()) {
        (Some(host), Some(""), Some(device)) if !host.is_empty() && !device.is_empty() => {
            (host.to_owned(), device)
        }
        (Some(host), Some(netns), Some(device)) if !host.is_empty() && !device.is_empty() => {
            (format!("{host} {netns}"), device)
        }
        _ => (String::new(), name),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn joined(ways: &[&[u16]]) -> Vec<u16> {
        let mut line = Vec::new();
        ways.iter().for_each(|way| join(&mut line, way));
        line
    }

    #[test]
    fn ways_that_share_vantages_share_columns() {
        assert_eq!(joined(&[&[0, 1, 2], &[2, 1, 0]]), [0, 1, 2]);
        assert_eq!(joined(&[&[0, 1, 2], &[0, 1, 3]]), [0, 1, 3, 2], "beside the one where they part");
        assert_eq!(joined(&[&[1, 2], &[2, 1, 0]]), [0, 1, 2], "an answer goes on to the left");
        assert_eq!(joined(&[&[1, 2], &[0, 1, 2]]), [0, 1, 2]);
        assert_eq!(joined(&[&[1, 2], &[3, 2, 1]]), [1, 2, 3]);
        assert_eq!(joined(&[&[0, 1], &[7, 8]]), [0, 1, 7, 8]);
        assert_eq!(joined(&[&[0, 1, 0, 1], &[1]]), [0, 1]);
        assert!(joined(&[&[]]).is_empty());
    }

    #[test]
    fn a_name_tells_the_machine_where_it_is_a_vantages() {
        assert_eq!(parts("compute1//vnet0"), ("compute1".to_owned(), "vnet0"));
        assert_eq!(parts("net1/qrouter-1/qr-1"), ("net1 qrouter-1".to_owned(), "qr-1"));
        for other in ["server", "a/b", "", "//", "/x/y"] {
            assert_eq!(parts(other), (String::new(), other));
        }
    }
}
