//! ICMP echo on the wire (RFC 792): made, and read from whatever a raw socket hands over. What is read has one
//! shape for ICMP and [ICMPv6](crate::icmp6).

use std::net::{IpAddr, Ipv4Addr};

use crate::icmp_error::IcmpError;
use crate::mark;

const ECHO_REPLY: u8 = 0;
const UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const ECHO_REQUEST: u8 = 8;
const TIME_EXCEEDED: u8 = 11;
const HEADER_BYTES: usize = 8;
const IP_HEADER_BYTES: usize = 20;
const PROTOCOL_ICMP: u8 = 1;

/// What came in, as far as echo is concerned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Message<'a> {
    /// An echo reply; its TTL or hop limit, where that is known.
    Reply { ttl: Option<u8>, echo: Echo, payload: &'a [u8] },
    /// An error that quotes an echo request.
    Error { error: IcmpError, quoted: Quotation<'a> },
}

/// The echo request that an error's sender had in hand, which may be another packet than was sent: NAT on the way
/// leaves its traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quotation<'a> {
    /// Source.
    pub(crate) from: IpAddr,
    /// Destination.
    pub(crate) to: IpAddr,
    pub(crate) echo: Echo,
    /// Payload, as far as it is quoted.
    pub(crate) payload: &'a [u8],
}

impl Quotation<'_> {
    /// It is a request with this mark. An error may quote no more than the header, so the identifier stands for the
    /// mark where that is cut off.
    pub(crate) fn is_of(&self, mark: &[u8; mark::BYTES], id: u16) -> bool {
        let is_whole = self.payload.len() >= mark::BYTES;
        if is_whole { self.payload.starts_with(mark) } else { self.echo.id == id }
    }
}

/// What tells one echo from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) id: u16,
    pub(crate) sequence: u16,
}

/// An echo request with its checksum.
pub(crate) fn request(echo: Echo, payload: &[u8]) -> Vec<u8> {
    let mut bytes = echo_message(ECHO_REQUEST, echo, payload);
    let sum = checksum(&bytes).to_be_bytes();
    bytes.splice(2..4, sum);
    bytes
}

/// An echo message of some type, its checksum still zero: ICMPv6 has the same shape (RFC 4443).
pub(crate) fn echo_message(kind: u8, echo: Echo, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend(echo.id.to_be_bytes());
    bytes.extend(echo.sequence.to_be_bytes());
    bytes.extend(payload);
    bytes
}

/// Reads a packet that starts with its IP header, as raw(7) sockets receive it. `None` for
/// anything that is no echo reply and no error about an echo request.
pub(crate) fn parse(packet: &[u8]) -> Option<Message<'_>> {
    let (ip, icmp) = split_ip(packet)?;
    let [kind, code, _, _, _, _, mtu_high, mtu_low] = *icmp.first_chunk::<HEADER_BYTES>()?;
    match kind {
        ECHO_REPLY => {
            let ttl = Some(*ip.get(8)?);
            Some(Message::Reply { ttl, echo: echo_of(icmp)?, payload: icmp.get(HEADER_BYTES..)? })
        }
        UNREACHABLE | TIME_EXCEEDED => {
            let (quoted_ip, quoted) = split_ip(icmp.get(HEADER_BYTES..)?)?;
            (*quoted.first()? == ECHO_REQUEST).then_some(())?;
            let is_about_size = (kind, code) == (UNREACHABLE, FRAGMENTATION_NEEDED);
            // The next hop's MTU (RFC 1191); machines older than that say 0.
            let next_mtu = u32::from(u16::from_be_bytes([mtu_high, mtu_low]));
            let next_mtu = (is_about_size && next_mtu > 0).then_some(next_mtu);
            let error = IcmpError { from: address(ip, 12)?.into(), kind, code, next_mtu };
            let quoted = Quotation {
                from: address(quoted_ip, 12)?.into(),
                to: address(quoted_ip, 16)?.into(),
                echo: echo_of(quoted)?,
                payload: quoted.get(HEADER_BYTES..).unwrap_or_default(),
            };
            Some(Message::Error { error, quoted })
        }
        _ => None,
    }
}

/// Who sent a packet that starts with its IPv4 header.
pub(crate) fn sender(packet: &[u8]) -> Option<Ipv4Addr> {
    address(packet, 12)
}

/// What an error says, in ping's words and RFC 1812's meaning.
pub(crate) fn describe(kind: u8, code: u8) -> String {
    let known = match (kind, code) {
        (UNREACHABLE, 0) => "network unreachable",
        (UNREACHABLE, 1) => "host unreachable",
        (UNREACHABLE, 2) => "protocol unreachable",
        (UNREACHABLE, 3) => "port unreachable",
        (UNREACHABLE, FRAGMENTATION_NEEDED) => "fragmentation needed",
        (UNREACHABLE, 9) => "network administratively prohibited",
        (UNREACHABLE, 10) => "host administratively prohibited",
        (UNREACHABLE, 13) => "communication administratively prohibited",
        (TIME_EXCEEDED, 0) => "time to live exceeded",
        _ => return format!("ICMP error type {kind} code {code}"),
    };
    known.to_owned()
}

/// An IPv4 header with its options, and the ICMP behind it.
fn split_ip(packet: &[u8]) -> Option<(&[u8], &[u8])> {
    let first = *packet.first()?;
    let header_bytes = usize::from(first & 0x0f) * 4;
    let is_icmp = first >> 4 == 4 && header_bytes >= IP_HEADER_BYTES && *packet.get(9)? == PROTOCOL_ICMP;
    if is_icmp { packet.split_at_checked(header_bytes) } else { None }
}

/// Identifier and sequence number of an echo message.
pub(crate) fn echo_of(icmp: &[u8]) -> Option<Echo> {
    let [id_high, id_low, sequence_high, sequence_low] = *icmp.get(4..)?.first_chunk::<4>()?;
    Some(Echo {
        id: u16::from_be_bytes([id_high, id_low]),
        sequence: u16::from_be_bytes([sequence_high, sequence_low]),
    })
}

fn address(ip: &[u8], at: usize) -> Option<Ipv4Addr> {
    Some(Ipv4Addr::from(*ip.get(at..)?.first_chunk::<4>()?))
}

/// The Internet checksum (RFC 1071).
pub(crate) fn checksum(bytes: &[u8]) -> u16 {
    let words = bytes.chunks(2).map(|pair| match *pair {
        [high, low] => u16::from_be_bytes([high, low]),
        [high] => u16::from_be_bytes([high, 0]),
        _ => 0,
    });
    let sum = words.fold(0_u32, |sum, word| {
        let sum = sum + u32::from(word);
        (sum & 0xffff) + (sum >> 16)
    });
    !u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { id: 0x1234, sequence: 7 };

    /// An IPv4 header around ICMP; `words` of options.
    fn ip(source: [u8; 4], destination: [u8; 4], words: u8, icmp: &[u8]) -> Vec<u8> {
        let mut packet = vec![0x45 + words, 0, 0, 0, 0, 0, 0, 0, 61, 1, 0, 0];
        packet.extend(source);
        packet.extend(destination);
        packet.extend(vec![0; usize::from(words) * 4]);
        packet.extend(icmp);
        packet
    }

    #[test]
    fn a_request_sums_to_zero_whatever_its_length() {
        for payload in [&b"odd"[..], b"even", b"", &[0xff; 1001]] {
            assert_eq!(checksum(&request(ECHO, payload)), 0);
        }
    }

    #[test]
    fn a_reply_is_read_behind_ip_options() {
        let mut reply = request(ECHO, b"mark");
        reply[0] = ECHO_REPLY;
        let packet = ip([1, 2, 3, 4], [10, 0, 2, 24], 2, &reply);
        assert_eq!(parse(&packet), Some(Message::Reply { ttl: Some(61), echo: ECHO, payload: b"mark" }));
    }

    #[test]
    fn an_error_is_read_with_what_it_quotes() {
        let quoted = ip([10, 0, 2, 24], [1, 2, 3, 4], 0, &request(ECHO, b"")[..8]);
        let error = [&[UNREACHABLE, 13, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 0, &error);
        let from = Ipv4Addr::new(203, 0, 113, 33).into();
        let expected = Message::Error {
            error: IcmpError { from, kind: UNREACHABLE, code: 13, next_mtu: None },
            quoted: Quotation {
                from: Ipv4Addr::new(10, 0, 2, 24).into(),
                to: Ipv4Addr::new(1, 2, 3, 4).into(),
                echo: ECHO,
                payload: b"",
            },
        };
        assert_eq!(parse(&packet), Some(expected));
        assert_eq!(describe(UNREACHABLE, 13), "communication administratively prohibited");
    }

    #[test]
    fn what_an_error_quotes_is_read_with_the_mtu_that_it_says() {
        let quoted = ip([10, 0, 2, 24], [1, 2, 3, 4], 0, &request(ECHO, b"mark"));
        let error = [&[UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0, 5, 0xaa][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 0, &error);
        let Some(Message::Error { error, quoted: told }) = parse(&packet) else { panic!("{packet:02x?}") };
        assert_eq!((error.next_mtu, told.payload), (Some(1450), &b"mark"[..]));
        assert_eq!(sender(&packet), Some(Ipv4Addr::new(203, 0, 113, 33)));
        let error = [&[TIME_EXCEEDED, 0, 0, 0, 0, 0, 5, 0xaa][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 0, &error);
        let Some(Message::Error { error, .. }) = parse(&packet) else { panic!("{packet:02x?}") };
        assert_eq!(error.next_mtu, None);
    }

    #[test]
    fn the_identifier_stands_for_a_mark_that_is_cut_off() {
        let any = Ipv4Addr::UNSPECIFIED.into();
        let quoted = |payload| Quotation { from: any, to: any, echo: ECHO, payload };
        let (mark, other) = (b"hopline 01234567", b"hopline 76543210");
        assert!(quoted(mark).is_of(mark, !ECHO.id) && !quoted(other).is_of(mark, ECHO.id));
        assert!(quoted(&mark[..8]).is_of(mark, ECHO.id) && !quoted(&mark[..8]).is_of(mark, !ECHO.id));
    }

    #[test]
    fn every_truncation_is_read_or_refused_without_a_panic() {
        let quoted = ip([10, 0, 2, 24], [1, 2, 3, 4], 3, &request(ECHO, b""));
        let error = [&[TIME_EXCEEDED, 0, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 1, &error);
        for length in 0..packet.len() {
            assert_eq!(parse(&packet[..length]), None, "{length}");
        }
        assert!(parse(&packet).is_some());
    }

    #[test]
    fn a_request_of_others_is_no_answer() {
        assert_eq!(parse(&ip([1, 2, 3, 4], [10, 0, 2, 24], 0, &request(ECHO, b""))), None);
    }

    proptest::proptest! {
        /// Any bytes behind an IPv4 header, as an error or a reply.
        #[test]
        fn any_bytes_are_read_or_refused(
            kind in 0_u8..13,
            words in 0_u8..16,
            icmp in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
            quoted in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        ) {
            let inner = ip([10, 0, 2, 24], [1, 2, 3, 4], words % 11, &quoted);
            let error = [&[kind, 0, 0, 0, 0, 0, 0, 0][..], &inner].concat();
            for message in [icmp, error] {
                let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], words % 11, &message);
                let headers = IP_HEADER_BYTES + HEADER_BYTES;
                let fits = |payload: &[u8]| payload.is_empty() || payload.len() + headers <= packet.len();
                let payload = match parse(&packet) {
                    Some(Message::Reply { payload, .. }) => payload,
                    Some(Message::Error { quoted, .. }) => quoted.payload,
                    None => &[],
                };
                proptest::prop_assert!(fits(payload));
            }
        }
    }
}
