//! `score`: takes hopline's score and writes it down. `make score` builds and runs it; it needs root, as labs do.

mod guarded;

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::sync::atomic::Ordering;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Parser;
use score::{Case, Hopline, Means, Record, Runner, ScoreError, Shape, Trial, Tried, page, write_whole};

/// The seed that half of the pairs are always drawn by.
const FIXED_SEED: u64 = 1;
/// Trials that one virtual machine is booted for.
const TRIALS_A_MACHINE: usize = 4;

/// How often hopline is right: breaks labs, diagnoses them, and writes docs/score.json and docs/score.md
#[derive(Debug, Parser)]
struct Typed {
    /// The program to be scored
    #[arg(long, value_name = "FILE", default_value = "target/release/hopline")]
    hopline: PathBuf,
    /// Where score.json and score.md are written
    #[arg(long, value_name = "DIR", default_value = "docs")]
    out: PathBuf,
    /// Seed of the draws that are not fixed [default: the clock's]
    #[arg(long, value_name = "N")]
    seed: Option<u64>,
    /// Pairs of faults, half of them by a fixed seed
    #[arg(long, value_name = "N", default_value_t = 200)]
    pairs: usize,
    /// A part of it: so many trials, drawn by the seed; nothing is written
    #[arg(long, value_name = "N")]
    sample: Option<usize>,
    /// Trials whose names contain this: a cloud, a fault, `+` for pairs
    #[arg(long, value_name = "WORD")]
    only: Vec<String>,
    /// Go on with the record that is there: only what it lacks is tried
    #[arg(long)]
    resume: bool,
    /// Labs at once, 1 to 4; more measure each other
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u8).range(1..=4))]
    labs: u8,
    /// Begin nothing after so many seconds
    #[arg(long, value_name = "SECONDS")]
    within: Option<u64>,
    /// Exactly these trials, by their whole names
    #[arg(long, value_name = "CLOUD/WHAT", hide = true)]
    trial: Vec<String>,
    /// Print the record, and write nothing: in a virtual machine, whose time is no measure
    #[arg(long, hide = true)]
    print: bool,
    /// What is started by this very program, which ends it by closing its standard input
    #[arg(long, hide = true)]
    guarded: bool,
    /// Write the page of the record that is there, and try nothing
    #[arg(long)]
    page: bool,
}

fn main() -> ExitCode {
    let typed = Typed::parse();
    if !typed.guarded {
        return guarded::run().unwrap_or_else(|error| {
            tell(&format!("score: error: could not start itself: {error}"));
            ExitCode::from(2)
        });
    }
    match run(&typed) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            tell(&format!("score: error: {}", with_sources(&error)));
            ExitCode::from(2)
        }
    }
}

/// Whether all was tried, and is right.
fn run(typed: &Typed) -> Result<bool, ScoreError> {
    let files = Files { json: typed.out.join("score.json"), page: typed.out.join("score.md") };
    if typed.page {
        let record = Record::read(&files.json)?;
        return files.write(&record).map(|()| true);
    }
    let stop = guarded::stop();
    if let Some(seconds) = typed.within {
        thread::spawn(move || {
            thread::sleep(Duration::from_secs(seconds));
            stop.store(true, Ordering::Relaxed);
        });
    }
    let mut record = Record::new(kernel(), today()?);
    // A part that is tried anew takes its place among the rest.
    let is_part = !typed.only.is_empty() || !typed.trial.is_empty();
    if (typed.resume || is_part) && files.json.exists() {
        record = Record { kernel: record.kernel, date: record.date, ..Record::read(&files.json)? };
    }
    let seed = match (typed.seed, record.seeds.iter().find(|seed| **seed != FIXED_SEED)) {
        (Some(seed), _) => seed,
        (None, Some(seed)) => *seed,
        (None, None) => clock_seed(),
    };
    record.seeds = vec![FIXED_SEED, seed];
    let hopline = Hopline { program: typed.hopline.clone() };
    let trials = trials(typed, seed, &record);
    tell(&format!("score: {} trials, seed {seed} (--seed {seed} draws the same)", trials.len()));
    let (commit, folder) = (hopline.commit(), Folder::new()?);
    let bundles = hopline.can("collect")?.then(|| folder.0.clone());
    let prefix = format!("hs-{}-", std::process::id());
    let runner = Runner { hopline, prefix, labs: typed.labs.into(), means: Means { bundles }, stop };
    let keeps = typed.sample.is_none() && !typed.print;
    if keeps {
        let failed = |source| ScoreError::File { operation: "make", path: typed.out.clone(), source };
        fs::create_dir_all(&typed.out).map_err(failed)?;
    }
    let (of, emulated) = (trials.len(), typed.print);
    let score = Mutex::new(Score { record, done: 0, of, is_right: true, commit, emulated });
    let told = |trial: &Trial, tried: Tried| {
        let mut score = score.lock().unwrap_or_else(PoisonError::into_inner);
        score.add(trial, tried);
        // After each, so that whatever ends this loses one trial.
        if keeps && let Err(error) = score.record.write(&files.json) {
            tell(&format!("score: {}", with_sources(&error)));
        }
    };
    let (tagged, here) = trials.into_iter().partition(Trial::needs_vlans);
    runner.run(here, &told);
    with_vlans(&runner, tagged, &told);
    let score = score.into_inner().unwrap_or_else(PoisonError::into_inner);
    if keeps {
        files.write(&score.record)?;
    }
    if typed.print {
        // Whoever closed stdout does not want to know.
        let _ = io::stdout().write_all(score.record.text().as_bytes());
        return Ok(true);
    }
    Ok(score.is_right && score.done == score.of)
}

/// Tries what takes a kernel with VLANs that nobody else's network hangs on, where some of these faults are made: in a
/// virtual machine, by this very program.
fn with_vlans(runner: &Runner, trials: Vec<Trial>, told: &(dyn Fn(&Trial, Tried) + Sync)) {
    let Some(lack) = vm::lacking(&[vm::Feature::Vlan, vm::Feature::NoOthers]).filter(|_| !trials.is_empty())
    else {
        return runner.run(trials, told);
    };
    tell(&format!("score: a virtual machine lends its kernel, for this one lacks {lack}"));
    // Few at a time, so that a machine that is lost loses few, and somebody who says stop is heard.
    for some in trials.chunks(TRIALS_A_MACHINE) {
        if runner.stop.load(Ordering::Relaxed) {
            return;
        }
        let names: Vec<String> = some.iter().map(Trial::name).collect();
        let tried = elsewhere(&runner.hopline.program, &names);
        for trial in some {
            let cases = tried.as_ref().map(|record| record.cases_of(&trial.name())).map_err(Clone::clone);
            let is_there = |cases: &Vec<Case>| !cases.is_empty();
            let cases = cases
                .and_then(|cases| Some(cases).filter(is_there).ok_or_else(|| "not tried there".to_owned()));
            told(trial, cases.map_err(|said| ScoreError::Machine { said }));
        }
    }
}

/// The record of these trials, taken in a virtual machine; `Err` says what it said.
fn elsewhere(hopline: &Path, names: &[String]) -> Result<Record, String> {
    let hopline = hopline.canonicalize().map_err(|e| format!("{}: {e}", hopline.display()))?;
    let hopline = hopline.to_str().ok_or("the program's path is no UTF-8")?;
    // One lab at a time: what a kernel has once, all labs in it would share.
    let mut words = vec!["--print", "--labs", "1", "--hopline", hopline];
    words.extend(names.iter().flat_map(|name| ["--trial", name]));
    let printed = vm::run_elsewhere(&[hopline], &words)?;
    // What is told of the trials stands before it, and begins no line like this.
    let record = printed.find("\n{").and_then(|at| printed.get(at..)).unwrap_or(&printed);
    Record::parse(record).map_err(|why| format!("no record ({why}): {printed}"))
}

/// What is tried: all, or what was asked for.
fn trials(typed: &Typed, seed: u64, record: &Record) -> Vec<Trial> {
    let half = typed.pairs / 2;
    let fixed = Trial::pairs(Shape::OneHost, FIXED_SEED, typed.pairs - half);
    // What both seeds draw is tried once, and another takes its place.
    let names: Vec<String> = fixed.iter().map(Trial::name).collect();
    let drawn = Trial::pairs(Shape::OneHost, seed, typed.pairs);
    let drawn = drawn.into_iter().filter(|pair| !names.contains(&pair.name())).take(half).collect();
    let mut trials = [Trial::singles(&Shape::ALL), Trial::healthy(), fixed, drawn].concat();
    let is_named = |trial: &Trial| typed.trial.is_empty() || typed.trial.contains(&trial.name());
    let is_asked_for =
        |trial: &Trial| is_named(trial) && typed.only.iter().all(|word| trial.name().contains(word));
    let is_new = |trial: &Trial| !typed.resume || record.cases_of(&trial.name()).is_empty();
    trials.retain(|trial| is_asked_for(trial) && is_new(trial));
    match typed.sample {
        Some(count) => Trial::sample(trials, seed, count),
        None => trials,
    }
}

/// What there is by now.
struct Score {
    record: Record,
    done: usize,
    of: usize,
    is_right: bool,
    commit: String,
    emulated: bool,
}

impl Score {
    fn add(&mut self, trial: &Trial, tried: Tried) {
        self.done += 1;
        let (done, of) = (self.done, self.of);
        let cases = match tried {
            Ok(cases) => cases,
            Err(error) => {
                self.is_right = false;
                tell(&format!("[{done}/{of}] {}: not tried: {}", trial.name(), with_sources(&error)));
                return;
            }
        };
        let wrong: Vec<_> = cases.iter().filter(|case| !case.right).collect();
        self.is_right &= wrong.is_empty();
        tell(&format!(
            "[{done}/{of}] {}: {}",
            trial.name(),
            if wrong.is_empty() { "right" } else { "WRONG" }
        ));
        for case in wrong {
            tell(&format!("    {}: {:?} in, {:?} {:?}", case.name, case.made, case.outcome, case.told));
        }
        for case in cases {
            let emulated = case.emulated || self.emulated;
            self.record.add(Case { commit: self.commit.clone(), emulated, ..case });
        }
    }
}

/// Where the score is written.
struct Files {
    json: PathBuf,
    page: PathBuf,
}

impl Files {
    fn write(&self, record: &Record) -> Result<(), ScoreError> {
        record.write(&self.json)?;
        write_whole(&self.page, &page(record))
    }
}

/// A folder of our own, that goes with us.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Result<Folder, ScoreError> {
        let path = std::env::temp_dir().join(format!("hopline-score-{}", std::process::id()));
        fs::create_dir(&path).map_err(|source| ScoreError::File {
            operation: "make",
            path: path.clone(),
            source,
        })?;
        Ok(Folder(path))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // There is nobody to tell.
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn tell(line: &str) {
    // Whoever closed stderr does not want to know.
    let _ = writeln!(io::stderr(), "{line}");
}

fn with_sources(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source());
    sources.fold(error.to_string().trim().to_owned(), |text, source| format!("{text}: {source}"))
}

/// The kernel's version, without what its builder calls it.
fn kernel() -> String {
    let release = fs::read_to_string(Path::new("/proc/sys/kernel/osrelease")).unwrap_or_default();
    release.trim().split('-').next().unwrap_or_default().to_owned()
}

fn today() -> Result<String, ScoreError> {
    let output = Command::new("date").args(["-u", "+%F"]).output();
    let output = output.map_err(|source| ScoreError::Start { program: "date".to_owned(), source })?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn clock_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs()
}
