//! Values in rules: prefixes, ports, protocols, marks, flags, states.

use std::net::IpAddr;

use ipnet::IpNet;
use model::Mac;
use model::netfilter::{AddressOf, CtStates, Field, Test};

/// `10.0.0.0/8`, `10.0.0.1`, `10.0.0.0/255.0.0.0`. `None` for a mask with holes, which no prefix says.
pub(crate) fn net(text: &str) -> Option<IpNet> {
    let Some((ip, mask)) = text.split_once('/') else {
        return text.parse::<IpAddr>().ok().map(IpNet::from);
    };
    let ip: IpAddr = ip.parse().ok()?;
    match mask.parse::<u8>() {
        Ok(length) => IpNet::new(ip, length).ok(),
        Err(_) => {
            let mask: IpAddr = mask.parse().ok()?;
            IpNet::with_netmask(ip, mask).ok().filter(|_| ip.is_ipv4() == mask.is_ipv4())
        }
    }
}

/// Any address and mask as numbers, also a mask with holes; a bare address has all its bits in it.
pub(crate) fn masked_address(text: &str) -> Option<(u128, u128)> {
    if let Some(net) = net(text) {
        return Some((bits(net.network()), bits(net.netmask())));
    }
    let (ip, mask) = text.split_once('/')?;
    let (ip, mask): (IpAddr, IpAddr) = (ip.parse().ok()?, mask.parse().ok()?);
    (ip.is_ipv4() == mask.is_ipv4()).then(|| (bits(ip) & bits(mask), bits(mask)))
}

/// A source or destination in a prefix; or, under a mask with holes, with these bits.
pub(crate) fn address_test(of: AddressOf, text: &str) -> Option<Test> {
    if let Some(net) = net(text) {
        return Some(match of {
            AddressOf::Source => Test::Source(vec![net]),
            AddressOf::Destination => Test::Destination(vec![net]),
        });
    }
    let (value, mask) = masked_address(text)?;
    Some(Test::Field { field: Field::Ip(of), mask, within: vec![(value, value)] })
}

/// An address as a number: 32 bits or 128.
pub(crate) fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// `low-high`.
pub(crate) fn ip_range(text: &str) -> Option<(IpAddr, IpAddr)> {
    let (low, high) = text.split_once('-')?;
    Some((low.parse().ok()?, high.parse().ok()?))
}

/// `port` or `low<separator>high`. An open side means the end of the range.
pub(crate) fn ports(text: &str, separator: char) -> Option<(u16, u16)> {
    let Some((low, high)) = text.split_once(separator) else {
        let port = text.parse().ok()?;
        return Some((port, port));
    };
    let low = if low.is_empty() { 0 } else { low.parse().ok()? };
    let high = if high.is_empty() { u16::MAX } else { high.parse().ok()? };
    Some((low, high))
}

/// `1,2,3:5`.
pub(crate) fn port_list(text: &str) -> Option<Vec<(u16, u16)>> {
    text.split(',').map(|part| ports(part, ':')).collect()
}

/// A decimal or `0x` number.
pub(crate) fn number(text: &str) -> Option<u32> {
    match text.strip_prefix("0x") {
        Some(hex) => u32::from_str_radix(hex, 16).ok(),
        None => text.parse().ok(),
    }
}

/// `value` or `value/mask`.
pub(crate) fn masked_number(text: &str) -> Option<(u32, u32)> {
    match text.split_once('/') {
        Some((value, mask)) => Some((number(value)?, number(mask)?)),
        None => Some((number(text)?, u32::MAX)),
    }
}

/// `mac` or `mac/mask`.
pub(crate) fn masked_mac(text: &str) -> Option<(Mac, Mac)> {
    match text.split_once('/') {
        Some((mac, mask)) => Some((mac.parse().ok()?, mask.parse().ok()?)),
        None => Some((text.parse().ok()?, Mac::BROADCAST)),
    }
}

/// IP protocol numbers by the names that iptables, ebtables and nft print: those built into
/// libxtables (`xtables_chain_protos`), else those of `/etc/protocols` (IANA's).
const PROTOCOLS: [(&str, u8); 48] = [
    ("tcp", 6),
    ("udp", 17),
    ("icmp", 1),
    ("ipv6-icmp", 58),
    ("icmpv6", 58),
    ("sctp", 132),
    ("dccp", 33),
    ("udplite", 136),
    ("esp", 50),
    ("ah", 51),
    ("gre", 47),
    ("igmp", 2),
    ("ipencap", 4),
    ("ipv4", 4),
    ("ipip", 94),
    ("ipv6", 41),
    ("ipv6-route", 43),
    ("ipv6-frag", 44),
    ("ipv6-nonxt", 59),
    ("ipv6-opts", 60),
    ("ipv6-mh", 135),
    ("mobility-header", 135),
    ("mh", 135),
    ("ipcomp", 108),
    ("comp", 108),
    ("ospf", 89),
    ("ospfigp", 89),
    ("pim", 103),
    ("vrrp", 112),
    ("carp", 112),
    ("l2tp", 115),
    ("eigrp", 88),
    ("egp", 8),
    ("igp", 9),
    ("st", 5),
    ("ggp", 3),
    ("pup", 12),
    ("hmp", 20),
    ("rdp", 27),
    ("idrp", 45),
    ("rsvp", 46),
    ("encap", 98),
    ("etherip", 97),
    ("isis", 124),
    ("fc", 133),
    ("mpls-in-ip", 137),
    ("hip", 139),
    ("shim6", 140),
];

/// An IP protocol by name or number.
pub(crate) fn protocol(text: &str) -> Option<u8> {
    let named = PROTOCOLS.iter().find(|(name, _)| *name == text).map(|(_, number)| *number);
    named.or_else(|| text.parse().ok())
}

/// The name by which iptables prints a protocol, where it has one.
pub(crate) fn protocol_name(number: u8) -> Option<&'static str> {
    PROTOCOLS.iter().find(|(_, known)| *known == number).map(|(name, _)| *name)
}

/// `FIN,SYN`, `ALL`, `NONE` as bits of the TCP header's flags octet.
pub(crate) fn tcp_flags<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<u8> {
    names.into_iter().try_fold(0, |bits, name| Some(bits | tcp_flag(name)?))
}

fn tcp_flag(name: &str) -> Option<u8> {
    Some(match name.to_ascii_lowercase().as_str() {
        "fin" => 0x01,
        "syn" => 0x02,
        "rst" => 0x04,
        "psh" => 0x08,
        "ack" => 0x10,
        "urg" => 0x20,
        "ecn" => 0x40,
        "cwr" => 0x80,
        "all" => 0x3f,
        "none" => 0,
        _ => return None,
    })
}

/// Conntrack states by iptables' or nft's names.
pub(crate) fn ct_states<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<CtStates> {
    let mut states = CtStates::default();
    for name in names {
        let state = match name.to_ascii_lowercase().as_str() {
            "invalid" => &mut states.invalid,
            "new" => &mut states.new,
            "established" => &mut states.established,
            "related" => &mut states.related,
            "untracked" => &mut states.untracked,
            "dnat" => &mut states.dnat,
            "snat" => &mut states.snat,
            _ => return None,
        };
        *state = true;
    }
    Some(states)
}

/// Conntrack's status bits (`IPS_*`) that iptables names.
pub(crate) const CT_STATUS: [(&str, u128); 5] =
    [("NONE", 0), ("EXPECTED", 1), ("SEEN_REPLY", 2), ("ASSURED", 4), ("CONFIRMED", 8)];

/// `SEEN_REPLY,ASSURED` as bits; `NONE` stands for none at all.
pub(crate) fn ct_status<'a>(names: impl IntoIterator<Item = &'a str>) -> Option<u128> {
    let bit = |name| CT_STATUS.iter().find(|(known, _)| *known == name).map(|(_, bit)| *bit);
    names.into_iter().try_fold(0, |bits, name| Some(bits | bit(name)?))
}

/// A DSCP class (`CS1`, `AF11`, `BE`, `EF`) as its code point (RFC 2474, RFC 2597, RFC 3246).
pub(crate) fn dscp_class(name: &str) -> Option<u8> {
    let name = name.to_ascii_uppercase();
    let digit = |c: Option<char>, last| c?.to_digit(10).filter(|d| *d <= last);
    let mut rest = name.chars().skip(2);
    let number = match name.get(..2)? {
        "BE" => 0,
        "EF" => 46,
        "CS" => digit(rest.next(), 7)? * 8,
        "AF" => digit(rest.next(), 4).filter(|d| *d > 0)? * 8 + digit(rest.next(), 3).filter(|d| *d > 0)? * 2,
        _ => return None,
    };
    if rest.next().is_some() { None } else { u8::try_from(number).ok() }
}

/// ICMP types by iptables' and nft's names (iptables `libxt_icmp.h`, nft `datatype.c`).
const ICMP_TYPES: [(&str, u8); 17] = [
    ("echo-reply", 0),
    ("pong", 0),
    ("destination-unreachable", 3),
    ("source-quench", 4),
    ("redirect", 5),
    ("echo-request", 8),
    ("ping", 8),
    ("router-advertisement", 9),
    ("router-solicitation", 10),
    ("time-exceeded", 11),
    ("ttl-exceeded", 11),
    ("parameter-problem", 12),
    ("timestamp-request", 13),
    ("timestamp-reply", 14),
    ("info-request", 15),
    ("address-mask-request", 17),
    ("address-mask-reply", 18),
];

/// ICMP types that carry a code in their name (`icmp_codes` in iptables' `libxt_icmp.h`; ipset's
/// `icmp.c` has the same).
const ICMP_CODES: [(&str, u8, u8); 25] = [
    ("network-unreachable", 3, 0),
    ("host-unreachable", 3, 1),
    ("protocol-unreachable", 3, 2),
    ("port-unreachable", 3, 3),
    ("fragmentation-needed", 3, 4),
    ("source-route-failed", 3, 5),
    ("network-unknown", 3, 6),
    ("host-unknown", 3, 7),
    ("network-prohibited", 3, 9),
    ("host-prohibited", 3, 10),
    ("TOS-network-unreachable", 3, 11),
    ("TOS-host-unreachable", 3, 12),
    ("communication-prohibited", 3, 13),
    ("host-precedence-violation", 3, 14),
    ("precedence-cutoff", 3, 15),
    ("network-redirect", 5, 0),
    ("host-redirect", 5, 1),
    ("TOS-network-redirect", 5, 2),
    ("TOS-host-redirect", 5, 3),
    ("ttl-zero-during-transit", 11, 0),
    ("ttl-exceeded-transit", 11, 0),
    ("ttl-zero-during-reassembly", 11, 1),
    ("ttl-exceeded-reassembly", 11, 1),
    ("ip-header-bad", 12, 0),
    ("required-option-missing", 12, 1),
];

/// The same of ICMPv6.
const ICMPV6_CODES: [(&str, u8, u8); 9] = [
    ("no-route", 1, 0),
    ("communication-prohibited", 1, 1),
    ("address-unreachable", 1, 3),
    ("port-unreachable", 1, 4),
    ("ttl-zero-during-transit", 3, 0),
    ("ttl-zero-during-reassembly", 3, 1),
    ("bad-header", 4, 0),
    ("unknown-header-type", 4, 1),
    ("unknown-option", 4, 2),
];

/// ICMPv6 types by iptables' and nft's names.
const ICMPV6_TYPES: [(&str, u8); 22] = [
    ("destination-unreachable", 1),
    ("packet-too-big", 2),
    ("time-exceeded", 3),
    ("parameter-problem", 4),
    ("echo-request", 128),
    ("echo-reply", 129),
    ("mld-listener-query", 130),
    ("mld-listener-report", 131),
    ("mld-listener-done", 132),
    ("router-solicitation", 133),
    ("nd-router-solicit", 133),
    ("router-advertisement", 134),
    ("nd-router-advert", 134),
    ("neighbour-solicitation", 135),
    ("neighbor-solicitation", 135),
    ("nd-neighbor-solicit", 135),
    ("neighbour-advertisement", 136),
    ("neighbor-advertisement", 136),
    ("nd-neighbor-advert", 136),
    ("redirect", 137),
    ("nd-redirect", 137),
    ("mld2-listener-report", 143),
];

/// A type, or `type/code`, by number or name.
pub(crate) fn icmp(text: &str) -> Option<(u8, Option<u8>)> {
    icmp_of(&ICMP_TYPES, &ICMP_CODES, text)
}

/// The same for ICMPv6.
pub(crate) fn icmpv6(text: &str) -> Option<(u8, Option<u8>)> {
    icmp_of(&ICMPV6_TYPES, &ICMPV6_CODES, text)
}

fn icmp_of(types: &[(&str, u8)], codes: &[(&str, u8, u8)], text: &str) -> Option<(u8, Option<u8>)> {
    if let Some((_, kind, code)) = codes.iter().find(|(name, ..)| *name == text) {
        return Some((*kind, Some(*code)));
    }
    if let Some((_, kind)) = types.iter().find(|(name, _)| *name == text) {
        return Some((*kind, None));
    }
    match text.split_once('/') {
        Some((kind, code)) => Some((kind.parse().ok()?, Some(code.parse().ok()?))),
        None => Some((text.parse().ok()?, None)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_in_every_form() {
        assert_eq!(net("10.0.0.1").unwrap().to_string(), "10.0.0.1/32");
        assert_eq!(net("10.0.0.0/255.255.0.0").unwrap().to_string(), "10.0.0.0/16");
        assert_eq!(net("2001:db8::/32").unwrap().to_string(), "2001:db8::/32");
        for bad in ["1.0.3.0/255.0.255.0", "10.0.0.0/33", "", "a/8", "2001::/ffff::ffff"] {
            assert_eq!(net(bad), None, "{bad}");
        }
    }

    #[test]
    fn classes_are_code_points() {
        let points = ["BE", "CS0", "CS7", "AF11", "AF43", "ef"].map(dscp_class);
        assert_eq!(points, [Some(0), Some(0), Some(56), Some(10), Some(38), Some(46)]);
        assert_eq!(["AF51", "AF10", "CS8", "CS", "EFX", "\u{e9}"].map(dscp_class), [None; 6]);
    }

    #[test]
    fn masks_with_holes_are_bits() {
        assert_eq!(masked_address("1.2.3.4/255.0.255.0"), Some((0x0100_0300, 0xff00_ff00)));
        assert_eq!(masked_address("10.0.0.1"), Some((0x0a00_0001, 0xffff_ffff)));
        assert_eq!(masked_address("::1/ffff::"), Some((0, 0xffff << 112)));
        assert_eq!(masked_address("10.0.0.1/ffff::"), None);
    }

    #[test]
    fn port_ranges_may_be_open() {
        assert_eq!(ports(":1024", ':'), Some((0, 1024)));
        assert_eq!(ports("1024:", ':'), Some((1024, 65535)));
        assert_eq!(port_list("1,2,3:5"), Some(vec![(1, 1), (2, 2), (3, 5)]));
        assert_eq!(port_list("1,"), None);
        assert_eq!(ports("65536", ':'), None);
    }

    #[test]
    fn icmp_by_number_and_name() {
        assert_eq!(icmp("3/1"), Some((3, Some(1))));
        assert_eq!(icmp("host-prohibited"), Some((3, Some(10))));
        assert_eq!(icmp("echo-request"), Some((8, None)));
        assert_eq!(icmpv6("echo-request"), Some((128, None)));
        assert_eq!(icmp("256"), None);
    }
}
