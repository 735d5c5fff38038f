//! Fields that iptables has modules for.

use model::netfilter::{AddressOf, Family, Field};

use super::super::super::values;
use super::{address, masked, port_list};

/// Module and option of a field's condition, no module for an option that belongs to none; `None`
/// where iptables cannot ask for it so.
pub(super) fn piece(
    field: &Field,
    mask: u128,
    within: &[(u128, u128)],
    family: Family,
) -> Option<(&'static str, String)> {
    if *field == Field::Ttl && mask == 0xff {
        return hops(within, family);
    }
    let [(low, high)] = *within else { return None };
    let single = (low == high).then_some(low);
    Some(match field {
        Field::Ip(AddressOf::Source) => ("", format!("-s {}", address(family, single?, mask)?)),
        Field::Ip(AddressOf::Destination) => ("", format!("-d {}", address(family, single?, mask)?)),
        Field::Length if mask == 0xffff => ("length", format!("--length {}", range(low, high)?)),
        Field::Dscp if mask == 0x3f => ("dscp", format!("--dscp {:#04x}", single?)),
        Field::Dscp => ("tos", format!("--tos {:#04x}/{:#04x}", single? << 2, mask << 2)),
        Field::PacketType if mask == 0xff => {
            let kind = match single? {
                0 => "unicast",
                1 => "broadcast",
                2 => "multicast",
                _ => return None,
            };
            ("pkttype", format!("--pkt-type {kind}"))
        }
        Field::CtMark => {
            let half = |number: u128| u32::try_from(number).ok();
            ("connmark", format!("--mark {}", masked(half(single?)?, half(mask)?)))
        }
        Field::CtProtocol if mask == 0xff => ("conntrack", format!("--ctproto {}", single?)),
        Field::CtDirection if mask == 1 => {
            ("conntrack", format!("--ctdir {}", if single? == 0 { "ORIGINAL" } else { "REPLY" }))
        }
        Field::Ct(part) => {
            let tuple = if part.reply { "repl" } else { "orig" };
            let end = match part.of {
                AddressOf::Source => "src",
                AddressOf::Destination => "dst",
            };
            let value = match part.port {
                true if mask == 0xffff => format!("port {}", range(low, high)?),
                true => return None,
                false => format!(" {}", address(family, single?, mask)?),
            };
            ("conntrack", format!("--ct{tuple}{end}{value}"))
        }
        _ => return None,
    })
}

fn hops(within: &[(u128, u128)], family: Family) -> Option<(&'static str, String)> {
    let (module, prefix) = if family == Family::Ip6 { ("hl", "--hl") } else { ("ttl", "--ttl") };
    let (compare, number) = match *within {
        [] => ("lt", 0),
        [(low, high)] if low == high => ("eq", low),
        [(0, high)] if high < 255 => ("lt", high + 1),
        [(low, 255)] if low > 0 => ("gt", low - 1),
        _ => return None,
    };
    Some((module, format!("{prefix}-{compare} {number}")))
}

fn range(low: u128, high: u128) -> Option<String> {
    Some(port_list(&[(u16::try_from(low).ok()?, u16::try_from(high).ok()?)]))
}

/// Names of conntrack's status bits, where all of them have one.
pub(super) fn ct_status(bits: u128) -> Option<String> {
    if bits == 0 {
        return Some("NONE".to_owned());
    }
    let set = values::CT_STATUS.iter().filter(|(_, bit)| bits & bit != 0);
    let named = set.clone().fold(0, |sum, (_, bit)| sum | bit);
    (named == bits).then(|| set.map(|(name, _)| *name).collect::<Vec<_>>().join(","))
}
