//! A network that has a range of IPv6: its instances are asked, and ask, over it beyond their host. A lab has none, the
//! test gives it to it as nova and its administrators would. Needs root, and a kernel with IPv6.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::closed::Closed;
use support::printed_in;
use support::report::{Report, asked, hops, list, text};
use support::test_lab::TestLab;

const RANGE: &str = "2001:db8:77::/64";
/// What web1, web2 (on its host) and web3 (on another) make of their MACs.
const WEBS: [(&str, &str); 3] = [
    ("web1", "2001:db8:77:0:f816:3eff:fe00:224"),
    ("web2", "2001:db8:77:0:f816:3eff:fe00:225"),
    ("web3", "2001:db8:77:0:f816:3eff:fe80:3"),
];
const OUTSIDE: &str = "2001:db8:e::4";

/// Addresses of the machines between the instances and the outside.
const CARRIED: [(&str, &str, &str); 9] = [
    ("compute1", "br100", "2001:db8:77::1"),
    ("compute2", "br100", "2001:db8:77::2"),
    ("compute1", "eth0", "2001:db8:1::34"),
    ("compute2", "eth0", "2001:db8:1::35"),
    ("gw", "eth0", "2001:db8:1::1"),
    ("gw", "eth1", "2001:db8:2::1"),
    ("isp", "eth0", "2001:db8:2::2"),
    ("isp", "eth1", "2001:db8:e::1"),
    ("ext", "eth0", OUTSIDE),
];
const ROUTES: [(&str, &str, &str); 10] = [
    ("web1", "default", "2001:db8:77::1"),
    ("web2", "default", "2001:db8:77::1"),
    ("web3", "default", "2001:db8:77::2"),
    ("compute1", "default", "2001:db8:1::1"),
    ("compute2", "default", "2001:db8:1::1"),
    ("gw", "default", "2001:db8:2::2"),
    ("gw", RANGE, "2001:db8:1::34"),
    ("isp", RANGE, "2001:db8:2::1"),
    ("isp", "2001:db8:1::/64", "2001:db8:2::1"),
    ("ext", "default", "2001:db8:e::1"),
];

fn run(lab: &TestLab, of: &str, line: &str) -> String {
    printed_in(&lab.netns(of), &line.split(' ').collect::<Vec<_>>())
}

/// Addresses and routes. Whoever has no time for duplicate address detection has its addresses at once.
fn give_addresses(lab: &TestLab) {
    let of_webs = WEBS.map(|(web, address)| (web, "eth0", address));
    for (of, device, address) in CARRIED.into_iter().chain(of_webs) {
        for setting in ["accept_dad=0", "accept_ra=0", "disable_ipv6=0"] {
            run(lab, of, &format!("sysctl -qw net.ipv6.conf.{device}.{setting}"));
        }
        run(lab, of, &format!("ip address replace {address}/64 dev {device} nodad"));
    }
    for of in ["compute1", "compute2", "gw", "isp"] {
        run(lab, of, "sysctl -qw net.ipv6.conf.all.forwarding=1");
    }
    for (of, to, via) in ROUTES {
        run(lab, of, &format!("ip -6 route replace {to} via {via}"));
    }
}

/// The network's row, and nova.conf of its hosts.
fn give_range(lab: &TestLab) {
    let sql = format!("UPDATE networks SET cidr_v6 = '{RANGE}'");
    support::sqlite(&lab.state().join("nova.sqlite"), &sql);
    for host in ["compute1", "compute2"] {
        let conf = lab.state().join(host).join("etc/nova/nova.conf");
        let before = std::fs::read_to_string(&conf).unwrap();
        std::fs::write(&conf, before.replacen("[DEFAULT]", "[DEFAULT]\nuse_ipv6 = True", 1)).unwrap();
    }
}

/// Every host has met its instances.
fn meet(lab: &TestLab) {
    for (web, host) in [("web1", "2001:db8:77::1"), ("web2", "2001:db8:77::1"), ("web3", "2001:db8:77::2")] {
        run(lab, web, &format!("ping -c 1 -W 5 {host}"));
    }
}

/// Of the questions that web1 asks beyond its host over IPv6, whom, and how many were answered; in the order of `WEBS`.
fn beyond(report: &Report) -> Vec<String> {
    let lines = asked(&report.json);
    let [_, (_, near), (_, far)] = WEBS;
    let told = [near, far, OUTSIDE].into_iter().filter_map(|to| {
        let line = lines.iter().find(|line| {
            line.contains(&format!("ping {to} from web1:")) || line.contains(&format!("ping {to} as web1:"))
        })?;
        let came =
            line.split_once("web1: ").expect("a part").1.split([',', ';', '(']).next().expect("a part");
        Some(format!("{to}: {}", came.trim()))
    });
    told.collect()
}

fn all_answered() -> [String; 3] {
    [WEBS[1].1, WEBS[2].1, OUTSIDE].map(|to| format!("{to}: 2 of 2 answered"))
}

fn gaps(report: &Report) -> Vec<&str> {
    let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]));
    gaps.filter(|what| what.contains("IPv6")).collect()
}

#[test]
fn neighbours_and_the_outside_are_asked_over_ipv6_where_the_network_has_a_range() {
    let closed = Closed::up_as("da", &["--hosts", "2"]);
    let lab = &closed.lab;
    give_addresses(lab);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nova knows nothing of IPv6");
    assert_eq!(beyond(&report), [""; 0]);
    give_range(lab);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    assert_eq!(beyond(&report), all_answered());

    meet(lab);
    let known = || {
        let shown = run(lab, "compute1", "ip -6 neigh show dev br100 nud all");
        let mut entries: Vec<String> = shown
            .lines()
            .filter(|line| line.starts_with("2001:db8:77:0:"))
            .map(|line| line.split(' ').take(3).collect::<Vec<_>>().join(" "))
            .collect();
        entries.sort();
        entries
    };
    let before = known();
    assert!(before.len() > 1, "{before:?}");
    let report = closed.report(&["diagnose", "web1", "--symptom", "ping"]);
    report.assert_healthy("nothing is broken");
    assert_eq!((beyond(&report), gaps(&report)), (all_answered().to_vec(), Vec::new()));
    for (from, to) in [(WEBS[0].1, WEBS[2].1), (WEBS[0].1, OUTSIDE)] {
        for (packet, direction) in
            [(format!("{from} > {to} "), "request"), (format!("{to} > {from} "), "reply")]
        {
            let hops = hops(&report.json, &packet, direction);
            let watched: Vec<&String> = hops.iter().filter(|hop| !hop.ends_with(" not-watched")).collect();
            let is_seen = watched.len() > 3 && watched.iter().all(|hop| hop.ends_with(" seen"));
            assert!(is_seen, "{packet}{direction}: {hops:#?}");
        }
    }
    let after = known();
    assert!(before.iter().all(|entry| after.contains(entry)), "{before:?} {after:?}");
    // What all questions together cost an instance is for what it is known to need, first.
    let chain = "add chain netdev ht in { type filter hook ingress device vnet0 priority 0; }";
    for line in ["add table netdev ht", chain, "add rule netdev ht in counter"] {
        run(lab, "compute1", &format!("nft {line}"));
    }
    let report = closed.report(&["diagnose", "web1"]);
    let listing = run(lab, "compute1", "nft list table netdev ht");
    let counted =
        listing.split("packets ").nth(1).and_then(|rest| rest.split(' ').next()).expect("a counter");
    assert!((10..50).contains(&counted.parse::<u32>().unwrap()), "{listing}");
    run(lab, "compute1", "nft delete table netdev ht");
    report.assert_healthy("nothing is broken");
    let left_out = list(&report.json["coverage"]["gaps"]).iter().filter(|gap| {
        text(&gap["why"]).contains("cost no more than")
            && !text(&gap["what"]).starts_with("whether 2001:db8:")
    });
    assert_eq!(left_out.count(), 0, "{:#}", report.json["coverage"]["gaps"]);

    for (rule, found) in [
        (format!("-d {}", WEBS[2].1), "foreign-rule-drop compute1//vnet0"),
        (format!("-d {OUTSIDE}"), "foreign-rule-drop compute1//br100"),
    ] {
        run(lab, "compute1", &format!("ip6tables -I FORWARD {rule} -j DROP"));
        let expected = [found];
        lab.report(&["diagnose", "web1"]).assert_finds(&expected, &rule);
        for question in [&["--symptom", "ping"][..], &["--passive"], &[]] {
            let report = closed.report(&[&["diagnose", "web1"], question].concat());
            report.assert_finds(&expected, &format!("{rule}, {question:?}"));
            let evidence = list(&list(&report.json["findings"])[0]["evidence"]);
            let told = evidence.iter().any(|line| text(&line["source"]).contains("ip6tables"));
            assert!(told && evidence.iter().any(|line| text(&line["text"]).contains(&rule)), "{evidence:#?}");
        }
        run(lab, "compute1", "ip6tables -F FORWARD");
    }
}

/// A guest that has given up IPv6 since its host has met it is no fault of the network's.
#[test]
fn a_guest_that_gave_up_ipv6_is_a_gap_where_it_cannot_be_entered() {
    let closed = Closed::up_as("db", &["--hosts", "2"]);
    let lab = &closed.lab;
    give_addresses(lab);
    give_range(lab);
    meet(lab);
    run(lab, "web2", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("web2 has no IPv6, as its inside shows");
    assert_eq!(beyond(&report), &all_answered()[1..]);
    let report = closed.report(&["diagnose", "web1", "--symptom", "ping"]);
    report.assert_healthy("web2 may have given up IPv6");
    assert_eq!(beyond(&report)[1..], all_answered()[1..]);
    assert_eq!(gaps(&report), [format!("whether web1 reaches {} over IPv6", WEBS[1].1)]);
    meet_again(lab);
    run(lab, "web1", "sysctl -qw net.ipv6.conf.eth0.disable_ipv6=1");
    for question in [&["diagnose", "web1", "--symptom", "ping"][..], &["diagnose", "web1"]] {
        meet_again(lab);
        let report = closed.report(question);
        report.assert_healthy("web1 may have given up IPv6");
        let told = format!("whether compute1 reaches {} over IPv6", WEBS[0].1);
        assert!(gaps(&report).contains(&told.as_str()), "{:#?}", gaps(&report));
    }
}

/// The entries that web1's host has of its instances while they are silent for a moment, and nobody has asked.
fn meet_again(lab: &TestLab) {
    for ((_, address), mac) in WEBS.iter().zip(["fa:16:3e:00:02:24", "fa:16:3e:00:02:25"]) {
        run(lab, "compute1", &format!("ip -6 neigh replace {address} lladdr {mac} dev br100 nud stale"));
    }
}
