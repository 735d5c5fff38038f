//! Conditions and changes of ebtables, one rule each, against the kernel.

use std::net::SocketAddr;

use model::netfilter::Family;
use sim::Protocol;

use crate::single::{self, Before, Place, Scratch};

/// Of what a bridge takes for itself.
const CONDITIONS: [&str; 44] = [
    "-i p0",
    "-i ! p0",
    "-i p+",
    "-s 02:00:00:00:00:02",
    "-s ! 02:00:00:00:00:02",
    "-s 02:00:00:00:00:00/ff:ff:00:00:00:00",
    "-d 02:00:00:00:00:01",
    "-d Unicast",
    "-d ! Broadcast",
    "-p IPv4",
    "-p ! IPv4",
    "-p IPv6",
    "-p 0x0806",
    "-p Length",
    "-p 802_1Q --vlan-id 5",
    "-p 802_1Q --vlan-encap ARP",
    "-p IPv4 --ip-src 10.9.0.2",
    "-p IPv4 --ip-src ! 10.9.0.0/24",
    "-p IPv4 --ip-dst 10.0.0.1/255.0.0.255",
    "-p IPv4 --ip-proto udp",
    "-p IPv4 --ip-proto ! udp",
    "-p IPv4 --ip-proto udp --ip-dport 50:60",
    "-p IPv4 --ip-proto tcp --ip-dport ! 53",
    "-p IPv4 --ip-proto tcp --ip-sport 1024:65535",
    "-p IPv4 --ip-proto icmp --ip-icmp-type 8/0",
    "-p IPv4 --ip-proto icmp --ip-icmp-type 7:9/0:3",
    "-p IPv4 --ip-proto icmp --ip-icmp-type ! 8/1:2",
    "-p IPv6 --ip6-src fd00:9::2",
    "-p IPv6 --ip6-dst ! fd00:9::/64",
    "-p IPv6 --ip6-proto tcp --ip6-dport 53",
    "-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type 128",
    "-p IPv6 --ip6-proto ipv6-icmp --ip6-icmp-type 127:129/0",
    "--pkttype-type host",
    "--pkttype-type ! otherhost",
    "--mark 0",
    "--mark ! 1/1",
    "--mark /5",
    "--mark ! /5",
    "--among-src 02:00:00:00:00:02,02:00:00:00:00:03",
    "--among-src ! 02:00:00:00:00:02",
    "-p IPv4 --among-src 02:00:00:00:00:02=10.9.0.2",
    "-p IPv4 --among-dst 02:00:00:00:00:01=10.9.0.9,02:00:00:00:00:04",
    "-d BGA --stp-type 1",
    "-p IPv4 --ip-tos 4",
];

const OF_ARP: [&str; 14] = [
    "-p ARP",
    "-p ARP --arp-op Request",
    "-p ARP --arp-op ! Request",
    "-p ARP --arp-op 2",
    "-p ARP --arp-htype 1 --arp-ptype 0x800",
    "-p ARP --arp-htype ! 1",
    "-p ARP --arp-ip-src 10.9.0.2",
    "-p ARP --arp-ip-src ! 10.9.0.0/24",
    "-p ARP --arp-ip-dst 10.9.0.1",
    "-p ARP --arp-mac-src 02:00:00:00:00:02",
    "-p ARP --arp-mac-src ! 02:00:00:00:00:02",
    "-p ARP --arp-mac-dst 00:00:00:00:00:00",
    "-p ARP --arp-gratuitous",
    "-p ARP ! --arp-gratuitous",
];

const CHANGES: [&str; 9] = [
    "-p IPv4 -j mark --set-mark 0x1f --mark-target CONTINUE",
    "--mark 0x1f",
    "-p IPv4 -j mark --mark-xor 0x3 --mark-target CONTINUE",
    "--mark 0x1c",
    "-p IPv4 -j mark --mark-and 0x18 --mark-target CONTINUE",
    "--mark 0x18",
    "-p IPv4 -j mark --mark-or 0x100 --mark-target CONTINUE",
    "--mark 0x118",
    "--mark /0x10",
];

/// A bridge with an address, and a machine on a port of it.
fn bridge(label: &str) -> (Scratch, Scratch) {
    let (here, there) = (Scratch::new(label, "here"), Scratch::new(label, "there"));
    for words in [
        "link add br0 address 02:00:00:00:00:01 type bridge".to_owned(),
        format!(
            "link add p0 master br0 type veth peer name up0 address 02:00:00:00:00:02 netns {}",
            there.name
        ),
        "link set br0 address 02:00:00:00:00:01".to_owned(),
        "link set p0 up".to_owned(),
        "link set br0 up".to_owned(),
        "addr add 10.9.0.1/24 dev br0".to_owned(),
        "addr add fd00:9::1/64 dev br0 nodad".to_owned(),
        "neigh add 10.9.0.2 lladdr 02:00:00:00:00:02 dev br0".to_owned(),
        "neigh add fd00:9::2 lladdr 02:00:00:00:00:02 dev br0".to_owned(),
    ] {
        here.run(&format!("ip {words}"), "");
    }
    for words in [
        "link set up0 up",
        "addr add 10.9.0.2/24 dev up0",
        "addr add fd00:9::2/64 dev up0 nodad",
        "neigh add 10.9.0.1 lladdr 02:00:00:00:00:01 dev up0",
        "neigh add fd00:9::1 lladdr 02:00:00:00:00:01 dev up0",
    ] {
        there.run(&format!("ip {words}"), "");
    }
    (here, there)
}

/// Rules in INPUT. Frames of IPv6's own housekeeping go to groups, and are kept out.
fn load(here: &Scratch, rules: &[&str]) {
    let mut save = "*filter\n:INPUT ACCEPT\n:FORWARD ACCEPT\n:OUTPUT ACCEPT\n".to_owned();
    for rule in rules {
        let own = if rule.contains("-d ") || rule.contains("ARP") { "" } else { "-d 02:00:00:00:00:01 " };
        let then = if rule.contains("-j ") { "" } else { " -j CONTINUE" };
        save.push_str(&format!("-A INPUT {own}{rule}{then}\n"));
    }
    here.run("ebtables-nft-restore", &save);
}

const PLACE: Place = Place { ns: 0, table: "filter", chain: "INPUT", family: Family::Bridge };
const OF_ARPTABLES: Place = Place { family: Family::Arp, ..PLACE };

/// How often what the walk says of a rule was compared with what the kernel counted.
fn compare(
    (here, there): (&Scratch, &Scratch),
    place: Place,
    (to, protocol): (&str, Protocol),
    others: Before,
) -> usize {
    let to: SocketAddr = to.parse().unwrap();
    let before = single::read(&[here, there]);
    there.send(to, protocol);
    let after = single::read(&[here, there]);
    let earlier = single::rules(&before, place);
    for (at, (earlier, later)) in earlier.iter().zip(single::rules(&after, place)).enumerate() {
        let counted = later.counters.unwrap().packets > earlier.counters.unwrap().packets;
        let said = single::holds(&before, place, (at, others), (to, protocol));
        assert_eq!(said, Some(counted), "{} for {protocol:?} to {to}", earlier.text);
    }
    earlier.len()
}

#[test]
fn frames_meet_for_the_walk_what_they_meet_for_the_kernel() {
    let (here, there) = bridge("frames");
    let mut compared = 0;
    for (to, rules) in [("10.9.0.1:53", CONDITIONS), ("[fd00:9::1]:53", CONDITIONS)] {
        let v6 = to.starts_with('[');
        let other = |rule: &&&str| rule.contains("IPv4") == v6 && rule.contains("IPv6") != v6;
        let ours: Vec<&str> = rules.iter().filter(|rule| !other(rule)).copied().collect();
        load(&here, &ours);
        for protocol in [Protocol::Icmp, Protocol::Udp(53), Protocol::Tcp(53)] {
            compared += compare((&here, &there), PLACE, (to, protocol), Before::LeftOut);
        }
    }
    load(&here, &OF_ARP);
    compared += compare((&here, &there), PLACE, ("10.9.0.1:53", Protocol::Arp), Before::LeftOut);
    assert!(compared > 200, "{compared}");
}

#[test]
fn marks_of_frames_come_to_the_same_for_the_walk_and_the_kernel() {
    let (here, there) = bridge("marks");
    load(&here, &CHANGES);
    let compared = compare((&here, &there), PLACE, ("10.9.0.1:53", Protocol::Icmp), Before::Kept);
    assert_eq!(compared, CHANGES.len());
}

/// The words of each rule for the nft tool, which are the legacy one's too.
const ARPTABLES: [&str; 15] = [
    "-i br0",
    "! -i br+",
    "-s 10.9.0.2",
    "! -s 10.9.0.0/24",
    "-d 10.9.0.1",
    "-s 10.0.0.2/255.0.0.255",
    "--source-mac 02:00:00:00:00:02",
    "! --source-mac 02:00:00:00:00:02",
    "--source-mac 02:00:00:00:00:ff/ff:ff:00:00:00:00",
    "--source-mac 02:01:00:00:00:02/ff:ff:00:00:00:00",
    "--destination-mac 00:00:00:00:00:00",
    "--opcode Request",
    "! --opcode 1",
    "--proto-type 0x800",
    "--opcode 2 -s 10.9.0.2",
];

#[test]
fn arp_meets_for_the_walk_what_it_meets_for_the_kernel() {
    for tool in ["arptables-nft", "arptables-legacy"] {
        let (here, there) = bridge("arp");
        for rule in ARPTABLES {
            here.run(&format!("{tool} -A INPUT {rule}"), "");
        }
        let question = ("10.9.0.1:53", Protocol::Arp);
        assert_eq!(compare((&here, &there), OF_ARPTABLES, question, Before::LeftOut), ARPTABLES.len());
    }
}
