//! Conditions of iptables, one rule each: what the kernel counts is what the walk says of the rule alone.

use std::net::SocketAddr;

use model::netfilter::Family;
use sim::Protocol;

use crate::single::{self, Before, Place, Scratch};

/// Of both families; `@` stands for where `!` may be.
const OF_BOTH: [&str; 40] = [
    "@-i up0",
    "@-i up+",
    "@-p tcp",
    "-p udp -m udp @--dport 53",
    "-p tcp -m tcp @--dport 50:60",
    "-p tcp -m tcp --sport 1024:65535",
    "-p tcp -m tcp @--tcp-flags SYN,ACK SYN",
    "-p tcp -m multiport @--dports 22,50:53",
    "-p udp -m multiport @--ports 53",
    "-m length @--length 84",
    "-m length @--length 100:200",
    "-m dscp @--dscp 0x00",
    "-m dscp @--dscp 0x2e",
    "-m tos @--tos 0x00/0xfc",
    "-m pkttype @--pkt-type unicast",
    "-m pkttype @--pkt-type broadcast",
    "-m mark @--mark 0x0",
    "-m mark @--mark 0x1/0x1",
    "-m mac @--mac-source 02:00:00:00:00:02",
    "-m mac @--mac-source 02:00:00:00:00:03",
    "-m conntrack @--ctstate NEW",
    "-m conntrack @--ctstate RELATED,ESTABLISHED",
    "-m conntrack @--ctstate INVALID",
    "-m conntrack @--ctstate DNAT",
    "-m conntrack --ctdir ORIGINAL",
    "-m conntrack --ctdir REPLY",
    "-m conntrack @--ctproto 17",
    "-m conntrack @--ctstatus NONE",
    "-m conntrack @--ctstatus SEEN_REPLY",
    "-m conntrack --ctstate NEW --ctdir ORIGINAL @--ctproto 6",
    "-p udp -m conntrack @--ctorigdstport 53",
    "-p tcp -m conntrack @--ctreplsrcport 50:60",
    "-m connmark @--mark 0x0",
    "-m connmark @--mark 0x5/0xff",
    "-m addrtype @--dst-type LOCAL",
    "-m addrtype @--src-type LOCAL",
    "-m addrtype @--src-type UNICAST --limit-iface-in",
    "-m addrtype @--dst-type LOCAL,MULTICAST --limit-iface-in",
    "-m rpfilter",
    "-m recent @--set --name r",
];

const OF_V4: [&str; 16] = [
    "@-s 10.9.0.2/32",
    "@-d 10.9.0.0/24",
    "@-s 10.0.0.2/255.0.0.255",
    "@-f",
    "-p icmp -m icmp @--icmp-type 8",
    "-p icmp -m icmp @--icmp-type 8/1",
    "-p icmp -m icmp --icmp-type any",
    "-m ttl @--ttl-eq 64",
    "-m ttl --ttl-lt 64",
    "-m ttl --ttl-gt 63",
    "-m iprange @--src-range 10.9.0.2-10.9.0.9",
    "-m conntrack @--ctorigsrc 10.9.0.0/24",
    "-m conntrack @--ctrepldst 10.9.0.2",
    "-m conntrack @--ctreplsrc 10.9.0.9",
    "-m rpfilter --invert",
    "-m rpfilter --loose --validmark --accept-local",
];

const OF_V6: [&str; 18] = [
    "-m addrtype @--dst-type UNICAST",
    "-m addrtype @--dst-type UNICAST,LOCAL",
    "-m addrtype @--src-type LOCAL,UNREACHABLE",
    "-m addrtype @--dst-type LOCAL --limit-iface-in",
    "-m addrtype @--src-type LOCAL --limit-iface-in",
    "@-s fd00:9::2/128",
    "-d fd00:9::/64",
    "-p ipv6-icmp -m icmp6 @--icmpv6-type 128",
    "-p ipv6-icmp -m icmp6 @--icmpv6-type 1/4",
    "-m hl @--hl-eq 64",
    "-m hl --hl-lt 64",
    "-m hl --hl-gt 63",
    "-m iprange @--src-range fd00:9::2-fd00:9::9",
    "-m conntrack @--ctorigsrc fd00:9::/64",
    "-m rt @--rt-type 0",
    "-m hbh",
    "-m frag",
    "-m rpfilter --invert",
];

/// Changes, each followed by what then holds, and what does not.
const CHANGES: [&str; 42] = [
    "-j MARK --set-xmark 0x0/0xffffffff",
    "-j MARK --set-xmark 0x1f/0xff",
    "-m mark --mark 0x1f",
    "-j MARK --xor-mark 0x3",
    "-m mark --mark 0x1c",
    "-j MARK --and-mark 0x18",
    "-m mark ! --mark 0x18",
    "-j MARK --or-mark 0x100",
    "-m mark --mark 0x118",
    "-j MARK --set-mark 0x200/0x110",
    "-m mark --mark 0x208",
    "-m mark --mark 0x8/0xff",
    "-j CONNMARK --set-xmark 0x5/0xf",
    "-m connmark --mark 0x5",
    "-m connmark ! --mark 0x4/0x4",
    "-j CONNMARK --and-mark 0x4",
    "-m connmark --mark 0x4",
    "-j CONNMARK --save-mark --nfmask 0xf00 --ctmask 0xff",
    "-m connmark --mark 0x200",
    "-m connmark --mark 0x204",
    "-j CONNMARK --restore-mark --nfmask 0xf --ctmask 0xf00",
    "-m mark --mark 0x0",
    "-m mark --mark 0x200",
    "-j CONNMARK --restore-mark",
    "-m mark --mark 0x200",
    "-j HOPS-dec 3",
    "-m hops-eq 61",
    "-j HOPS-inc 200",
    "-m hops-eq 255",
    "-j HOPS-set 7",
    "-m hops-lt 8",
    "-m hops-gt 7",
    "-j DSCP --set-dscp 0x2e",
    "-m dscp --dscp 0x2e",
    "-m tos --tos 0xb8/0xfc",
    "-j TOS --set-tos 0x10/0x1c",
    "-m dscp --dscp 0x2c",
    "-m dscp ! --dscp 0x2e",
    "-j TOS --and-tos 0x80",
    "-m dscp --dscp 0x20",
    "-j DSCP --set-dscp-class CS0",
    "-m dscp --dscp-class BE",
];

/// Of an `inet` chain.
const OF_NFT: [&str; 20] = [
    "ip ttl set 64",
    "ip6 hoplimit set 64",
    "ip dscp set cs0",
    "ip6 dscp set cs0",
    "ip ttl set 64 ip dscp set cs0",
    "log ip ttl set 64",
    "ip ecn set not-ect",
    "ip saddr set 10.9.0.2",
    "tcp dport set 53",
    "udp dport set 53",
    "tcp option maxseg size set 1400",
    "reset tcp option sack-perm",
    "meta iiftype ether",
    "meta iiftype loopback",
    "meta iiftype != 5",
    "meta oiftype != 5",
    "rt ip nexthop 10.9.0.1",
    "rt ip nexthop != 10.9.0.9",
    "rt ip6 nexthop fd00:9::1",
    "meta mark set 5",
];

/// Two machines on a cable.
fn cable(label: &str) -> (Scratch, Scratch) {
    let (here, there) = (Scratch::new(label, "here"), Scratch::new(label, "there"));
    let veth = format!(
        "ip link add up0 address 02:00:00:00:00:01 type veth peer name up0 address 02:00:00:00:00:02 netns {}",
        there.name
    );
    here.run(&veth, "");
    for (place, own, other) in [(&here, 1, 2), (&there, 2, 1)] {
        for words in [
            "link set lo up".to_owned(),
            "link set up0 up".to_owned(),
            format!("addr add 10.9.0.{own}/24 dev up0"),
            format!("addr add fd00:9::{own}/64 dev up0 nodad"),
            format!("neigh add 10.9.0.{other} lladdr 02:00:00:00:00:0{other} dev up0"),
            format!("neigh add fd00:9::{other} lladdr 02:00:00:00:00:0{other} dev up0"),
        ] {
            place.run(&format!("ip {words}"), "");
        }
    }
    (here, there)
}

#[test]
fn conditions_hold_for_the_walk_where_they_hold_for_the_kernel() {
    for back_end in ["legacy", "nft"] {
        let (here, there) = cable("cond");
        for (family, to, own) in [("ip", "10.9.0.1", &OF_V4[..]), ("ip6", "fd00:9::1", &OF_V6[..])] {
            let mut rules = "*mangle\n:PREROUTING ACCEPT [0:0]\n".to_owned();
            for condition in OF_BOTH.iter().chain(own) {
                for not in ["", "! "].iter().take(1 + usize::from(condition.contains('@'))) {
                    // Only what is sent on purpose counts.
                    let to = if condition.contains("-d ") { String::new() } else { format!(" -d {to}") };
                    rules.push_str(&format!("-A PREROUTING{to} {}\n", condition.replace('@', not)));
                }
            }
            rules.push_str("COMMIT\n");
            here.run(&format!("{family}tables-{back_end}-restore"), &rules);
        }
        assert!(compare(&here, &there, Before::LeftOut) > 400);
    }
}

#[test]
fn changes_come_to_for_the_walk_what_they_come_to_for_the_kernel() {
    for back_end in ["legacy", "nft"] {
        let (here, there) = cable("change");
        for (family, to, target, module) in
            [("ip", "10.9.0.1", "TTL", "ttl"), ("ip6", "fd00:9::1", "HL", "hl")]
        {
            let mut rules = "*mangle\n:PREROUTING ACCEPT [0:0]\n".to_owned();
            for change in CHANGES {
                let words = change
                    .replace("HOPS", &format!("{target} --{module}"))
                    .replace("hops", &format!("{module} --{module}"));
                rules.push_str(&format!("-A PREROUTING -d {to} {words}\n"));
            }
            rules.push_str("COMMIT\n");
            here.run(&format!("{family}tables-{back_end}-restore"), &rules);
        }
        assert!(compare(&here, &there, Before::Kept) > 200);
    }
}

/// What nft lists of a rule does not say all that it asks for.
#[test]
fn what_nft_demands_of_a_packet_and_does_not_list_is_known() {
    let (here, there) = cable("demand");
    let rules: Vec<String> =
        OF_NFT.iter().map(|rule| format!("meta pkttype host {rule} counter\n")).collect();
    for chain in ["prerouting", "input"] {
        let hook = format!("type filter hook {chain} priority 0;");
        let table = format!("table inet {chain} {{\nchain {chain} {{\n{hook}\n{}}}\n}}\n", rules.concat());
        here.run("nft -f -", &table);
    }
    for chain in ["prerouting", "input"] {
        let place = |_| Place { ns: 0, table: chain, chain, family: Family::Inet };
        assert!(compare_in(place, (&here, &there), Before::LeftOut) > 100);
    }
}

fn compare(here: &Scratch, there: &Scratch, others: Before) -> usize {
    let place = |to| Place { ns: 0, table: "mangle", chain: "PREROUTING", family: single::family(to) };
    compare_in(place, (here, there), others)
}

/// Sends of each protocol, and compares what the kernel counted of every rule with what the walk says.
fn compare_in(
    place: impl Fn(SocketAddr) -> Place,
    (here, there): (&Scratch, &Scratch),
    others: Before,
) -> usize {
    let mut compared = 0;
    for to in ["10.9.0.1:53", "[fd00:9::1]:53"] {
        let to: SocketAddr = to.parse().unwrap();
        let place = place(to);
        for protocol in [Protocol::Icmp, Protocol::Udp(to.port()), Protocol::Tcp(to.port())] {
            let before = single::read(&[here, there]);
            there.send(to, protocol);
            let after = single::read(&[here, there]);
            let earlier = single::rules(&before, place);
            for (at, (earlier, later)) in earlier.iter().zip(single::rules(&after, place)).enumerate() {
                let counted = later.counters.unwrap().packets > earlier.counters.unwrap().packets;
                let said = single::holds(&before, place, (at, others), (to, protocol));
                assert_eq!(said, Some(counted), "{} for {protocol:?} to {to}", earlier.text);
                compared += 1;
            }
        }
    }
    compared
}
