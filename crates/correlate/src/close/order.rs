//! Packets that are overtaken by later ones of their flow.

use model::sighting::Address;

use super::Closing;
use crate::journey::Journey;
use crate::report::{Example, keep};

/// Flows of which the order is watched.
pub(super) const FLOWS: usize = 1 << 12;

/// The last packet of a flow that came to where the flow goes.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct FlowEnd {
    flow: u64,
    ends: (u16, u16),
    times: (i64, i64),
    is_overtaken: bool,
}

impl Closing {
    /// Overtaken: first seen before another of its flow, and last seen behind it.
    pub(super) fn learn_order(&mut self, journey: &Journey) {
        let [first, .., last] = journey.stops.as_slice() else { return };
        let ports = u64::from(first.source_port) << 16 | u64::from(first.destination_port);
        let fold = |address: Address| u64::try_from((address.0 ^ address.0 >> 64) & u128::from(u64::MAX));
        let (from, to) =
            (fold(first.source).unwrap_or_default(), fold(first.destination).unwrap_or_default());
        let flow = (from.rotate_left(21) ^ to ^ ports << 40 ^ u64::from(journey.protocol))
            .wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let index = usize::try_from(flow >> 40).unwrap_or_default() % FLOWS;
        let Some(end) = self.flows.get_mut(index) else { return };
        let (ends, times) = ((first.vantage, last.vantage), (first.time_ns, last.time_ns));
        if end.flow == flow && end.ends == ends {
            if times.0 > end.times.0 && times.1 < end.times.1 {
                if !std::mem::replace(&mut end.is_overtaken, true) {
                    self.findings.reordered += 1;
                    keep(&mut self.findings.overtakers, Example::of(journey, last));
                }
                return;
            }
            if times.0 < end.times.0 {
                return;
            }
        }
        *end = FlowEnd { flow, ends, times, is_overtaken: false };
    }
}
