//! How long a diagnosis waits, and what it makes of answers that do not come in time. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::time::Duration;

use support::closed::Closed;
use support::dnsmasq;
use support::name_server::{NameServer, Says};
use support::report::{Report, asked, list, text};
use support::test_lab::TestLab;

fn gaps(report: &Report) -> Vec<String> {
    let gaps = list(&report.json["coverage"]["gaps"]).iter();
    gaps.map(|gap| format!("{}: {}", text(&gap["what"]), text(&gap["why"]))).collect()
}

#[test]
fn what_the_end_of_the_time_cuts_off_is_neither_silent_nor_healthy() {
    let lab = TestLab::up("tu");
    let brief = lab.report(&["diagnose", "web1", "--timeout", "3s"]);
    brief.assert_healthy("all answer long before");
    let whole = lab.report(&["diagnose", "web1"]);
    assert_eq!(asked(&brief.json).len(), asked(&whole.json).len(), "nothing was left out");

    let _server = NameServer::in_place_of(&lab, Says::Late(Duration::from_millis(1900)));
    let cut = lab.report(&["diagnose", "web1", "--timeout", "1500ms"]);
    assert_eq!((cut.code, cut.findings()), (3, Vec::new()), "{:#}", cut.json["coverage"]);
    let told = gaps(&cut);
    let is_told = |gap: &String| gap.ends_with(": the time was up") && gap.starts_with("whether ");
    assert!(told.iter().any(is_told), "{told:#?}");
    lab.report(&["diagnose", "web1"]).assert_healthy("late is not lost");
}

/// Whose questions for addresses somebody refuses hears so at once, as who asks with dig does.
#[test]
fn a_refusal_that_programs_do_not_hear_of_is_not_waited_for() {
    let lab = TestLab::up("rf");
    let _server = NameServer::in_place_of(&lab, Says::OfIpv6(5));
    let report = lab.report(&["diagnose", "web1"]);
    report.assert_healthy("names are told");
    let told = gaps(&report);
    let refused: Vec<&String> = told.iter().filter(|gap| gap.contains("IPv6 addresses of names")).collect();
    assert!(
        refused.len() == 1 && refused[0].contains("1.2.3.4") && refused[0].contains("REFUSED"),
        "{told:#?}"
    );
    // A silence would have taken more than three seconds.
    let took = report.json["elapsed_ms"].as_u64().unwrap();
    assert!(took < 3000, "{took} ms");
}

/// A dnsmasq that has no lease of the instance's asks others for its name.
#[test]
fn an_own_name_that_nobody_answers_for_is_told() {
    for (tag, says, comes) in
        [("or", Some(5), ": REFUSED"), ("of", Some(2), ": SERVFAIL"), ("on", None, "no answer")]
    {
        let closed = Closed::up(tag);
        let lab = &closed.lab;
        dnsmasq::restart(lab, |words| {
            let script = words.iter_mut().find(|word| word.starts_with("--dhcp-script=")).unwrap();
            "--dhcp-script=/bin/true".clone_into(script);
        });
        let _server = NameServer::in_place_of(lab, Says::OfTheCloud(says));
        for report in
            [lab.report(&["diagnose", "web1"]), closed.report(&["diagnose", "web1", "--symptom", "dns"])]
        {
            report.assert_healthy("most look in /etc/hosts first");
            let own = gaps(&report).into_iter().find(|gap| gap.contains("its own name, web1.novalocal"));
            assert!(own.as_ref().is_some_and(|gap| gap.contains(comes)), "{own:?}");
            let took = report.json["elapsed_ms"].as_u64().unwrap();
            assert!(took < 5000, "{took} ms");
        }
    }
}

/// A name that is not there is answered for, and late is not lost.
#[test]
fn an_own_name_that_is_denied_or_late_is_no_fault() {
    for (tag, says) in [("od", Says::Code(3)), ("ol", Says::Late(Duration::from_millis(2500)))] {
        let lab = TestLab::up(tag);
        dnsmasq::restart(&lab, |words| {
            let script = words.iter_mut().find(|word| word.starts_with("--dhcp-script=")).unwrap();
            "--dhcp-script=/bin/true".clone_into(script);
        });
        let _server = NameServer::in_place_of(&lab, says);
        let report = lab.report(&["diagnose", "web1", "--symptom", "dns"]);
        report.assert_healthy(&format!("{says:?}"));
        assert!(
            asked(&report.json).iter().any(|line| line.contains("web1.novalocal A from web1: NXDOMAIN")
                || line.contains("web1.novalocal A from web1: NOERROR")),
            "{:#?}",
            asked(&report.json)
        );
    }
}
