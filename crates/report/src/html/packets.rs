//! How packets were seen to go: the broken question as a picture, each other one folded, and each packet's stops
//! beneath.

use std::fmt::Write as _;

use model::Diagnosis;
use model::journey::{Journey, SeenWay};

use super::{ladder, role_class, sign, stretches};
use crate::arrows::{self, WIDTHS};
use crate::escape::Escaped;
use crate::journeys::stamp;
use crate::picture::text::cut;
use crate::seen_way;

/// Packets drawn on one page, those of the first question aside: more make one that opens slowly.
const PACKETS_MAX: usize = 240;
/// Columns of what a file is called.
const NAME_MAX: usize = 120;

pub(super) fn packets(out: &mut String, diagnosis: &Diagnosis) {
    let Some(first) = seen_way::first(diagnosis) else { return };
    out.push_str(
        "<section class=\"sequence\"><h2>The packets as they were seen</h2><p class=\"dim\">Columns are the places \
         where they were watched for, arrows are packets, time goes down. A diamond is where addresses are rewritten, \
         a cross where a packet is lost. Each arrow leads to its own lines below.</p>\n",
    );
    let ways = || diagnosis.seen.iter().enumerate().filter(|(_, way)| !way.journeys.is_empty());
    if let Some(way) = diagnosis.seen.get(first) {
        let _ = writeln!(out, "<h3>{}</h3>", heading(diagnosis, way));
        one(out, (first, way));
    }
    let (mut drawn, mut left_out) = (0, 0);
    for (at, way) in ways().filter(|(at, _)| *at != first) {
        drawn += way.journeys.len();
        if drawn > PACKETS_MAX {
            left_out += 1;
            continue;
        }
        let _ = writeln!(out, "<details><summary>{}</summary>", heading(diagnosis, way));
        one(out, (at, way));
        out.push_str("</details>\n");
    }
    if left_out > 0 {
        let _ = writeln!(
            out,
            "<p class=\"dim\">The packets of {left_out} more questions are not drawn; the JSON has them.</p>"
        );
    }
    out.push_str("</section>\n");
}

/// Its mark, which question it is, and how many packets.
fn heading(diagnosis: &Diagnosis, way: &SeenWay) -> String {
    let mark = seen_way::mark(way);
    let title = diagnosis.paths.get(way.path).map(ladder::title).unwrap_or_default();
    let lost = way.journeys.iter().filter(|journey| seen_way::lost(way, &journey.end).is_some()).count();
    let lost = if lost > 0 { format!(", {lost} lost") } else { String::new() };
    let packets = match way.journeys.len() {
        1 => "1 packet".to_owned(),
        several => format!("{several} packets"),
    };
    format!(
        "<span class=\"{}\">{}</span> <b>{}</b> <span class=\"ends\">{packets}{lost}</span>",
        role_class(mark),
        sign(mark),
        Escaped(&title)
    )
}

fn one(out: &mut String, (at, way): (usize, &SeenWay)) {
    let rows = seen_way::rows(way);
    for (class, width) in WIDTHS {
        let _ = writeln!(out, "<div class=\"{class}\">");
        arrows::inline(out, &seen_way::grid(way, width), &rows, &anchor(at));
        out.push_str("</div>\n");
    }
    if way.left_out > 0 {
        let _ = writeln!(
            out,
            "<p class=\"dim\">It was asked {} times more; those are not drawn.</p>",
            way.left_out
        );
    }
    stretches::stretches(out, way);
    out.push_str("<details><summary>Packet by packet</summary>\n<ol class=\"ladder\">\n");
    for (number, journey) in (1..).zip(&way.journeys) {
        let _ = writeln!(
            out,
            "<li><b>{}</b>\n<ol class=\"hops\" id=\"{}{number}\">",
            Escaped(&journey.packet),
            anchor(at)
        );
        stops(out, way, journey);
        out.push_str("</ol></li>\n");
    }
    out.push_str("</ol></details>\n");
}

fn anchor(at: usize) -> String {
    format!("packets-{}-", at + 1)
}

fn stops(out: &mut String, way: &SeenWay, journey: &Journey) {
    let mut before = "";
    for stop in &journey.stops {
        let vantage = way.vantages.get(stop.vantage).map(ToString::to_string).unwrap_or_default();
        let now = if before.is_empty() || before == stop.ends { "" } else { "now " };
        before = &stop.ends;
        let recorded = if stop.recorded.is_empty() { stamp(stop.time_ns) } else { stop.recorded.clone() };
        let _ = write!(
            out,
            "<li><p><b>{}</b> <span class=\"dim\">{}</span></p><p class=\"packet\">{now}{}",
            Escaped(&vantage),
            Escaped(&cut(&recorded, NAME_MAX)),
            Escaped(&stop.ends),
        );
        if stop.ttl > 0 {
            let _ = write!(out, ", ttl {}", stop.ttl);
        }
        if stop.copies > 1 {
            let _ = write!(out, ", {} times", stop.copies);
        }
        out.push_str("</p></li>\n");
    }
    if let Some(lost) = seen_way::lost(way, &journey.end) {
        let _ = writeln!(out, "<li><p><span class=\"wrong\">✗ {}</span></p></li>", Escaped(&lost));
    } else if journey.stops.is_empty() {
        out.push_str("<li><p class=\"dim\">seen nowhere</p></li>\n");
    } else if journey.end == model::journey::End::Unanswered {
        out.push_str("<li><p class=\"doubt\">? no answer was seen</p></li>\n");
    }
}
