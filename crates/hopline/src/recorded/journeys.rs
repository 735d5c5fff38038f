//! The packets of a question that captures have, as journeys over the vantages that have them or would have.

use std::collections::BTreeSet;

use model::journey::{End, Journey, QuestionSeen, Stop, Vantage};
use model::probe::ProbeResult;

use super::judged::Placed;
use super::seen::Packet;
use super::spots::Spot;
use super::tally::{Tally, Watcher};
use crate::sightings::Half;

/// Questions that are told packet by packet, half of them such as were not answered.
const QUESTIONS_MAX: usize = 24;

/// Of the questions that are counted, `probe` being what came of them; of many, the first.
pub(super) fn of(placed: &Placed, probe: &ProbeResult, tally: &Tally, watchers: &[Watcher]) -> QuestionSeen {
    let keys = told(tally);
    let packets = tally.packets.iter().filter(|packet| keys.contains(&packet.key));
    let packets: Vec<&Packet> = packets.filter(|packet| is_counted(tally, packet)).collect();
    let vantages = vantages(placed, &packets, watchers);
    let mut journeys: Vec<Journey> =
        packets.into_iter().filter_map(|packet| journey(placed, packet, &vantages)).collect();
    journeys.sort_by_key(|journey| journey.stops.iter().map(|stop| stop.time_ns).min());
    QuestionSeen {
        from: probe.from.clone(),
        to: probe.to,
        exchange: probe.asked.exchange(),
        octets: probe.asked.octets(),
        port: probe.asked.told_port(),
        vantages: vantages.into_iter().map(|(_, vantage)| vantage).collect(),
        journeys,
        left_out: tally.keys.len() - keys.len(),
    }
}

/// Questions, each by its key: the first that were not answered, and the first that were.
fn told(tally: &Tally) -> BTreeSet<u64> {
    let (answered, silent): (Vec<&Packet>, Vec<&Packet>) =
        tally.asked.iter().copied().partition(|packet| tally.answered.contains(&packet.key));
    let mut keys = BTreeSet::new();
    for (packets, room) in [(silent, QUESTIONS_MAX / 2), (answered, QUESTIONS_MAX)] {
        for packet in packets {
            if keys.len() < room {
                keys.insert(packet.key);
            }
        }
    }
    keys
}

/// It is one of the questions that are counted, or an answer.
fn is_counted(tally: &Tally, packet: &Packet) -> bool {
    packet.half == Half::Answer || tally.asked.iter().any(|asked| std::ptr::eq(*asked, packet))
}

/// The devices that have seen these packets or would have, each once, with the captures that were made there by one
/// clock: what another has is not told, so then a packet that is lacking may have been there.
fn vantages<'p>(
    placed: &'p Placed,
    packets: &[&Packet],
    watchers: &[Watcher],
) -> Vec<(Vec<&'p Spot>, Vantage)> {
    let mut found: Vec<(Vec<&Spot>, Vantage)> = Vec::new();
    for spot in placed.times.spots {
        let is_watcher = watchers.iter().any(|watcher| std::ptr::eq(watcher.spot, spot));
        let has_seen = || packets.iter().flat_map(|packet| &packet.sightings).any(|at| spot.has(at));
        if !is_watcher && !has_seen() {
            continue;
        }
        let (machine, netns, device) = spot.device.clone();
        let is_here = |v: &Vantage| (&v.machine, &v.netns, &v.device) == (&machine, &netns, &device);
        match found.iter_mut().find(|(_, vantage)| is_here(vantage)) {
            Some((spots, vantage)) if vantage.clock == spot.clock => {
                spots.push(spot);
                vantage.is_complete |= is_watcher;
                vantage.doubt_ns = vantage.doubt_ns.max(spot.doubt_ns);
            }
            Some((_, vantage)) => vantage.is_complete = false,
            None => {
                let (clock, doubt_ns, is_complete) = (spot.clock, spot.doubt_ns, is_watcher);
                found.push((vec![spot], Vantage { machine, netns, device, clock, doubt_ns, is_complete }));
            }
        }
    }
    found
}

fn journey(placed: &Placed, packet: &Packet, vantages: &[(Vec<&Spot>, Vantage)]) -> Option<Journey> {
    let mut stops: Vec<Stop> = Vec::new();
    for at in &packet.sightings {
        let index = vantages.iter().position(|(spots, _)| spots.iter().any(|spot| spot.has(at)));
        // Two captures of one device have it twice; where it comes by once more, it has been routed.
        let is_other = |index: &usize| stops.iter().all(|stop| stop.vantage != *index || stop.ttl != at.ttl);
        let Some(vantage) = index.filter(is_other) else { continue };
        stops.push(Stop {
            vantage,
            time_ns: placed.times.common(at),
            ends: packet.what.at(at).ends(),
            ttl: at.ttl,
            copies: at.copies,
            recorded: placed.packet(at),
        });
    }
    let first = packet.sightings.first()?;
    let (direction, key) = (packet.half.direction(), packet.key);
    let packet = packet.what.at(first).line();
    (!stops.is_empty()).then_some(Journey { direction, key, packet, stops, end: End::Open })
}
