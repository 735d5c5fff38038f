//! `hopline diagnose` of instances that nova gave up before they had a NIC. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::test_lab::TestLab;

/// What nova leaves of an instance whose start failed: in error, without a NIC; later series take it off its host.
fn failed(lab: &TestLab, name: &str, host: &str) {
    let columns = "created_at, user_id, project_id, power_state, deleted, cleaned, hidden, locked";
    let insert = format!(
        "INSERT INTO instances ({columns}, vm_state, hostname, display_name, host, uuid)
         SELECT {columns}, 'error', '{name}', '{name}', {host}, '8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a' || '{name}e'
         FROM instances WHERE hostname = 'web1'"
    );
    support::sqlite(&lab.state().join("nova.sqlite"), &insert);
}

#[test]
fn an_instance_that_got_no_address_is_told_by_the_full_network_and_else_by_its_state() {
    let lab = TestLab::up("un");
    failed(&lab, "db8", "NULL");
    failed(&lab, "db9", "'compute1'");
    let report = lab.report(&["diagnose", "db8"]);
    assert_eq!((report.code, &report.json["findings"]), (3, &serde_json::json!([])), "{:#}", report.json);
    assert_eq!(
        report.json["coverage"]["gaps"],
        serde_json::json!([{
            "what": "whether db8 reaches anything",
            "why": "it has no NIC: its vm_state is error",
            "would_need": "what nova says of it: nova show db8, and nova-compute's log",
        }])
    );
    let all = lab.report(&["diagnose", "--all"]);
    assert_eq!(all.code, 0, "nothing is wrong with who has a NIC: {:#}", all.json);
    assert!(
        all.json["coverage"]["gaps"].to_string().contains("whether db8 reaches anything"),
        "{:#}",
        all.json
    );

    let fill = "UPDATE fixed_ips SET reserved = 1 WHERE allocated = 0 AND leased = 0 AND host IS NULL";
    support::sqlite(&lab.state().join("nova.sqlite"), fill);
    lab.report(&["diagnose", "db8"]).assert_finds(&["fixed-ip-none-left database//fixed_ips"], "no host");
    let report = lab.report(&["diagnose", "db9"]);
    report.assert_finds(&["fixed-ip-none-left compute1//br100"], "given up on its host");
    assert_eq!(report.json["paths"], serde_json::json!([]), "it has never sent a packet");
    lab.report(&["diagnose", "web1"]).assert_healthy("it was there before");
}
