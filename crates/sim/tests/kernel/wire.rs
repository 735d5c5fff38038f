//! Probes really sent, and what raw sockets in every namespace see arrive.
//!
//! A raw IP socket is handed what the machine takes for itself after INPUT has let it pass
//! (`raw_local_deliver`): seeing a packet there is having it delivered.

use std::collections::BTreeMap;
use std::io::Read;
use std::net::{Ipv4Addr, SocketAddrV4, TcpListener, UdpSocket};
use std::time::{Duration, Instant};

use socket2::{Domain, Protocol, Socket, Type};
use sys::netns;

use crate::case::{Kind, Probe, ROLES, TCP_PORTS, UDP_PORTS};
use crate::lab::Lab;

/// A packet that has not arrived by then never will: everything is one machine's memory.
const WAIT: Duration = Duration::from_millis(150);
/// First source port, and first echo identifier; one more each probe.
const FIRST: u16 = 20_000;

/// What was seen of a probe.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Seen {
    /// Who received it, and the packet: source, destination, destination port, TTL.
    pub(crate) received: Option<(String, Arrived)>,
    /// The answer reached the sender, from the address that was asked.
    pub(crate) answered: bool,
}

/// A packet as its receiver sees it; the port is 0 for an echo.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrived {
    pub(crate) source: Ipv4Addr,
    pub(crate) destination: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) ttl: u8,
}

/// What listens in every namespace.
pub(crate) struct Ears {
    raw: Vec<(usize, Socket)>,
    /// Held open so that what arrives finds a listener.
    listeners: Vec<(TcpListener, UdpSocket)>,
}

impl Ears {
    pub(crate) fn open(lab: &Lab) -> Ears {
        let mut ears = Ears { raw: Vec::new(), listeners: Vec::new() };
        for (role, fd) in lab.netns.iter().enumerate() {
            let opened = netns::within(fd, || {
                let raw = [Protocol::ICMPV4, Protocol::TCP, Protocol::UDP]
                    .map(|p| Socket::new(Domain::IPV4, Type::RAW, Some(p)).unwrap());
                let tcp = TCP_PORTS.map(|p| TcpListener::bind((Ipv4Addr::UNSPECIFIED, p)).unwrap());
                let udp = UDP_PORTS.map(|p| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, p)).unwrap());
                (raw, tcp, udp)
            });
            let (raw, tcp, udp) = opened.unwrap();
            for socket in raw {
                socket.set_nonblocking(true).unwrap();
                ears.raw.push((role, socket));
            }
            ears.listeners.extend(tcp.into_iter().zip(udp));
        }
        ears
    }

    /// Sends all probes at once and listens until `enough` says so, or for as long as packets take.
    pub(crate) fn hear(&self, lab: &Lab, probes: &[Probe], enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let mut seen = vec![Seen::default(); probes.len()];
        let mut senders = Vec::new();
        for (nth, probe) in probes.iter().enumerate() {
            let sent = netns::within(&lab.netns[probe.from], || send(nth, probe)).unwrap();
            senders.push(sent);
        }
        let deadline = Instant::now() + WAIT;
        loop {
            for (role, socket) in &self.raw {
                drain(*role, socket, probes, &mut seen);
            }
            for (nth, sender) in senders.iter().enumerate() {
                if matches!(probes[nth].kind, Kind::Tcp(_)) {
                    seen[nth].answered |= sender.peer_addr().is_ok();
                }
            }
            if Instant::now() >= deadline || enough(&seen) {
                return seen;
            }
            // Handing the processor on is all the waiting that is needed: nothing crosses a wire.
            std::thread::yield_now();
        }
    }
}

/// Takes what a socket has received and books it on its probe.
fn drain(role: usize, socket: &Socket, probes: &[Probe], seen: &mut [Seen]) {
    let mut bytes = [0; 256];
    while let Ok(length) = (&*socket).read(&mut bytes) {
        let Some(packet) = Packet::parse(&bytes[..length]) else { continue };
        let Some(nth) = packet.nth.checked_sub(FIRST).map(usize::from) else { continue };
        let Some(probe) = probes.get(nth) else { continue };
        if packet.is_answer {
            let is_back = role == probe.from && packet.arrived.source == probe.to;
            seen[nth].answered |= is_back && probe.kind == Kind::Echo;
        } else {
            let receiver = || (ROLES[role].to_owned(), packet.arrived.clone());
            seen[nth].received.get_or_insert_with(receiver);
        }
    }
}

/// Sends one probe; the socket stays open so that answers find it.
fn send(nth: usize, probe: &Probe) -> Socket {
    let number = FIRST + u16::try_from(nth).unwrap();
    let own = SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, number).into();
    let to = |port| SocketAddrV4::new(probe.to, port).into();
    // A refusal (no route, EPERM of OUTPUT) is a packet that does not arrive.
    match probe.kind {
        Kind::Echo => {
            let socket = Socket::new(Domain::IPV4, Type::RAW, Some(Protocol::ICMPV4)).unwrap();
            let _ = socket.send_to(&echo_request(number), &to(0));
            socket
        }
        Kind::Tcp(port) => {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket.bind(&own).unwrap();
            let _ = socket.connect(&to(port));
            socket
        }
        Kind::Udp(port) => {
            let socket = Socket::new(Domain::IPV4, Type::DGRAM, None).unwrap();
            socket.bind(&own).unwrap();
            let _ = socket.send_to(b"hopline", &to(port));
            socket
        }
    }
}

fn echo_request(id: u16) -> [u8; 8] {
    let mut bytes = [8, 0, 0, 0, 0, 0, 0, 1];
    bytes[4..6].copy_from_slice(&id.to_be_bytes());
    let words: BTreeMap<usize, u32> = [(0, 0x0800), (1, u32::from(id)), (2, 1)].into();
    let mut sum: u32 = words.values().sum();
    sum = (sum & 0xffff) + (sum >> 16);
    bytes[2..4].copy_from_slice(&(!u16::try_from(sum).unwrap()).to_be_bytes());
    bytes
}

/// A received packet, and which probe it belongs to.
struct Packet {
    nth: u16,
    is_answer: bool,
    arrived: Arrived,
}

impl Packet {
    fn parse(bytes: &[u8]) -> Option<Packet> {
        let ttl = *bytes.get(8)?;
        let protocol = *bytes.get(9)?;
        let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
        let (source, destination) = (address(12)?, address(16)?);
        let above = bytes.get(usize::from(bytes[0] & 15) * 4..)?;
        let word = |at: usize| Some(u16::from_be_bytes(above.get(at..at + 2)?.try_into().ok()?));
        let (nth, is_answer, port) = match protocol {
            1 if above.first() == Some(&8) => (word(4)?, false, 0),
            1 if above.first() == Some(&0) => (word(4)?, true, 0),
            // SYN alone asks; whatever else TCP says here comes of it.
            6 if above.get(13)? & 0x17 == 2 => (word(0)?, false, word(2)?),
            17 => (word(0)?, false, word(2)?),
            _ => return None,
        };
        Some(Packet { nth, is_answer, arrived: Arrived { source, destination, port, ttl } })
    }
}
