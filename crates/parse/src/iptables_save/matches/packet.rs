//! Modules that look at the IP header, the frame around it, and the packet's mark.

use model::Mac;
use model::netfilter::{Because, Field, Match, Test};

use super::super::rule::condition;
use super::super::values;
use super::super::words::Words;
use super::option;

/// A number of a field, all its bits compared.
fn field(field: Field, mask: u128, low: u128, high: u128) -> Test {
    Test::Field { field, mask, within: vec![(low, high)] }
}

pub(super) fn length(option: &str, words: &mut Words<'_>) -> Option<Test> {
    if option != "--length" {
        return None;
    }
    let (low, high) = values::ports(&words.value()?, ':')?;
    Some(field(Field::Length, 0xffff, low.into(), high.into()))
}

pub(super) fn ttl(option: &str, words: &mut Words<'_>) -> Option<Test> {
    hops(option.strip_prefix("--ttl-")?, words)
}

pub(super) fn hop_limit(option: &str, words: &mut Words<'_>) -> Option<Test> {
    hops(option.strip_prefix("--hl-")?, words)
}

fn hops(compare: &str, words: &mut Words<'_>) -> Option<Test> {
    let limit: u8 = words.value()?.parse().ok()?;
    let within = match compare {
        "eq" => vec![(limit.into(), limit.into())],
        // Nothing is less than 0, nor more than 255.
        "lt" => limit.checked_sub(1).map(|high| (0, high.into())).into_iter().collect(),
        "gt" => limit.checked_add(1).map(|low| (low.into(), 255)).into_iter().collect(),
        _ => return None,
    };
    Some(Test::Field { field: Field::Ttl, mask: 0xff, within })
}

pub(super) fn dscp(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let value = words.value()?;
    let point = match option {
        "--dscp" => values::number(&value).filter(|point| *point < 64)?,
        "--dscp-class" => values::dscp_class(&value)?.into(),
        _ => return None,
    };
    Some(field(Field::Dscp, 0x3f, point.into(), point.into()))
}

/// The whole octet: six bits of DSCP, and two of congestion notification, which no imagined packet
/// says anything about (`tos_mt`).
pub(super) fn tos(words: &mut Words<'_>, _: usize) -> Option<Vec<Match>> {
    const ECN: u32 = 0x3;
    let (negated, name) = option(words)?;
    let text = words.value()?.into_owned();
    let (value, mask) = match text.split_once('/') {
        Some(_) => values::masked_number(&text)?,
        None => (values::number(&text)?, 0xff),
    };
    if name != "--tos" || value > 0xff || mask > 0xff {
        return None;
    }
    let dscp = condition(
        negated,
        field(Field::Dscp, u128::from(mask >> 2), u128::from(value >> 2), u128::from(value >> 2)),
    );
    let (ecn, ecn_mask) = (value & ECN, mask & ECN);
    if ecn | ecn_mask == 0 {
        return Some(vec![dscp]);
    }
    if negated {
        let whole = format!("-m tos ! --tos {text}");
        return Some(vec![condition(false, Test::Unpredictable(whole, Because::Payload))]);
    }
    let ecn = format!("-m tos --tos 0x{ecn:02x}/0x{ecn_mask:02x}");
    let ecn = condition(false, Test::Unpredictable(ecn, Because::Payload));
    Some(if (value | mask) & !ECN == 0 { vec![ecn] } else { vec![dscp, ecn] })
}

/// By the kernel's numbers (`PACKET_*` in `linux/if_packet.h`).
pub(super) fn packet_type(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let value = words.value()?;
    let kind = match (option, value.as_ref()) {
        ("--pkt-type", "unicast" | "host") => 0,
        ("--pkt-type", "broadcast" | "bcast") => 1,
        ("--pkt-type", "multicast" | "mcast") => 2,
        _ => return None,
    };
    Some(field(Field::PacketType, 0xff, kind, kind))
}

pub(super) fn mark(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--mark" => values::masked_number(&words.value()?).map(|(value, mask)| Test::Mark { value, mask }),
        _ => None,
    }
}

pub(super) fn mac(option: &str, words: &mut Words<'_>) -> Option<Test> {
    match option {
        "--mac-source" => Some(Test::EtherSource(words.value()?.parse().ok()?, Mac::BROADCAST)),
        _ => None,
    }
}

pub(super) fn address_range(option: &str, words: &mut Words<'_>) -> Option<Test> {
    let (low, high) = values::ip_range(&words.value()?)?;
    match option {
        "--src-range" => Some(Test::SourceRange(low, high)),
        "--dst-range" => Some(Test::DestinationRange(low, high)),
        _ => None,
    }
}
