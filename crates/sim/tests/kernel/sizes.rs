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

/// Three machines in a line, the last two links apart: `far`, `router`, `near`.
fn line(names: [&'static str; 3], mtu: u32) -> [Scratch; 3] {
    let [far, router, near] = names.map(|name| Scratch::new("sizes", name));
    router.run(&format!("ip link add v0 type veth peer name v0 netns {}", near.name), "");
    let narrow = format!("ip link add v1 mtu {mtu} type veth peer name v0 mtu {mtu} netns {}", far.name);
    router.run(&narrow, "");
    for (place, address, device) in [
        (&near, "10.9.1.2/24", "v0"),
        (&router, "10.9.1.1/24", "v0"),
        (&router, "10.9.2.1/24", "v1"),
        (&far, "10.9.2.2/24", "v0"),
    ] {
        place.run(&format!("ip address add {address} dev {device}"), "");
        place.run(&format!("ip link set {device} up"), "");
    }
    near.run("ip route add default via 10.9.1.1", "");
    far.run("ip route add default via 10.9.2.1", "");
    router.run("sysctl -qw net.ipv4.ip_forward=1", "");
    near.run("ping -q -n -c 1 -W 5 10.9.2.2", "");
    [far, router, near]
}

#[test]
fn a_routers_word_that_a_packet_is_too_large_comes_back_for_the_walk_where_it_does_for_the_kernel() {
    let [far, router, near] = line(["wordfar", "wordrouter", "wordnear"], 1400);
    for rule in ["", "iptables -A OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP"] {
        if !rule.is_empty() {
            router.run(rule, "");
        }
        let snapshot = read(&[&far, &router, &near]);
        let intent = Intent::default();
        let world = World::new(&snapshot, &intent);
        let to = IpAddr::V4(Ipv4Addr::new(10, 9, 2, 2));
        let protocol = Protocol::WholeIcmp(1500);
        let answer = sim::ask(&world, &Question { from: Endpoint::Machine(2), to, protocol, reply: true });
        assert!(matches!(answer.paths.last().unwrap().stop(), Some((_, Stop::TooBig { mtu: 1400 }))));
        let word = answer.too_big_told.unwrap();
        // What was told before is remembered, and would be told by the sender's own stack.
        near.run("ip route flush cache", "");
        let ping = ["ping", "-n", "-c", "1", "-W", "0.5", "-M", "do", "-s", "1472", "10.9.2.2"];
        let out = Command::new("ip").args(["netns", "exec", &near.name]).args(ping).output().unwrap();
        let is_told = String::from_utf8_lossy(&out.stdout).contains("From 10.9.1.1");
        assert_eq!(matches!(word.disposition, Disposition::Delivered { .. }), is_told, "{rule}: {word:?}");
        assert_eq!(is_told, rule.is_empty());
    }
}

#[test]
fn a_routers_word_that_a_ttl_ran_out_comes_back_for_the_walk_where_it_does_for_the_kernel() {
    let [far, router, near] = line(["ttlfar", "ttlrouter", "ttlnear"], 1500);
    for rule in ["", "iptables -A OUTPUT -p icmp --icmp-type time-exceeded -j DROP"] {
        if !rule.is_empty() {
            router.run(rule, "");
        }
        let snapshot = read(&[&far, &router, &near]);
        let intent = Intent::default();
        let world = World::new(&snapshot, &intent);
        let to = IpAddr::V4(Ipv4Addr::new(10, 9, 2, 2));
        for ttl in 1..=2 {
            let protocol = Protocol::Traced { ttl, router: None };
            let answer =
                sim::ask(&world, &Question { from: Endpoint::Machine(2), to, protocol, reply: true });
            let [there, back] = &answer.paths[..] else { panic!("{answer:?}") };
            assert_eq!(matches!(there.stop(), Some((_, Stop::TtlExceeded))), ttl == 1, "{there:?}");
            let ttl_words = ["-t".to_owned(), ttl.to_string()];
            let ping = ["ping", "-n", "-c", "1", "-W", "0.5", "10.9.2.2"];
            let out =
                Command::new("ip").args(["netns", "exec", &near.name]).args(ping).args(ttl_words).output();
            let said = String::from_utf8_lossy(&out.unwrap().stdout).into_owned();
            let is_told = said.contains("From 10.9.1.1") || said.contains("from 10.9.2.2");
            assert_eq!(
                matches!(back.disposition, Disposition::Delivered { .. }),
                is_told,
                "{rule}: {back:?}"
            );
            assert_eq!(is_told, rule.is_empty() || ttl == 2);
        }
    }
}
