//! What wrong neighbour and FDB entries do to an instance that cannot be entered, and what else somebody told a host
//! that leads its instances' packets astray. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::closed::Closed;
use support::report::{asked, list, text};
use support::test_lab::TestLab;
use support::{eventually, printed_in, run, typed};

#[test]
fn an_entry_of_the_host_with_another_mac_is_told_and_its_fix_mends_it() {
    let closed = Closed::up("na");
    for state in ["permanent", "reachable"] {
        closed.on_host(&format!("ip neigh replace 10.0.2.24 lladdr 02:00:00:00:00:01 dev br100 nud {state}"));
        let report = closed.report(&["diagnose", "web1"]);
        report.assert_finds(&["host-neigh-wrong compute1//br100"], state);
        let finding = &report.json["findings"][0];
        assert_eq!(text(&finding["confidence"]), "proven", "{finding:#}");
        let wanted = format!("10.0.2.24 dev br100 lladdr 02:00:00:00:00:01 {}", state.to_uppercase());
        assert_eq!(text(&finding["evidence"][0]["text"]), wanted);
        assert_eq!(typed([&finding["remedy"][0]["command"]].into_iter()), Vec::<String>::new());
        closed.report(&["diagnose", "web1"]).assert_healthy("the host has asked anew");
    }
    // Who can look inside is told the same.
    closed.lab.break_fault("host-neigh-wrong");
    let open = closed.lab.report(&["diagnose", "web1"]);
    open.assert_finds(&["host-neigh-wrong compute1//br100"], "web1 can be entered");
}

/// dnsmasq writes whom it offers an address to into its host's neighbour entries, over those set by hand, too.
#[test]
fn an_entry_that_an_offer_would_overwrite_stays_and_is_told() {
    let lab = TestLab::up_as("ne", &["--hosts", "2", "--no-multi-host"]);
    lab.break_fault("host-neigh-wrong");
    let entry = || printed_in(&lab.netns("network1"), &["ip", "neigh", "show", "to", "10.0.2.24"]);
    let before = entry();
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(entry(), before);
    report.assert_finds(&["host-neigh-wrong network1//br100"], "what is for web1 passes network1");
    let discover = asked(&report.json).into_iter().find(|line| line.contains("DHCPDISCOVER"));
    assert_eq!(discover, None);
    let gaps = list(&report.json["coverage"]["gaps"]);
    let why = gaps.iter().map(|gap| text(&gap["why"])).find(|why| why.contains("02:00:5e:00:53:02"));
    let why = why.unwrap_or_else(|| panic!("no gap tells of it: {gaps:#?}"));
    assert!(why.contains("network1") && why.contains("an OFFER"), "{why}");
}

#[test]
fn a_static_entry_that_roams_misleads_who_asks_first() {
    let closed = Closed::without_outside("nb");
    closed.on_host("bridge fdb replace fa:16:3e:00:02:24 dev eth1 master static");
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["fdb-static-stale compute1//br100"], "web1 has sent nothing since");
    let fixes = list(&report.json["findings"]).iter().map(|finding| &finding["remedy"][0]["command"]);
    assert_eq!(typed(fixes), Vec::<String>::new());
    closed.report(&["diagnose", "web1"]).assert_healthy("the bridge floods, and learns");
}

#[test]
fn a_gateway_whose_answers_die_on_the_host_is_not_down() {
    let closed = Closed::without_outside("nc");
    closed.lab.break_fault("xdp-drop");
    let host = closed.lab.netns("compute1");
    run(&["ip", "netns", "exec", &host, "ip", "neigh", "flush", "to", "203.0.113.1"]);
    eventually("the gateway's entry to be FAILED", || {
        run(&["ip", "netns", "exec", &host, "ping", "-c", "1", "-W", "1", "203.0.113.1"]);
        closed.on_host("ip neigh show to 203.0.113.1").contains("FAILED")
    });
    closed.report(&["diagnose", "web1"]).assert_finds(&["xdp-drop compute1//eth0"], "it answers");
}

#[test]
fn frames_for_an_old_mac_tell_of_a_router_that_nobody_can_look_into() {
    let closed = Closed::without_outside("nd");
    closed.lab.break_fault("stale-arp-after-float-move");
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["stale-arp-after-float-move compute1//eth0"], "they come to eth0");
}

/// Told of the host alone, by what is wrong there, with a fix that mends it.
#[test]
fn what_somebody_told_a_host_has_its_name_and_its_fix_where_only_hosts_are_read() {
    let closed = Closed::without_outside("nf");
    for (made, told) in [
        ("iptables -P INPUT DROP", "foreign-rule-drop compute1//br100"),
        ("iptables -P OUTPUT DROP", "foreign-rule-drop compute1//eth0"),
        ("ip addr del 10.0.0.42/16 dev br100", "gateway-address-missing compute1//br100"),
        ("sysctl -qw net.ipv4.conf.br100.forwarding=0", "ip-forward-0 compute1//br100"),
        ("bridge link set dev vnet0 state 0", "stp-forward-delay compute1//vnet0"),
        (
            "ip neigh replace 203.0.113.1 lladdr 02:00:00:00:00:09 dev eth0 nud permanent",
            "host-neigh-wrong compute1//eth0",
        ),
    ] {
        closed.on_host(made);
        if told.starts_with("stp-") {
            let asked = closed.report(&["diagnose", "web1", "--symptom", "dhcp"]);
            asked.assert_finds(&[told], "an address is asked for");
            assert_eq!(text(&asked.json["findings"][0]["exchange"]), "dhcp", "{:#}", asked.json);
        }
        assert_told_and_mended(&closed, told, made);
    }
    // The address is there, for too small a subnet.
    closed.on_host("ip addr add 10.0.0.42/24 brd + dev br100");
    closed.on_host("ip addr del 10.0.0.42/16 dev br100");
    assert_told_and_mended(
        &closed,
        "gateway-address-missing compute1//br100",
        "a prefix that leaves web1 out",
    );
}

fn assert_told_and_mended(closed: &Closed, told: &str, why: &str) {
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&[told], why);
    let finding = &report.json["findings"][0];
    assert_eq!(text(&finding["confidence"]), "proven", "{finding:#}");
    assert_eq!(typed([&finding["remedy"][0]["command"]].into_iter()), Vec::<String>::new());
    closed.report(&["diagnose", "web1"]).assert_healthy(why);
}
