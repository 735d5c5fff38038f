//! What a test means for a packet of which family and tags are known already.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;
use model::packet::{ICMP, ICMPV6, TCP, UDP};

use super::expr::{End, Expr, Family, Primitive, Protocol, Transport};
use super::logic::{Compare, Field, Load, Logic, NO, YES, and, not, or};

/// SCTP's protocol number.
const SCTP: u8 = 132;
/// IPv6's fragment header (RFC 8200).
const FRAGMENT: u8 = 44;
/// Offset and more-fragments bit aside: where in its packet an IPv4 fragment belongs.
const FRAGMENT_OFFSET: u32 = 0x1fff;
/// VLAN id in a tag.
const VLAN_ID: u32 = 0x0fff;

/// What is known of a packet before its tests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Known {
    /// `None` for every other EtherType.
    pub(super) family: Option<Family>,
    /// Where what the family names starts.
    pub(super) start: u32,
    /// Tags in the frame's bytes; `None` where there is no Ethernet header to hold any.
    pub(super) tags: Option<u8>,
}

pub(super) fn lower(expr: &Expr, known: Known) -> Logic {
    match expr {
        Expr::And(parts) => and(parts.iter().map(|part| lower(part, known))),
        Expr::Or(parts) => or(parts.iter().map(|part| lower(part, known))),
        Expr::Not(inner) => not(lower(inner, known)),
        Expr::Test(test) => known.test(test),
    }
}

impl Known {
    fn test(self, test: &Primitive) -> Logic {
        match test {
            Primitive::Protocol(protocol) => self.protocol(*protocol),
            Primitive::Net { family, end, net } => {
                if family.is_some() && *family != self.family {
                    return NO;
                }
                self.net(*end, *net)
            }
            Primitive::Port { transport, end, low, high } => {
                let all = [Transport::Tcp, Transport::Udp, Transport::Sctp];
                let transports = transport.as_ref().map_or(&all[..], std::slice::from_ref);
                let is_one = or(transports.iter().map(|t| self.next_header(number(*t))));
                and([is_one, self.ports(*end, *low, *high)])
            }
            Primitive::Ether { end, mac } => match self.tags {
                Some(_) => ends(*end, self::mac(*mac, 6), self::mac(*mac, 0)),
                None => NO,
            },
            Primitive::Vlan { level, id } => self.vlan(*level, *id),
            // What was not resolved is nobody's.
            Primitive::Instance(_) => NO,
            Primitive::Flow(a, b) => {
                let one_way = |from: IpAddr, to: IpAddr| {
                    and([self.net(End::Source, from.into()), self.net(End::Destination, to.into())])
                };
                or([one_way(*a, *b), one_way(*b, *a)])
            }
        }
    }

    fn protocol(self, protocol: Protocol) -> Logic {
        match protocol {
            Protocol::Family(family) => Logic::Constant(self.family == Some(family)),
            Protocol::Icmp if self.family == Some(Family::Ip) => self.next_header(ICMP),
            Protocol::Icmp6 if self.family == Some(Family::Ip6) => self.next_or_fragment(ICMPV6),
            Protocol::Icmp | Protocol::Icmp6 => NO,
            Protocol::Transport(transport) => self.next_or_fragment(number(transport)),
        }
    }

    /// Also in a fragment, whose header comes first.
    fn next_or_fragment(self, number: u8) -> Logic {
        if self.family != Some(Family::Ip6) {
            return self.next_header(number);
        }
        let behind = Field::equal(Load::Byte(self.start + 40), number.into());
        or([self.next_header(number), and([self.next_header(FRAGMENT), behind])])
    }

    fn next_header(self, number: u8) -> Logic {
        match self.family {
            Some(Family::Ip) => Field::equal(Load::Byte(self.start + 9), number.into()),
            Some(Family::Ip6) => Field::equal(Load::Byte(self.start + 6), number.into()),
            Some(Family::Arp | Family::Rarp) | None => NO,
        }
    }

    fn ports(self, end: End, low: u16, high: u16) -> Logic {
        let both = |source: Load, destination: Load| {
            ends(end, range(source, low, high), range(destination, low, high))
        };
        match self.family {
            Some(Family::Ip) => {
                let load = Load::Half(self.start + 6);
                let later = Field { load, mask: u32::MAX, compare: Compare::AnyBitOf(FRAGMENT_OFFSET) };
                let at = |offset| Load::Behind { header: self.start, offset };
                and([not(Logic::Field(later)), both(at(0), at(2))])
            }
            Some(Family::Ip6) => both(Load::Half(self.start + 40), Load::Half(self.start + 42)),
            Some(Family::Arp | Family::Rarp) | None => NO,
        }
    }

    fn net(self, end: End, net: IpNet) -> Logic {
        let (source, destination) = match (self.family, net) {
            (Some(Family::Ip), IpNet::V4(_)) => (12, 16),
            // Sender's and target's protocol address (RFC 826, Ethernet and IPv4).
            (Some(Family::Arp | Family::Rarp), IpNet::V4(_)) => (14, 24),
            (Some(Family::Ip6), IpNet::V6(_)) => (8, 24),
            (Some(_), IpNet::V4(_) | IpNet::V6(_)) | (None, _) => return NO,
        };
        ends(end, within(net, self.start + source), within(net, self.start + destination))
    }

    /// The tag that has `level` tags in front of it. One kept beside the frame is in front of all in it.
    fn vlan(self, level: u8, id: Option<u16>) -> Logic {
        let present = Field::equal(Load::TagPresent, 1);
        let is = |load: Load| match id {
            None => YES,
            Some(id) => Logic::Field(Field { load, mask: VLAN_ID, compare: Compare::Equal(id.into()) }),
        };
        let inside = |nth: u8| {
            let there = self.tags.is_some_and(|tags| nth < tags);
            if there { is(Load::Half(14 + 4 * u32::from(nth))) } else { NO }
        };
        let outer = match level.checked_sub(1) {
            None => is(Load::Tag),
            Some(nth) => inside(nth),
        };
        or([and([present.clone(), outer]), and([not(present), inside(level)])])
    }
}

fn number(transport: Transport) -> u8 {
    match transport {
        Transport::Tcp => TCP,
        Transport::Udp => UDP,
        Transport::Sctp => SCTP,
    }
}

fn ends(end: End, source: Logic, destination: Logic) -> Logic {
    match end {
        End::Source => source,
        End::Destination => destination,
        End::Either => or([source, destination]),
        End::Both => and([source, destination]),
    }
}

fn range(load: Load, low: u16, high: u16) -> Logic {
    let field = |compare| Logic::Field(Field { load, mask: u32::MAX, compare });
    if low == high {
        return field(Compare::Equal(low.into()));
    }
    and([field(Compare::AtLeast(low.into())), not(field(Compare::MoreThan(high.into())))])
}

/// An address of the packet lies in the prefix, four bytes at a time.
fn within(net: IpNet, offset: u32) -> Logic {
    let (value, mask) = match net {
        IpNet::V4(v4) => (v4.network().octets().to_vec(), v4.netmask().octets().to_vec()),
        IpNet::V6(v6) => (v6.network().octets().to_vec(), v6.netmask().octets().to_vec()),
    };
    let words = value.chunks(4).zip(mask.chunks(4)).zip((offset..).step_by(4));
    and(words.filter(|((_, mask), _)| word(mask) != 0).map(|((value, mask), at)| {
        let compare = Compare::Equal(word(value));
        Logic::Field(Field { load: Load::Word(at), mask: word(mask), compare })
    }))
}

fn word(bytes: &[u8]) -> u32 {
    bytes.iter().fold(0, |word, byte| word << 8 | u32::from(*byte))
}

fn mac(mac: Mac, offset: u32) -> Logic {
    let [first, second, rest @ ..] = mac.0;
    and([
        Field::equal(Load::Word(offset + 2), word(&rest)),
        Field::equal(Load::Half(offset), word(&[first, second])),
    ])
}
