//! Match statements (libnftables-json(5), EXPRESSIONS) as tests.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use model::Mac;
use model::netfilter::{AddrType, AddressOf, Family, Match, Test};
use serde_json::Value;

use crate::iptables_save::values;

const IPV4: u16 = 0x0800;
const ARP: u16 = 0x0806;
const IPV6: u16 = 0x86dd;

/// Compact JSON of statements, for what is not modelled.
pub(super) fn json(statements: &[Value]) -> String {
    let texts: Vec<String> = statements.iter().map(Value::to_string).collect();
    texts.join(" ")
}

/// How a match compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Operator {
    Equal,
    /// Any of the bits.
    In,
    NotEqual,
}

/// Adds one match statement's conditions: what nft itself demands of the packet first and does not
/// print (`nft --debug=netlink` shows it), then the condition.
pub(super) fn condition(family: Family, body: &Value, matches: &mut Vec<Match>) {
    let before = matches.len();
    if read(family, body, matches).is_none() {
        matches.truncate(before);
        let test = Test::Unmodelled(body.to_string());
        matches.push(Match { negated: false, test });
    }
}

fn read(family: Family, body: &Value, matches: &mut Vec<Match>) -> Option<()> {
    let operator = match body.get("op")?.as_str()? {
        "==" => Operator::Equal,
        "in" => Operator::In,
        "!=" => Operator::NotEqual,
        _ => return None,
    };
    let (left, right) = (body.get("left")?, body.get("right")?);
    let negated = operator == Operator::NotEqual;
    let (left, mask) = match left.get("&").and_then(Value::as_array).map(Vec::as_slice) {
        Some([left, mask]) => (left, Some(mask)),
        Some(_) => return None,
        None => (left, None),
    };
    // nft says `in` of sets of bits only.
    let is_bits = left.get("ct").is_some() || is_tcp_flags(left);
    if operator == Operator::In && !is_bits {
        return None;
    }
    if let Some(payload) = left.get("payload") {
        let protocol = payload.get("protocol")?.as_str()?;
        let field = payload.get("field")?.as_str()?;
        return payload_match(family, (protocol, field), (operator, mask, right), matches);
    }
    if let Some(meta) = left.get("meta") {
        return meta_match(family, meta.get("key")?.as_str()?, (negated, mask, right), matches);
    }
    if mask.is_some() {
        return None;
    }
    let test = if let Some(ct) = left.get("ct") {
        ct_test(ct, operator, right)?
    } else {
        fib_test(left.get("fib")?, right)?
    };
    matches.push(Match { negated, test });
    Some(())
}

fn is_tcp_flags(left: &Value) -> bool {
    let field = left.get("payload").and_then(|payload| payload.get("field"));
    field.and_then(Value::as_str) == Some("flags")
}

/// Demands a thing once.
fn demand(matches: &mut Vec<Match>, test: Test) {
    let demanded = Match { negated: false, test };
    if !matches.contains(&demanded) {
        matches.push(demanded);
    }
}

/// Families whose chains see more than one network protocol.
fn demand_ether_type(family: Family, number: u16, matches: &mut Vec<Match>) {
    match family {
        Family::Inet | Family::Bridge | Family::Netdev => demand(matches, Test::EtherType(number)),
        Family::Ip | Family::Ip6 | Family::Arp => {}
    }
}

type Comparison<'v> = (Operator, Option<&'v Value>, &'v Value);

fn payload_match(
    family: Family,
    (protocol, field): (&str, &str),
    (operator, mask, right): Comparison<'_>,
    matches: &mut Vec<Match>,
) -> Option<()> {
    let negated = operator == Operator::NotEqual;
    let test = match (protocol, field, mask) {
        ("ip" | "ip6", "saddr" | "daddr", None) => {
            demand_ether_type(family, if protocol == "ip" { IPV4 } else { IPV6 }, matches);
            address(field == "saddr", right)?
        }
        ("ip", "protocol", None) => {
            demand_ether_type(family, IPV4, matches);
            protocols(right)?
        }
        ("ether", "saddr", mask) => mac(right, mask).map(|(mac, mask)| Test::EtherSource(mac, mask))?,
        ("ether", "daddr", mask) => mac(right, mask).map(|(mac, mask)| Test::EtherDestination(mac, mask))?,
        ("ether", "type", None) => Test::EtherType(ether_type(only(right))?),
        ("arp", field, None) => {
            demand_ether_type(family, ARP, matches);
            arp(field, only(right))?
        }
        ("tcp", "flags", mask) => {
            demand(matches, Test::Protocol(6));
            tcp_flags(operator, mask, right)?
        }
        ("icmp" | "icmpv6", field, None) => return icmp((protocol, field), negated, right, matches),
        ("th", "sport" | "dport", None) => {
            // Without a known protocol these are just the first octets after the IP header.
            matches.iter().find(|m| !m.negated && has_ports(&m.test))?;
            port(field, right)?
        }
        (protocol, "sport" | "dport", None) => {
            let number = values::protocol(protocol).filter(|_| is_ported(protocol))?;
            demand(matches, Test::Protocol(number));
            port(field, right)?
        }
        _ => return None,
    };
    matches.push(Match { negated, test });
    Some(())
}

fn is_ported(protocol: &str) -> bool {
    matches!(protocol, "tcp" | "udp" | "udplite" | "sctp" | "dccp")
}

fn has_ports(test: &Test) -> bool {
    let ported = |number: &u8| [6, 17, 33, 132, 136].contains(number);
    match test {
        Test::Protocol(number) => ported(number),
        Test::Protocols(numbers) => numbers.iter().all(ported),
        _ => false,
    }
}

/// What a set of one element, which is how nft prints some values, comes to.
fn only(right: &Value) -> &Value {
    match elements(right) {
        Some([element]) => element,
        Some(_) | None => right,
    }
}

/// An anonymous set's elements.
fn elements(right: &Value) -> Option<&[Value]> {
    right.get("set")?.as_array().map(Vec::as_slice)
}

/// The elements, or the value alone.
fn elements_or_one(right: &Value) -> &[Value] {
    elements(right).unwrap_or(std::slice::from_ref(right))
}

fn address(is_source: bool, right: &Value) -> Option<Test> {
    if let Some((low, high)) = right.get("range").and_then(|_| address_range(right)) {
        let range = if is_source { Test::SourceRange } else { Test::DestinationRange };
        return Some(range(low, high));
    }
    let mut nets = Vec::new();
    for element in elements_or_one(right) {
        match net(element) {
            Some(net) => nets.push(net),
            None => nets.extend(subnets(address_range(element)?)?),
        }
    }
    Some(if is_source { Test::Source(nets) } else { Test::Destination(nets) })
}

/// An address or a prefix.
pub(super) fn net(value: &Value) -> Option<IpNet> {
    if let Some(prefix) = value.get("prefix") {
        let ip: IpAddr = prefix.get("addr")?.as_str()?.parse().ok()?;
        return IpNet::new(ip, u8::try_from(prefix.get("len")?.as_u64()?).ok()?).ok();
    }
    value.as_str()?.parse::<IpAddr>().ok().map(IpNet::from)
}

/// A range's ends.
pub(super) fn address_range(value: &Value) -> Option<(IpAddr, IpAddr)> {
    let [low, high] = value.get("range")?.as_array()?.as_slice() else { return None };
    Some((low.as_str()?.parse().ok()?, high.as_str()?.parse().ok()?))
}

fn subnets((low, high): (IpAddr, IpAddr)) -> Option<IpSubnets> {
    match (low, high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => Some(IpSubnets::V4(Ipv4Subnets::new(low, high, 0))),
        (IpAddr::V6(low), IpAddr::V6(high)) => Some(IpSubnets::V6(Ipv6Subnets::new(low, high, 0))),
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

fn port(field: &str, right: &Value) -> Option<Test> {
    let ranges = elements_or_one(right).iter().map(port_range).collect::<Option<Vec<_>>>()?;
    Some(if field == "sport" { Test::SourcePort(ranges) } else { Test::DestinationPort(ranges) })
}

/// A port, or a range's ends.
pub(super) fn port_range(value: &Value) -> Option<(u16, u16)> {
    let number = |value: &Value| u16::try_from(value.as_u64()?).ok();
    match value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        Some([low, high]) => Some((number(low)?, number(high)?)),
        Some(_) => None,
        None => number(value).map(|port| (port, port)),
    }
}

fn protocols(right: &Value) -> Option<Test> {
    let number = |value: &Value| match value.as_str() {
        Some(name) => values::protocol(name),
        None => u8::try_from(value.as_u64()?).ok(),
    };
    let numbers = elements_or_one(right).iter().map(number).collect::<Option<Vec<_>>>()?;
    Some(match numbers.as_slice() {
        [one] => Test::Protocol(*one),
        _ => Test::Protocols(numbers),
    })
}

fn mac(right: &Value, mask: Option<&Value>) -> Option<(Mac, Mac)> {
    let mask = match mask {
        Some(mask) => mask.as_str()?.parse().ok()?,
        None => Mac::BROADCAST,
    };
    Some((only(right).as_str()?.parse().ok()?, mask))
}

fn ether_type(right: &Value) -> Option<u16> {
    Some(match right.as_str() {
        Some("ip") => IPV4,
        Some("arp") => ARP,
        Some("ip6") => IPV6,
        Some("8021q" | "vlan") => 0x8100,
        Some("8021ad") => 0x88a8,
        Some(_) => return None,
        None => u16::try_from(right.as_u64()?).ok()?,
    })
}

fn arp(field: &str, right: &Value) -> Option<Test> {
    Some(match field {
        "operation" => Test::ArpOperation(match right.as_str() {
            Some("request") => 1,
            Some("reply") => 2,
            Some(_) => return None,
            None => u16::try_from(right.as_u64()?).ok()?,
        }),
        "saddr ip" => Test::ArpSourceIp(net(right)?),
        "daddr ip" => Test::ArpTargetIp(net(right)?),
        "saddr ether" => mac(right, None).map(|(mac, mask)| Test::ArpSourceMac(mac, mask))?,
        "daddr ether" => mac(right, None).map(|(mac, mask)| Test::ArpTargetMac(mac, mask))?,
        _ => return None,
    })
}

/// `tcp flags syn` (any of the bits), `tcp flags syn / syn,ack` (of these bits exactly those).
fn tcp_flags(operator: Operator, mask: Option<&Value>, right: &Value) -> Option<Test> {
    let set = flag_bits(right)?;
    match (operator, mask) {
        (Operator::Equal | Operator::NotEqual, Some(mask)) => {
            Some(Test::TcpFlags { mask: flag_bits(mask)?, set })
        }
        (Operator::Equal | Operator::NotEqual, None) => Some(Test::TcpFlags { mask: u8::MAX, set }),
        // Any of several bits is not what the model's test says.
        (Operator::In, None) if set.is_power_of_two() => Some(Test::TcpFlags { mask: set, set }),
        (Operator::In, _) => None,
    }
}

fn flag_bits(value: &Value) -> Option<u8> {
    if let Some(number) = value.as_u64() {
        return u8::try_from(number).ok();
    }
    values::tcp_flags(names(value)?)
}

/// A name, or a list of names.
fn names(value: &Value) -> Option<Vec<&str>> {
    match value {
        Value::String(name) => Some(vec![name]),
        Value::Array(names) => names.iter().map(Value::as_str).collect(),
        _ => None,
    }
}

/// Types and codes. A code joins the type before it; of several types at once, only what is not one
/// of them can be said, as several conditions.
fn icmp(
    (protocol, field): (&str, &str),
    negated: bool,
    right: &Value,
    matches: &mut Vec<Match>,
) -> Option<()> {
    let is_v4 = protocol == "icmp";
    if field == "code" && !negated {
        let code = icmp_code(is_v4, only(right))?;
        let kind = matches.iter_mut().rev().find_map(|m| match &mut m.test {
            Test::Icmp(_, code @ None) if !m.negated => Some(code),
            _ => None,
        });
        *kind? = Some((code, code));
        return Some(());
    }
    if field != "type" {
        return None;
    }
    let kinds = elements_or_one(right).iter().map(|value| icmp_type(is_v4, value));
    let kinds = kinds.collect::<Option<Vec<u8>>>()?;
    if kinds.len() > 1 && !negated {
        return None;
    }
    demand(matches, Test::Protocol(if is_v4 { 1 } else { 58 }));
    matches.extend(kinds.iter().map(|kind| Match { negated, test: Test::Icmp(*kind, None) }));
    Some(())
}

fn icmp_type(is_v4: bool, value: &Value) -> Option<u8> {
    match value.as_str() {
        Some(name) => {
            let (kind, code) = if is_v4 { values::icmp(name) } else { values::icmpv6(name) }?;
            code.is_none().then_some(kind)
        }
        None => u8::try_from(value.as_u64()?).ok(),
    }
}

/// nft's names for codes (nft `datatype.c`, `icmp_code_tbl`), those of *destination unreachable*.
fn icmp_code(is_v4: bool, value: &Value) -> Option<u8> {
    let Some(name) = value.as_str() else { return u8::try_from(value.as_u64()?).ok() };
    if !is_v4 {
        return None;
    }
    icmp_code_name(name)
}

/// A code of *destination unreachable* by nft's name.
pub(super) fn icmp_code_name(name: &str) -> Option<u8> {
    Some(match name {
        "net-unreachable" => 0,
        "host-unreachable" => 1,
        "prot-unreachable" => 2,
        "port-unreachable" => 3,
        "frag-needed" => 4,
        "net-prohibited" => 9,
        "host-prohibited" => 10,
        "admin-prohibited" => 13,
        _ => return None,
    })
}

/// Whether this is `meta KEY`.
pub(super) fn is_meta(value: &Value, key: &str) -> bool {
    value.get("meta").and_then(|meta| meta.get("key")).and_then(Value::as_str) == Some(key)
}

fn meta_match(
    family: Family,
    key: &str,
    (negated, mask, right): (bool, Option<&Value>, &Value),
    matches: &mut Vec<Match>,
) -> Option<()> {
    if let Some(make) = link_test(key) {
        let names = elements_or_one(right).iter().map(|name| link_name(key, name));
        let names = names.collect::<Option<Vec<String>>>()?;
        // None of several names is several conditions; one of several is none that the model has.
        if mask.is_some() || (names.len() > 1 && !negated) {
            return None;
        }
        matches.extend(names.into_iter().map(|name| Match { negated, test: make(name) }));
        return Some(());
    }
    let test = match (key, mask) {
        ("l4proto", None) => {
            // nft compares only where there is a transport header: not in ARP and other frames.
            let is_ip = |m: &Match| !m.negated && matches!(m.test, Test::EtherType(IPV4 | IPV6));
            let sees_others = matches!(family, Family::Bridge | Family::Netdev | Family::Arp);
            if negated && sees_others && !matches.iter().any(is_ip) {
                return None;
            }
            protocols(right)?
        }
        ("protocol", None) => Test::EtherType(ether_type(only(right))?),
        ("nfproto", None) => Test::EtherType(match only(right).as_str()? {
            "ipv4" => IPV4,
            "ipv6" => IPV6,
            _ => return None,
        }),
        ("mark", mask) => {
            let mask = match mask {
                Some(mask) => u32::try_from(mask.as_u64()?).ok()?,
                None => u32::MAX,
            };
            Test::Mark { value: u32::try_from(only(right).as_u64()?).ok()?, mask }
        }
        _ => return None,
    };
    matches.push(Match { negated, test });
    Some(())
}

fn link_test(key: &str) -> Option<fn(String) -> Test> {
    Some(match key {
        "iifname" | "iif" => Test::In,
        "oifname" | "oif" => Test::Out,
        "ibrname" | "ibridgename" => Test::LogicalIn,
        "obrname" | "obridgename" => Test::LogicalOut,
        _ => return None,
    })
}

/// A link's name. nft writes a wildcard as `eth*` and a real asterisk as `eth\*`; a name that ends
/// in `+`, the model's wildcard, cannot be said. `iif` of a link that is gone is a bare number.
fn link_name(key: &str, value: &Value) -> Option<String> {
    let name = value.as_str()?;
    if name.ends_with('+') || name.starts_with('@') {
        return None;
    }
    if matches!(key, "iif" | "oif") {
        return name.parse::<u32>().is_err().then(|| name.to_owned());
    }
    match name.strip_suffix('*') {
        Some(escaped) if escaped.ends_with('\\') => Some(name.replace("\\*", "*")),
        Some(prefix) => Some(format!("{prefix}+")),
        None => Some(name.to_owned()),
    }
}

fn ct_test(ct: &Value, operator: Operator, right: &Value) -> Option<Test> {
    if ct.get("dir").is_some() {
        return None;
    }
    let key = ct.get("key")?.as_str()?;
    let names = match elements(right) {
        Some(set) => set.iter().map(Value::as_str).collect::<Option<Vec<&str>>>()?,
        None => names(right)?,
    };
    // Equal to a list would be all bits at once: no packet has two states.
    if names.len() > 1 && elements(right).is_none() && operator != Operator::In {
        return None;
    }
    let allowed: &[&str] = match key {
        "state" => &["invalid", "new", "established", "related", "untracked"],
        // The status has many bits; only *any of these* can be said.
        "status" if operator == Operator::In => &["dnat", "snat"],
        _ => return None,
    };
    if !names.iter().all(|name| allowed.contains(name)) {
        return None;
    }
    values::ct_states(names).map(Test::CtState)
}

fn fib_test(fib: &Value, right: &Value) -> Option<Test> {
    if fib.get("result")?.as_str()? != "type" {
        return None;
    }
    let kind = match only(right).as_str()? {
        "local" => AddrType::Local,
        "broadcast" => AddrType::Broadcast,
        "multicast" => AddrType::Multicast,
        "unicast" => AddrType::Unicast,
        _ => return None,
    };
    match names(fib.get("flags")?)?.as_slice() {
        ["saddr"] => Some(AddressOf::Source),
        ["daddr"] => Some(AddressOf::Destination),
        _ => None,
    }
    .map(|of| Test::AddressType { of, types: vec![kind], limit: None })
}
