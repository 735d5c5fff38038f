//! An instance and its host that have IPv6 beside IPv4 are asked over both: in a lab, which has none, the test gives it
//! to them. Needs root, and a kernel with IPv6.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::closed::Closed;
use support::report::{Report, asked, hops, legs, list, text, without_more};
use support::test_lab::TestLab;
use support::{eventually, printed_in};

const HOST: &str = "fd77::1";
const WEB1: &str = "fd77::24";

/// A lab whose web1 and its host have an address each, of one prefix.
fn dual(tag: &str) -> TestLab {
    let lab = TestLab::up(tag);
    give_addresses(&lab);
    lab
}

fn give_addresses(lab: &TestLab) {
    for (of, device, address) in [("compute1", "br100", HOST), ("web1", "eth0", WEB1)] {
        let netns = lab.netns(of);
        printed_in(&netns, &["sysctl", "-qw", &format!("net.ipv6.conf.{device}.disable_ipv6=0")]);
        let add = ["ip", "address", "add", &format!("{address}/64"), "dev", device, "nodad"];
        printed_in(&netns, &add);
    }
}

fn on_host(lab: &TestLab, line: &str) {
    printed_in(&lab.netns("compute1"), &line.split(' ').collect::<Vec<_>>());
}

/// What was said of the pings over IPv6, in the order of who sent them.
fn told(report: &Report) -> Vec<String> {
    let lines = asked(&report.json);
    let mut told: Vec<String> = lines
        .iter()
        .filter_map(|line| line.split_once("ping fd77"))
        .map(|(_, rest)| rest.split(", ttl").next().expect("a part").to_owned())
        .collect();
    told.sort();
    told
}

#[test]
fn both_ways_are_asked_over_ipv6_too_and_every_hop_sees_it() {
    let lab = dual("s");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    let told = told(&report);
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told[0].starts_with("::1 from web1: 2 of 2 answered"), "{told:#?}");
    assert!(told[1].starts_with("::24 from compute1: 2 of 2 answered"), "{told:#?}");
    for (packet, direction) in [("fd77::24 > fd77::1 ", "request"), ("fd77::1 > fd77::24 ", "reply")] {
        let hops = hops(&report.json, packet, direction);
        assert!(hops.len() > 3 && hops.iter().all(|hop| hop.ends_with(" seen")), "{hops:#?}");
    }
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    passive.assert_healthy("nothing is broken");
    let there = hops(&passive.json, "fd77::24 > fd77::1 ", "request");
    assert!(there.iter().all(|hop| hop.ends_with(" not-watched")), "{there:#?}");
}

#[test]
fn a_rule_of_ip6tables_is_named_and_ipv4_is_not_blamed() {
    let lab = dual("r");
    on_host(&lab, "ip6tables -A OUTPUT -o br100 -p icmpv6 --icmpv6-type echo-request -j DROP");
    for question in [&["diagnose", "web1"][..], &["diagnose", "web1", "--passive"]] {
        let report = lab.report(question);
        report.assert_finds(&["foreign-rule-drop compute1//br100"], "a rule by hand");
        let finding = &list(&report.json["findings"])[0];
        let rules = list(&finding["evidence"]).iter().filter(|e| text(&e["kind"]) == "rule");
        assert!(rules.clone().any(|rule| text(&rule["source"]).contains("ip6tables")), "{finding:#}");
    }
}

#[test]
fn what_nothing_that_was_read_tells_of_is_found_by_where_it_was_seen_last() {
    let lab = dual("q");
    // web1 takes no ping of its host's: its policy of IPsec says so, which nothing reads.
    let policy = ["src", "fd77::1", "dst", "fd77::24", "proto", "ipv6-icmp", "type", "128", "dir", "in"];
    let add = [&["ip", "xfrm", "policy", "add"], &policy[..], &["action", "block"]].concat();
    printed_in(&lab.netns("web1"), &add);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled web1//eth0"], "web1 does not answer");
    let finding = &list(&report.json["findings"])[0];
    let summary = text(&finding["summary"]);
    assert!(summary.contains("the ping from compute1 to fd77::24"), "{finding:#}");
    let lines = list(&finding["evidence"]).iter().map(|e| (text(&e["source"]), text(&e["text"])));
    let lines: Vec<(&str, String)> = lines.map(|(source, line)| (source, without_more(line))).collect();
    let silent = ("ping fd77::24 from compute1", "0 of 2 answered".to_owned());
    assert!(lines.contains(&silent), "{finding:#}");
    assert!(lines.iter().any(|(source, _)| source.contains("icmp6 and host fd77::24")), "{finding:#}");
    assert_eq!(told(&report)[0], "::1 from web1: 2 of 2 answered", "{finding:#}");
}

#[test]
fn an_address_that_is_asked_for_is_one_that_may_be_used() {
    let lab = TestLab::up("t");
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(told(&report), [""; 0], "a lab has no IPv6");
    printed_in(&lab.netns("web1"), &["sysctl", "-qw", "net.ipv6.conf.eth0.disable_ipv6=0"]);
    printed_in(&lab.netns("web1"), &["ip", "address", "add", "fd77::24/64", "dev", "eth0", "nodad"]);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("its host has none");
    assert_eq!(told(&report), [""; 0], "the host cannot ask, and is no gateway");
}

/// web1's MAC, and the address that it makes of it.
const WEB1_MAC: &str = "fa:16:3e:00:02:24";
const MADE: &str = "fd77::f816:3eff:fe00:224";

/// The same lab, whose host has a link-local address on the bridge that it may ask from.
fn asking(tag: &str) -> TestLab {
    let lab = dual(tag);
    let host = lab.netns("compute1");
    let show = ["ip", "-6", "-o", "address", "show", "dev", "br100", "scope", "link"];
    eventually("a link-local address that nobody else has", || {
        let shown = printed_in(&host, &show);
        shown.contains("fe80::") && !shown.contains("tentative")
    });
    lab
}

/// A machine on the flat network's switch with these addresses, which no record knows.
fn plug_stranger(lab: &TestLab, addresses: &[&str]) {
    let switch = lab.netns("fab");
    let run = |line: &str| printed_in(&switch, &line.split(' ').collect::<Vec<_>>());
    run("ip link add dupx type veth peer name dup address 02:00:00:00:00:98");
    run("ip link set dupx master flat0 up");
    run("ip link set dup up");
    run("sysctl -qw net.ipv6.conf.dup.disable_ipv6=0");
    for address in addresses {
        run(&format!("ip address add {address}/64 dev dup nodad"));
    }
}

#[test]
fn neighbour_solicitations_are_followed_leg_by_leg() {
    let lab = asking("ns");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nobody else has an address of web1's");
    // web1 asks who has its gateway, too.
    let of_web1 = [("request", format!("who has {WEB1}")), ("reply", format!("advertisement {WEB1}"))];
    for (direction, packet) in of_web1 {
        let hops = legs(&report.json, "arp", &packet, direction);
        let watched: Vec<_> = hops.iter().filter(|hop| !hop.ends_with(" not-watched")).collect();
        assert!(
            watched.len() > 2 && watched.iter().all(|hop| hop.ends_with(" seen")),
            "{direction}: {hops:#?}"
        );
    }
}

/// Who answered for IPv6 addresses, as the report tells.
fn answered(report: &Report) -> Vec<&str> {
    let lines = list(&report.json["coverage"]["looked_at"]).iter().map(text);
    lines
        .filter_map(|line| line.strip_prefix("asked who has "))
        .filter(|line| line.starts_with("fd77"))
        .collect()
}

fn known_by_host(lab: &TestLab) -> String {
    printed_in(&lab.netns("compute1"), &["ip", "-6", "neigh", "show", WEB1])
}

#[test]
fn a_stranger_with_the_instances_address_is_named_and_nobody_is_led_astray() {
    let lab = asking("d");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    assert_eq!(answered(&report), [format!("fd77::24 on br100 of compute1: {WEB1_MAC}")]);
    assert!(known_by_host(&lab).contains(WEB1_MAC), "pinged over IPv6, the host knows it");
    plug_stranger(&lab, &[WEB1, MADE]);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["duplicate-ip-foreign compute1//eth1"], "web1's address is had twice");
    let finding = &list(&report.json["findings"])[0];
    let said = format!("two machines have {WEB1}, an address of web1: ");
    assert!(text(&finding["summary"]).starts_with(&said), "{finding:#}");
    let evidence = &list(&finding["evidence"])[0];
    assert!(text(&evidence["source"]).ends_with("ndisc6 -m fd77::24 br100"), "{finding:#}");
    for mac in [WEB1_MAC, "02:00:00:00:00:98"] {
        assert!(text(&evidence["text"]).contains(mac), "{finding:#}");
    }
    assert!(known_by_host(&lab).contains(WEB1_MAC), "its entry was right, and is: {}", known_by_host(&lab));
    let passive = lab.report(&["diagnose", "web1", "--passive"]);
    passive.assert_healthy("nobody asks");
    assert_eq!(answered(&passive), [""; 0]);
    // Of an instance that cannot be entered it is known what nobody else may have.
    let folder = tempfile::tempdir().unwrap();
    let closed = folder.path().join("site.toml");
    let site = std::fs::read_to_string(lab.site()).unwrap();
    let is_inside = |line: &&str| line.starts_with("at = \"netns:") && line.contains("-web");
    let lines: Vec<&str> = site.lines().filter(|line| !is_inside(line)).collect();
    std::fs::write(&closed, lines.join("\n")).unwrap();
    let arguments = ["diagnose", "web1", "--json", "--site", closed.to_str().unwrap()];
    let report = Report::of(&lab.hopline(&arguments), &arguments);
    report.assert_finds(&["duplicate-ip-foreign compute1//eth1"], "the stranger alone answers");
    assert_eq!(text(&list(&report.json["findings"])[0]["confidence"]), "likely");
}

#[test]
fn an_address_that_was_given_up_is_told_by_who_has_it_and_what_only_looks_alike_is_not() {
    let lab = asking("g");
    plug_stranger(&lab, &["fd77::26"]);
    let web1 = lab.netns("web1");
    printed_in(&web1, &["ip", "address", "add", "fd77::26/64", "dev", "eth0"]);
    let shown = || printed_in(&web1, &["ip", "-6", "address", "show", "dev", "eth0"]);
    eventually("web1 to find that fd77::26 is taken", || shown().contains("dadfailed"));
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["duplicate-ip-foreign compute1//eth1"], "web1 has given up fd77::26");
    let finding = &list(&report.json["findings"])[0];
    let lines: Vec<&str> = list(&finding["evidence"]).iter().map(|line| text(&line["text"])).collect();
    assert!(lines.contains(&"fd77::26/64 dadfailed"), "{lines:#?}");
    // Without the stranger nobody has it; a second address is web1's own; and the host answers others for web1.
    printed_in(&lab.netns("fab"), &["ip", "link", "delete", "dupx"]);
    printed_in(&web1, &["ip", "address", "add", "fd77::25/64", "dev", "eth0", "nodad"]);
    on_host(&lab, "sysctl -qw net.ipv6.conf.br100.proxy_ndp=1 net.ipv6.conf.br100.forwarding=1");
    on_host(&lab, "ip neigh add proxy fd77::24 dev br100");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("nobody else has an address of web1's");
    let told = ["fd77::26", "fd77::25", "fd77::24"].map(|address| {
        let who = if address == "fd77::26" { "nobody" } else { WEB1_MAC };
        format!("{address} on br100 of compute1: {who}")
    });
    let mut answered = answered(&report);
    answered.sort_by(|one, other| other.cmp(one));
    assert_eq!(answered, told);
    // Without an address to ask from, whoever answers would tell everybody.
    on_host(&lab, "ip -6 address flush dev br100 scope link");
    let report = lab.report(&["diagnose", "web1"]);
    assert_eq!(self::answered(&report), [""; 0]);
    let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["why"]));
    let told = "compute1 has no link-local address on br100 to ask from";
    assert_eq!(gaps.filter(|why| why.starts_with(told)).count(), 1, "{:#}", report.json["coverage"]);
}

/// Where its host has met it, it asks by its host's side of its NIC, too; elsewhere nothing is sent as it, and its
/// silence may be its own.
#[test]
fn one_that_cannot_be_entered_is_asked_and_asks_where_its_host_has_met_it() {
    let closed = Closed::up("c");
    give_addresses(&closed.lab);
    let gaps = |report: &Report| {
        let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]).to_owned());
        gaps.filter(|gap| gap.contains("IPv6")).collect::<Vec<_>>()
    };
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_healthy("nobody has met it");
    assert_eq!(
        gaps(&report),
        ["what becomes of the IPv6 packets of web1", "whether web1 is reached over IPv6"]
    );
    let unanswered = format!("the ping from compute1 to {MADE}");
    let lines = list(&report.json["coverage"]["looked_at"]).iter().map(text);
    let left: Vec<&str> = lines.filter_map(|line| line.strip_prefix("left in the end")).collect();
    let excused = format!(" without an answer, which is no fault by itself: {unanswered}");
    assert_eq!(left, [": nothing, all that was asked is answered or need not be", &excused]);
    printed_in(&closed.lab.netns("web1"), &["ping", "-c", "1", "-W", "5", HOST]);
    let known = |name: &str| printed_in(&closed.lab.netns(name), &["ip", "-6", "neigh", "show", "to", WEB1]);
    let mac = |entry: &str| entry.split(' ').skip_while(|word| *word != "lladdr").nth(1).map(str::to_owned);
    let before = mac(&known("compute1"));
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    let expected = ["::1 as web1: 2 of 2 answered", "::24 from compute1: 2 of 2 answered"];
    let told = told(&report);
    assert!(told.iter().zip(expected).all(|(told, expected)| told.starts_with(expected)), "{told:#?}");
    assert_eq!((told.len(), gaps(&report)), (2, Vec::new()), "{told:#?}");
    // The answer leaves for it through its NIC, and its host knows it as before.
    for (from, direction) in [(WEB1, "request"), (HOST, "reply")] {
        let to = format!("{from} > {} ", if from == WEB1 { HOST } else { WEB1 });
        let seen = legs(&report.json, "icmp", &to, direction);
        assert!(seen.contains(&"compute1/vnet0 seen".to_owned()), "{direction}: {seen:?}");
    }
    assert!(before.is_some() && mac(&known("compute1")) == before);
    for (rule, hop) in [
        (format!("ip6tables -A INPUT -i br100 -s {WEB1} -j DROP"), "a rule takes what it sends"),
        (format!("ip6tables -A OUTPUT -o br100 -d {WEB1} -j DROP"), "a rule takes what it is sent"),
    ] {
        on_host(&closed.lab, &rule);
        closed.report(&["diagnose", "web1"]).assert_finds(&["foreign-rule-drop compute1//br100"], hop);
        on_host(&closed.lab, "ip6tables -F");
    }
    // What its host takes to be at another MAC is not changed, and it is said that nothing is sent.
    on_host(&closed.lab, "ip -6 neigh replace fd77::24 lladdr fa:16:3e:00:02:99 dev br100 nud permanent");
    let report = closed.report(&["diagnose", "web1"]);
    assert!(gaps(&report).contains(&"what becomes of the IPv6 packets of web1".to_owned()), "{report:?}");
    assert_eq!(mac(&known("compute1")).as_deref(), Some("fa:16:3e:00:02:99"));
}
