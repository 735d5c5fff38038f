//! Dumps of arptables, captured from arptables-nft 1.8.9 and arptables-legacy 0.0.5.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use model::Mac;
use model::netfilter::{
    Action, AddressOf, ArpChange, Dialect, Field, Hook, Match, NfRule, Policy, Table, Test,
};
use namespace::Namespace;
use parse::arptables_save::{parse, parse_list, put_right};

mod namespace;

const NFT: &str = include_str!("fixtures/netfilter/arptables-nft-save-c.txt");
const LEGACY: &str = include_str!("fixtures/netfilter/arptables-legacy-list.txt");

fn is(test: Test) -> Match {
    Match { negated: false, test }
}

fn not(test: Test) -> Match {
    Match { negated: true, test }
}

fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

fn source(text: &str) -> Test {
    Test::ArpSourceIp(text.parse().unwrap())
}

fn rule(text: &str) -> NfRule {
    let read = parse(&format!("*filter\n:INPUT ACCEPT\n:foo -\n-A INPUT {text}\n"));
    assert_eq!(read.problems, []);
    read.value[0].chains[0].rules[0].clone()
}

#[test]
fn captured_dumps_are_read_whole() {
    let nft = parse(NFT);
    let legacy = parse_list(LEGACY);
    assert_eq!((nft.problems.as_slice(), legacy.problems.as_slice()), (&[][..], &[][..]));
    let base = |table: &Table, chain: &str| {
        let base = table.chain(chain).unwrap().base.clone().unwrap();
        (base.hook, base.priority, base.policy)
    };
    assert_eq!(base(&nft.value[0], "INPUT"), (Hook::Input, 0, Policy::Drop));
    assert_eq!(base(&legacy.value[0], "FORWARD"), (Hook::Forward, 0, Policy::Accept));
    assert_eq!(legacy.value[0].chain("foo").unwrap().base, None);
    assert_eq!(
        (nft.value[0].dialect, legacy.value[0].dialect),
        (Dialect::ArptablesNft, Dialect::ArptablesLegacy)
    );
    for (text, tables) in [(NFT, &nft.value), (LEGACY, &legacy.value)] {
        let lines: Vec<&str> = text.lines().collect();
        let mut read = 0;
        for rule in tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules) {
            let line = lines[rule.line as usize - 1];
            let words = rule.text.split(' ').skip(2);
            words.for_each(|word| assert!(line.contains(word), "{} is not of {line}", rule.text));
            assert!(rule.counters.is_some(), "{line}");
            read += 1;
        }
        let shown = lines.iter().filter(|l| l.contains("] -A ") || l.contains(", pcnt=")).count();
        assert_eq!(read, shown);
    }
    let counted = legacy.value[0].chain("INPUT").unwrap().rules[0].clone();
    assert_eq!(counted.text, "-A INPUT -j DROP -s 10.0.0.9");
    assert_eq!((counted.action, counted.matches), (Action::Drop, vec![is(source("10.0.0.9/32"))]));
}

#[test]
fn conditions() {
    let masked = |low| Test::Field {
        field: Field::ArpIp(AddressOf::Source),
        mask: 0xff00_ff00,
        within: vec![(low, low)],
    };
    let cases = [
        ("-i eth0 ! -o eth+", vec![is(Test::In("eth0".into())), not(Test::Out("eth+".into()))]),
        (
            "-s 10.0.0.0/24 ! -d 10.0.0.1",
            vec![is(source("10.0.0.0/24")), not(Test::ArpTargetIp("10.0.0.1/32".parse().unwrap()))],
        ),
        ("-s 10.0.0.0/255.0.255.0", vec![is(masked(0x0a00_0000))]),
        (
            "! --src-mac 02:00:00:00:00:00/ff:ff:f0:00:00:00",
            vec![not(Test::ArpSourceMac(mac("2:0:0:0:0:0"), mac("ff:ff:f0:0:0:0")))],
        ),
        ("--dst-mac 02:00:00:00:00:01", vec![is(Test::ArpTargetMac(mac("2:0:0:0:0:1"), Mac::BROADCAST))]),
        ("! --opcode 3", vec![not(Test::ArpOperation(3))]),
        ("--opcode Reply", vec![is(Test::ArpOperation(2))]),
        ("--h-length 6 ! --h-type 6 --proto-type 0x800", vec![is(Test::Always); 3]),
        ("--h-type 6", vec![not(Test::Always)]),
        ("--nosuch 5", vec![is(Test::Unmodelled("--nosuch 5".into()))]),
    ];
    for (text, wanted) in cases {
        let read = rule(&format!("-j DROP {text}"));
        assert_eq!((read.matches, read.action), (wanted, Action::Drop), "{text}");
    }
}

#[test]
fn targets_stand_in_front_and_their_options_behind() {
    let marked = rule("-j MARK --opcode 2 --set-mark 1f");
    assert_eq!(marked.action, Action::SetMark { value: 0x1f, mask: u32::MAX });
    assert_eq!(marked.matches, [is(Test::ArpOperation(2))]);
    assert_eq!(rule("-j MARK --or-mark 10").action, Action::SetMark { value: 0x10, mask: 0x10 });
    assert_eq!(rule("-j MARK --and-mark 10").action, Action::SetMark { value: 0, mask: !0x10 });
    assert_eq!(rule("-j foo").action, Action::Jump("foo".into()));
    assert_eq!(rule("-s 1.2.3.4").action, Action::Continue);
    let mangle = "-j mangle --mangle-ip-s 1.2.3.4 --mangle-target CONTINUE";
    let sender = Action::Arp(ArpChange::SenderIp("1.2.3.4".parse().unwrap()));
    assert_eq!(rule(mangle).action, Action::Several(vec![sender]));
    assert_eq!(
        rule("-j CLASSIFY --set-class 1:2").action,
        Action::NonTerminal("-j CLASSIFY --set-class 1:2".into())
    );
    let odd = parse("*filter\n:INPUT ACCEPT\n-A INPUT -j gone\n-A INPUT what\n-A INPUT -s \"x\n-A INPUT !\n");
    let places: Vec<(u32, u32)> = odd.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(3, 10), (4, 10), (5, 13), (6, 10)], "{:?}", odd.problems);
    assert_eq!(odd.value[0].chains[0].rules.len(), 4);
}

/// The tool leaves out hardware addresses under a mask of whole octets; the kernel does not.
#[test]
fn what_the_tool_leaves_out_is_put_right() {
    let namespace = Namespace::new();
    for rule in
        ["--source-mac 02:00:00:00:00:01/ff:ff:00:00:00:00 -j DROP", "-s 10.0.0.7 --opcode 1 -j ACCEPT"]
    {
        let argv: Vec<&str> = ["arptables-nft", "-A", "INPUT"].into_iter().chain(rule.split(' ')).collect();
        namespace.run(&argv, "");
    }
    let mut saved = parse(&namespace.run(&["arptables-nft-save", "-c"], "")).value;
    let kernel = namespace.run(&["nft", "-j", "-a", "list", "ruleset"], "");
    let kernel = parse::nft_json::parse(&kernel, &|_, _| false).value;
    assert_eq!(saved[0].chain("INPUT").unwrap().rules[0].matches, []);
    put_right(&mut saved, &kernel).unwrap();
    let rules = &saved[0].chain("INPUT").unwrap().rules;
    assert!(rules[0].text.starts_with("-A INPUT -j DROP"), "{}", rules[0].text);
    assert!(rules[0].handle.is_some());
    assert_eq!(rules[0].matches.len(), 1, "{:?}", rules[0].matches);
    assert_eq!(rules[1].matches, [is(source("10.0.0.7/32")), is(Test::ArpOperation(1))]);
    saved[0].chains[0].rules.clear();
    assert!(put_right(&mut saved, &kernel).unwrap_err().contains("0 rules"));
}
