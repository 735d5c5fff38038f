//! The page of what a database contradicts itself in: every finding with its rows, and what repairs them.

use std::io::{self, Write};

use model::finding::Outcome;
use model::{Diagnosis, Finding};

use crate::finding;
use crate::page::{Page, Span, plain};
use crate::style::{Mark, Role, Style};
use crate::terminal;

/// Repairs of one finding that are spelt out, unless all are asked for.
const REPAIRS_MAX: usize = 3;

/// Writes `hopline db check`.
pub fn records(diagnosis: &Diagnosis, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { style, out };
    if diagnosis.outcome != Outcome::Fault {
        return terminal::terminal(diagnosis, style, page.out);
    }
    let count = match diagnosis.findings.len() {
        1 => "one thing is inconsistent".to_owned(),
        several => format!("{several} things are inconsistent"),
    };
    page.marked(
        0,
        Mark::STOP,
        &[Span::new(Role::Strong, &format!("{}:", diagnosis.subject)), plain(&count)],
    )?;
    for finding in &diagnosis.findings {
        page.gap()?;
        of_finding(&mut page, finding)?;
    }
    terminal::gaps(&mut page, diagnosis)
}

fn of_finding(page: &mut Page<'_>, finding: &Finding) -> io::Result<()> {
    finding::headline(page, &finding.hop.device, finding)?;
    let mut shown_by = None;
    for row in &finding.evidence {
        if page.style.verbose && shown_by != Some(&row.source) {
            shown_by = Some(&row.source);
            page.text(4, &[Span::new(Role::Dim, &row.source)])?;
        }
        page.columns(4, &[plain("-")], &[plain(&row.text)])?;
    }
    let shown = if page.style.verbose { finding.remedy.len() } else { REPAIRS_MAX };
    let told = finding.remedy.get(..shown).unwrap_or(&finding.remedy);
    for (at, remedy) in told.iter().enumerate() {
        match remedy.command.as_str() {
            "" => page.columns(4, &[plain("fix:")], &[plain(&remedy.note)])?,
            command => page.verbatim(4, "fix: ", command)?,
        }
        // Of several that are taken back in the same way it is said once.
        let is_said_below = told.get(at + 1).is_some_and(|next| next.undo == remedy.undo);
        if !remedy.undo.is_empty() && !is_said_below {
            page.verbatim(4, "undo: ", &remedy.undo)?;
        }
    }
    match finding.remedy.len().saturating_sub(shown) {
        0 => {}
        more => page.text(4, &[Span::new(Role::Dim, &format!("and so on ({more} more: -v)"))])?,
    }
    // Rows without a statement have said their own.
    match finding.remedy.iter().find(|remedy| !remedy.command.is_empty()) {
        Some(first) if !first.note.is_empty() => page.columns(4, &[plain("note:")], &[plain(&first.note)]),
        Some(_) | None => Ok(()),
    }
}
