//! The second proof of a rule, from the command line: its counter before and after the probes, and the
//! kernel's trace of them. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use serde_json::Value;
use support::report::{list, text};
use support::test_lab::TestLab;
use support::{Background, printed_in, run};

/// Texts of the first finding's evidence of one kind.
fn evidence<'r>(finding: &'r Value, kind: &str) -> Vec<&'r str> {
    let of_kind = list(&finding["evidence"]).iter().filter(|e| text(&e["kind"]) == kind);
    of_kind.map(|e| text(&e["text"])).collect()
}

fn iptables(lab: &TestLab, program: &str, arguments: &[&str]) {
    run(&[&["ip", "netns", "exec", &lab.netns("compute1"), program], arguments].concat());
}

fn has(texts: &[&str], wanted: &str) -> bool {
    texts.iter().any(|text| text.contains(wanted))
}

#[test]
fn a_rule_is_proved_by_its_counter_and_by_the_trace_of_our_own_pings() {
    let lab = TestLab::up("t");
    let before = printed_in(&lab.netns("compute1"), &["nft", "list", "tables"]);
    lab.break_fault("foreign-rule-drop");
    let report = lab.report(&["diagnose", "web1"]);
    let finding = &list(&report.json["findings"])[0];
    // Two pings out, and two answers to pings of the floating address.
    assert!(has(&evidence(finding, "counter"), "moved by 4: our 4 packets and nobody else's"), "{finding:#}");
    assert!(has(&evidence(finding, "rule"), "met 4 times by our pings, and said drop"), "{finding:#}");
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    let finding = &list(&passive.json["findings"])[0];
    assert!(!has(&evidence(finding, "counter"), "our"), "{finding:#}");
    let after = printed_in(&lab.netns("compute1"), &["nft", "list", "tables"]);
    assert_eq!(before, after, "the table that traced is gone");
}

#[test]
fn other_traffic_of_the_rule_is_told_from_ours() {
    let lab = TestLab::up("o");
    lab.break_fault("foreign-rule-drop");
    let ping = ["ping", "-q", "-i", "0.05", "-c", "2000", "1.2.3.4"];
    let _others = Background::within(&lab.netns("web1"), &ping);
    let report = lab.report(&["diagnose", "web1"]);
    let finding = &list(&report.json["findings"])[0];
    let counters = evidence(finding, "counter");
    assert!(has(&counters, "our 4 packets among them: other traffic meets it too"), "{counters:#?}");
    assert!(has(&evidence(finding, "rule"), "met 4 times by our pings"), "theirs are not ours: {finding:#}");
}

#[test]
fn a_legacy_rule_is_proved_by_its_counter() {
    let lab = TestLab::up("y");
    iptables(&lab, "iptables-legacy", &["-I", "FORWARD", "-s", "10.0.2.24", "-d", "1.2.3.4", "-j", "DROP"]);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["iptables-legacy-hidden compute1//br100"], "a legacy rule");
    let finding = &list(&report.json["findings"])[0];
    assert!(has(&evidence(finding, "counter"), "moved by 4: our 4 packets"), "{finding:#}");
}

#[test]
fn the_trace_settles_what_the_walk_cannot_tell() {
    let lab = TestLab::up("u");
    // Byte 9 of the header is the protocol: every ICMP packet from web1, in words that no walk follows.
    let rule = ["-I", "FORWARD", "-s", "10.0.2.24", "-m", "u32", "--u32", "0x6&0xff=0x1", "-j", "DROP"];
    iptables(&lab, "iptables", &rule);
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    assert_eq!(passive.code, 3, "{:#}", passive.json);
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(report.code, 1, "{:#}", report.json);
    let finding = &list(&report.json["findings"])[0];
    assert_eq!(text(&finding["confidence"]), "proven", "{finding:#}");
    assert_eq!(text(&finding["hop"]["host"]), "compute1", "{finding:#}");
    assert!(text(&finding["summary"]).contains("rule 1 of FORWARD in ip filter"), "{finding:#}");
    assert!(has(&evidence(finding, "rule"), "u32"), "{finding:#}");
}
