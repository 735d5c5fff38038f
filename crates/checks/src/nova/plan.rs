//! What nova's processes are meant to have written into each of their chains on one host.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::{IpNet, Ipv4Net};
use model::intent::{Instance, Intent, Network};
use model::netfilter::{Chain, Dialect, Family, NfRule, Table};
use model::snapshot::Host;
use model::{Netns, service};

use super::line::{Line, Then, calls};
use super::options::Options;
use super::{compute_rules, network_rules};

/// A process of nova whose chains are judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Process {
    /// nova-network.
    Network,
    /// nova-compute.
    Compute,
}

impl Process {
    /// Its name, with which its chains begin.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Process::Network => "nova-network",
            Process::Compute => "nova-compute",
        }
    }
}

/// A rule that nova writes.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// Who writes it.
    pub(crate) process: Process,
    /// As nova writes it, then as other versions of nova did: any one of them will do.
    pub(crate) lines: Vec<Line>,
    /// nova's order in the chain: lower ranks stand before higher ones.
    pub(crate) rank: u8,
    /// Its absence is a drift; else only its presence is none.
    pub(crate) must: bool,
    /// The instance that it is for: index into `Intent::instances`.
    pub(crate) instance: Option<usize>,
}

/// Rules that nova may have written for what the intent does not tell: no drift where they stand.
pub(crate) struct May<'h> {
    pub(crate) rank: u8,
    pub(crate) holds: Box<dyn Fn(&Line) -> bool + 'h>,
}

/// What is in a chain beside nova's rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// Nothing: whatever nova would not write is extra.
    None,
    /// Everybody's rules, which are nobody's drift.
    Anybodys,
}

/// What a chain is meant to hold.
pub(crate) struct Plan<'h> {
    /// Whose chain it is; of a chain that both share, the first that runs.
    pub(crate) process: Process,
    pub(crate) table: &'static str,
    pub(crate) chain: String,
    pub(crate) wanted: Vec<Wanted>,
    pub(crate) may: Vec<May<'h>>,
    pub(crate) others: Others,
    /// The instance whose chain it is.
    pub(crate) instance: Option<usize>,
    /// Nothing calls for this chain: it is left over from an instance that is gone.
    pub(crate) stray: bool,
}

impl<'h> Plan<'h> {
    pub(crate) fn new(process: Process, table: &'static str, chain: impl Into<String>) -> Plan<'h> {
        Plan {
            process,
            table,
            chain: chain.into(),
            wanted: Vec::new(),
            may: Vec::new(),
            others: Others::None,
            instance: None,
            stray: false,
        }
    }

    /// A rule that must stand there where `must`, and may in any case.
    pub(crate) fn want(&mut self, rank: u8, must: bool, lines: Vec<Line>) {
        self.wanted.push(Wanted { process: self.process, lines, rank, must, instance: None });
    }

    pub(crate) fn allow(&mut self, rank: u8, holds: impl Fn(&Line) -> bool + 'h) {
        self.may.push(May { rank, holds: Box::new(holds) });
    }

    /// Of a rule that is wanted more than once nova leaves the last.
    fn without_doubles(mut self) -> Plan<'h> {
        let mut known: BTreeMap<_, Vec<(usize, Wanted)>> = BTreeMap::new();
        for (at, wanted) in std::mem::take(&mut self.wanted).into_iter().enumerate().rev() {
            let first = wanted.lines.first();
            let alike = known.entry(first.map(|line| (line.source, line.destination))).or_default();
            match alike.iter_mut().find(|(_, known)| known.lines.first() == first) {
                Some((_, known)) => known.must |= wanted.must,
                None => alike.push((at, wanted)),
            }
        }
        let mut kept: Vec<(usize, Wanted)> = known.into_values().flatten().collect();
        kept.sort_by_key(|(at, _)| *at);
        self.wanted = kept.into_iter().map(|(_, wanted)| wanted).collect();
        self
    }
}

/// Everything on one host that decides nova's rules there.
pub(crate) struct Here<'h> {
    pub(crate) host: &'h Host,
    pub(crate) intent: &'h Intent,
    pub(crate) options: Options,
    /// The back end that nova writes to.
    pub(crate) dialect: Dialect,
    tables: Vec<&'h Table>,
    /// By table and name: a host may have thousands.
    chains: BTreeMap<(&'h str, &'h str), &'h Chain>,
    /// The instances that have a number.
    by_id: BTreeMap<u64, &'h Instance>,
}

/// A network of the intent as nova-network sees it from here.
#[derive(Clone, Copy)]
pub(crate) struct Served<'h> {
    pub(crate) network: &'h Network,
    pub(crate) cidr: Ipv4Net,
    pub(crate) bridge: &'h str,
    /// nova-network has set it up on this host, and not only may have.
    pub(crate) must: bool,
}

impl<'h> Here<'h> {
    /// The host's part, where nova has chains.
    pub(crate) fn of(host: &'h Host, ns: &'h Netns, intent: &'h Intent) -> Option<Here<'h>> {
        let weight = |dialect: &Dialect| {
            let tables = super::iptables(ns).filter(|table| table.dialect == *dialect);
            tables.map(|table| super::weight(table).0).sum::<usize>()
        };
        let dialects = [Dialect::IptablesLegacy, Dialect::IptablesNft];
        let dialect = dialects.into_iter().max_by_key(weight).filter(|dialect| weight(dialect) > 0)?;
        let tables: Vec<&Table> = super::iptables(ns).filter(|table| table.dialect == dialect).collect();
        let chains = tables.iter().flat_map(|table| {
            table.chains.iter().map(|chain| ((table.name.as_str(), chain.name.as_str()), chain))
        });
        let chains = chains.collect();
        let by_id = intent.instances.iter().filter_map(|i| Some((i.id?, i))).collect();
        Some(Here { host, intent, options: Options::of(host, ns), dialect, tables, chains, by_id })
    }

    pub(crate) fn table(&self, name: &str) -> Option<&'h Table> {
        self.tables.iter().find(|table| table.family == Family::Ip && table.name == name).copied()
    }

    pub(crate) fn chain(&self, table: &str, chain: &str) -> Option<&'h Chain> {
        self.chains.get(&(table, chain)).copied()
    }

    /// The instance of this number.
    pub(crate) fn instance(&self, id: u64) -> Option<&'h Instance> {
        self.by_id.get(&id).copied()
    }

    pub(crate) fn rules(&self, table: &str, chain: &str) -> &'h [NfRule] {
        self.chain(table, chain).map_or(&[], |chain| chain.rules.as_slice())
    }

    /// The rules of a chain that speak nova's language.
    pub(crate) fn lines(&self, table: &str, chain: &str) -> impl Iterator<Item = Line> + 'h {
        self.rules(table, chain).iter().filter_map(Line::of)
    }

    /// Whether such a rule stands in a chain.
    pub(crate) fn has(&self, table: &str, chain: &str, line: &Line) -> bool {
        self.lines(table, chain).any(|found| found == *line)
    }

    fn is_run(&self, process: Process) -> bool {
        let chains = self.table("filter").map(|table| table.chains.as_slice()).unwrap_or_default();
        chains.iter().any(|chain| chain.name.starts_with(&format!("{}-", process.name())))
    }

    /// Instances that run on this host, by their place in the intent. Of one that does not run nova
    /// may have taken the rules away.
    pub(crate) fn instances(&self) -> impl Iterator<Item = (usize, &'h Instance, bool)> + '_ {
        let intent = self.intent;
        let here = intent.instances.iter().enumerate().filter(|(_, i)| i.host == self.host.name);
        here.map(|(at, i)| (at, i, i.vm_state.as_deref().is_none_or(|state| state == "active")))
    }

    /// The networks whose bridge and prefix are known.
    pub(crate) fn networks(&self) -> Vec<Served<'h>> {
        let used: BTreeSet<usize> = self
            .instances()
            .filter(|(_, _, runs)| *runs)
            .flat_map(|(_, instance, _)| instance.vifs.iter().filter_map(|vif| vif.network))
            .collect();
        let served = |(at, network): (usize, &'h Network)| {
            let (cidr, bridge) = (network.cidr?.trunc(), network.bridge.as_deref()?);
            let must = if network.multi_host {
                used.contains(&at)
            } else {
                network.host.as_deref() == Some(self.host.name.as_str())
            };
            Some(Served { network, cidr, bridge, must })
        };
        self.intent.networks.iter().enumerate().filter_map(served).collect()
    }

    /// nova is Mitaka's or younger: its instances' chains call no provider rules any more.
    pub(crate) fn is_modern(&self) -> bool {
        let chains = self.table("filter").map(|table| table.chains.as_slice()).unwrap_or_default();
        chains.iter().any(|chain| super::is_instance_chain(&chain.name))
            && chains.iter().all(|chain| !chain.name.ends_with("-provider"))
    }

    /// The network's addresses are given by DHCP from this host.
    pub(crate) fn serves_dhcp(&self, served: Served) -> bool {
        let gateway = served.network.gateway_on(&self.host.name).map(std::net::IpAddr::V4);
        let serves = |server: &service::Dnsmasq| {
            !server.is_libvirts() && gateway.is_some_and(|ip| server.listen.contains(&ip))
        };
        self.options.dhcp != Some(false) && self.host.dnsmasq.iter().any(serves)
    }
}

/// The one that holds a whole prefix, as iptables prints it.
pub(crate) fn prefix(cidr: Ipv4Net) -> IpNet {
    IpNet::V4(cidr.trunc())
}

/// What every chain of the two processes is meant to hold, and the chains that call them.
pub(crate) fn plans<'h>(here: &'h Here<'h>) -> Vec<Plan<'h>> {
    let running: Vec<Process> =
        [Process::Network, Process::Compute].into_iter().filter(|process| here.is_run(*process)).collect();
    let mut plans = Vec::new();
    for process in &running {
        plans.extend(match process {
            Process::Network => network_rules::plans(here),
            Process::Compute => compute_rules::plans(here),
        });
    }
    plans.extend(callers(here, &running));
    for process in running {
        plans.extend(idle_chains(here, process, &plans));
    }
    plans.into_iter().map(Plan::without_doubles).collect()
}

/// Where each chain of a process is called from: table, calling chain, called chain without the
/// process's name, rank among nova's calls.
const CALLS: [(&str, &str, &str, u8); 9] = [
    ("filter", "INPUT", "INPUT", 1),
    ("filter", "FORWARD", "FORWARD", 1),
    ("filter", "OUTPUT", "OUTPUT", 1),
    ("filter", "nova-filter-top", "local", 1),
    ("nat", "PREROUTING", "PREROUTING", 1),
    ("nat", "OUTPUT", "OUTPUT", 1),
    ("nat", "POSTROUTING", "POSTROUTING", 1),
    ("nat", "nova-postrouting-bottom", "snat", 1),
    ("mangle", "POSTROUTING", "POSTROUTING", 1),
];

/// The same of the chains that all processes share.
const SHARED: [(&str, &str, &str, u8); 3] = [
    ("filter", "FORWARD", "nova-filter-top", 0),
    ("filter", "OUTPUT", "nova-filter-top", 0),
    ("nat", "POSTROUTING", "nova-postrouting-bottom", 2),
];

/// The calls of the processes' chains. Which process comes first in a chain is chance: whichever wrote
/// last.
fn callers<'h>(here: &Here<'h>, running: &[Process]) -> Vec<Plan<'h>> {
    let mut plans: Vec<Plan> = Vec::new();
    for process in running {
        let own =
            CALLS.map(|(table, from, to, rank)| (table, from, format!("{}-{to}", process.name()), rank));
        let shared = SHARED.map(|(table, from, to, rank)| (table, from, to.to_owned(), rank));
        for (table, from, to, rank) in own.into_iter().chain(shared) {
            if here.chain(table, &to).is_none() {
                continue;
            }
            let known = plans.iter().position(|plan| (plan.table, plan.chain.as_str()) == (table, from));
            let at = known.unwrap_or_else(|| {
                plans.push(caller(*process, table, from));
                plans.len() - 1
            });
            let wanted =
                Wanted { process: *process, lines: vec![calls(to)], rank, must: true, instance: None };
            plans.get_mut(at).into_iter().for_each(|plan| plan.wanted.push(wanted.clone()));
        }
    }
    plans
}

/// A chain that calls those of nova's processes, the others of nova's among them.
fn caller<'h>(process: Process, table: &'static str, chain: &str) -> Plan<'h> {
    let others = if chain.starts_with("nova-") { Others::None } else { Others::Anybodys };
    let mut plan = Plan { others, ..Plan::new(process, table, chain) };
    plan.allow(1, |line| matches!(&line.then, Then::Call(to) if *line == calls(to) && keeps_for_itself(to)));
    plan
}

/// A chain that one process of nova's keeps for itself.
fn keeps_for_itself(chain: &str) -> bool {
    chain.starts_with("nova-") && !SHARED.iter().any(|(_, _, shared, _)| *shared == chain)
}

/// A process's chains in which nothing is known to stand.
fn idle_chains<'h>(here: &Here<'h>, process: Process, known: &[Plan]) -> Vec<Plan<'h>> {
    let known: BTreeSet<(&str, &str)> = known.iter().map(|plan| (plan.table, plan.chain.as_str())).collect();
    let mut plans = Vec::new();
    for table in ["filter", "nat", "mangle"] {
        let chains = here.table(table).map(|table| table.chains.as_slice()).unwrap_or_default();
        let own = chains.iter().filter(|chain| chain.name.starts_with(&format!("{}-", process.name())));
        let idle = own.filter(|chain| !known.contains(&(table, chain.name.as_str())));
        plans.extend(idle.map(|chain| Plan::new(process, table, chain.name.clone())));
    }
    plans
}
