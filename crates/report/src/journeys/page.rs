//! The page: what is wrong first, then where was looked, what is translated, how long each stretch takes.

use std::io::{self, Write};

use correlate::{Findings, Stretch, VantageReport};

use super::packet::{ends, title};
use super::stamp::clock;
use super::told::{self, packets};
use super::{Journeys, json};
use crate::Style;
use crate::page::{Page, Span, plain};
use crate::strip::APART;
use crate::style::{Mark, Role};

/// Translations and stretches shown unless all is asked for.
const LINES_MAX: usize = 12;

pub(super) fn page(journeys: &Journeys<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { style, out };
    told(&mut page, journeys)?;
    few(&mut page, journeys)?;
    vantages(&mut page, journeys)?;
    nat(&mut page, journeys)?;
    stretches(&mut page, journeys)?;
    window(&mut page, journeys)
}

/// What is wrong, and how long each stretch takes.
pub(super) fn findings(journeys: &Journeys<'_>, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { style, out };
    told(&mut page, journeys)?;
    stretches(&mut page, journeys)
}

fn told(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    headline(page, journeys)?;
    for told in told::all(journeys) {
        let mark = if told.is_fault { Mark::STOP } else { Mark::UNSURE };
        let code = Span::new(Role::Strong, told.code);
        let at = plain(&format!("at {}:", journeys.name(told.vantage)));
        page.marked(0, mark, &[code, at, plain(&told.sentence)])?;
    }
    for file in journeys.unreadable {
        let text = format!("{} broke at {}: {}", file.file, file.offset, file.why);
        page.marked(0, Mark::UNSURE, &[plain(&text)])?;
    }
    Ok(())
}

fn headline(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    let (mark, seen, what) = said(journeys);
    page.marked(0, mark, &[plain(&seen), Span::new(mark.role, &what)])
}

/// How much was seen, and what is most to be said of it.
pub(super) fn said(journeys: &Journeys<'_>) -> (Mark, String, String) {
    let findings = &journeys.report.findings;
    let count = journeys.report.journeys;
    let vantages = journeys.report.vantages.len();
    let seen = format!(
        "{} of {} at {}:",
        if count == 1 { "1 journey".to_owned() } else { format!("{count} journeys") },
        packets(journeys.report.vantages.iter().map(|vantage| vantage.packets).sum()),
        if vantages == 1 { "1 vantage".to_owned() } else { format!("{vantages} vantages") },
    );
    let (mark, what) = match (findings.is_fault(), findings.undecided) {
        (true, _) => (Mark::STOP, wrong(findings)),
        (false, 0) if count == 0 => (Mark::UNSURE, "no packet was seen".to_owned()),
        (false, 0) => (Mark::PASS, "no packet was lost".to_owned()),
        (false, undecided) => {
            let why = "end where too little was seen to tell a loss from an end";
            (Mark::UNSURE, format!("{} {why}", packets(undecided)))
        }
    };
    (mark, seen, what)
}

/// `12 lost, 3 duplicated`.
fn wrong(findings: &Findings) -> String {
    let counts = [
        (findings.lost_count, "lost"),
        (findings.duplicates, "duplicated"),
        (findings.looping, "looping"),
        (findings.answered_twice, "answered twice"),
    ];
    let counts = counts.into_iter().filter(|(count, _)| *count > 0);
    counts.map(|(count, what)| format!("{count} {what}")).collect::<Vec<_>>().join(", ")
}

/// Journeys one by one, where there are few.
fn few(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    let width = journeys.names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for journey in journeys.few {
        page.gap()?;
        page.text(0, &[Span::new(Role::Strong, &title(journey))])?;
        for stop in &journey.stops {
            let mut text = ends(stop, journey.protocol);
            if stop.ttl > 0 {
                text.push_str(&format!(", ttl {}", stop.ttl));
            }
            let is_doubled =
                journeys.report.vantages.get(usize::from(stop.vantage)).is_some_and(|v| v.doubled > 0);
            match (stop.copies, is_doubled) {
                (1, _) => {}
                (copies, true) => text.push_str(&format!(", {copies} times: at bridge and port")),
                (copies, false) => text.push_str(&format!(", {copies} times")),
            }
            let name = Span::padded(Role::Plain, journeys.name(stop.vantage), width);
            page.columns(2, &[plain(&clock(stop.time_ns)), name], &[plain(&text)])?;
        }
    }
    Ok(())
}

fn vantages(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    page.gap()?;
    page.text(0, &[Span::new(Role::Strong, "Vantages")])?;
    let width = journeys.names.iter().map(|name| name.chars().count()).max().unwrap_or_default();
    for (vantage, name) in journeys.report.vantages.iter().zip(journeys.names) {
        let mut text = packets(vantage.packets);
        if let Some(clock) = clock_text(journeys, vantage) {
            text.push_str(&format!("; {clock}"));
        }
        if vantage.doubled > 0 {
            text.push_str(&format!("; {} shown twice, at bridge and port", packets(vantage.doubled)));
        }
        page.columns(2, &[Span::padded(Role::Plain, name, width)], &[plain(&text)])?;
    }
    Ok(())
}

/// What is known of its clock; nothing where one clock has stamped all.
pub(super) fn clock_text(journeys: &Journeys<'_>, vantage: &VantageReport) -> Option<String> {
    if journeys.report.vantages.iter().all(|other| other.source == vantage.source) {
        return None;
    }
    if usize::from(vantage.source) == journeys.report.reference {
        return Some("its clock is the one that others are compared with".to_owned());
    }
    let Some(offset) = vantage.offset else {
        return Some("its clock is not bounded on both sides".to_owned());
    };
    let reference = json::reference(journeys).unwrap_or("?");
    let drifts = if journeys.report.drifts { ", drifting" } else { "" };
    let us = |ns: i64| format!("{}", ns.unsigned_abs().div_ceil(1_000));
    if offset.low >= 0 {
        let (low, high) = (us(offset.low), us(offset.high));
        return Some(format!("its clock is {low} to {high} us ahead of {reference}{drifts}"));
    }
    if offset.high <= 0 {
        let (low, high) = (us(offset.high), us(offset.low));
        return Some(format!("its clock is {low} to {high} us behind {reference}{drifts}"));
    }
    let (behind, ahead) = (us(offset.low), us(offset.high));
    let agrees = format!("at most {behind} us behind and {ahead} us ahead{drifts}");
    Some(format!("its clock agrees with {reference}: {agrees}"))
}

fn nat(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    if journeys.report.nat.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.text(0, &[Span::new(Role::Strong, "Addresses")])?;
    let max = if page.style.verbose { usize::MAX } else { LINES_MAX };
    for nat in journeys.report.nat.keys().take(max) {
        page.text(2, &[plain(&format!("{} is {} outside", nat.inside, nat.outside))])?;
    }
    more(page, journeys.report.nat.len(), max)
}

fn stretches(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    let stretches = &journeys.report.stretches;
    if stretches.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.text(0, &[Span::new(Role::Strong, "Stretches")])?;
    let max = if page.style.verbose { usize::MAX } else { LINES_MAX };
    for ((from, to), stretch) in stretches.iter().take(max) {
        let name = if from == to {
            format!("within {}:", journeys.name(*from))
        } else {
            format!("{} to {}:", journeys.name(*from), journeys.name(*to))
        };
        page.columns(2, &[plain(&name)], &[plain(&stretch_text(stretch, from == to))])?;
    }
    more(page, stretches.len(), max)
}

pub(super) fn stretch_text(stretch: &Stretch, is_within: bool) -> String {
    let mut parts = Vec::new();
    match stretch.ttl.iter().max_by_key(|(_, count)| **count) {
        Some((0, _)) | None => {}
        Some((1, _)) => parts.push("one router".to_owned()),
        Some((routers, _)) => parts.push(format!("{routers} routers")),
    }
    let rewritten = [("source", stretch.source), ("destination", stretch.destination)];
    let rewritten = rewritten.into_iter().chain([("port", stretch.ports), ("TOS", stretch.tos)]);
    for (what, count) in rewritten.filter(|(_, count)| *count > 0) {
        parts.push(format!("{what} rewritten in {}", packets(count)));
    }
    let latency = &stretch.latency;
    if !is_within && stretch.is_timed {
        let us = |ns: u64| format!("{}.{}", ns / 1_000, ns % 1_000 / 100);
        let (half, most, max) = (latency.percentile(50), latency.percentile(99), latency.max());
        parts.push(format!("p50 {} us, p99 {} us, max {} us", us(half), us(most), us(max)));
    } else if !is_within {
        parts.push(APART.to_owned());
    }
    if parts.is_empty() { "nothing changes".to_owned() } else { parts.join("; ") }
}

fn more(page: &mut Page<'_>, all: usize, shown: usize) -> io::Result<()> {
    match all.checked_sub(shown) {
        None | Some(0) => Ok(()),
        Some(more) => page.text(2, &[plain(&format!("and {more} more; -v shows them"))]),
    }
}

fn window(page: &mut Page<'_>, journeys: &Journeys<'_>) -> io::Result<()> {
    page.gap()?;
    page.text(0, &[Span::new(Role::Dim, &window_text(journeys))])
}

/// For how long a packet is looked for.
pub(super) fn window_text(journeys: &Journeys<'_>) -> String {
    let mut text = format!("A packet is looked for during {} ms", journeys.window_ns / 1_000_000);
    if let Some(ns) = journeys.report.window_shortened_ns {
        text.push_str(&format!("; there were so many that it was only {} ms at times", ns / 1_000_000));
    }
    text
}
