//! Captures that somebody made, as sightings: which of the ladder's questions their packets ask, where on the predicted
//! ways they were seen, and where they went missing.
//!
//! A capture lacks a packet only where it is known to have recorded at the time, at that device, and by a filter that
//! takes the packet and its answer; else it tells nothing of it.

mod asked;
mod filters;
mod given;
mod journeys;
mod judged;
#[cfg(test)]
mod octets;
mod placed;
mod seen;
mod spots;
mod tally;
mod unfiltered;

use ::correlate::Report;
use checks::Rung;
use model::probe::ProbeResult;
use model::snapshot::Gap;

use self::asked::Book;
use self::judged::Placed;
use self::seen::Seen;
use self::spots::Spot;
use self::tally::Times;
use crate::commands::correlate;
use crate::commands::correlate::source::{self, Source};
use crate::conclude::{self, Asked, Probed};
use crate::failure::Failure;
use crate::gather::Facts;
use crate::progress;

pub(crate) use given::Given;

/// Adds what the captures tell of the questions that nothing was sent for. One that was given on the command line must
/// be readable; of one in a bundle it is a gap that it is not.
pub(crate) fn add(
    given: &[Given],
    facts: &mut Facts,
    asked: &Asked,
    probed: &mut Probed,
) -> Result<(), Failure> {
    let (given, sources) = open_all(given, facts)?;
    if given.is_empty() {
        return Ok(());
    }
    let _progress = progress::start("reading the captures");
    let (rungs, _) = conclude::questions(facts, asked);
    let mut book = Book::of(facts, &rungs);
    let mut seen = Seen::default();
    let (report, sources) =
        correlate::each(sources, &mut |journey, vantages| seen.note(&mut book, journey, vantages))?;
    let (spots, unplaced) = spots::place(&facts.snapshot, &given, (&report, &sources), &seen.recordings);
    must_be_placed(&given, &unplaced)?;
    let mut gaps: Vec<Gap> = unplaced.into_iter().map(|(_, gap)| gap).collect();
    let times = Times { spots: &spots, cut_ns: &seen.cut_ns };
    let placed = Placed { facts, given: &given, times };
    for (at, packets) in &seen.questions {
        let Some(rung) = rungs.get(*at).filter(|rung| !is_asked(rung, &probed.probes)) else { continue };
        let Some((exchange, _)) = asked::conversation(rung) else { continue };
        if let Some((probe, watches, ways)) = placed.judge((rung, exchange), packets) {
            probed.probes.push(probe);
            probed.watches.extend(watches);
            probed.seen.push(ways);
        }
    }
    let subject = asked.instance.and_then(|at| facts.intent.instances.get(at)).map(|own| own.name.clone());
    let subject = subject.unwrap_or_else(|| "the instances".to_owned());
    for ((index, given), source) in (0_u16..).zip(&given).zip(&sources) {
        probed.captures.push(line(index, given, (&report, source), &seen, &spots));
        gaps.extend(notes((index, given, source), facts, (&seen, &spots), &subject));
    }
    facts.snapshot.gaps.extend(gaps);
    Ok(())
}

/// Those that can be opened.
fn open_all(given: &[Given], facts: &mut Facts) -> Result<(Vec<Given>, Vec<Source>), Failure> {
    let (mut opened, mut sources) = (Vec::new(), Vec::new());
    for given in given.iter().chain(&facts.captures.clone()) {
        match given.open() {
            Ok(source) => {
                opened.push(given.clone());
                sources.push(source);
            }
            Err(failure) if given.within.is_some() => facts.snapshot.gaps.push(Gap {
                what: format!("the packets in {}", given.name()),
                why: failure.to_string(),
                would_need: "the capture as it was recorded".to_owned(),
            }),
            Err(failure) => return Err(failure),
        }
    }
    Ok((opened, source::comparable(sources)))
}

/// Who says where a capture was made on the command line means it.
fn must_be_placed(given: &[Given], unplaced: &[(usize, Gap)]) -> Result<(), Failure> {
    let is_said =
        |at: usize| given.get(at).is_some_and(|given| given.vantage.is_some() && given.within.is_none());
    match unplaced.iter().find(|(at, _)| is_said(*at)) {
        Some((_, gap)) => {
            Err(Failure::new(format!("{} is not known: {}", gap.what, gap.why)).hint(gap.would_need.clone()))
        }
        None => Ok(()),
    }
}

/// Our own packets tell more of a question than a capture does.
fn is_asked(rung: &Rung, probes: &[ProbeResult]) -> bool {
    probes.iter().any(|probe| {
        let same = rung.answer.paths.iter().any(|path| path.exchange == probe.asked.exchange());
        same && probe.recorded.is_none() && (&probe.from, probe.to) == (&rung.from, rung.to)
    })
}

/// What was looked at.
fn line(index: u16, given: &Given, (report, _): (&Report, &Source), seen: &Seen, spots: &[Spot]) -> String {
    let own = report.vantages.iter().filter(|vantage| vantage.source == index);
    let packets: u64 = own.map(|vantage| vantage.packets).sum();
    let devices = spots.iter().filter(|spot| spot.source == index).count();
    let of_questions = seen.of_questions.get(&index).copied().unwrap_or_default();
    format!(
        "capture {}: {packets} packets at {devices} devices of the site, {of_questions} of questions of the ladder",
        given.name()
    )
}

/// What is not known of a capture, or not known from it.
fn notes(
    (index, given, source): (u16, &Given, &Source),
    facts: &Facts,
    (seen, spots): (&Seen, &[Spot]),
    subject: &str,
) -> Vec<Gap> {
    let name = given.name();
    let mut gaps = Vec::new();
    if let Some(damage) = &source.damage {
        gaps.push(Gap {
            what: format!("the rest of {name}"),
            why: format!("it broke at {}: {}", damage.offset, damage.why),
            would_need: "the capture as it was recorded".to_owned(),
        });
    }
    if seen.of_questions.get(&index).is_none_or(|count| *count == 0) {
        gaps.push(Gap {
            what: format!("packets of {subject} in {name}"),
            why: "none of its packets asks or answers a question of the ladder".to_owned(),
            would_need: "hopline capture instance:NAME -w FILE.pcapng, while it fails".to_owned(),
        });
    }
    let own = spots.iter().filter(|spot| spot.source == index);
    if let Some((first, last)) = own.map(|spot| spot.span_ns).reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) {
        let taken = judged::taken_ns(&facts.snapshot);
        let apart = if last < taken { taken.saturating_sub(last) } else { first.saturating_sub(taken) };
        if apart > judged::APART_NS {
            let minutes = apart / 60_000_000_000;
            let when = if last < taken { "before" } else { "after" };
            gaps.push(Gap {
                what: format!("the site at the time of {name}"),
                why: format!("it was recorded {minutes} minutes {when} the machines were read"),
                would_need: "a capture and a bundle of the same minutes".to_owned(),
            });
        }
    }
    if seen.cut_ns.contains_key(&index) {
        gaps.push(Gap {
            what: format!("all packets of questions in {name}"),
            why: "there are more than are looked at one by one".to_owned(),
            would_need: "a capture of less time, or of one instance".to_owned(),
        });
    }
    gaps
}
