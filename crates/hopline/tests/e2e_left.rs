//! What questions leave behind on the hosts when they are over, or killed in the middle of it: nothing but tracked
//! connections, which are forgotten as any are. And what `--passive` sends: nothing. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use cli_support::command;
use support::hosts::{age_fast, assert_same, connections, host_state, wait_for};
use support::reach::Reach;
use support::test_lab::TestLab;
use support::{eventually, killed_once, printed_in};
use tempfile::TempDir;

/// A lab that has been in use, and a site file by which nobody can enter its instances.
struct Used {
    lab: TestLab,
    folder: TempDir,
}

/// Whether instances are asked from inside, or spoken for by their hosts, and whether these are all of the site.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Inside,
    Host,
    HostAlone,
}

/// The machines whose state is held to what it was: web1's host, and the router beyond it.
const HELD: [&str; 2] = ["compute1", "gw"];

/// What each of them has, and which connections it tracks.
type Held = [(String, Vec<String>, BTreeSet<String>); 2];

/// Its hosts know their neighbours.
fn meet(lab: &TestLab) {
    let reach = Reach::of(lab);
    reach.pings("compute1", "1.2.3.4");
    reach.pings("web1", "1.2.3.4");
    reach.pings("web1", &lab.address("web2"));
    reach.pings("ext", "203.0.113.30");
    reach.pings("compute1", "fd77::24");
    reach.pings("compute1", "fe80::f816:3eff:fe00:224%br100");
}

impl Used {
    fn up(tag: &str) -> Used {
        let lab = TestLab::up(tag);
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::read_to_string(lab.site()).unwrap();
        let insides = ["web1", "web2"].map(|name| format!("at = \"netns:{}\"", lab.netns(name)));
        let closed: Vec<&str> = open.lines().filter(|line| !insides.iter().any(|i| i == line)).collect();
        let closed = closed.join("\n");
        let is_beyond = |part: &&str| {
            ["gw", "isp", "external", "fabric"]
                .iter()
                .any(|name| part.contains(&format!("name = \"{name}\"")))
        };
        let alone: Vec<&str> = closed.split("\n\n").filter(|part| !is_beyond(part)).collect();
        std::fs::write(folder.path().join("alone.toml"), alone.join("\n\n")).unwrap();
        std::fs::write(folder.path().join("closed.toml"), closed).unwrap();
        // With IPv6 there is more to ask.
        for (of, device, address) in [("compute1", "br100", "fd77::1/64"), ("web1", "eth0", "fd77::24/64")] {
            let netns = lab.netns(of);
            printed_in(&netns, &["sysctl", "-qw", &format!("net.ipv6.conf.{device}.disable_ipv6=0")]);
            printed_in(&netns, &["ip", "address", "add", address, "dev", device, "nodad"]);
        }
        HELD.iter().for_each(|name| age_fast(&lab.netns(name)));
        let is_settled = |of: &str| {
            let tentative = ["ip", "-6", "-o", "address", "show", "tentative"];
            printed_in(&lab.netns(of), &tentative).is_empty()
        };
        eventually("IPv6 addresses that nobody else has", || {
            ["compute1", "web1"].into_iter().all(is_settled)
        });
        meet(&lab);
        Used { lab, folder }
    }

    fn site(&self, by: By) -> String {
        let path = match by {
            By::Inside => self.lab.site(),
            By::Host => self.folder.path().join("closed.toml"),
            By::HostAlone => self.folder.path().join("alone.toml"),
        };
        path.display().to_string()
    }

    fn held(&self) -> Held {
        HELD.map(|name| {
            let netns = self.lab.netns(name);
            let (state, tracked) = (host_state(&netns), connections(&netns));
            (netns, state, tracked)
        })
    }

    /// Asks, and kills hopline once this holds, done or not; whether it was not.
    fn ask_and_kill(&self, by: By, question: &[&str], holds: impl FnMut() -> bool) -> bool {
        let site = self.site(by);
        let arguments = [&["diagnose", "web1", "--site", &site], question].concat();
        killed_once(&mut command(self.folder.path()), &arguments, holds)
    }
}

/// What is asked for each: an address, a name, a connection, and all of it.
const SYMPTOMS: [&str; 5] = ["dhcp", "dns", "metadata", "ssh", "auto"];

/// Whether a tracked connection is a question of ours, or its answer: of the ladder's kinds alone.
fn is_question(line: &str) -> bool {
    let is_of = |start: &str, port: &str| line.starts_with(start) && line.contains(port);
    let services = [" dport=53 ", " dport=67 "].iter().any(|port| is_of("udp ", port))
        || [" dport=22 ", " dport=80 ", " dport=8775 ", " dport=53 "].iter().any(|port| is_of("tcp ", port));
    // An OFFER goes out on its own.
    let is_offer = is_of("udp ", " sport=67 dport=68 ");
    services || is_offer || is_of("icmp ", " type=8 ") || is_of("icmpv6 ", " type=128 ")
}

fn wait_for_all(before: &Held, when: &str) {
    before.iter().for_each(|(netns, state, tracked)| wait_for(netns, state, tracked, when));
}

#[test]
fn a_question_that_is_over_leaves_connections_that_are_forgotten() {
    let used = Used::up("o");
    for by in [By::Inside, By::Host] {
        for symptom in SYMPTOMS {
            let before = used.held();
            let site = used.site(by);
            let run = used.lab.hopline(&["diagnose", "web1", "--symptom", symptom, "--site", &site]);
            assert_eq!(run.code, 0, "{by:?} {symptom}: {run:?}");
            for (netns, state, tracked) in &before {
                assert_same(state, &host_state(netns));
                let now = connections(netns);
                let strange: Vec<&String> =
                    now.difference(tracked).filter(|line| !is_question(line)).collect();
                assert!(strange.is_empty(), "{netns} {by:?} {symptom}: {strange:#?}");
            }
            wait_for_all(&before, &format!("{by:?} {symptom}"));
        }
    }
}

#[test]
fn killed_at_any_moment_it_leaves_nothing() {
    let used = Used::up("k");
    let host = used.lab.netns("compute1");
    // Nothing answers, so that it waits for as long as it ever does.
    for line in ["-I INPUT -i br100 -p udp -j DROP", "-I INPUT -i br100 -p tcp -j DROP", "-I FORWARD -j DROP"]
    {
        printed_in(&host, &[&["iptables"], &line.split(' ').collect::<Vec<_>>()[..]].concat());
    }
    let (mut killed, mut rounds) = (0, 0);
    for by in [By::Inside, By::Host] {
        for symptom in SYMPTOMS {
            for moment in [100, 300, 700, 1500].map(Duration::from_millis) {
                let before = used.held();
                rounds += 1;
                let then = Instant::now() + moment;
                killed +=
                    u32::from(used.ask_and_kill(by, &["--symptom", symptom], || Instant::now() >= then));
                wait_for_all(&before, &format!("{by:?} {symptom} killed after {moment:?}"));
            }
        }
    }
    assert!(2 * killed > rounds, "only {killed} of {rounds} were killed in the middle");
}

/// Where a question is lost beyond the site its routers are asked, and where a large packet is lost smaller ones are
/// sent, all at once: it is killed when the first of them is under way, and when the last is.
#[test]
fn killed_while_it_looks_at_the_way_it_leaves_nothing() {
    let used = Used::up("w");
    let (gw, isp) = (used.lab.netns("gw"), used.lab.netns("isp"));
    // A trace's packet that ends at the router, and sizes that no other question has.
    let sizes = "ip length { 1280, 1400, 1450, 1476, 1492 } icmp type echo-request";
    let traces = "ip ttl 1 icmp type echo-request";
    let table = format!(
        "table ip way {{\n counter asked {{ }}\n chain in {{\n  type filter hook prerouting priority -300;\n  \
         {sizes} counter name asked\n  {traces} counter name asked\n }}\n}}"
    );
    printed_in(&gw, &["nft", &table]);
    let asked = || packets(&printed_in(&gw, &["nft", "list", "counter", "ip", "way", "asked"]));
    let kill = |by: By, question: &[&str], packets: &[u64]| {
        for nth in packets {
            let (before, so_far) = (used.held(), asked());
            let when = format!("{by:?} killed at packet {nth} of the way");
            assert!(used.ask_and_kill(by, question, || asked() >= so_far + nth), "{when}: it was not");
            wait_for_all(&before, &when);
        }
    };
    used.lab.break_fault("pmtu-blackhole");
    kill(By::Inside, &["--symptom", "ping"], &[1, 5]);
    kill(By::Host, &["--symptom", "ping"], &[1, 5]);
    used.lab.heal();
    // What heals forgets them.
    meet(&used.lab);
    // Of a trace one packet ends at the router, with all others on their way.
    printed_in(&isp, &["iptables", "-I", "FORWARD", "-d", "1.2.3.4", "-p", "icmp", "-j", "DROP"]);
    kill(By::HostAlone, &["--to", "1.2.3.4"], &[1]);
}

/// Frames of the kinds that any question of ours is, which a host or an instance was handed by a device. What a kernel
/// asks of its own accord goes to the one neighbour alone whose entry grows old.
const COUNTED: &str = "icmp type echo-request counter name asked
    udp dport 53 counter name asked
    udp dport 67 ip saddr 0.0.0.0 counter name asked
    tcp flags & (syn | ack) == syn counter name asked
    ether daddr ff:ff:ff:ff:ff:ff arp operation request counter name asked";

/// Counts in a namespace whatever comes in by these devices.
fn count(netns: &str, devices: &str) {
    let rules = COUNTED.lines().map(str::trim).collect::<Vec<_>>().join("\n  ");
    let table = format!(
        "table netdev asked {{\n counter asked {{ }}\n chain in {{\n  type filter hook ingress devices = \
         {{ {devices} }} priority 0;\n  {rules}\n }}\n}}"
    );
    printed_in(netns, &["nft", &table]);
}

/// What a listed counter has counted.
fn packets(listing: &str) -> u64 {
    listing.split("packets ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap()
}

fn counted(netns: &str) -> u64 {
    packets(&printed_in(netns, &["nft", "list", "counter", "netdev", "asked", "asked"]))
}

#[test]
fn passive_sends_nothing() {
    let used = Used::up("p");
    let places = [
        ("compute1", "vnet0, vnet1, br100, eth0, eth1, lo"),
        ("web1", "eth0, lo"),
        ("gw", "eth0, eth1, lo"),
        ("ext", "eth0, lo"),
    ];
    let places = places.map(|(place, devices)| (used.lab.netns(place), devices));
    places.iter().for_each(|(netns, devices)| count(netns, devices));
    let all = || places.iter().map(|(netns, _)| counted(netns)).collect::<Vec<u64>>();
    for by in [By::Inside, By::Host] {
        let site = used.site(by);
        let before = all();
        for question in
            [&["diagnose", "web1", "--passive"][..], &["diagnose", "--all", "--passive"], &["check"]]
        {
            let run = used.lab.hopline(&[question, &["--site", &site]].concat());
            assert_eq!(run.code, 0, "{question:?}: {run:?}");
        }
        assert_eq!(all(), before, "{by:?}: somebody was asked");
        let run = used.lab.hopline(&["diagnose", "web1", "--site", &site]);
        assert_eq!(run.code, 0, "{run:?}");
        let after = all();
        assert!(
            after.iter().zip(&before).all(|(after, before)| after > before),
            "{by:?}: {before:?} {after:?}"
        );
    }
}
