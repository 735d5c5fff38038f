//! How long each stretch took of the way that a question's packets were seen to go: from each vantage to the next, and
//! from the first to the last, there and back.
//!
//! No time is told between clocks that nobody can compare, nor where both vantages have one stamp, as a bridge and its
//! port do; nor of a broadcast, which goes several ways at once, so that who saw it next need not be behind who saw it.
//! Nothing is told of a packet that was seen at one place or none.

use std::collections::BTreeMap;

use model::journey::{End, Journey, SeenWay, Stop};
use model::path::Direction;

use crate::clean::clean;
use crate::journeys::packets;
use crate::picture::text::cut;
use crate::strip::{self, APART, Strip, Took};

/// Columns of a vantage's name.
const NAME_MAX: usize = 60;
/// Of fewer packets, a line at their median would hide them.
const MEDIAN_MIN: usize = 8;

/// What is told of a stretch.
#[derive(Debug)]
pub(crate) struct Stretch {
    /// `compute1//vnet0 to compute1//br100`.
    pub(crate) name: String,
    /// `median 4.1us, longest 5.2us; 2 packets, and 1 that was lost`.
    pub(crate) words: String,
    /// Where any time on it is known.
    pub(crate) strip: Option<Strip>,
}

/// From a column to the next; to none where nobody watched behind it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    One(usize, Option<usize>),
    /// From the first to the last.
    All(usize, usize),
}

/// What its packets tell of a stretch.
#[derive(Debug, Default)]
struct Measured {
    /// When each was seen at its beginning, and how long it took.
    points: Vec<(i64, u64)>,
    /// Packets whose clocks nobody can compare; that have one stamp at both ends; that have come before they went.
    apart: u64,
    at_once: u64,
    backwards: u64,
    /// When those that were lost on it were seen last.
    lost: Vec<i64>,
    /// Packets that came to its beginning, beyond which nobody watched, and that nobody was seen to answer.
    unanswered: u64,
}

/// All stretches, in the order in which packets go there and back; none where no packet was seen twice.
pub(crate) fn of(way: &SeenWay) -> Vec<Stretch> {
    let mut parts: Vec<(Part, Measured)> = Vec::new();
    for is_back in [false, true] {
        let goes = |journey: &&Journey| (journey.direction == Direction::Reply) == is_back;
        let journeys: Vec<&Journey> = way.journeys.iter().filter(goes).collect();
        let measured = measured(way, &journeys);
        let whole = (measured.len() > 1).then(|| whole(way, &journeys, is_back)).flatten();
        let mut ones: Vec<_> = measured.into_iter().collect();
        ones.sort_by_key(|(part, _)| place(*part, is_back));
        parts.extend(ones);
        parts.extend(whole);
    }
    let is_seen_twice = |measured: &Measured| measured.passed() > 0;
    if !parts.iter().any(|(_, measured)| is_seen_twice(measured)) {
        return Vec::new();
    }
    let all = || parts.iter().flat_map(|(_, measured)| &measured.points).map(|point| point.1);
    let scale = strip::scale(all().min().unwrap_or_default(), all().max().unwrap_or_default());
    let times = times(way, &parts);
    parts.into_iter().map(|(part, measured)| told(way, part, measured, scale, &times)).collect()
}

/// Each stretch that a packet went or was lost on.
fn measured(way: &SeenWay, journeys: &[&Journey]) -> BTreeMap<Part, Measured> {
    let mut parts: BTreeMap<Part, Measured> = BTreeMap::new();
    for journey in journeys {
        for (before, after) in journey.stops.iter().zip(journey.stops.iter().skip(1)) {
            // What comes by once more has been routed somewhere between.
            if before.vantage != after.vantage && !is_flooded(before) {
                let part = Part::One(before.vantage, Some(after.vantage));
                parts.entry(part).or_default().add(way, before, after);
            }
        }
        let Some(last) = journey.stops.last() else { continue };
        let to = match journey.end {
            End::LostBefore(column) => Some(column),
            End::DiesBehind(_) | End::Unanswered => None,
            End::Open => continue,
        };
        let measured = parts.entry(Part::One(last.vantage, to)).or_default();
        if journey.end == End::Unanswered {
            measured.unanswered += 1;
        } else {
            measured.lost.push(last.time_ns);
        }
    }
    parts
}

/// From where any was seen first to where any was seen last; `None` where that is one stretch, and told as such.
fn whole(way: &SeenWay, journeys: &[&Journey], is_back: bool) -> Option<(Part, Measured)> {
    let columns = |stop: fn(&Journey) -> Option<&Stop>| {
        journeys.iter().filter_map(move |journey| stop(journey)).map(|stop| stop.vantage)
    };
    let (firsts, lasts) = (columns(|journey| journey.stops.first()), columns(|journey| journey.stops.last()));
    let (from, to) = if is_back { (firsts.max()?, lasts.min()?) } else { (firsts.min()?, lasts.max()?) };
    let mut measured = Measured::default();
    let mut is_one = true;
    for journey in journeys {
        let at = |column: usize| journey.stops.iter().position(|stop| stop.vantage == column);
        let is_lost = matches!(journey.end, End::LostBefore(_) | End::DiesBehind(_));
        if journey.stops.iter().any(is_flooded) {
            continue;
        }
        match (at(from), at(to)) {
            (Some(first), Some(last)) if first < last => {
                // Where two have one stamp, what is beyond adds nothing to what is told of the one stretch.
                let between = journey.stops.get(first..=last)?;
                is_one &= between.chunk_by(|one, next| one.time_ns == next.time_ns).count() <= 2;
                let stops = (journey.stops.get(first)?, journey.stops.get(last)?);
                measured.add(way, stops.0, stops.1);
            }
            (Some(_), None) if is_lost => measured.lost.extend(journey.stops.last().map(|stop| stop.time_ns)),
            (Some(_) | None, Some(_) | None) => {}
        }
    }
    (!is_one).then_some((Part::All(from, to), measured))
}

/// It is for everybody or for a group.
fn is_flooded(stop: &Stop) -> bool {
    let destination = stop.ends.split_once(" > ").map_or("", |(_, destination)| destination);
    destination.starts_with("255.255.255.255") || (destination.starts_with("ff") && destination.contains(':'))
}

impl Measured {
    fn add(&mut self, way: &SeenWay, before: &Stop, after: &Stop) {
        let clock = |stop: &Stop| way.vantages.get(stop.vantage).map(|vantage| vantage.clock);
        let took_ns = after.time_ns.saturating_sub(before.time_ns);
        match u64::try_from(took_ns) {
            _ if clock(before) != clock(after) => self.apart += 1,
            // A bridge shows a packet with the stamp that its port has given it: nobody measured how long that took.
            Ok(0) => self.at_once += 1,
            Ok(took_ns) => self.points.push((before.time_ns, took_ns)),
            Err(_) => self.backwards += 1,
        }
    }

    /// Packets that came to its end.
    fn passed(&self) -> u64 {
        self.points.len() as u64 + self.untimed()
    }

    fn untimed(&self) -> u64 {
        self.apart + self.at_once + self.backwards
    }

    /// `None` where no time is known.
    fn took(&self, doubt: i64) -> Option<Took> {
        let mut sorted: Vec<u64> = self.points.iter().map(|point| point.1).collect();
        sorted.sort_unstable();
        let of_hundred =
            |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).saturating_sub(1));
        let (half, most) = (*of_hundred(50)?, *of_hundred(99)?);
        Some(Took { count: sorted.len() as u64, half, most, longest: *sorted.last()?, doubt })
    }

    fn words(&self, took: Option<Took>) -> String {
        if self.unanswered > 0 {
            let lost = if self.lost.is_empty() {
                ""
            } else {
                &format!("{} lost; ", packets(self.lost.len() as u64))
            };
            return format!("{lost}{} to which no answer was seen", packets(self.unanswered));
        }
        let lost = match (self.lost.len(), self.passed()) {
            (0, _) => "",
            (1, 0) => return "1 packet, lost".to_owned(),
            (several, 0) => return format!("{several} packets, all lost"),
            (1, _) => ", and 1 that was lost",
            (several, _) => &format!(", and {several} that were lost"),
        };
        match took {
            Some(took) if self.untimed() > 0 => {
                format!("{}{lost}; {} more not timed", took.words(), self.untimed())
            }
            Some(took) => format!("{}{lost}", took.words()),
            None if self.apart > 0 => format!("{APART}; {}{lost}", packets(self.passed())),
            None if self.backwards > 0 => {
                let why = "not timed: the clocks are not known well enough";
                format!("{why}; {}{lost}", packets(self.passed()))
            }
            None => {
                let why = "not timed: a bridge shows the stamp that its port has given";
                format!("{why}; {}{lost}", packets(self.passed()))
            }
        }
    }
}

/// What goes back goes through the columns from the right; what was lost behind one comes last of those from there.
fn place(part: Part, is_back: bool) -> (usize, usize) {
    let (from, to) = match part {
        Part::One(from, to) => (from, to),
        Part::All(from, to) => (from, Some(to)),
    };
    let place = |column: usize| if is_back { usize::MAX - 1 - column } else { column };
    (place(from), to.map_or(usize::MAX, place))
}

/// When the first and the last packet of all was seen, by clock, so that strips of one clock stand beneath one another.
fn times(way: &SeenWay, parts: &[(Part, Measured)]) -> BTreeMap<u16, (i64, i64)> {
    let mut times: BTreeMap<u16, (i64, i64)> = BTreeMap::new();
    for (part, measured) in parts {
        let Some(clock) = clock(way, *part) else { continue };
        for time in measured.points.iter().map(|point| point.0).chain(measured.lost.iter().copied()) {
            let (first, last) = times.entry(clock).or_insert((time, time));
            (*first, *last) = ((*first).min(time), (*last).max(time));
        }
    }
    times
}

/// The clock at its beginning.
fn clock(way: &SeenWay, part: Part) -> Option<u16> {
    let (Part::One(from, _) | Part::All(from, _)) = part;
    way.vantages.get(from).map(|vantage| vantage.clock)
}

fn told(
    way: &SeenWay,
    part: Part,
    measured: Measured,
    scale: (u64, u64),
    times: &BTreeMap<u16, (i64, i64)>,
) -> Stretch {
    let name = |column: usize| {
        let name = way.vantages.get(column).map(ToString::to_string).unwrap_or_default();
        cut(&clean(&name), NAME_MAX)
    };
    let doubt = |column: usize| way.vantages.get(column).map_or(0, |vantage| vantage.doubt_ns);
    let (text, doubt) = match part {
        Part::One(from, Some(to)) => {
            (format!("{} to {}", name(from), name(to)), doubt(from).saturating_add(doubt(to)))
        }
        Part::One(from, None) => (format!("behind {}", name(from)), 0),
        Part::All(from, to) => {
            (format!("in all, {} to {}", name(from), name(to)), doubt(from).saturating_add(doubt(to)))
        }
    };
    let took = measured.took(doubt);
    let words = measured.words(took);
    let times = clock(way, part).and_then(|clock| times.get(&clock)).copied();
    let strip = took.zip(times).map(|(took, times)| {
        let is_many = measured.points.len() >= MEDIAN_MIN;
        let lines = if is_many { vec![("half", took.half)] } else { Vec::new() };
        Strip { points: measured.points, lost: measured.lost, lines, has_longest: false, scale, times }
    });
    Stretch { name: text, words, strip }
}

#[cfg(test)]
mod tests;
