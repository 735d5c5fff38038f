//! Figures out of cases.

use crate::case::{Case, Ended, Kind, Mode};

/// Of some cases of one kind that were asked in one way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Figures {
    /// How many.
    pub cases: usize,
    /// The first finding stands at the hop of what was made.
    pub hop: usize,
    /// The first finding is what was made.
    pub cause: usize,
    /// Everything that was made is told, at its hop.
    pub all: usize,
    /// Of two, the one that is met first is told first.
    pub first: usize,
    /// Nothing was found, and it was said that something could not be seen.
    pub unknown: usize,
    /// It was called healthy, and was not.
    pub missed: usize,
    /// The program failed.
    pub failed: usize,
    /// Findings of what was not made.
    pub beside: usize,
    /// Right as a whole.
    pub right: usize,
    /// Milliseconds that half of them took at most; `None` where none was measured.
    pub median_ms: Option<u64>,
    /// Milliseconds that 95 of 100 took at most.
    pub p95_ms: Option<u64>,
}

impl Figures {
    /// Of these.
    pub fn of<'c>(cases: impl Iterator<Item = &'c Case> + Clone) -> Figures {
        let count = |holds: fn(&Case) -> bool| cases.clone().filter(|case| holds(case)).count();
        let mut took: Vec<u64> =
            cases.clone().filter(|case| !case.emulated).map(|case| case.took_ms).collect();
        took.sort_unstable();
        Figures {
            cases: count(|_| true),
            hop: count(Case::hop_is_right),
            cause: count(Case::cause_is_right),
            all: count(Case::all_are_told),
            first: count(Case::first_is_right),
            unknown: count(|case| case.outcome == Ended::Undetermined),
            missed: count(|case| case.outcome == Ended::Healthy && !case.made.is_empty()),
            failed: count(|case| case.outcome == Ended::Failed),
            beside: cases.clone().map(Case::beside).sum(),
            right: count(|case| case.right),
            median_ms: quantile(&took, 50),
            p95_ms: quantile(&took, 95),
        }
    }

    /// Of the cases of this kind, asked in this way, in clouds whose names `cloud` accepts.
    pub fn select(cases: &[Case], kind: Kind, mode: Mode, cloud: impl Fn(&str) -> bool + Copy) -> Figures {
        let is_meant = move |case: &&Case| {
            let of = case.name.split('/').next().unwrap_or_default();
            case.kind == kind && case.mode == mode && cloud(of)
        };
        Figures::of(cases.iter().filter(is_meant))
    }
}

/// The least value that so many of a hundred do not exceed (nearest rank).
fn quantile(sorted: &[u64], percent: usize) -> Option<u64> {
    let rank = (sorted.len() * percent).div_ceil(100);
    sorted.get(rank.checked_sub(1)?).copied()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::said::{Outcome, Said};

    #[test]
    fn quantiles_are_values_that_were_measured() {
        let values: Vec<u64> = (1..=20).collect();
        assert_eq!((quantile(&values, 50), quantile(&values, 95)), (Some(10), Some(19)));
        assert_eq!(quantile(&[7], 95), Some(7));
        assert_eq!(quantile(&[], 50), None);
    }

    #[test]
    fn each_case_is_counted_for_what_it_is() {
        let case = |outcome, told: &[&str], emulated| {
            let findings = told.iter().map(|line| (*line).to_owned()).collect();
            let made = vec!["tap-down compute1//vnet0".to_owned()];
            let said = Ok(Said { outcome, findings });
            let case =
                Case::asked("one-host/tap-down/probes".to_owned(), Kind::Fault, Mode::Probes, made, said);
            Case { took_ms: 10, emulated, ..case }
        };
        let cases = [
            case(Outcome::Fault, &["tap-down compute1//vnet0"], false),
            case(Outcome::Fault, &["lost-at-hop compute1//vnet0"], false),
            case(Outcome::Undetermined, &[], true),
            case(Outcome::Healthy, &[], true),
        ];
        let figures = Figures::select(&cases, Kind::Fault, Mode::Probes, |cloud| cloud == "one-host");
        assert_eq!((figures.cases, figures.hop, figures.cause, figures.right), (4, 2, 1, 1));
        assert_eq!((figures.unknown, figures.missed, figures.failed, figures.beside), (1, 1, 0, 1));
        assert_eq!(figures.median_ms, Some(10));
        assert_eq!(
            Figures::select(&cases, Kind::Fault, Mode::Probes, |cloud| cloud == "vlan"),
            Figures::default()
        );
    }
}
