//! One probe's socket. It stays open so that answers find it.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use socket2::{Domain, Protocol, Socket, Type};

use super::heard::payload;
use super::{Failed, failed};
use crate::case::{Kind, Probe};

/// First source port; ports of a case's probes follow each other, so that no two share one.
const FIRST_PORT: u32 = 20_000;
const PORTS: u32 = 40_000;

pub(super) struct Sender {
    number: u32,
    /// `None`: the kernel itself asks.
    socket: Option<Socket>,
}

impl Sender {
    /// Opens it in the calling thread's namespace.
    pub(super) fn open(probe: &Probe, number: u32) -> Result<Sender, Failed> {
        let (domain, any): (_, IpAddr) = match probe.to {
            IpAddr::V4(_) => (Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()),
            IpAddr::V6(_) => (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into()),
        };
        let port = port_of(number);
        let open = || -> std::io::Result<Option<Socket>> {
            let socket = match probe.kind {
                Kind::Echo => {
                    let protocol = if domain == Domain::IPV4 { Protocol::ICMPV4 } else { Protocol::ICMPV6 };
                    Socket::new(domain, Type::RAW, Some(protocol))?
                }
                Kind::Tcp(_) => {
                    let socket = Socket::new(domain, Type::STREAM, None)?;
                    sys::tcp::set_first_sequence(&socket, number)?;
                    socket.bind(&SocketAddr::new(any, port).into())?;
                    socket
                }
                Kind::Udp(_) => {
                    let socket = Socket::new(domain, Type::DGRAM, None)?;
                    socket.bind(&SocketAddr::new(any, port).into())?;
                    socket
                }
                Kind::Arp => return Ok(None),
            };
            socket.set_nonblocking(true)?;
            Ok(Some(socket))
        };
        Ok(Sender { number, socket: open().map_err(failed("a probe's socket"))? })
    }

    /// Sends the probe. What the kernel will not send (no route, EPERM of a rule in OUTPUT) is a packet
    /// that does not arrive.
    pub(super) fn send(&self, probe: &Probe) {
        let Some(socket) = &self.socket else { return };
        let to = |port| SocketAddr::new(probe.to, port).into();
        match probe.kind {
            Kind::Echo => drop(socket.send_to(&echo_request(probe.to.is_ipv6(), self.number), &to(0))),
            Kind::Tcp(port) => drop(socket.connect(&to(port))),
            Kind::Udp(port) => drop(socket.send_to(&payload(self.number, false), &to(port))),
            Kind::Arp => {}
        }
    }

    /// The port that it sends from.
    pub(super) fn port(&self) -> u16 {
        port_of(self.number)
    }

    /// The sender's TCP has its answer.
    pub(super) fn is_connected(&self) -> bool {
        self.socket.as_ref().is_some_and(|socket| socket.peer_addr().is_ok())
    }
}

fn port_of(number: u32) -> u16 {
    u16::try_from(FIRST_PORT + number % PORTS).unwrap_or_default()
}

/// An echo request; the checksum of ICMPv6 is the kernel's work.
fn echo_request(v6: bool, number: u32) -> Vec<u8> {
    let [_, _, id @ ..] = number.to_be_bytes();
    let mut bytes = vec![if v6 { 128 } else { 8 }, 0, 0, 0, id[0], id[1], 0, 1];
    bytes.extend_from_slice(&payload(number, false));
    if !v6 {
        let sum = checksum(&bytes).to_be_bytes();
        bytes[2..4].copy_from_slice(&sum);
    }
    bytes
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|word| u16::from_be_bytes([word[0], word.get(1).copied().unwrap_or(0)]));
    let sum: u32 = words.map(u32::from).sum();
    let sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from((sum & 0xffff) + (sum >> 16)).unwrap_or_default()
}
