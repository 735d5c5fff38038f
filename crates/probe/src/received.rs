//! The readers of what a raw socket hands over, tried with any octets at once: for fuzzing, which sees a crate from
//! outside.

use std::net::{Ipv4Addr, Ipv6Addr};

use crate::as_instance::frame::{self, Carried};
use crate::icmp::Message;
use crate::neighbour::solicit;
use crate::{arp, icmp, icmp6};

/// What the readers made of octets: how long the pieces are that are said to be in them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Received {
    /// Of echo replies, of echo requests in errors, and of frames.
    pub payloads: Vec<usize>,
    /// What the errors say.
    pub meanings: Vec<String>,
    /// An ARP question or answer, an advertisement for who asked.
    pub neighbours: usize,
}

/// Reads octets as an IPv4 packet, an ICMPv6 message, what a frame of ARP carries, as a frame that an instance is sent,
/// and as that of an answer to this question by neighbour solicitation.
pub fn received(octets: &[u8], asker: Ipv6Addr, asked: Ipv6Addr) -> Received {
    let mut read = Received::default();
    for message in [icmp::parse(octets), icmp6::parse(asked, None, octets)].into_iter().flatten() {
        let payload = match message {
            Message::Reply { payload, .. } => payload,
            Message::Error { error, quoted } => {
                read.meanings.push(error.meaning());
                quoted.payload
            }
        };
        read.payloads.push(payload.len());
    }
    if let Some(frame) = frame::read(octets) {
        read.payloads.extend(match frame.carried {
            Carried::Arp(_) => None,
            Carried::Ipv4 { packet: carried, .. } | Carried::Icmp6 { message: carried, .. } => {
                Some(carried.len())
            }
        });
    }
    let by_arp = arp::read(octets).filter(|arp| arp.sender != Ipv4Addr::UNSPECIFIED);
    let by_solicitation = solicit::answer(octets, asker, asked);
    read.neighbours = usize::from(by_arp.is_some()) + usize::from(by_solicitation.is_some());
    read
}
