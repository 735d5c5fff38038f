//! One journey of the picture: what it is, an arrow from column to column with the time that each took, what is
//! rewritten beside the arrow that does it, and the break where it is lost.

use std::fmt::Write as _;

use super::{Grid, LEFT, Loss, RIGHT, Row};
use crate::clean::clean;
use crate::escape::Escaped;
use crate::journeys::micros;
use crate::picture::text::{columns, cut, wrapped};

/// Pixels of a line of text, and by which an arrow that goes straight on falls in all.
const LINE: usize = 15;
const FALL: usize = 14;
/// By which each arrow falls where the way turns back, so that no two lie over one another.
const TURN: usize = 20;
/// Pixels between a dot's middle and an arrow.
const CLEARANCE: usize = 7;
/// Columns of what is said of a loss.
const LOSS_MAX: usize = 160;

/// A line of text beneath the arrows: the middle it wants, its class, itself.
type Said = (usize, &'static str, String);

/// Draws it and returns its bottom.
pub(super) fn row(out: &mut String, grid: &Grid, drawn: &Row, top: usize, link: Option<&str>) -> usize {
    let room = grid.width - LEFT - RIGHT;
    let head = wrapped(&head(drawn), room * 10 / 75, 3);
    let first_y = top + head.len() * LINE + 11;
    let points = points(grid, drawn, first_y);
    let mut lines = says(drawn, &points);
    let (times, has_times) = times(drawn, &points);
    let lowest = points.last().map_or(first_y, |(_, y)| *y);
    let cross = drawn.loss.as_ref().map(|loss| broken(grid, &points, loss, first_y));
    if let (Some(cross), Some(loss)) = (&cross, &drawn.loss) {
        lines.push((cross.x, "lost", cut(&clean(&loss.text), LOSS_MAX)));
    }
    let mut bottom = lowest + if has_times { 12 } else { 4 } + if cross.is_some() { 6 } else { 0 };

    let lost = if drawn.loss.is_some() { "; lost" } else { "" };
    let label = format!("{}{lost}", drawn.packet);
    if let Some(link) = link {
        let _ = write!(out, "<a href=\"#{link}\" aria-label=\"{}\">", Escaped(&label));
    } else {
        out.push_str("<g>");
    }
    let placed = placed(grid, &lines, &mut bottom);
    let _ = write!(
        out,
        "<rect class=\"touch\" x=\"{}\" y=\"{top}\" width=\"{room}\" height=\"{}\" rx=\"6\"/>",
        LEFT - 4,
        bottom + 4 - top
    );
    for (at, line) in head.iter().enumerate() {
        let y = top + (at + 1) * LINE;
        let _ = write!(out, "<text class=\"tell\" x=\"{LEFT}\" y=\"{y}\">{}</text>", Escaped(line));
    }
    arrows(out, drawn, &points);
    if let Some(Cross { from, x, y }) = cross {
        let (start, end) =
            if x > from { (from + CLEARANCE, x - 9) } else { (from.saturating_sub(CLEARANCE), x + 9) };
        let _ = write!(
            out,
            "<path class=\"gone\" d=\"M{start} {y}H{end}\"/><rect class=\"bad\" x=\"{}\" y=\"{}\" width=\"16\" \
             height=\"16\" rx=\"4\"/><path class=\"cut\" d=\"M{} {}l8 8m0 -8l-8 8\"/>",
            x - 8,
            y - 8,
            x - 4,
            y - 4
        );
    }
    out.push_str(&times);
    out.push_str(&placed);
    out.push_str(if link.is_some() { "</a>\n" } else { "</g>\n" });
    bottom + 8
}

/// `02:24:42.435672 10.0.2.24 > 1.2.3.4: ICMP echo request, id 7, seq 1`.
fn head(drawn: &Row) -> String {
    match drawn.time_ns {
        Some(time_ns) => format!("{} {}", micros(time_ns), drawn.packet),
        None => drawn.packet.clone(),
    }
}

/// Where each stop is. A way that goes straight on falls slowly; one that turns back falls with each arrow.
fn points(grid: &Grid, drawn: &Row, first_y: usize) -> Vec<(usize, usize)> {
    let at: Vec<usize> = drawn.points.iter().map(|point| point.column).collect();
    let goes_on = at.is_sorted_by(|one, next| one < next) || at.is_sorted_by(|one, next| one > next);
    let arrows = at.len().saturating_sub(1).max(1);
    let y = |number: usize| first_y + if goes_on { number * FALL / arrows } else { number * TURN };
    at.iter().enumerate().map(|(number, column)| (grid.x(*column), y(number))).collect()
}

/// Dots, and arrows between them; a diamond on an arrow behind which the packet has other addresses.
fn arrows(out: &mut String, drawn: &Row, points: &[(usize, usize)]) {
    if points.is_empty() {
        return;
    }
    let (mut flow, mut dots, mut changes) = (String::new(), String::new(), String::new());
    for (x, y) in points {
        let _ = write!(dots, "M{x} {y}h0");
    }
    for ((pair, stops), number) in points.windows(2).zip(drawn.points.windows(2)).zip(2..) {
        let ([(x1, y1), (x2, y2)], [before, after]) = (pair, stops) else { continue };
        let _ = match x1.cmp(x2) {
            std::cmp::Ordering::Less => {
                write!(flow, "M{} {y1}L{} {y2}m-6 -5l6 5l-7 4", x1 + CLEARANCE, x2 - CLEARANCE)
            }
            std::cmp::Ordering::Greater => {
                write!(flow, "M{} {y1}L{} {y2}m6 -5l-6 5l7 4", x1 - CLEARANCE, x2 + CLEARANCE)
            }
            std::cmp::Ordering::Equal => {
                write!(flow, "M{} {y1}h14V{y2}h-13m6 -4l-6 4l6 4", x1 + CLEARANCE)
            }
        };
        if before.ends != after.ends {
            let aside = if x1 == x2 { CLEARANCE + 14 } else { 0 };
            let _ = write!(changes, "M{} {}l5 5l-5 5l-5 -5z", x1.midpoint(*x2) + aside, y1.midpoint(*y2) - 5);
        }
        if drawn.skipped > 0 && number == points.len() {
            let _ = write!(flow, "M{} {}v10", x1.midpoint(*x2), y1.midpoint(*y2) - 5);
        }
    }
    let _ = write!(out, "<path class=\"flow\" d=\"{flow}\"/><path class=\"dots\" d=\"{dots}\"/>");
    if !changes.is_empty() {
        let _ = write!(out, "<path class=\"change\" d=\"{changes}\"/>");
    }
}

/// The time that each arrow took, beneath it, where it fits there.
fn times(drawn: &Row, points: &[(usize, usize)]) -> (String, bool) {
    let mut out = String::new();
    for (pair, point) in points.windows(2).zip(drawn.points.iter().skip(1)) {
        let ([(x1, y1), (x2, y2)], Some(text)) = (pair, &point.took) else { continue };
        if x1.abs_diff(*x2) < columns(text) * 7 + 2 * CLEARANCE {
            continue;
        }
        let (x, y) = (x1.midpoint(*x2), y1.midpoint(*y2) + 14);
        let _ = write!(out, "<text class=\"took\" x=\"{x}\" y=\"{y}\">{text}</text>");
    }
    let has_times = !out.is_empty();
    (out, has_times)
}

/// What is said beneath the arrows: new addresses, copies, what is left out.
fn says(drawn: &Row, points: &[(usize, usize)]) -> Vec<Said> {
    let mut lines: Vec<Said> = Vec::new();
    let mut before: Option<(usize, &str)> = None;
    for ((x, _), point) in points.iter().zip(&drawn.points) {
        let now = point.ends.as_str();
        if let Some((before_x, was)) = before
            && was != now
        {
            lines.push((before_x.midpoint(*x), "became", format!("becomes {now}")));
        }
        if point.copies > 1 {
            lines.push((*x, "twice", format!("{} times here", point.copies)));
        }
        before = Some((*x, now));
    }
    let Some((x, _)) = points.last() else { return lines };
    if drawn.skipped > 0 {
        lines.push((*x, "twice", format!("seen {} times more on the last arrow", drawn.skipped)));
    }
    lines.extend(drawn.notes.iter().map(|note| (*x, "twice", note.clone())));
    lines
}

/// The lines beneath one another, each as near to its place as the picture's edges let it be.
fn placed(grid: &Grid, lines: &[Said], bottom: &mut usize) -> String {
    let mut out = String::new();
    for (x, class, text) in lines {
        let room = (grid.width - LEFT - RIGHT) * 10 / 72;
        for line in wrapped(text, room, 2) {
            *bottom += LINE;
            let half = columns(&line) * 36 / 10;
            let (low, high) = (LEFT + half, (grid.width - RIGHT).saturating_sub(half));
            let x = if low > high { grid.width / 2 } else { (*x).clamp(low, high) };
            let _ = write!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{bottom}\">{}</text>", Escaped(&line));
        }
    }
    out
}

/// A broken arrow: where it begins, and its cross.
struct Cross {
    from: usize,
    x: usize,
    y: usize,
}

/// It ends on its way to the column that never saw the packet, and comes from the edge where none did.
fn broken(grid: &Grid, points: &[(usize, usize)], loss: &Loss, first_y: usize) -> Cross {
    let (from, y) = points.last().copied().unwrap_or((LEFT, first_y));
    let to = loss.column.map_or(from, |column| grid.x(column));
    let reach = (from.abs_diff(to) * 6 / 10).max(26);
    let goes_left = points.len().checked_sub(2).and_then(|at| points.get(at)).is_some_and(|(x, _)| *x > from);
    let is_free = from + reach < grid.width && !(loss.column.is_none() && goes_left);
    let is_right = to > from || (to == from && is_free);
    let x = if is_right { (from + reach).min(grid.width - 10) } else { from.saturating_sub(reach).max(10) };
    Cross { from, x, y }
}
