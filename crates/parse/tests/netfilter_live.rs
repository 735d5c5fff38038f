//! Random rules through the real iptables and back: the dump is read as what was asked for.

#![expect(clippy::expect_used, reason = "a test that cannot go on says why")]

use model::netfilter::{
    Action, AddrType, AddressOf, Because, CtStates, CtTuple, Dialect, Family, Field, Match, NatTarget,
    NfRule, Side, Test, TtlChange,
};
use namespace::Namespace;
use parse::iptables_save;

mod namespace;

/// A generator that is the same everywhere (Marsaglia's xorshift64).
struct Random(u64);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end as u64).expect("below end")
    }

    fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }
}

/// One condition: its option with `!` left to be put where `@` stands, and its test.
type Choice = (&'static str, Test);

fn groups() -> Vec<Vec<Choice>> {
    let net = |text: &str| vec![text.parse().expect("a prefix")];
    let states = CtStates { established: true, related: true, ..CtStates::default() };
    let dnat = CtStates { dnat: true, ..CtStates::default() };
    let mac: model::Mac = "fa:16:3e:00:00:11".parse().expect("a MAC address");
    vec![
        vec![("@-s 10.0.0.0/8", Test::Source(net("10.0.0.0/8")))],
        vec![("@-d 192.168.100.2/32", Test::Destination(net("192.168.100.2/32")))],
        vec![("@-i br100", Test::In("br100".into())), ("@-i vnet+", Test::In("vnet+".into()))],
        vec![("@-o eth0", Test::Out("eth0".into()))],
        vec![("-p udp", Test::Protocol(17)), ("-p tcp", Test::Protocol(6))],
        vec![
            ("-m multiport @--dports 53,67:68", Test::DestinationPort(vec![(53, 53), (67, 68)])),
            ("-m multiport @--ports 1,2", Test::EitherPort(vec![(1, 1), (2, 2)])),
        ],
        vec![
            ("-m conntrack @--ctstate RELATED,ESTABLISHED", Test::CtState(states)),
            ("-m conntrack @--ctstate DNAT", Test::CtState(dnat)),
        ],
        vec![("-m mark @--mark 0x10/0xff", Test::Mark { value: 0x10, mask: 0xff })],
        vec![("-m mac @--mac-source fa:16:3e:00:00:11", Test::EtherSource(mac, model::Mac::BROADCAST))],
        vec![
            ("-m length @--length 100:200", field(Field::Length, 0xffff, 100, 200)),
            ("-m ttl @--ttl-eq 5", field(Field::Ttl, 0xff, 5, 5)),
            ("-m ttl --ttl-gt 60", field(Field::Ttl, 0xff, 61, 255)),
        ],
        vec![
            ("-m dscp @--dscp 0x2e", field(Field::Dscp, 0x3f, 0x2e, 0x2e)),
            ("-m tos @--tos 0x10/0x7c", field(Field::Dscp, 0x1f, 4, 4)),
        ],
        vec![
            ("-m connmark @--mark 0x5/0xff", field(Field::CtMark, 0xff, 5, 5)),
            ("-m conntrack @--ctorigdst 10.0.0.0/8", field(ct(false), 0xff00_0000, 0x0a00_0000, 0x0a00_0000)),
            ("-m conntrack @--ctrepldst 10.0.0.1", field(ct(true), 0xffff_ffff, 0x0a00_0001, 0x0a00_0001)),
            ("-m conntrack @--ctproto 6", field(Field::CtProtocol, 0xff, 6, 6)),
            ("-m conntrack @--ctstatus SEEN_REPLY,ASSURED", Test::AnyBit(Field::CtStatus, 6)),
            ("-m conntrack --ctdir REPLY", field(Field::CtDirection, 1, 1, 1)),
        ],
        vec![
            ("-m pkttype @--pkt-type multicast", field(Field::PacketType, 0xff, 2, 2)),
            (
                "-m addrtype @--dst-type LOCAL,BROADCAST --limit-iface-in",
                Test::AddressType {
                    of: AddressOf::Destination,
                    types: vec![AddrType::Local, AddrType::Broadcast],
                    limit: Some(Side::In),
                },
            ),
        ],
        vec![("-m recent --set --name x --mask 255.255.255.255 --rsource", Test::Always)],
        vec![("-m comment --comment \"a \\\"b\\\" -j DROP\"", Test::Always)],
        vec![("-m limit --limit 5/min", Test::Unpredictable("-m limit --limit 5/min".into(), Because::Rate))],
    ]
}

fn field(field: Field, mask: u128, low: u128, high: u128) -> Test {
    Test::Field { field, mask, within: vec![(low, high)] }
}

fn ct(reply: bool) -> Field {
    Field::Ct(CtTuple { reply, of: AddressOf::Destination, port: false })
}

/// Targets of table mangle.
fn changes() -> Vec<(&'static str, Action)> {
    vec![
        (" -j MARK --set-xmark 0x5/0xff", Action::SetMark { value: 5, mask: 0xff }),
        (" -j CONNMARK --set-xmark 0x5/0xff", Action::SetCtMark { value: 5, mask: 0xff }),
        (
            " -j CONNMARK --save-mark --nfmask 0xf --ctmask 0xff",
            Action::SaveMark { ct_mask: 0xff, packet_mask: 0xf },
        ),
        (
            " -j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xff",
            Action::RestoreMark { ct_mask: 0xff, packet_mask: 0xf },
        ),
        (" -j TTL --ttl-dec 3", Action::Ttl(TtlChange::Decrease(3))),
        (" -j DSCP --set-dscp 0x2e", Action::Dscp { value: 0x2e, mask: 0x3f }),
        (" -j TOS --set-tos 0x10/0x7c", Action::Dscp { value: 4, mask: 0x1f }),
        (" -j ACCEPT", Action::Accept),
    ]
}

fn targets() -> Vec<(&'static str, Action)> {
    let ip = "5.6.7.8".parse().expect("an address");
    let dnat = NatTarget { addresses: Some((ip, ip)), ..NatTarget::default() };
    vec![
        ("", Action::Continue),
        (" -j ACCEPT", Action::Accept),
        (" -j RETURN", Action::Return),
        (" -j guests", Action::Jump("guests".into())),
        (" -g guests", Action::Goto("guests".into())),
        (" -j DNAT --to-destination 5.6.7.8", Action::Dnat(dnat)),
        (" -j REDIRECT --random", Action::Redirect(None)),
        (" -j NETMAP --to 10.98.0.0/24", Action::Netmap("10.98.0.0/24".parse().expect("a prefix"))),
        (" -j LOG --log-prefix \"a b \"", Action::NonTerminal("-j LOG --log-prefix \"a b \"".into())),
    ]
}

fn random_rule(random: &mut Random, groups: &[Vec<Choice>], targets: &[(&'static str, Action)]) -> NfRule {
    let mut text = "-A PREROUTING".to_owned();
    let mut matches = Vec::new();
    for (place, group) in groups.iter().enumerate() {
        let needs_protocol = place == 5;
        let has_protocol = matches.iter().any(|m: &Match| matches!(m.test, Test::Protocol(_)));
        // PREROUTING knows no outgoing link.
        if place == 3 || random.below(3) == 0 || (needs_protocol && !has_protocol) {
            continue;
        }
        let (option, test) = random.pick(group);
        let negated = option.contains('@') && random.below(2) == 0;
        text.push(' ');
        text.push_str(&option.replace('@', if negated { "! " } else { "" }));
        matches.push(Match { negated, test: test.clone() });
    }
    let (target, action) = random.pick(targets);
    text.push_str(target);
    NfRule { text, counters: None, handle: None, line: 0, matches, action: action.clone() }
}

/// Rules in one go: more do not fit the socket buffer that an unprivileged iptables-nft-restore has
/// (it may not use `SO_SNDBUFFORCE`).
const RULES: usize = 80;

fn compare(dialect: Dialect, restore: &str, save: &str) {
    for seed in [0x5eed_0001, 0x5eed_0002, 0x5eed_0003] {
        compare_seeded(seed, ("nat", targets()), dialect, (restore, save));
        compare_seeded(seed, ("mangle", changes()), dialect, (restore, save));
    }
}

fn compare_seeded(
    seed: u64,
    (table, targets): (&str, Vec<(&'static str, Action)>),
    dialect: Dialect,
    (restore, save): (&str, &str),
) {
    let mut random = Random(seed);
    let groups = groups();
    let asked: Vec<NfRule> = (0..RULES).map(|_| random_rule(&mut random, &groups, &targets)).collect();
    let lines: Vec<&str> = asked.iter().map(|rule| rule.text.as_str()).collect();
    let input =
        format!("*{table}\n:PREROUTING ACCEPT [0:0]\n:guests - [0:0]\n{}\nCOMMIT\n", lines.join("\n"));
    let namespace = Namespace::new();
    namespace.run(&[restore], &input);
    let dump = namespace.run(&[save, "-c"], "");
    let read = iptables_save::parse(&dump, dialect, Family::Ip);
    assert_eq!(read.problems, []);
    let table = read.value.iter().find(|t| t.name == table).expect("the table is saved");
    let rules = &table.chain("PREROUTING").expect("its chain").rules;
    assert_eq!(rules.len(), asked.len());
    for (read, asked) in rules.iter().zip(&asked) {
        assert_eq!(
            (&read.text, &read.matches, &read.action),
            (&asked.text, &asked.matches, &asked.action),
            "seed {seed:#x}"
        );
        assert!(read.counters.is_some());
    }
}

#[test]
fn iptables_nft() {
    compare(Dialect::IptablesNft, "iptables-nft-restore", "iptables-nft-save");
}

#[test]
fn iptables_legacy() {
    compare(Dialect::IptablesLegacy, "iptables-legacy-restore", "iptables-legacy-save");
}

/// A user chain's policy in ebtables-nft is a rule at its end, as the kernel sees it.
#[test]
fn ebtables_nft_keeps_a_user_chains_policy_as_its_last_rule() {
    let namespace = Namespace::new();
    for argv in [
        &["ebtables-nft", "-N", "guests"][..],
        &["ebtables-nft", "-N", "closed", "-P", "DROP"],
        &["ebtables-nft", "-A", "guests", "-p", "ARP", "-j", "RETURN"],
    ] {
        namespace.run(argv, "");
    }
    let saved = parse::ebtables_save::parse(&namespace.run(&["ebtables-nft-save"], ""), Dialect::EbtablesNft);
    let kernel =
        parse::nft_json::parse(&namespace.run(&["nft", "-j", "-a", "list", "ruleset"], ""), &|_, _| false);
    assert_eq!((saved.problems.len(), kernel.problems.len()), (0, 0));
    for name in ["guests", "closed"] {
        let ours = &saved.value[0].chain(name).expect("saved").rules;
        let theirs = &kernel.value[0].chain(name).expect("in the kernel").rules;
        let fate = |rule: &NfRule| (rule.matches.clone(), rule.action.clone());
        let (ours, theirs): (Vec<_>, Vec<_>) =
            (ours.iter().map(fate).collect(), theirs.iter().map(fate).collect());
        assert_eq!(ours, theirs, "{name}");
    }
}

/// Rules as people write them, which ebtables-nft saves in a spelling of its own, mean the same to us.
#[test]
fn ebtables_nft_saves_what_was_meant() {
    const RULES: [(&str, &str); 15] = [
        ("FORWARD", "-p IPv4 --ip-proto icmp --ip-icmp-type 8 -j ACCEPT"),
        ("FORWARD", "-p IPv4 --ip-proto icmp --ip-icmp-type ! 3:5/1:2 -j ACCEPT"),
        ("FORWARD", "-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type 135:136/0 -j ACCEPT"),
        ("FORWARD", "-p IPv4 --ip-src 10.0.0.0/255.0.255.0 --ip-dst ! 1.0.0.0/255.0.0.0 -j DROP"),
        ("FORWARD", "-p IPv6 --ip6-src fe80::/10 --ip6-dst ! 2001:db8::1 -j DROP"),
        ("FORWARD", "-p IPv4 --ip-proto tcp --ip-sport 1024: --ip-dport ! 80 -j DROP"),
        ("FORWARD", "-p 0806 --arp-op 1 --arp-ip-src 10.0.0.0/24 --arp-mac-dst ! 00:00:00:00:00:00 -j DROP"),
        ("FORWARD", "-p ARP --arp-htype 1 --arp-ptype 0800 -j DROP"),
        ("FORWARD", "-s 02:00:00:00:00:01/ff:00:00:00:00:ff -d Broadcast -j DROP"),
        ("INPUT", "-i ! eth0 --pkttype-type ! otherhost -j DROP"),
        ("FORWARD", "--mark /5 -j mark --mark-xor 7 --mark-target CONTINUE"),
        ("FORWARD", "--mark ! 4/5 -j mark --set-mark 7"),
        ("FORWARD", "--among-src 02:00:00:00:00:01,02:00:00:00:00:02 -j DROP"),
        ("FORWARD", "-p IPv4 --among-dst ! 02:00:00:00:00:01=10.0.0.1 -j DROP"),
        ("OUTPUT", "-p 8100 --vlan-id 5 -o eth+ -j CONTINUE"),
    ];
    let namespace = Namespace::new();
    let read = |dump: &str| {
        let read = parse::ebtables_save::parse(dump, Dialect::EbtablesNft);
        assert_eq!(read.problems, []);
        read.value
    };
    for (chain, rule) in RULES {
        let argv: Vec<&str> = ["ebtables-nft", "-A", chain].into_iter().chain(rule.split(' ')).collect();
        namespace.run(&argv, "");
        let saved = read(&namespace.run(&["ebtables-nft-save"], ""));
        let saved = saved[0].chain(chain).and_then(|c| c.rules.last()).expect("the rule was saved");
        let meant = read(&format!("*filter\n:{chain} ACCEPT\n-A {chain} {rule}\n"));
        let meant = &meant[0].chains[0].rules[0];
        let conditions = |rule: &NfRule| {
            let mut conditions: Vec<String> = rule.matches.iter().map(|m| format!("{m:?}")).collect();
            conditions.sort();
            conditions
        };
        assert_eq!((conditions(saved), &saved.action), (conditions(meant), &meant.action), "{}", saved.text);
    }
}
