//! What stands between the braces of sets and maps.

use serde_json::{Map, Value};

use super::cursor::{Cursor, Reading};
use super::expressions::{self, Side};
use super::lexer::Kind;
use super::statements::single;
use super::{effects, statements, values};

/// Elements up to the closing brace; the opening one is taken.
pub(super) fn elements(cursor: &mut Cursor<'_, '_>, elements: &mut Vec<Value>) -> Reading<()> {
    loop {
        cursor.skip_lines();
        if cursor.take(Kind::Close) {
            return Ok(());
        }
        elements.push(element(cursor)?);
        cursor.skip_lines();
        if !cursor.take(Kind::Comma) && cursor.peek_kind() != Some(Kind::Close) {
            return cursor.stuck("expected `,` or `}` after a set's element");
        }
    }
}

/// One element: its key, what is kept with it, and in maps what it maps to.
fn element(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let key = expressions::concatenation(cursor, Side::Constant)?;
    let (mut attributes, mut kept) = (attributes(cursor)?, Vec::new());
    while effects::is_stateful(cursor) {
        kept.push(effects::stateful(cursor)?);
        attributes.append(&mut self::attributes(cursor)?);
    }
    // JSON has place for one statement.
    let statement = kept.into_iter().next().and_then(|kept| kept.as_object().cloned());
    attributes.extend(statement.into_iter().flatten());
    let key = with_attributes(key, attributes);
    if !cursor.take_word(":") {
        return Ok(key);
    }
    Ok(Value::Array(vec![key, mapped(cursor)?]))
}

/// What a key maps to: a verdict or a value.
fn mapped(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    match statements::verdict(cursor) {
        Some(verdict) => verdict,
        None => expressions::concatenation(cursor, Side::Constant),
    }
}

/// `timeout 5s expires 3s comment "x"`
pub(super) fn attributes(cursor: &mut Cursor<'_, '_>) -> Reading<Map<String, Value>> {
    let mut attributes = Map::new();
    loop {
        let name = cursor.peek_word();
        match name {
            "timeout" | "expires" => {
                cursor.next();
                attributes.insert(name.to_owned(), duration(cursor)?);
            }
            "comment" => {
                cursor.next();
                attributes.insert(name.to_owned(), cursor.name("a comment")?.into());
            }
            _ => return Ok(attributes),
        }
    }
}

/// Seconds; `never` stays a word.
pub(super) fn duration(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let word = cursor.word("a duration, like `1h30m`")?;
    Ok(values::seconds(word).map_or_else(|| values::word(word), Value::from))
}

/// A key of which something is kept has a form of its own.
pub(super) fn with_attributes(key: Value, mut attributes: Map<String, Value>) -> Value {
    if attributes.is_empty() {
        return key;
    }
    attributes.insert("val".to_owned(), key);
    single("elem", Value::Object(attributes))
}
