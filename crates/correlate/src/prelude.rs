//! The clocks, from the first sightings of every source, before anything is joined.

use std::collections::BTreeMap;

use model::sighting::Sighting;

use crate::Merge;
use crate::clock::Clocks;

/// Sightings of each source that are looked at.
const LOOK: usize = 16_384;
/// Clocks less apart than this meet within any window that makes sense; the joins tell the rest.
const APART_NS: i64 = 500_000_000;

/// The first time that a packet was seen at each source: its stamp and TTL.
type Seen = Vec<Option<(i64, u8)>>;

/// How far each source's clock is ahead of the first one's, as far as the first sightings tell.
pub(crate) fn look(merge: &Merge, sources: usize, clocks: &mut Clocks) -> Vec<i64> {
    let packets = packets(merge, sources);
    let mut asks: BTreeMap<u64, &Seen> = BTreeMap::new();
    for (sighting, seen) in packets.values().flatten() {
        passed(seen, clocks);
        if sighting.ask != 0 {
            asks.insert(sighting.ask, seen);
        }
    }
    for (sighting, reply) in packets.values().flatten() {
        let Some(request) = asks.get(&sighting.answer).filter(|_| sighting.answer != 0) else { continue };
        let both = |source: usize| {
            let (there, back) = (request.get(source)?.as_ref()?, reply.get(source)?.as_ref()?);
            Some((u16::try_from(source).ok()?, [there.0, back.0]))
        };
        let both: Vec<_> = (0..sources).filter_map(both).collect();
        for pair in both.windows(2) {
            if let [a, b] = pair {
                clocks.crossed(a.1[0], *a, *b);
            }
        }
    }
    let known = clocks.now();
    let apart = apart(packets.values().flatten().map(|(_, seen)| seen), sources);
    known.iter().zip(apart).map(|(known, apart)| known.unwrap_or(apart)).collect()
}

/// Packets by identity; `None` for those that a source has seen twice.
fn packets(merge: &Merge, sources: usize) -> BTreeMap<u64, Option<(Sighting, Seen)>> {
    let mut packets: BTreeMap<u64, Option<(Sighting, Seen)>> = BTreeMap::new();
    for source in 0..sources {
        for sighting in merge.waiting(source).take(LOOK) {
            let entry =
                packets.entry(sighting.identity).or_insert_with(|| Some((*sighting, vec![None; sources])));
            match entry.as_mut().and_then(|(_, seen)| seen.get_mut(source)) {
                Some(place @ None) => *place = Some((sighting.time_ns, sighting.ttl)),
                Some(Some(_)) | None => *entry = None,
            }
        }
    }
    packets
}

/// Who has the higher TTL had the packet first.
fn passed(seen: &Seen, clocks: &mut Clocks) {
    let mut at: Vec<(u8, u16, i64)> = Vec::new();
    for (source, seen) in seen.iter().enumerate() {
        if let (Some((time, ttl)), Ok(source)) = (seen, u16::try_from(source)) {
            at.push((*ttl, source, *time));
        }
    }
    at.sort_unstable_by(|a, b| b.cmp(a));
    for pair in at.windows(2) {
        if let [before, after] = pair
            && before.0 > after.0
            && after.0 > 0
        {
            clocks.passed(before.2, (before.1, before.2), (after.1, after.2));
        }
    }
}

/// By the middle of the differences of stamps, for clocks that are far apart.
fn apart<'a>(packets: impl Iterator<Item = &'a Seen> + Clone, sources: usize) -> Vec<i64> {
    let mut ahead: Vec<Option<i64>> = vec![None; sources];
    if let Some(first) = ahead.first_mut() {
        *first = Some(0);
    }
    // Each round reaches the sources that share a packet with one that was reached.
    for _ in 1..sources {
        for to in 0..sources {
            let known = |source: usize| ahead.get(source).copied().flatten();
            if known(to).is_some() {
                continue;
            }
            let found =
                (0..sources).filter_map(|from| Some((from, known(from)?))).find_map(|(from, base)| {
                    let difference = |seen: &Seen| {
                        Some(seen.get(to)?.as_ref()?.0.saturating_sub(seen.get(from)?.as_ref()?.0))
                    };
                    let mut all: Vec<i64> = packets.clone().filter_map(difference).collect();
                    all.sort_unstable();
                    let middle = *all.get(all.len() / 2)?;
                    Some(base.saturating_add(if middle.saturating_abs() < APART_NS { 0 } else { middle }))
                });
            if let Some(place) = ahead.get_mut(to) {
                *place = found;
            }
        }
    }
    ahead.into_iter().map(Option::unwrap_or_default).collect()
}
