//! Which question to ask next: as long as nothing is wrong, whatever shows most of what nothing has shown yet; once an
//! answer is missing, whatever parts what may have eaten it into halves.
//!
//! What may be wrong is a **stretch**: a device's way to the next one, in one direction, and where rules, addresses or
//! services decide, for one kind of conversation. An answer clears all stretches of its way there and back; silence
//! leaves those of its way that no other answer clears.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};

use model::path::{Direction, Disposition, Exchange, Path, Place, Stage, Stop};
use model::probe::ProbeResult;

use crate::diagnose::is_probe_of;
use crate::ladder::{OverTcp, Purpose, Rung};
use crate::{looked_up, metadata, way_out};

/// Where a question stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stand {
    /// Nobody has asked it.
    NotAsked,
    /// It is under way, and no longer than answers take.
    Asked,
    /// It is under way for longer than others took: which proves nothing, and is a reason to look closer.
    Late,
    /// It was answered.
    Answered,
    /// It was given up.
    Silent,
    /// It could not be asked, which tells nothing.
    Unsent,
}

/// A question of a ladder as the choice sees it.
#[derive(Debug, Clone, Copy)]
pub struct Candidate<'r> {
    /// The question and its predicted way.
    pub rung: &'r Rung,
    /// It is asked of itself; else only to part what another's silence leaves possible.
    pub is_own: bool,
    /// Where it stands.
    pub stand: Stand,
}

/// A question to ask now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Choice {
    /// Index of the candidate.
    pub candidate: usize,
    /// Index of the one whose silence or answer makes it worth asking; `None` for what is asked of itself.
    pub after: Option<usize>,
    /// Why this one: `3 of the 12 places where the ping to 1.2.3.4 may be lost are on its way`.
    pub why: String,
}

/// What the answer to a question tells of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Stretch<'p> {
    at: &'p Place,
    next: Option<&'p Place>,
    /// What decides there decides for IPv6 alone.
    is_ipv6: bool,
    /// The conversation and which half of it, where that matters.
    of: Option<(Exchange, Direction)>,
    /// Who was asked, and by whom as it is seen there, where the way is not known to its end: who is beyond may let
    /// one pass and another not.
    beyond: Option<(IpAddr, Option<IpAddr>)>,
    /// The port of a server for names that has one of its own, where what decides there may know it.
    server_port: Option<u16>,
}

/// A silence that the walks foresee: the question's own, or, of a resolver, those of all whom it asks itself.
pub fn is_foreseen_silent(rung: &Rung, rungs: &[Rung]) -> bool {
    let is_silent = |rung: &Rung| !rung.answer.answered && rung.undecided().is_none();
    let is_behind =
        |other: &&Rung| other.instance == rung.instance && matches!(other.purpose, Purpose::Upstream(_));
    let mut behind = rungs.iter().filter(is_behind).peekable();
    let asks_in_vain = rung.purpose == Purpose::Resolver && behind.peek().is_some() && behind.all(is_silent);
    // Whether there is anybody who could answer nobody knows.
    let is_guessed = matches!(rung.purpose, Purpose::Served6(_)) && rung.undecided().is_some();
    is_silent(rung) || asks_in_vain || is_guessed
}

/// What to ask now; empty where nothing more can be learned, or where what is under way must be awaited first.
pub fn next(candidates: &[Candidate]) -> Vec<Choice> {
    let ways: Vec<BTreeSet<Stretch>> = candidates.iter().map(|candidate| stretches(candidate.rung)).collect();
    let cleared = union(&ways, candidates, |candidate| candidate.stand == Stand::Answered);
    let mut chosen = broad(candidates, &ways, &cleared, false);
    if chosen.is_empty() && candidates.iter().all(|one| one.stand != Stand::Asked) {
        chosen = broad(candidates, &ways, &cleared, true);
    }
    chosen.extend(large(candidates));
    for (at, missing) in candidates.iter().enumerate().filter(|(_, one)| is_missing(one.stand)) {
        let possible: BTreeSet<Stretch> = ways
            .get(at)
            .into_iter()
            .flatten()
            .filter(|stretch| !cleared.contains(*stretch))
            .copied()
            .collect();
        let known = |other: &usize| chosen.iter().any(|choice| choice.candidate == *other);
        if let Some((other, inside)) =
            halving(candidates, &ways, &possible).filter(|(other, _)| !known(other))
        {
            let why = format!(
                "{inside} of the {} places where the question from {} to {} may be lost are on its way",
                possible.len(),
                missing.rung.from,
                missing.rung.to
            );
            chosen.push(Choice { candidate: other, after: Some(at), why });
        }
    }
    chosen
}

/// A question that is missing, and where it may have been lost for all that the answers to others tell.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Left {
    /// Index of the candidate.
    pub candidate: usize,
    /// Devices in the order of its way there and back, each once.
    pub places: Vec<Place>,
}

/// What is still possible: of each question of its own that is late or silent.
pub fn left(candidates: &[Candidate]) -> Vec<Left> {
    let ways: Vec<BTreeSet<Stretch>> = candidates.iter().map(|candidate| stretches(candidate.rung)).collect();
    let cleared = union(&ways, candidates, |candidate| candidate.stand == Stand::Answered);
    let missing = candidates.iter().enumerate().filter(|(_, one)| one.is_own && is_missing(one.stand));
    let left = missing.map(|(candidate, one)| {
        let own = one.rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
        let way = own.flat_map(|path| of_path(one.rung, path)).filter(|stretch| !cleared.contains(stretch));
        let mut places: Vec<Place> = Vec::new();
        for Stretch { at, .. } in way {
            if !places.iter().any(|known| known.same_device(at)) {
                places.push(at.clone());
            }
        }
        Left { candidate, places }
    });
    left.collect()
}

fn is_missing(stand: Stand) -> bool {
    match stand {
        Stand::Late | Stand::Silent => true,
        Stand::NotAsked | Stand::Asked | Stand::Answered | Stand::Unsent => false,
    }
}

/// Nobody has asked it, and it waits for no other's answer.
fn is_unasked(candidate: &Candidate) -> bool {
    let waits = matches!(candidate.rung.purpose, Purpose::Large(_)) || is_called(candidate.rung);
    candidate.stand == Stand::NotAsked && !waits
}

/// It waits for what came of another: see [`follows`].
fn is_called(rung: &Rung) -> bool {
    matches!(
        rung.purpose,
        Purpose::ResolverTcp(OverTcp::WhereCutShort)
            | Purpose::ResolverAtHome
            | Purpose::UpstreamBy(..)
            | Purpose::MetadataAtHome(_)
    )
}

/// What came of a question makes this one of the same instance worth asking, and why: an answer for a name was cut
/// short, and who wants the whole of it asks over TCP; a SYN in the instance's name was answered by the metadata
/// service, and over a connection of the instance's that it never made nothing can be asked; a server out there has
/// answered the instance's host, and so is there for the instance itself.
pub fn follows(came: &ProbeResult, other: &Rung) -> Option<&'static str> {
    if let Purpose::UpstreamBy(..) = other.purpose {
        let is_there = came.to == other.to && came.received > 0 && looked_up::is_of_root(came);
        let mut hops = other.answer.paths.iter().flat_map(|path| &path.hops);
        let is_by_host = is_there && came.from != other.from && hops.any(|hop| hop.at.host == came.from);
        return is_by_host.then_some("its host is answered there");
    }
    let is_over_tcp = matches!(other.purpose, Purpose::ResolverTcp(_) | Purpose::ResolverAtHome);
    if came.is_cut_short() && is_over_tcp && came.to == other.to {
        return Some("the answer over UDP was cut short");
    }
    let is_taken = came.by_host && came.received > 0 && !came.is_refused();
    let is_metadata = matches!(other.purpose, Purpose::MetadataAtHome(_)) && came.to == metadata::ADDRESS;
    (is_taken && is_metadata).then_some("a SYN tells nothing of what the service answers")
}

/// Both ask a server whom dnsmasq asks, by the same protocol: one that answers is enough.
pub fn is_same_by_another(one: &Rung, other: &Rung) -> bool {
    let service = |rung: &Rung| {
        if let Purpose::UpstreamBy(_, service) = rung.purpose { Some(service) } else { None }
    };
    service(one).is_some() && service(one) == service(other)
}

/// It is no part of the ladder unless another's answer makes it one, or the walk alone tells that it dies.
pub(crate) fn is_called_for(rung: &Rung, rungs: &[Rung], probes: &[ProbeResult]) -> bool {
    let is_udp = |other: &Rung| other.instance == rung.instance && other.purpose == Purpose::Resolver;
    if let Purpose::UpstreamBy(..) = rung.purpose {
        // The first that answers the host is asked, and none beside it.
        return probes.iter().any(|came| is_probe_of(came, rung));
    }
    let is_udp_open = || rungs.iter().any(|other| is_udp(other) && other.answer.answered);
    !is_called(rung)
        || (is_taken_over_tcp(rung) && is_udp_open())
        || probes.iter().any(|came| follows(came, rung).is_some())
}

/// Rules take what goes to the resolver over TCP, which no packet needs to show.
fn is_taken_over_tcp(rung: &Rung) -> bool {
    let is_own = |path: &Path| path.exchange == Exchange::Tcp;
    let by_rule = |path: &Path| matches!(path.stop(), Some((_, Stop::Rule(_) | Stop::Policy(_))));
    let mut paths = rung.answer.paths.iter();
    matches!(rung.purpose, Purpose::ResolverTcp(_)) && paths.any(|path| is_own(path) && by_rule(path))
}

/// The answer to this question makes that one worth asking: the same of the same end, by larger packets.
pub fn opens(answered: &Rung, other: &Rung) -> bool {
    let is_small = answered.purpose == Purpose::Outside;
    let is_large = matches!(other.purpose, Purpose::Large(_));
    is_small && is_large && (&answered.from, answered.to) == (&other.from, other.to)
}

/// Large packets where small ones are answered: where those die, these tell nothing.
fn large(candidates: &[Candidate]) -> Vec<Choice> {
    let opener = |one: &Candidate| {
        candidates.iter().position(|small| small.stand == Stand::Answered && opens(small.rung, one.rung))
    };
    let unasked = candidates.iter().enumerate().filter(|(_, one)| one.stand == Stand::NotAsked);
    let choice = |(candidate, one): (usize, &Candidate)| {
        let after = Some(opener(one)?);
        let why = format!("small packets are answered; {} octets may be too many", one.rung.octets());
        Some(Choice { candidate, after, why })
    };
    unasked.filter_map(choice).collect()
}

/// The questions of their own that show most, until all is shown that any of them would.
fn broad<'p>(
    candidates: &[Candidate],
    ways: &[BTreeSet<Stretch<'p>>],
    cleared: &BTreeSet<Stretch<'p>>,
    are_last: bool,
) -> Vec<Choice> {
    let under_way =
        union(ways, candidates, |candidate| candidate.is_own && candidate.stand != Stand::NotAsked);
    let mut shown: BTreeSet<Stretch> = cleared.union(&under_way).copied().collect();
    let mut chosen: Vec<Choice> = Vec::new();
    loop {
        let is_open = |at: &usize| chosen.iter().all(|choice| choice.candidate != *at);
        let open = candidates.iter().zip(ways).enumerate();
        let open = open.filter(|(_, (one, _))| {
            one.is_own && is_unasked(one) && one.rung.purpose.comes_last() == are_last
        });
        let gains = open.filter(|(at, _)| is_open(at)).map(|(at, (_, way))| {
            // A question that dies before its first hop has no way to show, and is asked all the same.
            (way.difference(&shown).count().max(usize::from(way.is_empty())), at)
        });
        // Of equals the first, as the ladder has them.
        let Some((gain, at)) = gains.max_by_key(|(gain, at)| (*gain, usize::MAX - at)) else { break };
        if gain == 0 {
            break;
        }
        shown.extend(ways.get(at).into_iter().flatten().copied());
        let why = format!("nothing else shows {gain} places of its way");
        chosen.push(Choice { candidate: at, after: None, why });
    }
    chosen
}

/// The question whose way holds nearest to half of what is possible, and how much of it. None while one that parts it
/// is under way.
fn halving<'p>(
    candidates: &[Candidate],
    ways: &[BTreeSet<Stretch<'p>>],
    possible: &BTreeSet<Stretch<'p>>,
) -> Option<(usize, usize)> {
    let parts = |way: &BTreeSet<Stretch<'p>>| {
        let inside = way.intersection(possible).count();
        (inside > 0 && inside < possible.len()).then_some(inside)
    };
    let all = || candidates.iter().zip(ways).enumerate();
    if all().any(|(_, (one, way))| one.stand == Stand::Asked && parts(way).is_some()) {
        return None;
    }
    let open = all().filter(|(_, (one, _))| is_unasked(one));
    let parting = open.filter_map(|(at, (_, way))| Some((at, parts(way)?)));
    parting.min_by_key(|(_, inside)| (2 * inside).abs_diff(possible.len()))
}

fn union<'p>(
    ways: &[BTreeSet<Stretch<'p>>],
    candidates: &[Candidate],
    is_meant: impl Fn(&Candidate) -> bool,
) -> BTreeSet<Stretch<'p>> {
    let meant = candidates.iter().zip(ways).filter(|(candidate, _)| is_meant(candidate));
    meant.flat_map(|(_, way)| way.iter().copied()).collect()
}

/// What an answer to this question would clear.
pub(crate) fn stretches(rung: &Rung) -> BTreeSet<Stretch<'_>> {
    let own = rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let is_shown = |stretch: &Stretch| !way_out::is_bypassed(rung, stretch.at);
    own.flat_map(|path| of_path(rung, path)).filter(is_shown).collect()
}

fn of_path<'r>(rung: &Rung, path: &'r Path) -> impl Iterator<Item = Stretch<'r>> {
    let next = path.hops.iter().skip(1).map(|hop| Some(&hop.at)).chain([None]);
    let beyond = match path.disposition {
        Disposition::Delivered { .. } => None,
        Disposition::Dropped(_) | Disposition::LeftSite | Disposition::Unknown { .. } => {
            Some((rung.to, path.hops.last().and_then(|hop| source(&hop.packet))))
        }
    };
    let is_ipv6 = rung.to.is_ipv6();
    let port = rung.purpose.is_at_other_port().then(|| rung.purpose.server_port());
    path.hops.iter().zip(next).map(move |(hop, next)| {
        let stretch = stretch((&hop.at, next), path, is_ipv6, beyond);
        let is_told_apart = stretch.of.is_some() || stretch.beyond.is_some();
        Stretch { server_port: port.filter(|_| is_told_apart), ..stretch }
    })
}

/// The sender of a packet, as a hop tells it.
fn source(packet: &str) -> Option<IpAddr> {
    let (sender, _) = packet.split_once(" > ")?;
    let with_port = || sender.parse().map(|sender: SocketAddr| sender.ip());
    sender.parse().or_else(|_| with_port()).ok()
}

/// A frame's way does not depend on what it carries, a packet's on nothing but its addresses' family; what rules and
/// services do with it does, and rules let answers pass where they would not let a question.
fn stretch<'p>(
    (at, next): (&'p Place, Option<&'p Place>),
    path: &Path,
    is_ipv6: bool,
    beyond: Option<(IpAddr, Option<IpAddr>)>,
) -> Stretch<'p> {
    let beyond = beyond.filter(|_| next.is_none());
    let of = match at.stage {
        Stage::Bridge | Stage::Wire | Stage::Neighbour | Stage::Route | Stage::Instance => None,
        Stage::Nat | Stage::Filter | Stage::Local | Stage::Service => Some((path.exchange, path.direction)),
    };
    let is_ipv6 = match at.stage {
        Stage::Bridge | Stage::Wire => false,
        Stage::Neighbour
        | Stage::Route
        | Stage::Instance
        | Stage::Nat
        | Stage::Filter
        | Stage::Local
        | Stage::Service => is_ipv6,
    };
    Stretch { at, next, is_ipv6, of, beyond, server_port: None }
}

/// The first place of a silent question's way that no answer to another clears, where any clears some of it.
pub(crate) fn uncleared<'r>(silent: &'r Rung, answered: &[&Rung]) -> Option<&'r Place> {
    let cleared: BTreeSet<Stretch> = answered.iter().flat_map(|rung| stretches(rung)).collect();
    let own = silent.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let mut way = own.flat_map(|path| of_path(silent, path));
    let is_some_cleared = stretches(silent).iter().any(|stretch| cleared.contains(stretch));
    let first = way.find(|stretch| !cleared.contains(stretch));
    first.map(|stretch| stretch.at).filter(|_| is_some_cleared)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixture::{broken, healthy, looked_up, of_root};
    use crate::ladder::{self, Purpose, Symptom};
    use crate::steps;
    use model::dns::Rcode;
    use sim::World;

    /// What is chosen, wave after wave, where these questions are answered and all others are silent.
    fn waves(answers: impl Fn(&Rung) -> bool) -> Vec<Vec<Purpose>> {
        let cloud = healthy();
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let own = ladder::climb(&world, 0, None, Symptom::Auto);
        let finer = steps::of(&world, &own);
        let rungs: Vec<(&Rung, bool)> =
            own.iter().map(|rung| (rung, true)).chain(finer.iter().map(|rung| (rung, false))).collect();
        let mut stands = vec![Stand::NotAsked; rungs.len()];
        let mut waves = Vec::new();
        loop {
            let candidates: Vec<Candidate> = rungs
                .iter()
                .zip(&stands)
                .map(|((rung, is_own), stand)| Candidate { rung, is_own: *is_own, stand: *stand })
                .collect();
            let chosen = next(&candidates);
            if chosen.is_empty() {
                return waves;
            }
            for Choice { candidate, .. } in &chosen {
                let answered = answers(rungs[*candidate].0);
                stands[*candidate] = if answered { Stand::Answered } else { Stand::Silent };
            }
            waves.push(chosen.iter().map(|choice| rungs[choice.candidate].0.purpose).collect());
        }
    }

    /// Of these questions of web1's, those that the walks foresee to be silent.
    fn foreseen(code: &str) -> Vec<Purpose> {
        let cloud = broken(code);
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let rungs = ladder::climb(&world, 0, None, Symptom::Auto);
        rungs.iter().filter(|rung| is_foreseen_silent(rung, &rungs)).map(|rung| rung.purpose).collect()
    }

    #[test]
    fn a_resolver_is_foreseen_silent_that_is_stopped_or_asks_in_vain() {
        assert!(foreseen("dnsmasq-hung").contains(&Purpose::Resolver));
        let without_a_way_out = foreseen("uplink-no-carrier");
        assert!(without_a_way_out.contains(&Purpose::Resolver), "{without_a_way_out:?}");
        assert!(!without_a_way_out.contains(&Purpose::Gateway), "{without_a_way_out:?}");
        assert!(!foreseen("metadata-service-down").contains(&Purpose::Resolver));
    }

    #[test]
    fn in_health_one_wave_shows_all_but_sizes_and_the_longest_way_comes_first() {
        let waves = waves(|_| true);
        let [wave, large] = &waves[..] else { panic!("{waves:?}") };
        // What small packets do not show is asked by large ones, once they are known to live.
        assert_eq!(large[..], [Purpose::Large(1500)]);
        assert_eq!(wave[0], Purpose::Outside);
        assert!(!wave.iter().any(|purpose| matches!(purpose, Purpose::Step)), "{wave:?}");
    }

    #[test]
    fn whom_dnsmasq_asks_is_asked_as_the_instance_where_it_answers_the_host() {
        let cloud = healthy();
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let rungs = ladder::climb(&world, 0, None, Symptom::Auto);
        let past = |rung: &&Rung| matches!(rung.purpose, Purpose::UpstreamBy(..));
        let [own] = &rungs.iter().filter(past).collect::<Vec<_>>()[..] else {
            panic!("one server, over UDP")
        };
        let asked = |from: &str, rcode| of_root(from, [1, 2, 3, 4].into(), rcode);
        let told = Some(Rcode::NxDomain);
        assert!(follows(&asked("compute1", told), own).is_some());
        assert!(follows(&asked("compute1", None), own).is_none(), "it is silent");
        assert!(follows(&asked("web1", told), own).is_none(), "it is the question itself");
        assert!(follows(&looked_up("compute1", [1, 2, 3, 4].into(), told), own).is_none(), "another name");
        assert!(!is_called_for(own, &rungs, &[asked("compute1", told)]), "it was not asked");
        assert!(is_called_for(own, &rungs, &[asked("web1", None)]));
    }

    #[test]
    fn where_the_way_out_is_silent_the_hosts_on_it_are_asked() {
        let waves = waves(|rung| !matches!(rung.purpose, Purpose::Outside | Purpose::Inbound(_)));
        assert!(waves.len() > 1, "{waves:?}");
        assert!(!waves.iter().flatten().any(|purpose| matches!(purpose, Purpose::Large(_))), "{waves:?}");
        assert!(waves[1..].iter().flatten().any(|purpose| matches!(purpose, Purpose::Step)), "{waves:?}");
    }

    #[test]
    fn what_is_left_of_a_silence_is_what_no_answer_clears() {
        let cloud = healthy();
        let world = World::new(&cloud.snapshot, &cloud.intent);
        let own = ladder::climb(&world, 0, None, Symptom::Ping);
        let left_where = |stand: fn(&Rung) -> Stand| {
            let candidates: Vec<Candidate> =
                own.iter().map(|rung| Candidate { rung, is_own: true, stand: stand(rung) }).collect();
            let told = left(&candidates).into_iter();
            told.map(|left| {
                (own[left.candidate].purpose, left.places.iter().map(ToString::to_string).collect())
            })
            .collect::<Vec<(Purpose, Vec<String>)>>()
        };
        assert_eq!(left_where(|_| Stand::Answered), []);
        let silent = left_where(|rung| match rung.purpose {
            Purpose::Outside => Stand::Silent,
            Purpose::Gateway => Stand::Answered,
            _ => Stand::NotAsked,
        });
        let [(Purpose::Outside, places)] = &silent[..] else { panic!("{silent:?}") };
        assert!(
            !places.iter().any(|place| place == "web1//eth0" || place == "compute1//vnet0"),
            "{places:?}"
        );
        assert!(places.iter().any(|place| place == "compute1//eth0"), "{places:?}");
    }

    #[test]
    fn it_ends_where_nothing_can_be_parted_any_more() {
        let waves = waves(|_| false);
        assert!(waves.len() < 12, "{waves:?}");
    }
}
