//! `bridge vlan show`, also with `-d` (bridge(8)): a port in the first column, and below it a VLAN a line.

use std::collections::BTreeMap;

use model::vlan::BridgeVlans;

use crate::ip_words::Names;
use crate::{Parsed, Problem};

/// VLANs of each port and bridge, by ifindex.
pub fn parse(text: &str, names: Names<'_>) -> Parsed<BTreeMap<u32, Vec<BridgeVlans>>> {
    let mut out = Parsed::<BTreeMap<u32, Vec<BridgeVlans>>>::default();
    let mut port = None;
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let mut words = line.split_whitespace().peekable();
        if !line.starts_with(char::is_whitespace) {
            let name = words.next().unwrap_or_default();
            if name == "port" && words.peek().is_some_and(|word| word.starts_with("vlan")) {
                continue;
            }
            port = names.link(name);
            if port.is_none() {
                let what = "expected a port of a bridge, and its VLANs";
                out.problems.push(Problem::at(index, line, line, what));
                continue;
            }
        }
        // Of a VLAN's own settings, which `-d` tells in lines of their own, none is modelled; `None` is no VLAN.
        let Some(vlans) = words.next().and_then(vlans) else { continue };
        let rest: Vec<&str> = words.collect();
        let vlans =
            BridgeVlans { untagged: rest.contains(&"Untagged"), pvid: rest.contains(&"PVID"), ..vlans };
        if let Some(port) = port {
            out.value.entry(port).or_default().push(vlans);
        }
    }
    out
}

/// `100`, `10-20`.
fn vlans(word: &str) -> Option<BridgeVlans> {
    let (low, high) = word.split_once('-').unwrap_or((word, word));
    Some(BridgeVlans { low: low.parse().ok()?, high: high.parse().ok()?, ..BridgeVlans::default() })
}

#[cfg(test)]
mod tests {
    use model::link::Link;
    use proptest::prelude::*;

    use super::*;
    use crate::ip_words::numbers;

    fn read(text: &str) -> Parsed<BTreeMap<u32, Vec<BridgeVlans>>> {
        let named = |(index, name): (u32, &str)| Link { index, name: name.to_owned(), ..Link::default() };
        let links = [(2, "eth0"), (3, "br0")].map(named);
        parse(text, Names { links: &numbers(&links), tables: &BTreeMap::new() })
    }

    #[test]
    fn both_layouts_are_read() {
        let new = "\
port              vlan-id
eth0              1 PVID Egress Untagged
                    state forwarding mcast_router 1
                  10-20
br0               1 Egress Untagged
";
        let old = "port\tvlan ids\neth0\t 1 PVID Egress Untagged\n\t 10-20\n\nbr0\t 1 Egress Untagged\n\n";
        let one = BridgeVlans { low: 1, high: 1, untagged: true, pvid: true };
        let ten = BridgeVlans { low: 10, high: 20, untagged: false, pvid: false };
        let expected = BTreeMap::from([(2, vec![one, ten]), (3, vec![BridgeVlans { pvid: false, ..one }])]);
        for text in [new, old] {
            assert_eq!(read(text), Parsed { value: expected.clone(), problems: Vec::new() }, "{text}");
        }
    }

    #[test]
    fn a_port_that_is_not_known_takes_nobody_elses_vlans() {
        let read = read("eth0 1\ngone 2\n     3\n");
        assert_eq!(read.value.get(&2).map(Vec::len), Some(1));
        assert_eq!((read.value.len(), read.problems.len()), (1, 1));
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(eth0|br0|port| |\t|[0-9]{1,6}|-|PVID|\n|\\PC){0,60}") {
            read(&text);
        }
    }
}
