//! What a diagnosis costs an instance: fewer than 50 packets, whatever is wrong. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::report::{Report, list, text};
use support::test_lab::TestLab;
use support::{assert_none, printed_in};

/// What one sends who asks: pings, questions for names and addresses, connections begun and reset, and ARP's
/// questions.
const OVER_IP: [&str; 6] = [
    "icmp type echo-request",
    "icmpv6 type echo-request",
    "udp dport 53",
    "udp dport 67",
    "tcp flags syn / fin,syn,rst,ack",
    "tcp flags & rst != 0",
];

/// Counts what the machines of a lab send, and what comes in by web1's NIC, whoever sent it as web1.
struct Counters<'l> {
    lab: &'l TestLab,
}

impl Counters<'_> {
    const SENDERS: [&'static str; 4] = ["compute1", "gw", "isp", "ext"];

    fn of(lab: &TestLab) -> Counters<'_> {
        let nft = |sender: &str, line: &str| {
            printed_in(&lab.netns(sender), &["nft", line]);
        };
        for sender in Counters::SENDERS {
            nft(sender, "add table inet ht-own");
            nft(sender, "add counter inet ht-own asked");
            nft(sender, "add chain inet ht-own out { type filter hook output priority 300; }");
            for kind in OVER_IP {
                nft(sender, &format!("add rule inet ht-own out {kind} counter name asked"));
            }
        }
        nft("compute1", "add table netdev ht-in");
        nft("compute1", "add counter netdev ht-in asked");
        let chain = "add chain netdev ht-in in { type filter hook ingress device vnet0 priority 0; }";
        nft("compute1", chain);
        for kind in OVER_IP.into_iter().chain(["arp operation request"]) {
            nft("compute1", &format!("add rule netdev ht-in in {kind} counter name asked"));
        }
        Counters { lab }
    }

    fn now(&self) -> u64 {
        let counted = |sender: &str, table: &str| {
            let listing =
                printed_in(&self.lab.netns(sender), &["nft", "list", "counters", "table", "inet", table]);
            packets(&listing)
        };
        let own: u64 = Counters::SENDERS.iter().map(|sender| counted(sender, "ht-own")).sum();
        let host = self.lab.netns("compute1");
        own + packets(&printed_in(&host, &["nft", "list", "counters", "table", "netdev", "ht-in"]))
    }
}

fn packets(listing: &str) -> u64 {
    let after = listing.split("packets ").nth(1).expect("a counter").split(' ').next().expect("a number");
    after.parse().expect("a number")
}

/// Addresses that hosts have asked for by ARP and neighbour solicitation beside all questions: no output chain sees
/// these.
fn asked_for(report: &Report) -> u64 {
    let lines = list(&report.json["coverage"]["looked_at"]).iter().map(text);
    u64::try_from(lines.filter(|line| line.starts_with("asked who has")).count()).unwrap()
}

#[test]
fn an_instance_costs_fewer_than_50_packets_whatever_is_wrong() {
    let lab = TestLab::up("f");
    // With IPv6 there is more to ask.
    for (of, device, address) in [("compute1", "br100", "fd77::1/64"), ("web1", "eth0", "fd77::24/64")] {
        let netns = lab.netns(of);
        printed_in(&netns, &["sysctl", "-qw", &format!("net.ipv6.conf.{device}.disable_ipv6=0")]);
        printed_in(&netns, &["ip", "address", "add", address, "dev", device, "nodad"]);
    }
    let open = std::fs::read_to_string(lab.site()).unwrap();
    let is_inside = |line: &&str| line.starts_with("at = \"netns:") && line.contains("-web");
    let closed: Vec<&str> = open.lines().filter(|line| !is_inside(line)).collect();
    let folder = tempfile::tempdir().unwrap();
    let closed_site = folder.path().join("site.toml");
    std::fs::write(&closed_site, closed.join("\n")).unwrap();
    let (open_site, closed_site) = (lab.site().display().to_string(), closed_site.display().to_string());
    let counters = Counters::of(&lab);
    let mut complaints = Vec::new();
    let mut costs = |site: &str, arguments: &[&str], when: &str| {
        let before = counters.now();
        let all = [arguments, &["--json", "--site", site]].concat();
        let report = Report::of(&lab.hopline(&all), &all);
        let cost = counters.now() - before + asked_for(&report);
        if !(10..50).contains(&cost) {
            complaints.push(format!("{when}: {cost} packets: {:#}", report.json["coverage"]["looked_at"]));
        }
    };
    for (site, who) in [(&open_site, "entered"), (&closed_site, "by its host")] {
        costs(site, &["diagnose", "web1"], &format!("{who}, healthy"));
        costs(site, &["diagnose", "web1", "--symptom", "ssh"], &format!("{who}, ssh"));
        for fault in ["random-loss", "tc-bpf-drop", "ext-gateway-down", "dnsmasq-hung"] {
            lab.break_fault(fault);
            costs(site, &["diagnose", "web1"], &format!("{who}, {fault}"));
            if fault == "dnsmasq-hung" {
                costs(site, &["diagnose", "web1", "--symptom", "ssh"], &format!("{who}, ssh, {fault}"));
            }
            lab.heal();
        }
    }
    assert_none(&complaints);
}
