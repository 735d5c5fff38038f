//! `hopline selftest`: the prediction held to this machine's kernel.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal, Write};
use std::num::NonZero;
use std::path::PathBuf;
use std::thread;
use std::time::{Duration, Instant};

use report::clean;
use selftest::{Count, Fixture, Options, Report};
use serde_json::{Value, json};

use crate::failure::Failure;
use crate::output;
use crate::plan::{Format, Plan, SelftestQuestion};

/// Cases at a time for each processor: the kernel has its waits, which others fill.
const CASES_PER_CPU: usize = 3;
/// Between two words on how far it is.
const PATIENCE: Duration = Duration::from_secs(2);

pub(super) fn run(plan: &Plan, question: &SelftestQuestion) -> Result<u8, Failure> {
    if !question.replay.is_empty() {
        return replay(plan, &question.replay);
    }
    let started = Instant::now();
    if !question.save.is_dir() {
        let folder = question.save.display();
        return Err(Failure::new(format!("`--save {folder}` is no folder")).hint("make it first"));
    }
    let cpus = thread::available_parallelism().map_or(1, NonZero::get);
    let options = Options {
        seed: question.seed,
        cases: question.cases,
        workers: cpus * CASES_PER_CPU,
        unmodelled: question.unmodelled,
    };
    let mut report = selftest::run(&options, told(started)).map_err(|error| failure(&error))?;
    report.save(&question.save).map_err(|error| failure(&error))?;
    match plan.format {
        Format::Json => output::json(&document(&report))?,
        Format::Minimal => output::print(|out| minimal(&report, out))?,
        Format::Terminal(style) => {
            output::print(|out| page(&report, started.elapsed(), style.verbose, out))?;
        }
    }
    Ok(u8::from(report.wrong > 0))
}

/// Asks again about what an earlier run kept.
fn replay(plan: &Plan, files: &[PathBuf]) -> Result<u8, Failure> {
    /// The file, the kernel that did it, and what was said and seen.
    type Told = (String, String, String);
    let mut wrong: Vec<Told> = Vec::new();
    for file in files {
        let fixture = Fixture::read(file).map_err(|error| {
            let failure = Failure::new(format!("could not read {} as a kept case: {error}", file.display()));
            failure.hint("give a file that `hopline selftest --save` wrote")
        })?;
        if let Err(told) = fixture.holds() {
            wrong.push((file.display().to_string(), fixture.kernel, told));
        }
    }
    match plan.format {
        Format::Json => {
            let told = |(file, kernel, told): &Told| json!({ "file": file, "kernel": kernel, "told": told });
            output::json(&json!({
                "schema": "hopline.selftest/1",
                "cases": files.len(),
                "agreed": files.len() - wrong.len(),
                "wrong": wrong.len(),
                "unknown": 0,
                "disagreements": wrong.iter().map(told).collect::<Vec<Value>>(),
            }))?;
        }
        Format::Minimal => output::print(|out| {
            wrong.iter().try_for_each(|(file, ..)| writeln!(out, "wrong {}", clean(file)))
        })?,
        Format::Terminal(_) => output::print(|out| {
            for (file, kernel, told) in &wrong {
                writeln!(out, "{}: kernel {} did otherwise", clean(file), clean(kernel))?;
                told.lines().try_for_each(|line| writeln!(out, "  {}", clean(line)))?;
            }
            writeln!(out, "{} of {} kept cases are as the kernel did", files.len() - wrong.len(), files.len())
        })?,
    }
    Ok(u8::from(!wrong.is_empty()))
}

fn failure(error: &selftest::SelftestError) -> Failure {
    let failure = Failure::of(error);
    if error.is_permission() { failure.hint("run it as root: sudo hopline selftest") } else { failure }
}

/// Says on a terminal now and then how far the run is.
fn told(started: Instant) -> impl Fn(u64, u64) + Sync {
    let last = std::sync::Mutex::new(started);
    let to_terminal = io::stderr().is_terminal();
    move |done, of| {
        let Ok(mut last) = last.lock() else { return };
        if to_terminal && last.elapsed() >= PATIENCE {
            *last = Instant::now();
            // Progress that cannot be shown is not missed.
            let _ = writeln!(io::stderr(), "hopline: {done} of {of} cases ...");
        }
    }
}

/// `hopline.selftest/1`.
fn document(report: &Report) -> Value {
    let disagreements: Vec<Value> = report
        .disagreements
        .iter()
        .map(|wrong| {
            json!({
                "number": wrong.number, "case": wrong.case, "told": wrong.told, "built": wrong.built,
                "file": wrong.file,
            })
        })
        .collect();
    json!({
        "schema": "hopline.selftest/1",
        "kernel": report.kernel,
        "seed": report.seed,
        "cases": report.cases,
        "agreed": report.agreed,
        "wrong": report.wrong,
        "unknown": report.unknown,
        "packets": report.packets,
        "coverage": report.coverage,
        "disagreements": disagreements,
    })
}

/// One line a disagreement: the file that replays it.
fn minimal(report: &Report, out: &mut dyn Write) -> io::Result<()> {
    report.disagreements.iter().try_for_each(|wrong| match &wrong.file {
        Some(file) => writeln!(out, "wrong {}", clean(&file.display().to_string())),
        None => writeln!(out, "wrong case {} of seed {}", wrong.number, report.seed),
    })
}

fn page(report: &Report, elapsed: Duration, verbose: bool, out: &mut dyn Write) -> io::Result<()> {
    for wrong in &report.disagreements {
        writeln!(out, "case {} fared otherwise", wrong.number)?;
        for line in wrong.told.lines().chain(wrong.built.lines()) {
            writeln!(out, "  {}", clean(line))?;
        }
        match &wrong.file {
            Some(file) => writeln!(out, "  kept in {}\n", clean(&file.display().to_string()))?,
            None => writeln!(out, "  not kept: too many before it\n")?,
        }
    }
    let Report { kernel, seed, cases, agreed, wrong, unknown, packets, coverage, .. } = report;
    let seconds = elapsed.as_secs();
    writeln!(out, "selftest  {cases} cases of seed {seed} on kernel {}, {seconds} s", clean(kernel))?;
    writeln!(out, "  cases     {agreed} agreed, {wrong} wrong, {unknown} unknown")?;
    writeln!(
        out,
        "  packets   {} sent: {} to arrive, {} to be lost, {} to be answered, {} unknown, {} wrong",
        packets.sent, packets.delivered, packets.lost, packets.answered, packets.unknown, packets.wrong
    )?;
    writeln!(
        out,
        "  coverage  {} matches, {} targets, {} base chains{}",
        coverage.matches.len(),
        coverage.targets.len(),
        coverage.hooks.len(),
        if verbose { "" } else { "; -v lists them" }
    )?;
    for (name, why) in &coverage.left_out {
        let why = why.lines().next().unwrap_or_default();
        writeln!(out, "  left out  {}: {}", clean(name), clean(why))?;
    }
    if verbose {
        counts("match", &coverage.matches, out)?;
        counts("target", &coverage.targets, out)?;
        counts("base chain", &coverage.hooks, out)?;
        plain("unknown because", &coverage.unknown, out)?;
        plain("packet", &coverage.packets, out)?;
        plain("sysctl", &coverage.sysctls, out)?;
    }
    Ok(())
}

fn counts(title: &str, counts: &BTreeMap<String, Count>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{title:40} {:>9} {:>9}", "drawn", "decided")?;
    counts.iter().try_for_each(|(name, Count { drawn, decided })| {
        writeln!(out, "  {:38} {drawn:>9} {decided:>9}", clean(name))
    })
}

fn plain(title: &str, counts: &BTreeMap<String, u64>, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\n{title:40} {:>9}", "times")?;
    counts.iter().try_for_each(|(name, drawn)| writeln!(out, "  {:38} {drawn:>9}", clean(name)))
}
