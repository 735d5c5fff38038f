//! The machines of a site, each read on a thread in its own namespace, all at once.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use model::netfilter::Ruleset;
use model::netns::Netns;
use model::queueing::Qdisc;
use model::service::{Dnsmasq, Domain, Process, ResolvConf};
use model::snapshot::{Gap, Host, Snapshot};
use sys::netns::{self, NetnsError, NetnsFd};

use crate::files::Text;
use crate::gaps::{gap, unparsed};
use crate::kept::{Keep, Kept, NOTHING};
use crate::netlink::{NetlinkError, Socket, links, queues};
use crate::{consoles, facts, files, netfilter, processes};

/// Where a machine is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum At {
    /// This machine, in the namespace that hopline runs in.
    Local,
    /// The namespace of this name under /run/netns.
    Netns(String),
}

/// What is to be read of a machine.
#[derive(Debug, Clone)]
pub struct MachinePlan {
    /// Its name in the site.
    pub name: String,
    /// compute, router, external, switch, ...
    pub role: String,
    /// Where it is.
    pub at: At,
    /// It is the inside of an instance: only its namespace is read.
    pub instance: bool,
    /// nova.conf.
    pub nova_conf: Option<PathBuf>,
    /// Folder of domain XML.
    pub libvirt: Option<PathBuf>,
    /// File with dnsmasq's messages.
    pub dnsmasq_log: Option<PathBuf>,
    /// Folder of DIR/NAME/console.log.
    pub console_logs: Option<PathBuf>,
}

/// Why a machine could not be read at all.
#[derive(Debug, thiserror::Error)]
pub enum CollectError {
    /// Its namespace could not be entered.
    #[error("{0}")]
    Netns(#[from] NetnsError),
    /// The kernel did not tell what was asked for.
    #[error("{0}")]
    Netlink(#[from] NetlinkError),
    /// A mistake of ours.
    #[error("its reader panicked")]
    Panicked,
}

impl CollectError {
    /// A privilege is missing.
    pub fn is_permission(&self) -> bool {
        match self {
            CollectError::Netns(error) => error.is_permission(),
            CollectError::Netlink(error) => error.is_permission(),
            CollectError::Panicked => false,
        }
    }

    /// What is missing where the machine of this name could not be read.
    pub fn gap(&self, name: &str) -> Gap {
        let need = match self {
            _ if self.is_permission() => "root",
            CollectError::Netns(_) => "the namespace, or a corrected site file",
            CollectError::Netlink(_) => "netlink sockets to be allowed",
            CollectError::Panicked => "a bug report",
        };
        gap(format!("everything of {name}"), self, need)
    }
}

/// What was read of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Machine {
    /// Its main namespace.
    pub netns: Netns,
    /// What it runs and keeps; `None` for the inside of an instance.
    pub host: Option<Host>,
    /// What of it could not be learned.
    pub gaps: Vec<Gap>,
}

/// A snapshot, and the machines that are missing from it.
#[derive(Debug)]
pub struct Collected {
    /// Everything that could be read.
    pub snapshot: Snapshot,
    /// Machines that could not, by name.
    pub unreachable: Vec<(String, CollectError)>,
}

/// Sizes that are read at most: an XML file, a hosts or lease file, the tails of logs.
const XML_MAX: u64 = 4 * 1024 * 1024;
const LIST_MAX: u64 = 16 * 1024 * 1024;
const RESOLV_CONF_MAX: u64 = 64 * 1024;
const LOG_TAIL: u64 = 8 * 1024 * 1024;
const FILES_MAX: usize = 10_000;
const LOG_LINES_MAX: usize = 5_000;

/// Reads the netfilter rules of a machine's main namespace once more: their counters have moved.
pub fn ruleset(plan: &MachinePlan) -> Result<(Ruleset, Vec<Gap>), CollectError> {
    let netns = enter(&plan.at)?;
    let kept = Kept { machine: &plan.name, keep: NOTHING };
    Ok(netns::within(&netns, || netfilter::read(kept))?)
}

/// Reads the queueing disciplines of a machine's main namespace once more: their counters have moved. By link's name.
pub fn queues(plan: &MachinePlan) -> Result<Vec<(String, Vec<Qdisc>)>, CollectError> {
    let netns = enter(&plan.at)?;
    Ok(netns::within(&netns, || -> Result<_, NetlinkError> {
        let links = links::read(&mut Socket::open()?)?;
        let mut queues = queues::read()?;
        let named = links.into_iter().map(|raw| raw.link);
        Ok(named.filter_map(|link| Some((link.name, queues.remove(&link.index)?))).collect())
    })??)
}

/// Reads every machine. What one of them lacks never keeps the others from being read.
pub fn site(plans: &[MachinePlan]) -> Collected {
    let mut snapshot = Snapshot { taken_at: now(), ..Snapshot::default() };
    let mut unreachable = Vec::new();
    for (plan, outcome) in plans.iter().zip(machines(plans, NOTHING)) {
        match outcome {
            Ok(machine) => add(&mut snapshot, machine),
            Err(error) => unreachable.push((plan.name.clone(), error)),
        }
    }
    snapshot.gaps.extend(unreachable.iter().map(|(name, error)| error.gap(name)));
    Collected { snapshot, unreachable }
}

/// Adds a machine to a snapshot, behind those that are there.
pub fn add(snapshot: &mut Snapshot, machine: Machine) {
    let Machine { netns, host, gaps } = machine;
    snapshot.netns.push(netns);
    snapshot.hosts.extend(host);
    snapshot.gaps.extend(gaps);
}

/// Reads every machine, each on a thread of its own; one outcome for each plan, in their order. `keep` gets the texts.
pub fn machines(plans: &[MachinePlan], keep: Keep<'_>) -> Vec<Result<Machine, CollectError>> {
    let open: Vec<_> = plans.iter().map(|plan| enter(&plan.at)).collect();
    // A link's other end may be in any machine's namespace, or in the reader's.
    let reached = plans.iter().zip(&open).filter(|(_, netns)| netns.is_ok());
    let places = reached.map(|(plan, _)| &plan.at).chain([&At::Local]);
    let known: Vec<NetnsFd> = places.filter_map(|at| enter(at).ok()).collect();
    let known: Vec<&NetnsFd> = known.iter().collect();
    let scanned = processes::scan();
    std::thread::scope(|scope| {
        let threads: Vec<_> = plans
            .iter()
            .zip(open)
            .map(|(plan, netns)| {
                let (known, scanned) = (&known, &scanned);
                scope.spawn(move || Ok(machine(plan, &netns?, known, scanned, keep)?))
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(Err(CollectError::Panicked))).collect()
    })
}

/// Reads the facts of one open namespace, and says what could not be read. `known` are the namespaces
/// that the other ends of its links may be in, which is told for these alone.
pub fn namespace(
    machine: &str,
    netns: &NetnsFd,
    known: &[&NetnsFd],
) -> Result<(Netns, Vec<Gap>), NetnsError> {
    read_netns(Kept { machine, keep: NOTHING }, netns, known)
}

fn read_netns(kept: Kept<'_>, netns: &NetnsFd, known: &[&NetnsFd]) -> Result<(Netns, Vec<Gap>), NetnsError> {
    netns::within(netns, || facts::read(kept, netns, known))
}

fn enter(at: &At) -> Result<NetnsFd, NetnsError> {
    match at {
        At::Local => NetnsFd::current(),
        At::Netns(name) => NetnsFd::named(name),
    }
}

/// Now, in Unix seconds: the moment that a snapshot is of.
pub fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs())
}

fn machine(
    plan: &MachinePlan,
    netns: &NetnsFd,
    known: &[&NetnsFd],
    scanned: &[Process],
    keep: Keep<'_>,
) -> Result<Machine, NetnsError> {
    let kept = Kept { machine: &plan.name, keep };
    let (mut facts, mut gaps) = read_netns(kept, netns, known)?;
    facts.instance = plan.instance;
    facts.enter = match &plan.at {
        At::Local => None,
        At::Netns(name) => Some(name.clone()),
    };
    facts.resolver = resolver(&plan.at, kept, &mut gaps);
    let host = (!plan.instance).then(|| host(plan, netns.inode(), scanned, kept, &mut gaps));
    Ok(Machine { netns: facts, host, gaps })
}

/// What programs of the machine find as /etc/resolv.conf. In a namespace with a name that is a file of its own
/// (ip-netns(8)); where it has none they share another machine's, which tells nothing of this one.
fn resolver(at: &At, kept: Kept<'_>, gaps: &mut Vec<Gap>) -> Option<ResolvConf> {
    let path = match at {
        At::Local => PathBuf::from("/etc/resolv.conf"),
        At::Netns(name) => Path::new("/etc/netns").join(name).join("resolv.conf"),
    };
    let name = path.display().to_string();
    match files::whole(&path, RESOLV_CONF_MAX) {
        Ok(Text { text, .. }) => {
            kept.file(&path, &text);
            let parsed = parse::resolv_conf::parse(&name, &text);
            gaps.extend(unparsed(&name, &parsed.problems));
            Some(parsed.value)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => {
            gaps.push(gap(&name, error, format!("read access to {name}")));
            None
        }
    }
}

fn host(plan: &MachinePlan, inode: u64, scanned: &[Process], kept: Kept<'_>, gaps: &mut Vec<Gap>) -> Host {
    let own = scanned.iter().filter(|p| p.netns == Some(inode));
    let processes: Vec<Process> = own.cloned().collect();
    let dnsmasq: Vec<Dnsmasq> = parse::dnsmasq_args::servers(&processes)
        .into_iter()
        .map(|d| with_files(d, &processes, kept, gaps))
        .collect();
    let local = plan.at == At::Local;
    let mut host = Host {
        name: plan.name.clone(),
        role: plan.role.clone(),
        kernel: std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default().trim().to_owned(),
        ..Host::default()
    };
    // Init is root's: who may look at its namespace may look at everybody's (ptrace(2), access modes).
    host.sees_every_process = std::fs::metadata("/proc/1/ns/net").is_ok();
    if let Some((path, by_root)) = log_path(plan, &dnsmasq, &processes, local) {
        // Nobody may be there to write it: where one host serves for all, others have none of nova's dnsmasqs.
        let writes_it = |server: &Dnsmasq| {
            let own = server.log_facility.as_deref().filter(|facility| facility.starts_with('/'));
            own.is_none_or(|own| Path::new(own) == path)
        };
        let hidden: Vec<Process> = scanned.iter().filter(|p| p.netns.is_none()).cloned().collect();
        let hidden = parse::dnsmasq_args::servers(&hidden);
        let is_none_there = !dnsmasq.iter().chain(&hidden).any(writes_it);
        let is_missed = |error: &std::io::Error| {
            plan.dnsmasq_log.is_some() && !(is_none_there && error.kind() == ErrorKind::NotFound)
        };
        read_log(&mut host, (&path, by_root), is_missed, kept, gaps);
    }
    let xml = plan
        .libvirt
        .clone()
        .map_or_else(|| usual(local, &["/etc/libvirt/qemu", "/run/libvirt/qemu"]), |folder| vec![folder]);
    for folder in &xml {
        let is_whole = add_domains(&mut host.domains, folder, plan.libvirt.is_some(), kept, gaps);
        if is_whole && folder.ends_with("run/libvirt/qemu") {
            host.running_domains = Some(folder.display().to_string());
        }
    }
    host.domains.sort_by_key(|d| (d.name.clone(), !d.live));
    host.domains.dedup_by(|later, kept| later.name == kept.name);
    let consoles = plan.console_logs.clone().or_else(|| usual(local, &["/var/lib/nova/instances"]).pop());
    if let Some(folder) = consoles {
        host.consoles = consoles::read(&folder, kept, gaps);
    }
    let conf = plan.nova_conf.clone().or_else(|| usual(local, &["/etc/nova/nova.conf"]).pop());
    if let Some(path) = conf {
        let name = path.display().to_string();
        match files::whole(&path, LIST_MAX) {
            Ok(Text { text, .. }) => {
                kept.file(&path, &text);
                let parsed = parse::oslo_config::parse(&name, &text);
                gaps.extend(unparsed(&name, &parsed.problems));
                host.nova = Some(parse::oslo_config::nova_options(&parsed.value));
            }
            Err(error) => gaps.push(gap(&name, error, format!("read access to {name}"))),
        }
    }
    host.processes = processes;
    host.dnsmasq = dnsmasq;
    host
}

/// The usual places of a file on a whole machine; a namespace that plays a host has none.
fn usual(local: bool, paths: &[&str]) -> Vec<PathBuf> {
    // What may not even be looked for is asked for all the same: then it is told as what could not be read.
    let exist = paths.iter().map(PathBuf::from).filter(|p| local && p.try_exists().unwrap_or(true));
    exist.collect()
}

/// Root gave the server its arguments: to it, or to its helper with the same ones. The user is the real one, so that
/// a set-user-ID program is nobody's but its caller's.
fn is_roots(server: &Dnsmasq, processes: &[Process]) -> bool {
    let of_it = processes.iter().filter(|p| p.pid == server.pid || Some(p.pid) == server.helper_pid);
    of_it.into_iter().any(|process| process.user == "0")
}

fn with_files(mut server: Dnsmasq, processes: &[Process], kept: Kept<'_>, gaps: &mut Vec<Gap>) -> Dnsmasq {
    let by_root = is_roots(&server, processes);
    if let Some(file) = server.hosts_file.clone() {
        // Before it is read, so that what is written meanwhile is not taken for what was read.
        server.hosts_written_ms = files::written_ms(Path::new(&file));
        server.hosts = list(&file, by_root, kept, gaps, parse::dnsmasq_hosts::parse);
    }
    // nova makes the file when there is a name to write, and dnsmasq takes a folder as well.
    for file in server.addn_hosts.iter().filter(|file| Path::new(file).is_file()) {
        let lines = list(file, by_root, kept, gaps, |text| parse::hosts::parse(file, text));
        server.named.extend(lines.into_iter().flatten());
    }
    parse::dnsmasq_options::add_files(&mut server, |file| {
        let text = files::whole(Path::new(file), LIST_MAX).ok()?;
        kept.named_file(Path::new(file), &text, by_root);
        Some(text.text)
    });
    if let Some(file) = server.lease_file.clone().filter(|_| !server.leasefile_ro) {
        server.leases = list(&file, by_root, kept, gaps, parse::dnsmasq_leases::parse);
    }
    server
}

fn list<T>(
    file: &str,
    by_root: bool,
    kept: Kept<'_>,
    gaps: &mut Vec<Gap>,
    parse: impl Fn(&str) -> parse::Parsed<T>,
) -> Option<T> {
    match files::whole(Path::new(file), LIST_MAX) {
        Ok(text) => {
            kept.named_file(Path::new(file), &text, by_root);
            let parsed = parse(&text.text);
            gaps.extend(unparsed(file, &parsed.problems));
            Some(parsed.value)
        }
        Err(error) => {
            gaps.push(gap(file, error, format!("read access to {file}")));
            None
        }
    }
}

/// The file that is named, else where dnsmasq itself logs to, else syslog's usual file; whether root chose it.
fn log_path(
    plan: &MachinePlan,
    servers: &[Dnsmasq],
    processes: &[Process],
    local: bool,
) -> Option<(PathBuf, bool)> {
    let of_server = |server: &Dnsmasq| {
        let path = server.log_facility.as_ref().filter(|f| f.starts_with('/'))?;
        Some((PathBuf::from(path), is_roots(server, processes)))
    };
    let own = || servers.iter().find_map(of_server);
    let syslog =
        || usual(local, &["/var/log/syslog", "/var/log/daemon.log", "/var/log/messages"]).into_iter().next();
    plan.dnsmasq_log.clone().map(|path| (path, true)).or_else(own).or_else(|| Some((syslog()?, true)))
}

fn read_log(
    host: &mut Host,
    (path, by_root): (&Path, bool),
    is_missed: impl Fn(&std::io::Error) -> bool,
    kept: Kept<'_>,
    gaps: &mut Vec<Gap>,
) {
    let name = path.display().to_string();
    match files::tail(path, LOG_TAIL) {
        Ok((Text { text, is_public }, length)) => {
            let note = (length > LOG_TAIL).then(|| files::note_of_tail(LOG_TAIL, length));
            // Others' messages in syslog's file are none of ours.
            let lines = text.split_inclusive('\n').filter(|line| line.contains("dnsmasq"));
            let told = note.as_deref().into_iter().chain(lines).collect();
            kept.named_file(
                &std::path::absolute(path).unwrap_or_default(),
                &Text { text: told, is_public },
                by_root,
            );
            let mut lines = parse::dnsmasq_log::parse(&text).value;
            lines.drain(..lines.len().saturating_sub(LOG_LINES_MAX));
            host.dhcp_log = lines;
            let mut reads = parse::dnsmasq_log::reads(&text);
            reads.drain(..reads.len().saturating_sub(LOG_LINES_MAX));
            host.dhcp_reads = reads;
            host.dhcp_log_file = Some(name);
        }
        Err(error) if is_missed(&error) => gaps.push(gap(&name, error, format!("read access to {name}"))),
        Err(_) => {}
    }
}

/// Adds a folder's domains; whether every one of them was read.
fn add_domains(
    found: &mut Vec<Domain>,
    folder: &Path,
    named: bool,
    kept: Kept<'_>,
    gaps: &mut Vec<Gap>,
) -> bool {
    let paths = match files::entries(folder, FILES_MAX) {
        Ok(paths) => paths,
        Err(error) => {
            // Usual places that are not there are missed by nobody.
            if named || error.kind() != ErrorKind::NotFound {
                let name = folder.display().to_string();
                gaps.push(gap(&name, error, format!("read access to {name}")));
            }
            return false;
        }
    };
    let mut is_whole = paths.len() < FILES_MAX;
    for path in paths.iter().filter(|p| p.extension().is_some_and(|e| e == "xml")) {
        let name = path.display().to_string();
        let text = files::whole(path, XML_MAX).map(|read| read.text);
        if let Ok(text) = &text {
            kept.file(path, text);
        }
        match text.map(|text| parse::libvirt_xml::parse(&name, &text)) {
            Ok(Ok(domain)) => {
                found.push(domain);
                continue;
            }
            Ok(Err(problem)) => gaps.push(gap(&name, problem, format!("an undamaged {name}"))),
            Err(error) => gaps.push(gap(&name, error, format!("read access to {name}"))),
        }
        is_whole = false;
    }
    is_whole
}
