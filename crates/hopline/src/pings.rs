//! Real echoes for a diagnosis: from inside instances that may be entered, and from outside the
//! cloud to their floating addresses.

use std::collections::BTreeSet;
use std::net::Ipv4Addr;
use std::thread;
use std::time::{Duration, Instant};

use collect::{At, MachinePlan};
use model::intent::Instance;
use model::sighting::EchoResult;
use model::snapshot::Gap;
use probe::EchoPlan;
use sys::netns::NetnsFd;

use crate::gather::Facts;
use crate::progress;
use crate::site_file::Site;
use crate::who;

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

/// One ping to be made: from which machine, to which address, under which identifier.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ping<'a> {
    pub(crate) from: &'a MachinePlan,
    pub(crate) to: Ipv4Addr,
    pub(crate) id: u16,
}

/// Sends them, and returns what came back. What could not be sent becomes a gap.
pub(crate) fn send(pings: &[Ping], facts: &mut Facts, timeout: Duration) -> Vec<EchoResult> {
    let _progress = progress::start("waiting for answers to pings");
    let deadline = Instant::now() + timeout;
    let patience = PATIENCE.min(timeout);
    let mut echoes = Vec::new();
    let mut gaps = Vec::new();
    for batch in pings.chunks(AT_ONCE_MAX) {
        // Silence means something only after the full wait, so a batch without time for it is left out.
        if Instant::now() + patience > deadline && !echoes.is_empty() {
            gaps.extend(batch.iter().map(|ping| gap(ping, "the time was up", "a longer --timeout")));
            continue;
        }
        for (ping, outcome) in batch.iter().zip(all_at_once(batch, patience)) {
            match outcome {
                Ok(result) => echoes.push(result),
                Err(why) => gaps.push(gap(ping, &why, "root; --passive does without")),
            }
        }
    }
    facts.snapshot.gaps.extend(gaps);
    echoes
}

fn gap(ping: &Ping<'_>, why: &str, would_need: &str) -> Gap {
    Gap {
        what: format!("whether {} answers {} for real", ping.to, ping.from.name),
        why: why.to_owned(),
        would_need: would_need.to_owned(),
    }
}

/// What these instances' diagnosis asks to ping: each pair once.
pub(crate) fn plan<'a>(
    site: &'a Site,
    facts: &Facts,
    instances: &[usize],
    to: Option<Ipv4Addr>,
) -> Vec<Ping<'a>> {
    let reached = |machine: &&MachinePlan| !facts.unreachable.iter().any(|(name, _)| *name == machine.name);
    let outside = || site.machines.iter().filter(|m| m.role == "external" && !m.instance).filter(reached);
    let outside_address =
        outside().find_map(|machine| who::address(facts.snapshot.main_netns(&machine.name)?));
    let mut seen = BTreeSet::new();
    let mut pings = Vec::new();
    let asked = instances.iter().filter_map(|at| facts.intent.instances.get(*at));
    for instance in asked.filter(|instance| !instance.is_meant_off()) {
        let inside = site.machines.iter().filter(|m| m.instance && m.name == instance.name).filter(reached);
        let targets = gateways(facts, instance)
            .chain(to.or(outside_address))
            .chain(neighbours(facts, instance).take(NEIGHBOURS_MAX));
        for from in inside {
            pings.extend(targets.clone().map(|to| Ping { from, to, id: 0 }));
        }
        for from in outside() {
            pings.extend(instance.floating().map(|floating| Ping { from, to: floating.address, id: 0 }));
        }
    }
    pings.retain(|ping| seen.insert((&ping.from.name, ping.to)));
    // Numbers that pings of other processes are not likely to have at the same time.
    let first = std::process::id().wrapping_mul(31);
    for (ping, number) in pings.iter_mut().zip(first..) {
        ping.id = u16::try_from(number & 0xffff).unwrap_or_default();
    }
    pings
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

fn all_at_once(pings: &[Ping<'_>], patience: Duration) -> Vec<Result<EchoResult, String>> {
    thread::scope(|scope| {
        let running: Vec<_> = pings.iter().map(|ping| scope.spawn(|| one(*ping, patience))).collect();
        let ended = running.into_iter().map(thread::ScopedJoinHandle::join);
        ended.map(|result| result.unwrap_or_else(|panic| std::panic::resume_unwind(panic))).collect()
    })
}

fn one(ping: Ping<'_>, patience: Duration) -> Result<EchoResult, String> {
    let netns = match &ping.from.at {
        At::Local => NetnsFd::current(),
        At::Netns(name) => NetnsFd::named(name),
    };
    let plan = EchoPlan {
        from: ping.from.name.clone(),
        netns: netns.map_err(|error| error.to_string())?,
        source: None,
        to: ping.to,
        count: COUNT,
        interval: INTERVAL,
        timeout: patience,
        ttl: None,
        id: Some(ping.id),
        size: SIZE,
    };
    probe::echo(&plan).map_err(|error| crate::failure::Failure::of(&error).to_string())
}
