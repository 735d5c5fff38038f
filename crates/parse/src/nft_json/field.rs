//! What a condition looks at (libnftables-json(5), EXPRESSIONS) as a field of the model, with what nft
//! demands of the packet first and does not print (`nft --debug=netlink` shows it).

use model::netfilter::{
    AddressOf, Because, CtTuple, Family, FibQuestion, FibResult, Field, Match, Side, Test,
};
use serde_json::Value;

use super::constant::Kind;
use super::names;
use crate::iptables_save::values;

pub(super) const IPV4: u16 = 0x0800;
pub(super) const ARP: u16 = 0x0806;
pub(super) const IPV6: u16 = 0x86dd;

/// A field, and what its constants are.
#[derive(Debug, Clone)]
pub(super) struct Looked {
    pub(super) field: Field,
    pub(super) kind: Kind,
    /// Conditions that hold before the field is looked at.
    pub(super) demands: Vec<Test>,
}

/// What is not modelled, but still demands something.
#[derive(Debug, Clone, Default)]
pub(super) struct Unknown {
    pub(super) demands: Vec<Test>,
    /// Why nobody could tell; `None` where hopline just does not know it.
    pub(super) because: Option<Because>,
}

type Answer = Result<Looked, Unknown>;

fn looked(field: Field, kind: Kind, demands: Vec<Test>) -> Looked {
    Looked { field, kind, demands }
}

fn unknown(because: Because) -> Answer {
    Err(Unknown { demands: Vec::new(), because: Some(because) })
}

fn not_modelled() -> Answer {
    Err(Unknown::default())
}

/// The field that the expression says. `before` are the rule's conditions so far.
pub(super) fn looked_at(family: Family, expression: &Value, before: &[Match]) -> Answer {
    let Some((kind, body)) = expression.as_object().and_then(|map| map.iter().next()) else {
        return not_modelled();
    };
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    match kind.as_str() {
        "payload" => match (word("protocol"), word("field"), word("tunnel")) {
            (Some(protocol), Some(field), None) => payload(family, protocol, field, before),
            _ => unknown(Because::Payload),
        },
        "meta" => meta(family, word("key").unwrap_or_default()),
        "ct" => ct(family, word("key").unwrap_or_default(), word("dir")),
        "fib" => fib(body),
        "rt" => route(family, word("key").unwrap_or_default(), word("family")),
        "tcp option" => Err(Unknown { demands: vec![Test::Protocol(TCP)], because: Some(Because::Payload) }),
        "exthdr" | "ip option" | "sctp chunk" | "dccp option" => unknown(Because::Payload),
        "numgen" | "jhash" | "symhash" => unknown(Because::Chance),
        "socket" => unknown(Because::Socket),
        "osf" | "ipsec" => unknown(Because::Machine),
        _ => not_modelled(),
    }
}

const TCP: u8 = 6;

/// Families whose chains see more than one network protocol.
pub(super) fn ether_type(family: Family, number: u16) -> Vec<Test> {
    match family {
        Family::Inet | Family::Bridge | Family::Netdev => vec![Test::EtherType(number)],
        Family::Ip | Family::Ip6 | Family::Arp => Vec::new(),
    }
}

fn end(source: bool) -> AddressOf {
    if source { AddressOf::Source } else { AddressOf::Destination }
}

fn payload(family: Family, protocol: &str, field: &str, before: &[Match]) -> Answer {
    match protocol {
        "ip" => ip(family, field),
        "ip6" => ip6(family, field),
        "ether" => match field {
            "saddr" | "daddr" => Ok(looked(Field::Ether(end(field == "saddr")), Kind::Mac, Vec::new())),
            "type" => Ok(looked(Field::EtherType, Kind::Number(16, names::ETHER_TYPES), Vec::new())),
            _ => not_modelled(),
        },
        "vlan" if field == "id" => Ok(looked(Field::Vlan, Kind::Number(12, &[]), Vec::new())),
        "vlan" => {
            let tagged = Test::Field { field: Field::Vlan, mask: 0xfff, within: vec![(0, 0xfff)] };
            Err(Unknown { demands: vec![tagged], because: Some(Because::Payload) })
        }
        "arp" => arp(family, field),
        "icmp" | "icmpv6" => icmp(protocol == "icmp", field),
        "th" => {
            // Without a known protocol these are just the first octets after the IP header.
            let is_known = before.iter().any(|m| !m.negated && has_ports(&m.test));
            match field {
                "sport" | "dport" if is_known => Ok(port(field, Vec::new())),
                _ => unknown(Because::Payload),
            }
        }
        "tcp" | "udp" | "udplite" | "sctp" | "dccp" => {
            let demands: Vec<Test> = values::protocol(protocol).map(Test::Protocol).into_iter().collect();
            match (protocol, field) {
                (_, "sport" | "dport") => Ok(port(field, demands)),
                ("tcp", "flags") => Ok(looked(Field::TcpFlags, Kind::Flags(8, names::TCP_FLAGS), demands)),
                _ => Err(Unknown { demands, because: Some(Because::Payload) }),
            }
        }
        _ => {
            let demands = values::protocol(protocol).map(Test::Protocol).into_iter().collect();
            Err(Unknown { demands, because: Some(Because::Payload) })
        }
    }
}

fn port(field: &str, demands: Vec<Test>) -> Looked {
    looked(Field::Port(end(field == "sport")), Kind::Number(16, &[]), demands)
}

fn has_ports(test: &Test) -> bool {
    let ported = |number: &u8| [6, 17, 33, 132, 136].contains(number);
    match test {
        Test::Protocol(number) => ported(number),
        Test::Protocols(numbers) => numbers.iter().all(ported),
        _ => false,
    }
}

fn ip(family: Family, field: &str) -> Answer {
    let demands = ether_type(family, IPV4);
    match field {
        "saddr" | "daddr" => Ok(looked(Field::Ip(end(field == "saddr")), Kind::V4, demands)),
        "protocol" => Ok(looked(Field::Protocol, Kind::Protocol, demands)),
        "ttl" => Ok(looked(Field::Ttl, Kind::Number(8, &[]), demands)),
        "length" => Ok(looked(Field::Length, Kind::Number(16, &[]), demands)),
        "dscp" => Ok(looked(Field::Dscp, Kind::Number(6, names::DSCPS), demands)),
        _ => Err(Unknown { demands, because: Some(Because::Payload) }),
    }
}

fn ip6(family: Family, field: &str) -> Answer {
    let demands = ether_type(family, IPV6);
    match field {
        "saddr" | "daddr" => Ok(looked(Field::Ip(end(field == "saddr")), Kind::V6, demands)),
        // Of a packet without extension headers; those that the walk imagines have none.
        "nexthdr" => Ok(looked(Field::Protocol, Kind::Protocol, demands)),
        "hoplimit" => Ok(looked(Field::Ttl, Kind::Number(8, &[]), demands)),
        "dscp" => Ok(looked(Field::Dscp, Kind::Number(6, names::DSCPS), demands)),
        _ => Err(Unknown { demands, because: Some(Because::Payload) }),
    }
}

fn arp(family: Family, field: &str) -> Answer {
    let demands = ether_type(family, ARP);
    match field {
        "operation" => Ok(looked(Field::ArpOperation, Kind::Number(16, names::ARP_OPERATIONS), demands)),
        "saddr ip" | "daddr ip" => Ok(looked(Field::ArpIp(end(field == "saddr ip")), Kind::V4, demands)),
        "saddr ether" | "daddr ether" => {
            Ok(looked(Field::ArpEther(end(field == "saddr ether")), Kind::Mac, demands))
        }
        _ => Err(Unknown { demands, because: None }),
    }
}

fn icmp(is_v4: bool, field: &str) -> Answer {
    let demands = vec![Test::Protocol(if is_v4 { 1 } else { 58 })];
    match (field, is_v4) {
        ("type", true) => Ok(looked(Field::IcmpType, Kind::Number(8, names::ICMP_TYPES), demands)),
        ("type", false) => Ok(looked(Field::IcmpType, Kind::Number(8, names::ICMP6_TYPES), demands)),
        ("code", true) => Ok(looked(Field::IcmpCode, Kind::Number(8, names::ICMP_CODES), demands)),
        ("code", false) => Ok(looked(Field::IcmpCode, Kind::Number(8, names::ICMP6_CODES), demands)),
        _ => Err(Unknown { demands, because: Some(Because::Payload) }),
    }
}

fn meta(family: Family, key: &str) -> Answer {
    let is_ip = matches!(family, Family::Ip | Family::Ip6 | Family::Inet);
    match key {
        "iif" | "iifname" => Ok(looked(Field::In, Kind::Link, Vec::new())),
        "oif" | "oifname" => Ok(looked(Field::Out, Kind::Link, Vec::new())),
        "ibrname" | "ibridgename" => Ok(looked(Field::LogicalIn, Kind::Link, Vec::new())),
        "obrname" | "obridgename" => Ok(looked(Field::LogicalOut, Kind::Link, Vec::new())),
        "l4proto" => Ok(looked(Field::Protocol, Kind::Protocol, Vec::new())),
        "protocol" => Ok(looked(Field::EtherType, Kind::Number(16, names::ETHER_TYPES), Vec::new())),
        "nfproto" => Ok(looked(Field::NfProto, Kind::Number(8, names::NF_PROTOCOLS), Vec::new())),
        "mark" => Ok(looked(Field::Mark, Kind::Number(32, &[]), Vec::new())),
        "pkttype" => Ok(looked(Field::PacketType, Kind::Number(8, names::PACKET_TYPES), Vec::new())),
        // Frames may be longer than the packet in them, and not all hold one.
        "length" => {
            let field = if is_ip { Field::Length } else { Field::FrameLength };
            Ok(looked(field, Kind::Number(32, &[]), Vec::new()))
        }
        "iiftype" | "oiftype" => {
            let side = if key == "iiftype" { Side::In } else { Side::Out };
            Ok(looked(Field::LinkType(side), Kind::Number(16, names::LINK_TYPES), Vec::new()))
        }
        "skuid" | "skgid" | "cgroup" => unknown(Because::Socket),
        // What of traffic control: sockets, the type of service and other rules decide it.
        "priority" => unknown(Because::Machine),
        "cpu" | "iifgroup" | "oifgroup" | "ipsec" | "secpath" => unknown(Because::Machine),
        "time" | "day" | "hour" => unknown(Because::Time),
        "random" | "prandom" => unknown(Because::Chance),
        _ => not_modelled(),
    }
}

fn ct(family: Family, key: &str, direction: Option<&str>) -> Answer {
    let reply = direction == Some("reply");
    let tuple = |of, port| Field::Ct(CtTuple { reply, of, port });
    match (key, direction) {
        ("state", None) => Ok(looked(Field::CtState, Kind::Flags(32, names::STATES), Vec::new())),
        ("status", None) => Ok(looked(Field::CtStatus, Kind::Flags(32, names::STATUSES), Vec::new())),
        ("direction", None) => Ok(looked(Field::CtDirection, Kind::Number(8, names::DIRECTIONS), Vec::new())),
        ("mark", None) => Ok(looked(Field::CtMark, Kind::Number(32, &[]), Vec::new())),
        ("zone", None) => Ok(looked(Field::CtZone, Kind::Number(16, &[]), Vec::new())),
        ("protocol", _) => Ok(looked(Field::CtProtocol, Kind::Protocol, Vec::new())),
        ("l3proto", _) if matches!(family, Family::Ip | Family::Ip6 | Family::Inet) => {
            Ok(looked(Field::NfProto, Kind::Number(8, names::NF_PROTOCOLS), vec![has_connection()]))
        }
        ("ip saddr" | "ip daddr", Some(_)) => {
            Ok(looked(tuple(end(key == "ip saddr"), false), Kind::V4, ether_type(family, IPV4)))
        }
        ("ip6 saddr" | "ip6 daddr", Some(_)) => {
            Ok(looked(tuple(end(key == "ip6 saddr"), false), Kind::V6, ether_type(family, IPV6)))
        }
        // Without its family in JSON of nft 1.0.6; those of IP and IPv6 tables are clear.
        ("saddr" | "daddr", Some(_)) if family == Family::Ip => {
            Ok(looked(tuple(end(key == "saddr"), false), Kind::V4, Vec::new()))
        }
        ("saddr" | "daddr", Some(_)) if family == Family::Ip6 => {
            Ok(looked(tuple(end(key == "saddr"), false), Kind::V6, Vec::new()))
        }
        ("proto-src" | "proto-dst", Some(_)) => {
            Ok(looked(tuple(end(key == "proto-src"), true), Kind::Number(16, &[]), Vec::new()))
        }
        ("bytes" | "packets" | "avgpkt", _) => unknown(Because::Rate),
        ("expiration", _) => unknown(Because::Time),
        ("helper" | "label" | "event" | "id" | "secmark", _) => unknown(Because::History),
        _ => not_modelled(),
    }
}

/// What routing chose. The kernel asks for the family itself (`nft_rt_get_eval`).
fn route(family: Family, key: &str, of: Option<&str>) -> Answer {
    match (key, of, family) {
        ("nexthop", Some("ip"), _) | ("nexthop", None, Family::Ip) => {
            Ok(looked(Field::NextHop, Kind::V4, ether_type(family, IPV4)))
        }
        ("nexthop", Some("ip6"), _) | ("nexthop", None, Family::Ip6) => {
            Ok(looked(Field::NextHop, Kind::V6, ether_type(family, IPV6)))
        }
        ("classid" | "ipsec", _, _) => unknown(Because::Machine),
        ("mtu", _, _) => unknown(Because::Payload),
        _ => not_modelled(),
    }
}

/// A packet without a connection fails what is asked of it.
pub(super) fn has_connection() -> Test {
    Test::Field { field: Field::CtDirection, mask: 1, within: vec![(0, 1)] }
}

/// Which look-up is made for an address (`nft_fib.c`).
fn fib(body: &Value) -> Answer {
    let flags = body.get("flags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let has = |flag: &str| flags.iter().any(|known| known.as_str() == Some(flag));
    let of = match (has("saddr"), has("daddr")) {
        (true, false) => AddressOf::Source,
        (false, true) => AddressOf::Destination,
        (true, true) | (false, false) => return not_modelled(),
    };
    let link = match (has("iif"), has("oif")) {
        (true, false) => Some(Side::In),
        (false, true) => Some(Side::Out),
        (false, false) => None,
        (true, true) => return not_modelled(),
    };
    let known = 1 + usize::from(link.is_some()) + usize::from(has("mark"));
    let (result, kind) = match body.get("result").and_then(Value::as_str) {
        Some("type") => (FibResult::Type, Kind::Number(32, names::ADDRESS_TYPES)),
        Some("oif" | "oifname") => (FibResult::Link, Kind::Link),
        Some("check") => (FibResult::Present, Kind::Present),
        Some(_) | None => return not_modelled(),
    };
    if known != flags.len() {
        return not_modelled();
    }
    Ok(looked(Field::Fib(FibQuestion { of, link, mark: has("mark"), result }), kind, Vec::new()))
}
