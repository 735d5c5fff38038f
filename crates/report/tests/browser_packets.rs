//! The packets on a diagnosis' page as a person sees them: opened in a real Chromium, wide and narrow, light and dark,
//! and put on paper.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod chromium;
mod samples;

use std::path::{Path, PathBuf};

use chromium::{Browser, FOLDED, OUTSIDE, keep};
use model::Diagnosis;
use samples::packets;
use serde_json::json;

/// Texts of the pictures that leave them, or that lie over one another.
const CROWDED: &str = include_str!("chromium/crowded_rows.js");

/// Strips that are too small to be read, or lie over their words, or say nothing to whoever does not see them.
const POOR_STRIPS: &str = include_str!("chromium/poor_strips.js");

const UNFOLD: &str = "document.querySelectorAll('details').forEach(e => e.open = true)";

fn written(folder: &Path, name: &str, diagnosis: &Diagnosis) -> PathBuf {
    let file = folder.join(format!("{name}.html"));
    let mut out = Vec::new();
    report::html(diagnosis, None, &mut out).unwrap();
    std::fs::write(&file, out).unwrap();
    file
}

#[test]
fn pages_are_whole_at_every_width_in_light_and_dark() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    let pages =
        [("lost", packets::lost_pings()), ("clocks", packets::two_clocks()), ("hostile", packets::faced())];
    for (name, diagnosis) in &pages {
        let file = written(folder.path(), name, diagnosis);
        let page = (format!("packets-{name}"), *name == "hostile");
        chromium::sweep(&mut browser, (&page.0, &file, page.1), CROWDED, |browser, case| {
            let shown = "[...document.querySelectorAll('.sequence .heads, .sequence .rows')] \
                         .filter(e => e.checkVisibility()).length";
            assert_eq!(browser.run(shown), 2, "{case}: heads and rows of one width");
            browser.run(UNFOLD);
            assert_eq!(browser.run(POOR_STRIPS), json!([]), "{case}");
            assert_ne!(browser.run("document.querySelectorAll('.stretches .strip').length"), 0, "{case}");
        });
    }
}

#[test]
fn an_arrow_leads_to_its_lines_by_mouse_and_by_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    let file = written(folder.path(), "lost", &packets::lost_pings());
    browser.open(&file);
    let place = browser.run(
        "(() => { const e = [...document.querySelectorAll('.sequence .flow')].find(e => e.getClientRects().length); \
         e.scrollIntoView({ block: 'center' }); const r = e.getBoundingClientRect(); \
         return [r.x + 30, r.y + r.height / 2]; })()",
    );
    browser.click(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    browser.settle();
    let shown = "(() => { const e = document.querySelector(':target'); const r = e?.getBoundingClientRect(); \
                 return r && r.height > 40 && r.top >= 0 && r.top < innerHeight ? e.innerText : ''; })()";
    let told = browser.run(shown);
    let told = told.as_str().unwrap();
    assert!(told.contains("compute1//vnet0 2026-11-24T02:24:42.000000000Z"), "{told}");
    assert!(told.contains("LOST: DOCKER-USER rule 2 drops it"), "{told}");

    browser.open(&file);
    // Past the stations of the path, whose number is the picture's.
    browser.run("[...document.querySelectorAll('.sequence a')].find(e => e.getClientRects().length).focus()");
    browser.press("Tab", 9);
    let link = browser.run("document.activeElement.getAttribute('href')");
    assert_eq!(link, "#packets-2-2");
    browser.press("Enter", 13);
    browser.settle();
    assert_eq!(browser.run("location.hash"), link);
    let place = "JSON.stringify(document.querySelector(':target')?.getBoundingClientRect())";
    assert_ne!(browser.run(shown), "", "it is unfolded: {}", browser.run(place));
}

#[test]
fn names_of_strangers_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&written(folder.path(), "hostile", &packets::faced()));
    assert_eq!(browser.run("document.querySelectorAll('script, img, iframe').length"), 0);
}

#[test]
fn on_paper_all_is_unfolded_light_and_within_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    for (name, diagnosis) in [("lost", packets::lost_pings()), ("clocks", packets::two_clocks())] {
        // A4 less its margins, at 96 pixels an inch.
        browser.look(718, "dark");
        browser.open(&written(folder.path(), name, &diagnosis));
        browser.print(718);
        assert_eq!(browser.run(OUTSIDE), json!([]), "{name}");
        assert_eq!(browser.run(CROWDED), json!([]), "{name}");
        assert_eq!(browser.run(FOLDED), json!([]), "{name}");
        assert_eq!(browser.run(POOR_STRIPS), json!([]), "{name}");
        assert_eq!(browser.run("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
        keep(&format!("packets-{name}-print"), &browser.picture());
        assert!(browser.pages() >= 1);
    }
}
