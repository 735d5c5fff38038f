//! Each journey that is drawn, packet by packet: which of which file it is, when, and with which addresses.

use std::fmt::Write as _;

use super::super::one::took;
use super::super::packet::ends;
use super::super::stamp::{full, micros};
use super::choose::Drawn;
use super::{Captured, choose};
use crate::escape::Escaped;
use crate::picture::text::cut;

/// Columns of a name or file in a line; its whole is in the list of vantages.
const NAME_MAX: usize = 60;

/// The list that the picture's arrows lead to.
pub(super) fn evidence(out: &mut String, captured: &Captured<'_>, drawn: &[Drawn]) {
    if drawn.is_empty() {
        return;
    }
    out.push_str("<section><h2>Packet by packet</h2>\n<ol class=\"ladder\">\n");
    for (number, drawn) in (1..).zip(drawn) {
        let is_lost = drawn.expected_at.is_some();
        let (class, sign) = if is_lost { ("wrong", "✗ lost") } else { ("dim", "") };
        let _ = writeln!(
            out,
            "<li><details{}><summary><span class=\"{class}\">{sign}</span> <span class=\"ends\">{}</span> <b>{}</b>\
             </summary>\n<ol class=\"hops\" id=\"journey-{number}\">",
            if is_lost { " open" } else { "" },
            micros(drawn.time_ns),
            Escaped(&drawn.packet),
        );
        stops(out, captured, drawn);
        out.push_str("</ol></details></li>\n");
    }
    out.push_str("</ol></section>\n");
}

fn stops(out: &mut String, captured: &Captured<'_>, drawn: &Drawn) {
    let journeys = captured.journeys;
    let mut before: Option<String> = None;
    for (at, stop) in drawn.stops.iter().enumerate() {
        if drawn.skipped > 0 && at + 1 == drawn.stops.len() {
            let _ =
                writeln!(out, "<li><p class=\"dim\">seen {} times more, not listed</p></li>", drawn.skipped);
        }
        let now = ends(stop, drawn.protocol);
        let source =
            journeys.report.vantages.get(usize::from(stop.vantage)).map(|seen| usize::from(seen.source));
        let file = source.and_then(|source| captured.files.get(source));
        let of = file.map(|file| format!(" of {}", cut(file, NAME_MAX))).unwrap_or_default();
        let offset = choose::ahead_ns(journeys, stop.vantage);
        let _ = write!(
            out,
            "<li><p><b>{}</b> <span class=\"dim\">packet {}{}, {}</span></p><p class=\"packet\">{}{now}",
            Escaped(&cut(journeys.name(stop.vantage), NAME_MAX)),
            stop.frame,
            Escaped(&of),
            full(stop.time_ns),
            if before.as_ref().is_some_and(|before| *before != now) { "now " } else { "" },
        );
        if stop.ttl > 0 {
            let _ = write!(out, ", ttl {}", stop.ttl);
        }
        if stop.copies > 1 {
            let _ = write!(out, ", {} times", stop.copies);
        }
        if offset != 0 {
            let took = took(offset);
            let _ = write!(out, ", by a clock that is {} ahead", took.trim_start_matches('+'));
        }
        out.push_str("</p></li>\n");
        before = Some(now);
    }
    if let Some(expected_at) = drawn.expected_at {
        let _ = writeln!(
            out,
            "<li><p><span class=\"wrong sign\">✗ lost</span> expected at <b>{}</b>, which did not see it</p></li>",
            Escaped(&cut(journeys.name(expected_at), NAME_MAX))
        );
    }
}
