//! Dumps of ebtables-save. The nft ones are captured from ebtables-nft-save 1.8.9; the legacy one is
//! in the form that the `ebtables-legacy-save` script prints.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use model::Mac;
use model::netfilter::{
    Action, AddressOf, ArpChange, Because, Choice, Dialect, Element, Elements, EtherChange, Field, Hook,
    Lookup, Match, NfRule, Part, Policy, Table, Test,
};
use parse::ebtables_save::{parse, parse_list};

const NFT: &str = include_str!("fixtures/netfilter/ebtables-nft-save.txt");
const NFT_COUNTED: &str = include_str!("fixtures/netfilter/ebtables-nft-save-c.txt");
const LEGACY: &str = include_str!("fixtures/netfilter/ebtables-legacy-save-counters.txt");

fn tables(text: &str, dialect: Dialect) -> Vec<Table> {
    let read = parse(text, dialect);
    assert_eq!(read.problems, []);
    read.value
}

fn rule(text: &str) -> NfRule {
    rule_of(Dialect::EbtablesNft, text)
}

fn rule_of(dialect: Dialect, text: &str) -> NfRule {
    let dump = format!("*filter\n:FORWARD ACCEPT\n:foo ACCEPT\n-A FORWARD {text}\n");
    tables(&dump, dialect)[0].chains[0].rules[0].clone()
}

fn field(field: Field, mask: u128, low: u128, high: u128) -> Test {
    Test::Field { field, mask, within: vec![(low, high)] }
}

fn unpredictable(text: &str, why: Because) -> Match {
    is(Test::Unpredictable(text.to_owned(), why))
}

/// A condition that never holds.
fn never() -> Match {
    not(Test::Always)
}

fn is(test: Test) -> Match {
    Match { negated: false, test }
}

fn not(test: Test) -> Match {
    Match { negated: true, test }
}

fn unmodelled(text: &str) -> Match {
    is(Test::Unmodelled(text.to_owned()))
}

fn mac(text: &str) -> Mac {
    text.parse().unwrap()
}

#[test]
fn captured_dumps_are_read_without_a_problem_and_print_again() {
    for (text, dialect) in
        [(NFT, Dialect::EbtablesNft), (NFT_COUNTED, Dialect::EbtablesNft), (LEGACY, Dialect::EbtablesLegacy)]
    {
        let lines: Vec<&str> = text.lines().collect();
        let tables = tables(text, dialect);
        let rules = tables.iter().flat_map(|t| &t.chains).flat_map(|c| &c.rules);
        let mut read = 0;
        for rule in rules.filter(|rule| !rule.text.starts_with('(')) {
            let line = lines[rule.line as usize - 1].trim_end();
            let bare = line.strip_prefix('[').and_then(|l| l.split_once("] ")).map_or(line, |(_, rest)| rest);
            let bare = bare.rsplit_once(" -c ").map_or(bare, |(before, _)| before.trim_end());
            assert_eq!(rule.text, bare);
            assert_eq!(rule.counters.is_some(), text != NFT, "{line}");
            read += 1;
        }
        assert_eq!(read, lines.iter().filter(|l| l.starts_with("-A") || l.starts_with('[')).count());
    }
}

#[test]
fn counters_behind_a_rule_are_the_rules() {
    let read = tables(LEGACY, Dialect::EbtablesLegacy);
    let forward = &read[0].chain("FORWARD").unwrap().rules;
    let counters = forward[1].counters.unwrap();
    assert_eq!((counters.packets, counters.bytes), (12, 3456));
    assert_eq!((forward[2].text.as_str(), &forward[2].action), ("-A FORWARD", &Action::Continue));
    let raw = "*filter\n:INPUT ACCEPT\n-A INPUT -p ARP -j DROP , pcnt = 7 -- bcnt = 8\n";
    let listed = tables(raw, Dialect::EbtablesLegacy)[0].chains[0].rules[0].clone();
    assert_eq!((listed.text.as_str(), listed.counters.unwrap().bytes), ("-A INPUT -p ARP -j DROP", 8));
}

#[test]
fn a_listing_reads_as_a_dump() {
    let listing = "Bridge table: filter\n\nBridge chain: INPUT, entries: 0, policy: DROP\n\n\
                   Bridge chain: guests, entries: 2, policy: RETURN\n\
                   -p ARP -j ACCEPT , pcnt = 7 -- bcnt = 8\n-j guests, pcnt = 1 -- bcnt = 2\n";
    let read = parse_list(listing);
    assert_eq!(read.problems, []);
    let table = &read.value[0];
    assert_eq!((table.name.as_str(), table.dialect), ("filter", Dialect::EbtablesLegacy));
    assert_eq!(table.chain("INPUT").unwrap().base.as_ref().unwrap().policy, Policy::Drop);
    let rules = &table.chain("guests").unwrap().rules;
    let told: Vec<_> = rules.iter().map(|r| (r.text.as_str(), r.line, r.counters.unwrap().packets)).collect();
    assert_eq!(told, [("-A guests -p ARP -j ACCEPT", 6, 7), ("-A guests -j guests", 7, 1)]);
    assert_eq!(parse_list("Bridge chain: x\nwhat\n").problems.len(), 2);
}

#[test]
fn base_chains_hang_where_each_back_end_has_them() {
    let base = |dialect, text: &str, table: &str, chain: &str| {
        let read = tables(text, dialect);
        let table = read.iter().find(|t| t.name == table).unwrap();
        let base = table.chain(chain).unwrap().base.clone().unwrap();
        (base.hook, base.priority, base.policy)
    };
    let legacy = |table, chain| base(Dialect::EbtablesLegacy, LEGACY, table, chain);
    let nft = |table, chain| base(Dialect::EbtablesNft, NFT, table, chain);
    assert_eq!(legacy("filter", "OUTPUT"), (Hook::Output, 200, Policy::Accept));
    assert_eq!(nft("filter", "OUTPUT"), (Hook::Output, -200, Policy::Accept));
    assert_eq!(nft("filter", "FORWARD"), (Hook::Forward, -200, Policy::Drop));
    assert_eq!(nft("nat", "PREROUTING"), (Hook::Prerouting, -300, Policy::Accept));
    assert_eq!(nft("nat", "OUTPUT"), (Hook::Output, 100, Policy::Accept));
    assert_eq!(nft("nat", "POSTROUTING"), (Hook::Postrouting, 300, Policy::Accept));
    assert_eq!(legacy("broute", "BROUTING"), (Hook::Prerouting, i32::MIN, Policy::Accept));
}

#[test]
fn a_user_chains_policy_is_its_last_rule() {
    let read = tables(NFT, Dialect::EbtablesNft);
    let last = |chain: &str| {
        let chain = read[0].chain(chain).unwrap();
        chain.rules.last().map(|rule| (rule.text.clone(), rule.action.clone()))
    };
    assert_eq!(last("foo"), Some(("(policy of foo)".to_owned(), Action::Accept)));
    assert_eq!(last("poldrop"), Some(("(policy of poldrop)".to_owned(), Action::Drop)));
    assert_eq!(last("polret"), None);
}

#[test]
fn matches() {
    let cases = [
        ("-i ! eth+ -o tap0", vec![not(Test::In("eth+".into())), is(Test::Out("tap0".into()))]),
        ("! -i eth0", vec![not(Test::In("eth0".into()))]),
        (
            "--logical-in br0 --logical-out ! br1",
            vec![is(Test::LogicalIn("br0".into())), not(Test::LogicalOut("br1".into()))],
        ),
        ("-s ! 0:11:22:33:44:55", vec![not(Test::EtherSource(mac("00:11:22:33:44:55"), Mac::BROADCAST))]),
        ("-d Multicast", vec![is(Test::EtherDestination(mac("1:0:0:0:0:0"), mac("1:0:0:0:0:0")))]),
        ("-d Unicast", vec![is(Test::EtherDestination(Mac::ZERO, mac("1:0:0:0:0:0")))]),
        ("-d ! Broadcast", vec![not(Test::EtherDestination(Mac::BROADCAST, Mac::BROADCAST))]),
        ("-d BGA", vec![is(Test::EtherDestination(mac("1:80:c2:0:0:0"), Mac::BROADCAST))]),
        ("-p ! LLDP", vec![not(Test::EtherType(0x88cc))]),
        ("-p 0x88cc", vec![is(Test::EtherType(0x88cc))]),
        ("-p Length", vec![is(field(Field::EtherType, 0xffff, 0, 0x5ff))]),
        (
            "-p IPv4 --ip-src 10.0.0.0/8 --ip-dst ! 1.2.3.4 --ip-proto udp --ip-dport ! 67:68",
            vec![
                is(Test::EtherType(0x0800)),
                is(Test::Source(vec!["10.0.0.0/8".parse().unwrap()])),
                not(Test::Destination(vec!["1.2.3.4/32".parse().unwrap()])),
                is(Test::Protocol(17)),
                not(Test::DestinationPort(vec![(67, 68)])),
            ],
        ),
        (
            "-p IPv4 --ip-tos 0x10",
            vec![
                is(Test::EtherType(0x0800)),
                is(field(Field::Dscp, 0x3f, 4, 4)),
                unpredictable("--ip-tos 0x10 (its last two bits)", Because::Payload),
            ],
        ),
        (
            "-p IPv6 --ip6-tclass ! 0x10",
            vec![is(Test::EtherType(0x86dd)), unpredictable("--ip6-tclass ! 0x10", Because::Payload)],
        ),
        (
            "-p IPv4 --ip-src ! 1.0.3.0/255.0.255.0 --ip-proto icmp --ip-icmp-type echo-request",
            vec![
                is(Test::EtherType(0x0800)),
                not(field(Field::Ip(AddressOf::Source), 0xff00_ff00, 0x0100_0300, 0x0100_0300)),
                is(Test::Protocol(1)),
                is(Test::Icmp(8, None)),
            ],
        ),
        (
            "-p IPv6 --ip6-dst fe80::/10 --ip6-proto ipv6-icmp --ip6-icmp-type 135:136/0",
            vec![
                is(Test::EtherType(0x86dd)),
                is(Test::Destination(vec!["fe80::/10".parse().unwrap()])),
                is(Test::Protocol(58)),
                is(field(Field::IcmpType, 0xff, 135, 136)),
                is(field(Field::IcmpCode, 0xff, 0, 0)),
            ],
        ),
        ("--ip-icmp-type ! 3/1:2", vec![not(Test::Icmp(3, Some((1, 2))))]),
        ("--ip-icmp-type ! 3:5/1:2", vec![unmodelled("--ip-icmp-type ! 3:5/1:2")]),
        ("--ip-icmp-type ! 3:5/0:255", vec![not(field(Field::IcmpType, 0xff, 3, 5))]),
        (
            "-p ARP --arp-op Reply --arp-mac-dst ! 0:1:2:0:0:0/ff:ff:ff:0:0:0",
            vec![
                is(Test::EtherType(0x0806)),
                is(Test::ArpOperation(2)),
                not(Test::ArpTargetMac(mac("0:1:2:0:0:0"), mac("ff:ff:ff:0:0:0"))),
            ],
        ),
        (
            "-p ARP --arp-op ! Request_Reverse --arp-gratuitous",
            vec![is(Test::EtherType(0x0806)), not(Test::ArpOperation(3)), is(Test::ArpGratuitous)],
        ),
        (
            "-p ARP --arp-ip-src 10.0.0.0/24 --arp-ip-dst ! 10.0.0.1",
            vec![
                is(Test::EtherType(0x0806)),
                is(Test::ArpSourceIp("10.0.0.0/24".parse().unwrap())),
                not(Test::ArpTargetIp("10.0.0.1/32".parse().unwrap())),
            ],
        ),
        ("--mark ! 0x5/0xff", vec![not(Test::Mark { value: 5, mask: 0xff })]),
        (
            "-p ARP --arp-htype 1 --arp-ptype ! 0x800",
            vec![is(Test::EtherType(0x0806)), is(Test::Always), never()],
        ),
        ("--mark /0x5", vec![is(Test::AnyBit(Field::Mark, 5))]),
        ("--mark ! /0x5", vec![not(Test::AnyBit(Field::Mark, 5))]),
        (
            "--limit 5/min --limit-burst 3 -i eth0",
            vec![unpredictable("--limit 5/min --limit-burst 3", Because::Rate), is(Test::In("eth0".into()))],
        ),
        ("--pkttype-type ! otherhost", vec![not(field(Field::PacketType, 0xff, 3, 3))]),
        (
            "-p 802_1Q --vlan-id ! 5 --vlan-prio 1",
            vec![
                is(Test::EtherType(0x8100)),
                not(field(Field::Vlan, 0xfff, 5, 5)),
                is(field(Field::Vlan, 0xfff, 0, 0xfff)),
                unpredictable("--vlan-prio 1", Because::Payload),
            ],
        ),
        (
            "-d BGA --stp-type ! 1",
            vec![is(Test::EtherDestination(mac("1:80:c2:0:0:0"), Mac::BROADCAST)), never()],
        ),
        (r#"--log-level info --log-prefix "a -j DROP" --log-ip"#, vec![]),
    ];
    for (text, wanted) in cases {
        let rule = rule(&format!("{text} -j ACCEPT"));
        assert_eq!((rule.matches, rule.action), (wanted, Action::Accept), "{text}");
    }
}

#[test]
fn lists_of_addresses() {
    let number = |text: &str| mac(text).0.iter().fold(0_u128, |sum, octet| sum << 8 | u128::from(*octet));
    let set = |fields: Vec<Field>, keys: Vec<Vec<Part>>| {
        let element = |key| Element { key, excluded: false, data: None };
        let elements = Elements::Anonymous(keys.into_iter().map(element).collect());
        Test::InSet(Lookup { fields, elements })
    };
    let one = |text: &str| Part::Range(number(text), number(text));
    let (first, second) = (one("0:0:5e:0:1:1"), one("fa:16:3e:77:c0:de"));
    let pairs = "0:0:5e:0:1:1=10.0.0.1,fa:16:3e:77:c0:de";
    let address = Part::Range(0x0a00_0001, 0x0a00_0001);
    let keys = vec![vec![first.clone(), address], vec![second.clone(), Part::Any]];
    let macs = rule("--among-src 0:0:5e:0:1:1,fa:16:3e:77:c0:de").matches;
    assert_eq!(macs, [is(set(vec![Field::Ether(AddressOf::Source)], vec![vec![first], vec![second]]))]);
    let of_ip = vec![Field::Ether(AddressOf::Destination), Field::Ip(AddressOf::Destination)];
    let of_arp = vec![Field::Ether(AddressOf::Destination), Field::ArpIp(AddressOf::Destination)];
    let ip = rule(&format!("-p IPv4 --among-dst ! {pairs}")).matches;
    assert_eq!(ip, [is(Test::EtherType(0x0800)), not(set(of_ip, keys.clone()))]);
    let arp = rule_of(Dialect::EbtablesLegacy, &format!("-p ARP --among-dst {pairs}")).matches;
    assert_eq!(arp, [is(Test::EtherType(0x0806)), is(set(of_arp, keys))]);
    // ebtables-nft reads IPv4's bytes whatever the packet is.
    let odd = rule(&format!("-p ARP --among-dst {pairs}")).matches;
    assert_eq!(odd[1], unmodelled(&format!("--among-dst {pairs}")));
}

#[test]
fn targets() {
    assert_eq!(rule("-j foo").action, Action::Jump("foo".into()));
    assert_eq!(rule("-j CONTINUE").action, Action::Continue);
    assert_eq!(rule("-j RETURN").action, Action::Return);
    let then = |change: Action, verdict: Action| Action::Several(vec![change, verdict]);
    let to = mac("0:11:22:33:44:55");
    let mark = |value, mask| Action::SetMark { value, mask };
    let unmodelled = |text: &str| Action::Unmodelled(text.into());
    for (text, wanted) in [
        ("-j redirect", then(Action::Ether(EtherChange::Redirect), Action::Accept)),
        ("-j redirect --redirect-target DROP", then(Action::Ether(EtherChange::Redirect), Action::Drop)),
        ("-j redirect --redirect-target CONTINUE", Action::Ether(EtherChange::Redirect)),
        (
            "-j dnat --to-dst 00:11:22:33:44:55 --dnat-target RETURN",
            then(Action::Ether(EtherChange::Destination(to)), Action::Return),
        ),
        (
            "-j snat --to-src 00:11:22:33:44:55 --snat-target ACCEPT",
            then(Action::Ether(EtherChange::Source(to)), Action::Accept),
        ),
        ("-j mark --mark-set 0x5 --mark-target CONTINUE", mark(5, u32::MAX)),
        ("-j mark --mark-or 0x5 --mark-target ACCEPT", then(mark(5, 5), Action::Accept)),
        ("-j mark --mark-and 0x5 --mark-target CONTINUE", mark(0, !5)),
        ("-j mark --mark-xor 0x5 --mark-target CONTINUE", mark(5, 0)),
        ("-j dnat", unmodelled("-j dnat")),
        (
            "-j snat --to-src 0:1:2:3:4:5 --snat-arp --snat-target CONTINUE",
            then(
                Action::Ether(EtherChange::Source(mac("0:1:2:3:4:5"))),
                Action::Arp(ArpChange::SenderMac(mac("0:1:2:3:4:5"))),
            ),
        ),
        (
            "-j arpreply --arpreply-mac 0:1:2:3:4:5",
            Action::Elsewhere("-j arpreply --arpreply-mac 0:1:2:3:4:5".into(), Choice::Bridge),
        ),
    ] {
        assert_eq!(rule(text).action, wanted, "{text}");
    }
    let broute = tables(LEGACY, Dialect::EbtablesLegacy);
    let action = &broute[2].chains[0].rules[0].action;
    assert!(matches!(action, Action::Elsewhere(text, Choice::Port) if text.contains("routed")), "{action:?}");
    let gone = parse("*filter\n:INPUT ACCEPT\n-A INPUT -i eth0 -j gone\n", Dialect::EbtablesNft);
    assert_eq!((gone.problems[0].line, gone.problems[0].column), (3, 18));
    assert_eq!(gone.value[0].chains[0].rules[0].action, Action::Unmodelled("-j gone".into()));
}
