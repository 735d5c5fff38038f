//! Names and their pseudonyms. Which one a name gets depends on the key and the name alone, so that every bundle of a
//! key calls it the same.

use std::collections::BTreeMap;

use super::key::Key;
use super::lookup::is_word;
use super::{scan, words};

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

/// Longest name in characters, as nova's columns have it; a longer text is no name.
const CHARS_MAX: usize = 255;

/// What neutron puts before an id, which is nobody's name; words that are common anyway are not among them.
const AHEAD_OF_IDS: [&str; 9] = ["qdhcp", "qrouter", "snat", "fip", "qbr", "qvb", "qvo", "brq", "vhu"];

/// Names of a site.
#[derive(Debug, Default)]
pub(super) struct Names {
    kinds: BTreeMap<String, Kind>,
}

impl Names {
    /// Adds a name, where it is one. Of a host with its domain, both parts are names.
    pub(super) fn add(&mut self, kind: Kind, name: &str) {
        // An id gets its own pseudonym, and what is beside it may be somebody's name still.
        if let Some(parts) = scan::beside_ids(name) {
            let parts = parts.into_iter().map(|part| part.trim_matches(|c| !is_word(c)));
            let names = parts.filter(|part| !AHEAD_OF_IDS.contains(part) && !words::is_common(part));
            names.for_each(|part| self.add(kind, part));
            return;
        }
        let is_number = kind == Kind::User && name.bytes().all(|byte| byte.is_ascii_digit());
        let is_long = name.chars().nth(CHARS_MAX).is_some();
        let is_name = !is_long && !is_number && !name.trim().is_empty() && name != "***";
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
        self.kinds.iter().map(|(name, kind)| (name.clone(), pseudonym(key, kind.word(), name))).collect()
    }
}

/// Of an address there is a pseudonym without a table.
fn is_address(name: &str) -> bool {
    name.parse::<std::net::IpAddr>().is_ok()
        || name.parse::<model::Mac>().is_ok()
        || name.parse::<ipnet::IpNet>().is_ok()
}

/// What a name is called instead: the word for what it names, and letters.
pub(super) fn pseudonym(key: &Key, kind: &str, name: &str) -> String {
    let hash = key.hash("name", &[name.as_bytes()]);
    let letters = hash.iter().take(LENGTH).filter_map(|byte| LETTERS.get(usize::from(byte & 31)));
    let word: String = letters.map(|letter| char::from(*letter)).collect();
    format!("{kind}-{word}")
}

#[cfg(test)]
mod tests {
    use super::super::lookup::Lookup;
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
        assert_eq!(names.at("external gateway"), None, "and not in a text");
    }

    #[test]
    fn names_end_with_a_word_and_the_longest_is_taken() {
        let names = lookup(&[(Kind::Instance, "shop"), (Kind::Instance, "shop 2"), (Kind::Network, "ünder")]);
        let one = |text: &str| names.at(text).map(|(length, _)| length);
        assert_eq!(one("shop-a"), Some(4));
        assert_eq!(one("shop 2,"), Some(6));
        assert_eq!(one("shopping"), None);
        assert_eq!(one("SHOP"), Some(4));
        assert_eq!(one("ünder"), Some(6));
    }

    #[test]
    fn of_a_name_with_an_id_the_rest_is_a_name() {
        let id = "8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e02";
        for name in [
            format!("acmepayroll-{id}"),
            format!("{id}_acmepayroll"),
            format!("tap-{id} acmepayroll-{}", id.replace('-', "")),
        ] {
            let names = lookup(&[(Kind::Instance, &name)]);
            assert!(names.exact("acmepayroll").is_some(), "{name}");
            assert_eq!(names.pairs().count(), 1, "{name}");
        }
        let glued = format!("acme{id}");
        assert!(lookup(&[(Kind::Instance, &glued)]).exact(&glued).is_some(), "it is no id in a text either");
        for name in [id.to_owned(), id.replace('-', ""), format!("qdhcp-{id}"), format!("instance-{id}")] {
            assert_eq!(lookup(&[(Kind::Instance, &name)]).pairs().count(), 0, "{name}");
        }
    }

    #[test]
    fn the_longest_name_is_one_of_255_characters() {
        let (longest, longer) = ("\u{fc}".repeat(255), "\u{fc}".repeat(256));
        let names = lookup(&[(Kind::Instance, &longest), (Kind::Instance, &longer)]);
        assert!(names.exact(&longest).is_some() && names.exact(&longer).is_none());
    }

    #[test]
    fn a_word_of_two_kinds_has_one_pseudonym_and_everybodys_have_none() {
        let names = lookup(&[(Kind::Project, "blue"), (Kind::Host, "blue"), (Kind::Group, "default")]);
        assert!(names.exact("blue").unwrap().starts_with("host-"));
        assert_eq!((names.exact("default"), names.exact("instance-0000000a")), (None, None));
    }
}
