//! What the kernel says of our own packets that it drops, from the command line: named where nothing that is read
//! explains it, further evidence where something does, silence where all is well. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use serde_json::Value;
use support::report::{Report, asked, list, text, without_more};
use support::test_lab::TestLab;
use support::{printed_in, run};

/// Texts of a finding's evidence that are the kernel's word.
fn kernels_word(finding: &Value) -> Vec<&str> {
    let texts = list(&finding["evidence"]).iter().filter(|evidence| text(&evidence["kind"]) == "capture");
    texts.map(|evidence| text(&evidence["text"])).filter(|text| text.contains("the kernel dropped")).collect()
}

fn in_compute1(lab: &TestLab, words: &str) {
    let words: Vec<&str> = words.split_whitespace().collect();
    run(&[&["ip", "netns", "exec", &lab.netns("compute1")], &words[..]].concat());
}

#[test]
fn a_drop_that_nothing_read_explains_is_named_with_device_reason_and_function() {
    let lab = TestLab::up("u");
    lab.break_fault("dropped-by-unmodelled");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy");
    let finding = &list(&report.json["findings"])[0];
    assert_eq!((text(&finding["confidence"]), text(&finding["direction"])), ("proven", "request"));
    assert!(text(&finding["summary"]).contains("an IPsec policy blocks it"), "{finding:#}");
    let told = kernels_word(finding);
    let expected = "the kernel dropped 2 of our packets at br100 of compute1: XFRM_POLICY in ip_forward";
    assert!(told.len() == 1 && without_more(told[0]).starts_with(expected), "{told:?}");
    lab.heal();
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("it is healed");
    assert_eq!(list(&report.json["coverage"]["gaps"]), &[] as &[Value]);
}

#[test]
fn a_fault_with_a_name_gets_the_kernels_word_as_evidence() {
    let lab = TestLab::up("n");
    for (code, hop, word) in [
        ("foreign-rule-drop", "compute1//br100", "NETFILTER_DROP in nft_do_chain"),
        ("blackhole-route", "compute1//br100", "NOT_SPECIFIED in ip_error"),
        ("ip-forward-0", "compute1//br100", "IP_INADDRERRORS in ip_error"),
        ("rp-filter-asymmetric", "compute1//eth0", "IP_RPFILTER in ip_rcv_finish_core"),
    ] {
        lab.break_fault(code);
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&[&format!("{code} {hop}")], code);
        let told = kernels_word(&list(&report.json["findings"])[0]);
        assert!(told.iter().any(|text| text.contains(word)), "{code}: {told:?}");
        lab.heal();
    }
}

#[test]
fn the_answer_that_dies_on_its_way_back_is_told_as_that() {
    let lab = TestLab::up("r");
    in_compute1(&lab, "ip xfrm policy add dir fwd src 1.2.3.4/32 dst 0.0.0.0/0 action block");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//eth0"], "the way back");
    let finding = &list(&report.json["findings"])[0];
    assert_eq!(text(&finding["direction"]), "reply", "{finding:#}");
}

#[test]
fn a_rule_at_another_place_and_a_drop_that_it_does_not_explain_are_two_findings() {
    let lab = TestLab::up("t");
    lab.break_fault("dnsmasq-not-running");
    in_compute1(&lab, "ip xfrm policy add dir fwd src 0.0.0.0/0 dst 1.2.3.4/32 action block");
    let expected = ["dropped-by-unmodelled compute1//br100", "dnsmasq-not-running compute1//br100"];
    lab.report(&["diagnose", "web1"]).assert_finds(&expected, "two faults");
}

/// Rules are walked for TCP, too; what drops TCP alone where no walk goes is told by a connection that is tried.
#[test]
fn tcp_that_dies_where_no_walk_goes_is_told_while_ping_lives() {
    let lab = TestLab::up("c");
    let tried = |report: &Report| {
        let lines = asked(&report.json).into_iter().filter(|line| line.contains("nc -z 1.2.3.4 "));
        lines.collect::<Vec<_>>()
    };
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("TCP lives");
    assert!(
        matches!(&tried(&report)[..], [one] if one.contains("answered by a SYN")),
        "{:?}",
        tried(&report)
    );
    in_compute1(&lab, "ip xfrm policy add dir fwd src 10.0.2.24/32 dst 1.2.3.4/32 proto tcp action block");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy for TCP");
    assert_eq!(text(&list(&report.json["findings"])[0]["exchange"]), "tcp");
    in_compute1(&lab, "ip xfrm policy flush");
    // Beyond what the site names nobody knows who means to take connections.
    let folder = tempfile::tempdir().unwrap();
    let site = of_its_own(&lab, &folder);
    let diagnosed = || {
        let arguments = ["diagnose", "web1", "--to", "1.2.3.4", "--json", "--site", &site];
        Report::of(&lab.hopline(&arguments), &arguments)
    };
    let report = diagnosed();
    report.assert_healthy("a connection that is refused has found its way");
    assert!(tried(&report)[0].contains("1.2.3.4 443 from web1: connection refused"), "{:?}", tried(&report));
    let drops = "iptables -A INPUT -p tcp --syn -j DROP";
    let words: Vec<&str> = drops.split(' ').collect();
    printed_in(&lab.netns("ext"), &words);
    let report = diagnosed();
    report.assert_healthy("a firewall out there may be meant");
    let gaps = list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"]));
    assert!(gaps.into_iter().any(|gap| gap == "whether web1 reaches 1.2.3.4 over TCP for real"));
    printed_in(&lab.netns("ext"), &["iptables", "-F"]);
    in_compute1(&lab, "ip xfrm policy add dir fwd src 10.0.2.24/32 dst 1.2.3.4/32 proto tcp action block");
    diagnosed().assert_finds(&["dropped-by-unmodelled compute1//br100"], "before it leaves the site");
}

/// Whom the network's dnsmasq asks is known to answer, and so tells of UDP; where nobody outside is known, of TCP too.
#[test]
fn udp_that_dies_where_no_walk_goes_is_told_while_ping_lives() {
    let lab = TestLab::up("d");
    let folder = tempfile::tempdir().unwrap();
    let (whole, own) = (lab.site().display().to_string(), of_its_own(&lab, &folder));
    let diagnosed = |site: &str, symptom: &str| {
        let arguments = ["diagnose", "web1", "--symptom", symptom, "--json", "--site", site];
        Report::of(&lab.hopline(&arguments), &arguments)
    };
    for (site, symptom) in [(&whole, "auto"), (&whole, "dns"), (&own, "auto"), (&own, "dns")] {
        let report = diagnosed(site, symptom);
        report.assert_healthy("UDP lives");
        let lines = asked(&report.json);
        assert!(
            lines.iter().any(|line| line.contains("dig @1.2.3.4 . AAAA from web1: REFUSED")),
            "{lines:?}"
        );
    }
    in_compute1(&lab, "ip xfrm policy add dir fwd src 10.0.2.24/32 dst 0.0.0.0/0 proto udp action block");
    for (site, symptom) in [(&whole, "auto"), (&whole, "dns"), (&own, "auto"), (&own, "dns")] {
        let report = diagnosed(site, symptom);
        report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy for UDP");
        assert_eq!(text(&list(&report.json["findings"])[0]["exchange"]), "dns");
    }
    in_compute1(&lab, "ip xfrm policy flush");
    in_compute1(&lab, "ip xfrm policy add dir fwd src 10.0.2.24/32 dst 0.0.0.0/0 proto tcp action block");
    let report = diagnosed(&own, "auto");
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy for TCP");
    assert_eq!(text(&list(&report.json["findings"])[0]["exchange"]), "tcp");
}

/// A site file that names nobody beyond the cloud's own hosts.
fn of_its_own(lab: &TestLab, folder: &tempfile::TempDir) -> String {
    let site = folder.path().join("site.toml").display().to_string();
    let all = std::fs::read_to_string(lab.site()).unwrap();
    let is_inside = |part: &&str| {
        ["router", "external", "switch"].iter().all(|role| !part.contains(&format!("role = \"{role}\"")))
    };
    let kept: Vec<&str> = all.split("\n\n").filter(is_inside).collect();
    std::fs::write(&site, kept.join("\n\n")).unwrap();
    site
}

/// Where a ping dies beyond the site, the routers say how far it came: asked from inside, and from its host where the
/// instance cannot be entered.
#[test]
fn a_loss_beyond_the_site_is_told_with_the_last_router_that_passed_it_on() {
    let lab = TestLab::up("b");
    let folder = tempfile::tempdir().unwrap();
    let site = of_its_own(&lab, &folder);
    let lost = ["iptables", "-A", "FORWARD", "-d", "1.2.3.4", "-p", "icmp", "-j", "DROP"];
    printed_in(&lab.netns("isp"), &lost);
    let told = |first: &str| {
        let arguments = ["diagnose", "web1", "--to", "1.2.3.4", "--json", "--site", &site];
        let report = Report::of(&lab.hopline(&arguments), &arguments);
        report.assert_finds(&["lost-at-hop compute1//eth0"], "beyond the site");
        let finding = &list(&report.json["findings"])[0];
        let all = list(&finding["evidence"]).iter();
        let trace = all.map(|one| format!("{}: {}", text(&one["source"]), text(&one["text"])));
        let trace: Vec<String> = trace.filter(|line| line.starts_with("traceroute")).collect();
        let is_told =
            |line: &String| line.contains(first) && line.ends_with("behind it nobody says anything");
        assert!(trace.len() == 1 && is_told(&trace[0]), "{finding:#}");
        let cause = text(&finding["cause"]);
        assert!(cause.contains("the last to pass it on is 198.51.100.2"), "{cause}");
        report
    };
    let report = told("1.2.3.4 on web1: 1 10.0.0.42, 2 203.0.113.1, 3 198.51.100.2");
    // Each step of it and what was said of it is followed as every other question is.
    for (ttl, dies_at, router) in
        [(1, Some("compute1//br100"), Some("10.0.0.42")), (2, None, Some("203.0.113.1")), (4, None, None)]
    {
        assert_eq!(
            step(&report.json, "10.0.2.24", ttl),
            (dies_at, router),
            "{ttl}: {:#}",
            report.json["paths"]
        );
    }
    let open = std::fs::read_to_string(&site).unwrap();
    let closed: Vec<&str> = open.lines().filter(|line| !line.contains("-web1\"")).collect();
    std::fs::write(&site, closed.join("\n")).unwrap();
    let report = told("1.2.3.4 on compute1: 1 203.0.113.1, 2 198.51.100.2");
    assert_eq!(step(&report.json, HOST, 2), (None, Some("198.51.100.2")), "{:#}", report.json["paths"]);
    // Who translates on the way and does not translate the routers' words back is seen in what they quote.
    let gw = lab.netns("gw");
    let rewritten = format!("{HOST} icmp type echo-request ip ttl lt 3 ip saddr set 203.0.113.77");
    for line in [
        "add table ip ht",
        "add chain ip ht out { type filter hook postrouting priority 300; }",
        "add chain ip ht in { type filter hook prerouting priority -300; }",
        &format!("add rule ip ht out ip saddr {rewritten}"),
        &format!("add rule ip ht in ip daddr 203.0.113.77 ip daddr set {HOST}"),
    ] {
        printed_in(&gw, &["nft", line]);
    }
    told("compute1: 1 203.0.113.1, 2 198.51.100.2 (has it as 203.0.113.77 > 1.2.3.4)");
}

/// The guide's way in: where a ping of a floating address dies beyond what was read, the routers between say how far it
/// came.
#[test]
fn a_loss_on_the_way_in_is_told_with_the_last_router_that_passed_it_on() {
    let lab = TestLab::up("bi");
    let folder = tempfile::tempdir().unwrap();
    let site = folder.path().join("site.toml").display().to_string();
    let all = std::fs::read_to_string(lab.site()).unwrap();
    let is_between = |part: &&str| part.contains("role = \"router\"") || part.contains("role = \"switch\"");
    let kept: Vec<&str> = all.split("\n\n").filter(|part| !is_between(part)).collect();
    std::fs::write(&site, kept.join("\n\n")).unwrap();
    let diagnosed = || {
        let arguments = ["diagnose", "web1", "--json", "--site", &site];
        Report::of(&lab.hopline(&arguments), &arguments)
    };
    diagnosed().assert_healthy("nothing is broken");
    let lost = ["iptables", "-A", "FORWARD", "-d", "203.0.113.30", "-p", "icmp", "--icmp-type", "8"];
    printed_in(&lab.netns("gw"), &[&lost[..], &["-j", "DROP"]].concat());
    let told = |second: &str| {
        let report = diagnosed();
        report.assert_finds(&["lost-at-hop external//eth0"], "beyond what was read");
        let finding = &list(&report.json["findings"])[0];
        let mut traced = list(&finding["evidence"]).iter().filter(|one| {
            let source = text(&one["source"]);
            source.starts_with("traceroute ") && source.ends_with(" 203.0.113.30 on external")
        });
        let trace = format!("1 1.2.3.1, 2 {second}, and behind it nobody says anything");
        assert!(traced.any(|one| text(&one["text"]) == trace), "{finding:#}");
        let cause = text(&finding["cause"]);
        assert!(cause.contains("the last to pass it on is 198.51.100.1, its hop 2"), "{cause}");
        report
    };
    let report = told("198.51.100.1");
    // Each step of it has its legs, there and what was said of it.
    let word = |ttl: u8| step_to(&report.json, ("1.2.3.4", "203.0.113.30"), ttl).1;
    assert_eq!([word(1), word(2), word(3)], [Some("1.2.3.1"), Some("198.51.100.1"), None]);
    // An address that is translated before it comes to the cloud is seen in what the next router quotes.
    for line in [
        "add table ip ht",
        "add chain ip ht out { type filter hook postrouting priority 300; }",
        "add rule ip ht out ip daddr 203.0.113.30 icmp type echo-request ip ttl lt 2 ip daddr set 203.0.113.31",
    ] {
        printed_in(&lab.netns("isp"), &["nft", line]);
    }
    told("198.51.100.1 (has it as 1.2.3.4 > 203.0.113.31)");
}

/// compute1's own address outside.
const HOST: &str = "203.0.113.34";

/// Of a traceroute's packet with this TTL: where the walk has it die, which is where it was seen last, and which
/// router's word of it came back, seen at every device up to who asked.
fn step<'r>(report: &'r Value, from: &str, ttl: u8) -> (Option<&'r str>, Option<&'r str>) {
    step_to(report, (from, "1.2.3.4"), ttl)
}

/// The same towards any address.
fn step_to<'r>(report: &'r Value, (from, to): (&str, &str), ttl: u8) -> (Option<&'r str>, Option<&'r str>) {
    let first = |path: &&Value, packet: &str| {
        list(&path["hops"]).first().is_some_and(|hop| text(&hop["packet"]) == packet)
    };
    let packet = format!("{from} > {to} ICMP echo request ttl {ttl}");
    let paths = list(&report["paths"]);
    let at =
        paths.iter().position(|path| first(&path, &packet)).unwrap_or_else(|| panic!("{packet}: {paths:#?}"));
    let is_seen = |path: &Value| {
        let watched = list(&path["hops"]).iter().filter(|hop| text(&hop["observed"]) != "not-watched");
        watched.clone().count() > 0 && watched.into_iter().all(|hop| text(&hop["observed"]) == "seen")
    };
    assert!(is_seen(&paths[at]), "{:#}", paths[at]);
    let last = list(&paths[at]["hops"]).last().filter(|hop| text(&hop["predicted"]) == "drop");
    let dies_at = last.map(|hop| (text(&hop["host"]), text(&hop["device"])));
    let word = paths.get(at + 1).filter(|path| text(&path["direction"]) == "reply");
    let router = word.map(|path| {
        assert!(is_seen(path), "{path:#}");
        let packet = text(&list(&path["hops"])[0]["packet"]);
        let (router, what) = packet.split_once(" > ").unwrap();
        assert!(what.contains(" ICMP time exceeded "), "{packet}");
        router
    });
    (dies_at.map(|at| if at == ("compute1", "br100") { "compute1//br100" } else { "elsewhere" }), router)
}
