//! Expressions (nft(8), EXPRESSIONS) as libnftables-json(5) writes them: what is looked at, what it is
//! compared with, and arithmetic and maps over both.

use serde_json::Value;

use super::cursor::{Cursor, Reading};
use super::lexer::Kind;
use super::statements::single;
use super::values::{self, object};
use super::{fields, sets};

/// What a bare word can be, which nft decides by the place it stands at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Side {
    /// Only a field of the packet: left of a comparison.
    Field,
    /// Only a constant: right of one, and in sets.
    Constant,
    /// A field where it is one, else a constant: what a statement sets or rewrites to.
    Either,
}

/// An expression with all that can be appended to one: `ip saddr . tcp dport map @targets`.
pub(super) fn read(cursor: &mut Cursor<'_, '_>, side: Side) -> Reading<Value> {
    let key = concatenation(cursor, side)?;
    if cursor.take_word("map") {
        let data = read_set(cursor)?;
        return Ok(single("map", object([("key", key), ("data", data)])));
    }
    Ok(key)
}

/// `{ ... }` or `@name`.
pub(super) fn read_set(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    if cursor.take(Kind::Open) {
        let mut elements = Vec::new();
        sets::elements(cursor, &mut elements)?;
        return Ok(single("set", Value::Array(elements)));
    }
    if cursor.peek_word().starts_with('@') {
        return Ok(Value::from(cursor.word("a set")?));
    }
    cursor.stuck("expected a set, `{` or `@`")
}

/// `ip saddr . tcp dport`
pub(super) fn concatenation(cursor: &mut Cursor<'_, '_>, side: Side) -> Reading<Value> {
    let first = arithmetic(cursor, side, 0)?;
    if !cursor.peek().is_some_and(|token| token.is(".")) {
        return Ok(first);
    }
    let mut parts = vec![first];
    while cursor.take_word(".") {
        parts.push(arithmetic(cursor, side, 0)?);
    }
    Ok(single("concat", Value::Array(parts)))
}

/// Operators, those that bind less first (nft's `parser_bison.y`), as JSON has them and as words, which
/// is how the translations of what iptables made say them.
const OPERATORS: [&[(&str, &str)]; 4] =
    [&[("|", "or")], &[("^", "xor")], &[("&", "and")], &[("<<", "lshift"), (">>", "rshift")]];

fn arithmetic(cursor: &mut Cursor<'_, '_>, side: Side, level: usize) -> Reading<Value> {
    let Some(operators) = OPERATORS.get(level) else { return primary(cursor, side) };
    let mut left = arithmetic(cursor, side, level + 1)?;
    let named = |word: &str| operators.iter().find(|(sign, name)| [*sign, *name].contains(&word));
    while let Some((operator, _)) = named(cursor.peek_word()) {
        cursor.next();
        let right_side = if side == Side::Field { Side::Either } else { side };
        let right = arithmetic(cursor, right_side, level + 1)?;
        left = single(operator, Value::Array(vec![left, right]));
    }
    Ok(left)
}

fn primary(cursor: &mut Cursor<'_, '_>, side: Side) -> Reading<Value> {
    if cursor.take(Kind::LeftParen) {
        return cursor.nested(|cursor| {
            let inner = arithmetic(cursor, side, 0)?;
            cursor.expect(Kind::RightParen, "`)`")?;
            Ok(inner)
        });
    }
    match side {
        Side::Field => fields::read(cursor),
        Side::Either if fields::starts(cursor) => fields::read(cursor),
        Side::Constant | Side::Either => constant(cursor),
    }
}

/// One constant: a word, a string, a range of strings.
fn constant(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    match cursor.peek() {
        Some(token) if token.kind == Kind::Quoted => {
            cursor.next();
            let hyphen = cursor.peek().is_some_and(|next| next.is("-") && next.glued);
            let end = cursor.peek_second().filter(|end| hyphen && end.kind == Kind::Quoted);
            let Some(end) = end else { return Ok(Value::from(token.inner())) };
            cursor.next();
            cursor.next();
            Ok(single("range", Value::Array(vec![token.inner().into(), end.inner().into()])))
        }
        Some(token) if token.kind == Kind::Word => {
            cursor.next();
            Ok(match token.text {
                "exists" => Value::from(true),
                "missing" => Value::from(false),
                text => values::word(text),
            })
        }
        Some(_) | None => cursor.stuck("expected a value"),
    }
}

/// What a field is compared with or set to: a set, or one value, or several flags.
pub(super) fn right_side(cursor: &mut Cursor<'_, '_>, side: Side) -> Reading<Value> {
    let next = cursor.peek();
    if next.is_some_and(|token| token.kind == Kind::Open || token.text.starts_with('@'))
        && side == Side::Constant
    {
        return read_set(cursor);
    }
    let first = read(cursor, side)?;
    if cursor.peek_kind() != Some(Kind::Comma) {
        return Ok(first);
    }
    let mut flags = vec![first];
    while cursor.take(Kind::Comma) {
        flags.push(constant(cursor)?);
    }
    Ok(Value::Array(flags))
}

/// As JSON has them, and as words.
const COMPARISONS: [(&str, &str); 7] =
    [("==", "eq"), ("!=", "ne"), ("<", "lt"), (">", "gt"), ("<=", "le"), (">=", "ge"), ("!", "not")];

/// The comparison that follows `left`, as a match statement.
pub(super) fn comparison(cursor: &mut Cursor<'_, '_>, left: Value) -> Reading<Value> {
    let operator = COMPARISONS.iter().find(|(sign, name)| cursor.take_word(sign) || cursor.take_word(name));
    let operator = operator.map(|(sign, _)| *sign);
    let mut right = right_side(cursor, Side::Constant)?;
    if fields::has_named_numbers(&left) {
        number_as_name(&mut right);
    }
    if cursor.take_word("/") {
        let mask = right_side(cursor, Side::Constant)?;
        let operator = operator.unwrap_or("==");
        let left = single("&", Value::Array(vec![left, mask]));
        return Ok(single("match", object([("op", operator.into()), ("left", left), ("right", right)])));
    }
    let is_one_of = right.get("set").is_some() || right.as_str().is_some_and(|name| name.starts_with('@'));
    let any_bit = fields::is_bitmask(&left) && !is_one_of;
    let operator = operator.unwrap_or(if any_bit { "in" } else { "==" });
    Ok(single("match", object([("op", operator.into()), ("left", left), ("right", right)])))
}

/// A number where a name could stand is a string in JSON.
fn number_as_name(value: &mut Value) {
    match value {
        Value::Number(number) => *value = Value::from(number.to_string()),
        Value::Array(values) => values.iter_mut().for_each(number_as_name),
        Value::Object(map) => map.values_mut().for_each(number_as_name),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}
