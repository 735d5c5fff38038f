//! The path as a picture: host and namespace boxes, devices as stations on a line, the way there above the way back,
//! a mark at each station, and what stops the packet beside the station where it stops.
//!
//! Computed here, without a layout library: the same diagnosis gives the same bytes. A long path wraps into rows of
//! a fixed number of stations; nothing shrinks.

mod draw;
mod lanes;
mod marks;
mod stations;
pub(crate) mod text;
mod told;

use std::io::{self, Write};

use model::Diagnosis;

pub(crate) use told::{Told, shows_first_finding, told};

use crate::escape::Escaped;
use crate::{arrows, seen_way, strip};

/// How the picture looks, in light and dark; the page's own style holds it, too.
pub(crate) const STYLE: &str = include_str!("picture/style.css");

/// Stations in a row of the picture that stands alone.
const STATIONS: usize = 7;

/// Writes the picture of the path that the first finding is on as an SVG document that needs nothing else; beneath it,
/// how its packets were seen to go, where they were, and how long that took.
pub fn svg(diagnosis: &Diagnosis, out: &mut dyn Write) -> io::Result<()> {
    let title = title(diagnosis);
    let picture = draw::picture(diagnosis, STATIONS, draw::Links::No);
    let seen = seen_way::picture(diagnosis, picture.width);
    let height = picture.height + seen.as_ref().map_or(0, |seen| seen.height);
    write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {w} {height}\" width=\"{w}\" height=\"{height}\" \
         role=\"img\">\n<title>{title}</title>\n<style>{STYLE}{}{}</style>\n<rect class=\"paper\" width=\"{w}\" \
         height=\"{height}\"/>\n{body}",
        if seen.is_some() { arrows::STYLE } else { "" },
        if seen.is_some() { strip::STYLE } else { "" },
        w = picture.width,
        title = Escaped(&title),
        body = picture.body,
    )?;
    if let Some(seen) = seen {
        write!(out, "<g transform=\"translate(0 {})\">\n{}</g>\n", picture.height, seen.body)?;
    }
    writeln!(out, "</svg>")
}

/// The picture within a page, so many stations a row, each a link to its own line of the page.
pub(crate) fn inline(diagnosis: &Diagnosis, stations: usize, class: &str) -> String {
    let picture = draw::picture(diagnosis, stations, draw::Links::Yes);
    format!(
        "<svg class=\"{class}\" viewBox=\"0 0 {w} {h}\" width=\"{w}\" height=\"{h}\" role=\"group\" \
         aria-label=\"{title}\">\n{body}</svg>\n",
        w = picture.width,
        h = picture.height,
        title = Escaped(&title(diagnosis)),
        body = picture.body,
    )
}

fn title(diagnosis: &Diagnosis) -> String {
    match diagnosis.findings.first() {
        Some(finding) => format!("{}: {}", diagnosis.subject, finding.summary),
        None => format!("{}: the way of its packets", diagnosis.subject),
    }
}
