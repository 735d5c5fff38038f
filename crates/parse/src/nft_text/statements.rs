//! Statements (nft(8), STATEMENTS) as libnftables-json(5) writes them: the conditions and verdicts, and
//! which of the others comes next.

use model::netfilter::Family;
use serde_json::{Value, json};

use super::cursor::{Cursor, Reading, Stuck};
use super::expressions::{self, Side};
use super::lexer::Kind;
use super::values::object;
use super::{effects, nat, sets};

/// A rule's statements as far as they could be read.
#[derive(Debug, Default)]
pub(super) struct Statements {
    pub(super) list: Vec<Value>,
    pub(super) comment: Option<String>,
    /// Where reading stopped before the rule's end.
    pub(super) stuck: Option<Stuck>,
}

/// Every statement up to the end of the tokens.
pub(super) fn read_all(cursor: &mut Cursor<'_, '_>, family: Family) -> Statements {
    let mut read = Statements::default();
    while cursor.peek().is_some() {
        let start = cursor.at();
        let result = if cursor.take_word("comment") {
            cursor.name("the comment").map(|comment| read.comment = Some(comment.to_owned()))
        } else {
            statement(cursor, family).map(|statement| read.list.push(statement))
        };
        if let Err(stuck) = result {
            cursor.go_to(start);
            read.stuck = Some(stuck);
            return read;
        }
    }
    read
}

/// One statement.
fn statement(cursor: &mut Cursor<'_, '_>, family: Family) -> Reading<Value> {
    if let Some(jump) = anonymous_jump(cursor, family) {
        return jump;
    }
    if let Some(verdict) = verdict(cursor) {
        return verdict;
    }
    if effects::is_stateful(cursor) {
        return effects::stateful(cursor);
    }
    match cursor.peek_word() {
        "log" => effects::log(cursor),
        "reject" => effects::reject(cursor, family),
        "synproxy" => effects::synproxy(cursor),
        "queue" => effects::queue(cursor),
        "reset" => effects::reset(cursor),
        "flow" => effects::flow(cursor),
        "dnat" | "snat" | "masquerade" | "redirect" | "fullcone" => nat::translate(cursor),
        "tproxy" => nat::tproxy(cursor),
        "dup" | "fwd" => nat::copy(cursor),
        "meter" => meter(cursor),
        "add" | "update" | "delete" => set_element(cursor),
        "xt" => xt(cursor),
        word if word.starts_with("# xt_") => xt_comment(cursor),
        "notrack" => {
            cursor.next();
            Ok(single("notrack", Value::Null))
        }
        "ct" if is_ct_object(cursor) => ct_object(cursor),
        "meta" if cursor.peek_second().is_some_and(|token| token.is("set")) => misplaced_set(cursor),
        _ => about_field(cursor),
    }
}

/// What is done with the packet: `accept`, `jump chain`, ...
pub(super) fn verdict(cursor: &mut Cursor<'_, '_>) -> Option<Reading<Value>> {
    let word = cursor.peek_word();
    match word {
        "accept" | "drop" | "continue" | "return" | "break" => {
            cursor.next();
            Some(Ok(single(word, Value::Null)))
        }
        "jump" | "goto" => {
            cursor.next();
            Some(cursor.name("a chain").map(|target| single(word, object([("target", target.into())]))))
        }
        _ => None,
    }
}

/// `{"name": body}`
pub(super) fn single(name: &str, body: Value) -> Value {
    Value::Object([(name.to_owned(), body)].into_iter().collect())
}

/// A jump to a chain that has no name and is written where it is jumped to.
fn anonymous_jump(cursor: &mut Cursor<'_, '_>, family: Family) -> Option<Reading<Value>> {
    let word = cursor.peek_word();
    let opens = cursor.peek_second().is_some_and(|token| token.kind == Kind::Open);
    if !opens || !["jump", "goto"].contains(&word) {
        return None;
    }
    cursor.next();
    cursor.next();
    Some(
        cursor
            .nested(|cursor| anonymous_chain(cursor, family))
            .map(|rules| single(word, single("chain", Value::Array(rules)))),
    )
}

fn anonymous_chain(cursor: &mut Cursor<'_, '_>, family: Family) -> Reading<Vec<Value>> {
    let mut rules = Vec::new();
    let mut rule = Vec::new();
    loop {
        match cursor.peek_kind() {
            Some(Kind::NewLine | Kind::Semicolon) => {
                cursor.next();
                rules.extend(finished(&mut rule));
            }
            Some(Kind::Close) => {
                cursor.next();
                rules.extend(finished(&mut rule));
                return Ok(rules);
            }
            Some(_) if cursor.take_word("comment") => {
                cursor.name("the comment")?;
            }
            Some(_) => rule.push(statement(cursor, family)?),
            None => return cursor.stuck("expected `}` after a chain without a name"),
        }
    }
}

fn finished(rule: &mut Vec<Value>) -> Option<Value> {
    (!rule.is_empty()).then(|| Value::Array(std::mem::take(rule)))
}

/// A comparison, a verdict map, or a field that is set.
fn about_field(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let field = expressions::read(cursor, Side::Field)?;
    if cursor.take_word("vmap") {
        let data = expressions::read_set(cursor)?;
        return Ok(single("vmap", object([("key", field), ("data", data)])));
    }
    if !cursor.take_word("set") {
        return expressions::comparison(cursor, field);
    }
    let value = expressions::right_side(cursor, Side::Either)?;
    let is_secmark =
        field.get("meta").and_then(|meta| meta.get("key")).and_then(Value::as_str) == Some("secmark");
    if is_secmark && (value.is_string() || value.get("map").is_some()) {
        return Ok(single("secmark", value));
    }
    Ok(single("mangle", object([("key", field), ("value", value)])))
}

/// `meta set pkttype host`: how the translation of what ebtables made says `meta pkttype set host`
/// (iptables `libebt_redirect.c`).
fn misplaced_set(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("meta")?;
    cursor.expect_word("set")?;
    let key = cursor.word("a meta key")?;
    let value = expressions::right_side(cursor, Side::Either)?;
    let key = single("meta", object([("key", key.into())]));
    Ok(single("mangle", object([("key", key), ("value", value)])))
}

/// `ct helper set "ftp"` names an object; `ct helper "ftp"` is a comparison.
fn is_ct_object(cursor: &Cursor<'_, '_>) -> bool {
    let second = cursor.peek_second().map_or("", |token| token.text);
    let third = cursor.rest_from(cursor.at() + 2).first();
    ["helper", "timeout", "expectation"].contains(&second) && third.is_some_and(|third| third.is("set"))
}

fn ct_object(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("ct")?;
    let kind = cursor.word("a kind of object")?;
    cursor.expect_word("set")?;
    let object = expressions::read(cursor, Side::Either)?;
    Ok(single(&format!("ct {kind}"), object))
}

/// `update @seen { ip saddr timeout 1m limit rate 5/second : 7 }`
fn set_element(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let operation = cursor.word("an operation")?;
    let set = cursor.word("a set")?;
    cursor.expect(Kind::Open, "`{`")?;
    let key = expressions::concatenation(cursor, Side::Either)?;
    let attributes = sets::attributes(cursor)?;
    let key = sets::with_attributes(key, attributes);
    let mut statements = Vec::new();
    while effects::is_stateful(cursor) {
        statements.push(effects::stateful(cursor)?);
    }
    let mut body = if cursor.take_word(":") {
        let data = expressions::concatenation(cursor, Side::Either)?;
        object([("op", operation.into()), ("elem", key), ("data", data), ("map", set.into())])
    } else {
        object([("op", operation.into()), ("elem", key), ("set", set.into())])
    };
    cursor.expect(Kind::Close, "`}`")?;
    if let Some(body) = body.as_object_mut().filter(|_| !statements.is_empty()) {
        body.insert("stmt".to_owned(), Value::Array(statements));
    }
    let kind = if body.get("map").is_some() { "map" } else { "set" };
    Ok(single(kind, body))
}

/// `meter name size 100 { ip saddr limit rate 5/second }`
fn meter(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("meter")?;
    let name = cursor.name("the meter's name")?;
    let size = if cursor.take_word("size") { cursor.number("a size")? } else { 0 };
    cursor.expect(Kind::Open, "`{`")?;
    let key = expressions::concatenation(cursor, Side::Field)?;
    let attributes = sets::attributes(cursor)?;
    let key = sets::with_attributes(key, attributes);
    let statement = effects::stateful(cursor)?;
    cursor.expect(Kind::Close, "`}`")?;
    let body = [("name", name.into()), ("size", size.into()), ("key", key), ("stmt", statement)];
    Ok(single("meter", object(body)))
}

/// `xt match "comment"`: what only iptables can say.
fn xt(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    cursor.expect_word("xt")?;
    let kind = cursor.word("`match` or `target`")?;
    let name = cursor.name("its name")?;
    Ok(json!({"xt": {"type": kind, "name": name}}))
}

/// `# xt_comment`. Names of targets are in capitals.
fn xt_comment(cursor: &mut Cursor<'_, '_>) -> Reading<Value> {
    let name = cursor.word("`# xt_` and a name")?.trim_start_matches("# xt_");
    let is_target = name.starts_with(|c: char| c.is_ascii_uppercase());
    Ok(json!({"xt": {"type": if is_target { "target" } else { "match" }, "name": name}}))
}
