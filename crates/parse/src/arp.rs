//! What ebtables and arptables both ask of ARP packets.

use model::netfilter::{AddressOf, Field, Match, Test};

use crate::iptables_save::values;

/// Protocol address of sender or target: in a prefix, or with these bits under a mask with holes.
pub(crate) fn address(of: AddressOf, text: &str) -> Option<Test> {
    if let Some(net) = values::net(text) {
        return Some(match of {
            AddressOf::Source => Test::ArpSourceIp(net),
            AddressOf::Destination => Test::ArpTargetIp(net),
        });
    }
    let (value, mask) = values::masked_address(text)?;
    Some(Test::Field { field: Field::ArpIp(of), mask, within: vec![(value, value)] })
}

/// A number, or a name of those in the order of the numbers, from 1 (ebtables `ebt_arp.c`, `opcodes`).
pub(crate) fn operation(text: &str) -> Option<u16> {
    const NAMES: [&str; 9] = [
        "Request",
        "Reply",
        "Request_Reverse",
        "Reply_Reverse",
        "DRARP_Request",
        "DRARP_Reply",
        "DRARP_Error",
        "InARP_Request",
        "ARP_NAK",
    ];
    match (1..).zip(NAMES).find(|(_, name)| *name == text) {
        Some((number, _)) => Some(number),
        None => text.parse().ok(),
    }
}

/// A condition of which it is known whether it holds, such as what an imagined ARP packet is of:
/// Ethernet and IPv4 (RFC 826).
pub(crate) fn known(holds: bool, negated: bool) -> Match {
    Match { negated: holds == negated, test: Test::Always }
}
