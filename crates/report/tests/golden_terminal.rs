//! What each command prints on a terminal, byte for byte: at 80 columns and at 200, plain and in colour.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod captures;
mod samples;

use std::io::{self, Write};

use model::finding::{Evidence, EvidenceKind, Outcome, Remedy};
use model::path::Stage;
use model::{Diagnosis, Finding};
use report::{Has, Line, OnHost, Sheet, Style, Watched};

/// A page of a command.
type Page<'p> = &'p dyn Fn(&Style, &mut dyn Write) -> io::Result<()>;

/// Takes the page in all four ways, and demands that colour adds nothing but colour.
fn golden(command: &str, page: Page<'_>) {
    for width in [80, 200] {
        let written = |color: bool| {
            let mut out = Vec::new();
            page(&Style { color, width, ..Style::default() }, &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let (plain, colored) = (written(false), written(true));
        assert_ne!(plain, colored, "{command} at {width}");
        assert_eq!(plain, without_colors(&colored), "{command} at {width}");
        for line in plain.lines().filter(|line| line.chars().count() > width) {
            let longest = line.split_whitespace().map(|word| word.chars().count()).max().unwrap_or(0);
            assert!(longest + 20 > width || is_typed(line), "{command} at {width} runs over: {line}");
        }
        insta::assert_snapshot!(format!("{command}_{width}"), plain);
        // An escape shows itself, so that a reader of the file sees colours as text.
        insta::assert_snapshot!(format!("{command}_{width}_color"), colored.replace('\u{1b}', "\\e"));
    }
}

/// What is to be copied is never broken.
fn is_typed(line: &str) -> bool {
    line.starts_with("  ") && (line.contains("iptables") || line.contains("UPDATE") || line.contains("mysql"))
}

fn without_colors(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let first = parts.next().unwrap_or_default().to_owned();
    parts.fold(first, |out, part| out + part.split_once('m').expect("a colour ends").1)
}

/// The same as `check` asks it: no path is walked for a question.
fn checked(diagnosis: Diagnosis) -> Diagnosis {
    Diagnosis { command: "check".to_owned(), subject: "compute1".to_owned(), paths: Vec::new(), ..diagnosis }
}

#[test]
fn diagnose() {
    golden("diagnose", &|style, out| report::terminal(&samples::two_findings(), style, out));
}

#[test]
fn diagnose_without_a_finding() {
    golden("diagnose_healthy", &|style, out| report::terminal(&samples::long(9), style, out));
    golden("diagnose_undetermined", &|style, out| report::terminal(&samples::undetermined(), style, out));
}

#[test]
fn check() {
    golden("check", &|style, out| report::terminal(&checked(samples::two_findings()), style, out));
}

#[test]
fn check_without_a_finding() {
    golden("check_healthy", &|style, out| report::terminal(&checked(samples::healthy()), style, out));
    golden("check_undetermined", &|style, out| {
        report::terminal(&checked(samples::undetermined()), style, out)
    });
}

/// The same as `path` asks it: the way of one question.
fn walked(diagnosis: Diagnosis) -> Diagnosis {
    Diagnosis { command: "path".to_owned(), subject: "web1 1.2.3.4".to_owned(), ..diagnosis }
}

#[test]
fn path() {
    golden("path", &|style, out| report::path_report(&walked(samples::fault()), style, out));
    golden("path_healthy", &|style, out| report::path_report(&walked(samples::healthy()), style, out));
    golden("path_undetermined", &|style, out| {
        report::path_report(&walked(samples::undetermined()), style, out)
    });
}

#[test]
fn db_check() {
    let row = |id: u32| Evidence {
        kind: EvidenceKind::Db,
        source: "SELECT * FROM floating_ips".to_owned(),
        text: format!(
            "floating_ips {id}: address 203.0.113.{id}, fixed_ip_id 17, whose instance was deleted"
        ),
    };
    let note = "one row; the address is free for its project again";
    let by_hopline = |id: u32| Remedy::by_hopline(&format!("repair floating-ip-leaked {id}"), note);
    let by_hand = |id: u32| Remedy {
        command: format!("UPDATE floating_ips SET fixed_ip_id = NULL WHERE id = {id}"),
        undo: String::new(),
        note: note.to_owned(),
    };
    let leaked = Finding {
        hop: samples::place("database", "floating_ips", Stage::Service),
        evidence: (31..=33).map(row).collect(),
        remedy: (31..=33).map(by_hopline).chain((31..=33).map(by_hand)).collect(),
        cause: "Their instance was deleted while nova-network did not listen.".to_owned(),
        ..samples::leaked_row()
    };
    let found = samples::diagnosis(Outcome::Fault, vec![leaked], Vec::new());
    let found =
        Diagnosis { command: "db check".to_owned(), subject: "the cloud's database".to_owned(), ..found };
    golden("db_check", &|style, out| report::records(&found, style, out));
}

#[test]
fn correlate() {
    let taken = captures::lost();
    golden("correlate", &|style, out| taken.terminal(style, out));
}

#[test]
fn correlate_without_a_finding() {
    let healthy = captures::many(3);
    golden("correlate_healthy", &|style, out| healthy.terminal(style, out));
    let doubt = captures::cut();
    golden("correlate_undetermined", &|style, out| doubt.terminal(style, out));
}

/// Counts, and beneath them what became of the packets: of a capture that saw all, of one that saw nothing, and of one
/// with every hole that there may be.
#[test]
fn capture_counts() {
    let at = |name: &'static str, packets: u64| Watched {
        name,
        packets,
        bytes: packets * 84,
        drops: 0,
        ended: None,
    };
    let all = captures::HOST.map(|name| at(name, 7));
    let nothing = captures::HOST.map(|name| at(name, 0));
    let mut holes = all;
    holes[1].drops = 120_000;
    holes[2].ended = Some("the device `eth0` has gone");
    holes[3].packets = 48_211_907;
    holes[3].bytes = 53_112_874_001;
    let unwatched = [("compute2//br100", "the namespace `qrouter-7` cannot be entered: Permission denied")];
    for (name, watched, unwatched, taken) in [
        ("capture_counts", all, &[][..], captures::lost()),
        ("capture_empty", nothing, &[], captures::taken(&captures::HOST, &[])),
        ("capture_holes", holes, &unwatched, captures::lost()),
    ] {
        golden(name, &|style, out| {
            report::counts(&watched, unwatched, style, out)?;
            writeln!(out)?;
            taken.findings(style, out)
        });
    }
}

/// What stands beneath the counts of a capture.
#[test]
fn capture() {
    for (name, taken) in [
        ("capture", captures::lost()),
        ("capture_healthy", captures::many(3)),
        ("capture_undetermined", captures::cut()),
    ] {
        golden(name, &|style, out| taken.findings(style, out));
    }
}

/// As `explain` and `lab faults` list theirs.
#[test]
fn a_listing_is_folded_beneath_its_own_beginning() {
    let rows = [
        ("tap-down", "The tap is down."),
        (
            "fixed-ip-none-left",
            "An instance was not built, since no fixed address of its network is free, so that nobody gets one.",
        ),
        ("evil\u{1b}[2J", "a\nb"),
    ];
    let listing = |width: usize| {
        let mut out = Vec::new();
        let style = Style { width, ..Style::default() };
        report::listing(rows.into_iter(), (0, 18), &style, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    };
    insta::assert_snapshot!("listing_80", listing(80));
    insta::assert_snapshot!("listing_200", listing(200));
    assert_eq!(listing(usize::MAX).lines().count(), rows.len(), "a line each, however long");
}

#[test]
fn db_show() {
    let on = |has: Has, text: &str| OnHost { host: "compute1".to_owned(), has, text: text.to_owned() };
    let line =
        |what: &'static str, value: &str, hosts: Vec<OnHost>| Line { what, value: value.to_owned(), hosts };
    let rules = "default: tcp 22 from 0.0.0.0/0; icmp from 0.0.0.0/0; tcp 8000-8010 from group web";
    let sheet = Sheet {
        name: "web1".to_owned(),
        uuid: Some("8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01".to_owned()),
        id: Some(1),
        lines: vec![
            line("host", "compute1", vec![on(Has::Yes, "domain instance-00000001 is running")]),
            line("VIF", "fa:16:3e:00:02:24", vec![on(Has::No, "no tap vnet0")]),
            line("fixed IP", "10.0.2.24, not leased", vec![on(Has::NotMeant, "no lease")]),
            line("security group", rules, vec![on(Has::Unknown, "rules were not read")]),
        ],
        gaps: Vec::new(),
    };
    golden("db_show", &|style, out| report::sheet(&sheet, style, out));
}
