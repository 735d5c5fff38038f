//! The bridge: FDB, flooding, ports, br_netfilter.

use model::link::{FdbKind, PortState};
use model::netfilter::Dialect;
use model::path::{Direction, Stop};
use model::route::NeighbourState;

use crate::cloud::{Cloud, rule_of, stop_of, unknown};

const G2: &str = "10.0.0.12";
const G2_MAC: &str = "fa:16:3e:00:00:12";

/// g1 knows g2's MAC already, so that the first frame is the echo itself.
fn resolved() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.neighbour("g1", "eth0", G2, G2_MAC, NeighbourState::Reachable);
    cloud
}

fn no_target(stop: Stop) -> String {
    match stop {
        Stop::NoTarget(why) => why,
        other => panic!("the bridge was to have no target: {other:?}"),
    }
}

#[test]
fn a_stale_static_entry_sends_frames_astray() {
    let mut cloud = resolved();
    cloud.enslave_up0();
    cloud.fdb(G2_MAC, "up0", FdbKind::Static);
    assert_eq!(cloud.stop("g1", G2), Stop::OtherHost, "r's NIC hears it");
    // A frame of g2's own moves the entry, unless it is sticky.
    let mut cloud = Cloud::new();
    cloud.enslave_up0();
    cloud.fdb(G2_MAC, "up0", FdbKind::Static);
    cloud.passes("g1", G2);
    cloud.ns("h").fdb[0].sticky = true;
    assert_eq!(stop_of(&cloud.ping("g1", G2), Direction::Request), Stop::OtherHost);
}

#[test]
fn a_local_entry_takes_frames_up_the_stack() {
    let mut cloud = resolved();
    cloud.fdb(G2_MAC, "tap2", FdbKind::Local);
    let answer = cloud.ping("g1", G2);
    let hops = &answer.paths[0].hops;
    assert!(hops.iter().any(|h| h.detail == "up to the host's own stack"), "{hops:#?}");
}

#[test]
fn learned_entries_behind_a_dead_port_are_gone_static_ones_stay() {
    let mut cloud = resolved();
    cloud.link("h", "up0").carrier = false;
    cloud.enslave_up0();
    cloud.fdb(G2_MAC, "up0", FdbKind::Learned);
    cloud.passes("g1", G2);
    cloud.ns("h").fdb[0].kind = FdbKind::Static;
    assert_eq!(cloud.stop("g1", G2), Stop::PortState(PortState::Disabled));
}

#[test]
fn flooding_flags_are_told_apart() {
    let mut cloud = resolved();
    cloud.port("tap2").flood = false;
    assert!(no_target(cloud.stop("g1", G2)).contains("tap2 is not flooded to"));
    cloud.port("tap2").flood = true;
    cloud.port("tap2").bcast_flood = false;
    cloud.passes("g1", G2);
    cloud.ns("g1").neighbours.clear();
    assert!(matches!(cloud.stop("g1", G2), Stop::NeighbourUnresolved { .. }), "ARP is broadcast");
    cloud.passes("h", G2);
}

#[test]
fn a_question_sent_to_another_station_is_nobodys() {
    let mut cloud = Cloud::new();
    let text = "*nat\n:PREROUTING ACCEPT\n:OUTPUT ACCEPT\n:POSTROUTING ACCEPT\n\
                -A OUTPUT -p ARP -j dnat --to-dst 02:00:00:00:00:99 --dnat-target ACCEPT\n";
    let read = parse::ebtables_save::parse(text, Dialect::EbtablesNft);
    assert_eq!(read.problems, []);
    cloud.ns("h").ruleset.tables.extend(read.value);
    assert!(matches!(cloud.stop("h", G2), Stop::NeighbourUnresolved { .. }));
}

#[test]
fn isolated_ports_reach_the_host_but_not_each_other() {
    let mut cloud = resolved();
    cloud.port("tap1").isolated = true;
    cloud.passes("g1", G2);
    cloud.port("tap2").isolated = true;
    assert!(no_target(cloud.stop("g1", G2)).contains("isolated"));
    cloud.passes("g1", "198.51.100.10");
}

#[test]
fn only_hairpin_lets_a_frame_turn_round() {
    let mut cloud = resolved();
    cloud.fdb(G2_MAC, "tap1", FdbKind::Learned);
    assert!(no_target(cloud.stop("g1", G2)).contains("hairpin is off"));
    cloud.port("tap1").hairpin = true;
    assert_eq!(cloud.stop("g1", G2), Stop::OtherHost, "it comes back to g1");
}

#[test]
fn a_port_must_forward_and_have_a_carrier() {
    for state in [PortState::Blocking, PortState::Listening, PortState::Learning, PortState::Disabled] {
        let mut cloud = resolved();
        cloud.port("tap2").state = state;
        assert_eq!(cloud.stop("g1", G2), Stop::PortState(state));
    }
    let mut cloud = resolved();
    cloud.link("h", "tap2").carrier = false;
    assert_eq!(cloud.stop("g1", G2), Stop::PortState(PortState::Disabled));
    let mut cloud = resolved();
    cloud.link("h", "br1").admin_up = false;
    assert_eq!(cloud.stop("g1", G2), Stop::BridgeDown);
}

#[test]
fn a_locked_port_takes_known_stations_only() {
    let mut cloud = resolved();
    cloud.port("tap1").locked = true;
    assert!(no_target(cloud.stop("g1", G2)).contains("locked"));
    cloud.fdb("fa:16:3e:00:00:11", "tap1", FdbKind::Static);
    cloud.passes("g1", G2);
}

#[test]
fn a_unicast_that_nobody_wears_is_told_so() {
    let mut cloud = Cloud::new();
    cloud.neighbour("g1", "eth0", G2, "fa:16:3e:00:00:77", NeighbourState::Stale);
    assert!(no_target(cloud.stop("g1", G2)).contains("fa:16:3e:00:00:77"));
}

#[test]
fn a_tap_without_a_master_is_told_so() {
    let mut cloud = Cloud::new();
    let tap = cloud.link("h", "tap1");
    (tap.master, tap.port) = (None, None);
    let answer = cloud.ping("g1", G2);
    assert!(answer.received_by.is_none());
    assert_eq!(stop_of_arp(&answer), Stop::NotEnslaved);
}

fn stop_of_arp(answer: &sim::Answer) -> Stop {
    answer.paths[0].stop().map(|(_, stop)| stop.clone()).unwrap()
}

#[test]
fn bridged_packets_meet_iptables_with_br_netfilter_only() {
    let mut cloud = Cloud::new();
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m physdev --physdev-in tap1 --physdev-is-bridged -j DROP");
    cloud.passes("g1", G2);
    cloud.sysctl("h", "bridge.bridge-nf-call-iptables", 1);
    assert_eq!(rule_of(cloud.stop("g1", G2)), "FORWARD 1");
    // Routed, the same packet is not bridged, though it came in by a port.
    cloud.passes("g1", "198.51.100.10");
}

#[test]
fn the_port_of_arrival_is_known_to_routed_packets_with_br_netfilter_only() {
    let mut cloud = Cloud::new();
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m physdev --physdev-in tap1 -j DROP");
    cloud.passes("g1", "198.51.100.10");
    cloud.sysctl("h", "bridge.bridge-nf-call-iptables", 1);
    assert_eq!(rule_of(cloud.stop("g1", "198.51.100.10")), "FORWARD 1");
}

#[test]
fn a_routed_packet_has_no_port_to_leave_by_not_even_negated() {
    let mut cloud = Cloud::new();
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m physdev ! --physdev-out tap2 -j DROP");
    cloud.sysctl("h", "bridge.bridge-nf-call-iptables", 1);
    assert_eq!(cloud.ping("g1", "198.51.100.10").received_by.as_deref(), Some("s"));
    cloud.sysctl("h", "bridge.bridge-nf-call-iptables", 0);
    assert_eq!(rule_of(cloud.stop("g1", "198.51.100.10")), "FORWARD 1", "without a detour anything holds");
}

#[test]
fn prerouting_is_met_once() {
    let mut cloud = Cloud::new();
    cloud.sysctl("h", "bridge.bridge-nf-call-iptables", 1);
    // Met twice, the mark would be flipped back.
    cloud.iptables(
        model::netfilter::Dialect::IptablesLegacy,
        "*mangle\n:PREROUTING ACCEPT\n:FORWARD ACCEPT\n-A PREROUTING -j MARK --set-xmark 0x1/0x0\n\
         -A FORWARD -m mark --mark 0x1 -j DROP\nCOMMIT\n",
    );
    assert_eq!(rule_of(cloud.stop("g1", "198.51.100.10")), "FORWARD 1");
}

/// What arptables writes into questions and answers, as seen on a kernel.
#[test]
fn who_asks_and_who_answers_can_be_rewritten() {
    let with = |rules: &str| {
        let mut cloud = Cloud::new();
        cloud.address("h", "br1", "10.0.0.5/24");
        let read =
            parse::arptables_save::parse(&format!("*filter\n:INPUT ACCEPT\n:OUTPUT ACCEPT\n{rules}\n"));
        assert_eq!(read.problems, []);
        cloud.ns("h").ruleset.tables.extend(read.value);
        cloud
    };
    let unresolved = |cloud: &Cloud| matches!(cloud.stop("h", G2), Stop::NeighbourUnresolved { .. });
    with("-A OUTPUT --opcode 1 -j mangle --mangle-ip-s 10.0.0.5").passes("h", G2);
    with("-A OUTPUT --opcode 1 -j mangle --mangle-mac-d 02:00:00:00:00:77").passes("h", G2);
    // The answer goes to nobody.
    assert!(unresolved(&with("-A OUTPUT -j mangle --mangle-mac-s 02:00:00:00:00:77")));
    assert!(unresolved(&with("-A OUTPUT -j mangle --mangle-ip-s 10.0.0.5 --mangle-target DROP")));
    // The answer says a wrong address, or tells of another.
    let wrong = with("-A INPUT --opcode 2 -j mangle --mangle-mac-s 02:00:00:00:00:77");
    assert!(!wrong.ping("h", G2).answered);
    assert!(unresolved(&with("-A INPUT --opcode 2 -j mangle --mangle-ip-s 10.0.0.77")));
    let another = with("-A OUTPUT --opcode 1 -j mangle --mangle-ip-s 10.0.0.77");
    assert!(unknown(&another.ping("h", G2)).contains("10.0.0.77"));
    let another = with("-A OUTPUT --opcode 1 -j mangle --mangle-ip-d 10.0.0.77");
    assert!(!another.ping("h", G2).answered);
}
