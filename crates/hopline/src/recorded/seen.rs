//! What the captures have of each question, and what each vantage recorded at all.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};

use ::correlate::{Journey, Stop, Vantage};
use model::path::Exchange;
use model::sighting::{Address, Kind};
use report::PacketAt;

use super::asked::{Book, Is};
use super::unfiltered;
use crate::sightings::Half;

/// Packets of questions that are kept.
const PACKETS_MAX: usize = 200_000;
/// Sightings of them that are kept.
const SIGHTINGS_MAX: usize = 1_000_000;
/// Addresses of a vantage that are remembered.
const ADDRESSES_MAX: usize = 1024;

/// Who takes part in all of DHCP.
const DHCP_END: Address = Address(0);

/// A packet of a question.
#[derive(Debug, Clone)]
pub(crate) struct Packet {
    pub(crate) half: Half,
    pub(crate) key: u64,
    pub(crate) what: What,
    pub(crate) sightings: Vec<At>,
}

/// What a packet is, wherever it was seen.
#[derive(Debug, Clone, Copy)]
pub(crate) struct What {
    kind: Kind,
    protocol: u8,
    detail: u32,
    length: u16,
}

impl What {
    pub(crate) fn of(journey: &Journey) -> What {
        let Journey { kind, protocol, detail, length, .. } = *journey;
        What { kind, protocol, detail, length }
    }

    /// At one of its vantages.
    pub(crate) fn at(self, at: &At) -> PacketAt {
        let What { kind, protocol, detail, length } = self;
        let ((from, to), (source, destination)) = (at.ports, (at.source, at.destination));
        PacketAt { kind, protocol, detail, length, source: (source, from), destination: (destination, to) }
    }
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
    /// The source's and the destination's.
    pub(crate) ports: (u16, u16),
    pub(crate) ttl: u8,
    pub(crate) copies: u16,
}

/// What a vantage recorded.
#[derive(Debug, Clone, Default)]
pub(crate) struct Recording {
    /// Its first and last packet's times.
    pub(crate) span_ns: Option<(i64, i64)>,
    /// Who took part in which conversations, and what of each part it has.
    ends: BTreeMap<(Exchange, Address), Part>,
    /// Ports of TCP that were asked, or that answered.
    ports: BTreeSet<u16>,
    /// Who spoke to whom, of whatever kind, the lower address first.
    pairs: BTreeSet<(Address, Address)>,
}

/// What a vantage has of an address' part in conversations: questions and answers, each from it and to it.
#[derive(Debug, Clone, Copy, Default)]
struct Part {
    questions: Ways,
    answers: Ways,
}

#[derive(Debug, Clone, Copy, Default)]
struct Ways {
    from: bool,
    to: bool,
}

impl Part {
    /// It has both halves of what this one asks, or of what this one is asked.
    fn is_whole(self) -> bool {
        self.questions.from && self.answers.to || self.questions.to && self.answers.from
    }
}

impl Recording {
    /// It has questions of this kind and their answers by one of these. What has one direction alone may have been
    /// recorded so: `tcpdump -Q in`, `dst host`, `icmp[0] = 8`.
    pub(crate) fn has(&self, exchange: Exchange, ends: &[Address]) -> bool {
        let ends = if exchange == Exchange::Dhcp { &[DHCP_END] } else { ends };
        ends.iter().any(|end| self.ends.get(&(exchange, *end)).is_some_and(|part| part.is_whole()))
    }

    /// It would have what these two say to one another, though nobody knows its filter: it has some of it; or what it
    /// has of others is not to be explained by a filter for a few hosts, or for a network, of which they are none.
    pub(crate) fn is_open_to(&self, pair: (Address, Address)) -> bool {
        self.pairs.contains(&in_order(pair)) || !unfiltered::is_explained(&self.pairs, pair)
    }

    /// It has connections to one of these ports: `tcp port 80` keeps none to another.
    pub(crate) fn has_port(&self, mut ports: impl Iterator<Item = u16>) -> bool {
        ports.any(|port| self.ports.contains(&port))
    }
}

fn in_order((a, b): (Address, Address)) -> (Address, Address) {
    (a.min(b), a.max(b))
}

/// All of it.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// By rung.
    pub(crate) questions: BTreeMap<usize, Vec<Packet>>,
    pub(crate) recordings: BTreeMap<(u16, u16), Recording>,
    /// Packets of questions, by source.
    pub(crate) of_questions: BTreeMap<u16, u64>,
    /// Packets that are kept, and sightings of them.
    kept: (usize, usize),
    /// By source, when the first packet of a question was that there was no room for, by the source's clock.
    pub(crate) cut_ns: BTreeMap<u16, i64>,
}

impl Seen {
    /// Takes a journey in.
    pub(crate) fn note(&mut self, book: &mut Book, journey: &Journey, vantages: &[Vantage]) {
        let mut sightings = Vec::new();
        for stop in &journey.stops {
            let Some(vantage) = vantages.get(usize::from(stop.vantage)).copied() else { continue };
            let (frame, time_ns) = (stop.frame, stop.time_ns);
            let (source, destination) = (stop.source, stop.destination);
            let recording = self.recordings.entry((vantage.source, vantage.local)).or_default();
            recording.note(said(journey), [source, destination], time_ns);
            recording.note_port(journey, stop);
            let (ports, ttl, copies) = ((stop.source_port, stop.destination_port), stop.ttl, stop.copies);
            sightings.push(At { vantage, frame, time_ns, source, destination, ports, ttl, copies });
        }
        let Some(Is { rung, half, key }) = book.find(journey) else { return };
        let sources: BTreeSet<u16> = sightings.iter().map(|at| at.vantage.source).collect();
        for source in sources {
            *self.of_questions.entry(source).or_default() += 1;
        }
        let (packets, seen) = self.kept;
        if packets >= PACKETS_MAX || seen + sightings.len() > SIGHTINGS_MAX {
            for at in &sightings {
                let cut = self.cut_ns.entry(at.vantage.source).or_insert(at.time_ns);
                *cut = at.time_ns.min(*cut);
            }
            return;
        }
        self.kept = (packets + 1, seen + sightings.len());
        let what = What::of(journey);
        self.questions.entry(rung).or_default().push(Packet { half, key, what, sightings });
    }
}

impl Recording {
    fn note_port(&mut self, journey: &Journey, stop: &Stop) {
        let port = match said(journey) {
            Some((Exchange::Tcp, Half::Question)) => stop.destination_port,
            Some((Exchange::Tcp, Half::Answer)) => stop.source_port,
            Some(_) | None => return,
        };
        if self.ports.len() < ADDRESSES_MAX {
            self.ports.insert(port);
        }
    }

    fn note(&mut self, said: Option<(Exchange, Half)>, ends: [Address; 2], time_ns: i64) {
        let (first, last) = self.span_ns.unwrap_or((time_ns, time_ns));
        self.span_ns = Some((first.min(time_ns), last.max(time_ns)));
        let [from, to] = ends;
        if unfiltered::is_host(from) && unfiltered::is_host(to) && self.pairs.len() < ADDRESSES_MAX {
            self.pairs.insert(in_order((from, to)));
        }
        let Some((exchange, half)) = said else { return };
        // Who asks for an address has none yet.
        let ends = if exchange == Exchange::Dhcp { [DHCP_END; 2] } else { ends };
        for (end, is_from) in ends.into_iter().zip([true, false]) {
            let is_full = self.ends.len() >= ADDRESSES_MAX;
            let part = match self.ends.entry((exchange, end)) {
                Entry::Vacant(_) if is_full => continue,
                Entry::Vacant(vacant) => vacant.insert(Part::default()),
                Entry::Occupied(known) => known.into_mut(),
            };
            let ways = match half {
                Half::Question => &mut part.questions,
                Half::Answer => &mut part.answers,
            };
            *(if is_from { &mut ways.from } else { &mut ways.to }) = true;
        }
    }
}

/// The conversation that a packet is of, and whether it asks; `None` where that is not told.
fn said(journey: &Journey) -> Option<(Exchange, Half)> {
    Some(match journey.kind {
        Kind::EchoRequest => (Exchange::Icmp, Half::Question),
        Kind::EchoReply => (Exchange::Icmp, Half::Answer),
        Kind::Tcp if journey.opens() => (Exchange::Tcp, Half::Question),
        Kind::Tcp => (Exchange::Tcp, Half::Answer),
        Kind::DnsQuery => (Exchange::Dns, Half::Question),
        Kind::DnsResponse => (Exchange::Dns, Half::Answer),
        Kind::DhcpClient => (Exchange::Dhcp, Half::Question),
        Kind::DhcpServer => (Exchange::Dhcp, Half::Answer),
        Kind::ArpRequest => (Exchange::Arp, Half::Question),
        Kind::ArpReply => (Exchange::Arp, Half::Answer),
        Kind::Udp | Kind::Icmp | Kind::Fragment | Kind::Other => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::super::octets::{A, B, dhcp, echo, read, tcp};
    use super::*;

    const C: [u8; 4] = [10, 0, 0, 1];
    const NOBODY: [u8; 4] = [0; 4];
    const ALL: [u8; 4] = [255; 4];

    /// Whether a silence of this kind between A and B counts where these packets were recorded.
    fn has(exchange: Exchange, packets: &[Vec<u8>]) -> bool {
        let mut seen = Seen::default();
        let timed: Vec<(i64, Vec<u8>)> =
            (1..).map(|at| at * 1_000_000).zip(packets.iter().cloned()).collect();
        read(&timed, &mut |journey, vantages| seen.note(&mut Book::default(), journey, vantages));
        let recording = seen.recordings.values().next().cloned().unwrap_or_default();
        recording.has(exchange, &[A, B].map(Address::v4))
    }

    #[test]
    fn what_was_recorded_in_one_direction_has_no_silence() {
        let [ask, answer] = [false, true].map(|is_reply| echo((A, B), is_reply, 1));
        let back = |ends, number| echo(ends, true, number);
        for (packets, expected, why) in [
            (vec![ask.clone()], false, "dst host 1.2.3.4, and -Q in"),
            (vec![ask.clone(), echo((A, C), false, 2), answer], false, "src host 10.0.2.24"),
            (vec![ask.clone(), echo((C, A), false, 2), echo((B, A), false, 3)], false, "icmp[0] = 8"),
            (vec![ask.clone(), back((B, A), 1)], true, "all of it"),
            (vec![ask.clone(), echo((A, C), false, 2), back((C, A), 2)], true, "another one is answered"),
            (vec![ask, echo((C, B), false, 2), back((B, C), 2)], true, "B answers others"),
        ] {
            assert_eq!(has(Exchange::Icmp, &packets), expected, "{why}");
        }
    }

    #[test]
    fn other_kinds_tell_nothing_of_this_one() {
        let connection = [tcp((A, B), (5000, 22), (100, 0), 2), tcp((B, A), (22, 5000), (7, 101), 18)];
        assert!(has(Exchange::Tcp, &connection) && !has(Exchange::Tcp, &connection[..1]));
        let opened_by_both = [connection[0].clone(), tcp((B, A), (6000, 80), (5, 0), 2)];
        assert!(!has(Exchange::Tcp, &opened_by_both), "tcp[13] = 2");
        assert!(!has(Exchange::Icmp, &[&connection[..], &[echo((A, B), false, 1)]].concat()));
        let lease = [dhcp((NOBODY, ALL), 1), dhcp((C, ALL), 2)];
        assert!(has(Exchange::Dhcp, &lease) && !has(Exchange::Dhcp, &lease[..1]));
    }

    #[test]
    fn a_conversation_with_another_tells_of_no_other_filter_than_for_that_one() {
        let recording = |packets: &[Vec<u8>]| {
            let mut seen = Seen::default();
            let timed: Vec<(i64, Vec<u8>)> =
                (1..).map(|at| at * 1_000_000).zip(packets.iter().cloned()).collect();
            read(&timed, &mut |journey, vantages| seen.note(&mut Book::default(), journey, vantages));
            seen.recordings.values().next().cloned().unwrap_or_default()
        };
        let [a, b] = [A, B].map(Address::v4);
        let of_c = [echo((A, C), false, 1), echo((C, A), true, 1)];
        let host_c = recording(&of_c);
        assert!(host_c.has(Exchange::Icmp, &[a, b]) && !host_c.is_open_to((a, b)), "host 10.0.0.1");
        let some = recording(&[&of_c[..], &[echo((A, B), false, 2)]].concat());
        assert!(some.is_open_to((a, b)) && some.is_open_to((b, a)), "it has what A asks B");
        let port_80 = recording(&[tcp((A, B), (5000, 80), (1, 0), 2), tcp((B, A), (80, 5000), (7, 2), 18)]);
        assert!(port_80.has_port([22, 80].into_iter()) && !port_80.has_port([22].into_iter()));
    }

    #[test]
    fn what_is_kept_of_many_questions_is_bounded_and_the_cut_is_known() {
        let packets: Vec<(i64, Vec<u8>)> = (0..=PACKETS_MAX)
            .map(|at| {
                (1_000_000 * i64::try_from(at).unwrap(), echo((A, B), false, u32::try_from(at).unwrap()))
            })
            .collect();
        let mut seen = Seen::default();
        let mut book = Book::pings(A, B);
        read(&packets, &mut |journey, vantages| seen.note(&mut book, journey, vantages));
        assert_eq!(seen.questions.values().map(Vec::len).sum::<usize>(), PACKETS_MAX);
        assert_eq!(seen.cut_ns, BTreeMap::from([(0, 1_000_000 * i64::try_from(PACKETS_MAX).unwrap())]));
    }
}
