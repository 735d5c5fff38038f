//! How long one walk takes, and how that grows with the rules that the packet has to be shown to.
//!
//! `cargo bench -p sim`. Walks `web1 > outside`, there and back, over a compute host that holds N
//! instances' nova-compute chains, or a linear ruleset of N rules none of which matches but the last. The peer,
//! timed in the same run, is the least that any simulator could do: a bare loop over as many source
//! prefixes as the host has rules, testing one address against each.

use std::error::Error;
use std::hint::black_box;
use std::io::{self, Write};
use std::net::{IpAddr, Ipv4Addr};
use std::time::{Duration, Instant};

use ipnet::IpNet;
use model::link::{BridgePort, Link, LinkKind, Peer};
use model::netfilter::{Dialect, Family, Table};
use model::route::{Address, Nexthop, Route, RouteKind, TABLE_LOCAL, TABLE_MAIN, default_rules};
use model::{Intent, Mac, Netns, Snapshot};
use sim::{Endpoint, Protocol, Question, World};

const RUNS: usize = 41;
/// Walks in one run, so that the clock's own cost does not show.
const WALKS: u32 = 20;

type Outcome<T> = Result<T, Box<dyn Error>>;

fn main() -> Outcome<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "median of {RUNS} runs; a walk is question and answer, web1 > 192.0.2.1")?;
    writeln!(
        out,
        "{:<28}{:>8}{:>12}{:>12}{:>14}",
        "ruleset", "rules", "us a walk", "walks/s", "bare scan us"
    )?;
    for (name, text) in [
        ("10 instances' nova chains", nova_chains(10)),
        ("1000 instances' nova chains", nova_chains(1_000)),
        ("1k rules in a row", linear(1_000)),
        ("10k rules in a row", linear(10_000)),
    ] {
        let tables = parse::iptables_save::parse(&text, Dialect::IptablesNft, Family::Ip).value;
        let rules = tables.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum::<usize>();
        let walk = walk(tables)?;
        let scan = scan(rules);
        let micros = walk.as_secs_f64() * 1e6;
        let (per_second, bare) = (1e6 / micros, scan.as_secs_f64() * 1e6);
        writeln!(out, "{name:<28}{rules:>8}{micros:>12.1}{per_second:>12.0}{bare:>14.2}")?;
    }
    Ok(())
}

/// One walk's median time over a host with these tables.
fn walk(tables: Vec<Table>) -> Outcome<Duration> {
    let snapshot = snapshot(tables)?;
    let intent = Intent::default();
    let world = World::new(&snapshot, &intent);
    let to = Ipv4Addr::new(192, 0, 2, 1).into();
    let question = Question { from: Endpoint::Machine(1), to, protocol: Protocol::Icmp, reply: true };
    if !sim::ask(&world, &question).answered {
        return Err("the walk to be timed does not get there and back".into());
    }
    Ok(median(|| {
        let started = Instant::now();
        for _ in 0..WALKS {
            black_box(sim::ask(&world, black_box(&question)));
        }
        started.elapsed() / WALKS
    }))
}

/// The peer: one address tested against as many prefixes.
fn scan(prefixes: usize) -> Duration {
    let nets: Vec<IpNet> = (0..prefixes).map(|nth| IpNet::V4(elsewhere(nth).into())).collect();
    let address = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 11));
    median(|| {
        let started = Instant::now();
        for _ in 0..WALKS {
            black_box(black_box(&nets).iter().filter(|net| net.contains(black_box(&address))).count());
        }
        started.elapsed() / WALKS
    })
}

fn median(mut run: impl FnMut() -> Duration) -> Duration {
    let mut times: Vec<Duration> = (0..RUNS).map(|_| run()).collect();
    times.sort();
    times[RUNS / 2]
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
    Ok(Address { link, net: net.parse()?, peer: None, scope: "global".into(), secondary: false })
}

fn route(table: u32, to: &str, kind: RouteKind, link: u32) -> Outcome<Route> {
    let nexthop = Nexthop { via: None, link, weight: 1, onlink: false, dead: false, linkdown: false };
    Ok(Route {
        table,
        destination: to.parse()?,
        kind,
        metric: 0,
        tos: 0,
        preferred_source: None,
        protocol: String::new(),
        scope: String::new(),
        nexthops: vec![nexthop],
        mtu: 0,
    })
}
