//! Rules as `nft list ruleset` prints them, made from JSON. Counters are printed without their
//! numbers; what is not known here stays JSON.

use model::netfilter::Family;
use serde_json::Value;

mod fields;
mod statements;
mod values;

/// A whole rule, or some of its statements.
pub(super) fn rule(family: Family, statements: &[Value]) -> String {
    let texts: Vec<String> = statements.iter().map(|one| statement(family, one)).collect();
    texts.join(" ")
}

/// A match statement's body.
pub(super) fn comparison(body: &Value) -> String {
    statements::one_of("match", body).unwrap_or_else(|| body.to_string())
}

/// A constant or an expression.
pub(super) fn value(value: &Value) -> String {
    values::text(&Value::Null, value).unwrap_or_else(|| value.to_string())
}

/// One statement.
pub(super) fn statement(family: Family, statement: &Value) -> String {
    match statement {
        // nft has some statements as text in JSON too.
        Value::String(text) => crate::nft_text::rule_text(text),
        _ => statements::text(family, statement).unwrap_or_else(|| statement.to_string()),
    }
}
