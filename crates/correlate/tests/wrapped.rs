//! One packet is one journey whatever is done to its octets on the way: tags, tunnels, translation, fragments.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

#[path = "support/octets.rs"]
mod octets;
#[path = "support/story.rs"]
mod story;

use correlate::Nat;
use model::sighting::{Address, Kind};
use octets::{ETHERNET, ICMP, Ip, RAW, TCP, UDP, echo, icmp, seen, tcp, udp};
use story::{Story, Told};

const INSIDE: [u8; 4] = [10, 0, 2, 24];
const OUTSIDE: [u8; 4] = [203, 0, 113, 30];
const SERVER: [u8; 4] = [198, 51, 100, 7];
const ROUTER: [u8; 4] = [198, 51, 100, 1];

fn ip(source: [u8; 4], destination: [u8; 4], ttl: u8, protocol: u8) -> Ip {
    Ip { source, destination, ttl, id: 0, protocol, fragment: (false, 0) }
}

/// A packet's frames, one for each source, some time apart.
fn pass(story: &mut Story, time_us: i64, frames: &[(u32, Vec<u8>)]) {
    for (source, (link_type, frame)) in frames.iter().enumerate() {
        let step = i64::try_from(source).unwrap() * 100;
        story.see(source, time_us + step, seen(*link_type, frame));
    }
}

/// Each journey was seen at so many places, and nothing is wrong.
fn assert_joined(told: &Told, journeys: u64, stops: usize) {
    assert_eq!(told.report.journeys, journeys);
    assert!(told.journeys.iter().all(|journey| journey.stops.len() == stops), "{:?}", told.journeys);
    told.assert_silent();
}

#[test]
fn tags_and_tunnels_are_looked_into() {
    let mut story = Story::new(8);
    for number in 0..100_u16 {
        let packet = ip(INSIDE, SERVER, 64, ICMP).around(&echo(false, 7, number, b"payload"));
        let frames = [
            octets::plain(&packet),
            octets::vlan(100, &packet),
            octets::qinq(7, 100, &packet),
            octets::vxlan(number, &octets::plain(&packet)),
            octets::geneve(number, &octets::vlan(3, &packet)),
            octets::gre(number, &packet),
            octets::ipip(number, &packet),
        ];
        let mut frames = frames.map(|frame| (ETHERNET, frame)).to_vec();
        frames.push((RAW, packet));
        pass(&mut story, i64::from(number) * 1_000, &frames);
    }
    let told = story.tell();
    assert_joined(&told, 100, 8);
    let journey = &told.journeys[0];
    assert!(journey.stops.iter().all(|stop| stop.ttl == 64), "of the packet inside");
}

#[test]
fn a_tunnel_of_something_unknown_is_a_packet_itself() {
    let mut story = Story::new(2);
    for number in 0..50_u16 {
        let frame = octets::vxlan(number, &octets::ethernet(1, 0x88cc, &number.to_be_bytes()));
        pass(&mut story, i64::from(number) * 1_000, &[(ETHERNET, frame.clone()), (ETHERNET, frame)]);
    }
    let told = story.tell();
    assert_joined(&told, 50, 2);
    assert_eq!(told.journeys[0].stops[0].source, Address::v4([192, 0, 2, 1]));
}

#[test]
fn translation_changes_addresses_ports_ttl_and_checksums_and_the_packet_is_the_same() {
    let mut story = Story::new(3);
    for number in 0..100_u16 {
        let frame = |source, port, ttl| {
            let sequence = 1_000 * u32::from(number);
            let segment = tcp(port, 80, sequence, port ^ u16::from(ttl), &number.to_be_bytes());
            (ETHERNET, octets::plain(&ip(source, SERVER, ttl, TCP).around(&segment)))
        };
        let frames = [frame(INSIDE, 40_000, 64), frame(OUTSIDE, 1_024, 63), frame(OUTSIDE, 1_024, 58)];
        pass(&mut story, i64::from(number) * 1_000, &frames);
    }
    let told = story.tell();
    assert_joined(&told, 100, 3);
    assert_eq!((told.stretch(0, 1).source, told.stretch(0, 1).ports), (100, 100));
    assert_eq!(told.stretch(1, 2).ttl.keys().collect::<Vec<_>>(), [&5]);
    let nat = Nat { inside: Address::v4(INSIDE), outside: Address::v4(OUTSIDE) };
    assert_eq!(told.report.nat.keys().collect::<Vec<_>>(), [&nat]);
}

#[test]
fn an_icmp_error_is_translated_with_the_packet_that_it_quotes() {
    // nf_nat_icmp_reply_translation changes the header of the quoted packet, and its ports, too.
    let mut story = Story::new(2);
    for number in 0..50_u16 {
        let quoted = |source, port, ttl| {
            let sent = Ip { id: number + 1, ..ip(source, SERVER, ttl, UDP) };
            let sent = sent.around(&udp(port, 33_434, b"traceroute"));
            icmp([11, 0], &[0; 4], &sent[..28])
        };
        let near = ip(ROUTER, INSIDE, 62, ICMP).around(&quoted(INSIDE, 40_000, 1));
        let far = ip(ROUTER, OUTSIDE, 63, ICMP).around(&quoted(OUTSIDE, 1_024, 1));
        pass(&mut story, i64::from(number) * 1_000, &[(RAW, far), (RAW, near)]);
    }
    let told = story.tell();
    assert_joined(&told, 50, 2);
    assert_eq!(told.journeys[0].kind, Kind::Icmp);
}

#[test]
fn icmp_errors_about_two_packets_are_two() {
    let mut story = Story::new(1);
    for number in 0..50_u16 {
        let sent = Ip { id: number + 1, ..ip(INSIDE, SERVER, 1, UDP) }.around(&udp(1, 2, b"traceroute"));
        let error = ip(ROUTER, INSIDE, 62, ICMP).around(&icmp([11, 0], &[0; 4], &sent[..28]));
        pass(&mut story, i64::from(number), &[(RAW, error)]);
    }
    assert_joined(&story.tell(), 50, 1);
}

#[test]
fn a_packet_that_is_cut_into_fragments_on_the_way_is_followed_by_its_first() {
    let mut story = Story::new(3);
    for number in 0..100_u16 {
        let whole = udp(5_000, 9_999, &[&number.to_be_bytes()[..], &vec![7; 1_998]].concat());
        let id = number + 1;
        let part = |ttl, fragment, body: &[u8]| {
            (RAW, Ip { id, fragment, ..ip(INSIDE, SERVER, ttl, UDP) }.around(body))
        };
        let time = i64::from(number) * 1_000;
        let first = |ttl| part(ttl, (true, 0), &whole[..1_480]);
        pass(&mut story, time, &[part(64, (false, 0), &whole), first(63), first(62)]);
        for (source, ttl) in [(1, 63), (2, 62)] {
            let (link_type, later) = part(ttl, (false, 185), &whole[1_480..]);
            story.see(source, time + 100 * i64::from(64 - ttl) + 1, seen(link_type, &later));
        }
    }
    let told = story.tell();
    told.assert_silent();
    assert_eq!(told.report.journeys, 200);
    let ways: Vec<_> = told.journeys[..2].iter().map(|journey| journey.stops.len()).collect();
    assert_eq!(ways, [3, 2]);
}
