//! Every finding with a story in which it is right, and with one so near to it that it would be wrong.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use correlate::Nat;
use model::sighting::{Address, Kind, Sighting};
use story::{INSIDE, OUTSIDE, SERVER, STRETCH_US, Story, reply, request, segment};

const WAY: [usize; 3] = [0, 1, 2];
const BACK: [usize; 3] = [2, 1, 0];

#[test]
fn a_story_in_which_nothing_happens_is_silent() {
    let told = Story::quiet(200).tell();
    told.assert_silent();
    assert_eq!(told.report.journeys, 400);
    assert!(!told.findings().is_fault());
    assert!(told.report.nat.is_empty());
}

// Lost.

#[test]
fn lost_packets_have_the_last_vantage_and_the_next() {
    let mut story = Story::quiet(200);
    let is = |seen: &Sighting, number: u32, kind: Kind| seen.detail == number && seen.kind == kind;
    story.keep(2, |seen, _| seen.detail != 100);
    story.keep(1, |seen, _| !is(seen, 100, Kind::EchoReply) && !is(seen, 150, Kind::EchoReply));
    story.keep(0, |seen, _| !is(seen, 100, Kind::EchoReply) && !is(seen, 150, Kind::EchoReply));
    let told = story.tell();
    assert_eq!(told.lost(), [(100, 1, 2), (150, 2, 1)]);
    assert_eq!((told.findings().lost_count, told.findings().undecided), (2, 0));
    assert_eq!(told.findings().lost[0].packet.kind, Kind::EchoRequest);
    assert_eq!(told.findings().lost[1].packet.kind, Kind::EchoReply);
    assert!(told.findings().is_fault());
}

#[test]
fn what_a_vantage_did_not_watch_is_not_lost() {
    let begins = |_: &Sighting, time: i64| time >= 120_000;
    let ends = |_: &Sighting, time: i64| time < 80_000;
    let keeps: [fn(&Sighting, i64) -> bool; 2] = [begins, ends];
    for keeps in keeps {
        let mut story = Story::new(3);
        // The replies come by another way, so that nothing but the watch speaks for the requests.
        for number in 0..200 {
            story.pass(i64::from(number) * 1_000, &WAY, request(number));
        }
        story.keep(2, keeps);
        let told = story.tell();
        // Up to twenty gaps between packets before the first and behind the last are no proof of a pause.
        assert!(told.findings().lost_count <= 20, "{:?}", told.lost());
        assert!(told.findings().undecided >= 60, "{}", told.findings().undecided);
    }
}

#[test]
fn an_answered_request_is_not_lost() {
    let mut story = Story::quiet(200);
    story.keep(2, |seen, _| seen.kind != Kind::EchoRequest || seen.detail % 50 != 7);
    let told = story.tell();
    assert_eq!(told.lost(), []);
    assert!(!told.findings().is_fault());
    let missing = &told.findings().request_missing;
    let missing: Vec<_> = missing.iter().map(|(vantage, count)| (told.source(*vantage), *count)).collect();
    assert_eq!(missing, [(2, 4)], "it is the capture that is incomplete");
}

#[test]
fn a_request_that_was_sent_again_and_answered_then_was_lost_at_first() {
    let mut story = Story::quiet(200);
    story.keep(2, |seen, _| seen.detail != 100);
    story.keep(1, |seen, _| seen.detail != 100 || seen.kind == Kind::EchoRequest);
    story.keep(0, |seen, _| seen.detail != 100 || seen.kind == Kind::EchoRequest);
    story.pass(400_000, &WAY, request(100));
    story.pass(400_500, &BACK, reply(100));
    story.exchanges(500..520, &WAY);
    let told = story.tell();
    assert_eq!(told.lost(), [(100, 1, 2)]);
    let first = told.findings().lost[0].packet.stop;
    assert!(first.frame < 300, "the first of the two is lost: frame {}", first.frame);
    assert!(told.stretch(1, 2).latency.max() < 1_000_000, "{}", told.stretch(1, 2).latency.max());
}

#[test]
fn packets_with_their_last_hop_and_packets_for_many_end_anywhere() {
    let mut story = Story::quiet(200);
    story.pass(100_050, &[0, 1], Sighting { ttl: 2, ..request(900) });
    let group = Address::v4([224, 0, 0, 251]);
    for number in 1_000..1_100 {
        let packet = Sighting { destination: group, ask: 0, kind: Kind::Udp, ..request(number) };
        let way: &[usize] = if number == 1_050 { &[0] } else { &[0, 1] };
        story.pass(i64::from(number) * 100, way, packet);
    }
    assert_eq!(story.tell().lost(), []);
}

/// Octets from `from` to `to` of a flow, in one packet with headers of 52 octets.
fn piece(from: u32, to: u32) -> Sighting {
    let ask = u64::from(to).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let length = u16::try_from(to - from + 52).unwrap();
    Sighting { detail: from, length, ask, identity: ask ^ u64::from(from), ..segment(0) }
}

#[test]
fn tcp_that_is_cut_or_put_together_on_the_way_has_arrived() {
    const DATA: u32 = 1_448;
    for (cut_here, cut_there) in [(3, 1), (1, 3), (3, 2)] {
        let mut story = Story::new(2);
        for number in 0..200 {
            let time = i64::from(number) * 1_000;
            let start = number * 6 * DATA;
            for (source, ttl, pieces) in [(0, 64, cut_here), (1, 63, cut_there)] {
                for part in (0..6).step_by(pieces) {
                    let part = u32::try_from(part).unwrap();
                    let end = (part + u32::try_from(pieces).unwrap()).min(6);
                    let packet = piece(start + part * DATA, start + end * DATA);
                    let late = if source == 0 { 0 } else { 100 };
                    // One is really lost, with all of its pieces.
                    if number != 100 || source == 0 {
                        story.see(source, time + late + i64::from(part), Sighting { ttl, ..packet });
                    }
                }
            }
            // Some go through as they are.
            let same = Sighting { source_port: 50_000, ..segment(5_000 + number) };
            story.pass(time + 500, &[0, 1], same);
        }
        let told = story.tell();
        let lost: Vec<u32> = told.lost().iter().map(|(number, ..)| *number).collect();
        let start = 600 * DATA;
        let whole = u32::try_from(cut_here).unwrap() * DATA;
        let expected: Vec<u32> = (start..start + 6 * DATA).step_by(whole.try_into().unwrap()).collect();
        assert_eq!(lost, expected, "{cut_here} {cut_there}");
        assert_eq!(told.findings().undecided, 0);
    }
}

// Incomplete captures.

#[test]
fn a_vantage_between_two_others_that_misses_packets_is_incomplete() {
    let mut story = Story::quiet(400);
    story.keep(1, |seen, _| seen.detail < 100 || seen.detail % 20 != 3);
    let told = story.tell();
    assert_eq!(told.missed(), [0, 30, 0]);
    assert_eq!(told.lost(), []);
    assert!(!told.findings().is_fault(), "an incomplete capture is no fault");
}

#[test]
fn a_vantage_that_only_some_packets_pass_has_missed_nothing() {
    let mut story = Story::new(3);
    for number in 0..400 {
        let way: &[usize] = if number % 3 == 0 { &WAY } else { &[0, 2] };
        story.pass(i64::from(number) * 1_000, way, request(number));
        let back: Vec<usize> = way.iter().rev().copied().collect();
        story.pass(i64::from(number) * 1_000 + 500, &back, reply(number));
    }
    let told = story.tell();
    told.assert_silent();
}

// Delays.

#[test]
fn a_late_packet_is_delayed_and_latencies_are_by_stretch() {
    for exchanges in [200, 6_000] {
        let mut story = Story::quiet(exchanges);
        story.keep(2, |seen, _| seen.detail != 150 || seen.kind != Kind::EchoReply);
        let late = exchanges - 10;
        story.keep(2, |seen, _| seen.detail != late || seen.kind != Kind::EchoRequest);
        story.keep(2, |seen, _| seen.detail != late || seen.kind != Kind::EchoReply);
        story.keep(1, |seen, _| seen.detail != late || seen.kind != Kind::EchoReply);
        story.keep(0, |seen, _| seen.detail != late || seen.kind != Kind::EchoReply);
        let time = i64::from(late) * 1_000 + STRETCH_US;
        story.see(2, time + 40_000, Sighting { ttl: 62, ..request(late) });
        let told = story.tell();
        assert_eq!(told.findings().delayed, 1, "{exchanges}");
        let first = told.findings().delays[0];
        assert_eq!((first.detail, told.source(first.stop.vantage)), (late, 2), "{exchanges}");
        assert!(!told.findings().is_fault());
        let stretch = told.stretch(1, 2);
        assert!(stretch.is_timed);
        let (half, most, max) =
            (stretch.latency.percentile(50), stretch.latency.percentile(99), stretch.latency.max());
        let about = |ns: u64, us: u64| ns.abs_diff(us * 1_000) <= us * 1_000 / 16;
        assert!(about(half, 100) && about(most, 100) && about(max, 40_000), "{half} {most} {max}");
        assert_eq!(stretch.latency.count(), u64::from(exchanges));
    }
}

#[test]
fn each_delayed_packet_is_listed_and_the_slowest_first() {
    let mut story = Story::new(2);
    let late_ms = |number: u32| match number {
        150..400 => 20 + i64::from(number),
        _ => 0,
    };
    for number in 0..1_000 {
        let time = i64::from(number) * 1_000;
        story.see(0, time, request(number));
        let seen = Sighting { ttl: 63, ..request(number) };
        story.see(1, time + STRETCH_US + late_ms(number) * 1_000, seen);
        story.pass(time + 500_000, &[1, 0], reply(number));
    }
    let told = story.tell();
    let listed: Vec<u32> = told.findings().delays.iter().map(|packet| packet.detail).collect();
    assert_eq!(told.findings().delayed, 250);
    assert_eq!(listed, (300..400).rev().collect::<Vec<_>>(), "a hundred of a stretch");
}

#[test]
fn a_packet_that_takes_a_little_longer_is_not_delayed() {
    let mut story = Story::quiet(200);
    story.keep(2, |seen, _| seen.detail != 150 || seen.kind != Kind::EchoRequest);
    // Five times as long as the others.
    story.see(2, 150_000 + STRETCH_US + 500, Sighting { ttl: 62, ..request(150) });
    let told = story.tell();
    assert_eq!((told.findings().delayed, told.findings().delays.len()), (0, 0));
}

// Order.

#[test]
fn a_packet_that_overtakes_another_of_its_flow_is_reordered() {
    for is_one_flow in [true, false] {
        let mut story = Story::quiet(200);
        for number in 0..50 {
            let time = i64::from(number) * 2_000;
            let packet = segment(9_000 + number);
            let port = if is_one_flow { 40_000 } else { 40_000 + u16::try_from(number).unwrap() };
            let packet = Sighting { source_port: port, ..packet };
            // As late as to be overtaken by three.
            let late = if number == 20 { 6_500 } else { 0 };
            story.pass(time, &[0, 1], packet);
            story.see(2, time + 2 * STRETCH_US + late, Sighting { ttl: 62, ..packet });
        }
        let told = story.tell();
        if is_one_flow {
            assert_eq!(told.findings().reordered, 1);
            let first = told.findings().overtakers[0];
            assert_eq!((first.detail, told.source(first.stop.vantage)), (9_021, 2), "who overtook");
            assert!(!told.findings().is_fault());
        } else {
            assert_eq!((told.findings().reordered, told.findings().overtakers.len()), (0, 0));
        }
    }
}

// Rewritten.

#[test]
fn what_is_rewritten_is_told_by_stretch() {
    let mut story = Story::quiet(200);
    for number in 0..100 {
        let time = i64::from(number) * 1_000 + 200;
        let inside = Sighting { source_port: 40_000, ..segment(3_000 + number) };
        story.see(0, time, inside);
        let outside = Sighting { source: OUTSIDE, source_port: 1_024, ttl: 63, ..inside };
        story.see(1, time + 100, outside);
        story.see(2, time + 200, Sighting { tos: 0x2e, ttl: 60, ..outside });
    }
    let told = story.tell();
    let (near, far) = (told.stretch(0, 1), told.stretch(1, 2));
    assert_eq!((near.source, near.destination, near.ports, near.tos), (100, 0, 100, 0));
    assert_eq!((far.source, far.destination, far.ports, far.tos), (0, 0, 0, 100));
    assert_eq!(near.ttl.iter().map(|(by, count)| (*by, *count)).collect::<Vec<_>>(), [(1, 300)]);
    assert_eq!(far.ttl.iter().map(|(by, count)| (*by, *count)).collect::<Vec<_>>(), [(1, 200), (3, 100)]);
    let back = told.stretch(2, 1);
    assert_eq!((back.source, back.destination, back.ports, back.tos), (0, 0, 0, 0));
    let nat = Nat { inside: INSIDE, outside: OUTSIDE };
    assert_eq!(told.report.nat.iter().collect::<Vec<_>>(), [(&nat, &100)]);
}

#[test]
fn a_destination_that_is_rewritten_is_learned_with_its_inside() {
    let mut story = Story::new(2);
    for number in 0..20 {
        let time = i64::from(number) * 1_000;
        let outside = Sighting { source: SERVER, destination: OUTSIDE, ..request(number) };
        story.see(0, time, outside);
        story.see(1, time + 100, Sighting { destination: INSIDE, ttl: 63, ..outside });
    }
    let told = story.tell();
    assert_eq!(told.report.journeys, 20);
    assert_eq!(told.report.nat.keys().collect::<Vec<_>>(), [&Nat { inside: INSIDE, outside: OUTSIDE }]);
}

#[test]
fn a_packet_that_is_translated_at_both_ends_is_joined_where_the_pairs_are_given() {
    let inner = Address::v4([10, 0, 2, 99]);
    let pairs = [Nat { inside: INSIDE, outside: OUTSIDE }, Nat { inside: inner, outside: SERVER }];
    let unused = Nat { inside: Address::v4([10, 0, 2, 1]), outside: Address::v4([203, 0, 113, 1]) };
    for is_given in [true, false] {
        let mut story = Story::new(2);
        for number in 0..100 {
            let time = i64::from(number) * 1_000;
            story.see(0, time, request(number));
            let there = Sighting { source: OUTSIDE, destination: inner, ttl: 63, ..request(number) };
            story.see(1, time + 100, there);
            story.see(1, time + 500, Sighting { source: inner, destination: OUTSIDE, ..reply(number) });
            story.see(0, time + 600, Sighting { ttl: 63, ..reply(number) });
        }
        if is_given {
            story.nat = vec![pairs[0], pairs[1], unused];
        }
        let told = story.tell();
        assert_eq!(told.report.journeys, if is_given { 200 } else { 400 });
        let known: Vec<_> = told.report.nat.iter().map(|(nat, seen)| (*nat, *seen)).collect();
        // The one that no packet has shown is not told as if one had.
        let expected: Vec<_> = pairs.iter().map(|nat| (*nat, 200)).collect();
        assert_eq!(known, if is_given { expected } else { Vec::new() });
    }
}

// Loops.

#[test]
fn a_packet_that_comes_again_with_less_ttl_loops_and_one_sent_back_does_not() {
    for (rounds, loops) in [(1, 0), (2, 1), (30, 1)] {
        let mut story = Story::quiet(200);
        for round in 0..=rounds {
            let packet = Sighting { ttl: 64 - 2 * round, ..segment(8_000) };
            story.see(1, 100_300 + i64::from(round) * 50, packet);
        }
        // It gets away in the end.
        story.see(2, 110_000, Sighting { ttl: 63 - 2 * rounds, ..segment(8_000) });
        let told = story.tell();
        assert_eq!(told.findings().looping, loops, "{rounds} rounds");
        let first = told.findings().loops.first().map(|at| (at.detail, told.source(at.stop.vantage)));
        assert_eq!(first, (loops > 0).then_some((8_000, 1)));
        assert_eq!(told.findings().is_fault(), loops > 0);
        assert_eq!(told.findings().duplicates, 0);
        assert_eq!(told.report.journeys, 401);
    }
}

// Answered by someone else.

fn arp(number: u32) -> [Sighting; 2] {
    let of = |packet: Sighting, kind: Kind| Sighting { kind, protocol: 0, ttl: 0, length: 28, ..packet };
    [of(request(number), Kind::ArpRequest), of(reply(number), Kind::ArpReply)]
}

#[test]
fn two_machines_that_answer_one_request_are_told() {
    let echo = [request(100), reply(100)];
    for ([asked, answer], ids) in [(arp(100), [0, 0]), (echo, [7, 8]), (echo, [0, 0])] {
        let [first, second] = ids.map(|ip_id| Sighting { ip_id, ..answer });
        // The second answer of ARP has another identity, as its sender is a part of it.
        let identity = if asked.kind == Kind::ArpRequest { answer.identity ^ 1 } else { answer.identity };
        for is_other in [true, false] {
            let mut story = Story::new(1);
            story.exchanges(0..90, &[0]);
            story.see(0, 100_000, asked);
            story.see(0, 100_200, first);
            if is_other {
                story.see(0, 100_250, Sighting { sender: 0x0200_0000_0666, identity, ..second });
            }
            let told = story.tell();
            let case = format!("{:?} {ids:?} {is_other}", asked.kind);
            assert_eq!(told.findings().answered_twice, u64::from(is_other), "{case}");
            assert_eq!(told.findings().duplicates, 0, "{case}");
            if is_other {
                let (packet, one, other) = told.findings().second_answers[0];
                assert_eq!((packet.kind, packet.detail), (answer.kind, 100), "{case}");
                assert_eq!([one, other], [0x0200_0000_0002, 0x0200_0000_0666], "{case}");
            }
        }
    }
}

#[test]
fn an_arp_answer_from_another_host_is_told() {
    let mut story = Story::new(2);
    story.exchanges(0..90, &[0]);
    let [asked, answer] = arp(100);
    for source in [0, 1] {
        story.see(source, 100_000, asked);
    }
    story.see(0, 100_200, answer);
    // The other machine is at the other source, where its answer is seen first.
    let other = Sighting { sender: 0x0200_0000_0666, identity: answer.identity ^ 1, ..answer };
    story.see(1, 100_250, other);
    story.see(0, 100_300, other);
    assert_eq!(story.tell().findings().answered_twice, 1);
}

#[test]
fn an_address_that_has_moved_between_two_requests_is_answered_once_each() {
    let mut story = Story::new(1);
    story.exchanges(0..90, &[0]);
    let [asked, answer] = arp(100);
    story.see(0, 100_000, asked);
    story.see(0, 100_200, answer);
    story.see(0, 60_000_000, asked);
    story.see(0, 60_000_200, Sighting { sender: 0x0200_0000_0666, identity: answer.identity ^ 1, ..answer });
    story.tell().assert_silent();
}

#[test]
fn an_answer_that_is_copied_is_one_answer() {
    let mut story = Story::new(1);
    story.exchanges(0..90, &[0]);
    story.see(0, 89_560, reply(89));
    let told = story.tell();
    assert_eq!((told.findings().answered_twice, told.findings().duplicates), (0, 1));
}

// Ways.

#[test]
fn a_reply_that_takes_another_way_is_told_with_where_it_does() {
    let mut story = Story::new(4);
    for number in 0..200 {
        let time = i64::from(number) * 1_000;
        story.pass(time, &[0, 1, 3], request(number));
        let back: &[usize] = if number == 100 { &[3, 2, 0] } else { &[3, 1, 0] };
        story.pass(time + 500, back, reply(number));
    }
    let told = story.tell();
    assert_eq!(told.findings().other_way, 1);
    let first = told.findings().other_ways[0];
    assert_eq!((first.detail, told.source(first.stop.vantage)), (100, 2));
    assert_eq!(told.lost(), []);
    assert!(!told.findings().is_fault());
}

// Fragments.

/// A fragment behind the first of the packet of that number.
fn fragment(number: u32, offset: u64) -> Sighting {
    let ip_id = u16::try_from(number % 60_000 + 1).unwrap();
    let identity = request(number).identity ^ (offset << 32);
    Sighting { kind: Kind::Fragment, identity, ip_id, ask: 0, detail: u32::from(ip_id), ..request(number) }
}

#[test]
fn fragments_are_followed_each_by_itself_and_a_lost_one_is_named() {
    let mut story = Story::quiet(200);
    for number in 0..100 {
        let time = i64::from(number) * 1_000 + 200;
        story.pass(time, &WAY, Sighting { ip_id: fragment(number, 1).ip_id, ..segment(3_000 + number) });
        for offset in [185, 370] {
            let way: &[usize] = if (number, offset) == (50, 370) { &[0, 1] } else { &WAY };
            story.pass(time + 5, way, fragment(number, offset));
        }
    }
    let told = story.tell();
    assert_eq!(told.lost(), [(51, 1, 2)]);
    assert_eq!((told.findings().duplicates, told.findings().reordered), (0, 0));
    assert_eq!(told.report.journeys, 700);
}

#[test]
fn a_firewall_that_puts_fragments_together_has_lost_none() {
    // nf_defrag_ipv4 hands whole packets on: what was two is one at the next vantage, and maybe two behind it.
    for are_two_again in [false, true] {
        let mut story = Story::quiet(200);
        for number in 0..100 {
            let time = i64::from(number) * 1_000 + 200;
            let later = fragment(number, 185);
            story.pass(time, &WAY, Sighting { ip_id: later.ip_id, ..segment(3_000 + number) });
            story.see(0, time + 5, later);
            if are_two_again {
                story.see(2, time + 2 * STRETCH_US + 5, Sighting { ttl: 62, ..later });
            }
        }
        let told = story.tell();
        assert_eq!(told.lost(), [], "{are_two_again}");
        assert_eq!(told.missed(), [0, 0, 0], "{are_two_again}");
        assert_eq!(told.findings().undecided, 0, "{are_two_again}");
    }
}

// Order.

#[test]
fn devices_on_top_of_one_another_are_in_order_though_their_stamps_are_equal() {
    const PORT: u16 = 0;
    const TAGGED: u16 = 1;
    const BRIDGE: u16 = 2;
    let mut story = Story::new(2);
    for number in 0..200 {
        let time = i64::from(number) * 1_000;
        // What is received has one stamp at all three, and the file has them in any order.
        for local in [BRIDGE, TAGGED, PORT] {
            if number != 100 || local == PORT {
                story.see(0, time, Sighting { vantage: local, ..request(number) });
            }
        }
        if number == 100 {
            continue;
        }
        story.see(1, time + 100, Sighting { ttl: 63, ..request(number) });
        story.see(1, time + 500, reply(number));
        // What is sent has a stamp of its own at each.
        for (later, local) in [(0, BRIDGE), (1, TAGGED), (2, PORT)] {
            story.see(0, time + 600 + later, Sighting { ttl: 63, vantage: local, ..reply(number) });
        }
    }
    let told = story.tell();
    let local = |vantage: u16| told.report.vantages[usize::from(vantage)].local;
    let lost: Vec<_> = told.findings().lost.iter().map(|lost| lost.packet).collect();
    assert_eq!(
        lost.iter().map(|lost| (lost.detail, local(lost.stop.vantage))).collect::<Vec<_>>(),
        [(100, PORT)]
    );
    assert_eq!(local(told.findings().lost[0].expected_at), TAGGED);
    // Before the first reply nothing tells.
    for journey in told.journeys.iter().skip(2).filter(|journey| journey.detail != 100) {
        let way: Vec<_> =
            journey.stops.iter().map(|stop| (told.source(stop.vantage), local(stop.vantage))).collect();
        let there = [(0, PORT), (0, TAGGED), (0, BRIDGE), (1, 0)];
        let back = [(1, 0), (0, BRIDGE), (0, TAGGED), (0, PORT)];
        assert_eq!(way, if journey.kind == Kind::EchoRequest { there } else { back }, "{}", journey.detail);
    }
}
