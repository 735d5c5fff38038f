//! Dumps of iptables-save against captured output of iptables 1.8.9.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use std::time::{Duration, Instant};

use model::Mac;
use model::netfilter::{
    Action, AddrType, AddressOf, Because, ChainKind, Choice, CtStates, CtTuple, Dialect, Family, Field, Hook,
    Match, NatTarget, NfRule, Policy, RejectWith, Side, Table, Test, TtlChange,
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
    rule_of(Family::Ip, text)
}

fn rule_of(family: Family, text: &str) -> NfRule {
    let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n:foo - [0:0]\n-A INPUT {text}\nCOMMIT\n");
    let read = tables(&dump, Dialect::IptablesNft, family);
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

fn unpredictable(text: &str, why: Because) -> Match {
    is(Test::Unpredictable(text.to_owned(), why))
}

/// A field that is this number.
fn field(field: Field, mask: u128, value: u128) -> Test {
    range(field, mask, value, value)
}

fn range(field: Field, mask: u128, low: u128, high: u128) -> Test {
    Test::Field { field, mask, within: vec![(low, high)] }
}

fn ct(reply: bool, of: AddressOf, port: bool) -> Field {
    Field::Ct(CtTuple { reply, of, port })
}

fn states(names: &str) -> Test {
    let has = |name| names.split(',').any(|n| n == name);
    let (new, invalid) = (has("NEW"), has("INVALID"));
    let (dnat, untracked) = (has("DNAT"), has("UNTRACKED"));
    let (established, related) = (has("ESTABLISHED"), has("RELATED"));
    Test::CtState(CtStates { new, invalid, dnat, untracked, established, related, ..CtStates::default() })
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
        (
            "! -s 1.0.3.0/255.0.255.0",
            vec![not(field(Field::Ip(AddressOf::Source), 0xff00_ff00, 0x0100_0300))],
        ),
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
                unpredictable("-m tcp --tcp-option 5", Because::Payload),
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
            vec![is(states("NEW")), not(field(Field::CtProtocol, 0xff, 6))],
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
        ("-m mark ! --mark 0x10/0xff", vec![not(Test::Mark { value: 0x10, mask: 0xff })]),
        ("-m mark --mark 0x5", vec![is(Test::Mark { value: 5, mask: u32::MAX })]),
        (
            "-m iprange ! --dst-range 5.5.5.5-5.5.5.7",
            vec![not(Test::DestinationRange("5.5.5.5".parse().unwrap(), "5.5.5.7".parse().unwrap()))],
        ),
        (
            "-m limit --limit 5/min --limit-burst 7 -m tcp --dport 80",
            vec![
                unpredictable("-m limit --limit 5/min --limit-burst 7", Because::Rate),
                is(Test::DestinationPort(vec![(80, 80)])),
            ],
        ),
        (
            "-m owner ! --uid-owner 0-5 -m cpu --cpu 1",
            vec![
                unpredictable("-m owner ! --uid-owner 0-5", Because::Socket),
                unpredictable("-m cpu --cpu 1", Because::Machine),
            ],
        ),
        (
            r#"-m string --string "-j DROP" --algo bm"#,
            vec![unpredictable(r#"-m string --string "-j DROP" --algo bm"#, Because::Payload)],
        ),
        ("-m nosuch --thing 1", vec![unmodelled("-m nosuch --thing 1")]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(&format!("{text} -j ACCEPT")).matches, wanted, "{text}");
        assert_eq!(rule(&format!("{text} -j ACCEPT")).action, Action::Accept, "{text}");
    }
}

#[test]
fn modules_of_the_packet() {
    let ttl = |within: Vec<(u128, u128)>| Test::Field { field: Field::Ttl, mask: 0xff, within };
    let cases = [
        ("-m length --length 0:128", vec![is(range(Field::Length, 0xffff, 0, 128))]),
        ("-m length ! --length 5", vec![not(field(Field::Length, 0xffff, 5))]),
        ("-m ttl ! --ttl-eq 4", vec![not(ttl(vec![(4, 4)]))]),
        ("-m ttl --ttl-lt 2", vec![is(ttl(vec![(0, 1)]))]),
        ("-m ttl --ttl-gt 64", vec![is(ttl(vec![(65, 255)]))]),
        ("-m ttl --ttl-lt 0", vec![is(ttl(Vec::new()))]),
        ("-m hl --hl-gt 255", vec![is(ttl(Vec::new()))]),
        ("-m dscp ! --dscp 0x08", vec![not(field(Field::Dscp, 0x3f, 8))]),
        ("-m dscp --dscp-class AF41", vec![is(field(Field::Dscp, 0x3f, 34))]),
        ("-m dscp --dscp 0x40", vec![unmodelled("-m dscp --dscp 0x40")]),
        ("-m tos ! --tos 0x10/0xfc", vec![not(field(Field::Dscp, 0x3f, 4))]),
        (
            "-m tos --tos 0x10/0x3f",
            vec![is(field(Field::Dscp, 0x0f, 4)), unpredictable("-m tos --tos 0x00/0x03", Because::Payload)],
        ),
        ("-m tos --tos 0x01/0x03", vec![unpredictable("-m tos --tos 0x01/0x03", Because::Payload)]),
        ("-m tos ! --tos 0x10/0x3f", vec![unpredictable("-m tos ! --tos 0x10/0x3f", Because::Payload)]),
        ("-m rt ! --rt-type 0", vec![not(Test::Always)]),
        ("-m pkttype ! --pkt-type broadcast", vec![not(field(Field::PacketType, 0xff, 1))]),
        ("-m pkttype --pkt-type unicast", vec![is(field(Field::PacketType, 0xff, 0))]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(&format!("{text} -j ACCEPT")).matches, wanted, "{text}");
    }
}

#[test]
fn modules_of_the_connection() {
    let source = AddressOf::Source;
    let destination = AddressOf::Destination;
    let cases = [
        ("-m connmark ! --mark 0x5/0xff", vec![not(field(Field::CtMark, 0xff, 5))]),
        (
            "-m conntrack --ctorigsrc 10.0.0.0/8 ! --ctrepldst 1.2.3.4 --ctorigdstport 80:90 ! --ctreplsrcport 7",
            vec![
                is(field(ct(false, source, false), 0xff00_0000, 0x0a00_0000)),
                not(field(ct(true, destination, false), 0xffff_ffff, 0x0102_0304)),
                is(range(ct(false, destination, true), 0xffff, 80, 90)),
                not(field(ct(true, source, true), 0xffff, 7)),
            ],
        ),
        ("-m conntrack --ctdir REPLY", vec![is(field(Field::CtDirection, 1, 1))]),
        ("-m conntrack ! --ctstatus NONE", vec![not(Test::AnyBit(Field::CtStatus, 0))]),
        (
            "-m conntrack --ctstatus SEEN_REPLY,ASSURED --ctexpire 1:100",
            vec![
                is(Test::AnyBit(Field::CtStatus, 6)),
                unpredictable("-m conntrack --ctexpire 1:100", Because::Time),
            ],
        ),
        (
            "-m conntrack --ctstate RELATED,ESTABLISHED --ctdir ORIGINAL",
            vec![is(states("RELATED,ESTABLISHED")), is(field(Field::CtDirection, 1, 0))],
        ),
        // Without a connection the state alone decides.
        (
            "-m conntrack --ctstate INVALID --ctproto 6",
            vec![unmodelled("-m conntrack --ctstate INVALID --ctproto 6")],
        ),
        (
            "-m conntrack ! --ctstate NEW --ctdir REPLY",
            vec![unmodelled("-m conntrack ! --ctstate NEW --ctdir REPLY")],
        ),
        ("-m conntrack --ctwhat 1", vec![unmodelled("-m conntrack --ctwhat 1")]),
        ("-m recent --set --name x --mask 255.255.255.255 --rsource", vec![is(Test::Always)]),
        (
            "-m recent ! --update --seconds 5 --name x",
            vec![unpredictable("-m recent ! --update --seconds 5 --name x", Because::History)],
        ),
        ("-m helper --helper ftp", vec![unpredictable("-m helper --helper ftp", Because::History)]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(&format!("{text} -j ACCEPT")).matches, wanted, "{text}");
    }
}

#[test]
fn modules_of_what_is_around() {
    let limited = |of, types: &[AddrType], limit| Test::AddressType { of, types: types.to_vec(), limit };
    let set = |name: &str, directions: &[AddressOf]| Test::InIpset {
        name: name.to_owned(),
        directions: directions.to_vec(),
    };
    let path = |loose, with_mark, accept_local| Test::ReversePath { loose, with_mark, accept_local };
    let cases = [
        (
            "-m addrtype ! --src-type LOCAL --dst-type UNICAST,ANYCAST --limit-iface-out",
            vec![
                not(limited(AddressOf::Source, &[AddrType::Local], Some(Side::Out))),
                is(limited(AddressOf::Destination, &[AddrType::Unicast, AddrType::Anycast], Some(Side::Out))),
            ],
        ),
        ("-m addrtype --src-type THROW", vec![unmodelled("-m addrtype --src-type THROW")]),
        (
            "-m set ! --match-set a src -m set --match-set b dst,dst,src",
            vec![
                not(set("a", &[AddressOf::Source])),
                is(set("b", &[AddressOf::Destination, AddressOf::Destination, AddressOf::Source])),
            ],
        ),
        (
            "-m set --match-set a src --return-nomatch",
            vec![unmodelled("-m set --match-set a src --return-nomatch")],
        ),
        (
            "-m set ! --match-set a src ! --bytes-gt 5",
            vec![unpredictable("-m set ! --match-set a src ! --bytes-gt 5", Because::Rate)],
        ),
        ("-m rpfilter -i eth0", vec![is(path(false, false, false)), is(Test::In("eth0".into()))]),
        ("-m rpfilter --loose --validmark --accept-local --invert", vec![not(path(true, true, true))]),
        ("-m rpfilter --odd", vec![unmodelled("-m rpfilter --odd")]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(&format!("{text} -j ACCEPT")).matches, wanted, "{text}");
    }
}

#[test]
fn targets() {
    let ip = |text: &str| text.parse().unwrap();
    let nat =
        |low: &str, high: &str, ports| NatTarget { addresses: Some((ip(low), ip(high))), ports, base: None };
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
        (
            "-j DNAT --to-destination :50",
            Action::Dnat(NatTarget { ports: Some((50, 50)), ..NatTarget::default() }),
        ),
        (
            "-j DNAT --to-destination :50-70/90",
            Action::Dnat(NatTarget { addresses: None, ports: Some((50, 70)), base: Some(90) }),
        ),
        ("-j SNAT --to-source 1.2.3.4:1-5", Action::Snat(nat("1.2.3.4", "1.2.3.4", Some((1, 5))))),
        ("-j MASQUERADE --random-fully", Action::Masquerade(None)),
        ("-j MASQUERADE --to-ports 1024-65535", Action::Masquerade(Some((1024, 65535)))),
        ("-j MASQUERADE --to-ports 5-7", Action::Masquerade(Some((5, 7)))),
        ("-j REDIRECT --to-ports 5-7 --random", Action::Redirect(Some((5, 7)))),
        ("-j REDIRECT", Action::Redirect(None)),
        ("-j MARK --set-xmark 0x5/0xff", Action::SetMark { value: 5, mask: 0xff }),
        ("-j MARK --set-mark 0x100/0xff", Action::SetMark { value: 0x100, mask: 0x1ff }),
        ("-j CT --notrack", Action::Notrack),
        ("-j NOTRACK", Action::Notrack),
        ("-j CT --zone 5", Action::CtZone(5)),
        ("-j CT --helper ftp", Action::NonTerminal("-j CT --helper ftp".into())),
        (
            "-j CT --helper ftp --zone 5",
            Action::Several(vec![
                Action::CtZone(5),
                Action::NonTerminal("-j CT --helper ftp --zone 5".into()),
            ]),
        ),
        ("-j CT --zone-orig 5", Action::Unmodelled("-j CT --zone-orig 5".into())),
        ("-j CT --zone mark", Action::Unmodelled("-j CT --zone mark".into())),
        ("-j MARK --and-mark 0xf", Action::SetMark { value: 0, mask: 0xffff_fff0 }),
        ("-j MARK --or-mark 0xf", Action::SetMark { value: 0xf, mask: 0xf }),
        ("-j MARK --xor-mark 0xf", Action::SetMark { value: 0xf, mask: 0 }),
        ("-j CONNMARK --set-xmark 0x5/0xf5", Action::SetCtMark { value: 5, mask: 0xf5 }),
        (
            "-j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff",
            Action::SaveMark { ct_mask: 0xff, packet_mask: 0xf },
        ),
        (
            "-j CONNMARK --restore-mark --nfmask 0xffff0000 --ctmask 0xff",
            Action::RestoreMark { ct_mask: 0xff, packet_mask: 0xffff_0000 },
        ),
        ("-j CONNMARK --save-mark --mask 0xf0", Action::SaveMark { ct_mask: 0xf0, packet_mask: 0xf0 }),
        (
            "-j CONNMARK --set-xmark 0x1/0x1 --left-shift-mark 3",
            Action::Unmodelled("-j CONNMARK --set-xmark 0x1/0x1 --left-shift-mark 3".into()),
        ),
        ("-j DSCP --set-dscp 0x2e", Action::Dscp { value: 0x2e, mask: 0x3f }),
        ("-j TOS --set-tos 0x20/0xfc", Action::Dscp { value: 8, mask: 0x3f }),
        (
            "-j TOS --set-tos 0x02/0x3f",
            Action::Several(vec![
                Action::Dscp { value: 0, mask: 0xf },
                Action::NonTerminal("-j TOS --set-tos 0x02/0x3f".into()),
            ]),
        ),
        ("-j TTL --ttl-set 64", Action::Ttl(TtlChange::Set(64))),
        ("-j HL --hl-dec 1", Action::Ttl(TtlChange::Decrease(1))),
        ("-j NETMAP --to 10.98.0.0/24", Action::Netmap("10.98.0.0/24".parse().unwrap())),
        ("-j SET --add-set a src", Action::NonTerminal("-j SET --add-set a src".into())),
        ("-j SET --map-set a src --map-mark", Action::Unmodelled("-j SET --map-set a src --map-mark".into())),
        ("-j REJECT", Action::Reject(RejectWith::Icmp(3))),
        (
            "-j TPROXY --on-port 1 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1",
            Action::Elsewhere(
                "-j TPROXY --on-port 1 --on-ip 0.0.0.0 --tproxy-mark 0x1/0x1".into(),
                Choice::Proxy,
            ),
        ),
        (
            r#"-j LOG --log-prefix "a -j DROP ""#,
            Action::NonTerminal(r#"-j LOG --log-prefix "a -j DROP ""#.into()),
        ),
        (
            "-j NFQUEUE --queue-num 5 --queue-bypass",
            Action::Elsewhere("-j NFQUEUE --queue-num 5 --queue-bypass".into(), Choice::Queue),
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).action, wanted, "{text}");
    }
}

#[test]
fn what_the_family_decides() {
    assert_eq!(rule_of(Family::Ip6, "-j REJECT").action, Action::Reject(RejectWith::Icmp6(4)));
    let icmp = rule_of(Family::Ip6, "-p ipv6-icmp -m icmp6 --icmpv6-type 1/4");
    assert_eq!(icmp.matches, [is(Test::Protocol(58)), is(Test::Icmp(1, Some((4, 4))))]);
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
