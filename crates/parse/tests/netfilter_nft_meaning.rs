//! What nft's rules come to in the model, by the text that nft lists them with.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use model::netfilter::{
    Action, AddressOf, Because, Choice, CtTuple, Data, Element, Elements, EtherChange, Family, FibQuestion,
    FibResult, Field, Lookup, Match, NfRule, Part, RejectWith, Side, Table, Test, TtlChange,
};

fn tables(family: Family, text: &str) -> Vec<Table> {
    let listing = format!("table {} t {{\n{text}\n}}\n", family.name());
    let read = parse::nft_text::parse(&listing, &|_, _| false);
    assert_eq!(read.problems, [], "{text}");
    read.value
}

/// A rule of a chain beside which there are chains and sets to name.
fn rule_of(family: Family, text: &str) -> NfRule {
    let others = "set full {\ntype ipv4_addr\nsize 1\nelements = { 1.1.1.1 }\n}\n\
                  set roomy {\ntype ipv4_addr\nsize 9\nflags dynamic\n}\nchain web {\n}\n";
    tables(family, &format!("{others}chain c {{\n{text}\n}}"))[0].chain("c").unwrap().rules[0].clone()
}

fn rule(text: &str) -> NfRule {
    rule_of(Family::Inet, text)
}

fn is(test: Test) -> Match {
    Match { negated: false, test }
}

fn not(test: Test) -> Match {
    Match { negated: true, test }
}

fn field(field: Field, mask: u128, within: &[(u128, u128)]) -> Test {
    Test::Field { field, mask, within: within.to_vec() }
}

const V4: Match = Match { negated: false, test: Test::EtherType(0x0800) };
const V6: Match = Match { negated: false, test: Test::EtherType(0x86dd) };
const TCP: Match = Match { negated: false, test: Test::Protocol(6) };
const ALL: u128 = 0xffff_ffff;

#[test]
fn numbers_of_headers() {
    let cases = [
        ("ip ttl 1 drop", vec![V4, is(field(Field::Ttl, 0xff, &[(1, 1)]))]),
        ("ip ttl < 5 drop", vec![V4, is(field(Field::Ttl, 0xff, &[(0, 4)]))]),
        ("ip ttl < 0 drop", vec![V4, is(field(Field::Ttl, 0xff, &[]))]),
        ("ip6 hoplimit != 255 drop", vec![V6, not(field(Field::Ttl, 0xff, &[(255, 255)]))]),
        ("ip length > 1500 drop", vec![V4, is(field(Field::Length, 0xffff, &[(1501, 0xffff)]))]),
        ("meta length 100-200 drop", vec![is(field(Field::Length, ALL, &[(100, 200)]))]),
        ("ip dscp { cs1, 0x2e } drop", vec![V4, is(field(Field::Dscp, 0x3f, &[(8, 8), (46, 46)]))]),
        ("tcp dport >= 1024 drop", vec![TCP, is(Test::DestinationPort(vec![(1024, 65535)]))]),
        ("tcp sport < 1024 drop", vec![TCP, is(Test::SourcePort(vec![(0, 1023)]))]),
        ("meta l4proto 200-255 drop", vec![is(field(Field::Protocol, 0xff, &[(200, 255)]))]),
        ("ip6 nexthdr { tcp, udp } drop", vec![V6, is(Test::Protocols(vec![6, 17]))]),
        ("ip frag-off & 8191 != 0 drop", vec![V4, is(Test::Fragment)]),
        ("ip frag-off & 0x1fff == 0x0 drop", vec![V4, not(Test::Fragment)]),
        (
            "ip saddr & 255.0.255.0 == 1.0.3.0 drop",
            vec![V4, is(field(Field::Ip(AddressOf::Source), 0xff00_ff00, &[(0x0100_0300, 0x0100_0300)]))],
        ),
        (
            "icmp type { echo-reply, echo-request } drop",
            vec![is(Test::Protocol(1)), is(field(Field::IcmpType, 0xff, &[(0, 0), (8, 8)]))],
        ),
        (
            "icmp code { host-unreachable, 13 } drop",
            vec![is(Test::Protocol(1)), is(field(Field::IcmpCode, 0xff, &[(1, 1), (13, 13)]))],
        ),
        (
            "icmpv6 type destination-unreachable icmpv6 code 1-3 drop",
            vec![is(Test::Protocol(58)), is(Test::Icmp(1, Some((1, 3))))],
        ),
        ("meta mark { 1, 5-9 } drop", vec![is(field(Field::Mark, ALL, &[(1, 1), (5, 9)]))]),
        ("meta mark | 0x3 == 0x13 drop", vec![is(Test::Mark { value: 0x10, mask: 0xffff_fffc })]),
        ("meta mark & 0xff < 5 drop", vec![is(field(Field::Mark, 0xff, &[(0, 4)]))]),
        ("meta mark 0xff00/24 drop", vec![is(field(Field::Mark, ALL, &[(0xff00, 0xffff)]))]),
        (
            "meta pkttype { broadcast, multicast } drop",
            vec![is(field(Field::PacketType, 0xff, &[(1, 1), (2, 2)]))],
        ),
        ("meta nfproto { ipv4, ipv6 } drop", vec![is(field(Field::NfProto, 0xff, &[(2, 2), (10, 10)]))]),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, wanted, "{text}");
    }
}

#[test]
fn links_and_next_hops() {
    let cases = [
        ("meta iiftype loopback", vec![is(field(Field::LinkType(Side::In), 0xffff, &[(772, 772)]))]),
        ("meta oiftype ether", vec![is(field(Field::LinkType(Side::Out), 0xffff, &[(1, 1)]))]),
        ("rt ip nexthop 10.0.0.1", vec![V4, is(field(Field::NextHop, ALL, &[(0x0a00_0001, 0x0a00_0001)]))]),
        ("rt ip6 nexthop fe80::1", {
            let hop = 0xfe80_u128 << 112 | 1;
            vec![V6, is(field(Field::NextHop, u128::MAX, &[(hop, hop)]))]
        }),
        ("meta priority 1:10", {
            vec![is(Test::Unpredictable("meta priority 1:10".to_owned(), Because::Machine))]
        }),
    ];
    for (text, matches) in cases {
        assert_eq!(rule(text).matches, matches, "{text}");
    }
}

#[test]
fn flags_in_every_form() {
    let flags = |mask, set| is(Test::TcpFlags { mask, set });
    let cases = [
        ("tcp flags syn drop", flags(2, 2)),
        ("tcp flags == syn drop", flags(0xff, 2)),
        ("tcp flags != syn drop", not(Test::TcpFlags { mask: 0xff, set: 2 })),
        ("tcp flags syn,ack drop", is(Test::AnyBit(Field::TcpFlags, 0x12))),
        ("tcp flags ! syn,rst drop", is(field(Field::TcpFlags, 6, &[(0, 0)]))),
        ("tcp flags syn / fin,syn,rst,ack drop", flags(0x17, 2)),
        ("tcp flags & (fin | syn | rst | ack) == syn drop", flags(0x17, 2)),
        ("tcp flags & (fin|syn|rst|ack) == syn drop", flags(0x17, 2)),
        ("tcp flags & syn != syn drop", not(Test::TcpFlags { mask: 2, set: 2 })),
        ("tcp flags 0xff drop", is(Test::AnyBit(Field::TcpFlags, 0xff))),
        ("tcp flags { syn, syn | ack } drop", is(field(Field::TcpFlags, 0xff, &[(2, 2), (0x12, 0x12)]))),
        (
            "tcp flags & (fin | syn | ack) == { fin, syn } drop",
            is(field(Field::TcpFlags, 0x13, &[(1, 1), (2, 2)])),
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, [TCP, wanted], "{text}");
    }
}

#[test]
fn connections() {
    let tuple = |reply, of, port| Field::Ct(CtTuple { reply, of, port });
    let cases = [
        ("ct state ! new drop", vec![is(field(Field::CtState, 8, &[(0, 0)]))]),
        ("ct status seen-reply,assured drop", vec![is(Test::AnyBit(Field::CtStatus, 6))]),
        ("ct status & (snat | dnat) == snat drop", vec![is(field(Field::CtStatus, 48, &[(16, 16)]))]),
        ("ct status ! snat drop", vec![is(field(Field::CtStatus, 16, &[(0, 0)]))]),
        ("ct direction reply drop", vec![is(field(Field::CtDirection, 0xff, &[(1, 1)]))]),
        ("ct mark & 0xff != 5 drop", vec![not(field(Field::CtMark, 0xff, &[(5, 5)]))]),
        ("ct mark { 1, 7-9 } drop", vec![is(field(Field::CtMark, ALL, &[(1, 1), (7, 9)]))]),
        ("ct zone 5 drop", vec![is(field(Field::CtZone, 0xffff, &[(5, 5)]))]),
        ("ct protocol tcp drop", vec![is(field(Field::CtProtocol, 0xff, &[(6, 6)]))]),
        (
            "ct original ip saddr 10.0.0.0/8 drop",
            vec![V4, is(field(tuple(false, AddressOf::Source, false), ALL, &[(0x0a00_0000, 0x0aff_ffff)]))],
        ),
        (
            "ct reply ip6 daddr ::1 drop",
            vec![V6, is(field(tuple(true, AddressOf::Destination, false), u128::MAX, &[(1, 1)]))],
        ),
        (
            "ct reply proto-src != 80 drop",
            vec![not(field(tuple(true, AddressOf::Source, true), 0xffff, &[(80, 80)]))],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, wanted, "{text}");
    }
}

#[test]
fn the_fib_is_asked() {
    let asked = |of, link, mark, result| Field::Fib(FibQuestion { of, link, mark, result });
    let named = |field, name: &str| {
        let key = vec![Part::Name(name.to_owned())];
        let elements = Elements::Anonymous(vec![Element { key, excluded: false, data: None }]);
        Test::InSet(Lookup { fields: vec![field], elements })
    };
    let reverse = asked(AddressOf::Source, Some(Side::In), false, FibResult::Present);
    let cases = [
        (
            "fib daddr . iif type != local drop",
            not(field(asked(AddressOf::Destination, Some(Side::In), false, FibResult::Type), ALL, &[(2, 2)])),
        ),
        (
            "fib saddr . mark type { unicast, blackhole } drop",
            is(field(asked(AddressOf::Source, None, true, FibResult::Type), ALL, &[(1, 1), (6, 6)])),
        ),
        ("fib saddr . iif oif missing drop", is(field(reverse.clone(), 1, &[(0, 0)]))),
        ("fib saddr . iif check exists drop", is(field(reverse, 1, &[(1, 1)]))),
        (
            "fib saddr . mark . oif oifname != \"eth0\" drop",
            not(named(asked(AddressOf::Source, Some(Side::Out), true, FibResult::Link), "eth0")),
        ),
        (
            "fib daddr oif \"lo\" drop",
            is(named(asked(AddressOf::Destination, None, false, FibResult::Link), "lo")),
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, [wanted], "{text}");
    }
    assert_eq!(
        rule("fib saddr . daddr type local drop").matches,
        [is(Test::Unmodelled("fib saddr . daddr type local".to_owned()))]
    );
}

#[test]
fn frames_and_arp() {
    let bridge = |text| rule_of(Family::Bridge, text).matches;
    assert_eq!(
        bridge("ether saddr { fa:16:3e:00:00:01, fa:16:3e:00:00:02 } drop"),
        [is(field(
            Field::Ether(AddressOf::Source),
            0xffff_ffff_ffff,
            &[(0xfa16_3e00_0001, 0xfa16_3e00_0001), (0xfa16_3e00_0002, 0xfa16_3e00_0002)]
        ))]
    );
    assert_eq!(bridge("meta length > 1000 drop"), [is(field(Field::FrameLength, ALL, &[(1001, ALL)]))]);
    assert_eq!(bridge("vlan id 5-9 drop"), [is(field(Field::Vlan, 0xfff, &[(5, 9)]))]);
    assert_eq!(
        bridge("ether type { ip, arp } drop"),
        [is(field(Field::EtherType, 0xffff, &[(0x0800, 0x0800), (0x0806, 0x0806)]))]
    );
    // A frame without a transport header fails either way, which a test of the protocol does not say.
    assert_eq!(bridge("meta l4proto != tcp drop"), [not(field(Field::Protocol, 0xff, &[(6, 6)]))]);
    let arp = |text| rule_of(Family::Arp, text).matches;
    assert_eq!(
        arp("arp operation { request, reply } drop"),
        [is(field(Field::ArpOperation, 0xffff, &[(1, 1), (2, 2)]))]
    );
    assert_eq!(arp("arp htype 1 arp hlen 6 arp plen 4 arp ptype ip drop"), vec![is(Test::Always); 4]);
    assert_eq!(arp("arp hlen 8 drop"), [not(Test::Always)]);
    assert_eq!(arp("arp hlen != 8 drop"), [is(Test::Always)]);
}

#[test]
fn what_cannot_be_told_says_why() {
    let cases = [
        ("limit rate over 10 mbytes/second drop", Because::Rate),
        ("quota 1 mbytes drop", Because::Rate),
        ("ct count over 5 drop", Because::Rate),
        ("ct reply bytes < 1000 drop", Because::Rate),
        ("meter m size 9 { ip saddr limit rate 1/second } drop", Because::Rate),
        ("numgen random mod 10 < 3 drop", Because::Chance),
        ("jhash ip saddr mod 4 0 drop", Because::Chance),
        ("meta random > 5 drop", Because::Chance),
        ("update @full { ip saddr } drop", Because::History),
        ("update @roomy { ip saddr limit rate 5/second } drop", Because::Rate),
        ("ct helper \"ftp\" drop", Because::History),
        ("ct status assured drop", Because::History),
        ("meta hour \"09:00\"-\"17:30\" drop", Because::Time),
        ("tcp option maxseg size 1-500 drop", Because::Payload),
        ("@th,0,16 0x16 drop", Because::Payload),
        ("exthdr frag exists drop", Because::Payload),
        ("socket transparent 1 drop", Because::Socket),
        ("meta skuid 0 drop", Because::Socket),
        ("osf name \"Linux\" drop", Because::Machine),
        ("meta cpu 1 drop", Because::Machine),
    ];
    for (text, why) in cases {
        let matches = rule(text).matches;
        let said = matches!(matches.last().map(|m| &m.test), Some(Test::Unpredictable(given, because))
            if *because == why && text.starts_with(given.as_str()));
        // The walk itself says of which status bits it cannot.
        let asks_the_walk = matches == [is(Test::AnyBit(Field::CtStatus, 4))];
        assert!(said || asks_the_walk, "{text}: {matches:?}");
    }
}

fn element(key: &[(u128, u128)], data: Option<Data>) -> Element {
    let key = key.iter().map(|(low, high)| Part::Range(*low, *high)).collect();
    Element { key, excluded: false, data }
}

#[test]
fn sets_hold_what_is_listed() {
    let text = "set s {\ntype ipv4_addr . inet_proto . inet_service\nflags interval\n\
                elements = { 10.0.0.1 . tcp . 22, 10.0.0.0/24 . udp . 50-60 counter packets 1 bytes 2 }\n}\n\
                set links {\ntype ifname\nelements = { \"eth*\" comment \"all\", \"lo\" timeout 5s expires 3s }\n}\n\
                set any {\ntype ipv6_addr\nelements = { ::1, * }\n}\n\
                map m {\ntypeof ip saddr . tcp dport : ip daddr . tcp dport\n\
                elements = { 10.0.0.1 . 80 : 10.0.0.2 . 8080 }\n}\n\
                map v {\ntype mark : verdict\nflags interval\nelements = { 1-5 : jump web, 9 : drop }\n}\n\
                map h {\ntype inet_service : ct helper\nelements = { 21 : \"ftp\" }\n}\n\
                set u {\ntype uid\nelements = { 1000 }\n}\nchain web {\n}";
    let sets = &tables(Family::Inet, text)[0].sets;
    let elements = |name: &str| sets.iter().find(|set| set.name == name).unwrap().elements.clone();
    let one = |number| (number, number);
    assert_eq!(
        elements("s"),
        [
            element(&[one(0x0a00_0001), one(6), one(22)], None),
            element(&[(0x0a00_0000, 0x0a00_00ff), one(17), (50, 60)], None)
        ]
    );
    let name = |name: &str| Element { key: vec![Part::Name(name.to_owned())], excluded: false, data: None };
    assert_eq!(elements("links"), [name("eth+"), name("lo")]);
    let any = Element { key: vec![Part::Any], excluded: false, data: None };
    assert_eq!(elements("any"), [element(&[one(1)], None), any]);
    let pair = Data::AddressAndPort("10.0.0.2".parse().unwrap(), 8080);
    assert_eq!(elements("m"), [element(&[one(0x0a00_0001), one(80)], Some(pair))]);
    let verdict = |action| Some(Data::Verdict(Box::new(action)));
    assert_eq!(
        elements("v"),
        [
            element(&[(1, 5)], verdict(Action::Jump("web".to_owned()))),
            element(&[one(9)], verdict(Action::Drop))
        ]
    );
    assert_eq!(elements("h"), [element(&[one(21)], None)]);
    assert!(sets.iter().all(|set| set.name != "u" && !set.dynamic));
}

#[test]
fn sets_that_rules_add_to_are_dynamic() {
    let text = "set a {\ntype ipv4_addr\nsize 9\n}\nset b {\ntype ipv4_addr\nflags dynamic\n}\n\
                set c {\ntype ipv4_addr\n}\nchain x {\ntcp dport 1 jump {\nadd @a { ip saddr }\n}\n}";
    let table = &tables(Family::Inet, text)[0];
    let dynamic: Vec<bool> = table.sets.iter().map(|set| set.dynamic).collect();
    assert_eq!(dynamic, [true, true, false]);
}

#[test]
fn a_set_that_cannot_be_read_is_left_out_and_said() {
    let text = "table ip t {\nset s {\ntype ifname\nelements = { \"eth+\" }\n}\n\
                set r {\ntype ipv4_addr\nelements = { 1.1.1.1 %% }\n}\nchain c {\nip saddr @r drop\n}\n}\n";
    let read = parse::nft_text::parse(text, &|_, _| false);
    assert_eq!(read.value[0].sets, []);
    let whats: Vec<&str> = read.problems.iter().map(|problem| problem.what.as_str()).collect();
    assert_eq!(whats.len(), 2, "{whats:?}");
    assert!(whats[0].contains("set r is not read in full") && whats[1].contains("set s"), "{whats:?}");
}

#[test]
fn look_ups() {
    let named = |fields: &[Field], name: &str| {
        let elements = Elements::Named(name.to_owned());
        Test::InSet(Lookup { fields: fields.to_vec(), elements })
    };
    let source = Field::Ip(AddressOf::Source);
    let port = Field::Port(AddressOf::Destination);
    let cases = [
        ("ip saddr @s drop", vec![V4, is(named(std::slice::from_ref(&source), "s"))]),
        ("ip saddr != @s drop", vec![V4, not(named(std::slice::from_ref(&source), "s"))]),
        ("meta mark @s drop", vec![is(named(&[Field::Mark], "s"))]),
        ("ip saddr . tcp dport @s drop", vec![V4, TCP, is(named(&[source.clone(), port.clone()], "s"))]),
        ("meta l4proto . th dport @s drop", vec![is(named(&[Field::Protocol, port.clone()], "s"))]),
        // What is not in the set may be of any protocol, whose first octets are no port.
        (
            "meta l4proto . th dport != @s drop",
            vec![is(Test::Unpredictable("meta l4proto . th dport != @s".to_owned(), Because::Payload))],
        ),
        (
            "ip saddr . meta skuid @s drop",
            vec![V4, is(Test::Unpredictable("ip saddr . meta skuid @s".to_owned(), Because::Socket))],
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).matches, wanted, "{text}");
    }
    let web = Data::Verdict(Box::new(Action::Jump("web".to_owned())));
    let elements = Elements::Anonymous(vec![
        element(&[(22, 22)], Some(Data::Verdict(Box::new(Action::Accept)))),
        element(&[(80, 90)], Some(web)),
    ]);
    let ports = rule("tcp dport vmap { 22 : accept, 80-90 : jump web } counter packets 1 bytes 2");
    assert_eq!(ports.matches, [TCP]);
    assert_eq!(ports.action, Action::VerdictMap(Lookup { fields: vec![port.clone()], elements }));
    assert!(ports.counters.is_some());
    // An object that the map does not name ends the rule.
    let elements = Elements::Anonymous(vec![element(&[(21, 21)], None)]);
    let helper = rule("ct helper set tcp dport map { 21 : \"ftp\" } accept");
    assert_eq!(helper.matches, [TCP, is(Test::InSet(Lookup { fields: vec![port], elements }))]);
    assert_eq!(helper.action, Action::Accept);
}

#[test]
fn marks_are_set_in_every_form() {
    let cases = [
        ("meta mark set 5", Action::SetMark { value: 5, mask: u32::MAX }),
        ("meta mark set meta mark & 0xfff3 | 0x3", Action::SetMark { value: 3, mask: 0xffff_000f }),
        ("ct mark set ct mark | 0x10", Action::SetCtMark { value: 16, mask: 16 }),
        ("ct mark set 7", Action::SetCtMark { value: 7, mask: u32::MAX }),
        ("meta mark set ct mark", Action::RestoreMark { ct_mask: u32::MAX, packet_mask: u32::MAX }),
        ("meta mark set ct mark & 0xff", Action::RestoreMark { ct_mask: 0xff, packet_mask: u32::MAX }),
        ("ct mark set meta mark & 0xff", Action::SaveMark { ct_mask: u32::MAX, packet_mask: 0xff }),
        (
            "ct mark set meta mark | 0x100",
            Action::Several(vec![
                Action::SaveMark { ct_mask: u32::MAX, packet_mask: 0xffff_feff },
                Action::SetCtMark { value: 0x100, mask: 0 },
            ]),
        ),
        (
            "meta mark set meta mark ^ 0x1 accept",
            Action::Several(vec![Action::SetMark { value: 1, mask: 0 }, Action::Accept]),
        ),
        (
            "meta mark set numgen inc mod 4 offset 100",
            Action::Elsewhere("meta mark set numgen inc mod 4 offset 100".to_owned(), Choice::Chance),
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).action, wanted, "{text}");
    }
    // Without a connection there is no mark to read, and the rule ends.
    let demanded = is(field(Field::CtDirection, 1, &[(0, 1)]));
    assert_eq!(rule("meta mark set ct mark accept").matches, [demanded]);
    assert_eq!(rule("ct mark set meta mark accept").matches, []);
    let key = vec![Field::Ip(AddressOf::Source)];
    let elements = Elements::Anonymous(vec![element(&[(0x0a00_0001, 0x0a00_0001)], Some(Data::Number(5)))]);
    let mapped = rule("meta mark set ip saddr map { 10.0.0.1 : 0x5 }");
    assert_eq!(mapped.action, Action::SetMarkMap(Lookup { fields: key, elements }));
}

#[test]
fn deeds() {
    let elsewhere = |text: &str, who| Action::Elsewhere(text.to_owned(), who);
    let cases = [
        ("notrack accept", Action::Several(vec![Action::Notrack, Action::Accept])),
        ("ip ttl set 64", Action::Ttl(TtlChange::Set(64))),
        ("ip6 dscp set cs1", Action::Dscp { value: 8, mask: 0x3f }),
        ("ct zone set 5", Action::CtZone(5)),
        ("queue flags bypass to 1-3", elsewhere("queue flags bypass to 1-3", Choice::Queue)),
        ("tproxy ip to 127.0.0.1:80", elsewhere("tproxy ip to 127.0.0.1:80", Choice::Proxy)),
        ("synproxy mss 1460 wscale 7", elsewhere("synproxy mss 1460 wscale 7", Choice::SynProxy)),
        ("flow add @f", elsewhere("flow add @f", Choice::Flowtable)),
        (
            "numgen inc mod 2 vmap { 0 : drop, 1 : accept }",
            elsewhere("numgen inc mod 2 vmap { 0 : drop, 1 : accept }", Choice::Chance),
        ),
        ("numgen random mod 1 vmap { 0 : goto web }", Action::Goto("web".to_owned())),
        ("dup to 10.0.0.1 device \"eth0\" drop", Action::Drop),
        ("meta priority set 1:10 log prefix \"x\"", Action::NonTerminal("log prefix \"x\"".to_owned())),
        ("update @roomy { ip saddr timeout 1m } accept", Action::Accept),
        ("dnat ip prefix to 10.98.0.0/24", Action::Netmap("10.98.0.0/24".parse().unwrap())),
        ("fwd to \"lo\"", elsewhere("fwd to \"lo\"", Choice::Link)),
        // What follows a look-up happens only where something was found.
        (
            "meta mark set ip saddr map { 10.0.0.1 : 0x00000005 } accept",
            Action::Unmodelled("meta mark set ip saddr map { 10.0.0.1 : 0x00000005 } accept".to_owned()),
        ),
        // A condition decides only what comes after it.
        (
            "meta mark set 0x5 tcp dport 22 accept",
            Action::Unmodelled("meta mark set 0x00000005 tcp dport 22 accept".to_owned()),
        ),
    ];
    for (text, wanted) in cases {
        assert_eq!(rule(text).action, wanted, "{text}");
    }
    assert_eq!(rule("tproxy to :53").matches, [is(Test::Protocols(vec![6, 17]))]);
    assert_eq!(rule("tcp dport 80 tproxy to :53").matches.len(), 2);
    let ether = rule_of(Family::Bridge, "ether daddr set fa:16:3e:00:00:09 accept").action;
    let change = Action::Ether(EtherChange::Destination("fa:16:3e:00:00:09".parse().unwrap()));
    assert_eq!(ether, Action::Several(vec![change, Action::Accept]));
}

/// `nft --debug=netlink` shows what it demands first.
#[test]
fn refusals_are_of_the_packets_protocol() {
    let cases = [
        ("reject", vec![], RejectWith::Icmpx(1)),
        ("reject with icmp host-unreachable", vec![V4], RejectWith::Icmp(1)),
        ("reject with icmpv6 no-route", vec![V6], RejectWith::Icmp6(0)),
        ("reject with icmpx 3", vec![], RejectWith::Icmpx(3)),
        ("meta l4proto tcp reject with tcp reset", vec![TCP], RejectWith::TcpReset),
    ];
    for (text, matches, with) in cases {
        let rule = rule(text);
        assert_eq!((rule.matches, rule.action), (matches, Action::Reject(with)), "{text}");
    }
    let of_ip = rule_of(Family::Ip, "reject");
    assert_eq!((of_ip.matches, of_ip.action), (vec![], Action::Reject(RejectWith::Icmp(3))));
}

/// So it does for the header that is written to.
#[test]
fn what_is_written_is_there() {
    let arp = is(Test::EtherType(0x0806));
    let cases = [
        (Family::Inet, "ip ttl set 5", vec![V4]),
        (Family::Inet, "ip6 hoplimit set 5 accept", vec![V6]),
        (Family::Inet, "ip dscp set cs1", vec![V4]),
        (Family::Inet, "ip6 dscp set cs1", vec![V6]),
        (Family::Inet, "ip saddr set 10.0.0.1", vec![V4]),
        (Family::Inet, "ip ecn set ce", vec![V4]),
        (Family::Inet, "tcp dport set 80", vec![TCP]),
        (Family::Inet, "tcp option maxseg size set 1000 accept", vec![TCP]),
        (Family::Inet, "reset tcp option sack-perm accept", vec![TCP]),
        (Family::Inet, "tcp option maxseg size set 1000 udp dport 5 accept", {
            vec![TCP, is(Test::Protocol(17)), is(Test::DestinationPort(vec![(5, 5)]))]
        }),
        (Family::Inet, "ip ttl set 5 ip dscp set cs1 accept", vec![V4]),
        (Family::Inet, "log ip ttl set 5", vec![V4]),
        (Family::Inet, "meta mark set 0x00000005 tcp option maxseg size set 1000", vec![]),
        (Family::Inet, "udp dport set 80", vec![is(Test::Protocol(17))]),
        (Family::Bridge, "ip ttl set 5", vec![V4]),
        (Family::Netdev, "ip6 hoplimit set 5", vec![V6]),
        (Family::Bridge, "arp operation set reply", vec![arp.clone()]),
        (Family::Bridge, "arp saddr ip set 10.0.0.1", vec![arp]),
        (Family::Ip, "ip ttl set 5", vec![]),
        (Family::Arp, "arp operation set reply", vec![]),
        (Family::Bridge, "ether saddr set fa:16:3e:00:00:09", vec![]),
    ];
    for (family, text, matches) in cases {
        assert_eq!(rule_of(family, text).matches, matches, "{} {text}", family.name());
    }
    let mark = Action::SetMark { value: 5, mask: u32::MAX };
    let marks = rule("meta mark set 0x00000005 tcp option maxseg size set 1000");
    assert_eq!(marks.action, mark);
    // The mark is every packet's, the rest only IPv4's, or TCP's: more than one rule can say.
    for text in [
        "meta mark set 0x00000005 ip ttl set 5",
        "meta mark set 0x00000005 tcp option maxseg size set 1000 accept",
    ] {
        assert_eq!((rule(text).matches, rule(text).action), (vec![], Action::Unmodelled(text.to_owned())));
    }
}

#[test]
fn nat_by_maps() {
    let to = Field::Ip(AddressOf::Destination);
    let address = Data::Address("2.2.2.2".parse().unwrap());
    let elements = Elements::Anonymous(vec![element(&[(0x0101_0101, 0x0101_0101)], Some(address))]);
    let nat = |text| rule_of(Family::Ip, text);
    let mapped = nat("dnat to ip daddr map { 1.1.1.1 : 2.2.2.2 }");
    assert_eq!(
        (mapped.matches, mapped.action),
        (vec![], Action::DnatMap(Lookup { fields: vec![to], elements }))
    );
    let fields = vec![Field::Port(AddressOf::Destination)];
    let elements = Elements::Named("backends".to_owned());
    let named = nat("dnat ip to tcp dport map @backends");
    assert_eq!((named.matches, named.action), (vec![TCP], Action::DnatMap(Lookup { fields, elements })));
    let netmap = nat("snat ip prefix to ip saddr map { 10.141.11.0/24 : 192.168.2.0/24 }");
    assert_eq!(netmap.matches, [is(Test::Source(vec!["10.141.11.0/24".parse().unwrap()]))]);
    assert_eq!(netmap.action, Action::Netmap("192.168.2.0/24".parse().unwrap()));
    assert_eq!(nat("masquerade to :2000-3000").action, Action::Masquerade(Some((2000, 3000))));
    for text in ["dnat to ip daddr map { 1.1.1.1 : 2.2.2.2 }:80", "redirect to :tcp dport map { 22 : 8000 }"]
    {
        assert!(matches!(nat(text).action, Action::Unmodelled(_)), "{text}");
    }
}

/// A translation is made where both maps have something for the packet.
#[test]
fn address_and_port_by_a_map_each() {
    let maps = "tcp dport map { 1000 : 10.0.0.1, 2000 : 10.0.0.2 }:tcp dport map { 1000 : 80, 3000 : 81 }";
    let both = Data::AddressAndPort("10.0.0.1".parse().unwrap(), 80);
    let fields = vec![Field::Port(AddressOf::Destination)];
    let elements = Elements::Anonymous(vec![element(&[(1000, 1000)], Some(both))]);
    let read = rule_of(Family::Ip, &format!("dnat to {maps}"));
    assert_eq!(read.action, Action::DnatMap(Lookup { fields, elements }));
    assert_eq!(read.matches, [TCP]);
    for other in [maps.replacen("tcp dport map", "ip saddr map", 1), maps.replace("1000 :", "1000-1001 :")] {
        let text = format!("dnat to {other}");
        assert!(matches!(rule_of(Family::Ip, &text).action, Action::Unmodelled(_)), "{text}");
    }
}

#[test]
fn chains_without_a_name_are_named_for_their_rule() {
    let text = "chain c {\naccept\ntcp dport 22 jump {\ncounter packets 1 bytes 2\nudp dport 5 goto {\ndrop\n}\n}\n}\n\
                chain d {\n}";
    let table = &tables(Family::Inet, text)[0];
    let names: Vec<&str> = table.chains.iter().map(|chain| chain.name.as_str()).collect();
    assert_eq!(names, ["c", "d", "c#2#2", "c#2"]);
    assert_eq!(table.chain("c").unwrap().rules[1].action, Action::Jump("c#2".to_owned()));
    let inner = &table.chain("c#2").unwrap().rules;
    assert_eq!(inner[0].counters.map(|counters| counters.packets), Some(1));
    assert_eq!(inner[1].action, Action::Goto("c#2#2".to_owned()));
    assert_eq!(inner[1].text, "udp dport 5 goto { drop }");
    assert_eq!(table.chain("c#2#2").unwrap().rules[0].action, Action::Drop);
}
