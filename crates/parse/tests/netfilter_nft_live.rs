//! Rulesets through the real nft and back: its text and its JSON say the same.

mod namespace;

use model::netfilter::{Action, CtStates, Family, Match, NfRule, Table, Test};
use namespace::Namespace;

/// Every statement and expression of nft(8) that nft 1.0.6 and a usual kernel load.
const RULESETS: [(&str, &str); 7] = [
    ("addresses", include_str!("fixtures/nft-rulesets/addresses.nft")),
    ("transport", include_str!("fixtures/nft-rulesets/transport.nft")),
    ("meta-ct", include_str!("fixtures/nft-rulesets/meta-ct.nft")),
    ("statements", include_str!("fixtures/nft-rulesets/statements.nft")),
    ("nat", include_str!("fixtures/nft-rulesets/nat.nft")),
    ("sets", include_str!("fixtures/nft-rulesets/sets.nft")),
    ("bridge", include_str!("fixtures/nft-rulesets/bridge.nft")),
];

fn read_text(listing: &str) -> Vec<Table> {
    let read = parse::nft_text::parse(listing, &|_, _| false);
    assert_eq!(read.problems, [], "{listing}");
    read.value
}

fn read_json(json: &str) -> Vec<Table> {
    let read = parse::nft_json::parse(json, &|_, _| false);
    assert_eq!(read.problems, []);
    read.value
}

/// Without what JSON lacks: lines, and devices, which nft 1.0.6 leaves out of chains.
fn comparable(mut tables: Vec<Table>) -> Vec<Table> {
    for chain in tables.iter_mut().flat_map(|table| &mut table.chains) {
        if let Some(base) = &mut chain.base {
            base.devices.clear();
        }
        for rule in &mut chain.rules {
            rule.line = 0;
        }
    }
    tables
}

/// Rules that nft lists with a handle: not those of chains without a name.
fn rules(tables: &[Table]) -> impl Iterator<Item = &NfRule> {
    let chains = tables.iter().flat_map(|table| &table.chains);
    chains.filter(|chain| !chain.name.contains('#')).flat_map(|chain| &chain.rules)
}

/// Compared rule by rule first, so that a failure names the rule.
fn assert_same(name: &str, ours: Vec<Table>, theirs: Vec<Table>) {
    let (ours, theirs) = (comparable(ours), comparable(theirs));
    for (text, json) in rules(&ours).zip(rules(&theirs)) {
        assert_eq!(text, json, "{name}");
    }
    assert_eq!(ours, theirs, "{name}");
}

#[test]
fn text_and_json_say_the_same() {
    for (name, ruleset) in RULESETS {
        let namespace = Namespace::new();
        namespace.run(&["ip", "link", "set", "lo", "up"], "");
        namespace.run(&["nft", "-f", "-"], ruleset);
        let listing = namespace.run(&["nft", "-a", "list", "ruleset"], "");
        let json = namespace.run(&["nft", "-j", "-a", "list", "ruleset"], "");
        let tables = read_text(&listing);
        // A line that nft lists with a handle and a tab before it is a rule, or opens a block.
        let listed =
            listing.lines().filter(|line| line.contains(" # handle ") && !line.contains("{ # handle "));
        assert_eq!(rules(&tables).count(), listed.count(), "{name}");
        assert_same(name, tables, read_json(&json));
    }
}

#[test]
fn a_listing_without_handles_says_the_same_but_for_them() {
    for (name, ruleset) in RULESETS {
        let namespace = Namespace::new();
        namespace.run(&["nft", "-f", "-"], ruleset);
        let with = read_text(&namespace.run(&["nft", "-a", "list", "ruleset"], ""));
        let without = read_text(&namespace.run(&["nft", "list", "ruleset"], ""));
        assert!(
            rules(&with).all(|rule| rule.handle.is_some()) && rules(&without).all(|r| r.handle.is_none())
        );
        let no_handles = |mut tables: Vec<Table>| {
            tables
                .iter_mut()
                .flat_map(|t| &mut t.chains)
                .flat_map(|c| &mut c.rules)
                .for_each(|r| r.handle = None);
            tables
        };
        assert_eq!(no_handles(with), without, "{name}");
    }
}

#[test]
fn devices_and_lines_are_the_listings_own() {
    let namespace = Namespace::new();
    namespace.run(&["ip", "link", "add", "one", "type", "veth", "peer", "name", "two"], "");
    let ruleset = "table netdev t {
        chain c { type filter hook ingress devices = { one, two } priority 0; }
        chain d { type filter hook ingress device \"one\" priority 5; policy drop; tcp dport 1 accept; }
    }";
    namespace.run(&["nft", "-f", "-"], ruleset);
    let listing = namespace.run(&["nft", "-a", "list", "ruleset"], "");
    let tables = read_text(&listing);
    let base = |name: &str| tables[0].chain(name).and_then(|chain| chain.base.clone()).expect("a base chain");
    assert_eq!(base("d").devices, ["one"]);
    assert_eq!(base("c").devices, ["one", "two"]);
    let rule = &tables[0].chain("d").expect("listed").rules[0];
    let line = usize::try_from(rule.line).expect("small") - 1;
    assert_eq!(listing.lines().nth(line).map(str::trim_start), Some("tcp dport 1 accept # handle 3"));
}

/// The kernel takes the chains of a dormant table off their hooks (`nf_tables_table_disable`). nft 1.0.6
/// garbles the flag in JSON, which must not pass for a table that is awake.
#[test]
fn chains_of_a_dormant_table_hang_on_no_hook() {
    let namespace = Namespace::new();
    let ruleset = "table ip t {
        flags dormant;
        chain c { type filter hook input priority 0; policy drop; drop; }
    }";
    namespace.run(&["nft", "-f", "-"], ruleset);
    let text = read_text(&namespace.run(&["nft", "list", "ruleset"], ""));
    assert_eq!(text[0].chains[0].base, None);
    assert_eq!(text[0].chains[0].rules.len(), 1);
    let json = parse::nft_json::parse(&namespace.run(&["nft", "-j", "list", "ruleset"], ""), &|_, _| false);
    assert!(json.value[0].chains[0].base.is_none() || json.problems[0].what.contains("dormant"), "{json:?}");
}

/// What `iptables-nft` and its kin load. JSON hides the parameters of xtables' own matches and targets;
/// the text has nft's translation of them, where there is one.
const OF_XTABLES: [&[&str]; 25] = [
    &["iptables-nft", "-N", "guests"],
    &["iptables-nft", "-P", "FORWARD", "DROP"],
    &["iptables-nft", "-A", "INPUT", "-i", "lo", "-j", "ACCEPT"],
    &["iptables-nft", "-A", "INPUT", "-s", "10.0.0.0/8", "!", "-d", "192.168.1.0/24", "-j", "DROP"],
    &["iptables-nft", "-A", "INPUT", "-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED", "-j", "ACCEPT"],
    &["iptables-nft", "-A", "INPUT", "-p", "tcp", "-m", "multiport", "--dports", "80,443", "-j", "guests"],
    &["iptables-nft", "-A", "INPUT", "-m", "comment", "--comment", "a \"b\" -j DROP", "-j", "LOG"],
    &["iptables-nft", "-A", "INPUT", "-m", "mark", "--mark", "0x10/0xff", "-g", "guests"],
    &["iptables-nft", "-A", "INPUT", "-m", "addrtype", "--dst-type", "LOCAL", "-j", "RETURN"],
    &["iptables-nft", "-A", "INPUT", "-m", "physdev", "--physdev-in", "vnet0", "-j", "ACCEPT"],
    &["iptables-nft", "-A", "INPUT", "-p", "tcp", "--syn", "-j", "REJECT", "--reject-with", "tcp-reset"],
    &[
        "iptables-nft",
        "-A",
        "INPUT",
        "-m",
        "statistic",
        "--mode",
        "random",
        "--probability",
        "0.5",
        "-j",
        "DROP",
    ],
    &["iptables-nft", "-A", "guests", "-j", "REJECT", "--reject-with", "icmp-host-prohibited"],
    &[
        "iptables-nft",
        "-t",
        "nat",
        "-A",
        "PREROUTING",
        "-d",
        "1.2.3.4",
        "-j",
        "DNAT",
        "--to-destination",
        "5.6.7.8",
    ],
    &["iptables-nft", "-t", "nat", "-A", "POSTROUTING", "-o", "eth0", "-j", "MASQUERADE"],
    &[
        "iptables-nft",
        "-t",
        "nat",
        "-A",
        "PREROUTING",
        "-d",
        "10.1.0.0/16",
        "-j",
        "NETMAP",
        "--to",
        "10.2.0.0/16",
    ],
    &["iptables-nft", "-t", "mangle", "-A", "PREROUTING", "-j", "MARK", "--set-xmark", "0x5/0xff"],
    &["iptables-nft", "-t", "raw", "-A", "PREROUTING", "-j", "CT", "--notrack"],
    &["ip6tables-nft", "-A", "INPUT", "-p", "ipv6-icmp", "--icmpv6-type", "135", "-j", "ACCEPT"],
    &["ip6tables-nft", "-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp6-adm-prohibited"],
    &["ebtables-nft", "-A", "FORWARD", "-p", "ARP", "--arp-opcode", "Request", "-j", "DROP"],
    &["ebtables-nft", "-A", "FORWARD", "-s", "00:11:22:33:44:55", "-d", "Broadcast", "-j", "ACCEPT"],
    &["ebtables-nft", "-A", "FORWARD", "-p", "IPv4", "--ip-proto", "udp", "--ip-dport", "67", "-j", "ACCEPT"],
    &["arptables-nft", "-A", "INPUT", "-s", "10.0.0.1", "--opcode", "1", "-j", "DROP"],
    &["arptables-nft", "-A", "INPUT", "-i", "eth0", "--source-mac", "00:11:22:33:44:55", "-j", "DROP"],
];

#[test]
fn what_iptables_nft_loads_is_read_in_full() {
    let namespace = Namespace::new();
    for argv in OF_XTABLES {
        namespace.run(argv, "");
    }
    let listing = namespace.run(&["nft", "-a", "list", "ruleset"], "");
    let json = namespace.run(&["nft", "-j", "-a", "list", "ruleset"], "");
    let (ours, theirs) = (comparable(read_text(&listing)), comparable(read_json(&json)));
    let (text, hidden): (Vec<&NfRule>, Vec<&NfRule>) = (rules(&ours).collect(), rules(&theirs).collect());
    assert_eq!(text.len(), OF_XTABLES.len() - 2);
    assert_eq!(text.len(), hidden.len());
    let mut same = 0;
    for (text, json) in text.iter().zip(&hidden) {
        assert_eq!((text.handle, text.counters), (json.handle, json.counters));
        if !json.text.contains("xt match ") && !json.text.contains("xt target ") {
            assert_eq!(text, json);
            same += 1;
        }
    }
    assert!(same >= 6, "{same}");
    let bases = |tables: &[Table]| -> Vec<_> {
        tables
            .iter()
            .flat_map(|t| t.chains.iter().map(|c| (t.name.clone(), c.name.clone(), c.base.clone())))
            .collect()
    };
    assert_eq!(bases(&ours), bases(&theirs));
}

#[test]
fn translations_of_what_iptables_made_are_decoded() {
    let namespace = Namespace::new();
    for argv in OF_XTABLES {
        namespace.run(argv, "");
    }
    let tables = read_text(&namespace.run(&["nft", "list", "ruleset"], ""));
    let find = |family: Family, text: &str| {
        let tables = tables.iter().filter(|table| table.family == family);
        let mut rules = tables.flat_map(|table| &table.chains).flat_map(|chain| &chain.rules);
        rules.find(|rule| rule.text == text).unwrap_or_else(|| panic!("no rule `{text}`")).clone()
    };
    let states = CtStates { established: true, related: true, ..CtStates::default() };
    let state = find(Family::Ip, "ct state related,established counter accept");
    assert_eq!(state.matches, [Match { negated: false, test: Test::CtState(states) }]);
    assert_eq!(state.action, Action::Accept);
    let mark = find(Family::Ip, "counter meta mark set mark and 0xffffff00 xor 0x5");
    assert_eq!(mark.action, Action::SetMark { value: 5, mask: 0xff });
    let physdev = find(Family::Ip, "xt match physdev counter accept");
    assert!(matches!(physdev.matches[0].test, Test::Unmodelled(_)));
    let netmap = find(Family::Ip, "ip daddr 10.1.0.0/16 counter xt target NETMAP");
    assert!(matches!(netmap.action, Action::Unmodelled(_)));
}
