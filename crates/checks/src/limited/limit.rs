//! Conditions that no walk can decide: that have room for so many packets in a time, or hang on the time of day, on
//! what a packet carries, on who sent it; and the facts as they are where none of them lets a packet pass.

use model::Snapshot;
use model::netfilter::{Action, Because, NfRule, Test};

/// A condition that has room for some packets in a time, or that a rule takes packets by which no walk can know.
#[derive(Debug, Clone)]
pub(super) struct Limit {
    /// `limit rate 1/minute`, `-m time --timestart 22:00:00`.
    pub(super) text: String,
    /// It counts: the same packet may pass now and not then.
    pub(super) is_rate: bool,
    /// Its rule is about pings alone: who limits these on purpose means it.
    pub(super) is_of_pings: bool,
}

impl Limit {
    /// A usual ping, which asks once a second, finds room: that our own, many at once, find none is no fault.
    pub(super) fn has_room_for_a_ping(&self) -> bool {
        self.is_of_pings && per_second(&self.text).is_some_and(|rate| rate >= 1.0)
    }
}

/// The rate that a limit's text tells: `1/second`, `5/min`; `None` of one that counts octets.
fn per_second(text: &str) -> Option<f64> {
    let rate = |word: &str| {
        let (count, unit) = word.split_once('/')?;
        let seconds = match unit.chars().next()? {
            's' => 1.0,
            'm' => 60.0,
            'h' => 3600.0,
            'd' => 86400.0,
            _ => return None,
        };
        Some(f64::from(count.parse::<u32>().ok()?) / seconds)
    };
    text.split_whitespace().find_map(rate)
}

/// The facts with every limit of a namespace used up, and these limits; `None` where there are none.
pub(super) fn without_room(
    snapshot: &Snapshot,
    (host, netns): (&str, &str),
) -> Option<(Snapshot, Vec<Limit>)> {
    let mut snapshot = snapshot.clone();
    let ns = snapshot.netns.iter_mut().find(|ns| ns.machine == host && ns.name == netns)?;
    let chains = ns.ruleset.tables.iter_mut().flat_map(|table| &mut table.chains);
    let mut limits = Vec::new();
    for rule in chains.flat_map(|chain| &mut chain.rules) {
        let takes = matches!(rule.action, Action::Drop | Action::Reject(_));
        let Some(limit) = limit_of(rule).filter(|limit| limit.is_rate || takes) else { continue };
        limits.push(limit);
        if takes {
            // It takes what is beyond the limit, or what nobody can foresee, which now is all that it matches.
            rule.matches.retain(|one| undecidable(&one.test).is_none());
        } else {
            rule.matches.clear();
            rule.action = Action::Continue;
        }
    }
    (!limits.is_empty()).then_some((snapshot, limits))
}

fn limit_of(rule: &NfRule) -> Option<Limit> {
    let is_of_pings = rule.matches.iter().any(|one| !one.negated && is_of_pings(&one.test));
    let (text, is_rate) = rule.matches.iter().find_map(|one| undecidable(&one.test))?;
    Some(Limit { text, is_rate, is_of_pings })
}

/// It holds of ICMP alone, or of ICMPv6.
fn is_of_pings(test: &Test) -> bool {
    match test {
        Test::Protocol(number) => matches!(number, 1 | 58),
        Test::Protocols(numbers) => numbers.iter().all(|number| matches!(number, 1 | 58)),
        Test::Icmp(..) => true,
        _ => false,
    }
}

/// Its text, and whether it counts. What goes by chance is told elsewhere.
fn undecidable(test: &Test) -> Option<(String, bool)> {
    let Test::Unpredictable(text, because) = test else { return None };
    match because {
        Because::Rate => Some((text.clone(), true)),
        Because::Time | Because::History | Because::Payload | Because::Socket | Because::Machine => {
            Some((text.clone(), false))
        }
        Because::Chance => None,
    }
}

#[cfg(test)]
mod tests {
    use super::per_second;

    #[test]
    fn a_limits_rate_is_read_in_every_form() {
        for (text, rate) in [
            ("limit rate over 2/minute burst 1 packets", Some(2.0 / 60.0)),
            ("-m limit --limit 5/sec --limit-burst 1", Some(5.0)),
            ("limit: avg 36/hour burst 5", Some(0.01)),
            ("limit rate 10 mbytes/second", None),
            ("-m connlimit --connlimit-above 3", None),
        ] {
            let read = per_second(text);
            assert_eq!(read.is_some(), rate.is_some(), "{text}");
            let apart = read.zip(rate).map_or(0.0, |(read, rate)| (read - rate).abs());
            assert!(apart < 1e-9, "{text}: {read:?}");
        }
    }
}
