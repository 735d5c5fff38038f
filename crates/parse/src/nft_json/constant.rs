//! Constants (libnftables-json(5), IMMEDIATE EXPRESSIONS, RANGE, PREFIX) as the numbers and names that
//! fields have.

use std::net::IpAddr;

use model::Mac;
use model::netfilter::Part;
use serde_json::Value;

use super::names::{self, Names};

/// What a field's constants are, and how wide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    V4,
    V6,
    Mac,
    Protocol,
    /// A link's name, also where nft looks at its number.
    Link,
    /// There or not.
    Present,
    /// A number of so many bits, some of which may have names.
    Number(u32, Names),
    /// Bits with names, of which a constant may have several.
    Flags(u32, Names),
}

impl Kind {
    /// How many bits of a number count.
    pub(super) fn width(self) -> u32 {
        match self {
            Kind::V4 => 32,
            Kind::V6 => 128,
            Kind::Mac => 48,
            Kind::Protocol => 8,
            Kind::Link => 0,
            Kind::Present => 1,
            Kind::Number(width, _) | Kind::Flags(width, _) => width,
        }
    }

    /// The greatest number.
    pub(super) fn greatest(self) -> u128 {
        match self.width() {
            128.. => u128::MAX,
            width => (1_u128 << width) - 1,
        }
    }
}

/// The kind of a set's part, by the type that nft declares it with (`nft describe TYPE`).
pub(super) fn kind_of_type(name: &str) -> Option<Kind> {
    Some(match name {
        "ipv4_addr" => Kind::V4,
        "ipv6_addr" => Kind::V6,
        "ether_addr" => Kind::Mac,
        "inet_proto" => Kind::Protocol,
        "ifname" | "iface_index" => Kind::Link,
        "boolean" => Kind::Present,
        "inet_service" => Kind::Number(16, &[]),
        "mark" => Kind::Number(32, &[]),
        "ether_type" => Kind::Number(16, names::ETHER_TYPES),
        "arp_op" => Kind::Number(16, names::ARP_OPERATIONS),
        "icmp_type" => Kind::Number(8, names::ICMP_TYPES),
        "icmp_code" => Kind::Number(8, names::ICMP_CODES),
        "icmpv6_type" => Kind::Number(8, names::ICMP6_TYPES),
        "icmpv6_code" => Kind::Number(8, names::ICMP6_CODES),
        "dscp" => Kind::Number(6, names::DSCPS),
        "pkt_type" => Kind::Number(8, names::PACKET_TYPES),
        "iface_type" => Kind::Number(16, names::LINK_TYPES),
        "nf_proto" => Kind::Number(8, names::NF_PROTOCOLS),
        "ct_dir" => Kind::Number(8, names::DIRECTIONS),
        "fib_addrtype" => Kind::Number(32, names::ADDRESS_TYPES),
        "integer" => Kind::Number(128, &[]),
        "ct_state" => Kind::Flags(32, names::STATES),
        "ct_status" => Kind::Flags(32, names::STATUSES),
        "tcp_flag" => Kind::Flags(8, names::TCP_FLAGS),
        _ => return None,
    })
}

/// One constant, a range or a prefix.
pub(super) fn part(kind: Kind, value: &Value) -> Option<Part> {
    if let Some([low, high]) = value.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        return Some(Part::Range(number(kind, low)?, number(kind, high)?));
    }
    if let Some(prefix) = value.get("prefix") {
        let (low, length) = (number(kind, prefix.get("addr")?)?, prefix.get("len")?.as_u64()?);
        let length = u32::try_from(length).ok().filter(|length| *length <= kind.width())?;
        let host = kind.greatest().checked_shr(length).filter(|_| length < kind.width()).unwrap_or(0);
        return Some(Part::Range(low & !host, low | host));
    }
    if kind == Kind::Link {
        return link(value.as_str()?).map(Part::Name);
    }
    number(kind, value).map(|number| Part::Range(number, number))
}

/// One number.
pub(super) fn number(kind: Kind, value: &Value) -> Option<u128> {
    match value {
        Value::Number(number) => number.as_u64().map(u128::from).filter(|number| *number <= kind.greatest()),
        Value::String(name) => named(kind, name),
        Value::Bool(present) if kind == Kind::Present => Some(u128::from(*present)),
        Value::Array(flags) => flags.iter().try_fold(0, |bits, flag| Some(bits | number(kind, flag)?)),
        Value::Object(_) => {
            let [left, right] = value.get("|")?.as_array()?.as_slice() else { return None };
            Some(number(kind, left)? | number(kind, right)?)
        }
        Value::Bool(_) | Value::Null => None,
    }
}

fn named(kind: Kind, name: &str) -> Option<u128> {
    let found = match kind {
        Kind::V4 | Kind::V6 => {
            return match (name.parse().ok()?, kind) {
                (IpAddr::V4(v4), Kind::V4) => Some(v4.to_bits().into()),
                (IpAddr::V6(v6), Kind::V6) => Some(v6.to_bits()),
                _ => None,
            };
        }
        Kind::Mac => return name.parse::<Mac>().ok().map(mac_bits),
        Kind::Protocol => names::protocol(name)?,
        Kind::Number(_, names) | Kind::Flags(_, names) => match name.strip_prefix("0x") {
            // Numbers that do not fit JSON's.
            Some(digits) => return u128::from_str_radix(digits, 16).ok().filter(|n| *n <= kind.greatest()),
            None => names::number(names, name)?,
        },
        Kind::Link | Kind::Present => return None,
    };
    Some(found.into())
}

fn mac_bits(mac: Mac) -> u128 {
    mac.0.iter().fold(0, |bits, octet| bits << 8 | u128::from(*octet))
}

/// A link's name. nft writes a wildcard as `eth*` and a real asterisk as `eth\*`; a name that ends
/// in `+`, the model's wildcard, cannot be said. A link that is gone is a bare number.
pub(super) fn link(name: &str) -> Option<String> {
    if name.ends_with('+') || name.starts_with('@') || name.parse::<u32>().is_ok() {
        return None;
    }
    match name.strip_suffix('*') {
        Some(escaped) if escaped.ends_with('\\') => Some(name.replace("\\*", "*")),
        Some(prefix) => Some(format!("{prefix}+")),
        None => Some(name.to_owned()),
    }
}
