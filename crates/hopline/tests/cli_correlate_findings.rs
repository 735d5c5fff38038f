//! `hopline correlate` on captures in which one thing is wrong: it is told with its code and its vantage, and
//! nothing else is. What comes near to each without being it stands in the tests of crate correlate.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod cli_support;
#[path = "../../correlate/tests/support/octets.rs"]
mod octets;

use std::fs;
use std::path::Path;

use cli_support::capture_files::pcapng;
use cli_support::{Run, assert_refused, hopline};
use octets::{ICMP, Ip, TCP, echo, ethernet, plain, tcp};
use serde_json::Value;

const TAP: usize = 0;
const UPLINK: usize = 1;
const SERVER: usize = 2;
/// Another way between the uplink's host and the server.
const DETOUR: usize = 3;
const NAMES: [&str; 4] = ["compute1//vnet1", "compute1//eth0", "server//eth0", "gw/fw/eth1"];
const FILES: [&str; 4] = ["tap.pcapng", "uplink.pcapng", "server.pcapng", "detour.pcapng"];
/// Routers on the way from the instance.
const HOPS: [u8; 4] = [0, 1, 2, 1];

const WAY: [usize; 3] = [TAP, UPLINK, SERVER];
const BACK: [usize; 3] = [SERVER, UPLINK, TAP];

const INSIDE: [u8; 4] = [10, 0, 2, 24];
const OUTSIDE: [u8; 4] = [203, 0, 113, 30];
const FAR: [u8; 4] = [198, 51, 100, 7];
const START_US: i64 = 1_795_487_082_000_000;

/// What each vantage has captured.
#[derive(Default)]
struct Captures {
    frames: [Vec<(i64, Vec<u8>)>; 4],
}

/// One packet; which way it goes tells its addresses at each place.
struct Packet {
    is_reply: bool,
    protocol: u8,
    body: Vec<u8>,
}

impl Packet {
    fn at(&self, place: usize, turns: u8) -> Vec<u8> {
        let near = if place == TAP { INSIDE } else { OUTSIDE };
        let (source, destination) = if self.is_reply { (FAR, near) } else { (near, FAR) };
        let hops = if self.is_reply { HOPS[SERVER] - HOPS[place] } else { HOPS[place] };
        let (ttl, protocol) = (64 - hops - 2 * turns, self.protocol);
        plain(&Ip { source, destination, ttl, id: 0, protocol, fragment: (false, 0) }.around(&self.body))
    }
}

fn ping(number: u16, is_reply: bool) -> Packet {
    Packet { is_reply, protocol: ICMP, body: echo(is_reply, 7, number, b"payload") }
}

fn segment(number: u16) -> Packet {
    Packet { is_reply: false, protocol: TCP, body: tcp(40_000, 80, 100 * u32::from(number), 0, b"x") }
}

impl Captures {
    fn see(&mut self, place: usize, time_us: i64, frame: Vec<u8>) {
        self.frames[place].push(((START_US + time_us) * 1_000, frame));
    }

    fn pass(&mut self, time_us: i64, way: &[usize], packet: &Packet) {
        for (step, place) in (0..).zip(way) {
            self.see(*place, time_us + step * 100, packet.at(*place, 0));
        }
    }

    fn exchange(&mut self, number: u16, there: &[usize], back: &[usize]) {
        let time_us = i64::from(number) * 1_000;
        self.pass(time_us, there, &ping(number, false));
        self.pass(time_us + 500, back, &ping(number, true));
    }

    /// Exchanges of which nothing is to be told, but for these numbers.
    fn quiet(but: &[u16]) -> Captures {
        let mut captures = Captures::default();
        for number in (0..200).filter(|number| !but.contains(number)) {
            captures.exchange(number, &WAY, &BACK);
        }
        captures
    }

    fn correlate(mut self, folder: &Path, flags: &[&str]) -> Run {
        let mut arguments = vec!["correlate"];
        for (place, frames) in self.frames.iter_mut().enumerate().filter(|(_, frames)| !frames.is_empty()) {
            frames.sort_by_key(|(time_ns, _)| *time_ns);
            let packets: Vec<_> = frames.iter().map(|(time, frame)| (0, *time, frame.clone())).collect();
            fs::write(folder.join(FILES[place]), pcapng(&[NAMES[place]], &packets)).unwrap();
            arguments.push(FILES[place]);
        }
        hopline(folder, &[&arguments, flags].concat())
    }
}

fn lost() -> Captures {
    let mut captures = Captures::quiet(&[100]);
    captures.exchange(100, &[TAP, UPLINK], &[]);
    captures
}

fn duplicated() -> Captures {
    let mut captures = Captures::quiet(&[]);
    captures.see(SERVER, 100_000 + 207, ping(100, false).at(SERVER, 0));
    captures
}

fn repeated() -> Captures {
    let mut captures = Captures::quiet(&[]);
    let packet = segment(1);
    captures.pass(100_000, &WAY, &packet);
    captures.pass(100_020, &WAY, &packet);
    captures
}

fn looping() -> Captures {
    let mut captures = Captures::quiet(&[]);
    let packet = segment(1);
    captures.see(TAP, 100_000, packet.at(TAP, 0));
    for turn in 0..20 {
        captures.see(UPLINK, 100_100 + i64::from(turn) * 10, packet.at(UPLINK, turn));
    }
    captures.see(SERVER, 100_400, packet.at(SERVER, 19));
    captures
}

fn answered_twice() -> Captures {
    let mut captures = Captures::quiet(&[]);
    let arp = |operation: u8, mac: u8, from: [u8; 4], to: [u8; 4]| {
        let head = [0, 1, 8, 0, 6, 4, 0, operation, 2, 0, 0, 0, 0, mac];
        ethernet(mac, 0x0806, &[&head[..], &from, &[0; 6], &to].concat())
    };
    let (instance, gateway) = (INSIDE, [10, 0, 2, 1]);
    captures.see(TAP, 100_000, arp(1, 0x24, instance, gateway));
    captures.see(TAP, 100_200, arp(2, 1, gateway, instance));
    captures.see(TAP, 100_250, arp(2, 0x66, gateway, instance));
    captures
}

fn delayed() -> Captures {
    // The last one, so that none overtakes it.
    let mut captures = Captures::quiet(&[199]);
    captures.exchange(199, &[TAP, UPLINK], &[]);
    captures.see(SERVER, 199_100 + 30_000, ping(199, false).at(SERVER, 0));
    captures.pass(229_500, &BACK, &ping(199, true));
    captures
}

fn reordered() -> Captures {
    let mut captures = Captures::quiet(&[]);
    for number in 1..20_u16 {
        let (time_us, packet) = (100_000 + i64::from(number) * 300, segment(number));
        captures.pass(time_us, &[TAP, UPLINK], &packet);
        let late = if number == 10 { 400 } else { 0 };
        captures.see(SERVER, time_us + 200 + late, packet.at(SERVER, 0));
    }
    captures
}

fn other_way() -> Captures {
    let mut captures = Captures::quiet(&[100]);
    captures.exchange(100, &WAY, &[SERVER, DETOUR, TAP]);
    captures
}

fn incomplete() -> Captures {
    let but = [100, 110, 120];
    let mut captures = Captures::quiet(&but);
    for number in but {
        captures.exchange(number, &[TAP, SERVER], &[SERVER, TAP]);
    }
    captures
}

#[test]
fn each_finding_is_told_with_its_code_and_its_vantage() {
    let cases: [(&str, Captures, usize, i32, &str); 9] = [
        ("packet-lost", lost(), UPLINK, 1, "1 packet last seen here and expected at server//eth0"),
        ("packet-duplicated", duplicated(), SERVER, 1, "1 packet duplicated"),
        ("packet-repeated", repeated(), TAP, 0, "1 packet seen once more where first seen, without an IP id"),
        ("packet-looping", looping(), UPLINK, 1, "1 packet came by again and again"),
        ("answered-twice", answered_twice(), TAP, 1, "02:00:00:00:00:01 and 02:00:00:00:00:66"),
        ("packet-delayed", delayed(), SERVER, 0, "1 packet took more than ten times as long"),
        (
            "packet-reordered",
            reordered(),
            SERVER,
            0,
            "1 packet overtaken by a later one of the flow; first by frame",
        ),
        ("reply-other-way", other_way(), DETOUR, 0, "1 packet came back by another way"),
        ("capture-incomplete", incomplete(), UPLINK, 0, "6 packets seen before and after and not here"),
    ];
    for (code, captures, place, exit, sentence) in cases {
        let folder = tempfile::tempdir().unwrap();
        let run = captures.correlate(folder.path(), &["--json"]);
        assert_eq!((run.code, run.stderr.as_str()), (exit, ""), "{code}: {}", run.stdout);
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        let [finding] = told["findings"].as_array().unwrap().as_slice() else {
            panic!("{code}: {}", told["findings"]);
        };
        assert_eq!((&finding["code"], &finding["vantage"]), (&code.into(), &NAMES[place].into()));
        assert_eq!(finding["fault"], exit == 1, "{code}");
        assert!(finding["summary"].as_str().unwrap().contains(sentence), "{code}: {finding}");
        let nat = &told["nat"][0];
        assert_eq!(
            (&nat["inside"], &nat["outside"]),
            (&"10.0.2.24".into(), &"203.0.113.30".into()),
            "{code}"
        );
        assert_eq!(told["undecided"], 0, "{code}");
    }
}

#[test]
fn a_loss_names_the_packet_by_its_frame() {
    let folder = tempfile::tempdir().unwrap();
    let run = lost().correlate(folder.path(), &["--json"]);
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    let [lost] = told["lost"].as_array().unwrap().as_slice() else { panic!("{}", told["lost"]) };
    assert_eq!(lost["last_seen"], NAMES[UPLINK]);
    assert_eq!(lost["expected_at"], NAMES[SERVER]);
    assert_eq!(lost["frame"], 201, "a hundred requests and their replies stand before it");
    assert_eq!(lost["packet"], "203.0.113.30 > 198.51.100.7: ICMP echo request, id 7, seq 100, length 15");
    assert_eq!(lost["time"], "2026-11-24T02:24:42.100100000Z");
}

#[test]
fn quiet_captures_are_no_finding_and_clocks_and_latencies_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let mut captures = Captures::quiet(&[]);
    captures.frames[SERVER].iter_mut().for_each(|(time_ns, _)| *time_ns += 5_000_000);
    let run = captures.correlate(folder.path(), &["--json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""), "{run:?}");
    let told: Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!((&told["findings"], &told["journeys"]), (&Value::Array(vec![]), &400.into()));
    let vantages = told["vantages"].as_array().unwrap();
    let server = vantages.iter().find(|vantage| vantage["name"] == NAMES[SERVER]).unwrap();
    let offset = &server["clock_offset_us"];
    let (low, high) = (offset["low"].as_i64().unwrap(), offset["high"].as_i64().unwrap());
    assert!(low <= 5_000 && high >= 5_000 && high - low <= 400, "{offset}");
    let latencies = told["latency_us"].as_array().unwrap();
    let stretch = latencies.iter().find(|of| of["from"] == NAMES[TAP] && of["to"] == NAMES[UPLINK]).unwrap();
    assert!((stretch["p50"].as_f64().unwrap() - 100.0).abs() < 10.0, "{stretch}");
    assert_eq!(stretch["packets"], 200);
}

#[test]
fn a_packet_translated_at_both_ends_is_joined_by_the_pairs_that_are_given() {
    const INNER: [u8; 4] = [10, 0, 9, 9];
    let folder = tempfile::tempdir().unwrap();
    let captures = || {
        let mut captures = Captures::default();
        for number in 0..50_u16 {
            let body = echo(false, 7, number, b"payload");
            let frame = |source, destination, ttl| {
                let fragment = (false, 0);
                plain(&Ip { source, destination, ttl, id: 0, protocol: ICMP, fragment }.around(&body))
            };
            let time_us = i64::from(number) * 1_000;
            captures.see(TAP, time_us, frame(INSIDE, FAR, 64));
            captures.see(UPLINK, time_us + 100, frame(OUTSIDE, INNER, 63));
        }
        captures
    };
    let pairs = ["--json", "--nat", "10.0.2.24=203.0.113.30", "--nat", "10.0.9.9=198.51.100.7"];
    for (flags, journeys, nat) in [(&pairs[..1], 100, 0), (&pairs[..3], 100, 0), (&pairs[..], 50, 2)] {
        let run = captures().correlate(folder.path(), flags);
        let told: Value = serde_json::from_str(&run.stdout).unwrap();
        assert_eq!((&told["journeys"], told["nat"].as_array().unwrap().len()), (&journeys.into(), nat));
    }
    for bad in ["10.0.2.24", "10.0.2.24=", "10.0.2.24=web1", "10.0.2.24=10.0.2.24", "10.0.2.0/24=1.2.3.4"] {
        let run = hopline(folder.path(), &["correlate", "tap.pcapng", "--nat", bad]);
        assert_refused(&run, &["--nat <INSIDE=OUTSIDE>"]);
    }
}
