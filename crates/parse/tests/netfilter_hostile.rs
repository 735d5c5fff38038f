//! Whatever the bytes, the netfilter parsers return.

use model::netfilter::{Dialect, Family};
use proptest::prelude::*;

const FIXTURES: [&str; 10] = [
    include_str!("fixtures/netfilter/iptables-legacy-save-c.txt"),
    include_str!("fixtures/netfilter/iptables-nft-save.txt"),
    include_str!("fixtures/netfilter/ip6tables-legacy-save.txt"),
    include_str!("fixtures/netfilter/iptables-nft-save-incompatible.txt"),
    include_str!("fixtures/netfilter/nova-compute01.txt"),
    include_str!("fixtures/netfilter/ebtables-nft-save-c.txt"),
    include_str!("fixtures/netfilter/ebtables-nft-save.txt"),
    include_str!("fixtures/netfilter/ebtables-legacy-save-counters.txt"),
    include_str!("fixtures/netfilter/nft-json.json"),
    include_str!("fixtures/netfilter/nft-json-of-iptables-nft.json"),
];

fn read_all(text: &str) {
    let _ = parse::iptables_save::parse(text, Dialect::IptablesNft, Family::Ip);
    let _ = parse::iptables_save::incompatible_tables(text);
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
    }

    #[test]
    fn any_options_are_one_rule(options in "[-!\"\\\\ a-jmpstx0-9:/.,]{0,80}") {
        let dump = format!("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT {options}\nCOMMIT\n");
        prop_assert_eq!(rules_of(&dump), 1);
        read_all(&dump);
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
