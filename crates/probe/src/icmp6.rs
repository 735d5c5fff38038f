//! ICMPv6 echo on the wire (RFC 4443): made, and read from what a raw socket hands over, which starts behind the
//! IPv6 header (raw(7), ipv6(7)).

use std::net::Ipv6Addr;

use crate::icmp::{self, Echo, Message, Quotation};
use crate::icmp_error::IcmpError;

const TOO_BIG: u8 = 2;
/// Unreachable, too big, time exceeded, parameter problem.
const ERRORS: std::ops::RangeInclusive<u8> = 1..=4;
const ECHO_REQUEST: u8 = 128;
const ECHO_REPLY: u8 = 129;
const HEADER_BYTES: usize = 8;
const IP_HEADER_BYTES: usize = 40;
const FRAGMENT_HEADER_BYTES: usize = 8;
const NEXT_FRAGMENT: u8 = 44;
const NEXT_ICMP: u8 = 58;

/// An echo request. Its checksum is left to the kernel, which knows the addresses that it covers
/// (net/ipv6/raw.c `rawv6_init_sk`).
pub(crate) fn request(echo: Echo, payload: &[u8]) -> Vec<u8> {
    icmp::echo_message(ECHO_REQUEST, echo, payload)
}

/// Reads a message, told who sent it and with which hop limit it came. `None` for anything that is no echo reply
/// and no error about an echo request.
pub(crate) fn parse(from: Ipv6Addr, hop_limit: Option<u8>, message: &[u8]) -> Option<Message<'_>> {
    let (header, body) = message.split_first_chunk::<HEADER_BYTES>()?;
    let [kind, code, _, _, mtu @ ..] = *header;
    if kind == ECHO_REPLY {
        return Some(Message::Reply { ttl: hop_limit, echo: icmp::echo_of(message)?, payload: body });
    }
    if !ERRORS.contains(&kind) {
        return None;
    }
    let next_mtu = (kind == TOO_BIG).then_some(u32::from_be_bytes(mtu)).filter(|mtu| *mtu > 0);
    let error = IcmpError { from: from.into(), kind, code, next_mtu };
    Some(Message::Error { error, quoted: quotation(body)? })
}

/// The echo request in an error: its IPv6 header, the fragment header of the first piece of a large one, and its own.
fn quotation(packet: &[u8]) -> Option<Quotation<'_>> {
    let (ip, mut rest) = packet.split_first_chunk::<IP_HEADER_BYTES>()?;
    (ip[0] >> 4 == 6).then_some(())?;
    let mut next = ip[6];
    if next == NEXT_FRAGMENT {
        let (fragment, behind) = rest.split_first_chunk::<FRAGMENT_HEADER_BYTES>()?;
        let offset = u16::from_be_bytes([fragment[2], fragment[3]]) >> 3;
        (offset == 0).then_some(())?;
        (next, rest) = (fragment[0], behind);
    }
    (next == NEXT_ICMP && *rest.first()? == ECHO_REQUEST).then_some(())?;
    let address = |at: usize| Some(Ipv6Addr::from(*ip.get(at..)?.first_chunk::<16>()?));
    Some(Quotation {
        from: address(8)?.into(),
        to: address(24)?.into(),
        echo: icmp::echo_of(rest)?,
        payload: rest.get(HEADER_BYTES..).unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ECHO: Echo = Echo { id: 0x1234, sequence: 7 };
    const NEAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
    const FAR: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 1, 0, 0, 0, 0, 2);
    const ROUTER: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 9);

    /// An IPv6 header from the near to the far end around what follows.
    fn ip(next: u8, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap().to_be_bytes();
        let header = [0x60, 0, 0, 0, length[0], length[1], next, 64];
        [&header[..], &NEAR.octets(), &FAR.octets(), payload].concat()
    }

    fn error(kind: u8, code: u8, field: u32, quoted: &[u8]) -> Vec<u8> {
        [&[kind, code, 0, 0][..], &field.to_be_bytes(), quoted].concat()
    }

    fn read(message: &[u8]) -> Option<Message<'_>> {
        parse(ROUTER, Some(61), message)
    }

    #[test]
    fn a_reply_is_read_with_its_hop_limit() {
        let mut reply = request(ECHO, b"mark");
        assert_eq!(read(&reply), None);
        reply[0] = ECHO_REPLY;
        assert_eq!(read(&reply), Some(Message::Reply { ttl: Some(61), echo: ECHO, payload: b"mark" }));
    }

    #[test]
    fn an_error_is_read_with_what_it_quotes() {
        let quoted = Quotation { from: NEAR.into(), to: FAR.into(), echo: ECHO, payload: b"mark" };
        let of = |kind, code, next_mtu| {
            Some(Message::Error { error: IcmpError { from: ROUTER.into(), kind, code, next_mtu }, quoted })
        };
        let request = request(ECHO, b"mark");
        assert_eq!(read(&error(1, 3, 9, &ip(NEXT_ICMP, &request))), of(1, 3, None));
        // The first piece of one that the sender had cut, and says so.
        let piece = [&[NEXT_ICMP, 0, 0, 1, 0, 0, 0, 7][..], &request].concat();
        assert_eq!(read(&error(TOO_BIG, 0, 1280, &ip(NEXT_FRAGMENT, &piece))), of(TOO_BIG, 0, Some(1280)));
        let later = [&[NEXT_ICMP, 0, 5, 0xa8, 0, 0, 0, 7][..], &request].concat();
        assert_eq!(read(&error(TOO_BIG, 0, 1280, &ip(NEXT_FRAGMENT, &later))), None);
    }

    #[test]
    fn what_is_about_others_is_not_read() {
        let request = request(ECHO, b"mark");
        let udp = ip(17, &request);
        let v4 = [&[0x45][..], &ip(NEXT_ICMP, &request)[1..]].concat();
        for quoted in [udp, v4] {
            assert_eq!(read(&error(1, 3, 0, &quoted)), None);
        }
        let whole = error(1, 3, 0, &ip(NEXT_ICMP, &request[..8]));
        for length in 0..whole.len() {
            assert_eq!(read(&whole[..length]), None, "{length}");
        }
        assert!(read(&whole).is_some());
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(
            kind in 0_u8..6,
            next in proptest::prop_oneof![proptest::prelude::Just(NEXT_ICMP), proptest::prelude::Just(NEXT_FRAGMENT)],
            message in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..80),
        ) {
            let whole = error(kind, 0, 0, &ip(next, &message));
            for message in [&message, &whole] {
                let fits = |payload: &[u8]| payload.is_empty() || payload.len() + HEADER_BYTES <= message.len();
                let payload = match read(message) {
                    Some(Message::Reply { payload, .. }) => payload,
                    Some(Message::Error { quoted, .. }) => quoted.payload,
                    None => &[],
                };
                proptest::prop_assert!(fits(payload));
            }
        }
    }
}
