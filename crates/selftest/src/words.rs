//! What rulesets are made of: every match and every target, with its text in each language that has it.
//!
//! The tables are the coverage: what is drawn is counted under the name that stands here. A text may
//! hold blanks, which [`crate::draw::blanks`] fills: `<!>` is a negation or nothing, `<net>` a prefix of
//! the case, `<a|b>` one of those given.

use model::netfilter::Hook;

mod bridged;
mod conditions;
mod sets;
mod verdicts;

pub(crate) use bridged::{ARP_CONDITIONS, ARP_VERDICTS, BRIDGE_CONDITIONS, BRIDGE_VERDICTS};
pub(crate) use conditions::CONDITIONS;
pub(crate) use sets::{SET_CONDITIONS, SET_VERDICTS};
pub(crate) use verdicts::VERDICTS;

/// Several tables of words, one behind the other.
pub(crate) type Words = [&'static [Word]; 2];

/// A language in which rules are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Language {
    Iptables,
    Ip6tables,
    Ebtables,
    Arptables,
    Nft,
}

/// Protocols that a word can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum About {
    /// Any packet.
    All,
    /// The rule asks for TCP.
    Tcp,
    /// For TCP or UDP.
    Ports,
    /// For ICMP, or for ICMPv6 in IPv6.
    Icmp,
    /// For anything but TCP, by name.
    NotTcp,
}

/// IP versions that a word can be about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    Both,
    V4,
    V6,
}

/// A match or a target.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Word {
    /// In the coverage: the module and its option, or the target.
    pub(crate) name: &'static str,
    /// Of words with the same slot a rule has but one.
    pub(crate) slot: &'static str,
    /// In the restore format of iptables and ip6tables, or of ebtables or arptables in their tables;
    /// empty where the language has no such thing.
    pub(crate) xtables: &'static str,
    /// In nft's language; empty likewise.
    pub(crate) nft: &'static str,
    /// A set of the nft table, or an ipset, that must be there for it.
    pub(crate) needs: &'static str,
    pub(crate) about: About,
    pub(crate) version: Version,
    /// Hooks, as a set of [`bit`]s.
    pub(crate) hooks: u8,
    /// Tables where the xtables word may stand; all where empty.
    pub(crate) tables: &'static [&'static str],
    /// Families of nft's tables likewise.
    pub(crate) families: &'static [&'static str],
    /// Types of nft's chains likewise.
    pub(crate) kinds: &'static [&'static str],
    /// The walk is expected to know it.
    pub(crate) modelled: bool,
    /// How often it is drawn, against the others.
    pub(crate) weight: usize,
}

/// What most words are.
pub(crate) const WORD: Word = Word {
    name: "",
    slot: "",
    xtables: "",
    nft: "",
    needs: "",
    about: About::All,
    version: Version::Both,
    hooks: ALL,
    tables: &[],
    families: &[],
    kinds: &[],
    modelled: true,
    weight: 4,
};

/// A hook as one of a set.
pub(crate) const fn bit(hook: Hook) -> u8 {
    match hook {
        Hook::Ingress => 1,
        Hook::Egress => 2,
        Hook::Prerouting => 4,
        Hook::Input => 8,
        Hook::Forward => 16,
        Hook::Output => 32,
        Hook::Postrouting => 64,
    }
}

/// All that a stack or a bridge has.
const ALL: u8 = PREROUTING | INPUT | FORWARD | OUTPUT | POSTROUTING;
const PREROUTING: u8 = bit(Hook::Prerouting);
const INPUT: u8 = bit(Hook::Input);
const FORWARD: u8 = bit(Hook::Forward);
const OUTPUT: u8 = bit(Hook::Output);
const POSTROUTING: u8 = bit(Hook::Postrouting);
/// Hooks that know the link of arrival.
const IN: u8 = PREROUTING | INPUT | FORWARD;
/// Hooks that know the link of departure.
const OUT: u8 = FORWARD | OUTPUT | POSTROUTING;

impl Word {
    /// The text in a language.
    pub(crate) fn text(&self, language: Language) -> &'static str {
        match language {
            Language::Nft => self.nft,
            Language::Iptables | Language::Ip6tables | Language::Ebtables | Language::Arptables => {
                self.xtables
            }
        }
    }

    /// What a rule has but one of.
    pub(crate) fn slot(&self) -> &'static str {
        if self.slot.is_empty() { self.name } else { self.slot }
    }
}
