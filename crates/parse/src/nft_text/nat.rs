//! Statements that send a packet elsewhere.

use serde_json::{Map, Value, json};

use super::cursor::{Cursor, Reading};
use super::effects::{add_flags, flag_list};
use super::expressions::{self, Side};
use super::statements::single;
use super::{fields, values};

/// `dnat ip to 10.0.0.1:80 random`, and the like.
pub(super) fn translate(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let kind = cursor.word("a translation")?;
    let mut body = Map::new();
    add_family(cursor, &mut body);
    let mut ways: Vec<Value> = Vec::new();
    // `interval` and `addr . port` are how nft 0.9 said what follows from the map.
    while ["prefix", "interval", "addr"].contains(&cursor.peek_word()) {
        let word = cursor.word("a way to translate")?;
        if word == "prefix" {
            ways.push(word.into());
        } else if word == "addr" {
            cursor.expect_word(".")?;
            cursor.expect_word("port")?;
        }
    }
    if cursor.take_word("to") {
        add_target(cursor, &mut body)?;
    }
    let mut flags = Vec::new();
    if ["random", "fully-random", "persistent"].contains(&cursor.peek_word()) {
        flags = flag_list(cursor)?;
    }
    // The kernel's flag for what `prefix` says, which JSON has besides.
    if !ways.is_empty() {
        flags.push("netmap".into());
    }
    add_flags(&mut body, flags);
    if let Some(way) = ways.pop() {
        body.insert("type_flags".to_owned(), way);
    }
    Ok(single(kind, if body.is_empty() { Value::Null } else { Value::Object(body) }))
}

fn add_family(cursor: &mut Cursor<'_, '_>, body: &mut Map<String, Value>) {
    let family = cursor.peek_word();
    if ["ip", "ip6"].contains(&family) {
        cursor.next();
        body.insert("family".to_owned(), family.into());
    }
}

/// An address, a port after a colon, or both; either can be looked up in a map.
fn add_target(cursor: &mut Cursor<'_, '_>, body: &mut Map<String, Value>) -> Reading<()> {
    if !cursor.peek_word().starts_with(':') {
        let address = if fields::starts(cursor) {
            expressions::read(cursor, Side::Either)?
        } else {
            let address = cursor.take_part(address_length(cursor.peek_word()));
            if address.is_empty() {
                return cursor.stuck("expected an address or `:` and a port");
            }
            values::word(&address.replace(['[', ']'], ""))
        };
        body.insert("addr".to_owned(), address);
    }
    if cursor.peek_word().starts_with(':') {
        cursor.take_part(1);
        body.insert("port".to_owned(), expressions::read(cursor, Side::Either)?);
    }
    Ok(())
}

/// The part of `1.2.3.4:80` or `[fe80::1]-[fe80::5]:80` before the port's colon.
fn address_length(word: &str) -> usize {
    match word.rfind("]:") {
        Some(bracket) => bracket + 1,
        None if word.matches(':').count() == 1 => word.find(':').unwrap_or(word.len()),
        None => word.len(),
    }
}

/// `tproxy ip to 127.0.0.1:8080`
pub(super) fn tproxy(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("tproxy")?;
    let mut body = Map::new();
    add_family(cursor, &mut body);
    cursor.expect_word("to")?;
    add_target(cursor, &mut body)?;
    Ok(json!({"tproxy": body}))
}

/// `dup to 10.0.0.1 device "eth0"`, `fwd to "eth0"`, `fwd ip to 10.0.0.1 device "eth0"`
pub(super) fn copy(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let kind = cursor.word("`dup` or `fwd`")?;
    let mut body = Map::new();
    add_family(cursor, &mut body);
    if !cursor.take_word("to") {
        return Ok(single(kind, Value::Null));
    }
    let target = expressions::read(cursor, Side::Either)?;
    if cursor.take_word("device") {
        body.insert("addr".to_owned(), target);
        body.insert("dev".to_owned(), expressions::read(cursor, Side::Either)?);
    } else {
        let key = if kind == "fwd" { "dev" } else { "addr" };
        body.insert(key.to_owned(), target);
    }
    Ok(single(kind, Value::Object(body)))
}
