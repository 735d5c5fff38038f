//! nova's services on the hosts: what the database says is made so. Each acts where what it wants differs from
//! what it has in mind, and where it is restarted, on everything. Neither looks at what the host is like: a rule
//! deleted by hand stays away until its service next has a reason to write, as in nova.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use novadb::Database;
use novadb::rows::Cloud;
use plumbing::Namespace;

use crate::database::ask;
use crate::error::LabError;
use crate::layout::{Host, METADATA_PORT, NETWORK_HOST};
use crate::nova::wanted::{self, Bridge, ComputeService, HostInstance, NetworkService};
use crate::nova::{dnsmasq, ebtables, iptables, linux_net, rules};
use crate::place::Lab;
use crate::rig::{HostNamespace, Rig};
use crate::{libvirt, memory, site};

/// nova's services on a host, by the names of their scripts.
pub const NETWORK: &str = "nova-network";
/// The one that runs instances.
pub const COMPUTE: &str = "nova-compute";
/// The one that answers instances that ask who they are.
pub const METADATA: &str = "nova-api-metadata";

/// Whether a host runs the service: in multi-host mode every host runs all, else the network host has the
/// network's.
pub(crate) fn runs(lab: &Lab, host: &str, service: &str) -> bool {
    let is_network_host = host == NETWORK_HOST;
    match service {
        COMPUTE => !is_network_host,
        _ => lab.shape.multi_host || is_network_host,
    }
}

/// Lets every service on every host do what the database now asks for; returns what it says.
pub(crate) fn reconcile(lab: &Lab, rig: &mut Rig) -> Result<Cloud, LabError> {
    let cloud = read(lab)?;
    let results: Vec<Result<(), LabError>> = thread::scope(|scope| {
        let work = rig.hosts.iter_mut().map(|host| scope.spawn(|| reconcile_host(lab, &cloud, host)));
        let work: Vec<_> = work.collect();
        work.into_iter()
            .map(|host| host.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
            .collect()
    });
    results.into_iter().collect::<Result<(), LabError>>()?;
    site::write(lab, &cloud)?;
    Ok(cloud)
}

fn reconcile_host(lab: &Lab, cloud: &Cloud, host: &mut HostNamespace) -> Result<(), LabError> {
    let HostNamespace { host, ns } = host;
    if runs(lab, &host.name, NETWORK) {
        network(lab, cloud, host, ns)?;
    }
    if runs(lab, &host.name, COMPUTE) {
        compute(lab, cloud, host, ns)?;
    }
    Ok(())
}

/// What the database says, once every host has its own address in each network that it is to serve.
pub(crate) fn read(lab: &Lab) -> Result<Cloud, LabError> {
    let cloud = ask(lab, Database::read)?;
    let mut is_changed = false;
    for network in cloud.networks.iter().filter(|network| network.multi_host && !network.share_address) {
        for host in lab.shape.hosts() {
            let has_address = network.host_addresses.iter().any(|(name, _)| *name == host.name);
            if !has_address && wanted::is_served(&cloud, network, &host.name) {
                ask(lab, |db| db.host_address(network.id, &host.name, None))?;
                is_changed = true;
            }
        }
    }
    if is_changed { ask(lab, Database::read) } else { Ok(cloud) }
}

/// nova-network: bridges with the gateway's address, dnsmasq, floating addresses, and its rules.
fn network(lab: &Lab, cloud: &Cloud, host: &Host, ns: &mut Namespace) -> Result<(), LabError> {
    let wants = wanted::network_service(cloud, &host.name);
    let mind: Option<NetworkService> = memory::recall(lab, &host.name, NETWORK)?;
    if mind.as_ref() == Some(&wants) {
        return Ok(());
    }
    let knew = mind.clone().unwrap_or_default();
    for served in wants.networks.iter().filter(|served| !knew.networks.contains(served)) {
        linux_net::ensure_bridge(ns, host, &served.bridge)?;
        linux_net::ensure_gateway(ns, served)?;
        ebtables::isolate(ns, served)?;
        dnsmasq::update(lab, &host.name, ns, served)?;
    }
    for rule in knew.floating.iter().filter(|rule| !wants.floating.contains(rule)) {
        ebtables::remove_floating(ns, rule)?;
    }
    for rule in wants.floating.iter().filter(|rule| !knew.floating.contains(rule)) {
        linux_net::bind_floating(ns, rule.floating)?;
        ebtables::ensure_floating(ns, rule)?;
    }
    let rules = network_rules(host, &wants);
    if mind.is_none() || rules != network_rules(host, &knew) {
        iptables::apply(ns, &rules)?;
    }
    // Last, so that what is under way is not translated anew in between.
    let still = |floating: Ipv4Addr| wants.floating.iter().any(|rule| rule.floating == floating);
    for rule in knew.floating.iter().filter(|rule| !still(rule.floating)) {
        linux_net::unbind_floating(ns, rule.floating, rule.fixed)?;
    }
    memory::keep(lab, &host.name, NETWORK, &wants)
}

fn network_rules(host: &Host, wants: &NetworkService) -> rules::Ruleset {
    let source = host.public().addr();
    rules::of_network(wants, source, SocketAddrV4::new(source, METADATA_PORT))
}

/// nova-compute: security groups and domains.
fn compute(lab: &Lab, cloud: &Cloud, host: &Host, ns: &mut Namespace) -> Result<(), LabError> {
    let wants = wanted::compute_service(cloud, &host.name);
    let mind: Option<ComputeService> = memory::recall(lab, &host.name, COMPUTE)?;
    if mind.as_ref() == Some(&wants) {
        return Ok(());
    }
    let knew = mind.clone().unwrap_or_default();
    let same = |one: &HostInstance, other: &HostInstance| one.id == other.id;
    for gone in knew.instances.iter().filter(|old| !wants.instances.iter().any(|new| same(old, new))) {
        libvirt::destroy(lab, &host.name, ns, gone)?;
        libvirt::undefine(lab, &host.name, gone)?;
    }
    let rules = rules::of_compute(&wants);
    if mind.is_none() || rules != rules::of_compute(&knew) {
        iptables::apply(ns, &rules)?;
    }
    for instance in wants.instances.iter().filter(|instance| !knew.instances.contains(instance)) {
        if instance.runs {
            ensure_bridges(host, ns, instance)?;
            libvirt::ensure_running(lab, &host.name, ns, instance)?;
        } else {
            libvirt::destroy(lab, &host.name, ns, instance)?;
        }
    }
    memory::keep(lab, &host.name, COMPUTE, &wants)
}

/// nova's VIF driver makes a bridge that nova-network on this host has not made: with a single network host
/// (nova/virt/libvirt/vif.py `plug_bridge`).
fn ensure_bridges(host: &Host, ns: &mut Namespace, instance: &HostInstance) -> Result<(), LabError> {
    let mut bridges: Vec<&Bridge> = instance.nics.iter().map(|nic| &nic.bridge).collect();
    bridges.dedup();
    for bridge in bridges {
        if !plumbing::link::exists(ns, &bridge.name)? {
            linux_net::ensure_bridge(ns, host, bridge)?;
        }
    }
    Ok(())
}

/// nova-api-metadata's rules, which never change.
pub(crate) fn metadata(host: &Host, ns: &Namespace) -> Result<(), LabError> {
    let listens = SocketAddrV4::new(host.public().addr(), METADATA_PORT);
    iptables::apply(ns, &rules::of_metadata(listens))
}

/// The service is restarted: it forgets what it had in mind and does everything anew. What it forgets it no
/// longer cleans up: a floating address that the database has since given up stays on the host.
pub(crate) fn restart(
    lab: &Lab,
    cloud: &Cloud,
    host: &mut HostNamespace,
    service: &str,
) -> Result<(), LabError> {
    let HostNamespace { host, ns } = host;
    memory::forget(lab, &host.name, service)?;
    match service {
        NETWORK => network(lab, cloud, host, ns),
        COMPUTE => compute(lab, cloud, host, ns),
        _ => metadata(host, ns),
    }
}

/// Every rule of every service on the host as nova would have them, and no others.
pub(crate) fn rewrite_rules(lab: &Lab, host: &Host, ns: &Namespace) -> Result<(), LabError> {
    iptables::clear(ns)?;
    if runs(lab, &host.name, METADATA) {
        metadata(host, ns)?;
    }
    if let Some(network) = memory::recall::<NetworkService>(lab, &host.name, NETWORK)? {
        iptables::apply(ns, &network_rules(host, &network))?;
    }
    if let Some(compute) = memory::recall::<ComputeService>(lab, &host.name, COMPUTE)? {
        iptables::apply(ns, &rules::of_compute(&compute))?;
    }
    Ok(())
}
