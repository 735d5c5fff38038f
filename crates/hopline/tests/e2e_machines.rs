//! Instances that are virtual machines under QEMU: the chapter's console, what reaches what, and faults that do not
//! care what an instance is. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::reach::Reach;
use support::test_lab::TestLab;

#[test]
fn machines_boot_are_reached_broken_healed_and_terminated() {
    let lab = TestLab::up_as("vm", &["--guest", "qemu"]);
    let reach = Reach::of(&lab);
    reach.pings("ext", "203.0.113.30");
    reach.fetches("ext", "http://203.0.113.30/");
    let console = lab.lab("console", &["web1"]).stdout;
    for words in ["lease of 10.0.2.24 obtained", "iid=i-00000001", "web1 login:"] {
        assert!(console.contains(words), "{words}: {console}");
    }
    lab.report(&["diagnose", "--all"]).assert_healthy("two machines");
    for (fault, finding) in [
        ("tap-down", "tap-down compute1//vnet0"),
        ("tap-missing", "tap-missing compute1//vnet0"),
        ("dnsmasq-not-running", "dnsmasq-not-running compute1//br100"),
    ] {
        lab.break_fault(fault);
        lab.report(&["diagnose", "web1"]).assert_finds(&[finding], fault);
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy(&format!("{fault} healed"));
    }
    lab.break_fault("guest-nic-down");
    let blind = lab.report(&["diagnose", "web1"]);
    assert_eq!(blind.code, 1, "nobody can look into a machine, but it does not answer: {blind:?}");
    assert!(blind.findings()[0].contains("//vnet0"), "its way ends at its tap: {:?}", blind.findings());
    lab.heal();
    lab.report(&["diagnose", "web1"]).assert_healthy("its NIC is up again");
    let deleted = lab.lab("delete", &["web2"]);
    assert_eq!(deleted.code, 0, "{deleted:?}");
    let booted = lab.lab("boot", &["web3"]);
    assert_eq!(booted.code, 0, "{booted:?}");
    reach.pings("compute1", &lab.address("web3"));
    lab.report(&["check"]).assert_healthy("one gone, one new");
}
