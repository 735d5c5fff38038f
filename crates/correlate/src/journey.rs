//! A packet, and where it was seen.

use model::sighting::{Address, Kind, Sighting};

/// The end of a chain of stops.
pub(crate) const NIL: u32 = u32::MAX;

/// A packet and where it was seen, in the order of its way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journey {
    /// What the packet is.
    pub kind: Kind,
    /// IP protocol number.
    pub protocol: u8,
    /// See [`Sighting::detail`].
    pub detail: u32,
    /// Octets of the IP packet.
    pub length: u16,
    /// Where it was seen.
    pub stops: Vec<Stop>,
    pub(crate) ask: u64,
    pub(crate) answer: u64,
    pub(crate) sender: u64,
    /// By the common clock, when it was first seen.
    pub(crate) opened: i64,
}

/// A packet at a vantage, once or in copies that nothing tells apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stop {
    /// Source address here.
    pub source: Address,
    /// Destination address here.
    pub destination: Address,
    /// By the vantage's own clock.
    pub time_ns: i64,
    /// 1-based position in the source, of the first copy.
    pub frame: u32,
    pub(crate) next: u32,
    /// From the first copy to the last.
    pub(crate) last_ns: u32,
    /// Source port here.
    pub source_port: u16,
    /// Destination port here.
    pub destination_port: u16,
    /// Vantage, as [`crate::Merge::vantages`] numbers them.
    pub vantage: u16,
    pub(crate) ip_id: u16,
    /// How many were seen.
    pub copies: u16,
    /// Time to live here; 0 where unknown.
    pub ttl: u8,
    /// Type of service here.
    pub tos: u8,
}

impl Journey {
    /// Link-layer source where it was first seen, as a number of 48 bits; 0 where unknown.
    pub fn sender(&self) -> u64 {
        self.sender
    }

    /// What its answer has as [`Journey::answers`]: 0 where nothing answers it.
    pub fn asks(&self) -> u64 {
        self.ask
    }

    /// What the packet that it answers has as [`Journey::asks`]: 0 where it is no answer.
    pub fn answers(&self) -> u64 {
        self.answer
    }

    /// It asks for a connection: every packet of TCP but SYN, and but a RST, which asks nothing, acknowledges one.
    pub fn opens(&self) -> bool {
        self.kind == Kind::Tcp && self.ask != 0 && self.answer == 0
    }

    /// Of nothing yet.
    pub(crate) fn blank() -> Journey {
        Journey {
            kind: Kind::Other,
            protocol: 0,
            detail: 0,
            length: 0,
            stops: Vec::new(),
            ask: 0,
            answer: 0,
            sender: 0,
            opened: 0,
        }
    }

    /// Its sender says the same more than once within moments, so that a copy tells of no fault of the network:
    /// reports of membership in groups (RFC 3376, 5.1; RFC 3810, 6.1) and announcements of an address, which who
    /// takes it over sends in bursts (RFC 5944, 4.6; RFC 4861, 7.2.6).
    pub fn is_said_again(&self) -> bool {
        const IGMP: u8 = 2;
        const ICMPV6: u8 = 58;
        let Some(first) = self.stops.first() else { return false };
        match self.kind {
            Kind::Icmp if self.protocol == ICMPV6 => match self.detail >> 8 {
                // Queries and reports of MLD, versions 1 and 2.
                130..=132 | 143 => true,
                // A neighbour advertisement that nobody has asked for.
                136 => is_for_many(first.destination),
                _ => false,
            },
            Kind::ArpRequest | Kind::ArpReply => first.source == first.destination,
            Kind::Other => self.protocol == IGMP,
            Kind::EchoRequest | Kind::EchoReply | Kind::Icmp | Kind::Tcp | Kind::Udp => false,
            Kind::DnsQuery | Kind::DnsResponse | Kind::DhcpClient | Kind::DhcpServer | Kind::Fragment => {
                false
            }
        }
    }
}

impl Journey {
    /// The same octets once more where a packet was seen first may be two packets: nothing in them has to differ from
    /// one datagram or acknowledgement to the next, but the IP id. Who sends no fragments need not fill that in
    /// (RFC 6864, 4.1), IPv6 has none. Questions and their answers have numbers of their own.
    pub fn may_be_sent_again(&self, stop: &Stop) -> bool {
        may_be_sent_again(self.kind, stop.ip_id)
    }
}

pub(crate) fn may_be_sent_again(kind: Kind, ip_id: u16) -> bool {
    match kind {
        Kind::Udp | Kind::Tcp | Kind::Icmp | Kind::Other => ip_id == 0,
        Kind::EchoRequest | Kind::EchoReply | Kind::DnsQuery | Kind::DnsResponse => false,
        Kind::DhcpClient | Kind::DhcpServer | Kind::ArpRequest | Kind::ArpReply => false,
        Kind::Fragment => false,
    }
}

/// Multicast and broadcast end in many places.
pub(crate) fn is_for_many(destination: Address) -> bool {
    match destination.to_ip() {
        std::net::IpAddr::V4(ip) => ip.is_multicast() || ip.is_broadcast(),
        std::net::IpAddr::V6(ip) => ip.is_multicast(),
    }
}

impl Stop {
    pub(crate) fn of(seen: &Sighting) -> Stop {
        Stop {
            source: seen.source,
            destination: seen.destination,
            time_ns: seen.time_ns,
            frame: seen.frame,
            next: NIL,
            last_ns: 0,
            source_port: seen.source_port,
            destination_port: seen.destination_port,
            vantage: seen.vantage,
            ip_id: seen.ip_id,
            copies: 1,
            ttl: seen.ttl,
            tos: seen.tos,
        }
    }

    pub(crate) fn ends(&self) -> (Address, Address) {
        (self.source, self.destination)
    }
}
