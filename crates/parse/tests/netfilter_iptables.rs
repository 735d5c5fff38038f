//! Dumps of iptables-save against captured output of iptables 1.8.9.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use std::time::{Duration, Instant};

use model::Mac;
use model::netfilter::{
    Action, AddrType, AddressOf, ChainKind, CtStates, Dialect, Family, Hook, Match, NatTarget, NfRule,
    Policy, RejectWith, Table, Test,
};
use parse::iptables_save::{incompatible_tables, parse};

const LEGACY: &str = include_str!("fixtures/netfilter/iptables-legacy-save-c.txt");
const NFT: &str = include_str!("fixtures/netfilter/iptables-nft-save.txt");
const NFT_COUNTED: &str = include_str!("fixtures/netfilter/iptables-nft-save-c.txt");
const V6: &str = include_str!("fixtures/netfilter/ip6tables-legacy-save.txt");
const NOVA: &str = include_str!("fixtures/netfilter/nova-compute01.txt");
const INCOMPATIBLE: &str = include_str!("fixtures/netfilter/iptables-nft-save-incompatible.txt");

fn tables(text: &str, dialect: Dialect, family: Family) -> Vec<Table> {
    let read = parse(text, dialect, family);
    assert_eq!(read.problems, []);
    read.value
}

/// One rule of chain INPUT of a filter table that also has chain `foo`.
fn rule(text: &str) -> NfRule {
    let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n:foo - [0:0]\n-A INPUT {text}\nCOMMIT\n");
    let read = tables(&dump, Dialect::IptablesNft, Family::Ip);
    read[0].chains[0].rules[0].clone()
}

fn is(test: Test) -> Match {
    Match { negated: false, test }
}

fn not(test: Test) -> Match {
    Match { negated: true, test }
}

fn type_of(of: AddressOf, kind: AddrType) -> Test {
    Test::AddressType { of, types: vec![kind], limit: None }
}

fn unmodelled(text: &str) -> Match {
    is(Test::Unmodelled(text.to_owned()))
}

fn states(names: &str) -> Test {
    let has = |name| names.split(',').any(|n| n == name);
    let (new, invalid) = (has("NEW"), has("INVALID"));
    let (dnat, untracked) = (has("DNAT"), has("UNTRACKED"));
    Test::CtState(CtStates { new, invalid, dnat, untracked, ..CtStates::default() })
}

fn net(text: &str) -> Vec<ipnet::IpNet> {
    vec![text.parse().unwrap()]
}

/// Every rule's text is its line without counters, and every line is a rule's text.
fn assert_texts(text: &str, tables: &[Table]) {
    let lines: Vec<&str> = text.lines().collect();
    let mut read = 0;
    for rule in tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules) {
        let line = lines[rule.line as usize - 1];
        let bare = line.strip_prefix('[').and_then(|l| l.split_once("] ")).map_or(line, |(_, rest)| rest);
        assert_eq!(rule.text, bare);
        assert_eq!(rule.counters.is_some(), line.starts_with('['), "{line}");
        read += 1;
    }
    assert_eq!(read, lines.iter().filter(|l| l.starts_with("-A") || l.starts_with('[')).count());
}

#[test]
fn captured_dumps_are_read_without_a_problem_and_print_again() {
    for (text, dialect, family) in [
        (LEGACY, Dialect::IptablesLegacy, Family::Ip),
        (NFT, Dialect::IptablesNft, Family::Ip),
        (NFT_COUNTED, Dialect::IptablesNft, Family::Ip),
        (V6, Dialect::IptablesLegacy, Family::Ip6),
        (NOVA, Dialect::IptablesLegacy, Family::Ip),
    ] {
        let tables = tables(text, dialect, family);
        assert!(!tables.is_empty());
        assert_texts(text, &tables);
    }
}

#[test]
fn legacy_and_nft_dumps_of_the_same_rules_read_alike() {
    let legacy = tables(LEGACY, Dialect::IptablesLegacy, Family::Ip);
    let nft = tables(NFT_COUNTED, Dialect::IptablesNft, Family::Ip);
    for table in &legacy {
        let twin = nft.iter().find(|t| t.name == table.name).unwrap();
        for chain in &table.chains {
            let strip = |rule: &NfRule| (rule.text.clone(), rule.matches.clone(), rule.action.clone());
            let ours: Vec<_> = chain.rules.iter().map(strip).collect();
            let mut theirs: Vec<_> = twin.chain(&chain.name).unwrap().rules.iter().map(strip).collect();
            // The nft back end also took the one rule that the legacy kernel module refused.
            theirs.retain(|(text, ..)| text != "-A OUTPUT -j TRACE");
            assert_eq!(ours, theirs, "{} {}", table.name, chain.name);
            assert_eq!(chain.base, twin.chain(&chain.name).unwrap().base);
        }
    }
}

#[test]
fn base_chains_hang_where_the_kernel_has_them() {
    let read = tables(LEGACY, Dialect::IptablesLegacy, Family::Ip);
    let base = |table: &str, chain: &str| {
        let table = read.iter().find(|t| t.name == table).unwrap();
        let base = table.chain(chain).unwrap().base.clone().unwrap();
        (base.hook, base.priority, base.kind)
    };
    assert_eq!(base("raw", "PREROUTING"), (Hook::Prerouting, -300, ChainKind::Filter));
    assert_eq!(base("mangle", "FORWARD"), (Hook::Forward, -150, ChainKind::Filter));
    assert_eq!(base("mangle", "OUTPUT"), (Hook::Output, -150, ChainKind::Route));
    assert_eq!(base("nat", "PREROUTING"), (Hook::Prerouting, -100, ChainKind::Nat));
    assert_eq!(base("nat", "OUTPUT"), (Hook::Output, -100, ChainKind::Nat));
    assert_eq!(base("nat", "INPUT"), (Hook::Input, 100, ChainKind::Nat));
    assert_eq!(base("nat", "POSTROUTING"), (Hook::Postrouting, 100, ChainKind::Nat));
    assert_eq!(base("filter", "INPUT"), (Hook::Input, 0, ChainKind::Filter));
    assert_eq!(base("security", "OUTPUT"), (Hook::Output, 50, ChainKind::Filter));
    let filter = read.iter().find(|t| t.name == "filter").unwrap();
    assert_eq!(filter.chain("foo").unwrap().base, None);
    assert_eq!(filter.chain("FORWARD").unwrap().base.as_ref().unwrap().policy, Policy::Drop);
    let nova = tables(NOVA, Dialect::IptablesLegacy, Family::Ip);
    let counted = nova[0].chain("INPUT").unwrap().base.as_ref().unwrap().policy_counters.unwrap();
    assert_eq!((counted.packets, counted.bytes), (2, 166));
}

#[test]
fn matches_of_the_header() {
    let cases = [
        ("-s 10.0.0.0/8", vec![is(Test::Source(net("10.0.0.0/8")))]),
        ("! -d 10.0.0.1/32", vec![not(Test::Destination(net("10.0.0.1/32")))]),
        ("-s 1.0.3.0/255.0.255.0", vec![unmodelled("-s 1.0.3.0/255.0.255.0")]),
        ("! -i eth+ -o br100", vec![not(Test::In("eth+".into())), is(Test::Out("br100".into()))]),
        ("! -p gre", vec![not(Test::Protocol(47))]),
        ("-p 99", vec![is(Test::Protocol(99))]),
        ("-p nosuch", vec![unmodelled("-p nosuch")]),
        ("! -f", vec![not(Test::Fragment)]),
        (
            "-p udp -m udp --sport 68 --dport 67",
            vec![
                is(Test::Protocol(17)),
                is(Test::SourcePort(vec![(68, 68)])),
                is(Test::DestinationPort(vec![(67, 67)])),
            ],
        ),
        (
            "-p tcp -m tcp ! --dport 1000:2000",
            vec![is(Test::Protocol(6)), not(Test::DestinationPort(vec![(1000, 2000)]))],
        ),
        ("-p tcp -m tcp", vec![is(Test::Protocol(6))]),
        (
            "-p udp -m multiport --sports 1,2,3:5",
            vec![is(Test::Protocol(17)), is(Test::SourcePort(vec![(1, 1), (2, 2), (3, 5)]))],
        ),
        (
            "-p udp -m multiport ! --ports 1:9",
            vec![is(Test::Protocol(17)), not(Test::EitherPort(vec![(1, 9)]))],
        ),
        (
            "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK SYN",
            vec![is(Test::Protocol(6)), is(Test::TcpFlags { mask: 0x17, set: 0x02 })],
        ),
        (
            "-p tcp -m tcp ! --tcp-flags SYN NONE",
            vec![is(Test::Protocol(6)), not(Test::TcpFlags { mask: 0x02, set: 0 })],
        ),
        (
            "-p tcp -m tcp --tcp-option 5 --dport 1",
            vec![
                is(Test::Protocol(6)),
                unmodelled("-m tcp --tcp-option 5"),
                is(Test::DestinationPort(vec![(1, 1)])),
            ],
        ),
        ("-p icmp -m icmp ! --icmp-type 3/1", vec![is(Test::Protocol(1)), not(Test::Icmp(3, Some((1, 1))))]),
        ("-p icmp -m icmp --icmp-type echo-request", vec![is(Test::Protocol(1)), is(Test::Icmp(8, None))]),
        ("-p icmp -m icmp --icmp-type any", vec![is(Test::Protocol(1)), is(Test::Always)]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(&format!("{text} -j ACCEPT")).matches, wanted, "{text}");
    }
}

#[test]
fn matches_of_modules() {
    let mac: Mac = "00:11:22:33:44:55".parse().unwrap();
    let cases = [
        ("-m state --state INVALID,NEW", vec![is(states("INVALID,NEW"))]),
        ("-m conntrack ! --ctstate UNTRACKED,DNAT", vec![not(states("UNTRACKED,DNAT"))]),
        (
            "-m conntrack --ctstate NEW ! --ctproto 6",
            vec![is(states("NEW")), unmodelled("-m conntrack ! --ctproto 6")],
        ),
        ("-m mac ! --mac-source 00:11:22:33:44:55", vec![not(Test::EtherSource(mac, Mac::BROADCAST))]),
        (
            "-m physdev --physdev-in tap0 ! --physdev-out vnet+ --physdev-is-bridged",
            vec![
                is(Test::PhysdevIn("tap0".into())),
                not(Test::PhysdevOut("vnet+".into())),
                is(Test::PhysdevIsBridged),
            ],
        ),
        (
            "-m physdev --physdev-is-in ! --physdev-is-out",
            vec![is(Test::PhysdevIsIn), not(Test::PhysdevIsOut)],
        ),
        (r#"-m comment --comment "a \" -j DROP""#, vec![is(Test::Always)]),
        ("-m comment --comment -j", vec![is(Test::Always)]),
        ("-m addrtype ! --dst-type LOCAL", vec![not(type_of(AddressOf::Destination, AddrType::Local))]),
        (
            "-m addrtype --src-type UNICAST,LOCAL ! --dst-type BROADCAST",
            vec![
                is(Test::AddressType {
                    of: AddressOf::Source,
                    types: vec![AddrType::Unicast, AddrType::Local],
                    limit: None,
                }),
                not(type_of(AddressOf::Destination, AddrType::Broadcast)),
            ],
        ),
        (
            "-m addrtype --dst-type LOCAL --limit-iface-in",
            vec![unmodelled("-m addrtype --dst-type LOCAL --limit-iface-in")],
        ),
        ("-m mark ! --mark 0x10/0xff", vec![not(Test::Mark { value: 0x10, mask: 0xff })]),
        ("-m mark --mark 0x5", vec![is(Test::Mark { value: 5, mask: u32::MAX })]),
        (
            "-m iprange ! --dst-range 5.5.5.5-5.5.5.7",
            vec![not(Test::DestinationRange("5.5.5.5".parse().unwrap(), "5.5.5.7".parse().unwrap()))],
        ),
        (
            "-m limit --limit 5/min --limit-burst 7 -m tcp --dport 80",
            vec![
                unmodelled("-m limit --limit 5/min --limit-burst 7"),
                is(Test::DestinationPort(vec![(80, 80)])),
            ],
        ),
        (
            "-m set ! --match-set a src -m owner ! --uid-owner 0-5",
            vec![unmodelled("-m set ! --match-set a src"), unmodelled("-m owner ! --uid-owner 0-5")],
        ),
        ("-m rpfilter --loose --invert", vec![unmodelled("-m rpfilter --loose --invert")]),
        (
            r#"-m string --string "-j DROP" --algo bm"#,
            vec![unmodelled(r#"-m string --string "-j DROP" --algo bm"#)],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(&format!("{text} -j ACCEPT")).matches, wanted, "{text}");
        assert_eq!(rule(&format!("{text} -j ACCEPT")).action, Action::Accept, "{text}");
    }
}

#[test]
fn targets() {
    let ip = |text: &str| text.parse().unwrap();
    let nat = |low: &str, high: &str, ports| NatTarget { addresses: Some((ip(low), ip(high))), ports };
    let cases = [
        ("", Action::Continue),
        ("-j DROP", Action::Drop),
        ("-j RETURN", Action::Return),
        ("-j foo", Action::Jump("foo".into())),
        ("-g foo", Action::Goto("foo".into())),
        ("-j REJECT --reject-with tcp-reset", Action::Reject(RejectWith::TcpReset)),
        ("-j DNAT --to-destination 5.6.7.8", Action::Dnat(nat("5.6.7.8", "5.6.7.8", None))),
        (
            "-j DNAT --to-destination 5.6.7.8-5.6.7.9:50-60 --random --persistent",
            Action::Dnat(nat("5.6.7.8", "5.6.7.9", Some((50, 60)))),
        ),
        ("-j DNAT --to-destination :50", Action::Dnat(NatTarget { addresses: None, ports: Some((50, 50)) })),
        (
            "-j DNAT --to-destination :50-70/90",
            Action::Unmodelled("-j DNAT --to-destination :50-70/90".into()),
        ),
        ("-j SNAT --to-source 1.2.3.4:1-5", Action::Snat(nat("1.2.3.4", "1.2.3.4", Some((1, 5))))),
        ("-j MASQUERADE --random-fully", Action::Masquerade),
        ("-j MASQUERADE --to-ports 1024-65535", Action::Masquerade),
        ("-j MASQUERADE --to-ports 5-7", Action::Unmodelled("-j MASQUERADE --to-ports 5-7".into())),
        ("-j REDIRECT --to-ports 5-7 --random", Action::Redirect(Some((5, 7)))),
        ("-j REDIRECT", Action::Redirect(None)),
        ("-j MARK --set-xmark 0x5/0xff", Action::SetMark { value: 5, mask: 0xff }),
        ("-j MARK --set-mark 0x100/0xff", Action::SetMark { value: 0x100, mask: 0x1ff }),
        ("-j CT --notrack", Action::Notrack),
        ("-j NOTRACK", Action::Notrack),
        ("-j CT --zone 5", Action::Unmodelled("-j CT --zone 5".into())),
        (
            "-j CONNMARK --restore-mark --nfmask 0xffffffff",
            Action::Unmodelled("-j CONNMARK --restore-mark --nfmask 0xffffffff".into()),
        ),
        (
            r#"-j LOG --log-prefix "a -j DROP ""#,
            Action::NonTerminal(r#"-j LOG --log-prefix "a -j DROP ""#.into()),
        ),
        ("-j NFQUEUE --queue-num 5", Action::Unmodelled("-j NFQUEUE --queue-num 5".into())),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).action, wanted, "{text}");
    }
}

#[test]
fn a_chain_beats_a_target_of_its_name() {
    let dump = "*filter\n:INPUT ACCEPT [0:0]\n:LOG - [0:0]\n-A INPUT -j LOG\nCOMMIT\n";
    let read = tables(dump, Dialect::IptablesLegacy, Family::Ip);
    assert_eq!(read[0].chains[0].rules[0].action, Action::Jump("LOG".into()));
}

#[test]
fn what_is_wrong_is_named_with_its_place_and_the_rest_is_kept() {
    let dump = "stray\n*filter\n:INPUT ACCEPT [0:0]\n:odd DROP [0:0]\n-A INPUT -j gone\n\
                -A INPUT -m comment --comment \"x\n\
                -A INPUT --what 1 -j DROP\nwat\n-A INPUT -j ACCEPT !\n-A lost -j DROP\n";
    let read = parse(dump, Dialect::IptablesNft, Family::Ip);
    let wanted = [(1, 1), (4, 2), (5, 10), (6, 31), (7, 10), (8, 1), (9, 10), (10, 1), (10, 4)];
    let problems: Vec<(u32, u32)> = read.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(problems, wanted, "{:?}", read.problems);
    let table = &read.value[0];
    let rules = &table.chain("INPUT").unwrap().rules;
    assert_eq!(rules[0].action, Action::Unmodelled("-j gone".into()));
    assert_eq!(rules[1].action, Action::Unmodelled("-m comment --comment \"x".into()));
    assert_eq!(rules[2].matches, [unmodelled("--what 1")]);
    assert_eq!(rules[2].action, Action::Drop);
    assert_eq!(table.chain("lost").unwrap().rules[0].action, Action::Drop);
}

#[test]
fn tables_with_native_rules_are_named_and_left_out() {
    assert_eq!(incompatible_tables(INCOMPATIBLE), ["filter"]);
    assert_eq!(tables(INCOMPATIBLE, Dialect::IptablesNft, Family::Ip), []);
    assert_eq!(incompatible_tables("# Table `nat' is incompatible, use 'nft' tool.\n"), ["nat"]);
    assert_eq!(incompatible_tables(NFT), <[&str; 0]>::default());
}

#[test]
fn a_hundred_thousand_rules_are_read_without_quadratic_look_ups() {
    use std::fmt::Write as _;
    let mut dump = "*filter\n:INPUT ACCEPT [0:0]\n".to_owned();
    for chain in 0..10_000 {
        writeln!(dump, ":nova-compute-inst-{chain} - [0:0]").unwrap();
    }
    for chain in 0..10_000 {
        writeln!(dump, "-A INPUT -d 10.0.{}.{}/32 -j nova-compute-inst-{chain}", chain / 256, chain % 256)
            .unwrap();
        for port in 0..9 {
            writeln!(dump, "[1:2] -A nova-compute-inst-{chain} -p tcp -m tcp --dport {port} -j ACCEPT")
                .unwrap();
        }
    }
    dump.push_str("COMMIT\n");
    let before = Instant::now();
    let read = tables(&dump, Dialect::IptablesNft, Family::Ip);
    let took = before.elapsed();
    assert_eq!(read[0].chains.iter().map(|c| c.rules.len()).sum::<usize>(), 100_000);
    // A debug build on a busy machine; a quadratic look-up would take minutes.
    assert!(took < Duration::from_secs(10), "{took:?}");
    println!("100000 rules: {took:?}");
}
