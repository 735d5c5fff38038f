//! Named sets and maps (libnftables-json(5), SET and MAP).

use model::netfilter::{Family, NfSet};
use serde_json::Value;

use super::constant::{self, Kind};
use super::lookup;

/// Set in the body of a set of which not every element could be read.
pub(crate) const INCOMPLETE: &str = "incomplete";

/// What a declared set comes to.
pub(super) enum Declared {
    Set(NfSet),
    /// Of a type that no field of the model has: what looks at it is not modelled either.
    OfUnknownType,
    /// Of a known type, but with an element that cannot be said.
    Unreadable,
}

/// The set, with what it holds.
pub(super) fn read(family: Family, name: &str, body: &Value) -> Declared {
    let Some(kinds) = body.get("type").and_then(|kind| kinds(family, kind)) else {
        return Declared::OfUnknownType;
    };
    let values = body.get("elem").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let is_whole = body.get(INCOMPLETE).is_none();
    let flags = body.get("flags").and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
    let dynamic = flags.iter().any(|flag| flag.as_str() == Some("dynamic"));
    // Of counters, helpers and the like it matters only whether there is one.
    let gives_objects = body.get("map").and_then(Value::as_str).is_some_and(|kind| OBJECTS.contains(&kind));
    let strip = |elements| if gives_objects { lookup::without_data(elements) } else { elements };
    match lookup::elements(&kinds, values).filter(|_| is_whole).map(strip) {
        Some(elements) => Declared::Set(NfSet { name: name.to_owned(), dynamic, elements }),
        None => Declared::Unreadable,
    }
}

const OBJECTS: [&str; 8] =
    ["counter", "quota", "limit", "synproxy", "secmark", "ct helper", "ct timeout", "ct expectation"];

/// Whether there is no room for one more element; without a size there always is (`nft_dynset_new`).
pub(super) fn is_full(body: &Value) -> bool {
    let elements = body.get("elem").and_then(Value::as_array).map_or(0, Vec::len);
    let has_room = match body.get("size").and_then(Value::as_u64) {
        Some(size) => u64::try_from(elements).is_ok_and(|elements| elements < size),
        None => true,
    };
    !has_room || body.get(INCOMPLETE).is_some()
}

/// Types by name, or of expressions, which is how nft 1.1 says `typeof`.
fn kinds(family: Family, kind: &Value) -> Option<Vec<Kind>> {
    match kind {
        Value::String(name) => constant::kind_of_type(name).map(|kind| vec![kind]),
        Value::Array(names) => names.iter().map(|name| constant::kind_of_type(name.as_str()?)).collect(),
        Value::Object(map) => {
            let key = lookup::fields(family, map.get("typeof")?, &[], false).ok()?;
            Some(key.kinds)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
}
