//! Packets as a picture: vantages as columns, packets as arrows between them, time downwards; a loss is a broken arrow.
//! The journeys of a capture and those of a diagnosis' questions look alike.

pub(crate) mod columns;
mod row;

use std::fmt::Write as _;

use crate::clean::clean;
use crate::escape::Escaped;
use crate::journeys::took;
use crate::picture::text::cut;

/// How it looks, beside what all pictures have in common.
pub(crate) const STYLE: &str = include_str!("arrows/style.css");

/// Pixels of the picture on a desk, and of one that stands alone.
pub(crate) const WIDTH: usize = 994;
/// Pixels of the picture: on a desk, on a tablet and on paper, on a telephone. A style sheet shows the one that fits.
pub(crate) const WIDTHS: [(&str, usize); 3] = [("wide", WIDTH), ("middle", 580), ("narrow", 340)];
/// Pixels at the left, with the line of time; and at the right.
pub(crate) const LEFT: usize = 22;
pub(crate) const RIGHT: usize = 8;
/// Narrower columns have no room for a device's name, only for their number.
const NAMED_MIN: usize = 56;
/// Pixels of the heads.
const HEAD: usize = 74;
/// A pause of so many nanoseconds between two journeys is told.
const PAUSE_NS: i64 = 10_000_000;

/// A picture's elements and its size in pixels.
pub(crate) struct Picture {
    pub(crate) body: String,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Where the columns are.
pub(crate) struct Grid {
    pub(crate) width: usize,
    /// Names of the vantages from left to right.
    pub(crate) names: Vec<String>,
}

/// A packet.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// What it is.
    pub(crate) packet: String,
    /// When it was first seen; `None` where it never was.
    pub(crate) time_ns: Option<i64>,
    /// Where it was seen, in the order of its way.
    pub(crate) points: Vec<Point>,
    /// Points that are left out before the last one.
    pub(crate) skipped: usize,
    /// Where it was lost.
    pub(crate) loss: Option<Loss>,
    /// What else is to be said of its end.
    pub(crate) notes: Vec<String>,
}

/// A packet at a vantage.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) column: usize,
    /// Source and destination there.
    pub(crate) ends: String,
    /// How long it took to get there, where that is known.
    pub(crate) took: Option<String>,
    /// How many copies of it were there.
    pub(crate) copies: u16,
}

/// A broken arrow.
#[derive(Debug, Clone)]
pub(crate) struct Loss {
    /// Where it was expected; `None` where nobody watched for it behind.
    pub(crate) column: Option<usize>,
    pub(crate) text: String,
}

impl Grid {
    /// Pixels from column to column.
    fn step(&self) -> usize {
        (self.width - LEFT - RIGHT) / self.names.len().max(1)
    }

    /// Middle of a column.
    fn x(&self, column: usize) -> usize {
        LEFT + column * self.step() + self.step() / 2
    }
}

/// `+4.1us`; with `~` before it where the clocks are not known to agree within a twentieth of it.
pub(crate) fn about(took_ns: i64, doubt_ns: i64) -> String {
    let about = if doubt_ns > took_ns / 20 { "~" } else { "" };
    format!("{about}{}", took(took_ns))
}

/// Heads of the columns and the rows beneath them, each a picture of its own, so that a page can keep the heads in
/// view; rows are links to anchors that begin so.
pub(crate) fn inline(out: &mut String, grid: &Grid, rows: &[Row], links: &str) {
    svg(out, &heads(grid), "heads", "the places where packets were seen");
    svg(out, &lines(grid, rows, Some(links)), "rows", "the ways of packets");
}

fn svg(out: &mut String, picture: &Picture, class: &str, label: &str) {
    let Picture { body, width, height } = picture;
    let _ = writeln!(
        out,
        "<svg class=\"{class}\" viewBox=\"0 0 {width} {height}\" width=\"{width}\" height=\"{height}\" role=\"group\" \
         aria-label=\"{label}\">\n{body}</svg>"
    );
}

/// Heads and rows as part of a picture that stands alone.
pub(crate) fn whole(grid: &Grid, rows: &[Row]) -> Picture {
    let (heads, rows) = (heads(grid), lines(grid, rows, None));
    let body = format!("{}<g transform=\"translate(0 {})\">\n{}</g>\n", heads.body, heads.height, rows.body);
    Picture { body, width: grid.width, height: heads.height + rows.height }
}

/// The heads of the columns, with a box around those of one machine.
fn heads(grid: &Grid) -> Picture {
    let mut body = String::new();
    // Hidden characters take more room when they are shown.
    let shown: Vec<_> = grid.names.iter().map(|name| clean(name)).collect();
    let names: Vec<(String, &str)> = shown.iter().map(|name| columns::parts(name)).collect();
    let (mut at, step) = (0, grid.step());
    for run in names.chunk_by(|(one, _), (next, _)| one == next && !one.is_empty()) {
        let Some((machine, _)) = run.first() else { continue };
        let (left, width) = (grid.x(at) - step / 2 + 2, (run.len() * step).saturating_sub(4));
        let _ = write!(
            body,
            "<g><title>{m}</title><rect class=\"machine\" x=\"{left}\" y=\"4\" width=\"{width}\" height=\"{}\" \
             rx=\"8\"/><text class=\"host\" x=\"{}\" y=\"21\">{}</text></g>",
            HEAD - 12,
            left + 8,
            Escaped(&cut(machine, width.saturating_sub(14) / 8)),
            m = Escaped(machine),
        );
        at += run.len();
    }
    for (column, (name, (_, device))) in shown.iter().zip(&names).enumerate() {
        let x = grid.x(column);
        let _ = write!(body, "<g><title>{}</title>", Escaped(&cut(name, 80)));
        if step >= NAMED_MIN {
            let device = cut(device, (step - 6) / 8);
            let _ = write!(body, "<text class=\"device\" x=\"{x}\" y=\"40\">{}</text>", Escaped(&device));
        }
        let _ = writeln!(body, "<text class=\"number\" x=\"{x}\" y=\"56\">{}</text></g>", column + 1);
    }
    Picture { body, width: grid.width, height: HEAD }
}

/// The packets one beneath the other, and a line down from each column's head.
fn lines(grid: &Grid, drawn: &[Row], links: Option<&str>) -> Picture {
    let (mut rows, mut y) = (String::new(), 6);
    let mut ticks = String::new();
    let mut before: Option<i64> = None;
    for (number, drawn) in (1..).zip(drawn) {
        let pause = before.zip(drawn.time_ns).map(|(before, now)| now.saturating_sub(before));
        if let Some(pause) = pause.filter(|ns| *ns >= PAUSE_NS) {
            let text = format!("{} later", took(pause).trim_start_matches('+'));
            let _ = writeln!(rows, "<text class=\"pause\" x=\"{LEFT}\" y=\"{}\">{text}</text>", y + 12);
            let _ = write!(ticks, "M4 {}h10m-10 4h10", y + 6);
            y += 18;
        }
        before = drawn.time_ns.or(before);
        let _ = write!(ticks, "M5 {}h8", y + 11);
        let link = links.map(|prefix| format!("{prefix}{number}"));
        y = row::row(&mut rows, grid, drawn, y, link.as_deref());
    }
    let mut body = String::new();
    let mut lives = String::new();
    for column in 0..grid.names.len() {
        let _ = write!(lives, "M{} 0V{y}", grid.x(column));
    }
    let _ = writeln!(
        body,
        "<path class=\"life\" d=\"{lives}\"/><path class=\"axis\" d=\"M9 0V{y}m-4 -7l4 7l4 -7{ticks}\"/>"
    );
    body.push_str(&rows);
    Picture { body, width: grid.width, height: y + 4 }
}
