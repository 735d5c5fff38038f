//! `bridge fdb show`, also with `-s` and `-d` (bridge(8)).

use model::link::{FdbEntry, FdbKind};
use model::vxlan::VxlanRemote;

use crate::ip_words::{Names, number, value_of};
use crate::{Parsed, Problem};

/// Reads a whole listing.
pub fn parse(text: &str, names: Names<'_>) -> Parsed<Vec<FdbEntry>> {
    let mut out = Parsed::<Vec<FdbEntry>>::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match entry(line, names) {
            Some(entry) => out.value.push(entry),
            None => {
                let what =
                    "expected an entry as `bridge fdb` prints it: `fa:16:3e:00:02:24 dev vnet0 master br100`";
                out.problems.push(Problem::at(index, line, line.trim_start(), what));
            }
        }
    }
    out
}

/// `fa:16:3e:00:02:24 dev vnet0 vlan 5 used 33/28 master br100 permanent`.
fn entry(line: &str, names: Names<'_>) -> Option<FdbEntry> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let has = |word| words.contains(&word);
    let kind = if has("permanent") {
        FdbKind::Local
    } else if has("static") {
        FdbKind::Static
    } else {
        FdbKind::Learned
    };
    let of_far_end = |key| value_of(&words, key).and_then(number);
    let remote = value_of(&words, "dst").and_then(|ip| ip.parse().ok()).map(|ip| VxlanRemote {
        ip,
        port: of_far_end("port").and_then(|port| u16::try_from(port).ok()),
        vni: of_far_end("vni"),
        via: value_of(&words, "via").and_then(|name| names.link(name)),
    });
    Some(FdbEntry {
        mac: words.first()?.parse().ok()?,
        link: names.link(value_of(&words, "dev")?)?,
        vlan: value_of(&words, "vlan").and_then(|id| id.parse().ok()),
        kind,
        sticky: has("sticky"),
        remote,
        on_self: has("self"),
    })
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::link::Link;
    use proptest::prelude::*;

    use super::*;
    use crate::ip_words::numbers;

    fn read(text: &str) -> Parsed<Vec<FdbEntry>> {
        let named = |(index, name): (u32, &str)| Link { index, name: name.to_owned(), ..Link::default() };
        let links = [(2, "eth0"), (8, "vnet0"), (9, "vx1")].map(named);
        parse(text, Names { links: &numbers(&links), tables: &BTreeMap::new() })
    }

    #[test]
    fn entries_are_read() {
        let text = "\
fa:16:3e:00:02:24 dev vnet0 used 33/28 master br100
fe:16:3e:00:02:24 dev vnet0 vlan 5 used 33/33 master br100 permanent
33:33:00:00:00:01 dev eth0 self permanent
02:00:00:00:00:07 dev eth0 master br0 sticky static
00:00:00:00:00:00 dev vx1 dst 203.0.113.35 port 4790 vni 9 via eth0 self permanent
";
        let read = read(text);
        assert_eq!(read.problems, []);
        let told: Vec<_> =
            read.value.iter().map(|e| (e.link, e.vlan, e.kind, e.sticky, e.on_self, e.remote)).collect();
        let remote =
            VxlanRemote { ip: "203.0.113.35".parse().unwrap(), port: Some(4790), vni: Some(9), via: Some(2) };
        let expected = [
            (8, None, FdbKind::Learned, false, false, None),
            (8, Some(5), FdbKind::Local, false, false, None),
            (2, None, FdbKind::Local, false, true, None),
            (2, None, FdbKind::Static, true, false, None),
            (9, None, FdbKind::Local, false, true, Some(remote)),
        ];
        assert_eq!(told, expected);
    }

    proptest! {
        #[test]
        fn any_words_are_answered(
            words in prop::collection::vec("2:0:0:0:0:1|dev|eth0|vlan|7|dst|::1|\\PC{0,6}|\n", 0..40)
        ) {
            let text = words.join(" ");
            let read = read(&text);
            let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            prop_assert_eq!(read.value.len() + read.problems.len(), lines);
        }
    }
}
