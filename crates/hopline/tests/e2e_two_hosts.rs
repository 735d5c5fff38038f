//! Faults that take two hosts: those of an overlay in the flat link's place, and an address that both carry. Each is
//! found at its hop, with packets and without, and nothing is left of it when it is healed. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use score::tables::OF_PEERS;
use support::assert_none;
use support::test_lab::TestLab;

#[test]
fn each_fault_of_two_hosts_is_named_and_healed() {
    let lab = TestLab::up_as("2h", &["--hosts", "2"]);
    lab.assert_healthy();
    let mut wrong = Vec::new();
    for (fault, hop) in OF_PEERS {
        lab.break_fault(fault);
        let expected = [format!("{fault} {hop}")];
        for question in [&["diagnose", "web1"][..], &["diagnose", "web1", "--passive"]] {
            wrong.extend(lab.report(question).complaint(&expected, fault));
        }
        lab.heal();
    }
    assert_none(&wrong);
    lab.assert_healthy();
}
