//! The order of vantages, where it is known and where it must be inferred.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use std::collections::BTreeSet;

use model::sighting::Sighting;
use story::{INSIDE, OUTSIDE, SERVER, STRETCH_US, Story, Told, segment};

/// Packets without answers over three bridges, whose clocks are apart so that the last seems to be the first; one is
/// lost behind the first bridge, one behind the second. Behind the second they are for another address.
fn one_way(translated: bool) -> Story {
    let mut story = Story::new(3);
    for number in 0..100 {
        let (time_us, packet) = (i64::from(number) * 1_000, segment(number));
        let seen_at = match number {
            40 => 1,
            60 => 2,
            _ => 3,
        };
        for at in 0..seen_at {
            let destination = if translated && at == 2 { OUTSIDE } else { SERVER };
            story.see(
                at,
                time_us + i64::try_from(at).unwrap() * STRETCH_US,
                Sighting { destination, ..packet },
            );
        }
    }
    story.shift(1, |_| -5_000);
    story.shift(2, |_| -7_000);
    story
}

#[test]
fn where_ttl_and_clocks_tell_no_order_a_known_one_does() {
    // What seems to be the way back tells of no loss: the packets end where others end.
    let told = one_way(false).tell();
    let stretches = |told: &Told| {
        let stretches = told.report.stretches.keys().map(|(from, to)| (told.source(*from), told.source(*to)));
        stretches.collect::<BTreeSet<_>>()
    };
    assert_eq!(stretches(&told), [(2, 1), (1, 0)].into(), "else this test is of nothing");
    assert_eq!(told.lost(), []);
    for (translated, destination) in [(false, SERVER), (true, OUTSIDE)] {
        let mut story = one_way(translated);
        story.order = vec![(0, SERVER, 1), (1, SERVER, 2), (1, OUTSIDE, 2)];
        // The captures speak of other addresses too, and of one that would come back.
        story.order.extend([(2, INSIDE, 1), (1, INSIDE, 0)]);
        let told = story.tell();
        assert_eq!(told.lost(), [(40, 0, 1), (60, 1, 2)], "for {destination}");
        assert_eq!(stretches(&told), [(0, 1), (1, 2)].into());
        assert_eq!(told.findings().lost_count, 2);
    }
}

#[test]
fn a_known_order_that_contradicts_itself_or_the_ttl_is_left() {
    let mut story = Story::quiet(200);
    // Each of these vantages is behind a router.
    story.order = vec![(1, SERVER, 0), (2, SERVER, 1), (0, INSIDE, 1), (1, INSIDE, 2)];
    story.tell().assert_silent();
    let mut story = one_way(false);
    story.order = vec![(0, SERVER, 1), (1, SERVER, 0)];
    assert_eq!(story.tell().report.journeys, 100);
}
