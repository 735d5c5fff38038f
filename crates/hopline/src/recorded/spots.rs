//! A vantage of a capture at a device of the site, and what it takes for it to lack a packet: that it recorded at the
//! time, lost nothing, and was to keep such packets.

use std::collections::BTreeMap;

use ::correlate::{Report, VantageReport};
use checks::Rung;
use model::Snapshot;
use model::path::{Exchange, Hop};
use model::sighting::Address;
use model::snapshot::Gap;

use super::filters::{self, Like};
use super::given::Given;
use super::placed::{self, Device};
use super::seen::Recording;
use crate::commands::correlate::source::Source;
use crate::widening::ends;

/// A vantage that was placed.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) source: u16,
    pub(crate) local: u16,
    pub(crate) device: Device,
    /// What its file calls it; `None` where the file calls it nothing.
    pub(crate) name: Option<String>,
    recording: Recording,
    filter: Option<String>,
    /// The file tells when the recording began and ended, and has not the packets alone.
    is_told: bool,
    is_lossy: bool,
    /// From when until when it recorded, by the common clock.
    pub(crate) span_ns: (i64, i64),
    /// How far its own clock is ahead of the common one.
    pub(crate) ahead_ns: i64,
}

/// Places every vantage of the captures that recorded at all; what cannot be placed is a gap, with the capture's index.
pub(crate) fn place(
    snapshot: &Snapshot,
    given: &[Given],
    (report, sources): (&Report, &[Source]),
    recordings: &BTreeMap<(u16, u16), Recording>,
) -> (Vec<Spot>, Vec<(usize, Gap)>) {
    let (mut spots, mut gaps) = (Vec::new(), Vec::new());
    for ((index, source), given) in (0_u16..).zip(sources).zip(given) {
        let ahead_ns = ahead(report, index);
        let all =
            (0_u16..).zip(source.names()).map(|(local, name)| (local, name, recordings.get(&(index, local))));
        let spans = all.clone().filter_map(|(.., recording)| recording?.span_ns);
        // Each was written while the others were.
        let of_file = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let named_one =
            given.vantage.as_ref().filter(|named| !snapshot.netns.iter().any(|ns| ns.machine == **named));
        if named_one.is_some() && all.clone().count() > 1 {
            let why = "it was recorded at several devices, and one was named";
            gaps.push((usize::from(index), unplaced(given, why)));
            continue;
        }
        for (local, name, recording) in all {
            let interface = source.interface(local);
            let told = interface.and_then(|interface| interface.recorded_ns);
            let Some((first, last)) = told.or(of_file) else { continue };
            let device = match placed::device(snapshot, name, given.vantage.as_deref()) {
                Ok(device) => device,
                Err(why) => {
                    gaps.push((usize::from(index), unplaced(given, &why)));
                    continue;
                }
            };
            let dropped = interface.and_then(|interface| interface.dropped).unwrap_or_default();
            spots.push(Spot {
                source: index,
                local,
                device,
                name: interface.and_then(|interface| interface.name.clone()),
                recording: recording.cloned().unwrap_or_default(),
                filter: interface.and_then(|interface| interface.filter.clone()),
                is_told: told.is_some(),
                is_lossy: dropped > 0 || source.is_mixed,
                span_ns: (first.saturating_sub(ahead_ns), last.saturating_sub(ahead_ns)),
                ahead_ns,
            });
        }
    }
    (spots, gaps)
}

/// How far a source's clock is ahead of the reference's: the middle of what is known, and nothing where that is little.
fn ahead(report: &Report, source: u16) -> i64 {
    let of_it = |vantage: &&VantageReport| vantage.source == source;
    let offset = report.vantages.iter().filter(of_it).find_map(|vantage| vantage.offset);
    offset.map_or(0, |interval| interval.low.midpoint(interval.high))
}

fn unplaced(given: &Given, why: &str) -> Gap {
    let file = given.name();
    Gap {
        what: format!("at which device {file} was recorded"),
        why: why.to_owned(),
        would_need: format!("--capture HOST/NETNS/DEVICE={file}, or HOST={file} for all of its devices"),
    }
}

impl Spot {
    /// It is at the device of these hops.
    pub(crate) fn is_at(&self, group: &[Hop]) -> bool {
        let (machine, netns, device) = &self.device;
        group
            .first()
            .is_some_and(|hop| (&hop.at.host, &hop.at.netns, &hop.at.device) == (machine, netns, device))
    }

    /// It would have kept this question's packets and their answers, as a walk has them at a device.
    pub(crate) fn admits(&self, rung: &Rung, exchange: Exchange, group: &[Hop]) -> bool {
        if self.is_lossy {
            return false;
        }
        let pairs = group.iter().filter_map(|hop| ends(&hop.packet));
        let mut forms: Vec<_> = pairs.collect();
        forms.dedup();
        if forms.is_empty() {
            forms.push((rung.to, rung.to));
        }
        forms.into_iter().all(|(source, destination)| match &self.filter {
            Some(filter) => {
                let there = Like { exchange, source, destination };
                let back = Like { exchange, source: destination, destination: source };
                [there, back].into_iter().all(|packet| filters::takes(filter, packet) == Some(true))
            }
            // Who tells of a recording's time would tell of its filter.
            None if self.is_told => true,
            None => self.recording.has(exchange, &[Address::from(source), Address::from(destination)]),
        })
    }
}
