//! Packets joined into journeys while they come.
//!
//! Rings hand over their packets in blocks, each ring in order, so of two rings one may be late by the rings'
//! delay. What comes is held back for longer than that and then joined in order of time. All vantages are of one
//! kernel, so there is one clock.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::time::{Duration, Instant};

use capture::vantage::Room;
use correlate::{Correlator, Journey, Merge, Options, Report, Vantage};
use model::sighting::Sighting;
use parse::dissect;
use sys::packet_ring::Frame;

/// How long a packet is looked for at other vantages.
pub(super) const WINDOW: Duration = Duration::from_secs(2);
/// Places for open journeys: a few megabytes.
const OPEN_MAX: usize = 100_000;
/// Sightings held back, at most; beyond, the earliest are joined at once.
const HELD_MAX: usize = 65_536;
/// Sightings joined at a time, so that few finished journeys wait to be told.
const AT_ONCE: usize = 1024;

/// What a finished journey is told to: it, names of vantages by its numbers, where it was expected if it is lost.
pub(super) type Tell<'t> = dyn FnMut(&Journey, &[String], Option<u16>) -> io::Result<()> + 't;

/// What is seen, on its way to being told.
pub(super) struct Live {
    names: Vec<String>,
    link_types: Vec<u16>,
    /// By time, vantage and order of coming.
    held: BTreeMap<(i64, u16, u32), Sighting>,
    /// What had come by when: the latest stamp of it.
    come: VecDeque<(Instant, i64)>,
    hold: Duration,
    latest: i64,
    /// Something has come since the last pause.
    is_new: bool,
    frames: u32,
    dissecting: dissect::Options,
    merge: Merge,
    correlator: Correlator,
    /// Names of vantages as the journeys number them.
    numbered: Vec<String>,
}

impl Live {
    /// Of vantages with these names and `LINKTYPE_` numbers.
    pub(super) fn new(names: Vec<String>, link_types: Vec<u16>, room: Room) -> Live {
        let window_ns = i64::try_from(WINDOW.as_nanos()).unwrap_or(i64::MAX);
        let options = Options { window_ns, open_max: OPEN_MAX, ..Options::default() };
        Live {
            names,
            link_types,
            held: BTreeMap::new(),
            come: VecDeque::new(),
            hold: Duration::from_millis(u64::from(2 * room.delay_ms + room.settle_ms)),
            latest: i64::MIN,
            is_new: false,
            frames: 0,
            dissecting: dissect::Options::for_snap_length(Some(room.snap)),
            merge: Merge::new(1),
            correlator: Correlator::new(options, vec![false]),
            numbered: Vec::new(),
        }
    }

    /// One packet at a vantage; what is neither IP nor ARP has no journey.
    pub(super) fn see(&mut self, vantage: usize, frame: &Frame<'_>, tell: &mut Tell<'_>) -> io::Result<()> {
        self.frames = self.frames.saturating_add(1);
        let Some(link_type) = self.link_types.get(vantage) else { return Ok(()) };
        let time_ns = i64::try_from(frame.time_ns).unwrap_or(i64::MAX);
        let captured = parse::capture::Frame {
            number: self.frames,
            time_ns,
            interface: 0,
            link_type: u32::from(*link_type),
            data: frame.bytes,
            length: frame.length,
        };
        let vantage = u16::try_from(vantage).unwrap_or(u16::MAX);
        self.latest = self.latest.max(time_ns);
        self.is_new = true;
        if let Some(sighting) = dissect::sighting(&captured, vantage, &self.dissecting) {
            self.held.insert((time_ns, vantage, self.frames), sighting);
        }
        if self.held.len() >= HELD_MAX { self.join(HELD_MAX / 4, i64::MAX, tell) } else { Ok(()) }
    }

    /// All that had come by now was seen. Joins what came long enough ago, and ends what is over at `now_ns` by the
    /// clock of the stamps.
    pub(super) fn pause(&mut self, now: Instant, now_ns: u64, tell: &mut Tell<'_>) -> io::Result<()> {
        if std::mem::take(&mut self.is_new) {
            self.come.push_back((now, self.latest));
        }
        let mut until = None;
        while let Some((_, latest)) =
            self.come.pop_front_if(|(came, _)| now.saturating_duration_since(*came) >= self.hold)
        {
            until = Some(latest);
        }
        if let Some(until) = until {
            self.join(usize::MAX, until, tell)?;
        }
        let hold = i64::try_from(self.hold.as_nanos()).unwrap_or(i64::MAX);
        let now_ns = i64::try_from(now_ns).unwrap_or(i64::MAX).saturating_sub(hold);
        let mut over = Vec::new();
        self.correlator.pass_time(now_ns, &mut |journey, _| over.push(journey.clone()));
        self.told(0, &over, tell)
    }

    /// The journeys that began last and are not over, and the names of vantages as they number them.
    pub(super) fn open(&self, max: usize) -> (Vec<Journey>, &[String]) {
        (self.correlator.open(max), &self.numbered)
    }

    /// Ends all that is open; `settle` says of the whole what is to be believed before that is told.
    pub(super) fn finish(
        mut self,
        settle: impl FnOnce(&mut Report),
        tell: &mut Tell<'_>,
    ) -> io::Result<(Report, Vec<String>)> {
        self.join(usize::MAX, i64::MAX, tell)?;
        let mut over = Vec::new();
        let Live { correlator, merge, numbered, .. } = self;
        let mut report = correlator.finish(&merge, &mut |journey, _| over.push(journey.clone()));
        settle(&mut report);
        let lost = report.findings.lost.iter();
        let lost = lost.map(|lost| ((lost.packet.stop.vantage, lost.packet.stop.frame), lost.expected_at));
        let lost: BTreeMap<_, _> = lost.collect();
        over.iter().try_for_each(|journey| tell(journey, &numbered, expected_at(journey, &lost)))?;
        Ok((report, numbered))
    }

    /// Joins at most so many sightings up to a stamp.
    fn join(&mut self, count: usize, until: i64, tell: &mut Tell<'_>) -> io::Result<()> {
        let mut left = count;
        loop {
            let mut batch = Vec::new();
            while batch.len() < AT_ONCE.min(left)
                && let Some(first) = self.held.first_entry().filter(|first| first.key().0 <= until)
            {
                batch.push(first.remove());
            }
            if batch.is_empty() {
                return Ok(());
            }
            left -= batch.len();
            let known = self.correlator.lost().len();
            self.merge.give(0, batch);
            let mut over = Vec::new();
            self.correlator.drain(&mut self.merge, &mut |journey, _| over.push(journey.clone()));
            let names = self.merge.vantages().iter().skip(self.numbered.len());
            let names: Vec<String> = names.map(|vantage| self.name(*vantage)).collect();
            self.numbered.extend(names);
            self.told(known, &over, tell)?;
        }
    }

    fn name(&self, vantage: Vantage) -> String {
        self.names.get(usize::from(vantage.local)).cloned().unwrap_or_default()
    }

    /// Tells of journeys that are over; those lost among them were found after the first `known` ones.
    fn told(&self, known: usize, over: &[Journey], tell: &mut Tell<'_>) -> io::Result<()> {
        let lost = self.correlator.lost().iter().skip(known);
        let lost = lost.map(|lost| ((lost.packet.stop.vantage, lost.packet.stop.frame), lost.expected_at));
        let lost: BTreeMap<_, _> = lost.collect();
        over.iter().try_for_each(|journey| tell(journey, &self.numbered, expected_at(journey, &lost)))
    }
}

fn expected_at(journey: &Journey, lost: &BTreeMap<(u16, u32), u16>) -> Option<u16> {
    let last = journey.stops.last()?;
    lost.get(&(last.vantage, last.frame)).copied()
}
