//! What the kernel says of our own packets that it freed before their end, in whatever namespace of this machine.

mod strangers;

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::thread::{self, JoinHandle};

use model::kernel_drop::{KernelDrop, Owner};
use model::path::{Direction, Exchange};
use model::probe::{ProbeResult, SideEcho};
use model::sighting::{Kind, Sighting};
use model::snapshot::Gap;
use parse::capture::Frame;
use parse::dissect::{self, Options};
use probe::drops::{self, DropsError, PacketDrop, Told, Watch};

use crate::gather::Facts;
use crate::probes::Probe;
use crate::sightings::{self, Half};
use strangers::Near;

/// `LINKTYPE_RAW`, from the IP header on, and `LINKTYPE_ETHERNET`.
const LINK_RAW: u32 = 101;
const LINK_ETHERNET: u32 = 1;
/// Probes, and addresses asked for, that are looked for at most: half of what the program takes.
const MARKS_MAX: usize = drops::MARKS_MAX as usize / 2;
/// Different drops told of at most: a question that is lost dies in one or two places.
const TOLD_MAX: usize = 256;

/// The program that watches, being loaded beside other work: the kernel's types take a while to read.
pub(crate) struct Starting(JoinHandle<Result<Watch, DropsError>>);

/// The program, or why there is none.
pub(crate) struct Watching(Result<Watch, DropsError>);

/// Begins to load it. Nothing of it outlives the process.
pub(crate) fn start() -> Starting {
    Starting(thread::spawn(drops::start))
}

impl Starting {
    /// From now on the packets of these probes are told of, of echoes beside them by these identifiers, and ARP for
    /// whom they may wait.
    pub(crate) fn watch(self, facts: &Facts, probes: &[Probe], sides: &BTreeSet<u16>) -> Watching {
        let started = self.0.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        Watching(started.and_then(|watch| {
            let sides = sides.iter().map(|id| (Exchange::Icmp, u32::from(*id)));
            let mut marks = probes.iter().map(Probe::mark).chain(sides).take(MARKS_MAX);
            marks.try_for_each(|(exchange, number)| watch.add(exchange, number))?;
            let mut neighbours = neighbours(facts).into_iter().take(MARKS_MAX);
            neighbours.try_for_each(|address| watch.add_address(address))?;
            Ok(watch)
        }))
    }
}

/// Whom the machines of the site may ask for: routers, each other, and the instances.
fn neighbours(facts: &Facts) -> BTreeSet<Ipv4Addr> {
    let all = || facts.snapshot.netns.iter();
    let routers = all().flat_map(|ns| &ns.routes).flat_map(|route| &route.nexthops).filter_map(|hop| hop.via);
    let own = all().flat_map(|ns| &ns.addresses).map(|address| address.net.addr());
    let vifs = facts.intent.instances.iter().flat_map(|instance| &instance.vifs);
    let fixed = vifs.flat_map(|vif| vif.fixed.iter().copied().map(IpAddr::V4));
    let ipv4 = |address| match address {
        IpAddr::V4(address) => Some(address),
        IpAddr::V6(_) => None,
    };
    routers.chain(own).chain(fixed).filter_map(ipv4).collect()
}

/// Ends it: what was told of questions that are not all answered, and of echoes beside them, each of which has its own.
/// A healthy network drops much that nobody misses.
pub(crate) fn finish(
    watching: Watching,
    facts: &mut Facts,
    probes: &[Probe],
    results: &[ProbeResult],
    sides: &mut [SideEcho],
) -> Vec<KernelDrop> {
    if results.iter().all(|result| result.received >= result.sent) {
        return Vec::new();
    }
    match watching.0.and_then(Watch::finish) {
        Ok(told) => {
            let is_whole = !told.is_full && probes.len() + sides.len() <= MARKS_MAX;
            facts.snapshot.gaps.extend((!is_whole).then(too_many));
            for side in sides.iter_mut().filter(|side| side.came.received == 0) {
                side.drops = told.drops.iter().filter_map(|drop| of_side(drop, facts, side)).collect();
            }
            kernel_drops(&told, facts, probes)
        }
        Err(error) => {
            facts.snapshot.gaps.push(Gap {
                what: "where and why the kernel drops our probes".to_owned(),
                why: crate::failure::Failure::of(&error).to_string(),
                would_need: error.would_need().to_owned(),
            });
            Vec::new()
        }
    }
}

fn too_many() -> Gap {
    Gap {
        what: "all of the places where the kernel drops our probes".to_owned(),
        why: format!(
            "only the first {} drops are told, and those of the first {MARKS_MAX} probes",
            drops::DROPS_MAX
        ),
        would_need: "fewer questions at once: `hopline diagnose` of one instance".to_owned(),
    }
}

/// Drops of one kind at one place are one, in the order in which they first came.
fn kernel_drops(told: &Told, facts: &Facts, probes: &[Probe]) -> Vec<KernelDrop> {
    let mut all: Vec<KernelDrop> = Vec::new();
    let near = Near::of(facts);
    for drop in told.drops.iter().filter_map(|drop| kernel_drop(drop, (facts, &near), probes)) {
        let is_same = |known: &KernelDrop| {
            let (packet, count) = (known.packet.clone(), known.count);
            *known == KernelDrop { packet, count, ..drop.clone() }
        };
        match all.iter().position(is_same) {
            Some(at) => all.get_mut(at).into_iter().for_each(|known| known.count += 1),
            None if all.len() < TOLD_MAX => all.push(drop),
            None => {}
        }
    }
    all
}

/// One that is of a question of ours, or of ARP's that one waits for.
fn kernel_drop(drop: &PacketDrop, (facts, near): (&Facts, &Near), probes: &[Probe]) -> Option<KernelDrop> {
    let seen = sighting(&drop.packet)?;
    let owner = owner(drop, facts);
    let of = |ends, (exchange, octets, port), half: Half| {
        let about = About { exchange, octets, port, direction: half.direction() };
        told(drop, &seen, owner.clone(), (ends, about))
    };
    let (source, destination) = (seen.source.to_ip(), seen.destination.to_ip());
    match seen.kind {
        Kind::ArpRequest | Kind::ArpReply if owner.is_none() && !near.has_arp(drop) => return None,
        Kind::ArpRequest => {
            return Some(of((source.to_string(), destination), (Exchange::Arp, None, None), Half::Question));
        }
        Kind::ArpReply => {
            return Some(of((destination.to_string(), source), (Exchange::Arp, None, None), Half::Answer));
        }
        Kind::EchoRequest
        | Kind::EchoReply
        | Kind::Icmp
        | Kind::Tcp
        | Kind::Udp
        | Kind::DnsQuery
        | Kind::DnsResponse
        | Kind::DhcpClient
        | Kind::DhcpServer
        | Kind::Fragment
        | Kind::Other => {}
    }
    let (exchange, number, half) = sightings::mark(&seen)?;
    let probe = probes.iter().find(|probe| probe.mark() == (exchange, number))?;
    let service = SocketAddr::new(probe.to, probe.server_port);
    if exchange == Exchange::Dns && !sightings::is_with(&seen, half, service) {
        return None;
    }
    if owner.is_none() && !strangers::is_of(probe, drop, &seen) {
        return None;
    }
    let about = (exchange, probe.octets(), probe.service_port());
    Some(of((probe.sender().to_owned(), probe.to), about, half))
}

/// One that is of this echo beside a question, on a machine of the site. That its TTL runs out is what it is sent for.
fn of_side(drop: &PacketDrop, facts: &Facts, side: &SideEcho) -> Option<KernelDrop> {
    let seen = sighting(&drop.packet)?;
    let (number, half) = sightings::side(seen.kind, seen.detail, 0)?;
    let is_run_out = side.ttl.is_some() && half == Half::Question && seen.ttl <= 1;
    if number != side.number || is_run_out {
        return None;
    }
    let owner = owner(drop, facts)?;
    let octets = side.came.asked.octets();
    let about = About { exchange: Exchange::Icmp, octets, port: None, direction: half.direction() };
    Some(told(drop, &seen, Some(owner), ((side.came.from.clone(), side.came.to), about)))
}

fn owner(drop: &PacketDrop, facts: &Facts) -> Option<Owner> {
    let ns = facts.snapshot.netns.iter().find(|ns| ns.inode.is_some() && ns.inode == drop.inode)?;
    Some(Owner { machine: ns.machine.clone(), netns: ns.name.clone() })
}

/// What a packet is of: a question's conversation, what tells it from others to the same machine, and the half.
struct About {
    exchange: Exchange,
    octets: Option<u16>,
    port: Option<u16>,
    direction: Direction,
}

fn told(
    drop: &PacketDrop,
    seen: &Sighting,
    owner: Option<Owner>,
    ((from, to), about): ((String, IpAddr), About),
) -> KernelDrop {
    let About { exchange, octets, port, direction } = about;
    KernelDrop {
        from,
        to,
        exchange,
        octets,
        port,
        direction,
        owner,
        device: drop.device.as_ref().map(|device| device.name.clone()).unwrap_or_default(),
        reason: drop.reason.clone(),
        function: drop.function.clone(),
        packet: packet(seen),
        count: 1,
    }
}

/// A packet from its IP header on, or ARP's, which begins with the kind of its hardware (RFC 826).
fn sighting(packet: &[u8]) -> Option<Sighting> {
    let is_arp = packet.starts_with(&[0, 1]);
    let ethernet = [&[0; 12], &[0x08, 0x06][..], packet].concat();
    let (link_type, data) = if is_arp { (LINK_ETHERNET, &ethernet[..]) } else { (LINK_RAW, packet) };
    let length = u32::try_from(data.len()).unwrap_or(u32::MAX);
    let frame = Frame { number: 0, time_ns: 0, interface: 0, link_type, data, length };
    dissect::sighting(&frame, 0, &Options::for_snap_length(Some(length)))
}

/// `10.0.2.24 > 1.2.3.4 ICMP echo request ttl 64`, as paths tell it.
fn packet(seen: &Sighting) -> String {
    let what = match seen.kind {
        Kind::EchoRequest => "ICMP echo request",
        Kind::EchoReply => "ICMP echo reply",
        Kind::DhcpClient => "DHCP from a client",
        Kind::DhcpServer => "DHCP from a server",
        Kind::DnsQuery => "DNS query",
        Kind::DnsResponse => "DNS response",
        Kind::Tcp => "TCP",
        Kind::Udp => "UDP",
        Kind::Icmp => "ICMP",
        Kind::ArpRequest => return format!("ARP who has {} tell {}", seen.destination, seen.source),
        Kind::ArpReply => return format!("ARP {} is at", seen.source),
        Kind::Fragment | Kind::Other => "packet",
    };
    format!("{} > {} {what} ttl {}", seen.source, seen.destination, seen.ttl)
}
