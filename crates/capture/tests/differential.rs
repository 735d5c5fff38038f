//! Filters held to tcpdump: the programs of both, run over the same packets, say the same of each.
//!
//! tcpdump compiles for a device, in a namespace of this test's own, because only then does it know of the
//! tags that the kernel keeps beside a frame. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::process::{Command, Stdio};
use std::sync::OnceLock;

use capture::filter::{self, Instruction, LinkLayer};
use proptest::prelude::*;
use support::machine::{Seen, run};
use support::packets::{self, MACS, PORTS, V4, V6, VLANS};
use sys::netns::{self, NetnsFd};

/// What tcpdump asks for where it was not told otherwise.
const SNAP: u32 = 262_144;

/// A namespace whose lo is up, so that a capture can be opened on it.
fn place() -> &'static NetnsFd {
    static PLACE: OnceLock<NetnsFd> = OnceLock::new();
    PLACE.get_or_init(|| {
        let made = netns::unnamed("ht-capture-differential").expect("root makes namespaces");
        let mut up = Command::new(sys::programs::path_of("ip"));
        up.args(["link", "set", "lo", "up"]);
        assert!(netns::spawn_in(&made, &mut up).unwrap().wait().unwrap().success());
        made
    })
}

/// libpcap's optimiser is one of the things that are not taken on trust: that of 1.10 compares the wrong
/// register in `rarp and vlan 100` (the flag that there is a tag, where the tag was to be loaded).
#[derive(Clone, Copy, PartialEq, Eq)]
enum Optimised {
    No,
    Yes,
}

/// What tcpdump makes of a filter.
fn theirs(text: &str, optimised: Optimised) -> Vec<Instruction> {
    let mut tcpdump = Command::new(sys::programs::path_of("tcpdump"));
    if optimised == Optimised::No {
        tcpdump.arg("-O");
    }
    tcpdump.args(["-p", "-i", "lo", "-ddd", "--", text]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let output = netns::spawn_in(place(), &mut tcpdump).unwrap().wait_with_output().unwrap();
    if String::from_utf8_lossy(&output.stderr).contains("expression rejects all packets") {
        return sys::bpf::NOTHING.to_vec();
    }
    assert!(output.status.success(), "{text}: {output:?}");
    capture::filter::decimal(&String::from_utf8(output.stdout).unwrap()).expect("tcpdump -ddd is read")
}

fn ours(text: &str) -> Vec<Instruction> {
    let expr = filter::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"));
    filter::compile(&expr, LinkLayer::Ethernet, SNAP).unwrap()
}

/// A packet with every place where a tag can be, and what tcpdump must be shown in its stead: the tag beside
/// the frame, where its programs look for it.
fn tags(frame: &[u8], tag: u16) -> Vec<(Seen, Seen)> {
    let beside = Seen { bytes: frame.to_vec(), tag: Some(tag) };
    let bare = Seen { bytes: frame.to_vec(), tag: None };
    let inside = |ether_type| Seen { bytes: packets::tagged(frame, ether_type, tag), tag: None };
    vec![
        (bare.clone(), bare),
        (beside.clone(), beside.clone()),
        (inside(0x8100), beside.clone()),
        (inside(0x88a8), beside),
    ]
}

#[track_caller]
fn assert_agree(text: &str, optimised: Optimised) -> (usize, usize) {
    let (ours, theirs) = (ours(text), theirs(text, optimised));
    let (mut taken, mut total) = (0, 0);
    for frame in packets::all() {
        for tag in VLANS {
            // A priority beside the id must not matter.
            for (mine, shown) in tags(&frame, tag | 0x6000) {
                let (got, expected) = (run(&ours, &mine), run(&theirs, &shown));
                assert_eq!(got, expected, "{text}\n{mine:02x?}");
                taken += usize::from(got > 0);
                total += 1;
            }
        }
    }
    (taken, total)
}

#[test]
fn everyday_filters_agree() {
    let filters = [
        "ip",
        "ip6",
        "arp",
        "rarp",
        "icmp",
        "icmp6",
        "tcp",
        "udp",
        "sctp",
        "vlan",
        "vlan 100",
        "not vlan",
        "host 10.0.2.24",
        "src 10.0.2.24",
        "dst host 1.2.3.4",
        "src and dst host 10.0.2.24",
        "src or dst host 10.0.2.24",
        "ip host 10.0.2.24",
        "arp host 10.0.2.24",
        "ip src 10.0.2.24",
        "host 2001:db8::24",
        "ip6 dst host 2001:db8::25",
        "net 10.0.2.0/24",
        "net 10.0.2",
        "net 10",
        "src net 10.0.2.24/31",
        "net 0.0.0.0/0",
        "net 2001:db8::/48",
        "dst net 2001:db8::/64",
        "net ::/0",
        "port 53",
        "src port 53",
        "udp port 67 or port 68",
        "port 67 or 53",
        "tcp dst port 22",
        "portrange 50-70",
        "udp src portrange 22-53",
        "tcp portrange 70-50",
        "src and dst port 53",
        "ether host fa:16:3e:00:00:11",
        "ether src fa:16:3e:00:00:12",
        "ether dst host 02:00:00:00:00:01",
        "icmp or arp",
        "icmp and host 10.0.2.24",
        "host 10.0.2.24 and not port 22",
        "not host 10.0.2.24 and 1.2.3.4",
        "tcp or udp and port 53",
        "arp or icmp and host 1.2.3.4 or udp",
        "!(arp or icmp) && ip",
        "udp and (port 67 or port 68) and ether host fa:16:3e:00:00:11",
        "icmp and host 10.0.2.24 and host 1.2.3.4",
        "vlan and icmp",
        "vlan 5 and host 10.0.2.24",
        "icmp and vlan 100",
        "vlan 5 and not (arp or port 53)",
    ];
    for text in filters {
        let (taken, total) = assert_agree(text, Optimised::No);
        assert!(0 < taken && taken < total, "{text} tells nothing apart: {taken} of {total}");
    }
}

fn choice(all: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(all).prop_map(str::to_owned)
}

/// One test of the grammar.
fn primitive() -> impl Strategy<Value = String> {
    let end = || choice(&["", "src ", "dst ", "src or dst ", "src and dst "]);
    let v4 = || choice(&V4);
    let port = || prop::sample::select(&PORTS[..]);
    let bits =
        |ip: &str, length: u8| ipnet::IpNet::new(ip.parse().unwrap(), length).unwrap().trunc().to_string();
    prop_oneof![
        choice(&["ip", "ip6", "arp", "rarp", "icmp", "icmp6", "tcp", "udp", "sctp"]),
        (choice(&["", "ip ", "arp ", "rarp "]), end(), v4())
            .prop_map(|(f, e, ip)| format!("{f}{e}host {ip}")),
        (choice(&["", "ip6 "]), end(), choice(&V6)).prop_map(|(f, e, ip)| format!("{f}{e}host {ip}")),
        (end(), v4(), 0_u8..=32).prop_map(move |(e, ip, l)| format!("{e}net {}", bits(&ip, l))),
        (end(), choice(&V6), 0_u8..=128).prop_map(move |(e, ip, l)| format!("{e}net {}", bits(&ip, l))),
        (choice(&["", "tcp ", "udp ", "sctp "]), end(), port())
            .prop_map(|(t, e, p)| format!("{t}{e}port {p}")),
        (choice(&["", "tcp ", "udp "]), end(), port(), port())
            .prop_map(|(t, e, p, q)| format!("{t}{e}portrange {p}-{q}")),
        (choice(&["src ", "dst ", ""]), choice(&MACS)).prop_map(|(e, mac)| format!("ether {e}host {mac}")),
    ]
}

/// Tests joined, without tags.
fn expression() -> impl Strategy<Value = String> {
    primitive().prop_recursive(4, 16, 3, |inner| {
        prop_oneof![
            inner.clone().prop_map(|e| format!("not ({e})")),
            (inner.clone(), choice(&["and", "or", "&&", "||"]), inner.clone())
                .prop_map(|(a, op, b)| format!("({a}) {op} {b}")),
            (inner.clone(), choice(&["and", "or"]), inner.clone(), choice(&["and", "or"]), inner)
                .prop_map(|(a, op, b, also, c)| format!("{a} {op} not {b} {also} {c}")),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn random_filters_agree(
        text in expression(),
        vlan in prop::option::of((prop::option::of(prop::sample::select(&VLANS[..])), any::<bool>())),
    ) {
        let text = match vlan {
            None => text,
            Some((id, is_first)) => {
                let vlan = id.map_or("vlan".to_owned(), |id| format!("vlan {id}"));
                // What stands behind `or vlan` and `not vlan` is read otherwise by tcpdump: see filter.rs.
                if is_first { format!("{vlan} and ({text})") } else { format!("({text}) and {vlan}") }
            }
        };
        assert_agree(&text, Optimised::No);
    }
}

#[test]
fn tags_are_counted_from_outside() {
    let inner = packets::all().remove(0);
    let in_both = packets::tagged(&packets::tagged(&inner, 0x8100, 100), 0x88a8, 5);
    let beside_and_in = Seen { bytes: packets::tagged(&inner, 0x8100, 100), tag: Some(5) };
    for seen in [Seen { bytes: in_both, tag: None }, beside_and_in] {
        let verdicts = [
            ("vlan", true),
            ("vlan 5", true),
            ("vlan 100", false),
            ("vlan 5 and vlan 100", true),
            ("vlan and vlan 100 and icmp", true),
            ("vlan 5 and vlan 5", false),
            ("vlan and vlan and vlan", false),
            ("vlan 6 or vlan 5", true),
            ("not vlan 6 and vlan 5", true),
            ("icmp", true),
            ("host 10.0.2.24", true),
            ("udp", false),
        ];
        for (text, expected) in verdicts {
            assert_eq!(run(&ours(text), &seen) > 0, expected, "{text}: {seen:?}");
        }
    }
}

#[test]
fn packets_without_a_frame_are_told_apart_by_their_version() {
    let seen = |bytes: Vec<u8>| Seen { bytes, tag: None };
    let v4 = seen(packets::ip(V4[0], V4[2], 17, 2, 0, &packets::ports(53, 67)));
    let v6 = seen(packets::ip6(V6[0], V6[1], 6, &packets::ports(22, 8080)));
    let verdicts = [
        ("ip", true, false),
        ("ip6", false, true),
        ("udp port 67 and host 1.2.3.4", true, false),
        ("dst port 8080 and src host 2001:db8::24", false, true),
        ("arp or vlan or ether host fa:16:3e:00:00:11", false, false),
        ("not arp", true, true),
    ];
    for (text, of_v4, of_v6) in verdicts {
        let program = filter::compile(&filter::parse(text).unwrap(), LinkLayer::Ip, 64).unwrap();
        assert_eq!((run(&program, &v4) == 64, run(&program, &v6) == 64), (of_v4, of_v6), "{text}");
    }
}

#[test]
fn a_program_whose_jumps_are_long_is_right() {
    // Each address is a test of its own in front of one that must still be reached.
    let many: Vec<String> = (0..40).map(|n| format!("src net 172.16.{n}.0/24 or dst port {n}")).collect();
    let text = format!("({}) or host 10.0.2.24", many.join(" or "));
    let program = ours(&text);
    assert!(program.len() > 512, "long enough to need long jumps: {}", program.len());
    // As it is, tcpdump's would be longer than a program can be.
    assert_agree(&text, Optimised::Yes);
}
