//! The way of a packet: the routers that it passes, the NAT that it meets, the size that it may have.

use std::net::{IpAddr, Ipv4Addr};
use std::time::Instant;

use probe::sized::{Limit, PathMtu, PathSizes, SizedOutcome, sized};
use probe::trace::{Hop, HopOutcome, Quoted, Trace, trace};
use probe::{Arrival, Asker, IcmpError, NotSent};

use crate::place::{Chain, PATIENCE, SHORT};

const NEAR: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);
const FIRST: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 2);
const SECOND: Ipv4Addr = Ipv4Addr::new(10, 77, 1, 2);
const TTLS: u8 = 6;

/// Traces, and demands that the way was known before the time was up.
fn promptly(chain: &Chain, to: Ipv4Addr) -> Trace {
    let started = Instant::now();
    let trace = trace(&chain.asker(), (to, None), TTLS, PATIENCE).unwrap();
    assert!(started.elapsed() < PATIENCE, "{trace:?}");
    trace
}

fn outcomes(trace: &Trace) -> Vec<HopOutcome> {
    assert!(trace.hops.iter().zip(1..).all(|(hop, ttl)| hop.ttl == ttl), "{trace:?}");
    trace.hops.iter().map(|hop| hop.outcome.clone()).collect()
}

fn passed(router: Ipv4Addr, to: Ipv4Addr) -> HopOutcome {
    HopOutcome::Passed { router, quoted: Quoted { from: NEAR, to } }
}

#[test]
fn routers_are_told_in_their_order_and_the_end_once() {
    let chain = Chain::new(4);
    let far = chain.far();
    let trace = promptly(&chain, far);
    let reached = HopOutcome::Reached { from: far };
    assert_eq!(outcomes(&trace), [passed(FIRST, far), passed(SECOND, far), reached]);
    assert_eq!((trace.from, trace.first_rewritten()), (Some(NEAR), None));
    let stamped = |hop: &Hop| hop.took.is_some_and(|took| took.arrival == Arrival::Kernel);
    assert!(trace.hops.iter().all(stamped), "{trace:?}");
}

#[test]
fn two_traces_at_once_do_not_hear_each_other() {
    let chain = Chain::new(3);
    let far = chain.far();
    let both = std::thread::scope(|scope| {
        let runs = [far, FIRST].map(|to| {
            let chain = &chain;
            scope.spawn(move || outcomes(&promptly(chain, to)))
        });
        runs.map(|run| run.join().unwrap())
    });
    let reached = |from| HopOutcome::Reached { from };
    assert_eq!(both, [vec![passed(FIRST, far), reached(far)], vec![reached(FIRST)]]);
}

#[test]
fn a_router_that_says_nothing_leaves_a_gap() {
    let chain = Chain::new(4);
    chain.rule(1, "output", "icmp type time-exceeded drop");
    let far = chain.far();
    let reached = HopOutcome::Reached { from: far };
    assert_eq!(outcomes(&promptly(&chain, far)), [HopOutcome::Silent, passed(SECOND, far), reached]);
}

#[test]
fn a_way_that_is_barred_ends_at_who_bars_it() {
    let chain = Chain::new(4);
    let far = chain.far();
    chain.rule(2, "forward", "icmp type echo-request reject with icmp admin-prohibited");
    let error = IcmpError { from: IpAddr::V4(SECOND), kind: 3, code: 13, next_mtu: None };
    let quoted = Quoted { from: NEAR, to: far };
    let trace = promptly(&chain, far);
    // The router counts the TTL down before its rules are asked: the second TTL ends there by itself.
    let turned_away = HopOutcome::TurnedAway { error, quoted };
    assert_eq!(outcomes(&trace), [passed(FIRST, far), passed(SECOND, far), turned_away]);
}

#[test]
fn a_way_that_ends_in_silence_takes_the_whole_time() {
    let chain = Chain::new(4);
    let far = chain.far();
    chain.rule(2, "forward", "icmp type echo-request drop");
    let started = Instant::now();
    let trace = trace(&chain.asker(), (far, None), TTLS, SHORT).unwrap();
    assert!(started.elapsed() >= SHORT);
    let silent = HopOutcome::Silent;
    assert_eq!(outcomes(&trace)[..3], [passed(FIRST, far), passed(SECOND, far), silent]);
    assert_eq!(trace.hops.len(), usize::from(TTLS));
}

#[test]
fn nat_that_translates_errors_back_is_not_seen_and_nat_that_does_not_is() {
    let chain = Chain::new(4);
    let far = chain.far();
    chain.nft(1, "add table ip n");
    chain.nft(1, "add chain ip n post { type nat hook postrouting priority 100; }");
    chain.nft(1, "add rule ip n post oifname right masquerade");
    let trace = promptly(&chain, far);
    let reached = HopOutcome::Reached { from: far };
    assert_eq!(outcomes(&trace), [passed(FIRST, far), passed(SECOND, far), reached]);
    assert_eq!(trace.first_rewritten(), None);
    // A floating address whose translation knows no connections.
    let floating = Ipv4Addr::new(203, 0, 113, 9);
    chain.rule(1, "prerouting", &format!("ip daddr {floating} notrack ip daddr set {far}"));
    let trace = promptly(&chain, floating);
    let second = HopOutcome::Passed { router: SECOND, quoted: Quoted { from: NEAR, to: far } };
    // The first router translates before it counts the TTL down, so it is the first to show it.
    assert_eq!(trace.first_rewritten().map(|hop| (hop.ttl, &hop.outcome)), Some((1, &passed(FIRST, far))));
    assert_eq!(outcomes(&trace)[1..], [second, HopOutcome::Reached { from: far }]);
}

#[test]
fn what_the_own_machine_refuses_is_told() {
    let chain = Chain::new(3);
    chain.rule(0, "output", "icmp type echo-request drop");
    assert_eq!(outcomes(&promptly(&chain, chain.far())), [HopOutcome::NotSent(NotSent::Dropped)]);
    chain.ip(0, "route del default");
    let trace = promptly(&chain, chain.far());
    assert_eq!((outcomes(&trace), trace.from), (vec![HopOutcome::NotSent(NotSent::NoRoute)], None));
    let all = sizes(&chain, &[576, 1500]);
    assert!(all.probes.iter().all(|p| p.outcome == SizedOutcome::NotSent(NotSent::NoRoute)), "{all:?}");
    assert_eq!(all.conclude(), PathMtu::NothingLives);
}

#[test]
fn the_source_is_the_one_that_was_asked_for() {
    let chain = Chain::new(3);
    chain.ip(0, "addr add 10.77.0.7/24 dev right");
    let asker = Asker { source: Some("10.77.0.7".parse().unwrap()), ..chain.asker() };
    let trace = trace(&asker, (chain.far(), None), TTLS, PATIENCE).unwrap();
    let source = Ipv4Addr::new(10, 77, 0, 7);
    let quoted = Quoted { from: source, to: chain.far() };
    assert_eq!(trace.hops[0].outcome, HopOutcome::Passed { router: FIRST, quoted });
    assert_eq!((trace.from, trace.first_rewritten()), (Some(source), None));
    // Routes are chosen by it.
    chain.ip(0, "rule add from 10.77.0.7 table 7");
    chain.ip(0, "route add unreachable default table 7");
    let no_route = HopOutcome::NotSent(NotSent::NoRoute);
    assert_eq!(
        outcomes(&probe::trace::trace(&asker, (chain.far(), None), TTLS, PATIENCE).unwrap()),
        [no_route]
    );
    assert_eq!(promptly(&chain, chain.far()).hops.len(), 2);
}

#[test]
fn a_source_that_is_not_the_askers_is_refused() {
    let chain = Chain::new(2);
    for source in ["203.0.113.7", "2001:db8::7"] {
        let asker = Asker { source: Some(source.parse().unwrap()), ..chain.asker() };
        let error = trace(&asker, (chain.far(), None), TTLS, PATIENCE).unwrap_err().to_string();
        assert!(error.contains(&format!("use the source address {source}")), "{error}");
    }
}

fn sizes(chain: &Chain, sizes: &[u16]) -> PathSizes {
    let started = Instant::now();
    let sized = sized(&chain.asker(), (chain.far(), None), sizes, PATIENCE).unwrap();
    assert!(started.elapsed() < PATIENCE, "{sized:?}");
    sized
}

#[test]
fn a_narrow_stretch_is_measured_and_its_router_named() {
    let chain = Chain::new(3);
    let all = [1500, 576, 1450, 1450, 1451];
    assert_eq!(sizes(&chain, &all).conclude(), PathMtu::AtLeast(1500));
    chain.ip(1, "link set right mtu 1450");
    let error = IcmpError { from: IpAddr::V4(FIRST), kind: 3, code: 4, next_mtu: Some(1450) };
    // The second time the kernel knows the path's MTU, and is not asked.
    for _ in 0..2 {
        let sized = sizes(&chain, &all);
        let lengths: Vec<u16> = sized.probes.iter().map(|probe| probe.packet_bytes).collect();
        assert_eq!(lengths, [576, 1450, 1451, 1500]);
        let limit = Limit::Told(error);
        assert_eq!(sized.conclude(), PathMtu::Between { lives: 1450, dies: 1451, limit });
        assert_eq!(sized.probes[3].outcome, SizedOutcome::TooBig(error));
    }
    let limit = Limit::Told(error);
    assert_eq!(sizes(&chain, &[1500, 1451]).conclude(), PathMtu::Below { dies: 1451, limit });
}

#[test]
fn a_stretch_that_swallows_large_packets_in_silence() {
    let chain = Chain::new(3);
    chain.ip(1, "link set right mtu 1450");
    chain.rule(1, "output", "icmp type destination-unreachable drop");
    let limit = Limit::Silence;
    assert_eq!(
        sizes(&chain, &[576, 1450, 1451]).conclude(),
        PathMtu::Between { lives: 1450, dies: 1451, limit }
    );
}

#[test]
fn the_own_links_limit_and_other_reasons_are_not_taken_for_the_paths() {
    let chain = Chain::new(3);
    chain.ip(0, "link set right mtu 1400");
    let conclusion = sizes(&chain, &[1400, 1401]).conclude();
    assert_eq!(conclusion, PathMtu::Between { lives: 1400, dies: 1401, limit: Limit::OwnLink });
    let conclusion = sizes(&chain, &[1401, 1500]).conclude();
    assert_eq!(conclusion, PathMtu::Below { dies: 1401, limit: Limit::OwnLink });
    chain.rule(1, "forward", "meta length > 1000 reject with icmp admin-prohibited");
    let conclusion = sizes(&chain, &[1000, 1001]).conclude();
    assert_eq!(conclusion, PathMtu::Between { lives: 1000, dies: 1001, limit: Limit::Other });
    chain.rule(1, "forward", "icmp type echo-request drop");
    let silent = sized(&chain.asker(), (chain.far(), None), &[576], SHORT).unwrap();
    assert_eq!(silent.conclude(), PathMtu::NothingLives);
}
