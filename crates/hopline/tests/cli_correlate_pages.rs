//! `hopline correlate --html` and `--svg` on captures with an answer key.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
#[path = "../../correlate/tests/support/generate.rs"]
#[allow(dead_code, reason = "the generator's names and clocks are for the tests of its own crate")]
mod generate;
#[path = "../../correlate/tests/support/octets.rs"]
mod octets;

use std::fs;

use cli_support::{assert_refused, hopline};
use serde_json::Value;
use tempfile::TempDir;

const CAPTURES: [&str; 5] = ["correlate", "tap.pcap", "uplink.pcap", "router.pcap", "server.pcap"];

/// Four captures of so many packets, by clocks that differ, with losses and copies, and their key.
fn captures(packets: u64) -> (TempDir, generate::Key) {
    let folder = tempfile::tempdir().unwrap();
    let mut files: [Vec<u8>; 4] = Default::default();
    let [a, b, c, d] = &mut files;
    let plan = generate::Plan { seed: 5, packets, lost_in: 50, duplicated_in: 100, lost_alone: None };
    let key = generate::generate(&plan, [a, b, c, d]).unwrap();
    for (name, file) in generate::NAMES.iter().zip(&files) {
        fs::write(folder.path().join(format!("{name}.pcap")), file).unwrap();
    }
    (folder, key)
}

#[test]
fn a_page_of_ten_thousand_journeys_tells_each_kind_of_loss() {
    let (folder, key) = captures(10_000);
    let asked = [&CAPTURES[..], &["--html", "page.html", "--svg", "ways.svg", "--json"]].concat();
    let run = hopline(folder.path(), &asked);
    assert_eq!((run.code, run.stderr.as_str()), (1, ""), "{run:?}");
    let document: Value = serde_json::from_str(&run.stdout).unwrap();
    let page = fs::read_to_string(folder.path().join("page.html")).unwrap();
    assert!(page.len() < 2_000_000, "{}", page.len());
    let (journeys, lost) = (&document["journeys"], &document["lost_count"]);
    assert_eq!(lost.as_u64(), Some(key.lost.len() as u64));
    let said = format!("120 of {journeys} journeys are drawn: 60 of {lost} that were lost, the 30 slowest");
    assert!(page.contains(&said), "{said}");
    // Each loss that is drawn is a planted one, with the way before it.
    let rows: Vec<&str> = page.split("<ol class=\"hops\" id=\"journey-").skip(1).collect();
    assert_eq!(rows.len(), 120);
    let told = rows.iter().map(|row| row.split("</ol>").next().unwrap()).filter(|row| row.contains("✗ lost"));
    let planted = key.lost.iter().map(|(last, frame, next)| {
        let (last, next) = (generate::NAMES[*last], generate::NAMES[*next]);
        (format!("packet {frame} of {last}.pcap,"), format!("expected at <b>{next}</b>"))
    });
    let planted: Vec<_> = planted.collect();
    let mut count = 0;
    for row in told {
        let is_planted = planted.iter().any(|(packet, at)| row.contains(packet) && row.contains(at));
        assert!(is_planted, "{row}");
        count += 1;
    }
    assert_eq!(count, 60);
    let svg = fs::read_to_string(folder.path().join("ways.svg")).unwrap();
    assert!(svg.starts_with("<svg xmlns=") && svg.contains(&said) && svg.contains("LOST, expected at "));
}

#[test]
fn what_is_read_or_written_besides_is_not_written_over() {
    let (folder, _) = captures(40);
    let before = fs::read(folder.path().join("tap.pcap")).unwrap();
    let cases: [(&[&str], &str); 5] = [
        (&["--html", "tap.pcap"], "`--html` would write over tap.pcap"),
        (&["--svg", "./tap.pcap"], "`--svg` would write over tap.pcap"),
        (&["-w", "all.pcapng", "--svg", "all.pcapng"], "`--svg` would write over all.pcapng"),
        (&["-w", "./all.pcapng", "--html", "all.pcapng"], "`--html` would write over ./all.pcapng"),
        (&["--html", "no/such/page.html"], "cannot write no/such/page.html"),
    ];
    for (flags, message) in cases {
        assert_refused(&hopline(folder.path(), &[&CAPTURES[..], flags].concat()), &[message]);
    }
    assert_eq!(fs::read(folder.path().join("tap.pcap")).unwrap(), before);
    assert!(!folder.path().join("all.pcapng").exists());
}
