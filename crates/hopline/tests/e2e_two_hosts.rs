//! Faults that take two hosts: those of an overlay in the flat link's place, and an address that both carry. Each is
//! found at its hop, with packets and without, and nothing is left of it when it is healed. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::fs::{self, OpenOptions};
use std::io::Write as _;

use score::tables::OF_PEERS;
use support::closed::Closed;
use support::report::{list, text};
use support::test_lab::TestLab;
use support::{assert_none, printed_in, run};

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

/// As after a migration that the other host was not told of: its dnsmasq still has the instance's line.
fn still_known(lab: &TestLab, host: &str) {
    let networks = lab.state().join(host).join("networks");
    let own = fs::read_to_string(lab.state().join("compute1/networks/nova-br100.conf")).unwrap();
    let line = own.lines().find(|line| line.contains("10.0.2.24")).unwrap();
    let mut file = OpenOptions::new().append(true).open(networks.join("nova-br100.conf")).unwrap();
    // It ends without a line break, as nova's.
    write!(file, "\n{line}").unwrap();
    let pid = fs::read_to_string(networks.join("nova-br100.pid")).unwrap();
    run(&["kill", "-HUP", pid.trim()]);
}

fn assert_other_host_is_named(lab: &TestLab) {
    let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    report.assert_finds(&["rogue-dhcp compute2//br100"], "compute2 answers too");
    let finding = &list(&report.json["findings"])[0];
    let evidence: Vec<&str> = list(&finding["evidence"]).iter().map(|line| text(&line["text"])).collect();
    for part in [" offers 10.0.2.24", "nova-br100", "gives 10.0.2.24 to fa:16:3e:00:02:24"] {
        assert!(evidence.iter().any(|line| line.contains(part)), "{part}: {evidence:#?}");
    }
    assert_eq!(text(&finding["owner"]), "nova-network");
}

#[test]
fn another_host_that_answers_dhcp_as_well_is_named() {
    let lab = TestLab::up_as("2d", &["--hosts", "2"]);
    lab.report(&["diagnose", "web1", "--symptom", "dhcp"]).assert_healthy("each host serves its own");
    still_known(&lab, "compute2");
    assert_other_host_is_named(&lab);
}

/// By its address nobody could tell which of them it is.
#[test]
fn of_hosts_that_share_an_address_the_one_that_answers_as_well_is_named() {
    let lab = TestLab::up_as("2s", &["--hosts", "2", "--share-address"]);
    still_known(&lab, "compute2");
    lab.report(&["diagnose", "web1", "--symptom", "dhcp"]).assert_healthy("rules keep DHCP on its host");
    for host in ["compute1", "compute2"] {
        printed_in(&lab.netns(host), &["ebtables", "-t", "filter", "-F"]);
        printed_in(&lab.netns(host), &["ebtables", "-t", "nat", "-F"]);
    }
    let report = lab.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    let named = list(&report.json["findings"]).iter().find(|finding| text(&finding["code"]) == "rogue-dhcp");
    let named = named.unwrap_or_else(|| panic!("{:#}", report.json));
    assert_eq!(text(&named["hop"]["host"]), "compute2", "{named:#}");
}

/// The switch between is in no site file, and the one whose answer is lost is off by all that its asker knows.
#[test]
fn an_answer_to_arp_that_is_lost_between_two_hosts_blames_nobody_who_answers() {
    let closed = Closed::without_outside_as("2w", &["--hosts", "2"]);
    let fabric = closed.lab.netns("fab");
    for line in [
        "add table bridge t",
        "add chain bridge t c { type filter hook forward priority 0; }",
        "add rule bridge t c iifname flath2 oifname flath1 drop",
    ] {
        run(&["ip", "netns", "exec", &fabric, "nft", line]);
    }
    for arguments in [&["diagnose", "web1"][..], &["diagnose", "web1", "--to", "web3"]] {
        let report = closed.report(arguments);
        report.assert_finds(&["lost-at-hop compute1//eth1"], "web3 answers its own host");
        let finding = &list(&report.json["findings"])[0];
        let summary = text(&finding["summary"]);
        let wanted =
            "web1's question who has 10.0.0.2 is seen at compute2//eth1 and does not come to compute1//eth1";
        assert!(summary.ends_with(wanted), "{summary}");
        assert_eq!((text(&finding["direction"]), text(&finding["exchange"])), ("reply", "arp"));
    }
}
