//! What a diagnosis costs an instance: fewer than 50 packets, whatever is wrong. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::report::{Report, list, text};
use support::test_lab::TestLab;
use support::{assert_none, dnsmasq, printed_in};

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

/// Counts what the machines of a lab send each other, and what comes in by web1's NIC, whoever sent it as web1.
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
                let rule = format!("add rule inet ht-own out oifname != lo {kind} counter name asked");
                nft(sender, &rule);
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

/// Servers that nobody is, or that hear and say nothing.
const DEAD: [&str; 3] = ["--server=1.2.3.101", "--server=1.2.3.102", "--server=1.2.3.103"];
/// What can be complained of.
const SYMPTOMS: [&str; 5] = ["auto", "ssh", "dns", "metadata", "dhcp"];

/// The parts of a site file that a site of another kind has.
fn site_without(lab: &TestLab, is_left_out: impl Fn(&str) -> bool) -> String {
    let open = std::fs::read_to_string(lab.site()).unwrap();
    let kept: Vec<&str> = open.split("\n\n").filter(|part| !is_left_out(part)).collect();
    let is_inside = |line: &&str| line.starts_with("at = \"netns:") && line.contains("-web");
    let lines = kept.iter().map(|part| part.lines().filter(|line| !is_inside(line)).collect::<Vec<_>>());
    lines.map(|lines| lines.join("\n")).collect::<Vec<_>>().join("\n\n")
}

/// A site file of this lab that `is_left_out` has parts taken from, in a folder that goes with it.
fn written(lab: &TestLab, is_left_out: impl Fn(&str) -> bool) -> (tempfile::TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml");
    std::fs::write(&site, site_without(lab, is_left_out)).unwrap();
    let site = site.display().to_string();
    (folder, site)
}

#[test]
fn an_instance_that_is_entered_costs_fewer_than_50_packets_whatever_is_wrong() {
    let lab = TestLab::up("fo");
    costs_fewer_than_50(&lab, &lab.site().display().to_string());
}

#[test]
fn an_instance_that_its_host_asks_for_costs_fewer_than_50_packets_whatever_is_wrong() {
    let lab = TestLab::up("fc");
    let (_folder, closed) = written(&lab, |_| false);
    costs_fewer_than_50(&lab, &closed);
}

#[test]
fn an_instance_of_compute_hosts_alone_costs_fewer_than_50_packets_whatever_is_wrong() {
    let lab = TestLab::up("fa");
    let (_folder, alone) = written(&lab, |part| {
        ["gw", "isp", "external", "fabric"].iter().any(|name| part.contains(&format!("name = \"{name}\"")))
    });
    costs_fewer_than_50(&lab, &alone);
}

/// Counts what a diagnosis costs web1 by this site file, with every complaint, and with what makes it ask most.
fn costs_fewer_than_50(lab: &TestLab, site: &str) {
    // With IPv6 there is more to ask.
    for (of, device, address) in [("compute1", "br100", "fd77::1/64"), ("web1", "eth0", "fd77::24/64")] {
        let netns = lab.netns(of);
        printed_in(&netns, &["sysctl", "-qw", &format!("net.ipv6.conf.{device}.disable_ipv6=0")]);
        printed_in(&netns, &["ip", "address", "add", address, "dev", device, "nodad"]);
    }
    let counters = Counters::of(lab);
    let mut complaints = Vec::new();
    let mut costs = |symptom: &str, when: &str| {
        let before = counters.now();
        let all = ["diagnose", "web1", "--symptom", symptom, "--json", "--site", site];
        let report = Report::of(&lab.hopline(&all), &all);
        let cost = counters.now() - before + asked_for(&report);
        let least = if matches!(symptom, "metadata" | "dhcp") { 2 } else { 10 };
        if !(least..50).contains(&cost) {
            let told = &report.json["coverage"];
            complaints.push(format!("{symptom}, {when}: {cost} packets: {told:#}"));
        }
    };
    SYMPTOMS.iter().for_each(|symptom| costs(symptom, "healthy"));
    for fault in ["random-loss", "tc-bpf-drop", "ext-gateway-down", "dnsmasq-hung"] {
        lab.break_fault(fault);
        costs("auto", fault);
        if fault == "dnsmasq-hung" {
            costs("ssh", fault);
        }
        lab.heal();
    }
    // All whom dnsmasq asks are dead: it asks each of them, each time that it is asked.
    dnsmasq::restart(lab, |words| {
        words.retain(|word| !word.starts_with("--server="));
        words.extend(DEAD.map(str::to_owned));
    });
    ["auto", "ssh"].iter().for_each(|symptom| costs(symptom, "three servers that nobody is"));
    let ext = lab.netns("ext");
    for server in DEAD {
        let address = format!("{}/24", server.trim_start_matches("--server="));
        printed_in(&ext, &["ip", "address", "add", &address, "dev", "eth0"]);
        printed_in(&ext, &["iptables", "-A", "INPUT", "-d", &address[..address.len() - 3], "-j", "DROP"]);
    }
    SYMPTOMS.iter().for_each(|symptom| costs(symptom, "three silent servers"));
    assert_none(&complaints);
}
