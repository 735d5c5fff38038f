//! Goal: today's tools are read like those of the guide's time.
//! Method: `fixtures/text/recorded` holds what iproute2 6.1, dnsmasq 2.90, udhcpc 1.35, tcpdump 4.99,
//! ping and host printed in one small namespace network, and the consoles of two instances under QEMU.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

use std::net::{IpAddr, Ipv4Addr};

use model::link::{Bridge, BridgePort, LinkKind, LinkStats, OperState, Peer, PortState};
use model::listing::SeenTransport;
use model::service::{ConsoleEventKind, DhcpMessage};
use model::vlan::VlanProtocol;
use parse::host_lookup::LookupFailure;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn ip_addr_with_details_and_counters() {
    let read = parse::ip_addr::parse(include_str!("fixtures/text/recorded/ip-s-d-addr.txt"));
    assert_eq!(read.problems, []);
    let [lo, br100, vnet0, tap0] = read.value.links.as_slice() else { panic!("four links") };

    assert_eq!((lo.kind.clone(), lo.operstate, lo.mtu), (LinkKind::Loopback, OperState::Unknown, 65536));
    assert_eq!(br100.kind, LinkKind::Bridge);
    let bridge = Bridge {
        stp: false,
        forward_delay_cs: 1500,
        vlan_filtering: false,
        vlan_protocol: VlanProtocol::Dot1q,
        // Its kernel has no VLANs in bridges.
        default_pvid: 0,
    };
    assert_eq!(br100.bridge, Some(bridge));
    assert_eq!(br100.mac.map(|mac| mac.to_string()).as_deref(), Some("ae:21:55:94:58:99"));
    assert_eq!((br100.master, br100.peer, br100.port), (None, None, None));

    assert_eq!((vnet0.name.as_str(), vnet0.kind.clone()), ("vnet0", LinkKind::Veth));
    assert_eq!(vnet0.peer, Some(Peer { index: 2, netns: None }));
    assert_eq!((vnet0.master, vnet0.master_name.as_deref()), (Some(2), Some("br100")));
    assert_eq!(vnet0.port, Some(BridgePort { hairpin: true, ..BridgePort::default() }));
    let counted =
        LinkStats { rx_bytes: 2781, rx_packets: 23, tx_bytes: 5007, tx_packets: 45, ..LinkStats::default() };
    assert_eq!(vnet0.stats, Some(counted));
    assert!(vnet0.is_running() && !vnet0.promiscuous && !vnet0.xdp);

    assert_eq!((tap0.kind.clone(), tap0.operstate, tap0.admin_up), (LinkKind::Tun, OperState::Down, false));
    assert_eq!(tap0.qdisc.as_deref(), Some("noop"));
    assert_eq!(tap0.port.map(|port| port.state), Some(PortState::Disabled));

    let seen: Vec<_> = read
        .value
        .addresses
        .iter()
        .map(|a| (a.link, a.net.to_string(), a.scope.as_str(), a.secondary))
        .collect();
    let expected = [
        (1, "127.0.0.1/8", "host", false),
        (1, "::1/128", "host", false),
        (2, "10.0.0.1/24", "global", false),
        (2, "203.0.113.30/32", "global", false),
        (2, "10.0.0.9/24", "global", true),
        (2, "fe80::ac21:55ff:fe94:5899/64", "link", false),
        (3, "fe80::ac21:55ff:fe94:5899/64", "link", false),
        (4, "10.9.0.1/32", "global", false),
    ];
    assert_eq!(seen, expected.map(|(link, net, scope, secondary)| (link, net.to_owned(), scope, secondary)));
    assert_eq!(read.value.addresses[7].peer, Some(ip("10.9.0.2")));
}

#[test]
fn dnsmasq_log_with_transaction_numbers() {
    let read = parse::dnsmasq_log::parse(include_str!("fixtures/text/recorded/dnsmasq.log"));
    assert_eq!(read.problems, []);
    let seen: Vec<_> = read.value.iter().map(|l| (l.line, l.kind, l.ip, l.rest.as_str())).collect();
    let web1 = Some(Ipv4Addr::new(10, 0, 0, 3));
    let expected = [
        (10, DhcpMessage::Discover, None, ""),
        (12, DhcpMessage::Offer, web1, ""),
        (30, DhcpMessage::Request, web1, ""),
        (32, DhcpMessage::Ack, web1, "web1"),
        (49, DhcpMessage::Discover, None, "no address available"),
        (52, DhcpMessage::Discover, None, "no address available"),
    ];
    assert_eq!(seen, expected);
    assert!(read.value.iter().all(|l| l.pid == 22660 && l.interface == "br100" && l.mac.is_some()));
    assert_eq!(read.value[5].time, "Nov 24 02:41:35");
}

#[test]
fn dnsmasq_hosts_and_leases() {
    let hosts = parse::dnsmasq_hosts::parse(include_str!("fixtures/text/recorded/nova-br100.conf"));
    assert_eq!(hosts.problems, []);
    let seen: Vec<_> = hosts.value.iter().map(|h| (h.line, h.hostname.as_deref(), h.ip)).collect();
    let web = |last| Some(Ipv4Addr::new(10, 0, 0, last));
    assert_eq!(seen, [(1, Some("web1.novalocal"), web(3)), (2, Some("web2.novalocal"), web(4))]);

    let leases = parse::dnsmasq_leases::parse(include_str!("fixtures/text/recorded/dnsmasq.leases"));
    assert_eq!(leases.problems, []);
    let [lease] = leases.value.as_slice() else { panic!("one lease") };
    assert_eq!((lease.expires, lease.ip, lease.hostname.as_str()), (1_795_488_209, web(3).unwrap(), "web1"));
    assert_eq!(lease.mac, hosts.value[0].mac);
}

#[test]
fn console_of_udhcpc_1_35() {
    use ConsoleEventKind as Kind;
    let console = parse::console::parse("c", include_str!("fixtures/text/recorded/console-udhcpc-1.35.txt"));
    let kinds: Vec<_> = console.events.into_iter().map(|event| event.kind).collect();
    let expected = [
        Kind::DhcpStarted(Some("1.35.0".into())),
        Kind::DhcpDiscover,
        Kind::DhcpSelect,
        Kind::DhcpLease(Ipv4Addr::new(10, 0, 0, 3)),
        Kind::DhcpStarted(Some("1.35.0".into())),
        Kind::DhcpDiscover,
        Kind::DhcpDiscover,
        Kind::DhcpFailed,
    ];
    assert_eq!(kinds, expected);
}

#[test]
fn consoles_of_instances_under_qemu() {
    use ConsoleEventKind as Kind;
    let kinds = |text: &str| -> Vec<_> {
        parse::console::parse("c", text).events.into_iter().map(|event| (event.line, event.kind)).collect()
    };
    let leased = [
        (2, Kind::DhcpStarted(Some("1.35.0".into()))),
        (3, Kind::DhcpDiscover),
        (4, Kind::DhcpSelect),
        (5, Kind::DhcpLease(Ipv4Addr::new(192, 168, 100, 5))),
        (6, Kind::MetadataAsked),
        (8, Kind::Login),
    ];
    assert_eq!(kinds(include_str!("fixtures/text/recorded/console-qemu.txt")), leased);
    let no_lease = [
        (2, Kind::DhcpStarted(Some("1.35.0".into()))),
        (3, Kind::DhcpDiscover),
        (4, Kind::DhcpDiscover),
        (5, Kind::DhcpDiscover),
        (6, Kind::DhcpNoLease),
        (7, Kind::MetadataAsked),
        (8, Kind::MetadataUnreachable("Network is unreachable".into())),
        (9, Kind::MetadataUnreachable("failed to read iid from metadata. tried 1".into())),
        (10, Kind::Login),
    ];
    assert_eq!(kinds(include_str!("fixtures/text/recorded/console-qemu-no-lease.txt")), no_lease);
}

#[test]
fn tcpdump_on_any_link() {
    let read = parse::tcpdump::parse("host", include_str!("fixtures/text/recorded/tcpdump-any-v.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 32);
    let way = |name: &str, direction: &str| Some((name.to_owned(), direction.to_owned()));
    let ways: Vec<_> = read.value.iter().take(4).map(|s| s.interface.clone()).collect();
    assert_eq!(ways, [way("vnet0", "In"), way("br100", "In"), way("br100", "Out"), way("vnet0", "Out")]);
    assert_eq!(read.value[0].ip.id, Some(64333));
    assert_eq!(read.value[0].transport, SeenTransport::Echo { reply: false, id: 22676, sequence: 1 });
    let syn = &read.value[12];
    assert_eq!((syn.ip.protocol, syn.ip.length, syn.ip.dont_fragment), (6, Some(60), true));
    let SeenTransport::Ports { source: 54244, destination: 80, text } = &syn.transport else {
        panic!("{syn:?}")
    };
    assert!(text.starts_with("Flags [S], cksum 0x1432"));
}

#[test]
fn tcpdump_without_v() {
    let read = parse::tcpdump::parse("br100", include_str!("fixtures/text/recorded/tcpdump-plain.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 35, "43 frames, 8 of them ARP");
    assert_eq!(read.value[0].frame, 1);
    assert_eq!(read.value.last().map(|s| s.frame), Some(41));
    let by = |protocol| read.value.iter().filter(|s| s.ip.protocol == protocol).count();
    assert_eq!((by(1), by(6), by(17)), (6, 2, 14));
    let echo = &read.value[11];
    assert_eq!((echo.ip.ttl, echo.ip.id, echo.ip.length), (None, None, None));
    assert_eq!(echo.transport, SeenTransport::Echo { reply: false, id: 22676, sequence: 1 });
}

#[test]
fn tcpdump_with_dates_and_what_vv_adds() {
    let read = parse::tcpdump::parse("br100", include_str!("fixtures/text/recorded/tcpdump-dated-vv.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 23);
    // `date -u -d '2026-11-24 02:41:28' +%s` prints 1795488088.
    assert_eq!(read.value[0].time_ns, 1_795_488_088_828_724_000);
    assert_eq!((read.value[0].ip.protocol, read.value[0].ip.tos), (2, Some(0xc0)));
    assert_eq!(read.value[1].ip.source, ip("0.0.0.0"));
    let SeenTransport::Ports { source: 68, destination: 67, .. } = read.value[1].transport else {
        panic!("{:?}", read.value[1])
    };
}

#[test]
fn tcpdump_of_ipv6() {
    let read = parse::tcpdump::parse("vnet0", include_str!("fixtures/text/recorded/tcpdump-ipv6-v.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 10);
    let echo = &read.value[2];
    assert_eq!((echo.ip.source, echo.ip.destination), (ip("fd00::3"), ip("fd00::1")));
    assert_eq!((echo.ip.ttl, echo.ip.protocol, echo.ip.length), (Some(64), 58, Some(104)));
    assert_eq!(echo.transport, SeenTransport::Echo { reply: false, id: 23495, sequence: 1 });
    let SeenTransport::Ports { source: 50612, destination: 80, .. } = read.value[4].transport else {
        panic!("{:?}", read.value[4])
    };
}

#[test]
fn pings() {
    let read = parse::ping::parse(include_str!("fixtures/text/recorded/ping-iputils.txt"));
    let times: Vec<_> = read.replies.iter().map(|r| (r.sequence, r.ttl, r.time_us)).collect();
    assert_eq!(times, [(1, Some(64), Some(287)), (2, Some(64), Some(71))]);
    assert_eq!((read.sent, read.received), (Some(2), Some(2)));

    let read = parse::ping::parse(include_str!("fixtures/text/recorded/ping-busybox.txt"));
    let times: Vec<_> = read.replies.iter().map(|r| (r.sequence, r.ttl, r.time_us)).collect();
    assert_eq!(times, [(0, Some(64), Some(53))]);
    assert_eq!((read.sent, read.received), (Some(1), Some(1)));

    let read = parse::ping::parse(include_str!("fixtures/text/recorded/ping-unreachable.txt"));
    assert_eq!((read.address, read.sent, read.received), (Some(ip("10.0.0.77")), Some(2), Some(0)));

    let read = parse::ping::parse(include_str!("fixtures/text/recorded/ping-no-route.txt"));
    assert_eq!(read.send_error.as_deref(), Some("ping: connect: Network is unreachable"));
}

#[test]
fn look_ups() {
    let read = parse::host_lookup::parse(include_str!("fixtures/text/recorded/host-server.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.addresses, [("example.org".into(), ip("203.0.113.80"))]);

    let read = parse::host_lookup::parse(include_str!("fixtures/text/recorded/host-refused.txt"));
    let refused = LookupFailure::NotFound { name: "nosuch.example.com".into(), code: "REFUSED".into() };
    assert_eq!((read.value.failure, read.problems), (Some(refused), vec![]));

    let read = parse::host_lookup::parse(include_str!("fixtures/text/recorded/host-no-server.txt"));
    let silent = LookupFailure::NoServer("no servers could be reached".into());
    assert_eq!((read.value.failure, read.problems), (Some(silent), vec![]));
}
