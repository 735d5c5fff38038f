//! How the packets of a diagnosis' questions were seen to go, as rows of arrows, and how long that took.

pub(crate) mod stretches;

use model::Diagnosis;
use model::journey::{End, Journey, SeenWay, Stop};

use crate::arrows::{self, Grid, Loss, Picture, Point, Row};
use crate::clean::clean;
use crate::picture::text::cut;
use crate::picture::{Told, told};
use crate::strip::STRIPS_MAX;
use crate::style::Mark;

/// The one that is shown first: of the path that the picture is of; else the first on which something is lost.
/// A question of which no packet is known, as where it could not be sent, has nothing to show.
pub(crate) fn first(diagnosis: &Diagnosis) -> Option<usize> {
    let is_told = |way: &SeenWay| {
        told(diagnosis).is_some_and(|Told { there, back }| there == way.path || back == Some(way.path))
    };
    let position = |wanted: &dyn Fn(&SeenWay) -> bool| {
        diagnosis.seen.iter().position(|way| !way.journeys.is_empty() && wanted(way))
    };
    position(&is_told).or_else(|| position(&|way| mark(way) == Mark::STOP)).or_else(|| position(&|_| true))
}

/// Something was lost, or not answered, or neither.
pub(crate) fn mark(way: &SeenWay) -> Mark {
    let has = |is: fn(&End) -> bool| way.journeys.iter().any(|journey| is(&journey.end));
    if has(|end| matches!(end, End::LostBefore(_) | End::DiesBehind(_))) {
        Mark::STOP
    } else if has(|end| matches!(end, End::Unanswered)) {
        Mark::UNSURE
    } else {
        Mark::PASS
    }
}

/// Pixels of a strip's field in a picture that stands alone.
const HIGH: usize = 40;

/// The picture of the first one, as part of one that stands alone: its packets, and strips of their times beneath.
pub(crate) fn picture(diagnosis: &Diagnosis, width: usize) -> Option<Picture> {
    let way = diagnosis.seen.get(first(diagnosis)?)?;
    let Picture { mut body, height, .. } = arrows::whole(&grid(way, width), &rows(way));
    let timed = stretches::of(way).into_iter().filter_map(|stretch| {
        let name = format!("{}: {}", stretch.name, stretch.words);
        Some((stretch.strip?, name))
    });
    let height = timed
        .take(STRIPS_MAX)
        .fold(height, |top, (strip, name)| strip.beneath(&mut body, &name, width, (top, HIGH)));
    Some(Picture { body, width, height })
}

pub(crate) fn grid(way: &SeenWay, width: usize) -> Grid {
    Grid { width, names: way.vantages.iter().map(ToString::to_string).collect() }
}

pub(crate) fn rows(way: &SeenWay) -> Vec<Row> {
    way.journeys.iter().map(|journey| row(way, journey)).collect()
}

/// `LOST, expected at compute1//eth0`; `None` where nothing tells that it was.
pub(crate) fn lost(way: &SeenWay, end: &End) -> Option<String> {
    match end {
        End::LostBefore(column) => {
            let name = way.vantages.get(*column).map(ToString::to_string).unwrap_or_default();
            Some(format!("LOST, expected at {}", cut(&clean(&name), 60)))
        }
        End::DiesBehind(why) => Some(format!("LOST: {why}")),
        End::Open | End::Unanswered => None,
    }
}

fn row(way: &SeenWay, journey: &Journey) -> Row {
    let befores = std::iter::once(None).chain(journey.stops.iter().map(Some));
    let point = |(before, stop): (Option<&Stop>, &Stop)| Point {
        column: stop.vantage,
        ends: stop.ends.clone(),
        took: before.and_then(|before| time(way, before, stop)),
        copies: stop.copies,
    };
    let column = match journey.end {
        End::LostBefore(column) => Some(column),
        End::Open | End::Unanswered | End::DiesBehind(_) => None,
    };
    let is_unanswered = journey.end == End::Unanswered;
    Row {
        packet: journey.packet.clone(),
        time_ns: journey.stops.iter().map(|stop| stop.time_ns).min(),
        points: befores.zip(&journey.stops).map(point).collect(),
        skipped: 0,
        loss: lost(way, &journey.end).map(|text| Loss { column, text }),
        notes: is_unanswered.then(|| "no answer was seen".to_owned()).into_iter().collect(),
    }
}

/// How long it took from one vantage to the next, where their clocks are known beside each other.
fn time(way: &SeenWay, before: &Stop, after: &Stop) -> Option<String> {
    let (from, to) = (way.vantages.get(before.vantage)?, way.vantages.get(after.vantage)?);
    let took_ns = after.time_ns.saturating_sub(before.time_ns);
    let doubt_ns =
        if before.vantage == after.vantage { 0 } else { from.doubt_ns.saturating_add(to.doubt_ns) };
    // A bridge shows a packet with the stamp that its port has given it: nobody measured how long that took.
    (from.clock == to.clock && took_ns != 0).then(|| arrows::about(took_ns, doubt_ns))
}
