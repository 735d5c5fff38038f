//! Every pseudonym of a site: those that the key alone makes, and names, which must be known to be found.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::net::{Ipv4Addr, Ipv6Addr};

use ipnet::Ipv4Net;
use model::Mac;

use super::key::Key;
use super::lookup::Lookup;
use super::names::{self, Names};
use super::{mac, scan, v4, v6};
use crate::mapped::Texts;

/// Addresses that are kept at hand at most: a log of millions is not remembered as a whole.
const CACHED_MAX: usize = 1 << 20;

/// Shortest prefix of a network that is small enough for a number in it to be an address.
const PREFIX_MIN: u8 = 12;

/// Fields that hold a word of ours, of nova's or of the kernel's, whatever somebody called his instance.
const WORDS: [&str; 13] = [
    "schema", "hopline", "read_as", "role", "kernel", "vm_state", "task", "state", "scope", "protocol",
    "qdisc", "code", "columns",
];

/// Letters of an id's beginning as devices and chains have it, with its dash.
pub(super) const BEGINNINGS: [usize; 2] = [11, 10];

/// Places of tuple variants that hold a MAC's mask, which is nobody's.
const MASKS: [&str; 4] = ["ether-source.1", "ether-destination.1", "arp-source-mac.1", "arp-target-mac.1"];

/// Pseudonyms, and what was replaced so far.
pub struct Pseudonyms {
    key: Key,
    pub(super) names: Lookup,
    known: Known,
    given: RefCell<Given>,
}

/// Addresses of a site, which are found without their marks, too.
#[derive(Debug, Default)]
pub(super) struct Known {
    pub(super) v4: BTreeSet<Ipv4Addr>,
    /// First and last address of each network whose addresses are known by that alone; none is within another.
    networks: BTreeMap<Ipv4Addr, Ipv4Addr>,
    pub(super) macs: BTreeSet<Mac>,
}

impl Known {
    /// Takes networks of the site, which may be within one another.
    pub(super) fn add_networks(&mut self, mut networks: Vec<Ipv4Net>) {
        networks.retain(|net| net.prefix_len() >= PREFIX_MIN);
        networks.sort_by_key(Ipv4Net::prefix_len);
        for net in networks {
            if !self.is_in_network(net.network()) {
                self.networks.insert(net.network(), net.broadcast());
            }
        }
    }

    fn is_in_network(&self, address: Ipv4Addr) -> bool {
        self.networks.range(..=address).next_back().is_some_and(|(_, last)| address <= *last)
    }
}

/// Pseudonyms by what they stand for.
#[derive(Default)]
struct Given {
    v4: HashMap<Ipv4Addr, Ipv4Addr>,
    v6: HashMap<Ipv6Addr, Ipv6Addr>,
    macs: HashMap<Mac, Mac>,
    ids: HashMap<String, String>,
    /// First digits of ids that nothing tells the rest of, maybe.
    beginnings: HashMap<String, String>,
    comments: HashMap<String, String>,
}

impl Pseudonyms {
    pub(super) fn new(key: Key, names: &Names, known: Known) -> Pseudonyms {
        let names = Lookup::of(names.pseudonyms(&key));
        Pseudonyms { key, names, known, given: RefCell::default() }
    }

    /// Those that a key makes where no name is known.
    pub fn of_key(key: Key) -> Pseudonyms {
        Pseudonyms::new(key, &Names::default(), Known::default())
    }

    pub(super) fn into_known(self) -> Known {
        self.known
    }

    /// The key that they are made with.
    pub fn key(&self) -> &Key {
        &self.key
    }

    /// Of an IPv4 address.
    pub(super) fn v4(&self, address: Ipv4Addr) -> Ipv4Addr {
        cached(&mut self.given.borrow_mut().v4, address, || v4::permute(&self.key, address, false))
    }

    /// Of an IPv6 address.
    pub(super) fn v6(&self, address: Ipv6Addr) -> Ipv6Addr {
        cached(&mut self.given.borrow_mut().v6, address, || v6::permute(&self.key, address, false))
    }

    /// Of a MAC.
    pub(super) fn mac(&self, address: Mac) -> Mac {
        cached(&mut self.given.borrow_mut().macs, address, || mac::permute(&self.key, address, false))
    }

    /// Of an address that the site has.
    pub(super) fn known_v4(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        self.known.v4.contains(&address).then(|| self.v4(address))
    }

    /// Of an address that the site has, or may have in one of its networks.
    pub(super) fn of_site(&self, address: Ipv4Addr) -> Option<Ipv4Addr> {
        (self.known.is_in_network(address) || self.known.v4.contains(&address)).then(|| self.v4(address))
    }

    /// Of a MAC that the site has.
    pub(super) fn known_mac(&self, address: Mac) -> Option<Mac> {
        self.known.macs.contains(&address).then(|| self.mac(address))
    }

    /// Of a UUID, with dashes. Its beginning depends on its beginning alone, which devices are named after.
    pub(super) fn id(&self, id: &str) -> String {
        let digits: String = id.to_ascii_lowercase().split('-').collect();
        let mut given = self.given.borrow_mut();
        cached(&mut given.ids, id.to_ascii_lowercase(), || {
            let mut all = self.beginning(&digits);
            let hash = self.key.hash("id", &[digits.as_bytes()]);
            all.push_str(&crate::names::hex(&hash));
            // The version stays where it stands (RFC 9562, 4.2).
            let version = digits.get(12..13).unwrap_or("4");
            let part = |from: usize, to: usize| all.get(from..to).unwrap_or_default().to_owned();
            let third = format!("{version}{}", part(13, 16));
            [part(0, 8), part(8, 12), third, part(16, 20), part(20, 32)].join("-")
        })
    }

    /// Of the first digits of a UUID, one dash among them.
    pub(super) fn id_beginning(&self, written: &str) -> String {
        let written = written.to_ascii_lowercase();
        cached(&mut self.given.borrow_mut().beginnings, written.clone(), || {
            let digits: String = written.split('-').collect();
            let all = self.beginning(&digits);
            let (first, second) = all.split_at_checked(8).unwrap_or((&all, ""));
            format!("{first}-{second}")
        })
    }

    /// Up to ten digits: eight at once, and each further one by those before it.
    fn beginning(&self, digits: &str) -> String {
        let hashed = |end: usize| {
            digits.get(..end).map(|part| crate::names::hex(&self.key.hash("id-begin", &[part.as_bytes()])))
        };
        let mut all = hashed(8).and_then(|hex| hex.get(..8).map(str::to_owned)).unwrap_or_default();
        for end in [9, 10] {
            all.push_str(hashed(end).as_deref().and_then(|hex| hex.get(..1)).unwrap_or_default());
        }
        all
    }

    /// Of a rule's comment.
    pub(super) fn comment(&self, comment: &str) -> String {
        let made = || names::pseudonym(&self.key, "comment", comment);
        cached(&mut self.given.borrow_mut().comments, comment.to_owned(), made)
    }

    /// A text with pseudonyms in it.
    pub fn text<'t>(&self, text: &'t str) -> Cow<'t, str> {
        scan::text(self, text)
    }

    /// A field that is a name and nothing else.
    pub(super) fn name(&self, name: &str) -> String {
        self.names.exact(name).unwrap_or_else(|| self.text(name)).into_owned()
    }

    /// A vantage, `HOST/NETNS/DEVICE` or a host alone: its host is one also where its name is a common word.
    pub(super) fn vantage(&self, vantage: &str) -> String {
        let (machine, rest) =
            vantage.split_once('/').map_or((vantage, None), |(one, rest)| (one, Some(rest)));
        match (self.names.exact(machine), rest) {
            (Some(machine), Some(rest)) => format!("{machine}/{}", self.text(rest)),
            (Some(machine), None) => machine.into_owned(),
            (None, _) => self.text(vantage).into_owned(),
        }
    }

    /// A field that is a name, before its text is looked at: what else stands in it is replaced then, and not twice.
    pub(super) fn name_in_place(&self, name: &mut String) {
        if let Some(pseudonym) = self.names.exact(name).map(Cow::into_owned) {
            *name = pseudonym;
        }
    }

    /// What was replaced, with what stands there instead, by the latter.
    pub fn table(&self) -> BTreeMap<String, String> {
        let given = self.given.borrow();
        let mut table = BTreeMap::new();
        let mut put = |original: String, pseudonym: String| {
            if original != pseudonym {
                table.insert(pseudonym, original);
            }
        };
        given.v4.iter().for_each(|(one, other)| put(one.to_string(), other.to_string()));
        given.v6.iter().for_each(|(one, other)| put(one.to_string(), other.to_string()));
        given.macs.iter().for_each(|(one, other)| put(one.to_string(), other.to_string()));
        for (one, other) in &given.ids {
            // As it is written: keystone's have no dashes.
            let other = if one.contains('-') { other.clone() } else { other.replace('-', "") };
            put(one.clone(), other);
        }
        let wholes = |length| given.ids.keys().filter_map(move |id| id.get(..length));
        let wholes: BTreeSet<&str> = BEGINNINGS.into_iter().flat_map(wholes).collect();
        let alone = given.beginnings.iter().filter(|(one, _)| !wholes.contains(one.as_str()));
        alone.for_each(|(one, other)| put(one.clone(), other.clone()));
        given.comments.iter().for_each(|(one, other)| put(one.clone(), other.clone()));
        self.names.pairs().for_each(|(one, other)| put(one.to_owned(), other.to_owned()));
        table
    }
}

fn cached<K: std::hash::Hash + Eq, V: Clone>(all: &mut HashMap<K, V>, of: K, make: impl FnOnce() -> V) -> V {
    if let Some(known) = all.get(&of) {
        return known.clone();
    }
    let made = make();
    if all.len() < CACHED_MAX {
        all.insert(of, made.clone());
    }
    made
}

impl Texts for Pseudonyms {
    fn text<'t>(&self, key: Option<&str>, text: &'t str) -> Cow<'t, str> {
        let stays = key.is_some_and(|key| WORDS.contains(&key) || MASKS.contains(&key));
        if stays { Cow::Borrowed(text) } else { scan::text(self, text) }
    }

    /// What options and sysctls are called is nova's and the kernel's, but for the devices among the latter.
    fn key<'t>(&self, map: Option<&str>, key: &'t str) -> Cow<'t, str> {
        match map {
            Some("values") => Cow::Borrowed(key),
            Some("sysctls") => sysctl(self, key).map_or(Cow::Borrowed(key), Cow::Owned),
            Some(_) | None => scan::text(self, key),
        }
    }
}

/// Of `ipv4.conf.tap1234abcd-ef.rp_filter` the device; none where it is of all of them.
fn sysctl(pseudonyms: &Pseudonyms, key: &str) -> Option<String> {
    let mut parts = key.splitn(3, '.');
    let (family, what, rest) = (parts.next()?, parts.next()?, parts.next()?);
    // A device may have dots: `eth0.100`.
    let (device, option) = rest.rsplit_once('.')?;
    let is_devices = matches!(what, "conf" | "neigh") && !matches!(device, "all" | "default");
    is_devices.then(|| format!("{family}.{what}.{}.{option}", pseudonyms.text(device)))
}
