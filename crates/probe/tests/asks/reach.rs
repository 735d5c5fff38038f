//! TCP and UDP: answered, refused, turned away, lost.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use probe::tcp::{self, TcpOutcome};
use probe::udp::{self, UdpOutcome};
use probe::{Arrival, Asker, IcmpError, NotSent};

use crate::place::{Chain, PATIENCE, SHORT, tcp_server, udp_server};

const ROUTER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2));

fn connect(chain: &Chain, to: SocketAddr) -> TcpOutcome {
    let started = Instant::now();
    let result = tcp::connect(&chain.asker(), to, PATIENCE).unwrap();
    assert!(started.elapsed() < PATIENCE, "{result:?}");
    result.outcome
}

fn exchange(chain: &Chain, to: SocketAddr) -> UdpOutcome<Vec<u8>> {
    let started = Instant::now();
    let result = udp::exchange(&chain.asker(), to, b"hopline", PATIENCE).unwrap();
    assert!(started.elapsed() < PATIENCE, "{result:?}");
    result.outcome
}

#[test]
fn a_syn_is_answered_refused_or_turned_away() {
    let chain = Chain::new(3);
    let listening = tcp_server(chain.far_netns(), chain.far(), |_| Vec::new());
    assert_eq!(connect(&chain, listening.at), TcpOutcome::Answered);
    let took = tcp::connect(&chain.asker(), listening.at, SHORT).unwrap().took.unwrap();
    assert!(took.arrival == Arrival::Kernel && !took.duration.is_zero(), "{took:?}");
    let closed = SocketAddr::new(chain.far().into(), 9);
    assert_eq!(connect(&chain, closed), TcpOutcome::Refused);
    chain.rule(1, "forward", "tcp dport 9 reject");
    let port = IcmpError { from: ROUTER, kind: 3, code: 3, next_mtu: None };
    assert_eq!(connect(&chain, closed), TcpOutcome::Unreachable(port));
    chain.rule(2, "input", "tcp dport 10 reject with tcp reset");
    assert_eq!(connect(&chain, SocketAddr::new(chain.far().into(), 10)), TcpOutcome::Refused);
    chain.ip(1, "route add unreachable 203.0.113.0/24");
    let host = IcmpError { from: ROUTER, kind: 3, code: 1, next_mtu: None };
    assert_eq!(connect(&chain, "203.0.113.1:22".parse().unwrap()), TcpOutcome::Unreachable(host));
    assert_eq!(host.to_string(), "host unreachable (ICMP from 10.77.0.2)");
}

#[test]
fn a_syn_that_is_dropped_or_never_sent() {
    let chain = Chain::new(2);
    chain.rule(1, "input", "tcp dport 22 drop");
    let ssh = SocketAddr::new(chain.far().into(), 22);
    let started = Instant::now();
    let result = tcp::connect(&chain.asker(), ssh, SHORT).unwrap();
    assert_eq!((result.outcome, result.took), (TcpOutcome::Silent, None));
    assert!(started.elapsed() >= SHORT);
    for (kind, told) in [("prohibit", NotSent::Prohibited), ("blackhole", NotSent::Blackhole)] {
        chain.ip(0, &format!("route replace {kind} 203.0.113.0/24"));
        let barred = "203.0.113.1:22".parse().unwrap();
        assert_eq!(connect(&chain, barred), TcpOutcome::NotSent(told.clone()));
        assert_eq!(exchange(&chain, barred), UdpOutcome::NotSent(told));
    }
    chain.ip(0, "route del default");
    let routeless = "198.51.100.1:22".parse().unwrap();
    assert_eq!(connect(&chain, routeless), TcpOutcome::NotSent(NotSent::NoRoute));
}

#[test]
fn a_refusal_by_the_own_machine_is_told_too() {
    let chain = Chain::new(2);
    let own: IpAddr = "10.77.0.1".parse().unwrap();
    assert_eq!(connect(&chain, SocketAddr::new(own, 9)), TcpOutcome::Refused);
    chain.rule(0, "input", "tcp dport 10 reject");
    let port = IcmpError { from: own, kind: 3, code: 3, next_mtu: None };
    assert_eq!(connect(&chain, SocketAddr::new(own, 10)), TcpOutcome::Unreachable(port));
}

#[test]
fn a_connection_leaves_nothing_behind() {
    let chain = Chain::new(2);
    let listening = tcp_server(chain.far_netns(), chain.far(), |_| Vec::new());
    assert_eq!(connect(&chain, listening.at), TcpOutcome::Answered);
    let tables = sys::netns::within(&chain.fds[0], || std::fs::read_to_string("/proc/thread-self/net/tcp"));
    let sockets: Vec<String> = tables.unwrap().unwrap().lines().skip(1).map(str::to_owned).collect();
    assert_eq!(sockets, Vec::<String>::new());
}

#[test]
fn a_datagram_is_answered_with_the_kernels_time() {
    let chain = Chain::new(2);
    let echoing = udp_server(chain.far_netns(), chain.far(), |socket, bytes, from| {
        socket.send_to(bytes, from).unwrap();
    });
    let asker = Asker { source: Some("10.77.0.1".parse().unwrap()), ..chain.asker() };
    let result = udp::exchange(&asker, echoing.at, b"hopline", PATIENCE).unwrap();
    assert_eq!(result.outcome, UdpOutcome::Answered(b"hopline".to_vec()));
    assert_eq!(result.took.unwrap().arrival, Arrival::Kernel);
}

#[test]
fn what_icmp_says_of_a_datagram_is_told_with_who_says_it() {
    let chain = Chain::new(3);
    let far = IpAddr::V4(chain.far());
    let to = |port| SocketAddr::new(far, port);
    let said = |from, code, next_mtu| UdpOutcome::Unreachable(IcmpError { from, kind: 3, code, next_mtu });
    assert_eq!(exchange(&chain, to(9)), said(far, 3, None));
    chain.rule(1, "forward", "udp dport 10 reject with icmp host-prohibited");
    assert_eq!(exchange(&chain, to(10)), said(ROUTER, 10, None));
    chain.rule(2, "input", "udp dport 11 drop");
    let silent = udp::exchange(&chain.asker(), to(11), b"hopline", SHORT).unwrap();
    assert_eq!((silent.outcome, silent.took), (UdpOutcome::Silent, None));
    chain.rule(0, "output", "udp dport 12 drop");
    assert_eq!(exchange(&chain, to(12)), UdpOutcome::NotSent(NotSent::Dropped));
    // Larger than the second link, and not to be fragmented: the router says how large it may be.
    chain.ip(1, "link set right mtu 1000");
    let large = udp::exchange(&chain.asker(), to(9), &[0; 1200], PATIENCE).unwrap();
    assert_eq!(large.outcome, said(ROUTER, 4, Some(1000)));
}

#[test]
fn ipv6_is_asked_and_told_of_alike() {
    let chain = Chain::new(2);
    chain.ip(0, "addr add 2001:db8::1/64 dev right nodad");
    chain.ip(1, "addr add 2001:db8::2/64 dev left nodad");
    let far: IpAddr = "2001:db8::2".parse().unwrap();
    let closed = exchange(&chain, SocketAddr::new(far, 9));
    let said = IcmpError { from: far, kind: 1, code: 4, next_mtu: None };
    assert_eq!(closed, UdpOutcome::Unreachable(said));
    assert!(said.is_port_unreachable());
    assert_eq!(said.meaning(), "port unreachable");
    assert_eq!(connect(&chain, SocketAddr::new(far, 9)), TcpOutcome::Refused);
}
