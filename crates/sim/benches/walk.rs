//! How long one walk takes, and how that grows with the rules that the packet has to be shown to.
//!
//! `cargo bench -p sim`. Walks `web1 > outside`, there and back, over a compute host that holds N
//! instances' nova-compute chains, or a linear ruleset of N rules none of which matches but the last: two
//! packets, each shown to every rule. *index* is what a namespace's first walk pays once; *cold* is a walk
//! after the processor's caches were filled with something else. The peer, timed in the same run, is the
//! least that any simulator could do: a bare loop that compares one address under as many masks as the
//! host has rules, as a C program would.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use model::link::{BridgePort, Link, LinkKind, Peer};
use model::netfilter::{Dialect, Family, Table};
use model::route::{Address, Nexthop, Route, RouteKind, TABLE_LOCAL, TABLE_MAIN, default_rules};
use model::{Intent, Mac, Netns, Snapshot};
use sim::{Endpoint, Protocol, Question, World};

const RUNS: usize = 41;
const RUNS_COLD: usize = 11;
/// Octets that are touched between cold walks: more than any cache holds.
const CACHE: usize = 256 << 20;
/// Walks in one run, so that the clock's own cost does not show.
const WALKS: u32 = 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "median of {RUNS} runs; a walk is question and answer, web1 > 192.0.2.1: two packets")?;
    writeln!(
        out,
        "{:<28}{:>8}{:>10}{:>9}{:>9}{:>11}{:>12}",
        "ruleset", "rules", "index ms", "cold us", "warm us", "packets/s", "bare scan us"
    )?;
    for (name, text) in [
        ("10 instances' nova chains", nova_chains(10)),
        ("1000 instances' nova chains", nova_chains(1_000)),
        ("1k rules in a row", linear(1_000)),
        ("10k rules in a row", linear(10_000)),
        ("100k rules in a row", linear(100_000)),
    ] {
        let tables = parse::iptables_save::parse(&text, Dialect::IptablesNft, Family::Ip).value;
        let rules = tables.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum::<usize>();
        let timed = walk(tables)?;
        let micros = |time: Duration| time.as_secs_f64() * 1e6;
        writeln!(
            out,
            "{name:<28}{rules:>8}{:>10.2}{:>9.1}{:>9.1}{:>11.0}{:>12.2}",
            micros(timed.index) / 1e3,
            micros(timed.cold),
            micros(timed.warm),
            2e6 / micros(timed.warm),
            micros(scan(rules)),
        )?;
    }
    Ok(())
}

struct Timed {
    index: Duration,
    cold: Duration,
    warm: Duration,
}

/// Median times over a host with these tables.
fn walk(tables: Vec<Table>) -> Outcome<Timed> {
    let snapshot = snapshot(tables)?;
    let intent = Intent::default();
    let to = Ipv4Addr::new(192, 0, 2, 1).into();
    let question = Question { from: Endpoint::Machine(1), to, protocol: Protocol::Icmp, reply: true };
    let world = World::new(&snapshot, &intent);
    if !sim::ask(&world, &question).answered {
        return Err("the walk to be timed does not get there and back".into());
    }
    let warm = median(RUNS, || {
        let started = Instant::now();
        for _ in 0..WALKS {
            black_box(sim::ask(&world, black_box(&question)));
        }
        started.elapsed() / WALKS
    });
    let mut elsewhere = vec![0u8; CACHE];
    let cold = median(RUNS_COLD, || {
        for line in elsewhere.iter_mut().step_by(64) {
            *line = black_box(line.wrapping_add(1));
        }
        let started = Instant::now();
        black_box(sim::ask(&world, black_box(&question)));
        started.elapsed()
    });
    let first = median(RUNS_COLD, || {
        let started = Instant::now();
        black_box(sim::ask(&World::new(&snapshot, &intent), black_box(&question)));
        started.elapsed()
    });
    Ok(Timed { index: first.saturating_sub(warm), cold, warm })
}

/// The peer: one address compared under as many masks.
fn scan(rules: usize) -> Duration {
    let masked: Vec<(u32, u32)> = (0..rules).map(|nth| (elsewhere(nth).to_bits(), u32::MAX)).collect();
    let address = Ipv4Addr::new(10, 0, 0, 11).to_bits();
    median(RUNS, || {
        let started = Instant::now();
        for _ in 0..WALKS {
            let address = black_box(address);
            black_box(black_box(&masked).iter().position(|(value, mask)| address & mask == *value));
        }
        started.elapsed() / WALKS
    })
}

fn median(runs: usize, mut run: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..runs).map(|_| run()).collect();
    times.sort();
    times[runs / 2]
}

/// An address that nobody here has.
fn elsewhere(nth: usize) -> Ipv4Addr {
    Ipv4Addr::from(0x0b00_0000 + u32::try_from(nth).unwrap_or(u32::MAX >> 8))
}

/// What nova-compute and nova-network put on a host of so many instances, web1's the last.
fn nova_chains(instances: usize) -> String {
    let mut text = "*filter\n:FORWARD DROP\n:INPUT ACCEPT\n:nova-filter-top - [0:0]\n\
                    :nova-compute-local - [0:0]\n:nova-compute-sg-fallback - [0:0]\n\
                    -A FORWARD -j nova-filter-top\n-A FORWARD -i br100 -j ACCEPT\n\
                    -A FORWARD -o br100 -j ACCEPT\n-A nova-filter-top -j nova-compute-local\n\
                    -A nova-compute-sg-fallback -j DROP\n"
        .to_owned();
    for nth in 0..instances {
        let address = if nth + 1 == instances { Ipv4Addr::new(10, 0, 0, 11) } else { elsewhere(nth) };
        text.push_str(&format!(
            ":nova-compute-inst-{nth} - [0:0]\n\
             -A nova-compute-local -d {address}/32 -j nova-compute-inst-{nth}\n\
             -A nova-compute-inst-{nth} -m conntrack --ctstate INVALID -j DROP\n\
             -A nova-compute-inst-{nth} -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
             -A nova-compute-inst-{nth} -p icmp -j ACCEPT\n\
             -A nova-compute-inst-{nth} -p tcp -m tcp --dport 22 -j ACCEPT\n\
             -A nova-compute-inst-{nth} -j nova-compute-sg-fallback\n"
        ));
    }
    text + "COMMIT\n"
}

fn linear(rules: usize) -> String {
    let drop = |nth| format!("-A FORWARD -s {}/32 -j DROP\n", elsewhere(nth));
    let drops: String = (1..rules).map(drop).collect();
    format!("*filter\n:FORWARD DROP\n{drops}-A FORWARD -j ACCEPT\nCOMMIT\n")
}

/// A compute host with a bridge, an instance on it, and an uplink whose far end was not read.
fn snapshot(tables: Vec<Table>) -> Outcome<Snapshot> {
    let link = |index: u32, name: &str, kind: LinkKind| Link {
        index,
        name: name.to_owned(),
        kind,
        admin_up: true,
        carrier: true,
        mac: Some(Mac([2, 0, 0, 0, 0, u8::try_from(index).unwrap_or(0)])),
        ..Link::default()
    };
    let veth = |index: u32, name: &str, far: u32, inode: u64| Link {
        peer: Some(Peer { index: far, netns: Some(inode) }),
        ..link(index, name, LinkKind::Veth)
    };
    let tap = Link { master: Some(2), port: Some(BridgePort::default()), ..veth(3, "vnet0", 10, 2) };
    let mut host = Netns {
        machine: "compute1".into(),
        inode: Some(1),
        links: vec![link(2, "br100", LinkKind::Bridge), tap, link(4, "eth0", LinkKind::Physical)],
        addresses: vec![address(2, "10.0.0.1/24")?, address(4, "203.0.113.34/24")?],
        routes: vec![
            route(TABLE_LOCAL, "10.0.0.1/32", RouteKind::Local, 2)?,
            route(TABLE_LOCAL, "203.0.113.34/32", RouteKind::Local, 4)?,
            route(TABLE_MAIN, "10.0.0.0/24", RouteKind::Unicast, 2)?,
            route(TABLE_MAIN, "0.0.0.0/0", RouteKind::Unicast, 4)?,
        ],
        rules: default_rules(),
        ..Netns::default()
    };
    host.ruleset.tables = tables;
    host.sysctls.insert("ipv4.ip_forward".into(), "1".into());
    let mut gateway = route(TABLE_MAIN, "0.0.0.0/0", RouteKind::Unicast, 10)?;
    gateway.nexthops[0].via = Some("10.0.0.1".parse()?);
    let web1 = Netns {
        machine: "web1".into(),
        inode: Some(2),
        instance: true,
        links: vec![veth(10, "eth0", 3, 1)],
        addresses: vec![address(10, "10.0.0.11/24")?],
        routes: vec![
            route(TABLE_LOCAL, "10.0.0.11/32", RouteKind::Local, 10)?,
            route(TABLE_MAIN, "10.0.0.0/24", RouteKind::Unicast, 10)?,
            gateway,
        ],
        rules: default_rules(),
        ..Netns::default()
    };
    Ok(Snapshot { netns: vec![host, web1], ..Snapshot::default() })
}

fn address(link: u32, net: &str) -> Outcome<Address> {
    Ok(Address::global(link, net.parse()?))
}

fn route(table: u32, to: &str, kind: RouteKind, link: u32) -> Outcome<Route> {
    let nexthop = Nexthop { via: None, link, weight: 1, onlink: false, dead: false, linkdown: false };
    Ok(Route { nexthops: vec![nexthop], ..Route::new(table, to.parse()?, kind) })
}
