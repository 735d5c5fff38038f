//! One case of the score: what was done, what was asked, what was said, and whether that is right.

use serde::{Deserialize, Serialize};

use crate::order;
use crate::said::{Outcome, Said, code, place};

/// What kind of a case it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// One fault.
    Fault,
    /// Two faults.
    Pair,
    /// A cloud in which nothing is wrong.
    Healthy,
    /// A cloud whose faults have been healed.
    Healed,
}

/// How it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Mode {
    /// `hopline diagnose`: packets are sent.
    Probes,
    /// `hopline diagnose --passive`: what can be read, and nothing is sent.
    Passive,
    /// `hopline collect`, then `hopline diagnose --bundle`: elsewhere, and later.
    Bundle,
    /// `hopline check`: every host of the site.
    Check,
}

impl Mode {
    /// As it is called in a case's name.
    pub fn name(self) -> &'static str {
        match self {
            Mode::Probes => "probes",
            Mode::Passive => "passive",
            Mode::Bundle => "bundle",
            Mode::Check => "check",
        }
    }
}

/// What is said of a case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Case {
    /// `CLOUD/WHAT/MODE`.
    pub name: String,
    /// What kind of a case.
    pub kind: Kind,
    /// How it was asked.
    pub mode: Mode,
    /// `CODE HOST/NETNS/DEVICE` of each fault that was in, in the order in which they were made.
    pub made: Vec<String>,
    /// The same of each finding, in the order in which they were told.
    pub told: Vec<String>,
    /// What it ended with.
    pub outcome: Ended,
    /// From the program's start to its end, in milliseconds.
    pub took_ms: u64,
    /// In a virtual machine, whose time is no measure.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub emulated: bool,
    /// Whether what was told is right.
    pub right: bool,
    /// The commit of the program that was asked, or `modified`.
    pub commit: String,
}

/// What a question ended with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ended {
    /// `healthy`.
    Healthy,
    /// `fault`.
    Fault,
    /// `undetermined`.
    Undetermined,
    /// By itself, with an error or none of the documents that it promises.
    Failed,
}

impl From<Outcome> for Ended {
    fn from(outcome: Outcome) -> Ended {
        match outcome {
            Outcome::Healthy => Ended::Healthy,
            Outcome::Fault => Ended::Fault,
            Outcome::Undetermined => Ended::Undetermined,
        }
    }
}

impl Case {
    /// A case that has been asked; `said` is `Err` where the program failed, with its words.
    pub(crate) fn asked(
        name: String,
        kind: Kind,
        mode: Mode,
        made: Vec<String>,
        said: Result<Said, String>,
    ) -> Case {
        let (outcome, told) = match said {
            Ok(said) => (said.outcome.into(), said.findings),
            Err(words) => (Ended::Failed, vec![words]),
        };
        let (took_ms, emulated, commit) = (0, false, String::new());
        let right = false;
        Case { name, kind, mode, made, told, outcome, took_ms, emulated, right, commit }.judged()
    }

    /// With what is right by this corpus, whatever was right by another.
    pub(crate) fn judged(self) -> Case {
        let right = match self.kind {
            Kind::Fault => self.cause_is_right() && self.hop_is_right(),
            Kind::Pair => self.all_are_told() && self.first_is_right(),
            Kind::Healthy | Kind::Healed => self.outcome == Ended::Healthy && self.told.is_empty(),
        };
        Case { right, ..self }
    }

    /// Of one fault: the first finding has its code.
    pub fn cause_is_right(&self) -> bool {
        self.outcome == Ended::Fault
            && self.told.first().is_some_and(|told| self.made.iter().any(|made| code(made) == code(told)))
    }

    /// Of one fault: the first finding stands where it was made.
    pub fn hop_is_right(&self) -> bool {
        self.outcome == Ended::Fault
            && self.told.first().is_some_and(|told| self.made.iter().any(|made| place(made) == place(told)))
    }

    /// Each fault is told, at its hop.
    pub fn all_are_told(&self) -> bool {
        self.outcome == Ended::Fault && self.made.iter().all(|made| self.told.contains(made))
    }

    /// Of two faults, the one that web1's packets meet first is the first that is told; `order` says which.
    pub fn first_is_right(&self) -> bool {
        let (Some(told), [one, other]) = (self.told.first(), self.made.as_slice()) else { return false };
        let firsts = order::firsts(code(one), code(other));
        self.outcome == Ended::Fault && self.made.contains(told) && firsts.contains(&code(told))
    }

    /// What was told and not made.
    pub fn beside(&self) -> usize {
        self.told.iter().filter(|told| !self.made.contains(told)).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn case(kind: Kind, made: &[&str], outcome: Outcome, told: &[&str]) -> Case {
        let owned = |lines: &[&str]| lines.iter().map(|line| (*line).to_owned()).collect();
        let said = Said { outcome, findings: owned(told) };
        Case::asked("one-host/x/probes".to_owned(), kind, Mode::Probes, owned(made), Ok(said))
    }

    #[test]
    fn a_fault_is_right_by_cause_and_hop() {
        let judged = |told: &[&str]| {
            let case = case(Kind::Fault, &["tap-down compute1//vnet0"], Outcome::Fault, told);
            (case.cause_is_right(), case.hop_is_right(), case.right, case.beside())
        };
        assert_eq!(judged(&["tap-down compute1//vnet0"]), (true, true, true, 0));
        assert_eq!(judged(&["tap-down compute1//vnet1"]), (true, false, false, 1));
        assert_eq!(judged(&["lost-at-hop compute1//vnet0"]), (false, true, false, 1));
        assert_eq!(
            judged(&["lost-at-hop compute1//br100", "tap-down compute1//vnet0"]),
            (false, false, false, 1)
        );
        assert_eq!(
            judged(&["tap-down compute1//vnet0", "arp-ignore compute1//br100"]),
            (true, true, true, 1)
        );
    }

    #[test]
    fn two_are_right_when_both_are_told_and_the_nearer_first() {
        let (tap, uplink) = ("tap-down compute1//vnet0", "uplink-down compute1//eth0");
        let judged = |told: &[&str]| {
            let case = case(Kind::Pair, &[uplink, tap], Outcome::Fault, told);
            (case.all_are_told(), case.first_is_right(), case.right)
        };
        assert_eq!(judged(&[tap, uplink]), (true, true, true));
        assert_eq!(judged(&[uplink, tap]), (true, false, false));
        assert_eq!(judged(&[tap]), (false, true, false));
        assert_eq!(judged(&[]), (false, false, false));
    }

    #[test]
    fn health_is_exit_0_and_nothing_else() {
        assert!(case(Kind::Healthy, &[], Outcome::Healthy, &[]).right);
        assert!(!case(Kind::Healthy, &[], Outcome::Undetermined, &[]).right);
        assert!(!case(Kind::Healed, &[], Outcome::Fault, &["tap-down compute1//vnet0"]).right);
        let failed = Case::asked(String::new(), Kind::Healthy, Mode::Check, Vec::new(), Err("no".to_owned()));
        assert!(!failed.right && failed.told == ["no"]);
    }
}
