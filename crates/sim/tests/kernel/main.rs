//! The walk against the kernel: small clouds of real network namespaces, drawn from a seed with random
//! links, routes, sysctls and rules, are read as hopline reads a site; then packets are really sent, and
//! each must fare as the walk said. Where the walk says *unknown*, nothing is compared, only counted.
//!
//! `HOPLINE_SIM_CASES` sets how many cases, `HOPLINE_SIM_SEED` the first seed. Needs root.

#![expect(clippy::expect_used, clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod bridged;
mod case;
mod conditions;
mod frames;
mod lab;
mod lengths;
mod queues;
mod random;
mod sets;
mod single;
mod sizes;
mod wire;

use std::net::Ipv4Addr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use model::path::{Direction, Disposition};
use model::{Intent, Snapshot};
use sim::{Endpoint, Question, World};

use case::{Case, Kind, Probe, ROLES};
use lab::Lab;
use wire::{Arrived, Ears, Seen};

const CASES: u64 = 150;
/// Cases at a time: most of a case is waiting for packets that were dropped.
const WORKERS: usize = 4;

/// How a probe's way to its receiver ends, as the walk says.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Fate {
    Received((String, Arrived)),
    Lost,
    Unknown,
}

/// What the walk says of a probe.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Said {
    fate: Fate,
    /// `None` where the walk does not know, or nobody answers.
    answered: Option<bool>,
    /// How the walk tells it, for a failure's report.
    told: Vec<String>,
}

#[derive(Debug, Default)]
struct Counts {
    probes: u64,
    delivered: u64,
    dropped: u64,
    answered: u64,
    unknown: u64,
    /// Disagreements that did not show again with the probe alone.
    passing: u64,
}

#[test]
fn packets_fare_as_the_walk_says() {
    let number = |name: &str| std::env::var(name).ok().map(|v| v.parse::<u64>().expect("a number"));
    let since = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970");
    let first = number("HOPLINE_SIM_SEED").unwrap_or(since.as_secs() % 1_000_000 * 1_000);
    let cases = number("HOPLINE_SIM_CASES").unwrap_or(CASES);
    let next = AtomicU64::new(0);
    let (counts, failures) = (Mutex::new(Counts::default()), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let nth = next.fetch_add(1, Ordering::Relaxed);
                    if nth >= cases {
                        break;
                    }
                    let failed = run(first + nth, &counts);
                    failures.lock().unwrap().extend(failed);
                }
            });
        }
    });
    let (counts, failures) = (counts.into_inner().unwrap(), failures.into_inner().unwrap());
    println!("{cases} cases from seed {first}: {counts:?}");
    assert!(
        failures.is_empty(),
        "{} probes fared otherwise; HOPLINE_SIM_SEED={first} HOPLINE_SIM_CASES={cases}\n\n{}",
        failures.len(),
        failures.join("\n\n")
    );
    assert!(counts.delivered > 0 && counts.dropped > 0 && counts.answered > 0, "{counts:?}");
}

/// Runs the case of a seed: what disagreed, told.
fn run(seed: u64, counts: &Mutex<Counts>) -> Vec<String> {
    let (lab, case) = Lab::build(seed);
    let ears = Ears::open(&lab);
    let snapshot = lab.read();
    let said = ask(&snapshot, &case.probes);
    let complete = |seen: &[Seen]| {
        // Only what was said to be lost needs waiting for.
        let done = |(said, seen): (&Said, &Seen)| {
            said.fate != Fate::Lost
                && (said.fate == Fate::Unknown || seen.received.is_some())
                && said.answered.is_none_or(|a| a && seen.answered)
        };
        said.iter().zip(seen).all(done)
    };
    let seen = ears.hear(&lab, &case.probes, complete);
    let mut failures = Vec::new();
    for ((probe, said), seen) in case.probes.iter().zip(&said).zip(seen) {
        let agrees = agree(said, &seen);
        let mut counts = counts.lock().unwrap();
        counts.probes += 1;
        match said.fate {
            Fate::Unknown => counts.unknown += 1,
            Fate::Received(_) => counts.delivered += 1,
            Fate::Lost => counts.dropped += 1,
        }
        counts.answered += u64::from(said.answered == Some(true));
        drop(counts);
        if !agrees {
            failures.push((*probe, said.clone(), seen));
        }
    }
    // Probes of one case teach each other's bridges and neighbours: only what also disagrees alone, in
    // a fresh copy of the case, is held against the walk.
    let alone = failures.into_iter().filter_map(|(probe, said, _)| {
        let told = alone(seed, &probe);
        if told.is_none() {
            counts.lock().unwrap().passing += 1;
        }
        told.map(|seen| report(&case, &probe, &said, &seen))
    });
    alone.collect()
}

/// What is seen of one probe alone, where it disagrees.
fn alone(seed: u64, probe: &Probe) -> Option<Seen> {
    let (lab, _) = Lab::build(seed);
    let ears = Ears::open(&lab);
    let said = ask(&lab.read(), &[*probe]).pop()?;
    let seen = ears.hear(&lab, &[*probe], |_| false).pop()?;
    (!agree(&said, &seen)).then_some(seen)
}

fn agree(said: &Said, seen: &Seen) -> bool {
    let same = match &said.fate {
        Fate::Received(by) => seen.received.as_ref() == Some(by),
        Fate::Lost => seen.received.is_none(),
        Fate::Unknown => true,
    };
    same && said.answered.is_none_or(|said| said == seen.answered)
}

fn report(case: &Case, probe: &Probe, said: &Said, seen: &Seen) -> String {
    let Said { fate, answered, told } = said;
    let from = ROLES[probe.from];
    format!(
        "{from} > {} {:?}\n  said: {fate:?}, answered {answered:?}\n  seen: {:?}, answered {:?}\n    {}\n{case}",
        probe.to,
        probe.kind,
        seen.received,
        seen.answered,
        told.join("\n    ")
    )
}

/// What the walk says of each probe.
fn ask(snapshot: &Snapshot, probes: &[Probe]) -> Vec<Said> {
    let intent = Intent::default();
    let world = World::new(snapshot, &intent);
    probes.iter().map(|probe| ask_one(&world, probe)).collect()
}

fn ask_one(world: &World, probe: &Probe) -> Said {
    let protocol = match probe.kind {
        Kind::Echo => sim::Protocol::Icmp,
        Kind::Tcp(port) => sim::Protocol::Tcp(port),
        Kind::Udp(port) => sim::Protocol::Udp(port),
    };
    let from = Endpoint::Machine(world.main_ns(ROLES[probe.from]).expect("it was read"));
    let reply = !matches!(probe.kind, Kind::Udp(_));
    let answer = sim::ask(world, &Question { from, to: probe.to.into(), protocol, reply });
    let exchange = protocol.exchange();
    let of = |direction: Direction| {
        answer.paths.iter().find(move |p| p.exchange == exchange && p.direction == direction)
    };
    let request = of(Direction::Request).expect("every question has a path");
    let fate = match &request.disposition {
        Disposition::Delivered { machine } => {
            let packet = &request.hops.last().expect("a path has hops").packet;
            Fate::Received((machine.clone(), arrived(packet)))
        }
        Disposition::Dropped(_) => Fate::Lost,
        Disposition::LeftSite | Disposition::Unknown { .. } => Fate::Unknown,
    };
    let undecided = |d: &Disposition| matches!(d, Disposition::Unknown { .. } | Disposition::LeftSite);
    let answered = match (probe.kind, of(Direction::Reply)) {
        (Kind::Udp(_), _) => None,
        _ if fate == Fate::Unknown => None,
        (_, Some(back)) if undecided(&back.disposition) => None,
        _ => Some(answer.answered),
    };
    let hop = |h: &model::path::Hop| format!("{} {:?}: {} [{}]", h.at, h.at.stage, h.detail, h.packet);
    let path = |p: &model::Path| {
        let title = format!("{:?} {:?}: {:?}", p.exchange, p.direction, p.disposition);
        std::iter::once(title).chain(p.hops.iter().map(hop)).collect::<Vec<_>>()
    };
    Said { fate, answered, told: answer.paths.iter().flat_map(path).collect() }
}

/// `10.0.0.11:1024 > 198.51.100.10:80 TCP SYN ttl 62`, read back.
fn arrived(packet: &str) -> Arrived {
    let words: Vec<&str> = packet.split(' ').collect();
    let end = |text: &str| -> (Ipv4Addr, u16) {
        let (address, port) = text.split_once(':').unwrap_or((text, "0"));
        (address.parse().expect("an address"), port.parse().expect("a port"))
    };
    let ((source, _), (destination, port)) = (end(words[0]), end(words[2]));
    let ttl = words.last().and_then(|w| w.parse().ok()).expect("a TTL");
    Arrived { source, destination, port, ttl }
}
