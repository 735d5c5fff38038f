//! What diagnose saw of its own pings at the devices of their way: on a healthy cloud everything, and where something
//! that hopline does not read drops them, up to where. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use serde_json::Value;
use support::printed_in;
use support::report::{hops, list, text, without_more};
use support::test_lab::TestLab;

#[test]
fn every_hop_of_a_healthy_way_sees_the_ping_and_passive_watches_none() {
    let lab = TestLab::up("s");
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(report.code, 0, "{:#}", report.json);
    let there = hops(&report.json, "> 1.2.3.4 ", "request");
    assert!(there.len() > 10 && there.iter().all(|hop| hop.ends_with(" seen")), "{there:#?}");
    let back = hops(&report.json, "1.2.3.4 > ", "reply");
    assert!(back.len() > 10 && back.iter().all(|hop| hop.ends_with(" seen")), "{back:#?}");
    // Between two ports the bridge itself sees nothing, and is not said to.
    let neighbour = hops(&report.json, "10.0.2.24 > 10.0.2.25 ", "request");
    assert!(neighbour.contains(&"compute1/br100 not-watched".to_owned()), "{neighbour:#?}");
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    let there = hops(&passive.json, "> 1.2.3.4 ", "request");
    assert!(there.iter().all(|hop| hop.ends_with(" not-watched")), "{there:#?}");
}

/// An IPsec policy against web1's packets to the external server: nothing that hopline reads tells of it.
fn block(lab: &TestLab, verb: &str) {
    let way = ["src", "10.0.2.24/32", "dst", "1.2.3.4/32"];
    let action: &[&str] = if verb == "add" { &["action", "block"] } else { &[] };
    let command = [&["ip", "xfrm", "policy", verb, "dir", "fwd"], &way[..], action].concat();
    printed_in(&lab.netns("compute1"), &command);
}

#[test]
fn a_policy_that_drops_everything_is_named_by_the_kernel_and_by_where_the_pings_were_seen_last() {
    let lab = TestLab::up("q");
    block(&lab, "add");
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(report.code, 1, "{:#}", report.json);
    let finding = &list(&report.json["findings"])[0];
    let hop = &finding["hop"];
    assert_eq!(
        (text(&finding["code"]), text(&hop["host"]), text(&hop["device"]), text(&finding["confidence"])),
        ("dropped-by-unmodelled", "compute1", "br100", "proven"),
        "{finding:#}"
    );
    assert!(text(&finding["cause"]).contains("XFRM_POLICY"), "{finding:#}");
    assert!(text(&finding["remedy"][0]["command"]).contains("ip -s xfrm policy"), "{finding:#}");
    let captures: Vec<String> = list(&finding["evidence"])
        .iter()
        .filter(|evidence| text(&evidence["kind"]) == "capture")
        .map(|evidence| without_more(text(&evidence["text"])))
        .collect();
    assert!(
        captures[0].starts_with("the kernel dropped 2 of our packets at br100 of compute1"),
        "{captures:?}"
    );
    assert_eq!(
        captures[1..],
        [
            "of 2 echo requests 2 were seen here, and 0 replies",
            "of 2 echo requests 0 were seen here, and 0 replies"
        ]
    );
    let there = hops(&report.json, "> 1.2.3.4 ", "request");
    let parts = |wanted: &str| there.iter().position(|hop| hop == wanted).expect(wanted);
    assert!(parts("compute1/br100 seen") < parts("compute1/eth0 not-seen"), "{there:#?}");
}

#[test]
fn of_every_instance_the_pings_are_watched_too() {
    let lab = TestLab::up("a");
    let report = lab.report(&["diagnose", "--all"]);
    assert_eq!(report.code, 0, "{:#}", report.json);
    for (to, from) in
        [("> 1.2.3.4 ", "request"), ("1.2.3.4 > ", "reply"), ("10.0.2.25 > 10.0.2.24 ", "request")]
    {
        let hops = hops(&report.json, to, from);
        assert!(hops.iter().any(|hop| hop.ends_with(" seen")), "{to}: {hops:#?}");
        assert!(!hops.iter().any(|hop| hop.ends_with(" not-seen")), "{to}: {hops:#?}");
    }
    block(&lab, "add");
    let report = lab.report(&["diagnose", "--all"]);
    assert_eq!(report.code, 1, "{:#}", report.json);
    let of = |finding: &Value| {
        let (code, hop) = (text(&finding["code"]).to_owned(), &finding["hop"]);
        (code, format!("{}/{}", text(&hop["host"]), text(&hop["device"])))
    };
    let found: Vec<(String, String)> = list(&report.json["findings"]).iter().map(of).collect();
    assert_eq!(found[0], ("dropped-by-unmodelled".to_owned(), "compute1/br100".to_owned()), "{found:?}");
}

#[test]
fn a_silent_loss_does_not_hide_behind_a_fault_with_a_name() {
    let lab = TestLab::up("b");
    let lost = "dropped-by-unmodelled compute1//br100".to_owned();
    for (code, hop) in [
        ("dnsmasq-not-running", "compute1//br100"),
        ("float-dnat-missing", "compute1//eth0"),
        ("flatif-down", "compute1//eth1"),
        // It stops nothing.
        ("nova-rules-drift", "compute1//br100"),
    ] {
        lab.break_fault(code);
        block(&lab, "add");
        let expected = [lost.clone(), format!("{code} {hop}")];
        lab.report(&["diagnose", "web1"]).assert_finds(&expected, code);
        block(&lab, "del");
        lab.heal();
    }
}
