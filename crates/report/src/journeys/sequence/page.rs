//! The page of a capture: what is wrong first; then the picture, how long each stretch took, who sends what to whom,
//! and each packet that is drawn with its place in its file.

use std::fmt::Write as _;

use super::super::told::{self, packets};
use super::super::{Journeys, page};
use super::choose::{self, Choice};
use super::{Captured, draw, evidence, strips};
use crate::arrows::{self, WIDTHS};
use crate::escape::Escaped;
use crate::html::{role_class, sign};
use crate::picture::text::cut;
use crate::style::{Mark, Role};

/// Lines of a list; more are counted.
const LINES_MAX: usize = 50;
const FLOWS_MAX: usize = 20;
/// Columns of a name that somebody else has chosen.
const NAME_MAX: usize = 300;

/// Its mark, and the page in one sentence.
pub(super) fn headline(journeys: &Journeys<'_>) -> (Mark, String) {
    let (mark, seen, what) = page::said(journeys);
    (mark, format!("{what} {}", seen.trim_end_matches(':')))
}

pub(super) fn body(captured: &Captured<'_>) -> String {
    let mut out = String::new();
    let choice = choose::choose(captured.journeys, captured.sequence);
    top(&mut out, captured);
    picture(&mut out, captured, &choice);
    latencies(&mut out, captured);
    flows(&mut out, captured, &choice);
    evidence::evidence(&mut out, captured, &choice.drawn);
    vantages(&mut out, captured, &choice);
    out
}

fn top(out: &mut String, captured: &Captured<'_>) {
    let journeys = captured.journeys;
    let (mark, seen, what) = page::said(journeys);
    let (word, class) = match mark.role {
        Role::Bad => ("fault", "fault"),
        Role::Good => ("healthy", "healthy"),
        Role::Plain | Role::Strong | Role::Dim | Role::Unsure => ("undetermined", "undetermined"),
    };
    let files = match captured.files {
        [] => String::new(),
        files => listed(files),
    };
    let _ = writeln!(
        out,
        "<header><p class=\"asked\">hopline {} <b>{}</b></p><p class=\"outcome {}\">{} {word}</p></header>\n\
         <section class=\"first {class}\"><h1>{}</h1><p>{}</p>",
        Escaped(captured.command),
        Escaped(&files),
        role_class(mark),
        sign(mark),
        Escaped(&capital(&what)),
        Escaped(&format!("Of {}.", seen.trim_end_matches(':'))),
    );
    out.push_str("</section>\n");
    let told = told::all(journeys);
    for told in told.iter().take(LINES_MAX) {
        let mark = if told.is_fault { Mark::STOP } else { Mark::UNSURE };
        let _ = writeln!(
            out,
            "<article><p><span class=\"{}\">{}</span> <code class=\"code {c}\">{}</code> at <b>{}</b></p>\
             <p>{}</p></article>",
            role_class(mark),
            sign(mark),
            told.code,
            Escaped(&cut(journeys.name(told.vantage), NAME_MAX)),
            Escaped(&told.sentence),
            c = role_class(mark),
        );
    }
    more(out, told.len(), LINES_MAX, "findings");
    for file in journeys.unreadable.iter().take(LINES_MAX) {
        let text =
            format!("{} broke at {}: {}; what stands before is used", file.file, file.offset, file.why);
        let _ = writeln!(out, "<article><p><span class=\"doubt\">?</span> {}</p></article>", Escaped(&text));
    }
    more(out, journeys.unreadable.len(), LINES_MAX, "files");
}

/// The first few, and how many more.
fn listed(files: &[String]) -> String {
    const FEW: usize = 8;
    let mut text = files.iter().take(FEW).map(|file| cut(file, 80)).collect::<Vec<_>>().join(" ");
    if files.len() > FEW {
        text.push_str(&format!(" and {} more", files.len() - FEW));
    }
    text
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_uppercase().chain(chars).collect()).unwrap_or_default()
}

fn more(out: &mut String, all: usize, shown: usize, what: &str) {
    if let Some(more @ 1..) = all.checked_sub(shown) {
        let _ = writeln!(out, "<p class=\"dim\">and {more} more {what}; the JSON has all.</p>");
    }
}

fn picture(out: &mut String, captured: &Captured<'_>, choice: &Choice) {
    if choice.drawn.is_empty() {
        return;
    }
    out.push_str(
        "<section class=\"sequence\"><h2>Each packet's way</h2><p class=\"dim\">Columns are the places where packets \
         were seen, arrows are packets, time goes down. A diamond is where addresses are rewritten, a cross where a \
         packet is lost; <code>~</code> is before times that are known no \
         better than the clocks agree. Each arrow leads to its packets below.</p>\n",
    );
    if let Some(left_out) = &choice.left_out {
        let _ = writeln!(out, "<p>{}</p>", Escaped(left_out));
    }
    let line = draw::line(&choice.drawn);
    let rows = draw::rows(captured.journeys, &choice.drawn, &line);
    for (class, width) in WIDTHS {
        let _ = writeln!(out, "<div class=\"{class}\">");
        arrows::inline(out, &draw::grid(captured.journeys, &line, width), &rows, "journey-");
        out.push_str("</div>\n");
    }
    out.push_str("</section>\n");
}

fn latencies(out: &mut String, captured: &Captured<'_>) {
    let stretches = &captured.journeys.report.stretches;
    if stretches.is_empty() {
        return;
    }
    out.push_str("<section class=\"strips\"><h2>How long each stretch took</h2>\n");
    let (strips, left_out) = strips::strips(captured);
    let (few, strips): (Vec<_>, Vec<_>) = strips.into_iter().partition(strips::Timed::is_of_few);
    for strips::Timed { from, to, took, strip, count } in &strips {
        let words = took.words();
        let (from, to) = (cut(from, NAME_MAX), cut(to, NAME_MAX));
        let _ = writeln!(out, "<h3>{} to {}</h3><p>{words}</p>", Escaped(&from), Escaped(&to));
        if strip.points.is_empty() {
            out.push_str(
                "<p class=\"dim\">Its clocks drift apart: no single time is known well enough.</p>\n",
            );
            continue;
        }
        let drawn = strip.points.len();
        let dots = if drawn as u64 == *count {
            "A dot is a packet".to_owned()
        } else {
            format!("{drawn} dots, evenly chosen, and the longest")
        };
        strip.inline(out, &words);
        strip.span(out, &format!("{dots}; line: median, dashes: 99 of 100"));
    }
    let untimed = stretches.iter().filter(|((from, to), stretch)| from == to || !stretch.is_timed);
    let untimed: Vec<_> = untimed.collect();
    if !untimed.is_empty() || !few.is_empty() {
        out.push_str("<ul>\n");
        for strip in &few {
            let name = format!("{} to {}", strip.from, strip.to);
            let (name, words) = (cut(&name, NAME_MAX), strip.took.words());
            let _ = writeln!(out, "<li>{}: {words}</li>", Escaped(&name));
        }
        for ((from, to), stretch) in untimed.iter().take(LINES_MAX) {
            let name = match (captured.journeys.name(*from), captured.journeys.name(*to)) {
                (from, to) if from == to => format!("within {from}"),
                (from, to) => format!("{from} to {to}"),
            };
            let text = page::stretch_text(stretch, from == to);
            let _ = writeln!(out, "<li>{}: {}</li>", Escaped(&cut(&name, NAME_MAX)), Escaped(&text));
        }
        out.push_str("</ul>\n");
        more(out, untimed.len(), LINES_MAX, "stretches");
    }
    more(out, left_out, 0, "stretches");
    out.push_str("</section>\n");
}

fn flows(out: &mut String, captured: &Captured<'_>, choice: &Choice) {
    let flows = captured.sequence.flows.largest();
    if flows.is_empty() || (choice.left_out.is_none() && flows.len() < 2) {
        return;
    }
    out.push_str("<section><h2>Who sends what to whom</h2><ul>\n");
    for (flow, count) in flows.iter().take(FLOWS_MAX) {
        let mut ends: Vec<_> = count.ends.iter().collect();
        ends.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let ends = ends.into_iter().take(6);
        let ends: Vec<String> = ends
            .map(|(vantage, count)| format!("{} {count}", cut(captured.journeys.name(*vantage), 60)))
            .collect();
        let _ = writeln!(
            out,
            "<li><b>{}</b>, {}: <span class=\"dim\">last seen at {}</span></li>",
            Escaped(&flow.text()),
            packets(count.journeys),
            Escaped(&ends.join(", ")),
        );
    }
    out.push_str("</ul>\n");
    let beyond: u64 = flows.iter().skip(FLOWS_MAX).map(|(_, count)| count.journeys).sum();
    let beyond = beyond + captured.sequence.flows.others;
    if beyond > 0 {
        let _ = writeln!(out, "<p class=\"dim\">and {} of others</p>", packets(beyond));
    }
    out.push_str("</section>\n");
}

fn vantages(out: &mut String, captured: &Captured<'_>, choice: &Choice) {
    let journeys = captured.journeys;
    let line = draw::line(&choice.drawn);
    out.push_str("<section><h2>Where packets were seen</h2><ul class=\"vantages\">\n");
    for (vantage, seen) in (0_u16..).zip(&journeys.report.vantages) {
        let column = line.iter().position(|known| *known == vantage);
        let number = column.map(|column| format!("column {}: ", column + 1)).unwrap_or_default();
        let file = captured.files.get(usize::from(seen.source));
        let file = file.map(|file| format!(" in {}", cut(file, NAME_MAX))).unwrap_or_default();
        let mut text = format!("{}{file}", packets(seen.packets));
        if let Some(clock) = page::clock_text(journeys, seen) {
            text.push_str(&format!("; {clock}"));
        }
        if seen.doubled > 0 {
            text.push_str(&format!("; {} shown twice, at bridge and port", packets(seen.doubled)));
        }
        let _ = writeln!(
            out,
            "<li>{number}<b>{}</b>: {}</li>",
            Escaped(&cut(journeys.name(vantage), NAME_MAX)),
            Escaped(&text)
        );
    }
    out.push_str("</ul>\n");
    if !journeys.report.nat.is_empty() {
        out.push_str("<h2>Addresses</h2><ul>\n");
        for nat in journeys.report.nat.keys().take(LINES_MAX) {
            let _ = writeln!(out, "<li>{} is {} outside</li>", nat.inside, nat.outside);
        }
        out.push_str("</ul>\n");
        more(out, journeys.report.nat.len(), LINES_MAX, "addresses");
    }
    let _ = writeln!(out, "<p class=\"dim\">{}.</p></section>", Escaped(&page::window_text(journeys)));
}
