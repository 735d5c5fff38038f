//! The picture and the page of packets' ways, byte for byte where they are short. How they look in a browser is
//! `browser_sequence.rs`'.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod captures;

use captures::{HOSTILE, crowd, empty, loops, lost, many, single};

#[test]
fn a_loss_is_a_broken_arrow() {
    insta::assert_snapshot!(body(&lost().svg(), "</style>"));
}

#[test]
fn a_page_has_what_is_wrong_before_the_picture() {
    insta::assert_snapshot!(body(&lost().html(), "<body>"));
}

#[test]
fn what_loops_is_not_drawn_without_end() {
    insta::assert_snapshot!(body(&loops().svg(), "</style>"));
}

/// Without the style, which would only repeat its source.
fn body<'a>(text: &'a str, start: &str) -> &'a str {
    text.split_once(start).expect("a document has a style").1
}

#[test]
fn a_long_capture_is_summed_and_stays_small() {
    let taken = many(10_000);
    let html = taken.html();
    assert!(html.len() < 2_000_000, "{}", html.len());
    let journeys = taken.report.journeys;
    let lost = taken.report.findings.lost_count;
    assert!(lost > 100, "{lost}");
    let said = format!("120 of {journeys} journeys are drawn: 60 of {lost} that were lost, the 30 slowest");
    assert!(html.contains(&said), "{said}");
    // Each journey is drawn three times, for three widths, and stands in the list once.
    assert_eq!(html.matches(" id=\"journey-").count(), 120);
    assert_eq!(html.matches("<path class=\"gone\"").count(), 3 * 60);
    assert!(html.contains("10.0.2.24 &gt; 1.2.3.4: ICMP echo request"), "the sums");
}

#[test]
fn a_capture_of_any_length_makes_a_page_of_bounded_size() {
    let sizes = [2_000, 20_000].map(|count| many(count).html().len());
    assert!(sizes[1] < sizes[0] * 11 / 10, "{sizes:?}");
}

#[test]
fn the_same_capture_gives_the_same_bytes() {
    assert_eq!(many(500).html(), many(500).html());
}

#[test]
fn nothing_is_loaded_nothing_runs_and_names_are_text() {
    for taken in [lost(), loops(), crowd(), single(), empty()] {
        for text in [taken.html(), taken.svg()] {
            let tags = text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap());
            for tag in tags {
                let name = tag.split([' ', '\n', '/']).next().unwrap();
                assert!(!["script", "img", "iframe", "object", "use", "image"].contains(&name), "{tag}");
                for harm in [" on", "javascript:", "src=", "url("] {
                    let outside: String = tag.split('"').step_by(2).collect();
                    assert!(!outside.contains(harm), "{harm} in {tag}");
                }
            }
            assert!(!text.contains(HOSTILE) && !text.contains("@import") && !text.contains("url("));
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
            assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
        }
    }
}

#[test]
fn each_arrow_leads_to_its_packets() {
    for taken in [lost(), loops(), crowd(), single(), many(400)] {
        let text = taken.html();
        let values = |start: &str| -> Vec<String> {
            text.split(start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        let (anchors, links) = (values(" id=\""), values(" href=\"#"));
        assert!(!links.is_empty());
        for link in links {
            assert_eq!(anchors.iter().filter(|anchor| **anchor == link).count(), 1, "{link}");
        }
    }
}

#[test]
fn an_empty_capture_has_a_page() {
    let text = empty().html();
    assert!(text.contains("0 journeys of 0 packets at 0 vantages"), "{text}");
    assert!(empty().svg().contains("No packet was seen"));
}
