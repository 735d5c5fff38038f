//! Who has the addresses of the instances that are asked about, by ARP and neighbour solicitation from their hosts: two
//! are one too many.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Mutex;
use std::thread;
use std::time::Duration;

use collect::MachinePlan;
use collect::netlink::bridges;
use model::few;
use model::intent::{Instance, Vif};
use model::link::{FdbEntry, FdbKind, Link};
use model::probe::{Holders, Station};
use model::route::Standing;
use model::snapshot::Gap;
use model::{Mac, Netns};
use probe::Asker;
use probe::neighbour::{self, NeighbourError, NeighbourPlan};
use sim::World;
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
    address: IpAddr,
    /// As whom: nobody by ARP, and the link's own by neighbour solicitation, since answers to nobody go to everybody.
    source: Option<Ipv6Addr>,
    /// The MAC that it is meant to have, where that is another machine's.
    right: Option<Mac>,
    /// The host has it there itself.
    is_own: bool,
}

/// The fixed and floating addresses of these instances, their gateways', those that a host's own way out goes by, and
/// then their IPv6 addresses: each once. What is better not asked is a gap.
pub(crate) fn plan<'a>(site: &'a Site, facts: &mut Facts, asked: &Asked) -> Vec<Question<'a>> {
    let (mut gaps, mut unasked) = (Vec::new(), Vec::new());
    let world = World::new(&facts.snapshot, &facts.intent);
    let all = facts.intent.instances.iter().enumerate();
    let wanted =
        all.filter(|(at, one)| asked.instance.is_none_or(|asked| asked == *at) && !one.is_meant_off());
    let mut seen = BTreeSet::new();
    let mut questions: Vec<Question> = Vec::new();
    let mut over_ipv6: Vec<Question> = Vec::new();
    for (at, instance, vif) in wanted.flat_map(|(at, one)| one.vifs.iter().map(move |vif| (at, one, vif))) {
        let mut of_it = Vec::new();
        match segment(site, facts, instance, vif) {
            Ok(segment) => {
                of_it.extend(segment.iter().flat_map(|segment| segment.fixed(vif)));
                let own = checks::addresses_v6(&world, at, vif);
                if let (Some(segment), false) = (segment, own.is_empty()) {
                    match segment.own_v6(vif, &own) {
                        Ok(questions) => over_ipv6.extend(questions),
                        Err(none) => unasked.extend(none),
                    }
                }
            }
            Err(gap) => gaps.push(gap),
        }
        of_it.extend(gateway(site, facts, instance, vif));
        of_it.extend(floating(site, facts, instance, vif));
        of_it.extend(next_hops(site, facts, instance));
        questions.extend(of_it.into_iter().filter(|one| seen.insert((one.host.name.clone(), one.address))));
    }
    questions.extend(over_ipv6.into_iter().filter(|one| seen.insert((one.host.name.clone(), one.address))));
    gaps.extend(self::gaps(unasked));
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

/// The bridge of a host that an instance is plugged into.
struct Segment<'a, 'f> {
    host: &'a MachinePlan,
    ns: &'f Netns,
    bridge: &'f Link,
}

/// Where an instance's own addresses are asked for; `None` where there is no such place.
fn segment<'a, 'f>(
    site: &'a Site,
    facts: &'f Facts,
    instance: &Instance,
    vif: &Vif,
) -> Result<Option<Segment<'a, 'f>>, Gap> {
    let Some((host, ns)) = host(site, facts, &instance.host) else { return Ok(None) };
    let bridge = vif.bridge.as_deref().and_then(|name| ns.link_named(name));
    let Some(bridge) = bridge.filter(|bridge| bridge.admin_up) else { return Ok(None) };
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
    Ok(Some(Segment { host, ns, bridge }))
}

impl<'a> Segment<'a, '_> {
    fn fixed(&self, vif: &Vif) -> Vec<Question<'a>> {
        vif.fixed.iter().map(|address| self.question(vif, (*address).into(), None)).collect()
    }

    /// Asked from the host's link-local address there. Without one they are better not asked: whoever answers nobody
    /// tells everybody, and who knew the right MAC follows the last who spoke.
    fn own_v6(&self, vif: &Vif, own: &[Ipv6Addr]) -> Result<Vec<Question<'a>>, Vec<Unasked>> {
        let (host, bridge) = (&self.host.name, &self.bridge.name);
        let source = self.ns.addresses_of(self.bridge.index).find_map(|address| match address.net.addr() {
            IpAddr::V6(ip) if ip.is_unicast_link_local() && is_spoken_with(address.standing) => Some(ip),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        });
        let Some(source) = source else {
            let unasked = |address: &Ipv6Addr| Unasked {
                address: (*address).into(),
                why: format!(
                    "{host} has no link-local address on {bridge} to ask from, and answers to nobody mislead"
                ),
                would_need: format!(
                    "a link-local address on {bridge} of {host}: `ip -6 address show dev {bridge}`"
                ),
            };
            return Err(own.iter().map(unasked).collect());
        };
        Ok(own.iter().map(|address| self.question(vif, (*address).into(), Some(source))).collect())
    }

    fn question(&self, vif: &Vif, address: IpAddr, source: Option<Ipv6Addr>) -> Question<'a> {
        let mut own = self.ns.addresses_of(self.bridge.index);
        let is_own = own.any(|own| own.net.addr() == address && own.standing.is_usable());
        let (host, link) = (self.host, self.bridge.name.clone());
        Question { host, link, address, source, right: vif.mac, is_own }
    }
}

/// One that is still being asked for itself may be another's.
fn is_spoken_with(standing: Standing) -> bool {
    match standing {
        Standing::Preferred | Standing::Deprecated => true,
        Standing::Tentative | Standing::Duplicate | Standing::Optimistic => false,
    }
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

/// The routers of its gateways' hosts, where those take them to be somewhere because somebody said so: what was learned
/// is what they answered.
fn next_hops<'a>(site: &'a Site, facts: &Facts, instance: &Instance) -> Vec<Question<'a>> {
    let by_hand = |server: &str| {
        let (host, ns) = host(site, facts, server)?;
        let next = checks::next_hop(ns).filter(|next| next.entry.state.is_by_hand() && next.link.admin_up)?;
        let (link, address) = (next.link.name.clone(), next.ip.into());
        Some(Question { host, link, address, source: None, right: Some(next.mac), is_own: false })
    };
    facts.intent.servers_of(instance).into_iter().filter_map(by_hand).collect()
}

/// An address of a host's own, asked for on the link that carries it.
fn carried<'a>(site: &'a Site, facts: &Facts, name: &str, address: Ipv4Addr) -> Option<Question<'a>> {
    let (host, ns) = host(site, facts, name)?;
    let address = IpAddr::V4(address);
    let carried = ns.addresses.iter().find(|carried| carried.net.addr() == address)?;
    let link = ns.link(carried.link).filter(|link| link.admin_up)?;
    Some(Question { host, link: link.name.clone(), address, source: None, right: None, is_own: true })
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
    let mut by_reason: BTreeMap<(String, String), Vec<IpAddr>> = BTreeMap::new();
    for Unasked { address, why, would_need } in unasked {
        by_reason.entry((why, would_need)).or_default().push(address);
    }
    let gap = |((why, would_need), mut addresses): ((String, String), Vec<IpAddr>)| {
        addresses.sort_unstable();
        let what = format!("whether only one machine has {}", few::named(&addresses));
        Gap { what, why, would_need }
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
    address: IpAddr,
    why: String,
    would_need: String,
}

fn one(question: &Question) -> Result<Holders, Unasked> {
    let Question { host, link, address, source, right, is_own } = question;
    let unasked =
        |why: String, would_need: &str| Unasked { address: *address, why, would_need: would_need.to_owned() };
    let root = "root, or CAP_NET_RAW on the host; --passive does without";
    let netns = probes::netns(host).map_err(|error| unasked(error.to_string(), root))?;
    let asker = Asker { name: &host.name, netns: &netns, source: source.map(IpAddr::V6) };
    let plan = NeighbourPlan {
        link,
        asked: *address,
        as_nobody: source.is_none(),
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
    // Who answers for another does not override.
    let macs: Vec<Mac> =
        came.macs.iter().filter(|answer| answer.overrides).map(|answer| answer.mac).collect();
    let stations = stations(&netns, link, &macs, *right);
    let (machine, link) = (host.name.clone(), link.clone());
    Ok(Holders { machine, link, address: *address, is_own: *is_own, stations })
}

/// Who answered, and where another than the right one did, behind which port of the bridge that was asked on: it has
/// learned it by the answer.
pub(crate) fn stations(netns: &NetnsFd, bridge: &str, macs: &[Mac], right: Option<Mac>) -> Vec<Station> {
    let is_another = macs.iter().any(|mac| Some(*mac) != right);
    let read = is_another.then(|| sys::netns::within(netns, bridges::stations).ok()?.ok()).flatten();
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
