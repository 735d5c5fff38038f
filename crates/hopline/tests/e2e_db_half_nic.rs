//! A NIC of which the database has only a half: named as that by `diagnose`, beside what works still and as the cause
//! of what does not any more, and never as a line that somebody is to write. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::report::{Report, list, text};
use support::test_lab::TestLab;

fn sql(lab: &TestLab, statement: &str) {
    support::sqlite(&lab.state().join("nova.sqlite"), statement);
}

/// What the finding breaks; nothing else is made of it.
fn broken(report: &Report, code: &str) -> String {
    let codes: Vec<&str> =
        list(&report.json["findings"]).iter().map(|finding| text(&finding["code"])).collect();
    for other in ["dnsmasq-stale-hosts-file", "lost-at-hop"] {
        assert!(!codes.contains(&other), "{:#}", report.json);
    }
    let found = list(&report.json["findings"]).iter().find(|finding| finding["code"] == code);
    let found = found.unwrap_or_else(|| panic!("{code} is not among {codes:?}: {:#}", report.json));
    assert!(text(&found["evidence"][0]["text"]).contains("of web1"), "{found:#}");
    text(&found["exchange"]).to_owned()
}

#[test]
fn a_fixed_ip_whose_nic_is_gone() {
    let lab = TestLab::up("hn");
    let of_web1 = "instance_uuid = (SELECT uuid FROM instances WHERE hostname = 'web1')";
    sql(&lab, &format!("UPDATE virtual_interfaces SET deleted = id WHERE {of_web1}"));
    let before = lab.report(&["diagnose", "web1"]);
    before.assert_finds(&["fixed-ip-without-vif compute1//br100"], "its line is there still");
    assert_eq!(broken(&before, "fixed-ip-without-vif"), "none");
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    assert_eq!(broken(&lab.report(&["diagnose", "web1"]), "fixed-ip-without-vif"), "dhcp");
    sql(&lab, &format!("UPDATE virtual_interfaces SET deleted = 0 WHERE {of_web1}"));
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    lab.report(&["diagnose", "web1"]).assert_healthy("the row is back");
}

#[test]
fn a_nic_whose_fixed_ip_is_given_back() {
    let lab = TestLab::up("ha");
    let free = "UPDATE fixed_ips SET allocated = 0, leased = 0, instance_uuid = NULL, virtual_interface_id = NULL \
                WHERE instance_uuid = (SELECT uuid FROM instances WHERE hostname = 'web1')";
    sql(&lab, free);
    assert_eq!(broken(&lab.report(&["diagnose", "web1"]), "instance-without-address"), "none");
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    let after = lab.report(&["diagnose", "web1"]);
    assert_eq!(broken(&after, "instance-without-address"), "dhcp");
    assert!(
        !after.json.to_string().contains("printf"),
        "nobody is to give out what is free: {:#}",
        after.json
    );
}
