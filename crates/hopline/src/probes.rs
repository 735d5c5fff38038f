//! The ladder's questions asked for real: from inside instances that may be entered, as those that may not, from their
//! hosts, and from outside to their floating addresses, or as somebody there.

mod as_instance;
mod as_outside;
mod asks;
mod beside;
mod cost;
#[cfg(test)]
pub(crate) mod fixture;
mod inside;
mod sizes;
mod unasked;
mod way;

use std::cell::LazyCell;
use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use checks::{Purpose, Rung, next};
use collect::MachinePlan;
use model::dns::PORT as DNS_PORT;
use model::path::Exchange;
use model::probe::{Holders, ProbeResult, SideEcho, SizesTried, Traced};
use model::snapshot::Gap;
use probe::as_instance::{Asks, own_port, transaction};

use crate::asking::{MORE_TIMES, Question};
use crate::gather::Facts;
use crate::site_file::Site;

pub(crate) use as_instance::Nic;
#[cfg(test)]
pub(crate) use beside::About;
pub(crate) use beside::Beside;
pub(crate) use inside::netns;
pub(crate) use unasked::Unasked;

/// Two, so that the first may be lost to a neighbour that is still being resolved.
pub(crate) const COUNT: u32 = 2;
const INTERVAL: Duration = Duration::from_millis(200);
/// How often a question is asked, and how soon again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pace {
    pub(crate) count: u32,
    pub(crate) interval: Duration,
}

/// As everybody asks.
const USUAL: Pace = Pace { count: COUNT, interval: INTERVAL };
/// Where no more is to be seen than that nobody answers.
const ONCE: Pace = Pace { count: 1, interval: INTERVAL };
/// Where a queue on the way may have little room: as many full-sized packets at once as TCP sends at first (RFC 6928).
const BURST: Pace = Pace { count: 10, interval: Duration::ZERO };
/// When a DHCP server has answered that pings an address before it offers it: dnsmasq does so for three seconds
/// (`PING_WAIT`, its src/config.h), others for less.
const LATE_SERVER: Duration = Duration::from_millis(3500);
/// Where it is to be told whether some are lost: enough to count, and twice of it no more than an instance bears.
pub(crate) const MORE: Pace = Pace { count: 6, interval: Duration::from_millis(12) };

/// Why a question is left out that costs too much, and what would let it.
pub(crate) const TOO_MANY: &str = "an instance's questions cost no more than 47 packets";
pub(crate) const FEWER: &str = "fewer questions at once: --symptom";

/// Instances of the same network that one instance pings, at most.
const OTHERS_MAX: usize = 4;

/// One question to be asked: by whom, of whom, what, and the number that its packets are known by.
#[derive(Debug, Clone)]
pub(crate) struct Probe<'a> {
    pub(crate) from: From<'a>,
    pub(crate) to: IpAddr,
    pub(crate) asks: Asks,
    pub(crate) pace: Pace,
    pub(crate) id: u16,
    /// The walk has it die: its silence is what is expected.
    pub(crate) is_foreseen_silent: bool,
    /// Of a name: the server's port.
    pub(crate) server_port: u16,
    /// Of a name: how many servers the one that is asked asks itself, each as often as it is asked.
    pub(crate) passed_on: u32,
    /// It goes to an address of the machine that asks, and never leaves that.
    pub(crate) is_at_home: bool,
    /// Of DHCP: behind which devices somebody beside the network's own server listens, who may look first whether his
    /// address is free.
    pub(crate) listeners: BTreeSet<String>,
    /// The number of another whose answer makes its silence mean nothing.
    pub(crate) needless_once: Option<u16>,
}

/// Who asks, and how it is brought to it.
#[derive(Debug, Clone)]
pub(crate) enum From<'a> {
    /// By a socket in the namespace of a host, or of an instance that may be entered.
    Inside(&'a MachinePlan),
    /// By a host's side of its NIC, or of the way in from outside.
    Outside(Nic<'a>),
}

/// What `checks` asks as an instance can be sent as one.
const _: () = assert!(checks::AS_INSTANCE_OCTETS_MAX as usize + 14 <= sys::ingress::FRAME_BYTES_MAX);

/// How long answers are waited for.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Patience {
    /// As a rule.
    pub(crate) usual: Duration,
    /// Where the walk has the question or its answer die, so that its silence is what is expected.
    pub(crate) foreseen: Duration,
    /// Until the time is up, whatever it is.
    pub(crate) most: Duration,
}

impl Patience {
    /// The same, and no longer than this.
    pub(crate) fn within(self, most: Duration) -> Patience {
        Patience { usual: self.usual.min(most), foreseen: self.foreseen.min(most), most }
    }

    /// How long all that a job asks is waited for.
    pub(crate) fn of(&self, job: &Job<'_, '_>) -> Duration {
        job.probes().iter().map(|probe| probe.patience(self)).max().unwrap_or_default()
    }
}

impl Probe<'_> {
    /// How long its answer is waited for, at most.
    pub(crate) fn patience(&self, patience: &Patience) -> Duration {
        let usual = self.first_patience(patience);
        if self.listeners.is_empty() { usual } else { usual.max(LATE_SERVER).min(patience.most) }
    }

    /// The same, while nobody has begun to look whether an address is free.
    fn first_patience(&self, patience: &Patience) -> Duration {
        if self.is_foreseen_silent { patience.foreseen } else { patience.usual }
    }

    /// A host asks it in vain for all that is known: that silence is seen before anybody would ask again, and what the
    /// second question would cost others may cost at the same time.
    fn is_foreseen_by_host(&self) -> bool {
        self.is_foreseen_silent && matches!(self.from, From::Inside(_))
    }

    /// It asks how large a packet may be.
    pub(crate) fn is_sized(&self) -> bool {
        match self.asks {
            Asks::Echo(size) => size.whole,
            Asks::Address | Asks::Name(_) | Asks::Connection { .. } => false,
        }
    }

    /// It asks for more of what was lost in part.
    pub(crate) fn is_more(&self) -> bool {
        self.pace == MORE
    }

    /// How long its packets are, of an echo.
    pub(crate) fn octets(&self) -> Option<u16> {
        match self.asks {
            Asks::Echo(size) => Some(size.octets),
            Asks::Address | Asks::Name(_) | Asks::Connection { .. } => None,
        }
    }

    /// The port that it connects to, of a connection.
    pub(crate) fn port(&self) -> Option<u16> {
        match self.asks {
            Asks::Connection { port, .. } => Some(port),
            Asks::Echo(_) | Asks::Address | Asks::Name(_) => None,
        }
    }

    /// The port of whom it asks, of a name or a connection: see [`model::probe::Asked::service_port`].
    pub(crate) fn service_port(&self) -> Option<u16> {
        match self.asks {
            Asks::Name(_) => Some(self.server_port),
            Asks::Connection { port, .. } => Some(port),
            Asks::Echo(_) | Asks::Address => None,
        }
    }

    /// Name of the host or instance that asks.
    pub(crate) fn sender(&self) -> &str {
        match &self.from {
            From::Inside(machine) => &machine.name,
            From::Outside(nic) => &nic.sender.name,
        }
    }

    /// Whom the instance hands it to, where its host sends it.
    fn next_hop(&self) -> Option<IpAddr> {
        match &self.from {
            From::Inside(_) => None,
            From::Outside(nic) => nic.next_hop().filter(|_| self.asks != Asks::Address),
        }
    }

    /// All by which its packets are known: its mark and its port, see [`model::probe::Asked::told_port`]; and of a
    /// name that is asked for by a socket, the connection over which it is asked again where the answer is cut short.
    pub(crate) fn marks(&self) -> Vec<((Exchange, u32), Option<u16>)> {
        let over_tcp = match (&self.asks, &self.from) {
            (Asks::Name(_), From::Inside(_)) => {
                Some(((Exchange::Tcp, own_port(self.id).into()), Some(self.server_port)))
            }
            (Asks::Name(_), From::Outside(_))
            | (Asks::Echo(_) | Asks::Address | Asks::Connection { .. }, _) => None,
        };
        let elsewhere = match self.asks {
            Asks::Name(_) => Some(self.server_port).filter(|port| *port != DNS_PORT),
            Asks::Echo(_) | Asks::Address | Asks::Connection { .. } => None,
        };
        [Some((self.mark(), elsewhere.or(self.port()))), over_tcp].into_iter().flatten().collect()
    }

    /// The conversation, and the number that tells its packets from all others of its kind: the echo's identifier, the
    /// DNS question's, the DHCP transaction's, the TCP connection's port at our end.
    pub(crate) fn mark(&self) -> (Exchange, u32) {
        match self.asks {
            Asks::Echo(_) => (Exchange::Icmp, self.id.into()),
            Asks::Address => (Exchange::Dhcp, transaction(self.id)),
            Asks::Name(_) => (Exchange::Dns, self.id.into()),
            Asks::Connection { .. } => (Exchange::Tcp, own_port(self.id).into()),
        }
    }
}

/// What these rungs ask: each question once.
pub(crate) fn plan<'a>(
    site: &'a Site,
    facts: &mut Facts,
    (rungs, steps): (Vec<Rung>, Vec<Rung>),
    complained_of: Option<Ipv4Addr>,
) -> Vec<Question<'a>> {
    let mut others: BTreeMap<usize, usize> = BTreeMap::new();
    let mut gaps: BTreeMap<usize, Gap> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    // Numbers that packets of other processes are not likely to have at the same time: the standard library draws its
    // hasher's keys at random.
    let mut number = RandomState::new().hash_one(std::process::id());
    let mut next_id = || {
        number = number.wrapping_add(1);
        u16::try_from(number & 0xffff).unwrap_or_default()
    };
    let mut questions = Vec::new();
    let clients = asks::clients(facts, &rungs, complained_of);
    let circles = LazyCell::new(|| as_instance::circles(facts));
    let behind: Vec<u32> = rungs.iter().map(|rung| asks::passed_on(rung, &rungs)).collect();
    let silent: Vec<bool> = rungs.iter().map(|rung| next::is_foreseen_silent(rung, &rungs)).collect();
    let own = rungs.into_iter().zip(silent.into_iter().zip(behind));
    let own = own.map(|(rung, (is_foreseen_silent, behind))| (rung, true, is_foreseen_silent, behind));
    let steps = steps.into_iter().map(|step| {
        let is_foreseen_silent = next::is_foreseen_silent(&step, &[]);
        (step, false, is_foreseen_silent, 0)
    });
    for (rung, is_own, is_foreseen_silent, behind) in own.chain(steps) {
        let to = rung.to;
        if let Purpose::Other(_) = rung.purpose {
            let asked = others.entry(rung.instance).or_default();
            *asked += 1;
            if *asked > OTHERS_MAX {
                continue;
            }
        }
        let (mut probes, mut then, mut more) = (Vec::new(), Vec::new(), Vec::new());
        let is_narrow = checks::is_narrow(&facts.snapshot, &rung);
        let is_of_nobody = checks::is_of_nobody(&rung, complained_of);
        let listeners = checks::others_listening(&facts.snapshot, &facts.intent, &rung);
        let client = clients.get(&rung.instance).copied();
        let asker = facts.snapshot.main_netns(&rung.from);
        let server_port = asks::server_port(&rung);
        let is_at_home = asker.is_some_and(|ns| ns.addresses.iter().any(|own| own.net.addr() == to));
        for asks in asks::asks(facts, &rung, client).into_iter().filter(|_| !is_of_nobody) {
            match from(site, facts, &circles, &rung, &asks) {
                Ok(Some(from)) if seen.insert((rung.from.clone(), to, server_port, format!("{asks:?}"))) => {
                    let is_of_dhcp = asks == Asks::Address;
                    let listeners = if is_of_dhcp { listeners.clone() } else { BTreeSet::new() };
                    let passed_on = if asks::is_of_others(&asks) { behind } else { 0 };
                    let (pace, id) = (USUAL, next_id());
                    let probe = Probe {
                        from,
                        to,
                        asks,
                        pace,
                        id,
                        is_foreseen_silent,
                        server_port,
                        passed_on,
                        is_at_home,
                        listeners,
                        needless_once: None,
                    };
                    let is_counted = is_own && matches!(probe.asks, Asks::Echo(_)) && !probe.is_sized();
                    let again = |_| Probe { pace: MORE, id: next_id(), ..probe.clone() };
                    more = (0..if is_counted { MORE_TIMES } else { 0 }).map(again).collect();
                    let pace = match &probe.asks {
                        _ if probe.is_sized() && is_narrow => BURST,
                        Asks::Name(_) if probe.is_foreseen_by_host() => ONCE,
                        _ => USUAL,
                    };
                    let waits = asks::waits(&probe);
                    (if waits { &mut then } else { &mut probes }).push(Probe { pace, ..probe });
                }
                Ok(_) => {}
                Err(gap) => drop(gaps.entry(rung.instance).or_insert(gap)),
            }
        }
        let beside = probes.first().and_then(|first| beside::of(site, facts, (&rung, first), next_id()));
        questions.push(Question { rung, is_own, probes, then, more, beside });
    }
    facts.snapshot.gaps.extend(gaps.into_values());
    pass_by(&mut questions);
    questions
}

/// Who is further out is reached past the router next to the site: where that is answered, the router need not be.
fn pass_by(questions: &mut [Question<'_>]) {
    let mut further: BTreeMap<(usize, String), u16> = BTreeMap::new();
    let is_router = |question: &&mut Question| matches!(question.rung.purpose, Purpose::Router(_));
    for question in questions.iter_mut().rev().filter(is_router) {
        let asker = (question.rung.instance, question.rung.from.clone());
        let Some(probe) = question.probes.first_mut() else { continue };
        let number = probe.id;
        probe.needless_once = further.get(&asker).copied();
        further.entry(asker).or_insert(number);
    }
}

/// Who asks: inside where that may be entered, else by its host. `None` for a host out of reach, of which there is a
/// gap already.
fn from<'a>(
    site: &'a Site,
    facts: &Facts,
    circles: &BTreeSet<String>,
    rung: &Rung,
    asks: &Asks,
) -> Result<Option<From<'a>>, Gap> {
    let is_reached =
        |machine: &&MachinePlan| !facts.unreachable.iter().any(|(name, _)| *name == machine.name);
    let by_host = |name: &str| {
        let named = |machine: &&MachinePlan| !machine.instance && machine.name == name;
        site.machines.iter().find(named).filter(is_reached)
    };
    if let Some(stranger) = checks::stranger(rung) {
        return Ok(as_outside::uplink(facts, rung, stranger, by_host).map(From::Outside));
    }
    let instance = facts.intent.instances.get(rung.instance).filter(|instance| instance.name == rung.from);
    let Some(instance) = instance else { return Ok(by_host(&rung.from).map(From::Inside)) };
    let mut inside = site.machines.iter().filter(|machine| machine.instance && machine.name == rung.from);
    // A DISCOVER comes from no address, and from a NIC that may have none: only its host can bring it forth.
    if let Some(machine) = inside.find(is_reached).filter(|_| *asks != Asks::Address) {
        return Ok(Some(From::Inside(machine)));
    }
    let Some(host) = by_host(&instance.host) else { return Ok(None) };
    if *asks == Asks::Address
        && let Some(gap) =
            as_instance::overwritten(facts, instance).or_else(|| as_instance::goes_round(circles, instance))
    {
        return Err(gap);
    }
    as_instance::nic(facts, instance, host, rung.to).map(|nic| Some(From::Outside(nic)))
}

/// What is sent at the same time from one place.
pub(crate) enum Job<'p, 'a> {
    /// By a socket of its own.
    Alone(&'p MachinePlan, &'p Probe<'a>),
    /// Through one NIC.
    Together(&'p Nic<'a>, Vec<&'p Probe<'a>>),
    /// More of the way of a question that is silent: it is no question of its own.
    Beside(Beside<'a>, &'p Probe<'a>),
}

/// Questions through one NIC at one pace are one job.
pub(crate) fn jobs<'p, 'a: 'p>(probes: impl Iterator<Item = &'p Probe<'a>>) -> Vec<Job<'p, 'a>> {
    let mut jobs: Vec<Job> = Vec::new();
    for probe in probes {
        let nic = match &probe.from {
            From::Inside(machine) => {
                jobs.push(Job::Alone(machine, probe));
                continue;
            }
            From::Outside(nic) => nic,
        };
        let same = jobs.iter_mut().find_map(|job| match job {
            Job::Together(known, together)
                if known.is_same(nic) && together.iter().all(|one| one.pace == probe.pace) =>
            {
                Some(together)
            }
            Job::Together(..) | Job::Alone(..) | Job::Beside(..) => None,
        });
        match same {
            Some(together) => together.push(probe),
            None => jobs.push(Job::Together(nic, vec![probe])),
        }
    }
    jobs
}

impl<'p, 'a> Job<'p, 'a> {
    /// All that it sends.
    pub(crate) fn probes(&self) -> Vec<&'p Probe<'a>> {
        match self {
            Job::Alone(_, probe) => vec![*probe],
            Job::Together(_, probes) => probes.clone(),
            Job::Beside(..) => Vec::new(),
        }
    }

    /// A question that it is about.
    pub(crate) fn about(&self) -> Option<&'p Probe<'a>> {
        match self {
            Job::Alone(_, probe) | Job::Beside(_, probe) => Some(*probe),
            Job::Together(_, probes) => probes.first().copied(),
        }
    }

    /// The same without the last of several questions through one NIC, and that one alone.
    pub(crate) fn parted(self) -> (Option<Job<'p, 'a>>, Job<'p, 'a>) {
        match self {
            Job::Together(nic, mut probes) if probes.len() > 1 => {
                let last = probes.split_off(probes.len() - 1);
                (Some(Job::Together(nic, probes)), Job::Together(nic, last))
            }
            Job::Together(..) | Job::Alone(..) | Job::Beside(..) => (None, self),
        }
    }

    /// What so many packets can ask of the way of a question; `None` of other jobs, which are whole or nothing.
    pub(crate) fn within(self, packets: u32) -> Option<Job<'p, 'a>> {
        match self {
            Job::Beside(beside, probe) => Some(Job::Beside(beside.within(packets)?, probe)),
            Job::Together(..) | Job::Alone(..) => None,
        }
    }

    /// How many packets it sends at most; its next hops are asked for once each, as a rule.
    pub(crate) fn packets_max(&self) -> u32 {
        let own = self.probes().iter().map(|probe| probe.packets_max()).sum();
        match self {
            Job::Alone(..) => own,
            Job::Beside(beside, _) => beside.packets_max(),
            Job::Together(_, probes) => {
                let hops: BTreeSet<_> = probes.iter().filter_map(|probe| probe.next_hop()).collect();
                own + u32::try_from(hops.len()).unwrap_or(u32::MAX)
            }
        }
    }
}

/// What came of a job.
#[derive(Default)]
pub(crate) struct Came {
    pub(crate) results: Vec<ProbeResult>,
    pub(crate) gaps: Vec<Gap>,
    /// Where several answered for one address.
    pub(crate) holders: Vec<Holders>,
    pub(crate) traces: Vec<Traced>,
    pub(crate) sizes: Vec<SizesTried>,
    /// Each packet of both.
    pub(crate) sides: Vec<SideEcho>,
    /// What became of what others are known by, where frames were sent as an instance.
    pub(crate) others: Option<String>,
    /// Packets that were sent for it.
    pub(crate) packets: u32,
}

/// Why nothing was sent, and what would let it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Unsent {
    pub(crate) why: String,
    pub(crate) would_need: String,
}

/// Sends a job, and tells the numbers of the probes that are answered as they are. What takes more packets than its job
/// was given asks whether they may be afforded.
pub(crate) fn run(
    job: &Job<'_, '_>,
    patience: &Patience,
    mut answered: impl FnMut(u16) + Send,
    afforded: impl Fn(u16, u32) -> bool,
) -> Result<Came, Unsent> {
    match job {
        Job::Alone(machine, probe) => {
            inside::send(machine, probe, probe.patience(patience), &mut answered, &afforded)
        }
        Job::Together(nic, probes) => as_instance::send(nic, probes, patience, &mut answered),
        Job::Beside(beside, _) => beside.ask(patience.usual),
    }
}

#[cfg(test)]
mod tests;
