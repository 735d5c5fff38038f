//! Lists of connections, as the kernel and conntrack(8) print them.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on says why")]

use model::conntrack::{CtEntry, Tuple};
use parse::conntrack_list::parse;

/// Seen in `/proc/net/nf_conntrack` of Linux 6.18.
const PROC: &str = include_str!("fixtures/netfilter/nf_conntrack.txt");

/// The same first two, and one offloaded to a flowtable, as `conntrack -L` has them.
const LISTED: &str = include_str!("fixtures/netfilter/conntrack-list.txt");

fn entries(text: &str) -> Vec<CtEntry> {
    let read = parse(text);
    assert_eq!(read.problems, []);
    read.value
}

fn tuple(source: &str, destination: &str, ports: (u16, u16), icmp: Option<(u8, u8)>) -> Tuple {
    Tuple {
        source: source.parse().unwrap(),
        destination: destination.parse().unwrap(),
        source_port: ports.0,
        destination_port: ports.1,
        icmp,
    }
}

#[test]
fn entries_of_the_kernel() {
    let read = entries(PROC);
    assert_eq!(
        read[0],
        CtEntry {
            protocol: 1,
            original: tuple("10.66.0.1", "10.66.0.9", (8198, 8198), Some((8, 0))),
            reply: tuple("10.66.0.1", "10.66.0.1", (8198, 8198), Some((0, 0))),
            unreplied: false,
            assured: false,
            state: None,
            mark: 5,
            zone: 0,
            timeout_s: Some(29),
        }
    );
    assert_eq!((read[1].unreplied, read[1].zone), (true, 7));
    assert_eq!(
        read[2],
        CtEntry {
            protocol: 6,
            original: tuple("10.0.0.2", "10.0.0.3", (50000, 22), None),
            reply: tuple("10.0.0.3", "10.0.0.2", (22, 50000), None),
            unreplied: false,
            assured: true,
            state: Some("ESTABLISHED".into()),
            mark: 0,
            zone: 0,
            timeout_s: Some(431_999),
        }
    );
    assert_eq!(read[3].original, tuple("::1", "2001:db8::2", (1, 53), None));
    assert_eq!((read[4].protocol, read[4].original.source_port), (47, 0));
}

#[test]
fn entries_of_the_tool() {
    let (read, kernels) = (entries(LISTED), entries(PROC));
    assert_eq!(read[..2], kernels[..2]);
    assert_eq!((read[2].timeout_s, read[2].state.as_deref()), (None, None));
    assert_eq!(read[2].original.source_port, 5);
}

#[test]
fn lines_that_are_no_entry_are_named() {
    let read = parse(
        "tcp 6 5 SYN_SENT src=1.2.3.4 dst=1.2.3.5 sport=1 dport=2\n\
         tcp 6 5 src=1.2.3 dst=1.2.3.5\n\nwhat\n\
         udp 17 5 src=1.2.3.4 dst=1.2.3.5 sport=1 dport=2 zone-orig=4 src=1.2.3.5 dst=1.2.3.4 sport=2 dport=1\n",
    );
    assert_eq!(read.value, []);
    let places: Vec<(u32, u32)> = read.problems.iter().map(|p| (p.line, p.column)).collect();
    assert_eq!(places, [(1, 1), (2, 9), (4, 1), (5, 50)], "{:?}", read.problems);
}
