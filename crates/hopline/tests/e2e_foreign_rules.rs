//! `foreign-rule-drop`, and what hides such rules, wherever a rule can stand: named with its evidence, its writer and
//! how long it lasts; and the remedy works as it is printed. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use support::report::{list, text};
use support::test_lab::TestLab;
use support::{assert_none, printed_in, run, typed};

/// A rule that nova did not write, put in by hand, and what must be said of it.
struct Foreign<'a> {
    /// What it is called.
    code: &'a str,
    /// Suffix of the namespace that it is put in.
    host: &'a str,
    /// Commands that put it in.
    inject: &'a [&'a [&'a str]],
    /// Commands that take it out after the remedy has been undone.
    remove: &'a [&'a [&'a str]],
    /// What is asked beyond `diagnose web1 --passive`.
    asked: &'a [&'a str],
    /// Where it is found.
    hop: &'a str,
    /// For each finding: table, chain, number and text of the rule, as evidence has them.
    rules: &'a [(&'a str, &'a str, u32, &'a str)],
}

const FOREIGN: [Foreign; 12] = [
    Foreign {
        code: "nft-other-priority",
        host: "compute1",
        inject: &[
            &["nft", "add", "table", "inet", "lockdown"],
            &["nft", "add chain inet lockdown fw { type filter hook forward priority 10; policy accept; }"],
            &["nft", "add rule inet lockdown fw iifname br100 oifname eth0 counter drop"],
        ],
        remove: &[&["nft", "delete", "table", "inet", "lockdown"]],
        asked: &[],
        hop: "compute1//br100",
        rules: &[("lockdown", "fw", 1, "iifname \"br100\" oifname \"eth0\" counter drop")],
    },
    Foreign {
        code: "iptables-legacy-hidden",
        host: "compute1",
        inject: &[&["iptables-legacy", "-I", "FORWARD", "-i", "br100", "-o", "eth0", "-j", "DROP"]],
        remove: &[&["iptables-legacy", "-F", "FORWARD"]],
        asked: &[],
        hop: "compute1//br100",
        rules: &[("filter", "FORWARD", 1, "-A FORWARD -i br100 -o eth0 -j DROP")],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "compute1",
        inject: &[&[
            "iptables",
            "-t",
            "mangle",
            "-A",
            "PREROUTING",
            "-s",
            "10.0.2.24",
            "-d",
            "1.2.3.4",
            "-j",
            "DROP",
        ]],
        remove: &[&["iptables", "-t", "mangle", "-F", "PREROUTING"]],
        asked: &[],
        hop: "compute1//br100",
        rules: &[("mangle", "PREROUTING", 1, "-A PREROUTING -s 10.0.2.24/32 -d 1.2.3.4/32 -j DROP")],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "compute1",
        // iptables(8) refuses DROP in nat; nft(8) does not.
        inject: &[&["nft", "insert rule ip nat PREROUTING ip saddr 10.0.2.24 ip daddr 1.2.3.4 counter drop"]],
        remove: &[],
        asked: &[],
        hop: "compute1//br100",
        rules: &[("nat", "PREROUTING", 1, "-A PREROUTING -s 10.0.2.24/32 -d 1.2.3.4/32 -j DROP")],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "gw",
        inject: &[
            &["iptables", "-A", "OUTPUT", "-o", "lo", "-j", "ACCEPT"],
            &["iptables", "-A", "OUTPUT", "-p", "icmp", "-j", "DROP"],
        ],
        remove: &[&["iptables", "-F", "OUTPUT"]],
        asked: &["--to", "203.0.113.1"],
        hop: "gw//eth0",
        rules: &[("filter", "OUTPUT", 2, "-A OUTPUT -p icmp -j DROP")],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "gw",
        inject: &[&["iptables", "-A", "FORWARD", "-p", "icmp", "-j", "DROP"]],
        remove: &[&["iptables", "-F", "FORWARD"]],
        asked: &[],
        hop: "gw//eth0",
        rules: &[("filter", "FORWARD", 1, "-A FORWARD -p icmp -j DROP")],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "isp",
        inject: &[&["iptables", "-A", "FORWARD", "-s", "1.2.3.4", "-j", "DROP"]],
        remove: &[&["iptables", "-F", "FORWARD"]],
        asked: &[],
        hop: "isp//eth1",
        rules: &[("filter", "FORWARD", 1, "-A FORWARD -s 1.2.3.4/32 -j DROP")],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "compute1",
        inject: &[&[
            "iptables",
            "-I",
            "nova-compute-inst-1",
            "1",
            "-s",
            "1.2.3.4",
            "-p",
            "icmp",
            "-j",
            "DROP",
        ]],
        remove: &[&["iptables", "-D", "nova-compute-inst-1", "1"]],
        asked: &[],
        hop: "compute1//eth0",
        rules: &[(
            "filter",
            "FORWARD → nova-filter-top → nova-compute-local → nova-compute-inst-1",
            1,
            "-A nova-compute-inst-1 -s 1.2.3.4/32 -p icmp -j DROP",
        )],
    },
    Foreign {
        code: "foreign-rule-drop",
        host: "compute1",
        inject: &[&["iptables", "-I", "FORWARD", "1", "-p", "udp", "-j", "DROP"]],
        remove: &[&["iptables", "-D", "FORWARD", "1"]],
        asked: &[],
        hop: "compute1//br100",
        rules: &[("filter", "FORWARD", 1, "-A FORWARD -p udp -j DROP")],
    },
    Foreign {
        code: "foreign-rule-bends",
        host: "compute1",
        inject: &[&["iptables", "-t", "raw", "-I", "PREROUTING", "-s", "10.0.2.24", "-j", "CT", "--notrack"]],
        remove: &[&["iptables", "-t", "raw", "-D", "PREROUTING", "1"]],
        asked: &[],
        hop: "compute1//br100",
        rules: &[("raw", "PREROUTING", 1, "-A PREROUTING -s 10.0.2.24/32 -j CT --notrack")],
    },
    Foreign {
        code: "foreign-rule-bends",
        host: "compute1",
        inject: &[&[
            "iptables",
            "-t",
            "mangle",
            "-I",
            "POSTROUTING",
            "-o",
            "eth0",
            "-j",
            "TTL",
            "--ttl-set",
            "1",
        ]],
        remove: &[&["iptables", "-t", "mangle", "-D", "POSTROUTING", "1"]],
        asked: &[],
        hop: "compute1//eth0",
        rules: &[("mangle", "POSTROUTING", 1, "-A POSTROUTING -o eth0 -j TTL --ttl-set 1")],
    },
    Foreign {
        code: "ebtables-drop",
        host: "compute1",
        inject: &[
            &["ebtables", "-A", "FORWARD", "-p", "IPv4", "-i", "vnet0", "-j", "DROP"],
            &["ebtables", "-A", "INPUT", "-p", "IPv4", "-i", "vnet0", "-j", "DROP"],
        ],
        remove: &[&["ebtables", "-F"]],
        asked: &[],
        hop: "compute1//vnet0",
        rules: &[
            ("filter", "INPUT", 1, "-A INPUT -p IPv4 -i vnet0 -j DROP"),
            ("filter", "FORWARD", 1, "-A FORWARD -p IPv4 -i vnet0 -j DROP"),
        ],
    },
];

#[test]
fn a_foreign_rule_is_named_wherever_it_stands_and_its_remedy_works() {
    let lab = TestLab::up("f");
    let mut wrong = Vec::new();
    for foreign in &FOREIGN {
        let netns = lab.netns(foreign.host);
        foreign.inject.iter().for_each(|command| drop(printed_in(&netns, command)));
        let question = [&["diagnose", "web1", "--passive"], foreign.asked].concat();
        let when = foreign.inject.concat().join(" ");
        let expected = vec![format!("{} {}", foreign.code, foreign.hop); foreign.rules.len()];
        let report = lab.report(&question);
        wrong.extend(report.complaint(&expected, &when));
        let findings = list(&report.json["findings"]);
        for (finding, rule) in findings.iter().zip(foreign.rules) {
            assert_evidence(finding, rule);
        }
        wrong.extend(typed(findings.iter().map(|finding| &finding["remedy"][0]["command"])));
        wrong.extend(lab.report(&question).complaint(&[""; 0], &format!("after the remedy of {when}")));
        // iptables(8) puts no DROP into nat, so nothing takes that remedy back.
        if foreign.rules.iter().all(|(table, ..)| *table != "nat") {
            wrong.extend(typed(findings.iter().rev().map(|finding| &finding["remedy"][0]["undo"])));
            wrong.extend(lab.report(&question).complaint(&expected, &format!("after the undo of {when}")));
        } else if findings.iter().any(|finding| finding["remedy"][0]["undo"] != "") {
            wrong.push(format!("{when}: an undo that iptables(8) refuses: {findings:#?}"));
        }
        foreign.remove.iter().for_each(|command| drop(printed_in(&netns, command)));
        wrong.extend(lab.report(&question).complaint(&[""; 0], &format!("after {when}")));
    }
    assert_none(&wrong);
}

#[track_caller]
fn assert_evidence(finding: &serde_json::Value, rule: &(&str, &str, u32, &str)) {
    let (table, chain, number, rule_text) = rule;
    let has = |kind: &str, wanted: &str| {
        let all = list(&finding["evidence"]).iter();
        all.filter(|e| e["kind"] == kind).any(|e| text(&e["text"]).contains(wanted))
    };
    let place = format!("table {table}, chain {chain}, rule {number}");
    assert!(has("rule", rule_text), "{rule_text}: {finding:#}");
    assert!(has("rule", &place), "{place}: {finding:#}");
    assert!(has("counter", "packets"), "{finding:#}");
}

#[test]
fn of_a_rule_it_is_said_who_wrote_it_how_long_it_lasts_and_what_hides_it() {
    let lab = TestLab::up("o");
    let compute = lab.netns("compute1");
    let ping = ["-s", "1.2.3.4", "-p", "icmp", "-j", "DROP"];
    let outward = ["-s", "10.0.2.24", "-d", "1.2.3.4", "-j", "DROP"];
    let rules: [(&[&str], &[&str], &[&str]); 3] = [
        (
            &[&["iptables", "-I", "nova-compute-inst-1", "1"], &ping[..]].concat(),
            &["iptables", "-D", "nova-compute-inst-1", "1"],
            &["put in by hand; it goes away by itself when nova-compute next writes its rules"],
        ),
        (
            &[&["iptables", "-I", "FORWARD", "1"], &outward[..]].concat(),
            &["iptables", "-D", "FORWARD", "1"],
            &["put in by hand; it outlives every restart of nova's services, but sinks below the calls"],
        ),
        (
            &[&["iptables-legacy", "-I", "FORWARD", "1"], &outward[..]].concat(),
            &["iptables-legacy", "-D", "FORWARD", "1"],
            &[
                "put in by hand; it outlives every restart of nova's services; a reboot takes it away",
                "iptables-save -c` does not show this rule: by what it shows, rule 1 of \
                 FORWARD → nova-network-FORWARD lets the packet pass",
            ],
        ),
    ];
    let mut wrong = Vec::new();
    for (inject, remove, said) in rules {
        printed_in(&compute, inject);
        let report = lab.report(&["diagnose", "web1", "--passive"]);
        let finding = &report.json["findings"][0];
        let evidence: Vec<&str> = list(&finding["evidence"]).iter().map(|e| text(&e["text"])).collect();
        let unsaid = said.iter().filter(|said| !evidence.iter().any(|line| line.contains(**said)));
        wrong.extend(unsaid.map(|said| format!("{said}: {finding:#}")));
        if finding["owner"] != "operator" {
            wrong.push(format!("{inject:?} is {}'s", finding["owner"]));
        }
        printed_in(&compute, remove);
    }
    assert_none(&wrong);
}

#[test]
fn the_counter_of_a_foreign_rule_is_what_it_has_really_dropped() {
    let lab = TestLab::up("c");
    let compute = lab.netns("compute1");
    printed_in(&compute, &["iptables", "-A", "FORWARD", "-d", "192.0.2.0/24", "-j", "ACCEPT"]);
    printed_in(&compute, &["iptables", "-I", "FORWARD", "2", "-d", "1.2.3.4", "-p", "icmp", "-j", "DROP"]);
    let netns = lab.netns("web1");
    let ping = ["ip", "netns", "exec", &netns, "ping", "-n", "-c", "3", "-i", "0.1", "-W", "1", "1.2.3.4"];
    assert_eq!(run(&ping).status.code(), Some(1), "all three are lost");
    let report = lab.report(&["diagnose", "web1", "--passive"]);
    report.assert_finds(&["foreign-rule-drop compute1//br100"], "a rule that has dropped");
    let finding = &report.json["findings"][0];
    assert_evidence(finding, &("filter", "FORWARD", 2, "-A FORWARD -d 1.2.3.4/32 -p icmp -j DROP"));
    // Three echoes of 84 bytes.
    let counter = |e: &serde_json::Value| e["kind"] == "counter" && text(&e["text"]).contains("[3:252]");
    assert!(list(&finding["evidence"]).iter().any(counter), "{finding:#}");
}

#[test]
fn what_a_limit_has_no_room_for_is_told_with_what_takes_it_and_the_remedy_works() {
    let lab = TestLab::up("l");
    let nft = |command: &str| printed_in(&lab.netns("compute1"), &["nft", command]);
    let cases = [
        (
            "{ type filter hook forward priority 0; policy drop; }",
            "limit rate 1/minute burst 1 packets accept",
            "nft-other-priority compute1//br100",
            (
                "request",
                "of what web1 sends to 1.2.3.4 compute1 lets only some pass: the policy of c in ip t",
            ),
        ),
        (
            "{ type filter hook prerouting priority -150; policy accept; }",
            "iifname eth0 ip saddr 1.2.3.4 limit rate over 2/minute burst 1 packets drop",
            "nft-other-priority compute1//eth0",
            ("reply", "of what 1.2.3.4 answers web1 compute1 lets only some pass: rule 1 of c in ip t"),
        ),
    ];
    for (chain, rule, expected, (direction, summary)) in cases {
        nft("add table ip t");
        nft(&format!("add chain ip t c {chain}"));
        nft(&format!("add rule ip t c {rule}"));
        let report = lab.report(&["diagnose", "web1"]);
        report.assert_finds(&[expected], rule);
        let finding = &report.json["findings"][0];
        assert!(text(&finding["summary"]).starts_with(summary), "{finding:#}");
        assert_eq!(
            (text(&finding["direction"]), text(&finding["confidence"])),
            (direction, "proven"),
            "{finding:#}"
        );
        assert_eq!(typed(std::iter::once(&finding["remedy"][0]["command"])), Vec::<String>::new());
        lab.report(&["diagnose", "web1"]).assert_healthy("nothing is limited any more");
        nft("delete table ip t");
    }
}

#[test]
fn a_rule_about_the_length_of_frames_is_named() {
    let lab = TestLab::up("m");
    let nft = |command: &str| printed_in(&lab.netns("fab"), &["nft", command]);
    nft("add table bridge t");
    nft("add chain bridge t c { type filter hook forward priority 0; }");
    nft("add rule bridge t c meta length > 1000 drop");
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_finds(&["ebtables-drop fabric//pubh1"], "only large packets die");
}
