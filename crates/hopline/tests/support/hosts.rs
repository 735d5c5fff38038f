//! What a host has and must have again when a question is over, however it ended.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::{eventually, printed_in};

/// What a host has besides connections, without what only counts or ages.
pub(crate) fn host_state(netns: &str) -> Vec<String> {
    let commands = [
        "ip -o link",
        "ip -o -d link show type bridge_slave",
        "ip -o address",
        "ip route show table all",
        "tc qdisc show",
        "nft -s list ruleset",
        "ebtables-save",
        "bridge fdb show",
    ];
    let print = |line: &str| printed_in(netns, &line.split(' ').collect::<Vec<_>>());
    let mut printed: String = commands.iter().map(|line| print(line)).collect();
    let links = print("ip -o link");
    for device in ["vnet0", "eth0"].into_iter().filter(|device| links.contains(&format!(": {device}"))) {
        printed += &print(&format!("tc filter show dev {device}"));
    }
    // The first line of ebtables-save is the time.
    let mut state: Vec<String> =
        printed.lines().filter(|line| !line.starts_with('#')).map(without_timers).collect();
    // How fresh an entry is changes by itself; whom it names must not.
    let neighbours = print("ip neigh show");
    state.extend(neighbours.lines().map(|line| line.split(' ').take(5).collect::<Vec<_>>().join(" ")));
    state.sort();
    state
}

fn without_timers(line: &str) -> String {
    let is_timer = |word: &&str| word.contains('.') && word.parse::<f64>().is_ok();
    line.split_whitespace().filter(|word| !is_timer(word)).collect::<Vec<_>>().join(" ")
}

#[track_caller]
pub(crate) fn assert_same(before: &[String], after: &[String]) {
    assert!(before == after, "{}", difference(before, after));
}

fn difference(before: &[String], after: &[String]) -> String {
    let gone: Vec<_> = before.iter().filter(|line| !after.contains(line)).collect();
    let new: Vec<_> = after.iter().filter(|line| !before.contains(line)).collect();
    format!("gone: {gone:#?}\nnew: {new:#?}")
}

/// Connections that a host tracks: protocol, addresses and ports, without what only counts or ages.
pub(crate) fn connections(netns: &str) -> BTreeSet<String> {
    let printed = printed_in(netns, &["conntrack", "-L"]);
    let of = |line: &str| {
        let is_kept = |word: &&str| {
            ["src=", "dst=", "sport=", "dport=", "id=", "type="].iter().any(|key| word.starts_with(key))
        };
        let protocol = line.split_whitespace().next().unwrap_or_default();
        let words: Vec<&str> = line.split_whitespace().filter(is_kept).collect();
        format!("{protocol} {}", words.join(" "))
    };
    // The kernel's own reports of multicast groups (IGMP) come when they will.
    printed.lines().filter(|line| !line.contains("dst=224.0.0.22 ")).map(of).collect()
}

/// From here on what a host tracks is forgotten a second after it was last used, but for connections that stand.
pub(crate) fn age_fast(netns: &str) {
    let kinds = [
        "icmp_timeout",
        "udp_timeout",
        "udp_timeout_stream",
        "tcp_timeout_close",
        "tcp_timeout_syn_sent",
        "tcp_timeout_syn_recv",
        "tcp_timeout_time_wait",
        "generic_timeout",
    ];
    for kind in kinds {
        printed_in(netns, &["sysctl", "-q", "-w", &format!("net.netfilter.nf_conntrack_{kind}=1")]);
    }
}

/// Waits until a host has again what it had, and tracks nothing that it did not.
pub(crate) fn wait_for(netns: &str, state: &[String], tracked: &BTreeSet<String>, when: &str) {
    // The kernel takes away what belonged to a process a moment later.
    let deadline = Instant::now() + Duration::from_secs(10);
    let mut now = host_state(netns);
    while now != state && Instant::now() < deadline {
        now = host_state(netns);
    }
    assert!(now == state, "{netns}, {when}: {}", difference(state, &now));
    eventually(&format!("connections to be forgotten, {when}"), || connections(netns).is_subset(tracked));
}
