//! Listings of nft, whole, garbled and cut short.

use model::netfilter::{Action, Family, NfRule, Table, Test};
use parse::Parsed;
use proptest::prelude::*;

const JSON: &str = include_str!("fixtures/netfilter/nft-json.json");
const LISTING: &str = include_str!("fixtures/netfilter/nft-list.txt");

/// Listings to garble: nft's own, and what it loads, which is written in the same language.
const LISTINGS: [&str; 8] = [
    LISTING,
    include_str!("fixtures/nft-rulesets/addresses.nft"),
    include_str!("fixtures/nft-rulesets/transport.nft"),
    include_str!("fixtures/nft-rulesets/meta-ct.nft"),
    include_str!("fixtures/nft-rulesets/statements.nft"),
    include_str!("fixtures/nft-rulesets/nat.nft"),
    include_str!("fixtures/nft-rulesets/sets.nft"),
    include_str!("fixtures/nft-rulesets/bridge.nft"),
];

fn read(text: &str) -> Parsed<Vec<Table>> {
    parse::nft_text::parse(text, &|_, _| false)
}

fn rules(tables: &[Table]) -> Vec<&NfRule> {
    tables.iter().flat_map(|table| &table.chains).flat_map(|chain| &chain.rules).collect()
}

/// A rule of an input chain, and what was said about it.
fn rule(text: &str) -> (NfRule, Vec<String>) {
    let listing = format!("table inet t {{\n\tchain c {{\n\t\t{text}\n\t}}\n\tchain to {{\n\t}}\n}}\n");
    let read = read(&listing);
    let chain = &read.value[0].chains[0];
    assert_eq!(chain.rules.len(), 1, "{text}: {:?}", chain.rules);
    (chain.rules[0].clone(), read.problems.iter().map(ToString::to_string).collect())
}

#[test]
fn a_captured_listing_says_what_its_json_says() {
    let json = parse::nft_json::parse(JSON, &|_, _| false);
    let text = read(LISTING);
    assert_eq!(text.problems, []);
    assert_eq!(text.value.len(), json.value.len());
    for (text, json) in rules(&text.value).iter().zip(rules(&json.value)) {
        assert_eq!(**text, NfRule { line: text.line, ..json.clone() });
        let line = usize::try_from(text.line).unwrap() - 1;
        let listed = LISTING.lines().nth(line).unwrap();
        assert!(listed.ends_with(&format!(" # handle {}", text.handle.unwrap())), "{listed}");
    }
}

#[test]
fn tables_read_elsewhere_are_skipped() {
    let read = parse::nft_text::parse(LISTING, &|family, name| family == Family::Ip && name == "nat");
    assert!(read.value.iter().all(|table| table.name != "nat"));
    assert!(read.value.iter().any(|table| table.name == "filter"));
}

#[test]
fn spellings_of_other_versions_are_the_same_rule() {
    let same = [
        ("reject with icmp type host-unreachable", "reject with icmp host-unreachable"),
        ("tcp flags & (fin | syn | rst | ack) == syn", "tcp flags & (fin|syn|rst|ack) == syn"),
        ("queue num 1-3 bypass,fanout", "queue flags bypass,fanout to 1-3"),
        ("meta mark set mark and 0xffffff00 or 0x5", "meta mark set meta mark & 0xffffff00 | 0x5"),
        ("mark 0x5 accept", "meta mark 0x00000005 accept"),
        ("ip saddr { 1.1.1.1,2.2.2.2 } drop", "ip saddr { 1.1.1.1, 2.2.2.2 } drop"),
        ("xt match \"comment\" accept", "xt match comment accept"),
        ("xt match \"comment\" accept", "# xt_comment accept"),
        ("xt target \"LOG\"", "# xt_LOG"),
        ("ibriport \"eth0\" drop", "meta ibriport \"eth0\" drop"),
        ("dnat ip addr . port to tcp dport map @m", "dnat ip to tcp dport map @m"),
        ("last used 3s drop", "last used never drop"),
    ];
    for (one, other) in same {
        let ((one, first), (other, second)) = (rule(one), rule(other));
        // What is not modelled is kept with its own words, which may differ in blanks and signs only.
        assert_eq!((first, second), (Vec::new(), Vec::new()), "{}", other.text);
        assert_eq!(one.matches.len(), other.matches.len(), "{}", other.text);
        assert_eq!((&one.matches, &one.action), (&other.matches, &other.action), "{}", other.text);
    }
}

#[test]
fn what_is_not_understood_stays_with_its_rule() {
    let (odd, problems) =
        rule("ip saddr 10.0.0.1 frobnicate { a, b } harder counter packets 5 bytes 6 accept");
    assert_eq!(odd.text, "ip saddr 10.0.0.1 frobnicate { a, b } harder counter accept");
    assert!(
        matches!(&odd.action, Action::Unmodelled(text) if text.contains("frobnicate")),
        "{:?}",
        odd.action
    );
    assert_eq!(odd.matches.len(), 2);
    assert_eq!(problems.len(), 1);
    assert!(problems[0].starts_with("line 3, column 21: expected a statement"), "{problems:?}");
    for text in [
        "tcp dport",
        "tcp dport { 22, 23",
        "log prefix \"open",
        "meta mark set (meta mark | 1",
        "jump",
        "10.0.0.1 drop",
        "dnat to",
        "limit rate banana accept",
        "update @s { ip saddr",
    ] {
        let (rule, problems) = rule(text);
        let unknown = rule.matches.iter().any(|m| matches!(m.test, Test::Unmodelled(_)));
        assert!(unknown || matches!(rule.action, Action::Unmodelled(_)), "{text}: {rule:?}");
        assert_eq!(problems.len(), 1, "{text}: {problems:?}");
    }
}

#[test]
fn headers_that_cannot_be_read_are_said_and_cost_only_themselves() {
    let listing = "oops
table inet a {
  chain c {
    type filter hook nowhere priority 0; policy drop;
    accept
  }
  gadget g {
    whirr
  }
  chain d {
    drop
  }
}
table weird b {
  chain c {
  }
}
table ip e {
  set s {
    type ipv4_addr
    spin
  }
}
";
    let read = read(listing);
    let names: Vec<&str> = read.value.iter().map(|table| table.name.as_str()).collect();
    assert_eq!(names, ["a", "e"]);
    let chains: Vec<usize> = read.value[0].chains.iter().map(|chain| chain.rules.len()).collect();
    assert_eq!(chains, [1, 1]);
    let mut places: Vec<(u32, u32)> =
        read.problems.iter().map(|problem| (problem.line, problem.column)).collect();
    places.sort_unstable();
    assert_eq!(places, [(1, 1), (3, 3), (7, 3), (14, 7), (21, 9)], "{:?}", read.problems);
}

#[test]
fn rules_of_a_cut_off_listing_are_those_of_the_whole_up_to_there() {
    for listing in LISTINGS {
        let whole = read(listing).value;
        let ends: Vec<usize> = listing.match_indices('\n').map(|(at, _)| at + 1).collect();
        for end in &ends[..ends.len() - 1] {
            let cut = &listing[..*end];
            let opened = cut.matches('{').count() > cut.matches('}').count();
            let read = read(cut);
            let last = cut.lines().last();
            assert_eq!(read.problems.is_empty(), !opened, "cut behind {last:?}: {:?}", read.problems);
            for table in &read.value {
                let is_same = |whole: &&Table| (whole.family, &whole.name) == (table.family, &table.name);
                let whole = whole.iter().find(is_same).unwrap();
                for chain in &table.chains {
                    let whole = &whole.chain(&chain.name).unwrap().rules;
                    assert!(chain.rules.len() <= whole.len());
                    assert!(
                        chain.rules.iter().zip(whole).all(|(read, whole)| is_part(read, whole)),
                        "{last:?}"
                    );
                }
            }
        }
    }
}

/// What was read of a cut-off listing is the rule, or is known to be less than it.
fn is_part(read: &NfRule, whole: &NfRule) -> bool {
    let is_unknown = |action: &Action| matches!(action, Action::Unmodelled(_));
    let is_lost = match &read.action {
        Action::Several(actions) => actions.iter().any(is_unknown),
        action => is_unknown(action),
    };
    read == whole || (is_lost && read.line == whole.line)
}

/// `ip saddr 10.0.0.0/8` of a rule that went on with `drop` would be harmless, and wrong.
#[test]
fn a_rule_that_is_cut_is_not_known() {
    let cut = "table ip t {\n\tchain c {\n\t\taccept\n\t\tip saddr 10.0.0.0/8";
    let read = read(cut);
    let rules = rules(&read.value);
    assert_eq!(rules[0].action, Action::Accept);
    assert!(matches!(rules[1].action, Action::Unmodelled(_)), "{:?}", rules[1]);
    assert!(read.problems.iter().all(|problem| problem.what.contains("cut short")), "{:?}", read.problems);
}

#[test]
fn no_text_but_an_empty_one_is_an_empty_ruleset_without_a_word() {
    assert_eq!(read("").problems, []);
    assert_eq!(read("\n# Warning: table ip filter is managed by iptables-nft, do not touch!\n").problems, []);
    for text in ["x", "{}", "table", "*filter\n:INPUT ACCEPT [0:0]\n", "Error: command not found", "\u{0}"] {
        assert_eq!(read(text).problems.len(), 1, "{text}");
    }
}

/// What would take long were anything searched again and again.
#[test]
fn long_and_deep_texts_are_read_in_time() {
    let head = "table ip t {\n\tchain c {\n";
    for odd in [
        "{",
        "jump {\n",
        "(",
        "\"",
        "x {",
        "meta mark set (",
        "jhash ",
        "vxlan gre ",
        "counter {\n",
        "set s {\n",
    ] {
        let text = format!("{head}{}", odd.repeat(20_000));
        assert!(!read(&text).problems.is_empty(), "{odd}");
        assert!(!read(&odd.repeat(20_000)).problems.is_empty(), "{odd}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_are_read(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        let text = String::from_utf8_lossy(&bytes);
        let read = read(&text);
        prop_assert!(!read.problems.is_empty() || text.trim().is_empty() || text.trim().starts_with('#'));
    }

    #[test]
    fn any_words_are_one_rule_or_more(words in "[-!\"\\\\ a-jmpstx0-9:/.,@]{1,80}") {
        prop_assume!(words.split_whitespace().next().is_some_and(|first| !first.starts_with("comment")));
        let listing = format!("table ip t {{\n\tchain c {{\n\t\t{words}\n\t}}\n}}\n");
        prop_assert_eq!(rules(&read(&listing).value).len(), 1, "{}", words);
    }

    #[test]
    fn garbled_listings_are_read(
        listing in 0..LISTINGS.len(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut bytes = LISTINGS[listing].as_bytes().to_vec();
        for (place, byte, kind) in edits {
            let place = place % bytes.len();
            match kind {
                0 => bytes[place] = byte,
                1 => { bytes.remove(place); }
                _ => bytes.insert(place, byte),
            }
        }
        read(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn listings_cut_anywhere_say_so(listing in 0..LISTINGS.len(), place in any::<usize>()) {
        let text = LISTINGS[listing];
        let cut = String::from_utf8_lossy(&text.as_bytes()[..place % text.len()]);
        let read = read(&cut);
        // A comment may have braces of its own.
        let unquoted: String = cut.split('"').step_by(2).collect();
        let inside = unquoted.matches('{').count() > unquoted.matches('}').count();
        prop_assert!(!inside || !read.problems.is_empty(), "{:?}", cut.lines().last());
    }
}
