//! VlanManager's cloud, in each of its modes: what reaches what, that projects are kept apart, that hopline calls it
//! healthy, and that each fault of VLANs is found at its hop. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use score::tables::{OF_KERNELS, OF_VLANS};
use support::bundles::Bundles;
use support::reach::{self, Reach};
use support::report::{list, text};
use support::test_lab::TestLab;
use support::{assert_none, printed_in, run};
use vm::{Feature, KernelWith};

static VLANS: KernelWith =
    KernelWith::new(&[Feature::Vlan, Feature::NoOthers], &[env!("CARGO_BIN_EXE_hopline")]);

/// The other project's instances reach each other, and neither they nor web1 each other's: not through the hosts,
/// and not over the wire.
#[track_caller]
fn assert_projects_are_apart(lab: &TestLab) {
    let reach = Reach::of(lab);
    let (db1, db2) = (lab.address("db1"), lab.address("db2"));
    reach.pings("db1", &db2);
    reach.pings("db1", "1.2.3.4");
    for other in [&db1, &db2] {
        assert!(!reach.answers("web1", other), "web1 reaches {other}");
    }
    // Who takes an address of the neighbours' still is on a wire of its own.
    let db1 = lab.netns("db1");
    printed_in(&db1, &["ip", "address", "add", "10.1.0.250/24", "dev", "eth0"]);
    for web in ["web1", "web2", "web3"] {
        let asked = ["ip", "netns", "exec", &db1, "arping", "-q", "-c", "2", "-w", "1", "-I", "eth0"];
        let answered = run(&[&asked[..], &[&lab.address(web)]].concat());
        assert_eq!(answered.status.code(), Some(1), "{web} answers db1: {answered:?}");
    }
    printed_in(&db1, &["ip", "address", "del", "10.1.0.250/24", "dev", "eth0"]);
}

/// Each fault is named with its hop, a bundle tells of it what is told live, and nothing is left of it when it is
/// healed. Without packets too: the same walk is `diagnose --passive`'s, as `e2e_faults` shows of all others.
fn each_is_named_and_healed(lab: &TestLab, faults: &[(&str, &str)]) {
    let bundles = Bundles::of(lab);
    let mut wrong = Vec::new();
    for (fault, hop) in faults {
        lab.break_fault(fault);
        let expected = [format!("{fault} {hop}")];
        for question in [&["diagnose", "web1"][..], &["check"]] {
            wrong.extend(lab.report(question).complaint(&expected, fault));
        }
        wrong.extend(bundles.complaint(fault));
        lab.heal();
    }
    assert_none(&wrong);
    lab.assert_healthy();
}

#[test]
fn with_vlans_each_host_is_gateway_of_its_own_instances() {
    VLANS.run(|| {
        let lab = TestLab::up_as("vm", &["--manager", "vlan", "--hosts", "2"]);
        reach::assert_reaches(&lab, "web3");
        reach::assert_seen_as(&lab, "web3", "203.0.113.35");
        assert_projects_are_apart(&lab);
        lab.assert_healthy();
        // The last puts web1 into the bridge of another project's VLAN.
        let ([missing, down, tag, _], [full, bond]) = (OF_VLANS, OF_KERNELS);
        each_is_named_and_healed(
            &lab,
            &[missing, down, tag, full, bond, ("tap-wrong-bridge", "compute1//vnet0")],
        );
        the_device_is_shown(&lab);
        // A stranger on the wire of web1's VLAN is heard of by its answers alone.
        lab.break_fault("duplicate-ip-foreign");
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&["duplicate-ip-foreign compute1//vlan100"], "web1's address is had twice");
        lab.heal();
        lab.assert_healthy();
    });
}

/// `db show` holds the VLAN's line to its device: that it is there, its tag, its bridge and the link below it.
fn the_device_is_shown(lab: &TestLab) {
    let shown = || -> Vec<(bool, String)> {
        let run = lab.run(&["db", "show", "web1", "--json"]);
        let shown: serde_json::Value = serde_json::from_str(&run.stdout).expect(&run.stderr);
        let line = list(&shown["lines"]).iter().find(|line| line["what"] == "VLAN").unwrap();
        assert_eq!(line["value"], "100");
        let on = |on: &serde_json::Value| (on["has"] == true, text(&on["text"]).to_owned());
        list(&line["hosts"]).iter().map(on).collect()
    };
    let says = |has: bool, text: &str| (has, text.to_owned());
    let (tagged, bridged, over) =
        (says(true, "vlan100 with tag 100"), says(true, "in br100"), says(true, "over eth1"));
    assert_eq!(shown(), [tagged.clone(), bridged.clone(), over.clone()]);
    lab.break_fault("vlan-device-missing");
    assert_eq!(shown(), [says(false, "no link vlan100")]);
    lab.heal();
    lab.break_fault("vlan-tag-wrong");
    let [tag, rest @ ..] = &shown()[..] else { panic!("{:?}", shown()) };
    assert!(!tag.0 && tag.1.starts_with("vlan100 with tag ") && tag.1.ends_with(", not 100"), "{tag:?}");
    assert_eq!(rest, [bridged, over.clone()]);
    lab.heal();
    let compute1 = lab.netns("compute1");
    printed_in(&compute1, &["ip", "link", "set", "vlan100", "nomaster"]);
    assert_eq!(shown(), [tagged.clone(), says(false, "not in br100"), over]);
    printed_in(&compute1, &["ip", "link", "set", "vlan100", "master", "br100"]);
    assert!(shown().iter().all(|(has, _)| *has), "{:?}", shown());
}

#[test]
fn with_vlans_one_network_host_is_gateway_of_every_project() {
    VLANS.run(|| {
        let lab = TestLab::up_as("vn", &["--manager", "vlan", "--hosts", "2", "--no-multi-host"]);
        reach::assert_reaches(&lab, "web3");
        reach::assert_seen_as(&lab, "web3", "203.0.113.50");
        assert_projects_are_apart(&lab);
        lab.assert_healthy();
        let [missing, _, tag, narrow] = OF_VLANS;
        let elsewhere =
            [("flatif-not-enslaved", "compute1//vlan100"), ("dnsmasq-not-running", "network1//br100")];
        each_is_named_and_healed(&lab, &[&[missing, tag, narrow], &elsewhere[..]].concat());
    });
}

#[test]
fn with_vlans_hosts_share_the_gateways_address_of_each_project_and_of_one_that_is_new() {
    VLANS.run(|| {
        let lab = TestLab::up_as("vs", &["--manager", "vlan", "--hosts", "2", "--share-address"]);
        reach::assert_reaches(&lab, "web3");
        assert_projects_are_apart(&lab);
        let made = lab.lab("network", &["create", "third", "10.1.2.0/24", "--project", "third"]);
        assert_eq!(made.code, 0, "{made:?}");
        let booted = lab.lab("boot", &["app1", "--network", "third", "--host", "compute1"]);
        assert_eq!(booted.code, 0, "{booted:?}");
        let device = printed_in(&lab.netns("compute1"), &["ip", "-d", "link", "show", "dev", "vlan102"]);
        assert!(
            device.contains("vlan protocol 802.1Q id 102") && device.contains("master br102"),
            "{device}"
        );
        Reach::of(&lab).pings("app1", "1.2.3.4");
        let [_, _, tag, _] = OF_VLANS;
        each_is_named_and_healed(&lab, &[tag]);
    });
}
