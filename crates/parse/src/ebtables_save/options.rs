//! Matches of ebtables(8) as tests.

use model::Mac;
use model::netfilter::{AddressOf, Because, Dialect, Element, Elements, Field, Lookup, Match, Part, Test};

use crate::arp;
use crate::iptables_save::values;
use crate::iptables_save::words::Words;

/// Which dump an option stands in, and where.
#[derive(Clone, Copy)]
pub(super) struct Context {
    pub(super) dialect: Dialect,
    /// The rule's `-p`, which precedes what hangs on it.
    pub(super) ether_type: Option<u16>,
}

/// Reads the arguments of an option: one condition mostly. `None` where it is not modelled.
pub(super) fn read(
    option: &str,
    negated: bool,
    context: Context,
    words: &mut Words<'_>,
) -> Option<Vec<Match>> {
    if option == "--arp-gratuitous" {
        return Some(vec![Match { negated, test: Test::ArpGratuitous }]);
    }
    let value = words.value()?;
    // No imagined frame is a BPDU, which the kernel asks for first (`ebt_stp_mt`).
    if option.starts_with("--stp-") {
        return Some(vec![arp::known(false, false)]);
    }
    match option {
        "--ip-icmp-type" => icmp(&value, negated, values::icmp),
        "--ip6-icmp-type" => icmp(&value, negated, values::icmpv6),
        // What a tag holds; a frame without one fails it (`ebt_vlan_mt`).
        "--vlan-encap" | "--vlan-prio" => {
            let sign = if negated { "! " } else { "" };
            let tagged = Match { negated: false, test: range(Field::Vlan, 0xfff, 0, 0xfff) };
            let held = Test::Unpredictable(format!("{option} {sign}{value}"), Because::Payload);
            Some(vec![tagged, Match { negated: false, test: held }])
        }
        "--ip-tos" | "--ip6-tclass" => service(option, &value, negated),
        // What an imagined ARP packet is of: Ethernet and IPv4 (RFC 826).
        "--arp-htype" => Some(vec![arp::known(values::number(&value)? == 1, negated)]),
        "--arp-ptype" => Some(vec![arp::known(ether_type(&value)? == 0x0800, negated)]),
        "--among-src" => Some(vec![Match { negated, test: among(AddressOf::Source, &value, context)? }]),
        "--among-dst" => Some(vec![Match { negated, test: among(AddressOf::Destination, &value, context)? }]),
        _ => Some(vec![Match { negated, test: test(option, &value)? }]),
    }
}

fn test(option: &str, value: &str) -> Option<Test> {
    Some(match option {
        "-i" | "--in-interface" => Test::In(value.to_owned()),
        "-o" | "--out-interface" => Test::Out(value.to_owned()),
        "--logical-in" => Test::LogicalIn(value.to_owned()),
        "--logical-out" => Test::LogicalOut(value.to_owned()),
        "-s" => mac(value).map(|(mac, mask)| Test::EtherSource(mac, mask))?,
        "-d" => mac(value).map(|(mac, mask)| Test::EtherDestination(mac, mask))?,
        // Below 1536 it is a length, and the frame of 802.3 (`eth_proto_is_802_3`).
        "-p" if value.eq_ignore_ascii_case("length") => range(Field::EtherType, 0xffff, 0, 0x5ff),
        "-p" => Test::EtherType(ether_type(value)?),
        "--ip-src" | "--ip-source" | "--ip6-src" | "--ip6-source" => {
            values::address_test(AddressOf::Source, value)?
        }
        "--ip-dst" | "--ip-destination" | "--ip6-dst" | "--ip6-destination" => {
            values::address_test(AddressOf::Destination, value)?
        }
        "--ip-proto" | "--ip-protocol" | "--ip6-proto" | "--ip6-protocol" => {
            Test::Protocol(values::protocol(value)?)
        }
        "--ip-sport" | "--ip-source-port" | "--ip6-sport" | "--ip6-source-port" => {
            Test::SourcePort(vec![values::ports(value, ':')?])
        }
        "--ip-dport" | "--ip-destination-port" | "--ip6-dport" | "--ip6-destination-port" => {
            Test::DestinationPort(vec![values::ports(value, ':')?])
        }
        "--arp-op" | "--arp-opcode" => Test::ArpOperation(arp::operation(value)?),
        "--arp-ip-src" => arp::address(AddressOf::Source, value)?,
        "--arp-ip-dst" => arp::address(AddressOf::Destination, value)?,
        "--arp-mac-src" => mac(value).map(|(mac, mask)| Test::ArpSourceMac(mac, mask))?,
        "--arp-mac-dst" => mac(value).map(|(mac, mask)| Test::ArpTargetMac(mac, mask))?,
        "--mark" => mark(value)?,
        "--pkttype-type" => {
            let kind = packet_type(value)?;
            range(Field::PacketType, 0xff, kind, kind)
        }
        "--vlan-id" => {
            let id = values::number(value)?.into();
            range(Field::Vlan, 0xfff, id, id)
        }
        _ => return None,
    })
}

fn range(field: Field, mask: u128, low: u128, high: u128) -> Test {
    Test::Field { field, mask, within: vec![(low, high)] }
}

/// An ICMP type, and a code where one is meant.
type TypeAndCode = (u8, Option<u8>);

/// `type`, `low:high`, each also with `/code` or `/low:high`; or a name. A `!` denies both together, also in
/// nf_tables, where ebtables asks by the same match (`ebt_ip_mt`), whatever nft lists.
fn icmp(text: &str, negated: bool, named: fn(&str) -> Option<TypeAndCode>) -> Option<Vec<Match>> {
    let ends = |text: &str| -> Option<(u8, u8)> {
        let (low, high) = text.split_once(':').unwrap_or((text, text));
        Some((low.parse().ok()?, high.parse().ok()?))
    };
    let (kinds, codes) = if let Some((kind, code)) = named(text) {
        ((kind, kind), code.map_or((0, u8::MAX), |code| (code, code)))
    } else {
        let (kinds, codes) = text.split_once('/').unwrap_or((text, "0:255"));
        (ends(kinds)?, ends(codes)?)
    };
    let every_code = codes == (0, u8::MAX);
    let of =
        |field, (low, high): (u8, u8)| Match { negated, test: range(field, 0xff, low.into(), high.into()) };
    Some(match (kinds.0 == kinds.1, every_code) {
        (true, true) => vec![Match { negated, test: Test::Icmp(kinds.0, None) }],
        (false, true) => vec![of(Field::IcmpType, kinds)],
        (true, false) => vec![Match { negated, test: Test::Icmp(kinds.0, Some(codes)) }],
        (false, false) if negated => return None,
        (false, false) => vec![of(Field::IcmpType, kinds), of(Field::IcmpCode, codes)],
    })
}

/// The whole octet, of which the lowest two bits, congestion notification, are nobody's to tell.
fn service(option: &str, text: &str, negated: bool) -> Option<Vec<Match>> {
    let octet = values::number(text).filter(|octet| *octet <= 0xff)?;
    let unpredictable =
        |text: String| Match { negated: false, test: Test::Unpredictable(text, Because::Payload) };
    if negated {
        return Some(vec![unpredictable(format!("{option} ! {text}"))]);
    }
    let point = u128::from(octet >> 2);
    let dscp = Match { negated, test: range(Field::Dscp, 0x3f, point, point) };
    Some(vec![dscp, unpredictable(format!("{option} {text} (its last two bits)"))])
}

/// `mac[=ip],...`: pairs of Ethernet and IP address, of ARP the one in the packet; without an address
/// any will do (`ebt_among_mt`).
fn among(of: AddressOf, text: &str, context: Context) -> Option<Test> {
    let mut elements = Vec::new();
    for member in text.split(',').filter(|member| !member.is_empty()) {
        let (mac, ip) = member.split_once('=').map_or((member, None), |(mac, ip)| (mac, Some(ip)));
        let mac: Mac = mac.parse().ok()?;
        let number = mac.0.iter().fold(0, |sum, octet| sum << 8 | u128::from(*octet));
        let ip = match ip {
            Some(ip) => {
                let (ip, _) = values::masked_address(ip)?;
                Some(Part::Range(ip, ip))
            }
            None => None,
        };
        elements.push((Part::Range(number, number), ip));
    }
    let mut fields = vec![Field::Ether(of)];
    let with_addresses = elements.iter().any(|(_, ip)| ip.is_some());
    if with_addresses {
        fields.push(match (context.ether_type?, context.dialect) {
            (0x0800, _) => Field::Ip(of),
            (0x0806, Dialect::EbtablesLegacy) => Field::ArpIp(of),
            // ebtables-nft takes the bytes that IPv4 would have there, whatever the packet.
            _ => return None,
        });
    }
    let element = |(mac, ip): (Part, Option<Part>)| {
        let ip = with_addresses.then(|| ip.unwrap_or(Part::Any));
        Element { key: std::iter::once(mac).chain(ip).collect(), excluded: false, data: None }
    };
    let elements = elements.into_iter().map(element).collect();
    Some(Test::InSet(Lookup { fields, elements: Elements::Anonymous(elements) }))
}

/// `mac`, `mac/mask`, or one of the names that ebtables gives to some (ebtables(8), `-s`).
fn mac(text: &str) -> Option<(Mac, Mac)> {
    const GROUP: Mac = Mac([1, 0, 0, 0, 0, 0]);
    Some(match text {
        "Unicast" => (Mac::ZERO, GROUP),
        "Multicast" => (GROUP, GROUP),
        "Broadcast" => (Mac::BROADCAST, Mac::BROADCAST),
        "BGA" => (Mac([0x01, 0x80, 0xc2, 0, 0, 0]), Mac::BROADCAST),
        text => values::masked_mac(text)?,
    })
}

/// `value`, `value/mask`; or `/mask`, any of whose bits will do (`ebt_mark_mt`).
fn mark(text: &str) -> Option<Test> {
    match text.strip_prefix('/') {
        Some(bits) => Some(Test::AnyBit(Field::Mark, values::number(bits)?.into())),
        None => values::masked_number(text).map(|(value, mask)| Test::Mark { value, mask }),
    }
}

/// `PACKET_*` of `linux/if_packet.h` by ebtables' names.
fn packet_type(name: &str) -> Option<u128> {
    Some(match name {
        "host" => 0,
        "broadcast" => 1,
        "multicast" => 2,
        "otherhost" => 3,
        _ => return None,
    })
}

/// Names from `/etc/ethertypes`, hexadecimal numbers.
fn ether_type(text: &str) -> Option<u16> {
    Some(match text.to_ascii_lowercase().as_str() {
        "ipv4" | "ip" => 0x0800,
        "arp" => 0x0806,
        "rarp" => 0x8035,
        "802_1q" => 0x8100,
        "ipx" => 0x8137,
        "ipv6" => 0x86dd,
        "mpls" => 0x8847,
        "mpls_multi" => 0x8848,
        "ppp_disc" => 0x8863,
        "ppp_ses" => 0x8864,
        "eapol" => 0x888e,
        "s-tag" => 0x88a8,
        "lldp" => 0x88cc,
        number => {
            let digits = number.strip_prefix("0x").unwrap_or(number);
            u16::from_str_radix(digits, 16).ok()?
        }
    })
}
