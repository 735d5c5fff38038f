//! Walks that could go on for ever, and snapshots that lack things.

use model::bond::{Bond, BondMode, BondSlave};
use model::link::{Link, LinkKind};
use model::path::{Direction, Disposition, Stop};
use model::{Intent, Snapshot};
use sim::{Endpoint, Protocol, Question, World};

use crate::cloud::{Cloud, ip, mac, stop_of, unknown, up, way};

#[test]
fn a_routing_loop_ends_by_ttl() {
    let mut cloud = Cloud::new();
    cloud.route("h", "192.0.2.0/24", Some("203.0.113.1"), "up0");
    cloud.route("r", "192.0.2.0/24", Some("203.0.113.34"), "eth1");
    let answer = cloud.ping("g1", "192.0.2.1");
    assert_eq!(stop_of(&answer, Direction::Request), Stop::TtlExceeded);
    let last = way(&answer, Direction::Request).hops.last().unwrap();
    assert!(last.packet.ends_with("ttl 1"), "{}", last.packet);
}

/// h and r are joined by a bond of two cables on each side.
fn bonded() -> Cloud {
    let mut cloud = Cloud::new();
    for name in ["h", "r"] {
        let bond = Some(Bond { mode: BondMode::BalanceXor, ..Bond::default() });
        cloud.add(name, Link { name: "bond0".into(), kind: LinkKind::Bond, bond, ..up() });
    }
    for nth in 0..2 {
        let (near, far) = (format!("s{nth}"), format!("t{nth}"));
        cloud.cable(("h", &near, "02:00:00:00:0c:01"), ("r", &far, "02:00:00:00:0c:02"));
        for (name, link) in [("h", &near), ("r", &far)] {
            let bond = cloud.index(name, "bond0");
            let slave = cloud.link(name, link);
            slave.master = Some(bond);
            slave.bond_slave = Some(BondSlave { is_up: true, is_active: true, aggregator: None });
        }
    }
    cloud.link("h", "bond0").mac = Some(mac("02:00:00:00:0c:01"));
    cloud.link("r", "bond0").mac = Some(mac("02:00:00:00:0c:02"));
    cloud.address("h", "bond0", "192.0.2.1/30");
    cloud.address("r", "bond0", "192.0.2.2/30");
    cloud
}

#[test]
fn a_routing_loop_whose_way_forks_at_every_turn_ends() {
    let mut cloud = bonded();
    cloud.passes("h", "192.0.2.2");
    cloud.route("h", "192.0.2.64/26", Some("192.0.2.2"), "bond0");
    cloud.route("r", "192.0.2.64/26", Some("192.0.2.1"), "bond0");
    let answer = cloud.ping("g1", "192.0.2.65");
    assert_eq!(answer.received_by, None);
    assert!(unknown(&answer).starts_with("which slave of bond0"), "{}", unknown(&answer));
}

/// Three cables between br1 and a second bridge of the host.
fn ring() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.bridge("h", "br2", "02:00:00:00:01:02");
    for nth in 0..3 {
        let (near, far) = (format!("a{nth}"), format!("b{nth}"));
        cloud.cable(
            ("h", &near, &format!("02:00:00:00:0a:0{nth}")),
            ("h", &far, &format!("02:00:00:00:0b:0{nth}")),
        );
        cloud.enslave("h", &near, "br1");
        cloud.enslave("h", &far, "br2");
    }
    cloud
}

#[test]
fn a_ring_of_bridges_ends_and_what_arrives_first_counts() {
    let mut cloud = ring();
    cloud.passes("g1", "10.0.0.12");
    cloud.link("h", "tap2").master = None;
    assert!(cloud.ping("g1", "10.0.0.12").received_by.is_none());
}

#[test]
fn entries_that_point_in_a_circle_end_as_a_loop() {
    let mut cloud = ring();
    cloud.neighbour("g1", "eth0", "10.0.0.12", "fa:16:3e:00:00:12", model::route::NeighbourState::Stale);
    for port in ["a0", "b1"] {
        cloud.fdb("fa:16:3e:00:00:12", port, model::link::FdbKind::Static);
    }
    assert_eq!(cloud.stop("g1", "10.0.0.12"), Stop::Loop);
}

#[test]
fn chains_that_call_themselves_or_nothing_are_unknown() {
    for rules in
        ["-A FORWARD -j a\n-A a -j a", "-A FORWARD -j a\n-A a -j b\n-A b -g a", "-A FORWARD -j nowhere"]
    {
        let mut cloud = Cloud::new();
        cloud.filter(&format!(":FORWARD ACCEPT\n:a - [0:0]\n:b - [0:0]\n:nowhere - [0:0]\n{rules}"));
        cloud.ns("h").ruleset.tables[0].chains.retain(|c| c.name != "nowhere");
        let answer = cloud.ping("g1", "198.51.100.10");
        assert!(
            matches!(way(&answer, Direction::Request).disposition, Disposition::Unknown { .. }),
            "{rules}"
        );
    }
}

#[test]
fn chains_that_fan_out_end() {
    let mut cloud = Cloud::new();
    let mut rules = ":FORWARD ACCEPT\n-A FORWARD -j c0\n".to_owned();
    for level in 0..30 {
        rules += &format!(":c{level} - [0:0]\n");
        for _ in 0..4 {
            rules += &format!("-A c{level} -j c{}\n", level + 1);
        }
    }
    cloud.filter(&(rules + ":c30 - [0:0]"));
    let answer = cloud.ping("g1", "198.51.100.10");
    assert!(matches!(way(&answer, Direction::Request).disposition, Disposition::Unknown { .. }));
}

#[test]
fn whatever_is_taken_away_nothing_panics() {
    let whole = Cloud::new();
    let intent = Intent::default();
    let counts = |s: &Snapshot| -> Vec<usize> { s.netns.iter().map(|n| n.links.len()).collect() };
    for (ns, links) in counts(&whole.snapshot).into_iter().enumerate() {
        for link in 0..links {
            let mut snapshot = whole.snapshot.clone();
            snapshot.netns[ns].links.remove(link);
            let world = World::new(&snapshot, &intent);
            for from in 0..snapshot.netns.len() {
                for protocol in [Protocol::Arp, Protocol::Icmp] {
                    let question = Question {
                        from: Endpoint::Machine(from),
                        to: ip("198.51.100.10").into(),
                        protocol,
                        reply: true,
                    };
                    assert!(!sim::ask(&world, &question).paths.is_empty());
                }
            }
        }
    }
}
