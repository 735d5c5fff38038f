//! Names and their pseudonyms. Which one a name gets depends on the key and the name alone, so that every bundle of a
//! key calls it the same.

use std::collections::BTreeMap;

use super::key::Key;
use super::words;

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
    fn a_word_of_two_kinds_has_one_pseudonym_and_everybodys_have_none() {
        let names = lookup(&[(Kind::Project, "blue"), (Kind::Host, "blue"), (Kind::Group, "default")]);
        assert!(names.exact("blue").unwrap().starts_with("host-"));
        assert_eq!((names.exact("default"), names.exact("instance-0000000a")), (None, None));
    }
}
