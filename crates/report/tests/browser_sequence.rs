//! The page of packets' ways as a person sees it: opened in a real Chromium, wide and narrow, light and dark, and put
//! on paper.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod captures;
mod chromium;

use std::path::{Path, PathBuf};

use captures::Taken;
use chromium::{Browser, OUTSIDE, keep};
use serde_json::json;

/// Texts of the pictures that leave them, or that lie over one another.
const CROWDED: &str = include_str!("chromium/crowded_rows.js");

fn written(folder: &Path, name: &str, taken: &Taken) -> PathBuf {
    let file = folder.join(format!("{name}.html"));
    std::fs::write(&file, taken.html()).unwrap();
    file
}

#[test]
fn pages_are_whole_at_every_width_in_light_and_dark() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    let pages = [
        ("lost", captures::lost()),
        ("loops", captures::loops()),
        ("crowd", captures::crowd()),
        ("single", captures::single()),
        ("empty", captures::empty()),
        ("many", captures::many(10_000)),
    ];
    for (name, taken) in &pages {
        let file = written(folder.path(), name, taken);
        let page = (format!("sequence-{name}"), *name == "many");
        chromium::sweep(&mut browser, (&page.0, &file, page.1), CROWDED, |_, _| {});
    }
}

#[test]
fn an_arrow_leads_to_its_packets_by_mouse_and_by_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    let file = written(folder.path(), "lost", &captures::lost());
    browser.open(&file);
    let place = browser.run(
        "(() => { const r = [...document.querySelectorAll('.flow')].find(e => e.getClientRects().length \
         && e.getBoundingClientRect().width).getBoundingClientRect(); return [r.x + 30, r.y + r.height / 2]; })()",
    );
    browser.click(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    browser.settle();
    let shown = "(() => { const e = document.querySelector(':target'); const r = e?.getBoundingClientRect(); \
                 return r && r.height > 40 && r.top >= 0 && r.top < innerHeight ? e.innerText : ''; })()";
    let told = browser.run(shown);
    let told = told.as_str().unwrap();
    assert!(told.contains("packet 1 of compute1.pcapng, 2026-11-24T02:24:42.000000000Z"), "{told}");
    assert!(told.contains("now 203.0.113.30 > 1.2.3.4, ttl 63"), "{told}");

    browser.open(&file);
    browser.press("Tab", 9);
    let link = browser.run("document.activeElement.getAttribute('href')");
    assert_eq!(link, "#journey-1");
    browser.press("Enter", 13);
    browser.settle();
    assert_eq!(browser.run("location.hash"), link);
    assert_ne!(browser.run(shown), "", "it is unfolded");
}

#[test]
fn the_heads_of_the_columns_stay_in_view() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&written(folder.path(), "many", &captures::many(2_000)));
    browser.run("scrollTo(0, document.querySelector('.wide .rows').getBoundingClientRect().top + 2000)");
    browser.settle();
    assert_eq!(browser.run("document.querySelector('.wide .heads').getBoundingClientRect().top"), 0);
}

#[test]
fn names_of_strangers_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&written(folder.path(), "crowd", &captures::crowd()));
    assert_eq!(browser.run("document.querySelectorAll('script, img, iframe').length"), 0);
    let name = serde_json::to_string(captures::HOSTILE).unwrap();
    assert_eq!(browser.run(&format!("document.body.innerText.includes({name})")), true);
}

#[test]
fn on_paper_all_is_unfolded_light_and_within_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    for (name, taken) in [("lost", captures::lost()), ("crowd", captures::crowd())] {
        let file = written(folder.path(), name, &taken);
        // A4 less its margins, at 96 pixels an inch.
        browser.look(718, "dark");
        browser.open(&file);
        browser.print(718);
        assert_eq!(browser.run(OUTSIDE), json!([]), "{name}");
        assert_eq!(browser.run(CROWDED), json!([]), "{name}");
        assert_eq!(browser.run(chromium::FOLDED), json!([]), "{name}");
        assert_eq!(browser.run("getComputedStyle(document.body).backgroundColor"), "rgb(255, 255, 255)");
        keep(&format!("sequence-{name}-print"), &browser.picture());
        assert!(browser.pages() >= 1);
    }
}
