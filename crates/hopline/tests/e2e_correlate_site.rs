//! Captures of several machines, put in order by the site that they are of. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
mod support;

use std::path::Path;

use cli_support::capture_files::pcapng;
use cli_support::{assert_refused, hopline};
use serde_json::Value;
use support::report::{list, text};
use support::wire::Wire;

/// Datagrams from 10.9.8.1 to 10.9.8.2 that nobody answers, a millisecond apart, as two machines' captures. The
/// second one's clock is 5 ms behind, so that it seems to be the first; number 40 is lost before it.
fn one_way(folder: &Path) {
    let datagram = |number: u8| {
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 8, 0];
        frame.extend([0x45, 0, 0, 32, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 8, 1, 10, 9, 8, 2]);
        frame.extend([0x9c, 0x40, 0x9c, 0x41, 0, 12, 0, 0, 7, 7, 7, number]);
        frame
    };
    for (file, name, offset_ns) in [("left", "left//wire0", 0), ("right", "right//wire0", -5_000_000)] {
        let time = |number: u8| 1_790_000_000_000_000_000 + i64::from(number) * 1_000_000 + offset_ns;
        let seen = (0..80_u8).filter(|number| file == "left" || *number != 40);
        let packets: Vec<_> = seen.map(|number| (0, time(number), datagram(number))).collect();
        std::fs::write(folder.join(format!("{file}.pcapng")), pcapng(&[name], &packets)).unwrap();
    }
}

#[test]
fn captures_of_two_machines_are_in_the_order_that_the_site_tells() {
    let wire = Wire::new("o");
    let (with_site, without) = (wire.folder.path(), tempfile::tempdir().unwrap());
    let site = wire.site();
    let asked = ["--site", site.to_str().unwrap()];
    [with_site, without.path()].into_iter().for_each(one_way);
    let told = |folder: &Path, more: &[&str]| {
        let arguments = ["correlate", "left.pcapng", "right.pcapng", "--json", "--each"];
        let run = hopline(folder, &[&arguments[..], more].concat());
        let lines: Vec<Value> = run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let [first, .., json] = lines.as_slice() else { panic!("{run:?}") };
        let way: Vec<&str> = list(&first["seen"]).iter().map(|seen| text(&seen["vantage"])).collect();
        let lost = list(&json["lost"]).iter().map(|l| (text(&l["last_seen"]), text(&l["expected_at"])));
        let lost: Vec<_> = lost.map(|(last, next)| format!("{last} > {next}")).collect();
        (run.code, way.join(" > "), lost.join(", "), run.stderr)
    };
    let inferred = |said: &str| (0, "right//wire0 > left//wire0".to_owned(), String::new(), said.to_owned());
    let known = "left//wire0 > right//wire0".to_owned();
    let known = (1, known.clone(), known, String::new());
    assert_eq!(told(without.path(), &[]), inferred(""), "else this test is of nothing");
    assert_eq!(told(with_site, &[]), known, "by the site file that is found");
    assert_eq!(told(without.path(), &asked), known, "by the one that is asked for");

    // Of a site that is not theirs nothing is known, and one that is out of reach is no obstacle.
    std::fs::write(&site, "[[host]]\nname = \"other\"\nat = \"netns:ht-e2ecap-none\"\n").unwrap();
    assert_eq!(told(with_site, &[]), inferred(""));
    let (.., said) = told(without.path(), &asked);
    assert_eq!(
        said,
        "hopline: the captures have no two vantages of the site: TTLs and clocks alone tell their order\n"
    );
    let gone = |name: &str| format!("[[host]]\nname = \"{name}\"\nat = \"netns:ht-e2ecap-none\"\n");
    std::fs::write(&site, gone("left") + &gone("right")).unwrap();
    let (code, way, lost, said) = told(with_site, &[]);
    assert_eq!((code, way, lost), (0, "right//wire0 > left//wire0".to_owned(), String::new()));
    assert!(
        said.starts_with("hopline: the site does not tell the order of the vantages: left is out"),
        "{said}"
    );
    std::fs::write(&site, "[[host").unwrap();
    let (.., said) = told(with_site, &[]);
    assert!(
        said.starts_with("hopline: the site does not tell the order of the vantages: site file"),
        "{said}"
    );
    let run = hopline(without.path(), &[&["correlate", "left.pcapng"], &asked[..]].concat());
    assert_refused(&run, &["site file", "line 1"]);
}
