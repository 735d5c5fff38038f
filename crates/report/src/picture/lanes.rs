//! The lines between stations: one lane for the way there, one for the way back.

use std::fmt::Write as _;

use super::draw::{CELL, Grid, MARGIN};

/// Which of the two lines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lane {
    There,
    Back,
}

/// Room between a mark and the line's end.
const CLEARANCE: usize = 14;

/// The line between the marks of consecutive calls, left to right as the stations stand; the way back runs against it.
/// From row to row it leaves at the right edge and comes in at the left.
pub(super) fn draw(out: &mut String, grid: &Grid, lane: Lane, at: &[usize]) {
    for (from, to) in at.iter().zip(at.iter().skip(1)) {
        let ((x1, y1), (x2, y2)) = (grid.mark(lane, *from), grid.mark(lane, *to));
        if grid.row(*from) == grid.row(*to) {
            segment(out, lane, (x1 + CLEARANCE, x2 - CLEARANCE), y1);
            continue;
        }
        let edge = grid.width() - MARGIN;
        segment(out, lane, (x1 + CLEARANCE, edge + 8), y1);
        for row in grid.row(*from) + 1..grid.row(*to) {
            segment(out, lane, (MARGIN - 8, edge + 8), grid.lane_y(lane, row));
        }
        segment(out, lane, (MARGIN - 8, x2 - CLEARANCE), y2);
    }
}

/// What is left of the line behind the break: a stub, to where the packet does not come.
pub(super) fn stub(out: &mut String, grid: &Grid, lane: Lane, at: usize) {
    let (x, y) = grid.mark(lane, at);
    let _ = match lane {
        Lane::There => writeln!(out, "<path class=\"stub\" d=\"M{} {y}h{}\"/>", x + 18, CELL / 2 - 24),
        Lane::Back => writeln!(out, "<path class=\"stub\" d=\"M{} {y}h-{}\"/>", x - 18, CELL / 2 - 24),
    };
}

/// One stretch with an arrow's head at the end that the packet goes to.
fn segment(out: &mut String, lane: Lane, (left, right): (usize, usize), y: usize) {
    let _ = match lane {
        Lane::There => writeln!(out, "<path class=\"way\" d=\"M{left} {y}H{right}m-6 -4l6 4l-6 4\"/>"),
        Lane::Back => writeln!(out, "<path class=\"way\" d=\"M{right} {y}H{left}m6 -4l-6 4l6 4\"/>"),
    };
}
