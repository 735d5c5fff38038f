//! An instance and its host that have IPv6 beside IPv4 are asked over both: in a lab, which has none, the test gives it
//! to them. Needs root, and a kernel with IPv6.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::printed_in;
use support::report::{Report, asked, hops, list, text, without_more};
use support::test_lab::TestLab;

const HOST: &str = "fd77::1";
const WEB1: &str = "fd77::24";

/// A lab whose web1 and its host have an address each, of one prefix.
fn dual(tag: &str) -> TestLab {
    let lab = TestLab::up(tag);
    for (of, device, address) in [("compute1", "br100", HOST), ("web1", "eth0", WEB1)] {
        let netns = lab.netns(of);
        printed_in(&netns, &["sysctl", "-qw", &format!("net.ipv6.conf.{device}.disable_ipv6=0")]);
        let add = ["ip", "address", "add", &format!("{address}/64"), "dev", device, "nodad"];
        printed_in(&netns, &add);
    }
    lab
}

fn on_host(lab: &TestLab, line: &str) {
    printed_in(&lab.netns("compute1"), &line.split(' ').collect::<Vec<_>>());
}

/// What was said of the pings over IPv6, in the order of who sent them.
fn told(report: &Report) -> Vec<String> {
    let lines = asked(&report.json);
    let mut told: Vec<String> = lines
        .iter()
        .filter_map(|line| line.split_once("ping fd77"))
        .map(|(_, rest)| rest.split(", ttl").next().expect("a part").to_owned())
        .collect();
    told.sort();
    told
}

#[test]
fn both_ways_are_asked_over_ipv6_too_and_every_hop_sees_it() {
    let lab = dual("s");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    let told = told(&report);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("::1 from web1: 2 of 2 answered"), "{told:#?}");
    assert!(told[1].starts_with("::24 from compute1: 2 of 2 answered"), "{told:#?}");
    for (packet, direction) in [("fd77::24 > fd77::1 ", "request"), ("fd77::1 > fd77::24 ", "reply")] {
        let hops = hops(&report.json, packet, direction);
        assert!(hops.len() > 3 && hops.iter().all(|hop| hop.ends_with(" seen")), "{hops:#?}");
    }
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    passive.assert_healthy("nothing is broken");
    let there = hops(&passive.json, "fd77::24 > fd77::1 ", "request");
    assert!(there.iter().all(|hop| hop.ends_with(" not-watched")), "{there:#?}");
}

#[test]
fn a_rule_of_ip6tables_is_named_and_ipv4_is_not_blamed() {
    let lab = dual("r");
    on_host(&lab, "ip6tables -A OUTPUT -o br100 -p icmpv6 --icmpv6-type echo-request -j DROP");
    for question in [&["diagnose", "web1"][..], &["diagnose", "web1", "--passive"]] {
        let report = lab.report(question);
        report.assert_finds(&["foreign-rule-drop compute1//br100"], "a rule by hand");
        let finding = &list(&report.json["findings"])[0];
        let rules = list(&finding["evidence"]).iter().filter(|e| text(&e["kind"]) == "rule");
        assert!(rules.clone().any(|rule| text(&rule["source"]).contains("ip6tables")), "{finding:#}");
    }
}

#[test]
fn what_nothing_that_was_read_tells_of_is_found_by_where_it_was_seen_last() {
    let lab = dual("q");
    // web1 takes no ping of its host's: its policy of IPsec says so, which nothing reads.
    let policy = ["src", "fd77::1", "dst", "fd77::24", "proto", "ipv6-icmp", "type", "128", "dir", "in"];
    let add = [&["ip", "xfrm", "policy", "add"], &policy[..], &["action", "block"]].concat();
    printed_in(&lab.netns("web1"), &add);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled web1//eth0"], "web1 does not answer");
    let finding = &list(&report.json["findings"])[0];
    let summary = text(&finding["summary"]);
    assert!(summary.contains("the ping from compute1 to fd77::24"), "{finding:#}");
    let lines = list(&finding["evidence"]).iter().map(|e| (text(&e["source"]), text(&e["text"])));
    let lines: Vec<(&str, String)> = lines.map(|(source, line)| (source, without_more(line))).collect();
    let silent = ("ping fd77::24 from compute1", "0 of 2 answered".to_owned());
    assert!(lines.contains(&silent), "{finding:#}");
    assert!(lines.iter().any(|(source, _)| source.contains("icmp6 and host fd77::24")), "{finding:#}");
    assert_eq!(told(&report)[0], "::1 from web1: 2 of 2 answered", "{finding:#}");
}

#[test]
fn an_address_that_is_asked_for_is_one_that_may_be_used() {
    let lab = TestLab::up("t");
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(told(&report), [""; 0], "a lab has no IPv6");
    printed_in(&lab.netns("web1"), &["sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0"]);
    printed_in(&lab.netns("web1"), &["ip", "address", "add", "fd77::24/64", "dev", "eth0", "nodad"]);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("its host has none");
    assert_eq!(told(&report), [""; 0], "the host cannot ask, and is no gateway");
}
