//! Statements that count, limit, tell or refuse.

use model::netfilter::Family;
use serde_json::{Map, Value, json};

use super::cursor::{Cursor, Reading};
use super::expressions::{self, Side};
use super::lexer::Kind;
use super::statements::single;
use super::values::object;

/// Statements that also stand with a set's elements, which then keep a state of their own.
pub(super) fn is_stateful(cursor: &Cursor<'_, '_>) -> bool {
    match cursor.peek_word() {
        "counter" | "limit" | "quota" | "last" => true,
        "ct" => cursor.peek_second().is_some_and(|token| token.is("count")),
        _ => false,
    }
}

/// One of those.
pub(super) fn stateful(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let word = cursor.word("`counter`, `limit`, `quota` or `last`")?;
    if word != "last" && cursor.take_word("name") {
        return Ok(single(word, expressions::read(cursor, Side::Either)?));
    }
    match word {
        "counter" => counter(cursor),
        "limit" => Ok(json!({"limit": limit(cursor)?})),
        "quota" => Ok(json!({"quota": quota(cursor)?})),
        "last" => last(cursor),
        "ct" => ct_count(cursor),
        _ => cursor.stuck("expected `counter`, `limit`, `quota` or `last`"),
    }
}

fn counter(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    if !cursor.take_word("packets") {
        return Ok(single("counter", Value::Null));
    }
    let packets = cursor.number("packets")?;
    cursor.expect_word("bytes")?;
    let bytes = cursor.number("bytes")?;
    Ok(single("counter", object([("packets", packets.into()), ("bytes", bytes.into())])))
}

/// When it was last met says nothing about the rule.
fn last(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    if cursor.take_word("used") {
        cursor.word("a duration")?;
    }
    Ok(json!({"last": null}))
}

/// `rate over 10 mbytes/second burst 5 mbytes`.
fn limit(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    cursor.expect_word("rate")?;
    if cursor.take_word("over") {
        body.insert("inv".to_owned(), true.into());
    } else {
        cursor.take_word("until");
    }
    let word = cursor.word("a rate")?;
    let (rate, per) = match word.split_once('/') {
        Some((rate, per)) => (rate, per),
        None => {
            let (unit, per) = cursor.word("a unit")?.split_once('/').unwrap_or(("", ""));
            body.insert("rate_unit".to_owned(), unit.into());
            (word, per)
        }
    };
    let Ok(rate) = rate.parse::<u64>() else { return cursor.stuck("expected a rate before this") };
    body.insert("rate".to_owned(), rate.into());
    body.insert("per".to_owned(), per.into());
    // nft leaves the burst out where it is the default (`limit_stmt_print`).
    let counts_bytes = body.contains_key("rate_unit");
    let mut burst = if counts_bytes { (0, "bytes") } else { (5, "packets") };
    if cursor.take_word("burst") {
        burst = (cursor.number("a burst")?, cursor.word("a unit")?);
    }
    body.insert("burst".to_owned(), burst.0.into());
    if counts_bytes {
        body.insert("burst_unit".to_owned(), burst.1.into());
    }
    Ok(Value::Object(body))
}

/// `over 25 mbytes used 2 kbytes`
fn quota(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let mut body = Map::new();
    if cursor.take_word("over") {
        body.insert("inv".to_owned(), true.into());
    } else {
        cursor.take_word("until");
    }
    body.insert("val".to_owned(), cursor.number("a quota")?.into());
    body.insert("val_unit".to_owned(), cursor.word("a unit")?.into());
    if cursor.take_word("used") {
        body.insert("used".to_owned(), cursor.number("what is used")?.into());
        body.insert("used_unit".to_owned(), cursor.word("a unit")?.into());
    }
    Ok(Value::Object(body))
}

/// `count over 5`; `ct` is taken.
fn ct_count(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("count")?;
    let over = cursor.take_word("over");
    let mut body = json!({"val": cursor.number("a number of connections")?});
    if let Some(body) = body.as_object_mut().filter(|_| over) {
        body.insert("inv".to_owned(), true.into());
    }
    Ok(json!({"ct count": body}))
}

/// An object's body that says nothing is null.
fn or_null(body: Map<String, Value>) -> Value {
    if body.is_empty() { Value::Null } else { Value::Object(body) }
}

/// Several flags are a list, one is a string.
pub(super) fn add_flags(body: &mut Map<String, Value>, mut flags: Vec<Value>) {
    match flags.len() {
        0 => {}
        1 => {
            body.extend(flags.pop().map(|flag| ("flags".to_owned(), flag)));
        }
        _ => {
            body.insert("flags".to_owned(), Value::Array(flags));
        }
    }
}

pub(super) fn log(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("log")?;
    let mut body = Map::new();
    let mut flags = Vec::new();
    loop {
        let key = cursor.peek_word();
        match key {
            "prefix" | "level" => {
                cursor.next();
                body.insert(key.to_owned(), cursor.name("what to log")?.into());
            }
            "group" | "snaplen" | "queue-threshold" => {
                cursor.next();
                body.insert(key.to_owned(), cursor.number(key)?.into());
            }
            "flags" => {
                cursor.next();
                log_flags(cursor, &mut flags)?;
            }
            _ => break,
        }
    }
    add_flags(&mut body, flags);
    Ok(json!({"log": or_null(body)}))
}

fn log_flags(cursor: &mut Cursor<'_, '_>, flags: &mut Vec<Value>) -> Reading<()> {
    let word = cursor.word("a flag")?;
    if !["tcp", "ip"].contains(&word) {
        flags.push(word.into());
        return Ok(());
    }
    loop {
        flags.push(format!("{word} {}", cursor.word("a flag")?).into());
        if !cursor.take(Kind::Comma) {
            return Ok(());
        }
    }
}

/// A bare `reject` says *port unreachable* in the way of the table's family.
pub(super) fn reject(cursor: &mut Cursor<'_, '_>, family: Family) -> Reading<Value> {
    cursor.expect_word("reject")?;
    if !cursor.take_word("with") {
        let kind = match family {
            Family::Ip => "icmp",
            Family::Ip6 => "icmpv6",
            Family::Inet | Family::Bridge | Family::Netdev => "icmpx",
            Family::Arp => return Ok(json!({"reject": null})),
        };
        return Ok(json!({"reject": {"type": kind, "expr": "port-unreachable"}}));
    }
    let kind = cursor.word("`tcp`, `icmp`, `icmpv6` or `icmpx`")?;
    if kind == "tcp" {
        cursor.expect_word("reset")?;
        return Ok(json!({"reject": {"type": "tcp reset"}}));
    }
    // Up to nft 0.9.
    cursor.take_word("type");
    let reason = expressions::read(cursor, Side::Constant)?;
    Ok(json!({"reject": {"type": kind, "expr": reason}}))
}

pub(super) fn synproxy(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("synproxy")?;
    if cursor.take_word("name") {
        return Ok(single("synproxy", expressions::read(cursor, Side::Either)?));
    }
    Ok(json!({"synproxy": or_null(synproxy_options(cursor)?)}))
}

/// `mss 1460 wscale 7 timestamp sack-perm`.
fn synproxy_options(cursor: &mut Cursor<'_, '_>) -> Reading<Map<String, Value>> {
    let mut body = Map::new();
    let mut flags = Vec::new();
    loop {
        let key = cursor.peek_word();
        match key {
            "mss" | "wscale" => {
                cursor.next();
                body.insert(key.to_owned(), cursor.number(key)?.into());
            }
            "timestamp" | "sack-perm" => {
                cursor.next();
                flags.push(Value::from(key));
            }
            _ => break,
        }
    }
    if !flags.is_empty() {
        body.insert("flags".to_owned(), Value::Array(flags));
    }
    Ok(body)
}

/// `queue flags bypass,fanout to 1-3`; up to nft 0.9 `queue num 1-3 bypass,fanout`.
pub(super) fn queue(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("queue")?;
    let mut body = Map::new();
    let mut flags = Vec::new();
    if cursor.take_word("flags") {
        flags = flag_list(cursor)?;
    }
    if cursor.take_word("to") || cursor.take_word("num") {
        body.insert("num".to_owned(), expressions::read(cursor, Side::Either)?);
    }
    if ["bypass", "fanout"].contains(&cursor.peek_word()) {
        flags = flag_list(cursor)?;
    }
    add_flags(&mut body, flags);
    Ok(json!({"queue": or_null(body)}))
}

/// `random,persistent`
pub(super) fn flag_list(cursor: &mut Cursor<'_, '_>) -> Reading<Vec<Value>> {
    let mut flags = vec![cursor.word("a flag")?.into()];
    while cursor.take(Kind::Comma) {
        flags.push(cursor.word("a flag")?.into());
    }
    Ok(flags)
}

/// `reset tcp option sack-perm` takes the option out.
pub(super) fn reset(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("reset")?;
    cursor.expect_word("tcp")?;
    cursor.expect_word("option")?;
    let name = cursor.word("an option of TCP")?;
    let body = match name.parse::<u64>() {
        Ok(kind) => json!({"base": kind, "offset": 0, "len": 0}),
        Err(_) => json!({"name": name}),
    };
    Ok(json!({"reset": {"tcp option": body}}))
}

/// `flow add @fast`; `flow offload @fast` up to nft 0.9.
pub(super) fn flow(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("flow")?;
    if !cursor.take_word("add") {
        cursor.expect_word("offload")?;
    }
    Ok(json!({"flow": {"op": "add", "flowtable": cursor.name("a flowtable")?}}))
}
