//! Addresses that rules and sets hold as numbers, which no text shows.
//!
//! A range of addresses is cut into prefixes, each of which is one again under another name; so what was within is
//! within still, however many ranges that takes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use model::Mac;
use model::netfilter::{
    Action, Dimension, Element, Elements, Field, Ipset, Lookup, NfRule, NfSet, Part, Ruleset, Test,
};

use super::pseudonyms::Pseudonyms;

/// Most ranges that one becomes. What is wider is not one address's secret any more, and stays as it is.
const RANGES_MAX: usize = 4096;

/// Elements that one with several ranges becomes at most.
const ELEMENTS_MAX: usize = 4096;

/// What a number is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    /// An address, of IPv4 where it fits into 32 bits.
    Address,
    Mac,
    Other,
}

/// Replaces the numbers of all rules and sets.
pub(super) fn redact(pseudonyms: &Pseudonyms, ruleset: &mut Ruleset) {
    for table in &mut ruleset.tables {
        let mut meant = BTreeMap::new();
        for rule in table.chains.iter().flat_map(|chain| &chain.rules) {
            lookups(rule, &mut |lookup| {
                if let Elements::Named(name) = &lookup.elements {
                    meant.insert(name.clone(), lookup.fields.clone());
                }
            });
        }
        for set in &mut table.sets {
            of_set(pseudonyms, set, meant.get(&set.name));
        }
        for rule in table.chains.iter_mut().flat_map(|chain| &mut chain.rules) {
            rule.matches.iter_mut().for_each(|one| of_test(pseudonyms, &mut one.test));
            of_action(pseudonyms, &mut rule.action);
        }
    }
    ruleset.ipsets.iter_mut().for_each(|set| of_ipset(pseudonyms, set));
}

/// Every lookup of a rule.
fn lookups(rule: &NfRule, see: &mut dyn FnMut(&Lookup)) {
    for one in &rule.matches {
        if let Test::InSet(lookup) = &one.test {
            see(lookup);
        }
    }
    actions(&rule.action, see);
}

fn actions(action: &Action, see: &mut dyn FnMut(&Lookup)) {
    match action {
        Action::VerdictMap(lookup)
        | Action::DnatMap(lookup)
        | Action::SnatMap(lookup)
        | Action::SetMarkMap(lookup) => see(lookup),
        Action::Several(all) => all.iter().for_each(|action| actions(action, see)),
        Action::Continue
        | Action::Accept
        | Action::Drop
        | Action::Reject(_)
        | Action::Return
        | Action::Jump(_)
        | Action::Goto(_)
        | Action::Dnat(_)
        | Action::Snat(_)
        | Action::Netmap(_)
        | Action::Masquerade(_)
        | Action::Redirect(_)
        | Action::SetMark { .. }
        | Action::SetCtMark { .. }
        | Action::SaveMark { .. }
        | Action::RestoreMark { .. }
        | Action::Notrack
        | Action::CtZone(_)
        | Action::Ttl(_)
        | Action::Dscp { .. }
        | Action::Ether(_)
        | Action::Arp(_)
        | Action::NonTerminal(_)
        | Action::Elsewhere(_, _)
        | Action::Unmodelled(_) => {}
    }
}

fn number_of(field: &Field) -> Number {
    match field {
        Field::Ip(_) | Field::ArpIp(_) | Field::NextHop => Number::Address,
        Field::Ct(tuple) if !tuple.port => Number::Address,
        Field::Ether(_) | Field::ArpEther(_) => Number::Mac,
        Field::Ct(_)
        | Field::Port(_)
        | Field::Protocol
        | Field::NfProto
        | Field::Ttl
        | Field::Length
        | Field::FrameLength
        | Field::Dscp
        | Field::IcmpType
        | Field::IcmpCode
        | Field::TcpFlags
        | Field::In
        | Field::Out
        | Field::LogicalIn
        | Field::LogicalOut
        | Field::LinkType(_)
        | Field::PacketType
        | Field::Mark
        | Field::EtherType
        | Field::Vlan
        | Field::ArpOperation
        | Field::CtState
        | Field::CtStatus
        | Field::CtDirection
        | Field::CtMark
        | Field::CtZone
        | Field::CtProtocol
        | Field::Fib(_)
        | Field::Unmodelled(_) => Number::Other,
    }
}

/// All other addresses of a test are texts once they are written.
fn of_test(pseudonyms: &Pseudonyms, test: &mut Test) {
    if let Test::Field { field, mask, within } = test {
        let number = number_of(field);
        let mapped = within.iter().flat_map(|range| ranges(pseudonyms, number, *range));
        // Behind a mask's bits a network has none, by which name ever.
        *within = match number {
            Number::Address | Number::Mac => mapped.map(|(low, high)| (low & *mask, high & *mask)).collect(),
            Number::Other => mapped.collect(),
        };
    } else if let Test::InSet(lookup) = test {
        of_lookup(pseudonyms, lookup);
    } else if let Test::SourceRange(low, high) = test {
        *test = nets(*low, *high).map_or_else(|| test.clone(), Test::Source);
    } else if let Test::DestinationRange(low, high) = test {
        *test = nets(*low, *high).map_or_else(|| test.clone(), Test::Destination);
    }
}

/// The networks of a range: they are replaced as texts are.
fn nets(low: IpAddr, high: IpAddr) -> Option<Vec<IpNet>> {
    match (low, high) {
        (IpAddr::V4(low), IpAddr::V4(high)) => {
            Some(Ipv4Subnets::new(low, high, 0).map(IpNet::from).take(RANGES_MAX).collect())
        }
        (IpAddr::V6(low), IpAddr::V6(high)) => {
            Some(Ipv6Subnets::new(low, high, 0).map(IpNet::from).take(RANGES_MAX).collect())
        }
        (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => None,
    }
}

/// All other addresses of an action are texts once they are written.
fn of_action(pseudonyms: &Pseudonyms, action: &mut Action) {
    if let Action::VerdictMap(lookup)
    | Action::DnatMap(lookup)
    | Action::SnatMap(lookup)
    | Action::SetMarkMap(lookup) = action
    {
        of_lookup(pseudonyms, lookup);
    } else if let Action::Several(all) = action {
        all.iter_mut().for_each(|action| of_action(pseudonyms, action));
    }
}

fn of_lookup(pseudonyms: &Pseudonyms, lookup: &mut Lookup) {
    let numbers: Vec<Number> = lookup.fields.iter().map(number_of).collect();
    if let Elements::Anonymous(elements) = &mut lookup.elements {
        *elements =
            elements.drain(..).flat_map(|element| of_element(pseudonyms, element, &numbers)).collect();
    }
}

/// Of a set that no rule asks, nobody can tell what its numbers are: they are left out.
fn of_set(pseudonyms: &Pseudonyms, set: &mut NfSet, fields: Option<&Vec<Field>>) {
    let Some(fields) = fields else {
        set.elements.clear();
        return;
    };
    let numbers: Vec<Number> = fields.iter().map(number_of).collect();
    set.elements =
        set.elements.drain(..).flat_map(|element| of_element(pseudonyms, element, &numbers)).collect();
}

fn of_ipset(pseudonyms: &Pseudonyms, set: &mut Ipset) {
    let number = |dimension: &Dimension| match dimension {
        Dimension::Ip | Dimension::Net => Number::Address,
        Dimension::Mac => Number::Mac,
        Dimension::Port | Dimension::Iface | Dimension::Mark | Dimension::Set => Number::Other,
    };
    let numbers: Vec<Number> = set.dimensions.iter().map(number).collect();
    set.elements =
        set.elements.drain(..).flat_map(|element| of_element(pseudonyms, element, &numbers)).collect();
}

/// One element for each choice of ranges that its parts become.
fn of_element(pseudonyms: &Pseudonyms, element: Element, numbers: &[Number]) -> Vec<Element> {
    let mut keys: Vec<Vec<Part>> = vec![Vec::new()];
    for (at, part) in element.key.iter().enumerate() {
        let number = numbers.get(at).copied().unwrap_or(Number::Other);
        let parts: Vec<Part> = match part {
            Part::Range(low, high) => ranges(pseudonyms, number, (*low, *high))
                .into_iter()
                .map(|(low, high)| Part::Range(low, high))
                .collect(),
            Part::Name(_) | Part::Any => vec![part.clone()],
        };
        let longer = |key: &Vec<Part>, part: &Part| key.iter().chain([part]).cloned().collect::<Vec<_>>();
        keys = keys.iter().flat_map(|key| parts.iter().map(move |part| longer(key, part))).collect();
        keys.truncate(ELEMENTS_MAX);
    }
    let made = keys.into_iter().map(|key| Element { key, ..element.clone() });
    made.collect()
}

/// The ranges that a range becomes.
fn ranges(pseudonyms: &Pseudonyms, number: Number, (low, high): (u128, u128)) -> Vec<(u128, u128)> {
    let bits = match number {
        Number::Other => return vec![(low, high)],
        Number::Mac => 48,
        Number::Address if high <= u128::from(u32::MAX) => 32,
        Number::Address => 128,
    };
    let mut out = Vec::new();
    let mut at = low;
    while at <= high {
        if out.len() >= RANGES_MAX {
            return vec![(low, high)];
        }
        // The largest prefix that begins here and does not go beyond.
        let aligned = at.trailing_zeros().min(bits);
        let mut size = aligned;
        while size > 0 && (size >= 128 || high - at < (1 << size) - 1) {
            size -= 1;
        }
        let last = ((1_u128 << size) - 1) | at;
        let mapped = whole(pseudonyms, number, at);
        let first = mapped >> size << size;
        out.push((first, first | (last - at)));
        match last.checked_add(1) {
            Some(next) => at = next,
            None => break,
        }
    }
    out
}

fn whole(pseudonyms: &Pseudonyms, number: Number, value: u128) -> u128 {
    match (number, u32::try_from(value)) {
        (Number::Other, _) => value,
        (Number::Mac, _) => {
            let octets = value.to_be_bytes();
            let mac = octets.last_chunk::<6>().map(|octets| pseudonyms.mac(Mac(*octets)));
            mac.map_or(value, |mac| mac.0.iter().fold(0, |number, octet| number << 8 | u128::from(*octet)))
        }
        (Number::Address, Ok(value)) => u128::from(u32::from(pseudonyms.v4(value.into()))),
        (Number::Address, Err(_)) => u128::from(pseudonyms.v6(value.into())),
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;

    use model::netfilter::AddressOf;

    use super::super::key::Key;
    use super::*;

    #[test]
    fn a_network_under_a_mask_is_one_still() {
        let p = Pseudonyms::of_key(Key::of([1; 32], Vec::new()));
        let number = |address: Ipv4Addr| u128::from(u32::from(address));
        let (mask, net) = (0xffff_0000, number(Ipv4Addr::new(10, 1, 0, 0)));
        let mut test = Test::Field { field: Field::Ip(AddressOf::Source), mask, within: vec![(net, net)] };
        of_test(&p, &mut test);
        let host = number(p.v4(Ipv4Addr::new(10, 1, 7, 7))) & mask;
        let within = vec![(host, host)];
        assert_eq!(test, Test::Field { field: Field::Ip(AddressOf::Source), mask, within });
    }
}
