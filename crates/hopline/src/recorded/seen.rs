//! What the captures have of each question, and what each vantage recorded at all.

use std::collections::{BTreeMap, BTreeSet};

use ::correlate::{Journey, Vantage};
use model::path::Exchange;
use model::sighting::{Address, Kind};

use super::asked::{Book, Is};
use crate::sightings::Half;

/// Packets of questions that are kept.
const PACKETS_MAX: usize = 200_000;
/// Addresses of a vantage that are remembered.
const ADDRESSES_MAX: usize = 1024;

/// A packet of a question.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) half: Half,
    pub(crate) key: u32,
    pub(crate) sightings: Vec<At>,
}

/// A packet at a vantage.
#[derive(Debug, Clone, Copy)]
pub(crate) struct At {
    pub(crate) vantage: Vantage,
    /// Its number in the file.
    pub(crate) frame: u32,
    /// By the vantage's own clock.
    pub(crate) time_ns: i64,
    pub(crate) source: Address,
    pub(crate) destination: Address,
}

/// What a vantage recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    /// Its first and last packet's times.
    pub(crate) span_ns: Option<(i64, i64)>,
    /// Kinds of conversation that it has packets of, with `None` for all that are not told apart.
    kinds: BTreeSet<Option<Exchange>>,
    /// Who took part in them.
    ends: BTreeSet<(Exchange, Address)>,
}

impl Recording {
    /// It has recorded this kind of packet from or to one of these, or so much else that nothing was left out.
    pub(crate) fn has(&self, exchange: Exchange, ends: &[Address]) -> bool {
        /// Kinds that nobody asks for all at once.
        const MANY: usize = 3;
        self.kinds.len() >= MANY || ends.iter().any(|end| self.ends.contains(&(exchange, *end)))
    }
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// By rung.
    pub(crate) questions: BTreeMap<usize, Vec<Packet>>,
    pub(crate) recordings: BTreeMap<(u16, u16), Recording>,
    /// Packets of questions, by source.
    pub(crate) of_questions: BTreeMap<u16, u64>,
    kept: usize,
    /// There were more packets of questions than are looked at.
    pub(crate) is_cut: bool,
}

impl Seen {
    /// Takes a journey in.
    pub(crate) fn note(&mut self, book: &mut Book, journey: &Journey, vantages: &[Vantage]) {
        let mut sightings = Vec::new();
        for stop in &journey.stops {
            let Some(vantage) = vantages.get(usize::from(stop.vantage)).copied() else { continue };
            let (frame, time_ns) = (stop.frame, stop.time_ns);
            let (source, destination) = (stop.source, stop.destination);
            self.recordings.entry((vantage.source, vantage.local)).or_default().note(
                exchange(journey.kind),
                [source, destination],
                time_ns,
            );
            sightings.push(At { vantage, frame, time_ns, source, destination });
        }
        let Some(Is { rung, half, key }) = book.find(journey) else { return };
        let sources: BTreeSet<u16> = sightings.iter().map(|at| at.vantage.source).collect();
        for source in sources {
            *self.of_questions.entry(source).or_default() += 1;
        }
        if self.kept >= PACKETS_MAX {
            self.is_cut = true;
            return;
        }
        self.kept += 1;
        self.questions.entry(rung).or_default().push(Packet { half, key, sightings });
    }
}

impl Recording {
    fn note(&mut self, kind: Option<Exchange>, ends: [Address; 2], time_ns: i64) {
        let (first, last) = self.span_ns.unwrap_or((time_ns, time_ns));
        self.span_ns = Some((first.min(time_ns), last.max(time_ns)));
        self.kinds.insert(kind);
        for (kind, end) in kind.into_iter().flat_map(|kind| ends.map(|end| (kind, end))) {
            if self.ends.len() < ADDRESSES_MAX {
                self.ends.insert((kind, end));
            }
        }
    }
}

/// The conversation that a packet is of.
fn exchange(kind: Kind) -> Option<Exchange> {
    match kind {
        Kind::EchoRequest | Kind::EchoReply => Some(Exchange::Icmp),
        Kind::Tcp => Some(Exchange::Tcp),
        Kind::DnsQuery | Kind::DnsResponse => Some(Exchange::Dns),
        Kind::DhcpClient | Kind::DhcpServer => Some(Exchange::Dhcp),
        Kind::ArpRequest | Kind::ArpReply => Some(Exchange::Arp),
        Kind::Udp => Some(Exchange::Udp),
        Kind::Icmp | Kind::Fragment | Kind::Other => None,
    }
}
