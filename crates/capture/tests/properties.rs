//! Filters meet any text and any packet: errors have a place, programs are such as the kernel takes.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::collections::BTreeMap;

use capture::filter::{self, Equivalents, Instruction, LinkLayer, Subject};
use proptest::prelude::*;
use support::machine::{Seen, run};

/// Words that filters are made of, so that arbitrary rows of them get far.
const WORDS: [&str; 34] = [
    "ip",
    "ip6",
    "arp",
    "tcp",
    "udp",
    "icmp",
    "vlan",
    "ether",
    "host",
    "net",
    "port",
    "portrange",
    "src",
    "dst",
    "and",
    "or",
    "not",
    "(",
    ")",
    "!",
    "&&",
    "||",
    "10.0.2.24",
    "2001:db8::1",
    "10.0.2.0/24",
    "10.0",
    "22",
    "22-53",
    "4095",
    "fa:16:3e:00:00:11",
    "instance:web1",
    "flow:10.0.2.24,1.2.3.4",
    "ff",
    "70000",
];

/// Jumps stay inside, and every way ends in a verdict (`bpf_check_classic`, net/core/filter.c).
fn assert_sound(program: &[Instruction]) {
    assert!(program.last().unwrap().code == 0x06, "it ends with a verdict");
    for (at, i) in program.iter().enumerate() {
        let left = program.len() - at - 1;
        let farthest = match i.code {
            0x05 => usize::try_from(i.k).unwrap(),
            0x15 | 0x25 | 0x35 | 0x45 => usize::from(i.jt.max(i.jf)),
            _ => 0,
        };
        assert!(farthest < left.max(1), "{at}: {i:?} leads out of {} instructions", program.len());
    }
}

fn read(text: &str, packet: &Seen) {
    let expr = match filter::parse(text) {
        Ok(expr) => expr,
        Err(error) => {
            assert!((1..=text.chars().count() + 1).contains(&error.column), "{text:?}: {error}");
            return;
        }
    };
    let printed = expr.to_string();
    // The count of tags in front is read from `and`s, which more parentheses do not change.
    // Of a long one the parentheses would be too many, or too deep.
    if text.len() < 200 {
        assert_eq!(filter::parse(&printed).unwrap().to_string(), printed, "{text:?}");
    }
    let web1 = Subject { addresses: vec!["10.0.2.24".parse().unwrap()], macs: Vec::new() };
    let mut nat = Equivalents::default();
    nat.add("10.0.2.24".parse().unwrap(), "203.0.113.30".parse().unwrap());
    let expr = filter::resolve(&expr, &BTreeMap::from([("web1".to_owned(), web1)]), &nat).unwrap();
    for layer in [LinkLayer::Ethernet, LinkLayer::Ip] {
        if let Ok(program) = filter::compile(&expr, layer, 96) {
            assert_sound(&program);
            assert!([0, 96].contains(&run(&program, packet)));
        }
    }
}

fn packet() -> impl Strategy<Value = Seen> {
    let start = prop::sample::select(vec![&[][..], &[0x08, 0], &[0x86, 0xdd], &[0x81, 0], &[0x08, 6]]);
    let bytes = (start, prop::collection::vec(any::<u8>(), 0..80))
        .prop_map(|(start, rest)| [&[2; 12][..], start, &rest].concat());
    let bytes = prop_oneof![bytes, prop::collection::vec(any::<u8>(), 0..20)];
    (bytes, prop::option::of(any::<u16>())).prop_map(|(bytes, tag)| Seen { bytes, tag })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_is_survived(text in "(?s).{0,60}", packet in packet()) {
        read(&text, &packet);
    }

    #[test]
    fn any_row_of_words_is_survived(
        words in prop::collection::vec(prop::sample::select(&WORDS[..]), 0..14),
        packet in packet(),
    ) {
        read(&words.join(" "), &packet);
    }

    #[test]
    fn programs_of_tcpdump_are_read_or_refused(text in "[0-9 \n-]{0,60}") {
        let _ = filter::decimal(&text);
    }
}

#[test]
fn what_is_too_much_is_refused() {
    let packet = Seen { bytes: vec![0; 60], tag: None };
    let texts = [
        "(".repeat(100_000),
        "not ".repeat(100_000),
        "!".repeat(500) + "icmp",
        "icmp or ".repeat(2000) + "arp",
        // Each is inside all that follow.
        "icmp or arp and ".repeat(490) + "udp",
    ];
    for text in texts {
        read(&text, &packet);
    }
    let many: Vec<String> = (0..190).map(|n| format!("net 2001:db8:{n:x}::/64")).collect();
    let many = filter::parse(&many.join(" or ")).unwrap();
    let error = filter::compile(&many, LinkLayer::Ethernet, 96).unwrap_err();
    assert!(error.to_string().contains("the kernel takes 4096"), "{error}");
}

#[test]
fn errors_say_where_and_what() {
    let errors = [
        ("icmp and", 9, "expected a test such as `host ADDRESS`, found the end", false),
        ("icmp and )", 10, "found `)`", false),
        ("(icmp", 1, "this parenthesis is not closed", false),
        ("icmp)", 5, "this parenthesis was not opened", false),
        ("host", 5, "expected an address, a prefix or a port", false),
        ("host web1", 6, "`web1` is no IP address; names are not looked up", false),
        ("arp host 2001:db8::1", 10, "is an IPv6 address", false),
        ("icmp or port 70000", 14, "`70000` is no port", false),
        ("port ssh", 6, "`ssh` is no number", true),
        ("icmp port 5", 11, "ports are of `tcp`, `udp` and `sctp`", false),
        ("net 10.0.2.24/24", 5, "`10.0.2.0/24` is meant?", false),
        ("net 10.0.2.0/33", 5, "no prefix such as", false),
        ("vlan 4096", 6, "no VLAN id", false),
        ("ether host 1.2.3.4", 12, "no MAC address", false),
        ("tcp[tcpflags] & 2 != 0", 4, "`[` is not of the language", true),
        ("ip broadcast", 4, "beyond", true),
        ("greater 100", 1, "`greater` is no word", true),
        ("ümlaut and icmp", 1, "`ümlaut` is no word", true),
        ("icmp icmp", 6, "addresses are of", true),
        ("flow:10.0.2.24", 1, "`flow:` wants two addresses", false),
        ("flow:10.0.2.24,2001:db8::1", 1, "one family", false),
        ("instance:", 1, "wants a name", false),
    ];
    for (text, column, what, beyond) in errors {
        let error = filter::parse(text).expect_err(text);
        assert_eq!(error.column, column, "{text}: {error}");
        assert!(error.to_string().contains(what) || beyond && what == "beyond", "{text}: {error}");
        assert_eq!(error.beyond, beyond, "{text}: {error}");
    }
}
