//! Whatever the bytes, the netfilter parsers return.

use model::netfilter::{Dialect, Family};
use proptest::prelude::*;

const FIXTURES: [&str; 13] = [
    include_str!("fixtures/netfilter/iptables-legacy-save-c.txt"),
    include_str!("fixtures/netfilter/iptables-nft-save.txt"),
    include_str!("fixtures/netfilter/ip6tables-legacy-save.txt"),
    include_str!("fixtures/netfilter/iptables-nft-save-incompatible.txt"),
    include_str!("fixtures/netfilter/nova-compute01.txt"),
    include_str!("fixtures/netfilter/ebtables-nft-save-c.txt"),
    include_str!("fixtures/netfilter/ebtables-nft-save.txt"),
    include_str!("fixtures/netfilter/ebtables-legacy-save-counters.txt"),
    include_str!("fixtures/netfilter/nft-json.json"),
    include_str!("fixtures/netfilter/arptables-nft-save-c.txt"),
    include_str!("fixtures/netfilter/arptables-legacy-list.txt"),
    include_str!("fixtures/netfilter/ipset-save.txt"),
    include_str!("fixtures/netfilter/nft-json-of-iptables-nft.json"),
];

/// Pieces of rules, whole and broken.
const WORDS: [&str; 40] = [
    "-m",
    "!",
    "-j",
    "-g",
    "foo",
    "DROP",
    "-p",
    "tcp",
    "-p tcp -m tcp",
    "--dport",
    "80",
    "1:5",
    "-s",
    "10.0.0.0/8",
    "-d 1.2.3.4/255.0.255.0",
    "-i eth0",
    "-m conntrack",
    "--ctstate",
    "INVALID",
    "NEW,RELATED",
    "--ctdir ORIGINAL",
    "-m comment --comment",
    "\"a b\"",
    "-m addrtype",
    "--dst-type LOCAL",
    "--src-type",
    "--limit-iface-in",
    "-m rpfilter",
    "--invert",
    "-m set --match-set x",
    "src,dst",
    "-m tos --tos",
    "0x10/0x3f",
    "-m icmp --icmp-type",
    "any",
    "-j TOS --set-tos 0x02/0x3f",
    "-j CT --zone 5 --helper ftp",
    "-m ttl --ttl-lt",
    "0",
    "-j DNAT --to-destination 1.2.3.4:5 --random",
];

fn read_all(text: &str) {
    let _ = parse::iptables_save::incompatible_tables(text);
    for family in [Family::Ip, Family::Ip6] {
        let read = parse::iptables_save::parse(text, Dialect::IptablesNft, family);
        let printed = parse::iptables_save::print::print(&read.value);
        let _ = parse::iptables_save::parse(&printed, Dialect::IptablesNft, family);
    }
    let _ = parse::ebtables_save::parse_list(text);
    let _ = parse::arptables_save::parse(text);
    let _ = parse::arptables_save::parse_list(text);
    let _ = parse::ipset_save::parse(text);
    let _ = parse::conntrack_list::parse(text);
    let _ = parse::ebtables_save::parse(text, Dialect::EbtablesLegacy);
    let _ = parse::nft_json::parse(text, &|_, _| false);
}

/// Rules of an iptables dump are never lost: one for each line that names a known chain.
fn rules_of(text: &str) -> usize {
    let read = parse::iptables_save::parse(text, Dialect::IptablesNft, Family::Ip);
    read.value.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        read_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn any_text(text in "\\PC{0,200}") {
        read_all(&text);
        read_all(&format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {text}\nCOMMIT\n"));
        read_all(&format!("{{\"nftables\": [{text}"));
        read_all(&format!("Chain INPUT (policy {text})\n{text}\nBridge table: {text}\nBridge chain: {text}\n"));
        read_all(&format!("create a hash:ip,port\nadd a {text}\ncreate b bitmap:port {text}\nadd b {text}\n"));
        read_all(&format!("tcp 6 5 src=1.2.3.4 dst=1.2.3.4 {text}"));
    }

    #[test]
    fn any_options_are_one_rule(options in "[-!\"\\\\ a-jmpstx0-9:/.,]{0,80}") {
        let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {options}\nCOMMIT\n");
        prop_assert_eq!(rules_of(&dump), 1);
        read_all(&dump);
    }

    #[test]
    fn what_is_read_prints_and_reads_as_the_same(
        words in proptest::collection::vec(0..WORDS.len(), 1..9),
        v6 in any::<bool>(),
    ) {
        let options: Vec<&str> = words.into_iter().map(|at| WORDS[at]).collect();
        let family = if v6 { Family::Ip6 } else { Family::Ip };
        let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n:foo - [0:0]\n-A INPUT {}\nCOMMIT\n", options.join(" "));
        let read = |text: &str| parse::iptables_save::parse(text, Dialect::IptablesNft, family);
        let parsed = read(&dump);
        let rule = &parsed.value[0].chains[0].rules[0];
        let printed = parse::iptables_save::print::rule(rule, "INPUT", family);
        if let Some(printed) = printed.filter(|_| parsed.problems.is_empty()) {
            let again = read(&format!("*filter\n:INPUT ACCEPT [0:0]\n:foo - [0:0]\n{printed}\nCOMMIT\n"));
            let again = &again.value[0].chains[0].rules[0];
            prop_assert_eq!((&again.matches, &again.action), (&rule.matches, &rule.action), "{}", printed);
        }
    }

    #[test]
    fn mutated_fixtures(
        fixture in 0..FIXTURES.len(),
        edits in proptest::collection::vec((any::<usize>(), any::<u8>(), 0..3_u8), 1..12),
    ) {
        let mut bytes = FIXTURES[fixture].as_bytes().to_vec();
        for (place, byte, kind) in edits {
            if bytes.is_empty() {
                break;
            }
            let place = place % bytes.len();
            match kind {
                0 => bytes[place] = byte,
                1 => { bytes.remove(place); }
                _ => bytes.insert(place, byte),
            }
        }
        read_all(&String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn cut_fixtures(fixture in 0..FIXTURES.len(), place in any::<usize>()) {
        let bytes = FIXTURES[fixture].as_bytes();
        read_all(&String::from_utf8_lossy(&bytes[..place % bytes.len()]));
    }
}

#[test]
fn deep_json_is_a_problem_and_no_overflow() {
    let text = format!("{{\"nftables\": [{{\"rule\": {}", "[".repeat(100_000));
    assert_eq!(parse::nft_json::parse(&text, &|_, _| false).problems.len(), 1);
}

#[test]
fn what_follows_the_end_is_said_to_be_unread() {
    let text = "{\"nftables\": [{\"metainfo\": {}}]}\n, {\"rule\": {\"family\": \"ip\"}}]}";
    let read = parse::nft_json::parse(text, &|_, _| false);
    let places: Vec<(u32, u32)> = read.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(2, 1)], "{:?}", read.problems);
}
