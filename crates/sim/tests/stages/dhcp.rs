//! DHCP: which dnsmasq serves, what it would offer, and the exchange's way.

use model::Intent;
use model::intent::{Instance, Vif};
use model::path::{Disposition, Stop};
use model::service::{DhcpHost, DhcpLease, DhcpRange, Dnsmasq};
use model::snapshot::Host;
use sim::World;
use sim::dhcp::{Offer, leases_all_held, would_offer};

use crate::cloud::{Cloud, ip, mac};

const NOW: u64 = 1_000;
const GUEST: &str = "fa:16:3e:00:00:11";

fn range(end: Option<&str>) -> DhcpRange {
    DhcpRange {
        tag: None,
        start: ip("10.0.0.10"),
        end: end.map(ip),
        is_static: end.is_none(),
        netmask: Some(ip("255.255.255.0")),
        lease_seconds: None,
    }
}

/// nova's way: a static range, and only hosts with an entry are served.
fn novas() -> Dnsmasq {
    let entry =
        DhcpHost { mac: mac(GUEST), hostname: None, ip: Some(ip("10.0.0.11")), ignored: false, line: 1 };
    Dnsmasq {
        pid: 7,
        listen: vec!["10.0.0.1".parse().unwrap()],
        ranges: vec![range(None)],
        hosts_file: Some("/hosts".into()),
        hosts: Some(vec![entry]),
        ..Dnsmasq::default()
    }
}

fn dynamic(last: &str, leases: &[(&str, u64)]) -> Dnsmasq {
    let lease = |(nth, (address, expires)): (usize, &(&str, u64))| DhcpLease {
        expires: *expires,
        mac: mac(&format!("fa:16:3e:00:01:{nth:02}")),
        ip: ip(address),
        hostname: "*".into(),
    };
    let leases = Some(leases.iter().enumerate().map(lease).collect());
    Dnsmasq { ranges: vec![range(Some(last))], leases, ..Dnsmasq::default() }
}

fn offer(dnsmasq: &Dnsmasq) -> Offer {
    would_offer(dnsmasq, Some(mac(GUEST)), NOW)
}

fn refusal(dnsmasq: &Dnsmasq) -> String {
    match offer(dnsmasq) {
        Offer::Refused(why) => why,
        other => panic!("it was to be refused: {other:?}"),
    }
}

#[test]
fn a_static_range_serves_hosts_with_an_entry_only() {
    assert_eq!(offer(&novas()), Offer::Address(ip("10.0.0.11")));
    let without = Dnsmasq { hosts: Some(Vec::new()), ..novas() };
    assert!(refusal(&without).contains("not in dnsmasq's hosts file"));
    let unread = Dnsmasq { hosts: None, ..novas() };
    assert!(matches!(offer(&unread), Offer::Unknown(_)));
    let mut elsewhere = novas();
    elsewhere.ranges[0].start = ip("10.9.0.10");
    assert!(refusal(&elsewhere).contains("none of dnsmasq's ranges"));
}

#[test]
fn a_full_pool_refuses_until_a_lease_has_expired() {
    assert_eq!(offer(&dynamic("10.0.0.11", &[("10.0.0.10", NOW + 1)])), Offer::Address(ip("10.0.0.11")));
    let full = [("10.0.0.10", 0), ("10.0.0.11", NOW + 1)];
    assert!(refusal(&dynamic("10.0.0.11", &full)).contains("every address"));
    let expired = [("10.0.0.10", 0), ("10.0.0.11", NOW)];
    assert_eq!(offer(&dynamic("10.0.0.11", &expired)), Offer::Address(ip("10.0.0.11")));
}

#[test]
fn the_most_leases_count_only_those_that_live() {
    let mut server = dynamic("10.0.0.99", &[("10.0.0.10", 0), ("10.0.0.11", NOW)]);
    let held = |server: &Dnsmasq| leases_all_held(server, Some(mac(GUEST)), NOW);
    server.lease_max = Some(2);
    assert_eq!(held(&server), None);
    server.lease_max = Some(1);
    assert_eq!(held(&server), Some(1));
    // An address is offered all the same, and who has a lease keeps it.
    assert_eq!(offer(&server), Offer::Address(ip("10.0.0.11")));
    server.leases.iter_mut().flatten().for_each(|lease| lease.mac = mac(GUEST));
    assert_eq!(held(&server), None);
    assert_eq!(
        held(&Dnsmasq { leases: None, lease_max: Some(0), ..novas() }),
        None,
        "nothing is known of them"
    );
}

/// dnsmasq 2.90 offers, and answers the REQUEST with NAK and `no leases left` in its log.
#[test]
fn without_a_lease_left_the_offer_comes_and_the_request_is_refused() {
    let full = Dnsmasq { lease_max: Some(0), leases: Some(Vec::new()), ..novas() };
    let paths = exchange(&mut Cloud::new(), vec![full]);
    let (hop, stop) = paths.last().and_then(|p| p.stop()).unwrap();
    assert!(matches!(stop, Stop::Unanswered(why) if why.contains("NAK: no leases left")), "{stop:?}");
    assert_eq!((paths.len(), hop.at.host.as_str()), (3, "h"));
    assert!(paths[..2].iter().all(|p| p.stop().is_none()), "{paths:#?}");
}

/// dnsmasq 2.90 logs this line and nothing of the client.
#[test]
fn a_range_of_another_network_serves_nobody() {
    let mut elsewhere = novas();
    elsewhere.ranges[0].start = ip("10.9.0.10");
    let entry = elsewhere.hosts.as_mut().unwrap();
    entry[0].ip = Some(ip("10.9.0.11"));
    let paths = exchange(&mut Cloud::new(), vec![elsewhere.clone()]);
    let (_, stop) = paths.last().and_then(|p| p.stop()).unwrap();
    let why = "no address range available for DHCP request via br1";
    assert_eq!(*stop, Stop::Unanswered(why.to_owned()));
    // Without a netmask of its own a range is of the link's network, or of none.
    elsewhere.ranges[0].netmask = None;
    let paths = exchange(&mut Cloud::new(), vec![elsewhere]);
    assert!(paths.last().and_then(|p| p.stop()).is_some());
}

#[test]
fn a_stopped_server_and_unread_leases() {
    assert!(refusal(&Dnsmasq { state: "T".into(), ..novas() }).contains("stopped"));
    assert!(matches!(offer(&Dnsmasq { leases: None, ..dynamic("10.0.0.99", &[]) }), Offer::Unknown(_)));
}

/// The exchange of g1 with these servers on the host.
fn exchange(cloud: &mut Cloud, dnsmasq: Vec<Dnsmasq>) -> Vec<model::Path> {
    cloud.snapshot.hosts = vec![Host { name: "h".into(), dnsmasq, ..Host::default() }];
    let vif = Vif { mac: Some(mac(GUEST)), fixed: vec![ip("10.0.0.11")], ..Vif::default() };
    let instance = Instance { name: "g1".into(), host: "h".into(), vifs: vec![vif], ..Instance::default() };
    let intent = Intent { instances: vec![instance], ..Intent::default() };
    sim::dhcp::ask(&World::new(&cloud.snapshot, &intent), 0)
}

#[test]
fn discover_and_offer_go_there_and_back() {
    let paths = exchange(&mut Cloud::new(), vec![novas()]);
    let ends: Vec<&Disposition> = paths.iter().map(|p| &p.disposition).collect();
    let delivered = |to: &str| Disposition::Delivered { machine: to.to_owned() };
    assert_eq!(ends, [&delivered("h"), &delivered("g1")]);
}

#[test]
fn what_keeps_a_client_from_being_served() {
    let stop = |cloud: &mut Cloud, dnsmasq: Vec<Dnsmasq>| {
        let paths = exchange(cloud, dnsmasq);
        paths.last().and_then(|p| p.stop()).map(|(_, stop)| stop.clone()).unwrap()
    };
    let nobody = Stop::NoListener { protocol: 17, port: 67 };
    assert_eq!(stop(&mut Cloud::new(), Vec::new()), nobody);
    let other_address = Dnsmasq { listen: vec!["10.0.9.1".parse().unwrap()], ..novas() };
    assert_eq!(stop(&mut Cloud::new(), vec![other_address]), nobody);
    let other_netns = Dnsmasq { netns: Some(4711), ..novas() };
    assert_eq!(stop(&mut Cloud::new(), vec![other_netns]), nobody);
    let excepted = Dnsmasq { except_interfaces: vec!["br1".into()], ..novas() };
    assert_eq!(stop(&mut Cloud::new(), vec![excepted]), nobody);
    let without = Dnsmasq { hosts: Some(Vec::new()), ..novas() };
    assert!(matches!(stop(&mut Cloud::new(), vec![without]), Stop::Unanswered(_)));
    let mut filtered = Cloud::new();
    filtered.filter(":INPUT DROP");
    assert!(matches!(stop(&mut filtered, vec![novas()]), Stop::Policy(_)));
    let mut answers_dropped = Cloud::new();
    answers_dropped.filter(":OUTPUT ACCEPT\n-A OUTPUT -p udp -m udp --sport 67 -j DROP");
    assert!(matches!(stop(&mut answers_dropped, vec![novas()]), Stop::Rule(_)));
}
