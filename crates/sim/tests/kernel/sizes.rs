//! Packets of every size around what the two ends of a veth take: which of them the walk lets arrive, and which the
//! kernel does.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use model::Intent;
use model::path::{Disposition, Stop};
use sim::{Endpoint, Protocol, Question, World};

use crate::single::{Scratch, read};

const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 1);

/// A veth whose near end takes 1500 octets and whose far end takes 1400.
fn veth() -> (Scratch, Scratch) {
    let (far, near) = (Scratch::new("sizes", "far"), Scratch::new("sizes", "near"));
    far.run(&format!("ip link add v0 mtu 1400 type veth peer name v0 mtu 1500 netns {}", near.name), "");
    for (place, address) in [(&far, "10.9.0.1/24"), (&near, "10.9.0.2/24")] {
        place.run(&format!("ip address add {address} dev v0"), "");
        place.run("ip link set v0 up", "");
    }
    far.run("iptables -A INPUT -p icmp -j ACCEPT", "");
    // Neighbours are known from here on.
    near.run("ping -q -n -c 1 -W 5 10.9.0.1", "");
    (far, near)
}

#[test]
fn what_a_veths_other_end_does_not_take_is_lost_for_the_walk_and_the_kernel() {
    let (far, near) = veth();
    let snapshot = read(&[&far, &near]);
    let intent = Intent::default();
    let world = World::new(&snapshot, &intent);
    let mut lost = Vec::new();
    for octets in [84, 1399, 1400, 1401, 1404, 1405, 1500, 1501] {
        let question = Question {
            from: Endpoint::Machine(1),
            to: IpAddr::V4(FAR),
            protocol: Protocol::WholeIcmp(octets),
            reply: false,
        };
        let answer = sim::ask(&world, &question);
        let end = answer.paths.last().unwrap();
        let arrives = matches!(end.disposition, Disposition::Delivered { .. });
        if !arrives {
            let (hop, stop) = end.stop().unwrap();
            assert!(matches!(stop, Stop::TooBig { .. }), "{octets}: {stop:?}");
            lost.push((octets, hop.at.host.clone()));
        }
        let before = far.received();
        let size = (octets - 28).to_string();
        let ping = ["ping", "-q", "-n", "-c", "1", "-W", "0.2", "-M", "do", "-s", &size, "10.9.0.1"];
        Command::new("ip").args(["netns", "exec", &near.name]).args(ping).output().unwrap();
        assert_eq!(far.received() > before, arrives, "{octets}: {end:?}");
    }
    let lost: Vec<(u16, &str)> = lost.iter().map(|(octets, host)| (*octets, host.as_str())).collect();
    assert_eq!(lost, [(1405, "far"), (1500, "far"), (1501, "near")]);
}
