//! ICMP echo on the wire (RFC 792): made, and read from whatever a raw socket hands over.

use std::net::Ipv4Addr;

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
    /// An echo reply.
    Reply { ttl: u8, echo: Echo, payload: &'a [u8] },
    /// An error that quotes an echo request.
    Error {
        from: Ipv4Addr,
        kind: u8,
        code: u8,
        /// Destination of the quoted request.
        quoted_to: Ipv4Addr,
        quoted: Echo,
    },
}

/// What tells one echo from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Echo {
    pub(crate) id: u16,
    pub(crate) sequence: u16,
}

/// An echo request with its checksum.
pub(crate) fn request(echo: Echo, payload: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + payload.len());
    bytes.extend([ECHO_REQUEST, 0, 0, 0]);
    bytes.extend(echo.id.to_be_bytes());
    bytes.extend(echo.sequence.to_be_bytes());
    bytes.extend(payload);
    let sum = checksum(&bytes).to_be_bytes();
    bytes.splice(2..4, sum);
    bytes
}

/// Reads a packet that starts with its IP header, as raw(7) sockets receive it. `None` for
/// anything that is no echo reply and no error about an echo request.
pub(crate) fn parse(packet: &[u8]) -> Option<Message<'_>> {
    let (ip, icmp) = split_ip(packet)?;
    let [kind, code] = *icmp.first_chunk::<2>()?;
    match kind {
        ECHO_REPLY => {
            let ttl = *ip.get(8)?;
            Some(Message::Reply { ttl, echo: echo_of(icmp)?, payload: icmp.get(HEADER_BYTES..)? })
        }
        UNREACHABLE | TIME_EXCEEDED => {
            let (quoted_ip, quoted) = split_ip(icmp.get(HEADER_BYTES..)?)?;
            (*quoted.first()? == ECHO_REQUEST).then_some(())?;
            let quoted_to = address(quoted_ip, 16)?;
            Some(Message::Error { from: address(ip, 12)?, kind, code, quoted_to, quoted: echo_of(quoted)? })
        }
        _ => None,
    }
}

/// What an error's sender had in hand, which may be another packet than was sent: NAT on the way leaves its traces.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Quotation<'a> {
    /// Source of the quoted request.
    pub(crate) from: Ipv4Addr,
    /// Payload of the quoted request, as far as it is quoted.
    pub(crate) payload: &'a [u8],
    /// MTU of the next hop in bytes (RFC 1191); 0 where the error is not about size or says none.
    pub(crate) next_mtu: u16,
}

/// Reads what a packet that [`parse`] knows as an error quotes; `None` for any other.
pub(crate) fn quotation(packet: &[u8]) -> Option<Quotation<'_>> {
    let (_, icmp) = split_ip(packet)?;
    let [kind, code, _, _, _, _, mtu_high, mtu_low] = *icmp.first_chunk::<HEADER_BYTES>()?;
    matches!(kind, UNREACHABLE | TIME_EXCEEDED).then_some(())?;
    let (ip, quoted) = split_ip(icmp.get(HEADER_BYTES..)?)?;
    let is_about_size = (kind, code) == (UNREACHABLE, FRAGMENTATION_NEEDED);
    Some(Quotation {
        from: address(ip, 12)?,
        payload: quoted.get(HEADER_BYTES..).unwrap_or_default(),
        next_mtu: if is_about_size { u16::from_be_bytes([mtu_high, mtu_low]) } else { 0 },
    })
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

fn echo_of(icmp: &[u8]) -> Option<Echo> {
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
        assert_eq!(parse(&packet), Some(Message::Reply { ttl: 61, echo: ECHO, payload: b"mark" }));
    }

    #[test]
    fn an_error_is_read_with_what_it_quotes() {
        let quoted = ip([10, 0, 2, 24], [1, 2, 3, 4], 0, &request(ECHO, b"")[..8]);
        let error = [&[UNREACHABLE, 13, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 0, &error);
        let expected = Message::Error {
            from: Ipv4Addr::new(203, 0, 113, 33),
            kind: UNREACHABLE,
            code: 13,
            quoted_to: Ipv4Addr::new(1, 2, 3, 4),
            quoted: ECHO,
        };
        assert_eq!(parse(&packet), Some(expected));
        assert_eq!(describe(UNREACHABLE, 13), "communication administratively prohibited");
    }

    #[test]
    fn what_an_error_quotes_is_read_with_the_mtu_that_it_says() {
        let quoted = ip([10, 0, 2, 24], [1, 2, 3, 4], 0, &request(ECHO, b"mark"));
        let error = [&[UNREACHABLE, FRAGMENTATION_NEEDED, 0, 0, 0, 0, 5, 0xaa][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 0, &error);
        let from = Ipv4Addr::new(10, 0, 2, 24);
        assert_eq!(quotation(&packet), Some(Quotation { from, payload: b"mark", next_mtu: 1450 }));
        assert_eq!(sender(&packet), Some(Ipv4Addr::new(203, 0, 113, 33)));
        let error = [&[TIME_EXCEEDED, 0, 0, 0, 0, 0, 5, 0xaa][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 0, &error);
        assert_eq!(quotation(&packet).map(|quotation| quotation.next_mtu), Some(0));
        assert_eq!(quotation(&ip([1, 2, 3, 4], [10, 0, 2, 24], 0, &request(ECHO, b""))), None);
    }

    #[test]
    fn every_truncation_is_read_or_refused_without_a_panic() {
        let quoted = ip([10, 0, 2, 24], [1, 2, 3, 4], 3, &request(ECHO, b""));
        let error = [&[TIME_EXCEEDED, 0, 0, 0, 0, 0, 0, 0][..], &quoted].concat();
        let packet = ip([203, 0, 113, 33], [10, 0, 2, 24], 1, &error);
        for length in 0..packet.len() {
            assert_eq!(parse(&packet[..length]), None, "{length}");
            let _ = quotation(&packet[..length]);
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
                let is_error = matches!(parse(&packet), Some(Message::Error { .. }));
                proptest::prop_assert!(!is_error || quotation(&packet).is_some());
            }
        }
    }
}
