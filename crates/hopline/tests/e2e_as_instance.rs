//! Instances that cannot be entered, pinged for by their host: the same lab as everywhere, and a site file that does
//! not say how its instances are entered. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use serde_json::Value;
use support::closed::Closed;
use support::hosts::assert_same;
use support::report::{Report, asked, hops, legs, list, text, without_more};
use support::test_lab::TestLab;
use support::{eventually, printed, printed_in, run};

/// What was not learned about real answers.
fn unsent(report: &Report) -> Vec<String> {
    let gaps = list(&report.json["coverage"]["gaps"]).iter();
    let about_answers = gaps.filter(|gap| text(&gap["what"]).ends_with("for real"));
    about_answers.map(|gap| format!("{}: {}", text(&gap["what"]), text(&gap["why"]))).collect()
}

/// Sources and texts of a finding's evidence of one kind.
fn evidence(finding: &Value, kind: &str) -> Vec<String> {
    let of_kind = list(&finding["evidence"]).iter().filter(|e| text(&e["kind"]) == kind);
    of_kind.map(|e| format!("{}: {}", text(&e["source"]), text(&e["text"]))).collect()
}

#[test]
fn every_hop_sees_what_the_host_sends_and_the_inside_stays_unknown() {
    let closed = Closed::up("n");
    let before = closed.state();
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    assert_eq!(unsent(&report), [""; 0]);
    let of_others = "after frames were sent as web1 by vnet0, what br100 and compute1 know of others there: leads \
                     where it did";
    let looked_at = list(&report.json["coverage"]["looked_at"]);
    assert!(looked_at.iter().any(|line| text(line) == of_others), "{looked_at:#?}");
    let there = hops(&report.json, "> 1.2.3.4 ", "request");
    let (inside, on_the_way) = there.split_first().unwrap();
    assert_eq!(inside, "web1/ not-watched");
    assert!(on_the_way.len() > 10 && on_the_way.iter().all(|hop| hop.ends_with(" seen")), "{there:#?}");
    let back = hops(&report.json, "1.2.3.4 > ", "reply");
    let (inside, on_the_way) = back.split_last().unwrap();
    assert_eq!(inside, "web1/ not-watched", "it left for the instance, and more nobody knows");
    assert!(on_the_way.len() > 10 && on_the_way.iter().all(|hop| hop.ends_with(" seen")), "{back:#?}");
    let neighbour = hops(&report.json, "10.0.2.24 > 10.0.2.25 ", "request");
    for hop in ["compute1/vnet0 seen", "compute1/vnet1 seen"] {
        assert!(neighbour.contains(&hop.to_owned()), "{neighbour:#?}");
    }
    assert_same(&before, &closed.state());
    let passive = closed.report(&["diagnose", "web1", "--passive"]);
    let there = hops(&passive.json, "> 1.2.3.4 ", "request");
    assert!(there.iter().all(|hop| hop.ends_with(" not-watched")), "{there:#?}");
    let all = closed.report(&["diagnose", "--all"]);
    all.assert_healthy("of both at once");
    assert_eq!(unsent(&all), [""; 0]);
}

#[test]
fn a_rule_that_drops_is_proved_by_what_the_host_sends() {
    let closed = Closed::up("r");
    closed.lab.break_fault("foreign-rule-drop");
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["foreign-rule-drop compute1//br100"], "a rule by hand");
    let finding = &list(&report.json["findings"])[0];
    assert_eq!(evidence(finding, "probe"), ["ping 1.2.3.4 as web1: 0 of 2 answered"]);
    let has = |kind: &str, wanted: &str| evidence(finding, kind).iter().any(|line| line.contains(wanted));
    assert!(has("counter", "moved by 4: our 4 packets and nobody else's"), "{finding:#}");
    assert!(has("rule", "met 4 times by our pings, and said drop"), "{finding:#}");
}

#[test]
fn what_hopline_does_not_read_is_found_by_where_they_were_seen_last() {
    let closed = Closed::up("q");
    closed.on_host("ip xfrm policy add dir fwd src 10.0.2.24/32 dst 1.2.3.4/32 action block");
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy");
    let summary = text(&list(&report.json["findings"])[0]["summary"]);
    assert!(summary.contains("from web1 to 1.2.3.4 is dropped at br100 of compute1"), "{summary}");
}

#[test]
fn nothing_is_sent_where_the_bridge_knows_the_instance_elsewhere() {
    let closed = Closed::up("f");
    closed.on_host("bridge fdb replace fa:16:3e:00:02:24 dev vnet1 master static");
    let before = closed.state();
    let report = closed.report(&["diagnose", "web1"]);
    let told = unsent(&report);
    assert!(told.iter().any(|gap| gap.contains("behind vnet1 and not behind vnet0")), "{told:#?}");
    assert_same(&before, &closed.state());
    closed.on_host("bridge fdb del fa:16:3e:00:02:24 dev vnet1 master");
    closed.on_host("ip link set vnet0 down");
    let told = unsent(&closed.report(&["diagnose", "web1"]));
    assert_eq!(told.len(), 1, "of one NIC it is said once: {told:#?}");
    assert!(told[0].contains("vnet0 is down: the instance cannot send through it"), "{told:#?}");
}

#[test]
fn nothing_for_everybody_is_sent_into_a_circle() {
    let closed = Closed::up("or");
    closed.lab.break_fault("l2-loop");
    let report = closed.report(&["diagnose", "web1", "--symptom", "dhcp"]);
    assert!(report.findings().contains(&"l2-loop compute1//eth2".to_owned()), "{:#}", report.json);
    assert!(
        unsent(&report).iter().any(|line| line.contains("go round through a bridge of compute1")),
        "{:#}",
        report.json
    );
}

#[test]
fn what_the_instance_knows_of_its_gateway_is_left() {
    let closed = Closed::up("d");
    let known = || {
        let entry = printed_in(&closed.lab.netns("web1"), &["ip", "neigh", "show", "10.0.0.42"]);
        entry.split_whitespace().skip_while(|word| *word != "lladdr").nth(1).map(str::to_owned)
    };
    let before = known();
    assert!(before.is_some());
    // The other instance claims the gateway's address, and would answer a question to all.
    printed_in(&closed.lab.netns("web2"), &["ip", "address", "add", "10.0.0.42/32", "dev", "eth0"]);
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["duplicate-ip-foreign compute1//vnet1"], "web2 has the gateway's address");
    assert_eq!(known(), before);
    // In another bridge everybody that answers is a stranger.
    closed.on_host("ip link set vnet0 master virbr0");
    let told = unsent(&closed.report(&["diagnose", "web1"]));
    assert!(told.iter().any(|gap| gap.contains("vnet0 is in virbr0 and belongs in br100")), "{told:#?}");
    assert_eq!(known(), before);
}

#[test]
fn a_machine_without_a_floating_address_that_does_not_answer_is_found_by_its_host() {
    let closed = Closed::up("g");
    closed.report(&["diagnose", "web2"]).assert_healthy("it answers");
    let web2 = closed.lab.netns("web2");
    printed_in(
        &web2,
        &["iptables", "-A", "INPUT", "-p", "icmp", "--icmp-type", "echo-request", "-j", "DROP"],
    );
    let report = closed.report(&["diagnose", "web2"]);
    report.assert_healthy("it answers ARP: its own firewall may mean it");
    let gaps: Vec<&str> =
        list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"])).collect();
    assert!(gaps.contains(&"whether web2 answers pings of compute1 for real"), "{gaps:?}");
    let report = closed.report(&["diagnose", "web2", "--symptom", "ping"]);
    report.assert_finds(&["lost-at-hop compute1//vnet1"], "its own firewall");
    let finding = &list(&report.json["findings"])[0];
    let asked: Vec<String> = evidence(finding, "probe").iter().map(|line| without_more(line)).collect();
    assert_eq!(asked, ["ping 10.0.2.25 from compute1: 0 of 2 answered"]);
    assert!(text(&finding["cause"]).contains("receiver's own firewall"), "{finding:#}");
}

#[test]
fn packets_of_full_size_are_sent_as_it_too() {
    let closed = Closed::up("z");
    let asked = |report: &Report| {
        let lines = list(&report.json["coverage"]["looked_at"]).iter().map(text);
        lines.filter(|line| line.contains("ping -M do")).map(str::to_owned).collect::<Vec<_>>()
    };
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_healthy("nothing is broken");
    let large = asked(&report);
    assert!(large.len() == 1 && large[0].contains("-s 1472 1.2.3.4 as web1: 1 of 1 answered"), "{large:?}");
    closed.lab.break_fault("pmtu-blackhole");
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["pmtu-blackhole gw//eth0"], "as web1");
    let finding = &list(&report.json["findings"])[0];
    let probes = evidence(finding, "probe");
    let lost =
        probes.iter().any(|line| line.starts_with("ping -M do -s 1472 1.2.3.4 as web1: 0 of 2 answered"));
    assert!(lost, "{probes:?}");
    let sizes = probes.iter().find(|line| line.contains(" on compute1: 1400 octets live and 1450 die"));
    assert!(sizes.is_some_and(|line| line.ends_with("nobody says why")), "{probes:?}");
    // The kernel does, of the smallest that dies as of web1's own.
    let words = evidence(finding, "capture");
    let word = |of: &str| {
        let said = format!("{of}the kernel dropped ");
        words
            .iter()
            .filter(|line| line.contains(&said) && line.contains(" at eth0 of gw: PKT_TOO_BIG"))
            .count()
    };
    assert_eq!([word("of that of 1450 octets "), word("")], [1, 2], "{words:#?}");
    // Each size is followed up to where the walk has it die.
    for (octets, hops, end) in [(1400, "external/eth0", "delivered"), (1450, "gw/eth0", "dropped")] {
        let (leg, seen) = of_size(&report.json, octets);
        assert_eq!(leg, (hops.to_owned(), end.to_owned()));
        assert!(seen.iter().all(|observed| observed == "seen"), "{octets}: {seen:?}");
    }
    closed.lab.heal();
    // What a closed instance sends nobody knows: the ports beside its own tell.
    closed.lab.break_fault("mtu-tap-small");
    for question in [&["diagnose", "web1"][..], &["check"]] {
        closed.report(question).assert_finds(&["mtu-tap-small compute1//vnet0"], "beside the other ports");
    }
    closed.lab.heal();
    closed.report(&["diagnose", "web1"]).assert_healthy("it is healed");
}

/// Of the ping of this size that the instance's host sent: where its way ends and how, and what each hop saw of it.
fn of_size(report: &Value, octets: u16) -> ((String, String), Vec<String>) {
    let packet = format!("203.0.113.34 > 1.2.3.4 ICMP echo request ttl 64 length {octets}");
    let leg = list(&report["paths"])
        .iter()
        .find(|path| list(&path["hops"]).first().is_some_and(|hop| text(&hop["packet"]) == packet));
    let leg = leg.unwrap_or_else(|| panic!("{packet}: {:#}", report["paths"]));
    let hops = list(&leg["hops"]);
    let last = hops.last().unwrap();
    let end = format!("{}/{}", text(&last["host"]), text(&last["device"]));
    let seen = hops.iter().map(|hop| text(&hop["observed"]).to_owned()).collect();
    ((end, text(&leg["disposition"]).to_owned()), seen)
}

/// What is too large for the link by which its host would send it is not sent, and its way ends at that link.
#[test]
fn a_size_that_the_own_link_refuses_ends_at_that_link() {
    let closed = Closed::up("zl");
    closed.on_host("ip link set eth0 mtu 1420");
    // Nobody tells web1 that its packets are too large.
    closed.on_host("iptables -I OUTPUT -p icmp --icmp-type fragmentation-needed -j DROP");
    let report = closed.report(&["diagnose", "web1"]);
    let (leg, _) = of_size(&report.json, 1400);
    assert_eq!(leg, ("external/eth0".to_owned(), "delivered".to_owned()));
    for octets in [1450, 1476, 1492, 1500] {
        let (leg, seen) = of_size(&report.json, octets);
        assert_eq!(leg, ("compute1/eth0".to_owned(), "dropped".to_owned()), "{octets}");
        assert!(!seen.contains(&"seen".to_owned()), "{octets}: {seen:?}");
    }
    let probes = evidence(&list(&report.json["findings"])[0], "probe");
    let told = "1400 octets live and 1450 die, of which the link that they would leave by takes none";
    assert!(probes.iter().any(|line| line.ends_with(told)), "{probes:?}");
}

#[test]
fn an_instance_is_burdened_with_few_packets() {
    let closed = Closed::up("c");
    // All that comes in by its NIC: what is sent as it, and what it answers itself.
    let chain = "add chain netdev ht in { type filter hook ingress device vnet0 priority 0; }";
    for line in ["add table netdev ht", chain, "add rule netdev ht in counter"] {
        closed.on_host(&format!("nft {line}"));
    }
    closed.report(&["diagnose", "web1"]);
    let listing = closed.on_host("nft list table netdev ht");
    let after = listing.split("packets ").nth(1).expect("a counter").split(' ').next().expect("a number");
    let packets: u32 = after.parse().expect("a number");
    // Two questions by ARP, three pings of two each, and two answers to the outside.
    assert!((10..50).contains(&packets), "{packets}: {listing}");
}

#[test]
fn a_site_of_compute_hosts_alone_asks_towards_the_instance_and_the_router_beside_it() {
    let closed = Closed::without_outside("o");
    let asks = |arguments: &[&str], wanted: &[&str], missed: &[&str], when: &str| {
        let report = closed.report(arguments);
        report.assert_healthy(when);
        let lines = asked(&report.json);
        let is_asked = |one: &&str| lines.iter().any(|line| line.contains(*one));
        let complaints: Vec<&&str> = wanted.iter().filter(|one| !is_asked(one)).collect();
        assert!(complaints.is_empty() && !is_asked(&"192.0.2.1"), "{when}: {complaints:?} in {lines:#?}");
        let gaps: Vec<&str> =
            list(&report.json["coverage"]["gaps"]).iter().map(|gap| text(&gap["what"])).collect();
        assert_eq!(gaps, missed, "{when}");
    };
    let (router, inside) = ("ping 203.0.113.1 as web1: 2 of 2", "ping 10.0.2.24 from compute1: 2 of 2");
    let ssh = "nc -w 5 10.0.2.24 22 from compute1: SSH-2.0-hopline_lab";
    let beyond = "whether the outside reaches web1 by 203.0.113.30";
    let outside = "ping 203.0.113.30 as the outside: 2 of 2";
    let outside_by_ssh = "nc -z 203.0.113.30 22 as the outside: a SYN is answered";
    asks(&["diagnose", "web1"], &[router, inside, outside], &[beyond], "all is well");
    asks(&["diagnose", "web1", "--symptom", "ssh"], &[inside, ssh, outside_by_ssh], &[beyond], "ssh");
    asks(&["diagnose", "web2"], &["ping 203.0.113.1 as web2: 2 of 2"], &[], "no floating address");
    let refuse = |verb: &str| {
        let rule = ["iptables", verb, "INPUT", "-p", "icmp", "-j", "DROP"];
        printed_in(&closed.lab.netns("gw"), &rule);
    };
    refuse("-A");
    let (silent, beyond) = ("ping 203.0.113.1 as web2: 0 of", "ping 1.2.3.4 as web2: 2 of 2");
    asks(&["diagnose", "web2"], &[silent, beyond], &[], "a router may refuse to be pinged, and pass on");
    refuse("-D");
    let web1 = closed.lab.netns("web1");
    let own = ["iptables", "-A", "INPUT", "-p", "icmp", "--icmp-type", "echo-request", "-j", "DROP"];
    printed_in(&web1, &own);
    let pings = closed.report(&["diagnose", "web1", "--symptom", "ping"]);
    pings.assert_finds(&["lost-at-hop web1//"], "its own firewall");
    // The router answers its host, and not what is sent as web1.
    printed_in(&web1, &["iptables", "-F"]);
    closed.on_host("ip xfrm policy add dir fwd src 10.0.2.24/32 dst 203.0.113.1/32 action block");
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["dropped-by-unmodelled compute1//br100"], "an IPsec policy towards the router");
}

/// A name's answer that is too large for UDP is fetched over TCP: that way is looked at where it is needed, from inside
/// and as the instance alike.
#[test]
fn an_answer_that_was_cut_short_is_followed_over_tcp() {
    let closed = Closed::up("t");
    answer_at_length(&closed.lab);
    let asks = |expected: &[&str], when: &str| {
        let inside = closed.lab.report(&["diagnose", "web1"]);
        let outside = closed.report(&["diagnose", "web1"]);
        for report in [&inside, &outside] {
            report.assert_finds(expected, when);
            let lines = asked(&report.json);
            let follows = |line: &&String| {
                line.contains("nc -z 10.0.0.42 53") && line.contains("the answer over UDP was cut short")
            };
            assert!(lines.iter().any(|line| follows(&line)), "{when}: {lines:#?}");
            let is_heard = expected.is_empty();
            for direction in ["request", "reply"].into_iter().filter(|_| is_heard) {
                let hops = legs(&report.json, "tcp", "10.0.0.42:53", direction);
                let watched: Vec<_> = hops.iter().filter(|hop| !hop.ends_with(" not-watched")).collect();
                assert!(watched.len() > 1 && watched.iter().all(|hop| hop.ends_with(" seen")), "{hops:#?}");
            }
        }
    };
    asks(&[], "it is had over TCP");
    closed.on_host("iptables -I INPUT -p tcp --dport 53 -j DROP");
    asks(&["dns-port53-blocked compute1//br100"], "a rule takes TCP");
    closed.on_host("iptables -D INPUT 1");
    asks(&[], "after it");
}

/// The DNS server outside knows so many names of its own address that they are too many for UDP.
fn answer_at_length(lab: &TestLab) {
    let pid = std::fs::read_to_string(lab.state().join("external/dns.pid")).unwrap();
    printed(&["kill", pid.trim()]);
    let name = |n| {
        format!("--ptr-record=4.3.2.1.in-addr.arpa,a-long-name-of-the-same-server-number-{n}.openstack.test")
    };
    let names: Vec<String> = (1..=40).map(name).collect();
    let netns = lab.netns("ext");
    let pid_file = format!("--pid-file={}", lab.state().join("external/long.pid").display());
    let server =
        ["ip", "netns", "exec", &netns, "dnsmasq", "--conf-file=", "--bind-interfaces", "--no-resolv"];
    // Of what it does not know there it says that there is none.
    let own = ["--listen-address=1.2.3.4", "--user=root", "--local=/in-addr.arpa/", &pid_file];
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let argv = [&server[..], &own, &names].concat();
    // The other may not have let go of the port yet.
    eventually("a server that answers at length", || run(&argv).status.success());
}
