//! nova's services on the hosts: what the database says is made so. Each acts where what it wants differs from
//! what it has in mind, and where it is restarted, on everything. Neither looks at what the host is like: a rule
//! deleted by hand stays away until its service next has a reason to write, as in nova.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::thread;

use novadb::Database;
use novadb::rows::Cloud;
use plumbing::Namespace;
use serde::{Deserialize, Serialize};

use crate::database::ask;
use crate::error::LabError;
use crate::layout::{Host, METADATA_PORT, NETWORK_HOST};
use crate::nova::wanted::{self, Bridge, ComputeService, HostInstance, NetworkService};
use crate::nova::{dnsmasq, ebtables, iptables, linux_net, rules};
use crate::place::Lab;
use crate::rig::{HostNamespace, Rig};
use crate::{libvirt, memory, site};

/// A service of nova's on a host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// The one that makes bridges, serves addresses and translates them.
    Network,
    /// The one that runs instances.
    Compute,
    /// The one that answers instances that ask who they are.
    Metadata,
}

impl Service {
    /// The name of its script, which its chains begin with.
    pub fn name(self) -> &'static str {
        match self {
            Service::Network => "nova-network",
            Service::Compute => "nova-compute",
            Service::Metadata => "nova-api-metadata",
        }
    }
}

/// Whether a host runs the service: in multi-host mode every host runs all, else the network host has the
/// network's.
pub(crate) fn runs(lab: &Lab, host: &str, service: Service) -> bool {
    let is_network_host = host == NETWORK_HOST;
    match service {
        Service::Compute => !is_network_host,
        Service::Network | Service::Metadata => lab.shape.multi_host || is_network_host,
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
    if runs(lab, &host.name, Service::Network) {
        network(lab, cloud, host, ns)?;
    }
    if runs(lab, &host.name, Service::Compute) {
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
    let mind: Option<NetworkService> = memory::recall(lab, &host.name, Service::Network)?;
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
    memory::keep(lab, &host.name, Service::Network, &wants)
}

fn network_rules(host: &Host, wants: &NetworkService) -> rules::Ruleset {
    let source = host.public().addr();
    rules::of_network(wants, source, SocketAddrV4::new(source, METADATA_PORT))
}

/// What nova-compute on a host has in mind.
#[derive(Default, Serialize, Deserialize)]
struct ComputeMind {
    /// What it has done.
    done: ComputeService,
    /// What it was at work on. Where it was killed then, it cannot tell how far it came with these.
    begun: Vec<HostInstance>,
}

/// nova-compute: security groups and domains.
fn compute(lab: &Lab, cloud: &Cloud, host: &Host, ns: &mut Namespace) -> Result<(), LabError> {
    let wants = wanted::compute_service(cloud, &host.name);
    let mind: Option<ComputeMind> = memory::recall(lab, &host.name, Service::Compute)?;
    let is_sure = mind.as_ref().is_some_and(|mind| mind.begun.is_empty());
    let ComputeMind { done: knew, begun } = mind.unwrap_or_default();
    if is_sure && knew == wants {
        return Ok(());
    }
    let is_of = |all: &[HostInstance], id: u32| all.iter().any(|instance| instance.id == id);
    let (mut kept, mut changed) = (Vec::new(), Vec::new());
    for instance in &wants.instances {
        let is_done = knew.instances.contains(instance) && !is_of(&begun, instance.id);
        if is_done { kept.push(instance.clone()) } else { changed.push(instance.clone()) }
    }
    let known = knew.instances.iter().chain(&begun);
    let gone: Vec<HostInstance> = known.filter(|old| !is_of(&wants.instances, old.id)).cloned().collect();
    let rules = rules::of_compute(&wants);
    let has_rules = is_sure && rules == rules::of_compute(&knew);
    let begun = [changed.clone(), gone.clone()].concat();
    let mind = ComputeMind { done: ComputeService { instances: kept }, begun };
    memory::keep(lab, &host.name, Service::Compute, &mind)?;
    for instance in &gone {
        libvirt::destroy(lab, &host.name, ns, instance)?;
        libvirt::undefine(lab, &host.name, instance)?;
    }
    if !has_rules {
        iptables::apply(ns, &rules)?;
    }
    for instance in &changed {
        if instance.runs {
            ensure_bridges(host, ns, instance)?;
            libvirt::ensure_running(lab, &host.name, ns, instance)?;
        } else {
            libvirt::destroy(lab, &host.name, ns, instance)?;
        }
    }
    memory::keep(lab, &host.name, Service::Compute, &ComputeMind { done: wants, begun: Vec::new() })
}

/// nova-compute is at work on an instance, and has not done it if it is killed now.
pub(crate) fn begin(lab: &Lab, host: &str, instance: &HostInstance) -> Result<(), LabError> {
    let Some(mut mind) = memory::recall::<ComputeMind>(lab, host, Service::Compute)? else { return Ok(()) };
    mind.begun.push(instance.clone());
    memory::keep(lab, host, Service::Compute, &mind)
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
    service: Service,
) -> Result<(), LabError> {
    let HostNamespace { host, ns } = host;
    memory::forget(lab, &host.name, service)?;
    match service {
        Service::Network => network(lab, cloud, host, ns),
        Service::Compute => compute(lab, cloud, host, ns),
        Service::Metadata => metadata(host, ns),
    }
}

/// Every rule of every service on the host as nova would have them, and no others.
pub(crate) fn rewrite_rules(lab: &Lab, host: &Host, ns: &Namespace) -> Result<(), LabError> {
    iptables::clear(ns)?;
    if runs(lab, &host.name, Service::Metadata) {
        metadata(host, ns)?;
    }
    if let Some(network) = memory::recall::<NetworkService>(lab, &host.name, Service::Network)? {
        iptables::apply(ns, &network_rules(host, &network))?;
    }
    if let Some(compute) = memory::recall::<ComputeMind>(lab, &host.name, Service::Compute)? {
        iptables::apply(ns, &rules::of_compute(&compute.done))?;
    }
    Ok(())
}
