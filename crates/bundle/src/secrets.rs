//! What must never enter a bundle, in whichever text it stands: passwords in URLs, values that are called a secret's
//! name, private keys. Rather too much is taken out than too little.

mod commands;
mod elements;
mod headers;
mod keys;
mod lists;
mod told;

use std::borrow::Cow;
use std::cell::Cell;
use std::ops::Range;

use crate::mapped::{self, Texts};

/// Stands where something was.
const HIDDEN: &str = "***";

/// Words in the name of a value that nobody else may know.
const NAMES: [&str; 10] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "apikey",
    "api_key",
    "private_key",
    "hmac_key",
    "credential",
];

/// How such a name ends, where the same letters within another word mean nothing.
const ENDINGS: [&str; 3] = ["pass", "pwd", "psk"];

/// Longest URL that is looked at.
const URL_MAX: usize = 4096;

/// Shortest key behind a `key = ` with blanks: ceph's have 40 letters.
const KEY_MIN: usize = 16;

/// Bytes before a mark, on its line, that are looked at: a line of megabytes is not searched anew for each mark.
const BEFORE_MAX: usize = 4096;

/// Endings of configuration, besides those that come behind `.conf`.
const CONFIGURATION: [&str; 4] = ["conf", "cfg", "ini", "lab"];

/// The scrubbing of every text of a JSON file.
#[derive(Default)]
pub(crate) struct Scrub {
    arguments: Arguments,
}

impl Texts for Scrub {
    fn text<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
        if key == Some("argv") {
            return self.arguments.next(text);
        }
        self.arguments.end();
        let hides = |key: &str| is_secret_option(key) && !is_working_folder(key, text);
        if key.is_some_and(hides) && !text.is_empty() {
            return Cow::Borrowed(HIDDEN);
        }
        scrub(text)
    }
}

/// A file's text without secrets. Of configuration, options that are called a secret's name lose their value, also
/// where it goes on in the next line.
pub(crate) fn scrub_file<'t>(path: &str, text: &'t str) -> Cow<'t, str> {
    let file = path.rsplit('/').next().unwrap_or_default();
    let ending = file.rsplit_once('.').map(|(_, ending)| ending);
    if file.contains(".conf") || ending.is_some_and(|ending| CONFIGURATION.contains(&ending)) {
        return Cow::Owned(scrub(&options(text)).into_owned());
    }
    let scrubbed = scrub(text);
    if let (Cow::Owned(_), Some("json")) = (&scrubbed, ending)
        && let Some(json) = json_without(text)
    {
        return Cow::Owned(json);
    }
    scrubbed
}

/// JSON with each of its texts scrubbed by itself, so that it stays JSON. Most has nothing to hide, and stays as it is.
fn json_without(text: &str) -> Option<String> {
    let value: serde_json::Value = serde_json::from_str(text).ok()?;
    String::from_utf8(mapped::to_vec(&value, &Scrub::default()).ok()?).ok()
}

/// A text without secrets.
pub fn scrub(text: &str) -> Cow<'_, str> {
    let mut text = Cow::Borrowed(text);
    for hide in [urls, values, lists::random_passwords, lists::set_passwords] {
        if let Some(changed) = hide(&text) {
            text = Cow::Owned(changed);
        }
    }
    for find in [keys::keys, headers::headers, elements::elements, commands::commands, told::told] {
        if let Some(changed) = without(&text, find(&text)) {
            text = Cow::Owned(changed);
        }
    }
    text
}

/// The text without what lies at these places; none where nothing does.
fn without(text: &str, mut places: Vec<Range<usize>>) -> Option<String> {
    places.sort_by_key(|place| place.start);
    let mut out = String::new();
    // Where what is not yet copied begins.
    let mut from = 0;
    for place in places {
        if place.start >= from && text.get(place.clone()).is_some_and(|secret| secret != HIDDEN) {
            out.push_str(text.get(from..place.start).unwrap_or_default());
            out.push_str(HIDDEN);
            from = place.end;
        }
    }
    out.push_str(text.get(from..).unwrap_or_default());
    (from > 0).then_some(out)
}

/// An option that oslo.config's files would call so: also `transport_url` and `connection`, whose URLs hold a
/// password in ways that not every reader agrees on.
fn is_secret_option(key: &str) -> bool {
    let key = key.trim().to_ascii_lowercase();
    is_secret(&key)
        || key.ends_with("_key")
        || key.ends_with("_keys")
        || key.ends_with("connection")
        || key == "transport_url"
}

fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    NAMES.iter().any(|secret| name.contains(secret))
        || ENDINGS.iter().any(|ending| name.ends_with(ending)) && !name.ends_with("bypass")
}

/// A shell's own variables that are called like a password tell the folder that it works in.
fn is_working_folder(name: &str, value: &str) -> bool {
    matches!(name, "PWD" | "OLDPWD") && value.starts_with('/')
}

/// Reads a command line word by word, since a secret may be the word behind its name.
#[derive(Default)]
pub(crate) struct Arguments {
    hides_next: Cell<bool>,
    line: Cell<commands::Line>,
}

impl Arguments {
    /// The next word, without secrets.
    pub(crate) fn next<'t>(&self, word: &'t str) -> Cow<'t, str> {
        let is_hidden = self.hides_next.take();
        let mut line = self.line.take();
        let found = line.next(word);
        self.line.set(line);
        if let Some(changed) = found.and_then(|place| without(word, vec![place])) {
            return Cow::Owned(changed);
        }
        let option = word.starts_with('-').then(|| word.split_once('=').map_or(word, |(name, _)| name));
        match option.filter(|name| is_secret(name)) {
            // The whole rest is its value, blanks and all.
            Some(name) if name.len() < word.len() => Cow::Owned(format!("{name}={HIDDEN}")),
            Some(_) => {
                self.hides_next.set(true);
                Cow::Borrowed(word)
            }
            None if is_hidden => Cow::Borrowed(HIDDEN),
            None => scrub(word),
        }
    }

    /// Another text stands between.
    fn end(&self) {
        self.hides_next.set(false);
        self.line.take();
    }
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
        if at < from {
            continue;
        }
        let before = line_before(text, at);
        if !tells_a_secret(before, mark) {
            continue;
        }
        let after = at + mark.len_utf8();
        let Some((start, end)) = value_at(text, after, Ends::of(before, mark)) else { continue };
        // Of `key = value` in a sentence, nothing is secret; of `key = AQBz...==` in a keyring of ceph's, all.
        if word_before(before) == "key" && !before.ends_with("key") && end - start < KEY_MIN {
            continue;
        }
        if is_working_folder(word_before(before), text.get(start..end).unwrap_or_default()) {
            continue;
        }
        out.push_str(text.get(from..start).unwrap_or_default());
        out.push_str(HIDDEN);
        from = end;
    }
    out.push_str(text.get(from..).unwrap_or_default());
    (from > 0).then_some(out)
}

/// What stands before a place on its line, as far as it matters.
fn line_before(text: &str, at: usize) -> &str {
    let from = (at.saturating_sub(BEFORE_MAX)..=at).find(|from| text.is_char_boundary(*from)).unwrap_or(at);
    text.get(from..at).and_then(|before| before.rsplit('\n').next()).unwrap_or_default()
}

/// What follows such a text is nobody's business. QEMU's `-object secret,data=...` and ceph's `:key=...` call their
/// values by other names.
fn tells_a_secret(before: &str, mark: char) -> bool {
    match word_before(before) {
        "key" if mark == '=' => true,
        "data" => before.contains("secret"),
        // A program, and a part of cloud-init's configuration.
        "chpasswd" => false,
        word => is_secret(word),
    }
}

/// What ends a value that is not in quotes.
#[derive(Clone, Copy)]
enum Ends {
    /// A blank: a password may hold any mark.
    Blank,
    /// A comma too: another option of QEMU's follows.
    Comma,
    /// The tag behind it.
    Tag,
}

impl Ends {
    fn of(before: &str, mark: char) -> Ends {
        match mark {
            '>' => Ends::Tag,
            _ if before.contains("-object") || before.contains("-drive") => Ends::Comma,
            _ => Ends::Blank,
        }
    }

    fn at(self, c: char) -> bool {
        match self {
            Ends::Blank => c.is_whitespace(),
            Ends::Comma => c.is_whitespace() || c == ',',
            Ends::Tag => matches!(c, '<' | '\n'),
        }
    }
}

/// The name before a mark, without quotes and blanks between.
fn word_before(text: &str) -> &str {
    let text = text.trim_end_matches([' ', '\t', '"', '\'', '\\']);
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ');
    let start = text.char_indices().rev().take(64).take_while(|(_, c)| is_part(*c)).last();
    let words = start.map_or("", |(at, _)| text.get(at..).unwrap_or_default());
    words.rsplit(' ').next().unwrap_or_default()
}

/// Where the value that begins there lies: up to the quote that ends it where it begins with one.
fn value_at(text: &str, from: usize, ends_at: Ends) -> Option<(usize, usize)> {
    let rest = text.get(from..)?;
    let blanks = rest.len() - rest.trim_start_matches([' ', '\t']).len();
    let rest = rest.get(blanks..)?;
    let quote = rest.chars().take(2).find(|c| matches!(c, '"' | '\''));
    let opening = quote.and_then(|quote| rest.find(quote)).filter(|at| *at == 0 || rest.starts_with('\\'));
    let (skipped, ends): (usize, Box<dyn Fn(char) -> bool>) = match (opening, quote) {
        (Some(at), Some(quote)) => {
            (at + 1, Box::new(move |c| c == quote || c == '\n' || at > 0 && c == '\\'))
        }
        _ => (0, Box::new(move |c| ends_at.at(c))),
    };
    let start = from + blanks + skipped;
    let value = text.get(start..)?;
    let end = start + value.find(ends).unwrap_or(value.len());
    (end > start).then_some((start, end))
}

#[cfg(test)]
mod tests;
