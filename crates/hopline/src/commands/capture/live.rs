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

use crate::commands::correlate::teach;
use crate::sightings;
use crate::vantages::Onward;

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
    /// Sightings joined. A bridge shows a packet with the stamp that its port has given it; of these the vantage
    /// that was named first comes first, whichever ring was faster.
    joined: u32,
    dissecting: dissect::Options,
    merge: Merge,
    correlator: Correlator,
    /// Names of vantages as the journeys number them.
    numbered: Vec<String>,
}

impl Live {
    /// Of vantages with these names and `LINKTYPE_` numbers, of whose order so much is known.
    pub(super) fn new(names: Vec<String>, link_types: Vec<u16>, room: Room, onward: &[Onward]) -> Live {
        let window_ns = i64::try_from(WINDOW.as_nanos()).unwrap_or(i64::MAX);
        let options = Options { window_ns, open_max: OPEN_MAX, at_once: true, ..Options::default() };
        let mut merge = Merge::new(1);
        let mut correlator = Correlator::new(options, vec![false]);
        teach(&mut correlator, &mut merge, onward);
        Live {
            names,
            link_types,
            held: BTreeMap::new(),
            come: VecDeque::new(),
            hold: Duration::from_millis(u64::from(2 * room.delay_ms + room.settle_ms)),
            latest: i64::MIN,
            is_new: false,
            frames: 0,
            joined: 0,
            dissecting: dissect::Options::for_snap_length(Some(room.snap)),
            merge,
            correlator,
            numbered: Vec::new(),
        }
    }

    /// One packet at a vantage; what is neither IP nor ARP has no journey.
    pub(super) fn see(&mut self, vantage: usize, frame: &Frame<'_>, tell: &mut Tell<'_>) -> io::Result<()> {
        self.frames = self.frames.saturating_add(1);
        let Some(link_type) = self.link_types.get(vantage) else { return Ok(()) };
        let time_ns = i64::try_from(frame.time_ns).unwrap_or(i64::MAX);
        let vantage = u16::try_from(vantage).unwrap_or(u16::MAX);
        self.latest = self.latest.max(time_ns);
        self.is_new = true;
        if let Some(sighting) = sightings::of(frame, *link_type, vantage, self.frames, &self.dissecting) {
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
        self.number();
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
                self.joined = self.joined.saturating_add(1);
                batch.push(Sighting { frame: self.joined, ..first.remove() });
            }
            if batch.is_empty() {
                return Ok(());
            }
            left -= batch.len();
            let known = self.correlator.lost().len();
            self.merge.give(0, batch);
            let mut over = Vec::new();
            self.correlator.drain(&mut self.merge, &mut |journey, _| over.push(journey.clone()));
            self.number();
            self.told(known, &over, tell)?;
        }
    }

    /// Names the vantages that have turned up since.
    fn number(&mut self) {
        let name = |vantage: &Vantage| self.names.get(usize::from(vantage.local)).cloned();
        let new = self.merge.vantages().iter().skip(self.numbered.len());
        self.numbered.extend(new.map(|vantage| name(vantage).unwrap_or_default()));
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

#[cfg(test)]
mod tests {
    use sys::packet_ring::Way;

    use super::*;

    const ROOM: Room = Room { snap: 256, ring_bytes: 0, delay_ms: 50, settle_ms: 50, pause_ms: 250 };
    /// 2026-11-25 20:00:00 UTC.
    const BEGIN_NS: u64 = 1_795_636_800_000_000_000;
    const SECOND_NS: u64 = 1_000_000_000;

    fn live() -> Live {
        Live::new(vec!["a".to_owned(), "b".to_owned()], vec![101, 101], ROOM, &[])
    }

    /// An echo request of this sequence, seen so long after the beginning.
    fn see(live: &mut Live, vantage: usize, sequence: u32, after_ns: u64, tell: &mut Tell<'_>) {
        let mut bytes = [0; 28];
        bytes[..10].copy_from_slice(&[0x45, 0, 0, 28, 0, 0, 0x40, 0, 64, 1]);
        bytes[12..20].copy_from_slice(&[10, 0, 0, 1, 10, 0, 0, 2]);
        bytes[20] = 8;
        bytes[24..28].copy_from_slice(&sequence.to_be_bytes());
        let time_ns = BEGIN_NS + after_ns;
        let frame = Frame { time_ns, bytes: &bytes, length: 28, way: Way::In, tag: None };
        live.see(vantage, &frame, tell).unwrap();
    }

    #[test]
    fn what_a_slow_ring_brings_late_is_joined_in_order() {
        let (mut live, mut told) = (live(), Vec::new());
        let mut tell = |journey: &Journey, names: &[String], expected_at: Option<u16>| {
            let stops = journey.stops.iter().map(|stop| names[usize::from(stop.vantage)].clone());
            told.push((stops.collect::<Vec<_>>(), expected_at));
            Ok(())
        };
        let start = Instant::now();
        let after = |ms: u64| start + Duration::from_millis(ms);
        let pause = |live: &mut Live, ms: u64, tell: &mut Tell<'_>| {
            live.pause(after(ms), BEGIN_NS + ms * 1_000_000, tell).unwrap();
        };
        // The second ring's packet first, and the first ring's a pause later.
        see(&mut live, 1, 1, 2_000, &mut tell);
        pause(&mut live, 10, &mut tell);
        see(&mut live, 0, 1, 1_000, &mut tell);
        pause(&mut live, 20, &mut tell);
        assert_eq!(live.open(9).0.len(), 0, "something earlier may still come");
        pause(&mut live, 170, &mut tell);
        let (open, names) = live.open(9);
        assert_eq!(names, ["a", "b"], "numbered as the way goes");
        assert_eq!(open[0].stops.iter().map(|stop| stop.vantage).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(open.len(), 1);
        pause(&mut live, 2_100, &mut tell);
        assert_eq!(live.open(9).0.len(), 1, "its window is not over");
        pause(&mut live, 2_200, &mut tell);
        assert_eq!(live.open(9).0.len(), 0, "no packet had to come for that");
        let (report, names) = live.finish(|_| (), &mut tell).unwrap();
        assert_eq!((report.journeys, names.len()), (1, 2));
        assert_eq!(told, [(vec!["a".to_owned(), "b".to_owned()], None)]);
    }

    #[test]
    fn a_loss_is_told_with_its_journey() {
        for lost_at in [20, 59] {
            let (mut live, mut told) = (live(), Vec::new());
            let mut tell = |journey: &Journey, _: &[String], expected_at: Option<u16>| {
                told.push((journey.detail, journey.stops.len(), expected_at));
                Ok(())
            };
            let start = Instant::now();
            for sequence in 0..60 {
                let after_ns = u64::from(sequence) * SECOND_NS / 10;
                see(&mut live, 0, sequence, after_ns, &mut tell);
                if sequence != lost_at {
                    see(&mut live, 1, sequence, after_ns + 1_000, &mut tell);
                }
                live.pause(start + Duration::from_nanos(after_ns), BEGIN_NS + after_ns, &mut tell).unwrap();
            }
            let (report, _) = live.finish(|_| (), &mut tell).unwrap();
            assert_eq!(report.findings.lost_count, 1);
            told.sort_unstable();
            let (kept, lost): (Vec<_>, Vec<_>) = told.iter().partition(|(_, stops, _)| *stops == 2);
            assert_eq!((kept.len(), lost), (59, vec![&(lost_at, 1, Some(1))]));
        }
    }

    #[test]
    fn a_flood_is_not_kept() {
        let mut live = live();
        for sequence in 0..3 * u32::try_from(HELD_MAX).unwrap() {
            see(&mut live, 0, sequence, u64::from(sequence) * 10, &mut |_, _, _| Ok(()));
            assert!(live.held.len() < HELD_MAX);
        }
        let (report, _) = live.finish(|_| (), &mut |_, _, _| Ok(())).unwrap();
        assert_eq!(report.vantages[0].packets, 3 * u64::try_from(HELD_MAX).unwrap());
        assert!(report.window_shortened_ns.is_some(), "which is said");
    }
}
