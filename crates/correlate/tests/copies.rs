//! Packets seen more than once: copies that the network made, and what only looks like it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/story.rs"]
mod story;

use model::sighting::{Address, Kind, Sighting};
use story::{INSIDE, SERVER, STRETCH_US, Story, request, segment};

const WAY: [usize; 3] = [0, 1, 2];

#[test]
fn copies_made_on_the_way_are_counted_once() {
    let mut story = Story::quiet(200);
    for source in [1, 2] {
        let hops = u8::try_from(source).unwrap();
        let time = 100_000 + i64::from(hops) * STRETCH_US + 7;
        story.see(source, time, Sighting { ttl: 64 - hops, ..request(100) });
    }
    let told = story.tell();
    assert_eq!(told.findings().duplicates, 1);
    let first = told.findings().duplicate.unwrap();
    assert_eq!((first.detail, told.source(first.stop.vantage)), (100, 1), "where it was first seen twice");
    assert!(told.findings().is_fault());
    assert_eq!(told.lost(), []);
}

#[test]
fn what_senders_say_again_is_no_copy() {
    let group: Address = "ff02::16".parse::<std::net::IpAddr>().unwrap().into();
    let all: Address = "ff02::1".parse::<std::net::IpAddr>().unwrap().into();
    let icmp = |kind: u32, destination| Sighting {
        kind: Kind::Icmp,
        protocol: 58,
        detail: kind << 8,
        destination,
        ask: 0,
        ..request(900)
    };
    let arp =
        |destination| Sighting { kind: Kind::ArpRequest, protocol: 0, destination, ask: 0, ..request(900) };
    let igmp = Sighting { kind: Kind::Other, protocol: 2, ask: 0, ..request(900) };
    let told = |packet: Sighting| {
        let mut story = Story::quiet(200);
        for time in [50_000, 90_000] {
            story.see(0, time, packet);
        }
        story.tell().findings().duplicates
    };
    // A report of MLD, an announcement in IPv6 and one in IPv4, a report of IGMP.
    assert_eq!([icmp(143, group), icmp(136, all), arp(INSIDE), igmp].map(told), [0; 4]);
    // Unreachable; an answer to who asked; a question; another protocol.
    let other = Sighting { protocol: 132, ..igmp };
    let with_id = |packet| Sighting { ip_id: 7, ..packet };
    let copies = [with_id(icmp(1, SERVER)), with_id(icmp(136, SERVER)), arp(SERVER), with_id(other)];
    assert_eq!(copies.map(told), [1; 4]);
}

#[test]
fn what_a_sender_may_have_sent_again_is_no_copy_unless_one_was_made_on_the_way() {
    let datagram = Sighting { kind: Kind::Udp, protocol: 17, ..segment(900) };
    let acknowledgement = segment(900);
    // At how many of the three vantages it was seen twice, from behind; by its id or without one.
    let told = |packet: Sighting, twice_at: std::ops::Range<usize>, is_mixed: bool| {
        let mut story = Story::quiet(200);
        story.is_mixed = vec![is_mixed, false, false];
        for (at, hops) in WAY.into_iter().zip(0_u8..) {
            let time = 100_250 + i64::from(hops) * STRETCH_US;
            let times = if twice_at.contains(&at) { 2 } else { 1 };
            (0..times).for_each(|n| story.see(at, time + n * 7, Sighting { ttl: 64 - hops, ..packet }));
        }
        let told = story.tell();
        let findings = told.findings();
        let first = findings.duplicate.or(findings.repeated).map(|first| told.source(first.stop.vantage));
        (findings.duplicates, findings.repeats, first, findings.is_fault())
    };
    for packet in [datagram, acknowledgement] {
        let with_id = Sighting { ip_id: 7, ..packet };
        assert_eq!(told(packet, 0..3, false), (0, 1, Some(0), false), "from the first vantage on");
        assert_eq!(told(with_id, 0..3, false), (1, 0, Some(0), true), "two packets have two ids");
        for is_mixed in [false, true] {
            assert_eq!(told(packet, 0..1, is_mixed), (0, 1, Some(0), false), "one of two is lost");
            assert_eq!(told(with_id, 0..1, is_mixed), (1, 0, Some(0), true));
        }
        assert_eq!(told(packet, 1..3, false), (1, 0, Some(1), true), "made between the first two");
        assert_eq!(told(packet, 2..3, false), (1, 0, Some(2), true), "made between the last two");
        assert_eq!(told(packet, 0..0, false), (0, 0, None, false));
    }
    assert_eq!(told(request(900), 0..3, false), (1, 0, Some(0), true), "an echo has a number");
}

#[test]
fn bridge_and_port_show_the_same_packet() {
    // As two devices of one capture, and as one capture of all devices that does not tell them apart.
    for is_mixed in [false, true] {
        let mut story = Story::new(2);
        story.is_mixed = vec![is_mixed, false];
        for number in 0..200 {
            let time = i64::from(number) * 1_000;
            story.pass(time, &[0, 1], request(number));
            let bridge = Sighting { vantage: u16::from(!is_mixed), ..request(number) };
            story.see(0, time + 3, bridge);
        }
        let told = story.tell();
        told.assert_silent();
        let doubled: u64 = told.report.vantages.iter().map(|vantage| vantage.doubled).sum();
        assert_eq!(doubled, if is_mixed { 200 } else { 0 });
    }
}

#[test]
fn a_copy_among_devices_that_are_not_told_apart_is_one_where_others_have_none() {
    let mut story = Story::quiet(200);
    story.is_mixed[1] = true;
    let time = 100_000 + STRETCH_US;
    story.see(1, time + 7, Sighting { ttl: 63, ..request(100) });
    let told = story.tell();
    assert_eq!(told.findings().duplicates, 1);
    let first = told.findings().duplicate.expect("what is counted has an example");
    assert_eq!((first.detail, told.source(first.stop.vantage)), (100, 1));
}

#[test]
fn what_is_sent_again_is_no_copy() {
    let mut story = Story::quiet(200);
    for number in 20..30 {
        let time = i64::from(number) * 1_000;
        story.pass(time, &WAY, segment(5_000 + number));
        story.pass(time + 300_000, &WAY, segment(5_000 + number));
    }
    let told = story.tell();
    told.assert_silent();
    assert_eq!(told.report.journeys, 420);
}

#[test]
fn packets_that_look_alike_and_have_other_ids_are_no_copies() {
    let mut story = Story::quiet(200);
    for number in 1..100_u16 {
        let packet = Sighting { identity: 77, ip_id: number, ..segment(7_000) };
        story.pass(50_000 + i64::from(number) * 10, &WAY, packet);
    }
    let told = story.tell();
    told.assert_silent();
    assert_eq!(told.report.journeys, 499);
}
