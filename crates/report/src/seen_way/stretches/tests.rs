use model::journey::Vantage;

use super::*;

/// Vantages `a`, `b`, `c`, of these clocks.
fn way(clocks: &[u16], journeys: Vec<Journey>) -> SeenWay {
    let vantage = |(device, clock): (&str, &u16)| Vantage {
        machine: "m".to_owned(),
        netns: String::new(),
        device: device.to_owned(),
        clock: *clock,
        doubt_ns: 0,
        is_complete: true,
    };
    let vantages = ["a", "b", "c", "d"].into_iter().zip(clocks).map(vantage).collect();
    SeenWay { path: 0, vantages, journeys, left_out: 0 }
}

/// A packet at these columns, at these times.
fn packet(direction: Direction, end: End, at: &[(usize, i64)]) -> Journey {
    let stop = |(vantage, time_ns): &(usize, i64)| Stop {
        vantage: *vantage,
        time_ns: *time_ns,
        ends: String::new(),
        ttl: 64,
        copies: 1,
        recorded: String::new(),
    };
    Journey { direction, key: 1, packet: String::new(), stops: at.iter().map(stop).collect(), end }
}

/// Each stretch in a line, with `*` where it has a strip.
fn lines(way: &SeenWay) -> Vec<String> {
    let line = |stretch: &Stretch| {
        let strip = if stretch.strip.is_some() { "* " } else { "" };
        format!("{strip}{}: {}", stretch.name, stretch.words)
    };
    of(way).iter().map(line).collect()
}

const ASK: Direction = Direction::Request;
const ANSWER: Direction = Direction::Reply;

#[test]
fn there_and_back_each_stretch_stands_in_the_order_of_the_way() {
    let journeys = vec![
        packet(ASK, End::Open, &[(0, 0), (1, 1_000), (2, 4_000)]),
        packet(ASK, End::Open, &[(0, 50_000), (1, 52_000), (2, 59_000)]),
        packet(ANSWER, End::Open, &[(2, 10_000), (1, 15_000), (0, 16_000)]),
    ];
    let way = way(&[0, 0, 0], journeys);
    assert_eq!(
        lines(&way),
        [
            "* m//a to m//b: 1.0us and 2.0us; 2 packets",
            "* m//b to m//c: 3.0us and 7.0us; 2 packets",
            "* in all, m//a to m//c: 4.0us and 9.0us; 2 packets",
            "* m//c to m//b: 5.0us; 1 packet",
            "* m//b to m//a: 1.0us; 1 packet",
            "* in all, m//c to m//a: 6.0us; 1 packet",
        ]
    );
    let strips: Vec<Strip> = of(&way).into_iter().filter_map(|stretch| stretch.strip).collect();
    assert!(
        strips.iter().all(|strip| strip.scale == (800, 9_000) && strip.times == (0, 52_000)),
        "{strips:?}"
    );
}

#[test]
fn a_loss_is_told_where_it_was_and_in_all_of_the_way_before_its_end() {
    let journeys = vec![
        packet(ASK, End::Open, &[(0, 0), (1, 1_000), (2, 4_000)]),
        packet(ASK, End::LostBefore(2), &[(0, 50_000), (1, 51_000)]),
        packet(ASK, End::DiesBehind("a rule".to_owned()), &[(0, 60_000), (1, 61_000), (2, 62_000)]),
    ];
    let way = way(&[0, 0, 0], journeys);
    assert_eq!(
        lines(&way),
        [
            "* m//a to m//b: median 1.0us, longest 1.0us; 3 packets",
            "* m//b to m//c: 1.0us and 3.0us; 2 packets, and 1 that was lost",
            "behind m//c: 1 packet, lost",
            "* in all, m//a to m//c: 2.0us and 4.0us; 2 packets, and 1 that was lost",
        ]
    );
    let lost: Vec<Vec<i64>> = of(&way).into_iter().filter_map(|stretch| Some(stretch.strip?.lost)).collect();
    assert_eq!(lost, [vec![], vec![51_000], vec![51_000]]);
}

#[test]
fn what_nobody_answered_is_told_where_it_was_seen_last() {
    let end = |end: End| packet(ASK, end, &[(0, 0), (1, 1_000)]);
    let stretch = "* m//a to m//b: median 1.0us, longest 1.0us; 3 packets";
    let both = vec![end(End::Unanswered), end(End::DiesBehind(String::new())), end(End::Unanswered)];
    let told = "behind m//b: 1 packet lost; 2 packets to which no answer was seen";
    assert_eq!(lines(&way(&[0, 0], both)), [stretch, told]);
    let told = "behind m//b: 1 packet to which no answer was seen";
    assert_eq!(lines(&way(&[0, 0], vec![end(End::Unanswered)])), ["* m//a to m//b: 1.0us; 1 packet", told]);
}

#[test]
fn between_clocks_that_nobody_can_compare_no_time_is_told() {
    let way = way(&[0, 1, 0], vec![packet(ASK, End::Open, &[(0, 0), (1, 9_000_000), (2, 5_000)])]);
    assert_eq!(
        lines(&way),
        [
            "m//a to m//b: not timed: the clocks are not known to agree; 1 packet",
            "m//b to m//c: not timed: the clocks are not known to agree; 1 packet",
            "* in all, m//a to m//c: 5.0us; 1 packet",
        ]
    );
}

#[test]
fn one_stamp_at_both_ends_and_a_time_below_zero_are_none() {
    let journeys = vec![
        packet(ASK, End::Open, &[(0, 0), (1, 0), (2, 4_000)]),
        packet(ASK, End::Open, &[(0, 9_000), (1, 9_500), (2, 9_400)]),
    ];
    assert_eq!(
        lines(&way(&[0, 0, 0], journeys)),
        [
            "* m//a to m//b: 0.5us; 1 packet; 1 more not timed",
            "* m//b to m//c: 4.0us; 1 packet; 1 more not timed",
            "* in all, m//a to m//c: 0.4us and 4.0us; 2 packets",
        ]
    );
    let stamp = vec![packet(ASK, End::DiesBehind(String::new()), &[(0, 7), (1, 7)])];
    assert_eq!(
        lines(&way(&[0, 0], stamp)),
        [
            "m//a to m//b: not timed: a bridge shows the stamp that its port has given; 1 packet",
            "behind m//b: 1 packet, lost",
        ]
    );
    let early = vec![packet(ASK, End::Open, &[(0, 7), (1, 6)])];
    let told = "m//a to m//b: not timed: the clocks are not known well enough; 1 packet";
    assert_eq!(lines(&way(&[0, 0], early)), [told]);
}

#[test]
fn what_has_the_stamp_of_the_one_before_adds_nothing_in_all() {
    let to_bridge = packet(ASK, End::DiesBehind("a rule".to_owned()), &[(0, 0), (1, 600), (2, 600)]);
    assert_eq!(
        lines(&way(&[0, 0, 0], vec![to_bridge])),
        [
            "* m//a to m//b: 0.6us; 1 packet",
            "m//b to m//c: not timed: a bridge shows the stamp that its port has given; 1 packet",
            "behind m//c: 1 packet, lost",
        ]
    );
}

#[test]
fn a_broadcast_goes_several_ways_at_once() {
    for (ends, is_told) in [
        ("0.0.0.0.68 > 255.255.255.255.67", false),
        ("fe80::1.546 > ff02::1:2.547", false),
        ("0.0.0.0.68 > 10.0.0.42.67", true),
        ("fe80::1 > fd00::ff02", true),
    ] {
        let mut flooded = packet(ASK, End::Open, &[(0, 0), (1, 600), (2, 900)]);
        flooded.stops.iter_mut().for_each(|stop| ends.clone_into(&mut stop.ends));
        assert_eq!(!lines(&way(&[0, 0, 0], vec![flooded])).is_empty(), is_told, "{ends}");
    }
}

#[test]
fn clocks_that_are_known_a_little_are_told_so() {
    let mut way = way(&[0, 0], vec![packet(ASK, End::Open, &[(0, 0), (1, 30_000)])]);
    way.vantages[1].doubt_ns = 5_000;
    assert_eq!(lines(&way), ["* m//a to m//b: ~30.0us; 1 packet"]);
}

#[test]
fn nothing_is_told_of_packets_that_were_seen_once_or_never() {
    for journeys in [
        vec![],
        vec![packet(ASK, End::LostBefore(0), &[])],
        vec![packet(ASK, End::LostBefore(1), &[(0, 5)]), packet(ASK, End::Unanswered, &[(1, 5)])],
        vec![packet(ASK, End::Open, &[(0, 5), (0, 9)])],
    ] {
        assert_eq!(lines(&way(&[0, 0], journeys)), [""; 0]);
    }
}

#[test]
fn what_cannot_be_is_no_panic() {
    let far = packet(ANSWER, End::LostBefore(99), &[(98, i64::MIN), (0, i64::MAX), (7, 0)]);
    let way = way(&[0], vec![far.clone(), Journey { direction: ASK, ..far }]);
    assert_eq!(of(&way).len(), 8);
}
