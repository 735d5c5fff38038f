//! A floating IP that is recorded on a host which cannot carry it: named as that, and as nothing else, by `diagnose`
//! and by `db check`, before and after nova-network has followed the record. What is told is typed. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::report::{Report, list, text};
use support::test_lab::TestLab;

const CODE: &str = "float-host-mismatch";
const AT: &str = "float-host-mismatch compute1//eth0";
const ROW: &str = "float-host-mismatch database//floating_ips";

fn record(lab: &TestLab, host: &str) {
    let sql = format!("UPDATE floating_ips SET host = '{host}' WHERE address = '203.0.113.30'");
    support::sqlite(&lab.state().join("nova.sqlite"), &sql);
}

/// Types what the finding tells. The lab's nova-network is restarted as the lab does it.
fn type_remedy(lab: &TestLab, report: &Report) {
    let commands = list(&report.json["findings"][0]["remedy"]).iter().map(|remedy| text(&remedy["command"]));
    for command in commands {
        if let Some(words) = command.strip_prefix("hopline ") {
            assert_eq!(lab.run(&words.split(' ').collect::<Vec<_>>()).code, 0, "{command}");
        } else if command == "systemctl restart nova-network" {
            assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
        } else {
            support::printed(&["sh", "-c", command]);
        }
    }
}

#[test]
fn the_record_is_named_and_no_fix_ends_an_address_that_works() {
    let lab = TestLab::up_as("fh", &["--hosts", "2"]);
    for host in ["compute2", "compute9"] {
        if host == "compute2" {
            lab.break_fault(CODE);
        } else {
            record(&lab, host);
        }
        let diagnosis = lab.report(&["diagnose", "web1"]);
        diagnosis.assert_finds(&[AT], host);
        assert_eq!(text(&diagnosis.json["findings"][0]["exchange"]), "none", "{host}: it works");
        lab.report(&["check"]).assert_finds(&[AT], host);
        lab.report(&["db", "check"]).assert_finds(&[ROW], host);
        type_remedy(&lab, &diagnosis);
        lab.report(&["diagnose", "web1"]).assert_healthy(host);
        lab.report(&["db", "check"]).assert_healthy(host);
    }

    record(&lab, "compute2");
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    lab.report(&["db", "check"]).assert_finds(&[ROW], "after a restart");
    let diagnosis = lab.report(&["diagnose", "web1"]);
    let first = &diagnosis.json["findings"][0];
    assert_eq!((text(&first["code"]), text(&first["exchange"])), (CODE, "icmp"), "{:#}", diagnosis.json);
    type_remedy(&lab, &diagnosis);
    // The gateway learns it from the next packet that comes from there.
    lab.report(&["db", "check"]).assert_healthy("what is told was typed");
    let again = lab.report(&["diagnose", "web1"]);
    assert!(!again.json.to_string().contains(CODE), "{:#}", again.json);

    // With nobody to restart but where it works, and a host that nobody knows.
    record(&lab, "compute9");
    assert_eq!(lab.lab("restart", &["nova-network"]).code, 0);
    lab.report(&["db", "check"]).assert_finds(&[ROW], "compute9, after a restart");
    let diagnosis = lab.report(&["diagnose", "web1"]);
    assert_eq!(text(&diagnosis.json["findings"][0]["code"]), CODE, "{:#}", diagnosis.json);
    lab.heal();
}
