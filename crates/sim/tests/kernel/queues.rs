//! Packets of every size through queues of every kind: which of them the walk lets out, and which the kernel does.

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

use model::Intent;
use model::path::{Disposition, Stop};
use sim::{Endpoint, Protocol, Question, World};

use crate::single::{Scratch, read};

const FAR: Ipv4Addr = Ipv4Addr::new(10, 9, 1, 1);

#[test]
fn what_a_queue_never_takes_is_lost_for_the_walk_and_the_kernel() {
    let (far, near) = (Scratch::new("queues", "far"), Scratch::new("queues", "near"));
    far.run(&format!("ip link add v0 type veth peer name v0 netns {}", near.name), "");
    for (place, address) in [(&far, "10.9.1.1/24"), (&near, "10.9.1.2/24")] {
        place.run(&format!("ip address add {address} dev v0"), "");
        place.run("ip link set v0 up", "");
    }
    far.run("iptables -A INPUT -p icmp -j ACCEPT", "");
    near.run("ping -q -n -c 1 -W 5 10.9.1.1", "");
    for (queue, lost) in [
        ("pfifo limit 0", &[84, 486, 487, 1500][..]),
        ("pfifo limit 1", &[]),
        ("bfifo limit 500", &[487, 1500]),
        ("blackhole", &[84, 486, 487, 1500]),
        ("tbf rate 10mbit burst 1600 limit 30000", &[]),
        ("tbf rate 10mbit burst 1000 limit 30000", &[1500]),
        ("tbf rate 10mbit burst 2000 limit 500", &[487, 1500]),
        ("htb default 1", &[]),
    ] {
        near.run(&format!("tc qdisc add dev v0 root {queue}"), "");
        let snapshot = read(&[&far, &near]);
        let intent = Intent::default();
        let world = World::new(&snapshot, &intent);
        for octets in [84_u16, 486, 487, 1500] {
            let question = Question {
                from: Endpoint::Machine(1),
                to: IpAddr::V4(FAR),
                protocol: Protocol::WholeIcmp(octets),
                reply: false,
            };
            let answer = sim::ask(&world, &question);
            let end = answer.paths.last().unwrap();
            let arrives = matches!(end.disposition, Disposition::Delivered { .. });
            assert_eq!(!arrives, lost.contains(&octets), "{queue}, {octets}: {end:?}");
            assert!(arrives || matches!(end.stop(), Some((_, Stop::QueueRefuses(_)))), "{queue}, {octets}");
            let before = far.received();
            let size = (octets - 28).to_string();
            let ping = ["ping", "-q", "-n", "-c", "1", "-W", "0.2", "-M", "do", "-s", &size, "10.9.1.1"];
            Command::new("ip").args(["netns", "exec", &near.name]).args(ping).output().unwrap();
            assert_eq!(far.received() > before, arrives, "{queue}, {octets}");
        }
        near.run("tc qdisc del dev v0 root", "");
    }
}
