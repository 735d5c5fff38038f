//! Comparisons for which the model has a test of its own, the one that iptables' rules become too.

use std::net::IpAddr;

use ipnet::{IpNet, IpSubnets, Ipv4Subnets, Ipv6Subnets};
use model::Mac;
use model::netfilter::{AddressOf, CtStates, Family, Field, Match, Part, Test};
use serde_json::Value;

use super::bits::Bits;
use super::condition::{Comparison, Operator, anonymous, only, ranges};
use super::constant::{self, Kind};
use super::field::{IPV4, IPV6};

/// The conditions, where the model has such. A code of ICMP joins the type among those `before`.
pub(super) fn tests(family: Family, comparison: &Comparison<'_>, before: &mut [Match]) -> Option<Vec<Match>> {
    let Comparison { looked, bits, operator, right } = comparison;
    let negated = *operator == Operator::NotEqual;
    let is_equality = matches!(operator, Operator::Equal | Operator::NotEqual);
    let one = |test: Test| Some(vec![Match { negated, test }]);
    if looked.field == Field::TcpFlags {
        return one(tcp_flags(*operator, *bits, right)?);
    }
    if let Field::Port(of) = looked.field
        && bits.is_none()
    {
        return one(ports(of, ranges(looked.kind, *operator, right)?.1));
    }
    if looked.field == Field::CtState && bits.is_none() {
        return one(states(*operator, right)?);
    }
    if looked.field == Field::CtStatus && *operator == Operator::AnyBit && bits.is_none() {
        return one(statuses(constant::number(looked.kind, right)?)?);
    }
    if !is_equality {
        return None;
    }
    match (&looked.field, bits) {
        (Field::Ip(of), None) => one(address(*of, right)?),
        (Field::In | Field::Out | Field::LogicalIn | Field::LogicalOut, None) => {
            links(&looked.field, negated, right)
        }
        (Field::Protocol, None) => {
            // nft compares only where there is a transport header: not in ARP and other frames.
            let is_ip = |m: &Match| !m.negated && matches!(m.test, Test::EtherType(IPV4 | IPV6));
            let sees_others = matches!(family, Family::Bridge | Family::Netdev | Family::Arp);
            let is_clear = !negated || !sees_others || before.iter().any(is_ip);
            if is_clear { one(protocols(looked.kind, right)?) } else { None }
        }
        (Field::EtherType, None) => one(Test::EtherType(single(looked.kind, right)?)),
        (Field::NfProto, None) if matches!(family, Family::Ip | Family::Ip6 | Family::Inet) => {
            match single::<u8>(looked.kind, right)? {
                2 => one(Test::EtherType(IPV4)),
                10 => one(Test::EtherType(IPV6)),
                _ => None,
            }
        }
        (Field::Ether(_) | Field::ArpEther(_), bits) => one(mac(&looked.field, *bits, right)?),
        (Field::ArpOperation, None) => one(Test::ArpOperation(single(looked.kind, right)?)),
        (Field::ArpIp(AddressOf::Source), None) => one(Test::ArpSourceIp(net(only(right))?)),
        (Field::ArpIp(AddressOf::Destination), None) => one(Test::ArpTargetIp(net(only(right))?)),
        (Field::IcmpType, None) => icmp_types(looked.kind, negated, right),
        (Field::IcmpCode, None) if !negated => icmp_code(looked.kind, right, before),
        (Field::Mark, bits) => one(mark(*bits, right)?),
        _ => None,
    }
}

/// A single number that fits.
fn single<N: TryFrom<u128>>(kind: Kind, right: &Value) -> Option<N> {
    N::try_from(constant::number(kind, only(right))?).ok()
}

fn address(of: AddressOf, right: &Value) -> Option<Test> {
    if let Some((low, high)) = address_range(right) {
        return Some(match of {
            AddressOf::Source => Test::SourceRange(low, high),
            AddressOf::Destination => Test::DestinationRange(low, high),
        });
    }
    let mut nets = Vec::new();
    for element in anonymous(right).unwrap_or(std::slice::from_ref(right)) {
        match net(element) {
            Some(net) => nets.push(net),
            None => nets.extend(subnets(address_range(element)?)?),
        }
    }
    Some(match of {
        AddressOf::Source => Test::Source(nets),
        AddressOf::Destination => Test::Destination(nets),
    })
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

fn ports(of: AddressOf, ranges: Vec<(u128, u128)>) -> Test {
    let port = |number: u128| u16::try_from(number).unwrap_or(u16::MAX);
    // What is above every port is none.
    let ranges = ranges.iter().filter(|(low, _)| *low <= u16::MAX.into());
    let ranges = ranges.map(|(low, high)| (port(*low), port(*high))).collect();
    match of {
        AddressOf::Source => Test::SourcePort(ranges),
        AddressOf::Destination => Test::DestinationPort(ranges),
    }
}

/// None of several names is several conditions; one of several is none that is a test of its own.
fn links(field: &Field, negated: bool, right: &Value) -> Option<Vec<Match>> {
    let make = match field {
        Field::In => Test::In,
        Field::Out => Test::Out,
        Field::LogicalIn => Test::LogicalIn,
        Field::LogicalOut => Test::LogicalOut,
        _ => return None,
    };
    let values = anonymous(right).unwrap_or(std::slice::from_ref(right));
    if values.len() > 1 && !negated {
        return None;
    }
    let named = |value: &Value| match constant::part(Kind::Link, value)? {
        Part::Name(name) => Some(Match { negated, test: make(name) }),
        Part::Range(..) | Part::Any => None,
    };
    values.iter().map(named).collect()
}

fn protocols(kind: Kind, right: &Value) -> Option<Test> {
    let values = anonymous(right).unwrap_or(std::slice::from_ref(right));
    let numbers = values.iter().map(|value| u8::try_from(constant::number(kind, value)?).ok());
    let numbers = numbers.collect::<Option<Vec<u8>>>()?;
    Some(match numbers.as_slice() {
        [one] => Test::Protocol(*one),
        _ => Test::Protocols(numbers),
    })
}

fn mac(field: &Field, bits: Option<Bits>, right: &Value) -> Option<Test> {
    let mac = only(right).as_str()?.parse().ok()?;
    let mask = match bits {
        Some(Bits { flipped: 0, cleared }) => mac_of(!cleared),
        Some(_) => return None,
        None => Mac::BROADCAST,
    };
    Some(match field {
        Field::Ether(AddressOf::Source) => Test::EtherSource(mac, mask),
        Field::Ether(AddressOf::Destination) => Test::EtherDestination(mac, mask),
        Field::ArpEther(AddressOf::Source) => Test::ArpSourceMac(mac, mask),
        Field::ArpEther(AddressOf::Destination) => Test::ArpTargetMac(mac, mask),
        _ => return None,
    })
}

fn mac_of(bits: u128) -> Mac {
    let octet = |place: u32| u8::try_from(bits >> (40 - 8 * place) & 0xff).unwrap_or_default();
    Mac([octet(0), octet(1), octet(2), octet(3), octet(4), octet(5)])
}

/// `tcp flags syn` (any of the bits), `tcp flags syn / syn,ack` (of these bits exactly those).
fn tcp_flags(operator: Operator, bits: Option<Bits>, right: &Value) -> Option<Test> {
    let kind = Kind::Flags(8, super::names::TCP_FLAGS);
    let set: u8 = u8::try_from(constant::number(kind, right)?).ok()?;
    match (operator, bits) {
        (Operator::Equal | Operator::NotEqual, None) => Some(Test::TcpFlags { mask: u8::MAX, set }),
        (Operator::Equal | Operator::NotEqual, Some(Bits { flipped: 0, cleared })) => {
            let mask = u8::try_from(!cleared & 0xff).ok()?;
            Some(Test::TcpFlags { mask, set })
        }
        // Any of several bits is not what this test says.
        (Operator::AnyBit, None) if set.is_power_of_two() => Some(Test::TcpFlags { mask: set, set }),
        _ => None,
    }
}

/// A packet has one state at a time, so that any of these and one of these are the same. Equal to two at
/// once (`ct state != new,untracked` compares with both bits) it never is: that is left to the numbers.
fn states(operator: Operator, right: &Value) -> Option<Test> {
    let kind = Kind::Flags(32, super::names::STATES);
    let bits = match (operator, anonymous(right)) {
        (Operator::AnyBit, None) => constant::number(kind, right)?,
        (Operator::Equal | Operator::NotEqual, Some(elements)) => {
            let one = |element| constant::number(kind, element).filter(|bits| bits.is_power_of_two());
            elements.iter().try_fold(0, |bits, element| Some(bits | one(element)?))?
        }
        (Operator::Equal | Operator::NotEqual, None) if !right.is_array() => {
            constant::number(kind, right).filter(|bits| bits.is_power_of_two())?
        }
        _ => return None,
    };
    let has = |bit: u128| bits & bit != 0;
    let states = CtStates {
        invalid: has(1),
        established: has(2),
        related: has(4),
        new: has(8),
        untracked: has(64),
        ..CtStates::default()
    };
    Some(Test::CtState(states))
}

/// Whether the connection was rewritten.
fn statuses(bits: u128) -> Option<Test> {
    let states = CtStates { snat: bits & 0x10 != 0, dnat: bits & 0x20 != 0, ..CtStates::default() };
    (bits != 0 && bits & !0x30 == 0).then_some(Test::CtState(states))
}

/// Of several types at once, only what is not one of them can be said, as several conditions.
fn icmp_types(kind: Kind, negated: bool, right: &Value) -> Option<Vec<Match>> {
    let values = anonymous(right).unwrap_or(std::slice::from_ref(right));
    if values.len() > 1 && !negated {
        return None;
    }
    let test = |value: &Value| {
        let number = u8::try_from(constant::number(kind, value)?).ok()?;
        Some(Match { negated, test: Test::Icmp(number, None) })
    };
    values.iter().map(test).collect()
}

/// A code, or codes from..=to, joins the type that was asked for before.
fn icmp_code(kind: Kind, right: &Value, before: &mut [Match]) -> Option<Vec<Match>> {
    let Part::Range(low, high) = constant::part(kind, only(right))? else { return None };
    let codes = (u8::try_from(low).ok()?, u8::try_from(high).ok()?);
    let of_type = before.iter_mut().rev().find_map(|m| match &mut m.test {
        Test::Icmp(_, code @ None) if !m.negated => Some(code),
        _ => None,
    });
    *of_type? = Some(codes);
    Some(Vec::new())
}

fn mark(bits: Option<Bits>, right: &Value) -> Option<Test> {
    let kind = Kind::Number(32, &[]);
    let value = constant::number(kind, only(right))?;
    let (mask, within) = match bits {
        Some(bits) => bits.undone(kind.greatest(), &[(value, value)])?,
        None => (kind.greatest(), vec![(value, value)]),
    };
    let [(value, _)] = within.as_slice() else { return None };
    Some(Test::Mark { value: u32::try_from(*value).ok()?, mask: u32::try_from(mask).ok()? })
}
