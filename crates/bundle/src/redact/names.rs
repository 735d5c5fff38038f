//! Names and their pseudonyms. Which one a name gets depends on the key and the name alone, so that every bundle of a
//! key calls it the same.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use super::key::Key;
use super::words;
use crate::names;

/// What is called so, which its pseudonym begins with. A word that names several things is the first of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Host,
    Instance,
    Project,
    User,
    Group,
    Network,
    Domain,
    Device,
}

impl Kind {
    fn word(self) -> &'static str {
        match self {
            Kind::Host => "host",
            Kind::Instance => "vm",
            Kind::Project => "project",
            Kind::User => "user",
            Kind::Group => "group",
            Kind::Network => "net",
            Kind::Domain => "dom",
            Kind::Device => "d",
        }
    }
}

/// Letters of pseudonyms: none that another looks like.
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Letters behind a pseudonym's first word: 40 bits, so that ten thousand names collide once in twenty thousand keys.
const LENGTH: usize = 8;

/// Longest name; a longer text is no name.
const BYTES_MAX: usize = 255;

/// Names of a site.
#[derive(Debug, Default)]
pub(super) struct Names {
    kinds: BTreeMap<String, Kind>,
}

impl Names {
    /// Adds a name, where it is one. Of a host with its domain, both parts are names.
    pub(super) fn add(&mut self, kind: Kind, name: &str) {
        // Whatever is called after an id follows the id.
        let mut ids = name.split(|c: char| !c.is_ascii_hexdigit() && c != '-');
        let has_id = ids.any(|part| part.len() == 32 || part.len() >= 36);
        let is_number = kind == Kind::User && name.bytes().all(|byte| byte.is_ascii_digit());
        let is_name =
            !has_id && !is_number && !name.trim().is_empty() && name.len() <= BYTES_MAX && name != "***";
        if !is_name || words::is_everybodys(name) || is_address(name) {
            return;
        }
        match (kind, name.split_once('.')) {
            (Kind::Host | Kind::Instance, Some((short, domain)))
                if !short.is_empty() && !domain.is_empty() =>
            {
                self.add(kind, short);
                self.add(Kind::Domain, domain);
            }
            (_, Some(_) | None) => self.put(kind, name),
        }
    }

    fn put(&mut self, kind: Kind, name: &str) {
        let known = self.kinds.entry(name.to_owned()).or_insert(kind);
        *known = kind.min(*known);
    }

    /// A device that tools count up (`br100`) is nobody's name, also where a network is called after it.
    pub(super) fn remove(&mut self, device: &str) {
        let letters = device.trim_end_matches(|c: char| c.is_ascii_digit());
        if letters.len() < device.len() && letters.len() <= 5 {
            self.kinds.remove(device);
        }
    }

    /// Every name with its pseudonym, by name.
    pub(super) fn pseudonyms(&self, key: &Key) -> BTreeMap<String, String> {
        self.kinds.iter().map(|(name, kind)| (name.clone(), pseudonym(key, *kind, name))).collect()
    }
}

/// Of an address there is a pseudonym without a table.
fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
        || name.parse::<model::Mac>().is_ok()
        || name.parse::<ipnet::IpNet>().is_ok()
}

fn pseudonym(key: &Key, kind: Kind, name: &str) -> String {
    let hash = key.hash("name", &[name.as_bytes()]);
    let letters = hash.iter().take(LENGTH).filter_map(|byte| LETTERS.get(usize::from(byte & 31)));
    let word: String = letters.map(|letter| char::from(*letter)).collect();
    format!("{}-{word}", kind.word())
}

/// Names as they are looked for in a text.
#[derive(Debug, Default)]
pub(super) struct Lookup {
    /// Names that stand in a field of their own, also those that no text is searched for.
    exact: BTreeMap<String, String>,
    /// By their first word in small letters: the longest first.
    by_word: HashMap<String, Vec<(String, String)>>,
}

impl Lookup {
    pub(super) fn of(pairs: BTreeMap<String, String>) -> Lookup {
        let mut by_word: HashMap<String, Vec<(String, String)>> = HashMap::new();
        for (name, pseudonym) in pairs.iter().filter(|(name, _)| !words::is_common(name)) {
            for written in spellings(name) {
                let core = written.trim_matches(|c: char| !is_word(c));
                let first = core.split(|c: char| !is_word(c)).next().unwrap_or_default();
                if !first.is_empty() {
                    let names = by_word.entry(first.to_ascii_lowercase()).or_default();
                    names.push((core.to_owned(), pseudonym.clone()));
                }
            }
        }
        for names in by_word.values_mut() {
            names.sort_by(|a, b| (b.0.len(), &a.0).cmp(&(a.0.len(), &b.0)));
            names.dedup();
        }
        Lookup { exact: pairs, by_word }
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

    /// The name that begins there and ends with a word: its length and its pseudonym. `word` is the text's first one.
    pub(super) fn at<'l>(&'l self, text: &str, word: &str) -> Option<(usize, &'l str)> {
        let names = match self.by_word.get(word) {
            Some(names) => names,
            None => self.by_word.get(&word.to_ascii_lowercase())?,
        };
        let stands = |name: &str, exactly: bool| {
            let there = text
                .get(..name.len())
                .is_some_and(|there| if exactly { there == name } else { there.eq_ignore_ascii_case(name) });
            there && text.get(name.len()..).is_none_or(|rest| !rest.starts_with(is_word))
        };
        let found = names.iter().find(|(name, _)| stands(name, true));
        let found = found.or_else(|| names.iter().find(|(name, _)| stands(name, false)))?;
        Some((found.0.len(), &found.1))
    }

    pub(super) fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.exact.iter().map(|(name, pseudonym)| (name.as_str(), pseudonym.as_str()))
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    fn lookup(names: &[(Kind, &str)]) -> Lookup {
        let mut all = Names::default();
        names.iter().for_each(|(kind, name)| all.add(*kind, name));
        Lookup::of(all.pseudonyms(&Key::of([1; 32], Vec::new())))
    }

    #[test]
    fn a_host_and_its_domain_are_names_of_their_own() {
        let names = lookup(&[(Kind::Host, "c1.acme.example"), (Kind::Host, "external")]);
        let whole = names.exact("c1.acme.example").unwrap().into_owned();
        let parts = [names.exact("c1").unwrap(), names.exact("acme.example").unwrap()];
        assert_eq!(whole, parts.join("."));
        assert!(whole.starts_with("host-") && whole.contains(".dom-"), "{whole}");
        assert!(names.exact("external").is_some(), "a common word, as a field");
        assert_eq!(names.at("external gateway", "external"), None, "and not in a text");
    }

    #[test]
    fn names_end_with_a_word_and_the_longest_is_taken() {
        let names = lookup(&[(Kind::Instance, "shop"), (Kind::Instance, "shop 2"), (Kind::Network, "ünder")]);
        let one = |text: &str, word: &str| names.at(text, word).map(|(length, _)| length);
        assert_eq!(one("shop-a", "shop"), Some(4));
        assert_eq!(one("shop 2,", "shop"), Some(6));
        assert_eq!(one("shopping", "shopping"), None);
        assert_eq!(one("SHOP", "SHOP"), Some(4));
        assert_eq!(one("ünder", "ünder"), Some(6));
    }

    #[test]
    fn a_word_of_two_kinds_has_one_pseudonym_and_everybodys_have_none() {
        let names = lookup(&[(Kind::Project, "blue"), (Kind::Host, "blue"), (Kind::Group, "default")]);
        assert!(names.exact("blue").unwrap().starts_with("host-"));
        assert_eq!((names.exact("default"), names.exact("instance-0000000a")), (None, None));
    }
}
