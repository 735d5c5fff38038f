//! The clocks of vantages: bounded by causality, followed where they drift, and no cause of findings.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use correlate::Options;
use model::sighting::{Kind, Sighting};
use story::{STRETCH_US, Story, reply, request};

#[test]
fn requests_alone_bound_a_clock_from_one_side_and_replies_from_the_other() {
    let mut requests = Story::new(2);
    for number in 0..100 {
        requests.pass(i64::from(number) * 1_000, &[0, 1], request(number));
    }
    assert_eq!(requests.tell().ahead_us(1), None);
    let mut story = Story::new(2);
    story.exchanges(0..100, &[0, 1]);
    story.shift(1, |_| 250);
    assert_eq!(story.clone().tell().ahead_us(1), Some((250 - STRETCH_US, 250 + STRETCH_US)));
    // One exchange that is quicker is enough to know better.
    story.see(0, 200_000, request(500));
    story.see(1, 200_000 + 250 + 10, Sighting { ttl: 63, ..request(500) });
    story.see(1, 200_000 + 250 + 20, reply(500));
    story.see(0, 200_000 + 40, Sighting { ttl: 63, ..reply(500) });
    let told = story.tell();
    assert_eq!(told.ahead_us(1), Some((230, 260)));
    assert!(!told.report.drifts);
    assert_eq!(told.lost(), []);
}

#[test]
fn bridged_requests_and_replies_bound_a_clock_without_any_ttl() {
    let mut story = Story::new(2);
    for number in 0..100 {
        let time = i64::from(number) * 1_000;
        story.see(0, time, request(number));
        story.see(1, time + 30, request(number));
        story.see(1, time + 500, reply(number));
        story.see(0, time + 530, reply(number));
    }
    story.shift(1, |_| 4_000);
    let told = story.tell();
    assert_eq!(told.ahead_us(1), Some((3_970, 4_030)));
    told.assert_silent();
}

#[test]
fn a_clock_that_drifts_is_followed_and_said_to_drift() {
    let mut story = Story::new(2);
    // An exchange every 10 ms for 100 s, and a clock that gains a thousandth.
    for number in 0..10_000 {
        let time = i64::from(number) * 10_000;
        story.pass(time, &[0, 1], request(number));
        story.pass(time + 500, &[1, 0], reply(number));
    }
    story.keep(1, |seen, _| seen.detail != 8_000);
    story.keep(0, |seen, _| seen.detail != 8_000 || seen.kind == Kind::EchoRequest);
    story.shift(1, |time| time / 1_000);
    let told = story.tell();
    assert!(told.report.drifts);
    assert_eq!(told.lost(), [(8_000, 0, 1)]);
    assert_eq!(told.findings().duplicates, 0);
    assert_eq!(told.report.journeys, 19_999);
}

#[test]
fn the_window_that_was_used_is_reported_where_it_was_shortened() {
    let mut story = Story::quiet(2_000);
    assert_eq!(story.clone().tell().report.window_shortened_ns, None);
    story.options = Options { open_max: 400, ..Options::default() };
    let told = story.tell();
    let shortened = told.report.window_shortened_ns.unwrap();
    assert!(shortened > 0 && shortened < 2_000_000_000, "{shortened}");
    assert_eq!(told.lost(), []);
}

#[test]
fn a_clock_that_drifts_for_long_delays_nothing() {
    let mut story = Story::new(2);
    // Few packets in a long time: an exchange a second for more than an hour, at fifty parts in a million.
    for number in 0..4_000 {
        let time = i64::from(number) * 1_000_000;
        story.pass(time, &[0, 1], request(number));
        story.pass(time + 500, &[1, 0], reply(number));
    }
    story.shift(1, |time| time / 20_000);
    let told = story.tell();
    assert!(told.report.drifts);
    assert_eq!((told.findings().delayed, told.findings().lost_count), (0, 0));
    let latency = &told.stretch(1, 0).latency;
    // The clock is followed to within what it drifts between two looks.
    assert!(latency.percentile(99) < 2_000_000, "{}", latency.percentile(99));
    let latency = &told.stretch(0, 1).latency;
    assert!(latency.percentile(99) < 2_000_000, "{}", latency.percentile(99));
}
