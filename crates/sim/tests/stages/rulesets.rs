//! What rules do beyond letting through and dropping: refusals, marks, zones, sets, ranges.

use model::conntrack::{CtEntry, Tuple};
use model::netfilter::{Dialect, Family, RejectWith};
use model::path::Direction;
use sim::Protocol;

use crate::cloud::{Cloud, ip, received, rule_of, stop_of, unknown, way};

const SERVER: &str = "198.51.100.10";

/// The last packet of the way back.
fn told(cloud: &Cloud, protocol: Protocol) -> (Option<RejectWith>, String) {
    let answer = cloud.ask("g1", SERVER, protocol);
    assert!(!answer.answered, "{answer:#?}");
    let back = answer.paths.iter().find(|p| p.direction == Direction::Reply);
    let last = back.and_then(|p| p.hops.last()).map(|hop| hop.packet.clone());
    (answer.refused, last.unwrap_or_default())
}

#[test]
fn who_is_refused_is_told_how() {
    let mut cloud = Cloud::new();
    cloud.filter(
        ":FORWARD ACCEPT\n-A FORWARD -p tcp -j REJECT --reject-with tcp-reset\n\
         -A FORWARD -j REJECT --reject-with icmp-host-prohibited",
    );
    let (how, packet) = told(&cloud, Protocol::Icmp);
    assert_eq!(how, Some(RejectWith::Icmp(10)));
    assert_eq!(packet, "10.0.0.1 > 10.0.0.11 ICMP host prohibited ttl 64");
    let (how, packet) = told(&cloud, Protocol::Tcp(80));
    assert_eq!(how, Some(RejectWith::TcpReset));
    assert_eq!(packet, "198.51.100.10:80 > 10.0.0.11:49152 TCP RST ttl 64");
}

#[test]
fn a_refusal_that_does_not_get_back_is_not_told() {
    let mut cloud = Cloud::new();
    cloud.filter(":FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A FORWARD -j REJECT\n-A OUTPUT -p icmp -j DROP");
    assert_eq!(told(&cloud, Protocol::Icmp), (None, String::new()));
    let related = "-A OUTPUT -m conntrack --ctstate RELATED -j ACCEPT\n-A OUTPUT -j DROP";
    let mut cloud = Cloud::new();
    cloud.filter(&format!(":FORWARD ACCEPT\n:OUTPUT ACCEPT\n-A FORWARD -j REJECT\n{related}"));
    assert_eq!(told(&cloud, Protocol::Icmp).0, Some(RejectWith::Icmp(3)));
}

#[test]
fn an_error_about_a_rewritten_connection_comes_from_the_address_that_was_asked() {
    let mut cloud = Cloud::new();
    cloud.address("h", "up0", "203.0.113.101/32");
    cloud.nat("-A PREROUTING -d 203.0.113.101/32 -j DNAT --to-destination 10.0.0.11");
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -d 10.0.0.11/32 -j REJECT");
    let answer = cloud.ping("s", "203.0.113.101");
    let back = way(&answer, Direction::Reply).hops.last().unwrap().packet.clone();
    assert_eq!(back, "203.0.113.101 > 198.51.100.10 ICMP port unreachable ttl 63");
    assert_eq!(answer.refused, Some(RejectWith::Icmp(3)));
}

#[test]
fn a_connections_mark_outlives_its_first_packet() {
    let mut cloud = Cloud::new();
    cloud.filter(
        ":FORWARD ACCEPT\n-A FORWARD -i br1 -j CONNMARK --set-xmark 0x7/0xffffffff\n\
         -A FORWARD -i up0 -m connmark ! --mark 0x7 -j DROP",
    );
    cloud.passes("g1", SERVER);
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -i up0 -m connmark --mark 0x7 -j DROP");
    let stop = rule_of(stop_of(&cloud.ping("g1", SERVER), Direction::Reply));
    assert_eq!(stop, "FORWARD 1");
}

#[test]
fn an_answer_in_another_zone_is_nobodys() {
    let mut cloud = Cloud::new();
    cloud.iptables(
        Dialect::IptablesNft,
        "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -i br1 -j CT --zone 5\nCOMMIT\n",
    );
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m conntrack --ctstate INVALID -j DROP");
    let stop = rule_of(stop_of(&cloud.ping("g1", SERVER), Direction::Reply));
    assert_eq!(stop, "FORWARD 1");
    cloud.iptables(
        Dialect::IptablesNft,
        "*raw\n:PREROUTING ACCEPT\n-A PREROUTING -i up0 -j CT --zone 5\nCOMMIT\n",
    );
    cloud.passes("g1", SERVER);
}

#[test]
fn a_connection_that_was_there_before_decides_its_own_nat() {
    let mut cloud = Cloud::new();
    let [original, reply] = [("10.0.0.11", SERVER), (SERVER, "203.0.113.77")].map(|(from, to)| Tuple {
        source: ip(from).into(),
        destination: ip(to).into(),
        source_port: 49_152,
        destination_port: 49_152,
        icmp: None,
    });
    let original = Tuple { icmp: Some((8, 0)), ..original };
    let reply = Tuple { icmp: Some((0, 0)), ..reply };
    cloud.ns("h").conntrack.push(CtEntry {
        protocol: 1,
        original,
        reply,
        unreplied: false,
        assured: false,
        state: None,
        mark: 0,
        zone: 0,
        timeout_s: None,
    });
    cloud.nat("-A POSTROUTING -o up0 -j MASQUERADE");
    assert_eq!(cloud.ping("g1", SERVER).source_seen, Some(ip("203.0.113.77").into()));
    cloud.filter(":FORWARD DROP\n-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT");
    assert!(received(&cloud.ping("g1", SERVER)).contains("203.0.113.77"));
}

#[test]
fn a_network_is_mapped_onto_another() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -o up0 -s 10.0.0.0/24 -j NETMAP --to 203.0.113.0/24");
    assert_eq!(cloud.ping("g1", SERVER).source_seen, Some(ip("203.0.113.11").into()));
}

#[test]
fn of_a_nat_range_every_address_is_walked() {
    let mut cloud = Cloud::new();
    cloud.nat("-A POSTROUTING -o up0 -j SNAT --to-source 203.0.113.40-203.0.113.43");
    for own in 40..=43 {
        cloud.address("h", "up0", &format!("203.0.113.{own}/32"));
    }
    assert!(cloud.ping("g1", SERVER).answered, "all four come back");
    // One of the four is refused by the server: whether the packet gets there hangs on the kernel's pick.
    cloud.iptables(Dialect::IptablesNft, "*filter\n:INPUT ACCEPT\nCOMMIT\n");
    let text = "*filter\n:INPUT ACCEPT\n-A INPUT -s 203.0.113.42/32 -j DROP\nCOMMIT\n";
    let tables = parse::iptables_save::parse(text, Dialect::IptablesNft, Family::Ip).value;
    cloud.ns("s").ruleset.tables.extend(tables);
    assert!(unknown(&cloud.ping("g1", SERVER)).contains("one of several addresses"));
}

#[test]
fn an_ipset_is_asked_by_its_own_directions() {
    let mut cloud = Cloud::new();
    let sets = "create bad hash:ip,port family inet hashsize 1024 maxelem 65536\n\
                add bad 198.51.100.10,tcp:80\nadd bad 198.51.100.10,icmp:echo-request\n\
                create nets hash:net family inet hashsize 1024 maxelem 65536\n\
                add nets 10.0.0.0/24\nadd nets 10.0.0.11 nomatch\n";
    cloud.ns("h").ruleset.ipsets = parse::ipset_save::parse(sets).value;
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m set --match-set bad dst,dst -j DROP");
    let answer = cloud.ask("g1", SERVER, Protocol::Tcp(80));
    assert_eq!(rule_of(stop_of(&answer, Direction::Request)), "FORWARD 1");
    assert!(cloud.ask("g1", SERVER, Protocol::Tcp(81)).answered);
    assert!(!cloud.ping("g1", SERVER).answered);
    cloud.ns("h").ruleset.tables.clear();
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m set --match-set nets src -j DROP");
    cloud.passes("g1", SERVER);
    assert!(!cloud.ping("g2", SERVER).answered);
    cloud.filter(":FORWARD ACCEPT\n-A FORWARD -m set --match-set gone src -j DROP");
    assert!(unknown(&cloud.ping("g1", SERVER)).contains("ipset gone"));
}
