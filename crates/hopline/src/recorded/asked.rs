//! Which of the ladder's questions a packet in a capture is of: by whom it is and for whom, wherever it was seen.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use ::correlate::{Journey, Stop};
use checks::{Purpose, Rung, Service};
use model::intent::Instance;
use model::path::Exchange;
use model::sighting::{Address, Kind};

use crate::gather::Facts;
use crate::sightings::Half;

/// Longer pings are another question: whether packets of their length pass.
const ECHO_OCTETS_MAX: u16 = 576;
/// Transactions of DHCP that are remembered.
const TRANSACTIONS_MAX: usize = 4096;
/// Connections of TCP that are remembered.
const CONNECTIONS_MAX: usize = 65_536;

/// A packet of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Is {
    /// Index of the question's rung.
    pub(crate) rung: usize,
    pub(crate) half: Half,
    /// What a question and its answer have in common, and another question does not.
    pub(crate) key: u64,
}

/// Questions by what tells their packets.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By conversation, port of the one who is asked, who asks, and whom.
    by_ends: BTreeMap<(Exchange, u16, Address, Address), usize>,
    /// DHCP has no addresses yet: by the MAC of who asks.
    by_mac: BTreeMap<u64, usize>,
    transactions: BTreeMap<u32, usize>,
    /// What answers the SYNs that were seen.
    connections: BTreeSet<u64>,
}

impl Book {
    /// Of these questions; what several ask is the first one's.
    pub(crate) fn of(facts: &Facts, rungs: &[Rung]) -> Book {
        let mut book = Book::default();
        for (at, rung) in rungs.iter().enumerate() {
            let Some((exchange, port)) = conversation(rung) else { continue };
            if exchange == Exchange::Dhcp {
                let macs =
                    instance(facts, rung).into_iter().flat_map(|own| &own.vifs).filter_map(|vif| vif.mac);
                for mac in macs {
                    let number = mac.0.iter().fold(0, |number, octet| number << 8 | u64::from(*octet));
                    book.by_mac.entry(number).or_insert(at);
                }
                continue;
            }
            for from in askers(facts, rung) {
                for to in also(facts, rung.to) {
                    book.by_ends.entry((exchange, port, from, to)).or_insert(at);
                }
            }
        }
        book
    }

    /// Of pings alone, from one to another.
    #[cfg(test)]
    pub(super) fn pings(from: [u8; 4], to: [u8; 4]) -> Book {
        let ends = (Exchange::Icmp, 0, Address::v4(from), Address::v4(to));
        Book { by_ends: BTreeMap::from([(ends, 0)]), ..Book::default() }
    }

    /// What a packet is of: `None` for what nobody asks.
    pub(crate) fn find(&mut self, journey: &Journey) -> Option<Is> {
        match journey.kind {
            Kind::EchoRequest | Kind::EchoReply if journey.length <= ECHO_OCTETS_MAX => {
                self.by_stops(journey, Exchange::Icmp)
            }
            Kind::DnsQuery | Kind::DnsResponse => self.by_stops(journey, Exchange::Dns),
            // The rest of a connection is no question, and answers none: its beginning may not have been recorded.
            Kind::Tcp if journey.opens() => {
                let is = self.by_stops(journey, Exchange::Tcp)?;
                // An answer to what is not remembered would be missed.
                let is_full = self.connections.len() >= CONNECTIONS_MAX;
                if is_full && !self.connections.contains(&journey.asks()) {
                    return None;
                }
                self.connections.insert(journey.asks());
                Some(is)
            }
            Kind::Tcp if self.connections.contains(&journey.answers()) => {
                self.by_stops(journey, Exchange::Tcp)
            }
            Kind::Tcp => None,
            // RELEASE and the like: nobody answers them.
            Kind::DhcpClient if journey.asks() == 0 => None,
            Kind::DhcpClient => {
                let rung = *self.by_mac.get(&journey.sender())?;
                // An answer to what is not remembered would be missed.
                if self.transactions.len() >= TRANSACTIONS_MAX
                    && !self.transactions.contains_key(&journey.detail)
                {
                    return None;
                }
                self.transactions.insert(journey.detail, rung);
                Some(Is { rung, half: Half::Question, key: journey.detail.into() })
            }
            Kind::DhcpServer => {
                let rung = *self.transactions.get(&journey.detail)?;
                Some(Is { rung, half: Half::Answer, key: journey.detail.into() })
            }
            Kind::EchoRequest | Kind::EchoReply => None,
            Kind::Icmp | Kind::Udp | Kind::ArpRequest | Kind::ArpReply | Kind::Fragment | Kind::Other => None,
        }
    }

    fn by_stops(&self, journey: &Journey, exchange: Exchange) -> Option<Is> {
        journey.stops.iter().find_map(|stop| self.by_stop(journey, exchange, stop))
    }

    fn by_stop(&self, journey: &Journey, exchange: Exchange, stop: &Stop) -> Option<Is> {
        let is_tcp = exchange == Exchange::Tcp;
        let port = |port: u16| if is_tcp { port } else { 0 };
        let (from, to) = (stop.source, stop.destination);
        // A SYN that is sent again is the same question; a port may be another connection's later.
        let linked = if journey.opens() { journey.asks() } else { journey.answers() };
        let key = if is_tcp { linked } else { u64::from(journey.detail) };
        let asks = || {
            let rung = *self.by_ends.get(&(exchange, port(stop.destination_port), from, to))?;
            Some(Is { rung, half: Half::Question, key })
        };
        let answers = || {
            let rung = *self.by_ends.get(&(exchange, port(stop.source_port), to, from))?;
            Some(Is { rung, half: Half::Answer, key })
        };
        match journey.kind {
            Kind::EchoRequest | Kind::DnsQuery => asks(),
            Kind::EchoReply | Kind::DnsResponse => answers(),
            Kind::Tcp if journey.opens() => asks(),
            Kind::Tcp => answers(),
            Kind::Icmp | Kind::Udp | Kind::DhcpClient | Kind::DhcpServer => None,
            Kind::ArpRequest | Kind::ArpReply | Kind::Fragment | Kind::Other => None,
        }
    }
}

/// The conversation that asks a rung's question, and of TCP the port: `None` for what no packet in a capture is known
/// to ask.
pub(crate) fn conversation(rung: &Rung) -> Option<(Exchange, u16)> {
    const SSH: u16 = 22;
    const HTTP: u16 = 80;
    Some(match rung.purpose {
        Purpose::Dhcp => (Exchange::Dhcp, 0),
        Purpose::Gateway
        | Purpose::Outside
        | Purpose::Router(_)
        | Purpose::Inbound(_)
        | Purpose::Itself(_)
        | Purpose::Served
        | Purpose::Gateway6(_)
        | Purpose::Served6(_)
        | Purpose::Other(_)
        | Purpose::Other6(_)
        | Purpose::Outside6(_) => (Exchange::Icmp, 0),
        Purpose::Resolver | Purpose::Inside(_) | Purpose::Offered(_) | Purpose::Upstream(_) => {
            (Exchange::Dns, 0)
        }
        Purpose::Ssh(_) | Purpose::ServedSsh => (Exchange::Tcp, SSH),
        Purpose::Metadata => (Exchange::Tcp, HTTP),
        Purpose::OutsideBy(Service::Tcp(port)) | Purpose::InboundBy(_, Service::Tcp(port)) => {
            (Exchange::Tcp, port)
        }
        // Which lengths are whole packets, and which questions follow another's answer, no capture tells.
        Purpose::Large(_)
        | Purpose::ResolverTcp(_)
        | Purpose::ResolverAtHome
        | Purpose::MetadataAtHome(_)
        | Purpose::Reverse(_)
        | Purpose::UpstreamBy(..) => return None,
        Purpose::OutsideBy(Service::Udp(_)) | Purpose::InboundBy(_, Service::Udp(_)) => return None,
        Purpose::Step | Purpose::StepBy(_) => return None,
    })
}

fn instance<'f>(facts: &'f Facts, rung: &Rung) -> Option<&'f Instance> {
    facts.intent.instances.get(rung.instance).filter(|own| own.name == rung.from)
}

/// The addresses of who asks, on either side of NAT.
pub(crate) fn askers(facts: &Facts, rung: &Rung) -> BTreeSet<Address> {
    if let Some(own) = instance(facts, rung) {
        let both = own.fixed().chain(own.floating().map(|floating| floating.address));
        let inside = facts.snapshot.netns.iter().filter(|ns| ns.instance && ns.machine == own.name);
        let v6 =
            inside.flat_map(|ns| &ns.addresses).map(|address| address.net.addr()).filter(IpAddr::is_ipv6);
        return both.map(IpAddr::V4).chain(v6).map(Address::from).collect();
    }
    let main = facts.snapshot.netns.iter().filter(|ns| ns.machine == rung.from && ns.name.is_empty());
    let own = main.flat_map(|ns| &ns.addresses).map(|address| address.net.addr());
    own.filter(|ip| !ip.is_loopback()).map(Address::from).collect()
}

/// An address, and what it is translated to or from.
fn also(facts: &Facts, to: IpAddr) -> BTreeSet<Address> {
    let floating = facts.intent.instances.iter().flat_map(Instance::floating);
    let inside = floating.filter(|floating| IpAddr::V4(floating.address) == to).map(|f| IpAddr::V4(f.fixed));
    std::iter::once(to).chain(inside).map(Address::from).collect()
}

#[cfg(test)]
mod tests {
    use super::super::octets::{A, B, dhcp, echo, read, tcp};
    use super::*;

    /// What these packets are, of A's questions to B: a ping, port 22, and an address.
    fn halves(packets: Vec<Vec<u8>>) -> Vec<Option<Half>> {
        let (a, b) = (Address::v4(A), Address::v4(B));
        let mut book = Book::default();
        book.by_ends.insert((Exchange::Icmp, 0, a, b), 0);
        book.by_ends.insert((Exchange::Tcp, 22, a, b), 1);
        book.by_mac.insert(0, 2);
        let timed: Vec<(i64, Vec<u8>)> = (1..).map(|at| at * 1_000_000).zip(packets).collect();
        let mut found = Vec::new();
        read(&timed, &mut |journey, _| found.push(book.find(journey).map(|is| is.half)));
        found
    }

    #[test]
    fn a_ping_and_its_answer() {
        let packets = vec![echo((A, B), false, 1), echo((B, A), true, 1), echo((B, A), false, 2)];
        assert_eq!(halves(packets), [Some(Half::Question), Some(Half::Answer), None]);
    }

    #[test]
    fn only_a_connection_that_begins_is_a_question() {
        const ACK: u8 = 16;
        const RST: u8 = 4;
        const SYN: u8 = 2;
        const FIN: u8 = 1;
        let there = |numbers, flags| tcp((A, B), (5000, 22), numbers, flags);
        let back = |numbers, flags| tcp((B, A), (22, 5000), numbers, flags);
        // The end of one whose beginning was not recorded.
        let ends = vec![back((8, 9), FIN | ACK), there((9, 9), ACK), there((9, 0), RST), back((9, 0), RST)];
        assert_eq!(halves(ends), [None; 4]);
        // One that is accepted, and one from the same port that is refused.
        let accepted = [there((100, 0), SYN), back((7, 101), SYN | ACK)];
        let goes_on = [there((101, 8), ACK), back((8, 150), ACK)];
        let refused = [there((900, 0), SYN), back((0, 901), RST | ACK)];
        let (question, answer) = (Some(Half::Question), Some(Half::Answer));
        assert_eq!(
            halves([accepted, goes_on, refused].concat()),
            [question, answer, None, None, question, answer]
        );
    }

    #[test]
    fn a_lease_that_is_given_back_is_no_question() {
        let sent = |message| dhcp((A, B), message);
        let (question, answer) = (Some(Half::Question), Some(Half::Answer));
        assert_eq!(halves(vec![sent(7)]), [None], "RELEASE");
        assert_eq!(halves(vec![sent(4), sent(8)]), [None; 2], "DECLINE and INFORM");
        let lease = vec![sent(1), dhcp((B, A), 2), sent(3), dhcp((B, A), 5), sent(7)];
        assert_eq!(halves(lease), [question, answer, question, answer, None]);
    }
}
