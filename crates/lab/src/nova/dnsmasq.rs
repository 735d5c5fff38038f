//! nova-network's dnsmasq for a bridge (nova/network/linux_net.py `restart_dhcp`): its files, its argument
//! list, and finding it again.

use std::fs;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use plumbing::Namespace;

use super::conf::LEASE_SECONDS;
use super::wanted::Served;
use crate::command::{command, run};
use crate::error::LabError;
use crate::layout::{DHCP_DOMAIN, EXTERNAL};
use crate::place::Lab;
use crate::process::{self, Process};
use crate::realm;
use crate::whole_file;

/// A lease file in which a ghost is.
const GHOST_LEASES: &str = "networks/ghost.leases";
/// Who holds it.
const GHOST_MAC: &str = "fa:16:3e:aa:aa:aa";
/// End of its lease, in seconds since 1970: long after any lab.
const FAR_FUTURE: u64 = 4_102_444_800;

/// What differs between the dnsmasq of health and that of a fault.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// `--dhcp-range`.
    pub range: String,
    /// A lease file in place of nova's database, for a fault that needs ghosts in it.
    pub leases: Option<PathBuf>,
    /// `--server`.
    pub upstream: Ipv4Addr,
    /// `--listen-address`.
    pub listen: Ipv4Addr,
    /// `--dhcp-lease-max`.
    pub lease_max: u64,
    /// An argument that nova gives none.
    pub more: Option<String>,
}

/// Every instance has its own line in the hosts file, and nobody else gets an address.
pub(crate) fn healthy(served: &Served) -> Pool {
    let Served { label, dhcp_start, cidr, .. } = served;
    Pool {
        range: format!("set:{label},{dhcp_start},static,{},{LEASE_SECONDS}s", cidr.netmask()),
        leases: None,
        upstream: EXTERNAL.addr(),
        listen: served.gateway,
        lease_max: 1_u64 << (32 - cidr.prefix_len()),
        more: None,
    }
}

/// A lease file in which a ghost has an address, for longer than any lab lasts.
pub(crate) fn haunt(lab: &Lab, host: &str, address: Ipv4Addr) -> Result<PathBuf, LabError> {
    let leases = lab.host_path(host, GHOST_LEASES);
    whole_file::write(&leases, format!("{FAR_FUTURE} {GHOST_MAC} {address} ghost *\n"))?;
    Ok(leases)
}

/// That file is gone again.
pub(crate) fn exorcise(lab: &Lab, host: &str) -> Result<(), LabError> {
    whole_file::remove(&lab.host_path(host, GHOST_LEASES))
}

/// The last address before the broadcast address, which no instance of a lab has.
pub(crate) fn last_address(served: &Served) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(served.cidr.broadcast()) - 1)
}

/// `nova-BRIDGE.conf`: who gets which address. No newline at the end, as nova writes it.
pub(crate) fn hosts_file(lab: &Lab, host: &str, served: &Served) -> PathBuf {
    network_file(lab, host, served, "conf")
}

/// `nova-BRIDGE.hosts`: further names. nova writes it for a multi-host network; the lab's dnsmasq has every name by its
/// leases.
pub(crate) fn names_file(lab: &Lab, host: &str, served: &Served) -> PathBuf {
    network_file(lab, host, served, "hosts")
}

/// Where its messages go. nova's goes to syslog, which a namespace has none of.
pub(crate) fn log_file(lab: &Lab, host: &str) -> PathBuf {
    lab.host_path(host, "log/dnsmasq.log")
}

fn network_file(lab: &Lab, host: &str, served: &Served, kind: &str) -> PathBuf {
    lab.host_path(host, "networks").join(format!("nova-{}.{kind}", served.bridge.name))
}

/// Writes the files that nova writes before it starts dnsmasq or tells it to look again.
pub(crate) fn write_files(lab: &Lab, host: &str, served: &Served) -> Result<(), LabError> {
    let entries: Vec<_> = served
        .entries
        .iter()
        .map(|entry| format!("{},{}.{DHCP_DOMAIN},{}", entry.mac, entry.hostname, entry.address))
        .collect();
    whole_file::write(&hosts_file(lab, host, served), entries.join("\n"))?;
    whole_file::write(&network_file(lab, host, served, "opts"), format!("3,{}", served.gateway))
}

/// Adds a line to its options, which the next writing of its files takes out again.
pub(crate) fn add_option(lab: &Lab, host: &str, served: &Served, option: &str) -> Result<(), LabError> {
    let lines = format!("3,{}\n{option}", served.gateway);
    whole_file::write(&network_file(lab, host, served, "opts"), lines)
}

/// nova's `update_dhcp`: the files anew; a dnsmasq that runs is told to read them (SIGHUP), else one is
/// started. What a HUP does not change stays as it was when it was started: range, listening address, lease time.
pub(crate) fn update(lab: &Lab, host: &str, ns: &Namespace, served: &Served) -> Result<(), LabError> {
    write_files(lab, host, served)?;
    if processes(ns, served)?.is_empty() {
        return start(lab, host, ns, served, &healthy(served));
    }
    signal(lab, host, ns, served, Signal::SIGHUP)
}

/// Signals it, if it runs.
pub(crate) fn signal(
    lab: &Lab,
    host: &str,
    ns: &Namespace,
    served: &Served,
    signal: Signal,
) -> Result<(), LabError> {
    // The pid file names dnsmasq itself; beside it runs root's helper for the script.
    let pid_file = network_file(lab, host, served, "pid");
    let pid = fs::read_to_string(&pid_file).ok().and_then(|text| text.trim().parse::<i32>().ok());
    for process in processes(ns, served)?.iter().filter(|process| pid.is_none_or(|pid| pid == process.pid)) {
        // The only failure is that it has just ended.
        let _ = kill(Pid::from_raw(process.pid), signal);
    }
    Ok(())
}

/// Starts it; it answers when this returns.
pub(crate) fn start(
    lab: &Lab,
    host: &str,
    ns: &Namespace,
    served: &Served,
    pool: &Pool,
) -> Result<(), LabError> {
    let mut command = program(lab, arguments(lab, host, served, pool));
    command.env("CONFIG_FILE", format!("[\"{}\"]", lab.host_path(host, "etc/nova/nova.conf").display()));
    command.env("NETWORK_ID", served.id.to_string());
    run(ns, command, "")
}

/// dnsmasq with these arguments. It drops to the user nobody, or stays root where nobody could not
/// read its files.
///
/// In a realm root is the only user, and setgroups(2) is denied. dnsmasq calls it (`main` in src/dnsmasq.c)
/// unless it is told that there is no group to change to.
pub(crate) fn program(lab: &Lab, mut arguments: Vec<String>) -> Command {
    let in_realm = realm::is_here();
    if in_realm || !lab.is_open_to_all() {
        arguments.push("--user=root".to_owned());
    }
    if in_realm {
        arguments.push("--group=".to_owned());
    }
    command("dnsmasq", arguments)
}

/// Ends it: one process without privileges, and root's helper for the script.
pub(crate) fn stop(ns: &Namespace, served: &Served) -> Result<(), LabError> {
    let mark = mark(served);
    process::end_every(&[ns.inode()], |process| process.mentions(&mark)).map(|_| ())
}

/// Found as nova finds them, by the files in their arguments.
fn processes(ns: &Namespace, served: &Served) -> Result<Vec<Process>, LabError> {
    let mark = mark(served);
    let mut found = process::in_namespaces(&[ns.inode()])?;
    found.retain(|process| process.mentions(&mark));
    Ok(found)
}

fn mark(served: &Served) -> String {
    format!("nova-{}.conf", served.bridge.name)
}

/// nova's argument list in nova's order; only the log facility at the end is ours, and what [`program`]
/// appends.
fn arguments(lab: &Lab, host: &str, served: &Served, pool: &Pool) -> Vec<String> {
    let path = |kind: &str| network_file(lab, host, served, kind).display().to_string();
    let leases = match &pool.leases {
        None => "--leasefile-ro".to_owned(),
        Some(leases) => format!("--dhcp-leasefile={}", leases.display()),
    };
    let nova = [
        "--strict-order".to_owned(),
        "--bind-interfaces".to_owned(),
        "--conf-file=".to_owned(),
        format!("--pid-file={}", path("pid")),
        format!("--dhcp-optsfile={}", path("opts")),
        format!("--listen-address={}", pool.listen),
        "--except-interface=lo".to_owned(),
        format!("--dhcp-range={}", pool.range),
        format!("--dhcp-lease-max={}", pool.lease_max),
        format!("--dhcp-hostsfile={}", path("conf")),
        format!("--dhcp-script={}", lab.host_path(host, "bin/nova-dhcpbridge").display()),
        "--no-hosts".to_owned(),
        leases,
        format!("--domain={DHCP_DOMAIN}"),
        format!("--addn-hosts={}", path("hosts")),
        "--no-resolv".to_owned(),
        format!("--server={}", pool.upstream),
        format!("--log-facility={}", log_file(lab, host).display()),
    ];
    nova.into_iter().chain(pool.more.clone()).collect()
}
