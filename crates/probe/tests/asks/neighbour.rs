//! Who answers for an address: one machine, two, nobody, and a crowd.

use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::{AsFd, AsRawFd};
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime};

use model::Mac;
use nix::sys::socket::{MsgFlags, send};
use probe::neighbour::{NeighbourError, NeighbourOutcome, NeighbourPlan, NeighbourResult, ask};
use probe::{Arrival, Asker};
use sys::netns;
use sys::packet_ring::{Ring, RingSize};

use crate::place::{Chain, PATIENCE};

const NEAR_MAC: Mac = Mac([2, 0x77, 0, 0, 0, 1]);
const FAR_MAC: Mac = Mac([2, 0x77, 0, 0, 0, 2]);
const THIRD_MAC: Mac = Mac([2, 0x77, 0, 0, 0, 3]);
/// How much longer a second machine may take than the first: far more than it does.
const GATHER: Duration = Duration::from_millis(300);

/// The near end and the far one, and a third machine on the link between them: behind a macvlan device of the far
/// end's, it has a MAC of its own and hears what is for everybody.
fn three() -> Chain {
    let chain = Chain::new(3).with_ipv6();
    let third = format!("link add third link left netns {} type macvlan mode bridge", chain.names[2]);
    chain.ip(1, &third);
    for (at, device, mac) in [(0, "right", NEAR_MAC), (1, "left", FAR_MAC), (2, "third", THIRD_MAC)] {
        chain.ip(at, &format!("link set {device} address {mac}"));
    }
    chain.ip(2, "link set third up");
    chain
}

fn plan(asked: &str) -> NeighbourPlan<'static> {
    let asked = asked.parse().unwrap();
    NeighbourPlan { link: "right", asked, as_nobody: false, right: None, gather: GATHER, timeout: PATIENCE }
}

/// Asks, and demands that it was settled by itself and not by the deadline.
fn promptly(chain: &Chain, plan: &NeighbourPlan<'_>) -> NeighbourResult {
    let started = Instant::now();
    let result = ask(&chain.asker(), plan).unwrap();
    assert!(started.elapsed() < PATIENCE, "{result:?}");
    result
}

/// Sorted, with the question's source.
fn macs(result: &NeighbourResult) -> (Option<String>, Vec<Mac>) {
    let mut macs: Vec<Mac> = result.macs.iter().map(|answer| answer.mac).collect();
    macs.sort_unstable();
    (result.asked_as.map(|address| address.to_string()), macs)
}

/// What a machine's stack knows of its neighbours: addresses and MACs, without their ages.
fn known(chain: &Chain, at: usize) -> Vec<String> {
    let output = Command::new("ip").args(["-n", &chain.names[at], "neigh"]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines: Vec<String> = text
        .lines()
        .map(|line| line.split_whitespace().take(5).collect::<Vec<_>>().join(" "))
        .filter(|line| line.contains("lladdr"))
        .collect();
    lines.sort();
    lines
}

fn flush(chain: &Chain) {
    for at in 0..3 {
        chain.ip(at, "neigh flush all");
    }
}

/// The near end's link-local address.
fn link_local(chain: &Chain) -> String {
    let show = ["-n", &chain.names[0], "-6", "-o", "addr", "show", "dev", "right", "scope", "link"];
    let output = Command::new("ip").args(show).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let address = text.split_whitespace().find_map(|word| word.strip_suffix("/64"));
    address.expect("a link-local address").to_owned()
}

#[test]
fn one_machine_is_told_with_its_mac_and_the_kernels_time() {
    let chain = three();
    let before = SystemTime::now();
    for asked in ["10.77.0.2", "fd77::2"] {
        let result = promptly(&chain, &plan(asked));
        assert_eq!((result.sent, &result.outcome), (1, &NeighbourOutcome::Answered), "{result:?}");
        let [answer] = result.macs[..] else { panic!("{result:?}") };
        assert_eq!((answer.mac, answer.sent_by, answer.took.arrival), (FAR_MAC, FAR_MAC, Arrival::Kernel));
        assert!(answer.at >= before && answer.at <= SystemTime::now());
        assert!(answer.took.duration < GATHER);
    }
}

#[test]
fn two_machines_with_one_address_are_both_told() {
    let chain = three();
    chain.ip(2, "addr add 10.77.0.2/24 dev third");
    chain.ip(2, "addr add fd77::2/64 dev third nodad");
    let link_local = link_local(&chain);
    for (asked, asked_as) in [("10.77.0.2", "10.77.0.1"), ("fd77::2", link_local.as_str())] {
        let result = promptly(&chain, &plan(asked));
        assert_eq!((result.sent, &result.outcome), (1, &NeighbourOutcome::Duplicate));
        assert_eq!(macs(&result), (Some(asked_as.to_owned()), vec![FAR_MAC, THIRD_MAC]));
    }
}

#[test]
fn a_question_teaches_neighbours_what_is_so_and_makes_no_entry_of_our_own() {
    let chain = three();
    chain.ip(2, "addr add 10.77.0.3/24 dev third");
    let link_local = link_local(&chain);
    flush(&chain);
    for asked in ["10.77.0.2", "fd77::2"] {
        promptly(&chain, &plan(asked));
    }
    assert_eq!(known(&chain, 0), Vec::<String>::new());
    let near =
        [format!("10.77.0.1 dev left lladdr {NEAR_MAC}"), format!("{link_local} dev left lladdr {NEAR_MAC}")];
    assert_eq!(known(&chain, 1), near);
    // Whom the question was not for learns nothing.
    assert_eq!(known(&chain, 2), Vec::<String>::new());
}

#[test]
fn who_has_no_address_of_that_net_asks_as_nobody_and_teaches_nothing() {
    let chain = three();
    chain.ip(0, "addr del 10.77.0.1/24 dev right");
    chain.ip(0, "addr add 192.0.2.1/24 dev right");
    chain.ip(0, "-6 addr flush dev right");
    flush(&chain);
    for asked in ["10.77.0.2", "fd77::2"] {
        let result = promptly(&chain, &plan(asked));
        assert_eq!((macs(&result), result.outcome), ((None, vec![FAR_MAC]), NeighbourOutcome::Answered));
    }
    assert_eq!(known(&chain, 1), Vec::<String>::new());
}

#[test]
fn asked_as_nobody_it_teaches_nobody_and_who_answers_for_others_is_silent() {
    let chain = three();
    flush(&chain);
    let as_nobody = |asked| NeighbourPlan { as_nobody: true, timeout: 3 * GATHER, ..plan(asked) };
    let result = promptly(&chain, &as_nobody("10.77.0.2"));
    assert_eq!((macs(&result), result.outcome), ((None, vec![FAR_MAC]), NeighbourOutcome::Answered));
    assert_eq!(known(&chain, 1), Vec::<String>::new());
    chain.ip(1, "neigh add proxy 10.77.0.98 dev left");
    chain.ip(1, "route add 10.77.0.98 via 10.77.1.2");
    let result = ask(&chain.asker(), &as_nobody("10.77.0.98")).unwrap();
    assert_eq!((result.macs, result.outcome), (vec![], NeighbourOutcome::Silent));
}

#[test]
fn an_entry_that_was_right_is_right_again() {
    let chain = three();
    chain.ip(2, "addr add 10.77.0.2/24 dev third");
    let both = (vec![FAR_MAC, THIRD_MAC], NeighbourOutcome::Duplicate);
    // For how long an entry follows no other answer: none, so that it may follow the wrong one, and hours.
    for (locktime, sent) in [("0", 1..=2), ("999999", 1..=1)] {
        chain.run(0, &format!("sysctl -qw net.ipv4.neigh.right.locktime={locktime}"));
        for right in [FAR_MAC, THIRD_MAC] {
            chain.ip(0, &format!("neigh replace 10.77.0.2 lladdr {right} dev right nud reachable"));
            let plan = NeighbourPlan { as_nobody: true, right: Some(right), ..plan("10.77.0.2") };
            let result = promptly(&chain, &plan);
            assert_eq!((macs(&result).1, result.outcome), both);
            assert_eq!(known(&chain, 0), [format!("10.77.0.2 dev right lladdr {right}")]);
            assert!(sent.contains(&result.sent), "{locktime}: {}", result.sent);
        }
    }
}

/// Of IPv6 an entry follows the last who spoke: whoever that is, the right one has the last word, and neither machine
/// learns anything but the asker's own link-local address.
#[test]
fn an_entry_of_ipv6_that_was_right_is_right_again_at_once() {
    let chain = three();
    chain.ip(2, "addr add fd77::2/64 dev third nodad");
    let link_local = link_local(&chain);
    for right in [FAR_MAC, THIRD_MAC] {
        flush(&chain);
        chain.ip(0, &format!("neigh replace fd77::2 lladdr {right} dev right nud reachable"));
        let result = promptly(&chain, &NeighbourPlan { right: Some(right), ..plan("fd77::2") });
        assert_eq!(
            (macs(&result).1, result.outcome),
            (vec![FAR_MAC, THIRD_MAC], NeighbourOutcome::Duplicate)
        );
        assert!(result.macs.iter().all(|answer| answer.overrides), "{:?}", result.macs);
        assert_eq!(known(&chain, 0), [format!("fd77::2 dev right lladdr {right}")]);
        for (at, device) in [(1, "left"), (2, "third")] {
            assert_eq!(known(&chain, at), [format!("{link_local} dev {device} lladdr {NEAR_MAC}")]);
        }
        // Again only where the other one was the last who spoke.
        assert!((1..=2).contains(&result.sent), "{}", result.sent);
    }
}

#[test]
fn an_entry_of_ipv6_that_was_wrong_or_of_nobody_is_left_to_the_kernel() {
    let chain = three();
    chain.ip(2, "addr add fd77::2/64 dev third nodad");
    for before in [None, Some(THIRD_MAC)] {
        flush(&chain);
        if let Some(mac) = before {
            chain.ip(0, &format!("neigh replace fd77::2 lladdr {mac} dev right nud reachable"));
        }
        let result = promptly(&chain, &NeighbourPlan { right: Some(FAR_MAC), ..plan("fd77::2") });
        assert_eq!((result.sent, result.macs.len()), (1, 2));
        assert_eq!(known(&chain, 0).len(), usize::from(before.is_some()));
    }
}

#[test]
fn an_address_of_our_own_that_another_has_is_had_twice() {
    let chain = three();
    for asked in ["10.77.0.1", "fd77::1"] {
        let short = NeighbourPlan { timeout: GATHER, ..plan(asked) };
        let alone = ask(&chain.asker(), &short).unwrap();
        assert_eq!((alone.macs.len(), alone.outcome), (0, NeighbourOutcome::Silent));
    }
    chain.ip(2, "addr add 10.77.0.1/24 dev third");
    chain.ip(2, "addr add fd77::1/64 dev third nodad");
    for asked in ["10.77.0.1", "fd77::1"] {
        let result = promptly(&chain, &plan(asked));
        assert_eq!((macs(&result).1, result.outcome), (vec![THIRD_MAC], NeighbourOutcome::Duplicate));
    }
}

#[test]
fn nobody_is_asked_for_three_times() {
    let chain = three();
    let results = std::thread::scope(|scope| {
        let chain = &chain;
        let runs = ["10.77.0.99", "fd77::99"].map(|asked| scope.spawn(move || promptly(chain, &plan(asked))));
        runs.map(|run| run.join().unwrap())
    });
    for result in results {
        assert_eq!((result.sent, result.macs, result.outcome), (3, vec![], NeighbourOutcome::Silent));
    }
}

#[test]
fn a_crowd_ends_it() {
    let chain = three();
    // Each has the address by a MAC of its own.
    for nth in 0..9 {
        chain.ip(1, &format!("link add m{nth} link left netns {} type macvlan mode bridge", chain.names[2]));
        chain.ip(2, &format!("link set m{nth} up"));
    }
    chain.ip(2, "addr add 10.77.0.3/24 dev third");
    let result = promptly(&chain, &plan("10.77.0.3"));
    assert_eq!((result.sent, result.macs.len(), result.outcome), (1, 8, NeighbourOutcome::Flooded));
}

/// An ARP reply: this MAC, which also sends it, has 10.77.0.99.
fn reply(mac: Mac) -> Vec<u8> {
    let header = [&NEAR_MAC.0[..], &mac.0, &[8, 6, 0, 1, 8, 0, 6, 4, 0, 2]].concat();
    [&header[..], &mac.0, &[10, 77, 0, 99], &NEAR_MAC.0, &[10, 77, 0, 1]].concat()
}

/// Asks for 10.77.0.99 while the far end sends nothing but these frames.
fn flooded(chain: &Chain, frame: impl Fn(u32) -> Vec<u8> + Send + Sync) -> NeighbourResult {
    let stop = AtomicBool::new(false);
    let size = RingSize { block_bytes: 4096, blocks: 2, retire_ms: 1 };
    let index = netns::within(&chain.fds[1], || nix::net::if_::if_nametoindex("left")).unwrap().unwrap();
    let sender = netns::within(&chain.fds[1], || Ring::open(size)).unwrap().unwrap();
    sender.bind(index).unwrap();
    std::thread::scope(|scope| {
        let stop = &stop;
        scope.spawn(move || {
            for nth in 0.. {
                let _ = send(sender.as_fd().as_raw_fd(), &frame(nth), MsgFlags::empty());
                if stop.load(Ordering::Relaxed) {
                    break;
                }
            }
        });
        // A machine that never falls silent must not keep us as long as we would listen to others.
        let result = promptly(chain, &NeighbourPlan { gather: 2 * PATIENCE, ..plan("10.77.0.99") });
        stop.store(true, Ordering::Relaxed);
        result
    })
}

#[test]
fn a_flood_of_answers_ends_it() {
    let chain = three();
    let one = flooded(&chain, |_| reply(THIRD_MAC));
    assert_eq!((macs(&one).1, one.outcome), (vec![THIRD_MAC], NeighbourOutcome::Flooded));
    let many = flooded(&chain, |nth| {
        let [a, b, c, d] = nth.to_be_bytes();
        reply(Mac([2, 0, a, b, c, d]))
    });
    assert_eq!((many.macs.len(), many.outcome), (8, NeighbourOutcome::Flooded));
    // Whatever they say: these are for another.
    let others = flooded(&chain, |_| {
        let mut frame = reply(THIRD_MAC);
        frame[5] = 9;
        frame
    });
    assert_eq!((others.macs, others.outcome), (vec![], NeighbourOutcome::Flooded));
}

#[test]
fn who_answers_for_another_is_heard_though_it_takes_its_time() {
    let chain = three();
    chain.run(1, "sysctl -qw net.ipv6.conf.all.proxy_ndp=1");
    for (asked, beyond) in [("10.77.0.98", "10.77.1.2"), ("fd77::98", "fd77:0:0:1::2")] {
        chain.ip(1, &format!("neigh add proxy {asked} dev left"));
        chain.ip(1, &format!("route add {asked} via {beyond}"));
        let result = promptly(&chain, &plan(asked));
        assert_eq!((macs(&result).1, result.outcome), (vec![FAR_MAC], NeighbourOutcome::Answered));
        // Only IPv6 has a word for it.
        assert_eq!(result.macs[0].overrides, asked == "10.77.0.98", "{asked}");
    }
}

#[test]
fn a_link_that_is_down_is_told() {
    let chain = three();
    chain.ip(0, "link set right down");
    assert_eq!(promptly(&chain, &plan("10.77.0.2")).outcome, NeighbourOutcome::LinkDown);
}

#[test]
fn the_source_is_the_links_own_or_refused() {
    let chain = three();
    chain.ip(0, "addr add 10.77.0.7/24 dev right");
    let with = |source: &str, asked: &str| {
        ask(&Asker { source: Some(source.parse().unwrap()), ..chain.asker() }, &plan(asked))
    };
    let own = Some(IpAddr::V4(Ipv4Addr::new(10, 77, 0, 7)));
    assert_eq!(with("10.77.0.7", "10.77.0.2").unwrap().asked_as, own);
    assert_eq!(macs(&with("fd77::1", "fd77::2").unwrap()), (Some("fd77::1".to_owned()), vec![FAR_MAC]));
    for (source, asked) in [
        ("10.77.0.9", "10.77.0.2"),
        ("10.77.0.7", "fd77::2"),
        ("127.0.0.1", "10.77.0.2"),
        ("10.77.0.1", "10.77.0.1"),
    ] {
        let error = with(source, asked).unwrap_err();
        assert!(matches!(error, NeighbourError::NotOwn { .. }), "{error}");
        assert!(error.to_string().contains(&format!("{source} is not a usable address")), "{error}");
    }
}

#[test]
fn what_has_no_neighbours_cannot_be_asked() {
    let chain = three();
    let on = |link, asked: &str| ask(&chain.asker(), &NeighbourPlan { link, ..plan(asked) }).unwrap_err();
    assert!(matches!(on("lo", "10.77.0.2"), NeighbourError::NotEthernet { .. }));
    assert!(matches!(on("nolink", "10.77.0.2"), NeighbourError::NoLink { .. }));
    for asked in ["0.0.0.0", "255.255.255.255", "224.0.0.1", "127.0.0.1", "::", "::1", "ff02::1"] {
        assert!(matches!(on("right", asked), NeighbourError::NotOnes { .. }), "{asked}");
    }
}
