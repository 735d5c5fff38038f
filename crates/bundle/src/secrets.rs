//! What must never enter a bundle, in whichever text it stands: passwords in URLs, values that are called a secret's
//! name, private keys. Rather too much is taken out than too little.

use std::borrow::Cow;
use std::path::Path;

use crate::mapped::Texts;

/// Stands where something was.
const HIDDEN: &str = "***";

/// Words in the name of a value that nobody else may know.
const NAMES: [&str; 9] =
    ["password", "passwd", "passphrase", "secret", "token", "apikey", "api_key", "private_key", "credential"];

/// Letters before a URL's `://`, and longest URL that is looked at.
const URL_MAX: usize = 4096;

/// The scrubbing of every text of a JSON file.
pub(crate) struct Scrub;

impl Texts for Scrub {
    fn text<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
        if key.is_some_and(is_secret_option) && !text.is_empty() {
            return Cow::Borrowed(HIDDEN);
        }
        scrub(text)
    }
}

/// A file's text without secrets. Of configuration, options that are called a secret's name lose their value, also
/// where it goes on in the next line.
pub(crate) fn scrub_file<'t>(path: &str, text: &'t str) -> Cow<'t, str> {
    if Path::new(path).extension().is_some_and(|ending| ending == "conf") {
        return Cow::Owned(scrub(&options(text)).into_owned());
    }
    scrub(text)
}

/// A text without secrets.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for hide in [urls, values, keys] {
        if let Some(changed) = hide(&text) {
            text = Cow::Owned(changed);
        }
    }
    text
}

/// An option that oslo.config's files would call so: also `transport_url` and `connection`, whose URLs hold a
/// password in ways that not every reader agrees on.
fn is_secret_option(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    is_secret(&key) || key.ends_with("_key") || key.ends_with("connection") || key == "transport_url"
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|secret| name.contains(secret))
}

/// Configuration by lines: `key = value`, and indented lines that go on.
fn options(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut hiding = false;
    for line in text.split_inclusive('\n') {
        if hiding && line.starts_with([' ', '\t']) && !line.trim().is_empty() {
            continue;
        }
        let found = line
            .split_once(['=', ':'])
            .filter(|(key, _)| is_secret_option(key.trim_start_matches(['#', ';'])));
        hiding = found.is_some();
        match found {
            Some((key, value)) if !value.trim().is_empty() => {
                out.push_str(&format!("{} = {HIDDEN}\n", key.trim_end()));
            }
            Some(_) | None => out.push_str(line),
        }
    }
    out
}

/// `scheme://user:password@host`: between the first colon and the last `@`, since passwords may hold either.
fn urls(text: &str) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("://") {
        let (before, after) = rest.split_at(at + 3);
        let ends = |c: char| c.is_whitespace() || matches!(c, '"' | '\'' | '<' | '>' | '`');
        let end = after.char_indices().take(URL_MAX).find(|(_, c)| ends(*c)).map_or_else(
            || after.char_indices().nth(URL_MAX).map_or(after.len(), |(at, _)| at),
            |(at, _)| at,
        );
        let (url, behind) = after.split_at(end);
        out.push_str(before);
        match (url.find(':'), url.rfind('@')) {
            (Some(colon), Some(at)) if colon < at => {
                out.push_str(url.get(..=colon).unwrap_or_default());
                out.push_str(HIDDEN);
                out.push_str(url.get(at..).unwrap_or_default());
            }
            (Some(_) | None, Some(_) | None) => out.push_str(url),
        }
        rest = behind;
    }
    out.push_str(rest);
    (out != text).then_some(out)
}

/// `password = value`, `"password": "value"`, `--password=value`, `passwd='value'`, `<password>value<`.
fn values(text: &str) -> Option<String> {
    let mut out = String::new();
    // Where what is not yet copied begins.
    let mut from = 0;
    for (at, mark) in text.char_indices().filter(|(_, c)| matches!(c, '=' | ':' | '>')) {
        if at < from || !tells_a_secret(text.get(..at).unwrap_or_default()) {
            continue;
        }
        let after = at + mark.len_utf8();
        let Some((start, end)) = value_at(text, after) else { continue };
        out.push_str(text.get(from..start).unwrap_or_default());
        out.push_str(HIDDEN);
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    (from > 0).then_some(out)
}

/// What follows such a text is nobody's business. QEMU's `-object secret,data=...` calls its value by another name.
fn tells_a_secret(before: &str) -> bool {
    let word = word_before(before);
    is_secret(word)
        || word == "data" && before.rsplit('\n').next().is_some_and(|line| line.contains("secret"))
}

/// The name before a mark, without quotes and blanks between.
fn word_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '"', '\'', '\\']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let start = text.char_indices().rev().take(64).take_while(|(_, c)| is_part(*c)).last();
    let words = start.map_or("", |(at, _)| text.get(at..).unwrap_or_default());
    words.rsplit(' ').next().unwrap_or_default()
}

/// Where the value that begins there lies: up to the quote that ends it, else to the next blank or mark.
fn value_at(text: &str, from: usize) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let rest = rest.get(blanks..)?;
    let quote = rest.chars().take(2).find(|c| matches!(c, '"' | '\''));
    let opening = quote.and_then(|quote| rest.find(quote)).filter(|at| *at == 0 || rest.starts_with('\\'));
    let (skipped, ends): (usize, Box<dyn Fn(char) -> bool>) = match (opening, quote) {
        (Some(at), Some(quote)) => {
            (at + 1, Box::new(move |c| c == quote || c == '\n' || at > 0 && c == '\\'))
        }
        _ => (
            0,
            Box::new(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '&' | '<' | '"' | '\'' | '}')),
        ),
    };
    let start = from + blanks + skipped;
    let value = text.get(start..)?;
    let end = start + value.find(ends).unwrap_or(value.len());
    (end > start).then_some((start, end))
}

/// Private keys, from their first line to their last, or to the end of what there is.
fn keys(text: &str) -> Option<String> {
    const BEGIN: &str = "-----BEGIN ";
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find(BEGIN) {
        let (before, key) = rest.split_at(at);
        out.push_str(before);
        let first = key.lines().next().unwrap_or_default();
        if !first.contains("PRIVATE KEY") {
            out.push_str(BEGIN);
            rest = key.get(BEGIN.len()..).unwrap_or_default();
            continue;
        }
        out.push_str(HIDDEN);
        let last = key.find("-----END ").map(|at| at + "-----END ".len());
        rest = last
            .and_then(|at| key.get(at..))
            .map_or("", |end| end.split_once("-----").map_or("", |(_, behind)| behind));
    }
    out.push_str(rest);
    (out != text).then_some(out)
}

#[cfg(test)]
mod tests;
