//! Services that are there and answer amiss: each kind of answer for a name is told from the others, and what the
//! metadata service says is judged. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use serde_json::Value;
use support::closed::Closed;
use support::name_server::{ELSEWHERE, NameServer, Says};
use support::report::{Report, asked, list, text};
use support::test_lab::TestLab;
use support::{dnsmasq, printed, printed_in};

/// What was asked and came back, of a question that begins so.
fn said(report: &Report, start: &str) -> String {
    let lines = asked(&report.json);
    lines.iter().find(|line| line.contains(start)).unwrap_or_else(|| panic!("{start}: {lines:#?}")).clone()
}

fn gaps(report: &Report) -> Vec<String> {
    let gaps = list(&report.json["coverage"]["gaps"]).iter();
    gaps.map(|gap| format!("{}: {}", text(&gap["what"]), text(&gap["why"]))).collect()
}

fn only(report: &Report) -> &Value {
    let findings = list(&report.json["findings"]);
    assert_eq!(findings.len(), 1, "{:#}", report.json);
    &findings[0]
}

fn evidence(finding: &Value) -> Vec<String> {
    let lines = list(&finding["evidence"]).iter();
    lines.map(|line| format!("{}: {}", text(&line["source"]), text(&line["text"]))).collect()
}

/// Somewhere behind dnsmasq a zone is broken: that is nobody's fault here, and said.
#[test]
fn a_failure_that_both_share_is_told_and_is_no_fault() {
    let lab = TestLab::up("sf");
    let _server = NameServer::in_place_of(&lab, Says::FailsButAtTheRoot);
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    report.assert_healthy("SERVFAIL from who is asked");
    // To who asks without EDNS, as programs do, dnsmasq does not pass it on.
    assert!(said(&report, "-x 1.2.3.4 from web1").contains(": no answer"));
    assert!(said(&report, "-x 1.2.3.4 from compute1").contains(": SERVFAIL"));
    let told = gaps(&report);
    assert!(
        told.iter().any(|gap| gap.contains("finds out other names") && gap.contains("SERVFAIL")),
        "{told:#?}"
    );
    let ssh = lab.report(&["diagnose", "web1", "--symptom", "ssh"]);
    let finding = only(&ssh);
    assert_eq!(text(&finding["code"]), "ssh-slow-reverse-dns", "{finding:#}");
    assert!(text(&finding["cause"]).starts_with("1.2.3.4, whom dnsmasq asks, fails"), "{finding:#}");
}

/// It answers, and nobody can use what it says: whom dnsmasq asks is at fault, whatever dnsmasq makes of it.
#[test]
fn a_server_behind_whose_answers_are_of_no_use_is_told_with_why() {
    for (lab, says, why) in [
        ("sa", Says::Code(2), "fails at every name, that of the root included: SERVFAIL"),
        ("cs", Says::CutShort, "cuts its answers short, and the whole of them is not to be had over TCP"),
        ("ur", Says::Unreadable, "answers what cannot be read: "),
        ("wn", Says::WithAnotherNumber, "with another number"),
    ] {
        let lab = TestLab::up(lab);
        let _server = NameServer::in_place_of(&lab, says);
        for symptom in ["auto", "dns"] {
            let report = lab.report(&["diagnose", "web1", "--symptom", symptom]);
            report.assert_finds(&["dns-lookup-fails external//eth0"], why);
            let cause = text(&only(&report)["cause"]);
            assert!(cause.starts_with("1.2.3.4, whom dnsmasq asks, ") && cause.contains(why), "{cause}");
        }
    }
}

/// dnsmasq itself answers over UDP, and rules keep TCP from it.
#[test]
fn a_rule_that_takes_tcp_alone_is_told_unasked() {
    let lab = TestLab::up("tc");
    for target in ["REJECT", "DROP"] {
        let rule = ["INPUT", "-p", "tcp", "--dport", "53", "-j", target];
        let change = |how: &str| {
            let words = ["iptables", how].into_iter().chain(rule).collect::<Vec<_>>();
            printed_in(&lab.netns("compute1"), &words);
        };
        change("-I");
        for symptom in ["auto", "dns"] {
            let report = lab.report(&["diagnose", "web1", "--symptom", symptom]);
            report.assert_finds(&["dns-port53-blocked compute1//br100"], target);
        }
        change("-D");
    }
    lab.report(&["diagnose", "web1", "--symptom", "dns"]).assert_healthy("the rule is gone");
}

/// More than resolvers wait before they ask again, and no packet is lost.
#[test]
fn an_answer_after_the_second_question_is_late_and_not_lost() {
    let lab = TestLab::up("ll");
    let _server = NameServer::in_place_of(&lab, Says::Late(Duration::from_millis(2500)));
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("late is not lost");
    let told = gaps(&report);
    assert!(told.iter().any(|gap| gap.starts_with("whether 1.2.3.4 is always slow")), "{told:#?}");
}

/// The first question has what the limit lets pass, and those behind it die.
#[test]
fn a_rule_that_takes_what_a_limit_has_no_room_for_is_named() {
    let lab = TestLab::up("lr");
    let nft = |line: &str| {
        let words: Vec<&str> = ["nft"].into_iter().chain(line.split(' ')).collect();
        printed_in(&lab.netns("gw"), &words);
    };
    nft("add table ip t");
    nft("add chain ip t c { type filter hook forward priority 0 ; }");
    nft("add rule ip t c udp dport 53 limit rate 1/minute burst 1 packets accept");
    nft("add rule ip t c udp dport 53 counter drop");
    for run in ["the burst is there", "the burst is gone"] {
        let report = lab.report(&["diagnose", "web1"]);
        let finding = only(&report);
        assert_eq!(text(&finding["code"]), "foreign-rule-drop", "{run}: {finding:#}");
        assert_eq!(text(&finding["hop"]["host"]), "gw", "{run}: {finding:#}");
        assert!(text(&finding["cause"]).contains("limit rate 1/minute"), "{run}: {finding:#}");
        let remedy = text(&finding["remedy"][0]["command"]);
        assert!(remedy.contains("nft delete rule ip t c handle"), "{run}: {remedy}");
    }
}

/// sshd asks whom the instance's own file names.
#[test]
fn a_server_of_the_instances_own_that_is_not_there_makes_ssh_slow() {
    let lab = TestLab::up("rs");
    let folder = format!("/etc/netns/{}", lab.netns("web1"));
    let conf = RemovedAfter(folder.clone());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(format!("{folder}/resolv.conf"), "nameserver 10.0.0.77\n").unwrap();
    let report = lab.report(&["diagnose", "web1", "--symptom", "ssh"]);
    report.assert_finds(&["guest-resolv-conf-wrong web1//eth0"], "nobody has 10.0.0.77");
    let summary = text(&only(&report)["summary"]);
    assert!(summary.contains("ssh to it prompts up to 10 s late"), "{summary}");
    drop(conf);
}

/// Names are asked over IPv4 alone: of a server by IPv6 nobody knows whether it answers, and who says all is well where
/// it is the only one has not looked.
#[test]
fn a_server_by_ipv6_is_told_as_not_asked_and_leaves_all_open_where_it_is_the_only_one() {
    let lab = TestLab::up("r6");
    let folder = format!("/etc/netns/{}", lab.netns("web1"));
    let _conf = RemovedAfter(folder.clone());
    std::fs::create_dir_all(&folder).unwrap();
    let names = |servers: &[&str]| {
        let lines: Vec<String> = servers.iter().map(|server| format!("nameserver {server}\n")).collect();
        std::fs::write(format!("{folder}/resolv.conf"), lines.concat()).unwrap();
    };
    let is_told = |report: &Report| {
        let told = gaps(report);
        told.iter().any(|gap| gap.starts_with("whether web1 is answered by 2001:db8::53"))
    };
    names(&["2001:db8::53"]);
    for symptom in ["dns", "ssh", "auto"] {
        let report = lab.report(&["diagnose", "web1", "--symptom", symptom]);
        assert_eq!(report.code, 3, "{symptom}: {:#}", report.json);
        assert!(
            gaps(&report)[0].starts_with("whether web1 is answered by 2001:db8::53"),
            "{:#?}",
            gaps(&report)
        );
    }
    let ping = lab.report(&["diagnose", "web1", "--symptom", "ping"]);
    ping.assert_healthy("names are no matter");
    assert!(!is_told(&ping));
    names(&[&lab.gateway_of("web1"), "2001:db8::53"]);
    for symptom in ["dns", "ssh", "auto"] {
        let report = lab.report(&["diagnose", "web1", "--symptom", symptom]);
        report.assert_healthy("the first one answers");
        assert!(is_told(&report), "{symptom}: {:#?}", gaps(&report));
    }
}

/// The same of whom dnsmasq asks: what it made of names tells whether they are found out.
#[test]
fn servers_that_dnsmasq_asks_unseen_are_told() {
    let lab = TestLab::up("u6");
    let told_of = |change: &dyn Fn(&mut Vec<String>), wanted: &str| {
        dnsmasq::restart(&lab, |words| change(words));
        let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
        let told = gaps(&report);
        assert!(told.iter().any(|gap| gap.starts_with(wanted)), "{wanted}: {:#}", report.json);
        report
    };
    let beside = "--server=2001:db8::53#5353";
    told_of(
        &|words| words.push(beside.to_owned()),
        "whether dnsmasq on compute1 is answered by 2001:db8::53",
    )
    .assert_healthy("the other one answers");
    let alone = told_of(
        &|words| words.retain(|word| word != "--server=1.2.3.4"),
        "whether dnsmasq on compute1 is answered by 2001:db8::53",
    );
    assert_eq!(alone.code, 3, "{:#?}", asked(&alone.json));
    let folder = tempfile::tempdir().unwrap();
    // dnsmasq reads it as nobody.
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o755)).unwrap();
    let file = folder.path().join("servers").display().to_string();
    std::fs::write(&file, "nameserver 1.2.3.4\n").unwrap();
    told_of(
        &|words| {
            words.retain(|word| word != beside && word != "--no-resolv");
            words.push(format!("--resolv-file={file}"));
        },
        "whom dnsmasq on compute1 asks",
    )
    .assert_healthy("it answers");
}

#[test]
fn a_server_that_hears_and_says_nothing_is_told_with_who_asks_it() {
    let lab = TestLab::up("si");
    let _server = NameServer::in_place_of(&lab, Says::Nothing);
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    let finding = only(&report);
    assert_eq!(text(&finding["code"]), "lost-at-hop", "{finding:#}");
    assert_eq!(text(&finding["hop"]["host"]), "external", "{finding:#}");
    let told = evidence(finding);
    assert!(told.iter().any(|line| line.contains("--server=1.2.3.4")), "{told:#?}");
    let ssh = lab.report(&["diagnose", "web1", "--symptom", "ssh"]);
    let finding = only(&ssh);
    assert_eq!(text(&finding["code"]), "ssh-slow-reverse-dns", "{finding:#}");
    assert!(text(&finding["summary"]).contains("up to 10 s late"), "{finding:#}");
}

/// Where dnsmasq goes by its host's resolv.conf, that file is what names the server which fails.
#[test]
fn the_hosts_own_resolv_conf_is_named_where_its_server_fails() {
    let lab = TestLab::up("rc");
    let folder = format!("/etc/netns/{}", lab.netns("compute1"));
    let conf = RemovedAfter(folder.clone());
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(format!("{folder}/resolv.conf"), "nameserver 1.2.3.4\n").unwrap();
    dnsmasq::restart(&lab, |words| {
        words.retain(|word| !word.starts_with("--server=") && word != "--no-resolv");
    });
    let _server = NameServer::in_place_of(&lab, Says::Code(5));
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    let finding = only(&report);
    assert_eq!(text(&finding["code"]), "dns-lookup-fails", "{finding:#}");
    let told = evidence(finding);
    assert!(told.iter().any(|line| line.contains("nameserver 1.2.3.4 in ")), "{told:#?}");
    drop(conf);
}

/// A folder that a test makes outside of its own.
struct RemovedAfter(String);

impl Drop for RemovedAfter {
    fn drop(&mut self) {
        // What stays shows in the next test's machine, and is no reason to hide this test's own failure.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn an_answer_that_is_late_is_a_fault_of_ssh_alone() {
    let lab = TestLab::up("la");
    let _server = NameServer::in_place_of(&lab, Says::Late(Duration::from_millis(1100)));
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    report.assert_healthy("one late answer proves nothing");
    let told = gaps(&report);
    assert!(told.iter().any(|gap| gap.starts_with("whether 1.2.3.4 is always slow")), "{told:#?}");
    let ssh = lab.report(&["diagnose", "web1", "--symptom", "ssh"]);
    let finding = only(&ssh);
    assert_eq!(text(&finding["code"]), "ssh-slow-reverse-dns", "{finding:#}");
    assert!(text(&finding["summary"]).contains("for which it waits 10 s at most"), "{finding:#}");
    assert!(text(&finding["cause"]).starts_with("1.2.3.4, whom dnsmasq asks, is as slow"), "{finding:#}");
}

/// No resolver takes it: what is missing is an answer from who was asked, and what came in its stead is told.
#[test]
fn an_answer_from_another_server_is_passed_over_and_told() {
    let lab = TestLab::up("el");
    printed_in(&lab.netns("ext"), &["ip", "address", "add", &format!("{ELSEWHERE}/24"), "dev", "eth0"]);
    let _server = NameServer::in_place_of(&lab, Says::FromElsewhere);
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    assert_eq!(report.code, 1, "{:#}", report.json);
    let line = said(&report, "-x 1.2.3.4 from compute1");
    assert!(line.contains("no answer; passed over: "), "{line}");
    assert!(line.contains("from another address or port than was asked"), "{line}");
}

/// The instance's own name by an option of dnsmasq's, where no lease gives it.
#[test]
fn an_option_that_gives_a_wrong_address_is_named() {
    let lab = TestLab::up("op");
    dnsmasq::restart(&lab, |words| words.push("--host-record=web1.novalocal,10.0.9.9".to_owned()));
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    report.assert_finds(&["dns-answer-wrong compute1//br100"], "a record by hand");
    let finding = only(&report);
    assert!(text(&finding["cause"]).contains("`--host-record=web1.novalocal,10.0.9.9`"), "{finding:#}");
    lab.report(&["diagnose", "web2", "--symptom", "dns"]).assert_healthy("its own name is right");
}

/// The kernel takes connections for a process that does not.
#[test]
fn a_metadata_service_that_hangs_is_told_by_who_asks_it() {
    let lab = TestLab::up("mh");
    let services = printed_in(&lab.netns("compute1"), &["ss", "-Hltnp", "sport", "=", ":8775"]);
    let pid =
        services.split("pid=").nth(1).and_then(|rest| rest.split([',', ')']).next()).unwrap().to_owned();
    printed(&["kill", "-STOP", &pid]);
    let report = lab.report(&["diagnose", "web1", "--symptom", "metadata"]);
    report.assert_finds(&["metadata-service-fails compute1//br100"], "it is stopped");
    let summary = text(&only(&report)["summary"]);
    assert!(summary.contains("it takes the connection and has not answered after "), "{summary}");
    printed(&["kill", "-CONT", &pid]);
    lab.report(&["diagnose", "web1", "--symptom", "metadata"]).assert_healthy("it goes on");
}

/// Programs ask for both kinds of addresses at once, and wait for both.
#[test]
fn who_says_nothing_of_ipv6_addresses_makes_every_name_slow_and_is_told() {
    let lab = TestLab::up("v6n");
    let healthy = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    healthy.assert_healthy("a new lab");
    assert!(said(&healthy, "4.3.2.1.in-addr.arpa AAAA from web1").contains(": NXDOMAIN"));
    let server = NameServer::in_place_of(&lab, Says::NothingOfIpv6);
    for symptom in ["dns", "auto"] {
        let report = lab.report(&["diagnose", "web1", "--symptom", symptom]);
        let finding = only(&report);
        assert_eq!(text(&finding["code"]), "dns-lookup-fails", "{finding:#}");
        assert_eq!(text(&finding["hop"]["host"]), "external", "{finding:#}");
        assert!(text(&finding["summary"]).contains("IPv6"), "{finding:#}");
        let shown = evidence(finding);
        for line in
            ["AAAA from web1: no answer", "-x 1.2.3.4 from web1: NXDOMAIN", "AAAA from compute1: no answer"]
        {
            assert!(shown.iter().any(|one| one.contains(line)), "{line}: {shown:#?}");
        }
        let took = report.json["elapsed_ms"].as_u64().unwrap();
        assert!(took < 5000, "{took} ms");
    }
    drop(server);
}

/// To who asks without EDNS dnsmasq passes no refusal on. It may be for that one name.
#[test]
fn who_refuses_to_tell_ipv6_addresses_of_a_name_is_told_and_is_no_fault() {
    let lab = TestLab::up("v6r");
    let _server = NameServer::in_place_of(&lab, Says::OfIpv6(5));
    let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
    report.assert_healthy("names are told");
    let told = gaps(&report);
    let is_told = |gap: &String| gap.contains("IPv6 addresses of names") && gap.contains("REFUSED");
    assert!(told.iter().any(is_told), "{told:#?}");
}

/// One server more, of what is no name of the cloud's and of nobody's but clients.
const DEAD_OF_CLIENTS: &str = "--server=/in-addr.arpa/198.51.100.9";

/// Where the site names nobody outside, the name of somebody beyond is asked for in a client's place.
#[test]
fn a_client_is_looked_up_where_nobody_outside_is_named() {
    let closed = Closed::without_outside("al");
    let symptoms = ["auto", "dns", "ssh"];
    for symptom in symptoms {
        let report = closed.report(&["diagnose", "web1", "--symptom", symptom]);
        report.assert_healthy(symptom);
        said(&report, "-x 1.2.3.4 as web1: NOERROR");
    }
    let named = closed.report(&["diagnose", "web1", "--symptom", "ssh", "--to", "198.51.100.77"]);
    said(&named, "-x 198.51.100.77 as web1: ");
    said(&named, "-x 198.51.100.77 from compute1: ");
    dnsmasq::restart(&closed.lab, |words| words.push(DEAD_OF_CLIENTS.to_owned()));
    for symptom in symptoms {
        let report = closed.report(&["diagnose", "web1", "--symptom", symptom]);
        report.assert_finds(&["dns-lookup-fails compute1//br100"], symptom);
    }
    dnsmasq::restart(&closed.lab, |words| words.retain(|word| word != DEAD_OF_CLIENTS));
    let _server = NameServer::in_place_of(&closed.lab, Says::NothingOfNames);
    for symptom in ["auto", "dns"] {
        let told = gaps(&closed.report(&["diagnose", "web1", "--symptom", symptom]));
        let is_told = |gap: &String| gap.starts_with("whether 1.2.3.4 tells names of addresses");
        assert!(told.iter().any(is_told), "{symptom}: {told:#?}");
    }
    let ssh = closed.report(&["diagnose", "web1", "--symptom", "ssh"]);
    assert_eq!(text(&only(&ssh)["code"]), "ssh-slow-reverse-dns");
}

/// dnsmasq(8) `--server=ADDRESS#PORT`.
#[test]
fn a_server_at_a_port_of_its_own_is_asked_there() {
    let closed = Closed::up("pt");
    dnsmasq::restart(&closed.lab, |words| {
        words.iter_mut().filter(|word| *word == "--server=1.2.3.4").for_each(|word| word.push_str("#5353"));
    });
    let server = NameServer::at(&closed.lab, "1.2.3.4:5353", Says::Code(3));
    for symptom in ["dns", "auto"] {
        for report in [
            closed.report(&["diagnose", "web1", "--symptom", symptom]),
            closed.lab.report(&["diagnose", "web1", "--symptom", symptom]),
        ] {
            report.assert_healthy("it answers there");
            said(&report, "-x 1.2.3.4 from compute1: NXDOMAIN");
        }
    }
    drop(server);
    for (says, wanted) in [(Says::Code(2), "dns-lookup-fails"), (Says::Nothing, "lost-at-hop")] {
        let _server = NameServer::at(&closed.lab, "1.2.3.4:5353", says);
        let report = closed.report(&["diagnose", "web1", "--symptom", "dns"]);
        let finding = only(&report);
        assert_eq!(text(&finding["code"]), wanted, "{finding:#}");
        let told = evidence(finding);
        assert!(told.iter().any(|line| line.contains("--server=1.2.3.4#5353")), "{told:#?}");
    }
}

/// What takes them says nothing of it, and they are looked for on their way as others to port 53 are.
#[test]
fn a_loss_on_the_way_to_a_server_at_a_port_of_its_own_is_named_by_its_hop() {
    let lab = TestLab::up("pl");
    dnsmasq::restart(&lab, |words| {
        words.iter_mut().filter(|word| *word == "--server=1.2.3.4").for_each(|word| word.push_str("#5354"));
    });
    let block = |dir: &str, port: &str| {
        let policy = format!("ip xfrm policy add dir fwd {dir}/32 proto udp {port} 5354 action block");
        let policy: Vec<&str> = policy.split(' ').collect();
        printed_in(&lab.netns("gw"), &policy);
    };
    let lost = |wanted: &str, seen: &str| {
        let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
        report.assert_finds(&[wanted], seen);
        let finding = only(&report);
        assert!(text(&finding["summary"]).contains(seen), "{finding:#}");
        let told = evidence(finding);
        assert!(told.iter().any(|line| line.contains("hopline capture --at ")), "{told:#?}");
        report
    };
    {
        let _server = NameServer::at(&lab, "1.2.3.4:5354", Says::Nothing);
        lost("lost-at-hop external//eth0", "passes external//eth0");
    }
    let _server = NameServer::at(&lab, "1.2.3.4:5354", Says::Code(3));
    lab.report(&["diagnose", "web1", "--symptom", "dns"]).assert_healthy("it answers there");
    block("dst 1.2.3.4", "dport");
    lost("lost-at-hop gw//eth1", "is seen at gw//eth0");
    printed_in(&lab.netns("gw"), &["ip", "xfrm", "policy", "flush"]);
    block("src 1.2.3.4", "sport");
    let report = lost("lost-at-hop gw//eth0", "the answer to ");
    // Each question has its answer beside it, as far as that came.
    let packets = list(&report.json["journeys"]).iter().flat_map(|journey| list(&journey["packets"]));
    let of_server: Vec<&Value> =
        packets.filter(|packet| text(&packet["packet"]).contains("1.2.3.4.5354")).collect();
    let ends = |half: &str| -> Vec<&str> {
        let halves = of_server.iter().filter(|packet| packet["direction"] == half);
        halves.map(|packet| text(&packet["end"])).collect()
    };
    assert!(!ends("request").is_empty() && !ends("request").contains(&"unanswered"), "{of_server:#?}");
    assert!(ends("reply").contains(&"lost"), "{of_server:#?}");
}

#[test]
fn two_servers_at_one_address_are_told_apart_by_their_ports() {
    let closed = Closed::up("tp");
    let server = "--server=1.2.3.4";
    dnsmasq::restart(&closed.lab, |words| {
        words.iter_mut().filter(|word| *word == server).for_each(|word| word.push_str("#5353"));
        words.push("--server=1.2.3.4#5354".to_owned());
    });
    let _fails = NameServer::at(&closed.lab, "1.2.3.4:5353", Says::Code(2));
    let answers = NameServer::at(&closed.lab, "1.2.3.4:5354", Says::Code(3));
    let asked = ["diagnose", "web1", "--symptom", "dns"];
    for report in [closed.report(&asked), closed.lab.report(&asked)] {
        report.assert_healthy("one of them answers");
        said(&report, "-p 5353 -x 1.2.3.4 from compute1: SERVFAIL");
        said(&report, "-p 5354 -x 1.2.3.4 from compute1: NXDOMAIN");
    }
    drop(answers);
    let _fails_too = NameServer::at(&closed.lab, "1.2.3.4:5354", Says::Code(2));
    let report = closed.report(&asked);
    let finding = only(&report);
    assert_eq!(text(&finding["code"]), "dns-lookup-fails", "{finding:#}");
    assert!(text(&finding["cause"]).starts_with("1.2.3.4:5353, whom dnsmasq asks, fails"), "{finding:#}");
}

#[test]
fn servers_that_nobody_is_are_asked_all_at_once() {
    let closed = Closed::up("fv");
    let servers: Vec<String> = (21..26).map(|last| format!("1.2.3.{last}")).collect();
    dnsmasq::restart(&closed.lab, |words| {
        words.retain(|word| !word.starts_with("--server="));
        words.extend(servers.iter().map(|server| format!("--server={server}")));
    });
    let report = closed.report(&["diagnose", "web1"]);
    report.assert_finds(&["dns-upstream-wrong compute1//br100"; 5], "each for itself");
    for server in servers {
        said(&report, &format!("dig @{server} -x 1.2.3.4 from compute1"));
    }
}
