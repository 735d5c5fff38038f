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
