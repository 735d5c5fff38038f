//! Which tools print a namespace's tables, and how each one's output is read.

use std::collections::BTreeSet;
use std::io;

use model::netfilter::{Dialect, Family, Table};
use parse::{Parsed, arptables_save, ebtables_save, iptables_save, nft_text};

use super::{Key, is_kept_by_xtables};
use crate::netlink::nftables::is_trace;
use crate::tool;

/// One tool to run.
#[derive(Debug, Clone, Copy)]
pub(super) enum Job<'t> {
    /// A save tool of iptables, legacy or nft.
    Iptables(&'static str, Dialect, Family),
    EbtablesNft,
    /// One table: the legacy save script would ask whichever tool is called `ebtables`.
    EbtablesLegacy(&'static str),
    ArptablesNft,
    ArptablesLegacy,
    /// One table, as text: JSON of nft 1.0.6 lacks the devices of netdev chains.
    Table(Family, &'t str),
    /// All native tables, but for traces that are not among these.
    Ruleset(&'t [Key]),
}

impl<'t> Job<'t> {
    pub(super) fn argv(self) -> (&'static str, Vec<&'t str>) {
        match self {
            Job::Iptables(program, ..) => (program, vec!["-c"]),
            Job::EbtablesNft => ("ebtables-nft-save", vec!["-c"]),
            Job::EbtablesLegacy(table) => ("ebtables-legacy", vec!["-t", table, "-L", "--Lc"]),
            Job::ArptablesNft => ("arptables-nft-save", vec!["-c"]),
            Job::ArptablesLegacy => ("arptables-legacy", vec!["-L", "-n", "-v"]),
            Job::Table(family, name) => ("nft", vec!["-a", "list", "table", family.name(), name]),
            Job::Ruleset(_) => ("nft", vec!["-a", "list", "ruleset"]),
        }
    }

    /// What the file is called that holds what it printed.
    pub(super) fn file(self) -> String {
        let (program, arguments) = self.argv();
        let words = arguments.iter().filter(|word| !word.starts_with('-') && **word != "list");
        let name = words.fold(program.to_owned(), |name, word| format!("{name}-{}", word.replace('/', "_")));
        format!("{name}.txt")
    }

    /// Whose packets the tables decide about that it would print.
    pub(super) fn families(self) -> BTreeSet<Family> {
        match self {
            Job::Iptables(_, _, family) | Job::Table(family, _) => BTreeSet::from([family]),
            Job::EbtablesNft | Job::EbtablesLegacy(_) => BTreeSet::from([Family::Bridge]),
            Job::ArptablesNft | Job::ArptablesLegacy => BTreeSet::from([Family::Arp]),
            Job::Ruleset(known) => {
                let native = known.iter().filter(|(family, name)| !is_kept_by_xtables(*family, name));
                native.map(|(family, _)| *family).collect()
            }
        }
    }

    /// Debian's package of the tool.
    pub(super) fn package(self) -> &'static str {
        match self {
            Job::Iptables(..) | Job::EbtablesNft | Job::ArptablesNft => "iptables",
            Job::EbtablesLegacy(_) => "ebtables",
            Job::ArptablesLegacy => "arptables",
            Job::Table(..) | Job::Ruleset(_) => "nftables",
        }
    }

    pub(super) fn run(self) -> io::Result<String> {
        let (program, arguments) = self.argv();
        tool::run(program, &arguments)
    }

    /// Reads what the tool printed; also the tables that it says it cannot show, which are left out.
    pub(super) fn read(self, text: &str) -> (Parsed<Vec<Table>>, Vec<Key>) {
        let (mut parsed, family) = match self {
            Job::Iptables(_, dialect, family) => (iptables_save::parse(text, dialect, family), family),
            Job::EbtablesNft => (ebtables_save::parse(text, Dialect::EbtablesNft), Family::Bridge),
            Job::ArptablesNft => (arptables_save::parse(text), Family::Arp),
            Job::EbtablesLegacy(_) => return (ebtables_save::parse_list(text), Vec::new()),
            Job::ArptablesLegacy => return (arptables_save::parse_list(text), Vec::new()),
            Job::Table(..) => return (nft_text::parse(text, &|_, _| false), Vec::new()),
            Job::Ruleset(known) => {
                let is_known = |family, name: &str| known.iter().any(|(f, n)| *f == family && n == name);
                let skip = |family: Family, name: &str| {
                    is_kept_by_xtables(family, name) || is_trace(name) && !is_known(family, name)
                };
                return (nft_text::parse(text, &skip), Vec::new());
            }
        };
        let left_out = iptables_save::incompatible_tables(text);
        parsed.value.retain(|table| !left_out.contains(&table.name));
        (parsed, left_out.into_iter().map(|name| (family, name)).collect())
    }
}
