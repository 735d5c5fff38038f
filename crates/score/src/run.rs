//! Trials, a few labs at a time, until all are done or somebody says stop.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;

use crate::ScoreError;
use crate::bench::Bench;
use crate::case::Case;
use crate::program::Hopline;
use crate::trial::{Means, Trial};

/// How trials are run.
#[derive(Debug)]
pub struct Runner<'r> {
    /// The program that is scored.
    pub hopline: Hopline,
    /// With which the labs' names begin: short, and nobody else's.
    pub prefix: String,
    /// So many labs at once.
    pub labs: usize,
    /// What can be asked.
    pub means: Means,
    /// Set from outside: what has begun is ended, and nothing else is begun.
    pub stop: &'r AtomicBool,
}

/// What became of a trial: its cases, or why it could not be tried.
pub type Tried = Result<Vec<Case>, ScoreError>;

impl Runner<'_> {
    /// Tries them all, those of one cloud after another, and tells each at its end.
    pub fn run(&self, mut trials: Vec<Trial>, told: &(dyn Fn(&Trial, Tried) + Sync)) {
        trials.sort_by_key(Trial::lab);
        let queue = Mutex::new(VecDeque::from(trials));
        thread::scope(|scope| {
            for number in 0..self.labs {
                let name = format!("{}{number}", self.prefix);
                let queue = &queue;
                scope.spawn(move || self.work(&name, queue, told));
            }
        });
    }

    fn work(&self, name: &str, queue: &Mutex<VecDeque<Trial>>, told: &(dyn Fn(&Trial, Tried) + Sync)) {
        let mut kept: Option<(&'static [&'static str], Bench)> = None;
        while !self.stop.load(Ordering::Relaxed) {
            let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
            let Some(trial) = next else { return };
            // One of another shape goes before its name is taken again.
            let fitting = kept.take().filter(|(shape, _)| *shape == trial.lab());
            let bench = match fitting {
                Some((_, bench)) => Ok(bench),
                None => Bench::up(&self.hopline, name, trial.lab()),
            };
            let tried = bench.and_then(|mut bench| {
                let cases = trial.run(&mut bench, &self.means)?;
                // Where something was left, the next must not suffer from it.
                let is_clean = cases.last().is_some_and(|last| last.right);
                if trial.leaves_no_trace() && is_clean {
                    kept = Some((trial.lab(), bench));
                }
                Ok(cases)
            });
            told(&trial, tried);
        }
    }
}
