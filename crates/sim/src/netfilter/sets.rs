//! Membership: nft's sets and maps, anonymous or named, and ipsets.

use std::collections::HashMap;

use model::netfilter::{AddressOf, Dimension, Element, Elements, Field, Ipset, Lookup, Part};

use super::look::Look;
use super::marking::Marking;

/// Sets of fewer elements are searched one by one.
const WORTH_IT: usize = 16;
/// Sets in sets, at most: ipset allows one level.
const NESTED_MAX: u32 = 4;

/// A set's elements, with a way to find one.
#[derive(Debug)]
pub(super) struct Members<'a> {
    pub(super) elements: &'a [Element],
    index: Index,
}

#[derive(Debug)]
enum Index {
    /// One by one.
    None,
    /// Single ranges that do not overlap, ascending, each with its element's place.
    Ranges(Vec<(u128, u128, usize)>),
    /// Exact values, each with its element's place.
    Exact(HashMap<Vec<u128>, usize>),
}

/// A field's value of a packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Value<'v> {
    Number(u128),
    Name(&'v str),
}

impl<'a> Members<'a> {
    /// `n log n` in elements.
    pub(super) fn new(elements: &'a [Element]) -> Members<'a> {
        let index = if elements.len() < WORTH_IT { Index::None } else { index(elements) };
        Members { elements, index }
    }

    /// The member that holds the key.
    pub(super) fn find(&self, key: &[Value]) -> Option<&'a Element> {
        match &self.index {
            Index::None => find(self.elements, key),
            Index::Ranges(ranges) => {
                let [Value::Number(number)] = key else { return None };
                let after = ranges.partition_point(|(low, ..)| low <= number);
                let (_, high, at) = ranges.get(after.checked_sub(1)?)?;
                if high < number { None } else { self.elements.get(*at) }
            }
            Index::Exact(places) => {
                let number = |value: &Value| match value {
                    Value::Number(number) => Some(*number),
                    Value::Name(_) => None,
                };
                let numbers: Option<Vec<u128>> = key.iter().map(number).collect();
                self.elements.get(*places.get(&numbers?)?)
            }
        }
    }
}

fn index(elements: &[Element]) -> Index {
    let plain = elements.iter().all(|e| !e.excluded);
    let range = |(at, element): (usize, &Element)| match element.key.as_slice() {
        [Part::Range(low, high)] => Some((*low, *high, at)),
        _ => None,
    };
    if let Some(mut ranges) =
        elements.iter().enumerate().map(range).collect::<Option<Vec<_>>>().filter(|_| plain)
    {
        ranges.sort_unstable();
        let apart = ranges.windows(2).all(|pair| matches!(pair, [(_, high, _), (low, ..)] if high < low));
        return if apart { Index::Ranges(ranges) } else { Index::None };
    }
    let exact = |part: &Part| match part {
        Part::Range(low, high) if low == high => Some(*low),
        Part::Range(..) | Part::Name(_) | Part::Any => None,
    };
    let key = |(at, element): (usize, &Element)| {
        Some((element.key.iter().map(exact).collect::<Option<Vec<_>>>()?, at))
    };
    match elements.iter().enumerate().map(key).collect::<Option<HashMap<_, _>>>() {
        Some(places) if plain => Index::Exact(places),
        Some(_) | None => Index::None,
    }
}

/// The narrowest element that holds the key: of prefixes within prefixes the longest decides, and the
/// catch-all only where nothing else holds.
pub(super) fn find<'e>(elements: &'e [Element], key: &[Value]) -> Option<&'e Element> {
    let holds = |element: &&Element| {
        element.key.len() == key.len()
            && element.key.iter().zip(key).all(|(part, value)| part_holds(part, value))
    };
    elements.iter().filter(holds).min_by_key(|element| width(element))
}

fn part_holds(part: &Part, value: &Value) -> bool {
    match (part, value) {
        (Part::Any, _) => true,
        (Part::Range(low, high), Value::Number(number)) => (low..=high).contains(&number),
        (Part::Name(pattern), Value::Name(name)) => match pattern.strip_suffix('+') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        },
        (Part::Range(..), Value::Name(_)) | (Part::Name(_), Value::Number(_)) => false,
    }
}

fn width(element: &Element) -> u128 {
    let of = |part: &Part| match part {
        Part::Range(low, high) => high.saturating_sub(*low),
        Part::Name(name) if name.ends_with('+') => 1,
        Part::Name(_) => 0,
        Part::Any => u128::MAX,
    };
    element.key.iter().map(of).fold(0, u128::saturating_add)
}

/// What looking fields up in a set comes to.
pub(super) enum Found<'e> {
    Member(&'e Element),
    NoMember,
    /// The packet has not got one of the fields: the rule stops here, negated or not (`NFT_BREAK`).
    NoField,
}

/// Looks a packet's fields up. An error says what cannot be told.
pub(super) fn look_up<'e, 'w: 'e>(
    look: &Look<'_, 'w>,
    lookup: &'e Lookup,
    now: Marking,
) -> Result<Found<'e>, String> {
    let mut key = Vec::with_capacity(lookup.fields.len());
    for field in &lookup.fields {
        match look.field(field, now)? {
            Some(value) => key.push(value),
            None => return Ok(Found::NoField),
        }
    }
    let found = match &lookup.elements {
        Elements::Anonymous(elements) => find(elements, &key),
        Elements::Named(name) => {
            let members =
                look.set(name).ok_or_else(|| format!("set {name}, which the dump does not have"))?;
            if look.is_dynamic(name) {
                return Err(format!("set {name}, to which rules add as packets pass"));
            }
            members.find(&key)
        }
    };
    Ok(found.map_or(Found::NoMember, Found::Member))
}

/// Whether a packet is in an ipset (`ip_set_test`). What the set's kind asks for and the packet has
/// not got makes it no member.
pub(super) fn in_ipset(
    look: &Look,
    name: &str,
    directions: &[AddressOf],
    now: Marking,
) -> Result<bool, String> {
    nested(look, name, directions, now, 0)
}

fn nested(
    look: &Look,
    name: &str,
    directions: &[AddressOf],
    now: Marking,
    depth: u32,
) -> Result<bool, String> {
    let Some((set, members)) = look.ipset(name) else {
        return Err(format!("ipset {name}, which the dump does not have"));
    };
    if let Some(why) = &set.unmodelled {
        return Err(format!("ipset {name}: {why}"));
    }
    if set.dimensions.as_slice() == [Dimension::Set] {
        for member in set.members.iter().filter(|_| depth < NESTED_MAX) {
            if nested(look, member, directions, now, depth + 1)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    let Some(key) = ipset_key(look, set, directions, now)? else { return Ok(false) };
    let found = match set.dimensions.as_slice() {
        [Dimension::Net, Dimension::Iface] => of_link(members.elements, &key),
        _ => members.find(&key),
    };
    Ok(found.is_some_and(|element| !element.excluded))
}

/// The longest prefix that holds the address decides, with whatever links it stands: a shorter one with
/// the right link is not looked at any more (`hash_netiface4_data_equal`, its `multi`).
fn of_link<'e>(elements: &'e [Element], key: &[Value]) -> Option<&'e Element> {
    let [address, _] = key else { return None };
    let prefix = |element: &Element| match element.key.first() {
        Some(part @ Part::Range(low, high)) if part_holds(part, address) => Some((*low, *high)),
        Some(_) | None => None,
    };
    let longest = elements.iter().filter_map(prefix).min_by_key(|(low, high)| high - low)?;
    let theirs = elements.iter().filter(|element| prefix(element) == Some(longest));
    theirs
        .into_iter()
        .find(|element| element.key.iter().zip(key).all(|(part, value)| part_holds(part, value)))
}

fn ipset_key<'l>(
    look: &'l Look,
    set: &Ipset,
    directions: &[AddressOf],
    now: Marking,
) -> Result<Option<Vec<Value<'l>>>, String> {
    let holds_addresses = set.dimensions.iter().any(|d| matches!(d, Dimension::Ip | Dimension::Net));
    let is_v6 = look.packet().is_some_and(model::Packet::is_v6);
    if holds_addresses && is_v6 != set.is_v6 {
        return Ok(None);
    }
    let mut key = Vec::new();
    for (nth, dimension) in set.dimensions.iter().enumerate() {
        let Some(of) = directions.get(nth).copied() else {
            return Err(format!("ipset {} is asked with too few directions", set.name));
        };
        let fields: &[Field] = match dimension {
            Dimension::Ip | Dimension::Net => &[Field::Ip(of)],
            Dimension::Port => &[Field::Protocol],
            Dimension::Mac => &[Field::Ether(of)],
            Dimension::Iface => match of {
                AddressOf::Source => &[Field::In],
                AddressOf::Destination => &[Field::Out],
            },
            Dimension::Mark => &[Field::Mark],
            Dimension::Set => return Err(format!("ipset {} of an unknown kind", set.name)),
        };
        for field in fields {
            let Some(value) = look.field(field, now)? else { return Ok(None) };
            key.push(value);
        }
        if *dimension == Dimension::Port {
            let port = match look.packet().and_then(model::Packet::icmp) {
                // `ip_set_get_icmp_port`: type and code in one number.
                Some((kind, code)) => Some(Value::Number(u128::from(kind) << 8 | u128::from(code))),
                None => look.field(&Field::Port(of), now)?,
            };
            let Some(port) = port else { return Ok(None) };
            key.push(port);
        }
    }
    Ok(Some(key))
}
