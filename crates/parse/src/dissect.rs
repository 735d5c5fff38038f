//! A captured packet into a sighting: link layer, tags and tunnels off, IP and what is in it read.
//!
//! Read are Ethernet, Linux cooked (SLL, SLL2), raw IP and loopback; 802.1Q, QinQ, PPPoE and MPLS under IP;
//! and what VXLAN, Geneve, GRE and IP in IP carry. Whatever a snap length cut off is read as far as it
//! goes. No input panics: every look is bounded by the slice it looks into.

mod identity;
mod ip;
mod link;
mod transport;

use model::sighting::{Address, Kind, Sighting};

use crate::capture::Frame;

pub use identity::Hash;
pub use link::cooked_interface;

/// Tags and tunnels one inside the other that are followed; more are a bomb.
const DEPTH_MAX: u8 = 8;

/// How sightings of several sources are made comparable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Octets of a payload that are hashed: no more than every source has kept.
    pub payload_max: usize,
    /// Leave out what a tcpdump listing does not show: a source is one.
    pub as_listed: bool,
}

impl Options {
    /// For sources the most sparing of which keeps `snap_length` octets of a packet.
    pub fn for_snap_length(snap_length: Option<u32>) -> Options {
        /// Ethernet with two tags, IPv4, TCP with the stamps of RFC 7323.
        const HEADERS: usize = 14 + 8 + 20 + 32;
        const PAYLOAD: usize = 256;
        let kept = snap_length.map_or(PAYLOAD, |octets| (octets as usize).saturating_sub(HEADERS));
        Options { payload_max: kept.min(PAYLOAD), as_listed: false }
    }
}

/// What a frame is a sighting of; `None` where it is neither IP nor ARP, or too short to tell.
pub fn sighting(frame: &Frame<'_>, vantage: u16, options: &Options) -> Option<Sighting> {
    let mut seen = Sighting {
        source: Address::default(),
        destination: Address::default(),
        identity: 0,
        ask: 0,
        answer: 0,
        time_ns: frame.time_ns,
        sender: 0,
        detail: 0,
        quoted: 0,
        frame: frame.number,
        vantage,
        source_port: 0,
        destination_port: 0,
        ip_id: 0,
        length: 0,
        ttl: 0,
        tos: 0,
        protocol: 0,
        kind: Kind::Other,
    };
    let inside = Inside { options, depth: 0 };
    link::read(frame.link_type, frame.data, &mut seen, inside)?;
    Some(seen)
}

/// How far in we are.
#[derive(Clone, Copy)]
struct Inside<'a> {
    options: &'a Options,
    depth: u8,
}

impl Inside<'_> {
    /// One layer further in; `None` where there were too many.
    fn deeper(self) -> Option<Self> {
        (self.depth < DEPTH_MAX).then_some(Inside { depth: self.depth + 1, ..self })
    }
}

fn u16_at(octets: &[u8], at: usize) -> Option<u16> {
    octets.get(at..)?.first_chunk::<2>().copied().map(u16::from_be_bytes)
}

fn u32_at(octets: &[u8], at: usize) -> Option<u32> {
    octets.get(at..)?.first_chunk::<4>().copied().map(u32::from_be_bytes)
}
