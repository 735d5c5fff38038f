//! A snapshot: what every machine of the site would do with a packet, as it was read at one moment.

use serde::{Deserialize, Serialize};

use crate::netns::Netns;
use crate::service::{Console, DhcpFileRead, DhcpLogLine, Dnsmasq, Domain, NovaOptions, Process};

/// Facts of a whole site, and what could not be read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Snapshot {
    /// Every namespace that was read: hosts' and instances', the main one of a machine first.
    pub netns: Vec<Netns>,
    /// One entry a host of the site, in the site file's order.
    pub hosts: Vec<Host>,
    /// What could not be learned.
    pub gaps: Vec<Gap>,
    /// When it was read, in Unix seconds; 0 where unknown.
    pub taken_at: u64,
}

impl Snapshot {
    /// Main namespace of a host or instance.
    pub fn main_netns(&self, machine: &str) -> Option<&Netns> {
        self.netns.iter().find(|n| n.machine == machine && n.name.is_empty())
    }

    /// The host of this name.
    pub fn host(&self, name: &str) -> Option<&Host> {
        self.hosts.iter().find(|h| h.name == name)
    }

    /// That the processes of this host could not be read, or not all: one that is not among them may run all the same.
    pub fn unread_processes(&self, host: &str) -> Option<&Gap> {
        self.gaps.iter().find(|gap| gap.what.contains("processes") && gap.what.contains(host))
    }
}

/// What a host runs and keeps, beside its namespaces.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Host {
    /// Name in the site file.
    pub name: String,
    /// compute, router, external, switch, or anything else.
    pub role: String,
    /// Kernel release.
    pub kernel: String,
    /// Processes of interest (dnsmasq, nova, libvirt, qemu).
    pub processes: Vec<Process>,
    /// Its dnsmasq servers.
    pub dnsmasq: Vec<Dnsmasq>,
    /// DHCP lines of dnsmasq's log, oldest first, at most the newest few thousand.
    pub dhcp_log: Vec<DhcpLogLine>,
    /// By the same log, which files dnsmasq's DHCP part has read, oldest first, as many at most.
    pub dhcp_reads: Vec<DhcpFileRead>,
    /// The file they are from.
    pub dhcp_log_file: Option<String>,
    /// libvirt's domains; a live one and its persistent twin are one entry, the live.
    pub domains: Vec<Domain>,
    /// libvirt's folder of running domains, where it was read whole: what is not in it does not run.
    pub running_domains: Option<String>,
    /// Every user's processes were looked at, so that one that is not among them is not there.
    pub sees_every_process: bool,
    /// Console logs, by instance name or uuid (the directory's name).
    pub consoles: Vec<(String, Console)>,
    /// nova.conf, where there is one.
    pub nova: Option<NovaOptions>,
}

/// Something that could not be learned: said, never guessed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Gap {
    /// What is missing: `netfilter rules of compute1`.
    pub what: String,
    /// Why: the error, or the privilege lacking.
    pub why: String,
    /// The one thing that would settle it: a command, a file, a privilege.
    pub would_need: String,
}
