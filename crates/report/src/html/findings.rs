//! Findings on the page: the first one large, with its fix at once; what proves it; the others in short.

use std::fmt::Write as _;

use model::Finding;
use model::finding::{Evidence, EvidenceKind};

use crate::escape::Escaped;
use crate::finding::{certainty, kind_name};
use crate::tree::place_name;

/// What is wrong, where, why, and what mends it.
pub(super) fn first(out: &mut String, finding: &Finding, subject: &str) {
    let _ = writeln!(
        out,
        "<section class=\"first fault\" id=\"finding-1\"><h1>{}</h1>\n<p class=\"where\">\
         <code class=\"code\">{}</code> \
         at <b class=\"hop\">{}</b></p>\n<p>{} <span class=\"dim\">{}</span></p>",
        Escaped(&finding.summary),
        Escaped(&finding.code),
        Escaped(&place_name(&finding.hop)),
        Escaped(&finding.cause),
        Escaped(&certainty(finding, subject)),
    );
    fix(out, finding, "h2");
    out.push_str("</section>\n");
}

fn fix(out: &mut String, finding: &Finding, heading: &str) {
    if finding.remedy.is_empty() {
        return;
    }
    let owner = Escaped(&finding.owner);
    let _ = writeln!(out, "<div class=\"fix\"><{heading}>Fix <small>managed by {owner}</small></{heading}>");
    for remedy in &finding.remedy {
        if !remedy.command.is_empty() {
            pre(out, "command", &remedy.command);
        }
        if !remedy.undo.is_empty() {
            out.push_str("<p class=\"undo\">Undo</p>");
            pre(out, "undo", &remedy.undo);
        }
        if !remedy.note.is_empty() {
            let _ = writeln!(out, "<p class=\"note\">{}</p>", Escaped(&remedy.note));
        }
    }
    out.push_str("</div>\n");
}

/// Lines as they are; the browser breaks what is too long for it, and copies it in one piece.
pub(super) fn pre(out: &mut String, class: &str, text: &str) {
    let _ = write!(out, "<pre class=\"{class}\">");
    for (number, line) in text.lines().enumerate() {
        let _ = write!(out, "{}{}", if number > 0 { "\n" } else { "" }, Escaped(line));
    }
    out.push_str("</pre>\n");
}

/// What proves the first finding; rows of the database under a heading of their own.
pub(super) fn evidence(out: &mut String, finding: &Finding) {
    let (rows, rest): (Vec<_>, Vec<_>) =
        finding.evidence.iter().partition(|item| item.kind == EvidenceKind::Db);
    for (heading, items) in [("Evidence", rest), ("In the database", rows)] {
        if !items.is_empty() {
            let _ = writeln!(out, "<section><h2>{heading}</h2>");
            list(out, &items);
            out.push_str("</section>\n");
        }
    }
}

fn list(out: &mut String, items: &[&Evidence]) {
    out.push_str("<dl class=\"evidence\">\n");
    for of_source in items.chunk_by(|one, next| (one.kind, &one.source) == (next.kind, &next.source)) {
        let Some(first) = of_source.first() else { continue };
        let source = Escaped(&first.source);
        let _ = write!(out, "<dt><b>{}</b> <code>{source}</code></dt>", kind_name(first.kind));
        for item in of_source {
            out.push_str("<dd>");
            pre(out, "lines", &item.text);
            out.push_str("</dd>\n");
        }
    }
    out.push_str("</dl>\n");
}

/// Findings with their numbers in the diagnosis.
pub(super) fn further(out: &mut String, heading: &str, findings: &[(usize, &Finding)]) {
    if findings.is_empty() {
        return;
    }
    let _ = writeln!(out, "<section><h2>{heading}</h2>");
    for (number, finding) in findings {
        let place = place_name(&finding.hop);
        let _ = writeln!(
            out,
            "<article id=\"finding-{number}\"><h3>{}</h3><p class=\"where\">\
             <code class=\"code\">{}</code> at <b>{}</b></p>\
             <p>{} <span class=\"dim\">{}</span></p>",
            Escaped(&finding.summary),
            Escaped(&finding.code),
            Escaped(&place),
            Escaped(&finding.cause),
            Escaped(&certainty(finding, &place)),
        );
        fix(out, finding, "h4");
        out.push_str("<details><summary>Evidence</summary>\n");
        list(out, &finding.evidence.iter().collect::<Vec<_>>());
        out.push_str("</details></article>\n");
    }
    out.push_str("</section>\n");
}
