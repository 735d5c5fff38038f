//! A rule's statements (libnftables-json(5), STATEMENTS) as conditions and one action.

use std::net::IpAddr;

use model::netfilter::{Action, Counters, Family, Match, NatTarget, RejectWith, Test};
use serde_json::Value;

use super::expression;

/// What a rule's statements come to.
pub(super) struct Read {
    pub(super) matches: Vec<Match>,
    pub(super) counters: Option<Counters>,
    pub(super) action: Action,
}

/// Reads the statements in order.
///
/// A rule of ours does one thing. Where a statement that changes the packet is followed by another
/// deed or by a condition, which decides only what comes after it, the whole is not modelled.
pub(super) fn read(family: Family, statements: &[Value]) -> Read {
    let mut rule = Read { matches: Vec::new(), counters: None, action: Action::Continue };
    for statement in statements {
        let Some((name, body)) = only_entry(statement) else {
            rule.action = Action::Unmodelled(expression::json(statements));
            return rule;
        };
        if matches!(name, "counter" | "last") {
            rule.counters = counters(body).or(rule.counters);
            continue;
        }
        let is_condition = match name {
            "match" => {
                expression::condition(family, body, &mut rule.matches);
                true
            }
            // What a rate, quota or connection limit lets pass; `set` and `flow` stop the rule where
            // they cannot add (`nft_dynset_eval`, `nft_flow_offload_eval`).
            "limit" | "quota" | "ct count" | "set" | "meter" | "flow" => {
                rule.matches.push(unmodelled(statement));
                true
            }
            "xt" if body.get("type").and_then(Value::as_str) == Some("match") => {
                rule.matches.push(unmodelled(statement));
                true
            }
            _ => false,
        };
        let next = if is_condition { Action::Continue } else { action(name, body, statement) };
        match (&rule.action, next) {
            // A log before a condition or a verdict does not decide, so it gives way.
            (Action::NonTerminal(_), Action::Continue) => {}
            (Action::Continue | Action::NonTerminal(_), next) => rule.action = next,
            (_, Action::NonTerminal(_) | Action::Continue) if !is_condition => {}
            (_, _) => {
                rule.action = Action::Unmodelled(expression::json(statements));
                return rule;
            }
        }
    }
    rule
}

fn unmodelled(statement: &Value) -> Match {
    Match { negated: false, test: Test::Unmodelled(statement.to_string()) }
}

fn only_entry(statement: &Value) -> Option<(&str, &Value)> {
    match statement {
        Value::Object(map) if map.len() == 1 => map.iter().next().map(|(name, body)| (name.as_str(), body)),
        _ => None,
    }
}

fn counters(body: &Value) -> Option<Counters> {
    Some(Counters { packets: body.get("packets")?.as_u64()?, bytes: body.get("bytes")?.as_u64()? })
}

fn action(name: &str, body: &Value, statement: &Value) -> Action {
    let modelled = match name {
        "accept" => Some(Action::Accept),
        "drop" => Some(Action::Drop),
        "continue" => Some(Action::Continue),
        "return" => Some(Action::Return),
        "jump" => target(body).map(Action::Jump),
        "goto" => target(body).map(Action::Goto),
        "reject" => reject(body),
        "dnat" => nat(body).map(Action::Dnat),
        "snat" => nat(body).map(Action::Snat),
        "masquerade" => masquerade(body),
        "redirect" => redirect(body),
        "notrack" => Some(Action::Notrack),
        "mangle" => mangle(body, statement),
        "log" | "dup" | "ct helper" | "ct timeout" | "ct expectation" | "secmark" => {
            Some(Action::NonTerminal(statement.to_string()))
        }
        _ => None,
    };
    modelled.unwrap_or_else(|| Action::Unmodelled(statement.to_string()))
}

fn target(body: &Value) -> Option<String> {
    body.get("target")?.as_str().map(str::to_owned)
}

/// Without a reason it is `port-unreachable` of the packet's own family.
fn reject(body: &Value) -> Option<Action> {
    let kind = body.get("type").and_then(Value::as_str);
    let reason = body.get("expr").and_then(Value::as_str);
    Some(Action::Reject(match (kind, reason) {
        (None, None) => RejectWith::Icmpx(1),
        (Some("tcp reset"), _) => RejectWith::TcpReset,
        (Some("icmp"), Some(reason)) => RejectWith::Icmp(icmp_code(reason)?),
        (Some("icmpv6"), Some(reason)) => RejectWith::Icmp6(icmpv6_code(reason)?),
        (Some("icmpx"), Some(reason)) => RejectWith::Icmpx(icmpx_code(reason)?),
        _ => return None,
    }))
}

/// nft's names of ICMP's codes of *destination unreachable* (nft `datatype.c`, `icmp_code_tbl`).
fn icmp_code(name: &str) -> Option<u8> {
    expression::icmp_code_name(name)
}

/// Likewise `icmpv6_code_tbl`.
fn icmpv6_code(name: &str) -> Option<u8> {
    Some(match name {
        "no-route" => 0,
        "admin-prohibited" => 1,
        "addr-unreachable" => 3,
        "port-unreachable" => 4,
        "policy-fail" => 5,
        "reject-route" => 6,
        _ => return None,
    })
}

/// Likewise `icmpx_code_tbl`.
fn icmpx_code(name: &str) -> Option<u8> {
    Some(match name {
        "no-route" => 0,
        "port-unreachable" => 1,
        "host-unreachable" => 2,
        "admin-prohibited" => 3,
        _ => return None,
    })
}

fn nat(body: &Value) -> Option<NatTarget> {
    // `prefix` maps address to address (netmap), `interval` and maps look the target up.
    if body.get("type_flags").is_some() {
        return None;
    }
    let addresses = match body.get("addr") {
        Some(addr) => Some(address_range(addr)?),
        None => None,
    };
    Some(NatTarget { addresses, ports: ports(body)? })
}

fn address_range(addr: &Value) -> Option<(IpAddr, IpAddr)> {
    if let Some(range) = expression::address_range(addr) {
        return Some(range);
    }
    let net = expression::net(addr)?;
    Some((net.network(), net.broadcast()))
}

/// `Some(None)` where no port is named.
#[expect(clippy::option_option, reason = "not readable and not there are different answers")]
fn ports(body: &Value) -> Option<Option<(u16, u16)>> {
    match body.get("port") {
        Some(port) => expression::port_range(port).map(Some),
        None => Some(None),
    }
}

/// As for iptables: a range of ports that leaves ordinary clients theirs.
fn masquerade(body: &Value) -> Option<Action> {
    match ports(body)? {
        Some((low, high)) if low > 1024 || high < u16::MAX => None,
        Some(_) | None => Some(Action::Masquerade),
    }
}

fn redirect(body: &Value) -> Option<Action> {
    ports(body).map(Action::Redirect)
}

/// `meta mark set`, in the forms that come to `(mark & !mask) ^ value`.
fn mangle(body: &Value, statement: &Value) -> Option<Action> {
    let (key, value) = (body.get("key")?, body.get("value")?);
    if !expression::is_meta(key, "mark") {
        let harmless = expression::is_meta(key, "nftrace")
            || expression::is_meta(key, "priority")
            || key.get("ct").and_then(|ct| ct.get("key")).and_then(Value::as_str) == Some("mark");
        return harmless.then(|| Action::NonTerminal(statement.to_string()));
    }
    let (value, mask) = mark(value)?;
    Some(Action::SetMark { value, mask })
}

/// An expression over the mark as (bits flipped after, bits cleared first).
fn mark(value: &Value) -> Option<(u32, u32)> {
    if let Some(number) = value.as_u64() {
        return Some((u32::try_from(number).ok()?, u32::MAX));
    }
    if expression::is_meta(value, "mark") {
        return Some((0, 0));
    }
    let (operator, operands) = only_entry(value)?;
    let [left, right] = operands.as_array()?.as_slice() else { return None };
    let (flipped, cleared) = mark(left)?;
    let right = u32::try_from(right.as_u64()?).ok()?;
    Some(match operator {
        "&" => (flipped & right, cleared | !right),
        "|" => ((flipped & !right) | right, cleared | right),
        "^" => (flipped ^ right, cleared),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mark_arithmetic_is_exact() {
        let meta = r#"{"meta": {"key": "mark"}}"#;
        let cases = [
            ("7".to_owned(), 7),
            (format!(r#"{{"|": [{meta}, 16]}}"#), 0x1234_5678 | 16),
            (format!(r#"{{"&": [{meta}, 65520]}}"#), 0x1234_5678 & 0xfff0),
            (format!(r#"{{"^": [{{"&": [{meta}, 65523]}}, 3]}}"#), (0x1234_5678 & 0xfff3) ^ 3),
            (format!(r#"{{"|": [{{"^": [{meta}, 255]}}, 3]}}"#), (0x1234_5678 ^ 255) | 3),
        ];
        for (json, wanted) in cases {
            let (value, mask) = mark(&serde_json::from_str(&json).unwrap()).unwrap();
            assert_eq!((0x1234_5678 & !mask) ^ value, wanted, "{json}");
        }
    }
}
