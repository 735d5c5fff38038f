//! Questions who has an address, on which an instance's way depends: whether the instance finds its gateway, and the
//! gateway's host the instance. Each has a way of its own, there and back, on which it is watched.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

use model::finding::{Confidence, Evidence, EvidenceKind, Finding};
use model::path::{Direction, Exchange, Hop, Observed, Path};
use model::probe::{DeviceWatch, Holders, NeighbourSeen, ProbeResult};
use sim::{Endpoint, Protocol, Question, World};

use crate::contradiction::Asking;
use crate::diagnose::{Case, Request};
use crate::scope::Scope;
use crate::watched::{self, is_bridge};
use crate::{ipv6, ladder, own_v6, queues, said};

/// One of them, with the way that the walk predicts of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Neighbour {
    /// The instance that it is about: index into `Intent::instances`.
    pub instance: usize,
    /// Who asks: host or instance.
    pub asker: String,
    /// The addresses that it may ask as.
    own: Vec<IpAddr>,
    /// The address that is asked for.
    pub asked: IpAddr,
    /// The question's way, and the answer's where the question arrives.
    pub paths: Vec<Path>,
}

/// Those on which the ladder's questions depend, with what the walk predicts of each. What a tc filter does is not
/// known: the way is told as though it let everything pass.
pub fn asked(case: &Case, request: &Request) -> Vec<Neighbour> {
    let scope = Scope::of(case, &request.subject);
    let snapshot = queues::without_filters(case.snapshot);
    let world = World::new(&snapshot, case.intent);
    scope.instances.iter().flat_map(|at| of(&world, *at)).collect()
}

/// Those of an instance. What an instance that cannot be entered asks over IPv6 is not walked.
pub(crate) fn of(world: &World, instance: usize) -> Vec<Neighbour> {
    let Some(one) = world.intent.instances.get(instance) else { return Vec::new() };
    let own = Endpoint::instance(world, instance);
    let host = ladder::gateways_host(world, instance);
    let over_ipv4 = [
        ladder::gateway(world, instance).map(|to| (own, IpAddr::V4(to))),
        host.zip(one.fixed().next().map(IpAddr::V4)),
    ];
    let v6 = ipv6::of_instance(world, instance).map(|(own, _)| IpAddr::V6(own));
    let gateway = ipv6::gateway(world, instance).map(|to| (own, IpAddr::V6(to)));
    let over_ipv6 = [gateway.filter(|_| v6.is_some()), host.zip(v6)];
    let asked = over_ipv4.into_iter().chain(over_ipv6).flatten();
    asked.filter_map(|(from, to)| walked(world, instance, from, to)).collect()
}

/// `None` where it is not asked at all: for want of a link, or where the asker has the address itself.
fn walked(world: &World, instance: usize, from: Endpoint, asked: IpAddr) -> Option<Neighbour> {
    let own = addresses(world, from);
    if own.contains(&asked) {
        return None;
    }
    let answer = sim::ask(world, &Question { from, to: asked, protocol: Protocol::Arp, reply: true });
    let paths = answer.paths;
    let is_meant = |path: &Path| {
        path.exchange == Exchange::Arp
            && path.hops.first().is_none_or(|hop| asked_in(&hop.packet) == Some(asked))
    };
    let is_walked = !paths.is_empty() && paths.iter().all(is_meant);
    let asker = from.name(world).to_owned();
    is_walked.then_some(Neighbour { instance, asker, own, asked, paths })
}

fn addresses(world: &World, from: Endpoint) -> Vec<IpAddr> {
    match from {
        Endpoint::Machine(at) => world.ns(at).addresses.iter().map(|own| own.net.addr()).collect(),
        Endpoint::Instance(at) | Endpoint::InstanceOver6(at, _) => {
            let vifs = world.intent.instances.get(at).map(|one| one.vifs.as_slice()).unwrap_or_default();
            let fixed = vifs.iter().flat_map(|vif| &vif.fixed).copied().map(IpAddr::V4);
            let v6 = vifs.iter().flat_map(|vif| own_v6::addresses(world, at, vif)).map(IpAddr::V6);
            fixed.chain(v6).collect()
        }
        Endpoint::Beyond(own) => vec![own.into()],
    }
}

/// The address that a printed question is for, or a printed answer tells of: `ARP who has 10.0.0.1 tell 10.0.0.2`.
fn asked_in(packet: &str) -> Option<IpAddr> {
    let word = match packet.split_once("who has ") {
        Some((_, rest)) => rest.split(' ').next(),
        None => packet.split_once(" is at ")?.0.rsplit(' ').next(),
    };
    word?.parse().ok()
}

/// Where a question for a neighbour, or its answer, went missing.
pub(crate) struct Lost<'n> {
    pub(crate) neighbour: &'n Neighbour,
    pub(crate) direction: Direction,
    /// The last watched device that saw it.
    pub(crate) before: &'n Hop,
    /// The watched device behind it that did not; the same one where it was asked there and nobody answered.
    pub(crate) at: &'n Hop,
}

impl Neighbour {
    /// It was asked while its way was watched, by whomever.
    pub(crate) fn is_asked(&self, case: &Case) -> bool {
        case.watches.iter().any(|watch| self.seen(case, watch).0 > 0)
    }

    /// Its paths as they were observed.
    pub(crate) fn observed(&self, case: &Case) -> Vec<Path> {
        let mut paths = self.paths.clone();
        paths.iter_mut().for_each(|path| self.observe(case, path));
        paths
    }

    /// Marks a path of its own. Where nobody asked, nothing is known of the way.
    fn observe(&self, case: &Case, path: &mut Path) {
        if !self.is_asked(case) {
            return;
        }
        let marks: Vec<Observed> = self.marks(case, path).into_iter().map(|(_, mark)| mark).collect();
        for (hop, mark) in path.hops.iter_mut().zip(marks) {
            hop.observed = mark;
        }
    }

    fn marks<'p>(&self, case: &Case, path: &'p Path) -> Vec<(&'p Hop, Observed)> {
        let mut marks = Vec::new();
        let is_end = |hop: &Hop| {
            let ends = [path.hops.first(), path.hops.last()];
            ends.into_iter().flatten().any(|end| end.at.same_device(&hop.at))
        };
        for group in path.hops.chunk_by(|a, b| a.at.same_device(&b.at)) {
            // A bridge shows at its own device what its own stack asks or answers, and not what goes by.
            let shows = |hop: &&Hop| is_end(hop) || !is_bridge(case.snapshot, hop);
            let mark = match group.first().filter(shows).and_then(|hop| watch_at(case, hop)) {
                Some(watch) => {
                    let (questions, answers) = self.seen(case, watch);
                    let count = if path.direction == Direction::Reply { answers } else { questions };
                    if count > 0 { Observed::Seen } else { Observed::NotSeen }
                }
                None => Observed::NotWatched,
            };
            marks.extend(group.iter().map(|hop| (hop, mark)));
        }
        marks
    }

    /// Questions and answers of it at a device.
    fn seen(&self, case: &Case, watch: &DeviceWatch) -> (u32, u32) {
        if watch.is_recorded {
            return (0, 0);
        }
        let of_it = watch.neighbours.iter().filter(|seen| self.is_it(case, seen));
        of_it.fold((0, 0), |(questions, answers), seen| (questions + seen.questions, answers + seen.answers))
    }

    /// The hosts ask as nobody, too, whom else nobody may be is not known.
    fn is_it(&self, case: &Case, seen: &NeighbourSeen) -> bool {
        let by_host = || {
            let asked =
                |held: &&Holders| (&held.machine, held.address) == (&self.asker, self.asked) && !held.is_own;
            seen.asker.is_unspecified() && case.holders.iter().any(|held| asked(&held))
        };
        seen.asked == self.asked && (self.own.contains(&seen.asker) || by_host())
    }

    /// Where it was asked, and its answer did not come back: between which two devices it or its answer was lost.
    pub(crate) fn lost(&self, case: &Case) -> Option<Lost<'_>> {
        let of = |path| {
            let marks = self.marks(case, path).into_iter();
            marks.map(|(hop, mark)| (path.direction, hop, mark))
        };
        let watched: Vec<_> = self.paths.iter().flat_map(of).collect();
        let watched: Vec<_> = watched.iter().filter(|(_, _, mark)| *mark != Observed::NotWatched).collect();
        let last = watched.iter().rposition(|(_, _, mark)| *mark == Observed::Seen)?;
        let (_, before, _) = watched.get(last)?;
        let (direction, at, _) = watched.get(last + 1)?;
        Some(Lost { neighbour: self, direction: *direction, before, at })
    }
}

fn watch_at<'c>(case: &Case<'c>, hop: &Hop) -> Option<&'c DeviceWatch> {
    let at = &hop.at;
    let is_here = |watch: &&DeviceWatch| {
        !watch.is_recorded
            && (&watch.machine, &watch.netns, &watch.device) == (&at.host, &at.netns, &at.device)
    };
    case.watches.iter().find(is_here)
}

/// Marks the ways of the questions for neighbours among these paths of an instance's.
pub(crate) fn mark(case: &Case, neighbours: &[Neighbour], instance: usize, paths: &mut [Path]) {
    for path in paths.iter_mut().filter(|path| path.exchange == Exchange::Arp) {
        let asked = path.hops.first().and_then(|hop| asked_in(&hop.packet));
        let is_it = |one: &&Neighbour| one.instance == instance && Some(one.asked) == asked;
        if let Some(neighbour) = neighbours.iter().find(is_it) {
            neighbour.observe(case, path);
        }
    }
}

impl Lost<'_> {
    /// What was seen of it at the two devices.
    pub(crate) fn evidence(&self, case: &Case) -> Vec<Evidence> {
        let Neighbour { asker, asked, .. } = self.neighbour;
        let protocol = if asked.is_ipv4() { "arp" } else { "icmp6" };
        let counted = |hop: &Hop| {
            let (questions, answers) = self.neighbour.seen(case, watch_at(case, hop)?);
            Some(Evidence {
                kind: EvidenceKind::Capture,
                source: format!("hopline capture --at {} '{protocol}'", hop.at),
                text: format!(
                    "{asker} asks who has {asked}: {questions} questions were seen here, and {answers} answers"
                ),
            })
        };
        let behind = Some(self.at).filter(|at| !at.at.same_device(&self.before.at));
        [Some(self.before), behind].into_iter().flatten().filter_map(counted).collect()
    }

    /// In a sentence: what went missing, and where.
    pub(crate) fn told(&self) -> String {
        let Neighbour { asker, asked, .. } = self.neighbour;
        let question = format!("{asker}'s question who has {asked}");
        let (before, at) = (&self.before.at, &self.at.at);
        match self.direction {
            Direction::Reply if before.same_device(at) => {
                format!("{question} comes to {at}, and nobody answers there")
            }
            Direction::Reply => {
                format!("the answer to {question} is seen at {before} and does not come to {at}")
            }
            Direction::Request | Direction::Both => {
                format!("{question} is seen at {before} and does not come to {at}")
            }
        }
    }
}

/// Adds the ways of those that were asked to the paths, each once, and what was seen of the lost ones to the findings.
pub(crate) fn tell(case: &Case, neighbours: &[Neighbour], paths: &mut Vec<Path>, findings: &mut [Finding]) {
    let asked = neighbours.iter().filter(|neighbour| neighbour.is_asked(case));
    for path in asked.flat_map(|neighbour| neighbour.observed(case)) {
        if !paths.contains(&path) {
            paths.push(path);
        }
    }
    findings.iter_mut().for_each(|finding| attach(case, neighbours, finding));
}

/// Gives findings at a device where a neighbour's question was lost what was seen of that.
fn attach(case: &Case, neighbours: &[Neighbour], finding: &mut Finding) {
    let names = |one: &&Neighbour| {
        let instance = case.intent.instances.get(one.instance);
        instance.is_some_and(|instance| finding.instances.contains(&instance.name))
    };
    let is_here =
        |lost: &Lost| finding.hop.same_device(&lost.at.at) || finding.hop.same_device(&lost.before.at);
    let lost = neighbours.iter().filter(names).filter_map(|one| one.lost(case)).filter(is_here);
    let told: Vec<Evidence> = lost.flat_map(|lost| lost.evidence(case)).collect();
    for new in told {
        if !finding.evidence.contains(&new) {
            finding.evidence.push(new);
        }
    }
}

/// The question for its next hop that a question's asker put, and whose answer was lost.
pub(crate) fn first_lost<'a>(asking: &Asking<'a>) -> Option<Lost<'a>> {
    let Asking { case, rung, neighbours, .. } = *asking;
    let own = neighbours.iter().filter(|one| one.instance == rung.instance && one.asker == rung.from);
    let mut same = own.filter(|one| one.asked.is_ipv4() == rung.to.is_ipv4());
    same.find_map(|one| one.lost(case))
}

/// The question of an instance for a neighbour that a question of its own goes to; `None` where the walk does not know
/// of one.
pub(crate) fn of_next_hop(asking: &Asking) -> Option<Neighbour> {
    let Asking { case, rung, probe, .. } = *asking;
    let snapshot = queues::without_filters(case.snapshot);
    let world = World::new(&snapshot, case.intent);
    walked(&world, rung.instance, Endpoint::instance(&world, rung.instance), probe.to)
}

/// A question that was never sent, since nobody tells the asker whom to send to, though everything that was read would
/// let that be asked.
pub(crate) fn finding(case: &Case, lost: &Lost, (instance, probe): (&str, &ProbeResult)) -> Finding {
    Finding {
        code: "lost-at-hop".to_owned(),
        hop: lost.at.at.clone(),
        direction: lost.direction,
        exchange: Exchange::Arp,
        summary: lost.told(),
        cause: format!(
            "everything that was read would let it pass; {}",
            watched::silent_killers(case, Exchange::Arp, Some(&lost.before.at), &lost.at.at)
        ),
        confidence: Confidence::Likely,
        evidence: lost.evidence(case).into_iter().chain([said::evidence(probe)]).collect(),
        owner: "unknown".to_owned(),
        remedy: Vec::new(),
        instances: vec![instance.to_owned()],
    }
}
