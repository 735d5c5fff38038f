//! Echo requests with IPv4 headers of our own: one socket, many at once, each with its own TTL and size, none
//! ever fragmented.

use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::{Duration, Instant, SystemTime};

use etherparse::{Ipv4Header, ip_number};
use socket2::{Socket, Type};

use crate::icmp::{self, Echo, Message};
use crate::icmp_error::IcmpError;
use crate::mark;
use crate::socket::{self, AskError, Asker, Came, NotSent};

/// IPv4 header without options, and the echo's own.
const HEADER_BYTES: usize = 20 + 8;
/// The smallest request, as an IP packet: the mark fits.
pub(crate) const PACKET_BYTES_MIN: u16 = 44;
const _: () = assert!(PACKET_BYTES_MIN as usize == HEADER_BYTES + mark::BYTES);
const PACKET_BYTES_MAX: usize = 65_535;
/// How much longer than the first answer the others may take: so many times, and never less than this.
const PATIENCE_TIMES: u32 = 10;
const PATIENCE_MIN: Duration = Duration::from_millis(200);

/// Where requests go, and how their answers are known.
pub(crate) struct RawEcho {
    socket: Socket,
    /// What the requests bear as source.
    pub(crate) source: Ipv4Addr,
    to: Ipv4Addr,
    id: u16,
    mark: [u8; mark::BYTES],
    buffer: Vec<u8>,
}

/// What came for one of the requests.
pub(crate) enum Heard {
    /// A reply.
    Reply { sequence: u16, from: Ipv4Addr, stamped: Option<SystemTime> },
    /// An ICMP error, and the addresses of the request as its sender had it in hand.
    Error { sequence: u16, error: IcmpError, quoted: Quoted, stamped: Option<SystemTime> },
    /// The time is up.
    Nothing,
}

/// Addresses of a request of ours as a machine on its way had it in hand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quoted {
    /// Source.
    pub from: Ipv4Addr,
    /// Destination.
    pub to: Ipv4Addr,
}

/// Opens the socket and finds out the source address. Where there is no route, there is none, and nothing can be
/// sent. An error for a source that is IPv6, or not an address of the namespace.
pub(crate) fn open(
    asker: &Asker<'_>,
    to: Ipv4Addr,
    id: Option<u16>,
) -> Result<Result<RawEcho, NotSent>, AskError> {
    let source = match asker.source {
        Some(IpAddr::V4(source)) => source,
        Some(IpAddr::V6(source)) => {
            let why = io::Error::new(ErrorKind::InvalidInput, "the requests are IPv4");
            return Err(asker.failed(&format!("use the source address {source}"))(why));
        }
        None => match source_towards(asker, to)? {
            Ok(source) => source,
            Err(why) => return Ok(Err(why)),
        },
    };
    let socket = socket::open_raw(asker)?;
    let (mark, drawn) = mark::draw(to);
    let id = id.unwrap_or(drawn);
    Ok(Ok(RawEcho { socket, source, to, id, mark, buffer: vec![0; PACKET_BYTES_MAX] }))
}

/// Connecting a UDP socket sends nothing; it only makes the kernel choose (udp(7)).
fn source_towards(asker: &Asker<'_>, to: Ipv4Addr) -> Result<Result<Ipv4Addr, NotSent>, AskError> {
    let unbound = Asker { source: None, ..*asker };
    let any_port = SocketAddr::new(IpAddr::V4(to), 9);
    let socket = socket::open(&unbound, any_port, Type::DGRAM)?;
    if let Err(error) = socket.connect(&any_port.into()) {
        return Ok(Err(NotSent::of(&error)));
    }
    let chosen = socket.local_addr().map_err(asker.failed("find out the source address"))?;
    Ok(chosen.as_socket_ipv4().map(|address| *address.ip()).ok_or(NotSent::NoRoute))
}

impl RawEcho {
    /// Sends a request of so many bytes, IP header included, that no router may fragment.
    pub(crate) fn send(&self, sequence: u16, ttl: u8, packet_bytes: u16) -> Result<(), NotSent> {
        let mut payload = self.mark.to_vec();
        payload.resize(usize::from(packet_bytes.max(PACKET_BYTES_MIN)) - HEADER_BYTES, b'.');
        let message = icmp::request(Echo { id: self.id, sequence }, &payload);
        let length = u16::try_from(message.len()).unwrap_or(u16::MAX);
        let (source, to) = (self.source.octets(), self.to.octets());
        let mut header = Ipv4Header::new(length, ttl, ip_number::ICMP, source, to)
            .map_err(|error| NotSent::Other(error.to_string()))?;
        header.dont_fragment = true;
        let packet = [&header.to_bytes()[..], &message].concat();
        let destination = SocketAddr::new(IpAddr::V4(self.to), 0);
        match self.socket.send_to(&packet, &destination.into()) {
            Ok(_) => Ok(()),
            Err(error) => Err(NotSent::of(&error)),
        }
    }

    /// Waits for what is said of one of the requests, until the deadline. All other ICMP of the namespace is
    /// passed over.
    pub(crate) fn next(&mut self, deadline: Instant) -> io::Result<Heard> {
        loop {
            let (length, stamped) = match socket::next(&self.socket, &mut self.buffer, deadline)? {
                Came::Nothing => return Ok(Heard::Nothing),
                Came::Error(_) => continue,
                Came::Datagram { length, stamped, from: _, hop_limit: _ } => (length, stamped),
            };
            let packet = self.buffer.get(..length).unwrap_or_default();
            if let Some(heard) = self.known(packet, stamped) {
                return Ok(heard);
            }
            // A namespace that never falls silent must not keep us beyond the deadline.
            if Instant::now() >= deadline {
                return Ok(Heard::Nothing);
            }
        }
    }

    /// A reply repeats the mark.
    fn known(&self, packet: &[u8], stamped: Option<SystemTime>) -> Option<Heard> {
        match icmp::parse(packet)? {
            Message::Reply { echo, payload, ttl: _ } => payload
                .starts_with(&self.mark)
                .then_some(Heard::Reply { sequence: echo.sequence, from: icmp::sender(packet)?, stamped }),
            Message::Error { error, quoted } => {
                let (IpAddr::V4(from), IpAddr::V4(to)) = (quoted.from, quoted.to) else { return None };
                let (sequence, is_ours) = (quoted.echo.sequence, quoted.is_of(&self.mark, self.id));
                is_ours.then_some(Heard::Error { sequence, error, quoted: Quoted { from, to }, stamped })
            }
        }
    }
}

/// When to give up on the rest, once the first answer has told how far it is.
pub(crate) fn rest_deadline(first: Duration, deadline: Instant) -> Instant {
    let patience = (first * PATIENCE_TIMES).max(PATIENCE_MIN);
    (Instant::now() + patience).min(deadline)
}
