//! Constants and operations over them, in the manner of the field they belong to.

use std::net::{IpAddr, Ipv6Addr};

use serde_json::Value;

use super::{fields, statements};

/// How a field's constants are printed (nft `datatype.c`, `meta.c`, `ct.c`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    /// As they are.
    Plain,
    /// Names in quotes.
    Quoted,
    /// Numbers as this many hexadecimal digits.
    Hex(usize),
    /// Seconds as a duration.
    Duration,
}

fn manner(field: &Value) -> Manner {
    if let Some(key) = fields::part(field, "meta", "key") {
        return match key {
            "mark" => Manner::Hex(8),
            "protocol" | "ibrvproto" => Manner::Hex(4),
            "iif" | "oif" | "sdif" | "iifname" | "oifname" | "ibrname" | "obrname" | "sdifname"
            | "iifkind" | "oifkind" | "iifgroup" | "oifgroup" | "rtclassid" | "day" | "hour" | "time" => {
                Manner::Quoted
            }
            _ => Manner::Plain,
        };
    }
    if let Some(key) = fields::part(field, "ct", "key") {
        return match key {
            "mark" => Manner::Hex(8),
            "helper" | "label" => Manner::Quoted,
            "expiration" => Manner::Duration,
            "state" | "status" | "event" => Manner::Hex(0),
            _ => Manner::Plain,
        };
    }
    match (fields::part(field, "payload", "protocol"), fields::part(field, "payload", "field")) {
        (Some("ether" | "vlan"), Some("type")) | (Some("arp"), Some("ptype")) => return Manner::Hex(4),
        (Some("tcp" | "comp"), Some("flags")) => return Manner::Hex(0),
        (Some("ip" | "ip6"), Some("dscp")) => return Manner::Hex(2),
        (Some(_), _) => return Manner::Plain,
        (None, _) => {}
    }
    let is_hex = field.get("payload").is_some();
    let is_mark = fields::part(field, "socket", "key") == Some("mark");
    let is_named = field.get("osf").is_some()
        || field.get(NAMED).is_some()
        || fields::part(field, "rt", "key") == Some("classid")
        || fields::part(field, "socket", "key") == Some("cgroupv2")
        || fields::part(field, "fib", "result").is_some_and(|result| result != "type");
    match (is_hex, is_mark, is_named) {
        (true, _, _) => Manner::Hex(0),
        (_, true, _) => Manner::Hex(8),
        (_, _, true) => Manner::Quoted,
        (false, false, false) => Manner::Plain,
    }
}

/// Stands for a field of names: of links, or of objects.
pub(super) const NAMED: &str = "name";

/// A value that `field` is compared with, or that its part of a set holds.
pub(super) fn text(field: &Value, value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.starts_with('@') => Some(text.clone()),
        Value::String(text) => Some(name(field, text)),
        Value::Number(number) => Some(number_text(field, number.as_u64()?)),
        Value::Array(list) => {
            let parts: Option<Vec<String>> = list.iter().map(|part| text(field, part)).collect();
            Some(parts?.join(","))
        }
        Value::Object(_) => compound(field, value),
        Value::Bool(present) => Some(if *present { "exists" } else { "missing" }.to_owned()),
        Value::Null => None,
    }
}

fn name(field: &Value, text: &str) -> String {
    // JSON has the numbers of links that are gone, and of realms without a name, as strings.
    let key = fields::part(field, "meta", "key").or_else(|| fields::part(field, "rt", "key"));
    let result = fields::part(field, "fib", "result");
    let is_name =
        matches!(key, Some("iif" | "oif" | "sdif" | "rtclassid" | "classid")) || result == Some("oif");
    let is_number = is_name && text.parse::<u32>().is_ok();
    let is_quoted = manner(field) == Manner::Quoted && !is_number && text.parse::<IpAddr>().is_err();
    if is_quoted { format!("\"{text}\"") } else { text.to_owned() }
}

fn number_text(field: &Value, number: u64) -> String {
    match manner(masked(field)) {
        Manner::Hex(digits) => format!("0x{number:0digits$x}"),
        Manner::Duration => duration(number),
        Manner::Plain | Manner::Quoted => number.to_string(),
    }
}

/// The field of `field & mask`.
fn masked(field: &Value) -> &Value {
    let operands =
        field.as_object().and_then(|map| ["&", "|", "^", "<<", ">>"].iter().find_map(|key| map.get(*key)));
    match operands.and_then(|operands| operands.get(0)) {
        Some(inner) => masked(inner),
        None => field,
    }
}

/// `1h30m`
pub(super) fn duration(seconds: u64) -> String {
    let units = [("d", 86_400, u64::MAX), ("h", 3600, 24), ("m", 60, 60), ("s", 1, 60)];
    let mut text = String::new();
    for (unit, length, most) in units {
        let count = seconds / length % most;
        if count > 0 {
            text.push_str(&format!("{count}{unit}"));
        }
    }
    if text.is_empty() { "0s".to_owned() } else { text }
}

fn compound(field: &Value, value: &Value) -> Option<String> {
    let (name, body) = value.as_object()?.iter().next()?;
    match (name.as_str(), body.as_array().map(Vec::as_slice)) {
        ("prefix", _) => Some(format!("{}/{}", text(field, body.get("addr")?)?, body.get("len")?.as_u64()?)),
        ("range", Some([low, high])) => {
            Some(format!("{}-{}", range_end(field, low)?, range_end(field, high)?))
        }
        ("concat", Some(parts)) if field.get("concat").is_some() || parts.iter().all(is_constant) => {
            let fields = field.get("concat").and_then(Value::as_array);
            let field_of = |at: usize| fields.and_then(|fields| fields.get(at)).unwrap_or(&Value::Null);
            let parts = parts.iter().enumerate().map(|(at, part)| text(field_of(at), part));
            Some(parts.collect::<Option<Vec<String>>>()?.join(" . "))
        }
        ("set", Some(elements)) => {
            let elements: Option<Vec<String>> =
                elements.iter().map(|e| element(field, &Value::Null, e)).collect();
            Some(format!("{{ {} }}", elements?.join(", ")))
        }
        ("elem", _) => kept(field, body),
        ("map", _) => map(field, body),
        (operator @ ("|" | "&" | "^" | "<<" | ">>"), Some([lhs, rhs])) => {
            Some(format!("{} {operator} {}", operand(operator, field, lhs)?, operand(operator, field, rhs)?))
        }
        _ => fields::text(value),
    }
}

fn is_constant(value: &Value) -> bool {
    let is_compound = ["prefix", "range"].iter().any(|kind| value.get(kind).is_some());
    !value.is_object() || is_compound
}

/// Durations in ranges are whole seconds.
fn range_end(field: &Value, value: &Value) -> Option<String> {
    match (manner(field), value.as_u64()) {
        (Manner::Duration, Some(seconds)) => Some(format!("{seconds}s")),
        _ => text(field, value),
    }
}

/// In parentheses where it binds less than what it is part of (nft `expression.c`, `binop_arg_print`).
pub(super) fn operand(operator: &str, field: &Value, value: &Value) -> Option<String> {
    let looseness =
        |operator: &str| ["<<", "&", "^", "|"].iter().position(|o| *o == operator.replace(">>", "<<"));
    let inner = value.as_object().and_then(|map| map.keys().next()).and_then(|inner| looseness(inner));
    let field = if matches!(operator, "<<" | ">>") && value.is_number() { &Value::Null } else { field };
    let text = if value.is_object() {
        fields::text(value).or_else(|| text(field, value))
    } else {
        text(field, value)
    };
    let needs_parentheses = inner.is_some() && inner > looseness(operator);
    text.map(|text| if needs_parentheses { format!("({text})") } else { text })
}

/// A set's element; a pair in a map. What it maps to is printed in the manner of `data`.
pub(super) fn element(field: &Value, data: &Value, value: &Value) -> Option<String> {
    let Some([key, mapped]) = value.as_array().map(Vec::as_slice) else { return text(field, value) };
    let mapped = statements::verdict(mapped).or_else(|| text(data, mapped))?;
    Some(format!("{} : {mapped}", text(field, key)?))
}

/// `10.0.0.1 timeout 5s comment "x"`
fn kept(field: &Value, body: &Value) -> Option<String> {
    let mut out = text(field, body.get("val")?)?;
    for (key, value) in body.as_object()? {
        match (key.as_str(), value) {
            ("val" | "timeout" | "expires" | "comment", _) => {}
            _ => out = format!("{out} {}", statements::one_of(key, value)?),
        }
    }
    for key in ["timeout", "expires"] {
        if let Some(seconds) = body.get(key).and_then(Value::as_u64) {
            out = format!("{out} {key} {}", duration(seconds));
        }
    }
    match body.get("comment").and_then(Value::as_str) {
        Some(comment) => Some(format!("{out} comment \"{comment}\"")),
        None => Some(out),
    }
}

/// `ip saddr map { 10.0.0.1 : 0x00000001 }`; what is found is for `target`.
fn map(target: &Value, body: &Value) -> Option<String> {
    let (key, data) = (body.get("key")?, body.get("data")?);
    let data = match data.get("set").and_then(Value::as_array) {
        Some(elements) => {
            let elements: Option<Vec<String>> = elements.iter().map(|e| element(key, target, e)).collect();
            format!("{{ {} }}", elements?.join(", "))
        }
        None => text(key, data)?,
    };
    Some(format!("{} map {data}", fields::text(key)?))
}

/// An address before a port, which IPv6 needs brackets for.
pub(super) fn bracketed(address: &Value, text: String) -> String {
    let is_v6 = |value: &Value| value.as_str().is_some_and(|text| text.parse::<Ipv6Addr>().is_ok());
    match address.get("range").and_then(Value::as_array).map(Vec::as_slice) {
        Some([Value::String(low), Value::String(high)]) if low.parse::<Ipv6Addr>().is_ok() => {
            format!("[{low}]-[{high}]")
        }
        Some(_) => text,
        None if is_v6(address) => format!("[{text}]"),
        None => text,
    }
}
