//! The report as a page for a ticket: one HTML document, whole in itself. It loads nothing, runs nothing, and reads
//! the same printed, without colours and with a keyboard alone.
//!
//! What a reader needs first comes first: what is wrong, where, and what mends it; then the picture of the path and of
//! the packets that were seen to go it, what proves it, and all else that was asked.

mod findings;
mod ladder;
mod packets;
mod rows;
mod stretches;

use std::fmt::Write as _;
use std::io::{self, Write};

use model::Diagnosis;
use model::finding::Outcome;
use model::path::Exchange;

use crate::escape::Escaped;
use crate::style::Mark;
use crate::{arrows, picture, strip, terminal};

pub use rows::Recorded;

/// How pages look, in light and dark and on paper.
pub(crate) const STYLE: &str = include_str!("html/style.css");

/// Stations a row: on a desk, on a tablet, on a telephone. A style sheet shows the one that fits.
const PICTURES: [(&str, usize); 3] = [("wide", 7), ("middle", 4), ("narrow", 2)];

/// Writes the page of a diagnosis or a check, with the rows that a database has of the instance that was asked about,
/// or of those that are hit.
pub fn html(diagnosis: &Diagnosis, recorded: Option<Recorded<'_>>, out: &mut dyn Write) -> io::Result<()> {
    let mut body = String::new();
    let mut findings = diagnosis.findings.as_slice();
    top(&mut body, diagnosis);
    if let (Outcome::Fault, [first, after @ ..]) = (diagnosis.outcome, findings) {
        findings::first(&mut body, first, &diagnosis.subject);
        findings = after;
    } else {
        verdict(&mut body, diagnosis);
    }
    picture(&mut body, diagnosis);
    packets::packets(&mut body, diagnosis);
    if let (Outcome::Fault, Some(first)) = (diagnosis.outcome, diagnosis.findings.first()) {
        findings::evidence(&mut body, first);
    }
    let (idle, stopping): (Vec<_>, Vec<_>) =
        (2..).zip(findings).partition(|(_, finding)| finding.exchange == Exchange::None);
    findings::further(&mut body, "Then, once that is mended", &stopping);
    findings::further(&mut body, "Also wrong, but stops nothing", &idle);
    ladder::ladder(&mut body, diagnosis);
    if let Some(recorded) = recorded {
        rows::rows(&mut body, diagnosis, recorded);
    }
    coverage(&mut body, diagnosis);
    let title = match diagnosis.findings.first() {
        Some(first) => format!("{}: {}", diagnosis.subject, first.summary),
        None => format!("{}: {}", diagnosis.subject, outcome(diagnosis.outcome).1),
    };
    document(&title, &[picture::STYLE, arrows::STYLE, strip::STYLE], &body, out)
}

/// What every page's head says first. Its policy refuses all but the page's own style, should a browser be talked into
/// more.
const HEAD: &str = include_str!("html/head.html");

/// A document around its body; the styles are those of its pictures.
pub(crate) fn document(title: &str, styles: &[&str], body: &str, out: &mut dyn Write) -> io::Result<()> {
    write!(
        out,
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n{HEAD}<title>{}</title>\n<style>\n{STYLE}{}</style>\n</head>\n\
         <body>\n<main>\n{body}</main>\n</body>\n</html>\n",
        Escaped(title),
        styles.concat(),
    )
}

/// A mark's role and an outcome's word.
fn outcome(outcome: Outcome) -> (Mark, &'static str) {
    match outcome {
        Outcome::Fault => (Mark::STOP, "fault"),
        Outcome::Healthy => (Mark::PASS, "healthy"),
        Outcome::Undetermined => (Mark::UNSURE, "undetermined"),
    }
}

fn top(out: &mut String, diagnosis: &Diagnosis) {
    let (mark, word) = outcome(diagnosis.outcome);
    let count = match diagnosis.findings.len() {
        0 => String::new(),
        1 => "1 finding".to_owned(),
        several => format!("{several} findings"),
    };
    let _ = writeln!(
        out,
        "<header><p class=\"asked\">hopline {} <b>{}</b></p><p class=\"outcome {}\">{} {word}</p>\
         <p>{count}</p></header>",
        Escaped(&diagnosis.command),
        Escaped(&diagnosis.subject),
        role_class(mark),
        sign(mark),
    );
}

/// Where there is no finding: what came out, and in doubt what would settle it.
fn verdict(out: &mut String, diagnosis: &Diagnosis) {
    let (_, word) = outcome(diagnosis.outcome);
    let (text, settle) = match diagnosis.outcome {
        Outcome::Fault => (terminal::stopped(diagnosis), None),
        Outcome::Healthy => (terminal::healthy(diagnosis), None),
        Outcome::Undetermined => {
            let (why, would_need) = terminal::doubt(diagnosis);
            (why, Some(would_need))
        }
    };
    let _ = writeln!(out, "<section class=\"first {word}\"><h1>{}</h1>", Escaped(&text));
    if let Some(settle) = settle {
        let _ = writeln!(out, "<p>Would settle it: <b>{}</b></p>", Escaped(&settle));
    }
    out.push_str("</section>\n");
}

fn picture(out: &mut String, diagnosis: &Diagnosis) {
    let Some(told) = picture::told(diagnosis) else { return };
    let Some(path) = diagnosis.paths.get(told.there) else { return };
    let _ = writeln!(
        out,
        "<section class=\"picture\"><h2>The path</h2><p class=\"dim\">{}{}. \
         Each station leads to its own line below.</p>",
        Escaped(&ladder::title(path)),
        if told.back.is_some() { ", and its reply" } else { "" },
    );
    for (class, stations) in PICTURES {
        out.push_str(&picture::inline(diagnosis, stations, class));
    }
    out.push_str("</section>\n");
}

fn coverage(out: &mut String, diagnosis: &Diagnosis) {
    if !diagnosis.coverage.gaps.is_empty() {
        out.push_str("<section><h2>Could not be seen</h2><ul class=\"gaps\">\n");
        for gap in &diagnosis.coverage.gaps {
            let _ = writeln!(
                out,
                "<li><b>{}</b>: {}<br><span class=\"dim\">would settle it: {}</span></li>",
                Escaped(&gap.what),
                Escaped(&gap.why),
                Escaped(&gap.would_need)
            );
        }
        out.push_str("</ul></section>\n");
    }
    if !diagnosis.coverage.looked_at.is_empty() {
        out.push_str("<section><details><summary>What was looked at</summary><ul class=\"looked\">\n");
        for source in &diagnosis.coverage.looked_at {
            let _ = writeln!(out, "<li>{}</li>", Escaped(source));
        }
        out.push_str("</ul></details></section>\n");
    }
}

/// The mark as a character.
pub(crate) fn sign(mark: Mark) -> String {
    mark.sign(&crate::Style::default())
}

/// The class that colours it.
pub(crate) fn role_class(mark: Mark) -> &'static str {
    if mark == Mark::PASS {
        "good"
    } else if mark == Mark::STOP {
        "wrong"
    } else {
        "doubt"
    }
}
