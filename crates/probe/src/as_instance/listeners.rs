//! Who else listens as a DHCP server does, and whether it means to answer: a server that does not answer at once looks
//! first whether the address is free, by a ping and the ARP before it (dnsmasq, `icmp_ping`, its src/dnsmasq.c; ISC's
//! dhcpd, `icmp_echorequest`), and all of it leaves by its NIC. Who asks nobody will offer nothing.

use std::io;
use std::time::Duration;

use capture::filter::{self, LinkLayer};
use model::Mac;
use model::link::Link;
use sys::packet_ring::{Ring, RingSize, Way};

use super::frame::{self, Carried, Frame};
use crate::mark;

/// How soon a server asks whether an address is free, at the latest: it does so before anything else.
pub(super) const ASKS_WITHIN: Duration = Duration::from_millis(250);

/// The longest of our own pings of usual size.
const SNAP: u32 = 128;
const RING: RingSize = RingSize { block_bytes: 64 << 10, blocks: 2, retire_ms: 4 };
const ECHO_REQUEST: u8 = 8;

/// The listeners' NICs on the host's side. All of it must be used in their namespace.
pub(super) struct Listeners {
    rings: Vec<Ring>,
    /// One has asked whether somebody has an address; or that cannot be known, so that it may have.
    pub(super) has_asked: bool,
}

impl Listeners {
    /// Watches these devices from now on. What cannot be watched may ask at any time.
    pub(super) fn open(devices: &[String], links: &[Link]) -> Listeners {
        let index = |name: &String| links.iter().find(|link| link.name == *name).map(|link| link.index);
        let watched = |name: &String| index(name).and_then(|index| watch(index).ok());
        let rings: Option<Vec<Ring>> = devices.iter().map(watched).collect();
        Listeners { has_asked: rings.is_none(), rings: rings.unwrap_or_default() }
    }

    /// Looks at what has left them since.
    pub(super) fn look(&mut self) {
        let Listeners { rings, has_asked } = self;
        for ring in rings {
            for _ in 0..RING.blocks {
                let Some(block) = ring.next_block() else { break };
                let mut frames = block.frames();
                *has_asked |= frames.any(|seen| seen.way != Way::Out && asks(seen.bytes));
            }
            *has_asked |= ring.statistics().map_or(true, |counted| counted.drops > 0);
        }
    }
}

fn watch(index: u32) -> io::Result<Ring> {
    let ring = Ring::open(RING)?;
    ring.bind(index)?;
    let wanted = filter::parse("arp or icmp").map_err(io::Error::other)?;
    ring.filter(&filter::compile(&wanted, LinkLayer::Ethernet, SNAP).map_err(io::Error::other)?)?;
    Ok(ring)
}

/// It looks whether somebody has an address: no ping of ours does, nor does a question for a neighbour that is known.
fn asks(bytes: &[u8]) -> bool {
    let Some(Frame { destination, carried, .. }) = frame::read(bytes) else { return false };
    match carried {
        Carried::Arp(arp) => arp.is_request && destination == Mac::BROADCAST,
        Carried::Ipv4 { packet, .. } => {
            let header_bytes = packet.first().map_or(0, |first| usize::from(first & 0x0f) * 4);
            packet.get(header_bytes) == Some(&ECHO_REQUEST) && !mark::is_marked(packet)
        }
        Carried::Icmp6 { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;
    use crate::arp::who_has;
    use crate::icmp::{self, Echo};

    const SERVER: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x25]);
    const OTHER: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x26]);

    #[test]
    fn who_looks_whether_an_address_is_free_is_told_from_who_knows_its_neighbour() {
        let [own, sought] = [25, 241].map(|last| Ipv4Addr::new(10, 0, 2, last));
        assert!(asks(&who_has(Mac::BROADCAST, SERVER, own, sought)));
        assert!(!asks(&who_has(OTHER, SERVER, own, sought)), "a neighbour that it knows");
        let ping = |payload: &[u8]| {
            let ip = frame::Ip { source: own, destination: sought, ttl: 64 };
            frame::icmp(OTHER, SERVER, ip, &icmp::request(Echo { id: 1, sequence: 1 }, payload))
        };
        assert!(asks(&ping(b"a server's")));
        let mut answer = ping(b"a server's");
        answer[34] = 0;
        assert!(!asks(&answer), "an answer");
        assert!(!asks(&ping(&mark::draw(1).0)), "our own");
        assert!(!asks(&[]));
    }
}
