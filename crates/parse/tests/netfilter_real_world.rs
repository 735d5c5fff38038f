//! What real tools wrote, read whole: `fixtures/netfilter/TOOL/`, made by `scripts/fixtures/TOOL.sh`.
//!
//! Nothing may be a problem, no rule may get lost, and what the model does not say must be in one of
//! two tables: [`EXPLAINED`], for what no packet and no dump can ever decide, or [`NOT_YET`], for what
//! they could. A construct in neither fails the test, and so does an entry that no dump needs.

#![expect(clippy::expect_used, clippy::panic, reason = "a test that cannot go on says why")]

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use model::netfilter::{Dialect, Family, Table};
use parse::{Parsed, arptables_save, ebtables_save, iptables_save, nft_json, nft_text};
use serde_json::Value;

/// What stays unknown for good, by how the construct begins, and why, in the words of the model's
/// `Because` and `Choice`.
const EXPLAINED: &[(&str, &str)] = &[
    ("-m limit", "rate"),
    ("-m hashlimit", "rate"),
    ("-m connlimit", "rate"),
    ("-m quota", "rate"),
    ("-m connbytes", "rate"),
    ("--limit", "rate"),
    ("limit", "rate"),
    ("add @set", "rate"),
    ("ct count", "rate"),
    ("quota", "rate"),
    ("ct bytes", "rate"),
    ("ct packets", "rate"),
    ("-m statistic", "chance"),
    ("meta random", "chance"),
    ("numgen", "chance"),
    ("dnat to numgen", "chance"),
    ("dnat to jhash", "chance"),
    ("-m recent --rcheck", "history"),
    ("-m helper", "history"),
    ("-m recent --update", "history"),
    ("-m conntrack --ctexpire", "time"),
    ("ct helper", "history"),
    ("ct label", "history"),
    ("-m time", "time"),
    ("meta day", "time"),
    ("meta hour", "time"),
    ("ct expiration", "time"),
    ("--ip-tos", "payload"),
    ("-m ecn", "payload"),
    ("-m string", "payload"),
    ("-m u32", "payload"),
    ("-m tcp --tcp-option", "payload"),
    ("-m tcpmss", "payload"),
    ("tcp option maxseg size", "payload"),
    ("tcp option sack-perm", "payload"),
    ("ip option", "payload"),
    ("raw payload", "payload"),
    ("ah spi", "payload"),
    ("esp spi", "payload"),
    ("exthdr", "payload"),
    ("ip ecn", "payload"),
    ("ip hdrlength", "payload"),
    ("ip id", "payload"),
    ("ip version", "payload"),
    ("ip6 flowlabel", "payload"),
    ("rt type", "payload"),
    ("sctp chunk", "payload"),
    ("th dport", "payload"),
    ("udp length", "payload"),
    ("vlan pcp", "payload"),
    ("--vlan-encap", "payload"),
    ("vlan type", "payload"),
    ("-m owner", "socket"),
    ("-m socket", "socket"),
    ("meta skuid", "socket"),
    ("meta skgid", "socket"),
    ("meta cgroup", "socket"),
    ("socket", "socket"),
    ("-m cpu", "machine"),
    ("-m realm", "machine"),
    ("-m devgroup", "machine"),
    ("meta cpu", "machine"),
    ("iifgroup", "machine"),
    ("osf", "machine"),
    ("meta priority", "machine"),
    ("-j NFQUEUE", "queue"),
    ("-j TPROXY", "proxy"),
    ("tproxy", "proxy"),
    ("-j SYNPROXY", "syn-proxy"),
    ("fwd to", "link"),
    ("-j arpreply", "bridge"),
    ("DROP in broute", "port"),
    ("-j redirect --redirect-target", "port"),
];

/// What a packet and a dump could decide, and the model cannot say yet. Whoever teaches it takes the
/// entry out. What arptables' `mangle` writes is in its own dump, which is read where there is one; nft's
/// listing does not say it.
const NOT_YET: &[&str] = &["xt target mangle"];

/// Fixtures live in git.
const BYTES_MAX: u64 = 300_000;

/// Every recorded file, in order, with its folder below the fixtures.
fn files() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for entry in fs::read_dir(folder).expect("the fixtures' folder can be listed") {
            let path = entry.expect("its entries too").path();
            if path.is_dir() {
                walk(&path, found);
            } else {
                found.push(path);
            }
        }
    }
    let mut found = Vec::new();
    walk(&root(), &mut found);
    // Those at the top, and the scripts that nft is fed with, belong to other tests.
    let is_script = |path: &PathBuf| path.extension().is_some_and(|extension| extension == "nft");
    found.retain(|path| path.parent() != Some(&root()) && !is_script(path));
    found.sort();
    found
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/netfilter")
}

fn text(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn name(path: &Path) -> &str {
    path.file_name().and_then(|name| name.to_str()).expect("the fixtures' names are plain")
}

/// The first folder below the fixtures.
fn tool(path: &Path) -> String {
    let below = path.strip_prefix(root()).expect("it is below");
    below.iter().next().expect("it has a folder").to_string_lossy().into_owned()
}

/// The reader that the file's name asks for; `None` where there is none yet.
fn read(path: &Path) -> Option<Parsed<Vec<Table>>> {
    let text = text(path);
    let iptables = |dialect, family| Some(iptables_save::parse(&text, dialect, family));
    match name(path) {
        "iptables-nft-save-c.txt" => iptables(Dialect::IptablesNft, Family::Ip),
        "ip6tables-nft-save-c.txt" => iptables(Dialect::IptablesNft, Family::Ip6),
        "iptables-legacy-save-c.txt" => iptables(Dialect::IptablesLegacy, Family::Ip),
        "ip6tables-legacy-save-c.txt" => iptables(Dialect::IptablesLegacy, Family::Ip6),
        "ebtables-nft-save-c.txt" => Some(ebtables_save::parse(&text, Dialect::EbtablesNft)),
        "ebtables-legacy-save.txt" | "ebtables-legacy-save-counters.txt" => {
            Some(ebtables_save::parse(&text, Dialect::EbtablesLegacy))
        }
        "arptables-nft-save-c.txt" => Some(arptables_save::parse(&text)),
        // Sets, no tables: another test reads those.
        "ipset-save.txt" => None,
        "nft-list.json" => {
            let kept = kept_by_iptables(path);
            Some(nft_json::parse(&text, &|family, name| kept.contains(&(family, name.to_owned()))))
        }
        "nft-list.txt" => {
            let kept = kept_by_iptables(path);
            Some(nft_text::parse(&text, &|family, name| kept.contains(&(family, name.to_owned()))))
        }
        other => panic!("{}: no reader for a file called {other}", path.display()),
    }
}

/// The tables of nft's listing that iptables' own dumps beside it show in full.
fn kept_by_iptables(json: &Path) -> HashSet<(Family, String)> {
    let mut kept = HashSet::new();
    for beside in ["iptables-nft-save-c.txt", "ip6tables-nft-save-c.txt", "ebtables-nft-save-c.txt"] {
        let path = json.with_file_name(beside);
        if path.exists() {
            let tables = read(&path).expect("these have readers").value;
            kept.extend(tables.into_iter().map(|table| (table.family, table.name)));
        }
    }
    kept
}

/// How many rules the file shows, counted without the readers.
fn rules_shown(path: &Path) -> usize {
    let text = text(path);
    if name(path) == "nft-list.txt" {
        // Both listings were made at once.
        return rules_shown(&path.with_file_name("nft-list.json"));
    }
    if name(path) != "nft-list.json" {
        let rule = |line: &&str| line.starts_with("-A ") || line.starts_with('[') && line.contains("] -A ");
        return text.lines().filter(rule).count();
    }
    let kept = kept_by_iptables(path);
    let ruleset: Value = serde_json::from_str(&text).expect("nft prints JSON");
    let objects = ruleset.get("nftables").and_then(Value::as_array).expect("nft prints a list");
    let ours = |rule: &&Value| {
        let is = |field, wanted| rule.get(field).and_then(Value::as_str) == Some(wanted);
        !kept.iter().any(|(family, table)| is("family", family.name()) && is("table", table))
    };
    objects.iter().filter_map(|object| object.get("rule")).filter(ours).count()
}

/// Whether the reader made the rule up of a chain's policy.
fn is_policy(text: &str) -> bool {
    text.starts_with("(policy of ")
}

/// What a text that the model does not know is about, without its values.
fn construct(text: &str) -> String {
    if text.starts_with('-') { of_options(text) } else { of_statement(text) }
}

/// `-m conntrack --ctdir ORIGINAL` is about `-m conntrack --ctdir`. A word is a value, unless it begins
/// as options do or names a match, a target or an address type.
fn of_options(text: &str) -> String {
    let mut kept = Vec::new();
    let mut names = false;
    for word in text.split_whitespace() {
        let option = word.starts_with('-') && !word.starts_with("-1");
        if option || names {
            kept.push(word);
        }
        names = ["-m", "-j", "--src-type", "--dst-type"].contains(&word);
    }
    kept.join(" ")
}

/// `ip saddr @blocked` is about `ip saddr @set`: a statement of nft's up to what is a value.
fn of_statement(text: &str) -> String {
    let mut kept = Vec::new();
    for word in text.split_whitespace() {
        let is_value = word.starts_with(|c: char| c.is_ascii_digit() || "\"{:[=!<>&|^".contains(c));
        match word.strip_prefix('@') {
            Some(place) if place.contains(',') => kept.push("raw payload"),
            Some(_) => kept.push("@set"),
            None if !is_value => {
                kept.push(word);
                continue;
            }
            None => {}
        }
        break;
    }
    kept.join(" ")
}

/// What the model does not know of these tables: texts, each with the reason where the reader gave one.
///
/// Looked for in the tables' JSON, in which every place that may hold such a text has the same name.
fn unknown(tables: &[Table]) -> Vec<(String, Option<String>)> {
    fn look(value: &Value, found: &mut Vec<(String, Option<String>)>) {
        let text = |value: Option<&Value>| value.and_then(Value::as_str).map(str::to_owned);
        match value {
            Value::Object(object) => {
                for (name, inner) in object {
                    match name.as_str() {
                        "unmodelled" => found.extend(text(Some(inner)).map(|text| (text, None))),
                        "unpredictable" | "elsewhere" => {
                            let given = text(inner.get(0)).expect("a text comes first");
                            found.push((given, text(inner.get(1))));
                        }
                        _ => look(inner, found),
                    }
                }
            }
            Value::Array(list) => list.iter().for_each(|inner| look(inner, found)),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    // By way of text: a `Value` cannot be made of the model's 128-bit numbers, but reads them as floats.
    let json = serde_json::to_string(tables).expect("the model has a form in JSON");
    look(&serde_json::from_str(&json).expect("which can be read"), &mut found);
    found
}

/// One construct over all dumps.
#[derive(Default)]
struct Seen {
    count: usize,
    /// The reasons that the reader gave; none for what is unmodelled.
    reasons: BTreeSet<Option<String>>,
    tools: BTreeSet<String>,
    example: String,
}

fn census() -> BTreeMap<String, Seen> {
    let mut all: BTreeMap<String, Seen> = BTreeMap::new();
    for path in files() {
        let Some(parsed) = read(&path) else { continue };
        for (text, reason) in unknown(&parsed.value) {
            let seen = all.entry(construct(&text)).or_default();
            seen.count += 1;
            seen.reasons.insert(reason);
            seen.tools.insert(tool(&path));
            seen.example = text;
        }
    }
    all
}

fn explanation(construct: &str) -> Option<&'static str> {
    EXPLAINED.iter().find(|entry| begins(construct, entry.0)).map(|entry| entry.1)
}

/// With these words, whole.
fn begins(construct: &str, words: &str) -> bool {
    construct.strip_prefix(words).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '))
}

fn listing(census: &BTreeMap<String, Seen>) -> String {
    let mut out = String::new();
    for (construct, seen) in census {
        let why = match explanation(construct) {
            Some(why) => format!("never: {why}"),
            None if NOT_YET.contains(&construct.as_str()) => "not yet".to_owned(),
            None => "UNEXPLAINED".to_owned(),
        };
        let tools = seen.tools.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        writeln!(out, "{:4} {construct}  [{why}]  {tools}  e.g. {}", seen.count, seen.example)
            .expect("a string takes any text");
    }
    out
}

#[test]
fn dumps_of_real_tools_are_read_without_problems() {
    let mut problems = Vec::new();
    for path in files() {
        let Some(parsed) = read(&path) else { continue };
        problems.extend(parsed.problems.iter().map(|problem| format!("{}: {problem}", path.display())));
    }
    assert!(problems.is_empty(), "{}", problems.join("\n"));
}

#[test]
fn ipsets_of_real_tools_are_read_whole() {
    for path in files().iter().filter(|path| name(path) == "ipset-save.txt") {
        let text = text(path);
        let read = parse::ipset_save::parse(&text);
        assert_eq!(read.problems, [], "{}", path.display());
        let members = |set: &model::netfilter::Ipset| set.elements.len() + set.members.len();
        let added = text.lines().filter(|line| line.starts_with("add ")).count();
        assert_eq!(read.value.iter().map(members).sum::<usize>(), added, "{}", path.display());
        let unknown: Vec<_> = read.value.iter().filter(|set| set.unmodelled.is_some()).collect();
        assert!(unknown.is_empty(), "{}: {unknown:?}", path.display());
    }
}

#[test]
fn no_rule_of_a_real_tool_gets_lost() {
    for path in files() {
        let Some(parsed) = read(&path) else { continue };
        let rules = parsed.value.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        let read: Vec<_> = rules.filter(|rule| !is_policy(&rule.text)).collect();
        assert_eq!(read.len(), rules_shown(&path), "rules read of {}", path.display());
        if name(&path).ends_with("-c.txt") || name(&path).ends_with("-counters.txt") {
            let uncounted: Vec<_> = read.iter().filter(|rule| rule.counters.is_none()).collect();
            assert!(uncounted.is_empty(), "{}: without counters: {uncounted:#?}", path.display());
        }
    }
}

/// Of native tables; of those that iptables made, the text says more.
#[test]
fn both_listings_of_nft_say_the_same() {
    let native = |path: &Path| {
        let mut tables = read(path).expect("nft's listings have readers").value;
        for chain in tables.iter_mut().flat_map(|table| &mut table.chains) {
            // JSON has no lines, and of nft 1.0.6 no devices.
            chain.base.iter_mut().for_each(|base| base.devices.clear());
            chain.rules.iter_mut().for_each(|rule| rule.line = 0);
        }
        tables
    };
    let mut compared = 0;
    for text in files().iter().filter(|path| name(path) == "nft-list.txt") {
        let (text_says, json_says) = (native(text), native(&text.with_file_name("nft-list.json")));
        assert_eq!(text_says.len(), json_says.len(), "{}", text.display());
        for (ours, theirs) in text_says.iter().zip(&json_says) {
            assert_eq!(ours, theirs, "{}", text.display());
            compared += 1;
        }
    }
    assert!(compared > 20, "{compared} tables");
}

#[test]
fn what_the_model_cannot_say_is_explained() {
    let census = census();
    let listing = listing(&census);
    println!("{listing}");
    let unexplained: Vec<&String> =
        census.keys().filter(|key| explanation(key).is_none() && !NOT_YET.contains(&key.as_str())).collect();
    assert!(unexplained.is_empty(), "neither EXPLAINED nor NOT_YET: {unexplained:#?}\n\n{listing}");
}

#[test]
fn reasons_are_those_of_the_table() {
    for (construct, seen) in census() {
        for reason in seen.reasons.iter().flatten() {
            let known = explanation(&construct);
            assert_eq!(known, Some(reason.as_str()), "why `{}` stays unknown", seen.example);
        }
    }
}

#[test]
fn every_entry_of_the_tables_is_needed() {
    let census = census();
    let missing = |entry: &&&str| census.get(**entry).is_none_or(|seen| !seen.reasons.contains(&None));
    let learnt: Vec<&&str> = NOT_YET.iter().filter(missing).collect();
    assert!(learnt.is_empty(), "modelled by now, so no longer NOT_YET: {learnt:#?}");
    let needed = |entry: &&(&str, &str)| census.keys().any(|key| begins(key, entry.0));
    let unused: Vec<_> = EXPLAINED.iter().filter(|entry| !needed(entry)).collect();
    assert!(unused.is_empty(), "explained, but in no dump: {unused:#?}");
}

#[test]
fn every_file_is_small_enough_for_git() {
    for path in files() {
        let bytes = fs::metadata(&path).expect("it was listed").len();
        assert!(bytes < BYTES_MAX, "{} has {bytes} bytes", path.display());
    }
}
