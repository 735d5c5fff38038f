//! Rings on real devices of namespaces. Needs root.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod support;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use capture::filter;
use capture::session::{self, Counts, Event, Limits};
use capture::vantage::{self, OpenError, Room, Selection, Vantage, Watched};
use support::namespaces::{ROOM, Wire, must, vantage};
use support::packets;
use sys::packet_ring::Way;

/// Long enough for whatever a test does; most end by another limit.
const LONG: Duration = Duration::from_secs(20);

/// A packet as it was told.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Told {
    vantage: usize,
    way: Way,
    time_ns: u64,
    tag: Option<(u16, u16)>,
    length: u32,
    bytes: Vec<u8>,
}

fn selection(text: &str) -> Selection {
    Selection::Filter(filter::parse(text).unwrap())
}

fn open(at: &Vantage, text: &str, room: Room) -> Watched {
    vantage::open(at, &selection(text), room).unwrap()
}

/// Everything that was told within the limits.
fn told(vantages: Vec<Watched>, room: Room, limits: Limits<'_>) -> (Vec<Told>, Vec<Counts>) {
    let mut all = Vec::new();
    let outcome = session::run(vantages, room, limits, &mut |event| {
        if let Event::Packet { vantage, frame, .. } = event {
            let (way, time_ns, tag, length) = (frame.way, frame.time_ns, frame.tag, frame.length);
            all.push(Told { vantage, way, time_ns, tag, length, bytes: frame.bytes.to_vec() });
        }
        Ok(())
    });
    (all, outcome.unwrap().counts)
}

fn now_ns() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}

#[test]
fn both_ends_of_a_wire_see_a_ping_and_its_answer_and_nothing_else() {
    let wire = Wire::new("p");
    let room = Room { settle_ms: 40, ..ROOM };
    let vantages = [&wire.a, &wire.b].map(|netns| open(&vantage(netns, "wire0"), "icmp", room));
    let before = now_ns();
    wire.ping(3);
    let after = now_ns();
    let limits = Limits { packets: Some(12), time: Some(LONG), ..Limits::default() };
    let (told, counts) = told(vantages.into(), room, limits);
    assert_eq!(told.len(), 12, "{told:?}");
    for (at, first) in [(0, Way::Out), (1, Way::In)] {
        let ways: Vec<Way> = told.iter().filter(|t| t.vantage == at).map(|t| t.way).collect();
        let second = if first == Way::Out { Way::In } else { Way::Out };
        assert_eq!(ways, [first, second].repeat(3), "requests and answers at {at}");
        assert_eq!((counts[at].packets, counts[at].drops), (6, 0));
        assert_eq!(counts[at].bytes, 6 * 98, "84 bytes of ping in a frame");
    }
    for packet in &told {
        assert!((before..=after).contains(&packet.time_ns), "{} in {before}..{after}", packet.time_ns);
        assert_eq!((packet.bytes[12], packet.bytes[13], packet.bytes[23]), (8, 0, 1), "ICMP, not ARP");
    }
    assert!(told.iter().any(|t| t.time_ns % 1000 != 0), "nanoseconds, not microseconds");
    for at in [0, 1] {
        let times = told.iter().filter(|t| t.vantage == at).map(|t| t.time_ns);
        assert!(times.is_sorted(), "in the order of time, at {at}: {told:?}");
    }
}

#[test]
fn a_tag_is_told_wherever_the_kernel_keeps_it() {
    let wire = Wire::new("v");
    let inner = packets::frame(
        packets::MACS[0],
        packets::MACS[1],
        0x0800,
        &[&[0x45, 0, 0, 60][..], &[0; 56]].concat(),
    );
    let single = packets::tagged(&inner, 0x8100, 0x6064);
    let double = packets::tagged(&single, 0x88a8, 5);
    let vantages = [&wire.a, &wire.b].map(|netns| open(&vantage(netns, "wire0"), "vlan 100", ROOM));
    let of_inner = open(&vantage(&wire.b, "wire0"), "vlan 5 and vlan 100 and ip", ROOM);
    wire.send(&inner, 1);
    wire.send(&single, 1);
    wire.send(&double, 1);
    let limits = Limits { packets: Some(3), time: Some(LONG), ..Limits::default() };
    let (told, _) = told(vantages.into_iter().chain([of_inner]).collect(), ROOM, limits);
    assert_eq!(told.len(), 3, "one of `vlan 100` at each end, and the double one: {told:02x?}");
    let arrived = told.iter().find(|t| t.vantage == 1).unwrap();
    assert_eq!((arrived.tag, &arrived.bytes), (Some((0x8100, 0x6064)), &inner), "beside what is received");
    let arrived = told.iter().find(|t| t.vantage == 2).unwrap();
    assert_eq!((arrived.tag, &arrived.bytes), (Some((0x88a8, 5)), &single));
}

#[test]
fn only_as_much_is_kept_as_is_wanted() {
    let wire = Wire::new("s");
    let room = Room { snap: 60, ..ROOM };
    let ring = open(&vantage(&wire.b, "wire0"), "icmp", room);
    wire.ping(1);
    let limits = Limits { packets: Some(2), time: Some(LONG), ..Limits::default() };
    let (told, _) = told(vec![ring], room, limits);
    assert_eq!(told.iter().map(|t| (t.bytes.len(), t.length)).collect::<Vec<_>>(), [(60, 98), (60, 98)]);
}

#[test]
fn what_came_before_the_time_is_over_is_told_in_full() {
    let wire = Wire::new("t");
    // Packets are handed over long after the session's time.
    let room = Room { delay_ms: 400, ..ROOM };
    let ring = open(&vantage(&wire.b, "wire0"), "icmp", room);
    wire.ping(2);
    let limits = Limits { time: Some(Duration::from_millis(1)), ..Limits::default() };
    let (told, counts) = told(vec![ring], room, limits);
    assert_eq!((told.len(), counts[0].packets), (4, 4));
}

#[test]
fn drops_are_counted_and_told_with_the_next_packet() {
    let wire = Wire::new("d");
    let room = Room { ring_bytes: 256 << 10, ..ROOM };
    let ring = open(&vantage(&wire.b, "wire0"), "ether src 02:00:00:00:00:01", room);
    let frame = packets::frame(packets::MACS[0], packets::MACS[2], 0x88b5, &[7; 1200]);
    // Nobody looks meanwhile.
    wire.send(&frame, 2000);
    let (mut packets, mut lost, mut sent_more) = (0, 0, false);
    let limits = Limits { time: Some(LONG), ..Limits::default() };
    let outcome = session::run(vec![ring], room, limits, &mut |event| {
        match event {
            Event::Packet { lost_before, .. } => {
                packets += 1;
                lost += lost_before;
                // Enough: as when a reader goes away.
                if lost > 0 {
                    return Err(std::io::ErrorKind::BrokenPipe.into());
                }
            }
            Event::Pause if packets > 0 && !sent_more => {
                sent_more = true;
                // There is room again, and its block says that there was none.
                wire.send(&frame, 1);
            }
            Event::Pause | Event::Ended { .. } => {}
        }
        Ok(())
    });
    let outcome = outcome.unwrap();
    assert_eq!(outcome.closed_ns, None, "packets may still have been in the ring");
    let counts = &outcome.counts[0];
    assert!(counts.drops > 0, "{counts:?}");
    assert_eq!(counts.packets + counts.drops, 2001, "none is missing from the figures: {counts:?}");
    assert_eq!(lost, counts.drops, "told with a packet");
}

#[test]
fn a_device_that_goes_ends_its_vantage_and_no_other() {
    let wire = Wire::new("g");
    must(&["ip", "-n", &wire.a, "link", "add", "other0", "type", "veth", "peer", "name", "other1"]);
    let vantages = ["other0", "wire0"].map(|device| open(&vantage(&wire.a, device), "", ROOM));
    must(&["ip", "-n", &wire.a, "link", "delete", "other0"]);
    let mut ended = Vec::new();
    let limits = Limits { time: Some(LONG), packets: Some(4), ..Limits::default() };
    let outcome = session::run(vantages.into(), ROOM, limits, &mut |event| {
        if let Event::Ended { vantage, why } = event {
            ended.push((vantage, why.to_owned()));
            // The other one goes on: this ends the session.
            wire.ping(1);
        }
        Ok(())
    });
    let counts = outcome.unwrap().counts;
    assert_eq!(ended, [(0, "the device `other0` has gone".to_owned())]);
    assert_eq!(counts[0].ended.as_deref(), Some("the device `other0` has gone"));
    assert_eq!(counts[1], Counts { packets: 4, bytes: counts[1].bytes, drops: 0, ended: None }, "ARP too");
}

#[test]
fn a_device_that_is_down_first_and_goes_then_ends_its_vantage() {
    let wire = Wire::new("h");
    let vantages = vec![open(&vantage(&wire.a, "wire0"), "", ROOM)];
    let mut pauses = 0;
    let limits = Limits { time: Some(LONG), ..Limits::default() };
    let outcome = session::run(vantages, ROOM, limits, &mut |event| {
        if let Event::Pause = event {
            pauses += 1;
            match pauses {
                1 => drop(must(&["ip", "-n", &wire.a, "link", "set", "wire0", "down"])),
                // By now it has been asked for once, and was there.
                4 => drop(must(&["ip", "-n", &wire.a, "link", "delete", "wire0"])),
                _ => {}
            }
        }
        Ok(())
    });
    assert_eq!(outcome.unwrap().counts[0].ended.as_deref(), Some("the device `wire0` has gone"));
}

#[test]
fn a_deleted_namespace_is_let_go() {
    let wire = Wire::new("n");
    let vantages = vec![open(&vantage(&wire.b, "wire0"), "", ROOM)];
    must(&["ip", "netns", "delete", &wire.b]);
    let (_, counts) = told(vantages, ROOM, Limits { time: Some(LONG), ..Limits::default() });
    assert_eq!(counts[0].ended, Some(format!("the namespace `{}` was deleted", wire.b)));
    // Nothing keeps it alive any more, so the other end of its wire goes, as the kernel gets round to it.
    let deadline = std::time::Instant::now() + LONG;
    while must(&["ip", "-n", &wire.a, "-o", "link"]).contains("wire0") {
        assert!(std::time::Instant::now() < deadline, "the namespace lives on");
        std::thread::yield_now();
    }
}

#[test]
fn what_cannot_be_watched_is_said() {
    let wire = Wire::new("e");
    let open = |at: &Vantage, selection: Selection| vantage::open(at, &selection, ROOM);
    let error = open(&vantage(&wire.a, "eth7"), selection("")).unwrap_err();
    assert!(matches!(error, OpenError::NoDevice { .. }), "{error}");
    assert!(error.to_string().contains("there is no device `eth7`"), "{error}");
    let error = open(&vantage("ht-cap-none", "eth0"), selection("")).unwrap_err();
    assert!(error.to_string().contains("there is no network namespace ht-cap-none"), "{error}");
    let error = open(&vantage(&wire.a, "wire0"), Selection::Beyond("nonsense".to_owned())).unwrap_err();
    assert!(error.to_string().contains("tcpdump does not take this filter"), "{error}");
}

#[test]
fn what_is_beyond_our_language_is_compiled_by_tcpdump() {
    let wire = Wire::new("b");
    let requests = Selection::Beyond("icmp[icmptype] == icmp-echo and less 200".to_owned());
    let ring = vantage::open(&vantage(&wire.b, "wire0"), &requests, ROOM).unwrap();
    wire.ping(2);
    let limits = Limits { time: Some(Duration::from_millis(100)), ..Limits::default() };
    let (told, _) = told(vec![ring], ROOM, limits);
    assert_eq!(told.iter().map(|t| t.way).collect::<Vec<_>>(), [Way::In, Way::In]);
}
