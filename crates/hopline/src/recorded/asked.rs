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

/// A packet of a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Is {
    /// Index of the question's rung.
    pub(crate) rung: usize,
    pub(crate) half: Half,
    /// What a question and its answer have in common, and another question does not.
    pub(crate) key: u32,
}

/// Questions by what tells their packets.
#[derive(Debug, Default)]
pub(crate) struct Book {
    /// By conversation, port of the one who is asked, who asks, and whom.
    by_ends: BTreeMap<(Exchange, u16, Address, Address), usize>,
    /// DHCP has no addresses yet: by the MAC of who asks.
    by_mac: BTreeMap<u64, usize>,
    transactions: BTreeMap<u32, usize>,
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

    /// What a packet is of: `None` for what nobody asks.
    pub(crate) fn find(&mut self, journey: &Journey) -> Option<Is> {
        match journey.kind {
            Kind::EchoRequest | Kind::EchoReply if journey.length <= ECHO_OCTETS_MAX => {
                self.by_stops(journey, Exchange::Icmp)
            }
            Kind::DnsQuery | Kind::DnsResponse => self.by_stops(journey, Exchange::Dns),
            Kind::Tcp => self.by_stops(journey, Exchange::Tcp),
            Kind::DhcpClient => {
                let rung = *self.by_mac.get(&journey.sender())?;
                // An answer to what is not remembered would be missed.
                if self.transactions.len() >= TRANSACTIONS_MAX
                    && !self.transactions.contains_key(&journey.detail)
                {
                    return None;
                }
                self.transactions.insert(journey.detail, rung);
                Some(Is { rung, half: Half::Question, key: journey.detail })
            }
            Kind::DhcpServer => {
                let rung = *self.transactions.get(&journey.detail)?;
                Some(Is { rung, half: Half::Answer, key: journey.detail })
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
        let key = |port: u16| if is_tcp { u32::from(port) } else { journey.detail };
        let asks = || {
            let rung = *self.by_ends.get(&(exchange, port(stop.destination_port), from, to))?;
            Some(Is { rung, half: Half::Question, key: key(stop.source_port) })
        };
        let answers = || {
            let rung = *self.by_ends.get(&(exchange, port(stop.source_port), to, from))?;
            Some(Is { rung, half: Half::Answer, key: key(stop.destination_port) })
        };
        match journey.kind {
            Kind::EchoRequest | Kind::DnsQuery => asks(),
            Kind::EchoReply | Kind::DnsResponse => answers(),
            Kind::Tcp => asks().or_else(answers),
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
        | Purpose::Inbound(_)
        | Purpose::Itself(_)
        | Purpose::Served
        | Purpose::Gateway6(_)
        | Purpose::Served6(_)
        | Purpose::Other(_) => (Exchange::Icmp, 0),
        Purpose::Resolver | Purpose::Inside(_) | Purpose::Offered(_) | Purpose::Upstream(_) => {
            (Exchange::Dns, 0)
        }
        Purpose::Ssh(_) => (Exchange::Tcp, SSH),
        Purpose::Metadata => (Exchange::Tcp, HTTP),
        Purpose::OutsideBy(Service::Tcp(port)) | Purpose::InboundBy(_, Service::Tcp(port)) => {
            (Exchange::Tcp, port)
        }
        // Which lengths are whole packets, and which questions follow an answer that was cut short, no capture tells.
        Purpose::Large(_) | Purpose::ResolverTcp | Purpose::ResolverAtHome | Purpose::Reverse(_) => {
            return None;
        }
        Purpose::OutsideBy(Service::Udp(_)) | Purpose::InboundBy(_, Service::Udp(_)) | Purpose::Step => {
            return None;
        }
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
