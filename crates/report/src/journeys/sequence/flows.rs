//! Journeys by who sends what to whom, and where they end: the sum of all that is not drawn one by one.

use std::collections::BTreeMap;

use correlate::Journey;
use model::sighting::Address;

use super::super::packet::kind_name;

const TCP: u8 = 6;
const UDP: u8 = 17;

/// Flows told apart; the journeys of more are counted together.
const FLOWS_MAX: usize = 1_000;

/// Who sends what to whom, as it was where it was seen first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Flow {
    source: Address,
    destination: Address,
    kind: &'static str,
    /// The port of the service, which is the lower one, and whether it is the sender's; none where there are no ports.
    service: Option<(u16, bool)>,
}

impl Flow {
    fn of(journey: &Journey) -> Option<Flow> {
        let first = journey.stops.first()?;
        let (from, to) = (first.source_port, first.destination_port);
        let has_ports = (journey.protocol == TCP || journey.protocol == UDP) && (from, to) != (0, 0);
        Some(Flow {
            source: first.source,
            destination: first.destination,
            kind: kind_name(journey.kind),
            service: has_ports.then_some(if from < to { (from, true) } else { (to, false) }),
        })
    }

    /// `10.0.2.24 > 1.2.3.4 port 80: TCP`.
    pub(super) fn text(&self) -> String {
        let Flow { source, destination, kind, service } = self;
        match service {
            Some((port, true)) => format!("{source} port {port} > {destination}: {kind}"),
            Some((port, false)) => format!("{source} > {destination} port {port}: {kind}"),
            None => format!("{source} > {destination}: {kind}"),
        }
    }
}

/// Journeys of a flow.
#[derive(Debug, Default)]
pub(super) struct Count {
    pub(super) journeys: u64,
    /// By the vantage where they were seen last.
    pub(super) ends: BTreeMap<u16, u64>,
}

/// All flows of a capture.
#[derive(Debug, Default)]
pub(super) struct Flows {
    known: BTreeMap<Flow, Count>,
    /// Journeys of flows beyond.
    pub(super) others: u64,
}

impl Flows {
    pub(super) fn count(&mut self, journey: &Journey, last: u16) {
        let Some(flow) = Flow::of(journey) else { return };
        if self.known.len() >= FLOWS_MAX && !self.known.contains_key(&flow) {
            self.others += 1;
            return;
        }
        let count = self.known.entry(flow).or_default();
        count.journeys += 1;
        *count.ends.entry(last).or_default() += 1;
    }

    /// The largest first; of equals, by address.
    pub(super) fn largest(&self) -> Vec<(&Flow, &Count)> {
        let mut flows: Vec<_> = self.known.iter().collect();
        flows.sort_by_key(|(_, count)| std::cmp::Reverse(count.journeys));
        flows
    }
}
