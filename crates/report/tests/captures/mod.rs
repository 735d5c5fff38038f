//! Captures made by hand, joined by the real correlation, as the tests of the picture of packets' ways show them.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test program uses what it shows")]
#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by panicking")]

use std::io::{self, Write};

use correlate::{Correlator, Merge, Options, Report};
use model::sighting::{Address, Kind, Sighting};
use report::{Captured, Journeys, Sequence, Style, Unreadable};

/// 2026-11-24T02:24:42Z.
const BEGIN_NS: i64 = 1_795_487_082_000_000_000;
const WINDOW_NS: i64 = 2_000_000_000;

/// A packet seen somewhere.
#[derive(Clone, Copy)]
pub struct Seen {
    /// Index of the vantage's name.
    pub at: u16,
    /// Since the capture's begin.
    pub us: i64,
    pub from: [u8; 4],
    pub to: [u8; 4],
    pub ttl: u8,
}

pub fn seen(at: u16, us: i64, from: [u8; 4], to: [u8; 4], ttl: u8) -> Seen {
    Seen { at, us, from, to, ttl }
}

/// One ping: its number, whether it is the answer, where it was seen.
pub type Ping = (u32, bool, Vec<Seen>);

/// A capture that has been joined.
pub struct Taken {
    pub report: Report,
    pub names: Vec<String>,
    pub sequence: Sequence,
    pub files: Vec<String>,
    pub unreadable: Vec<Unreadable>,
}

impl Taken {
    fn told(&self, write: impl FnOnce(&Captured<'_>, &mut Vec<u8>)) -> String {
        let Taken { report, names, sequence, files, unreadable } = self;
        let journeys = Journeys { report, names, unreadable, window_ns: WINDOW_NS, few: &[] };
        let mut out = Vec::new();
        write(&Captured { journeys: &journeys, sequence, files, command: "correlate" }, &mut out);
        String::from_utf8(out).unwrap()
    }

    /// What is printed of it.
    pub fn terminal(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let Taken { report, names, unreadable, .. } = self;
        let journeys = Journeys { report, names, unreadable, window_ns: WINDOW_NS, few: &[] };
        journeys.terminal(style, out)
    }

    /// What a command that goes on while packets come prints beneath its own counts.
    pub fn findings(&self, style: &Style, out: &mut dyn Write) -> io::Result<()> {
        let Taken { report, names, unreadable, .. } = self;
        let journeys = Journeys { report, names, unreadable, window_ns: WINDOW_NS, few: &[] };
        journeys.findings(style, out)
    }

    pub fn html(&self) -> String {
        self.told(|captured, out| captured.html(out).unwrap())
    }

    pub fn svg(&self) -> String {
        self.told(|captured, out| captured.svg(out).unwrap())
    }
}

/// One source whose vantages have these names.
pub fn taken(names: &[&str], pings: &[Ping]) -> Taken {
    let of = |number: u32, is_answer: bool, seen: &Seen| {
        let exchange = u64::from(number) + 1;
        Sighting {
            source: Address::v4(seen.from),
            destination: Address::v4(seen.to),
            identity: exchange * 2 + u64::from(is_answer),
            ask: if is_answer { 0 } else { exchange },
            answer: if is_answer { exchange } else { 0 },
            time_ns: BEGIN_NS + seen.us * 1_000,
            sender: 0,
            detail: (7 << 16) | (number % 65_536),
            quoted: 0,
            frame: 0,
            vantage: seen.at,
            source_port: 0,
            destination_port: 0,
            ip_id: 0,
            length: 84,
            ttl: seen.ttl,
            tos: 0,
            protocol: 1,
            kind: if is_answer { Kind::EchoReply } else { Kind::EchoRequest },
        }
    };
    let mut all: Vec<Sighting> = pings
        .iter()
        .flat_map(|(number, is_answer, stops)| stops.iter().map(|seen| of(*number, *is_answer, seen)))
        .collect();
    all.sort_by_key(|sighting| (sighting.time_ns, sighting.vantage));
    for (number, sighting) in (1..).zip(&mut all) {
        sighting.frame = number;
    }
    let mut merge = Merge::new(1);
    let options = Options { window_ns: WINDOW_NS, ..Options::default() };
    let mut correlator = Correlator::new(options, vec![false]);
    let mut sequence = Sequence::new();
    merge.give(0, all);
    merge.give(0, Vec::new());
    correlator.drain(&mut merge, &mut |journey, _| sequence.see(journey));
    let report = correlator.finish(&merge, &mut |journey, _| sequence.see(journey));
    let local = merge.vantages().iter().map(|vantage| usize::from(vantage.local));
    let names = local.map(|local| names[local].to_owned()).collect();
    Taken { report, names, sequence, files: vec!["compute1.pcapng".to_owned()], unreadable: Vec::new() }
}

pub const WEB1: [u8; 4] = [10, 0, 2, 24];
pub const FLOATING: [u8; 4] = [203, 0, 113, 30];
pub const SERVER: [u8; 4] = [1, 2, 3, 4];

/// The vantages of a host in the way of an instance's packets, and those of a router and a server beyond it.
pub const HOST: [&str; 5] = [
    "compute1//vnet0",
    "compute1//br100",
    "compute1//eth0",
    "router/ns-edge/veth-uplink-000",
    "server//eth0",
];

/// A ping and its answer through a host that translates, at these vantages; it stops after so many of them.
fn ping(number: u32, us: i64, stops: usize) -> Vec<Ping> {
    let there = [
        seen(0, us, WEB1, SERVER, 64),
        seen(1, us + 4, WEB1, SERVER, 64),
        seen(2, us + 16, FLOATING, SERVER, 63),
        seen(3, us + 120 + i64::from(number % 7) * 3, FLOATING, SERVER, 62),
        seen(4, us + 460 + i64::from(number % 13) * 40, FLOATING, SERVER, 61),
    ];
    let back = [
        seen(4, us + 1_000, SERVER, FLOATING, 64),
        seen(3, us + 1_400, SERVER, FLOATING, 63),
        seen(2, us + 1_480, SERVER, FLOATING, 62),
        seen(1, us + 1_500, SERVER, WEB1, 61),
        seen(0, us + 1_504, SERVER, WEB1, 61),
    ];
    let mut pings = vec![(number, false, there.into_iter().take(stops).collect())];
    if stops >= there.len() {
        pings.push((number, true, back.to_vec()));
    }
    pings
}

/// Four pings, of which the third is lost between router and server.
pub fn lost() -> Taken {
    let stops = |number: u32| if number == 2 { 4 } else { 5 };
    let pings: Vec<Ping> = (0..4).flat_map(|n| ping(n, i64::from(n) * 200_000, stops(n))).collect();
    taken(&HOST, &pings)
}

/// So many pings; one in fifty is lost, and one in a thousand is slow.
pub fn many(count: u32) -> Taken {
    let pings: Vec<Ping> = (0..count)
        .flat_map(|number| {
            let stops = if number % 50 == 20 { 3 + (number / 50 % 2) as usize } else { 5 };
            let mut pings = ping(number, i64::from(number) * 3_000, stops);
            if number % 1_000 == 500 {
                pings[0].2.last_mut().unwrap().us += 90_000;
                pings.truncate(1);
            }
            pings
        })
        .collect();
    taken(&HOST, &pings)
}

/// Pings that are answered, in a file that is cut off behind them.
pub fn cut() -> Taken {
    let why = "a packet's record says 84 octets, and the file ends after 20".to_owned();
    let unreadable = vec![Unreadable { file: "compute1.pcapng".to_owned(), offset: 4_096, why }];
    Taken { unreadable, ..many(3) }
}

/// One packet at one place.
pub fn single() -> Taken {
    taken(&["server"], &[(1, false, vec![seen(0, 0, WEB1, SERVER, 64)])])
}

/// A packet at nowhere at all.
pub fn empty() -> Taken {
    taken(&[], &[])
}

/// Two vantages, a packet that loops between them, one that is duplicated, and one of a second later.
pub fn loops() -> Taken {
    let names = ["core1/blue/uplink", "core2/blue/uplink"];
    let around =
        (0..40_u8).map(|turn| seen(u16::from(turn % 2), i64::from(turn) * 50, WEB1, SERVER, 64 - turn));
    let twice = vec![
        seen(0, 1_000_000, WEB1, SERVER, 64),
        seen(1, 1_000_050, WEB1, SERVER, 63),
        seen(1, 1_000_061, WEB1, SERVER, 63),
    ];
    taken(&names, &[(1, false, around.collect()), (2, false, twice)])
}

/// Twelve vantages with long names; strangers have named some of them.
pub fn crowd() -> Taken {
    let names = [
        "compute-node-with-a-long-name-17.example.org//tap0a1b2c3d-4e",
        "compute-node-with-a-long-name-17.example.org//qbr0a1b2c3d-4e",
        "compute-node-with-a-long-name-17.example.org//qvo0a1b2c3d-4e",
        "compute-node-with-a-long-name-17.example.org//vxlan_sys_4789",
        "network1//vxlan_sys_4789",
        "network1/qrouter-8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01/qr-0a1b2c3d-4e",
        "network1/qrouter-8d7b1f36-5f4e-4b1c-9a55-2f0f6c0a1e01/qg-0a1b2c3d-4e",
        "network1//br-ex",
        HOSTILE,
        "\u{202e}edge\u{1b}[2J",
        "インスタンスの外側のサーバー",
        "server//eth0",
    ];
    let stop = |number: u32, at: u16| {
        let from = if at < 6 { WEB1 } else { FLOATING };
        let us = i64::from(number) * 500_000 + i64::from(at) * 37 * i64::from(number + 1);
        seen(at, us, from, SERVER, 64 - u8::try_from(at).unwrap() / 3)
    };
    let pings: Vec<Ping> = (0..6)
        .map(|number| {
            let last = if number == 4 { 8 } else { 12 };
            (number, false, (0..last).map(|at| stop(number, at)).collect())
        })
        .collect();
    taken(&names, &pings)
}

pub const HOSTILE: &str = "</title><script>alert('1')</script>\"'&amp;";
