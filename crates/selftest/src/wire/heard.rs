//! Packets that raw sockets heard: which probe each belongs to, and what it is to it.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use serde::{Deserialize, Serialize};

/// Starts what echo requests and datagrams of ours carry; their number follows.
const MAGIC: [u8; 4] = *b"hopl";
/// Bytes that echo requests and datagrams carry: with their headers in IPv4 they are as long as the
/// packets of ping, which the walk imagines.
const PAYLOAD: usize = 56;

const ICMP: u8 = 1;
const TCP: u8 = 6;
const UDP: u8 = 17;
const ICMPV6: u8 = 58;

/// The next `count` numbers of the process, no two of which are ever the same. The first of them.
pub(crate) fn number(count: u32) -> u32 {
    // TCP lets the kernel choose where asked for 0.
    static NEXT: AtomicU32 = AtomicU32::new(1);
    NEXT.fetch_add(count.max(1), Ordering::Relaxed)
}

/// A packet as its receiver saw it; ports are 0 where there are none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Arrived {
    /// Source address.
    pub source: IpAddr,
    /// Destination address.
    pub destination: IpAddr,
    /// Source port.
    pub source_port: u16,
    /// Destination port.
    pub port: u16,
    /// TTL or hop limit.
    pub ttl: u8,
}

/// What refused a probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Refusal {
    /// An ICMP error of this type and code.
    Icmp(u8, u8),
    /// An ICMPv6 error of this type and code.
    Icmpv6(u8, u8),
    /// A TCP reset.
    Reset,
}

/// What a packet is to its probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Question,
    Answer,
    Refused(Refusal),
}

/// A packet that belongs to some probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Heard {
    pub(crate) number: u32,
    pub(crate) what: What,
    pub(crate) packet: Arrived,
}

/// The payload of an echo request or a datagram. `answer`: of a datagram that answers.
pub(crate) fn payload(number: u32, answer: bool) -> [u8; PAYLOAD] {
    let mut bytes = [0; PAYLOAD];
    bytes[..4].copy_from_slice(&MAGIC);
    bytes[4..8].copy_from_slice(&number.to_be_bytes());
    bytes[8] = u8::from(answer);
    bytes
}

/// The probe's number, and whether the payload is an answer's.
fn numbered(bytes: &[u8]) -> Option<(u32, bool)> {
    let rest = bytes.strip_prefix(&MAGIC)?;
    let (number, rest) = rest.split_first_chunk::<4>()?;
    Some((u32::from_be_bytes(*number), rest.first() == Some(&1)))
}

/// A packet with its IPv4 header, as raw sockets hand it out.
pub(crate) fn of_v4(bytes: &[u8]) -> Option<Heard> {
    let (header, protocol, above) = split_v4(bytes)?;
    of(header, protocol, above)
}

fn split_v4(bytes: &[u8]) -> Option<(Arrived, u8, &[u8])> {
    let address = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes.get(at..at + 4)?).ok()?));
    let header = Arrived {
        source: address(12)?.into(),
        destination: address(16)?.into(),
        source_port: 0,
        port: 0,
        ttl: *bytes.get(8)?,
    };
    Some((header, *bytes.get(9)?, bytes.get(usize::from(bytes.first()? & 15) * 4..)?))
}

/// What comes after the IP header, of a packet with this header.
pub(crate) fn of(mut packet: Arrived, protocol: u8, bytes: &[u8]) -> Option<Heard> {
    let word = |at: usize| Some(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?));
    let (number, what) = match protocol {
        ICMP | ICMPV6 => of_icmp(protocol, bytes)?,
        TCP => {
            (packet.source_port, packet.port) = (word(0)?, word(2)?);
            of_tcp(bytes)?
        }
        UDP => {
            (packet.source_port, packet.port) = (word(0)?, word(2)?);
            let (number, answer) = numbered(bytes.get(8..)?)?;
            (number, if answer { What::Answer } else { What::Question })
        }
        _ => return None,
    };
    Some(Heard { number, what, packet })
}

fn of_icmp(protocol: u8, bytes: &[u8]) -> Option<(u32, What)> {
    let (kind, code) = (*bytes.first()?, *bytes.get(1)?);
    let rest = bytes.get(8..)?;
    match (protocol, kind) {
        (ICMP, 8) | (ICMPV6, 128) => Some((numbered(rest)?.0, What::Question)),
        (ICMP, 0) | (ICMPV6, 129) => Some((numbered(rest)?.0, What::Answer)),
        // Unreachable, redirected, time exceeded, parameter problem: with the packet that it is about.
        (ICMP, 3 | 11 | 12) => {
            let (_, inner, above) = split_v4(rest)?;
            Some((quoted(inner, above)?, What::Refused(Refusal::Icmp(kind, code))))
        }
        (ICMPV6, 1..=4) => {
            const HEADER: usize = 40;
            let number = quoted(*rest.get(6)?, rest.get(HEADER..)?)?;
            Some((number, What::Refused(Refusal::Icmpv6(kind, code))))
        }
        _ => None,
    }
}

/// The number of the probe that an error quotes: only questions count.
fn quoted(protocol: u8, bytes: &[u8]) -> Option<u32> {
    match protocol {
        TCP => Some(u32::from_be_bytes(bytes.get(4..8)?.try_into().ok()?)),
        ICMP if bytes.first() == Some(&8) => Some(numbered(bytes.get(8..)?)?.0),
        ICMPV6 if bytes.first() == Some(&128) => Some(numbered(bytes.get(8..)?)?.0),
        UDP => numbered(bytes.get(8..)?).filter(|(_, answer)| !answer).map(|(number, _)| number),
        _ => None,
    }
}

/// A SYN carries the probe's number, what answers it acknowledges the number after.
fn of_tcp(bytes: &[u8]) -> Option<(u32, What)> {
    const SYN: u8 = 0x02;
    const RST: u8 = 0x04;
    const ACK: u8 = 0x10;
    let long = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let acknowledged = || Some(long(8)?.wrapping_sub(1));
    match bytes.get(13)? & (SYN | RST | ACK) {
        SYN => Some((long(4)?, What::Question)),
        flags if flags == SYN | ACK => Some((acknowledged()?, What::Answer)),
        flags if flags == RST | ACK => Some((acknowledged()?, What::Refused(Refusal::Reset))),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn v4(protocol: u8, above: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 63, protocol, 0, 0, 10, 0, 0, 11, 10, 0, 0, 1];
        bytes.extend_from_slice(above);
        bytes
    }

    fn udp(number: u32, answer: bool) -> Vec<u8> {
        let mut bytes = vec![0x4e, 0x20, 0, 53, 0, 64, 0, 0];
        bytes.extend_from_slice(&payload(number, answer));
        bytes
    }

    #[test]
    fn a_datagram_is_told_by_what_it_carries() {
        let heard = of_v4(&v4(UDP, &udp(7, false))).unwrap();
        assert_eq!((heard.number, heard.what), (7, What::Question));
        let Arrived { source_port, port, ttl, .. } = heard.packet;
        assert_eq!((source_port, port, ttl), (20_000, 53, 63));
        assert_eq!(of_v4(&v4(UDP, &udp(7, true))).unwrap().what, What::Answer);
    }

    #[test]
    fn an_error_is_told_by_what_it_quotes() {
        let mut error = vec![3, 10, 0, 0, 0, 0, 0, 0];
        error.extend(v4(UDP, &udp(9, false)));
        let heard = of_v4(&v4(ICMP, &error)).unwrap();
        assert_eq!((heard.number, heard.what), (9, What::Refused(Refusal::Icmp(3, 10))));
    }

    #[test]
    fn truncated_packets_and_strangers_are_nobodys() {
        let whole = v4(UDP, &udp(7, false));
        assert!((0..36).all(|length| of_v4(&whole[..length]).is_none()));
        assert!(of_v4(&v4(UDP, b"\x4e\x20\0\x35\0\x40\0\0something else")).is_none());
    }
}
