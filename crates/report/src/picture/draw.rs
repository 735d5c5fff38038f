//! The picture put on paper: rows of stations, boxes around those of one machine, lanes, marks, the break.

use std::fmt::Write as _;

use model::Diagnosis;
use model::path::Predicted;

use super::lanes::{self, Lane};
use super::marks::Sign;
use super::stations::{self, Call, Station};
use super::text::{columns, cut, wrapped};
use super::told::{self, Break};
use crate::escape::Escaped;
use crate::tree;

/// Pixels of one station's column.
pub(super) const CELL: usize = 138;
/// Pixels at the left and at the right.
pub(super) const MARGIN: usize = 14;
/// Columns of text in a station's column: notes are of 11 pixels, names of 13.
const NOTE_COLUMNS: usize = 18;
const NAME_COLUMNS: usize = 15;
/// Lines beneath a station.
const NOTE_LINES: usize = 4;
/// Pixels from a row's top to its boxes' names, devices, the first lane, from lane to lane, and of a line of notes.
const MACHINE_Y: usize = 20;
const DEVICE_Y: usize = 46;
const LANE_Y: usize = 74;
const LANE_STEP: usize = 38;
const NOTE_STEP: usize = 15;
const ROW_GAP: usize = 18;

/// Whether stations are links into the page around the picture.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Links {
    Yes,
    No,
}

/// A picture's elements and its size in pixels.
pub(super) struct Picture {
    pub(super) body: String,
    pub(super) width: usize,
    pub(super) height: usize,
}

/// Where everything is.
pub(super) struct Grid {
    per_row: usize,
    /// Top of each row, and how many lines of notes it has.
    rows: Vec<(usize, usize)>,
    has_back: bool,
}

impl Grid {
    pub(super) fn width(&self) -> usize {
        2 * MARGIN + self.per_row * CELL
    }

    pub(super) fn row(&self, station: usize) -> usize {
        station / self.per_row
    }

    fn top(&self, row: usize) -> usize {
        self.rows.get(row).map_or(0, |(top, _)| *top)
    }

    /// Middle of a station's column.
    fn x(&self, station: usize) -> usize {
        MARGIN + station % self.per_row * CELL + CELL / 2
    }

    pub(super) fn lane_y(&self, lane: Lane, row: usize) -> usize {
        let first = self.top(row) + LANE_Y;
        match lane {
            Lane::There => first,
            Lane::Back => first + LANE_STEP,
        }
    }

    pub(super) fn mark(&self, lane: Lane, station: usize) -> (usize, usize) {
        (self.x(station), self.lane_y(lane, self.row(station)))
    }

    fn notes_y(&self, row: usize) -> usize {
        self.lane_y(if self.has_back { Lane::Back } else { Lane::There }, row) + 30
    }

    fn box_height(&self, row: usize) -> usize {
        let notes = self.rows.get(row).map_or(1, |(_, notes)| *notes);
        self.notes_y(row) - self.top(row) + notes * NOTE_STEP
    }
}

/// The path of the first finding; where no path was asked for, only the finding's own words.
pub(super) fn picture(diagnosis: &Diagnosis, per_row: usize, links: Links) -> Picture {
    let mut body = String::new();
    let told = told::told(diagnosis);
    let path = |at: usize| diagnosis.paths.get(at);
    let line = told.and_then(|told| Some((path(told.there)?, told.back.and_then(path))));
    let line = line.map(|(there, back)| stations::stations(there, back)).unwrap_or_default();
    let broken = told.and_then(|told| told::broken(diagnosis, told));
    let at_break = broken.as_ref().and_then(|broken| Some((broken, position(&line, broken)?)));

    let has_back = line.iter().any(|station| station.back.is_some());
    let mut grid = Grid { per_row, rows: Vec::new(), has_back };
    let mut bottom = 8;
    for (row, stations) in line.chunks(per_row).enumerate() {
        let is_break_back =
            |at: usize| at_break.is_some_and(|(broken, stop)| broken.is_back && stop == row * per_row + at);
        let lines = stations.iter().enumerate().map(|(at, station)| notes(station, is_break_back(at)).len());
        grid.rows.push((bottom, lines.max().unwrap_or(1)));
        bottom += grid.box_height(row) + ROW_GAP;
        if let Some((broken, at)) = at_break.filter(|(_, at)| grid.row(*at) == row) {
            bottom = callout(&mut body, &grid, broken, grid.x(at), bottom) + ROW_GAP;
        }
    }
    boxes(&mut body, &grid, &line);
    for lane in [Lane::There, Lane::Back] {
        let on_lane = line.iter().enumerate().filter(|(_, station)| call(station, lane).is_some());
        let on_lane: Vec<usize> = on_lane.map(|(at, _)| at).collect();
        lanes::draw(&mut body, &grid, lane, &on_lane);
    }
    if let (Some((broken, at)), Some(told)) = (at_break, told) {
        let lane = if broken.is_back { Lane::Back } else { Lane::There };
        let shown = if broken.is_back { told.back } else { Some(told.there) };
        let is_last = shown.and_then(path).is_some_and(|path| broken.hop + 1 == path.hops.len());
        if is_last && broken.word == "STOP" {
            lanes::stub(&mut body, &grid, lane, at);
        }
    }
    for (at, station) in line.iter().enumerate() {
        let is_break = |lane: Lane| {
            at_break.is_some_and(|(broken, stop)| stop == at && broken.is_back == (lane == Lane::Back))
        };
        let path_of =
            |lane: Lane| told.and_then(|told| if lane == Lane::There { Some(told.there) } else { told.back });
        draw_station(&mut body, &grid, (at, station), &is_break, &|lane| {
            path_of(lane).filter(|_| links == Links::Yes)
        });
    }
    if line.is_empty() {
        nothing(&mut body, diagnosis, grid.width());
        bottom = 70;
    } else {
        bottom = legend(&mut body, &grid, bottom);
    }
    Picture { body, width: grid.width(), height: bottom }
}

fn call<'s, 'a>(station: &'s Station<'a>, lane: Lane) -> Option<&'s Call<'a>> {
    match lane {
        Lane::There => station.there.as_ref(),
        Lane::Back => station.back.as_ref(),
    }
}

/// The station of the break.
fn position(line: &[Station<'_>], broken: &Break) -> Option<usize> {
    let lane = if broken.is_back { Lane::Back } else { Lane::There };
    let holds = |call: &Call<'_>| (call.first_hop..call.first_hop + call.hops.len()).contains(&broken.hop);
    line.iter().position(|station| call(station, lane).is_some_and(holds))
}

/// A box around each run of stations of one machine; where it goes on in the next row, its name says so.
fn boxes(out: &mut String, grid: &Grid, line: &[Station<'_>]) {
    for (row, stations) in line.chunks(grid.per_row).enumerate() {
        let mut at = row * grid.per_row;
        for run in stations.chunk_by(|one, next| one.machine == next.machine) {
            let Some(first) = run.first() else { continue };
            let goes_on = at > 0 && line.get(at - 1).is_some_and(|before| before.machine == first.machine);
            let name = if goes_on { format!("… {}", first.machine) } else { first.machine.clone() };
            let width = run.len() * CELL - 8;
            let left = grid.x(at) - CELL / 2 + 4;
            let _ = writeln!(
                out,
                "<g><title>{}</title><rect class=\"machine\" x=\"{left}\" y=\"{}\" width=\"{width}\" height=\"{}\" \
                 rx=\"10\"/><text class=\"host\" x=\"{}\" y=\"{}\">{}</text></g>",
                Escaped(&first.machine),
                grid.top(row),
                grid.box_height(row),
                left + 12,
                grid.top(row) + MACHINE_Y,
                Escaped(&cut(&name, (width - 24) / 8)),
            );
            at += run.len();
        }
    }
}

/// A station's name, its marks, and what is decided there.
fn draw_station(
    out: &mut String,
    grid: &Grid,
    (at, station): (usize, &Station<'_>),
    is_break: &dyn Fn(Lane) -> bool,
    link: &dyn Fn(Lane) -> Option<usize>,
) {
    let (x, row) = (grid.x(at), grid.row(at));
    let device = if station.device.is_empty() { "(itself)" } else { station.device };
    let _ = writeln!(
        out,
        "<text class=\"device\" x=\"{x}\" y=\"{}\">{}</text>",
        grid.top(row) + DEVICE_Y,
        Escaped(&cut(device, NAME_COLUMNS))
    );
    for (lane, way) in [(Lane::There, "there"), (Lane::Back, "back")] {
        let Some(call) = call(station, lane) else { continue };
        let sign = Sign::of(call, is_break(lane));
        let place = call.hops.first().map(|hop| tree::place_name(&hop.at)).unwrap_or_default();
        let told = call.details().collect::<Vec<_>>().join("; ");
        let colon = if told.is_empty() { "" } else { ": " };
        let said = format!("{place}, the way {way}: {}{colon}{told}", sign.words());
        let link = link(lane).map(|path| format!("path-{}-hop-{}", path + 1, call.deciding_hop() + 1));
        match &link {
            Some(anchor) => {
                let _ = write!(out, "<a href=\"#{anchor}\" aria-label=\"{}\">", Escaped(&said));
            }
            None => out.push_str("<g>"),
        }
        let _ = write!(out, "<title>{}</title>", Escaped(&said));
        let (x, y) = grid.mark(lane, at);
        let _ = write!(out, "<circle class=\"touch\" cx=\"{x}\" cy=\"{y}\" r=\"17\"/>");
        sign.draw(out, x, y);
        out.push_str(if link.is_some() { "</a>\n" } else { "</g>\n" });
    }
    for (number, (class, line)) in notes(station, is_break(Lane::Back)).iter().enumerate() {
        let y = grid.notes_y(row) + number * NOTE_STEP;
        let _ = writeln!(out, "<text class=\"{class}\" x=\"{x}\" y=\"{y}\">{}</text>", Escaped(line));
    }
}

/// What a station does: its stages, and the last thing it decides, on the way there unless the packet dies on its way
/// back.
fn notes(station: &Station<'_>, dies_on_its_way_back: bool) -> Vec<(&'static str, String)> {
    let (first, other) =
        if dies_on_its_way_back { (&station.back, &station.there) } else { (&station.there, &station.back) };
    let Some(call) = first.as_ref().or(other.as_ref()) else { return Vec::new() };
    let mut stages: Vec<&str> = call.hops.iter().map(|hop| hop.at.stage.name()).collect();
    stages.dedup();
    let mut joined = stages.join(" · ");
    if let ([first, .., last], true) = (stages.as_slice(), columns(&joined) > NOTE_COLUMNS) {
        joined = format!("{first} … {last}");
    }
    let mut lines = vec![("stage", cut(&joined, NOTE_COLUMNS))];
    // Where the packet dies, the break's own box says why.
    let is_end = call.predicted() == Predicted::Drop;
    let detail = call.details().last().filter(|_| !is_end).unwrap_or_default();
    lines.extend(wrapped(detail, NOTE_COLUMNS, NOTE_LINES - 1).into_iter().map(|line| ("note", line)));
    lines
}

/// The break in words, beneath the row that holds it, with a point towards its station. Returns its bottom.
fn callout(out: &mut String, grid: &Grid, broken: &Break, x: usize, top: usize) -> usize {
    let width = grid.width() - 2 * MARGIN - 8;
    let room = (width - 32) / 8;
    let mut lines: Vec<(&str, String)> = Vec::new();
    let head = format!("{} — {}", broken.word, broken.place);
    lines.extend(wrapped(&head, room, 2).into_iter().map(|line| ("stop", line)));
    for (number, text) in broken.lines.iter().enumerate() {
        let class = if number == 0 { "why" } else { "rule" };
        lines.extend(wrapped(text, room, 6).into_iter().map(|line| (class, line)));
    }
    let height = lines.len() * 19 + 18;
    let left = MARGIN + 4;
    let _ = writeln!(
        out,
        "<path class=\"callout\" d=\"M{} {top}L{x} {}L{} {top}H{r}q8 0 8 8V{b}q0 8 -8 8H{l}q-8 0 -8 -8V{t}\
         q0 -8 8 -8z\"/>",
        x - 10,
        top - 14,
        x + 10,
        r = left + width - 8,
        l = left + 8,
        t = top + 8,
        b = top + height - 8,
    );
    for (number, (class, line)) in lines.iter().enumerate() {
        let y = top + 24 + number * 19;
        let _ =
            writeln!(out, "<text class=\"{class}\" x=\"{}\" y=\"{y}\">{}</text>", left + 16, Escaped(line));
    }
    top + height
}

/// What the marks mean, and which line is which. Returns the picture's height.
fn legend(out: &mut String, grid: &Grid, top: usize) -> usize {
    let (mut x, mut y) = (MARGIN + 18, top + 8);
    let lanes = if grid.has_back { "upper line: the way there; lower: back" } else { "" };
    for sign in
        [Some(Sign::Pass), Some(Sign::Seen), Some(Sign::NotSeen), Some(Sign::Unsure), Some(Sign::Break), None]
    {
        let words = sign.map_or(lanes, Sign::words);
        let width = columns(words) * 7 + 44;
        if x + width > grid.width() && x > MARGIN + 18 {
            (x, y) = (MARGIN + 18, y + 32);
        }
        if words.is_empty() {
            continue;
        }
        if let Some(sign) = sign {
            sign.draw(out, x, y);
        }
        let start = if sign.is_some() { x + 18 } else { x - 12 };
        let _ =
            writeln!(out, "<text class=\"legend\" x=\"{start}\" y=\"{}\">{}</text>", y + 4, Escaped(words));
        x += width;
    }
    y + 24
}

/// Where nothing was walked, that is said.
fn nothing(out: &mut String, diagnosis: &Diagnosis, width: usize) {
    let text = diagnosis.findings.first().map_or("no path was asked for", |finding| finding.summary.as_str());
    for (number, line) in wrapped(text, (width - 2 * MARGIN) / 8, 2).iter().enumerate() {
        let y = 28 + number * 19;
        let _ = writeln!(out, "<text class=\"why\" x=\"{MARGIN}\" y=\"{y}\">{}</text>", Escaped(line));
    }
}
