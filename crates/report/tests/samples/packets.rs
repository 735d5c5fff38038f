//! Diagnoses with the packets of their questions as they were seen.

use model::Diagnosis;
use model::finding::Outcome;
use model::journey::{End, Journey, SeenWay, Stop, Vantage};
use model::path::Direction;

use super::{diagnosis, dropped_by_rule, foreign_rule, reply, request, scripted};

/// 2026-11-24 02:24:42 UTC, in nanoseconds.
const BEGIN_NS: i64 = 1_795_487_082_000_000_000;

const INSIDE: &str = "10.0.2.24 > 1.2.3.4";
const OUTSIDE: &str = "203.0.113.30 > 1.2.3.4";
const BACK: &str = "1.2.3.4 > 203.0.113.30";
const HOME: &str = "1.2.3.4 > 10.0.2.24";

pub fn vantage(machine: &str, device: &str) -> Vantage {
    let (machine, device) = (machine.to_owned(), device.to_owned());
    Vantage { machine, netns: String::new(), device, clock: 0, doubt_ns: 0, is_complete: true }
}

/// A packet at these columns, so many nanoseconds after the beginning, with these addresses and TTL.
fn packet(direction: Direction, number: u32, end: End, at: &[(usize, i64, &str, u8)]) -> Journey {
    let stop = |(vantage, after_ns, ends, ttl): &(usize, i64, &str, u8)| Stop {
        vantage: *vantage,
        time_ns: BEGIN_NS + after_ns,
        ends: (*ends).to_owned(),
        ttl: *ttl,
        copies: 1,
        recorded: String::new(),
    };
    let (ends, kind) = match direction {
        Direction::Request | Direction::Both => (at.first().map_or(INSIDE, |at| at.2), "request"),
        Direction::Reply => (at.first().map_or(BACK, |at| at.2), "reply"),
    };
    let packet = format!("{ends}: ICMP echo {kind}, id 24895, seq {number}, length 64");
    Journey { direction, key: number.into(), packet, stops: at.iter().map(stop).collect(), end }
}

/// A ping that a rule drops, one that is answered, one whose answer is lost, and one that was never seen.
pub fn lost_pings() -> Diagnosis {
    let (ask, answer) = (Direction::Request, Direction::Reply);
    let dies = || End::DiesBehind("DOCKER-USER rule 2 drops it".to_owned());
    let dropped = SeenWay {
        path: 0,
        vantages: vec![
            vantage("compute1", "vnet0"),
            vantage("compute1", "br100"),
            vantage("compute1", "eth0"),
        ],
        journeys: vec![
            packet(ask, 1, dies(), &[(0, 0, INSIDE, 64), (1, 4_100, INSIDE, 64)]),
            packet(ask, 2, dies(), &[(0, 200_300_000, INSIDE, 64), (1, 200_305_200, INSIDE, 64)]),
        ],
        left_out: 3,
    };
    let whole = |seconds: i64| {
        let at = seconds * 1_000_000_000;
        [(0, at, INSIDE, 64), (1, at + 21_000, OUTSIDE, 63), (2, at + 90_000, OUTSIDE, 63)]
    };
    let line = "10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64, 2 times".to_owned();
    let never = Journey { packet: line, ..packet(ask, 9, End::LostBefore(0), &[]) };
    let mut twice = packet(ask, 6, End::Unanswered, &whole(3));
    twice.stops[2].copies = 2;
    let others = SeenWay {
        path: 2,
        vantages: vec![
            vantage("compute1", "vnet0"),
            vantage("compute1", "eth0"),
            vantage("external", "eth0"),
        ],
        journeys: vec![
            never,
            packet(ask, 4, End::Open, &whole(1)),
            packet(
                answer,
                4,
                End::Open,
                &[(2, 1_000_110_000, BACK, 64), (1, 1_000_180_000, BACK, 61), (0, 1_000_200_000, HOME, 60)],
            ),
            packet(ask, 5, End::Open, &whole(2)),
            packet(answer, 5, End::LostBefore(1), &[(2, 2_000_110_000, BACK, 64)]),
            twice,
            packet(ask, 7, End::LostBefore(2), &whole(4)[..2]),
        ],
        left_out: 0,
    };
    let mut diagnosis =
        diagnosis(Outcome::Fault, vec![foreign_rule()], vec![dropped_by_rule(), reply(), request(), reply()]);
    diagnosis.seen = vec![others, dropped];
    diagnosis
}

/// A packet in two captures whose clocks nobody can compare, and in one that is known to a few microseconds.
pub fn two_clocks() -> Diagnosis {
    let mut far = packet(
        Direction::Request,
        1,
        End::Unanswered,
        &[(0, 0, INSIDE, 64), (1, 30_000, OUTSIDE, 63), (2, 9_000_000_000, OUTSIDE, 63)],
    );
    for (number, stop) in (17..).zip(&mut far.stops) {
        let file = ["compute1", "gw", "external"][stop.vantage];
        stop.recorded = format!("packet {number} of {file}.pcap, {}", report::stamp(stop.time_ns));
    }
    let about = Vantage { doubt_ns: 5_000, ..vantage("gw", "eth0") };
    let apart = Vantage { clock: 1, ..vantage("external", "eth0") };
    let mut diagnosis = super::healthy();
    diagnosis.seen = vec![SeenWay {
        path: 0,
        vantages: vec![vantage("compute1", "vnet0"), about, apart],
        journeys: vec![far],
        left_out: 0,
    }];
    diagnosis
}

/// Names that want the page to do what they say, and more questions than a page draws.
pub fn faced() -> Diagnosis {
    let mut diagnosis = scripted();
    let evil = diagnosis.subject.clone();
    for machine in [&evil[..], "\u{202e}edge\u{1b}[2J", "インスタンスの外側のサーバー"] {
        let mut way = lost_pings().seen.swap_remove(0);
        way.path = 0;
        for vantage in &mut way.vantages {
            (vantage.machine, vantage.device) = (machine.to_owned(), evil.clone());
        }
        for journey in &mut way.journeys {
            journey.packet.push_str(&evil);
            if journey.end == End::LostBefore(1) {
                journey.end = End::DiesBehind(evil.clone());
            }
            for stop in &mut journey.stops {
                (stop.ends, stop.recorded) = (format!("{} {evil}", stop.ends), evil.clone());
            }
        }
        diagnosis.seen.push(way);
    }
    let plain = lost_pings().seen.swap_remove(0);
    diagnosis.seen.extend(std::iter::repeat_n(plain, 60));
    diagnosis
}
