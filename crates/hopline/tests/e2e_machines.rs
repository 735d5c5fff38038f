//! Instances that are virtual machines under QEMU: the chapter's console, what reaches what, and faults that do not
//! care what an instance is. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::time::{Duration, Instant};

use cli_support::command;
use score::tables::OF_MACHINES;
use serde_json::Value;
use support::bundles::Bundles;
use support::hosts::{age_fast, connections, host_state, wait_for};
use support::reach::Reach;
use support::report::{asked, hops, legs, list, text};
use support::test_lab::TestLab;
use support::{assert_none, killed_after, printed_in};

/// A boot that asks for its address in vain, under emulation.
const BOOT_DEADLINE: Duration = Duration::from_mins(2);

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
    // A bundle tells of each what is told live.
    let bundles = Bundles::of(&lab);
    let mut unlike: Vec<String> = bundles.complaint("nothing").into_iter().collect();
    let [(paused, at_its_tap), (driverless, inside)] = OF_MACHINES;
    for (fault, finding) in [
        ("tap-down", "tap-down compute1//vnet0"),
        ("tap-missing", "tap-missing compute1//vnet0"),
        ("dnsmasq-not-running", "dnsmasq-not-running compute1//br100"),
        ("guest-powered-off", "guest-powered-off web1//"),
        (paused, &format!("{paused} {at_its_tap}")),
        (driverless, &format!("{driverless} {inside}")),
    ] {
        lab.break_fault(fault);
        lab.report(&["diagnose", "web1"]).assert_finds(&[finding], fault);
        unlike.extend(bundles.complaint(fault));
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy(&format!("{fault} healed"));
    }
    assert_none(&unlike);
    lab.break_fault("guest-nic-down");
    let blind = lab.report(&["diagnose", "web1"]);
    assert_eq!(blind.code, 1, "nobody can look into a machine, but it does not answer: {blind:?}");
    assert_eq!(blind.findings(), ["lost-at-hop web1//"], "nobody answers for its address");
    lab.heal();
    lab.report(&["diagnose", "web1"]).assert_healthy("its NIC is up again");
    let deleted = lab.lab("delete", &["web2"]);
    assert_eq!(deleted.code, 0, "{deleted:?}");
    let booted = lab.lab("boot", &["web3"]);
    assert_eq!(booted.code, 0, "{booted:?}");
    reach.pings("compute1", &lab.address("web3"));
    lab.report(&["check"]).assert_healthy("one gone, one new");
}

/// A real machine's console of a boot that got no lease.
#[test]
fn what_a_boot_says_on_its_console_is_told() {
    let lab = TestLab::up_as("vc", &["--guest", "qemu"]);
    lab.break_fault("guest-powered-off");
    // By hand: the lab would take a fault of its own out while it heals another.
    let drops =
        ["iptables", "-I", "INPUT", "-i", "br100", "-p", "udp", "-m", "udp", "--dport", "67", "-j", "DROP"];
    printed_in(&lab.netns("compute1"), &drops);
    // It starts the machine, and waits for the address that does not come.
    let mut heal = command(&lab.state()).args(["lab", "heal", "--name", &lab.name]).spawn().unwrap();
    let deadline = Instant::now() + BOOT_DEADLINE;
    while !lab.lab("console", &["web1"]).stdout.contains("no lease") {
        assert!(Instant::now() < deadline, "{}", lab.lab("console", &["web1"]).stdout);
        std::thread::yield_now();
    }
    heal.kill().unwrap();
    heal.wait().unwrap();
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["input-blocks-dhcp compute1//br100"], "what it asked was dropped");
    let evidence = list(&report.json["findings"][0]["evidence"]);
    let of_console = |line: &&Value| text(&line["source"]).contains("/console.log:");
    let told: Vec<&str> = evidence.iter().filter(of_console).map(|line| text(&line["text"])).collect();
    assert_eq!(told, ["udhcpc: no lease, forking to background"], "{evidence:#?}");
}

#[test]
fn machines_are_pinged_for_by_their_host() {
    let lab = TestLab::up_as("vp", &["--guest", "qemu"]);
    Reach::of(&lab).pings("ext", "203.0.113.30");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("a machine");
    let there = hops(&report.json, "> 1.2.3.4 ", "request");
    assert!(there.contains(&"compute1/vnet0 seen".to_owned()), "{there:#?}");
    assert!(there.iter().skip(1).all(|hop| hop.ends_with(" seen")), "{there:#?}");
    let back = hops(&report.json, "1.2.3.4 > ", "reply");
    assert!(back.contains(&"compute1/vnet0 seen".to_owned()), "{back:#?}");
    assert_eq!(back.last().unwrap(), "web1/ not-watched", "it left for the machine, and more nobody knows");
    // The machine's neighbour is a machine too, which hears the question and answers.
    let neighbour = hops(&report.json, "10.0.2.25 > 10.0.2.24 ", "reply");
    assert!(neighbour.contains(&"compute1/vnet1 seen".to_owned()), "{neighbour:#?}");
    // Its host asks for an address as the machine, and sees the offer leave for it with a whole checksum.
    let said = asked(&report.json);
    let told =
        |start: &str| said.iter().find(|line| line.contains(start)).unwrap_or_else(|| panic!("{said:#?}"));
    let offered = told("DHCPDISCOVER as web1");
    assert!(offered.contains("offers 10.0.2.24/16") && !offered.contains("checksum"), "{offered}");
    assert!(told("-x 1.2.3.4 as web1").contains(": NOERROR: openstack.test."), "{said:#?}");
    assert!(told("nc -z 169.254.169.254 80 as web1").contains("a SYN is answered"), "{said:#?}");
    let leg = legs(&report.json, "dhcp", ":68", "reply");
    assert!(leg.contains(&"compute1/vnet0 seen".to_owned()), "{leg:#?}");
    // What the host has is as it was, done or killed in the middle.
    let host = lab.netns("compute1");
    age_fast(&host);
    let (state, tracked) = (host_state(&host), connections(&host));
    lab.report(&["diagnose", "web1"]).assert_healthy("it is asked once more");
    wait_for(&host, &state, &tracked, "it was asked");
    let site = lab.site().display().to_string();
    let moments = [100, 300, 500].map(Duration::from_millis);
    let asks = ["diagnose", "web1", "--site", &site];
    let killed = moments.iter().filter(|moment| {
        let is_killed = killed_after(&mut command(&lab.state()), &asks, **moment);
        wait_for(&host, &state, &tracked, &format!("it was killed after {moment:?}"));
        is_killed
    });
    assert!(killed.count() > 0, "none was killed in the middle");
    // Without nova's rule the tap's offload leaves the sum to a card that is not there.
    lab.break_fault("dhcp-bad-udp-checksum");
    let unfinished = lab.report(&["diagnose", "web1"]);
    unfinished.assert_finds(&["dhcp-bad-udp-checksum compute1//br100"], "nova's rule is gone");
    let said = asked(&unfinished.json);
    assert!(said.iter().any(|line| line.contains("with an unfinished UDP checksum")), "{said:#?}");
    lab.heal();
    lab.break_fault("foreign-rule-drop");
    let broken = lab.report(&["diagnose", "web1"]);
    broken.assert_finds(&["foreign-rule-drop compute1//br100"], "a rule by hand");
    let evidence = list(&broken.json["findings"][0]["evidence"]);
    let told: Vec<&str> = evidence.iter().map(|line| text(&line["text"])).collect();
    for wanted in ["met 4 times by our pings, and said drop", "0 of 2 answered"] {
        assert!(told.iter().any(|line| line.contains(wanted)), "{told:#?}");
    }
    lab.heal();
    lab.report(&["diagnose", "web1"]).assert_healthy("the rule is gone");
    // An IPsec policy: nothing that hopline reads tells of it.
    lab.break_fault("dropped-by-unmodelled");
    let lost = lab.report(&["diagnose", "web1"]);
    lost.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy");
    let summary = text(&lost.json["findings"][0]["summary"]);
    assert!(summary.contains("from web1 to 1.2.3.4 is dropped at br100 of compute1"), "{summary}");
}
