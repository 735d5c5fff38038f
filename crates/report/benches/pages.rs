//! How long the page of 10,000 journeys takes to be written, and to be opened in Chromium, beside a page with one line
//! of text for each of them. A page that is larger or slower than it may be makes it fail.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a measurement that cannot be taken ends here")]
#![allow(clippy::print_stdout, reason = "the measurement is the answer")]

#[path = "../tests/captures/mod.rs"]
mod captures;
#[path = "../tests/chromium/mod.rs"]
mod chromium;

use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use chromium::Browser;

const JOURNEYS: u32 = 10_000;
const RUNS: usize = 9;

/// What a page may have, and how long it may take to open, by the median.
const OCTETS_MAX: usize = 2_000_000;
const OPENED_MS_MAX: f64 = 1_000.0;

fn main() -> ExitCode {
    // Half of them are answers, so half as many pings.
    let taken = captures::many(JOURNEYS / 2);
    let start = Instant::now();
    let page = taken.html();
    let written_ms = start.elapsed().as_secs_f64() * 1e3;
    let line = "02:24:42.000000 10.0.2.24 &gt; 1.2.3.4: ICMP echo request, id 7, seq 1, length 64 | compute1//vnet0 \
                +4.0us compute1//br100 +12.0us compute1//eth0 +104.0us router//veth +340.0us server//eth0\n";
    let journeys = usize::try_from(taken.report.journeys).unwrap();
    let lines = format!("<!DOCTYPE html><pre>{}</pre>", line.repeat(journeys));
    let folder = tempfile::tempdir().unwrap();
    let mut browser = Browser::start();
    browser.look(1280, "light");
    println!("{journeys} journeys; page written in {written_ms:.1} ms");
    let mut is_within = page.len() < OCTETS_MAX;
    for (name, text) in [("page", &page), ("lines of text", &lines)] {
        let file = folder.path().join("page.html");
        std::fs::write(&file, text).unwrap();
        let mut times: Vec<f64> = (0..RUNS).map(|_| opened_ms(&mut browser, &file)).collect();
        times.sort_by(f64::total_cmp);
        println!(
            "{name:<14} {:>9} bytes, opened in {:>6.0} ms (median of {RUNS}; slowest {:.0} ms)",
            text.len(),
            times[RUNS / 2],
            times[RUNS - 1]
        );
        is_within &= name != "page" || times[RUNS / 2] < OPENED_MS_MAX;
    }
    if !is_within {
        println!("a page has to have less than {OCTETS_MAX} bytes and to open in {OPENED_MS_MAX} ms");
        return ExitCode::FAILURE;
    }
    ExitCode::SUCCESS
}

/// From the click until the page is loaded and drawn.
fn opened_ms(browser: &mut Browser, file: &Path) -> f64 {
    let start = Instant::now();
    browser.open(file);
    start.elapsed().as_secs_f64() * 1e3
}
