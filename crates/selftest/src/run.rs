//! A run: cases drawn, tried by several workers, counted; what disagrees is shrunk and kept.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::Builder;

use serde::Serialize;

use crate::coverage::Coverage;
use crate::draw::{self, Menu};
use crate::error::SelftestError;
use crate::fixture::{Fixture, told};
use crate::judge::{Fate, Said};
use crate::random::case_seed;
use crate::shrink;
use crate::survey::survey;
use crate::trial::{Disagreement, Trial};

/// Trials that a worker holds before they end, so that what comes late is heard.
const HELD: usize = 4;
/// Disagreements that are shrunk; what comes after is only counted.
const SHRUNK_MAX: usize = 25;

/// The walk calls itself from hop to hop, and a packet in a circle of routers makes as many as its TTL
/// allows: too many for a thread's usual 2 MiB in a debug build.
const STACK_BYTES: usize = 64 * 1024 * 1024;

/// What is to be run.
#[derive(Debug, Clone)]
pub struct Options {
    /// Seed of the run: the same seed draws the same cases.
    pub seed: u64,
    /// How many cases.
    pub cases: u64,
    /// Cases at a time; most of a case is waiting for the kernel.
    pub workers: usize,
    /// Draws also what the walk is known not to know.
    pub unmodelled: bool,
}

/// What came of a run.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Report {
    /// Release of the kernel.
    pub kernel: String,
    /// Seed of the run.
    pub seed: u64,
    /// Cases tried.
    pub cases: u64,
    /// Cases in which every packet fared as said.
    pub agreed: u64,
    /// Cases in which some packet fared otherwise.
    pub wrong: u64,
    /// Cases in which the walk did not know of some packet, and was right about the others.
    pub unknown: u64,
    /// The same by packet.
    pub packets: Packets,
    /// What was gone through.
    pub coverage: Coverage,
    /// What disagreed, in order of the cases.
    pub disagreements: Vec<Wrong>,
}

/// Packets of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Packets {
    /// Sent and compared, or not known.
    pub sent: u64,
    /// Said to arrive.
    pub delivered: u64,
    /// Said to be lost.
    pub lost: u64,
    /// Said to be answered.
    pub answered: u64,
    /// Not known.
    pub unknown: u64,
    /// Fared otherwise than said.
    pub wrong: u64,
    /// Fared otherwise among others and as said alone: probes teach bridges and neighbours.
    pub passing: u64,
}

/// A packet that fared otherwise than said.
#[derive(Debug, Clone, Serialize)]
pub struct Wrong {
    /// Number of the case in the run.
    pub number: u64,
    /// The case's own seed.
    pub case: u64,
    /// What was said and what was seen.
    pub told: String,
    /// What was built, in the words of the tools that would build it.
    pub built: String,
    /// What replays it; `None` where too many disagreed to shrink each.
    #[serde(skip)]
    pub fixture: Option<Fixture>,
    /// The file that it was kept in.
    pub file: Option<PathBuf>,
}

impl Report {
    /// Writes what disagreed into a folder, one file each, and notes the files' names.
    pub fn save(&mut self, folder: &Path) -> Result<(), SelftestError> {
        for wrong in &mut self.disagreements {
            let Some(fixture) = &wrong.fixture else { continue };
            let mut path = folder.join(format!("hopline-selftest-{}-{}.json", self.seed, wrong.number));
            for nth in 2.. {
                if !path.exists() {
                    break;
                }
                path = folder.join(format!("hopline-selftest-{}-{}-{nth}.json", self.seed, wrong.number));
            }
            fixture.write(&path).map_err(|source| SelftestError::Save { path: path.clone(), source })?;
            wrong.file = Some(path);
        }
        Ok(())
    }
}

/// Runs cases; `progress` is told how many are done.
pub fn run(options: &Options, progress: impl Fn(u64, u64) + Sync) -> Result<Report, SelftestError> {
    let survey = survey(options.unmodelled)?;
    let state = Run {
        options,
        menu: &survey.menu,
        kernel: kernel(),
        next: AtomicU64::new(0),
        failed: AtomicBool::new(false),
        shared: Mutex::new(Report::default()),
    };
    let mut errors = Vec::new();
    std::thread::scope(|scope| {
        let mut workers = Vec::new();
        for _ in 0..options.workers.max(1) {
            let worker = || state.work(&progress);
            match Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, worker) {
                Ok(worker) => workers.push(worker),
                Err(source) => errors.push(SelftestError::Worker { source }),
            }
        }
        for worker in workers {
            match worker.join() {
                Ok(Ok(())) => {}
                Ok(Err(error)) => errors.push(error),
                Err(panic) => std::panic::resume_unwind(panic),
            }
        }
    });
    if let Some(error) = errors.pop() {
        return Err(error);
    }
    let Run { shared, kernel, .. } = state;
    let mut report = shared.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    report.kernel = kernel;
    report.seed = options.seed;
    report.coverage.left_out.extend(survey.left_out);
    report.disagreements.sort_by_key(|wrong| wrong.number);
    Ok(report)
}

struct Run<'o> {
    options: &'o Options,
    menu: &'o Menu,
    kernel: String,
    next: AtomicU64,
    /// Some worker has given up: the others end too.
    failed: AtomicBool,
    shared: Mutex<Report>,
}

impl Run<'_> {
    fn work(&self, progress: &(impl Fn(u64, u64) + Sync)) -> Result<(), SelftestError> {
        let worked = self.cases(progress);
        if worked.is_err() {
            self.failed.store(true, Ordering::Relaxed);
        }
        worked
    }

    fn cases(&self, progress: &(impl Fn(u64, u64) + Sync)) -> Result<(), SelftestError> {
        let mut held: VecDeque<(u64, Trial)> = VecDeque::new();
        while !self.failed.load(Ordering::Relaxed) {
            let number = self.next.fetch_add(1, Ordering::Relaxed);
            if number >= self.options.cases {
                break;
            }
            let case = draw::draw(case_seed(self.options.seed, number), self.menu);
            match Trial::run(case) {
                Ok(trial) => held.push_back((number, trial)),
                // Words that stand well alone may not stand together; nobody can load such rules.
                Err(error) if error.is_refusal() => {
                    self.lock().coverage.left_out.insert(format!("case {number}"), error.to_string());
                    continue;
                }
                Err(error) => return Err(error),
            }
            held.iter_mut().for_each(|(_, trial)| trial.listen());
            if held.len() > HELD
                && let Some((number, trial)) = held.pop_front()
            {
                self.conclude(number, trial, progress)?;
            }
        }
        for (number, mut trial) in held {
            trial.listen();
            self.conclude(number, trial, progress)?;
        }
        Ok(())
    }

    /// Counts a trial, after what disagreed was tried alone.
    fn conclude(
        &self,
        number: u64,
        trial: Trial,
        progress: &(impl Fn(u64, u64) + Sync),
    ) -> Result<(), SelftestError> {
        let suspects = trial.disagreements();
        let Trial { case, said, snapshot, .. } = &trial;
        let (mut wrong, mut passing) = (Vec::new(), 0);
        for nth in &suspects {
            let Some(probe) = case.probes.get(*nth) else { continue };
            match Trial::alone(case, *probe)? {
                Some(found) => wrong.push((*probe, found)),
                None => passing += 1,
            }
        }
        let mut kept = Vec::new();
        for (probe, found) in &wrong {
            kept.push(self.keep(number, case, *probe, found.clone())?);
        }
        let mut report = self.lock();
        report.cases += 1;
        report.coverage.add_case(case);
        let unknown = said.iter().filter(|said| said.is_unknown()).count();
        let packets = &mut report.packets;
        packets.add(said);
        packets.wrong += wrong.len() as u64;
        packets.passing += passing;
        let gaps = snapshot.gaps.iter().map(|gap| gap.why.as_str());
        for why in said.iter().filter_map(Said::why_unknown).chain(gaps) {
            *report.coverage.unknown.entry(why.to_owned()).or_default() += 1;
        }
        for (nth, said) in said.iter().enumerate() {
            if !suspects.contains(&nth) && !said.is_unknown() {
                report.coverage.add_decided(case, said);
            }
        }
        match (wrong.len(), unknown, snapshot.gaps.len()) {
            (0, 0, 0) => report.agreed += 1,
            (0, _, _) => report.unknown += 1,
            (_, _, _) => report.wrong += 1,
        }
        report.disagreements.extend(kept);
        let done = report.cases;
        drop(report);
        progress(done, self.options.cases);
        Ok(())
    }

    /// Shrinks a disagreement, where not too many were before it.
    fn keep(
        &self,
        number: u64,
        case: &crate::case::Case,
        probe: crate::case::Probe,
        found: Disagreement,
    ) -> Result<Wrong, SelftestError> {
        let shrinks = self.lock().disagreements.len() < SHRUNK_MAX;
        let (least, found) = if shrinks {
            shrink::shrink(case, probe, found)?
        } else {
            (crate::case::Case { probes: vec![probe], ..case.clone() }, found)
        };
        let Disagreement { asked, snapshot, said, seen, own_port, .. } = found;
        let told = told(&said, &seen);
        let fixture = shrinks.then(|| Fixture {
            schema: Fixture::SCHEMA.to_owned(),
            kernel: self.kernel.clone(),
            case: case.seed,
            note: String::new(),
            asked,
            own_port,
            seen,
            snapshot,
        });
        Ok(Wrong { number, case: case.seed, told, built: least.to_string(), fixture, file: None })
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Report> {
        self.shared.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

impl Packets {
    fn add(&mut self, said: &[Said]) {
        for said in said {
            self.sent += 1;
            self.answered += u64::from(said.answered == Some(true));
            match &said.fate {
                _ if said.is_unknown() => self.unknown += 1,
                Fate::Received(..) => self.delivered += 1,
                Fate::Lost => self.lost += 1,
                Fate::Unknown(_) => {}
            }
        }
    }
}

fn kernel() -> String {
    std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned()
}
