//! Rules as `nft list ruleset` prints them, made from JSON. Counters are printed without their
//! numbers; what is not known here stays JSON.

use model::netfilter::Family;
use serde_json::Value;

/// A whole rule.
pub(super) fn rule(family: Family, statements: &[Value]) -> String {
    let texts: Vec<String> = statements
        .iter()
        .map(|statement| one(family, statement).unwrap_or_else(|| statement.to_string()))
        .collect();
    texts.join(" ")
}

fn one(family: Family, statement: &Value) -> Option<String> {
    let (name, body) = statement.as_object()?.iter().next()?;
    Some(match name.as_str() {
        "accept" | "drop" | "continue" | "return" | "notrack" => name.clone(),
        "jump" | "goto" => format!("{name} {}", body.get("target")?.as_str()?),
        "counter" => match body.as_str() {
            Some(named) => format!("counter name \"{named}\""),
            None => name.clone(),
        },
        "match" => comparison(body)?,
        "reject" => reject(family, body)?,
        "dnat" | "snat" | "masquerade" | "redirect" => nat(name, body)?,
        "mangle" => {
            let key = body.get("key")?;
            format!("{} set {}", left(key)?, right(key, body.get("value")?)?)
        }
        "log" => log(body)?,
        "limit" if body.is_string() => format!("limit name \"{}\"", body.as_str()?),
        "limit" => plain_limit(body)?,
        "vmap" => {
            let key = body.get("key")?;
            format!("{} vmap {}", left(key)?, right(key, body.get("data")?)?)
        }
        _ => return None,
    })
}

fn comparison(body: &Value) -> Option<String> {
    let (lhs, rhs) = (body.get("left")?, body.get("right")?);
    let operator = body.get("op")?.as_str()?;
    let unequal = if operator == "!=" { "!= " } else { "" };
    let masked = lhs.get("&").and_then(Value::as_array).map(Vec::as_slice);
    if let Some([field, mask]) = masked {
        if is_tcp_flags(field) {
            return Some(format!(
                "{} {unequal}{} / {}",
                left(field)?,
                right(field, rhs)?,
                right(field, mask)?
            ));
        }
        let (field_text, mask) = (left(field)?, right(field, mask)?);
        return Some(format!("{field_text} & {mask} {operator} {}", right(field, rhs)?));
    }
    let operator = match operator {
        "==" | "in" => String::new(),
        other => format!("{other} "),
    };
    Some(format!("{} {operator}{}", left(lhs)?, right(lhs, rhs)?))
}

fn is_tcp_flags(field: &Value) -> bool {
    let part = |name| field.get("payload").and_then(|p| p.get(name)).and_then(Value::as_str);
    part("protocol") == Some("tcp") && part("field") == Some("flags")
}

/// What is looked at.
fn left(expression: &Value) -> Option<String> {
    let (name, body) = expression.as_object()?.iter().next()?;
    match name.as_str() {
        "payload" => Some(format!("{} {}", body.get("protocol")?.as_str()?, body.get("field")?.as_str()?)),
        "meta" => {
            let key = body.get("key")?.as_str()?;
            let bare = ["iif", "oif", "iifname", "oifname", "iiftype", "oiftype", "iifgroup", "oifgroup"];
            Some(if bare.contains(&key) { key.to_owned() } else { format!("meta {key}") })
        }
        "ct" => {
            let direction = match body.get("dir") {
                Some(direction) => format!("{} ", direction.as_str()?),
                None => String::new(),
            };
            Some(format!("ct {direction}{}", body.get("key")?.as_str()?))
        }
        "fib" => {
            let flags: Option<Vec<&str>> = body.get("flags")?.as_array()?.iter().map(Value::as_str).collect();
            Some(format!("fib {} {}", flags?.join(" . "), body.get("result")?.as_str()?))
        }
        "concat" => {
            let parts: Option<Vec<String>> = body.as_array()?.iter().map(left).collect();
            Some(parts?.join(" . "))
        }
        _ => None,
    }
}

/// What it is compared with, in the manner of the field.
fn right(field: &Value, value: &Value) -> Option<String> {
    match value {
        Value::String(text) if text.starts_with('@') => Some(text.clone()),
        Value::String(text) => Some(if is_name(field) { format!("\"{text}\"") } else { text.clone() }),
        Value::Number(number) => Some(number_text(field, number.as_u64()?)),
        Value::Array(list) => {
            let parts: Option<Vec<String>> = list.iter().map(|part| right(field, part)).collect();
            Some(parts?.join(","))
        }
        Value::Object(_) => compound(field, value),
        Value::Bool(present) => Some(if *present { "exists" } else { "missing" }.to_owned()),
        Value::Null => None,
    }
}

fn compound(field: &Value, value: &Value) -> Option<String> {
    let (name, body) = value.as_object()?.iter().next()?;
    match (name.as_str(), body.as_array().map(Vec::as_slice)) {
        ("prefix", _) => Some(format!("{}/{}", body.get("addr")?.as_str()?, body.get("len")?.as_u64()?)),
        ("range", Some([low, high])) => Some(format!("{}-{}", right(field, low)?, right(field, high)?)),
        ("concat", Some(parts)) => {
            let parts: Option<Vec<String>> = parts.iter().map(|part| right(field, part)).collect();
            Some(parts?.join(" . "))
        }
        ("set", Some(elements)) => {
            let elements: Option<Vec<String>> = elements.iter().map(|e| element(field, e)).collect();
            Some(format!("{{ {} }}", elements?.join(", ")))
        }
        (operator @ ("|" | "&" | "^" | "<<" | ">>"), Some([lhs, rhs])) => {
            Some(format!("{} {operator} {}", right(field, lhs)?, right(field, rhs)?))
        }
        _ => left(value),
    }
}

/// A set's element; a pair in a map, of which a verdict is the usual value.
fn element(field: &Value, value: &Value) -> Option<String> {
    let Some([key, mapped]) = value.as_array().map(Vec::as_slice) else { return right(field, value) };
    let mapped = one(Family::Inet, mapped).or_else(|| right(field, mapped))?;
    Some(format!("{} : {mapped}", right(field, key)?))
}

fn meta_key(field: &Value) -> Option<&str> {
    field.get("meta")?.get("key")?.as_str()
}

/// Link names are quoted.
fn is_name(field: &Value) -> bool {
    let names = ["iif", "oif", "iifname", "oifname", "ibrname", "obrname"];
    meta_key(field).is_some_and(|key| names.contains(&key))
}

/// Marks are printed as eight hexadecimal digits, Ethernet types as four.
fn number_text(field: &Value, number: u64) -> String {
    let ct_mark = field.get("ct").and_then(|ct| ct.get("key")).and_then(Value::as_str) == Some("mark");
    let is_type = left(field).is_some_and(|text| matches!(text.as_str(), "ether type" | "meta protocol"));
    if ct_mark || meta_key(field) == Some("mark") {
        format!("0x{number:08x}")
    } else if is_type {
        format!("0x{number:04x}")
    } else {
        number.to_string()
    }
}

/// The family's own *port unreachable* is what a bare `reject` says.
fn reject(family: Family, body: &Value) -> Option<String> {
    if body.is_null() {
        return Some("reject".to_owned());
    }
    let kind = body.get("type")?.as_str()?;
    let reason = body.get("expr").and_then(Value::as_str);
    let own = matches!(
        (family, kind),
        (Family::Ip, "icmp")
            | (Family::Ip6, "icmpv6")
            | (Family::Inet | Family::Bridge | Family::Netdev, "icmpx")
    );
    Some(match reason {
        Some("port-unreachable") if own => "reject".to_owned(),
        Some(reason) => format!("reject with {kind} {reason}"),
        None => format!("reject with {kind}"),
    })
}

fn nat(name: &str, body: &Value) -> Option<String> {
    let mut text = name.to_owned();
    if let Some(family) = body.get("family").and_then(Value::as_str) {
        text = format!("{text} {family}");
    }
    let address = match body.get("addr") {
        Some(address) => nat_address(address)?,
        None => String::new(),
    };
    let port = match body.get("port") {
        Some(port) => format!(":{}", right(&Value::Null, port)?),
        None => String::new(),
    };
    if !address.is_empty() || !port.is_empty() {
        text = format!("{text} to {address}{port}");
    }
    match body.get("flags") {
        Some(flags) => Some(format!("{text} {}", right(&Value::Null, flags)?)),
        None => Some(text),
    }
}

fn nat_address(address: &Value) -> Option<String> {
    let Some(map) = address.get("map") else { return right(&Value::Null, address) };
    let key = map.get("key")?;
    Some(format!("{} map {}", left(key)?, right(key, map.get("data")?)?))
}

fn log(body: &Value) -> Option<String> {
    let mut text = "log".to_owned();
    for (key, value) in body.as_object().into_iter().flatten() {
        match key.as_str() {
            "prefix" | "level" | "group" => {}
            _ => return None,
        }
        value.as_str().map(drop).or(value.as_u64().map(drop))?;
    }
    if let Some(prefix) = body.get("prefix").and_then(Value::as_str) {
        text = format!("{text} prefix \"{prefix}\"");
    }
    if let Some(level) = body.get("level").and_then(Value::as_str) {
        text = format!("{text} level {level}");
    }
    match body.get("group").and_then(Value::as_u64) {
        Some(group) => Some(format!("{text} group {group}")),
        None => Some(text),
    }
}

/// A rate of packets with the burst that nft leaves out because it is the default.
fn plain_limit(body: &Value) -> Option<String> {
    let known = ["rate", "per", "burst"];
    if !body.as_object()?.keys().all(|key| known.contains(&key.as_str())) || body.get("burst")?.as_u64()? != 5
    {
        return None;
    }
    Some(format!("limit rate {}/{}", body.get("rate")?.as_u64()?, body.get("per")?.as_str()?))
}
