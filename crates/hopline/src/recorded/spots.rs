//! A vantage of a capture at a device of the site, and what it takes for it to lack a packet: that it recorded at the
//! time, lost nothing, and was to keep such packets.

use std::collections::{BTreeMap, BTreeSet};

use ::correlate::{Report, VantageReport};
use checks::Rung;
use model::Snapshot;
use model::path::{Exchange, Hop};
use model::sighting::Address;
use model::snapshot::Gap;
use parse::capture::Interface;

use super::filters::{self, Like};
use super::given::Given;
use super::placed::{self, Device};
use super::seen::Recording;
use crate::commands::correlate::source::Source;
use crate::widening::ends;

/// A vantage that was placed.
#[derive(Debug, Clone)]
pub(crate) struct Spot {
    pub(crate) source: u16,
    pub(crate) local: u16,
    pub(crate) device: Device,
    /// What its file calls it; `None` where the file calls it nothing.
    pub(crate) name: Option<String>,
    recording: Recording,
    filter: Option<String>,
    is_lossy: bool,
    /// Octets kept of each packet; 0 for all.
    snap_length: u32,
    /// The source by whose clock its times are told: one for all whose clocks are known beside each other's.
    pub(crate) clock: u16,
    /// From when until when it recorded, by that clock.
    pub(crate) span_ns: (i64, i64),
    /// How far its own clock is ahead of that one, and how far that may be off.
    pub(crate) ahead_ns: i64,
    pub(crate) doubt_ns: i64,
}

/// Places every vantage of the captures that recorded at all; what cannot be placed is a gap, with the capture's index.
pub(crate) fn place(
    snapshot: &Snapshot,
    given: &[Given],
    (report, sources): (&Report, &[Source]),
    recordings: &BTreeMap<(u16, u16), Recording>,
) -> (Vec<Spot>, Vec<(usize, Gap)>) {
    let (mut spots, mut gaps, mut clocks) = (Vec::new(), Vec::new(), Vec::new());
    let reference = u16::try_from(report.reference).unwrap_or_default();
    for ((index, source), given) in (0_u16..).zip(sources).zip(given) {
        let ahead = ahead(report, index, sources.len());
        let all =
            (0_u16..).zip(source.names()).map(|(local, name)| (local, name, recordings.get(&(index, local))));
        let spans = all.clone().filter_map(|(.., recording)| recording?.span_ns);
        // Each was written while the others were.
        let of_file = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1)));
        let named_one =
            given.vantage.as_ref().filter(|named| !snapshot.netns.iter().any(|ns| ns.machine == **named));
        if named_one.is_some() && all.clone().count() > 1 {
            let why = "it was recorded at several devices, and one was named";
            gaps.push((usize::from(index), unplaced(given, why)));
            clocks.push(None);
            continue;
        }
        for (local, name, recording) in all {
            let interface = source.interface(local);
            let told = interface.and_then(|interface| interface.recorded_ns);
            let Some((first, last)) = told.or(of_file) else { continue };
            let device = match placed::device(snapshot, name, given.vantage.as_deref()) {
                Ok(device) => device,
                Err(why) => {
                    gaps.push((usize::from(index), unplaced(given, &why)));
                    continue;
                }
            };
            let dropped = interface.and_then(|interface| interface.dropped).unwrap_or_default();
            spots.push(Spot {
                source: index,
                local,
                device,
                name: interface.and_then(|interface| interface.name.clone()),
                recording: recording.cloned().unwrap_or_default(),
                filter: interface.and_then(filter).cloned(),
                is_lossy: dropped > 0 || source.is_mixed,
                snap_length: interface.map(|interface| interface.snap_length).unwrap_or_default(),
                clock: index,
                span_ns: (first, last),
                ahead_ns: 0,
                doubt_ns: doubt(report, index),
            });
        }
        clocks.push(ahead.map(|ahead_ns| (reference, ahead_ns)));
    }
    set_clocks(&mut spots, &clocks);
    (spots, gaps)
}

/// The filter that it was recorded with. What takes packets out of a file afterwards, as `tshark -Y` and `editcap` do,
/// leaves the filter's text as it was; but it leaves out what was counted at the interface, which would not be true any
/// more.
fn filter(interface: &Interface) -> Option<&String> {
    interface.filter.as_ref().filter(|_| interface.recorded_ns.is_some())
}

/// How far a source's clock is ahead of the reference's: the middle of what is known; `None` where nothing is.
fn ahead(report: &Report, source: u16, sources: usize) -> Option<i64> {
    if usize::from(source) == report.reference || sources == 1 {
        return Some(0);
    }
    let of_it = |vantage: &&VantageReport| vantage.source == source;
    let offset = report.vantages.iter().filter(of_it).find_map(|vantage| vantage.offset);
    offset.map(|interval| interval.low.midpoint(interval.high))
}

/// How far what is known of that may be off.
fn doubt(report: &Report, source: u16) -> i64 {
    let mut of_it = report.vantages.iter().filter(|vantage| vantage.source == source);
    let offset = of_it.find_map(|vantage| vantage.offset);
    match offset {
        Some(_) if report.drifts && usize::from(source) != report.reference => i64::MAX,
        Some(offset) => offset.high.saturating_sub(offset.low) / 2,
        None => 0,
    }
}

/// Tells each vantage's times by the clock of `known`, by source, with how far its own is ahead. What was recorded on
/// one machine has one clock, whether the packets tell or not; else a source has its own.
fn set_clocks(spots: &mut [Spot], known: &[Option<(u16, i64)>]) {
    let mut clocks: BTreeMap<u16, (u16, i64)> =
        (0_u16..).zip(known).filter_map(|(source, clock)| Some((source, (*clock)?))).collect();
    let machines: BTreeSet<(u16, String)> =
        spots.iter().map(|spot| (spot.source, spot.device.0.clone())).collect();
    let sources: BTreeSet<u16> = spots.iter().map(|spot| spot.source).collect();
    for source in sources {
        let own = || machines.iter().filter(|(of, _)| *of == source).map(|(_, machine)| machine);
        let is_beside = |other: &u16| own().any(|machine| machines.contains(&(*other, machine.clone())));
        let beside = clocks.iter().find(|(other, _)| is_beside(other)).map(|(_, clock)| *clock);
        clocks.entry(source).or_insert(beside.unwrap_or((source, 0)));
    }
    for spot in spots {
        let Some((clock, ahead_ns)) = clocks.get(&spot.source).copied() else { continue };
        let (first, last) = spot.span_ns;
        spot.span_ns = (first.saturating_sub(ahead_ns), last.saturating_sub(ahead_ns));
        (spot.clock, spot.ahead_ns) = (clock, ahead_ns);
    }
}

/// Octets that it takes to tell a packet of a question, with the longest header of a link and of IP that we expect.
fn octets_needed(exchange: Exchange, is_v4: bool) -> u32 {
    /// Linux cooked, version 2; Ethernet with a tag is less.
    const LINK: u32 = 20;
    let ip = if is_v4 { 20 } else { 40 };
    LINK + ip
        + match exchange {
            Exchange::Icmp | Exchange::Udp | Exchange::None => 8,
            Exchange::Tcp => 20,
            // UDP, and the header of DNS.
            Exchange::Dns => 8 + 12,
            // UDP, DHCP up to its options, their cookie, and the first of them: what kind of message it is.
            Exchange::Dhcp => 8 + 236 + 4 + 3,
            Exchange::Arp => 28,
        }
}

fn unplaced(given: &Given, why: &str) -> Gap {
    let file = given.name();
    Gap {
        what: format!("at which device {file} was recorded"),
        why: why.to_owned(),
        would_need: format!("--capture HOST/NETNS/DEVICE={file}, or HOST={file} for all of its devices"),
    }
}

impl Spot {
    /// It is at the device of these hops.
    pub(crate) fn is_at(&self, group: &[Hop]) -> bool {
        let (machine, netns, device) = &self.device;
        group
            .first()
            .is_some_and(|hop| (&hop.at.host, &hop.at.netns, &hop.at.device) == (machine, netns, device))
    }

    /// It keeps too little of a packet to tell what it is.
    fn cuts_short(&self, exchange: Exchange, is_v4: bool) -> bool {
        (1..octets_needed(exchange, is_v4)).contains(&self.snap_length)
    }

    /// It would have kept this question's packets and their answers, as a walk has them at a device.
    pub(crate) fn admits(&self, rung: &Rung, exchange: Exchange, group: &[Hop]) -> bool {
        if self.is_lossy {
            return false;
        }
        let pairs = group.iter().filter_map(|hop| ends(&hop.packet));
        let mut forms: Vec<_> = pairs.collect();
        forms.dedup();
        if forms.is_empty() {
            forms.push((rung.to, rung.to));
        }
        if forms.iter().any(|(source, _)| self.cuts_short(exchange, source.is_ipv4())) {
            return false;
        }
        match &self.filter {
            Some(filter) => forms.into_iter().all(|(source, destination)| {
                let there = Like { exchange, source, destination };
                let back = Like { exchange, source: destination, destination: source };
                [there, back].into_iter().all(|packet| filters::takes(filter, packet) == Some(true))
            }),
            // Neither does a file that tells its time tell that there was no filter, nor in which direction.
            None => {
                let pairs = forms.iter().map(|(a, b)| (Address::from(*a), Address::from(*b)));
                let ends: Vec<Address> = pairs.clone().flat_map(|(a, b)| [a, b]).collect();
                let asked = super::asked::conversation(rung).map(|(_, port)| port);
                let ports = group.iter().filter_map(|hop| port(&hop.packet)).chain(asked);
                self.recording.has(exchange, &ends)
                    && (exchange == Exchange::Dhcp
                        || pairs.into_iter().any(|pair| self.recording.is_open_to(pair)))
                    && (exchange != Exchange::Tcp || self.recording.has_port(ports))
            }
        }
    }
}

/// `80` of `10.0.2.24:49152 > 1.2.3.4:80 TCP SYN ttl 64`.
fn port(packet: &str) -> Option<u16> {
    packet.split_once(" > ")?.1.split(' ').next()?.rsplit_once(':')?.1.parse().ok()
}

#[cfg(test)]
impl Spot {
    /// Of a source at a device of a machine, by a clock of its own.
    pub(super) fn sample(source: u16, machine: &str, span_ns: (i64, i64)) -> Spot {
        Spot {
            source,
            local: 0,
            device: (machine.to_owned(), String::new(), "eth0".to_owned()),
            name: None,
            recording: Recording::default(),
            filter: None,
            is_lossy: false,
            snap_length: 0,
            clock: source,
            span_ns,
            ahead_ns: 0,
            doubt_ns: 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clocks_are_one_where_packets_or_a_machine_tell() {
        // The first is the reference; the second is known beside it. Nothing tells of the others' clocks, but one was
        // made on the machine of the second, and two on one machine.
        let machines = ["a", "b", "c", "b", "c"];
        let mut spots: Vec<Spot> =
            (0..).zip(machines).map(|(at, machine)| Spot::sample(at, machine, (10, 20))).collect();
        set_clocks(&mut spots, &[Some((0, 0)), Some((0, 7)), None, None, None]);
        let told: Vec<_> = spots.iter().map(|spot| (spot.clock, spot.ahead_ns, spot.span_ns)).collect();
        let (known, own) = ((0, 7, (3, 13)), (2, 0, (10, 20)));
        assert_eq!(told, [(0, 0, (10, 20)), known, own, known, own]);
    }

    #[test]
    fn a_vantage_that_keeps_too_little_of_a_packet_lacks_none() {
        for (exchange, least) in
            [(Exchange::Icmp, 48), (Exchange::Tcp, 60), (Exchange::Dns, 60), (Exchange::Dhcp, 291)]
        {
            assert_eq!(octets_needed(exchange, true), least);
            let mut short = Spot::sample(0, "a", (0, 1));
            short.snap_length = least - 1;
            assert!(short.cuts_short(exchange, true));
            for enough in [least, 65_535, 0] {
                short.snap_length = enough;
                assert!(!short.cuts_short(exchange, true), "{enough}");
            }
        }
    }
}
