//! The picture put on paper: the columns' heads with a box around those of one machine, a line down from each, and the
//! journeys one beneath the other.

use std::fmt::Write as _;

use super::super::Journeys;
use super::super::one::took;
use super::choose::{Choice, Drawn};
use super::{Captured, columns, row, strip};
use crate::clean::clean;
use crate::escape::Escaped;
use crate::picture::text::{cut, wrapped};

/// Pixels at the left, with the line of time; and at the right.
pub(super) const LEFT: usize = 22;
pub(super) const RIGHT: usize = 8;
/// Narrower columns have no room for a device's name, only for their number.
const NAMED_MIN: usize = 56;
/// Pixels of the heads.
const HEAD: usize = 74;
/// A pause of so many nanoseconds between two journeys is told.
const PAUSE_NS: i64 = 10_000_000;

/// A picture's elements and its size in pixels.
pub(super) struct Picture {
    pub(super) body: String,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Where the columns are.
pub(super) struct Grid<'a> {
    pub(super) journeys: &'a Journeys<'a>,
    pub(super) width: usize,
    /// Vantages from left to right.
    pub(super) line: Vec<u16>,
}

impl<'a> Grid<'a> {
    pub(super) fn new(journeys: &'a Journeys<'a>, drawn: &[Drawn], width: usize) -> Grid<'a> {
        Grid { journeys, width, line: columns::order(drawn) }
    }

    /// Pixels from column to column.
    pub(super) fn step(&self) -> usize {
        (self.width - LEFT - RIGHT) / self.line.len().max(1)
    }

    /// Middle of a column.
    pub(super) fn x(&self, column: usize) -> usize {
        LEFT + column * self.step() + self.step() / 2
    }

    /// A vantage's column, and its 1-based number.
    pub(super) fn column(&self, vantage: u16) -> Option<usize> {
        self.line.iter().position(|known| *known == vantage)
    }
}

/// The heads of the columns; a picture of its own, so that a page can keep it in view.
pub(super) fn heads(grid: &Grid<'_>) -> Picture {
    let mut body = String::new();
    // Hidden characters take more room when they are shown.
    let shown: Vec<_> = grid.line.iter().map(|vantage| clean(grid.journeys.name(*vantage))).collect();
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

/// The journeys one beneath the other.
pub(super) fn rows(grid: &Grid<'_>, drawn: &[Drawn], links: bool) -> Picture {
    let (mut rows, mut y) = (String::new(), 6);
    let mut ticks = String::new();
    let mut before: Option<i64> = None;
    for (number, drawn) in (1..).zip(drawn) {
        let pause = before.map(|before| drawn.time_ns.saturating_sub(before)).filter(|ns| *ns >= PAUSE_NS);
        if let Some(pause) = pause {
            let text = format!("{} later", took(pause).trim_start_matches('+'));
            let _ = writeln!(rows, "<text class=\"pause\" x=\"{LEFT}\" y=\"{}\">{text}</text>", y + 12);
            let _ = write!(ticks, "M4 {}h10m-10 4h10", y + 6);
            y += 18;
        }
        before = Some(drawn.time_ns);
        let _ = write!(ticks, "M5 {}h8", y + 11);
        y = row::row(&mut rows, grid, (number, drawn), y, links);
    }
    let mut body = String::new();
    let mut lives = String::new();
    for column in 0..grid.line.len() {
        let _ = write!(lives, "M{} 0V{y}", grid.x(column));
    }
    let _ = writeln!(
        body,
        "<path class=\"life\" d=\"{lives}\"/><path class=\"axis\" d=\"M9 0V{y}m-4 -7l4 7l4 -7{ticks}\"/>"
    );
    body.push_str(&rows);
    Picture { body, width: grid.width, height: y + 4 }
}

/// All of it, where it stands alone: heads, journeys, what was left out, strips.
pub(super) fn whole(captured: &Captured<'_>, choice: &Choice, width: usize) -> Picture {
    let grid = Grid::new(captured.journeys, &choice.drawn, width);
    let (heads, rows) = (heads(&grid), rows(&grid, &choice.drawn, false));
    let mut body = heads.body;
    let mut bottom = heads.height;
    let _ = write!(body, "<g transform=\"translate(0 {bottom})\">\n{}</g>\n", rows.body);
    bottom += rows.height;
    if choice.drawn.is_empty() {
        let _ = writeln!(body, "<text class=\"why\" x=\"{LEFT}\" y=\"40\">No packet was seen.</text>");
    }
    if let Some(left_out) = &choice.left_out {
        for line in wrapped(left_out, (width - LEFT - RIGHT) / 8, 3) {
            let _ = writeln!(
                body,
                "<text class=\"why\" x=\"{LEFT}\" y=\"{}\">{}</text>",
                bottom + 18,
                Escaped(&line)
            );
            bottom += 19;
        }
        bottom += 8;
    }
    bottom = strip::beneath(&mut body, captured, width, bottom);
    Picture { body, width, height: bottom + 6 }
}
