//! What a diagnosis costs an instance: fewer than 50 packets, whatever is wrong. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::BTreeMap;

use support::report::{Report, list, text};
use support::test_lab::TestLab;
use support::{assert_none, dnsmasq, printed_in};

/// What one sends who asks: pings, questions for names and addresses, connections begun and reset; by the names of
/// their counters.
const OVER_IP: [(&str, &str); 6] = [
    ("pings", "icmp type echo-request"),
    ("pings-6", "icmpv6 type echo-request"),
    ("names", "udp dport 53"),
    ("addresses", "udp dport 67"),
    ("syns", "tcp flags syn / fin,syn,rst,ack"),
    ("resets", "tcp flags & rst != 0"),
];
/// And ARP's questions.
const OVER_ETHERNET: [(&str, &str); 1] = [("arps", "arp operation request")];
/// By this address a host speaks for somebody outside.
const SOMEBODY: [(&str, &str); 1] = [("somebody", "ip saddr 192.0.2.1")];

/// Counts what the machines of a lab send each other, and what comes in by web1's NIC, whoever sent it as web1, and by
/// its host's link to the outside, where that spoke for somebody out there.
struct Counters<'l> {
    lab: &'l TestLab,
}

/// Packets by who has counted them, and of which kind.
type Counts = BTreeMap<String, u64>;

impl Counters<'_> {
    const SENDERS: [&'static str; 4] = ["compute1", "gw", "isp", "ext"];
    const COMES_IN: [&'static str; 2] = ["vnet0", "eth0"];

    fn of(lab: &TestLab) -> Counters<'_> {
        for sender in Counters::SENDERS {
            let kinds = OVER_IP.map(|(name, kind)| (name, format!("oifname != lo {kind}")));
            count(lab, sender, "inet ht-own", "output priority 300", &kinds);
        }
        let of_nic: Vec<_> = OVER_IP.into_iter().chain(OVER_ETHERNET).collect();
        for (device, kinds) in Counters::COMES_IN.into_iter().zip([&of_nic[..], &SOMEBODY]) {
            let kinds: Vec<_> = kinds.iter().map(|(name, kind)| (*name, (*kind).to_owned())).collect();
            let hook = format!("ingress device {device} priority 0");
            count(lab, "compute1", &format!("netdev ht-{device}"), &hook, &kinds);
        }
        Counters { lab }
    }

    fn now(&self) -> Counts {
        let mut all = Counts::new();
        let mut add = |machine: &str, table: &str| {
            let line = format!("nft list counters table {table}");
            let listing = printed_in(&self.lab.netns(machine), &line.split(' ').collect::<Vec<_>>());
            let words: Vec<&str> = listing.split_whitespace().collect();
            // `counter NAME { packets N bytes M }`
            let counters = words.windows(5).filter(|words| (words[0], words[3]) == ("counter", "packets"));
            all.extend(counters.map(|words| {
                (format!("{machine} {table} {}", words[1]), words[4].parse().expect("a number"))
            }));
        };
        Counters::SENDERS.iter().for_each(|sender| add(sender, "inet ht-own"));
        Counters::COMES_IN.iter().for_each(|device| add("compute1", &format!("netdev ht-{device}")));
        all
    }

    /// What was counted since, where anything was.
    fn since(&self, before: &Counts) -> Counts {
        let now = self.now().into_iter().map(|(what, count)| (what.clone(), count - before[&what]));
        now.filter(|(_, count)| *count > 0).collect()
    }
}

/// Counts packets of these kinds in a table of its own, each by its name, at a hook of a machine.
fn count(lab: &TestLab, machine: &str, table: &str, hook: &str, kinds: &[(&str, String)]) {
    let (mut counters, mut rules) = (String::new(), String::new());
    for (name, kind) in kinds {
        counters += &format!(" counter {name} {{ }}\n");
        rules += &format!("  {kind} counter name {name}\n");
    }
    let table =
        format!("table {table} {{\n{counters} chain asked {{\n  type filter hook {hook};\n{rules} }}\n}}");
    printed_in(&lab.netns(machine), &["nft", &table]);
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
const SYMPTOMS: [&str; 6] = ["auto", "ping", "ssh", "dns", "metadata", "dhcp"];

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
    let counted = costs_fewer_than_50(&lab, &alone);
    let somebody = "compute1 netdev ht-eth0 somebody";
    assert!(counted.contains_key(somebody), "somebody outside is spoken for: {counted:#?}");
}

/// Counts what a diagnosis costs web1 by this site file, with every complaint, and with what makes it ask most. Returns
/// what was counted in all.
fn costs_fewer_than_50(lab: &TestLab, site: &str) -> Counts {
    // With IPv6 there is more to ask.
    for (of, device, address) in [("compute1", "br100", "fd77::1/64"), ("web1", "eth0", "fd77::24/64")] {
        let netns = lab.netns(of);
        printed_in(&netns, &["sysctl", "-qw", &format!("net.ipv6.conf.{device}.disable_ipv6=0")]);
        printed_in(&netns, &["ip", "address", "add", address, "dev", device, "nodad"]);
    }
    let counters = Counters::of(lab);
    let first = counters.now();
    let mut complaints = Vec::new();
    let mut costs = |symptom: &str, when: &str, more: &[&str]| {
        let before = counters.now();
        let all = [&["diagnose", "web1", "--symptom", symptom, "--json", "--site", site], more].concat();
        let report = Report::of(&lab.hopline(&all), &all);
        let counted = counters.since(&before);
        let cost = counted.values().sum::<u64>() + asked_for(&report);
        let least = if matches!(symptom, "metadata" | "dhcp") { 2 } else { 10 };
        if !(least..50).contains(&cost) {
            let told = &report.json["coverage"];
            complaints.push(format!("{symptom}, {when}: {cost} packets, of these {counted:#?}, {told:#}"));
        }
    };
    SYMPTOMS.iter().for_each(|symptom| costs(symptom, "healthy", &[]));
    for fault in ["random-loss", "tc-bpf-drop", "ext-gateway-down", "dnsmasq-hung", "pmtu-blackhole"] {
        lab.break_fault(fault);
        costs("auto", fault, &[]);
        match fault {
            "dnsmasq-hung" => costs("ssh", fault, &[]),
            // Where packets may be smaller, several sizes are tried.
            "pmtu-blackhole" => costs("ping", fault, &[]),
            _ => {}
        }
        lab.heal();
    }
    // Beyond the hosts a trace is made of who passes it on.
    let isp = lab.netns("isp");
    let lost = ["FORWARD", "-d", "1.2.3.4", "-p", "icmp", "-j", "DROP"];
    printed_in(&isp, &[&["iptables", "-A"], &lost[..]].concat());
    for symptom in ["auto", "ping"] {
        costs(symptom, "lost beyond the router", &["--to", "1.2.3.4"]);
    }
    printed_in(&isp, &[&["iptables", "-D"], &lost[..]].concat());
    // All whom dnsmasq asks are dead: it asks each of them, each time that it is asked.
    dnsmasq::restart(lab, |words| {
        words.retain(|word| !word.starts_with("--server="));
        words.extend(DEAD.map(str::to_owned));
    });
    ["auto", "ssh"].iter().for_each(|symptom| costs(symptom, "three servers that nobody is", &[]));
    let ext = lab.netns("ext");
    for server in DEAD {
        let address = format!("{}/24", server.trim_start_matches("--server="));
        printed_in(&ext, &["ip", "address", "add", &address, "dev", "eth0"]);
        printed_in(&ext, &["iptables", "-A", "INPUT", "-d", &address[..address.len() - 3], "-j", "DROP"]);
    }
    SYMPTOMS.iter().for_each(|symptom| costs(symptom, "three silent servers", &[]));
    assert_none(&complaints);
    counters.since(&first)
}
