//! Sets, maps and verdict maps: nft's named and anonymous ones, and ipsets.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::action::Action;
use super::test::Field;

/// A named set, map or verdict map of an nft table.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct NfSet {
    /// Its name, without the `@`.
    pub name: String,
    /// Rules add and remove elements as packets pass (`flags dynamic`): what the dump says may be gone.
    pub dynamic: bool,
    /// As dumped.
    pub elements: Vec<Element>,
}

/// A member, with what it stands for in a map.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Element {
    /// One part a field.
    pub key: Vec<Part>,
    /// `nomatch` of an ipset: what lies in it is not a member.
    #[serde(default)]
    pub excluded: bool,
    /// What a map gives for the key.
    #[serde(default)]
    pub data: Option<Data>,
}

/// One field's part of a key.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Part {
    /// Inclusive ends, equal for a single value; fields of numbers.
    Range(u128, u128),
    /// A link's name; a trailing `+` is a wildcard.
    Name(String),
    /// Anything: nft's catch-all element `*`, which holds where no other does.
    Any,
}

/// What a map gives.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Data {
    /// A verdict: accept, drop, continue, return, jump, goto.
    Verdict(Box<Action>),
    /// An address, of NAT.
    Address(IpAddr),
    /// An address and a port, of NAT.
    AddressAndPort(IpAddr, u16),
    /// A number: a mark, a port.
    Number(u128),
    /// Anything else: its text.
    Unmodelled(String),
}

/// Fields looked up in a set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lookup {
    /// Side by side: `ip saddr . tcp dport`.
    pub fields: Vec<Field>,
    /// Where.
    pub elements: Elements,
}

/// Whose elements.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Elements {
    /// Written in the rule.
    Anonymous(Vec<Element>),
    /// Those of the table's set or map of this name.
    Named(String),
}

/// An ipset (ipset(8)).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Ipset {
    /// Its name.
    pub name: String,
    /// `hash:ip,port` has two.
    pub dimensions: Vec<Dimension>,
    /// It holds IPv6 addresses; otherwise IPv4, or none at all.
    pub is_v6: bool,
    /// As dumped; of dimension `Port`, the key has two parts: protocol, then port.
    pub elements: Vec<Element>,
    /// Of a `list:set`, the sets that are asked in turn.
    pub members: Vec<String>,
    /// What of it could not be read.
    pub unmodelled: Option<String>,
}

/// What one dimension of an ipset holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Dimension {
    /// `ip`: an address.
    Ip,
    /// `net`: a prefix; the longest that holds the address decides.
    Net,
    /// `port`: protocol and port; of ICMP, type and code.
    Port,
    /// `mac`.
    Mac,
    /// `iface`: a link's name.
    Iface,
    /// `mark`.
    Mark,
    /// `set`: another set's name.
    Set,
}
