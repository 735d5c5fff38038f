//! Matches and targets of ebtables and arptables, and their like in nft's bridge and arp families
//! (ebtables-nft(8), arptables-nft(8)).

use super::{About, FORWARD, IN, INPUT, OUTPUT, POSTROUTING, PREROUTING, Version, WORD, Word};

use Version::{V4, V6};

const OUT: u8 = FORWARD | OUTPUT | POSTROUTING;
const NAT: &[&str] = &["nat"];

/// Of frames, in the order of the coverage; nft's netdev family asks the same.
pub(crate) static BRIDGE_CONDITIONS: &[Word] = &[
    Word {
        name: "eb protocol",
        slot: "eb protocol",
        xtables: "-p <! |><ARP|IPv4>",
        nft: "ether type <!><arp|ip|ip6>",
        weight: 12,
        ..WORD
    },
    Word { name: "eb source", xtables: "-s <! |><mac>", nft: "ether saddr <!><mac>", weight: 8, ..WORD },
    Word { name: "eb destination", xtables: "-d <! |><mac>", nft: "ether daddr <!><mac>", weight: 8, ..WORD },
    Word { name: "eb length", nft: "meta length <!><84|47-83|85-200>", about: About::NotTcp, ..WORD },
    Word {
        name: "eb in-interface",
        slot: "in",
        xtables: "-i <! |><port>",
        nft: "iifname <!>\"<port>\"",
        hooks: IN,
        weight: 8,
        ..WORD
    },
    Word {
        name: "eb out-interface",
        slot: "out",
        xtables: "-o <! |><port>",
        nft: "oifname <!>\"<port>\"",
        hooks: OUT,
        weight: 8,
        ..WORD
    },
    Word {
        name: "eb logical-in",
        families: &["bridge"],
        xtables: "--logical-in <! |><bridge>",
        nft: "meta ibrname <!>\"<bridge>\"",
        hooks: IN,
        ..WORD
    },
    Word {
        name: "eb logical-out",
        families: &["bridge"],
        xtables: "--logical-out <! |><bridge>",
        nft: "meta obrname <!>\"<bridge>\"",
        hooks: OUT,
        ..WORD
    },
    Word {
        name: "eb ip source",
        slot: "eb protocol",
        xtables: "-p IPv4 --ip-src <! |><net>",
        nft: "ip saddr <!><net>",
        version: V4,
        weight: 8,
        ..WORD
    },
    Word {
        name: "eb ip destination",
        slot: "eb protocol",
        xtables: "-p IPv4 --ip-dst <! |><net>",
        nft: "ip daddr <!><net>",
        version: V4,
        weight: 8,
        ..WORD
    },
    Word {
        name: "eb ip protocol",
        slot: "eb protocol",
        xtables: "-p IPv4 --ip-proto <! |><6|17|1>",
        nft: "ip protocol <!><tcp|udp|icmp>",
        version: V4,
        weight: 6,
        ..WORD
    },
    Word {
        name: "eb ip dport",
        slot: "eb protocol",
        xtables: "-p IPv4 --ip-proto <6|17> --ip-dport <! |><80|53|50:90>",
        nft: "<tcp|udp> dport <!><80|53|50-90>",
        version: V4,
        weight: 6,
        ..WORD
    },
    Word {
        name: "eb ip sport",
        slot: "eb protocol",
        xtables: "-p IPv4 --ip-proto <6|17> --ip-sport <! |><80|53|1024:65535>",
        nft: "<tcp|udp> sport <!><80|53|1024-65535>",
        version: V4,
        ..WORD
    },
    Word {
        name: "eb arp opcode",
        slot: "eb protocol",
        xtables: "-p ARP --arp-op <! |><Request|Reply>",
        nft: "arp operation <!><request|reply>",
        weight: 8,
        ..WORD
    },
    Word {
        name: "eb arp source ip",
        slot: "eb protocol",
        xtables: "-p ARP --arp-ip-src <! |><net>",
        nft: "arp saddr ip <!><host>",
        version: V4,
        weight: 6,
        ..WORD
    },
    Word {
        name: "eb arp target ip",
        slot: "eb protocol",
        xtables: "-p ARP --arp-ip-dst <! |><net>",
        nft: "arp daddr ip <!><host>",
        version: V4,
        weight: 6,
        ..WORD
    },
    Word {
        name: "eb arp source mac",
        slot: "eb protocol",
        xtables: "-p ARP --arp-mac-src <! |><mac>",
        nft: "arp saddr ether <!><mac>",
        ..WORD
    },
    Word {
        name: "eb arp target mac",
        slot: "eb protocol",
        xtables: "-p ARP --arp-mac-dst <! |><mac>",
        nft: "arp daddr ether <!><mac>",
        ..WORD
    },
    Word {
        name: "eb ip6 source",
        slot: "eb protocol",
        xtables: "-p IPv6 --ip6-src <! |><net>",
        nft: "ip6 saddr <!><net>",
        version: V6,
        ..WORD
    },
    Word {
        name: "eb ip6 destination",
        slot: "eb protocol",
        xtables: "-p IPv6 --ip6-dst <! |><net>",
        nft: "ip6 daddr <!><net>",
        version: V6,
        ..WORD
    },
    Word { name: "eb mark", xtables: "--mark <! |><0x1|0x2|0x1/0x3>", nft: "meta mark <!><0x1|0x0>", ..WORD },
    Word {
        name: "eb pkttype",
        xtables: "--pkttype-type <! |><broadcast|multicast|host|otherhost>",
        nft: "meta pkttype <!><broadcast|multicast|host>",
        ..WORD
    },
    Word { name: "eb among", xtables: "--among-src <! |><mac>=<host>", version: V4, modelled: false, ..WORD },
    Word { name: "eb limit", xtables: "--limit 1/hour", nft: "limit rate 1/hour", modelled: false, ..WORD },
];

/// Of frames.
pub(crate) static BRIDGE_VERDICTS: &[Word] = &[
    Word { name: "eb ACCEPT", xtables: "-j ACCEPT", nft: "accept", weight: 24, ..WORD },
    Word { name: "eb DROP", xtables: "-j DROP", nft: "drop", weight: 16, ..WORD },
    Word { name: "eb RETURN", xtables: "-j RETURN", nft: "return", weight: 8, ..WORD },
    Word { name: "eb CONTINUE", xtables: "-j CONTINUE", nft: "counter", weight: 6, ..WORD },
    Word {
        name: "eb mark",
        xtables: "-j mark --mark-set 0x1 --mark-target <ACCEPT|CONTINUE>",
        nft: "meta mark set 0x1",
        ..WORD
    },
    Word {
        name: "eb dnat",
        xtables: "-j dnat --to-dst <mac> --dnat-target <ACCEPT|CONTINUE>",
        nft: "ether daddr set <mac>",
        tables: NAT,
        hooks: PREROUTING | OUTPUT,
        ..WORD
    },
    Word {
        name: "eb snat",
        xtables: "-j snat --to-src <mac> --snat-target <ACCEPT|CONTINUE>",
        tables: NAT,
        hooks: POSTROUTING,
        ..WORD
    },
    Word {
        name: "eb redirect",
        xtables: "-j redirect --redirect-target <ACCEPT|CONTINUE>",
        tables: NAT,
        hooks: PREROUTING,
        ..WORD
    },
    Word {
        name: "eb arpreply",
        slot: "eb protocol",
        xtables: "-p ARP --arp-op Request -j arpreply --arpreply-mac <mac>",
        tables: NAT,
        hooks: PREROUTING,
        modelled: false,
        ..WORD
    },
    Word { name: "eb log", xtables: "--log-level info --log-prefix hopline -j CONTINUE", nft: "log", ..WORD },
];

/// Of ARP packets.
pub(crate) static ARP_CONDITIONS: &[Word] = &[
    Word { name: "arp source", xtables: "<!>-s <net>", nft: "arp saddr ip <!><host>", weight: 8, ..WORD },
    Word {
        name: "arp destination",
        xtables: "<!>-d <net>",
        nft: "arp daddr ip <!><host>",
        weight: 8,
        ..WORD
    },
    Word {
        name: "arp source-mac",
        xtables: "<!>--source-mac <mac>",
        nft: "arp saddr ether <!><mac>",
        ..WORD
    },
    Word {
        name: "arp destination-mac",
        xtables: "<!>--destination-mac <mac>",
        nft: "arp daddr ether <!><mac>",
        ..WORD
    },
    Word {
        name: "arp opcode",
        xtables: "<!>--opcode <1|2>",
        nft: "arp operation <!><request|reply>",
        weight: 8,
        ..WORD
    },
    Word {
        name: "arp in-interface",
        xtables: "<!>-i <link>",
        nft: "iifname <!>\"<link>\"",
        hooks: INPUT,
        ..WORD
    },
    Word {
        name: "arp out-interface",
        xtables: "<!>-o <link>",
        nft: "oifname <!>\"<link>\"",
        hooks: OUTPUT,
        ..WORD
    },
];

/// Of ARP packets.
pub(crate) static ARP_VERDICTS: &[Word] = &[
    Word { name: "arp ACCEPT", xtables: "-j ACCEPT", nft: "accept", weight: 16, ..WORD },
    Word { name: "arp DROP", xtables: "-j DROP", nft: "drop", weight: 16, ..WORD },
    Word { name: "arp RETURN", xtables: "-j RETURN", nft: "return", ..WORD },
    Word {
        name: "arp mangle",
        xtables: "-j mangle --mangle-ip-s <host>",
        about: About::All,
        hooks: OUTPUT,
        weight: 2,
        ..WORD
    },
];
