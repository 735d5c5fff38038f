//! Ours among all trace events of a namespace: others may be tracing there too, and everybody who
//! listens hears everything.

use std::collections::BTreeSet;

use collect::netlink::nftables::is_trace;

use super::event::{Headers, Kind, TraceEvent, Transport};
use super::{Flow, Identity};

/// Knows our packets by what our own table tells of them, and where they come under another id (a
/// flooded frame is a copy), by their headers.
#[derive(Debug)]
pub(super) struct Sieve {
    table: String,
    flows: Vec<Flow>,
    ids: BTreeSet<u32>,
}

impl Sieve {
    pub(super) fn new(table: String, flows: Vec<Flow>) -> Sieve {
        Sieve { table, flows, ids: BTreeSet::new() }
    }

    /// Whether the event is about a packet of ours and a rule of somebody else.
    pub(super) fn keeps(&mut self, event: &TraceEvent) -> bool {
        if event.table == self.table && matches!(event.kind, Kind::Rule { .. }) {
            self.ids.insert(event.id);
        }
        if is_trace(&event.table) {
            return false;
        }
        if let Some(headers) = event.headers {
            if self.flows.iter().any(|flow| belongs(flow, &headers)) {
                self.ids.insert(event.id);
            } else if matches!(headers.transport, Transport::Echo { .. }) {
                // Ids are made of where a packet lies in memory, and given again soon (`nf_tables_trace.c`,
                // `nft_trace_init`): another's echo under an id of ours is another packet.
                self.ids.remove(&event.id);
            }
        }
        self.ids.contains(&event.id)
    }
}

/// Whether the packet can be of the flow: its addresses may have been translated meanwhile.
fn belongs(flow: &Flow, headers: &Headers) -> bool {
    let same = |wanted: Option<u16>, found| wanted.is_none_or(|wanted| wanted == found);
    match (flow.identity, headers.transport) {
        (Identity::Echo(wanted), Transport::Echo { id, .. }) => wanted == id,
        (Identity::Tcp(from, to), Transport::Ports { source, destination }) => {
            headers.protocol == 6 && same(from, source) && same(to, destination)
        }
        (Identity::Udp(from, to), Transport::Ports { source, destination }) => {
            headers.protocol == 17 && same(from, source) && same(to, destination)
        }
        (Identity::Echo(_), Transport::Ports { .. } | Transport::Other)
        | (Identity::Tcp(..) | Identity::Udp(..), Transport::Echo { .. } | Transport::Other) => false,
    }
}
