//! The pages of a broken lab, opened in a real Chromium: of a diagnosis, and of a capture while it breaks. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "../../report/tests/chromium/mod.rs"]
mod chromium;
mod cli_support;
mod support;

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use chromium::{Browser, FOLDED, OUTSIDE};
use cli_support::{command, read};
use serde_json::json;
use support::test_lab::TestLab;
use support::{printed, run};

const FAULT: &str = "foreign-rule-drop";
const OUTSIDE_WORLD: &str = "1.2.3.4";

#[test]
fn pages_of_a_broken_lab_show_where_packets_die() {
    let lab = TestLab::up("page");
    let folder = tempfile::tempdir().unwrap();
    let place = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (ways_html, ways_svg) = (place("ways.html"), place("ways.svg"));

    // Three pings that arrive, and two once the rule is there.
    let filter = format!("icmp and host {} and host {OUTSIDE_WORLD}", lab.address("web1"));
    let site = lab.site();
    let mut capture = command(folder.path());
    capture.args(["capture", &filter, "--for", "60s", "--site", site.to_str().unwrap()]);
    capture.args(["--html", &ways_html, "--svg", &ways_svg]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut capture = capture.spawn().unwrap();
    let mut said = String::new();
    let mut stderr = BufReader::new(capture.stderr.take().unwrap());
    while !said.contains("hopline: watching ") {
        assert!(stderr.read_line(&mut said).unwrap() > 0, "it ended: {said}");
    }
    let ping = |count: &str, code: i32| {
        let netns = lab.netns("web1");
        let argv =
            ["ip", "netns", "exec", &netns, "ping", "-q", "-i", "0.2", "-W", "1", "-c", count, OUTSIDE_WORLD];
        assert_eq!(run(&argv).status.code(), Some(code), "{argv:?}");
    };
    ping("3", 0);
    lab.break_fault(FAULT);
    // ping waits for the answer for longer than a packet is under way.
    ping("2", 1);
    printed(&["kill", "-s", "INT", &capture.id().to_string()]);
    let told = read(capture.wait_with_output().unwrap());
    assert_eq!(told.code, 1, "{told:?}");

    let status = |columns: &str, color: &str| {
        let mut status = command(folder.path());
        status.args(["lab", "status", "--name", &lab.name, "--color", color]).env("COLUMNS", columns);
        read(status.output().unwrap()).stdout
    };
    for (columns, width) in [("80", 80), ("200", 200)] {
        let told = status(columns, "never");
        let fits = |line: &str| line.len() <= width || line.starts_with("  enter it ");
        assert!(told.contains(&lab.netns("ext")) && told.lines().all(fits), "{told}");
        assert!(told.contains(&format!("faults      {FAULT}")), "{told}");
        assert_eq!(status(columns, "always"), told, "it has no colours");
    }

    let (html, svg) = (place("page.html"), place("path.svg"));
    let told = lab.run(&["diagnose", "web1", "--html", &html, "--svg", &svg]);
    assert_eq!(told.code, 1, "{told:?}");

    let mut browser = Browser::start();
    for (width, scheme) in [(1280, "light"), (1280, "dark"), (390, "light"), (390, "dark")] {
        for file in [&html, &ways_html] {
            browser.look(width, scheme);
            browser.open(file.as_ref());
            browser.run("document.querySelectorAll('details').forEach(e => e.open = true)");
            assert_eq!(browser.complaints(), Vec::<String>::new(), "{file} {width} {scheme}");
            assert_eq!(browser.run(OUTSIDE), json!([]), "{file} {width} {scheme}");
        }
    }
    // A4 less its margins, at 96 pixels an inch.
    browser.look(718, "light");
    browser.open(html.as_ref());
    browser.print(718);
    assert_eq!(browser.run(OUTSIDE), json!([]));
    assert_eq!(browser.run(FOLDED), json!([]));
    browser.look(1280, "light");
    browser.open(html.as_ref());
    assert_eq!(browser.run("document.querySelector('.first .code').innerText"), FAULT);
    let at_break = "[...document.querySelectorAll('.picture a')].find(e => e.getClientRects().length && \
                    e.querySelector('.bad'))";
    let station = browser.run(&format!("{at_break}.getAttribute('aria-label')"));
    assert!(station.as_str().unwrap().starts_with("compute1 br100, the way there: ends here"), "{station}");
    let line = browser.run(&format!("document.querySelector({at_break}.getAttribute('href')).innerText"));
    assert!(line.as_str().unwrap().contains("FORWARD rule 1"), "{line}");

    let rows = browser.run(
        "[...document.querySelectorAll('h2')].find(e => e.innerText === 'Its rows in the database') \
                            .parentElement.innerText",
    );
    for row in [
        "name web1, host compute1, vm_state active",
        "address 10.0.2.24",
        "address 203.0.113.30, of 10.0.2.24",
    ] {
        assert!(rows.as_str().unwrap().contains(row), "{row} in {rows}");
    }

    let all = place("all.html");
    let told = lab.run(&["diagnose", "--all", "--passive", "--html", &all]);
    assert_eq!(told.code, 1, "{told:?}");
    browser.open(all.as_ref());
    let rows = browser.run(
        "(() => { const rows = [...document.querySelectorAll('h2')] \
         .find(e => e.innerText === 'Rows in the database of those that are hit').parentElement; \
         rows.querySelectorAll('details').forEach(e => e.open = true); return rows.innerText; })()",
    );
    for row in ["web1", "name web1, host compute1, vm_state active", "address 203.0.113.30, of 10.0.2.24"] {
        assert!(rows.as_str().unwrap().contains(row), "{row} in {rows}");
    }
    browser.open(html.as_ref());

    let drawn = "[...document.querySelectorAll('.sequence .gone')].filter(e => e.checkVisibility()).length";
    assert_eq!(browser.run(drawn), 2, "its two pings are lost, and the others' are folded");
    let lost = browser.run("document.querySelector('.sequence .wide .lost').textContent");
    assert!(lost.as_str().unwrap().starts_with("LOST: FORWARD rule 1"), "{lost}");
    // From inside the instance to its tap both were timed; behind the bridge nobody saw them.
    let strips = "[...document.querySelectorAll('.sequence .strip svg')].filter(e => e.checkVisibility()) \
                  .map(e => [e.closest('li').querySelector('b').innerText, e.getAttribute('aria-label'), \
                  e.querySelectorAll('.sample').length, e.getBoundingClientRect().width > 300])";
    let strips = browser.run(strips);
    let (name, label) = (&strips[0][0], strips[0][1].as_str().unwrap());
    assert_eq!(*name, "web1//eth0 to compute1//vnet0", "{strips}");
    assert!(label.starts_with("times as dots: ") && label.ends_with("; 2 packets"), "{strips}");
    assert_eq!((&strips[0][2], &strips[0][3]), (&json!(1), &json!(true)), "{strips}");
    assert_eq!(strips.as_array().unwrap().len(), 1, "a bridge has no stamp of its own: {strips}");
    let behind = browser.run("document.querySelector('.stretches').innerText");
    assert!(behind.as_str().unwrap().contains("behind compute1//br100: 2 packets, all lost"), "{behind}");
    let folded = "document.querySelectorAll('.sequence > details > summary').length";
    assert!(browser.run(folded).as_u64().unwrap() >= 5, "the ladder's other questions");
    assert_eq!(browser.run("document.querySelectorAll('script').length"), 0);
    let astray = "[...document.querySelectorAll('a')].map(e => e.getAttribute('href')) \
                  .filter(href => !href.startsWith('#') || !document.getElementById(href.slice(1)))";
    assert_eq!(browser.run(astray), json!([]), "links that lead nowhere");

    browser.open(ways_html.as_ref());
    let crosses = "[...document.querySelectorAll('.gone')].filter(e => e.getClientRects().length).length";
    assert_eq!(browser.run(crosses), 2);
    let lost = browser.run("document.querySelector('.sequence .wide .lost').textContent");
    assert_eq!(lost, "LOST, expected at compute1//eth0");
    for (svg, strips) in [(&svg, 1), (&ways_svg, 0)] {
        browser.open(svg.as_ref());
        assert_eq!(browser.run("document.querySelectorAll('.sample').length"), strips, "{svg}");
        assert_eq!(browser.complaints(), Vec::<String>::new(), "{svg}");
        assert_eq!(browser.run("document.documentElement.tagName"), "svg", "{svg}");
    }
}
