//! What sets and maps are, and the parts of declarations that several objects have: priorities, devices,
//! flags.

use model::netfilter::Family;
use serde_json::{Map, Value, json};

use super::cursor::{Cursor, Reading};
use super::expressions::{self, Side};
use super::lexer::{Kind, Token};
use super::objects::Listing;
use super::{effects, sets, types};
use crate::nft_json::set::INCOMPLETE;

/// Everything of a set or map up to the closing brace; the header is taken.
pub(super) fn set(
    listing: &mut Listing<'_, '_, '_>,
    first: Token<'_>,
    kind: &str,
    mut body: Map<String, Value>,
) {
    let name = body.get("name").and_then(Value::as_str).unwrap_or_default();
    let what = format!("{kind} {name}");
    while !listing.at_block_end(&what) {
        let (start, clause) = listing.take_clause();
        let end = listing.cursor.at();
        let mut cursor = Cursor::new(clause);
        let mut read = property(&mut cursor, &mut body);
        if read.is_ok() && cursor.peek().is_some_and(|token| token.kind != Kind::Comment) {
            read = cursor.stuck("expected the end of the line");
        }
        if let Err(stuck) = read {
            listing.stopped(start, &stuck, &format!("{what} is not read in full"));
            listing.cursor.go_to(end);
            body.insert(INCOMPLETE.to_owned(), true.into());
            if clause.is_empty() {
                listing.cursor.next();
            }
        }
    }
    listing.give(first, kind, body, None);
}

/// One line of a set's declaration.
fn property(cursor: &mut Cursor<'_, '_>, body: &mut Map<String, Value>) -> Reading<()> {
    if effects::is_stateful(cursor) {
        let mut statements = Vec::new();
        while effects::is_stateful(cursor) {
            statements.push(effects::stateful(cursor)?);
        }
        body.insert("stmt".to_owned(), Value::Array(statements));
        return Ok(());
    }
    let key = cursor.word("a property of the set")?;
    match key {
        "type" => types(cursor, body)?,
        "typeof" => typeof_expressions(cursor, body)?,
        "flags" => {
            body.insert(key.to_owned(), Value::Array(effects::flag_list(cursor)?));
        }
        "timeout" | "gc-interval" => {
            body.insert(key.to_owned(), sets::duration(cursor)?);
        }
        "size" => {
            body.insert(key.to_owned(), cursor.number("a size")?.into());
        }
        "policy" => {
            body.insert(key.to_owned(), cursor.word("a policy")?.into());
        }
        "comment" => {
            body.insert(key.to_owned(), cursor.name("a comment")?.into());
        }
        "auto-merge" => {
            body.insert(key.to_owned(), true.into());
        }
        "elements" => {
            cursor.expect_word("=")?;
            cursor.expect(Kind::Open, "`{`")?;
            let mut elements = Vec::new();
            let read = sets::elements(cursor, &mut elements);
            body.insert("elem".to_owned(), Value::Array(elements));
            read?;
        }
        _ => return cursor.stuck(format!("`{key}` is no property of sets that is known here")),
    }
    Ok(())
}

/// `type ipv4_addr . inet_service : verdict`
fn types(cursor: &mut Cursor<'_, '_>, body: &mut Map<String, Value>) -> Reading<()> {
    let mut keys = type_names(cursor)?;
    if cursor.take_word(":") {
        cursor.take_word("interval");
        let mut mapped = type_names(cursor)?.join(" . ");
        if mapped == "ct" {
            mapped = format!("ct {}", cursor.word("a kind of object")?);
        }
        body.insert("map".to_owned(), mapped.into());
    }
    let only = if keys.len() == 1 { keys.pop() } else { None };
    body.insert("type".to_owned(), only.map_or_else(|| json!(keys), Value::from));
    Ok(())
}

fn type_names<'t>(cursor: &mut Cursor<'_, 't>) -> Reading<Vec<&'t str>> {
    let mut names = vec![cursor.word("a type")?];
    while cursor.take_word(".") {
        names.push(cursor.word("a type")?);
    }
    Ok(names)
}

/// `typeof ip saddr . tcp dport : ct mark`, as the types of these expressions, which is how JSON has it.
fn typeof_expressions(cursor: &mut Cursor<'_, '_>, body: &mut Map<String, Value>) -> Reading<()> {
    let key = expressions::concatenation(cursor, Side::Field)?;
    if cursor.take_word(":") {
        cursor.take_word("interval");
        let mapped = match cursor.peek_word() {
            "verdict" | "counter" | "quota" | "limit" | "synproxy" | "secmark" => {
                cursor.word("a type")?.to_owned()
            }
            _ => types::names(&expressions::concatenation(cursor, Side::Field)?).join(" . "),
        };
        body.insert("map".to_owned(), mapped.into());
    }
    let mut names = types::names(&key);
    let only = if names.len() == 1 { names.pop() } else { None };
    body.insert("type".to_owned(), only.map_or_else(|| json!(names), Value::from));
    Ok(())
}

/// Flags of a table: one as a string, several as a list.
pub(super) fn flags(clause: &[Token<'_>]) -> Value {
    let words = clause.iter().skip(1).filter(|token| token.kind == Kind::Word);
    let mut flags: Vec<Value> = words.map(|token| token.text.into()).collect();
    match flags.pop() {
        Some(only) if flags.is_empty() => only,
        Some(last) => {
            flags.push(last);
            Value::Array(flags)
        }
        None => Value::Null,
    }
}

/// `= { eth0, eth1 }`; one alone as a string, as in JSON.
pub(super) fn devices(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("=")?;
    cursor.expect(Kind::Open, "`{`")?;
    let mut names = Vec::new();
    loop {
        names.push(cursor.name("a device")?);
        if !cursor.take(Kind::Comma) {
            break;
        }
    }
    cursor.expect(Kind::Close, "`}`")?;
    Ok(match names.as_slice() {
        [only] => Value::from(*only),
        _ => json!(names),
    })
}

/// `-150`, `filter`, `srcnat + 5` (nft(8), CHAINS, standard priority names).
pub(super) fn priority(cursor: &mut Cursor<'_, '_>, family: Family) -> Reading<i64> {
    let word = cursor.peek_word();
    let base = match (word, family) {
        ("dstnat", Family::Bridge) => -300,
        ("filter", Family::Bridge) => -200,
        ("out", Family::Bridge) => 100,
        ("srcnat", Family::Bridge) => 300,
        ("raw", _) => -300,
        ("mangle", _) => -150,
        ("dstnat", _) => -100,
        ("filter", _) => 0,
        ("security", _) => 50,
        ("srcnat", _) => 100,
        _ => match word.parse::<i32>() {
            Ok(number) => i64::from(number),
            Err(_) => return cursor.stuck("expected a priority"),
        },
    };
    cursor.next();
    let sign = match cursor.peek_word() {
        "+" => 1,
        "-" => -1,
        _ => return Ok(base),
    };
    cursor.next();
    let offset = cursor.number("what to add to the priority")?;
    Ok(base + sign * i64::try_from(offset.min(u64::from(u32::MAX))).unwrap_or_default())
}
