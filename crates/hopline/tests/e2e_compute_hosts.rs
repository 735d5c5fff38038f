//! The usual site, of compute hosts alone: what somebody changed on a host is named without anybody outside who could
//! be asked, and the printed fix mends it. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::closed::Closed;
use support::dnsmasq;
use support::hosts::assert_same;
use support::report::{Report, list, text};
use support::{printed_in, typed};

/// What is typed on compute1, and what is found then.
const CHANGES: [(&str, &str); 13] = [
    ("iptables -t nat -I POSTROUTING -o eth0 -j MASQUERADE", "foreign-rule-bends compute1//eth0"),
    ("iptables -t nat -I POSTROUTING -s 10.0.0.0/16 -j ACCEPT", "snat-missing compute1//eth0"),
    ("iptables -I FORWARD -p tcp --dport 22 -j DROP", "rule-order-wrong compute1//eth0"),
    (
        "iptables -t nat -I PREROUTING -i br100 -p udp --dport 53 -j DNAT --to 198.51.100.77",
        "foreign-rule-bends compute1//br100",
    ),
    ("iptables -t raw -I PREROUTING -i eth0 -j CT --notrack", "foreign-rule-bends compute1//br100"),
    ("ip link set eth1 mtu 1400", "flatif-mtu-small compute1//eth1"),
    ("iptables -t nat -I POSTROUTING -d 1.2.3.0/24 -j ACCEPT", "snat-missing compute1//eth0"),
    ("iptables -t nat -I POSTROUTING -d 10.0.0.0/16 -j ACCEPT", "foreign-rule-bends compute1//br100"),
    (
        "iptables -I FORWARD -i br100 -m time --datestart 2020-01-01 -j DROP",
        "foreign-rule-drop compute1//br100",
    ),
    (
        "iptables-legacy -I FORWARD -i br100 -m time --datestart 2020-01-01 -j DROP",
        "iptables-legacy-hidden compute1//br100",
    ),
    ("ip address add 10.0.2.24/24 dev br100", "fixed-ip-led-astray compute1//br100"),
    ("ip route add 10.0.2.24/32 dev eth0", "fixed-ip-led-astray compute1//eth0"),
    ("ip route add 10.0.2.0/24 via 203.0.113.1", "fixed-ip-led-astray compute1//eth0"),
];

#[test]
fn what_somebody_changed_is_named_and_its_fix_mends_it() {
    let closed = Closed::without_outside("co");
    for (change, found) in CHANGES {
        closed.on_host(change);
        let report = closed.report(&["diagnose", "web1"]);
        report.assert_finds(&[found], change);
        let fixes = list(&report.json["findings"]).iter().map(|finding| &finding["remedy"][0]["command"]);
        assert_eq!(typed(fixes), Vec::<String>::new(), "{change}");
        // Connections keep the translation that they began with.
        closed.on_host("conntrack -F");
        closed.report(&["diagnose", "web1"]).assert_healthy(change);
    }
}

/// Of UDP and TCP tells whom the hosts' dnsmasq asks, for that one answers the hosts: that it answers nobody else may
/// be meant.
#[test]
fn what_drops_one_protocol_is_named_and_what_a_server_means_is_not() {
    let closed = Closed::without_outside("cp");
    for (protocol, exchange, symptoms) in [("udp", "dns", &["auto", "dns"][..]), ("tcp", "tcp", &["auto"])] {
        let policy = "dir fwd src 10.0.2.24/32 dst 0.0.0.0/0 proto";
        closed.on_host(&format!("ip xfrm policy add {policy} {protocol} action block"));
        for symptom in symptoms {
            let report = closed.report(&["diagnose", "web1", "--symptom", symptom]);
            report.assert_finds(&["dropped-by-unmodelled compute1//br100"], protocol);
            assert_eq!(text(&report.json["findings"][0]["exchange"]), exchange);
        }
        closed.on_host("ip xfrm policy flush");
    }
    let outside = closed.lab.netns("ext");
    for (rule, untold) in [
        ("-p udp --dport 53 -s 203.0.113.30 -j DROP", Some("whether web1 reaches 1.2.3.4 over UDP for real")),
        ("-p tcp --dport 53 -j DROP", Some("whether web1 reaches 1.2.3.4 over TCP for real")),
        ("-p udp --dport 53 -s 203.0.113.30 -j REJECT", None),
        ("-p tcp --dport 53 -j REJECT --reject-with tcp-reset", None),
    ] {
        let words = format!("iptables -I INPUT {rule}");
        printed_in(&outside, &words.split(' ').collect::<Vec<_>>());
        let report = closed.report(&["diagnose", "web1"]);
        report.assert_healthy(rule);
        let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]));
        let of_it: Vec<&str> = gaps.filter(|what| what.contains("reaches 1.2.3.4 over")).collect();
        assert_eq!(of_it, untold.into_iter().collect::<Vec<_>>(), "{rule}");
        printed_in(&outside, &["iptables", "-F", "INPUT"]);
    }
    dnsmasq::restart(&closed.lab, |words| words.retain(|word| !word.starts_with("--server=")));
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_healthy("nobody needs names of the outside");
    let mut gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]));
    assert!(gaps.any(|what| what == "whether UDP of web1 reaches the outside for real"));
}

/// Of a server for names that nobody answers for nothing is told but why it is asked.
#[test]
fn a_server_that_is_not_there_is_told_by_who_sent_dnsmasq_to_it() {
    let closed = Closed::without_outside("cs");
    let asks = |servers: &[&str]| {
        dnsmasq::restart(&closed.lab, |words| {
            words.retain(|word| !word.starts_with("--server="));
            words.extend(servers.iter().map(|server| format!("--server={server}")));
        });
        closed.report(&["diagnose", "web1"])
    };
    let dead = asks(&["198.51.100.201", "198.51.100.202", "198.51.100.203"]);
    dead.assert_finds(&["dns-upstream-wrong compute1//br100"; 3], "nobody has these addresses");
    let closed_port = asks(&["1.2.3.4#5353"]);
    closed_port.assert_finds(&["dns-upstream-dead compute1//eth0"], "nobody listens at that port");
    let cause = text(&closed_port.json["findings"][0]["cause"]);
    assert_eq!(cause, "1.2.3.4 answers that nothing is to be had at its udp port 5353");
    asks(&["1.2.3.4"]).assert_healthy("it is asked as ever");
}

/// Nobody outside can be entered: he is spoken for where his packets come in.
#[test]
fn what_the_outside_gets_no_answer_to_is_told_though_nobody_is_there_to_ask() {
    let closed = Closed::without_outside("ct");
    let probes = |report: &Report| -> Vec<String> {
        let evidence = list(&report.json["findings"]).iter().flat_map(|finding| list(&finding["evidence"]));
        let sources = evidence.map(|evidence| text(&evidence["source"]).to_owned());
        sources.filter(|source| source.ends_with(" as the outside")).collect()
    };
    let before = closed.state();
    let printed = closed.printed(&["diagnose", "web1", "-v"]);
    assert_same(&before, &closed.state());
    let shown = printed.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(shown.contains("ping 203.0.113.30 as the outside: 2 of 2 answered"), "{shown}");
    let guest = closed.lab.netns("web1");
    printed_in(&guest, &["ip", "route", "del", "default"]);
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["lost-at-hop web1//"], "it has no way back");
    assert!(text(&report.json["findings"][0]["cause"]).contains("no default route"), "{report:?}");
    assert_eq!(probes(&report), ["ping 203.0.113.30 as the outside"]);
    printed_in(&guest, &["ip", "route", "add", "default", "via", "10.0.0.42"]);
    closed.report(&["diagnose", "web1"]).assert_healthy("it has one");
    // What is lost of ssh alone.
    let keep_out = ["-I", "INPUT", "-p", "tcp", "--dport", "22", "!", "-s", "10.0.0.0/16", "-j", "DROP"];
    printed_in(&guest, &[&["iptables"], &keep_out[..]].concat());
    let report = closed.report(&["diagnose", "web1", "--symptom", "ssh"]);
    assert_eq!(report.code, 1, "{report:?}");
    assert_eq!(probes(&report), ["nc -z 203.0.113.30 22 as the outside"], "{report:?}");
}
