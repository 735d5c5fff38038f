//! /proc/net/tcp, udp, tcp6 and udp6 (proc_net(5)): sockets that receive.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::netns::Socket;

/// `TCP_LISTEN`, and the state that an unconnected UDP socket is in (`TCP_CLOSE`).
const LISTEN: u8 = 10;
const UNCONNECTED: u8 = 7;

/// Listening TCP or unconnected UDP sockets of one such file, whose protocol is 6 or 17. It does not tell the devices
/// that they are bound to, nor `IPV6_V6ONLY`, of which the default is taken.
pub fn parse(text: &str, protocol: u8) -> Vec<Socket> {
    let found = text.lines().skip(1).filter_map(|line| socket(line, protocol));
    found.flat_map(|socket| of_both(socket, OnlyV6::No)).collect()
}

/// `IPV6_V6ONLY` of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnlyV6 {
    /// Set.
    Yes,
    /// Not set, which is the default.
    No,
}

/// An unspecified IPv6 address receives IPv4 too, unless told not to (`IPV6_V6ONLY`).
pub fn of_both(socket: Socket, only_v6: OnlyV6) -> Vec<Socket> {
    let v4 = Socket { address: Ipv4Addr::UNSPECIFIED.into(), ..socket.clone() };
    let takes_v4 = socket.address == IpAddr::V6(Ipv6Addr::UNSPECIFIED) && only_v6 == OnlyV6::No;
    [socket].into_iter().chain(takes_v4.then_some(v4)).collect()
}

fn socket(line: &str, protocol: u8) -> Option<Socket> {
    let mut fields = line.split_whitespace();
    let local = fields.nth(1)?;
    let state = u8::from_str_radix(fields.nth(1)?, 16).ok()?;
    let queues = fields.next()?;
    if state != if protocol == 6 { LISTEN } else { UNCONNECTED } {
        return None;
    }
    let (address, port) = local.split_once(':')?;
    let waiting = queues.split_once(':').and_then(|(_, rx)| u32::from_str_radix(rx, 16).ok());
    Some(Socket {
        protocol,
        address: address_of(address)?,
        port: u16::from_str_radix(port, 16).ok()?,
        device: None,
        receive_queue: waiting.unwrap_or(0),
    })
}

/// Addresses are printed as 32-bit words in the byte order of the machine, which is taken to be this one's.
fn address_of(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| u32::from_str_radix(hex.get(at..at + 8)?, 16).ok().map(u32::to_ne_bytes);
    if hex.len() == 8 {
        return Some(IpAddr::V4(Ipv4Addr::from(word(0)?)));
    }
    let mut octets = [0; 16];
    for (nth, chunk) in octets.chunks_mut(4).enumerate() {
        chunk.copy_from_slice(&word(nth * 8)?);
    }
    Some(Ipv6Addr::from(octets).to_canonical())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_line_is_read() {
        let line = "   3: 2A00000A:0035 00000000:0000 07 00000000:00000200 00:00000000 00000000 0 0 1 2 0 0";
        let read = socket(line, 17).unwrap();
        assert_eq!(read.address, "10.0.0.42".parse::<IpAddr>().unwrap());
        assert_eq!((read.port, read.receive_queue), (53, 512));
        assert_eq!(socket(line, 6), None);
    }

    #[test]
    fn an_unspecified_address_of_ipv6_takes_ipv4_too() {
        let text = "  sl  local_address  remote_address st tx_queue rx_queue\n   \
            0: 00000000000000000000000000000000:0043 00000000000000000000000000000000:0000 07 00000000:00000000\n";
        let addresses: Vec<String> = parse(text, 17).iter().map(|s| s.address.to_string()).collect();
        assert_eq!(addresses, ["::", "0.0.0.0"]);
    }

    proptest! {
        #[test]
        fn any_text_is_answered(text in "(0:| |:|[0-9A-F]{8}|0A|07|\n|\\PC){0,40}") {
            parse(&text, 6);
        }
    }
}
