//! What can go wrong with a lab.

use std::io;
use std::path::PathBuf;

/// What the lab attempted, on what, why it failed and what to do.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// The name cannot be part of namespace names and paths.
    #[error("lab name {name:?} is not usable: take 1 to {max} characters of a-z, 0-9 and -, a letter first")]
    BadName {
        /// The name as it was given.
        name: String,
        /// Longest name allowed.
        max: usize,
    },
    /// The state directory's path would need quoting where dnsmasq cannot quote.
    #[error(
        "state directory {} is not usable: dnsmasq hands its path to a shell, so it must be absolute and \
         made of letters, digits and / . _ - only; choose another with --state",
        path.display()
    )]
    BadStatePath {
        /// The directory.
        path: PathBuf,
    },
    /// The lab is up, or half up.
    #[error("lab {name} exists already ({found}); run: hopline lab down --name {name}")]
    Exists {
        /// The lab's name.
        name: String,
        /// What of it was found.
        found: String,
    },
    /// A namespace of the lab's name that is not the lab's.
    #[error(
        "network namespace {netns} exists and is not known to be a lab's; it is left alone: choose another \
         lab with --name, or delete it yourself (ip netns del {netns})"
    )]
    ForeignNamespace {
        /// Its name.
        netns: String,
    },
    /// The state directory holds something that no lab put there.
    #[error(
        "{} is not empty and not a lab's state directory: it is left alone; choose another with --state",
        path.display()
    )]
    ForeignState {
        /// The directory.
        path: PathBuf,
    },
    /// The state directory is another lab's.
    #[error("{} is the state of lab {own}, not of lab {name}; add: --name {own}", state.display())]
    OtherLab {
        /// The lab's name, as it was given.
        name: String,
        /// The name of the lab that is there.
        own: String,
        /// The state directory.
        state: PathBuf,
    },
    /// There is no such lab.
    #[error("there is no lab {name} ({} is missing); run: hopline lab up --name {name}", path.display())]
    NoLab {
        /// The lab's name.
        name: String,
        /// The file that every lab has.
        path: PathBuf,
    },
    /// Another process works on the lab.
    #[error("lab {name} is being changed by another hopline; wait for it to end and try again")]
    Busy {
        /// The lab's name.
        name: String,
    },
    /// Programs that the lab is made of are not installed.
    #[error("the lab needs {programs}; install them: apt-get install {packages}")]
    MissingTools {
        /// The programs, separated by commas.
        programs: String,
        /// Debian's packages, separated by spaces.
        packages: String,
    },
    /// The machine's kernel does not run bridged packets through iptables.
    #[error(
        "net.bridge.bridge-nf-call-iptables does not exist in {netns}, so bridged packets would miss nova's \
         rules; load the module first: modprobe br_netfilter"
    )]
    NoBridgeNetfilter {
        /// The namespace that was looked at.
        netns: String,
    },
    /// An ordinary user's lab cannot be, for want of a user namespace.
    #[error(
        "this machine lets no ordinary user have a user namespace, which the lab needs to be without root: \
         {why}; {remedy}, or run as root"
    )]
    NoRealm {
        /// What the holder said.
        why: String,
        /// What allows them, as far as can be told.
        remedy: String,
    },
    /// A step of making or joining a realm failed.
    #[error(transparent)]
    Join(sys::userns::UsernsError),
    /// The process that keeps a realm could not be started or told to stay.
    #[error("could not start {}, which keeps the lab's namespaces, or talk to it: {source}", program.display())]
    Holder {
        /// The program.
        program: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The realm has ended, with all that was in it.
    #[error(
        "the lab of {} has ended with its last process; remove what is left of it with hopline lab down",
        state.display()
    )]
    RealmGone {
        /// The lab's state directory.
        state: PathBuf,
    },
    /// Root was asked to work on an ordinary user's lab.
    #[error(
        "the lab of {} is user {uid}'s, in a user namespace; run hopline as that user: sudo -u '#{uid}' hopline ...",
        state.display()
    )]
    ForeignRealm {
        /// The lab's state directory.
        state: PathBuf,
        /// Whose it is.
        uid: u32,
    },
    /// A namespace could not be made, entered, listed or deleted.
    #[error("could not {attempted} network namespace {netns}: {source}")]
    Netns {
        /// What was attempted.
        attempted: &'static str,
        /// Its name.
        netns: String,
        /// Why not.
        source: sys::netns::NetnsError,
    },
    /// The kernel refused a change of links, addresses, routes or neighbours.
    #[error(transparent)]
    Plumbing(#[from] plumbing::PlumbingError),
    /// A file could not be read or written.
    #[error("could not {attempted} {}: {source}", path.display())]
    File {
        /// What was attempted.
        attempted: &'static str,
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// lab.json is not what a lab wrote.
    #[error("could not understand {}: {source}; run: hopline lab down", path.display())]
    Record {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: serde_json::Error,
    },
    /// A program could not be started.
    #[error("could not start {program} in {netns}: {source}")]
    Start {
        /// The program.
        program: String,
        /// The namespace.
        netns: String,
        /// Why not.
        source: io::Error,
    },
    /// A program ended with an error.
    #[error("{program} failed in {netns} ({status}): {stderr}")]
    Program {
        /// The command line.
        program: String,
        /// The namespace.
        netns: String,
        /// How it ended.
        status: String,
        /// What it said.
        stderr: String,
    },
    /// Something did not come about in time.
    #[error("waited {seconds} s in vain for {awaited}; see {}", log.display())]
    Timeout {
        /// How long.
        seconds: u64,
        /// For what.
        awaited: String,
        /// Where to look.
        log: PathBuf,
    },
    /// The kernel did not follow a link's carrier.
    #[error("{link} in {netns} has not settled: its operational state is not what its carrier says")]
    Unsettled {
        /// The namespace.
        netns: String,
        /// The link.
        link: String,
    },
    /// Processes survived SIGKILL.
    #[error("processes {pids} in the lab's namespaces did not end; look at them: ps -fp {pids}")]
    Unkillable {
        /// Their ids, separated by commas.
        pids: String,
    },
    /// The database could not be read or changed.
    #[error(transparent)]
    Database(#[from] novadb::DbError),
    /// Flags of `lab up` that do not go together.
    #[error("{complaint}")]
    BadShape {
        /// What is wrong and what would do.
        complaint: String,
    },
    /// The kernel cannot make VLAN devices.
    #[error(
        "this kernel has no VLAN devices (module 8021q), which VlanManager is made of: load it (modprobe \
         8021q), or run the lab in a virtual machine whose kernel has it: docs/lab.md"
    )]
    NoVlans,
    /// An instance's name is a host's or another place's, or cannot be one.
    #[error(
        "{name:?} cannot be an instance's name: take 1 to 63 characters of a-z, 0-9 and -, a letter first, \
         and none of the lab's own names ({reserved})"
    )]
    BadInstanceName {
        /// The name as it was given.
        name: String,
        /// Names that are taken by hosts and routers.
        reserved: String,
    },
    /// There is no such host in the lab.
    #[error("the lab has no host {name:?}; it has {known}")]
    UnknownHost {
        /// The name as it was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// There is no such instance.
    #[error("the lab has no instance {name:?}; it has {known}")]
    UnknownInstance {
        /// The name as it was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// There is no such network.
    #[error("the lab has no network {name:?}; it has {known}")]
    UnknownNetwork {
        /// The label as it was given.
        name: String,
        /// Those that there are.
        known: String,
    },
    /// A file that the lab keeps for itself is damaged.
    #[error(
        "{} is not what the lab wrote: {why}; restart the service that reads it: hopline lab restart",
        path.display()
    )]
    Memory {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// The namespace from which the lab's database server is reached is gone or closed to us.
    #[error(
        "the lab's database server is reached from the network namespace that `lab up` ran in, which \
         cannot be entered from here: {why}; give the server's socket in the URL instead (?unix_socket=PATH, \
         ?host=DIRECTORY)"
    )]
    NoHome {
        /// Why not.
        why: String,
    },
    /// There is no place to keep the machines' image in.
    #[error("there is nowhere to keep the image of virtual machine instances: set HOME or XDG_CACHE_HOME")]
    NoCache,
    /// A part of a virtual machine instance failed.
    #[error(transparent)]
    Vm(#[from] vm::VmError),
    /// dnsmasq called the bridge script with something else than it does.
    #[error("nova-dhcpbridge: expected init, or add|old|del MAC IP [HOSTNAME], and got {args:?}")]
    DhcpBridgeArgs {
        /// The arguments.
        args: Vec<String>,
    },
    /// There is no such fault.
    #[error("there is no fault {code:?}{}; list them: hopline lab faults", did_you_mean(nearest.as_deref()))]
    UnknownFault {
        /// What was asked for.
        code: String,
        /// The nearest known one.
        nearest: Option<String>,
    },
    /// The fault is in a VLAN, and the lab has none.
    #[error(
        "fault {code} is of VLANs, and this lab has none; build one that has: hopline lab up --manager vlan"
    )]
    NoVlanToBreak {
        /// The fault.
        code: &'static str,
    },
    /// The fault takes two hosts, and the lab has one, or joins them otherwise.
    #[error(
        "fault {code} takes two hosts on one flat network, which this lab has not; build one: hopline lab up --hosts 2"
    )]
    NoHostsToJoin {
        /// The fault.
        code: &'static str,
    },
    /// The fault is a virtual machine's, and the lab's instances are namespaces.
    #[error(
        "fault {code} is a virtual machine's, and this lab's instances are namespaces; build one of machines: \
         hopline lab up --guest qemu"
    )]
    NoMachineToBreak {
        /// The fault.
        code: &'static str,
    },
    /// The fault touches what all namespaces of a kernel share, or the first of them, and this kernel is others' too.
    #[error(
        "fault {code} touches what this machine's other networks share with the lab; build it as root in a virtual \
         machine without a network of its own"
    )]
    KernelOfOthers {
        /// The fault.
        code: &'static str,
    },
    /// A fault of an instance's inside in a lab of virtual machines.
    #[error(
        "fault {code} is made inside web1, and a virtual machine cannot be entered; build a lab of namespaces: \
         hopline lab up --guest netns"
    )]
    NoInside {
        /// The fault.
        code: &'static str,
    },
    /// A packet of web1's was not tracked by its gateway.
    #[error(
        "fault {code}: no entry of web1's ping in `conntrack -L`; is net.bridge.bridge-nf-call-iptables 1?"
    )]
    NotTracked {
        /// The fault.
        code: &'static str,
    },
    /// web1's IPv6 address stands, though its question for it must have come back.
    #[error(
        "fault {code}: web1 has an IPv6 address and keeps it; is hairpin on at its tap? bridge -d link show"
    )]
    AddressKept {
        /// The fault.
        code: &'static str,
    },
    /// No BPF program could be had.
    #[error("no BPF program could be made: {source}")]
    BpfProgram {
        /// What the system said.
        source: sys::ingress::IngressError,
    },
    /// The fault is there already.
    #[error("fault {code} is injected already; run: hopline lab heal {code}")]
    AlreadyBroken {
        /// The fault.
        code: &'static str,
    },
    /// The fault to heal is not there.
    #[error("fault {code} is not injected (injected: {active}); nothing to heal")]
    NotBroken {
        /// The fault.
        code: &'static str,
        /// Those that are.
        active: String,
    },
    /// `up` failed and so did taking down what it had made.
    #[error(
        "{first}; and what was made could not all be removed: {rest}; run: hopline lab down --name {name}"
    )]
    HalfBuilt {
        /// The lab's name.
        name: String,
        /// Why `up` failed.
        first: Box<LabError>,
        /// What the removal said.
        rest: String,
    },
}

fn did_you_mean(nearest: Option<&str>) -> String {
    nearest.map(|code| format!(" (did you mean {code}?)")).unwrap_or_default()
}

/// Names the operation and the file of an I/O error.
pub(crate) fn file(attempted: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> LabError {
    let path = path.into();
    move |source| LabError::File { attempted, path, source }
}
