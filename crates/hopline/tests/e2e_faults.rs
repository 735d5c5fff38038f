//! Every fault of the lab, injected into a real kernel, is named with its hop and healed again: alone, and two at once.
//! Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::collections::BTreeSet;
use std::thread;

use score::tables::{
    self, ANSWERS, FLEETING, GUESTS, LINKS, METADATA, NAMES, NO_SSH, OF_ANSWERS, OF_SSH, READ_TOO, RECORDS,
    RULES, SERVICES, UNREAD, WAY_OUT,
};
use support::report::{list, text};
use support::test_lab::TestLab;
use support::{assert_none, printed_in, run, typed};

/// Two faults at once, in the order in which web1's packets meet them.
const PAIRS: [[(&str, &str); 2]; 9] = [
    [("guest-nic-down", "web1//eth0"), ("uplink-down", "compute1//eth0")],
    [("tap-down", "compute1//vnet0"), ("ext-gateway-down", "gw//eth0")],
    [("tap-not-enslaved", "compute1//vnet0"), ("float-address-missing", "compute1//eth0")],
    [("tap-wrong-bridge", "compute1//vnet0"), ("ip-forward-0", "compute1//br100")],
    [("bridge-down", "compute1//br100"), ("default-route-missing", "compute1//br100")],
    [("ip-forward-0", "compute1//br100"), ("uplink-no-carrier", "compute1//eth0")],
    [("foreign-rule-drop", "compute1//br100"), ("float-dnat-missing", "compute1//eth0")],
    [("uplink-no-carrier", "compute1//eth0"), ("dnsmasq-not-running", "compute1//br100")],
    // What hurts nobody on this host comes last.
    [("default-route-wrong-gw", "compute1//eth0"), ("flatif-down", "compute1//eth1")],
];

#[test]
fn the_tables_name_every_fault_of_the_lab() {
    let lab = TestLab::named("n");
    let listed = lab.hopline(&["lab", "faults"]).stdout;
    let codes = listed.lines().filter_map(|line| line.split_whitespace().next());
    let tables = tables::all();
    assert_eq!(codes.collect::<BTreeSet<_>>(), tables.iter().map(|(code, _)| *code).collect::<BTreeSet<_>>());
}

#[test]
fn faults_of_links_are_named_and_healed() {
    each_is_named_and_healed("l", &LINKS);
}

#[test]
fn faults_inside_an_instance_are_named_and_healed() {
    each_is_named_and_healed("g", &GUESTS);
}

#[test]
fn faults_of_the_way_out_are_named_and_healed() {
    each_is_named_and_healed("w", &WAY_OUT);
}

#[test]
fn faults_of_rules_and_services_are_named_and_healed() {
    each_is_named_and_healed("s", &SERVICES);
}

#[test]
fn faults_of_rules_that_hide_are_named_and_healed() {
    each_is_named_and_healed("r", &RULES);
}

#[test]
fn faults_of_metadata_are_named_and_healed() {
    each_is_named_and_healed("m", &METADATA);
}

#[test]
fn faults_of_names_are_named_and_healed() {
    each_is_named_and_healed("d", &NAMES);
}

#[test]
fn faults_of_the_database_are_named_and_healed() {
    each_is_named_and_healed("q", &RECORDS);
}

#[test]
fn a_group_without_ssh_is_told_to_who_complains_of_it() {
    let lab = TestLab::up("g");
    let question = ["diagnose", "web1", "--symptom", "ssh"];
    lab.report(&question).assert_healthy("a new lab");
    let [(code, hop)] = NO_SSH;
    lab.break_fault(code);
    lab.report(&question).assert_finds(&[&format!("{code} {hop}")], "ssh is complained of");
    lab.report(&["diagnose", "web1"]).assert_healthy("nobody complains of ssh");
    lab.heal();
    lab.report(&question).assert_healthy("after it");
}

#[test]
fn what_cannot_be_read_is_blamed_only_where_answers_are_missing() {
    let lab = TestLab::up("x");
    for (code, hop) in UNREAD {
        lab.break_fault(code);
        let passive = lab.report(&["diagnose", "web1", "--passive"]);
        assert_eq!(passive.json["outcome"], "undetermined", "{code}: {:#}", passive.json["findings"]);
        lab.report(&["diagnose", "web1"]).assert_finds(&[&format!("{code} {hop}")], code);
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy(&format!("after {code}"));
    }
}

/// A shaper with room for what TCP sends at first, a filter that only copies, drops from before: none is a fault.
#[test]
fn queues_and_filters_that_lose_nothing_are_no_faults() {
    let lab = TestLab::up("q");
    let compute = lab.netns("compute1");
    let tc = |line: &str| {
        printed_in(&compute, &[&["tc"][..], &line.split(' ').collect::<Vec<_>>()].concat());
    };
    for shaper in ["tbf rate 1mbit burst 10k limit 15k", "pfifo limit 1", "htb"] {
        tc(&format!("qdisc add dev vnet0 root {shaper}"));
        lab.report(&["diagnose", "web1"]).assert_healthy(shaper);
        lab.report(&["check"]).assert_healthy(shaper);
        tc("qdisc del dev vnet0 root");
    }
    tc("qdisc add dev eth0 clsact");
    let copies = "match ip protocol 1 0xff action mirred egress mirror dev virbr0";
    tc(&format!("filter add dev eth0 ingress protocol ip u32 {copies}"));
    lab.report(&["diagnose", "web1"]).assert_healthy("it copies");
    tc("qdisc del dev eth0 clsact");
    // What leads pings away counts nothing, and is told by the silence.
    tc("qdisc add dev eth0 clsact");
    let leads = copies.replace("mirror", "redirect");
    tc(&format!("filter add dev eth0 ingress protocol ip u32 {leads}"));
    lab.report(&["diagnose", "web1"]).assert_finds(&["tc-bpf-drop compute1//eth0"], "it leads pings away");
}

/// A loss at a switch that nobody can look into.
#[test]
fn a_partial_loss_is_told_between_the_devices_that_were_watched() {
    let lab = TestLab::up("z");
    let site = std::fs::read_to_string(lab.site()).unwrap();
    let (head, hosts) = site.split_once("[[").unwrap();
    let tables = hosts.split("\n[[").filter(|table| !table.contains("name = \"fabric\""));
    let without = format!("{head}[[{}", tables.collect::<Vec<_>>().join("\n[["));
    assert_ne!(without, site);
    let blind = lab.state().join("blind.toml");
    std::fs::write(&blind, without).unwrap();
    let ask = || {
        let arguments = ["diagnose", "web1", "--json", "--site", blind.to_str().unwrap()];
        support::report::Report::of(&lab.hopline(&arguments), &arguments)
    };
    ask().assert_healthy("a new lab");
    lab.break_fault("random-loss");
    let report = ask();
    report.assert_finds(&["random-loss gw//eth0"], "nobody reads the switch");
    let finding = &report.json["findings"][0];
    assert_eq!(finding["confidence"], "likely");
    let counts = list(&finding["evidence"]).iter().filter(|line| text(&line["kind"]) == "capture");
    assert_eq!(counts.count(), 2, "{finding:#}");
    // Each of the pings left, also those of the second ten.
    for packet in list(&report.json["journeys"]).iter().flat_map(|way| list(&way["packets"])) {
        assert!(!list(&packet["seen"]).is_empty(), "{packet:#}");
    }
}

#[test]
fn what_asking_mends_is_told_by_who_reads_before() {
    let lab = TestLab::up("y");
    let (code, hop) = FLEETING;
    let expected = [format!("{code} {hop}")];
    lab.break_fault(code);
    lab.report(&["check", "compute1"]).assert_finds(&expected, code);
    lab.report(&["diagnose", "web1", "--passive"]).assert_finds(&expected, code);
    // What is asked teaches web1 the new MAC, and was read before.
    lab.report(&["diagnose", "web1"]).assert_finds(&expected, code);
    lab.heal();
    lab.report(&["diagnose", "web1"]).assert_healthy("after it");
}

#[test]
fn a_slow_ssh_is_told_with_how_long_it_waits() {
    let lab = TestLab::up("h");
    let question = ["diagnose", "web1", "--symptom", "ssh"];
    lab.report(&question).assert_healthy("a new lab");
    let (code, hop) = OF_SSH;
    lab.break_fault(code);
    let report = lab.report(&question);
    report.assert_finds(&[&format!("{code} {hop}")], "ssh is complained of");
    let summary = text(&report.json["findings"][0]["summary"]);
    assert!(summary.contains("up to 10 s late"), "{summary}");
    lab.report(&[&question[..], &["--passive"]].concat())
        .assert_finds(&[&format!("{code} {hop}")], "passive");
    lab.report(&["diagnose", "web1"])
        .assert_finds(&[&format!("foreign-rule-drop {hop}")], "nothing is said of ssh");
    lab.heal();
    lab.report(&question).assert_healthy("after it");
}

#[test]
fn what_only_answers_tell_of_is_named_by_them_and_by_nothing_else() {
    let lab = TestLab::up("b");
    for (code, hop) in OF_ANSWERS {
        lab.break_fault(code);
        for question in [&["diagnose", "web1"][..], &["diagnose", "--all"]] {
            lab.report(question).assert_finds(&[&format!("{code} {hop}")], code);
        }
        for question in [&["diagnose", "web1", "--passive"][..], &["check"]] {
            lab.report(question).assert_healthy("nothing that was read is wrong");
        }
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy("it is healed");
    }
}

#[test]
fn what_answers_tell_of_and_is_read_too_is_named_without_a_packet_sent() {
    let lab = TestLab::up("r");
    for (code, hop) in READ_TOO {
        lab.break_fault(code);
        for question in [&["diagnose", "web1"][..], &["diagnose", "web1", "--passive"]] {
            lab.report(question).assert_finds(&[&format!("{code} {hop}")], code);
        }
        lab.heal();
        lab.report(&["diagnose", "web1", "--passive"]).assert_healthy("it is healed");
    }
}

#[test]
fn a_link_too_small_of_which_the_router_tells_is_no_fault() {
    let lab = TestLab::up("m");
    printed_in(&lab.netns("gw"), &["ip", "link", "set", "eth1", "mtu", "1400"]);
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("web1 is told, and sends less");
    let asked = list(&report.json["coverage"]["looked_at"]).iter().map(text);
    let large: Vec<&str> = asked.filter(|line| line.contains("ping -M do -s 1472 1.2.3.4")).collect();
    assert!(large.len() == 1 && large[0].contains("says fragmentation needed"), "{large:?}");
}

/// Two labs share the faults: most of the time goes by in waiting for what does not come.
fn each_is_named_and_healed(tag: &str, faults: &[(&str, &str)]) {
    thread::scope(|scope| {
        for nth in 0..2 {
            let own: Vec<_> = faults.iter().copied().skip(nth).step_by(2).collect();
            scope.spawn(move || each_of_a_lab_is_named_and_healed(&format!("{tag}{nth}"), &own));
        }
    });
}

fn each_of_a_lab_is_named_and_healed(tag: &str, faults: &[(&str, &str)]) {
    let lab = TestLab::up(tag);
    lab.report(&["diagnose", "web1"]).assert_healthy("a new lab");
    lab.report(&["diagnose", "web2", "--passive"]).assert_healthy("a new lab");
    lab.report(&["check"]).assert_healthy("a new lab");
    let mut wrong = Vec::new();
    for (code, hop) in faults {
        lab.break_fault(code);
        let expected = [format!("{code} {hop}")];
        // web1 runs on compute1.
        let host = hop.split('/').next().filter(|host| *host != "web1").unwrap_or("compute1");
        let mut questions = vec![
            &["diagnose", "web1"][..],
            &["diagnose", "web1", "--passive"],
            &["check", "compute1"],
            &["check"],
        ];
        let of_host = ["check", host];
        if host != "compute1" {
            questions.push(&of_host);
        }
        wrong.extend(complaints(&lab, &questions, &expected, code));
        lab.heal();
        let after = format!("after {code}");
        wrong.extend(complaints(&lab, &[&["diagnose", "web1"], &["check"]], &[], &after));
    }
    assert_none(&wrong);
}

/// Asks all questions at the same time, and returns what is wrong.
fn complaints(lab: &TestLab, questions: &[&[&str]], expected: &[String], when: &str) -> Vec<String> {
    thread::scope(|scope| {
        let ask = |question| scope.spawn(move || lab.report(question).complaint(expected, when));
        let asked: Vec<_> = questions.iter().copied().map(ask).collect();
        asked.into_iter().filter_map(|thread| thread.join().unwrap()).collect()
    })
}

/// What the first, narrowest remedy of a finding changes is enough, and its undo brings the fault back.
#[test]
fn the_narrow_remedy_mends_and_can_be_undone() {
    let lab = TestLab::up("v");
    let question = ["diagnose", "web1", "--passive"];
    let mut wrong = Vec::new();
    let narrow: [(&str, &[&str]); 5] = [
        ("dnsmasq-hung", &[]),
        ("dnsmasq-stale-hosts-file", &[]),
        ("input-blocks-dhcp", &[]),
        // The accept of the whole network is missing too, and stops nothing.
        ("dhcp-reply-lost", &["nova-rules-drift compute1//br100"]),
        ("dhcp-bad-udp-checksum", &[]),
    ];
    for (code, left) in narrow {
        if code == "dnsmasq-stale-hosts-file" {
            // A file is no fault of the lab's: nova writes it again at its next change.
            let hosts = lab.state().join("compute1/networks/nova-br100.conf");
            let text = std::fs::read_to_string(&hosts).unwrap();
            let others: Vec<&str> = text.lines().filter(|line| !line.contains(",web1.")).collect();
            assert_ne!(others.join("\n"), text);
            std::fs::write(&hosts, others.join("\n")).unwrap();
        } else {
            lab.break_fault(code);
        }
        let expected = [format!("{code} compute1//br100")];
        let report = lab.report(&question);
        wrong.extend(report.complaint(&expected, code));
        let remedy = &report.json["findings"][0]["remedy"][0];
        wrong.extend(typed([&remedy["command"]].into_iter()));
        wrong.extend(lab.report(&question).complaint(left, &format!("after the remedy of {code}")));
        if !gets_a_lease(&lab) {
            wrong.push(format!("{code}: no lease after {remedy:#}"));
        }
        wrong.extend(typed([&remedy["undo"]].into_iter()));
        wrong.extend(lab.report(&question).complaint(&expected, &format!("after the undo of {code}")));
        if code == "dnsmasq-stale-hosts-file" {
            wrong.extend(typed([&remedy["command"]].into_iter()));
        } else {
            lab.heal();
        }
    }
    assert_none(&wrong);
}

/// Whether web1's DHCP client would get an address now; it keeps the one that it has.
fn gets_a_lease(lab: &TestLab) -> bool {
    let (netns, script) = (lab.netns("web1"), lab.state().join("guest/no-op.script"));
    let script = script.to_str().unwrap();
    let client =
        ["timeout", "5", "busybox", "udhcpc", "-f", "-n", "-q", "-i", "eth0", "-t", "2", "-T", "1", "-s"];
    run(&[&["ip", "netns", "exec", &netns], &client[..], &[script]].concat()).status.success()
}

#[test]
fn what_a_discover_is_answered_is_judged_and_healed() {
    let lab = TestLab::up("a");
    let offer = SERVICES.into_iter().filter(|(code, _)| *code == "dhcp-offer-wrong");
    for (code, hop) in ANSWERS.into_iter().chain(offer) {
        lab.break_fault(code);
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&[format!("{code} {hop}")], code);
        let evidence = list(&report.json["findings"][0]["evidence"]);
        let heard = evidence.iter().find(|line| text(&line["kind"]) == "probe").expect("the offer");
        assert!(text(&heard["text"]).contains("offers"), "{code}: {heard:#}");
        // Who listens, and what dnsmasq is told to offer, can be read, too.
        lab.report(&["diagnose", "web1", "--passive"]).assert_finds(&[format!("{code} {hop}")], code);
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy(&format!("after {code}"));
    }
}

#[test]
fn a_dns_server_that_dhcp_offers_is_judged_by_its_answers() {
    let lab = TestLab::up("o");
    let networks = lab.state().join("compute1/networks");
    let offer = |option: &str| {
        std::fs::write(networks.join("nova-br100.opts"), format!("3,10.0.0.42{option}")).unwrap();
        let pid = std::fs::read_to_string(networks.join("nova-br100.pid")).unwrap();
        assert!(run(&["kill", "-HUP", pid.trim()]).status.success());
    };
    let expected = ["dhcp-offer-wrong compute1//br100"];
    // Nobody has this address.
    offer("\n6,10.0.255.254");
    for question in [&["diagnose", "web1"][..], &["diagnose", "web1", "--passive"], &["check"]] {
        lab.report(question).assert_finds(&expected, "nobody");
    }
    // A server of the operator's own, which answers.
    offer("\n6,1.2.3.4");
    lab.report(&["diagnose", "web1"]).assert_healthy("it answers");
    lab.report(&["diagnose", "web1", "--symptom", "dns"]).assert_healthy("it answers");
    // One that takes questions and never answers.
    let external = lab.netns("ext");
    let pid_file = lab.state().join("mute-dns.pid");
    let own_pid = format!("--pid-file={}", pid_file.display());
    let server = ["dnsmasq", "--conf-file=", "--bind-interfaces", "--listen-address=1.2.3.5", "--no-resolv"];
    printed_in(&external, &["ip", "address", "add", "1.2.3.5/24", "dev", "eth0"]);
    printed_in(&external, &[&server[..], &["--user=root", &own_pid]].concat());
    let pid = std::fs::read_to_string(&pid_file).unwrap();
    assert!(run(&["kill", "-STOP", pid.trim()]).status.success());
    offer("\n6,1.2.3.5");
    let report = lab.report(&["diagnose", "web1"]);
    lab.report(&["diagnose", "web1", "--passive"]).assert_finds(&expected, "its process is stopped");
    assert!(run(&["kill", "-KILL", pid.trim()]).status.success());
    report.assert_finds(&expected, "silent");
    let said = text(&report.json["findings"][0]["cause"]);
    assert!(said.contains("DNS server 1.2.3.5, which does not answer"), "{said}");
    offer("");
    lab.report(&["diagnose", "web1"]).assert_healthy("after it");
}

/// What of an offer does not fit is told by its cause, whichever it is; nova's own options are right again.
#[test]
fn an_offer_with_a_wrong_router_mask_or_address_is_told_by_what_is_wrong() {
    let lab = TestLab::up("u");
    let networks = lab.state().join("compute1/networks");
    let (options, hosts) = (networks.join("nova-br100.opts"), networks.join("nova-br100.conf"));
    let [meant, known] = [&options, &hosts].map(|file| std::fs::read_to_string(file).unwrap());
    let offer = |file: &std::path::Path, text: &str| {
        std::fs::write(file, text).unwrap();
        let pid = std::fs::read_to_string(networks.join("nova-br100.pid")).unwrap();
        assert!(run(&["kill", "-HUP", pid.trim()]).status.success());
    };
    let elsewhere = known.replace("10.0.2.24", "10.0.2.77");
    for (file, written, told) in [
        (&options, "3,10.0.9.9", "router 10.0.9.9, and 10.0.0.42 is the gateway"),
        (&options, "3,10.0.0.42\n1,255.255.255.0", "a mask of 24 bits, and the network has 16"),
        (&hosts, elsewhere.as_str(), "address 10.0.2.77, and 10.0.2.24 is recorded"),
    ] {
        offer(file, written);
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&["dhcp-offer-wrong compute1//br100"], told);
        let cause = text(&report.json["findings"][0]["cause"]);
        assert!(cause.contains(told), "{cause}");
        offer(&options, &meant);
        offer(&hosts, &known);
        lab.report(&["diagnose", "web1"]).assert_healthy(told);
    }
}

/// What hopline itself asks stands in dnsmasq's log too, and changes nothing of what it concludes.
#[test]
fn what_dnsmasq_refused_is_told_as_often_as_it_is_asked() {
    let lab = TestLab::up("k");
    for (code, hop) in [("dhcp-nak", "compute1//br100"), ("dhcp-offer-refused", "web1//eth0")] {
        lab.break_fault(code);
        for _ in 0..3 {
            lab.report(&["diagnose", "web1"]).assert_finds(&[&format!("{code} {hop}")], code);
        }
        lab.heal();
        lab.report(&["diagnose", "web1"]).assert_healthy(&format!("after {code}"));
    }
}

#[test]
fn two_faults_at_once_are_both_named_in_path_order() {
    let lab = TestLab::up("p");
    let mut wrong = Vec::new();
    for pair in PAIRS {
        let [first, second] = pair.map(|(code, _)| code);
        let when = format!("{first} and {second}");
        let expected = pair.map(|(code, hop)| format!("{code} {hop}"));
        // Whichever came first, the packet meets them in the same order.
        lab.break_fault(second);
        lab.break_fault(first);
        for question in [&["diagnose", "web1", "--passive"][..], &["diagnose", "web1"]] {
            wrong.extend(lab.report(question).complaint(&expected, &when));
        }
        lab.heal();
        wrong.extend(lab.report(&["diagnose", "web1"]).complaint(&[""; 0], &format!("after {when}")));
    }
    assert_none(&wrong);
}

#[test]
fn a_source_address_that_is_wrong_is_a_fault_though_pings_are_answered() {
    let lab = TestLab::up("t");
    lab.break_fault("float-snat-missing");
    printed_in(&lab.netns("web1"), &["ping", "-n", "-c", "1", "-W", "2", "1.2.3.4"]);
    lab.report(&["diagnose", "web1"]).assert_finds(&["float-snat-missing compute1//eth0"], "a ping works");
}
