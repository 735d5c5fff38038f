//! Dumps of `ipset save`, captured from ipset 7.17, and the kinds that few kernels have.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use model::netfilter::{Dialect, Dimension, Family, Ipset, Part, Ruleset};
use namespace::Namespace;
use parse::ipset_save::{note_changes, parse};

mod namespace;

const SAVED: &str = include_str!("fixtures/netfilter/ipset-save.txt");

fn sets(text: &str) -> Vec<Ipset> {
    let read = parse(text);
    assert_eq!(read.problems, []);
    read.value
}

fn captured(name: &str) -> Ipset {
    let read = parse(SAVED);
    read.value.into_iter().find(|set| set.name == name).unwrap()
}

/// `10.0.0.0-10.0.0.3 tcp 80`: one word a part.
fn keys(set: &Ipset) -> Vec<String> {
    let part = |part: &Part| match part {
        Part::Range(low, high) if low == high => format!("{low:x}"),
        Part::Range(low, high) => format!("{low:x}-{high:x}"),
        Part::Name(name) => name.clone(),
        Part::Any => "any".to_owned(),
    };
    let element = |e: &model::netfilter::Element| {
        let not = if e.excluded { "!" } else { "" };
        format!("{not}{}", e.key.iter().map(part).collect::<Vec<_>>().join(" "))
    };
    let mut keys: Vec<String> = set.elements.iter().map(element).collect();
    keys.sort();
    keys
}

#[test]
fn addresses_and_prefixes() {
    assert_eq!(keys(&captured("b-ip"))[..2], ["a000005", "a000008"]);
    assert_eq!(keys(&captured("b-ipnm")), ["a000300-a0003ff"]);
    assert_eq!(keys(&captured("h-ipnm")), ["a010100-a0101ff"]);
    assert_eq!(keys(&captured("h-ip6")), ["20010db8000000000000000000000001"]);
    assert!(captured("h-ip6").is_v6 && !captured("h-ip").is_v6);
    assert_eq!(keys(&captured("h-ip")).len(), 5);
    assert_eq!(keys(&captured("h-net")), ["!a010000-a01ffff", "a000000-affffff", "a020001"]);
    assert_eq!(captured("h-net").dimensions, [Dimension::Net]);
    assert_eq!(keys(&captured("h-timeout")), ["1010101", "1010102"]);
}

#[test]
fn a_port_has_two_parts_its_protocol_first() {
    assert_eq!(
        keys(&captured("h-ipport")),
        [
            "a000001 1 800",
            "a000001 1 d03",
            "a000001 11 35",
            "a000001 6 50",
            "a000001 84 5",
            "a000002 1 800",
            "a000003 2f 0",
            "a000004 6 a",
            "a000004 6 b",
            "a000004 6 c",
            "a000005 88 7",
        ]
    );
    let six = keys(&captured("h-ipport6"));
    assert_eq!(six[0], "20010db8000000000000000000000001 3a 8000");
    assert_eq!(six[1], "20010db8000000000000000000000002 3a 8700");
    assert_eq!(captured("h-ipportnet").dimensions, [Dimension::Ip, Dimension::Port, Dimension::Net]);
    assert_eq!(keys(&captured("h-ipportnet")), ["a000001 6 50 a000000-a0000ff"]);
    // Of a bitmap, TCP's and UDP's alike, and what stands side by side is one range.
    assert_eq!(keys(&captured("b-port")), ["6-11 50", "6-11 64-6e"]);
}

#[test]
fn links_addresses_of_cards_and_marks() {
    let mac = captured("b-ipmac");
    assert_eq!(mac.dimensions, [Dimension::Ip, Dimension::Mac]);
    assert_eq!(keys(&mac), ["a000001 aabbcc000001", "a000002 any"]);
    let written = sets(
        "create i hash:net,iface family inet hashsize 64 maxelem 64\nadd i 10.0.0.0/24,eth0\n\
         add i 0.0.0.0/0,vnet wildcard\nadd i 10.0.0.1,eth1 nomatch\n\
         create m hash:ip,mark family inet markmask 0xffffffff hashsize 64 maxelem 64\nadd m 10.0.0.1,0x00000005\n\
         create a hash:mac hashsize 64\nadd a 01:02:03:04:05:06\n\
         create n hash:net,net family inet hashsize 64 maxelem 64\nadd n 10.0.0.0/8,10.1.0.0/16\n",
    );
    assert_eq!(keys(&written[0]), ["!a000001 eth1", "0-ffffffff vnet+", "a000000-a0000ff eth0"]);
    assert_eq!(keys(&written[1]), ["a000001 5"]);
    assert_eq!(keys(&written[2]), ["10203040506"]);
    assert_eq!(keys(&written[3]), ["a000000-affffff a010000-a01ffff"]);
}

#[test]
fn a_list_names_its_members() {
    let list = captured("l");
    assert_eq!((list.dimensions, list.members), (vec![Dimension::Set], vec!["h-ip".into(), "h-net".into()]));
}

#[test]
fn what_is_not_understood_makes_its_set_unknown() {
    let why = |name: &str| captured(name).unmodelled;
    assert_eq!(why("h-ip"), None);
    assert!(why("h-netiface").unwrap().contains("physdev:eth1"));
    assert!(why("h-bitmask").unwrap().contains("bitmask"));
    let read = parse(
        "create x hash:wat\ncreate m hash:ip,mark family inet markmask 0x000000ff\n\
         add gone 1.2.3.4\nwhat\nadd m 1.2.3.4\n create\n",
    );
    let places: Vec<(u32, u32)> = read.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(3, 5), (4, 1), (5, 7), (6, 2)], "{:?}", read.problems);
    assert!(read.value.iter().all(|set| set.unmodelled.is_some()));
}

#[test]
fn sets_that_rules_change_are_unknown() {
    let rules = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -p tcp -j SET --add-set \"h-ip\" src --exist\n\
                 -A INPUT -j SET --del-set l src\nCOMMIT\n";
    let tables = parse::iptables_save::parse(rules, Dialect::IptablesNft, Family::Ip).value;
    let list =
        "create h-ip hash:ip\ncreate h-net hash:net\ncreate other hash:net\ncreate l list:set\nadd l h-net\n";
    let mut ruleset = Ruleset { tables, ipsets: sets(list), ..Ruleset::default() };
    note_changes(&mut ruleset);
    let known: Vec<bool> = ruleset.ipsets.iter().map(|set| set.unmodelled.is_none()).collect();
    assert_eq!(known, [false, false, true, false]);
}

/// What the tool saves of the recorded sets is read as what was recorded.
#[test]
fn the_tool_saves_what_it_restored() {
    let namespace = Namespace::new();
    namespace.run(&["ipset", "restore"], SAVED);
    let sorted = |text: &str| {
        let mut sets = parse(text).value;
        sets.iter_mut().for_each(|set| set.elements.sort_by_key(|e| format!("{:?}", e.key)));
        sets.iter_mut().for_each(|set| set.unmodelled = set.unmodelled.take().map(|_| String::new()));
        sets.sort_by_key(|set| set.name.clone());
        sets
    };
    assert_eq!(sorted(&namespace.run(&["ipset", "save"], "")), sorted(SAVED));
}
