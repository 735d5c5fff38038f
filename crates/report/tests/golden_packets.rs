//! The packets of a diagnosis' questions as they were seen, byte for byte: in the picture, on the page, in the JSON.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod samples;

use model::Diagnosis;
use samples::healthy;
use samples::packets::{faced, lost_pings, two_clocks};

fn written(write: impl FnOnce(&mut Vec<u8>) -> std::io::Result<()>) -> String {
    let mut out = Vec::new();
    write(&mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn html(diagnosis: &Diagnosis) -> String {
    written(|out| report::html(diagnosis, None, out))
}

/// What stands between these two.
fn between<'t>(text: &'t str, from: &str, to: &str) -> &'t str {
    text.split_once(from).unwrap().1.split_once(to).unwrap().0
}

#[test]
fn the_packets_of_the_broken_question_stand_beneath_its_path() {
    let svg = written(|out| report::svg(&lost_pings(), out));
    insta::assert_snapshot!(between(&svg, "<g transform=\"translate(0 ", "</svg>"));
}

#[test]
fn a_page_has_the_broken_question_first_and_the_others_folded() {
    let page = html(&lost_pings());
    let section = between(&page, "<section class=\"sequence\">", "</section>");
    insta::assert_snapshot!(at_one_width(section));
}

/// Without the same pictures at other widths, which tell nothing more.
fn at_one_width(section: &str) -> String {
    let mut parts = section.split("<div class=\"middle\">");
    let first = parts.next().unwrap_or_default().to_owned();
    // Behind that of the tablet, and that of the telephone.
    parts.fold(first, |text, part| text + part.splitn(3, "</div>\n").nth(2).unwrap())
}

#[test]
fn times_are_told_as_well_as_clocks_are_known() {
    let page = html(&two_clocks());
    let times: Vec<&str> = page.split("class=\"took\"").skip(1).map(|part| between(part, ">", "<")).collect();
    assert_eq!(times[0], "~+30.0us");
    assert!(times.iter().all(|time| *time == "~+30.0us"), "{times:?}");
    assert!(page.contains("packet 17 of compute1.pcap, 2026-11-24T02:24:42.000000000Z"), "{page}");
}

#[test]
fn the_json_has_every_packet() {
    let text = written(|out| report::json(&lost_pings(), 4, out));
    let json: serde_json::Value = serde_json::from_str(&text).unwrap();
    insta::assert_snapshot!(serde_json::to_string_pretty(&json["journeys"][1]).unwrap());
    assert_eq!(json["journeys"][0]["packets"][4]["expected_at"], "compute1//eth0");
}

#[test]
fn a_page_is_bounded_and_says_what_it_leaves_out() {
    let page = html(&faced());
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert!(page.contains("more questions are not drawn; the JSON has them."));
}

#[test]
fn nothing_is_drawn_where_nobody_watched() {
    let page = html(&healthy());
    assert!(!page.contains("class=\"sequence\""));
    assert!(!written(|out| report::svg(&healthy(), out)).contains("class=\"life\""));
}

#[test]
fn each_link_leads_somewhere_and_no_anchor_stands_twice() {
    for diagnosis in [lost_pings(), two_clocks(), faced()] {
        let text = html(&diagnosis);
        let values = |start: &str| -> Vec<&str> {
            text.split(start).skip(1).map(|rest| rest.split('"').next().unwrap()).collect()
        };
        let mut anchors = values(" id=\"");
        anchors.sort_unstable();
        assert!(anchors.windows(2).all(|pair| pair[0] != pair[1]));
        let links = values(" href=\"#");
        assert!(links.iter().any(|link| link.starts_with("packets-")));
        for link in links {
            assert!(anchors.binary_search(&link).is_ok(), "{link}");
        }
    }
}

#[test]
fn names_of_strangers_are_text() {
    for text in [html(&faced()), written(|out| report::svg(&faced(), out))] {
        for tag in text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()) {
            let name = tag.split([' ', '\n', '/']).next().unwrap();
            assert!(!["script", "img", "iframe", "object", "use", "image"].contains(&name), "{tag}");
            let outside: String = tag.split('"').step_by(2).collect();
            assert!(!outside.contains(" on"), "{tag}");
        }
        assert!(!text.chars().any(|c| c != '\n' && c.is_control()));
        assert!(!text.contains(['\u{202e}', '\u{200b}']));
    }
}
