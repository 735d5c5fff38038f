//! What is tried: a cloud, what is done to it, and what is asked then.

use crate::bench::Bench;
use crate::case::{Case, Kind, Mode};
use crate::healthy::{VARIANTS, Variant};
use crate::program::Ran;
use crate::said::Said;
use crate::shape::{Made, Shape};
use crate::{ScoreError, draw, pair};

/// Who complains.
const SUBJECT: &str = "web1";
/// What only who complains of ssh is told.
const OF_SSH: [&str; 2] = ["sg-missing-ssh", "ssh-slow-reverse-dns"];

/// One thing that is tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trial {
    /// One fault or two, made in this order.
    Faults(Shape, Vec<Made>),
    /// A cloud in which nothing is wrong.
    Healthy(Variant),
}

/// What can be asked here.
#[derive(Debug, Clone)]
pub struct Means {
    /// A folder for bundles; `None` where `hopline` makes none.
    pub bundles: Option<std::path::PathBuf>,
}

impl Trial {
    /// Every fault of these clouds, alone.
    pub fn singles(shapes: &[Shape]) -> Vec<Trial> {
        let of =
            |&shape: &Shape| shape.faults().into_iter().map(move |made| Trial::Faults(shape, vec![made]));
        shapes.iter().flat_map(of).collect()
    }

    /// Every healthy cloud.
    pub fn healthy() -> Vec<Trial> {
        VARIANTS.into_iter().map(Trial::Healthy).collect()
    }

    /// So many pairs of the faults of a cloud, drawn by the seed.
    pub fn pairs(shape: Shape, seed: u64, count: usize) -> Vec<Trial> {
        let faults = shape.faults();
        let codes = faults.iter().map(|made| made.code).filter(|code| !OF_SSH.contains(code));
        let codes: Vec<&str> = codes.collect();
        let made = |code: &str| faults.iter().find(|made| made.code == code).cloned();
        let pairs = pair::drawn(&codes, seed, count).into_iter();
        pairs.map(|codes| Trial::Faults(shape, codes.into_iter().filter_map(made).collect())).collect()
    }

    /// So many of these, drawn by the seed.
    pub fn sample(trials: Vec<Trial>, seed: u64, count: usize) -> Vec<Trial> {
        draw::first(seed, trials, count, Trial::name)
    }

    /// `CLOUD/WHAT`, with which the names of its cases begin.
    pub fn name(&self) -> String {
        match self {
            Trial::Faults(shape, made) => {
                let mut codes: Vec<&str> = made.iter().map(|made| made.code).collect();
                // A pair is one pair, whichever was made first.
                codes.sort_unstable();
                format!("{}/{}", shape.name(), codes.join("+"))
            }
            Trial::Healthy(variant) => format!("healthy/{}", variant.name),
        }
    }

    /// What `hopline lab up` is told for it.
    pub fn lab(&self) -> &'static [&'static str] {
        match self {
            Trial::Faults(shape, _) => shape.arguments(),
            Trial::Healthy(variant) => variant.up,
        }
    }

    /// Whether it takes a kernel with VLANs.
    pub fn needs_vlans(&self) -> bool {
        self.lab().contains(&"vlan")
    }

    /// Whether its lab is as it was before, so that the next can have it.
    pub fn leaves_no_trace(&self) -> bool {
        match self {
            Trial::Faults(..) => true,
            Trial::Healthy(variant) => variant.then.is_empty(),
        }
    }

    /// Tries it.
    pub(crate) fn run(&self, bench: &mut Bench, means: &Means) -> Result<Vec<Case>, ScoreError> {
        match self {
            Trial::Faults(_, made) => self.break_and_heal(bench, means, made),
            Trial::Healthy(variant) => {
                variant.then.iter().try_for_each(|step| bench.step(step))?;
                let about = ["--all"];
                self.ask_each(
                    bench,
                    means,
                    &[Mode::Check, Mode::Passive, Mode::Bundle, Mode::Probes],
                    Kind::Healthy,
                    &about,
                )
            }
        }
    }

    fn break_and_heal(&self, bench: &Bench, means: &Means, made: &[Made]) -> Result<Vec<Case>, ScoreError> {
        for fault in made {
            bench.lab(&["break", fault.code])?;
        }
        let is_of_ssh = made.iter().any(|made| OF_SSH.contains(&made.code));
        let about: &[&str] = if is_of_ssh { &[SUBJECT, "--symptom", "ssh"] } else { &[SUBJECT] };
        let kind = if made.len() == 1 { Kind::Fault } else { Kind::Pair };
        // What is asked with packets may mend what they meet, so it comes last.
        let mut cases =
            self.ask_each(bench, means, &[Mode::Passive, Mode::Bundle, Mode::Probes], kind, about)?;
        bench.lab(&["heal"])?;
        cases.extend(self.ask_each(bench, means, &[Mode::Probes], Kind::Healed, about)?);
        Ok(cases)
    }

    fn ask_each(
        &self,
        bench: &Bench,
        means: &Means,
        modes: &[Mode],
        kind: Kind,
        about: &[&str],
    ) -> Result<Vec<Case>, ScoreError> {
        let mut cases = Vec::new();
        for mode in modes {
            if let Some(ran) = ask(bench, means, *mode, about)? {
                cases.push(self.case(kind, *mode, ran));
            }
        }
        Ok(cases)
    }

    fn case(&self, kind: Kind, mode: Mode, ran: Ran) -> Case {
        let made = match (self, kind) {
            (Trial::Faults(_, made), Kind::Fault | Kind::Pair) => made.iter().map(Made::finding).collect(),
            (Trial::Faults(..) | Trial::Healthy(_), _) => Vec::new(),
        };
        let suffix = match kind {
            Kind::Healed => "healed",
            Kind::Fault | Kind::Pair | Kind::Healthy => mode.name(),
        };
        let said = Said::read(&ran.stdout).map_err(|why| format!("{why}; {}", ran.stderr.trim()));
        let mut case = Case::asked(format!("{}/{suffix}", self.name()), kind, mode, made, said);
        case.took_ms = u64::try_from(ran.took.as_millis()).unwrap_or(u64::MAX);
        case
    }
}

/// Asks in this mode; `None` where `hopline` has it not.
fn ask(bench: &Bench, means: &Means, mode: Mode, about: &[&str]) -> Result<Option<Ran>, ScoreError> {
    match mode {
        Mode::Check => bench.ask(&["check"]).map(Some),
        Mode::Probes => bench.ask(&[&["diagnose"], about].concat()).map(Some),
        Mode::Passive => bench.ask(&[&["diagnose"], about, &["--passive"]].concat()).map(Some),
        Mode::Bundle => {
            let Some(folder) = &means.bundles else { return Ok(None) };
            let file = folder.join(format!("{}.tar.zst", bench.name()));
            let Some(path) = file.to_str() else { return Ok(None) };
            let collected = bench.tell(&["collect", "-o", path])?;
            // What could not be collected is as good as not diagnosed; 3 is for a machine that is not there to be read.
            if !matches!(collected.code, Some(0 | 3)) {
                return Ok(Some(collected));
            }
            bench.ask_elsewhere(&[&["diagnose"], about, &["--bundle", path]].concat()).map(Some)
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_a_pair_has_one_whoever_was_first() {
        let trials =
            [Trial::singles(&Shape::ALL), Trial::healthy(), Trial::pairs(Shape::OneHost, 1, 100)].concat();
        let names: BTreeSet<String> = trials.iter().map(Trial::name).collect();
        assert_eq!(names.len(), trials.len());
        let made = |code| Made { code, place: String::new() };
        let turned = |one, other| Trial::Faults(Shape::OneHost, vec![made(one), made(other)]).name();
        assert_eq!(turned("b", "a"), turned("a", "b"));
    }

    #[test]
    fn there_are_healthy_clouds_enough() {
        assert!(Trial::healthy().len() >= 20);
    }
}
