//! A finding on paper: its sentence, what proves it, what mends it.

use std::io;

use model::Finding;
use model::finding::{Confidence, EvidenceKind};

use crate::page::{Page, Span, plain};
use crate::style::{Mark, Role};
use crate::tree::place_name;

/// `✗ web1: tap-not-enslaved — vnet0 is not a port of br100`, and why.
pub(crate) fn headline(page: &mut Page<'_>, subject: &str, finding: &Finding) -> io::Result<()> {
    page.marked(0, Mark::STOP, &sentence(page, subject, finding))?;
    page.text(2, &[plain(&finding.cause), Span::new(Role::Dim, &certainty(finding, subject))])
}

/// The finding in few lines: where, what, and the first thing that mends it.
pub(crate) fn compact(page: &mut Page<'_>, finding: &Finding) -> io::Result<()> {
    let place = place_name(&finding.hop);
    let mut sentence = sentence(page, &place, finding);
    sentence.push(Span::new(Role::Dim, &certainty(finding, &place)));
    page.marked(2, Mark::STOP, &sentence)?;
    if page.style.verbose {
        page.text(4, &[plain(&finding.cause)])?;
        evidence(page, 4, finding)?;
        return remedies(page, 4, finding);
    }
    match finding.remedy.first() {
        Some(remedy) if !remedy.command.is_empty() => command(page, 4, "fix: ", &remedy.command),
        Some(_) | None => Ok(()),
    }
}

/// Each source with the very lines it showed.
pub(crate) fn evidence(page: &mut Page<'_>, indent: usize, finding: &Finding) -> io::Result<()> {
    if finding.evidence.is_empty() {
        return Ok(());
    }
    let place = place_name(&finding.hop);
    page.text(indent, &[Span::new(Role::Strong, "evidence"), plain("at"), plain(&place)])?;
    for item in &finding.evidence {
        let kind = Span::new(Role::Dim, &format!("{}:", kind_name(item.kind)));
        page.text(indent + 2, &[kind, Span::new(Role::Dim, &item.source)])?;
        for line in item.text.lines() {
            page.text(indent + 4, &[plain(line)])?;
        }
    }
    Ok(())
}

/// What mends it, what takes that back, and what it would disturb.
pub(crate) fn remedies(page: &mut Page<'_>, indent: usize, finding: &Finding) -> io::Result<()> {
    if finding.remedy.is_empty() {
        return Ok(());
    }
    let owner = format!("(managed by: {})", finding.owner);
    page.text(indent, &[Span::new(Role::Strong, "fix"), Span::new(Role::Dim, &owner)])?;
    for remedy in &finding.remedy {
        if !remedy.command.is_empty() {
            command(page, indent + 2, "", &remedy.command)?;
        }
        if !remedy.undo.is_empty() {
            command(page, indent + 4, "undo: ", &remedy.undo)?;
        }
        if !remedy.note.is_empty() {
            page.columns(indent + 4, &[plain("note:")], &[plain(&remedy.note)])?;
        }
    }
    Ok(())
}

fn sentence(page: &Page<'_>, who: &str, finding: &Finding) -> Vec<Span> {
    vec![
        Span::new(Role::Strong, &format!("{who}:")),
        Span::new(Role::Bad, &finding.code),
        plain(page.style.dash()),
        Span::new(Role::Strong, &finding.summary),
    ]
}

/// `(proven; hits web1, web2)`; an instance that the line already names is not repeated.
pub(crate) fn certainty(finding: &Finding, named: &str) -> String {
    let confidence = match finding.confidence {
        Confidence::Proven => "proven",
        Confidence::Likely => "likely",
        Confidence::Possible => "possible",
    };
    match finding.instances.as_slice() {
        [] => format!("({confidence})"),
        [only] if only == named => format!("({confidence})"),
        hit => format!("({confidence}; hits {})", hit.join(", ")),
    }
}

/// One line a command, never wrapped: it is there to be pasted.
fn command(page: &mut Page<'_>, indent: usize, label: &str, command: &str) -> io::Result<()> {
    command.lines().try_for_each(|line| page.verbatim(indent, label, line))
}

pub(crate) fn kind_name(kind: EvidenceKind) -> &'static str {
    match kind {
        EvidenceKind::State => "state",
        EvidenceKind::Rule => "rule",
        EvidenceKind::Counter => "counter",
        EvidenceKind::Capture => "capture",
        EvidenceKind::Probe => "probe",
        EvidenceKind::Log => "log",
        EvidenceKind::Db => "database",
        EvidenceKind::Config => "config",
        EvidenceKind::Sysctl => "sysctl",
    }
}
