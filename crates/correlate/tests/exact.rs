//! Captures with an answer key: every planted loss and copy is found, nothing else is, the clocks are where they
//! are, and memory does not grow with the capture. `make bench-correlate` asks the same of two million packets.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/generate.rs"]
mod generate;

use std::io::Cursor;

use correlate::{Correlator, Journey, Merge, Options, Report, Vantage};
use generate::{AHEAD_NS, Key, NAMES, Plan};
use model::sighting::Sighting;
use parse::capture::{self, Opened};
use parse::dissect;

const PLAN: Plan = Plan { seed: 1, packets: 20_000, lost_in: 1000, duplicated_in: 100, lost_alone: None };

fn generated(plan: &Plan) -> ([Vec<u8>; 4], Key) {
    let mut files: [Vec<u8>; 4] = Default::default();
    let [a, b, c, d] = &mut files;
    let key = generate::generate(plan, [a, b, c, d]).unwrap();
    (files, key)
}

fn sightings(file: Vec<u8>) -> Vec<Sighting> {
    let Opened::Capture(mut capture) = capture::open(Cursor::new(file)).unwrap() else {
        panic!("no capture")
    };
    let mut all = Vec::new();
    let options = dissect::Options::for_snap_length(capture.snap_length());
    while let Some(frame) = capture.next_frame().unwrap() {
        all.push(dissect::sighting(&frame, 0, &options).expect("an IP packet"));
    }
    all
}

/// The report; the number of the source of each vantage.
fn correlate(files: Vec<Vec<Sighting>>, options: Options) -> (Report, Vec<usize>) {
    let count = files.len();
    let mut merge = Merge::new(count);
    for (source, sightings) in files.into_iter().enumerate() {
        merge.give(source, sightings);
        merge.give(source, Vec::new());
    }
    let mut correlator = Correlator::new(options, vec![false; count]);
    correlator.look_ahead(&mut merge, count);
    let mut each = |_: &Journey, _: &[Vantage]| {};
    correlator.drain(&mut merge, &mut each);
    let report = correlator.finish(&merge, &mut each);
    let places = report.vantages.iter().map(|vantage| usize::from(vantage.source)).collect();
    (report, places)
}

fn lost(report: &Report, places: &[usize]) -> Vec<(usize, u32, usize)> {
    let place = |vantage: u16| places[usize::from(vantage)];
    let lost = report.findings.lost.iter();
    let mut lost: Vec<_> = lost
        .map(|lost| (place(lost.packet.stop.vantage), lost.packet.stop.frame, place(lost.expected_at)))
        .collect();
    lost.sort_unstable();
    lost
}

#[test]
fn every_loss_and_copy_is_found_and_no_other() {
    for seed in 1..=5 {
        let plan = Plan { seed, ..PLAN };
        let (files, key) = generated(&plan);
        let (report, places) = correlate(files.map(sightings).into(), Options::default());
        assert_eq!(lost(&report, &places), key.lost, "seed {seed}");
        assert!(key.lost.len() > 5 && key.duplicates > 100, "seed {seed} plants too little");
        let findings = &report.findings;
        assert_eq!(findings.duplicates, key.duplicates, "seed {seed}");
        assert_eq!((findings.undecided, findings.looping, findings.answered_twice), (0, 0, 0), "seed {seed}");
        assert!(
            report.vantages.iter().all(|vantage| vantage.missed == 0),
            "seed {seed}: {:?}",
            report.vantages
        );
        assert_eq!(report.nat.len(), 64, "seed {seed}: every instance's address");
        for vantage in &report.vantages {
            let truth = AHEAD_NS[usize::from(vantage.source)] - AHEAD_NS[report.reference];
            let offset = vantage.offset.unwrap_or_else(|| panic!("seed {seed}: {vantage:?}"));
            assert!(offset.low <= truth && truth <= offset.high, "seed {seed}: {truth} {offset:?}");
            assert!(offset.high - offset.low < 200_000, "seed {seed}: {offset:?} could be narrower");
        }
        assert!(!report.drifts);
    }
}

#[test]
fn a_single_loss_is_named() {
    let plan = Plan { lost_in: 0, duplicated_in: 0, lost_alone: Some(12_345), ..PLAN };
    let (files, key) = generated(&plan);
    assert_eq!(key.lost.len(), 1);
    let (report, places) = correlate(files.map(sightings).into(), Options::default());
    assert_eq!(lost(&report, &places), key.lost);
    assert_eq!(report.findings.lost_count, 1);
}

#[test]
fn a_smaller_window_and_fewer_places_find_the_same() {
    let (files, key) = generated(&PLAN);
    let files = files.map(sightings);
    let window = Options { window_ns: 50_000_000, ..Options::default() };
    let (report, places) = correlate(files.clone().into(), window);
    assert_eq!(lost(&report, &places), key.lost);
    assert_eq!(report.window_shortened_ns, None);
    let crowded = Options { open_max: 4_000, ..Options::default() };
    let (report, places) = correlate(files.into(), crowded);
    assert_eq!(lost(&report, &places), key.lost);
    assert!(report.window_shortened_ns.is_some(), "what was shortened is told");
}

#[test]
fn clocks_that_are_hours_apart_and_clocks_that_drift_meet() {
    let (files, key) = generated(&PLAN);
    let mut files = files.map(sightings);
    let hour = 3_600_000_000_000;
    files[2].iter_mut().for_each(|seen| seen.time_ns += hour);
    let begin = files[3][0].time_ns;
    // A ten-thousandth: more than any crystal.
    files[3].iter_mut().for_each(|seen| seen.time_ns += (seen.time_ns - begin) / 10_000);
    let (report, places) = correlate(files.into(), Options::default());
    assert_eq!(lost(&report, &places), key.lost);
    let at = places.iter().position(|place| *place == 2).unwrap();
    let truth = hour + AHEAD_NS[2] - AHEAD_NS[report.reference];
    let offset = report.vantages[at].offset.unwrap();
    assert!(offset.low <= truth && truth <= offset.high, "{truth} {offset:?}");
}

#[test]
fn a_capture_that_stopped_early_has_lost_nothing() {
    let (files, key) = generated(&Plan { lost_in: 0, ..PLAN });
    assert_eq!(key.lost, []);
    let mut files = files.map(sightings);
    files[2].truncate(8_000);
    let (report, places) = correlate(files.into(), Options::default());
    // The last few are within what a pause of the capture could be.
    assert!(lost(&report, &places).len() <= 2, "{:?}", lost(&report, &places));
}

#[test]
fn a_vantage_that_drops_now_and_then_is_told_as_incomplete() {
    let (files, key) = generated(&PLAN);
    let mut files = files.map(sightings);
    let mut count = 0;
    files[1].retain(|_| {
        count += 1;
        count % 50 != 0
    });
    let (report, places) = correlate(files.into(), Options::default());
    let missed: Vec<_> = report.vantages.iter().map(|v| (usize::from(v.source), v.missed > 100)).collect();
    assert!(missed.contains(&(1, true)) && missed.iter().filter(|(_, m)| *m).count() == 1, "{missed:?}");
    let planted = lost(&report, &places).iter().filter(|lost| key.lost.contains(lost)).count();
    assert!(planted + 5 >= key.lost.len(), "{planted} of {}", key.lost.len());
    assert_eq!(NAMES[1], "uplink");
}

#[test]
fn identical_packets_by_the_hundred_thousand_are_counted() {
    let (files, _) = generated(&Plan { packets: 1, ..PLAN });
    let one = sightings(files[0].clone())[0];
    for (ip_id, duplicates, repeats) in [(7, 299_999, 0), (0, 0, 299_999)] {
        let many = (0..300_000).map(|at| Sighting { time_ns: one.time_ns + at, frame: 1, ip_id, ..one });
        let (report, _) = correlate(vec![many.collect()], Options::default());
        let findings = &report.findings;
        assert_eq!((report.journeys, findings.duplicates, findings.repeats), (1, duplicates, repeats));
    }
}

#[test]
fn a_run_can_be_watched_while_it_goes_on() {
    let plan = Plan { lost_in: 0, duplicated_in: 0, lost_alone: Some(5_000), packets: 10_000, ..PLAN };
    let (files, key) = generated(&plan);
    let mut merge = Merge::new(4);
    for (source, file) in files.into_iter().enumerate() {
        merge.give(source, sightings(file));
        merge.give(source, Vec::new());
    }
    let options = Options { at_once: true, ..Options::default() };
    let mut correlator = Correlator::new(options, vec![false; 4]);
    correlator.look_ahead(&mut merge, 4);
    let mut over = 0;
    let mut each = |_: &Journey, _: &[Vantage]| over += 1;
    correlator.drain(&mut merge, &mut each);
    let all = correlator.open(usize::MAX).len();
    assert!(all >= 10_000, "all of it takes less than the window: {all}");
    let open = correlator.open(3);
    assert_eq!(open.len(), 3);
    let began: Vec<i64> = open.iter().map(|journey| journey.stops[0].time_ns).collect();
    assert!(began.is_sorted() && open.iter().all(|journey| !journey.stops.is_empty()), "{began:?}");
    assert_eq!(correlator.lost().len(), 0);
    let last = began[2];
    correlator.pass_time(last - 10_000_000_000, &mut each);
    assert_eq!(correlator.open(usize::MAX).len(), all);
    correlator.pass_time(last + 10_000_000_000, &mut each);
    assert_eq!(correlator.open(usize::MAX).len(), 0);
    let lost = correlator.lost()[0];
    assert_eq!((correlator.lost().len(), lost.packet.stop.frame), (1, key.lost[0].1));
    let report = correlator.finish(&merge, &mut each);
    assert_eq!((report.journeys, report.findings.lost_count), (u64::try_from(all).unwrap(), 1));
    assert_eq!(over, all);
}

#[test]
fn where_nothing_ever_went_on_what_was_taught_tells_the_loss() {
    let (files, _) = generated(&Plan { lost_in: 0, duplicated_in: 0, packets: 100, ..PLAN });
    let [mut tap, ..] = files.map(sightings);
    // The requests alone: whatever is answered has arrived.
    tap.retain(|seen| seen.ttl == 64);
    assert!(tap.len() > 20);
    let lost = |is_taught: bool| {
        let mut merge = Merge::new(1);
        let mut correlator = Correlator::new(Options::default(), vec![false]);
        let numbers = [0, 1].map(|local| merge.introduce(0, local).unwrap());
        if is_taught {
            tap.iter().for_each(|seen| correlator.teach(numbers[0], seen.destination, numbers[1]));
        }
        merge.give(0, tap.clone());
        merge.give(0, Vec::new());
        let mut each = |_: &Journey, _: &[Vantage]| {};
        correlator.drain(&mut merge, &mut each);
        let report = correlator.finish(&merge, &mut each);
        assert_eq!(report.vantages.iter().map(|vantage| vantage.local).collect::<Vec<_>>(), [0, 1]);
        assert!(report.findings.lost.iter().all(|lost| lost.expected_at == numbers[1]));
        report.findings.lost_count
    };
    assert_eq!((lost(false), lost(true)), (0, u64::try_from(tap.len()).unwrap()));
}
