//! ipsets of every kind that the kernel has: what it counts as a member is one for the walk.

use std::fmt::Write as _;
use std::net::SocketAddr;

use sim::Protocol;

use crate::single::{self, Before, Place, Scratch};

const SETS: &str = "\
create ip hash:ip family inet\nadd ip 10.9.0.2
create ips hash:ip family inet netmask 24\nadd ips 10.9.0.77
create other hash:ip family inet\nadd other 10.9.0.3
create bits bitmap:ip range 10.9.0.0/24\nadd bits 10.9.0.2
create cards bitmap:ip,mac range 10.9.0.0/24\nadd cards 10.9.0.1
create net hash:net family inet\nadd net 10.0.0.0/8\nadd net 10.9.0.0/24 nomatch\nadd net 10.9.0.2/31
create hole hash:net family inet\nadd hole 10.0.0.0/8\nadd hole 10.9.0.0/24 nomatch
create port bitmap:port range 0-1024\nadd port 50-60
create ipport hash:ip,port family inet\nadd ipport 10.9.0.2,tcp:53\nadd ipport 10.9.0.2,icmp:8/0
create ipudp hash:ip,port family inet\nadd ipudp 10.9.0.2,udp:53\nadd ipudp 10.9.0.2,icmp:0/0
create netport hash:net,port family inet\nadd netport 10.9.0.0/24,udp:53
create three hash:ip,port,ip family inet\nadd three 10.9.0.2,tcp:53,10.9.0.1
create ends hash:ip,port,net family inet\nadd ends 10.9.0.2,udp:53,10.9.0.0/24\nadd ends 10.9.0.2,icmp:8/0,10.8.0.0/24
create link hash:net,iface family inet\nadd link 10.9.0.0/24,d0\nadd link 10.9.0.1/32,d1
create list list:set size 8\nadd list other\nadd list ip
create six hash:net family inet6\nadd six fd00:9::/64\nadd six fd00:9::2 nomatch
create sixport hash:ip,port family inet6\nadd sixport fd00:9::2,icmpv6:128/0\nadd sixport fd00:9::2,udp:53
";

/// Sets and directions, each asked by rules of the families that it is for.
const ASKED: [(&str, &str); 25] = [
    ("ip", "dst"),
    ("ip", "src"),
    ("ips", "src"),
    ("bits", "dst"),
    ("cards", "src,src"),
    ("net", "dst"),
    ("net", "src"),
    ("hole", "dst"),
    ("port", "dst"),
    ("port", "src"),
    ("ipport", "dst,dst"),
    ("ipport", "src,dst"),
    ("ipudp", "dst,dst"),
    ("netport", "dst,dst"),
    ("netport", "src,dst"),
    ("three", "dst,dst,src"),
    ("three", "dst,dst,dst"),
    ("ends", "dst,dst,src"),
    ("link", "dst,dst"),
    ("link", "src,dst"),
    ("list", "dst"),
    ("six", "dst"),
    ("six", "src"),
    ("sixport", "dst,dst"),
    ("sixport", "src,dst"),
];

#[test]
fn ipsets_hold_for_the_walk_what_they_hold_for_the_kernel() {
    let scratch = Scratch::new("sets", "here");
    for words in [
        "link add d0 type veth peer name d1",
        "link set d0 up",
        "link set d1 up",
        "addr add 10.9.0.1/24 dev d0",
        "addr add fd00:9::1/64 dev d0 nodad",
        "neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev d0",
        "neigh add fd00:9::2 lladdr 02:00:00:00:00:02 dev d0",
    ] {
        scratch.run(&format!("ip {words}"), "");
    }
    scratch.run("ipset restore", SETS);
    for (tool, to) in [("iptables-legacy-restore", "10.9.0.2"), ("ip6tables-nft-restore", "fd00:9::2")] {
        let mut rules = "*filter\n:OUTPUT ACCEPT [0:0]\n".to_owned();
        for (set, directions) in ASKED.iter().filter(|(set, _)| is_for(set, to.contains(':'))) {
            for not in ["", "! "] {
                writeln!(rules, "-A OUTPUT -d {to} -m set {not}--match-set {set} {directions}").unwrap();
            }
        }
        rules.push_str("COMMIT\n");
        scratch.run(tool, &rules);
    }
    let mut compared = 0;
    for to in ["10.9.0.2:53", "[fd00:9::2]:53"] {
        let to: SocketAddr = to.parse().unwrap();
        let place = Place { ns: 0, table: "filter", chain: "OUTPUT", family: single::family(to) };
        for protocol in [Protocol::Icmp, Protocol::Udp(to.port()), Protocol::Tcp(to.port())] {
            let before = single::read(&[&scratch]);
            scratch.send(to, protocol);
            let after = single::read(&[&scratch]);
            let earlier = single::rules(&before, place);
            for (at, (earlier, later)) in earlier.iter().zip(single::rules(&after, place)).enumerate() {
                let counted = later.counters.unwrap().packets > earlier.counters.unwrap().packets;
                let said = single::holds(&before, place, (at, Before::LeftOut), (to, protocol));
                assert_eq!(said, Some(counted), "{} for {protocol:?} to {to}", earlier.text);
                compared += 1;
            }
        }
    }
    assert!(compared > 100, "{compared}");
}

/// iptables takes sets of its own family, and such as hold no addresses of either.
fn is_for(set: &str, v6: bool) -> bool {
    matches!(set, "port" | "list") || set.starts_with("six") == v6
}
