//! The ladder of questions: every path in one line, and its hops beneath it, each with an anchor of its own.

use std::fmt::Write as _;

use model::path::{Disposition, Hop, Observed, Path, Stop};
use model::{Diagnosis, Finding};

use super::{role_class, sign};
use crate::escape::Escaped;
use crate::picture::{Told, told};
use crate::style::Mark;
use crate::tree;

/// Paths with all their hops; a whole site's would make a page that nobody opens.
const PATHS_MAX: usize = 200;

/// `icmp request 10.0.2.24 > 1.2.3.4:`.
pub(super) fn title(path: &Path) -> String {
    let ends = tree::ends(path).unwrap_or_default();
    format!("{} {}", tree::leg(path), ends.trim_end_matches(':'))
}

pub(super) fn ladder(out: &mut String, diagnosis: &Diagnosis) {
    if diagnosis.paths.is_empty() {
        return;
    }
    out.push_str("<section><h2>Every question, hop by hop</h2>\n<ol class=\"ladder\">\n");
    let shown = told(diagnosis);
    let is_shown = |at: usize| shown.is_some_and(|Told { there, back }| there == at || back == Some(at));
    // A path that the picture links to is never left out.
    let kept = diagnosis.paths.iter().enumerate().filter(|(at, _)| *at < PATHS_MAX || is_shown(*at));
    for (at, path) in kept {
        rung(out, (at, path), is_shown(at), &diagnosis.findings);
    }
    out.push_str("</ol>\n");
    if diagnosis.paths.len() > PATHS_MAX {
        let _ = writeln!(
            out,
            "<p class=\"dim\">{PATHS_MAX} of {} paths are shown; the JSON has all.</p>",
            diagnosis.paths.len()
        );
    }
    out.push_str("</section>\n");
}

fn rung(out: &mut String, (at, path): (usize, &Path), is_open: bool, findings: &[Finding]) {
    let mark = tree::mark(&path.disposition);
    let reason = match (&path.disposition, path.hops.last()) {
        (Disposition::Dropped(_), Some(hop)) => format!(": {}", hop.detail),
        (Disposition::Unknown { why, .. }, _) => format!(": {why}"),
        (Disposition::Dropped(_), None) | (Disposition::Delivered { .. } | Disposition::LeftSite, _) => {
            String::new()
        }
    };
    let _ = writeln!(
        out,
        "<li><details{}><summary><span class=\"{}\">{}</span> <b>{}</b> <span class=\"ends\">{}{}</span></summary>\n\
         <ol class=\"hops\">",
        if is_open { " open" } else { "" },
        role_class(mark),
        sign(mark),
        Escaped(&title(path)),
        Escaped(&tree::ending(path)),
        Escaped(&reason),
    );
    hops(out, path, &|number| format!(" id=\"path-{}-hop-{number}\"", at + 1), findings);
    out.push_str("</ol></details></li>\n");
}

/// Each hop of a path; where nobody answered for the next, how the question for it died, too.
fn hops(out: &mut String, path: &Path, anchor: &dyn Fn(usize) -> String, findings: &[Finding]) {
    let mut packet = "";
    for (number, hop) in (1..).zip(&path.hops) {
        let changed = hop.packet != packet;
        packet = &hop.packet;
        hop_line(out, hop, &anchor(number), changed, findings);
    }
    if let Disposition::Dropped(Stop::NeighbourUnresolved { because: Some(question), .. }) = &path.disposition
    {
        let _ =
            writeln!(out, "<li><p>the question: <b>{}</b></p><ol class=\"hops\">", Escaped(&title(question)));
        hops(out, question, &|_| String::new(), findings);
        out.push_str("</ol></li>\n");
    }
}

fn hop_line(out: &mut String, hop: &Hop, anchor: &str, shows_packet: bool, findings: &[Finding]) {
    let mark = Mark::of(hop.predicted);
    let _ = write!(
        out,
        "<li{anchor}><p><span class=\"{} sign\">{} {}</span> <b>{}</b> <span class=\"dim\">{}</span>",
        role_class(mark),
        sign(mark),
        mark.word,
        Escaped(&tree::place_name(&hop.at)),
        hop.at.stage.name(),
    );
    if !hop.detail.is_empty() {
        let _ = write!(out, " {}", Escaped(&hop.detail));
    }
    match hop.observed {
        Observed::Seen => out.push_str(" <span class=\"good\">(packet seen)</span>"),
        Observed::NotSeen => out.push_str(" <span class=\"wrong\">(packet not seen)</span>"),
        Observed::NotWatched => {}
    }
    for (number, finding) in (1..).zip(findings).filter(|(_, finding)| finding.hop == hop.at) {
        let _ = write!(out, " <a class=\"wrong\" href=\"#finding-{number}\">{}</a>", Escaped(&finding.code));
    }
    out.push_str("</p>");
    if shows_packet && !hop.packet.is_empty() {
        let _ = write!(out, "<p class=\"packet\">{}</p>", Escaped(&hop.packet));
    }
    for step in &hop.steps {
        let _ = write!(out, "<p class=\"step\">{}</p>", Escaped(&tree::step_text(step)));
    }
    out.push_str("</li>\n");
}
