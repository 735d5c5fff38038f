//! Journeys of a capture as rows of the picture, and all of it where it stands alone.

use std::fmt::Write as _;

use correlate::{Stop, VantageReport};

use super::super::Journeys;
use super::super::one::took;
use super::super::packet::ends;
use super::choose::{Choice, Drawn, common_ns};
use super::{Captured, strips};
use crate::arrows::{self, Grid, LEFT, Loss, Picture, Point, RIGHT, Row, columns};
use crate::clean::clean;
use crate::escape::Escaped;
use crate::picture::text::{cut, wrapped};

/// Vantages from left to right.
pub(super) fn line(drawn: &[Drawn]) -> Vec<u16> {
    let way = |drawn: &Drawn| drawn.stops.iter().map(|stop| stop.vantage).chain(drawn.expected_at).collect();
    columns::order(&drawn.iter().map(way).collect::<Vec<_>>())
}

pub(super) fn grid(journeys: &Journeys<'_>, line: &[u16], width: usize) -> Grid {
    Grid { width, names: line.iter().map(|vantage| journeys.name(*vantage).to_owned()).collect() }
}

/// The rows of journeys over these vantages.
pub(super) fn rows(journeys: &Journeys<'_>, drawn: &[Drawn], line: &[u16]) -> Vec<Row> {
    drawn.iter().map(|drawn| row(journeys, drawn, line)).collect()
}

fn row(journeys: &Journeys<'_>, drawn: &Drawn, line: &[u16]) -> Row {
    let column = |vantage: u16| line.iter().position(|known| *known == vantage).unwrap_or(0);
    let befores = std::iter::once(None).chain(drawn.stops.iter().map(Some));
    let point = |(before, stop): (Option<&Stop>, &Stop)| {
        let seen = journeys.report.vantages.get(usize::from(stop.vantage));
        let is_doubled = seen.is_some_and(|seen| seen.doubled > 0);
        Point {
            column: column(stop.vantage),
            ends: ends(stop, drawn.protocol),
            took: before.and_then(|before| time(journeys, before, stop)),
            copies: if is_doubled { 1 } else { stop.copies },
        }
    };
    let points = befores.zip(&drawn.stops).map(point).collect();
    let loss = drawn.expected_at.map(|vantage| {
        let text = format!("LOST, expected at {}", cut(&clean(journeys.name(vantage)), 60));
        Loss { column: Some(column(vantage)), text }
    });
    let is_end_only = drawn.is_end_only.then(|| "where it was before is not drawn".to_owned());
    Row {
        packet: drawn.packet.clone(),
        time_ns: Some(drawn.time_ns),
        points,
        skipped: drawn.skipped,
        loss,
        notes: is_end_only.into_iter().collect(),
    }
}

/// `+4.1us`; with `~` before it where the clocks are not known to agree within a twentieth of it, and none where they
/// are not known to agree.
fn time(journeys: &Journeys<'_>, before: &Stop, after: &Stop) -> Option<String> {
    let seen = |stop: &Stop| journeys.report.vantages.get(usize::from(stop.vantage));
    let took_ns = common_ns(journeys, after).saturating_sub(common_ns(journeys, before));
    let (from, to) = (seen(before)?, seen(after)?);
    if from.source == to.source {
        return Some(took(took_ns));
    }
    let stretch = journeys.report.stretches.get(&(before.vantage, after.vantage));
    stretch.filter(|stretch| stretch.is_timed)?;
    let doubt =
        |seen: &VantageReport| seen.offset.map_or(0, |offset| offset.high.saturating_sub(offset.low) / 2);
    let doubt = doubt(from).saturating_add(doubt(to));
    Some(arrows::about(took_ns, if journeys.report.drifts { i64::MAX } else { doubt }))
}

/// Heads, journeys, what was left out, strips.
pub(super) fn whole(captured: &Captured<'_>, choice: &Choice, width: usize) -> Picture {
    let line = line(&choice.drawn);
    let grid = grid(captured.journeys, &line, width);
    let Picture { mut body, height: mut bottom, .. } =
        arrows::whole(&grid, &rows(captured.journeys, &choice.drawn, &line));
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
    bottom = strips::beneath(&mut body, captured, width, bottom);
    Picture { body, width, height: bottom + 6 }
}
