//! Statements as nft prints them.

use model::netfilter::Family;
use serde_json::{Value, json};

use super::{fields, values};

/// One statement.
pub(super) fn text(family: Family, statement: &Value) -> Option<String> {
    if let Some(verdict) = verdict(statement) {
        return Some(verdict);
    }
    let (name, body) = statement.as_object()?.iter().next()?;
    match name.as_str() {
        "reject" => reject(family, body),
        "jump" | "goto" => anonymous_chain(family, name, body),
        _ => one_of(name, body),
    }
}

/// What is done with the packet.
pub(super) fn verdict(statement: &Value) -> Option<String> {
    let (name, body) = statement.as_object()?.iter().next()?;
    match name.as_str() {
        "accept" | "drop" | "continue" | "return" | "break" => Some(name.clone()),
        "queue" if body.is_null() => None,
        "jump" | "goto" => Some(format!("{name} {}", body.get("target")?.as_str()?)),
        _ => None,
    }
}

/// `jump { counter; accept }`
fn anonymous_chain(family: Family, name: &str, body: &Value) -> Option<String> {
    let rules = body.get("chain")?.as_array()?;
    let rules: Option<Vec<String>> =
        rules.iter().map(|rule| Some(super::rule(family, rule.as_array()?.as_slice()))).collect();
    Some(format!("{name} {{ {} }}", rules?.join("; ")))
}

/// A statement of which the family does not matter.
pub(super) fn one_of(name: &str, body: &Value) -> Option<String> {
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    Some(match name {
        "match" => comparison(body)?,
        "vmap" => vmap(body)?,
        "counter" | "limit" | "quota" | "synproxy" if body.is_string() || body.get("map").is_some() => {
            format!("{name} name {}", object(body)?)
        }
        "counter" | "last" | "notrack" => name.to_owned(),
        "limit" => limit(body)?,
        "quota" => format!("quota {}{} {}", over(body), number("val")?, word("val_unit")?),
        "synproxy" => synproxy(body),
        "ct count" => format!("ct count {}{}", over(body), number("val")?),
        "ct helper" | "ct timeout" | "ct expectation" => format!("{name} set {}", object(body)?),
        "secmark" => format!("meta secmark set {}", object(body)?),
        "mangle" => {
            let key = body.get("key")?;
            format!("{} set {}", fields::text(key)?, values::text(key, body.get("value")?)?)
        }
        "dnat" | "snat" | "masquerade" | "redirect" | "fullcone" | "tproxy" => nat(name, body)?,
        "dup" | "fwd" => copy(name, body)?,
        "log" => log(body)?,
        "queue" => queue(body)?,
        "reset" => format!("reset {}", fields::text(body)?),
        "flow" => format!("flow add {}", word("flowtable")?),
        "set" | "map" => set_element(body)?,
        "meter" => {
            let key = values::text(&Value::Null, body.get("key")?)?;
            let kept = text(Family::Inet, body.get("stmt")?)?;
            format!("meter {} size {} {{ {key} {kept} }}", word("name")?, number("size")?)
        }
        "xt" => format!("xt {} {}", word("type")?, word("name")?),
        _ => return None,
    })
}

fn over(body: &Value) -> &'static str {
    if body.get("inv").and_then(Value::as_bool) == Some(true) { "over " } else { "" }
}

/// The name of an object or a link, or where it is looked up; addresses are no names.
fn object(body: &Value) -> Option<String> {
    values::text(&json!({values::NAMED: null}), body)
}

fn comparison(body: &Value) -> Option<String> {
    let (left, right) = (body.get("left")?, body.get("right")?);
    let operator = body.get("op")?.as_str()?;
    if let Some([field, mask @ Value::Array(_)]) = left.get("&").and_then(Value::as_array).map(Vec::as_slice)
    {
        let unequal = if operator == "!=" { "!= " } else { "" };
        let (wanted, mask) = (values::text(field, right)?, values::text(field, mask)?);
        return Some(format!("{} {unequal}{wanted} / {mask}", fields::text(field)?));
    }
    let is_set = right.get("set").is_some() || right.as_str().is_some_and(|name| name.starts_with('@'));
    let is_operation = ["&", "|", "^", "<<", ">>"].iter().any(|operator| left.get(operator).is_some());
    let operator = match operator {
        "==" if is_operation || (fields::is_bitmask(left) && !is_set) => "== ".to_owned(),
        "==" | "in" => String::new(),
        other => format!("{other} "),
    };
    let (field, value) = (fields::text(left)?, values::text(left, right)?);
    Some(format!("{} {operator}{value}", with_family(left, field, &value)))
}

/// `ct original ip saddr`, of which nft 1.0.6 leaves the family out in JSON.
fn with_family(left: &Value, field: String, value: &str) -> String {
    match fields::part(left, "ct", "key") {
        Some(key @ ("saddr" | "daddr")) => {
            let family = if value.contains(':') { "ip6" } else { "ip" };
            field.replace(key, &format!("{family} {key}"))
        }
        Some(_) | None => field,
    }
}

fn vmap(body: &Value) -> Option<String> {
    let key = body.get("key")?;
    Some(format!("{} vmap {}", fields::text(key)?, values::text(key, body.get("data")?)?))
}

/// Bursts that are the default are left out.
fn limit(body: &Value) -> Option<String> {
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    let (rate, per) = (body.get("rate")?.as_u64()?, word("per")?);
    let burst = body.get("burst").and_then(Value::as_u64).unwrap_or(0);
    let unit = word("rate_unit").map(|unit| format!(" {unit}")).unwrap_or_default();
    let burst = match word("rate_unit") {
        Some(_) if burst > 0 => format!(" burst {burst} {}", word("burst_unit")?),
        None if burst > 0 && burst != 5 => format!(" burst {burst} packets"),
        Some(_) | None => String::new(),
    };
    Some(format!("limit rate {}{rate}{unit}/{per}{burst}", over(body)))
}

fn synproxy(body: &Value) -> String {
    let mut text = "synproxy".to_owned();
    for key in ["mss", "wscale"] {
        if let Some(number) = body.get(key).and_then(Value::as_u64) {
            text = format!("{text} {key} {number}");
        }
    }
    for flag in flags(body) {
        text = format!("{text} {flag}");
    }
    text
}

/// One flag or several.
fn flags(body: &Value) -> Vec<&str> {
    match body.get("flags") {
        Some(Value::String(flag)) => vec![flag],
        Some(Value::Array(flags)) => flags.iter().filter_map(Value::as_str).collect(),
        Some(_) | None => Vec::new(),
    }
}

/// The family's own *port unreachable* is what a bare `reject` says.
fn reject(family: Family, body: &Value) -> Option<String> {
    if body.is_null() {
        return Some("reject".to_owned());
    }
    let kind = body.get("type")?.as_str()?;
    let own = match family {
        Family::Ip => kind == "icmp",
        Family::Ip6 => kind == "icmpv6",
        Family::Inet | Family::Bridge | Family::Netdev => kind == "icmpx",
        Family::Arp => false,
    };
    Some(match body.get("expr") {
        Some(Value::String(reason)) if own && reason == "port-unreachable" => "reject".to_owned(),
        Some(reason) => format!("reject with {kind} {}", values::text(&Value::Null, reason)?),
        None => format!("reject with {kind}"),
    })
}

fn nat(name: &str, body: &Value) -> Option<String> {
    let mut text = name.to_owned();
    let port = match body.get("port") {
        Some(port) => format!(":{}", values::text(&Value::Null, port)?),
        None => String::new(),
    };
    let address = match body.get("addr") {
        Some(address) => {
            let text = values::text(&Value::Null, address)?;
            if port.is_empty() && name != "tproxy" { text } else { values::bracketed(address, text) }
        }
        None => String::new(),
    };
    if !address.is_empty() || !port.is_empty() {
        if let Some(family) = body.get("family").and_then(Value::as_str) {
            text = format!("{text} {family}");
        }
        if body.get("type_flags").and_then(Value::as_str) == Some("prefix") {
            text.push_str(" prefix");
        }
        text = format!("{text} to {address}{port}");
    }
    // That a translation of prefixes is one is said by `prefix`.
    let flags: Vec<&str> = flags(body).into_iter().filter(|flag| *flag != "netmap").collect();
    if flags.is_empty() { Some(text) } else { Some(format!("{text} {}", flags.join(","))) }
}

fn copy(name: &str, body: &Value) -> Option<String> {
    if body.is_null() {
        return Some(name.to_owned());
    }
    let family =
        body.get("family").and_then(Value::as_str).map(|family| format!(" {family}")).unwrap_or_default();
    Some(match (body.get("addr"), body.get("dev")) {
        (Some(address), Some(device)) => {
            format!("{name}{family} to {} device {}", object(address)?, object(device)?)
        }
        (Some(target), None) | (None, Some(target)) => format!("{name} to {}", object(target)?),
        (None, None) => return None,
    })
}

fn log(body: &Value) -> Option<String> {
    let mut text = "log".to_owned();
    if let Some(prefix) = body.get("prefix") {
        text = format!("{text} prefix \"{}\"", prefix.as_str()?);
    }
    for key in ["group", "snaplen", "queue-threshold"] {
        if let Some(number) = body.get(key) {
            text = format!("{text} {key} {}", number.as_u64()?);
        }
    }
    if let Some(level) = body.get("level") {
        text = format!("{text} level {}", level.as_str()?);
    }
    let flags = flags(body);
    let of_tcp: Vec<&str> = flags.iter().filter_map(|flag| flag.strip_prefix("tcp ")).collect();
    if !of_tcp.is_empty() {
        text = format!("{text} flags tcp {}", of_tcp.join(","));
    }
    for flag in flags.iter().filter(|flag| !flag.starts_with("tcp ")) {
        text = format!("{text} flags {flag}");
    }
    Some(text)
}

fn queue(body: &Value) -> Option<String> {
    let flags = flags(body).join(",");
    let flags = if flags.is_empty() { flags } else { format!(" flags {flags}") };
    let number = match body.get("num") {
        Some(number) => values::text(&Value::Null, number)?,
        None => "0".to_owned(),
    };
    Some(format!("queue{flags} to {number}"))
}

fn set_element(body: &Value) -> Option<String> {
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    let set = word("set").or_else(|| word("map"))?;
    let mut text = format!("{} {set} {{ {}", word("op")?, values::text(&Value::Null, body.get("elem")?)?);
    for statement in body.get("stmt").and_then(Value::as_array).into_iter().flatten() {
        text = format!("{text} {}", self::text(Family::Inet, statement)?);
    }
    if let Some(data) = body.get("data") {
        text = format!("{text} : {}", values::text(&Value::Null, data)?);
    }
    Some(format!("{text} }}"))
}
