//! Goal: every sample of the operations guide is read to the last value.
//! Method: the files of `fixtures/text/guide`, compared to what a person reads in them.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking, and so do its helpers")]

use std::net::{IpAddr, Ipv4Addr};

use model::link::{Link, LinkKind, OperState};
use model::listing::{IpHeader, ListedPacket, SeenTransport};
use model::service::{ConsoleEvent, ConsoleEventKind, DhcpMessage, DhcpRange, Dnsmasq};
use parse::host_lookup::{HostLookup, MailHandler};
use parse::ping::PingOutput;

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// Nanoseconds since midnight of `12:51:42` and a fraction in microseconds.
fn at_12_51_42(us: u64) -> u64 {
    ((12 * 3600 + 51 * 60 + 42) * 1_000_000 + us) * 1000
}

#[test]
fn ip_a_grep_state() {
    let read = parse::ip_addr::parse(include_str!("fixtures/text/guide/ip-a-grep-state.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.addresses, []);
    let up = Link { admin_up: true, carrier: true, operstate: OperState::Up, ..Link::default() };
    let qdisc = |name: &str| Some(name.to_owned());
    let expected = [
        Link {
            index: 1,
            name: "lo".into(),
            kind: LinkKind::Loopback,
            mtu: 16436,
            qdisc: qdisc("noqueue"),
            operstate: OperState::Unknown,
            ..up.clone()
        },
        Link { index: 2, name: "eth0".into(), qdisc: qdisc("pfifo_fast"), ..up.clone() },
        Link {
            index: 3,
            name: "eth1".into(),
            qdisc: qdisc("pfifo_fast"),
            master: Some(6),
            master_name: Some("br100".into()),
            ..up.clone()
        },
        Link {
            index: 4,
            name: "virbr0".into(),
            qdisc: qdisc("noqueue"),
            carrier: false,
            operstate: OperState::Down,
            ..up.clone()
        },
        Link { index: 6, name: "br100".into(), qdisc: qdisc("noqueue"), ..up },
    ];
    assert_eq!(read.value.links, expected);
}

/// The server that every `ps` sample of the guide shows for nova's network.
fn assert_novas(dnsmasq: &Dnsmasq) {
    let range = DhcpRange {
        tag: Some("novanetwork".into()),
        start: Ipv4Addr::new(192, 168, 100, 2),
        end: None,
        is_static: true,
        netmask: None,
        lease_seconds: Some(120),
    };
    assert_eq!(dnsmasq.state, "S");
    assert_eq!(dnsmasq.listen, [ip("192.168.100.1")]);
    assert_eq!(dnsmasq.except_interfaces, ["lo"]);
    assert_eq!(dnsmasq.ranges, [range]);
    assert_eq!(dnsmasq.lease_max, Some(256));
    assert_eq!(dnsmasq.hosts_file.as_deref(), Some("/var/lib/nova/networks/nova-br100.conf"));
    assert_eq!(dnsmasq.pid_file.as_deref(), Some("/var/lib/nova/networks/nova-br100.pid"));
    assert_eq!(dnsmasq.script.as_deref(), Some("/usr/bin/nova-dhcpbridge"));
    assert_eq!(dnsmasq.domain.as_deref(), Some("novalocal"));
    assert_eq!((&dnsmasq.conf_file, &dnsmasq.lease_file), (&None, &None));
    assert!(dnsmasq.leasefile_ro);
    assert!(!dnsmasq.is_libvirts());
    assert_eq!(dnsmasq.argv.len(), 13);
    assert_eq!(dnsmasq.argv[8], "--dhcp-range=set:'novanetwork',192.168.100.2,static,120s");
    assert_eq!(dnsmasq.argv[12], "--leasefile-ro");
}

#[test]
fn ps_aux_dnsmasq_one_network() {
    let read = parse::ps_aux::parse(include_str!("fixtures/text/guide/ps-aux-dnsmasq-one-network.txt"));
    assert_eq!(read.problems, []);
    let seen: Vec<_> = read.value.iter().map(|p| (p.pid, p.user.as_str(), p.state.as_str())).collect();
    assert_eq!(seen, [(3735, "nobody", "S"), (3736, "root", "S")]);
    assert_eq!(read.value[0].argv, read.value[1].argv);

    let servers = parse::dnsmasq_args::servers(&read.value);
    assert_eq!(servers.iter().map(|d| (d.pid, d.helper_pid)).collect::<Vec<_>>(), [(3735, Some(3736))]);
    assert_novas(&servers[0]);
}

#[test]
fn ps_aux_dnsmasq_with_libvirt() {
    let read = parse::ps_aux::parse(include_str!("fixtures/text/guide/ps-aux-dnsmasq-with-libvirt.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 3);
    assert_eq!((read.value[0].user.as_str(), read.value[0].pid), ("108", 1695));

    let servers = parse::dnsmasq_args::servers(&read.value);
    let pids: Vec<_> = servers.iter().map(|d| (d.pid, d.helper_pid)).collect();
    assert_eq!(pids, [(1695, None), (2438, Some(2439))]);
    assert_novas(&servers[1]);

    let libvirts = &servers[0];
    assert!(libvirts.is_libvirts());
    let range = DhcpRange {
        tag: None,
        start: Ipv4Addr::new(192, 168, 122, 2),
        end: Some(Ipv4Addr::new(192, 168, 122, 254)),
        is_static: false,
        netmask: None,
        lease_seconds: None,
    };
    assert_eq!(libvirts.ranges, [range]);
    assert_eq!(libvirts.listen, [ip("192.168.122.1")]);
    assert_eq!(libvirts.except_interfaces, ["lo"]);
    assert_eq!(libvirts.lease_file.as_deref(), Some("/var/lib/libvirt/dnsmasq/default.leases"));
    assert_eq!((libvirts.lease_max, libvirts.leasefile_ro), (Some(253), false));
}

#[test]
fn dnsmasq_log_lease_given() {
    let text = include_str!("fixtures/text/guide/dnsmasq-log-lease-given.txt");
    let read = parse::dnsmasq_log::parse(text);
    assert_eq!(read.problems, []);
    let given = Some(Ipv4Addr::new(192, 168, 100, 3));
    let expected = [
        (DhcpMessage::Discover, None, ""),
        (DhcpMessage::Offer, given, ""),
        (DhcpMessage::Request, given, ""),
        (DhcpMessage::Ack, given, "test"),
    ];
    assert_eq!(read.value.len(), expected.len());
    for ((line, seen), (number, expected)) in text.lines().zip(&read.value).zip((1..).zip(expected)) {
        assert_eq!((seen.kind, seen.ip, seen.rest.as_str()), expected);
        assert_eq!(
            (seen.time.as_str(), seen.pid, seen.interface.as_str()),
            ("Feb 27 22:01:36", 2438, "br100")
        );
        assert_eq!(seen.mac.map(|mac| mac.to_string()).as_deref(), Some("fa:16:3e:56:0b:6f"));
        assert_eq!((seen.line, seen.text.as_str()), (number, line));
    }
}

#[test]
fn dnsmasq_log_no_address() {
    let read = parse::dnsmasq_log::parse(include_str!("fixtures/text/guide/dnsmasq-log-no-address.txt"));
    assert_eq!(read.problems, []);
    assert_eq!(read.value.len(), 1);
    let seen = &read.value[0];
    assert_eq!((seen.kind, seen.pid, seen.ip), (DhcpMessage::Discover, 25435, None));
    assert_eq!(seen.mac.map(|mac| mac.to_string()).as_deref(), Some("fa:16:3e:78:44:84"));
    assert_eq!(seen.rest, "no address available");
}

#[test]
fn console_log_no_lease() {
    let text = include_str!("fixtures/text/guide/console-log-no-lease.txt");
    let console = parse::console::parse("console.log", text);
    let event = |number: usize, kind| ConsoleEvent {
        line: u32::try_from(number).unwrap(),
        kind,
        text: text.lines().nth(number - 1).unwrap().to_owned(),
    };
    let expected = [
        event(1, ConsoleEventKind::DhcpStarted(Some("1.17.2".into()))),
        event(2, ConsoleEventKind::DhcpDiscover),
        event(3, ConsoleEventKind::DhcpDiscover),
        event(4, ConsoleEventKind::DhcpDiscover),
        event(5, ConsoleEventKind::DhcpNoLease),
        event(7, ConsoleEventKind::MetadataAsked),
        event(8, ConsoleEventKind::MetadataUnreachable("Network is unreachable".into())),
    ];
    assert_eq!((console.file.as_str(), console.events.as_slice()), ("console.log", expected.as_slice()));
}

#[test]
fn host_openstack_org() {
    let read = parse::host_lookup::parse(include_str!("fixtures/text/guide/host-openstack-org.txt"));
    let name = || "openstack.org".to_owned();
    let mail = |preference, server: &str| MailHandler { name: name(), preference, server: server.to_owned() };
    let expected = HostLookup {
        addresses: vec![(name(), ip("174.143.194.225"))],
        mail: vec![mail(10, "mx1.emailsrvr.com"), mail(20, "mx2.emailsrvr.com")],
        ..HostLookup::default()
    };
    assert_eq!((read.value, read.problems), (expected, vec![]));
}

#[test]
fn ping_bad_address() {
    let expected = PingOutput {
        host: Some("openstack.org".into()),
        name_error: Some("ping: bad address 'openstack.org'".into()),
        ..PingOutput::default()
    };
    assert_eq!(parse::ping::parse(include_str!("fixtures/text/guide/ping-bad-address.txt")), expected);
}

#[test]
fn ping_resolves() {
    let expected = PingOutput {
        host: Some("openstack.org".into()),
        address: Some(ip("174.143.194.225")),
        ..PingOutput::default()
    };
    assert_eq!(parse::ping::parse(include_str!("fixtures/text/guide/ping-resolves.txt")), expected);
}

/// The ICMP echo that the guide follows, as one vantage saw it.
struct Echo {
    us: u64,
    ttl: u8,
    id: u16,
    dont_fragment: bool,
    source: &'static str,
    destination: &'static str,
    reply: bool,
}

impl Echo {
    fn request(us: u64, ttl: u8, source: &'static str) -> Echo {
        Echo { us, ttl, id: 0, dont_fragment: true, source, destination: "1.2.3.4", reply: false }
    }

    fn reply(us: u64, ttl: u8, destination: &'static str) -> Echo {
        Echo { us, ttl, id: 8137, dont_fragment: false, source: "1.2.3.4", destination, reply: true }
    }
}

fn assert_echoes(vantage: &str, text: &str, echoes: &[Echo]) {
    let expected: Vec<ListedPacket> = (1..)
        .zip(echoes)
        .map(|(frame, echo)| ListedPacket {
            vantage: vantage.to_owned(),
            interface: None,
            frame,
            time_ns: at_12_51_42(echo.us),
            ip: IpHeader {
                source: ip(echo.source),
                destination: ip(echo.destination),
                ttl: Some(echo.ttl),
                id: Some(echo.id),
                dont_fragment: echo.dont_fragment,
                length: Some(84),
                tos: Some(0),
                protocol: 1,
            },
            transport: SeenTransport::Echo { reply: echo.reply, id: 24895, sequence: 1 },
        })
        .collect();
    let read = parse::tcpdump::parse(vantage, text);
    assert_eq!(read.problems, []);
    assert_eq!(read.value, expected);
}

#[test]
fn tcpdump_compute_node() {
    let echoes = [
        Echo::request(19_519, 64, "10.0.2.24"),
        Echo::request(19_519, 64, "10.0.2.24"),
        Echo::request(19_545, 63, "203.0.113.30"),
        Echo::reply(19_780, 62, "203.0.113.30"),
        Echo::reply(19_801, 61, "10.0.2.24"),
        Echo::reply(19_807, 61, "10.0.2.24"),
    ];
    assert_echoes("compute", include_str!("fixtures/text/guide/tcpdump-compute-node.txt"), &echoes);
}

#[test]
fn tcpdump_external_server() {
    let echoes = [Echo::request(20_227, 61, "203.0.113.30"), Echo::reply(20_255, 64, "203.0.113.30")];
    assert_echoes("external", include_str!("fixtures/text/guide/tcpdump-external-server.txt"), &echoes);
}

#[test]
fn tcpdump_instance() {
    let echoes = [Echo::reply(20_974, 61, "10.0.2.24")];
    assert_echoes("instance", include_str!("fixtures/text/guide/tcpdump-instance.txt"), &echoes);
}

#[test]
fn tcpdump_dns_on_bridge() {
    let read = parse::tcpdump::parse("br100", include_str!("fixtures/text/guide/tcpdump-dns-on-bridge.txt"));
    assert_eq!(read.problems, []);
    let at = |us: u64| ((16 * 3600 + 36 * 60 + 18) * 1_000_000 + us) * 1000;
    let instance = (ip("192.168.100.4"), 54244);
    let server = (ip("192.168.100.1"), 53);
    let sighting = |frame, us, id, length, from: (IpAddr, u16), to: (IpAddr, u16), text: &str| ListedPacket {
        vantage: "br100".into(),
        interface: None,
        frame,
        time_ns: at(us),
        ip: IpHeader {
            source: from.0,
            destination: to.0,
            ttl: Some(64),
            id: Some(id),
            dont_fragment: true,
            length: Some(length),
            tos: Some(0),
            protocol: 17,
        },
        transport: SeenTransport::Ports { source: from.1, destination: to.1, text: text.to_owned() },
    };
    let answer = "2 1/0/0 openstack.org. A 174.143.194.225 (47)";
    let expected = [
        sighting(1, 807_518, 56057, 59, instance, server, "2+ A? openstack.org. (31)"),
        sighting(2, 808_285, 0, 75, server, instance, answer),
    ];
    assert_eq!(read.value, expected);
}
