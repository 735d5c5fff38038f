//! Who has the addresses of the instances that are asked about, by ARP from their hosts: two are one too many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use collect::MachinePlan;
use collect::netlink::bridges;
use model::few;
use model::intent::{Instance, Vif};
use model::link::{FdbEntry, FdbKind, Link};
use model::probe::{Holders, Station};
use model::snapshot::Gap;
use model::{Mac, Netns};
use probe::Asker;
use probe::neighbour::{self, NeighbourError, NeighbourPlan};
use sys::netns::NetnsFd;

use crate::conclude::Asked;
use crate::failure::Failure;
use crate::gather::Facts;
use crate::probes;
use crate::site_file::Site;

/// How long a second machine may take longer than the first. Who answers for others, and may wait, is not asked.
const GATHER: Duration = Duration::from_millis(150);
/// How long the first may take: less than the pause before a second question, so that there is one.
const PATIENCE: Duration = Duration::from_millis(500);
/// Of an address that the host has itself nobody is to answer.
const PATIENCE_OWN: Duration = GATHER;
/// Questions of one diagnosis, and those under way at the same time.
const QUESTIONS_MAX: usize = 128;
const AT_ONCE_MAX: usize = 8;

/// One address, and where it is asked for.
pub(crate) struct Question<'a> {
    host: &'a MachinePlan,
    link: String,
    address: Ipv4Addr,
    /// The MAC that it is meant to have, where that is another machine's.
    right: Option<Mac>,
    /// The host has it there itself.
    is_own: bool,
}

/// The fixed and floating addresses of these instances, and their gateways': each once. What is better not asked is a
/// gap.
pub(crate) fn plan<'a>(site: &'a Site, facts: &mut Facts, asked: &Asked) -> Vec<Question<'a>> {
    let mut gaps = Vec::new();
    let all = facts.intent.instances.iter().enumerate();
    let wanted =
        all.filter(|(at, one)| asked.instance.is_none_or(|asked| asked == *at) && !one.is_meant_off());
    let mut seen = BTreeSet::new();
    let mut questions: Vec<Question> = Vec::new();
    for (instance, vif) in wanted.flat_map(|(_, one)| one.vifs.iter().map(move |vif| (one, vif))) {
        let (fixed, gap) = match fixed(site, facts, instance, vif) {
            Ok(fixed) => (fixed, None),
            Err(gap) => (Vec::new(), Some(gap)),
        };
        gaps.extend(gap);
        let floating = floating(site, facts, instance, vif);
        let of_it = fixed.into_iter().chain(gateway(site, facts, instance, vif)).chain(floating);
        questions.extend(of_it.filter(|one| seen.insert((one.host.name.clone(), one.address))));
    }
    if questions.len() > QUESTIONS_MAX {
        gaps.push(Gap {
            what: format!("whether only one machine has {} more addresses", questions.len() - QUESTIONS_MAX),
            why: format!("at most {QUESTIONS_MAX} are asked for at once"),
            would_need: "`hopline diagnose INSTANCE` for each".to_owned(),
        });
        questions.truncate(QUESTIONS_MAX);
    }
    facts.snapshot.gaps.extend(gaps);
    questions
}

fn fixed<'a>(
    site: &'a Site,
    facts: &Facts,
    instance: &Instance,
    vif: &Vif,
) -> Result<Vec<Question<'a>>, Gap> {
    let Some((host, ns)) = host(site, facts, &instance.host) else { return Ok(Vec::new()) };
    let bridge = vif.bridge.as_deref().and_then(|name| ns.link_named(name));
    let Some(bridge) = bridge.filter(|bridge| bridge.admin_up) else { return Ok(Vec::new()) };
    let is_elsewhere = |port: &&Link| {
        let knows =
            |entry: &FdbEntry| entry.link == port.index && Some(entry.mac) == vif.mac && !entry.on_self;
        Some(&port.name) != vif.device.as_ref() && ns.fdb.iter().any(knows)
    };
    if let Some(port) = ns.ports(bridge.index).find(is_elsewhere) {
        return Err(Gap {
            what: format!("whether only one machine has the address of {}", instance.name),
            why: format!(
                "{} knows its MAC behind {}, and its answer might set right what is being looked for",
                bridge.name, port.name
            ),
            would_need: format!("`bridge fdb show br {}` on {}", bridge.name, host.name),
        });
    }
    let question = |address: &Ipv4Addr| Question {
        host,
        link: bridge.name.clone(),
        address: *address,
        right: vif.mac,
        is_own: ns.addresses_of(bridge.index).any(|own| own.net.addr() == IpAddr::V4(*address)),
    };
    Ok(vif.fixed.iter().map(question).collect())
}

/// Where all hosts share one address, each is to answer for it on its own bridge alone, and another that does is no
/// foreigner.
fn gateway<'a>(site: &'a Site, facts: &Facts, instance: &Instance, vif: &Vif) -> Option<Question<'a>> {
    let network = facts.intent.networks.get(vif.network?).filter(|network| !network.share_address)?;
    carried(site, facts, network.server_for(&instance.host), network.gateway_on(&instance.host)?)
}

fn floating<'a>(site: &'a Site, facts: &Facts, instance: &Instance, vif: &Vif) -> Vec<Question<'a>> {
    let servers = facts.intent.servers_of(instance);
    let of_it = |address| servers.iter().find_map(|server| carried(site, facts, server, address));
    vif.floating.iter().filter_map(|floating| of_it(floating.address)).collect()
}

/// An address of a host's own, asked for on the link that carries it.
fn carried<'a>(site: &'a Site, facts: &Facts, name: &str, address: Ipv4Addr) -> Option<Question<'a>> {
    let (host, ns) = host(site, facts, name)?;
    let carried = ns.addresses.iter().find(|carried| carried.net.addr() == IpAddr::V4(address))?;
    let link = ns.link(carried.link).filter(|link| link.admin_up)?;
    Some(Question { host, link: link.name.clone(), address, right: None, is_own: true })
}

/// A host that was read.
fn host<'a, 'f>(site: &'a Site, facts: &'f Facts, name: &str) -> Option<(&'a MachinePlan, &'f Netns)> {
    let machine = site.machines.iter().find(|machine| !machine.instance && machine.name == name)?;
    Some((machine, facts.snapshot.main_netns(name)?))
}

/// How many packets they cost, as a rule: each is asked for once.
pub(crate) fn packets(questions: &[Question]) -> u32 {
    u32::try_from(questions.len()).unwrap_or(u32::MAX)
}

/// Asks them all, a few at a time. What could not be asked is a gap.
pub(crate) fn ask(questions: &[Question]) -> (Vec<Holders>, Vec<Gap>) {
    let (waiting, came) = (Mutex::new(questions.iter()), Mutex::new((Vec::new(), Vec::new())));
    thread::scope(|scope| {
        for _ in 0..AT_ONCE_MAX.min(questions.len()) {
            scope.spawn(|| {
                loop {
                    // In a statement of its own, so that the lock is not held while the question is asked.
                    let next = locked(&waiting).next();
                    let Some(one) = next.map(one) else { break };
                    let mut came = locked(&came);
                    match one {
                        Ok(holders) => came.0.push(holders),
                        Err(unasked) => came.1.push(unasked),
                    }
                }
            });
        }
    });
    let (holders, unasked) = came.into_inner().unwrap_or_else(std::sync::PoisonError::into_inner);
    (holders, gaps(unasked))
}

/// One gap for one reason.
fn gaps(unasked: Vec<Unasked>) -> Vec<Gap> {
    let mut by_reason: BTreeMap<(String, &'static str), Vec<Ipv4Addr>> = BTreeMap::new();
    for Unasked { address, why, would_need } in unasked {
        by_reason.entry((why, would_need)).or_default().push(address);
    }
    let gap = |((why, would_need), mut addresses): ((String, &str), Vec<Ipv4Addr>)| {
        addresses.sort_unstable();
        let what = format!("whether only one machine has {}", few::named(&addresses));
        Gap { what, why, would_need: would_need.to_owned() }
    };
    by_reason.into_iter().map(gap).collect()
}

fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// What was asked, and who answered.
pub(crate) fn told(holders: &[Holders]) -> impl Iterator<Item = String> {
    holders.iter().map(|Holders { machine, link, address, is_own, stations }| {
        let own = is_own.then(|| format!("{machine} itself"));
        let others = stations.iter().map(|station| station.mac.to_string());
        let all: Vec<String> = own.into_iter().chain(others).collect();
        let who = if all.is_empty() { "nobody".to_owned() } else { all.join(", ") };
        format!("asked who has {address} on {link} of {machine}: {who}")
    })
}

/// A question that could not be asked.
struct Unasked {
    address: Ipv4Addr,
    why: String,
    would_need: &'static str,
}

fn one(question: &Question) -> Result<Holders, Unasked> {
    let Question { host, link, address, right, is_own } = question;
    let unasked = |why: String, would_need: &'static str| Unasked { address: *address, why, would_need };
    let root = "root, or CAP_NET_RAW on the host; --passive does without";
    let netns = probes::netns(host).map_err(|error| unasked(error.to_string(), root))?;
    let asker = Asker { name: &host.name, netns: &netns, source: None };
    let plan = NeighbourPlan {
        link,
        asked: (*address).into(),
        as_nobody: true,
        right: *right,
        gather: GATHER,
        timeout: if *is_own { PATIENCE_OWN } else { PATIENCE },
    };
    let came = neighbour::ask(&asker, &plan).map_err(|error| {
        let would_need = match &error {
            NeighbourError::NoLink { .. } | NeighbourError::NotEthernet { .. } => "`ip -d link` there",
            NeighbourError::Enter { .. }
            | NeighbourError::Read { .. }
            | NeighbourError::NotOnes { .. }
            | NeighbourError::NotOwn { .. }
            | NeighbourError::Socket { .. } => root,
        };
        unasked(Failure::of(&error).to_string(), would_need)
    })?;
    let macs: Vec<Mac> = came.macs.iter().map(|answer| answer.mac).collect();
    let stations = stations(&netns, link, &macs, *is_own);
    let (machine, address) = (host.name.clone(), IpAddr::V4(*address));
    Ok(Holders { machine, link: link.clone(), address, is_own: *is_own, stations })
}

/// Who answered, and behind which port of the bridge that was asked on, where that matters: it has learned it by the
/// answer.
pub(crate) fn stations(netns: &NetnsFd, bridge: &str, macs: &[Mac], is_own: bool) -> Vec<Station> {
    let is_several = macs.len() + usize::from(is_own) > 1;
    let read = is_several.then(|| sys::netns::within(netns, bridges::stations).ok()?.ok()).flatten();
    let port = |mac: Mac| {
        let stations = read.as_ref()?;
        let is_it = |entry: &&FdbEntry| entry.mac == mac && !entry.on_self && entry.kind != FdbKind::Local;
        let is_port = |link: &&Link| link.master_name.as_deref() == Some(bridge);
        let mut ports =
            stations.fdb.iter().filter(is_it).filter_map(|entry| {
                stations.links.iter().filter(is_port).find(|link| link.index == entry.link)
            });
        ports.next().map(|port| port.name.clone())
    };
    macs.iter().map(|mac| Station { mac: *mac, port: port(*mac) }).collect()
}
