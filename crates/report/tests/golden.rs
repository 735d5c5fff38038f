//! The pages as people and scripts read them, byte for byte, from diagnoses made by hand.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod samples;

use model::finding::{Outcome, Remedy};
use model::path::{Disposition, Exchange, Hop, Predicted, Stage, Stop};
use model::{Diagnosis, Finding};
use report::Style;
use samples::{
    diagnosis, dropped_by_rule, fault, healthy, hop, hostile, leaked_row, place, request, two_findings,
    undetermined, uplink_down,
};

fn page(diagnosis: &Diagnosis, style: Style) -> String {
    let mut out = Vec::new();
    report::terminal(diagnosis, &style, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn json(diagnosis: &Diagnosis) -> String {
    let mut out = Vec::new();
    report::json(diagnosis, 42, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_healthy_page_says_so_in_its_first_line() {
    insta::assert_snapshot!(page(&healthy(), Style::default()));
}

#[test]
fn a_fault_shows_the_path_to_it_then_proof_then_fix() {
    insta::assert_snapshot!(page(&fault(), Style::default()));
}

#[test]
fn further_findings_follow_in_short() {
    insta::assert_snapshot!(page(&two_findings(), Style::default()));
}

#[test]
fn a_question_beneath_a_neighbour_is_told_beneath_it() {
    let mut path = request();
    path.hops.truncate(3);
    path.hops[2].predicted = Predicted::Drop;
    path.hops[2].detail = "nobody answers ARP for 203.0.113.33".into();
    let mut question = dropped_by_rule();
    question.exchange = Exchange::Arp;
    question.hops.truncate(1);
    question.disposition = Disposition::Dropped(Stop::LinkDown);
    question.hops[0] = Hop { predicted: Predicted::Drop, ..hop(uplink_down().hop, "ARP who has", "is down") };
    let ip = "203.0.113.33".parse().unwrap();
    path.disposition =
        Disposition::Dropped(Stop::NeighbourUnresolved { ip, because: Some(Box::new(question)) });
    insta::assert_snapshot!(page(
        &diagnosis(Outcome::Fault, vec![uplink_down()], vec![path]),
        Style::default()
    ));
}

#[test]
fn doubt_names_what_would_settle_it() {
    insta::assert_snapshot!(page(&undetermined(), Style::default()));
}

#[test]
fn verbose_shows_every_path_and_decision() {
    insta::assert_snapshot!(page(&two_findings(), Style { verbose: true, ..Style::default() }));
}

#[test]
fn forty_columns_still_read_well() {
    insta::assert_snapshot!(page(&two_findings(), Style { width: 40, ..Style::default() }));
}

#[test]
fn ascii_marks_where_unicode_is_not_wanted() {
    let text = page(&two_findings(), Style { unicode: false, ..Style::default() });
    assert!(text.starts_with("x web1: foreign-rule-drop - a rule"), "{text}");
    assert!(text.is_ascii(), "{text}");
}

#[test]
fn colour_adds_escapes_and_nothing_else() {
    let colored = page(&two_findings(), Style { color: true, ..Style::default() });
    assert!(colored.contains("\x1b[1m\x1b[31mforeign-rule-drop\x1b[0m"), "{colored:?}");
    assert_eq!(without_colour(&colored), page(&two_findings(), Style::default()));
}

/// The text without `ESC [ ... m`.
fn without_colour(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        out.push_str(part.split_once('m').expect("a colour ends with m").1);
    }
    out
}

#[test]
fn names_of_strangers_cannot_touch_the_terminal() {
    let text = page(&hostile(), Style::default());
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
    insta::assert_snapshot!(text);
}

#[test]
fn the_path_report_shows_the_packet_at_every_hop() {
    let mut out = Vec::new();
    report::path_report(&healthy(), &Style::default(), &mut out).unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}

#[test]
fn minimal_is_one_line_a_finding() {
    let mut out = Vec::new();
    report::minimal(&two_findings(), &mut out).unwrap();
    let text = String::from_utf8(out).unwrap();
    assert_eq!(
        text,
        "foreign-rule-drop compute1//br100\nuplink-down compute1//eth0\nfloating-ip-leaked compute1//\n"
    );
}

#[test]
fn json_keeps_the_contracts_names() {
    insta::assert_snapshot!(json(&fault()));
}

#[test]
fn json_gives_hostile_names_back_and_shows_none_of_them() {
    let text = json(&hostile());
    assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
    assert!(!text.contains('\u{202e}'), "{text:?}");
    let back: serde_json::Value = serde_json::from_str(&text).unwrap();
    assert_eq!(back["subject"], "we\u{200b}b1\x1b[0m");
    assert_eq!(back["findings"][0]["summary"], "\u{202e}nwod si 0hte\u{9b}31m");
}

#[test]
fn what_a_database_contradicts_itself_in_is_told_with_its_rows() {
    let style = Style { width: 80, ..Style::default() };
    let mut out = Vec::new();
    let remedy = |id| Remedy {
        command: format!("UPDATE floating_ips SET fixed_ip_id = NULL WHERE id = {id}"),
        undo: String::new(),
        note: "one row".to_owned(),
    };
    let hop = place("database", "floating_ips", Stage::Service);
    let leaked = Finding { hop, remedy: (1..=5).map(remedy).collect(), ..leaked_row() };
    report::records(&diagnosis(Outcome::Fault, vec![leaked.clone(), leaked], Vec::new()), &style, &mut out)
        .unwrap();
    insta::assert_snapshot!(String::from_utf8(out).unwrap());
}
