//! `ip rule`, `ip -6 rule` (ip-rule(8)).
//!
//! No rule is lost: a selector that is not modelled, and a table whose number is not known, stay with the rule as text,
//! so that a walk that meets it answers *unknown*.

use model::route::{FibRule, RuleAction};

use crate::ip_words::{Names, number, prefix};
use crate::{Parsed, Problem};

/// Reads a whole listing, in its order, which is that of the priorities.
pub fn parse(text: &str, names: Names<'_>) -> Parsed<Vec<FibRule>> {
    let mut out = Parsed::<Vec<FibRule>>::default();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        match rule(line, names) {
            Some(rule) => out.value.push(rule),
            None => {
                let what = "expected a rule as `ip rule` prints it: `32766: from all lookup main`";
                out.problems.push(Problem::at(index, line, line.trim_start(), what));
            }
        }
    }
    out
}

/// `1000:\tnot from 10.0.0.0/8 to 10.9.0.0/16 fwmark 0x1/0xff iif eth0 lookup 100`.
fn rule(line: &str, names: Names<'_>) -> Option<FibRule> {
    let (priority, rest) = line.trim_start().split_once(':')?;
    let mut out = FibRule { priority: priority.parse().ok()?, action: RuleAction::Nop, ..FibRule::default() };
    let mut unmodelled: Vec<String> = Vec::new();
    let mut words = rest.split_whitespace();
    let mut acts = false;
    while let Some(word) = words.next() {
        match word {
            "not" => out.invert = true,
            "from" | "to" => {
                let net = words.next().filter(|net| *net != "all");
                let net = net.map(|net| prefix(net).ok_or(())).transpose().ok()?;
                if word == "from" { out.source = net } else { out.destination = net }
            }
            "iif" | "oif" => {
                let name = words.next().map(str::to_owned);
                if word == "iif" { out.iif = name } else { out.oif = name }
            }
            "tos" | "dsfield" => {
                let tos = number(words.next()?).and_then(|tos| u8::try_from(tos).ok());
                out.tos = tos.unwrap_or(u8::MAX);
            }
            "fwmark" => {
                let (value, mask) =
                    words.next().map(|mark| mark.split_once('/').unwrap_or((mark, "0xffffffff")))?;
                out.fwmark = Some((number(value)?, number(mask)?));
            }
            "lookup" | "table" => {
                acts = true;
                let table = words.next()?;
                let of_device = table.starts_with("[l3mdev");
                let number = names.table(table);
                out.action = RuleAction::Lookup(number.unwrap_or(0));
                if number.is_none() || of_device {
                    unmodelled.push(format!("lookup {table}"));
                }
            }
            "goto" => {
                acts = true;
                out.action = words.next()?.parse().map_or(RuleAction::Nop, RuleAction::Goto);
            }
            "nop" | "blackhole" | "unreachable" | "prohibit" => {
                acts = true;
                out.action = match word {
                    "blackhole" => RuleAction::Blackhole,
                    "unreachable" => RuleAction::Unreachable,
                    "prohibit" => RuleAction::Prohibit,
                    _ => RuleAction::Nop,
                };
            }
            // Who made the rule, and what its packets are counted as, decide nothing; a rule whose device is gone
            // matches nothing, since no packet comes by it.
            "proto" | "protocol" | "realms" => drop(words.next()),
            "[detached]" | "[unresolved]" => {}
            other => unmodelled.push(other.to_owned()),
        }
    }
    out.unmodelled = (!unmodelled.is_empty()).then(|| unmodelled.join(" "));
    acts.then_some(out)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use model::route;
    use proptest::prelude::*;

    use super::*;

    fn read(text: &str) -> Parsed<Vec<FibRule>> {
        parse(text, Names { links: &BTreeMap::new(), tables: &BTreeMap::from([("isp1".to_owned(), 100)]) })
    }

    #[test]
    fn the_rules_of_a_fresh_namespace_are_the_usual_ones() {
        let v4 =
            "0:\tfrom all lookup local \n32766:\tfrom all lookup main \n32767:\tfrom all lookup default \n";
        assert_eq!(read(v4), Parsed { value: route::default_rules(), problems: Vec::new() });
    }

    #[test]
    fn selectors_are_read_and_what_is_not_modelled_stays() {
        let text = "\
100:\tnot from 10.0.0.0/8 to 10.9.0.1 fwmark 0x1/0xff iif eth0 [detached] lookup isp1 proto static
101:\tfrom all oif eth1 tos 0x10 goto 200
102:\tfrom all fwmark 0x5 unreachable
103:\tfrom all uidrange 0-99 lookup main suppress_prefixlength 0
104:\tfrom all lookup nobody
";
        let read = read(text);
        assert_eq!(read.problems, []);
        let [first, second, third, fourth, fifth] = read.value.as_slice() else { panic!("five") };
        assert!(first.invert && first.fwmark == Some((1, 0xff)) && first.iif.as_deref() == Some("eth0"));
        assert_eq!((first.source, first.destination), (prefix("10.0.0.0/8"), prefix("10.9.0.1")));
        assert_eq!((first.action, first.unmodelled.as_deref()), (RuleAction::Lookup(100), None));
        assert_eq!(
            (second.action, second.oif.as_deref(), second.tos),
            (RuleAction::Goto(200), Some("eth1"), 16)
        );
        assert_eq!((third.action, third.fwmark), (RuleAction::Unreachable, Some((5, u32::MAX))));
        assert_eq!(fourth.unmodelled.as_deref(), Some("uidrange 0-99 suppress_prefixlength 0"));
        assert_eq!(fifth.unmodelled.as_deref(), Some("lookup nobody"));
    }

    proptest! {
        #[test]
        fn any_words_are_answered(
            words in prop::collection::vec("0:|9:|from|to|all|lookup|main|fwmark|0x1/2|goto|\\PC{0,6}|\n", 0..40)
        ) {
            let text = words.join(" ");
            let read = read(&text);
            let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
            prop_assert_eq!(read.value.len() + read.problems.len(), lines);
        }
    }
}
