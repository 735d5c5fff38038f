//! Echo through a real pair of namespaces: `ht-cli-PID-N-a` (192.0.2.1) and `-b` (192.0.2.2).
//! Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use model::probe::{Asked, ProbeResult};
use probe::{EchoPlan, EchoSize, echo};
use sys::netns::NetnsFd;

const NEAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const FAR: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);
/// Longer than anything that is answered; only silence takes it.
const PATIENCE: Duration = Duration::from_secs(10);

/// Two namespaces and the veth between them, removed with the value.
struct Pair {
    near: String,
    far: String,
}

impl Pair {
    fn new() -> Pair {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("ht-cli-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let pair = Pair { near: format!("{name}-a"), far: format!("{name}-b") };
        ip(&["netns", "add", &pair.near]);
        ip(&["netns", "add", &pair.far]);
        ip(&[
            "-n", &pair.near, "link", "add", "v0", "type", "veth", "peer", "name", "v0", "netns", &pair.far,
        ]);
        for (netns, address) in [(&pair.near, "192.0.2.1/24"), (&pair.far, "192.0.2.2/24")] {
            ip(&["-n", netns, "addr", "add", address, "dev", "v0"]);
            ip(&["-n", netns, "link", "set", "v0", "up"]);
            ip(&["-n", netns, "link", "set", "lo", "up"]);
        }
        pair
    }

    fn plan(&self, to: Ipv4Addr) -> EchoPlan {
        EchoPlan {
            from: "near".to_owned(),
            netns: NetnsFd::named(&self.near).unwrap(),
            source: None,
            to,
            count: 3,
            interval: Duration::from_millis(10),
            timeout: PATIENCE,
            ttl: None,
            id: None,
            size: EchoSize { octets: 84, whole: false },
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        for netns in [&self.near, &self.far] {
            // A failure here cannot be reported better than by the namespace that stays.
            let _ = Command::new("ip").args(["netns", "del", netns]).status();
        }
    }
}

fn iptables(netns: &str, arguments: &[&str]) {
    ip(&[&["netns", "exec", netns, "iptables", "-w"], arguments].concat());
}

fn ip(arguments: &[&str]) {
    let status = Command::new("ip").args(arguments).status().expect("ip is installed");
    assert!(status.success(), "ip {arguments:?}");
}

/// Sends, and demands that the answer came by itself and not by the deadline.
fn promptly(plan: &EchoPlan) -> ProbeResult {
    let started = Instant::now();
    let result = echo(plan).unwrap();
    assert!(started.elapsed() < PATIENCE, "{result:?}");
    result
}

#[test]
fn replies_are_counted_with_ttl_and_time() {
    let pair = Pair::new();
    let size = EchoSize { octets: 1228, whole: false };
    let result = promptly(&EchoPlan { source: Some(NEAR), size, ..pair.plan(FAR) });
    assert_eq!((result.sent, result.received, result.reply_ttl), (3, 3, Some(64)));
    assert!(result.rtt_us.is_some() && result.errors.is_empty() && result.send_error.is_none(), "{result:?}");
}

#[test]
fn of_packets_that_nobody_may_fragment_one_answer_is_enough_and_one_word_too() {
    let pair = Pair::new();
    let whole = |octets, to| EchoPlan { size: EchoSize { octets, whole: true }, ..pair.plan(to) };
    let result = promptly(&whole(1500, FAR));
    assert_eq!((result.sent, result.received, result.asked), (1, 1, Asked::Echo { octets: 1500 }));
    // Larger than the link that it would leave by.
    let result = promptly(&whole(1501, FAR));
    assert!(result.send_error.as_deref().is_some_and(|e| e.contains("Message too long")), "{result:?}");
    assert_eq!((result.sent, result.received), (0, 0));
    // Larger than a router's next link, which it says.
    let beyond = Ipv4Addr::new(198, 51, 100, 1);
    ip(&["-n", &pair.far, "link", "add", "small", "mtu", "1400", "type", "bridge"]);
    ip(&["-n", &pair.far, "link", "set", "small", "up"]);
    ip(&["-n", &pair.far, "route", "add", "198.51.100.0/24", "dev", "small"]);
    ip(&["netns", "exec", &pair.far, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    ip(&["-n", &pair.near, "route", "add", "default", "via", "192.0.2.2"]);
    for _ in 0..2 {
        // What the router said is not held against the next probe.
        let result = promptly(&whole(1500, beyond));
        assert_eq!(result.errors, [(IpAddr::V4(FAR), "fragmentation needed".to_owned())], "{result:?}");
    }
}

#[test]
fn another_ping_on_the_same_host_is_not_mistaken_for_ours() {
    let pair = Pair::new();
    let (plan, other) = (pair.plan(FAR), pair.plan(FAR));
    let both = std::thread::scope(|scope| {
        let runs = [scope.spawn(|| promptly(&plan)), scope.spawn(|| promptly(&other))];
        runs.map(|run| run.join().unwrap()).map(|result| (result.sent, result.received))
    });
    assert_eq!(both, [(3, 3), (3, 3)]);
}

#[test]
fn silence_lasts_until_the_deadline() {
    let pair = Pair::new();
    iptables(&pair.far, &["-A", "INPUT", "-p", "icmp", "-j", "DROP"]);
    let result = echo(&EchoPlan { timeout: Duration::from_millis(200), ..pair.plan(FAR) }).unwrap();
    assert_eq!((result.sent, result.received, result.rtt_us), (3, 0, None));
    assert_eq!((result.errors, result.send_error), (Vec::new(), None));
}

#[test]
fn an_absent_neighbour_is_told_by_our_own_stack() {
    let pair = Pair::new();
    let result = promptly(&pair.plan(Ipv4Addr::new(192, 0, 2, 99)));
    assert_eq!(result.errors.first(), Some(&(IpAddr::V4(NEAR), "host unreachable".to_owned())), "{result:?}");
}

#[test]
fn a_refusal_is_told_with_who_refused() {
    let pair = Pair::new();
    iptables(&pair.far, &["-A", "INPUT", "-j", "REJECT", "--reject-with", "icmp-admin-prohibited"]);
    let result = promptly(&pair.plan(FAR));
    let expected = (IpAddr::V4(FAR), "communication administratively prohibited".to_owned());
    assert_eq!(result.errors, [expected]);
    assert_eq!(result.received, 0);
}

#[test]
fn a_ttl_that_runs_out_is_told_by_the_router() {
    let pair = Pair::new();
    let beyond = Ipv4Addr::new(198, 51, 100, 1);
    ip(&["-n", &pair.near, "route", "add", "default", "via", "192.0.2.2"]);
    ip(&["netns", "exec", &pair.far, "sh", "-c", "echo 1 > /proc/sys/net/ipv4/ip_forward"]);
    ip(&["-n", &pair.far, "route", "add", "default", "via", "192.0.2.1"]);
    let result = promptly(&EchoPlan { ttl: Some(1), ..pair.plan(beyond) });
    assert_eq!(result.errors, [(IpAddr::V4(FAR), "time to live exceeded".to_owned())]);
}

#[test]
fn what_the_own_stack_refuses_is_a_send_error() {
    let pair = Pair::new();
    let result = promptly(&pair.plan(Ipv4Addr::new(198, 51, 100, 1)));
    assert!(result.send_error.as_deref().is_some_and(|e| e.contains("unreachable")), "{result:?}");
    assert_eq!(result.sent, 0);
    iptables(&pair.near, &["-A", "OUTPUT", "-p", "icmp", "-j", "DROP"]);
    let result = promptly(&pair.plan(FAR));
    assert!(result.send_error.as_deref().is_some_and(|e| e.contains("not permitted")), "{result:?}");
}
