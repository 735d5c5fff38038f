//! Rulesets in JSON, captured from nft 1.0.6 together with its own listing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says why")]

use model::Mac;
use model::netfilter::{
    Action, AddrType, AddressOf, Because, ChainKind, Choice, CtStates, Family, FibQuestion, FibResult, Field,
    Hook, Match, NfRule, Policy, Table, Test,
};
use parse::nft_json::parse;

const JSON: &str = include_str!("fixtures/netfilter/nft-json.json");
const LISTING: &str = include_str!("fixtures/netfilter/nft-list.txt");
const OF_IPTABLES: &str = include_str!("fixtures/netfilter/nft-json-of-iptables-nft.json");

fn tables(text: &str) -> Vec<Table> {
    let read = parse(text, &|_, _| false);
    assert_eq!(read.problems, []);
    read.value
}

fn rules(tables: &[Table]) -> impl Iterator<Item = &NfRule> {
    tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules)
}

/// The rule that nft lists with this text.
fn rule(text: &str) -> NfRule {
    let tables = tables(JSON);
    let found = rules(&tables).find(|rule| rule.text == text).cloned();
    found.unwrap_or_else(|| panic!("no rule `{text}`"))
}

fn is(test: Test) -> Match {
    Match { negated: false, test }
}

fn not(test: Test) -> Match {
    Match { negated: true, test }
}

/// Not what iptables' addrtype asks: of IPv6 the two look at different things.
fn type_of(of: AddressOf, kind: AddrType) -> Test {
    let question = FibQuestion { of, link: None, mark: false, result: FibResult::Type };
    let number = kind.number().into();
    Test::Field { field: Field::Fib(question), mask: u32::MAX.into(), within: vec![(number, number)] }
}

const V4: Match = Match { negated: false, test: Test::EtherType(0x0800) };

fn nets(texts: &[&str]) -> Vec<ipnet::IpNet> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// nft's own listing, as rule texts with handles; counters' numbers taken off.
fn listing() -> Vec<(String, u64)> {
    let handled = LISTING.lines().filter(|line| line.starts_with("\t\t") && line.contains(" # handle "));
    handled
        .map(|line| {
            let (text, handle) = line.trim().rsplit_once(" # handle ").unwrap();
            let mut words = text.split(' ').peekable();
            let mut kept = Vec::new();
            while let Some(word) = words.next() {
                kept.push(word);
                if word == "counter" && words.peek() == Some(&"packets") {
                    words.nth(3);
                }
            }
            (kept.join(" "), handle.parse().unwrap())
        })
        .collect()
}

#[test]
fn texts_are_nfts_own() {
    let tables = tables(JSON);
    let ours: Vec<(String, u64)> = rules(&tables).map(|r| (r.text.clone(), r.handle.unwrap())).collect();
    let theirs = listing();
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        // What is not modelled may stay JSON.
        if !ours.0.contains("{\"") {
            assert_eq!(ours, theirs);
        }
        assert_eq!(ours.1, theirs.1);
    }
    let json = ours.iter().filter(|(text, _)| text.contains("{\"")).count();
    assert!(json <= 6, "{json} rules stay JSON");
}

#[test]
fn base_chains_have_hook_priority_policy_and_kind() {
    let tables = tables(JSON);
    let base = |table: &str, chain: &str| {
        let table = tables.iter().find(|t| t.name == table).unwrap();
        let base = table.chain(chain).unwrap().base.clone().unwrap();
        (table.family, base.hook, base.priority, base.kind, base.policy)
    };
    assert_eq!(base("filter", "input"), (Family::Inet, Hook::Input, 0, ChainKind::Filter, Policy::Drop));
    assert_eq!(base("nat", "post"), (Family::Ip, Hook::Postrouting, 105, ChainKind::Nat, Policy::Accept));
    assert_eq!(base("nat", "routed"), (Family::Ip, Hook::Output, -150, ChainKind::Route, Policy::Accept));
    assert_eq!(base("nd", "ing"), (Family::Netdev, Hook::Ingress, -500, ChainKind::Filter, Policy::Accept));
    assert_eq!(base("br", "f"), (Family::Bridge, Hook::Forward, -200, ChainKind::Filter, Policy::Drop));
    assert_eq!(tables[0].chain("foo").unwrap().base, None);
    let ingress = r#"{"nftables": [{"chain": {"family": "netdev", "table": "t", "name": "c", "dev": "eth0",
        "type": "filter", "hook": "ingress", "prio": 0}}]}"#;
    let read = parse(ingress, &|_, _| false);
    assert_eq!(read.value[0].chains[0].base.as_ref().unwrap().devices, ["eth0"]);
}

#[test]
fn addresses_links_and_ports() {
    let cases = [
        (
            r#"iifname "eth*" oifname != "tap0" drop"#,
            vec![is(Test::In("eth+".into())), not(Test::Out("tap0".into()))],
        ),
        (r#"iifname "we\*" accept"#, vec![is(Test::In("we*".into()))]),
        (r#"iifname != { "a", "b" } accept"#, vec![not(Test::In("a".into())), not(Test::In("b".into()))]),
        (
            "ip saddr 10.0.0.0/8 ip daddr != 192.168.0.0/16 counter drop",
            vec![
                V4,
                is(Test::Source(nets(&["10.0.0.0/8"]))),
                not(Test::Destination(nets(&["192.168.0.0/16"]))),
            ],
        ),
        (
            "ip saddr { 10.0.0.1, 10.1.0.0/16, 10.2.0.1-10.2.0.7 } accept",
            vec![
                V4,
                is(Test::Source(nets(&[
                    "10.0.0.1/32",
                    "10.1.0.0/16",
                    "10.2.0.1/32",
                    "10.2.0.2/31",
                    "10.2.0.4/30",
                ]))),
            ],
        ),
        (
            "ip saddr 10.0.0.1-10.0.0.9 accept",
            vec![V4, is(Test::SourceRange("10.0.0.1".parse().unwrap(), "10.0.0.9".parse().unwrap()))],
        ),
        (
            "ip6 saddr fe80::/64 accept",
            vec![is(Test::EtherType(0x86dd)), is(Test::Source(nets(&["fe80::/64"])))],
        ),
        ("ip protocol { tcp, udp } accept", vec![V4, is(Test::Protocols(vec![6, 17]))]),
        ("meta l4proto != gre drop", vec![not(Test::Protocol(47))]),
        (
            "meta l4proto { tcp, udp } th dport 53 accept",
            vec![is(Test::Protocols(vec![6, 17])), is(Test::DestinationPort(vec![(53, 53)]))],
        ),
        (
            "tcp dport != { 22, 80-90 } accept",
            vec![is(Test::Protocol(6)), not(Test::DestinationPort(vec![(22, 22), (80, 90)]))],
        ),
        (
            "udp sport != 53 udp dport 68 accept",
            vec![
                is(Test::Protocol(17)),
                not(Test::SourcePort(vec![(53, 53)])),
                is(Test::DestinationPort(vec![(68, 68)])),
            ],
        ),
        ("ip saddr != 10.0.0.0/8 drop", vec![V4, not(Test::Source(nets(&["10.0.0.0/8"])))]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, wanted, "{text}");
    }
}

#[test]
fn states_flags_and_types() {
    let state = |new, established, related, untracked| {
        Test::CtState(CtStates { new, established, related, untracked, ..CtStates::default() })
    };
    let cases = [
        ("ct state established,related counter accept", vec![is(state(false, true, true, false))]),
        ("ct state { new, untracked } accept", vec![is(state(true, false, false, true))]),
        ("ct state != established drop", vec![not(state(false, true, false, false))]),
        ("ct state != { established, related } drop", vec![not(state(false, true, true, false))]),
        ("ct status dnat accept", vec![is(Test::CtState(CtStates { dnat: true, ..CtStates::default() }))]),
        ("tcp flags syn accept", vec![is(Test::Protocol(6)), is(Test::TcpFlags { mask: 2, set: 2 })]),
        (
            "tcp flags syn / fin,syn,rst,ack accept",
            vec![is(Test::Protocol(6)), is(Test::TcpFlags { mask: 0x17, set: 2 })],
        ),
        (
            "tcp flags != syn / syn,ack accept",
            vec![is(Test::Protocol(6)), not(Test::TcpFlags { mask: 0x12, set: 2 })],
        ),
        ("icmp type != echo-request accept", vec![is(Test::Protocol(1)), not(Test::Icmp(8, None))]),
        (
            "icmp type destination-unreachable icmp code port-unreachable accept",
            vec![is(Test::Protocol(1)), is(Test::Icmp(3, Some((3, 3))))],
        ),
        ("icmpv6 type nd-router-advert accept", vec![is(Test::Protocol(58)), is(Test::Icmp(134, None))]),
        ("meta mark & 0x000000ff != 0x00000005 accept", vec![not(Test::Mark { value: 5, mask: 0xff })]),
        ("meta nfproto ipv4 accept", vec![V4]),
        (
            "ether saddr 00:11:22:33:44:55 accept",
            vec![is(Test::EtherSource("00:11:22:33:44:55".parse().unwrap(), Mac::BROADCAST))],
        ),
        ("fib daddr type local accept", vec![is(type_of(AddressOf::Destination, AddrType::Local))]),
        (
            "arp operation request arp saddr ip 10.0.0.1 arp daddr ip 10.0.0.0/24 accept",
            vec![
                is(Test::EtherType(0x0806)),
                is(Test::ArpOperation(1)),
                is(Test::ArpSourceIp("10.0.0.1/32".parse().unwrap())),
                is(Test::ArpTargetIp("10.0.0.0/24".parse().unwrap())),
            ],
        ),
        ("arp operation reply drop", vec![is(Test::ArpOperation(2))]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, wanted, "{text}");
    }
}

#[test]
fn what_is_not_modelled_says_so() {
    let unpredictable = |text: &str, because| is(Test::Unpredictable(text.to_owned(), because));
    let cases = [
        ("th dport 53 accept", unpredictable("th dport 53", Because::Payload)),
        ("limit rate 5/minute accept", unpredictable("limit rate 5/minute", Because::Rate)),
        ("meta skuid 0 accept", unpredictable("meta skuid 0", Because::Socket)),
        ("iifgroup 5 accept", unpredictable("iifgroup 5", Because::Machine)),
        ("numgen random mod 2 0 accept", unpredictable("numgen random mod 2 0", Because::Chance)),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, [wanted], "{text}");
    }
    let fwd = ("fwd to \"lo\"", r#"{"fwd": {"dev": "lo"}}"#);
    let set = r#"{"mangle": {"key": {"payload": {"protocol": "tcp", "field": "dport"}}, "value": 80}}"#;
    let known = |text: &str| Action::Elsewhere(text.to_owned(), Choice::Link);
    for ((text, json), wanted) in
        [(fwd, known(fwd.0)), (("tcp dport set 80", set), Action::Unmodelled("tcp dport set 80".to_owned()))]
    {
        let ruleset = format!(
            r#"{{"nftables": [{{"rule": {{"family": "ip", "table": "t", "chain": "c", "expr": [{json}]}}}}]}}"#
        );
        assert_eq!(tables(&ruleset)[0].chains[0].rules[0].action, wanted, "{text}");
    }
}

#[test]
fn actions() {
    let cases = [
        (r#"log prefix "x y " level info drop"#, "Drop"),
        ("counter return", "Return"),
        ("continue", "Continue"),
        ("counter", "Continue"),
        ("notrack", "Notrack"),
        ("jump foo", "Jump(\"foo\")"),
        ("goto foo", "Goto(\"foo\")"),
        ("reject", "Reject(Icmpx(1))"),
        ("meta l4proto tcp reject with tcp reset", "Reject(TcpReset)"),
        ("meta mark set 0x00000005", "SetMark { value: 5, mask: 4294967295 }"),
        ("meta mark set meta mark | 0x00000010", "SetMark { value: 16, mask: 16 }"),
        ("tcp dport 80 redirect to :8080", "Redirect(Some((8080, 8080)))"),
        ("masquerade random,persistent", "Masquerade(None)"),
        ("ip protocol tcp masquerade to :1024-65535", "Masquerade(Some((1024, 65535)))"),
    ];
    for (text, wanted) in cases {
        assert_eq!(format!("{:?}", rule(text).action), wanted, "{text}");
    }
    let nat = |text: &str| match rule(text).action {
        Action::Dnat(target) | Action::Snat(target) => target.to_string(),
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(nat("ip daddr 1.2.3.4 dnat to 5.6.7.8"), "5.6.7.8");
    assert_eq!(
        nat("ip daddr 1.2.3.4 tcp dport 80 dnat to 5.6.7.8/31:8080-8090 random"),
        "5.6.7.8-5.6.7.9:8080-8090"
    );
    assert_eq!(nat("ip daddr 1.2.3.4 tcp dport 80 dnat to :8080"), ":8080");
    assert_eq!(nat("snat to 9.9.9.0-9.9.9.5"), "9.9.9.0-9.9.9.5");
    let counted = rule("counter return").counters.unwrap();
    assert_eq!((counted.packets, counted.bytes), (5, 300));
}

#[test]
fn tables_read_elsewhere_are_skipped() {
    let read = parse(OF_IPTABLES, &|family, _| family == Family::Ip);
    assert_eq!(read.problems, []);
    assert!(read.value.iter().all(|t| t.family == Family::Bridge));
    let all = tables(OF_IPTABLES);
    assert!(all.iter().any(|t| t.family == Family::Ip && t.name == "nat"));
    let hidden = rules(&all).filter(|r| r.matches.iter().any(|m| matches!(m.test, Test::Unmodelled(_))));
    assert!(hidden.count() > 10);
}

#[test]
fn a_cut_off_ruleset_keeps_what_came_before() {
    let cut = JSON.find("\"handle\": 30,").or_else(|| JSON.find("\"handle\":30,")).unwrap();
    let read = parse(&JSON[..cut], &|_, _| false);
    assert!(read.problems[0].what.contains("cut short"), "{:?}", read.problems);
    assert!(read.problems[0].column > 1000);
    assert!(read.value[0].chain("input").unwrap().rules.len() > 10);
    assert_eq!(parse("oops", &|_, _| false).problems.len(), 1);
    assert_eq!(parse("", &|_, _| false).problems, []);
}

#[test]
fn one_odd_object_costs_only_itself() {
    let text = r#"{"nftables": [{"metainfo": {}}, {"table": {"family": "ip", "name": "t"}}, 7,
  {"rule": {"family": "ip", "table": "t", "chain": "c", "handle": 9, "expr": [{"jump": {"target": "gone"}}]}},
  {"chain": {"family": "ip", "table": "t", "name": "c"}}, {"newer": {}},
  {"rule": {"family": "ip", "table": "t", "chain": "c", "expr": [{"accept": null}, 5, {"a": 1, "b": 2}]}},
  {"rule": {"family": "ip", "table": "t", "chain": "c"}}]}"#;
    let read = parse(text, &|_, _| false);
    let rules = &read.value[0].chains[0].rules;
    assert_eq!(rules[0].action, Action::Unmodelled("jump gone".into()));
    assert!(matches!(rules[1].action, Action::Unmodelled(_)));
    assert!(matches!(rules[2].action, Action::Unmodelled(_)));
    let places: Vec<(u32, u32)> = read.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(1, 75), (5, 3), (1, 1)], "{:?}", read.problems);
}
