//! Matches of iptables and ip6tables, and their like in nft (iptables-extensions(8), nft(8)).

use super::{About, FORWARD, IN, OUT, OUTPUT, POSTROUTING, PREROUTING, Version, WORD, Word};

use About::{Icmp, NotTcp, Ports, Tcp};
use Version::{V4, V6};

/// In the order of the coverage.
pub(crate) static CONDITIONS: &[Word] = &[
    Word { name: "source", xtables: "<!>-s <net>", nft: "<ip> saddr <!><net>", weight: 12, ..WORD },
    Word { name: "destination", xtables: "<!>-d <net>", nft: "<ip> daddr <!><net>", weight: 12, ..WORD },
    Word {
        name: "iprange src-range",
        xtables: "-m iprange <!>--src-range <range>",
        nft: "<ip> saddr <!><range>",
        ..WORD
    },
    Word {
        name: "iprange dst-range",
        xtables: "-m iprange <!>--dst-range <range>",
        nft: "<ip> daddr <!><range>",
        ..WORD
    },
    Word { name: "source set", nft: "<ip> saddr <!>{ <host>, <net> }", ..WORD },
    Word { name: "destination set", nft: "<ip> daddr <!>{ <host>, <host>, <net> }", ..WORD },
    Word {
        name: "in-interface",
        slot: "in",
        xtables: "<!>-i <link>",
        nft: "iifname <!>\"<link>\"",
        hooks: IN,
        weight: 8,
        ..WORD
    },
    Word {
        name: "in-interface +",
        slot: "in",
        xtables: "<!>-i <stem>+",
        nft: "iifname <!>\"<stem>*\"",
        hooks: IN,
        ..WORD
    },
    Word {
        name: "out-interface",
        slot: "out",
        xtables: "<!>-o <link>",
        nft: "oifname <!>\"<link>\"",
        hooks: OUT,
        weight: 8,
        ..WORD
    },
    Word {
        name: "out-interface +",
        slot: "out",
        xtables: "<!>-o <stem>+",
        nft: "oifname <!>\"<stem>*\"",
        hooks: OUT,
        ..WORD
    },
    Word {
        name: "protocol",
        xtables: "<!>-p <tcp|udp|icmp>",
        nft: "meta l4proto <!><tcp|udp|icmp|{ tcp, udp }>",
        version: V4,
        ..WORD
    },
    Word {
        name: "protocol",
        xtables: "<!>-p <tcp|udp|ipv6-icmp>",
        nft: "meta l4proto <!><tcp|udp|ipv6-icmp|{ tcp, udp }>",
        version: V6,
        ..WORD
    },
    Word { name: "iif", slot: "in", nft: "iif <!>\"<link>\"", hooks: IN, ..WORD },
    Word { name: "oif", slot: "out", nft: "oif <!>\"<link>\"", hooks: OUT, ..WORD },
    Word {
        name: "sport",
        xtables: "-m <proto> <!>--sport <80|53|1024:65535|0:1023>",
        nft: "<proto> sport <!><80|53|1024-65535|0-1023>",
        about: Ports,
        ..WORD
    },
    Word {
        name: "dport",
        xtables: "-m <proto> <!>--dport <80|8080|53|5353|50:90|1024:65535>",
        nft: "<proto> dport <!><80|8080|53|5353|50-90|1024-65535>",
        about: Ports,
        weight: 12,
        ..WORD
    },
    Word {
        name: "multiport sports",
        xtables: "-m multiport <!>--sports <80,8080|53,1024:65535|53,80>",
        nft: "<proto> sport <!>{ 53, 80, 1024-<9999|65535> }",
        about: Ports,
        ..WORD
    },
    Word {
        name: "multiport dports",
        xtables: "-m multiport <!>--dports <80,8080|53,5353|53,80|22,79:81>",
        nft: "<proto> dport <!>{ <80|53>, <8080|5353> }",
        about: Ports,
        ..WORD
    },
    Word {
        name: "multiport ports",
        xtables: "-m multiport <!>--ports <80,8080|1:100|53>",
        about: Ports,
        ..WORD
    },
    Word {
        name: "th dport",
        slot: "protocol",
        nft: "meta l4proto { tcp, udp } th dport <!>{ <80|53>, <8080|5353> }",
        ..WORD
    },
    Word {
        name: "tcp tcp-flags",
        xtables: "-m tcp <!>--tcp-flags <SYN,ACK SYN|SYN,RST,ACK,FIN SYN|ACK ACK|ALL NONE>",
        nft: "tcp flags <& (syn \\| ack) == syn|syn / syn,ack|!= syn / fin,syn,rst,ack>",
        about: Tcp,
        ..WORD
    },
    Word { name: "tcp syn", slot: "tcp tcp-flags", xtables: "-m tcp <!>--syn", about: Tcp, ..WORD },
    Word {
        name: "tcp tcp-option",
        xtables: "-m tcp <!>--tcp-option <2|8|30>",
        about: Tcp,
        modelled: false,
        ..WORD
    },
    Word {
        name: "icmp type",
        xtables: "-m icmp <!>--icmp-type <8|0|3|any|8/0>",
        nft: "icmp type <!><echo-request|echo-reply|{ echo-request, destination-unreachable }>",
        about: Icmp,
        version: V4,
        weight: 12,
        ..WORD
    },
    Word {
        name: "icmp6 type",
        xtables: "-m icmp6 <!>--icmpv6-type <128|129|1|135|136>",
        nft: "icmpv6 type <!><echo-request|echo-reply|{ nd-neighbor-solicit, nd-neighbor-advert }>",
        about: Icmp,
        version: V6,
        weight: 12,
        ..WORD
    },
    Word {
        name: "conntrack ctstate",
        slot: "ctstate",
        xtables: "-m conntrack <!>--ctstate <NEW|RELATED,ESTABLISHED|INVALID|NEW,UNTRACKED|DNAT|SNAT|UNTRACKED>",
        nft: "ct state <!><new|established,related|invalid|new,untracked|untracked>",
        weight: 16,
        ..WORD
    },
    Word {
        name: "state state",
        slot: "ctstate",
        xtables: "-m state <!>--state <NEW|RELATED,ESTABLISHED|INVALID,NEW>",
        ..WORD
    },
    Word {
        name: "conntrack ctstatus",
        xtables: "-m conntrack <!>--ctstatus <NONE|SEEN_REPLY|CONFIRMED|ASSURED>",
        nft: "ct status <snat|dnat|seen-reply|confirmed>",
        ..WORD
    },
    Word {
        name: "conntrack ctproto",
        xtables: "-m conntrack <!>--ctproto <6|17>",
        nft: "ct protocol <!><tcp|udp>",
        ..WORD
    },
    Word {
        name: "conntrack ctorigsrc",
        xtables: "-m conntrack <!>--ctorigsrc <net>",
        nft: "ct original <ip> saddr <!><net>",
        ..WORD
    },
    Word {
        name: "conntrack ctorigdst",
        xtables: "-m conntrack <!>--ctorigdst <net>",
        nft: "ct original <ip> daddr <!><net>",
        ..WORD
    },
    Word {
        name: "conntrack ctreplsrc",
        xtables: "-m conntrack <!>--ctreplsrc <net>",
        nft: "ct reply <ip> saddr <!><net>",
        ..WORD
    },
    Word {
        name: "conntrack ctrepldst",
        xtables: "-m conntrack <!>--ctrepldst <net>",
        nft: "ct reply <ip> daddr <!><net>",
        ..WORD
    },
    Word {
        name: "conntrack ctorigdstport",
        xtables: "-m conntrack <!>--ctorigdstport <80|53|1:100>",
        about: Ports,
        ..WORD
    },
    Word {
        name: "conntrack ctdir",
        xtables: "-m conntrack --ctdir <ORIGINAL|REPLY>",
        nft: "ct direction <!><original|reply>",
        ..WORD
    },
    Word {
        name: "mark",
        xtables: "-m mark <!>--mark <0x1|0x2|0x1/0x3|0x0/0x1>",
        nft: "meta mark <!><0x1|0x2|0x0>",
        weight: 8,
        ..WORD
    },
    Word { name: "mark masked", nft: "meta mark & 0x3 <==|!=> <0x1|0x0>", ..WORD },
    Word {
        name: "connmark",
        xtables: "-m connmark <!>--mark <0x1|0x2|0x1/0x3|0x0/0x1>",
        nft: "ct mark <!><0x1|0x2|0x0>",
        ..WORD
    },
    Word {
        name: "mac mac-source",
        xtables: "-m mac <!>--mac-source <mac>",
        nft: "ether saddr <!><mac>",
        hooks: IN,
        ..WORD
    },
    Word { name: "physdev physdev-in", xtables: "-m physdev <!>--physdev-in <port>", hooks: IN, ..WORD },
    Word {
        name: "physdev physdev-out",
        xtables: "-m physdev <!>--physdev-out <port>",
        hooks: FORWARD,
        ..WORD
    },
    Word { name: "physdev physdev-is-in", xtables: "-m physdev <!>--physdev-is-in", hooks: IN, ..WORD },
    Word {
        name: "physdev physdev-is-out",
        xtables: "-m physdev <!>--physdev-is-out",
        hooks: FORWARD,
        ..WORD
    },
    Word {
        name: "physdev physdev-is-bridged",
        xtables: "-m physdev <!>--physdev-is-bridged",
        hooks: FORWARD,
        ..WORD
    },
    Word {
        name: "addrtype src-type",
        xtables: "-m addrtype <!>--src-type <LOCAL|UNICAST>",
        nft: "fib saddr type <!><local|unicast>",
        ..WORD
    },
    Word {
        name: "addrtype dst-type",
        xtables: "-m addrtype <!>--dst-type <LOCAL|UNICAST|MULTICAST>",
        nft: "fib daddr type <!><local|unicast|multicast>",
        ..WORD
    },
    Word {
        name: "addrtype dst-type broadcast",
        slot: "addrtype dst-type",
        xtables: "-m addrtype <!>--dst-type BROADCAST",
        nft: "fib daddr type <!>broadcast",
        version: V4,
        weight: 2,
        ..WORD
    },
    Word {
        name: "addrtype limit-iface-in",
        xtables: "-m addrtype --dst-type LOCAL --limit-iface-in",
        nft: "fib daddr . iif type <!>local",
        hooks: IN,
        ..WORD
    },
    Word {
        name: "pkttype",
        xtables: "-m pkttype <!>--pkt-type <unicast|broadcast|multicast>",
        nft: "meta pkttype <!><unicast|broadcast|multicast>",
        ..WORD
    },
    Word {
        name: "length",
        xtables: "-m length <!>--length <84|0:83|85:200>",
        nft: "meta length <!><84|0-83|85-200>",
        about: NotTcp,
        ..WORD
    },
    Word {
        name: "ttl",
        xtables: "-m ttl <--ttl-eq 64|! --ttl-eq 64|--ttl-lt 64|--ttl-gt 62>",
        nft: "ip ttl <64|!= 64|lt 64|gt 62>",
        version: V4,
        ..WORD
    },
    Word {
        name: "hl",
        xtables: "-m hl <--hl-eq 64|! --hl-eq 64|--hl-lt 64|--hl-gt 62>",
        nft: "ip6 hoplimit <64|!= 64|lt 64|gt 62>",
        version: V6,
        ..WORD
    },
    Word { name: "dscp", xtables: "-m dscp <!>--dscp <0x00|0x0a>", nft: "<ip> dscp <!><cs0|af11>", ..WORD },
    Word { name: "tos", xtables: "-m tos <!>--tos <0x00/0xfc|0x10/0xfc>", ..WORD },
    Word { name: "comment", xtables: "-m comment --comment hello", nft: "", weight: 2, ..WORD },
    Word {
        name: "owner uid-owner",
        xtables: "-m owner <!>--uid-owner <0|1000>",
        nft: "meta skuid <!><0|1000>",
        hooks: OUTPUT | POSTROUTING,
        modelled: false,
        ..WORD
    },
    Word {
        name: "rpfilter",
        xtables: "-m rpfilter<| --loose| --invert>",
        nft: "fib saddr . iif oif <missing|exists>",
        hooks: PREROUTING,
        tables: &["raw", "mangle"],
        ..WORD
    },
    Word { name: "fragment", xtables: "<!>-f", version: V4, weight: 1, ..WORD },
    Word {
        name: "nfproto",
        slot: "version",
        nft: "meta nfproto <!><ipv4>",
        families: &["inet"],
        kinds: &["filter", "route"],
        version: V4,
        ..WORD
    },
    Word {
        name: "nfproto",
        slot: "version",
        nft: "meta nfproto <!><ipv6>",
        families: &["inet"],
        kinds: &["filter", "route"],
        version: V6,
        ..WORD
    },
    Word { name: "ip protocol", slot: "protocol", nft: "ip protocol <!><tcp|udp|icmp>", version: V4, ..WORD },
    Word {
        name: "ip6 nexthdr",
        slot: "protocol",
        nft: "ip6 nexthdr <!><tcp|udp|ipv6-icmp>",
        version: V6,
        ..WORD
    },
    Word {
        name: "statistic",
        xtables: "-m statistic --mode <nth --every 2 --packet 0|random --probability 0.5>",
        nft: "numgen inc mod 2 0",
        modelled: false,
        ..WORD
    },
    Word {
        name: "limit",
        xtables: "-m limit --limit <1/hour|1000/sec>",
        nft: "limit rate <1/hour|1000/second>",
        modelled: false,
        ..WORD
    },
    Word { name: "recent", xtables: "-m recent --name ht --set", ..WORD },
    Word { name: "u32", xtables: "-m u32 --u32 0x6&0xff=0x6", version: V4, modelled: false, ..WORD },
];
