//! A few clouds against the running kernel. Needs root.
//!
//! The seed is fixed, so that a change is judged by its own doing: `hopline selftest` draws others.
//! `HOPLINE_SELFTEST_CASES` and `HOPLINE_SELFTEST_SEED` ask for more, or for others.

use selftest::Options;

#[test]
fn packets_fare_as_the_walk_says() {
    let number =
        |name: &str, usual: u64| std::env::var(name).map_or(usual, |value| value.parse().expect("a number"));
    let (seed, cases) = (number("HOPLINE_SELFTEST_SEED", 3), number("HOPLINE_SELFTEST_CASES", 60));
    let options = Options { seed, cases, workers: 4, unmodelled: false };
    let report = selftest::run(&options, |_, _| {}).expect("the clouds can be built");
    println!("seed {seed}: {} agreed, {} unknown of {cases}", report.agreed, report.unknown);
    let told: Vec<String> =
        report.disagreements.iter().map(|wrong| format!("{}\n{}", wrong.told, wrong.built)).collect();
    assert_eq!(report.wrong, 0, "seed {seed}\n{}", told.join("\n\n"));
    assert!(report.packets.delivered > 0 && report.packets.lost > 0, "{:?}", report.packets);
    assert!(report.coverage.matches.len() > 20, "hardly anything was drawn: {:?}", report.coverage);
}
