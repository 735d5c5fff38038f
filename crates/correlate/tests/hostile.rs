//! What no network does and a file may hold: it ends, in bounded time and memory, and what is left out is told.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use std::time::{Duration, Instant};

use correlate::{Options, VANTAGES_MAX};
use model::sighting::Sighting;
use story::{Story, reply, request, segment};

/// Far more than any of these takes, and far less than anything that grows faster than its input would.
const BOUND: Duration = Duration::from_secs(30);

#[test]
fn time_that_runs_backwards_is_survived() {
    let mut story = Story::new(2);
    for number in (0..5_000).rev() {
        let time = i64::from(number) * 1_000;
        story.see(0, time, request(number));
        story.see(1, time + 100, Sighting { ttl: 63, ..request(number) });
    }
    let told = story.tell_as_it_stands();
    assert_eq!(told.report.journeys, 5_000);
    assert_eq!(told.findings().lost_count, 0);
    // One of two sources runs backwards: little can be joined, and all is counted.
    let mut story = Story::new(2);
    for number in 0..5_000 {
        story.see(0, i64::from(number) * 1_000, request(number));
        story.see(1, i64::from(4_999 - number) * 1_000, request(4_999 - number));
    }
    let told = story.tell_as_it_stands();
    let packets: u64 = told.report.vantages.iter().map(|vantage| vantage.packets).sum();
    assert_eq!(packets, 10_000);
}

#[test]
fn stamps_at_both_ends_of_time_are_survived() {
    let mut story = Story::new(3);
    story.exchanges(0..100, &[0, 1, 2]);
    // Microseconds from the start are made nanoseconds since 1970: as far as these go.
    let ends = [-1_700_000_000_000_000, 7_500_000_000_000_000, -10_900_000_000_000_000];
    for (number, time) in (1_000_u32..).zip(ends.iter().cycle().take(300)) {
        for source in 0..3 {
            story.see(source, *time, request(number));
            story.see(2 - source, *time, reply(number));
        }
    }
    let begin = Instant::now();
    let told = story.tell_as_it_stands();
    assert!(begin.elapsed() < BOUND);
    let packets: u64 = told.report.vantages.iter().map(|vantage| vantage.packets).sum();
    assert_eq!(packets, 600 + 1_800);
}

#[test]
fn identical_packets_are_one_journey_with_many_copies() {
    let count: u64 = 200_000;
    let mut story = Story::new(2);
    for time in 0..i64::try_from(count).unwrap() {
        for source in [0, 1] {
            story.see(source, time, segment(1));
        }
    }
    let begin = Instant::now();
    let told = story.tell();
    assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    // A journey is closed after the window; within it all of them are copies.
    assert_eq!(told.report.journeys, 1);
    assert_eq!(told.journeys[0].stops.len(), 2);
    let findings = told.findings();
    assert_eq!(findings.duplicates, 0, "their sender may have sent them all");
    assert!(findings.repeats >= count - 1, "{}", findings.repeats);
    assert_eq!(told.findings().lost_count, 0);
}

#[test]
fn packets_that_only_their_ids_tell_apart_take_bounded_time() {
    let mut story = Story::new(1);
    for number in 0..70_000_u32 {
        let packet =
            Sighting { identity: 42, ip_id: u16::try_from(number % 65_535 + 1).unwrap(), ..segment(1) };
        story.see(0, i64::from(number), packet);
    }
    let begin = Instant::now();
    let told = story.tell();
    assert!(begin.elapsed() < BOUND, "{:?}", begin.elapsed());
    assert!(told.report.journeys >= 65_535, "{}", told.report.journeys);
}

#[test]
fn more_journeys_than_there_are_places_are_closed_early_and_that_is_told() {
    let mut story = Story::new(1);
    story.options = Options { open_max: 1_000, ..Options::default() };
    for number in 0..100_000 {
        story.see(0, i64::from(number), segment(number));
    }
    let told = story.tell();
    assert_eq!(told.report.journeys, 100_000);
    // A journey takes four places.
    assert_eq!(told.report.window_shortened_ns, Some(250_000));
}

#[test]
fn a_packet_that_loops_for_all_of_its_life_is_one_journey() {
    let mut story = Story::new(1);
    for ttl in 1..=255 {
        story.see(0, 255 - i64::from(ttl), Sighting { ttl, ..segment(1) });
    }
    let told = story.tell();
    assert_eq!((told.report.journeys, told.journeys[0].stops.len()), (1, 255));
    assert_eq!(told.findings().looping, 1);
}

#[test]
fn vantages_beyond_those_that_can_be_told_apart_are_left_out_and_counted() {
    let vantages = u16::try_from(VANTAGES_MAX).unwrap() + 1;
    // As devices of one source, and as sources.
    for is_one in [true, false] {
        let mut story = Story::new(if is_one { 1 } else { usize::from(vantages) });
        for number in 0..100 {
            for vantage in 0..vantages {
                let time = i64::from(number) * 1_000 + i64::from(vantage);
                let source = if is_one { 0 } else { usize::from(vantage) };
                let local = if is_one { vantage } else { 0 };
                story.see(source, time, Sighting { vantage: local, ..segment(number) });
            }
        }
        let told = story.tell();
        assert_eq!(told.report.vantages.len(), VANTAGES_MAX);
        assert_eq!(told.report.journeys, 100);
        assert_eq!((told.findings().undecided, told.findings().lost_count), (100, 0), "{is_one}");
    }
}

#[test]
fn no_sources_and_empty_ones_tell_nothing() {
    for sources in [0, 1, 3] {
        let told = Story::new(sources).tell();
        assert_eq!((told.report.journeys, told.report.vantages.len()), (0, 0));
        assert!(!told.findings().is_fault());
    }
}
