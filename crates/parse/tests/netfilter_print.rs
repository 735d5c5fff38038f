//! Every recorded iptables dump read, printed from the model, and read again; and the print loaded by the
//! real tool, whose dump is the same ruleset.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use std::fs;
use std::path::{Path, PathBuf};

use model::netfilter::{Counters, Dialect, Family, NfRule, Table};
use namespace::Namespace;
use parse::iptables_save::{self, print};

mod namespace;

/// A recorded dump.
struct Dump {
    path: PathBuf,
    text: String,
    dialect: Dialect,
    family: Family,
}

impl Dump {
    fn tables(&self) -> Vec<Table> {
        let read = iptables_save::parse(&self.text, self.dialect, self.family);
        assert_eq!(read.problems, [], "{}", self.path.display());
        read.value
    }

    /// The tool's name, `iptables-nft`.
    fn tool(&self) -> &'static str {
        match (self.dialect, self.family) {
            (Dialect::IptablesLegacy, Family::Ip6) => "ip6tables-legacy",
            (Dialect::IptablesLegacy, _) => "iptables-legacy",
            (_, Family::Ip6) => "ip6tables-nft",
            _ => "iptables-nft",
        }
    }

    /// The ipsets that were there beside it.
    fn ipsets(&self) -> String {
        fs::read_to_string(self.path.with_file_name("ipset-save.txt")).unwrap_or_default()
    }
}

/// All of them, by file name: `ip6tables-legacy-save-c.txt`.
fn dumps() -> Vec<Dump> {
    let mut found = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/netfilter"), &mut found);
    assert!(found.len() >= 4, "the fixtures are there");
    found
}

fn collect(folder: &Path, found: &mut Vec<Dump>) {
    for entry in fs::read_dir(folder).expect("a folder of fixtures") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(&path, found);
            continue;
        }
        let name = path.file_name().and_then(|n| n.to_str()).expect("a name");
        let is_dump =
            name.contains("tables-") && !name.starts_with("ebtables") && !name.contains("arptables");
        if !is_dump || !name.contains("-save") || name.contains("incompatible") {
            continue;
        }
        let dialect = if name.contains("legacy") { Dialect::IptablesLegacy } else { Dialect::IptablesNft };
        let family = if name.starts_with("ip6") { Family::Ip6 } else { Family::Ip };
        let text = fs::read_to_string(&path).expect("a dump is text");
        found.push(Dump { path, text, dialect, family });
    }
}

/// What of a rule is the same wherever it was read.
fn essence(tables: &[Table], with_counters: bool) -> Vec<Table> {
    let mut tables = tables.to_vec();
    for table in &mut tables {
        for chain in &mut table.chains {
            if let Some(base) = &mut chain.base {
                base.policy_counters =
                    base.policy_counters.filter(|_| with_counters).or_else(|| Some(Counters::default()));
            }
            for rule in &mut chain.rules {
                *rule = NfRule {
                    text: String::new(),
                    line: 0,
                    counters: rule.counters.filter(|_| with_counters),
                    ..rule.clone()
                };
            }
        }
    }
    tables
}

#[test]
fn what_is_printed_reads_as_what_was_read() {
    for dump in dumps() {
        let tables = dump.tables();
        let printed = print::print(&tables);
        let again = iptables_save::parse(&printed, dump.dialect, dump.family);
        assert_eq!(again.problems, [], "{}", dump.path.display());
        assert_eq!(essence(&again.value, true), essence(&tables, true), "{}", dump.path.display());
        assert!(!printed.contains("\n# "), "{}: nothing is beyond iptables' words", dump.path.display());
    }
}

/// Rules are spelt as iptables-save spells them, not only so that it understands them.
#[test]
fn what_is_printed_is_what_the_tool_prints() {
    let mut compared = 0;
    for dump in dumps() {
        for table in dump.tables() {
            for chain in &table.chains {
                for rule in chain.rules.iter().filter(|rule| !has_another_spelling(&rule.text)) {
                    let printed = print::rule(rule, &chain.name, dump.family);
                    let usual = usual(&rule.text);
                    assert_eq!(printed.as_ref(), Some(&usual), "{}", dump.path.display());
                    compared += 1;
                }
            }
        }
    }
    assert!(compared > 200, "{compared} rules");
}

/// Rules that the model does not tell apart from others: one range of ports may be multiport's, one
/// module may be named twice, one octet is two fields of ours.
fn has_another_spelling(text: &str) -> bool {
    let twice = text.matches("-m conntrack").count() > 1;
    twice || ["-m multiport", "-j NOTRACK", "-m tos", "--ctexpire"].iter().any(|words| text.contains(words))
}

/// A rule's text without what the model does not keep: which of two modules asks for the state, and a
/// protocol's module without options.
fn usual(text: &str) -> String {
    let text = text.replace("-m state --state", "-m conntrack --ctstate");
    let text = text.replace("-m state ! --state", "-m conntrack ! --ctstate");
    let words: Vec<&str> = text.split(' ').collect();
    let is_idle = |at: usize| {
        let next = words.get(at + 2).copied().unwrap_or_default();
        matches!(words.get(at..at + 2), Some(["-m", "tcp" | "udp"])) && !next.starts_with("--") && next != "!"
    };
    let kept = (0..words.len()).filter(|at| !is_idle(*at) && (*at == 0 || !is_idle(at - 1)));
    kept.map(|at| words[at]).collect::<Vec<_>>().join(" ")
}

/// Of a packet without a connection one module's other options are not asked once its state fits: two
/// modules must not become one.
#[test]
fn two_modules_of_conntrack_stay_two_where_one_would_say_something_else() {
    let rule = "-A INPUT -m conntrack --ctdir REPLY -m conntrack ! --ctstate NEW -m conntrack --ctproto 6";
    let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n{rule}\nCOMMIT\n");
    let read = iptables_save::parse(&dump, Dialect::IptablesNft, Family::Ip);
    assert_eq!(print::print(&read.value), dump);
}

#[test]
fn what_iptables_cannot_say_is_a_comment() {
    let mut read = iptables_save::parse(
        "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp\nCOMMIT\n",
        Dialect::IptablesNft,
        Family::Ip,
    );
    let rule = &mut read.value[0].chains[0].rules[0];
    rule.matches[0].test = model::netfilter::Test::EtherType(0x0806);
    rule.text = "ether type arp\nand more".to_owned();
    let printed = print::print(&read.value);
    assert_eq!(printed, "*filter\n:INPUT ACCEPT [0:0]\n# not iptables': ether type arp and more\nCOMMIT\n");
}

#[test]
fn the_tool_takes_what_is_printed_and_has_the_same_rules() {
    for dump in dumps() {
        let tables = dump.tables();
        if tables.is_empty() {
            continue;
        }
        let printed = print::print(&tables);
        let namespace = Namespace::new();
        namespace.run(&["ipset", "restore"], &dump.ipsets());
        let tool = dump.tool();
        namespace.run(&[&format!("{tool}-restore"), "--test"], &printed);
        namespace.run(&[&format!("{tool}-restore")], &printed);
        let saved = namespace.run(&[&format!("{tool}-save")], "");
        let mut again = iptables_save::parse(&saved, dump.dialect, dump.family);
        assert_eq!(again.problems, [], "{}", dump.path.display());
        let place = |t: &Table| tables.iter().position(|asked| asked.name == t.name);
        again.value.sort_by_key(place);
        assert_eq!(essence(&again.value, false), essence(&tables, false), "{}", dump.path.display());
    }
}
