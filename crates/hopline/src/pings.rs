//! Real echoes for a diagnosis: from inside instances that may be entered, as those that may not, and from
//! outside the cloud to their floating addresses.

mod as_instance;

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::intent::Instance;
use model::sighting::EchoResult;
use model::snapshot::Gap;
use probe::EchoPlan;
use sys::netns::{NetnsError, NetnsFd};

use crate::gather::Facts;
use crate::progress;
use crate::site_file::Site;
use crate::who;

pub(crate) use as_instance::Nic;

/// Two, so that the first may be lost to a neighbour that is still being resolved.
pub(crate) const COUNT: u32 = 2;
const INTERVAL: Duration = Duration::from_millis(200);
/// Three seconds of ARP (`mcast_solicit` times `retrans_time_ms`, arp(7)) and a little more: then
/// our own stack has said that the neighbour is absent.
const PATIENCE: Duration = Duration::from_millis(3500);
/// Payload in bytes: ping's default.
const SIZE: usize = 56;
/// Instances of the same network that one instance pings, at most.
const NEIGHBOURS_MAX: usize = 3;
/// Pings under way at the same time.
const AT_ONCE_MAX: usize = 32;

/// One ping to be made: by whom, to which address, under which identifier.
#[derive(Debug, Clone)]
pub(crate) struct Ping<'a> {
    pub(crate) from: From<'a>,
    pub(crate) to: Ipv4Addr,
    pub(crate) id: u16,
}

/// Who sends, and how it is brought to it.
#[derive(Debug, Clone)]
pub(crate) enum From<'a> {
    /// By a socket in the namespace of a host, or of an instance that may be entered.
    Inside(&'a MachinePlan),
    /// By its host's side of its NIC.
    Outside(Nic<'a>),
}

impl Ping<'_> {
    /// Name of the host or instance that sends.
    pub(crate) fn sender(&self) -> &str {
        match &self.from {
            From::Inside(machine) => &machine.name,
            From::Outside(nic) => &nic.sender.name,
        }
    }
}

/// What is sent at the same time from one place.
enum Job<'p, 'a> {
    /// By a socket of its own.
    Alone(&'p Ping<'a>),
    /// Through one NIC.
    Together(&'p Nic<'a>, Vec<&'p Ping<'a>>),
}

/// Sends them, and returns what came back. What could not be sent becomes a gap.
pub(crate) fn send(pings: &[Ping], facts: &mut Facts, timeout: Duration) -> Vec<EchoResult> {
    let _progress = progress::start("waiting for answers to pings");
    let deadline = Instant::now() + timeout;
    let patience = PATIENCE.min(timeout);
    let mut echoes = Vec::new();
    let mut gaps = Vec::new();
    for batch in jobs(pings).chunks(AT_ONCE_MAX) {
        // Silence means something only after the full wait, so a batch without time for it is left out.
        if Instant::now() + patience > deadline && !echoes.is_empty() {
            gaps.extend(batch.iter().map(|job| gap(job, "the time was up", "a longer --timeout")));
            continue;
        }
        for (job, outcome) in batch.iter().zip(all_at_once(batch, patience)) {
            match outcome {
                Ok(Came { echoes: came, gaps: more }) => {
                    echoes.extend(came);
                    gaps.extend(more);
                }
                Err(Unsent { why, would_need }) => gaps.push(gap(job, &why, &would_need)),
            }
        }
    }
    facts.snapshot.gaps.extend(gaps);
    echoes
}

/// Pings through one NIC are one job.
fn jobs<'p, 'a>(pings: &'p [Ping<'a>]) -> Vec<Job<'p, 'a>> {
    let mut jobs: Vec<Job> = Vec::new();
    for ping in pings {
        let From::Outside(nic) = &ping.from else {
            jobs.push(Job::Alone(ping));
            continue;
        };
        let same = jobs.iter_mut().find_map(|job| match job {
            Job::Together(known, together) if known.is_same(nic) => Some(together),
            Job::Together(..) | Job::Alone(_) => None,
        });
        match same {
            Some(together) => together.push(ping),
            None => jobs.push(Job::Together(nic, vec![ping])),
        }
    }
    jobs
}

/// What came of a job.
#[derive(Default)]
struct Came {
    echoes: Vec<EchoResult>,
    gaps: Vec<Gap>,
}

/// Why nothing was sent, and what would let it.
struct Unsent {
    why: String,
    would_need: String,
}

/// What is not known since a job was not done.
fn gap(job: &Job<'_, '_>, why: &str, would_need: &str) -> Gap {
    let what = match job {
        Job::Alone(ping) => format!("whether {} answers {} for real", ping.to, ping.sender()),
        Job::Together(nic, pings) => {
            let asked: Vec<String> = pings.iter().map(|ping| ping.to.to_string()).collect();
            let verb = if asked.len() == 1 { "answers" } else { "answer" };
            format!("whether {} {verb} {} for real", asked.join(", "), nic.sender.name)
        }
    };
    Gap { what, why: why.to_owned(), would_need: would_need.to_owned() }
}

/// What these instances' diagnosis asks to ping: each pair once.
pub(crate) fn plan<'a>(
    site: &'a Site,
    facts: &mut Facts,
    instances: &[usize],
    to: Option<Ipv4Addr>,
) -> Vec<Ping<'a>> {
    let reached = |machine: &&MachinePlan| !facts.unreachable.iter().any(|(name, _)| *name == machine.name);
    let outside = || site.machines.iter().filter(|m| m.role == "external" && !m.instance).filter(reached);
    let outside_address =
        outside().find_map(|machine| who::address(facts.snapshot.main_netns(&machine.name)?));
    let mut seen = BTreeSet::new();
    let (mut pings, mut gaps): (Vec<Ping>, Vec<Gap>) = (Vec::new(), Vec::new());
    let asked = instances.iter().filter_map(|at| facts.intent.instances.get(*at));
    for instance in asked.filter(|instance| !instance.is_meant_off()) {
        let inside = site.machines.iter().filter(|m| m.instance && m.name == instance.name).filter(reached);
        let targets = gateways(facts, instance)
            .chain(to.or(outside_address))
            .chain(neighbours(facts, instance).take(NEIGHBOURS_MAX));
        let inside: Vec<&MachinePlan> = inside.collect();
        for from in &inside {
            pings.extend(targets.clone().map(|to| Ping { from: From::Inside(from), to, id: 0 }));
        }
        if inside.is_empty() {
            let (outside, gap) = as_instance::plan(site, facts, instance, targets);
            pings.extend(outside);
            gaps.extend(gap);
            // Nobody outside can tell whether it answers, where no floating address leads to it.
            let server =
                facts.intent.servers_of(instance).first().copied().filter(|_| !has_floating(instance));
            let host =
                site.machines.iter().filter(reached).find(|m| !m.instance && Some(m.name.as_str()) == server);
            pings.extend(host.zip(instance.fixed().next()).map(|(host, to)| Ping {
                from: From::Inside(host),
                to,
                id: 0,
            }));
        }
        for machine in outside() {
            let from = || From::Inside(machine);
            pings.extend(instance.floating().map(|floating| Ping {
                from: from(),
                to: floating.address,
                id: 0,
            }));
        }
    }
    pings.retain(|ping| seen.insert((ping.sender().to_owned(), ping.to)));
    // Numbers that pings of other processes are not likely to have at the same time.
    let first = std::process::id().wrapping_mul(31);
    for (ping, number) in pings.iter_mut().zip(first..) {
        ping.id = u16::try_from(number & 0xffff).unwrap_or_default();
    }
    facts.snapshot.gaps.extend(gaps);
    pings
}

fn has_floating(instance: &Instance) -> bool {
    instance.floating().next().is_some()
}

fn gateways<'a>(facts: &'a Facts, instance: &'a Instance) -> impl Iterator<Item = Ipv4Addr> + Clone {
    let networks = instance.vifs.iter().filter_map(|vif| facts.intent.networks.get(vif.network?));
    networks.filter_map(|network| network.gateway_on(&instance.host))
}

fn neighbours<'a>(facts: &'a Facts, instance: &'a Instance) -> impl Iterator<Item = Ipv4Addr> + Clone {
    let shares = |other: &Instance| {
        let mine = || instance.vifs.iter().filter_map(|vif| vif.network);
        other.name != instance.name
            && !other.is_meant_off()
            && other.vifs.iter().any(|vif| vif.network.is_some_and(|n| mine().any(|m| m == n)))
    };
    facts.intent.instances.iter().filter(move |other| shares(other)).filter_map(|other| other.fixed().next())
}

fn all_at_once(jobs: &[Job<'_, '_>], patience: Duration) -> Vec<Result<Came, Unsent>> {
    thread::scope(|scope| {
        let run = |job| match job {
            &Job::Alone(ping) => alone(ping, patience),
            Job::Together(nic, pings) => as_instance::send(nic, pings, patience),
        };
        let running: Vec<_> = jobs.iter().map(|job| scope.spawn(move || run(job))).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn alone(ping: &Ping<'_>, patience: Duration) -> Result<Came, Unsent> {
    let From::Inside(machine) = ping.from else { return Ok(Came::default()) };
    let unsent = |why| Unsent { why, would_need: "root; --passive does without".to_owned() };
    let plan = EchoPlan {
        from: machine.name.clone(),
        netns: netns(machine).map_err(|error| unsent(error.to_string()))?,
        source: None,
        to: ping.to,
        count: COUNT,
        interval: INTERVAL,
        timeout: patience,
        ttl: None,
        id: Some(ping.id),
        size: SIZE,
    };
    let echo = probe::echo(&plan).map_err(|error| unsent(crate::failure::Failure::of(&error).to_string()))?;
    Ok(Came { echoes: vec![echo], gaps: Vec::new() })
}

fn netns(machine: &MachinePlan) -> Result<NetnsFd, NetnsError> {
    match &machine.at {
        At::Local => NetnsFd::current(),
        At::Netns(name) => NetnsFd::named(name),
    }
}
