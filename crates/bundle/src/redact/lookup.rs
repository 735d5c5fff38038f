//! Names as they are looked for in texts: a tree of words, so that ten thousand names with the same beginning cost a
//! text no more than one.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::words;
use crate::names;

/// Names of a site, with their pseudonyms.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Names that stand in a field of their own, also those that no text is searched for.
    exact: BTreeMap<String, String>,
    /// The beginning of all names.
    begin: Place,
}

/// A place within names, up to which they are the same but for capitals.
#[derive(Debug, Default)]
struct Place {
    /// Those that end here, as they are written.
    names: BTreeMap<String, String>,
    /// By what follows: marks and a word, in small letters.
    next: HashMap<String, Place>,
}

impl Lookup {
    pub(super) fn of(pairs: BTreeMap<String, String>) -> Lookup {
        let mut begin = Place::default();
        for (name, pseudonym) in pairs.iter().filter(|(name, _)| !words::is_common(name)) {
            for written in spellings(name) {
                let core = written.trim_matches(|c: char| !is_word(c));
                let (mut place, mut rest) = (&mut begin, core);
                while let Some((step, behind)) = step(rest) {
                    place = place.next.entry(step.to_ascii_lowercase()).or_default();
                    rest = behind;
                }
                if !core.is_empty() {
                    place.names.entry(core.to_owned()).or_insert_with(|| pseudonym.clone());
                }
            }
        }
        Lookup { exact: pairs, begin }
    }

    /// A name that stands by itself.
    pub(super) fn exact(&self, name: &str) -> Option<Cow<'_, str>> {
        if let Some(pseudonym) = self.exact.get(name) {
            return Some(Cow::Borrowed(pseudonym));
        }
        let (short, domain) = name.split_once('.')?;
        let part = |part| self.exact.get(part).map_or(part, String::as_str);
        let is_known = self.exact.contains_key(short) || self.exact.contains_key(domain);
        is_known.then(|| Cow::Owned(format!("{}.{}", part(short), part(domain))))
    }

    /// The name that begins there and ends with a word: its length and its pseudonym. The longest that is written so is
    /// taken, else the longest in other capitals.
    pub(super) fn at<'l>(&'l self, text: &str) -> Option<(usize, &'l str)> {
        let (mut place, mut rest) = (&self.begin, text);
        let (mut exact, mut other) = (None, None);
        while let Some((step, behind)) = step(rest) {
            let Some(next) = place.next.get(&*lower(step)) else { break };
            (place, rest) = (next, behind);
            let length = text.len() - rest.len();
            let written = text.get(..length).and_then(|written| place.names.get(written));
            exact = written.map(|pseudonym| (length, pseudonym.as_str())).or(exact);
            other = place.names.values().next().map(|pseudonym| (length, pseudonym.as_str())).or(other);
        }
        exact.or(other)
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.exact.iter().map(|(name, pseudonym)| (name.as_str(), pseudonym.as_str()))
    }
}

/// Marks and a word that a text begins with, and the rest.
fn step(text: &str) -> Option<(&str, &str)> {
    let word = text.find(is_word)?;
    let behind = text.get(word..)?;
    let length = behind.find(|c| !is_word(c)).unwrap_or(behind.len());
    text.split_at_checked(word + length)
}

fn lower(text: &str) -> Cow<'_, str> {
    let has_capitals = text.bytes().any(|byte| byte.is_ascii_uppercase());
    if has_capitals { Cow::Owned(text.to_ascii_lowercase()) } else { Cow::Borrowed(text) }
}

/// Letters and digits of any script make words.
pub(super) fn is_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || !c.is_ascii()
}

/// A name as tables, JSON, XML and a bundle's paths spell it.
fn spellings(name: &str) -> Vec<String> {
    let json = serde_json::to_string(name).unwrap_or_default();
    let xml = name.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    let quoted = xml.replace('"', "&quot;").replace('\'', "&apos;");
    let csv = name.replace('"', "\"\"");
    let json = json.get(1..json.len().saturating_sub(1)).unwrap_or_default().to_owned();
    let mut all = vec![name.to_owned(), csv, json, xml, quoted, names::part(name)];
    // nova makes a hostname of the name (nova/utils.py, sanitize_hostname).
    let kept = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    // A file is called after more than a name, and its name's odd marks become `_`.
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '@' | '+' | '=' | ':');
    all.push(name.chars().map(|c| if plain(c) { c } else { '_' }).collect());
    let blanks = name.replace([' ', '_'], "-");
    all.push(blanks.chars().filter(|c| kept(*c)).collect::<String>().to_ascii_lowercase());
    all.sort();
    all.dedup();
    all
}
