//! NAT: the first packet decides, replies are translated back.

use model::path::Direction;
use sim::Protocol;

use crate::cloud::{Cloud, ip, received, rule_of, stop_of, unknown, way};

const SERVER: &str = "198.51.100.10";
const FLOAT: &str = "203.0.113.101";

fn with_float() -> Cloud {
    let mut cloud = Cloud::new();
    cloud.address("h", "up0", "203.0.113.101/32");
    cloud.nat(
        "-A PREROUTING -d 203.0.113.101/32 -j DNAT --to-destination 10.0.0.11\n\
         -A POSTROUTING -s 10.0.0.11/32 -o up0 -j SNAT --to-source 203.0.113.101",
    );
    cloud
}

#[test]
fn a_floating_address_works_both_ways() {
    let mut cloud = with_float();
    let answer = cloud.ping("s", FLOAT);
    assert!(answer.answered && answer.received_by.as_deref() == Some("g1"), "{answer:#?}");
    let back = way(&answer, Direction::Reply).hops.last().unwrap().packet.clone();
    assert_eq!(back, "203.0.113.101 > 198.51.100.10 ICMP echo reply ttl 62");
    assert_eq!(cloud.ping("g1", SERVER).source_seen, Some(ip(FLOAT).into()));
    cloud.ns("h").ruleset.tables.clear();
    assert_eq!(cloud.ping("s", FLOAT).received_by.as_deref(), Some("h"));
}

#[test]
fn the_first_matching_rule_wins_once_a_connection() {
    let mut cloud = Cloud::new();
    cloud.nat(
        "-A POSTROUTING -s 10.0.0.11/32 -j SNAT --to-source 203.0.113.34\n\
         -A POSTROUTING -j SNAT --to-source 203.0.113.77",
    );
    let answer = cloud.ping("g1", SERVER);
    assert_eq!(answer.source_seen, Some(ip("203.0.113.34").into()));
    assert!(answer.answered, "{answer:#?}");
}

#[test]
fn an_accept_in_nat_leaves_the_packet_as_it_is() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -d 198.51.100.0/24 -j ACCEPT\n-A POSTROUTING -j MASQUERADE");
    assert_eq!(cloud.ping("g1", SERVER).source_seen, Some(ip("10.0.0.11").into()));
}

#[test]
fn masquerade_takes_the_address_towards_the_next_hop() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -o up0 -j MASQUERADE");
    let other = cloud.ns("h").addresses[1].clone();
    let other = model::route::Address { net: "192.0.2.7/24".parse().unwrap(), ..other };
    cloud.ns("h").addresses.insert(0, other);
    assert_eq!(cloud.ping("g1", SERVER).source_seen, Some(ip("203.0.113.34").into()));
}

#[test]
fn a_hairpin_needs_its_source_rewritten_too() {
    let mut cloud = Cloud::new();
    cloud.address("h", "up0", "203.0.113.101/32");
    cloud.nat("-A PREROUTING -d 203.0.113.101/32 -j DNAT --to-destination 10.0.0.12");
    let answer = cloud.ask("g1", FLOAT, Protocol::Tcp(80));
    assert_eq!(answer.received_by.as_deref(), Some("g2"));
    assert!(!answer.answered, "g2 answers straight from an address that g1 did not ask");
    cloud.ns("h").ruleset.tables.clear();
    cloud.nat(
        "-A PREROUTING -d 203.0.113.101/32 -j DNAT --to-destination 10.0.0.12\n\
         -A POSTROUTING -m conntrack --ctstate DNAT -j MASQUERADE",
    );
    let answer = cloud.ask("g1", FLOAT, Protocol::Tcp(80));
    assert!(answer.answered, "{answer:#?}");
    assert_eq!(answer.source_seen, Some(ip("10.0.0.1").into()));
}

#[test]
fn a_map_for_the_address_and_one_for_the_port_go_together() {
    let mut cloud = Cloud::new();
    let maps = "tcp dport map { 1000 : 10.0.0.12, 2000 : 10.0.0.12 }:tcp dport map { 1000 : 80, 3000 : 81 }";
    let hook = "type nat hook prerouting priority dstnat; policy accept;";
    cloud.nft(&format!("table ip t {{\nchain c {{\n{hook}\ndnat to {maps}\n}}\n}}"));
    let answer = cloud.ask("g1", SERVER, Protocol::Tcp(1000));
    assert!(received(&answer).contains("> 10.0.0.12:80 TCP"), "{}", received(&answer));
    for other in [2000, 3000] {
        let answer = cloud.ask("g1", SERVER, Protocol::Tcp(other));
        assert!(received(&answer).contains(&format!("> {SERVER}:{other} TCP")), "{}", received(&answer));
    }
}

#[test]
fn redirect_stays_here_on_another_port() {
    let mut cloud = Cloud::new();
    cloud.nat("-A PREROUTING -p tcp -d 198.51.100.10/32 -j REDIRECT --to-ports 8775");
    let answer = cloud.ask("g1", SERVER, Protocol::Tcp(80));
    assert_eq!(answer.received_by.as_deref(), Some("h"));
    assert!(received(&answer).contains("> 10.0.0.1:8775 TCP SYN"), "{}", received(&answer));
    assert!(answer.answered, "the answer comes from the address that was asked");
    cloud.iptables(
        model::netfilter::Dialect::IptablesLegacy,
        "*raw\n:OUTPUT ACCEPT\n-A OUTPUT -j CT --notrack\nCOMMIT\n",
    );
    cloud.passes("g1", SERVER);
    assert!(!cloud.ask("g1", SERVER, Protocol::Tcp(80)).answered, "an untracked answer is not translated");
}

#[test]
fn a_choice_between_an_absent_neighbour_and_another_leaves_the_question_open() {
    let mut cloud = Cloud::new();
    // Nobody has the first of the two.
    cloud.nat("-A OUTPUT -p tcp -m tcp --dport 80 -j DNAT --to-destination 10.0.0.10-10.0.0.11");
    let answer = cloud.ask("h", SERVER, Protocol::Tcp(80));
    let last = answer.paths.last().expect("a path");
    assert_eq!(last.exchange, model::path::Exchange::Tcp, "{:?}", answer.paths);
    assert!(unknown(&answer).contains("NAT picks one"), "{:?}", answer.paths);
}

#[test]
fn an_answer_that_is_not_translated_back_finds_no_asker() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -o up0 -j MASQUERADE --to-ports 7002");
    let answer = cloud.ask("h", SERVER, Protocol::Tcp(80));
    assert!(received(&answer).contains(":7002 > "), "{}", received(&answer));
    assert!(answer.answered);
    // Tracked as one of another zone, where nothing was asked, it comes to port 7002.
    cloud.iptables(
        model::netfilter::Dialect::IptablesLegacy,
        "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -j CT --zone 1\nCOMMIT\n",
    );
    assert!(!cloud.ask("h", SERVER, Protocol::Tcp(80)).answered);
}

#[test]
fn an_answer_to_another_of_the_askers_addresses_finds_no_socket() {
    let mut cloud = Cloud::new();
    cloud.address("h", "up0", "203.0.113.50/32");
    cloud.nat("-A POSTROUTING -o up0 -j SNAT --to-source 203.0.113.50");
    assert!(cloud.ask("h", SERVER, Protocol::Tcp(80)).answered);
    let not_tracked = "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -j CT --notrack\nCOMMIT\n";
    cloud.iptables(model::netfilter::Dialect::IptablesLegacy, not_tracked);
    assert!(!cloud.ask("h", SERVER, Protocol::Tcp(80)).answered);
    assert!(cloud.ping("h", SERVER).answered, "ping's socket hears at every address");
}

#[test]
fn ports_of_a_range_follow_its_base_in_step() {
    let mut cloud = Cloud::new();
    cloud.nat(
        "-A PREROUTING -p tcp -m tcp --dport 9000:9010 -j DNAT --to-destination 10.0.0.12:8000-8009/9000",
    );
    for (asked, to) in [(9000, 8000), (9007, 8007), (9010, 8000)] {
        let answer = cloud.ask("g1", SERVER, Protocol::Tcp(asked));
        assert!(received(&answer).contains(&format!("> 10.0.0.12:{to} TCP")), "{}", received(&answer));
    }
}

#[test]
fn a_source_keeps_a_port_in_the_range_and_an_echo_its_identifier() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -o up0 -j MASQUERADE --to-ports 10000-20000");
    assert!(cloud.ping("g1", SERVER).answered);
    assert!(unknown(&cloud.ask("g1", SERVER, Protocol::Tcp(80))).contains("10000-20000"));
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -o up0 -j MASQUERADE --to-ports 1024-65535");
    assert!(cloud.ask("g1", SERVER, Protocol::Tcp(80)).answered);
}

#[test]
fn a_range_is_not_guessed() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -j SNAT --to-source 203.0.113.101-203.0.113.110");
    assert!(unknown(&cloud.ping("g1", SERVER)).contains("203.0.113.101-203.0.113.110"));
}

#[test]
fn bridged_packets_are_translated_with_br_netfilter() {
    let mut cloud = Cloud::new();
    cloud.nat("-A PREROUTING -d 198.51.100.10/32 -j DNAT --to-destination 10.0.0.12");
    cloud.sysctl("h", "bridge.bridge-nf-call-iptables", 1);
    let answer = cloud.ping("g1", SERVER);
    assert!(answer.answered && answer.received_by.as_deref() == Some("g2"), "{answer:#?}");
    assert!(received(&answer).ends_with("ttl 64"), "bridged, not routed");
    // What would turn back on the bridge must be forwarded as routed packets are.
    cloud.sysctl("h", "ipv4.ip_forward", 0);
    assert_eq!(cloud.stop("g1", SERVER), model::path::Stop::ForwardingOff);
}

#[test]
fn filters_see_the_rewritten_destination_and_the_unwritten_source() {
    let mut cloud = with_float();
    cloud.filter(
        ":FORWARD ACCEPT\n-A FORWARD -d 203.0.113.101/32 -j DROP\n-A FORWARD -s 203.0.113.101/32 -j DROP",
    );
    cloud.passes("s", FLOAT);
    cloud.passes("g1", SERVER);
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate DNAT -d 198.51.100.10/32 -j DROP");
    assert_eq!(rule_of(stop_of(&cloud.ping("s", FLOAT), Direction::Reply)), "FORWARD 1");
}
