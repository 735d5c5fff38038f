//! A ring's frame as a sighting, and a sighting as one of a question that was asked.

use std::net::SocketAddr;

use model::path::{Direction, Exchange};
use model::sighting::{Kind, Sighting};
use parse::capture::Frame as Captured;
use parse::dissect::{self, Options};
use sys::packet_ring::Frame;

/// Of a frame that begins as this `LINKTYPE_` says; `None` where it is neither IP nor ARP.
pub(crate) fn of(
    frame: &Frame<'_>,
    link_type: u16,
    vantage: u16,
    number: u32,
    options: &Options,
) -> Option<Sighting> {
    let captured = Captured {
        number,
        time_ns: i64::try_from(frame.time_ns).unwrap_or(i64::MAX),
        interface: 0,
        link_type: link_type.into(),
        data: frame.bytes,
        length: frame.length,
    };
    dissect::sighting(&captured, vantage, options)
}

/// What a question and its answers are known by: the conversation, the number that they bear, and which of the two it
/// is. `None` for what nobody asks.
pub(crate) fn mark(seen: &Sighting) -> Option<(Exchange, u32, Half)> {
    mark_of(seen.kind, seen.detail, (seen.source_port, seen.destination_port))
}

/// The same of a packet whose kind and numbers these are.
pub(crate) fn mark_of(kind: Kind, detail: u32, (from, to): (u16, u16)) -> Option<(Exchange, u32, Half)> {
    Some(match kind {
        // An echo's detail is its identifier and sequence number.
        Kind::EchoRequest => (Exchange::Icmp, detail >> 16, Half::Question),
        Kind::EchoReply => (Exchange::Icmp, detail >> 16, Half::Answer),
        Kind::DhcpClient => (Exchange::Dhcp, detail, Half::Question),
        Kind::DhcpServer => (Exchange::Dhcp, detail, Half::Answer),
        Kind::DnsQuery => (Exchange::Dns, detail, Half::Question),
        Kind::DnsResponse => (Exchange::Dns, detail, Half::Answer),
        // Our own port is the higher one.
        Kind::Tcp if from > to => (Exchange::Tcp, from.into(), Half::Question),
        Kind::Tcp => (Exchange::Tcp, to.into(), Half::Answer),
        // At a port that is not DNS's a question for a name begins no otherwise: its number, and a bit for answers.
        Kind::Udp if detail & DNS_ANSWER == 0 => (Exchange::Dns, detail >> 16, Half::Question),
        Kind::Udp => (Exchange::Dns, detail >> 16, Half::Answer),
        Kind::Icmp | Kind::ArpRequest | Kind::ArpReply | Kind::Fragment | Kind::Other => return None,
    })
}

/// QR of the first four octets of a message (RFC 1035, 4.1.1).
const DNS_ANSWER: u32 = 0x8000;

/// It goes to this service, or comes from it: of names, many of whose questions bear one number, that tells, too.
pub(crate) fn is_with(seen: &Sighting, half: Half, service: SocketAddr) -> bool {
    let (server, port) = match half {
        Half::Question => (seen.destination, seen.destination_port),
        Half::Answer => (seen.source, seen.source_port),
    };
    (server.to_ip(), port) == (service.ip(), service.port())
}

/// The number of an echo beside a silent question, which a packet of this kind bears or quotes: see
/// [`model::probe::SideEcho::number`].
pub(crate) fn side(kind: Kind, detail: u32, quoted: u32) -> Option<(u32, Half)> {
    match kind {
        Kind::EchoRequest => Some((detail, Half::Question)),
        Kind::EchoReply => Some((detail, Half::Answer)),
        Kind::Icmp => Some((quoted, Half::Answer)),
        Kind::Tcp
        | Kind::Udp
        | Kind::DnsQuery
        | Kind::DnsResponse
        | Kind::DhcpClient
        | Kind::DhcpServer
        | Kind::ArpRequest
        | Kind::ArpReply
        | Kind::Fragment
        | Kind::Other => None,
    }
}

/// Half of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Half {
    Question,
    Answer,
}

impl Half {
    /// Which way it goes.
    pub(crate) fn direction(self) -> Direction {
        match self {
            Half::Question => Direction::Request,
            Half::Answer => Direction::Reply,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_asked_at_any_port_is_known_by_its_number() {
        let udp = |detail| mark_of(Kind::Udp, detail, (49152, 5354));
        assert_eq!(udp(0x1234_0100), Some((Exchange::Dns, 0x1234, Half::Question)));
        assert_eq!(udp(0x1234_8183), Some((Exchange::Dns, 0x1234, Half::Answer)));
    }
}
