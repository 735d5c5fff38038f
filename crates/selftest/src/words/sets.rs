//! Matches and targets that look something up in a set: ipset's (ipset(8), xt_set) for xtables, named
//! sets, maps and verdict maps for nft (nft(8), SETS and MAPS). What a word needs is made first; of two of
//! one name the first is.

use super::{About, IN, OUTPUT, PREROUTING, WORD, Word};

use About::Ports;

const MANGLE: &[&str] = &["mangle"];
const NOT_NAT: &[&str] = &["filter", "route"];
const ONLY_NAT: &[&str] = &["nat"];
const EARLY: u8 = PREROUTING | OUTPUT;

/// In the order of the coverage.
pub(crate) static SET_CONDITIONS: &[Word] = &[
    Word {
        name: "set hash:ip",
        xtables: "-m set <!>--match-set hi<v> <src|dst>",
        needs: "create hi<v> hash:ip family <inet6>\nadd hi<v> <host>\nadd hi<v> <host>",
        ..WORD
    },
    Word {
        name: "set hash:net",
        xtables: "-m set <!>--match-set hn<v> <src|dst>",
        needs: "create hn<v> hash:net family <inet6>\nadd hn<v> <whole net>\nadd hn<v> <host> nomatch",
        ..WORD
    },
    Word {
        name: "set hash:net,iface",
        xtables: "-m set <!>--match-set hf<v> <src,src|dst,src>",
        needs: "create hf<v> hash:net,iface family <inet6>\nadd hf<v> <whole net>,<link>\nadd hf<v> <host>,<link>",
        hooks: IN,
        ..WORD
    },
    Word {
        name: "set hash:ip,port",
        xtables: "-m set <!>--match-set hp<v> <dst,dst|src,dst|dst,src>",
        needs: "create hp<v> hash:ip,port family <inet6>\nadd hp<v> <host>,<proto>:<80|53>\nadd hp<v> <host>,tcp:80",
        about: Ports,
        ..WORD
    },
    Word {
        name: "set bitmap:port",
        xtables: "-m set <!>--match-set bp <src|dst>",
        needs: "create bp bitmap:port range 0-9000\nadd bp <80|53>\nadd bp 5000-8100",
        about: Ports,
        ..WORD
    },
    Word {
        name: "set list:set",
        xtables: "-m set <!>--match-set ls<v> <src|dst>",
        needs: "create li<v> hash:ip family <inet6>\nadd li<v> <host>\ncreate lj<v> hash:net family <inet6>\n\
                add lj<v> <host>\ncreate ls<v> list:set\nadd ls<v> li<v>\nadd ls<v> lj<v>",
        weight: 2,
        ..WORD
    },
    Word {
        name: "set of intervals",
        nft: "<ip> <saddr|daddr> <!>@s<v>",
        needs: "set s<v> { type <address>; flags interval; auto-merge; elements = { <host>, <whole net> } }",
        ..WORD
    },
    Word {
        name: "set with timeouts",
        nft: "<ip> <saddr|daddr> <!>@tm<v>",
        needs: "set tm<v> { type <address>; flags timeout; elements = { <host> timeout 1h } }",
        ..WORD
    },
    Word {
        name: "set of concatenations",
        nft: "<ip> saddr . <ip> daddr <!>@c<v>",
        needs: "set c<v> { type <address> . <address>; elements = { <host> . <host> } }",
        ..WORD
    },
    Word {
        name: "set of concatenated intervals",
        nft: "<ip> daddr . <proto> dport <!>@ci<v>",
        needs: "set ci<v> { type <address> . inet_service; flags interval; elements = { <host> . 50-90 } }",
        about: Ports,
        ..WORD
    },
    Word {
        name: "set of links and marks",
        nft: "iifname . meta mark <!>@im",
        needs: "set im { type ifname . mark; elements = { \"<link>\" . <0|1> } }",
        hooks: IN,
        ..WORD
    },
];

/// In the order of the coverage.
pub(crate) static SET_VERDICTS: &[Word] = &[
    Word {
        name: "verdict map",
        nft: "<ip> <saddr|daddr> vmap @vm<v>",
        needs: "map vm<v> { type <address> : verdict; elements = { <host> : <accept|drop|return> } }",
        kinds: NOT_NAT,
        weight: 8,
        ..WORD
    },
    Word {
        name: "verdict map of ports",
        nft: "<proto> dport vmap { 80 : <accept|drop|return>, 53 : <accept|drop|continue> }",
        about: Ports,
        kinds: NOT_NAT,
        ..WORD
    },
    Word {
        name: "mark map",
        nft: "meta mark set <ip> <saddr|daddr> map @mm<v>",
        needs: "map mm<v> { type <address> : mark; elements = { <host> : <0x1|0x2> } }",
        kinds: NOT_NAT,
        ..WORD
    },
    Word {
        name: "dnat map",
        nft: "dnat <inet>to <ip> daddr map @dm<v>",
        needs: "map dm<v> { type <address> : <address>; elements = { <host> : <host> } }",
        kinds: ONLY_NAT,
        hooks: EARLY,
        weight: 8,
        ..WORD
    },
    Word {
        name: "CONNMARK by set",
        slot: "set hash:ip",
        xtables: "-m set --match-set hi<v> src -j CONNMARK --set-xmark 0x1/0xffffffff",
        needs: "create hi<v> hash:ip family <inet6>\nadd hi<v> <host>\nadd hi<v> <host>",
        tables: MANGLE,
        ..WORD
    },
];
