//! How much a listing tells. A file may hold what a tool complained of, and no word of what it was asked for; or it may
//! be cut off. What such a file does not tell is not known, and is not taken to be nothing.

use std::net::IpAddr;

use ipnet::IpNet;
use model::route::{FibRule, RuleAction};
use parse::{Parsed, Problem};

/// There is something in it, and none of it is what was asked for: as good as no file.
pub(super) fn nothing<T>(parsed: &Parsed<Vec<T>>) -> bool {
    parsed.value.is_empty() && !parsed.problems.is_empty()
}

/// A tool ends each line that it prints: one that is not ended and makes no sense is not whole, and there were more.
pub(super) fn is_cut(text: &str, problems: &[Problem]) -> bool {
    !text.ends_with('\n') && problems.last().is_some_and(|problem| lines(text, problem).count() == 1)
}

/// The line of a problem, and those behind it.
fn lines<'t>(text: &'t str, problem: &Problem) -> impl Iterator<Item = &'t str> {
    text.lines().skip(usize::try_from(problem.line).unwrap_or(usize::MAX).saturating_sub(1))
}

/// Places up to which each is told of by itself.
const PLACES_MAX: usize = 64;

/// A rule that is met by whose way a line may decide that could not be read: whoever meets it goes nobody knows where.
/// What is left of such a line may tell whom it is for.
pub(super) fn lost_routes(path: &str, text: &str, problems: &[Problem]) -> Vec<FibRule> {
    let rule = |destination| FibRule {
        priority: 1,
        destination,
        unmodelled: Some(format!("routes of {path} that could not be read")),
        action: RuleAction::Nop,
        ..FibRule::default()
    };
    if is_cut(text, problems) || problems.len() > PLACES_MAX {
        return vec![FibRule { priority: 0, ..rule(None) }];
    }
    let mut destinations: Vec<Option<IpNet>> =
        problems.iter().map(|problem| destination(lines(text, problem).next()?)).collect();
    destinations.sort_unstable();
    destinations.dedup();
    destinations.into_iter().map(rule).collect()
}

/// `10.0.0.0/16`, the first or second word of a line.
fn destination(line: &str) -> Option<IpNet> {
    let net = |word: &str| word.parse().or_else(|_| word.parse().map(|ip: IpAddr| IpNet::from(ip))).ok();
    line.split_whitespace().take(2).find_map(net)
}

/// With a rule more among those of its priority: before them where it is the first, else behind.
pub(super) fn with(mut rules: Vec<FibRule>, more: FibRule) -> Vec<FibRule> {
    let at = rules.iter().position(|rule| rule.priority >= more.priority).unwrap_or(rules.len());
    rules.insert(at, more);
    rules
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problem(line: u32) -> Problem {
        Problem { line, column: 1, what: String::new() }
    }

    #[test]
    fn a_line_that_is_not_ended_is_cut() {
        let text = "default via 10.0.0.1 dev a\n10.0.0.0/8 dev";
        assert!(is_cut(text, &[problem(2)]));
        assert!(!is_cut(text, &[problem(1)]));
        assert!(!is_cut(&format!("{text}\n"), &[problem(2)]));
        assert!(!is_cut(text, &[]));
    }

    #[test]
    fn a_route_that_is_lost_is_unknown_to_whom_it_is_for() {
        let text = "10.0.0.0/8 encap x\nblackhole 10.1.2.3 y\nwhat\n10.0.0.0/8 encap z\n";
        let lost = lost_routes("f", text, &[problem(1), problem(2), problem(3), problem(4)]);
        let told: Vec<Option<String>> =
            lost.iter().map(|rule| rule.destination.map(|net| net.to_string())).collect();
        assert_eq!(told, [None, Some("10.0.0.0/8".to_owned()), Some("10.1.2.3/32".to_owned())]);
        assert!(lost.iter().all(|rule| rule.unmodelled.is_some() && rule.priority == 1));
        let [all] = &lost_routes("f", text.trim_end(), &[problem(4)])[..] else { panic!("one") };
        assert_eq!((all.destination, all.priority), (None, 0));
    }
}
