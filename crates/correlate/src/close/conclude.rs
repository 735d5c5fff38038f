//! What all journeys together tell, when the last is over.

use std::cmp::Reverse;
use std::collections::BTreeMap;

use super::{Closing, Watch};
use crate::clock::Clocks;
use crate::report::{EXAMPLES_MAX, Report, VantageReport};
use crate::{VANTAGES_MAX, Vantage};

impl Closing {
    /// `unplaced` sightings were passed over.
    pub(crate) fn report(mut self, unplaced: u64) -> Report {
        self.look_at_clocks();
        self.judge();
        self.tell_all_unanswered();
        self.nat.retain(|_, seen| *seen > 0);
        let mut findings = self.findings;
        findings.undecided += unplaced;
        findings.duplicates += self.uncounted_copies;
        findings.repeats += self.uncounted_repeats;
        findings.lost.sort_by_key(|lost| (lost.opened, lost.packet.stop.vantage, lost.packet.stop.frame));
        let reference = reference(&self.clocks, &self.vantages, &self.watches, self.is_mixed.len());
        let (offsets, drifts) = self.clocks.offsets(reference);
        let mut vantages = Vec::new();
        for (vantage, watch) in self.vantages.iter().zip(&self.watches) {
            // Where most packets have a copy, it is the device below the bridge that shows them again.
            let is_bridge = watch.doubled > 0 && watch.doubled * 2 >= watch.stops;
            if !is_bridge {
                findings.duplicates += watch.copies;
                findings.duplicate = findings.duplicate.or(watch.copied);
                findings.repeats += watch.repeats;
                findings.repeated = findings.repeated.or(watch.repeated);
            }
            vantages.push(VantageReport {
                source: vantage.source,
                local: vantage.local,
                packets: watch.packets,
                doubled: if is_bridge { watch.doubled } else { 0 },
                offset: offsets.get(usize::from(vantage.source)).copied().flatten(),
                missed: watch.missed,
            });
        }
        let mut stretches = BTreeMap::new();
        let mut delays = Vec::new();
        for (index, stretch) in self.stretches.into_iter().enumerate() {
            let ends = (u16::try_from(index / VANTAGES_MAX), u16::try_from(index % VANTAGES_MAX));
            if let (Some(stretch), (Ok(from), Ok(to))) = (stretch, ends) {
                let delayed = stretch.delayed();
                findings.delayed += delayed;
                let listed = usize::try_from(delayed).unwrap_or(usize::MAX);
                delays.extend(stretch.slowest.0.iter().take(listed));
                stretches.insert((from, to), *stretch);
            }
        }
        delays.sort_by_key(|(took, _)| Reverse(*took));
        findings.delays = delays.into_iter().take(EXAMPLES_MAX).map(|(_, packet)| packet).collect();
        Report {
            vantages,
            reference,
            drifts,
            journeys: self.journeys,
            findings,
            stretches,
            nat: self.nat.into_iter().collect(),
            window_shortened_ns: self.window_shortened_ns,
        }
    }
}

/// The clock to compare with: the one with which most others agree; of equals one that saw much, the first.
fn reference(clocks: &Clocks, vantages: &[Vantage], watches: &[Watch], sources: usize) -> usize {
    let mut packets = vec![0_u64; sources];
    for (vantage, watch) in vantages.iter().zip(watches) {
        if let Some(packets) = packets.get_mut(usize::from(vantage.source)) {
            *packets += watch.packets;
        }
    }
    let most = packets.iter().max().copied().unwrap_or_default();
    let is_large = |source: &usize| {
        packets.get(*source).is_some_and(|packets| packets.saturating_mul(10) >= most.saturating_mul(9))
    };
    let agreeing = |source: &usize| (clocks.agreeing(*source), is_large(source), Reverse(*source));
    (0..sources).max_by_key(agreeing).unwrap_or_default()
}
