//! The page as a person sees it: opened in a real Chromium, wide and narrow, light and dark.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

mod chromium;
mod samples;

use std::path::{Path, PathBuf};

use chromium::{Browser, FOLDED, OUTSIDE, keep};
use model::Diagnosis;
use report::Recorded;
use samples::rows;

/// Texts of the picture that leave it, or that lie over one another.
const CROWDED: &str = include_str!("chromium/crowded.js");

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
