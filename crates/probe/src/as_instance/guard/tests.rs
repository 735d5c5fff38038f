//! Each refusal by the nearest thing that is allowed, changed in one place.

use std::net::Ipv4Addr;

use super::super::frame::{Ip, icmp, icmp6};
use super::super::{Asks, Target};
use super::*;
use crate::arp::who_has;
use crate::echo::EchoSize;
use crate::icmp::{Echo, request};
use crate::icmp6;
use model::route::Neighbour;
use sys::netns::NetnsFd;

const OWN: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x11]);
const OTHER: Mac = Mac([0xfa, 0x16, 0x3e, 0, 0, 0x12]);
const SOURCE: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 24);
const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 2, 1);
const OUTSIDE: Ipv4Addr = Ipv4Addr::new(1, 2, 3, 4);
const BRIDGE: u32 = 5;
const TAP: u32 = 7;
const UPLINK: u32 = 2;

fn sender() -> Sender {
    Sender {
        name: "web1".to_owned(),
        device: "vnet0".to_owned(),
        mac: OWN,
        addresses: vec![SOURCE.into()],
        seat: Seat::Port("br100".to_owned()),
    }
}

fn plan() -> Plan {
    let target = Target {
        source: SOURCE.into(),
        to: OUTSIDE.into(),
        next_hop: GATEWAY.into(),
        next_hop_mac: None,
        id: 7,
        asks: Asks::Echo(EchoSize { octets: 84, whole: false }),
        patience: Duration::from_secs(1),
        needless_once: None,
    };
    Plan {
        netns: NetnsFd::current().unwrap(),
        sender: sender(),
        targets: vec![target],
        count: 2,
        interval: Duration::from_millis(200),
        timeout: Duration::from_secs(1),
        listeners: Vec::new(),
        late_server: Duration::ZERO,
        ttl: 64,
    }
}

fn links() -> Vec<Link> {
    let port = |index, name: &str| Link {
        index,
        name: name.to_owned(),
        admin_up: true,
        carrier: true,
        master: Some(BRIDGE),
        master_name: Some("br100".to_owned()),
        ..Link::default()
    };
    let bridge = Link { master: None, master_name: None, ..port(BRIDGE, "br100") };
    vec![port(UPLINK, "eth1"), bridge, port(TAP, "vnet0")]
}

fn stations(links: Vec<Link>, fdb: &[FdbEntry]) -> Stations {
    Stations { links, fdb: fdb.to_vec(), neighbours: Vec::new() }
}

fn entry(mac: Mac, link: u32, kind: FdbKind) -> FdbEntry {
    FdbEntry { mac, link, vlan: None, kind, sticky: false, remote: None, on_self: false }
}

#[test]
fn a_nic_that_the_instance_could_send_through_is_let() {
    // Its own address is known there, or nothing is; a tap's own and a stranger at the uplink do not matter.
    let tap = entry(Mac([0xfe, 0x16, 0x3e, 0, 0, 0x11]), TAP, FdbKind::Local);
    let stranger = entry(OTHER, UPLINK, FdbKind::Learned);
    for known in [vec![], vec![entry(OWN, TAP, FdbKind::Learned)]] {
        let fdb = [known, vec![tap.clone(), stranger.clone()]].concat();
        let stations = stations(links(), &fdb);
        assert_eq!(port(&sender(), &stations).map(|link| link.index), Ok(TAP));
    }
}

#[test]
fn a_nic_that_is_down_unplugged_or_gone_is_refused_by_name() {
    let refused = |change: fn(&mut Link)| {
        let mut links = links();
        change(&mut links[2]);
        port(&sender(), &stations(links, &[])).unwrap_err()
    };
    assert!(matches!(refused(|l| l.admin_up = false), Refusal::Down { .. }));
    assert!(matches!(refused(|l| l.carrier = false), Refusal::NoCarrier { .. }));
    assert!(matches!(refused(|l| l.master = None), Refusal::NoBridge { .. }));
    assert!(matches!(refused(|l| l.name = "vnet1".to_owned()), Refusal::NoDevice { .. }));
    let told = refused(|l| l.admin_up = false).to_string();
    assert!(told.contains("vnet0 is down") && told.contains("state"), "{told}");
}

#[test]
fn a_nic_in_another_bridge_than_its_own_leads_to_strangers() {
    let of = |bridge: &str| Sender { seat: Seat::Port(bridge.to_owned()), ..sender() };
    assert!(port(&of("br100"), &stations(links(), &[])).is_ok());
    let refused = port(&of("br200"), &stations(links(), &[])).unwrap_err();
    let (device, bridge, wanted) = ("vnet0".to_owned(), "br100".to_owned(), "br200".to_owned());
    assert_eq!(refused, Refusal::AnotherBridge { device, bridge, wanted });
}

#[test]
fn an_address_that_the_bridge_knows_elsewhere_is_not_taken_from_there() {
    for kind in [FdbKind::Learned, FdbKind::Static, FdbKind::Local] {
        let refused = port(&sender(), &stations(links(), &[entry(OWN, UPLINK, kind)])).unwrap_err();
        let expected = Refusal::Elsewhere { mac: OWN, port: "eth1".to_owned(), device: "vnet0".to_owned() };
        assert_eq!(refused, expected);
    }
    let of_bridge = port(&sender(), &stations(links(), &[entry(OWN, BRIDGE, FdbKind::Local)])).unwrap_err();
    assert!(matches!(of_bridge, Refusal::Elsewhere { .. }), "{of_bridge}");
    // Another bridge's book is about another network.
    let mut links = links();
    links.push(Link { index: 9, name: "vnet9".to_owned(), master: Some(8), ..Link::default() });
    assert!(port(&sender(), &stations(links, &[entry(OWN, 9, FdbKind::Learned)])).is_ok());
}

#[test]
fn a_nic_that_another_station_speaks_through_is_not_the_instances() {
    let refused = port(&sender(), &stations(links(), &[entry(OTHER, TAP, FdbKind::Learned)])).unwrap_err();
    assert!(matches!(refused, Refusal::AnotherStation { known: OTHER, mac: OWN, .. }), "{refused}");
    let both = [entry(OTHER, TAP, FdbKind::Learned), entry(OWN, TAP, FdbKind::Learned)];
    assert!(port(&sender(), &stations(links(), &both)).is_ok(), "a station behind the instance");
}

#[test]
fn what_the_host_knows_of_the_address_is_not_changed() {
    let ask = |link, ip: Ipv4Addr, mac, state| {
        let entry = Neighbour { link, ip: ip.into(), mac, state, proxy: false };
        let stations = Stations { neighbours: vec![entry], ..stations(links(), &[]) };
        neighbours(&sender(), &links()[2], &stations)
    };
    let stale = NeighbourState::Stale;
    let otherwise = Refusal::KnownOtherwise { address: SOURCE.into(), known: OTHER, mac: OWN };
    assert_eq!(ask(BRIDGE, SOURCE, Some(OTHER), stale), Err(otherwise));
    assert_eq!(ask(BRIDGE, SOURCE, Some(OWN), stale), Ok(()));
    // Another address, another network, and what is known no more.
    assert_eq!(ask(BRIDGE, GATEWAY, Some(OTHER), stale), Ok(()));
    assert_eq!(ask(UPLINK, SOURCE, Some(OTHER), stale), Ok(()));
    assert_eq!(ask(BRIDGE, SOURCE, Some(OTHER), NeighbourState::Failed), Ok(()));
    assert_eq!(ask(BRIDGE, SOURCE, None, NeighbourState::Incomplete), Ok(()));
}

#[test]
fn how_much_is_sent_is_bounded() {
    assert_eq!(volume(&plan()), Ok(()));
    let many = |count| Plan { count, ..plan() };
    assert_eq!(volume(&many(47)), Ok(()));
    let too_many = Refusal::TooMuch { what: "the number of frames", asked: 51, most: 50 };
    assert_eq!(volume(&many(48)), Err(too_many));
    let targets = |n| Plan { targets: vec![plan().targets[0].clone(); n], ..plan() };
    assert!(volume(&targets(23)).is_ok() && volume(&targets(24)).is_err());
    assert!(matches!(volume(&many(u32::MAX)), Err(Refusal::TooMuch { .. })));
    assert!(matches!(volume(&Plan { ttl: 65, ..plan() }), Err(Refusal::TooMuch { what: "the TTL", .. })));
    let fast = Duration::from_millis(9);
    assert_eq!(volume(&Plan { interval: fast, ..plan() }), Err(Refusal::TooFast { interval: fast }));
    let at_once = |count| Plan { interval: Duration::ZERO, count, ..plan() };
    assert_eq!(volume(&at_once(10)), Ok(()));
    assert_eq!(volume(&at_once(11)), Err(Refusal::TooFast { interval: Duration::ZERO }));
    let port = Link { mtu: 1500, ..Link::default() };
    let long = |octets| {
        let target =
            Target { asks: Asks::Echo(EchoSize { octets, whole: true }), ..plan().targets[0].clone() };
        Plan { targets: vec![plan().targets[0].clone(), target], ..plan() }
    };
    assert_eq!(size(&long(1500), &port), Ok(()));
    assert!(size(&long(1501), &port).is_err());
    let jumbo = Link { mtu: 9000, ..Link::default() };
    assert!(size(&long(3386), &jumbo).is_ok());
    assert!(size(&long(3387), &jumbo).is_err());
}

#[test]
fn who_is_asked_and_by_whom_is_one_machine_each() {
    let with = |change: fn(&mut Target)| {
        let mut plan = plan();
        change(&mut plan.targets[0]);
        volume(&plan).unwrap_err()
    };
    let foreign = with(|t| t.source = [10, 0, 2, 25].into());
    assert!(matches!(foreign, Refusal::NotItsAddress { .. }), "{foreign}");
    for many in [[255; 4], [224, 0, 0, 1], [0; 4], [127, 0, 0, 1]].map(IpAddr::from) {
        let mut plan = plan();
        plan.targets[0].to = many;
        assert_eq!(volume(&plan), Err(Refusal::NotOneMachine { address: many }));
    }
    assert!(matches!(with(|t| t.next_hop = Ipv4Addr::BROADCAST.into()), Refusal::NotOneMachine { .. }));
    for mac in [Mac::BROADCAST, Mac::ZERO, Mac([1, 0, 0x5e, 0, 0, 1])] {
        let plan = Plan { sender: Sender { mac, ..sender() }, ..plan() };
        assert_eq!(volume(&plan), Err(Refusal::NoStation { mac }));
    }
}

/// An echo request as a frame.
fn echo(to: Mac, from: Mac, source: Ipv4Addr, destination: Ipv4Addr) -> Vec<u8> {
    icmp(to, from, Ip { source, destination, ttl: 64 }, &request(Echo { id: 1, sequence: 1 }, b""))
}

/// The same packet made a datagram between these ports.
fn datagram(to: Mac, source: Ipv4Addr, ports: [u8; 4]) -> Vec<u8> {
    let mut bytes = echo(to, OWN, source, Ipv4Addr::BROADCAST);
    bytes[23] = UDP;
    bytes[34..38].copy_from_slice(&ports);
    bytes
}

#[test]
fn every_frame_speaks_for_the_instance_alone() {
    let ask = |bytes: &[u8]| frame(&sender(), bytes);
    assert_eq!(ask(&who_has(Mac::BROADCAST, OWN, SOURCE, GATEWAY)), Ok(()));
    assert_eq!(ask(&echo(OTHER, OWN, SOURCE, OUTSIDE)), Ok(()));
    assert_eq!(ask(&echo(OTHER, OTHER, SOURCE, OUTSIDE)), Err(Refusal::ForeignMac { mac: OTHER }));
    assert!(matches!(ask(&echo(OTHER, OWN, GATEWAY, OUTSIDE)), Err(Refusal::NotItsAddress { .. })));
    assert!(matches!(
        ask(&who_has(Mac::BROADCAST, OWN, GATEWAY, SOURCE)),
        Err(Refusal::NotItsAddress { .. })
    ));
    // The MAC that neighbours learn is ARP's own.
    let mut poisoned = who_has(Mac::BROADCAST, OWN, SOURCE, GATEWAY);
    poisoned[22..28].copy_from_slice(&OTHER.0);
    assert_eq!(ask(&poisoned), Err(Refusal::ForeignMac { mac: OTHER }));
    let mut answer = who_has(Mac::BROADCAST, OWN, SOURCE, GATEWAY);
    answer[21] = 2;
    assert_eq!(ask(&answer), Err(Refusal::Kind));
    for other in [&[][..], &[0; 60]] {
        assert_eq!(ask(other), Err(Refusal::Kind));
    }
}

#[test]
fn over_ipv6_too_a_frame_speaks_for_the_instance_alone() {
    let own: Ipv6Addr = "fd77::24".parse().unwrap();
    let [gateway, many]: [Ipv6Addr; 2] = ["fd77::1", "ff02::1"].map(|ip| ip.parse().unwrap());
    let sender = Sender { addresses: vec![own.into()], ..sender() };
    let ask = |bytes: &[u8]| frame(&sender, bytes);
    let echo = |to, mac, source, destination| {
        let message = icmp6::request(Echo { id: 1, sequence: 1 }, b"");
        icmp6((to, mac), (source, destination), 64, &message)
    };
    let group = solicit::group_mac(gateway);
    assert_eq!(ask(&echo(OTHER, OWN, own, gateway)), Ok(()));
    assert_eq!(ask(&echo(OTHER, OTHER, own, gateway)), Err(Refusal::ForeignMac { mac: OTHER }));
    assert_eq!(ask(&echo(group, OWN, own, gateway)), Err(Refusal::Group { mac: group }));
    assert!(matches!(ask(&echo(OTHER, OWN, gateway, own)), Err(Refusal::NotItsAddress { .. })));
    assert_eq!(ask(&echo(OTHER, OWN, own, many)), Err(Refusal::NotOneMachine { address: many.into() }));
    // An answer says whose an address is, and is nobody's to give.
    let mut answer = echo(OTHER, OWN, own, gateway);
    answer[54] = 129;
    assert_eq!(ask(&answer), Err(Refusal::Kind));
    for to in [OTHER, group] {
        assert_eq!(ask(&solicit::who_has(to, OWN, own, gateway)), Ok(()));
    }
    let all = Mac([0x33, 0x33, 0, 0, 0, 1]);
    assert_eq!(ask(&solicit::who_has(all, OWN, own, gateway)), Err(Refusal::Group { mac: all }));
    assert!(matches!(ask(&solicit::who_has(group, OWN, gateway, own)), Err(Refusal::NotItsAddress { .. })));
    let unspecified = solicit::who_has(group, OWN, Ipv6Addr::UNSPECIFIED, gateway);
    assert!(matches!(ask(&unspecified), Err(Refusal::NotItsAddress { .. })));
    let mut poisoned = solicit::who_has(group, OWN, own, gateway);
    let at = poisoned.len() - 6;
    poisoned[at..].copy_from_slice(&OTHER.0);
    assert_eq!(ask(&poisoned), Err(Refusal::ForeignMac { mac: OTHER }));
    // What a host takes to be at another MAC is not changed.
    let known = |mac| {
        let state = NeighbourState::Stale;
        let entry = Neighbour { link: BRIDGE, ip: own.into(), mac: Some(mac), state, proxy: false };
        let stations = Stations { neighbours: vec![entry], ..stations(links(), &[]) };
        neighbours(&sender, &links()[2], &stations)
    };
    let otherwise = Refusal::KnownOtherwise { address: own.into(), known: OTHER, mac: OWN };
    assert_eq!((known(OWN), known(OTHER)), (Ok(()), Err(otherwise)));
}

#[test]
fn all_stations_are_spoken_to_by_arp_and_dhcp_alone() {
    let ask = |bytes: &[u8]| frame(&sender(), bytes);
    for mac in [Mac::BROADCAST, Mac([1, 0, 0x5e, 0, 0, 1])] {
        assert_eq!(ask(&echo(mac, OWN, SOURCE, OUTSIDE)), Err(Refusal::Group { mac }));
    }
    let discover = datagram(Mac::BROADCAST, Ipv4Addr::UNSPECIFIED, DHCP_PORTS);
    assert_eq!(ask(&discover), Ok(()));
    assert_eq!(ask(&datagram(Mac::BROADCAST, SOURCE, DHCP_PORTS)), Ok(()));
    assert!(matches!(
        ask(&datagram(Mac::BROADCAST, GATEWAY, DHCP_PORTS)),
        Err(Refusal::NotItsAddress { .. })
    ));
    let answer = datagram(Mac::BROADCAST, SOURCE, [0, 67, 0, 68]);
    assert_eq!(ask(&answer), Err(Refusal::Group { mac: Mac::BROADCAST }));
    let unspecified = echo(OTHER, OWN, Ipv4Addr::UNSPECIFIED, OUTSIDE);
    assert!(matches!(ask(&unspecified), Err(Refusal::NotItsAddress { .. })));
}
