//! The page as a person sees it: opened in a real Chromium, wide and narrow, light and dark.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod chromium;
mod samples;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use chromium::{Browser, FOLDED, OUTSIDE, keep};
use model::Diagnosis;
use report::Recorded;
use samples::rows;

/// Texts of the picture that leave it, or that lie over one another.
const CROWDED: &str = include_str!("chromium/crowded.js");
/// Shapes of the marks, without their colours and places: those of the legend by their words, and each station's.
const MARKS: &str = include_str!("chromium/marks.js");
/// The stations that are shown, each of which is a link.
const STATIONS: &str =
    "[...[...document.querySelectorAll('svg')].find(e => e.clientWidth).querySelectorAll('a')]";

fn written(folder: &Path, name: &str, diagnosis: &Diagnosis) -> PathBuf {
    let file = folder.join(format!("{name}.html"));
    let mut out = Vec::new();
    let intent = rows::recorded_as(if name == "hostile" { samples::EVIL } else { "web1" });
    let asked = (name != "all").then(|| &intent.instances[0]);
    report::html(diagnosis, Some(Recorded { intent: &intent, asked }), &mut out).unwrap();
    std::fs::write(&file, out).unwrap();
    file
}

#[test]
fn pages_are_whole_at_every_width_in_light_and_dark() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    let pages = [
        ("fault", samples::two_findings()),
        ("long", samples::long(3)),
        ("healthy", samples::long(9)),
        ("doubt", samples::undetermined()),
        ("hostile", samples::scripted()),
        ("all", samples::two_findings()),
    ];
    for (name, diagnosis) in &pages {
        let file = written(folder.path(), name, diagnosis);
        chromium::sweep(&mut browser, (name, &file, false), CROWDED, |browser, case| {
            let shown =
                browser.run("[...document.querySelectorAll('svg')].filter(e => e.clientWidth).length");
            assert_eq!(shown, 1, "{case}: one picture, the one that fits");
        });
    }
}

#[test]
fn hostile_names_are_text() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    let diagnosis = samples::scripted();
    browser.open(&written(folder.path(), "hostile", &diagnosis));
    assert_eq!(browser.run("document.querySelectorAll('script, img, iframe').length"), 0);
    let name = serde_json::to_string(&diagnosis.subject).unwrap();
    assert_eq!(browser.run(&format!("document.body.innerText.includes({name})")), true);
    assert_eq!(browser.run(&format!("document.title.startsWith({name})")), true);
    let rows = browser.run(
        "[...document.querySelectorAll('h2')].find(e => e.innerText === 'Its rows in the database') \
                            .parentElement.innerText",
    );
    assert!(rows.as_str().unwrap().contains(&format!("label {}", samples::EVIL)), "{rows}");
    // The policy refuses a script even where one would get in.
    browser.run("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.owned = 1\">')");
    assert_eq!(
        browser.run("new Promise(r => requestAnimationFrame(() => r(typeof window.owned)))"),
        "undefined"
    );
}

#[test]
fn rows_of_those_that_are_hit_are_folded() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&written(folder.path(), "all", &samples::two_findings()));
    let section = "[...document.querySelectorAll('h2')].find(e => e.innerText.startsWith('Rows in the database')) \
                   .parentElement";
    let summary = browser.run(&format!("{section}.querySelector('summary').innerText"));
    assert_eq!(summary, "web1");
    let table = format!("{section}.querySelector('dl').checkVisibility({{contentVisibilityAuto: true}})");
    assert_eq!(browser.run(&table), false);
    browser.run(&format!("{section}.querySelector('summary').click()"));
    assert_eq!(browser.run(&table), true);
    let text = browser.run(&format!("{section}.querySelector('dl').innerText"));
    assert!(
        text.as_str().unwrap().contains("id 7, ") && text.as_str().unwrap().contains("floating_ips"),
        "{text}"
    );
}

#[test]
fn a_station_leads_to_its_line_by_mouse_and_by_keyboard() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    browser.open(&written(folder.path(), "fault", &samples::two_findings()));
    let place = browser.run(
        "(() => { const mark = [...document.querySelectorAll('svg')].find(e => e.clientWidth).querySelector('.bad'); \
         const r = mark.getBoundingClientRect(); return [r.x + r.width / 2, r.y + r.height / 2]; })()",
    );
    browser.click(place[0].as_f64().unwrap(), place[1].as_f64().unwrap());
    browser.settle();
    let target = "document.querySelector(':target')?.innerText ?? ''";
    assert!(browser.run(target).as_str().unwrap().contains("DOCKER-USER rule 2 drops it"));
    let shown = "(() => { const r = document.querySelector(':target').getBoundingClientRect(); \
                 return r.top >= 0 && r.bottom <= innerHeight; })()";
    assert_eq!(browser.run(shown), true);

    browser.open(&written(folder.path(), "fault", &samples::two_findings()));
    browser.press("Tab", 9);
    assert_eq!(browser.run("document.activeElement.tagName"), "a");
    let link = browser.run("document.activeElement.getAttribute('href')");
    browser.press("Enter", 13);
    browser.settle();
    assert_eq!(browser.run("location.hash"), link);
    assert!(browser.run(target).as_str().unwrap().contains("web1 eth0"));
}

/// Who sees no colours tells the marks by their shapes, and each station has the one that the legend explains.
#[test]
fn marks_are_told_apart_without_colour() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    let pages = [
        ("fault", samples::two_findings()),
        ("seen", samples::long(9)),
        ("lost", samples::long(3)),
        ("doubt", samples::undetermined()),
    ];
    let mut met = BTreeSet::new();
    for (name, diagnosis) in &pages {
        browser.look(1280, "light");
        browser.open(&written(folder.path(), name, diagnosis));
        let marks = browser.run(MARKS);
        let legend = marks["legend"].as_object().unwrap();
        let shapes: BTreeSet<String> = legend.values().map(ToString::to_string).collect();
        assert_eq!((legend.len(), shapes.len()), (5, 5), "{name}: {legend:#?}");
        for station in marks["stations"].as_array().unwrap() {
            let label = station[0].as_str().unwrap();
            let (_, said) = label.split_once(": ").unwrap();
            let (words, shape) = legend.iter().find(|(words, _)| said.starts_with(*words)).unwrap();
            assert_eq!(&station[1], shape, "{name}: {label}");
            met.insert(words.clone());
        }
    }
    assert_eq!(met.len(), 5, "each is at some station: {met:?}");
}

#[test]
fn every_station_that_is_shown_is_reached_by_keyboard_in_its_order() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    for width in [1280, 390] {
        browser.look(width, "light");
        browser.open(&written(folder.path(), "long", &samples::long(3)));
        let all = browser.run(&format!("{STATIONS}.length")).as_u64().unwrap();
        assert!(all > 10, "{width}: {all} stations");
        let (mut reached, mut pressed) = (Vec::new(), 0);
        while (reached.len() as u64) < all && pressed < all + 100 {
            browser.press("Tab", 9);
            pressed += 1;
            let focused = browser.run(
                "[document.activeElement.closest('svg') !== null, document.activeElement.clientWidth, \
                 document.activeElement.getAttribute('href')]",
            );
            let place = browser.run(&format!("{STATIONS}.indexOf(document.activeElement)"));
            if focused[0] == true {
                assert_ne!(place, -1, "{width}: a station of the picture that is not shown: {focused}");
                reached.push(place.as_u64().unwrap());
                let leads = browser.run(
                    "(() => { const a = document.activeElement; \
                     const shown = getComputedStyle(a.querySelector('.touch')).fill; \
                     return [document.getElementById(a.getAttribute('href').slice(1)) !== null, shown]; })()",
                );
                assert_eq!(leads[0], true, "{width}: {focused} leads nowhere");
                assert_ne!(
                    leads[1], "rgba(0, 0, 0, 0)",
                    "{width}: {focused} does not show that it is chosen"
                );
            }
        }
        assert_eq!(reached, (0..all).collect::<Vec<_>>(), "{width}");
    }
}

#[test]
fn on_paper_all_is_unfolded_light_and_within_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    let pages =
        [("fault", samples::two_findings()), ("long", samples::long(3)), ("hostile", samples::scripted())];
    for (name, diagnosis) in &pages {
        // A4 less its margins, at 96 pixels an inch.
        browser.look(718, "dark");
        browser.open(&written(folder.path(), name, diagnosis));
        browser.print(718);
        assert_eq!(browser.run(OUTSIDE), serde_json::json!([]), "{name}");
        assert_eq!(browser.run(CROWDED), serde_json::json!([]), "{name}");
        assert_eq!(browser.run(FOLDED), serde_json::json!([]), "{name}");
        let paper = browser.run("getComputedStyle(document.body).backgroundColor");
        assert_eq!(paper, "rgb(255, 255, 255)", "{name}");
        keep(&format!("{name}-print"), &browser.picture());
        assert!(browser.pages() >= 1, "{name}");
    }
}
