//! A redacted bundle's table of names, and whether any of them is left in the bundle.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use super::printed;

/// Names that are words of tools or of our own texts, too.
const COMMON: [&str; 3] = ["external", "default", "fixed-ip"];

/// Leaks that are told of at most.
const LEAKS_SHOWN: usize = 20;

/// Pseudonyms and what they stand for, as the table beside a bundle tells.
pub(crate) struct Table(pub(crate) BTreeMap<String, String>);

impl Table {
    pub(crate) fn beside(bundle: &Path) -> Table {
        let text = fs::read_to_string(format!("{}.names", bundle.display())).unwrap();
        let rows =
            text.lines().filter(|line| !line.starts_with('#')).map(|line| line.split_once('\t').unwrap());
        Table(rows.map(|(pseudonym, name)| (pseudonym.to_owned(), name.to_owned())).collect())
    }

    pub(crate) fn pseudonym(&self, name: &str) -> &str {
        self.0.iter().find(|(_, original)| *original == name).map(|(pseudonym, _)| pseudonym).expect(name)
    }

    /// A text with the true names again.
    pub(crate) fn back(&self, text: &str) -> String {
        let (mut out, mut at) = (String::new(), 0);
        // As the DNS has addresses, too, for the look-up of their names.
        let reversed =
            self.0.iter().filter_map(|(pseudonym, name)| Some((reversed(pseudonym)?, reversed(name)?)));
        let names: BTreeMap<String, String> = reversed.chain(self.0.clone()).collect();
        let firsts: BTreeSet<&str> = names.keys().map(|pseudonym| first_word(pseudonym)).collect();
        while at < text.len() {
            let is_begun = firsts.contains(first_word(&text[at..]));
            let mut all = words_at(text, at).take_while(|_| is_begun);
            let found = all.find_map(|words| Some((words, names.get(words)?)));
            let (length, instead) = match found {
                Some((words, name)) => (words.len(), name.as_str()),
                None => (text[at..].chars().next().unwrap().len_utf8(), ""),
            };
            out.push_str(if instead.is_empty() { &text[at..at + length] } else { instead });
            at += length;
        }
        out
    }
}

/// `4.3.2.1` of 1.2.3.4.
fn reversed(address: &str) -> Option<String> {
    let [a, b, c, d] = address.parse::<std::net::Ipv4Addr>().ok()?.octets();
    Some(format!("{d}.{c}.{b}.{a}"))
}

/// Most places of a text begin no name: this alone tells so.
fn first_word(text: &str) -> &str {
    text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default()
}

/// The words that begin there, the most at once first: `10.0.2.24`, `10.0.2`, `10.0`, `10`. None within a word.
fn words_at(text: &str, at: usize) -> impl Iterator<Item = &str> {
    const LONGEST: usize = 64;
    let is_word = |c: char| c.is_alphanumeric();
    let begins = text[at..].starts_with(is_word) && !text[..at].ends_with(is_word);
    let most = (at..=text.len().min(at + LONGEST)).rev().filter(move |_| begins);
    let ends = most.filter(move |end| {
        text.is_char_boundary(*end) && text[..*end].ends_with(is_word) && !text[*end..].starts_with(is_word)
    });
    ends.filter(move |end| *end > at).map(move |end| &text[at..end])
}

/// Every place of the bundle in which a true name, address or MAC stands.
pub(crate) fn leaks(redacted: &Path, table: &Table) -> Vec<String> {
    let to = tempfile::tempdir().unwrap();
    printed(&["tar", "--zstd", "-xf", redacted.to_str().unwrap(), "-C", to.path().to_str().unwrap()]);
    let list = printed(&["find", to.path().to_str().unwrap(), "-type", "f"]);
    let names = table.0.values().filter(|name| !COMMON.contains(&name.as_str()));
    let names: BTreeSet<String> = names.flat_map(|name| spellings(name)).collect();
    let firsts: BTreeSet<&str> = names.iter().map(|name| first_word(name)).collect();
    let mut found = BTreeSet::new();
    for path in list.lines() {
        let inside = path.strip_prefix(to.path().to_str().unwrap()).unwrap();
        let text = String::from_utf8_lossy(&fs::read(path).unwrap()).to_ascii_lowercase();
        for text in [&text, inside] {
            let starts = text.char_indices().map(|(at, _)| at);
            let starts = starts.filter(|at| firsts.contains(first_word(&text[*at..])));
            let here = starts.flat_map(|at| words_at(text, at)).filter(|words| names.contains(*words));
            found.extend(here.map(|words| format!("{words} in {inside}")));
        }
    }
    found.into_iter().take(LEAKS_SHOWN).collect()
}

/// A name as it may be written: an address in hex and in a host's name, a MAC without colons.
fn spellings(name: &str) -> Vec<String> {
    let name = name.to_ascii_lowercase();
    let mut all = vec![name.clone()];
    if let Ok(address) = name.parse::<std::net::Ipv4Addr>() {
        all.extend([
            format!("{:08x}", u32::from(address)),
            name.replace('.', "-"),
            u32::from(address).to_string(),
        ]);
    }
    if name.parse::<model::Mac>().is_ok() || name.len() == 36 {
        all.push(name.replace([':', '-'], ""));
    }
    all
}
