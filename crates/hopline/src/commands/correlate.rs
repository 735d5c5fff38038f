//! `hopline correlate`: captures of several places as one story.

mod readers;
mod source;

use std::io::{self, BufWriter, ErrorKind, Write};

use ::correlate::{Correlator, Journey, Merge, Options, Vantage};
use report::{Journeys, Layout, Unreadable};

use self::readers::Readers;
use self::source::Source;
use crate::failure::Failure;
use crate::output;
use crate::plan::{CorrelateQuestion, Format, Plan};

/// Journeys that are shown one by one.
const FEW: usize = 8;

pub(super) fn run(plan: &Plan, question: &CorrelateQuestion) -> Result<u8, Failure> {
    let sources = source::open_all(&question.files)?;
    let window_ns = i64::try_from(question.window.as_nanos()).unwrap_or(i64::MAX);
    let options = Options { window_ns, ..Options::default() };
    let mut joined = join(sources, options, plan, question)?;
    for source in &joined.sources {
        if let Some(damage) = &source.damage {
            let place = &source.file;
            warn(&format!("{place} broke at {}: {}; what stands before is used", damage.offset, damage.why));
            let (offset, why) = (damage.offset, damage.why.clone());
            joined.unreadable.push(Unreadable { file: place.clone(), offset, why });
        }
        if let Some((frame, back_ns)) = source.backwards {
            let ms = back_ns / 1_000_000;
            warn(&format!(
                "{}: time runs back by {ms} ms at frame {frame}; packets may be told wrong",
                source.file
            ));
        }
    }
    let journeys = Journeys {
        report: &joined.report,
        names: &joined.names,
        unreadable: &joined.unreadable,
        window_ns,
        few: &joined.few,
    };
    output::print(|out| match plan.format {
        Format::Json => journeys.json(if question.each { Layout::Lines } else { Layout::Pages }, out),
        Format::Minimal => journeys.minimal(out),
        Format::Terminal(style) => journeys.terminal(&style, out),
    })?;
    Ok(journeys.exit_code())
}

/// What came of it.
struct Joined {
    report: ::correlate::Report,
    names: Vec<String>,
    sources: Vec<Source>,
    unreadable: Vec<Unreadable>,
    few: Vec<Journey>,
}

fn join(
    sources: Vec<Source>,
    options: Options,
    plan: &Plan,
    question: &CorrelateQuestion,
) -> Result<Joined, Failure> {
    let count = sources.len();
    let mut merge = Merge::new(count);
    let mut correlator = Correlator::new(options, sources.iter().map(|source| source.is_mixed).collect());
    let mut readers = Readers::start(sources);
    for source in 0..count {
        // The clocks are told from a part of each source that is larger than one batch.
        for _ in 0..readers::LOOK_AHEAD {
            let batch = readers.next(source)?;
            let is_over = batch.is_empty();
            merge.give(source, batch);
            if is_over {
                break;
            }
        }
    }
    correlator.look_ahead(&mut merge, count);
    let mut shown = Shown::new(question.each);
    let mut numbered = Vec::new();
    loop {
        correlator.drain(&mut merge, &mut |journey, vantages| {
            name(vantages, &readers, &mut numbered);
            shown.show(journey, &numbered);
        });
        let Some(source) = merge.wanted() else { break };
        let batch = readers.next(source)?;
        merge.give(source, batch);
    }
    let report = correlator.finish(&merge, &mut |journey, vantages| {
        name(vantages, &readers, &mut numbered);
        shown.show(journey, &numbered);
    });
    name(merge.vantages(), &readers, &mut numbered);
    shown.finish()?;
    let few = match plan.format {
        Format::Terminal(_) if shown.count <= FEW => shown.few,
        Format::Terminal(_) | Format::Minimal | Format::Json => Vec::new(),
    };
    Ok(Joined { report, names: numbered, sources: readers.finish(), unreadable: Vec::new(), few })
}

/// Names the vantages that have turned up since.
fn name(vantages: &[Vantage], readers: &Readers, names: &mut Vec<String>) {
    for vantage in vantages.iter().skip(names.len()) {
        names.push(readers.name(usize::from(vantage.source), vantage.local));
    }
}

/// Journeys on their way to stdout, and the first few of them.
struct Shown {
    out: Option<BufWriter<io::StdoutLock<'static>>>,
    failed: Option<io::Error>,
    few: Vec<Journey>,
    count: usize,
}

impl Shown {
    fn new(each: bool) -> Shown {
        let out = each.then(|| BufWriter::new(io::stdout().lock()));
        Shown { out, failed: None, few: Vec::new(), count: 0 }
    }

    fn show(&mut self, journey: &Journey, names: &[String]) {
        self.count += 1;
        if self.few.len() < FEW {
            self.few.push(journey.clone());
        }
        if let Some(out) = &mut self.out
            && let Err(error) = report::journey_line(journey, names, out)
        {
            self.failed.get_or_insert(error);
            self.out = None;
        }
    }

    /// stdout is free again for the summary.
    fn finish(&mut self) -> Result<(), Failure> {
        let flushed = self.out.take().map_or(Ok(()), |mut out| out.flush());
        let failed = self.failed.take().map_or(flushed, Err);
        match failed {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                Err(Failure::new(format!("cannot write to stdout: {error}")))
            }
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

fn warn(text: &str) {
    // A warning that cannot be shown is not missed.
    let _ = writeln!(io::stderr(), "hopline: {}", report::clean(text));
}
