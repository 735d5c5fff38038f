//! The clocks, from the first sightings of every source, before anything is joined.

use std::collections::BTreeMap;

use model::sighting::Sighting;

use crate::Merge;
use crate::clock::{Clocks, STRETCH_NS};

/// Sightings of each source that are looked at.
const LOOK: usize = 16_384;
/// Clocks less apart than this meet within any window that makes sense; the joins tell the rest.
const APART_NS: i64 = 500_000_000;

/// The first time that a packet was seen at each source: its stamp and TTL.
type Seen = Vec<Option<(i64, u8)>>;

/// What a packet, or a request and its reply, tell of two clocks: of each the source and its stamps.
enum Told {
    Passed((u16, i64), (u16, i64)),
    Crossed((u16, [i64; 2]), (u16, [i64; 2])),
}

impl Told {
    /// When, by which source's clock.
    fn when(&self) -> (usize, i64) {
        match self {
            Told::Passed((source, time), _) | Told::Crossed((source, [time, _]), _) => {
                (usize::from(*source), *time)
            }
        }
    }
}

/// How far each source's clock is ahead of the first one's, as far as the first sightings tell, and whether
/// causality bounds it.
pub(crate) fn look(merge: &Merge, sources: usize) -> Vec<(i64, bool)> {
    let packets = packets(merge, sources);
    let mut told = Vec::new();
    let mut asks: BTreeMap<u64, &Seen> = BTreeMap::new();
    for (sighting, seen) in packets.values().flatten() {
        passed(seen, &mut told);
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
                told.push(Told::Crossed(*a, *b));
            }
        }
    }
    let known = bounded(&told, sources).now();
    let apart = apart(packets.values().flatten().map(|(_, seen)| seen), sources);
    known.iter().zip(apart).map(|(known, apart)| (known.unwrap_or(apart), known.is_some())).collect()
}

/// The clocks at the beginning: what is told later may be of clocks that have drifted since.
fn bounded(told: &[Told], sources: usize) -> Clocks {
    let mut begin = vec![i64::MAX; sources];
    for (source, time) in told.iter().map(Told::when) {
        if let Some(begin) = begin.get_mut(source) {
            *begin = time.min(*begin);
        }
    }
    let mut clocks = Clocks::new(sources);
    for told in told {
        let (source, time) = told.when();
        let begin = begin.get(source).copied().unwrap_or_default();
        if time.saturating_sub(begin) > STRETCH_NS {
            continue;
        }
        match told {
            Told::Passed(a, b) => clocks.passed(0, *a, *b),
            Told::Crossed(a, b) => clocks.crossed(0, *a, *b),
        }
    }
    clocks
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
fn passed(seen: &Seen, told: &mut Vec<Told>) {
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
            told.push(Told::Passed((before.1, before.2), (after.1, after.2)));
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
