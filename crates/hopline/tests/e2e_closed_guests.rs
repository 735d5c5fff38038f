//! What is wrong inside instances that cannot be entered, told by what comes out of them. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use cli_support::assert_refused;
use support::closed::Closed;
use support::report::{list, text};
use support::{printed, printed_in, run};

const DROPS_DHCP: &str = "iptables -I INPUT -p udp --dport 67 -j DROP";
const DROPS_DNS: &str = "iptables -I INPUT -p udp --dport 53 -j DROP";

#[test]
fn an_instance_without_its_address_is_told_by_what_kept_it_from_it() {
    let closed = Closed::up("ua");
    let web1 = closed.lab.netns("web1");
    run(&["ip", "netns", "exec", &web1, "pkill", "-x", "udhcpc"]);
    printed_in(&web1, &["ip", "address", "flush", "dev", "eth0"]);
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["lost-at-hop web1//"], "nothing keeps it from its address");
    let finding = &report.json["findings"][0];
    assert_eq!(text(&finding["summary"]), "nobody answers for 10.0.2.24, the address of web1");
    let asked = list(&finding["evidence"])
        .iter()
        .any(|shown| text(&shown["source"]).contains("arping -D -c 2 -I br100"));
    assert!(asked, "{finding:#}");
    closed.report(&["diagnose", "--all"]).assert_finds(&["lost-at-hop web1//"], "web2 is as it was");
    let names = closed.report(&["diagnose", "web1", "--symptom", "dns"]);
    names.assert_finds(&["lost-at-hop web1//"], "who asks for names needs an address first");

    closed.on_host(DROPS_DHCP);
    for question in [&["diagnose", "web1"][..], &["diagnose", "--all"]] {
        let found = closed.report(question);
        found.assert_finds(&["input-blocks-dhcp compute1//br100"], "DHCP's own question dies");
    }
}

#[test]
fn an_instance_that_has_no_way_back_is_told_from_one_that_hears_nothing() {
    let closed = Closed::up("ub");
    let web1 = closed.lab.netns("web1");
    printed_in(&web1, &["ip", "route", "del", "default"]);
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["lost-at-hop web1//"], "it answers its host");
    let cause = text(&report.json["findings"][0]["cause"]);
    assert!(cause.contains("no default route or a wrong gateway (its gateway is 10.0.0.42)"), "{cause}");

    printed_in(&web1, &["ip", "route", "add", "default", "via", "10.0.0.42"]);
    printed_in(&web1, &["iptables", "-I", "INPUT", "-j", "DROP"]);
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["lost-at-hop web1//"], "it answers ARP");
    assert_eq!(text(&report.json["findings"][0]["summary"]), "web1 answers ARP, and no pings");
}

#[test]
fn a_guest_that_refuses_a_connection_has_been_reached() {
    let closed = Closed::up("uc");
    let to_web2 = closed.report(&["diagnose", "web1", "--to", "web2"]);
    to_web2.assert_healthy("nobody has to listen at web2's port 443");
    let own = closed.report(&["diagnose", "web1", "--to", "gw"]);
    own.assert_healthy("nor at the router's");
    for (to, whose) in
        [("10.0.2.24", "web1's own"), ("10.0.255.255", "everybody's"), ("224.0.0.1", "a group's")]
    {
        let refused = closed.lab.run(&["diagnose", "web1", "--to", to]);
        assert_refused(&refused, &[&format!("{to} is {whose}"), "name another machine"]);
    }
    let web1 = closed.lab.netns("web1");
    let inside = printed(&["ip", "netns", "pids", &web1]);
    let listener = inside.lines().find(|pid| {
        let words = std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        words.contains("nc\0-ll\0-p\x0022")
    });
    printed(&["kill", listener.expect("its ssh server")]);
    let report = closed.report(&["diagnose", "web1", "--symptom", "ssh"]);
    report.assert_finds(&["lost-at-hop web1//"], "sshd is gone");
    let finding = &report.json["findings"][0];
    assert_eq!(text(&finding["summary"]), "web1 itself refuses external: nobody listens at its port 22");
    assert_eq!(text(&finding["evidence"][0]["kind"]), "capture", "{finding:#}");
}

#[test]
fn two_rules_of_one_chain_are_both_gone_when_both_fixes_were_typed() {
    let closed = Closed::up("ud");
    closed.on_host(DROPS_DNS);
    closed.on_host(DROPS_DHCP);
    let report = closed.report(&["diagnose", "web1"]);
    let expected = ["input-blocks-dhcp compute1//br100", "dns-port53-blocked compute1//br100"];
    report.assert_finds(&expected, "both are in the way");
    let before = closed.on_host("iptables-save -t filter");
    let fixes = list(&report.json["findings"]).iter().map(|finding| &finding["remedy"][0]["command"]);
    assert_eq!(support::typed(fixes), Vec::<String>::new());
    let after = closed.on_host("iptables-save -t filter");
    let rules = |saved: &str| {
        saved.lines().filter(|line| line.starts_with("-A")).map(str::to_owned).collect::<Vec<_>>()
    };
    let others: Vec<String> = rules(&before)
        .into_iter()
        .filter(|rule| !rule.ends_with("-j DROP") || !rule.starts_with("-A INPUT -p udp"))
        .collect();
    assert_eq!((rules(&after), rules(&before).len()), (others.clone(), others.len() + 2));
    closed.report(&["diagnose", "web1"]).assert_healthy("both are gone");
}

#[test]
fn what_becomes_of_packets_beyond_the_router_is_asked_as_each_instance() {
    let closed = Closed::without_outside("ue");
    closed.report(&["diagnose", "--all"]).assert_healthy("nothing is in the way");
    let drops = ["iptables", "-I", "FORWARD", "-s", "203.0.113.30", "-j", "DROP"];
    printed_in(&closed.lab.netns("gw"), &drops);
    let report = closed.report(&["diagnose", "web1"]);
    let gaps = list(&report.json["coverage"]["gaps"]).iter();
    let why: Vec<&str> = gaps.map(|gap| text(&gap["why"])).filter(|why| why.contains("1.2.3.4")).collect();
    assert_eq!(why, ["1.2.3.4 answers no pings of instances, which it may do rightly"]);
    let all = closed.report(&["diagnose", "--all"]);
    all.assert_finds(&["lost-at-hop compute1//eth0"], "web2 is answered, and web1 is not");
}

#[test]
fn an_instance_that_takes_its_gateway_for_another_station_is_told_by_the_frames_that_it_sends() {
    let closed = Closed::up("uf");
    let web1 = closed.lab.netns("web1");
    let entry = ["ip", "neigh", "replace", "10.0.0.42", "lladdr", "02:00:00:00:00:02", "dev", "eth0"];
    printed_in(&web1, &[&entry[..], &["nud", "permanent"]].concat());
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["guest-arp-poisoned web1//"], "its answers leave for another station");
    let finding = &report.json["findings"][0];
    assert_eq!(text(&finding["confidence"]), "proven", "{finding:#}");
    assert!(text(&finding["cause"]).contains("02:00:00:00:00:02"), "{finding:#}");
}

#[test]
fn a_guest_that_refuses_pings_alone_is_no_fault_of_others_nor_of_its_ssh() {
    let closed = Closed::up("ug");
    let drops = ["iptables", "-I", "INPUT", "-p", "icmp", "-j", "DROP"];
    printed_in(&closed.lab.netns("web2"), &drops);
    for question in [&["diagnose", "web1"][..], &["diagnose", "--all"]] {
        let report = closed.report(question);
        report.assert_healthy("a neighbour's own firewall drops its pings");
        let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]));
        let is_told = |gap: &str| gap == "whether web2 answers pings of web1 for real";
        assert!(gaps.clone().any(is_told), "{:#}", report.json["coverage"]);
    }
    let asked_for = closed.report(&["diagnose", "web1", "--to", "web2"]);
    asked_for.assert_finds(&["lost-at-hop compute1//vnet1"], "web2 is complained of");

    printed_in(&closed.lab.netns("web1"), &drops);
    closed.report(&["diagnose", "web1", "--symptom", "ssh"]).assert_healthy("its ssh server answers");
}

#[test]
fn what_drops_its_udp_alone_is_named_though_nobody_can_ask_inside() {
    let closed = Closed::up("uh");
    closed.report(&["diagnose", "web1", "--symptom", "dns"]).assert_healthy("UDP lives");
    closed.on_host("ip xfrm policy add dir fwd src 10.0.2.24/32 dst 0.0.0.0/0 proto udp action block");
    for symptom in ["auto", "dns"] {
        let report = closed.report(&["diagnose", "web1", "--symptom", symptom]);
        report.assert_finds(&["dropped-by-unmodelled compute1//br100"], symptom);
    }
}
