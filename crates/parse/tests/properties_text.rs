//! Goal: no text makes a parser panic or lose its place, and what is written is read back.
//! Method: arbitrary text; the fixtures with pieces deleted, doubled, cut off and put in; and lines
//! printed from generated values. proptest prints the seed of a failure and keeps it.

use std::fmt::Write;
use std::net::Ipv4Addr;

use model::Mac;
use model::service::{DhcpHost, DhcpLease, DhcpLogLine, DhcpMessage};
use parse::Problem;
use proptest::prelude::*;

/// Runs every text parser on a text, and holds each to the promise that a problem points into it.
fn read_with_every_parser(text: &str) {
    assert_places(text, &parse::ip_addr::parse(text).problems);
    assert_places(text, &parse::brctl_show::parse(text).problems);
    let processes = parse::ps_aux::parse(text);
    assert_places(text, &processes.problems);
    parse::dnsmasq_args::servers(&processes.value);
    assert_places(text, &parse::dnsmasq_hosts::parse(text).problems);
    assert_places(text, &parse::dnsmasq_leases::parse(text).problems);
    assert_places(text, &parse::hosts::parse("/etc/hosts", text).problems);
    assert_places(text, &parse::dnsmasq_log::parse(text).problems);
    let console = parse::console::parse("console.log", text);
    assert!(console.events.iter().all(|event| !event.text.contains(['\u{1b}', '\u{9b}', '\r'])));
    assert_places(text, &parse::tcpdump::parse("here", text).problems);
    assert_places(text, &parse::host_lookup::parse(text).problems);
    parse::ping::parse(text);
    if let Err(problem) = parse::libvirt_xml::parse("domain.xml", text) {
        assert_places(text, &[problem]);
    }
    let config = parse::oslo_config::parse("nova.conf", text);
    assert_places(text, &config.problems);
    parse::oslo_config::nova_options(&config.value);
}

fn assert_places(text: &str, problems: &[Problem]) {
    for problem in problems {
        let index = problem.line as usize - 1;
        // One past the last line is where an empty text, and one cut off after a newline, end.
        let line = text.lines().nth(index).unwrap_or_default();
        assert!(index <= text.lines().count(), "{problem}");
        assert!(problem.column >= 1 && problem.column as usize <= line.chars().count() + 1, "{problem}");
        assert!(!problem.what.is_empty());
    }
}

/// Every file of `fixtures/text`.
const FIXTURES: &[&str] = &[
    include_str!("fixtures/text/guide/console-log-no-lease.txt"),
    include_str!("fixtures/text/guide/dnsmasq-log-lease-given.txt"),
    include_str!("fixtures/text/guide/dnsmasq-log-no-address.txt"),
    include_str!("fixtures/text/guide/host-openstack-org.txt"),
    include_str!("fixtures/text/guide/ip-a-grep-state.txt"),
    include_str!("fixtures/text/guide/ping-bad-address.txt"),
    include_str!("fixtures/text/guide/ping-resolves.txt"),
    include_str!("fixtures/text/guide/ps-aux-dnsmasq-one-network.txt"),
    include_str!("fixtures/text/guide/ps-aux-dnsmasq-with-libvirt.txt"),
    include_str!("fixtures/text/guide/tcpdump-compute-node.txt"),
    include_str!("fixtures/text/guide/tcpdump-dns-on-bridge.txt"),
    include_str!("fixtures/text/guide/tcpdump-external-server.txt"),
    include_str!("fixtures/text/guide/tcpdump-instance.txt"),
    include_str!("fixtures/text/recorded/console-qemu-no-lease.txt"),
    include_str!("fixtures/text/recorded/console-qemu.txt"),
    include_str!("fixtures/text/recorded/console-udhcpc-1.35.txt"),
    include_str!("fixtures/text/recorded/dnsmasq.leases"),
    include_str!("fixtures/text/recorded/dnsmasq.log"),
    include_str!("fixtures/text/recorded/host-no-server.txt"),
    include_str!("fixtures/text/recorded/host-refused.txt"),
    include_str!("fixtures/text/recorded/host-server.txt"),
    include_str!("fixtures/text/recorded/ip-s-d-addr.txt"),
    include_str!("fixtures/text/recorded/nova-br100.conf"),
    include_str!("fixtures/text/recorded/ping-busybox.txt"),
    include_str!("fixtures/text/recorded/ping-iputils.txt"),
    include_str!("fixtures/text/recorded/ping-no-route.txt"),
    include_str!("fixtures/text/recorded/ping-unreachable.txt"),
    include_str!("fixtures/text/recorded/tcpdump-any-v.txt"),
    include_str!("fixtures/text/recorded/tcpdump-dated-vv.txt"),
    include_str!("fixtures/text/recorded/tcpdump-ipv6-v.txt"),
    include_str!("fixtures/text/recorded/tcpdump-plain.txt"),
    include_str!("fixtures/text/written/brctl-show.txt"),
    include_str!("fixtures/text/written/console-cirros-0.3.txt"),
    include_str!("fixtures/text/written/domain-live.xml"),
    include_str!("fixtures/text/written/domain-persistent.xml"),
    include_str!("fixtures/text/written/nova.conf"),
];

/// What a careless hand or a broken transfer does to a file, at a place given in thousandths.
#[derive(Debug, Clone)]
enum Mutation {
    Delete(usize, usize),
    Double(usize, usize),
    CutOff(usize),
    Insert(usize, String),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let place = 0..1000_usize;
    prop_oneof![
        (place.clone(), 1..40_usize).prop_map(|(at, length)| Mutation::Delete(at, length)),
        (place.clone(), 1..200_usize).prop_map(|(at, length)| Mutation::Double(at, length)),
        place.clone().prop_map(Mutation::CutOff),
        (place, "[ \\t\\n\\r\\PC\u{1b}\u{9b}<>\\[\\](),:=$'\"]{1,8}")
            .prop_map(|(at, text)| Mutation::Insert(at, text)),
    ]
}

fn mutate(text: &str, mutations: &[Mutation]) -> String {
    let mut chars: Vec<char> = text.chars().collect();
    for mutation in mutations {
        let place = |thousandth: usize| chars.len() * thousandth / 1000;
        match mutation {
            Mutation::Delete(at, length) => {
                let (start, end) = (place(*at), (place(*at) + length).min(chars.len()));
                chars.drain(start..end);
            }
            Mutation::Double(at, length) => {
                let (start, end) = (place(*at), (place(*at) + length).min(chars.len()));
                let piece = chars[start..end].to_vec();
                chars.splice(start..start, piece);
            }
            Mutation::CutOff(at) => chars.truncate(place(*at)),
            Mutation::Insert(at, text) => {
                let start = place(*at);
                chars.splice(start..start, text.chars());
            }
        }
    }
    chars.into_iter().collect()
}

fn mac() -> impl Strategy<Value = Mac> {
    any::<[u8; 6]>().prop_map(Mac)
}

fn address() -> impl Strategy<Value = Ipv4Addr> {
    any::<u32>().prop_map(Ipv4Addr::from)
}

proptest! {
    #[test]
    fn arbitrary_text_is_survived(text in "(?s).{0,400}") {
        read_with_every_parser(&text);
    }

    #[test]
    fn damaged_fixtures_are_survived(
        fixture in prop::sample::select(FIXTURES.to_vec()),
        mutations in prop::collection::vec(mutation(), 1..6),
    ) {
        read_with_every_parser(&mutate(fixture, &mutations));
    }

    #[test]
    fn leases_read_back(
        rows in prop::collection::vec((any::<u64>(), mac(), address(), "[a-z0-9-]{1,63}|\\*"), 0..20),
    ) {
        let leases: Vec<_> = rows
            .into_iter()
            .map(|(expires, mac, ip, hostname)| DhcpLease { expires, mac, ip, hostname })
            .collect();
        let mut text = String::new();
        for lease in &leases {
            let DhcpLease { expires, mac, ip, hostname } = lease;
            writeln!(text, "{expires} {mac} {ip} {hostname} 01:{mac}")?;
        }
        let read = parse::dnsmasq_leases::parse(&text);
        prop_assert_eq!(read.problems, []);
        prop_assert_eq!(read.value, leases);
    }

    #[test]
    fn hosts_read_back(
        rows in prop::collection::vec((mac(), "[a-z][a-z0-9-]{0,40}\\.novalocal", address()), 0..20),
        tag in "|,net:NW-[0-9]{1,4}|,set:[a-z]{1,8}",
    ) {
        let hosts: Vec<_> = (1..)
            .zip(rows)
            .map(|(line, (mac, name, ip))| DhcpHost { mac, hostname: Some(name), ip: Some(ip), ignored: false, line })
            .collect();
        let lines: Vec<_> = hosts
            .iter()
            .map(|h| format!("{},{},{}{tag}", h.mac, h.hostname.as_deref().unwrap(), h.ip.unwrap()))
            .collect();
        let read = parse::dnsmasq_hosts::parse(&lines.join("\n"));
        prop_assert_eq!(read.problems, []);
        prop_assert_eq!(read.value, hosts);
    }

    #[test]
    fn log_lines_read_back(
        mac in mac(),
        ip in prop::option::of(address()),
        pid in 1..4_194_304_u32,
        xid in prop::option::of(any::<u32>()),
        rest in "|[a-z][a-z0-9-]{0,20}|no address available|lease not found",
    ) {
        let number = xid.map(|xid| format!("{xid} ")).unwrap_or_default();
        let asked = ip.map(|ip| format!("{ip} ")).unwrap_or_default();
        let message = format!("{number}DHCPREQUEST(br100) {asked}{mac} {rest}");
        let text = format!("Feb  7 22:01:36 n1 dnsmasq-dhcp[{pid}]: {message}");
        let expected = DhcpLogLine {
            time: "Feb  7 22:01:36".into(),
            pid,
            kind: DhcpMessage::Request,
            interface: "br100".into(),
            ip,
            mac: Some(mac),
            rest,
            line: 1,
            text: text.clone(),
        };
        let read = parse::dnsmasq_log::parse(&text);
        prop_assert_eq!(read.problems, []);
        prop_assert_eq!(read.value, [expected]);
    }
}
