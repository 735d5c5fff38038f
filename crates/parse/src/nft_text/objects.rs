//! Tables, chains, sets and the other objects of a listing, as the objects of libnftables-json(5).

use model::netfilter::Family;
use serde_json::{Map, Value};

use super::cursor::{Cursor, Reading, Stuck};
use super::lexer::{Kind, Token};
use super::rule::{self, Braces};
use super::{chain, declarations};
use crate::Problem;
use crate::nft_json::objects::Object;

/// The listing, the place that is read, and where what is read goes.
pub(super) struct Listing<'c, 't, 'o> {
    pub(super) text: &'t str,
    pub(super) cursor: Cursor<'c, 't>,
    pub(super) braces: Braces,
    pub(super) problems: Vec<Problem>,
    pub(super) found: &'o mut dyn FnMut(Object),
}

/// Which table objects belong to.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'t> {
    pub(super) family: Family,
    pub(super) table: &'t str,
}

impl<'c, 't> Listing<'c, 't, '_> {
    /// A problem at the next token, or at the end.
    pub(super) fn problem(&mut self, what: impl Into<String>) {
        let problem = match self.cursor.peek() {
            Some(token) => token.problem(what),
            None => self.at_the_end(what),
        };
        self.problems.push(problem);
    }

    fn at_the_end(&self, what: impl Into<String>) -> Problem {
        let lines = self.text.lines().count();
        let last = self.text.lines().last().unwrap_or_default();
        let column = crate::line_number(last.chars().count());
        Problem { line: crate::line_number(lines.saturating_sub(1)), column, what: what.into() }
    }

    /// Reading stopped, as `stuck` says, in tokens of which the first is number `start`.
    pub(super) fn stopped(&mut self, start: usize, stuck: &Stuck, consequence: &str) {
        let at = start.saturating_add(stuck.at);
        self.cursor.go_to(at);
        self.problem(format!("{}; {consequence}", stuck.what));
    }

    /// Hands over what was read; it began at `first`, and a rule has its text.
    pub(super) fn give(
        &mut self,
        first: Token<'_>,
        kind: &str,
        body: Map<String, Value>,
        text: Option<String>,
    ) {
        let (line, column) = (first.line, first.column);
        (self.found)(Object { kind: kind.to_owned(), body: Value::Object(body), line, column, text });
    }

    /// Takes the rest of the line, and the block that it may open.
    pub(super) fn skip_block(&mut self) {
        let start = self.cursor.at();
        self.take_clause();
        if self.cursor.at() == start {
            self.cursor.next();
        }
    }

    /// The rest of this line, or up to `;`, and the number of its first token.
    pub(super) fn take_clause(&mut self) -> (usize, &'c [Token<'t>]) {
        let start = self.cursor.at();
        let end = self.braces.clause_end(self.cursor.rest_from(0), start);
        self.cursor.go_to(end);
        (start, self.cursor.rest_from(start).get(..end - start).unwrap_or_default())
    }

    /// Blank lines and comments.
    pub(super) fn skip_blank(&mut self) {
        while matches!(self.cursor.peek_kind(), Some(Kind::NewLine | Kind::Comment | Kind::Semicolon)) {
            self.cursor.next();
        }
    }

    /// The handle after an opening brace, where the listing has handles.
    pub(super) fn take_handle(&mut self, body: &mut Map<String, Value>) {
        let handle =
            self.cursor.peek().filter(|token| token.kind == Kind::Comment).and_then(|t| rule::handle(&t));
        if let Some(handle) = handle {
            self.cursor.next();
            body.insert("handle".to_owned(), handle.into());
        }
    }

    /// Whether the block whose inside comes next is over; says so where it ends with the text.
    pub(super) fn at_block_end(&mut self, what: &str) -> bool {
        self.skip_blank();
        match self.cursor.peek() {
            Some(token) if token.kind == Kind::Close => {
                self.cursor.next();
                true
            }
            Some(_) => false,
            None => {
                self.problem(format!("the ruleset is cut short: {what} is not closed"));
                true
            }
        }
    }
}

/// The whole listing.
pub(super) fn read(listing: &mut Listing<'_, '_, '_>) {
    loop {
        listing.skip_blank();
        let Some(token) = listing.cursor.peek() else { return };
        if token.is("table") {
            table(listing);
            continue;
        }
        listing.problem(
            "expected `table FAMILY NAME {`, as `nft list ruleset` prints; skipped up to the next table",
        );
        skip_to_table(listing);
    }
}

/// To the next line that begins with `table`.
fn skip_to_table(listing: &mut Listing<'_, '_, '_>) {
    let mut first_of_line = false;
    while let Some(token) = listing.cursor.peek() {
        if first_of_line && token.is("table") {
            return;
        }
        first_of_line = token.kind == Kind::NewLine;
        listing.cursor.next();
    }
}

/// `table inet filter {`
fn table_header<'t>(cursor: &mut Cursor<'_, 't>) -> Reading<Owner<'t>> {
    cursor.expect_word("table")?;
    let wanted = cursor.peek_word();
    let all = [Family::Ip, Family::Ip6, Family::Inet, Family::Arp, Family::Bridge, Family::Netdev];
    let Some(family) = all.into_iter().find(|family| family.name() == wanted) else {
        return cursor.stuck("expected a family: ip, ip6, inet, arp, bridge or netdev");
    };
    cursor.next();
    let table = cursor.name("the table's name")?;
    cursor.expect(Kind::Open, "`{`")?;
    Ok(Owner { family, table })
}

fn table(listing: &mut Listing<'_, '_, '_>) {
    let Some(first) = listing.cursor.peek() else { return };
    let owner = match table_header(&mut listing.cursor) {
        Ok(owner) => owner,
        Err(stuck) => {
            listing.stopped(0, &stuck, "this table is not read");
            return skip_to_table(listing);
        }
    };
    let mut body = Map::new();
    body.insert("family".to_owned(), owner.family.name().into());
    body.insert("name".to_owned(), owner.table.into());
    listing.take_handle(&mut body);
    let mut given = false;
    let name = format!("table {} {}", owner.family.name(), owner.table);
    loop {
        let over = listing.at_block_end(&name);
        let is_flags = listing.cursor.peek().is_some_and(|token| token.is("flags"));
        if !given && (over || !is_flags) {
            listing.give(first, "table", std::mem::take(&mut body), None);
            given = true;
        }
        if over {
            return;
        }
        if is_flags && !given {
            let (_, clause) = listing.take_clause();
            body.insert("flags".to_owned(), declarations::flags(clause));
            continue;
        }
        if listing.cursor.peek().is_some_and(|token| token.is("table")) {
            return listing.problem(format!("expected `}}`: {name} is not closed before the next table"));
        }
        object(listing, owner);
    }
}

/// One object of a table.
fn object(listing: &mut Listing<'_, '_, '_>, owner: Owner<'_>) {
    let Some(first) = listing.cursor.peek() else { return };
    if first.is("comment") {
        return listing.skip_block();
    }
    let start = listing.cursor.at();
    let header = object_header(&mut listing.cursor);
    let (kind, name) = match header {
        Ok(header) => header,
        Err(stuck) => {
            listing.stopped(0, &stuck, "this part of the table is not read");
            listing.cursor.go_to(start);
            return listing.skip_block();
        }
    };
    let mut body = Map::new();
    for (key, value) in [("family", owner.family.name()), ("table", owner.table), ("name", name)] {
        body.insert(key.to_owned(), value.into());
    }
    listing.take_handle(&mut body);
    match kind.as_str() {
        "chain" => chain::read(listing, first, owner, body),
        "set" | "map" | "meter" => declarations::set(listing, first, &kind, body),
        // What is in the others decides nothing that is modelled.
        _ => {
            while !listing.at_block_end(&format!("{kind} {name}")) {
                listing.skip_block();
            }
            listing.give(first, &kind, body, None);
        }
    }
}

/// `chain input {`, `ct helper ftp {`: kind and name.
fn object_header<'t>(cursor: &mut Cursor<'_, 't>) -> Reading<(String, &'t str)> {
    let mut kind = cursor.peek_word().to_owned();
    if !rule::BLOCKS.contains(&kind.as_str()) {
        return cursor.stuck("expected a chain, a set or another object of the table");
    }
    cursor.next();
    if kind == "ct" {
        kind = format!("ct {}", cursor.word("`helper`, `timeout` or `expectation`")?);
    }
    let name = cursor.name(&format!("the name of the {kind}"))?;
    cursor.expect(Kind::Open, "`{`")?;
    Ok((kind, name))
}
