//! Targets of iptables and ip6tables, and their like in nft. Jumps are drawn apart: they need a chain.

use super::{About, FORWARD, INPUT, OUTPUT, POSTROUTING, PREROUTING, Version, WORD, Word};

use About::Tcp;
use Version::{V4, V6};

const FILTER: &[&str] = &["filter"];
const MANGLE: &[&str] = &["mangle"];
const NAT: &[&str] = &["nat"];
const RAW: &[&str] = &["raw"];
/// Types of nft chains that may drop, mark and log.
const NOT_NAT: &[&str] = &["filter", "route"];
const ONLY_NAT: &[&str] = &["nat"];
const REJECTING: u8 = INPUT | FORWARD | OUTPUT;
const EARLY: u8 = PREROUTING | OUTPUT;

/// In the order of the coverage.
pub(crate) static VERDICTS: &[Word] = &[
    Word { name: "ACCEPT", xtables: "-j ACCEPT", nft: "accept", weight: 30, ..WORD },
    Word { name: "RETURN", xtables: "-j RETURN", nft: "return", weight: 10, ..WORD },
    Word {
        name: "DROP",
        xtables: "-j DROP",
        nft: "drop",
        tables: &["filter", "mangle", "raw", "security"],
        weight: 16,
        ..WORD
    },
    Word { name: "count only", nft: "counter", weight: 2, ..WORD },
    Word {
        name: "REJECT",
        xtables: "-j REJECT<>",
        nft: "reject",
        tables: FILTER,
        kinds: &["filter"],
        hooks: REJECTING,
        ..WORD
    },
    Word {
        name: "REJECT icmp",
        xtables: "-j REJECT --reject-with icmp-<net-unreachable|host-unreachable|port-unreachable|\
                  proto-unreachable|net-prohibited|host-prohibited|admin-prohibited>",
        nft: "reject with icmp type <net-unreachable|host-unreachable|port-unreachable|admin-prohibited>",
        tables: FILTER,
        kinds: &["filter"],
        version: V4,
        hooks: REJECTING,
        ..WORD
    },
    Word {
        name: "REJECT icmp6",
        xtables: "-j REJECT --reject-with icmp6-<no-route|adm-prohibited|addr-unreachable|port-unreachable>",
        nft: "reject with icmpv6 type <no-route|admin-prohibited|addr-unreachable|port-unreachable>",
        tables: FILTER,
        kinds: &["filter"],
        version: V6,
        hooks: REJECTING,
        ..WORD
    },
    Word {
        name: "REJECT tcp-reset",
        xtables: "-j REJECT --reject-with tcp-reset",
        nft: "reject with tcp reset",
        tables: FILTER,
        kinds: &["filter"],
        about: Tcp,
        hooks: REJECTING,
        weight: 8,
        ..WORD
    },
    Word {
        name: "MARK",
        xtables: "-j MARK <--set-xmark 0x1/0xffffffff|--set-xmark 0x1/0x1|--or-mark 0x2|--and-mark 0x2|\
                  --xor-mark 0x3|--set-mark 0x2/0x3>",
        nft: "meta mark set <0x1|0x2|meta mark \\| 0x2|meta mark & 0xfffffffe>",
        tables: MANGLE,
        kinds: NOT_NAT,
        weight: 24,
        ..WORD
    },
    Word {
        name: "CONNMARK",
        xtables: "-j CONNMARK <--set-xmark 0x1/0xffffffff|--save-mark|--restore-mark>",
        nft: "<ct mark set 0x1|ct mark set meta mark|meta mark set ct mark>",
        tables: MANGLE,
        kinds: NOT_NAT,
        weight: 8,
        ..WORD
    },
    Word {
        name: "notrack",
        xtables: "<-j CT --notrack|-j NOTRACK>",
        nft: "notrack",
        tables: RAW,
        kinds: &["filter"],
        hooks: EARLY,
        weight: 16,
        ..WORD
    },
    Word { name: "CT zone", xtables: "-j CT --zone 1", tables: RAW, hooks: EARLY, ..WORD },
    Word {
        name: "DNAT",
        xtables: "-j DNAT --to-destination <host>",
        nft: "dnat <inet>to <host>",
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: EARLY,
        weight: 30,
        ..WORD
    },
    Word {
        name: "DNAT port",
        xtables: "-j DNAT --to-destination <[host]>:<80|8080|53>",
        nft: "dnat <inet>to <[host]>:<80|8080|53>",
        about: About::Ports,
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: EARLY,
        weight: 16,
        ..WORD
    },
    Word {
        name: "REDIRECT",
        xtables: "-j REDIRECT",
        nft: "redirect",
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: EARLY,
        weight: 8,
        ..WORD
    },
    Word {
        name: "REDIRECT port",
        xtables: "-j REDIRECT --to-ports <80|8080|53>",
        nft: "redirect to :<80|8080|53>",
        about: About::Ports,
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: EARLY,
        weight: 8,
        ..WORD
    },
    Word {
        name: "SNAT",
        xtables: "-j SNAT --to-source <host>",
        nft: "snat <inet>to <host>",
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: POSTROUTING | INPUT,
        weight: 24,
        ..WORD
    },
    Word {
        name: "SNAT port",
        xtables: "-j SNAT --to-source <[host]>:<7000|7001>",
        nft: "snat <inet>to <[host]>:<7000|7001>",
        about: About::Ports,
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: POSTROUTING | INPUT,
        ..WORD
    },
    Word {
        name: "MASQUERADE",
        xtables: "-j MASQUERADE",
        nft: "masquerade",
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: POSTROUTING,
        weight: 24,
        ..WORD
    },
    Word {
        name: "MASQUERADE ports",
        xtables: "-j MASQUERADE --to-ports 7002",
        nft: "masquerade to :7002",
        about: About::Ports,
        tables: NAT,
        kinds: ONLY_NAT,
        hooks: POSTROUTING,
        ..WORD
    },
    Word {
        name: "NETMAP",
        xtables: "-j NETMAP --to <whole net>",
        tables: NAT,
        hooks: EARLY | POSTROUTING | INPUT,
        weight: 8,
        ..WORD
    },
    Word { name: "LOG", xtables: "-j LOG --log-prefix \"hopline \"", nft: "log prefix \"hopline \"", ..WORD },
    Word { name: "NFLOG", xtables: "-j NFLOG --nflog-group 7", nft: "log group 7", ..WORD },
    Word {
        name: "TRACE",
        xtables: "-j TRACE",
        nft: "meta nftrace set 1",
        tables: RAW,
        kinds: NOT_NAT,
        ..WORD
    },
    Word { name: "CHECKSUM", xtables: "-j CHECKSUM --checksum-fill", tables: MANGLE, ..WORD },
    Word {
        name: "TCPMSS",
        xtables: "-m tcp --tcp-flags SYN,RST SYN -j TCPMSS --set-mss 1400",
        nft: "tcp flags syn tcp option maxseg size set 1400",
        about: Tcp,
        tables: MANGLE,
        kinds: NOT_NAT,
        slot: "tcp tcp-flags",
        ..WORD
    },
    Word {
        name: "CLASSIFY",
        xtables: "-j CLASSIFY --set-class 1:1",
        nft: "meta priority set 1:1",
        tables: MANGLE,
        kinds: NOT_NAT,
        hooks: FORWARD | OUTPUT | POSTROUTING,
        ..WORD
    },
    Word {
        name: "DSCP",
        xtables: "-j DSCP --set-dscp 0x0a",
        nft: "<ip> dscp set af11",
        tables: MANGLE,
        kinds: NOT_NAT,
        ..WORD
    },
    Word { name: "TOS", xtables: "-j TOS --set-tos 0x10/0xff", tables: MANGLE, ..WORD },
    Word { name: "TTL dec", xtables: "-j TTL --ttl-dec 1", tables: MANGLE, version: V4, ..WORD },
    Word {
        name: "TTL",
        xtables: "-j TTL <--ttl-set 5|--ttl-inc 1>",
        nft: "ip ttl set 5",
        tables: MANGLE,
        kinds: NOT_NAT,
        version: V4,
        // A packet in a circle of routers would never grow old.
        hooks: INPUT | OUTPUT,
        ..WORD
    },
    Word { name: "HL dec", xtables: "-j HL --hl-dec 1", tables: MANGLE, version: V6, ..WORD },
    Word {
        name: "HL",
        xtables: "-j HL <--hl-set 5|--hl-inc 1>",
        nft: "ip6 hoplimit set 5",
        tables: MANGLE,
        kinds: NOT_NAT,
        version: V6,
        // A packet in a circle of routers would never grow old.
        hooks: INPUT | OUTPUT,
        ..WORD
    },
    Word {
        name: "NFQUEUE",
        xtables: "-j NFQUEUE --queue-num 7",
        nft: "queue num 7",
        kinds: NOT_NAT,
        tables: &["filter", "mangle"],
        modelled: false,
        ..WORD
    },
];
