//! Sets, maps and verdict maps, and what looks at them.

use std::net::IpAddr;

use model::netfilter::{Action, Data, Element, Elements, Family, Field, Lookup, Match, Part, Test};
use serde_json::Value;

use super::constant::{self, Kind};
use super::field::{self, Unknown};
use super::text;

/// Fields side by side, as a set's key has them.
pub(super) struct Key {
    pub(super) fields: Vec<Field>,
    pub(super) kinds: Vec<Kind>,
    /// Conditions that hold before the fields are looked at.
    pub(super) demands: Vec<Test>,
}

/// The fields of `ip saddr . tcp dport`, or of one field alone.
///
/// `th dport` needs a known protocol; with the protocol in the key, what is found is of that protocol.
pub(super) fn fields(
    family: Family,
    expression: &Value,
    before: &[Match],
    negated: bool,
) -> Result<Key, Unknown> {
    let alone = std::slice::from_ref(expression);
    let parts = expression.get("concat").and_then(Value::as_array).map_or(alone, Vec::as_slice);
    let mut key = Key { fields: Vec::new(), kinds: Vec::new(), demands: Vec::new() };
    let mut because = None;
    let mut before = before.to_vec();
    for part in parts {
        match field::looked_at(family, part, &before) {
            Ok(looked) => {
                if looked.field == Field::Protocol && !negated {
                    before.push(Match { negated: false, test: Test::Protocol(6) });
                }
                before.extend(looked.demands.iter().map(|test| Match { negated: false, test: test.clone() }));
                key.demands.extend(looked.demands);
                key.fields.push(looked.field);
                key.kinds.push(looked.kind);
            }
            Err(unknown) => {
                key.demands.extend(unknown.demands);
                because = Some(because.flatten().or(unknown.because));
            }
        }
    }
    match because {
        None => Ok(key),
        Some(because) => Err(Unknown { demands: key.demands, because }),
    }
}

/// Looks the key up in `{ ... }` or `@name`.
pub(super) fn of(key: Key, set: &Value) -> Option<Lookup> {
    if let Some(name) = set.as_str().and_then(|name| name.strip_prefix('@')) {
        return Some(Lookup { fields: key.fields, elements: Elements::Named(name.to_owned()) });
    }
    let elements = elements(&key.kinds, set.get("set")?.as_array()?)?;
    Some(anonymous(key.fields, elements))
}

/// Elements of a map that gives objects, of which it matters only that they are there.
pub(super) fn without_data(mut elements: Vec<Element>) -> Vec<Element> {
    elements.iter_mut().for_each(|element| element.data = None);
    elements
}

/// Looks fields up among elements that are written in the rule.
pub(super) fn anonymous(fields: Vec<Field>, elements: Vec<Element>) -> Lookup {
    Lookup { fields, elements: Elements::Anonymous(elements) }
}

/// All elements, of keys of these kinds; `None` where one of them cannot be said.
pub(super) fn elements(kinds: &[Kind], values: &[Value]) -> Option<Vec<Element>> {
    values.iter().map(|value| element(kinds, value)).collect()
}

fn element(kinds: &[Kind], value: &Value) -> Option<Element> {
    let (key, data) = match value.as_array().map(Vec::as_slice) {
        Some([key, data]) => (key, Some(self::data(data))),
        Some(_) => return None,
        None => (value, None),
    };
    // What is kept with an element does not decide what is one.
    let key = key.get("elem").and_then(|elem| elem.get("val")).unwrap_or(key);
    if key.as_str() == Some("*") {
        return Some(Element { key: vec![Part::Any; kinds.len()], excluded: false, data });
    }
    let alone = std::slice::from_ref(key);
    let parts = key.get("concat").and_then(Value::as_array).map_or(alone, Vec::as_slice);
    if parts.len() != kinds.len() {
        return None;
    }
    let key = kinds.iter().zip(parts).map(|(kind, part)| constant::part(*kind, part));
    Some(Element { key: key.collect::<Option<Vec<Part>>>()?, excluded: false, data })
}

/// What a key maps to.
fn data(value: &Value) -> Data {
    let address = |value: &Value| value.as_str().and_then(|text| text.parse::<IpAddr>().ok());
    if let Some(verdict) = verdict(value) {
        return Data::Verdict(Box::new(verdict));
    }
    if let Some(address) = address(value) {
        return Data::Address(address);
    }
    if let Some(number) = value.as_u64() {
        return Data::Number(number.into());
    }
    let pair = match value.get("concat").and_then(Value::as_array).map(Vec::as_slice) {
        Some([first, second]) => {
            address(first).zip(second.as_u64().and_then(|port| u16::try_from(port).ok()))
        }
        Some(_) | None => None,
    };
    match pair {
        Some((address, port)) => Data::AddressAndPort(address, port),
        None => Data::Unmodelled(text::value(value)),
    }
}

/// A verdict, of a statement or of a map.
pub(super) fn verdict(statement: &Value) -> Option<Action> {
    let (name, body) = statement.as_object()?.iter().next()?;
    let target = || body.get("target").and_then(Value::as_str).map(str::to_owned);
    match name.as_str() {
        "accept" => Some(Action::Accept),
        "drop" => Some(Action::Drop),
        "continue" => Some(Action::Continue),
        "return" => Some(Action::Return),
        "jump" => target().map(Action::Jump),
        "goto" => target().map(Action::Goto),
        _ => None,
    }
}
