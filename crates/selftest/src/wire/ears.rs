//! What listens in one namespace: raw sockets that hear, listeners that packets find, and a voice to
//! answer datagrams with.

use std::io::{IoSliceMut, Read};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket};
use std::os::fd::AsRawFd;

use nix::sys::socket::{
    ControlMessage, ControlMessageOwned, MsgFlags, SockaddrIn6, SockaddrStorage, recvmsg, sendmsg,
    setsockopt, sockopt,
};
use socket2::{Domain, Protocol, Socket, Type};

use super::heard::{self, Arrived, Heard, payload};
use super::{Failed, failed};
use crate::case::{TCP_PORTS, UDP_PORTS};

pub(super) struct Ears {
    v4: Vec<Socket>,
    /// With the protocol, which a raw socket of IPv6 does not tell.
    v6: Vec<(u8, Socket)>,
    udp: Vec<(u16, bool, UdpSocket)>,
    /// Held open so that what arrives finds a listener.
    _tcp: Vec<Socket>,
}

impl Ears {
    /// Opens them in the calling thread's namespace.
    pub(super) fn open(with_v6: bool) -> Result<Ears, Failed> {
        let (mut v4, mut v6, mut udp, mut tcp) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for protocol in [Protocol::ICMPV4, Protocol::TCP, Protocol::UDP] {
            v4.push(raw(Domain::IPV4, protocol)?);
        }
        let domains: [(Domain, IpAddr); 2] =
            [(Domain::IPV4, Ipv4Addr::UNSPECIFIED.into()), (Domain::IPV6, Ipv6Addr::UNSPECIFIED.into())];
        for (domain, any) in domains.into_iter().take(if with_v6 { 2 } else { 1 }) {
            for port in TCP_PORTS {
                tcp.push(listener(domain, SocketAddr::new(any, port))?);
            }
            for port in UDP_PORTS {
                let socket = bound(domain, SocketAddr::new(any, port))?;
                udp.push((port, any.is_ipv6(), socket.into()));
            }
        }
        if with_v6 {
            for (number, protocol) in [(58, Protocol::ICMPV6), (6, Protocol::TCP), (17, Protocol::UDP)] {
                let socket = raw(Domain::IPV6, protocol)?;
                setsockopt(&socket, sockopt::Ipv6RecvPacketInfo, &true).map_err(failed("a raw socket"))?;
                setsockopt(&socket, sockopt::Ipv6RecvHopLimit, &true).map_err(failed("a raw socket"))?;
                v6.push((number, socket));
            }
        }
        Ok(Ears { v4, v6, udp, _tcp: tcp })
    }

    /// Hands out everything that has arrived.
    pub(super) fn drain(&self, mut each: impl FnMut(Heard)) {
        let mut bytes = [0; 2048];
        for mut socket in &self.v4 {
            while let Ok(length) = socket.read(&mut bytes) {
                if let Some(heard) = heard::of_v4(bytes.get(..length).unwrap_or_default()) {
                    each(heard);
                }
            }
        }
        for (protocol, socket) in &self.v6 {
            while let Some((packet, length)) = receive_v6(socket, &mut bytes) {
                let above = bytes.get(..length).unwrap_or_default();
                if let Some(heard) = packet.and_then(|p| heard::of(p, *protocol, above)) {
                    each(heard);
                }
            }
        }
        for (_, _, socket) in &self.udp {
            // Read by the raw sockets too: taken out, so that the queue never fills.
            while socket.recv(&mut bytes).is_ok() {}
        }
    }

    /// Answers a datagram from the address and port that it came to, where somebody listens there.
    pub(super) fn answer(&self, question: &Heard) {
        let Arrived { source, destination, source_port, port, .. } = question.packet;
        let fits = |(own, v6, _): &&(u16, bool, UdpSocket)| *own == port && *v6 == source.is_ipv6();
        let Some((_, _, socket)) = self.udp.iter().find(fits) else { return };
        let payload = payload(question.number, true);
        let bytes = [std::io::IoSlice::new(&payload)];
        let to = SockaddrStorage::from(SocketAddr::new(source, source_port));
        // What cannot be sent (no route, a rule of OUTPUT) is an answer that does not arrive.
        let _ = match destination {
            IpAddr::V4(own) => {
                let own = libc::in_addr { s_addr: u32::from(own).to_be() };
                let info = libc::in_pktinfo { ipi_ifindex: 0, ipi_spec_dst: own, ipi_addr: own };
                let from = [ControlMessage::Ipv4PacketInfo(&info)];
                sendmsg(socket.as_raw_fd(), &bytes, &from, MsgFlags::empty(), Some(&to))
            }
            IpAddr::V6(own) => {
                let own = libc::in6_addr { s6_addr: own.octets() };
                let info = libc::in6_pktinfo { ipi6_addr: own, ipi6_ifindex: 0 };
                let from = [ControlMessage::Ipv6PacketInfo(&info)];
                sendmsg(socket.as_raw_fd(), &bytes, &from, MsgFlags::empty(), Some(&to))
            }
        };
    }
}

/// One packet of a raw IPv6 socket: its header, put together from what the kernel tells beside it, and
/// how many bytes came after. `None` when there is no more.
fn receive_v6(socket: &Socket, bytes: &mut [u8]) -> Option<(Option<Arrived>, usize)> {
    let mut space = nix::cmsg_space!(libc::in6_pktinfo, i32);
    let mut parts = [IoSliceMut::new(bytes)];
    let message =
        recvmsg::<SockaddrIn6>(socket.as_raw_fd(), &mut parts, Some(&mut space), MsgFlags::MSG_DONTWAIT)
            .ok()?;
    let (mut destination, mut hops) = (None, None);
    for told in message.cmsgs().ok()? {
        match told {
            ControlMessageOwned::Ipv6PacketInfo(info) => {
                destination = Some(Ipv6Addr::from(info.ipi6_addr.s6_addr));
            }
            ControlMessageOwned::Ipv6HopLimit(limit) => hops = u8::try_from(limit).ok(),
            _ => {}
        }
    }
    let header = || {
        Some(Arrived {
            source: message.address?.ip().into(),
            destination: destination?.into(),
            source_port: 0,
            port: 0,
            ttl: hops?,
        })
    };
    Some((header(), message.bytes))
}

fn raw(domain: Domain, protocol: Protocol) -> Result<Socket, Failed> {
    let socket = Socket::new(domain, Type::RAW, Some(protocol)).map_err(failed("a raw socket"))?;
    socket.set_nonblocking(true).map_err(failed("a raw socket"))?;
    Ok(socket)
}

fn bound(domain: Domain, to: SocketAddr) -> Result<Socket, Failed> {
    let open = || {
        let socket = Socket::new(domain, Type::DGRAM, None)?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        socket.bind(&to.into())?;
        Ok(socket)
    };
    open().map_err(failed::<std::io::Error>("a UDP socket"))
}

fn listener(domain: Domain, to: SocketAddr) -> Result<Socket, Failed> {
    let open = || {
        let socket = Socket::new(domain, Type::STREAM, None)?;
        if domain == Domain::IPV6 {
            socket.set_only_v6(true)?;
        }
        socket.bind(&to.into())?;
        socket.listen(64)?;
        Ok(socket)
    };
    open().map_err(failed::<std::io::Error>("a TCP listener"))
}
