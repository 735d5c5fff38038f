//! What questions leave behind on the hosts when they are over, or killed in the middle of it: nothing but tracked
//! connections, which are forgotten as any are. And what `--passive` sends: nothing. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::time::Duration;

use cli_support::command;
use support::hosts::{age_fast, assert_same, connections, host_state, wait_for};
use support::reach::Reach;
use support::test_lab::TestLab;
use support::{killed_after, printed_in};
use tempfile::TempDir;

/// A lab that has been in use, and a site file by which nobody can enter its instances.
struct Used {
    lab: TestLab,
    folder: TempDir,
}

/// Whether instances are asked from inside, or spoken for by their hosts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum By {
    Inside,
    Host,
}

impl Used {
    fn up(tag: &str) -> Used {
        let lab = TestLab::up(tag);
        let folder = tempfile::tempdir().unwrap();
        let open = std::fs::read_to_string(lab.site()).unwrap();
        let insides = ["web1", "web2"].map(|name| format!("at = \"netns:{}\"", lab.netns(name)));
        let closed: Vec<&str> = open.lines().filter(|line| !insides.iter().any(|i| i == line)).collect();
        std::fs::write(folder.path().join("closed.toml"), closed.join("\n")).unwrap();
        // Its hosts know their neighbours.
        let reach = Reach::of(&lab);
        reach.pings("web1", "1.2.3.4");
        reach.pings("web1", &lab.address("web2"));
        reach.pings("ext", "203.0.113.30");
        Used { lab, folder }
    }

    fn site(&self, by: By) -> String {
        let path = match by {
            By::Inside => self.lab.site(),
            By::Host => self.folder.path().join("closed.toml"),
        };
        path.display().to_string()
    }

    /// Asks, and kills hopline after this long, done or not; whether it was not.
    fn ask_and_kill(&self, by: By, symptom: &str, after: Duration) -> bool {
        let site = self.site(by);
        killed_after(
            &mut command(self.folder.path()),
            &["diagnose", "web1", "--symptom", symptom, "--site", &site],
            after,
        )
    }
}

/// What is asked for each: an address, a name, a connection.
const SYMPTOMS: [&str; 3] = ["dhcp", "dns", "metadata"];

/// Whether a tracked connection is a question of ours, or its answer: of the ladder's kinds alone.
fn is_question(line: &str) -> bool {
    let is_of = |start: &str, port: &str| line.starts_with(start) && line.contains(port);
    let services = [" dport=53 ", " dport=67 "].iter().any(|port| is_of("udp ", port))
        || [" dport=80 ", " dport=8775 ", " dport=53 "].iter().any(|port| is_of("tcp ", port));
    // An OFFER goes out on its own.
    let is_offer = is_of("udp ", " sport=67 dport=68 ");
    services || is_offer || is_of("icmp ", " type=8 ")
}

#[test]
fn a_question_that_is_over_leaves_connections_that_are_forgotten() {
    let used = Used::up("o");
    let host = used.lab.netns("compute1");
    age_fast(&host);
    for by in [By::Inside, By::Host] {
        for symptom in SYMPTOMS.into_iter().chain(["auto"]) {
            let (state, tracked) = (host_state(&host), connections(&host));
            let site = used.site(by);
            let run = used.lab.hopline(&["diagnose", "web1", "--symptom", symptom, "--site", &site]);
            assert_eq!(run.code, 0, "{by:?} {symptom}: {run:?}");
            assert_same(&state, &host_state(&host));
            let now = connections(&host);
            let strange: Vec<&String> = now.difference(&tracked).filter(|line| !is_question(line)).collect();
            assert!(strange.is_empty(), "{by:?} {symptom}: {strange:#?}");
            wait_for(&host, &state, &tracked, &format!("{by:?} {symptom}"));
        }
    }
}

#[test]
fn killed_at_any_moment_it_leaves_nothing() {
    let used = Used::up("k");
    let host = used.lab.netns("compute1");
    age_fast(&host);
    // Nothing answers, so that it waits for as long as it ever does.
    for line in ["-I INPUT -i br100 -p udp -j DROP", "-I INPUT -i br100 -p tcp -j DROP", "-I FORWARD -j DROP"]
    {
        printed_in(&host, &[&["iptables"], &line.split(' ').collect::<Vec<_>>()[..]].concat());
    }
    let moments = [100, 300, 700, 1500].map(Duration::from_millis);
    let (mut killed, mut rounds) = (0, 0);
    for by in [By::Inside, By::Host] {
        for symptom in SYMPTOMS {
            for moment in moments {
                let (state, tracked) = (host_state(&host), connections(&host));
                rounds += 1;
                killed += u32::from(used.ask_and_kill(by, symptom, moment));
                wait_for(&host, &state, &tracked, &format!("{by:?} {symptom} killed after {moment:?}"));
            }
        }
    }
    assert!(2 * killed > rounds, "only {killed} of {rounds} were killed in the middle");
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

fn counted(netns: &str) -> u64 {
    let listing = printed_in(netns, &["nft", "list", "counter", "netdev", "asked", "asked"]);
    listing.split("packets ").nth(1).and_then(|rest| rest.split(' ').next()).unwrap().parse().unwrap()
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
