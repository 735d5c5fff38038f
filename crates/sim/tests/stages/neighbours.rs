//! Neighbour entries and who answers ARP.

use model::path::Stop;
use model::route::{Neighbour, NeighbourState};

use crate::cloud::{Cloud, ip};

const SERVER: &str = "198.51.100.10";
const NOBODYS: &str = "02:00:00:00:00:99";

fn unresolved(stop: &Stop, who: &str) -> bool {
    matches!(stop, Stop::NeighbourUnresolved { ip: asked, .. } if *asked == ip(who))
}

#[test]
fn valid_entries_are_used_even_if_wrong_others_are_asked_for_again() {
    use NeighbourState::{Delay, Failed, Incomplete, Noarp, None, Permanent, Probe, Reachable, Stale};
    for state in [Reachable, Stale, Delay, Probe, Permanent, Noarp] {
        let mut cloud = Cloud::new();
        cloud.neighbour("h", "up0", "203.0.113.1", NOBODYS, state);
        assert_eq!(cloud.stop("g1", SERVER), Stop::OtherHost, "{state:?}");
    }
    for state in [Failed, Incomplete, None] {
        let mut cloud = Cloud::new();
        cloud.neighbour("h", "up0", "203.0.113.1", NOBODYS, state);
        cloud.passes("g1", SERVER);
    }
}

#[test]
fn who_was_asked_knows_the_asker_unless_set_by_hand() {
    // g2 answers nobody's ARP, but asked for the host itself just before.
    let mut cloud = Cloud::new();
    cloud.sysctl("g2", "ipv4.conf.all.arp_ignore", 8);
    cloud.passes("g2", SERVER);
    assert!(unresolved(&cloud.stop("h", "10.0.0.12"), "10.0.0.12"));
    let mut cloud = Cloud::new();
    cloud.neighbour("h", "up0", "203.0.113.1", NOBODYS, NeighbourState::Permanent);
    assert!(!cloud.ping("s", "203.0.113.34").answered, "r asked for h, which keeps its own entry");
    cloud.ns("h").neighbours[0].state = NeighbourState::Stale;
    cloud.passes("s", "203.0.113.34");
}

#[test]
fn arp_ignore_by_its_numbers() {
    // 203.0.113.34 is asked for on br1's side, 10.0.0.1 on its own link by a sender of its subnet.
    for (value, own, other_links) in
        [(0, true, true), (1, true, false), (2, true, false), (3, true, true), (8, false, false)]
    {
        let mut cloud = Cloud::new();
        cloud.sysctl("h", "ipv4.conf.br1.arp_ignore", value);
        cloud.route("g1", "203.0.113.34/32", None, "eth0");
        assert_eq!(cloud.ping("g1", "10.0.0.1").answered, own, "own, {value}");
        assert_eq!(cloud.ping("g1", "203.0.113.34").answered, other_links, "other link's, {value}");
    }
}

#[test]
fn arp_ignore_2_wants_one_subnet_for_both() {
    let mut cloud = Cloud::new();
    cloud.sysctl("h", "ipv4.conf.all.arp_ignore", 2);
    cloud.address("h", "up0", "203.0.113.101/32");
    cloud.passes("s", "203.0.113.101");
}

#[test]
fn a_proxy_answers_for_what_it_would_forward_elsewhere() {
    let mut cloud = Cloud::new();
    cloud.route("g1", "198.51.100.0/24", None, "eth0");
    assert!(unresolved(&cloud.stop("g1", SERVER), SERVER));
    cloud.sysctl("h", "ipv4.conf.br1.proxy_arp", 1);
    // The bridge's own stack hears the broadcast as every port does.
    let entry = Neighbour {
        link: cloud.index("r", "eth1"),
        ip: "10.0.0.77".parse().unwrap(),
        mac: None,
        state: NeighbourState::None,
        proxy: true,
    };
    cloud.ns("r").neighbours.push(entry);
    cloud.route("r", "10.0.0.77/32", Some(SERVER), "eth0");
    cloud.route("h", "10.0.0.77/32", None, "up0");
    let answer = cloud.ping("h", "10.0.0.77");
    assert_eq!(answer.paths[0].hops.iter().filter(|h| h.at.host == "s").count(), 1, "{answer:#?}");
}
