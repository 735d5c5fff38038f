//! Lengths of frames, as nft's rules of bridges, of devices and of ARP see them: each rule alone, against the kernel.

use std::net::SocketAddr;

use model::netfilter::Family;
use sim::Protocol;

use crate::single::{self, Before, Place, Scratch};

/// Around what is sent: of 60, 84, 104 and 28 octets, with and without an Ethernet header.
const LENGTHS: [&str; 12] = [
    "84",
    "98",
    "!= 84",
    "47-60",
    "74",
    "104",
    "118",
    "> 60",
    "> 1000",
    "< 1000",
    "{ 60, 84, 104 }",
    "> 4294967294",
];

/// The MACs of who sends and of who is sent to.
const NEAR: &str = "02:00:00:00:00:02";
const FAR: &str = "02:00:00:00:00:01";

/// A machine, a bridge, and the machine behind it that asks the first.
fn bridged(label: &str) -> [Scratch; 3] {
    let [far, here, near] = ["far", "here", "near"].map(|role| Scratch::new(label, role));
    here.run("ip link add br0 type bridge", "");
    for (place, port, mac, own, other, of_other) in
        [(&near, "p0", NEAR, 2, 1, FAR), (&far, "p1", FAR, 1, 2, NEAR)]
    {
        let veth = format!("type veth peer name up0 address {mac} netns {}", place.name);
        here.run(&format!("ip link add {port} master br0 {veth}"), "");
        here.run(&format!("ip link set {port} up"), "");
        for words in [
            "link set up0 up".to_owned(),
            format!("addr add 10.9.0.{own}/24 dev up0"),
            format!("addr add fd00:9::{own}/64 dev up0 nodad"),
            format!("neigh add 10.9.0.{other} lladdr {of_other} dev up0"),
            format!("neigh add fd00:9::{other} lladdr {of_other} dev up0"),
        ] {
            place.run(&format!("ip {words}"), "");
        }
    }
    here.run("ip link set br0 up", "");
    [far, here, near]
}

/// A chain of a table `t` with a rule for each length, of frames of whom these conditions say.
fn load(place: &Scratch, (family, chain, hook): (&str, &str, &str), whose: &str) {
    let rule = |length: &&str| format!("{whose} meta length {length} counter\n");
    let rules: String = LENGTHS.iter().map(rule).collect();
    place.run(
        "nft -f -",
        &format!(
            "table {family} t {{\nchain {chain} {{\ntype filter hook {hook} priority 0;\n{rules}}}\n}}\n"
        ),
    );
}

/// Sends a packet, and compares what the kernel counted of every rule with what the walk says. How many hold.
fn compare([far, here, near]: &[Scratch; 3], place: Place, to: &str, protocol: Protocol) -> usize {
    let to: SocketAddr = to.parse().unwrap();
    let before = single::read(&[far, here, near]);
    near.send(to, protocol);
    let after = single::read(&[far, here, near]);
    let rules = single::rules(&before, place).into_iter().zip(single::rules(&after, place));
    let mut held = 0;
    for (at, (earlier, later)) in rules.enumerate() {
        let counted = later.counters.unwrap().packets > earlier.counters.unwrap().packets;
        let said = single::holds(&before, place, (at, Before::LeftOut), (to, protocol));
        assert_eq!(said, Some(counted), "{} in {} for {protocol:?} to {to}", earlier.text, place.chain);
        held += usize::from(counted);
    }
    held
}

#[test]
fn a_frame_is_as_long_for_the_walk_as_it_is_for_the_kernel() {
    let cloud = bridged("lengths");
    let [far, here, near] = &cloud;
    let ours = format!("ether saddr {NEAR} ether daddr {FAR}");
    let of_bridge = ["prerouting", "forward", "postrouting"].map(|chain| ("bridge", chain, chain.to_owned()));
    let of_devices = [("netdev", "in", "ingress device p0"), ("netdev", "out", "egress device p1")];
    let of_devices = of_devices.map(|(family, chain, hook)| (family, chain, hook.to_owned()));
    for (family, chain, hook) in of_bridge.into_iter().chain(of_devices) {
        load(here, (family, chain, &hook), &ours);
        let family = if family == "bridge" { Family::Bridge } else { Family::Netdev };
        let place = Place { ns: 1, table: "t", chain, family };
        let mut held = 0;
        for to in ["10.9.0.1:53", "[fd00:9::1]:53"] {
            for protocol in [Protocol::Icmp, Protocol::Udp(53), Protocol::Tcp(53)] {
                held += compare(&cloud, place, to, protocol);
            }
        }
        assert!(held > 20, "{chain}: {held}");
    }
    load(far, ("arp", "input", "input"), "arp operation request");
    load(near, ("arp", "output", "output"), "arp operation request");
    for (ns, chain) in [(0, "input"), (2, "output")] {
        let place = Place { ns, table: "t", chain, family: Family::Arp };
        assert_eq!(compare(&cloud, place, "10.9.0.1:53", Protocol::Arp), 2, "{chain}: != 84, < 1000");
    }
}

#[test]
fn what_a_wire_may_have_padded_is_not_told() {
    let [far, here, near] = bridged("padded");
    let rules = "meta length 28 counter\nmeta length 46 counter\nmeta length < 46 counter\n";
    here.run(
        "nft -f -",
        &format!("table bridge t {{\nchain c {{\ntype filter hook forward priority 0;\n{rules}}}\n}}\n"),
    );
    near.run("ip neigh del 10.9.0.1 dev up0", "");
    let snapshot = single::read(&[&far, &here, &near]);
    let place = Place { ns: 1, table: "t", chain: "c", family: Family::Bridge };
    for at in 0..3 {
        let question = ("10.9.0.1:53".parse().unwrap(), Protocol::Arp);
        assert_eq!(single::holds(&snapshot, place, (at, Before::LeftOut), question), None, "rule {at}");
    }
}
