//! Sockets that receive: listening TCP, unconnected UDP (sock_diag(7)).
//!
//! Asked for by state, so that the kernel walks its listening table only: /proc/net/tcp also walks
//! the table of established connections, which costs milliseconds on every read. procfs is the
//! fallback where the kernel has no inet_diag.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::link::Link;
use model::netns::Socket;
use netlink_sys::protocols::NETLINK_SOCK_DIAG;
use parse::proc_net_sockets::{self, OnlyV6};

use crate::netlink::{Channel, NetlinkError};

/// `SOCK_DIAG_BY_FAMILY` (`linux/sock_diag.h`).
const BY_FAMILY: u16 = 20;
/// `TCP_LISTEN`, and the state that an unconnected UDP socket is in (`TCP_CLOSE`).
const LISTEN: u8 = 10;
const UNCONNECTED: u8 = 7;
/// `INET_DIAG_SKV6ONLY`, and how long `struct inet_diag_msg` is (`linux/inet_diag.h`).
const SK_V6ONLY: u16 = 11;
const MESSAGE_BYTES: usize = 72;

/// Every listening TCP and unconnected UDP socket of the calling thread's namespace.
pub(crate) fn read(links: &[Link]) -> Vec<Socket> {
    by_diag(links).unwrap_or_else(|_| by_procfs())
}

fn by_diag(links: &[Link]) -> Result<Vec<Socket>, NetlinkError> {
    let mut channel = Channel::open(NETLINK_SOCK_DIAG)?;
    let mut sockets = Vec::new();
    for (protocol, state) in [(6, LISTEN), (17, UNCONNECTED)] {
        for family in [libc::AF_INET, libc::AF_INET6] {
            let question = question(u8::try_from(family).unwrap_or_default(), protocol, state);
            let found = channel.dump(BY_FAMILY, &question, |found: &mut Vec<Socket>, _, body| {
                found.extend(from_diag(body, protocol, links).into_iter().flatten());
            });
            sockets.extend(found?);
        }
    }
    Ok(sockets)
}

/// `struct inet_diag_req_v2`: family, protocol, extensions, padding, states, an empty id.
fn question(family: u8, protocol: u8, state: u8) -> Vec<u8> {
    const ID_BYTES: usize = 48;
    let mut body = vec![family, protocol, 0, 0];
    body.extend((1_u32 << state).to_ne_bytes());
    body.resize(body.len() + ID_BYTES, 0);
    body
}

/// `struct inet_diag_msg`: the id begins with source port and, after the destination port, the source
/// address; then the destination address and the bound link; later the receive queue; attributes behind.
fn from_diag(body: &[u8], protocol: u8, links: &[Link]) -> Option<Vec<Socket>> {
    let family = *body.first()?;
    let port = u16::from_be_bytes(body.get(4..6)?.try_into().ok()?);
    let source: [u8; 16] = body.get(8..24)?.try_into().ok()?;
    let bound = u32::from_ne_bytes(body.get(40..44)?.try_into().ok()?);
    let queue = u32::from_ne_bytes(body.get(56..60)?.try_into().ok()?);
    let address = if i32::from(family) == libc::AF_INET {
        IpAddr::V4(Ipv4Addr::from(<[u8; 4]>::try_from(source.get(..4)?).ok()?))
    } else {
        Ipv6Addr::from(source).to_canonical()
    };
    let device = links.iter().find(|l| l.index == bound).map(|l| l.name.clone());
    let attributes = body.get(MESSAGE_BYTES..).unwrap_or_default();
    let only_v6 = attribute(attributes, SK_V6ONLY).filter(|value| *value != 0);
    let only_v6 = only_v6.map_or(OnlyV6::No, |_| OnlyV6::Yes);
    Some(proc_net_sockets::of_both(Socket { protocol, address, port, device, receive_queue: queue }, only_v6))
}

/// First byte of an attribute's value. Each begins with its length, itself included, and its type, and
/// is padded to four bytes (netlink(7)).
fn attribute(mut rest: &[u8], wanted: u16) -> Option<u8> {
    loop {
        let length = usize::from(u16::from_ne_bytes(rest.get(..2)?.try_into().ok()?));
        if u16::from_ne_bytes(rest.get(2..4)?.try_into().ok()?) == wanted {
            return rest.get(4..length)?.first().copied();
        }
        rest = rest.get(length.max(4).next_multiple_of(4)..)?;
    }
}

fn by_procfs() -> Vec<Socket> {
    let sources = [("tcp", 6), ("udp", 17), ("tcp6", 6), ("udp6", 17)];
    let of = |(name, protocol): (&str, u8)| {
        let text = fs::read_to_string(format!("/proc/thread-self/net/{name}")).unwrap_or_default();
        proc_net_sockets::parse(&text, protocol)
    };
    sources.into_iter().flat_map(of).collect()
}

#[cfg(test)]
mod tests {
    use std::net::{TcpListener, UdpSocket};

    use super::*;

    #[test]
    fn own_listeners_are_seen_both_ways() {
        let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
        let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
        let wanted = [(6, tcp.local_addr().unwrap()), (17, udp.local_addr().unwrap())];
        for sockets in [by_diag(&[]).unwrap(), by_procfs()] {
            for (protocol, local) in wanted {
                let seen =
                    |s: &Socket| (s.protocol, s.address, s.port) == (protocol, local.ip(), local.port());
                assert!(sockets.iter().any(seen), "{protocol} {local} in {sockets:?}");
            }
        }
    }
}
