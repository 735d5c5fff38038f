//! A chain: how it hangs on its hook, and its rules.

use serde_json::{Map, Value};

use super::cursor::{Cursor, Reading};
use super::lexer::Token;
use super::objects::{Listing, Owner};
use super::{declarations, rule, statements};

/// Everything up to the closing brace; the header is taken.
pub(super) fn read(
    listing: &mut Listing<'_, '_, '_>,
    first: Token<'_>,
    owner: Owner<'_>,
    mut body: Map<String, Value>,
) {
    let chain = body.get("name").and_then(Value::as_str).unwrap_or_default().to_owned();
    let what = format!("chain {chain}");
    let mut given = false;
    loop {
        let over = listing.at_block_end(&what);
        let is_property = !over && is_property(&listing.cursor);
        if !given && (over || !is_property) {
            listing.give(first, "chain", std::mem::take(&mut body), None);
            given = true;
        }
        if over {
            return;
        }
        if rule::opens_block(listing.cursor.rest_from(listing.cursor.at())) {
            return listing.problem(format!("expected `}}`: {what} is not closed before the next block"));
        }
        if is_property {
            add_property(listing, owner, &mut body);
        } else {
            give_rule(listing, owner, &chain);
        }
    }
}

/// Whether a line of the chain's own comes next, not a rule.
fn is_property(cursor: &Cursor<'_, '_>) -> bool {
    let follows = |place: usize| cursor.rest_from(cursor.at() + place).first().map_or("", |token| token.text);
    match cursor.peek_word() {
        "type" => follows(2) == "hook",
        "policy" => ["accept", "drop"].contains(&follows(1)),
        "flags" => follows(1) == "offload",
        "comment" => true,
        _ => false,
    }
}

fn add_property(listing: &mut Listing<'_, '_, '_>, owner: Owner<'_>, body: &mut Map<String, Value>) {
    let (start, clause) = listing.take_clause();
    let end = listing.cursor.at();
    let mut cursor = Cursor::new(clause);
    let read = match cursor.peek_word() {
        "type" => hook(&mut cursor, owner, body),
        "policy" => policy(&mut cursor, body),
        _ => Ok(()),
    };
    if let Err(stuck) = read {
        listing.stopped(start, &stuck, "how the chain hangs on its hook is not known");
        listing.cursor.go_to(end);
    }
}

/// `type filter hook ingress devices = { eth0, eth1 } priority filter + 5`
fn hook(cursor: &mut Cursor<'_, '_>, owner: Owner<'_>, body: &mut Map<String, Value>) -> Reading<()> {
    cursor.expect_word("type")?;
    let kind = cursor.word("the chain's type")?;
    cursor.expect_word("hook")?;
    let hook = cursor.word("a hook")?;
    if cursor.take_word("device") {
        body.insert("dev".to_owned(), cursor.name("a device")?.into());
    } else if cursor.take_word("devices") {
        body.insert("dev".to_owned(), declarations::devices(cursor)?);
    }
    cursor.expect_word("priority")?;
    let priority = declarations::priority(cursor, owner.family)?;
    body.insert("type".to_owned(), kind.into());
    body.insert("hook".to_owned(), hook.into());
    body.insert("prio".to_owned(), priority.into());
    Ok(())
}

fn policy(cursor: &mut Cursor<'_, '_>, body: &mut Map<String, Value>) -> Reading<()> {
    cursor.expect_word("policy")?;
    body.insert("policy".to_owned(), cursor.word("a policy")?.into());
    Ok(())
}

/// Reads one rule. What of it is not understood is kept as its text, and said.
fn give_rule(listing: &mut Listing<'_, '_, '_>, owner: Owner<'_>, chain: &str) {
    let (start, clause) = listing.take_clause();
    let end = listing.cursor.at();
    let is_cut = listing.cursor.peek().is_none();
    let Some(first) = clause.first().copied() else {
        // A sign that no rule begins with, and that ends one: it must not be met again.
        listing.problem("expected a rule");
        listing.cursor.next();
        return;
    };
    let (tokens, handle) = rule::split_handle(clause);
    let mut cursor = Cursor::new(tokens);
    let mut read = statements::read_all(&mut cursor, owner.family);
    if let Some(stuck) = &read.stuck {
        listing.stopped(start, stuck, "the rule is kept as one that is not understood from here on");
        listing.cursor.go_to(end);
        read.list.push(Value::from(rule::text(cursor.rest_from(cursor.at()))));
    } else if is_cut && handle.is_none() {
        listing.problem("the ruleset is cut short in this rule: what else it said is not known");
        read.list.push(Value::from("cut short"));
    }
    let mut body = Map::new();
    for (key, value) in [("family", owner.family.name()), ("table", owner.table), ("chain", chain)] {
        body.insert(key.to_owned(), value.into());
    }
    body.extend(handle.map(|handle| ("handle".to_owned(), handle.into())));
    body.extend(read.comment.map(|comment| ("comment".to_owned(), comment.into())));
    body.insert("expr".to_owned(), Value::Array(read.list));
    listing.give(first, "rule", body, Some(rule::text(tokens)));
}
