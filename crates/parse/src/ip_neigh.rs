//! `ip neigh show`, also with `-s` (ip-neighbour(8)).

use model::route::{Neighbour, NeighbourState};

use crate::ip_words::{Names, value_of};
use crate::{Parsed, Problem};

/// Reads a whole listing. Entries of links that the namespace has not got any more are passed over.
pub fn parse(text: &str, names: Names<'_>) -> Parsed<Vec<Neighbour>> {
    let mut out = Parsed::<Vec<Neighbour>>::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match neighbour(line, names) {
            Some(neighbour) => out.value.push(neighbour),
            None => {
                let what =
                    "expected a neighbour as `ip neigh` prints it: `10.0.0.1 dev eth0 lladdr ... REACHABLE`";
                out.problems.push(Problem::at(index, line, line.trim_start(), what));
            }
        }
    }
    out
}

/// `10.0.2.24 dev br100 lladdr fa:16:3e:00:02:24 ref 1 used 21/21/3 probes 1 STALE`.
fn neighbour(line: &str, names: Names<'_>) -> Option<Neighbour> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let proxy = words.contains(&"proxy");
    Some(Neighbour {
        link: names.link(value_of(&words, "dev")?)?,
        ip: words.first()?.parse().ok()?,
        mac: value_of(&words, "lladdr").and_then(|mac| mac.parse().ok()),
        state: match words.iter().rev().find_map(|word| state(word)) {
            Some(state) => state,
            None if proxy => NeighbourState::None,
            None => return None,
        },
        proxy,
    })
}

fn state(word: &str) -> Option<NeighbourState> {
    Some(match word {
        "INCOMPLETE" => NeighbourState::Incomplete,
        "REACHABLE" => NeighbourState::Reachable,
        "STALE" => NeighbourState::Stale,
        "DELAY" => NeighbourState::Delay,
        "PROBE" => NeighbourState::Probe,
        "FAILED" => NeighbourState::Failed,
        "NOARP" => NeighbourState::Noarp,
        "PERMANENT" => NeighbourState::Permanent,
        "NONE" => NeighbourState::None,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::link::Link;
    use proptest::prelude::*;

    use super::*;
    use crate::ip_words::numbers;

    fn read(text: &str) -> Parsed<Vec<Neighbour>> {
        let links = [Link { index: 7, name: "br100".to_owned(), ..Link::default() }];
        parse(text, Names { links: &numbers(&links), tables: &BTreeMap::new() })
    }

    #[test]
    fn entries_are_read_whatever_their_statistics_look_like() {
        let text = "\
10.0.2.24 dev br100 lladdr fa:16:3e:00:02:24  used 21/21/3probes 1 STALE
10.0.2.25 dev br100 lladdr fa:16:3e:00:02:25 ref 1 used 1/1/1 probes 4 REACHABLE
10.0.2.26 dev br100  used 8/9/8 probes 6 FAILED
fe80::1 dev br100 lladdr 02:00:00:00:00:01 router PERMANENT
10.0.2.9 dev br100 proxy
";
        let read = read(text);
        assert_eq!(read.problems, []);
        let states: Vec<_> = read.value.iter().map(|n| (n.link, n.mac.is_some(), n.state, n.proxy)).collect();
        let expected = [
            (7, true, NeighbourState::Stale, false),
            (7, true, NeighbourState::Reachable, false),
            (7, false, NeighbourState::Failed, false),
            (7, true, NeighbourState::Permanent, false),
            (7, false, NeighbourState::None, true),
        ];
        assert_eq!(states, expected);
    }

    #[test]
    fn what_is_no_entry_is_told() {
        let read = read("10.0.0.1 dev gone REACHABLE\nDump terminated\n10.0.0.2 dev br100\n");
        assert_eq!((read.value.len(), read.problems.len()), (0, 3));
    }

    proptest! {
        #[test]
        fn any_words_are_answered(
            words in prop::collection::vec("10\\.0\\.0\\.1|dev|br100|lladdr|STALE|proxy|\\PC{0,6}|\n", 0..40)
        ) {
            let text = words.join(" ");
            let read = read(&text);
            let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            prop_assert_eq!(read.value.len() + read.problems.len(), lines);
        }
    }
}
