//! What the kernel says of our own packets that it drops, from the command line: named where nothing that is read
//! explains it, further evidence where something does, silence where all is well. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use serde_json::Value;
use support::report::{Report, asked, list, text, without_more};
use support::test_lab::TestLab;
use support::{printed_in, run};

/// Texts of a finding's evidence that are the kernel's word.
fn kernels_word(finding: &Value) -> Vec<&str> {
    let texts = list(&finding["evidence"]).iter().filter(|evidence| text(&evidence["kind"]) == "capture");
    texts.map(|evidence| text(&evidence["text"])).filter(|text| text.contains("the kernel dropped")).collect()
}

fn in_compute1(lab: &TestLab, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    run(&[&["ip", "netns", "exec", &lab.netns("compute1")], &words[..]].concat());
}

#[test]
fn a_drop_that_nothing_read_explains_is_named_with_device_reason_and_function() {
    let lab = TestLab::up("u");
    lab.break_fault("dropped-by-unmodelled");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy");
    let finding = &list(&report.json["findings"])[0];
    assert_eq!((text(&finding["confidence"]), text(&finding["direction"])), ("proven", "request"));
    assert!(text(&finding["summary"]).contains("an IPsec policy blocks it"), "{finding:#}");
    let told = kernels_word(finding);
    let expected = "the kernel dropped 2 of our packets at br100 of compute1: XFRM_POLICY in ip_forward";
    assert!(told.len() == 1 && without_more(told[0]).starts_with(expected), "{told:?}");
    lab.heal();
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("it is healed");
    assert_eq!(list(&report.json["coverage"]["gaps"]), &[] as &[Value]);
}

#[test]
fn a_fault_with_a_name_gets_the_kernels_word_as_evidence() {
    let lab = TestLab::up("n");
    for (code, hop, word) in [
        ("foreign-rule-drop", "compute1//br100", "NETFILTER_DROP in nft_do_chain"),
        ("blackhole-route", "compute1//br100", "NOT_SPECIFIED in ip_error"),
        ("ip-forward-0", "compute1//br100", "IP_INADDRERRORS in ip_error"),
        ("rp-filter-asymmetric", "compute1//eth0", "IP_RPFILTER in ip_rcv_finish_core"),
    ] {
        lab.break_fault(code);
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&[&format!("{code} {hop}")], code);
        let told = kernels_word(&list(&report.json["findings"])[0]);
        assert!(told.iter().any(|text| text.contains(word)), "{code}: {told:?}");
        lab.heal();
    }
}

#[test]
fn the_answer_that_dies_on_its_way_back_is_told_as_that() {
    let lab = TestLab::up("r");
    in_compute1(&lab, "ip xfrm policy add dir fwd src 1.2.3.4/32 dst 0.0.0.0/0 action block");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//eth0"], "the way back");
    let finding = &list(&report.json["findings"])[0];
    assert_eq!(text(&finding["direction"]), "reply", "{finding:#}");
}

#[test]
fn a_rule_at_another_place_and_a_drop_that_it_does_not_explain_are_two_findings() {
    let lab = TestLab::up("t");
    lab.break_fault("dnsmasq-not-running");
    in_compute1(&lab, "ip xfrm policy add dir fwd src 0.0.0.0/0 dst 1.2.3.4/32 action block");
    let expected = ["dropped-by-unmodelled compute1//br100", "dnsmasq-not-running compute1//br100"];
    lab.report(&["diagnose", "web1"]).assert_finds(&expected, "two faults");
}

/// Rules are walked for TCP, too; what drops TCP alone where no walk goes is told by a connection that is tried.
#[test]
fn tcp_that_dies_where_no_walk_goes_is_told_while_ping_lives() {
    let lab = TestLab::up("c");
    let tried = |report: &Report| {
        let lines = asked(&report.json).into_iter().filter(|line| line.contains("nc -z 1.2.3.4 "));
        lines.collect::<Vec<_>>()
    };
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("TCP lives");
    assert!(
        matches!(&tried(&report)[..], [one] if one.contains("answered by a SYN")),
        "{:?}",
        tried(&report)
    );
    in_compute1(&lab, "ip xfrm policy add dir fwd src 10.0.2.24/32 dst 1.2.3.4/32 proto tcp action block");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy for TCP");
    assert_eq!(text(&list(&report.json["findings"])[0]["exchange"]), "tcp");
    in_compute1(&lab, "ip xfrm policy flush");
    // Beyond what the site names nobody knows who means to take connections.
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml").display().to_string();
    let all = std::fs::read_to_string(lab.site()).unwrap();
    let is_inside =
        |part: &&str| !part.contains("role = \"router\"") && !part.contains("role = \"external\"");
    let kept: Vec<&str> = all.split("\n\n").filter(is_inside).collect();
    std::fs::write(&site, kept.join("\n\n")).unwrap();
    let diagnosed = || {
        let arguments = ["diagnose", "web1", "--to", "1.2.3.4", "--json", "--site", &site];
        Report::of(&lab.hopline(&arguments), &arguments)
    };
    let report = diagnosed();
    report.assert_healthy("a connection that is refused has found its way");
    assert!(tried(&report)[0].contains("1.2.3.4 443 from web1: connection refused"), "{:?}", tried(&report));
    let drops = "iptables -A INPUT -p tcp --syn -j DROP";
    let words: Vec<&str> = drops.split(' ').collect();
    printed_in(&lab.netns("ext"), &words);
    let report = diagnosed();
    report.assert_healthy("a firewall out there may be meant");
    let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]));
    assert!(gaps.into_iter().any(|gap| gap == "whether web1 reaches 1.2.3.4 over TCP for real"));
    printed_in(&lab.netns("ext"), &["iptables", "-F"]);
    in_compute1(&lab, "ip xfrm policy add dir fwd src 10.0.2.24/32 dst 1.2.3.4/32 proto tcp action block");
    diagnosed().assert_finds(&["dropped-by-unmodelled compute1//br100"], "before it leaves the site");
}
