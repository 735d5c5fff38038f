//! nova-network's dnsmasq for the bridge (nova/network/linux_net.py `restart_dhcp`): its files, its
//! argument list, and finding it again.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use plumbing::Namespace;

use super::conf::LEASE_SECONDS;
use crate::command::{command, run};
use crate::error::{LabError, file};
use crate::layout::{
    BRIDGE, BRIDGE_ADDRESS, DHCP_DOMAIN, DHCP_START, EXTERNAL, INSTANCES, NETWORK, NETWORK_LABEL,
};
use crate::place::Lab;
use crate::process;
use crate::realm;

/// What differs between the dnsmasq of health and that of a fault.
#[derive(Debug, Clone)]
pub(crate) struct Pool {
    /// `--dhcp-range`.
    pub range: String,
    /// A lease file in place of nova's database, for a fault that needs ghosts in it.
    pub leases: Option<PathBuf>,
}

/// Every instance has its own line in the hosts file, and nobody else gets an address.
pub(crate) fn healthy() -> Pool {
    Pool {
        range: format!("set:{NETWORK_LABEL},{DHCP_START},static,{},{LEASE_SECONDS}s", NETWORK.netmask()),
        leases: None,
    }
}

/// `nova-br100.conf`: who gets which address. No newline at the end, as nova writes it.
pub(crate) fn hosts_file(lab: &Lab) -> PathBuf {
    lab.path(format!("networks/nova-{BRIDGE}.conf"))
}

/// Where its messages go. nova's goes to syslog, which a namespace has none of.
pub(crate) fn log_file(lab: &Lab) -> PathBuf {
    lab.path("log/dnsmasq.log")
}

/// Writes the files that nova writes before it starts dnsmasq.
pub(crate) fn write_files(lab: &Lab) -> Result<(), LabError> {
    let hosts: Vec<_> =
        INSTANCES.iter().map(|i| format!("{},{}.{DHCP_DOMAIN},{}", i.mac, i.name, i.fixed)).collect();
    let path = hosts_file(lab);
    fs::write(&path, hosts.join("\n")).map_err(file("write", path))?;
    let path = lab.path(format!("networks/nova-{BRIDGE}.opts"));
    fs::write(&path, format!("3,{}", BRIDGE_ADDRESS.addr())).map_err(file("write", path))
}

/// Starts it; it answers when this returns.
pub(crate) fn start(lab: &Lab, compute: &Namespace, pool: &Pool) -> Result<(), LabError> {
    let mut command = program(lab, arguments(lab, pool));
    command.env("CONFIG_FILE", format!("[\"{}\"]", lab.path("etc/nova/nova.conf").display()));
    command.env("NETWORK_ID", "1");
    run(compute, command, "")
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

/// Ends it: one process without privileges, and root's helper for the script. Found as nova finds them, by
/// the files in their arguments.
pub(crate) fn stop(compute: &Namespace) -> Result<(), LabError> {
    let file = format!("nova-{BRIDGE}.");
    process::end_every(&[compute.inode()], |process| process.mentions(&file)).map(|_| ())
}

/// nova's argument list in nova's order; only the log facility at the end is ours, and what [`program`]
/// appends.
fn arguments(lab: &Lab, pool: &Pool) -> Vec<String> {
    let path = |name: &str| lab.path("networks").join(name).display().to_string();
    let leases = match &pool.leases {
        None => "--leasefile-ro".to_owned(),
        Some(leases) => format!("--dhcp-leasefile={}", leases.display()),
    };
    vec![
        "--strict-order".to_owned(),
        "--bind-interfaces".to_owned(),
        "--conf-file=".to_owned(),
        format!("--pid-file={}", path(&format!("nova-{BRIDGE}.pid"))),
        format!("--dhcp-optsfile={}", path(&format!("nova-{BRIDGE}.opts"))),
        format!("--listen-address={}", BRIDGE_ADDRESS.addr()),
        "--except-interface=lo".to_owned(),
        format!("--dhcp-range={}", pool.range),
        format!("--dhcp-lease-max={}", 1_u64 << (32 - NETWORK.prefix_len())),
        format!("--dhcp-hostsfile={}", hosts_file(lab).display()),
        format!("--dhcp-script={}", lab.path("bin/nova-dhcpbridge").display()),
        "--no-hosts".to_owned(),
        leases,
        format!("--domain={DHCP_DOMAIN}"),
        format!("--addn-hosts={}", path(&format!("nova-{BRIDGE}.hosts"))),
        "--no-resolv".to_owned(),
        format!("--server={}", EXTERNAL.addr()),
        format!("--log-facility={}", log_file(lab).display()),
    ]
}
