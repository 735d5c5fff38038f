//! `hopline correlate`: captures of several places as one story.

mod merged;
mod order;
mod readers;
pub(crate) mod source;

use std::io::{self, BufWriter, ErrorKind, Write};
use std::net::IpAddr;
use std::path::Path;

use ::correlate::{Correlator, Journey, Merge, Nat, Options, Vantage};
use report::{Captured, Copied, Journeys, Layout, Sequence, Unreadable};

use self::order::Placed;
use self::readers::Readers;
use self::source::Source;
use crate::failure::Failure;
use crate::output;
use crate::plan::{CorrelateQuestion, Format, Plan};
use crate::sheets::Sheets;
use crate::site_file;
use crate::targets;
use crate::vantages::Onward;

/// Journeys that are shown one by one.
const FEW: usize = 8;

pub(super) fn run(plan: &Plan, question: &CorrelateQuestion) -> Result<u8, Failure> {
    let sheets = Sheets::of(&plan.pages)?;
    sheets.must_differ_from(&question.files)?;
    sheets.must_differ_from(question.merged.as_slice())?;
    let site = site_file::path(plan.site.as_deref());
    sheets.must_differ_from(site.as_slice())?;
    question.merged.iter().try_for_each(|file| targets::must_differ("-w", file, site.as_slice()))?;
    let merged = question.merged.as_deref().map(|path| merged::Aim::of(path, &question.files)).transpose()?;
    let window_ns = i64::try_from(question.window.as_nanos()).unwrap_or(i64::MAX);
    let options = Options { window_ns, ..Options::default() };
    let mut shown = Shown::new(question.each, merged.is_some());
    shown.sequence = sheets.are_wanted().then(Sequence::new);
    let sources = source::open_all(&question.files)?;
    let placed = order::placed(plan, &sources)?;
    let known = Known { nat: &question.nat, onward: &[], placed: placed.as_ref() };
    let joined = join(sources, options, shown, known)?;
    for source in &joined.sources {
        if let Some(damage) = &source.damage {
            let place = &source.file;
            warn(&format!("{place} broke at {}: {}; what stands before is used", damage.offset, damage.why));
        }
        if let Some((frame, back_ns)) = source.backwards {
            let ms = back_ns / 1_000_000;
            warn(&format!(
                "{}: time runs back by {ms} ms at frame {frame}; packets may be told wrong",
                source.file
            ));
        }
    }
    let is_shown = matches!(plan.format, Format::Terminal(_));
    let few = if is_shown && joined.seen.count <= FEW { joined.seen.few.as_slice() } else { &[] };
    let journeys = Journeys { few, ..joined.journeys(window_ns) };
    if let Some(aim) = merged {
        merged::write(aim, &joined, &journeys.notes(&joined.seen.copies))?;
    }
    if let Some(sequence) = &joined.seen.sequence {
        let files: Vec<String> = joined.sources.iter().map(|source| source.file.clone()).collect();
        let (journeys, files) = (&journeys, files.as_slice());
        sheets.write_captured(&Captured { journeys, sequence, files, command: "correlate" })?;
    }
    output::print(|out| match plan.format {
        Format::Json => journeys.json(if question.each { Layout::Lines } else { Layout::Pages }, out),
        Format::Minimal => journeys.minimal(out),
        Format::Terminal(style) => journeys.terminal(&style, out),
    })?;
    Ok(journeys.exit_code())
}

/// A capture file of our own, as journeys with their copies; what is known of the order of its vantages is by the
/// numbers of its interfaces. They are kept for a picture where there is a `sequence`.
pub(super) fn captured(
    path: &Path,
    options: Options,
    onward: &[Onward],
    sequence: Option<Sequence>,
) -> Result<Joined, Failure> {
    let known = Known { nat: &[], onward, placed: None };
    let shown = Shown { sequence, ..Shown::new(false, true) };
    join(source::open_all(&[path.to_owned()])?, options, shown, known)
}

/// Tells what is known of the order of one source's vantages.
pub(super) fn teach(correlator: &mut Correlator, merge: &mut Merge, onward: &[Onward]) {
    for (at, destination, next) in onward {
        if let (Some(at), Some(next)) = (merge.introduce(0, *at), merge.introduce(0, *next)) {
            correlator.teach(at, (*destination).into(), next);
        }
    }
}

/// What came of it.
pub(super) struct Joined {
    pub(super) report: ::correlate::Report,
    pub(super) names: Vec<String>,
    sources: Vec<Source>,
    unreadable: Vec<Unreadable>,
    pub(super) seen: Shown,
}

impl Joined {
    /// To be told of.
    pub(super) fn journeys(&self, window_ns: i64) -> Journeys<'_> {
        let Joined { report, names, unreadable, .. } = self;
        Journeys { report, names, unreadable, window_ns, few: &[] }
    }
}

/// What is known before any packet is.
#[derive(Clone, Copy)]
struct Known<'a> {
    /// Addresses inside, and what they are outside.
    nat: &'a [(IpAddr, IpAddr)],
    onward: &'a [Onward],
    /// Vantages of which the site tells the order.
    placed: Option<&'a Placed>,
}

fn join(
    sources: Vec<Source>,
    options: Options,
    mut shown: Shown,
    known: Known<'_>,
) -> Result<Joined, Failure> {
    let is_mixed: Vec<bool> = sources.iter().map(|source| source.is_mixed).collect();
    let mut numbered = Vec::new();
    let mut see = |journey: &Journey, vantages: &[Vantage], readers: &Readers| {
        name(vantages, readers, &mut numbered);
        shown.show(journey, vantages, &numbered, &is_mixed);
    };
    let (report, vantages, readers) = run_through(sources, options, known, &mut see)?;
    name(&vantages, &readers, &mut numbered);
    shown.finish()?;
    let sources = readers.finish();
    let broken = sources.iter().filter_map(|source| Some((source.file.clone(), source.damage.clone()?)));
    let unreadable =
        broken.map(|(file, damage)| Unreadable { file, offset: damage.offset, why: damage.why }).collect();
    Ok(Joined { report, names: numbered, sources, unreadable, seen: shown })
}

/// Captures with each journey as it is closed, for who has a use of his own for them: what is known at the end, and the
/// sources, read to their ends.
pub(crate) fn each(
    sources: Vec<Source>,
    see: &mut dyn FnMut(&Journey, &[Vantage]),
) -> Result<(::correlate::Report, Vec<Source>), Failure> {
    let known = Known { nat: &[], onward: &[], placed: None };
    let mut seen = |journey: &Journey, vantages: &[Vantage], _: &Readers| see(journey, vantages);
    let (report, _, readers) = run_through(sources, Options::default(), known, &mut seen)?;
    Ok((report, readers.finish()))
}

/// Who looks at each journey.
type See<'s> = &'s mut dyn FnMut(&Journey, &[Vantage], &Readers);

fn run_through(
    sources: Vec<Source>,
    options: Options,
    known: Known<'_>,
    see: See<'_>,
) -> Result<(::correlate::Report, Vec<Vantage>, Readers), Failure> {
    let count = sources.len();
    let mut merge = Merge::new(count);
    let is_mixed: Vec<bool> = sources.iter().map(|source| source.is_mixed).collect();
    let mut correlator = Correlator::new(options, is_mixed);
    let pairs = known.nat.iter().copied();
    correlator
        .give_nat(pairs.map(|(inside, outside)| Nat { inside: inside.into(), outside: outside.into() }));
    teach(&mut correlator, &mut merge, known.onward);
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
    if let Some(placed) = known.placed {
        placed.teach(&mut merge, &mut correlator);
    }
    correlator.look_ahead(&mut merge, count);
    loop {
        correlator.drain(&mut merge, &mut |journey, vantages| see(journey, vantages, &readers));
        let Some(source) = merge.wanted() else { break };
        let batch = readers.next(source)?;
        merge.give(source, batch);
    }
    let report = correlator.finish(&merge, &mut |journey, vantages| see(journey, vantages, &readers));
    Ok((report, merge.vantages().to_vec(), readers))
}

/// Names the vantages that have turned up since.
fn name(vantages: &[Vantage], readers: &Readers, names: &mut Vec<String>) {
    for vantage in vantages.iter().skip(names.len()) {
        names.push(readers.name(usize::from(vantage.source), vantage.local));
    }
}

/// Copies that are told one by one.
const COPIES_MAX: usize = 100_000;

/// Journeys on their way to stdout, and what is kept of them.
pub(super) struct Shown {
    out: Option<BufWriter<io::StdoutLock<'static>>>,
    failed: Option<io::Error>,
    few: Vec<Journey>,
    count: usize,
    keeps_copies: bool,
    pub(super) copies: Vec<Copied>,
    /// What is kept for a picture, where one is asked for.
    pub(super) sequence: Option<Sequence>,
}

impl Shown {
    fn new(each: bool, keeps_copies: bool) -> Shown {
        let out = each.then(|| BufWriter::new(io::stdout().lock()));
        let (few, copies) = (Vec::new(), Vec::new());
        Shown { out, failed: None, few, count: 0, keeps_copies, copies, sequence: None }
    }

    fn show(&mut self, journey: &Journey, vantages: &[Vantage], names: &[String], is_mixed: &[bool]) {
        self.count += 1;
        if self.few.len() < FEW {
            self.few.push(journey.clone());
        }
        if let Some(sequence) = &mut self.sequence {
            sequence.see(journey);
        }
        if self.keeps_copies && !journey.is_said_again() {
            self.keep_copies(journey, vantages, is_mixed);
        }
        if let Some(out) = &mut self.out
            && let Err(error) = report::journey_line(journey, names, out)
        {
            self.failed.get_or_insert(error);
            self.out = None;
        }
    }

    /// A copy is made once, and seen at every vantage behind.
    fn keep_copies(&mut self, journey: &Journey, vantages: &[Vantage], is_mixed: &[bool]) {
        let mut before = 0;
        for stop in &journey.stops {
            let Some(source) = vantages.get(usize::from(stop.vantage)).map(|vantage| vantage.source) else {
                continue;
            };
            // Among several devices without names, the same packet once more is at another of them.
            if is_mixed.get(usize::from(source)) == Some(&true) {
                continue;
            }
            if stop.copies > before.max(1) && self.copies.len() < COPIES_MAX {
                let may_repeat = before == 0 && journey.may_be_sent_again(stop);
                self.copies.push(Copied {
                    source,
                    frame: stop.frame,
                    copies: stop.copies,
                    before,
                    may_repeat,
                });
            }
            before = stop.copies;
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
