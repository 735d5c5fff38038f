//! The page that people read: the finding first, then the way there, what proves it, what mends it.

use std::io::{self, Write};

use model::finding::Outcome;
use model::path::{Disposition, Exchange};
use model::{Diagnosis, Finding, Path};

use crate::finding;
use crate::page::{Page, Span, plain};
use crate::picture::shows_first_finding;
use crate::style::{Mark, Role, Style};
use crate::tree::{self, Packets};

/// Paths told in one line each, at most; a whole site's would bury the finding.
const PATH_LINES_MAX: usize = 12;

/// Writes a diagnosis or a check: the path of the first finding in full, all others in one line.
pub fn terminal(diagnosis: &Diagnosis, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { style, out };
    headline(&mut page, diagnosis)?;
    paths(&mut page, diagnosis)?;
    rest(&mut page, diagnosis)
}

/// Writes `hopline path`: each way in full, the packet at every hop as tcpdump would show it there.
pub fn path_report(diagnosis: &Diagnosis, style: &Style, out: &mut dyn Write) -> io::Result<()> {
    let mut page = Page { style, out };
    headline(&mut page, diagnosis)?;
    for path in &diagnosis.paths {
        page.gap()?;
        tree::full(&mut page, 0, path, Packets::Each)?;
    }
    rest(&mut page, diagnosis)
}

/// The first line of the answer, and in a fault or doubt the line that explains it.
fn headline(page: &mut Page<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    match (diagnosis.outcome, diagnosis.findings.first()) {
        (Outcome::Fault, Some(first)) => finding::headline(page, &diagnosis.subject, first),
        (Outcome::Fault, None) => summary(page, Mark::STOP, diagnosis, "fault", &stopped(diagnosis)),
        (Outcome::Healthy, _) => summary(page, Mark::PASS, diagnosis, "healthy", &healthy(diagnosis)),
        (Outcome::Undetermined, _) => {
            let (why, would_need) = doubt(diagnosis);
            summary(page, Mark::UNSURE, diagnosis, "undetermined", &why)?;
            page.text(2, &[plain("would settle it:"), Span::new(Role::Strong, &would_need)])
        }
    }
}

fn summary(page: &mut Page<'_>, mark: Mark, diagnosis: &Diagnosis, word: &str, text: &str) -> io::Result<()> {
    let subject = Span::new(Role::Strong, &format!("{}:", diagnosis.subject));
    let dash = plain(page.style.dash());
    page.marked(0, mark, &[subject, Span::new(mark.role, word), dash, plain(text)])
}

pub(crate) fn healthy(diagnosis: &Diagnosis) -> String {
    let is_whole = diagnosis.paths.iter().all(|path| path.stop().is_none());
    match diagnosis.paths.len() {
        _ if !is_whole => "no fault found".to_owned(),
        0 => "no fault found".to_owned(),
        1 => "the path is whole".to_owned(),
        ways => format!("no fault found, all {ways} paths are whole"),
    }
}

pub(crate) fn stopped(diagnosis: &Diagnosis) -> String {
    let stop = diagnosis.paths.iter().find_map(Path::stop);
    stop.map_or_else(
        || "no finding names it".to_owned(),
        |(hop, _)| format!("dropped at {}: {}", tree::place_name(&hop.at), hop.detail),
    )
}

/// Why nothing could be concluded, and what would change that: from the first path that is not
/// decided, else from the first gap.
pub(crate) fn doubt(diagnosis: &Diagnosis) -> (String, String) {
    let undecided = diagnosis.paths.iter().find_map(|path| match &path.disposition {
        Disposition::Unknown { why, would_need } => Some((why.clone(), would_need.clone())),
        Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => None,
    });
    let gap = diagnosis.coverage.gaps.first();
    undecided
        .or_else(|| gap.map(|gap| (format!("{}: {}", gap.what, gap.why), gap.would_need.clone())))
        .unwrap_or_else(|| ("what matters could not be seen".to_owned(), "more of the site".to_owned()))
}

fn paths(page: &mut Page<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    if diagnosis.paths.is_empty() {
        return Ok(());
    }
    page.gap()?;
    let verbose = page.style.verbose;
    let told = if diagnosis.outcome == Outcome::Fault { shows_first_finding(diagnosis) } else { None };
    let mut lines = 0;
    for (index, path) in diagnosis.paths.iter().enumerate() {
        if verbose || told == Some(index) {
            tree::full(page, 0, path, Packets::Changed)?;
        } else if lines < PATH_LINES_MAX {
            lines += 1;
            tree::line(page, 0, path)?;
        }
    }
    let hidden = diagnosis.paths.len() - lines - usize::from(told.is_some());
    if !verbose && hidden > 0 {
        page.text(0, &[Span::new(Role::Dim, &format!("and {hidden} more paths (-v shows them)"))])?;
    }
    Ok(())
}

/// What follows the paths: proof and fix of the first finding, the other findings, the gaps.
fn rest(page: &mut Page<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    let mut others = diagnosis.findings.as_slice();
    if let (Outcome::Fault, [first, after @ ..]) = (diagnosis.outcome, others) {
        others = after;
        page.gap()?;
        finding::evidence(page, 0, first)?;
        page.gap()?;
        finding::remedies(page, 0, first)?;
    }
    let (idle, stopping): (Vec<_>, Vec<_>) = others.iter().partition(|f| f.exchange == Exchange::None);
    further(page, "then, once that is mended:", &stopping)?;
    further(page, "also wrong, but stops nothing:", &idle)?;
    gaps(page, diagnosis)?;
    if page.style.verbose && !diagnosis.coverage.looked_at.is_empty() {
        page.gap()?;
        page.text(0, &[Span::new(Role::Strong, "looked at")])?;
        for source in &diagnosis.coverage.looked_at {
            page.text(2, &[plain(source)])?;
        }
    }
    Ok(())
}

fn further(page: &mut Page<'_>, heading: &str, findings: &[&Finding]) -> io::Result<()> {
    if findings.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.text(0, &[Span::new(Role::Strong, heading)])?;
    findings.iter().try_for_each(|finding| finding::compact(page, finding))
}

/// What could not be seen.
pub(crate) fn gaps(page: &mut Page<'_>, diagnosis: &Diagnosis) -> io::Result<()> {
    if diagnosis.coverage.gaps.is_empty() {
        return Ok(());
    }
    page.gap()?;
    page.text(0, &[Span::new(Role::Strong, "could not be seen:")])?;
    for gap in &diagnosis.coverage.gaps {
        page.marked(2, Mark::UNSURE, &[plain(&format!("{}: {}", gap.what, gap.why))])?;
        page.text(4, &[plain("would settle it:"), Span::new(Role::Strong, &gap.would_need)])?;
    }
    Ok(())
}
