//! Echo over IPv4 and IPv6: what is answered, by whom it is turned away, and what never leaves.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use probe::{Arrival, Asker, EchoPlan, EchoResult, EchoSize, IcmpError, NotSent, echo};
use sys::netns;

use crate::place::{Chain, PATIENCE, SHORT};

const NEAR: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 1)), IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 1))];
const ROUTER: [IpAddr; 2] =
    [IpAddr::V4(Ipv4Addr::new(10, 77, 0, 2)), IpAddr::V6(Ipv6Addr::new(0xfd77, 0, 0, 0, 0, 0, 0, 2))];

fn far(chain: &Chain) -> [IpAddr; 2] {
    [chain.far().into(), chain.far_v6().into()]
}

fn plan(to: IpAddr) -> EchoPlan {
    EchoPlan {
        to,
        scope: 0,
        count: 3,
        interval: Duration::from_millis(10),
        timeout: PATIENCE,
        ttl: None,
        id: None,
        size: EchoSize { octets: 84, whole: false },
    }
}

/// Sends, and demands that it was settled by itself and not by the deadline.
fn promptly(chain: &Chain, plan: &EchoPlan) -> EchoResult {
    let started = Instant::now();
    let result = echo(&chain.asker(), plan).unwrap();
    assert!(started.elapsed() < PATIENCE, "{}: {result:?}", plan.to);
    result
}

fn turned_away(chain: &Chain, plan: &EchoPlan) -> IcmpError {
    let result = promptly(chain, plan);
    assert_eq!((result.replies.len(), &result.not_sent), (0, &None), "{result:?}");
    result.error.expect("an error")
}

#[test]
fn replies_are_counted_with_hop_limit_and_the_kernels_time() {
    let chain = Chain::new(3).with_ipv6();
    for (to, source) in far(&chain).into_iter().zip(NEAR) {
        let asker = Asker { source: Some(source), ..chain.asker() };
        // As short as our mark allows; larger than the links, and sent in pieces.
        for octets in [0, 1200, 4000] {
            let started = Instant::now();
            let size = EchoSize { octets, whole: false };
            let result = echo(&asker, &EchoPlan { size, ..plan(to) }).unwrap();
            assert!(started.elapsed() < PATIENCE, "{result:?}");
            assert_eq!((result.sent, result.replies.len(), result.reply_ttl), (3, 3, Some(63)), "{result:?}");
            assert_eq!((result.error, &result.not_sent), (None, &None));
            assert_eq!(result.octets, octets.max(if to.is_ipv4() { 44 } else { 64 }));
            assert!(result.replies.iter().all(|took| took.arrival == Arrival::Kernel), "{result:?}");
        }
    }
}

#[test]
fn the_answers_to_another_ping_are_not_mistaken_for_ours() {
    let chain = Chain::new(2).with_ipv6();
    chain.ip(1, "addr add 10.77.0.3/24 dev left");
    chain.ip(1, "addr add fd77::3/64 dev left nodad");
    chain.rule(1, "input", "ip daddr 10.77.0.3 drop");
    chain.rule(1, "input", "ip6 daddr fd77::3 icmpv6 type echo-request drop");
    for (to, silent) in far(&chain).into_iter().zip(["10.77.0.3", "fd77::3"]) {
        // Even of the same identifier: the mark tells them apart.
        let mine = EchoPlan { id: Some(7), timeout: SHORT, ..plan(silent.parse().unwrap()) };
        let other = EchoPlan { id: Some(7), ..plan(to) };
        let (mine, other) = std::thread::scope(|scope| {
            let mine = scope.spawn(|| echo(&chain.asker(), &mine).unwrap());
            let other = promptly(&chain, &other);
            (mine.join().unwrap(), other)
        });
        assert_eq!((mine.sent, mine.replies, mine.error), (3, vec![], None));
        assert_eq!((other.sent, other.replies.len()), (3, 3));
    }
}

#[test]
fn silence_lasts_until_the_deadline() {
    let chain = Chain::new(2).with_ipv6();
    chain.rule(1, "input", "icmp type echo-request drop");
    chain.rule(1, "input", "icmpv6 type echo-request drop");
    for to in far(&chain) {
        let started = Instant::now();
        let result = echo(&chain.asker(), &EchoPlan { timeout: SHORT, ..plan(to) }).unwrap();
        assert!(started.elapsed() >= SHORT);
        let octets = 84;
        let nothing =
            EchoResult { octets, sent: 3, replies: vec![], reply_ttl: None, error: None, not_sent: None };
        assert_eq!((result.median(), result), (None, nothing));
    }
}

#[test]
fn an_absent_neighbour_is_told_by_our_own_stack() {
    let chain = Chain::new(2).with_ipv6();
    let absent: [IpAddr; 2] = ["10.77.0.99".parse().unwrap(), "fd77::99".parse().unwrap()];
    // The kernel asks for a neighbour for three seconds: both at once.
    let errors = std::thread::scope(|scope| {
        let chain = &chain;
        absent.map(|to| scope.spawn(move || turned_away(chain, &plan(to)))).map(|run| run.join().unwrap())
    });
    assert_eq!(errors.map(|error| error.from), NEAR);
    assert_eq!(errors.map(|error| error.meaning()), ["host unreachable", "address unreachable"]);
}

#[test]
fn a_refusal_is_told_with_who_refused() {
    let chain = Chain::new(3).with_ipv6();
    chain.rule(1, "forward", "icmp type echo-request reject with icmp admin-prohibited");
    chain.rule(1, "forward", "icmpv6 type echo-request reject with icmpv6 admin-prohibited");
    for (to, from) in far(&chain).into_iter().zip(ROUTER) {
        let error = turned_away(&chain, &plan(to));
        assert_eq!(error.meaning(), "communication administratively prohibited");
        assert_eq!((error.from, error.next_mtu), (from, None));
    }
}

#[test]
fn a_router_that_cannot_pass_it_on_says_why() {
    let chain = Chain::new(3).with_ipv6();
    for (to, from) in far(&chain).into_iter().zip(ROUTER) {
        let error = turned_away(&chain, &EchoPlan { ttl: Some(1), ..plan(to) });
        let said = if to.is_ipv4() { "time to live exceeded" } else { "hop limit exceeded" };
        assert_eq!((error.from, error.meaning().as_str()), (from, said));
    }
}

#[test]
fn of_packets_that_nobody_may_fragment_one_answer_is_enough_and_one_word_too() {
    let chain = Chain::new(3).with_ipv6();
    let whole = |octets, to| EchoPlan { size: EchoSize { octets, whole: true }, ..plan(to) };
    for to in far(&chain) {
        let result = promptly(&chain, &whole(1500, to));
        assert_eq!((result.octets, result.sent, result.replies.len()), (1500, 1, 1), "{result:?}");
        // Larger than the link that it would leave by.
        let result = promptly(&chain, &whole(1501, to));
        assert_eq!((result.sent, result.not_sent), (0, Some(NotSent::TooBig)));
    }
    chain.ip(1, "link set right mtu 1400");
    for ((to, from), (kind, code)) in far(&chain).into_iter().zip(ROUTER).zip([(3, 4), (2, 0)]) {
        // What the router said is not held against the next probe.
        for _ in 0..2 {
            let error = turned_away(&chain, &whole(1401, to));
            assert_eq!(error, IcmpError { from, kind, code, next_mtu: Some(1400) });
        }
        assert_eq!(promptly(&chain, &whole(1400, to)).replies.len(), 1);
    }
}

#[test]
fn a_router_without_a_route_says_so() {
    // A router of its own: one that has turned anything away here, where ICMP is not rationed, has used up what the
    // kernel rations this by (net/ipv4/route.c `ip_error`, the peer's tokens).
    let chain = Chain::new(3).with_ipv6();
    let [v4, v6]: [IpAddr; 2] = ["198.51.100.1".parse().unwrap(), "2001:db8::1".parse().unwrap()];
    chain.ip(1, "route del default");
    chain.ip(1, "-6 route del default");
    let said = [v4, v6].map(|to| turned_away(&chain, &plan(to)));
    assert_eq!(said.map(|error| error.from), ROUTER);
    assert_eq!(said.map(|error| error.meaning()), ["network unreachable", "no route to destination"]);
}

#[test]
fn what_the_own_stack_refuses_is_told_and_not_sent() {
    let chain = Chain::new(2).with_ipv6();
    let refused = |to: &str| {
        let result = promptly(&chain, &plan(to.parse().unwrap()));
        assert_eq!((result.sent, &result.error), (0, &None), "{result:?}");
        result.not_sent.expect("not sent")
    };
    for (kind, told) in [("prohibit", NotSent::Prohibited), ("blackhole", NotSent::Blackhole)] {
        chain.ip(0, &format!("route replace {kind} 203.0.113.0/24"));
        chain.ip(0, &format!("-6 route add {kind} 2001:db8:{}::/48", kind.len()));
        assert_eq!(refused("203.0.113.1"), told);
        assert_eq!(refused(&format!("2001:db8:{}::1", kind.len())), told);
    }
    chain.rule(0, "output", "icmp type echo-request drop");
    chain.rule(0, "output", "icmpv6 type echo-request drop");
    for to in far(&chain) {
        assert_eq!(refused(&to.to_string()), NotSent::Dropped);
    }
    chain.ip(0, "route del default");
    chain.ip(0, "-6 route del default");
    for to in ["198.51.100.1", "2001:db8::1"] {
        assert_eq!(refused(to), NotSent::NoRoute, "{to}");
    }
}

#[test]
fn a_link_local_destination_is_reached_by_its_link_and_refused_without() {
    let chain = Chain::new(2);
    chain.ip(0, "addr add fe80::7:1/64 dev right nodad");
    chain.ip(1, "addr add fe80::7:2/64 dev left nodad");
    let to: IpAddr = "fe80::7:2".parse().unwrap();
    let index = netns::within(&chain.fds[0], || nix::net::if_::if_nametoindex("right")).unwrap().unwrap();
    let asker = Asker { source: Some("fe80::7:1".parse().unwrap()), ..chain.asker() };
    let result = echo(&asker, &EchoPlan { scope: index, ..plan(to) }).unwrap();
    assert_eq!((result.replies.len(), result.reply_ttl), (3, Some(64)), "{result:?}");
    let error = echo(&chain.asker(), &plan(to)).unwrap_err().to_string();
    assert!(error.contains("fe80::7:2") && error.contains("link's index"), "{error}");
}

#[test]
fn what_cannot_be_borne_is_an_error_that_says_what() {
    let chain = Chain::new(2).with_ipv6();
    let [v4, v6] = far(&chain);
    for (to, source) in [(v4, "10.77.0.9"), (v6, "fd77::9"), (v4, "fd77::1"), (v6, "10.77.0.1")] {
        let asker = Asker { source: Some(source.parse().unwrap()), ..chain.asker() };
        let error = echo(&asker, &plan(to)).unwrap_err().to_string();
        assert!(error.contains("use the source address") && error.contains(source), "{error}");
    }
    let error = echo(&chain.asker(), &EchoPlan { ttl: Some(0), ..plan(v4) }).unwrap_err().to_string();
    assert!(error.contains("use the TTL 0 as near"), "{error}");
}
