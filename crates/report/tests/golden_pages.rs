//! Pages and pictures, byte for byte, from diagnoses made by hand. How they look in a browser is `browser.rs`'.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod samples;

use model::Diagnosis;
use model::Intent;
use report::Recorded;
use samples::rows::{recorded, recorded_as, several};
use samples::{EVIL, fault, healthy, hostile, long, scripted, two_findings, undetermined};

fn html(diagnosis: &Diagnosis) -> String {
    let mut out = Vec::new();
    report::html(diagnosis, None, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

/// The page of web1, of which this is meant.
fn html_of(diagnosis: &Diagnosis, intent: &Intent) -> String {
    html_with(diagnosis, Recorded { intent, asked: Some(&intent.instances[0]) })
}

/// The page of all instances.
fn html_of_all(diagnosis: &Diagnosis, intent: &Intent) -> String {
    html_with(diagnosis, Recorded { intent, asked: None })
}

fn html_with(diagnosis: &Diagnosis, recorded: Recorded<'_>) -> String {
    let mut out = Vec::new();
    report::html(diagnosis, Some(recorded), &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

fn svg(diagnosis: &Diagnosis) -> String {
    let mut out = Vec::new();
    report::svg(diagnosis, &mut out).unwrap();
    String::from_utf8(out).unwrap()
}

#[test]
fn a_picture_shows_where_the_packet_stops_and_the_rule_beside_it() {
    insta::assert_snapshot!(svg(&fault()));
}

#[test]
fn a_long_path_wraps_and_is_broken_where_it_was_last_seen() {
    insta::assert_snapshot!(svg(&long(3)));
}

#[test]
fn a_page_holds_it_all() {
    insta::assert_snapshot!(body(&html_of(&two_findings(), &recorded())));
}

#[test]
fn without_a_database_no_row_is_spoken_of() {
    let known = recorded();
    let mut other = recorded();
    other.from_database = false;
    assert_eq!(html_of(&healthy(), &other), html(&healthy()));
    // An instance that libvirt alone tells of, on a host whose database was read.
    let mut other = recorded();
    other.instances[0].id = None;
    assert_eq!(html_of(&healthy(), &other), html(&healthy()));
    // No name is another row.
    let two = recorded_as("a\nid 8, host compute9");
    assert!(!html_of(&healthy(), &two).contains("\nid 8"));
    let more = html_of(&healthy(), &known).len() - html(&healthy()).len();
    assert!((1_000..4_000).contains(&more), "{more} octets more for some sixteen rows");
}

#[test]
fn a_page_of_all_has_the_rows_of_those_that_are_hit() {
    let page = html_of_all(&two_findings(), &several(3));
    let (_, section) = page.split_once("<section><h2>Rows in the database").expect("a section of rows");
    insta::assert_snapshot!(section.split("</section>").next().unwrap());
    assert_eq!(html_of_all(&healthy(), &several(3)), html(&healthy()), "none is hit");
    // One that libvirt alone tells of has no row, nor has any where no database was read.
    let mut unknown = several(3);
    unknown.instances.iter_mut().for_each(|instance| instance.id = None);
    assert_eq!(html_of_all(&two_findings(), &unknown), html(&two_findings()));
    let mut unread = several(3);
    unread.from_database = false;
    assert_eq!(html_of_all(&two_findings(), &unread), html(&two_findings()));
    // Where a whole host is hit its page stays one that can be read.
    let mut all = two_findings();
    all.findings[0].instances = several(300).instances.into_iter().map(|instance| instance.name).collect();
    let page = html_of_all(&all, &several(300));
    assert!(
        page.contains("<summary>web20</summary>") && !page.contains("<summary>web21</summary>"),
        "{page}"
    );
    assert!(page.contains("<p class=\"dim\">and those of 280 more</p>"), "{page}");
}

#[test]
fn a_page_in_doubt_says_what_would_settle_it() {
    insta::assert_snapshot!(body(&html(&undetermined())));
}

/// Without the style, which would only repeat its source.
fn body(html: &str) -> &str {
    html.split_once("<body>").expect("a page has a body").1
}

#[test]
fn the_same_diagnosis_gives_the_same_bytes() {
    assert_eq!(html(&long(3)), html(&long(3)));
}

#[test]
fn nothing_is_loaded_and_nothing_runs() {
    let evil = recorded_as(EVIL);
    for diagnosis in [fault(), healthy(), hostile(), scripted(), undetermined()] {
        let mut hit = diagnosis.clone();
        hit.findings.iter_mut().for_each(|finding| finding.instances = vec![EVIL.to_owned()]);
        for text in [html_of(&diagnosis, &evil), html_of_all(&hit, &evil), svg(&diagnosis)] {
            let tags: Vec<&str> = text.split('<').skip(1).map(|tag| tag.split('>').next().unwrap()).collect();
            for tag in tags {
                let name = tag.split([' ', '\n', '/']).next().unwrap();
                assert!(!["script", "img", "iframe", "object", "use", "image"].contains(&name), "{tag}");
                for harm in [" on", "javascript:", "src=", "url("] {
                    // Within a quoted value such a word is text; values hold no quotes of their own.
                    let outside: String = tag.split('"').step_by(2).collect();
                    assert!(!outside.contains(harm), "{harm} in {tag}");
                }
            }
            assert!(!text.contains("@import") && !text.contains("url("), "the style loads something");
            assert!(!text.chars().any(|c| c != '\n' && c.is_control()), "{text:?}");
            assert!(!text.contains(['\u{202e}', '\u{200b}']), "{text:?}");
        }
    }
}

#[test]
fn each_link_leads_somewhere_and_no_anchor_stands_twice() {
    for diagnosis in [fault(), long(3), two_findings(), scripted()] {
        let text = html(&diagnosis);
        let values = |start: &str| -> Vec<String> {
            text.split(start).skip(1).map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
        };
        let (anchors, links) = (values(" id=\""), values(" href=\"#"));
        assert!(!links.is_empty());
        for link in links {
            assert_eq!(anchors.iter().filter(|anchor| **anchor == link).count(), 1, "{link}");
        }
        let mut once = anchors.clone();
        once.sort();
        once.dedup();
        assert_eq!(once.len(), anchors.len());
    }
}
