//! `nft -a list ruleset`, and without `-a` (nft(8)).
//!
//! The text is read into the objects that `nft -j` would print (libnftables-json(5)), and those are
//! decoded by [`crate::nft_json`]: what a rule means is said in one place. Each rule keeps its line as
//! nft printed it. What is not understood of a rule stays with it as its text, so that no rule is lost,
//! and is a problem with its place.

use model::netfilter::{Family, Table};
use serde_json::Value;

use crate::Parsed;
use crate::nft_json::assembly::Assembly;
use crate::nft_json::objects::Object;
use cursor::Cursor;
use objects::Listing;

mod chain;
mod cursor;
mod declarations;
mod effects;
mod expressions;
mod fields;
mod lexer;
mod nat;
mod objects;
mod rule;
mod sets;
mod statements;
mod types;
mod values;

/// Reads a ruleset, except for the tables that `skip` names: see [`crate::nft_json::parse`].
pub fn parse(text: &str, skip: &dyn Fn(Family, &str) -> bool) -> Parsed<Vec<Table>> {
    let tokens = lexer::read(text);
    let mut assembly = Assembly::new(skip);
    let mut found = |object| assembly.add(object);
    let mut listing = Listing {
        text,
        cursor: Cursor::new(&tokens),
        braces: rule::Braces::of(&tokens),
        problems: Vec::new(),
        found: &mut found,
    };
    objects::read(&mut listing);
    let mut problems = listing.problems;
    let tables = assembly.finish(&mut problems);
    Parsed { value: tables, problems }
}

/// The same text as the JSON that nft would print of it (libnftables-json(5)): what is not understood of a rule is left
/// out of its `expr`.
pub fn json(text: &str) -> Value {
    let tokens = lexer::read(text);
    let mut objects = Vec::new();
    let mut found = |object: Object| {
        let entry = std::iter::once((object.kind, object.body));
        objects.push(Value::Object(entry.collect()));
    };
    let mut listing = Listing {
        text,
        cursor: Cursor::new(&tokens),
        braces: rule::Braces::of(&tokens),
        problems: Vec::new(),
        found: &mut found,
    };
    objects::read(&mut listing);
    serde_json::json!({ "nftables": objects })
}

/// The statements that a text says, where it is understood to its end: some have no JSON in nft, which
/// then prints their text in JSON's place.
pub(crate) fn statements_of(text: &str, family: Family) -> Option<Vec<Value>> {
    let tokens = lexer::read(text);
    let read = statements::read_all(&mut Cursor::new(&tokens), family);
    read.stuck.is_none().then_some(read.list)
}

/// A rule, or a part of one, as its text is kept: on one line, without the numbers that move.
pub(crate) fn rule_text(listed: &str) -> String {
    rule::text(&lexer::read(listed))
}
