//! What rules look at, as nft prints it.

use serde_json::Value;

use super::values;

/// `value.kind.name`, where it is a string.
pub(super) fn part<'v>(value: &'v Value, kind: &str, name: &str) -> Option<&'v str> {
    value.get(kind)?.get(name)?.as_str()
}

/// Fields of several bits, of which no operator asks for any.
pub(super) fn is_bitmask(field: &Value) -> bool {
    part(field, "ct", "key").is_some_and(|key| ["state", "status", "label", "event"].contains(&key))
        || is_tcp_flags(field)
}

/// `tcp flags`
pub(super) fn is_tcp_flags(field: &Value) -> bool {
    part(field, "payload", "protocol") == Some("tcp") && part(field, "payload", "field") == Some("flags")
}

/// A field, or an operation over one.
pub(super) fn text(field: &Value) -> Option<String> {
    let (kind, body) = field.as_object()?.iter().next()?;
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    Some(match kind.as_str() {
        "payload" => payload(body)?,
        "meta" => meta(word("key")?),
        "ct" => format!("ct {}{}", spaced(word("dir")), word("key")?),
        "fib" => {
            let flags: Option<Vec<&str>> = body.get("flags")?.as_array()?.iter().map(Value::as_str).collect();
            format!("fib {} {}", flags?.join(" . "), word("result")?)
        }
        "concat" => {
            let part = |part: &Value| text(part).or_else(|| values::text(&Value::Null, part));
            let parts: Option<Vec<String>> = body.as_array()?.iter().map(part).collect();
            parts?.join(" . ")
        }
        "exthdr" => match word("field") {
            Some(field) => format!("{} {field}", word("name")?),
            None => format!("exthdr {}", word("name")?),
        },
        "tcp option" | "ip option" | "sctp chunk" | "dccp option" => option(kind, body)?,
        "rt" => format!("rt {}{}", spaced(word("family")), word("key")?),
        "socket" => match number("level") {
            Some(level) => format!("socket {} level {level}", word("key")?),
            None => format!("socket {}", word("key")?),
        },
        "osf" => match word("ttl") {
            Some(ttl) => format!("osf ttl {ttl} {}", word("key")?),
            None => format!("osf {}", word("key")?),
        },
        "ipsec" => {
            let number = match number("spnum") {
                Some(0) | None => String::new(),
                Some(number) => format!("spnum {number} "),
            };
            format!("ipsec {} {number}{}{}", word("dir")?, spaced(word("family")), word("key")?)
        }
        "numgen" => {
            let offset = added("offset", number("offset"));
            format!("numgen {} mod {}{offset}", word("mode")?, number("mod")?)
        }
        "jhash" => format!("jhash {} {}", text(body.get("expr")?)?, hash(body)?),
        "symhash" => format!("symhash {}", hash(body)?),
        operator @ ("|" | "&" | "^" | "<<" | ">>") => {
            let [left, right] = body.as_array()?.as_slice() else { return None };
            let inner = values::operand(operator, field_of(left), left)?;
            format!("{inner} {operator} {}", values::operand(operator, field_of(left), right)?)
        }
        _ => return None,
    })
}

/// The field that operations go over.
fn field_of(value: &Value) -> &Value {
    let operands =
        value.as_object().and_then(|map| ["&", "|", "^", "<<", ">>"].iter().find_map(|key| map.get(*key)));
    operands.and_then(|operands| operands.get(0)).map_or(value, field_of)
}

fn spaced(word: Option<&str>) -> String {
    word.map(|word| format!("{word} ")).unwrap_or_default()
}

fn added(name: &str, number: Option<u64>) -> String {
    match number {
        Some(0) | None => String::new(),
        Some(number) => format!(" {name} {number}"),
    }
}

fn payload(body: &Value) -> Option<String> {
    let word = |name: &str| body.get(name).and_then(Value::as_str);
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    match word("protocol") {
        Some(protocol) => Some(format!("{}{protocol} {}", spaced(word("tunnel")), word("field")?)),
        None => Some(format!("@{},{},{}", word("base")?, number("offset")?, number("len")?)),
    }
}

fn meta(key: &str) -> String {
    let bare = ["iif", "oif", "iifname", "oifname", "iifgroup", "oifgroup"];
    if bare.contains(&key) { key.to_owned() } else { format!("meta {key}") }
}

fn option(kind: &str, body: &Value) -> Option<String> {
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    if let Some(name) = body.get("name").and_then(Value::as_str) {
        return Some(match body.get("field").and_then(Value::as_str) {
            Some(field) => format!("{kind} {name} {field}"),
            None => format!("{kind} {name}"),
        });
    }
    if let Some(number) = number("type") {
        return Some(format!("{kind} {number}"));
    }
    let (base, offset, length) = (number("base")?, number("offset")?, number("len")?);
    // Whether it is there is asked of an option's first octet.
    Some(if offset == 0 && length <= 8 {
        format!("{kind} {base}")
    } else {
        format!("{kind} @{base},{offset},{length}")
    })
}

fn hash(body: &Value) -> Option<String> {
    let number = |name: &str| body.get(name).and_then(Value::as_u64);
    let seed = number("seed").map(|seed| format!(" seed 0x{seed:x}")).unwrap_or_default();
    Some(format!("mod {}{seed}{}", number("mod")?, added("offset", number("offset"))))
}
