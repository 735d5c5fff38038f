//! Sightings of our own packets, joined into the way that each of them went.

use std::collections::{BTreeMap, BTreeSet};

use capture::vantage::Vantage;
use correlate::{Correlator, Merge, Nat, Options};
use model::journey::{End, Journey, QuestionSeen, Stop};
use model::path::Exchange;
use model::probe::SideEcho;
use model::sighting::{Kind, Sighting};
use report::PacketAt;

use crate::gather::Facts;
use crate::probes::Probe;
use crate::sightings::{self, Half};

/// The packets of each probe's question; of those beside them it is told there. What was seen at a vantage that is none
/// of `whole`, by its number, is left out.
pub(super) fn of(
    mut packets: Vec<Sighting>,
    whole: &[Option<&Vantage>],
    facts: &Facts,
    (probes, sides): (&[Probe], &mut [SideEcho]),
) -> Vec<QuestionSeen> {
    let mut numbers: BTreeMap<u16, usize> = BTreeMap::new();
    for (at, _) in (0_u16..).zip(whole).filter(|(_, vantage)| vantage.is_some()) {
        let number = numbers.len();
        numbers.insert(at, number);
    }
    let vantages: Vec<_> = whole.iter().flatten().map(|vantage| told(vantage)).collect();
    let blank = |from: &str, to, (exchange, octets, port)| QuestionSeen {
        from: from.to_owned(),
        to,
        exchange,
        octets,
        port,
        vantages: vantages.clone(),
        journeys: Vec::new(),
        left_out: 0,
    };
    let mut questions: Vec<QuestionSeen> = Vec::new();
    let mut by_mark: BTreeMap<(Exchange, u32), usize> = BTreeMap::new();
    for probe in probes {
        let (from, to, octets) = (probe.sender(), probe.to, probe.octets());
        for (mark, port) in probe.marks() {
            // The same question asked many times more bears another mark.
            let is_same = |known: &QuestionSeen| {
                let is_between = (known.from.as_str(), known.to) == (from, to);
                is_between && (known.exchange, known.octets, known.port) == (mark.0, octets, port)
            };
            let at = questions.iter().position(is_same).unwrap_or(questions.len());
            by_mark.insert(mark, at);
            if at == questions.len() {
                questions.push(blank(from, to, (mark.0, octets, port)));
            }
        }
    }
    let own = questions.len();
    for side in sides.iter() {
        by_mark.insert((Exchange::Icmp, side.number), questions.len());
        let came = &side.came;
        questions.push(blank(&came.from, came.to, (Exchange::Icmp, came.asked.octets(), None)));
    }
    packets.retain(|seen| numbers.contains_key(&seen.vantage));
    put_in_order(&mut packets);
    let quoted: BTreeMap<u32, u32> = packets.iter().map(|seen| (seen.frame, seen.quoted)).collect();
    let joined = join(packets, facts);
    // The rest of a connection is no question, and answers none.
    let opened: BTreeSet<u64> =
        joined.iter().filter(|(one, _)| one.opens()).map(|(one, _)| one.asks()).collect();
    for (one, at) in &joined {
        let Some(first) = one.stops.first() else { continue };
        let quoted = quoted.get(&first.frame).copied().unwrap_or_default();
        let Some((mark, key, half)) = known(one, (first, quoted), (&by_mark, &opened)) else { continue };
        let question = by_mark.get(&mark).and_then(|at| questions.get_mut(*at));
        let Some(question) = question else { continue };
        let stop = |(stop, local): (&correlate::Stop, &u16)| {
            Some(Stop {
                vantage: *numbers.get(local)?,
                time_ns: stop.time_ns,
                ends: PacketAt::of(one, stop).ends(),
                ttl: stop.ttl,
                copies: stop.copies,
                recorded: String::new(),
            })
        };
        let stops: Option<Vec<Stop>> = one.stops.iter().zip(at).map(stop).collect();
        let (direction, packet) = (half.direction(), PacketAt::of(one, first).line());
        question.journeys.extend(stops.map(|stops| Journey {
            direction,
            key,
            packet,
            stops,
            end: End::Open,
        }));
    }
    for question in &mut questions {
        question.journeys.sort_by_key(|journey| journey.stops.first().map(|stop| stop.time_ns));
    }
    for (side, seen) in sides.iter_mut().zip(questions.split_off(own)) {
        side.seen = Some(seen);
    }
    questions
}

/// The mark of a packet, what it has in common with its answer or question, and which of them it is.
fn known(
    one: &correlate::Journey,
    (first, quoted): (&correlate::Stop, u32),
    (by_mark, opened): (&BTreeMap<(Exchange, u32), usize>, &BTreeSet<u64>),
) -> Option<((Exchange, u32), u64, Half)> {
    let side = sightings::side(one.kind, one.detail, quoted);
    if let Some((number, half)) = side.filter(|(number, _)| by_mark.contains_key(&(Exchange::Icmp, *number)))
    {
        return Some(((Exchange::Icmp, number), number.into(), half));
    }
    let ports = (first.source_port, first.destination_port);
    let (exchange, number, half) = sightings::mark_of(one.kind, one.detail, ports)?;
    let key = match (one.kind, half) {
        (Kind::Tcp, Half::Question) if one.opens() => one.asks(),
        (Kind::Tcp, Half::Answer) if opened.contains(&one.answers()) => one.answers(),
        (Kind::Tcp, Half::Question | Half::Answer) => return None,
        // Only the id of what is asked for names is its answer's, too.
        (Kind::Udp | Kind::DnsQuery | Kind::DnsResponse, Half::Question | Half::Answer) => number.into(),
        (_, Half::Question | Half::Answer) => one.detail.into(),
    };
    Some(((exchange, number), key, half))
}

/// In the order of time, each with its number in it.
fn put_in_order(packets: &mut [Sighting]) {
    // A bridge shows a packet with the stamp that its port has given it.
    packets.sort_by_key(|seen| (seen.time_ns, seen.vantage));
    for (number, seen) in (1..).zip(packets) {
        seen.frame = number;
    }
}

/// All of them are stamped by this machine's clock.
fn told(vantage: &Vantage) -> model::journey::Vantage {
    let Vantage { host: machine, netns, device, .. } = vantage.clone();
    model::journey::Vantage { machine, netns, device, clock: 0, doubt_ns: 0, is_complete: true }
}

/// Journeys, each with the numbers of the vantages of its stops.
fn join(packets: Vec<Sighting>, facts: &Facts) -> Vec<(correlate::Journey, Vec<u16>)> {
    let mut merge = Merge::new(1);
    let mut correlator = Correlator::new(Options::default(), vec![false]);
    let floating = facts.intent.instances.iter().flat_map(model::intent::Instance::floating);
    correlator.give_nat(floating.map(|floating| Nat {
        inside: std::net::IpAddr::V4(floating.fixed).into(),
        outside: std::net::IpAddr::V4(floating.address).into(),
    }));
    let mut joined = Vec::new();
    let mut take = |journey: &correlate::Journey, vantages: &[correlate::Vantage]| {
        let local = |stop: &correlate::Stop| vantages.get(usize::from(stop.vantage)).map(|at| at.local);
        let at: Option<Vec<u16>> = journey.stops.iter().map(local).collect();
        joined.extend(at.map(|at| (journey.clone(), at)));
    };
    merge.give(0, packets);
    merge.give(0, Vec::new());
    correlator.drain(&mut merge, &mut take);
    correlator.finish(&merge, &mut take);
    joined
}
