//! The objects of `{"nftables": [...]}`, one after the other.

use serde_json::Value;

use crate::Problem;

/// `{"rule": {...}}`: its kind and its body.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) kind: String,
    pub(crate) body: Value,
    /// Where it was read, counted from 1.
    pub(crate) line: u32,
    pub(crate) column: u32,
    /// A rule as nft itself listed it, where it was read from a listing.
    pub(crate) text: Option<String>,
}

impl Object {
    pub(super) fn problem(&self, what: &str) -> Problem {
        Problem { line: self.line, column: self.column, what: what.to_owned() }
    }
}

/// Where in the text reading stands.
struct Place<'t> {
    rest: &'t str,
    line: u32,
    column: u32,
}

impl Place<'_> {
    fn advance(&mut self, bytes: usize) {
        let (passed, rest) = self.rest.split_at_checked(bytes).unwrap_or((self.rest, ""));
        for c in passed.chars() {
            let new_line = c == '\n';
            self.line = self.line.saturating_add(u32::from(new_line));
            self.column = if new_line { 1 } else { self.column.saturating_add(1) };
        }
        self.rest = rest;
    }

    fn skip(&mut self, skipped: impl Fn(char) -> bool) {
        let kept = self.rest.trim_start_matches(skipped);
        self.advance(self.rest.len() - kept.len());
    }

    fn problem(&self, what: impl Into<String>) -> Problem {
        Problem { line: self.line, column: self.column, what: what.into() }
    }
}

/// Reads every object up to the end, or up to what is no JSON, and hands each to `found`.
pub(crate) fn read(text: &str, found: &mut dyn FnMut(Object)) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut place = Place { rest: text, line: 1, column: 1 };
    let Some(start) = start(text) else {
        if !text.trim().is_empty() {
            problems.push(place.problem("expected `{\"nftables\": [`, as `nft -j list ruleset` prints"));
        }
        return problems;
    };
    place.advance(start);
    loop {
        place.skip(|c| c.is_ascii_whitespace() || c == ',');
        if place.rest.starts_with(']') {
            place.advance(1);
            place.skip(|c| c.is_ascii_whitespace());
            if place.rest.starts_with('}') {
                place.advance(1);
                place.skip(|c| c.is_ascii_whitespace());
            }
            if !place.rest.is_empty() {
                problems.push(place.problem("the ruleset has ended: what stands here is not read"));
            }
            return problems;
        }
        let mut stream = serde_json::Deserializer::from_str(place.rest).into_iter::<Value>();
        match stream.next() {
            Some(Ok(value)) => {
                let length = stream.byte_offset();
                match object(value, &place) {
                    Some(object) => found(object),
                    None => problems.push(place.problem("expected an object of one key")),
                }
                place.advance(length);
            }
            Some(Err(error)) => {
                let what = format!("the ruleset is cut short or is no JSON from here on: {error}");
                problems.push(place.problem(what));
                return problems;
            }
            None => {
                problems.push(place.problem("the ruleset is cut short: `]}` is missing"));
                return problems;
            }
        }
    }
}

fn start(text: &str) -> Option<usize> {
    const KEY: &str = "\"nftables\"";
    let after_key = text.find(KEY)? + KEY.len();
    let rest = text.get(after_key..)?;
    let bracket = rest.find('[')?;
    rest.get(..bracket)?.trim().eq(":").then_some(after_key + bracket + 1)
}

fn object(value: Value, place: &Place<'_>) -> Option<Object> {
    let Value::Object(map) = value else { return None };
    let (kind, body) = map.into_iter().next()?;
    Some(Object { kind, body, line: place.line, column: place.column, text: None })
}
