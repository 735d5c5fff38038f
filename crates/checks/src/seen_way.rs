//! The way of a question as its packets were seen to go it: vantages in the order of the predicted way, and how each
//! journey ends.
//!
//! A packet is lost before a vantage only where that one is next on the predicted way and would have shown it, and
//! where no answer tells that the packet came by otherwise. Where nothing of this is known, its end is left open.

#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use model::journey::{End, Journey, QuestionSeen, SeenWay};
use model::path::{Direction, Disposition, Path};
use model::probe::ProbeResult;

use crate::diagnose::{Case, probe_of};
use crate::ladder::Rung;
use crate::watched::shows;

/// Journeys of one question that are told: of more, those that did not arrive before those that did.
const JOURNEYS_MAX: usize = 24;

/// Of a rung whose paths stand in the diagnosis behind so many others. `None` where nobody watched for it.
pub(crate) fn of(case: &Case, rung: &Rung, paths_before: usize) -> Option<SeenWay> {
    let probe = probe_of(case, rung)?;
    let seen = case.seen.iter().find(|seen| is_of(seen, probe))?;
    let path_of = |direction: Direction| {
        let is_it = |path: &&Path| {
            rung.purpose.exchange_of(path.exchange) == seen.exchange && path.direction == direction
        };
        rung.answer.paths.iter().find(is_it)
    };
    let (there, back) = (path_of(Direction::Request)?, path_of(Direction::Reply));
    let at = rung.answer.paths.iter().position(|path| std::ptr::eq(path, there))?;
    let ways =
        Ways { seen, probe, there: Way::of(case, seen, there), back: back.map(|p| Way::of(case, seen, p)) };
    let line = ways.columns();
    if line.is_empty() {
        return None;
    }
    let mut journeys: Vec<Journey> = ways.unseen().into_iter().chain(seen.journeys.iter().cloned()).collect();
    for journey in &mut journeys {
        journey.end = ways.end(journey);
        ways.put_in_order(journey);
    }
    let asked = keys(&journeys, Direction::Request);
    let mut journeys = chosen(journeys);
    let left_out = seen.left_out + (asked - keys(&journeys, Direction::Request));
    renumber(&mut journeys, &line);
    let vantages = line.iter().filter_map(|vantage| seen.vantages.get(*vantage)).cloned().collect();
    Some(SeenWay { path: paths_before + at, vantages, journeys, left_out })
}

fn is_of(seen: &QuestionSeen, probe: &ProbeResult) -> bool {
    let asked = (probe.asked.exchange(), probe.asked.octets(), probe.asked.told_port());
    (seen.exchange, seen.octets, seen.port) == asked && seen.from == probe.from && seen.to == probe.to
}

/// How many questions, or answers to how many, these are of.
fn keys(journeys: &[Journey], direction: Direction) -> usize {
    let of_it = journeys.iter().filter(|journey| journey.direction == direction);
    of_it.map(|journey| journey.key).collect::<BTreeSet<_>>().len()
}

/// Journeys speak of vantages by their columns.
fn renumber(journeys: &mut [Journey], line: &[usize]) {
    let column = |vantage: usize| line.iter().position(|known| *known == vantage).unwrap_or_default();
    for journey in journeys {
        journey.stops.iter_mut().for_each(|stop| stop.vantage = column(stop.vantage));
        if let End::LostBefore(vantage) = &mut journey.end {
            *vantage = column(*vantage);
        }
    }
}

/// So many as are told, each question with its answers, in order of time.
fn chosen(journeys: Vec<Journey>) -> Vec<Journey> {
    let first_ns = |journey: &Journey| journey.stops.iter().map(|stop| stop.time_ns).min();
    let rank = |journey: &Journey| (journey.end == End::Open, first_ns(journey));
    let mut by_rank: Vec<&Journey> = journeys.iter().collect();
    by_rank.sort_by_key(|journey| rank(journey));
    let (mut kept, mut count) = (BTreeSet::new(), 0);
    for journey in by_rank {
        let of_key = journeys.iter().filter(|other| other.key == journey.key).count();
        if !kept.contains(&journey.key) && (count == 0 || count + of_key <= JOURNEYS_MAX) {
            kept.insert(journey.key);
            count += of_key;
        }
    }
    let mut chosen: Vec<Journey> =
        journeys.into_iter().filter(|journey| kept.contains(&journey.key)).collect();
    chosen.truncate(2 * JOURNEYS_MAX);
    chosen.sort_by_key(|journey| (first_ns(journey), journey.direction));
    chosen
}

/// A predicted way, with the vantages on it.
struct Way<'p> {
    path: &'p Path,
    /// In its order, each once, with whether it shows each packet that passes there.
    vantages: Vec<(usize, bool)>,
}

impl<'p> Way<'p> {
    fn of(case: &Case, seen: &QuestionSeen, path: &'p Path) -> Way<'p> {
        let mut vantages: Vec<(usize, bool)> = Vec::new();
        for group in path.hops.chunk_by(|a, b| a.at.same_device(&b.at)) {
            let Some(at) = group.first().map(|hop| &hop.at) else { continue };
            let here = (&at.host, &at.netns, &at.device);
            let mut known = seen.vantages.iter().enumerate();
            let Some((index, vantage)) = known.find(|(_, v)| (&v.machine, &v.netns, &v.device) == here)
            else {
                continue;
            };
            let tells = vantage.is_complete && shows(case.snapshot, group);
            match vantages.iter_mut().find(|(known, _)| *known == index) {
                Some((_, known)) => *known |= tells,
                None => vantages.push((index, tells)),
            }
        }
        Way { path, vantages }
    }

    fn position(&self, vantage: usize) -> Option<usize> {
        self.vantages.iter().position(|(known, _)| *known == vantage)
    }

    /// The first that tells behind so many of them.
    fn next(&self, skipped: usize) -> Option<usize> {
        self.vantages.iter().skip(skipped).find(|(_, tells)| *tells).map(|(vantage, _)| *vantage)
    }

    /// The last that tells, where the walk has packets arrive.
    fn home(&self) -> Option<usize> {
        match self.path.disposition {
            Disposition::Delivered { .. } => {
                self.vantages.iter().rev().find(|(_, tells)| *tells).map(|(vantage, _)| *vantage)
            }
            Disposition::Dropped(_) | Disposition::LeftSite | Disposition::Unknown { .. } => None,
        }
    }
}

/// A question's way there, and the way back where the walk knows one.
struct Ways<'p> {
    seen: &'p QuestionSeen,
    probe: &'p ProbeResult,
    there: Way<'p>,
    back: Option<Way<'p>>,
}

impl Ways<'_> {
    fn way(&self, direction: Direction) -> Option<&Way<'_>> {
        match direction {
            Direction::Request | Direction::Both => Some(&self.there),
            Direction::Reply => self.back.as_ref(),
        }
    }

    /// Vantages that tell or have seen anything, in the order of the way there; an answer goes it backwards.
    fn columns(&self) -> Vec<usize> {
        let stops = || self.seen.journeys.iter().flat_map(|journey| &journey.stops);
        let is_seen = |vantage: usize| stops().any(|stop| stop.vantage == vantage);
        let of = |way: &Way| {
            let wanted = way.vantages.iter().filter(|(vantage, tells)| *tells || is_seen(*vantage));
            wanted.map(|(vantage, _)| *vantage).collect::<Vec<_>>()
        };
        let mut line = of(&self.there);
        join(&mut line, self.back.as_ref().map(of).unwrap_or_default().into_iter().rev());
        for journey in &self.seen.journeys {
            let stops = journey.stops.iter().map(|stop| stop.vantage);
            match journey.direction {
                Direction::Request | Direction::Both => join(&mut line, stops),
                Direction::Reply => join(&mut line, stops.rev()),
            }
        }
        line
    }

    /// Questions that were sent and seen nowhere, as one journey. Only echoes differ each from the other.
    fn unseen(&self) -> Option<Journey> {
        let ProbeResult { sent, received, .. } = *self.probe;
        if self.probe.recorded.is_some() || self.probe.send_error.is_some() {
            return None;
        }
        let seen = u32::try_from(keys(&self.seen.journeys, Direction::Request)).unwrap_or(u32::MAX);
        let seen = if self.seen.octets.is_none() && seen > 0 { sent } else { seen };
        let count = sent.saturating_sub(seen).min(sent.saturating_sub(received));
        let packet = &self.there.path.hops.first().filter(|_| count > 0)?.packet;
        let packet = if count > 1 { format!("{packet}, {count} times") } else { packet.clone() };
        // No packet that was seen has this key: those that are made of fewer bits have none so large.
        let (direction, key) = (Direction::Request, u64::MAX);
        Some(Journey { direction, key, packet, stops: Vec::new(), end: End::Open })
    }

    fn answers(&self) -> impl Iterator<Item = &Journey> {
        self.seen.journeys.iter().filter(|journey| journey.direction == Direction::Reply)
    }

    fn end(&self, journey: &Journey) -> End {
        let ProbeResult { sent, received, .. } = *self.probe;
        let received = usize::try_from(received).unwrap_or(usize::MAX);
        if self.probe.received >= sent {
            return End::Open;
        }
        match journey.direction {
            Direction::Request | Direction::Both => {
                // An answer that came where nobody watched is one of a question that nobody can name.
                let is_answered = self.answers().any(|answer| answer.key == journey.key);
                let is_known = keys(&self.seen.journeys, Direction::Reply) >= received;
                if is_answered || !is_known {
                    return End::Open;
                }
                self.behind(journey, &self.there).unwrap_or(End::Unanswered)
            }
            Direction::Reply => {
                let Some(back) = &self.back else { return End::Open };
                let home = back.home();
                let arrived = self.answers().filter(|answer| {
                    home.is_some_and(|home| answer.stops.iter().any(|stop| stop.vantage == home))
                });
                let arrived: BTreeSet<u64> = arrived.map(|answer| answer.key).collect();
                if arrived.contains(&journey.key) || arrived.len() < received {
                    return End::Open;
                }
                self.behind(journey, back).unwrap_or(End::Open)
            }
        }
    }

    /// What became of it behind the last vantage on its way that it came to; `None` where there is none behind, and no
    /// reason why not.
    fn behind(&self, journey: &Journey, way: &Way) -> Option<End> {
        let positions: Option<Vec<usize>> =
            journey.stops.iter().map(|stop| way.position(stop.vantage)).collect();
        // One that went another way may have come home on that.
        let Some(positions) = positions else { return Some(End::Open) };
        let last = positions.into_iter().max();
        let last_vantage = last.and_then(|last| way.vantages.get(last)).map(|(vantage, _)| *vantage);
        let passing = |vantage: usize| {
            let same = |other: &&Journey| (other.key, other.direction) == (journey.key, journey.direction);
            let own = self.seen.journeys.iter().filter(same);
            own.filter(|other| other.stops.iter().any(|stop| stop.vantage == vantage)).count()
        };
        if let Some(next) = way.next(last.map_or(0, |last| last + 1)) {
            // What was sent twice may have been told apart wrongly.
            let is_fewer = last_vantage.is_none_or(|last| passing(next) < passing(last));
            return Some(if is_fewer { End::LostBefore(next) } else { End::Open });
        }
        // An answer to any of them takes the walk back that has them die.
        let is_foreseen = self.probe.received == 0 && self.probe.is_telling();
        let (hop, _) = way.path.stop().filter(|_| is_foreseen)?;
        Some(End::DiesBehind(if hop.detail.is_empty() { hop.at.to_string() } else { hop.detail.clone() }))
    }

    /// Of packets with one stamp, as a bridge and its port give it, the predicted way tells which was first; and of
    /// clocks that nobody can compare.
    fn put_in_order(&self, journey: &mut Journey) {
        let Some(way) = self.way(journey.direction) else { return };
        let clock = |vantage: usize| self.seen.vantages.get(vantage).map(|vantage| vantage.clock);
        let mut clocks = journey.stops.iter().map(|stop| clock(stop.vantage));
        let first = clocks.next();
        if clocks.all(|clock| Some(clock) == first) {
            journey.stops.sort_by_key(|stop| (stop.time_ns, way.position(stop.vantage)));
        } else if journey.stops.iter().all(|stop| way.position(stop.vantage).is_some()) {
            journey.stops.sort_by_key(|stop| way.position(stop.vantage));
        }
    }
}

/// Puts what is new of a way behind what it comes from.
fn join(line: &mut Vec<usize>, way: impl Iterator<Item = usize>) {
    let mut next = 0;
    for vantage in way {
        match line.iter().position(|known| *known == vantage) {
            Some(at) => next = at + 1,
            None => {
                line.insert(next, vantage);
                next += 1;
            }
        }
    }
}
