//! The diagnosis: climb the ladder, let every check look, mend in the model, climb again.

use std::net::Ipv4Addr;

use model::finding::{Coverage, Diagnosis, Finding, Outcome};
use model::journey::QuestionSeen;
use model::kernel_drop::KernelDrop;
use model::path::{Exchange, Place, Stage};
use model::probe::{DeviceWatch, Holders, ProbeResult, QueuesSeen, RulesSeen, SideEcho, SizesTried, Traced};
use model::snapshot::Gap;
use model::{Intent, Snapshot};
use sim::World;

use crate::catalogue::CATALOGUE;
use crate::catalogue::dns::ssh_slow_reverse_dns;
use crate::catalogue::external::pmtu_blackhole;
use crate::catalogue::links::random_loss;
use crate::contradiction::{self, Asking};
use crate::dhcp_told;
use crate::dns;
use crate::dropped;
use crate::found::{Found, Reach};
use crate::ipv6;
use crate::ladder::{self, Purpose, Rung, Symptom};
use crate::leases_unknown::{self, Doubt};
use crate::led_out;
use crate::limited;
use crate::mend;
use crate::metadata;
use crate::neighbours::{self, Neighbour};
use crate::next;
use crate::own_will;
use crate::protocols;
use crate::queues;
use crate::ranking::{self, Rank, Ranked};
use crate::recorded_wrong;
use crate::rounds::Log;
use crate::scope::{Scope, Subject, never_plugged, switched_off};
use crate::seen_way;
use crate::sides;
use crate::size;
use crate::steps;
use crate::traced;
use crate::unasked_servers;
use crate::unheld;
use crate::view::View;
use crate::watched;
use crate::way_out::{self, Telling};

/// What is known.
#[derive(Clone, Copy)]
pub struct Case<'c> {
    /// What the machines would do.
    pub snapshot: &'c Snapshot,
    /// What is meant.
    pub intent: &'c Intent,
    /// What came of what was really asked; empty when nothing was.
    pub probes: &'c [ProbeResult],
    /// What that met of the rules on its way.
    pub rules: &'c [RulesSeen],
    /// The queues on its way afterwards.
    pub queues: &'c [QueuesSeen],
    /// What was seen of it at devices that were watched meanwhile.
    pub watches: &'c [DeviceWatch],
    /// The way of each of its packets over them.
    pub seen: &'c [QuestionSeen],
    /// Where and why the kernel dropped it.
    pub drops: &'c [KernelDrop],
    /// Who answered for the addresses in question.
    pub holders: &'c [Holders],
    /// Which machines beyond the site silent questions pass.
    pub traces: &'c [Traced],
    /// Which sizes live where a large packet was lost.
    pub sizes: &'c [SizesTried],
    /// Each packet of both.
    pub sides: &'c [SideEcho],
}

/// What is asked.
#[derive(Debug, Clone)]
pub struct Request {
    /// About whom.
    pub subject: Subject,
    /// The destination complained of.
    pub to: Option<Ipv4Addr>,
    /// What is complained of.
    pub symptom: Symptom,
}

/// Each round mends at least one fault; more than this many at once are not told apart.
const ROUNDS_MAX: usize = 12;

/// Finds what is wrong, in path order.
pub fn diagnose(case: &Case, request: &Request) -> Diagnosis {
    diagnosed(case, request, |_| true)
}

/// The same where nothing else is looked for: the ladder is climbed anew only after what one of these codes tells.
pub fn diagnose_only(case: &Case, request: &Request, codes: &[&str]) -> Diagnosis {
    diagnosed(case, request, |code| codes.contains(&code))
}

fn diagnosed(case: &Case, request: &Request, is_asked: impl Fn(&str) -> bool) -> Diagnosis {
    let scope = Scope::of(case, &request.subject);
    let mut snapshot = case.snapshot.clone();
    queues::forget_idle_filters(&mut snapshot, case.queues);
    // What a capture has of others' questions is their way and no more: what the answers say it does not tell.
    let probes: Vec<ProbeResult> =
        case.probes.iter().filter(|probe| probe.recorded.is_none()).cloned().collect();
    let watches: Vec<DeviceWatch> = case.watches.iter().filter(|watch| !watch.is_recorded).cloned().collect();
    let mut log = Log::default();
    let mut first: Option<Vec<Rung>> = None;
    let mut doubts = Vec::new();
    for round in 0..ROUNDS_MAX {
        let world = World::new(&snapshot, case.intent);
        let climb = |i: &usize| ladder::climb(&world, *i, request.to, request.symptom);
        let mut rungs: Vec<Rung> = scope.instances.iter().flat_map(climb).collect();
        let is_called: Vec<bool> =
            rungs.iter().map(|rung| next::is_called_for(rung, &rungs, case.probes)).collect();
        let mut is_called = is_called.into_iter();
        rungs.retain(|_| is_called.next().unwrap_or(true));
        let mut view = View {
            world: &world,
            read: case.snapshot,
            rungs: &rungs,
            hosts: &scope.hosts,
            instances: &scope.instances,
            is_as_read: round == 0,
            probes: &probes,
            rules: case.rules,
            queues: case.queues,
            watches: &watches,
            holders: case.holders,
            drops: case.drops,
            claimed: None,
        };
        if round == 0 {
            doubts = leases_unknown::doubts(&view);
        }
        let mut taken = log.take(look(&view, &is_asked), &view, round);
        if taken.is_none() {
            // Nothing more is known by name: what still dies must be said too.
            let claims = log.claims.clone();
            view.claimed = Some(&claims);
            taken = log.take(look(&view, &is_asked), &view, round);
        }
        first.get_or_insert(rungs);
        let Some(mends) = taken else { break };
        for mend in &mends {
            mend::apply(&mut snapshot, mend);
        }
    }
    let rungs = first.unwrap_or_default();
    let steps = asked_steps(case, request, &rungs);
    let mut findings = log.into_findings(case, &rungs);
    if let Some(only) = &scope.only {
        findings.retain(|ranked| only.contains(&ranked.finding.hop.host));
    }
    conclude(case, request, &scope, Climbed { rungs, steps, doubts }, findings)
}

/// The ladder as it was climbed in the facts, and the steps that were asked to part its ways.
struct Climbed {
    rungs: Vec<Rung>,
    steps: Vec<Rung>,
    /// What the facts leave open of an instance's lease.
    doubts: Vec<Doubt>,
}

/// The steps that part the ways of one instance's questions: of many at once none is asked.
fn steps_of(world: &World, request: &Request, rungs: &[Rung]) -> Vec<Rung> {
    match request.subject {
        Subject::Instance(_) => steps::of(world, rungs),
        Subject::AllInstances | Subject::Hosts(_) => Vec::new(),
    }
}

/// Those that were really asked.
fn asked_steps(case: &Case, request: &Request, rungs: &[Rung]) -> Vec<Rung> {
    if case.probes.is_empty() {
        return Vec::new();
    }
    let mut steps = steps_of(&World::new(case.snapshot, case.intent), request, rungs);
    steps.retain(|step| {
        let is_rung = rungs.iter().any(|rung| (&rung.from, rung.to) == (&step.from, step.to));
        !is_rung && probe_of(case, step).is_some()
    });
    steps
}

/// The ladder's questions about the facts as they were read, with what the walk predicts of each, and the steps that
/// part their ways. What a tc filter does is not known: the way is told as though it let everything pass.
pub fn climb(case: &Case, request: &Request) -> (Vec<Rung>, Vec<Rung>) {
    let scope = Scope::of(case, &request.subject);
    let snapshot = queues::without_filters(case.snapshot);
    let world = World::new(&snapshot, case.intent);
    let climb = |at: &usize| ladder::climb(&world, *at, request.to, request.symptom);
    let rungs: Vec<Rung> = scope.instances.iter().flat_map(climb).collect();
    let steps = steps_of(&world, request, &rungs);
    (rungs, steps)
}

pub(crate) fn look(view: &View, is_asked: impl Fn(&str) -> bool) -> Vec<Found> {
    CATALOGUE.iter().filter(|check| is_asked(check.code)).flat_map(|check| (check.run)(view)).collect()
}

/// Sets what was predicted beside what was seen, and says what came out.
fn conclude(
    case: &Case,
    request: &Request,
    scope: &Scope,
    climbed: Climbed,
    mut findings: Vec<Ranked>,
) -> Diagnosis {
    let mut gaps: Vec<Gap> = case.snapshot.gaps.clone();
    // What leaves the outcome undetermined, which it is told by.
    let mut open: Vec<Gap> = switched_off(case, &request.subject).into_iter().collect();
    gaps.extend(way_out::unasked(case, &scope.instances, request.symptom));
    gaps.extend(size::beyond(case, &scope.instances, request.symptom));
    let Climbed { rungs, steps, doubts } = climbed;
    let world = World::new(case.snapshot, case.intent);
    gaps.extend(ipv6::unasked(&world, case, &scope.instances, request.symptom));
    let watched = scope.instances.iter().filter(|_| !case.watches.is_empty());
    let neighbours: Vec<Neighbour> = watched.flat_map(|at| neighbours::of(&world, *at)).collect();
    let answered: Vec<Rung> =
        rungs.iter().chain(&steps).filter(|rung| is_answered(case, rung)).cloned().collect();
    let asking = |rung, probe| asking_of(case, (rung, probe), (&rungs, &answered), &neighbours);
    let mut excused = Vec::new();
    let mut limited = limited::found(case, &rungs);
    for (nth, rung) in rungs.iter().enumerate().filter(|(nth, _)| !limited.explains(*nth)) {
        let Some(probe) = probe_of(case, rung) else { continue };
        let asking = asking(rung, probe);
        findings.extend(random_loss::found(&asking, Rank::Rung(nth), &findings));
    }
    random_loss::take_back_echoes(&mut findings, &rungs);
    findings.append(&mut limited.findings);
    open.append(&mut limited.gaps);
    for (nth, rung) in rungs.iter().enumerate().filter(|(nth, _)| !limited.explains(*nth)) {
        let probe = probe_of(case, rung);
        if ipv6::is_guessed(&world, rung) {
            let silent = probe.filter(|probe| probe.received == 0);
            excused.extend(silent.map(ProbeResult::id));
            gaps.extend(silent.map(|probe| ipv6::unheard(case, rung, probe)));
            continue;
        }
        let is_told = random_loss::is_told(&findings, rung) || protocols::is_shown(rung, &answered);
        if let Some((why, would_need)) = rung.undecided().filter(|_| !is_told) {
            match probe {
                Some(probe)
                    if probe.received > 0 && probe.is_telling() && !way_out::is_doubt_bypassed(rung) => {}
                Some(_) | None => {
                    let what = format!("whether {} reaches {}", rung.from, rung.to);
                    open.push(Gap { what, why: why.to_owned(), would_need: would_need.to_owned() });
                }
            }
        }
        let Some(probe) = probe else { continue };
        let asking = asking(rung, probe);
        let instance = asking.instance;
        match own_will::tells(&asking, request.symptom).unwrap_or_else(|| way_out::tells(&asking)) {
            Telling::Is => {}
            Telling::Nothing => {
                excused.push(probe.id());
                continue;
            }
            Telling::Unknown(gap) => {
                excused.push(probe.id());
                gaps.push(gap);
                continue;
            }
            Telling::Refused(gap) => {
                open.push(gap);
                continue;
            }
        }
        let found = if let Purpose::Large(octets) = rung.purpose
            && !pmtu_blackhole::is_lossy(&asking)
        {
            pmtu_blackhole::found(&asking, octets, &findings)
        } else {
            contradiction::found(&asking, &mut findings, &mut gaps)
        };
        let told = |mut lost: Finding| {
            lost.evidence.extend(dns::asked_by(&world, rung));
            if matches!(rung.purpose, Purpose::Reverse(_)) {
                ssh_slow_reverse_dns::told_as(lost, instance, case.snapshot.main_netns(instance))
            } else {
                lost
            }
        };
        let rank = Rank::Rung(nth);
        findings.extend(found.map(|lost| {
            let seen_at = watched::parted(case, rung).and_then(|parted| Some(parted.before?.at.clone()));
            Ranked { rank, reach: Reach::Device, is_foreseen: false, seen_at, finding: told(lost) }
        }));
    }
    if let Some(finding) = unheld::subject(case, request, &rungs, &findings) {
        let rank = Rank::Rung(0);
        findings.push(Ranked { rank, reach: Reach::Instances, is_foreseen: false, seen_at: None, finding });
    }
    gaps.extend(dns::doubts(case, &rungs));
    unasked_servers::tell(case, request, &rungs, &mut open, &mut gaps);
    let are_names_untold = dns::is_untold(case, &rungs);
    gaps.extend(metadata::doubts(case, &rungs, request.symptom));
    match request.symptom {
        Symptom::Auto | Symptom::Dns => gaps.extend(protocols::untried(case, &rungs)),
        Symptom::Ping | Symptom::Dhcp | Symptom::Ssh | Symptom::Metadata => {}
    }
    open.extend(led_out::doubts(case, &rungs));
    dropped::attach(case, &rungs, &mut findings);
    traced::attach(case, &rungs, &mut findings);
    gaps.extend(recorded_wrong::tell(&case.intent.inconsistent, &mut findings));
    let mut findings = ranking::ordered(findings);
    let sides = sides::rungs(&world, case, &rungs);
    let (mut paths, mut seen) = (Vec::new(), Vec::new());
    for rung in rungs.into_iter().chain(steps) {
        let probe = probe_of(case, &rung);
        seen.extend(seen_way::of(case, &rung, paths.len()));
        let instance = rung.instance;
        let mut observed = watched::observed(case, rung, probe);
        neighbours::mark(case, &neighbours, instance, &mut observed);
        paths.extend(observed);
    }
    for (rung, side) in sides {
        let (probes, watches) = (std::slice::from_ref(&side.came), &side.watches[..]);
        let own = Case { probes, watches, seen: side.seen.as_slice(), ..*case };
        seen.extend(seen_way::of(&own, &rung, paths.len()));
        paths.extend(watched::observed(&own, rung, Some(&side.came)));
    }
    neighbours::tell(case, &neighbours, &mut paths, &mut findings);
    for finding in findings.iter_mut().filter(|finding| finding.exchange == Exchange::Dhcp) {
        let hit = case.intent.instances.iter().find(|instance| finding.instances.contains(&instance.name));
        let told = hit.map(|hit| dhcp_told::evidence(case, hit)).unwrap_or_default();
        finding.evidence.extend(told);
    }
    let untold = never_plugged(case, &scope.instances, &findings).into_iter();
    let untold = untold.chain(leases_unknown::untold(doubts, &findings));
    // Of many asked about, one of which too little is known takes nothing away from what the others told.
    match request.subject {
        Subject::Instance(_) => open.extend(untold),
        Subject::AllInstances | Subject::Hosts(_) => gaps.extend(untold),
    }
    let undecided = !open.is_empty() || are_names_untold;
    for gaps in [&mut open, &mut gaps] {
        gaps.sort();
        gaps.dedup();
    }
    gaps.retain(|gap| !open.contains(gap));
    gaps.splice(0..0, open);
    let outcome = match (findings.is_empty(), undecided) {
        (false, _) => Outcome::Fault,
        (true, true) => Outcome::Undetermined,
        (true, false) => Outcome::Healthy,
    };
    let command = match request.subject {
        Subject::Instance(_) | Subject::AllInstances => "diagnose",
        Subject::Hosts(_) => "check",
    };
    Diagnosis {
        command: command.to_owned(),
        subject: scope.subject.clone(),
        outcome,
        findings,
        paths,
        seen,
        excused,
        coverage: Coverage { looked_at: looked_at(case), gaps },
    }
}

/// A rung's question with what came of it, among the others.
fn asking_of<'a>(
    case: &'a Case<'a>,
    (rung, probe): (&'a Rung, &'a ProbeResult),
    (rungs, answered): (&'a [Rung], &'a [Rung]),
    neighbours: &'a [Neighbour],
) -> Asking<'a> {
    let instance = case.intent.instances.get(rung.instance).map_or("", |i| i.name.as_str());
    Asking { case, rung, instance, probe, rungs, answered, neighbours }
}

/// What was really sent for a rung's question; of several the first that was answered.
pub(crate) fn probe_of<'c>(case: &Case<'c>, rung: &Rung) -> Option<&'c ProbeResult> {
    let of_it = || case.probes.iter().filter(|probe| is_probe_of(probe, rung));
    of_it().find(|probe| probe.received > 0).or_else(|| of_it().next())
}

/// It was asked, and an answer came.
fn is_answered(case: &Case, rung: &Rung) -> bool {
    probe_of(case, rung).is_some_and(|probe| probe.received > 0)
}

/// The probe asks what the rung asks.
pub(crate) fn is_probe_of(probe: &ProbeResult, rung: &Rung) -> bool {
    let asked = probe.asked.exchange();
    let same = rung.answer.paths.iter().any(|p| rung.purpose.exchange_of(p.exchange) == asked);
    let tried = probe.sent > 0 || probe.send_error.is_some();
    let same_port = rung.purpose.has_port(probe.asked.port());
    let same_size = probe.asked.octets().is_none_or(|octets| octets == rung.octets());
    same && same_size && same_port && tried && rung.is_put_to(probe)
}

/// The asker, where not one hop of its question is known.
pub(crate) fn start_of(rung: &Rung) -> Place {
    Place { host: rung.from.clone(), netns: String::new(), device: String::new(), stage: Stage::Instance }
}

pub(crate) fn looked_at(case: &Case) -> Vec<String> {
    let of = |ns: &model::Netns| {
        let rules: usize = ns.ruleset.tables.iter().flat_map(|t| &t.chains).map(|c| c.rules.len()).sum();
        format!(
            "{}: {} links, {} routes, {} netfilter rules",
            ns.machine,
            ns.links.len(),
            ns.routes.len(),
            rules
        )
    };
    let intents = case.intent.sources.iter().cloned();
    case.snapshot.netns.iter().map(of).chain(intents).collect()
}
