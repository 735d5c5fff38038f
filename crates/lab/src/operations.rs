//! What a cloud's users and operators do: boot, delete, floating addresses, security groups, networks, restarts.
//!
//! Each is one transaction in the database, after which the services do what it asks for. Where they cannot, the
//! database stands, and the next operation catches up.

use std::fs;
use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use ipnet::Ipv4Net;
use model::Mac;
use novadb::rows::{Cloud, Instance, Network};
use novadb::{DEFAULT_GROUP, Database, NewInstance, NewNetwork, NewRule};
use plumbing::Namespace;

use crate::await_lease::await_instance;
use crate::database::ask;
use crate::error::{LabError, file};
use crate::layout::{CONSOLE_LOG, FLAT_LINK, PROJECTS, place};
use crate::manager::Service;
use crate::nova::dnsmasq;
use crate::nova::wanted::{self, HostInstance};
use crate::place::Lab;
use crate::rig::{HostNamespace, Rig};
use crate::shape::Manager;
use crate::{dhcp_release, libvirt, manager, record};

/// The last of a console's log that nova's API gives.
const CONSOLE_BYTES: usize = 100 * 1024;
/// How long dnsmasq and its script may take to hear of the end of a lease, and when it is told again.
const RELEASE_PATIENCE: Duration = Duration::from_secs(10);
const RELEASE_AGAIN: Duration = Duration::from_millis(250);
const POLL: Duration = Duration::from_millis(10);
/// Longest host name (RFC 1123).
const MAX_HOSTNAME: usize = 63;

/// What `boot` is told.
#[derive(Debug, Clone, Default)]
pub struct Boot {
    /// Host name.
    pub name: String,
    /// On which host; `None` for the one with the fewest instances.
    pub host: Option<String>,
    /// In which network, by label; `None` for the first.
    pub network: Option<String>,
    /// Its fixed address; `None` for the next that is free.
    pub address: Option<Ipv4Addr>,
    /// Its security groups; none for `default`.
    pub groups: Vec<String>,
}

/// Boots an instance and waits until it has its address.
pub fn boot(lab: &Lab, wanted: &Boot) -> Result<Instance, LabError> {
    check_instance_name(lab, &wanted.name)?;
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut rig = Rig::open(lab)?;
    let cloud = manager::read(lab)?;
    let network = network_named(&cloud, wanted.network.as_deref())?;
    let host = match &wanted.host {
        Some(name) => host_named(lab, name)?,
        None => least_loaded(lab, &cloud),
    };
    let groups =
        if wanted.groups.is_empty() { vec![DEFAULT_GROUP.to_owned()] } else { wanted.groups.clone() };
    let new = NewInstance {
        name: wanted.name.clone(),
        host,
        project: network.project.clone().unwrap_or_else(|| PROJECTS[0].to_owned()),
        networks: vec![(network.id, wanted.address)],
        groups,
        ..NewInstance::default()
    };
    let instance = ask(lab, |db| db.boot(&new))?;
    let cloud = manager::reconcile(lab, &mut rig)?;
    await_instance(lab, &cloud, &instance)?;
    Ok(instance)
}

/// Names become host names, namespaces' names and parts of paths.
pub(crate) fn check_instance_name(lab: &Lab, name: &str) -> Result<(), LabError> {
    let mut reserved: Vec<String> = lab.shape.hosts().into_iter().map(|host| host.name).collect();
    reserved.extend(place::ALL.map(str::to_owned));
    let starts_with_letter = name.starts_with(|c: char| c.is_ascii_lowercase());
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if starts_with_letter && plain && name.len() <= MAX_HOSTNAME && !reserved.iter().any(|own| own == name) {
        return Ok(());
    }
    Err(LabError::BadInstanceName { name: name.to_owned(), reserved: reserved.join(", ") })
}

fn host_named(lab: &Lab, name: &str) -> Result<String, LabError> {
    let computes: Vec<String> =
        lab.shape.hosts().into_iter().take(lab.shape.hosts.into()).map(|host| host.name).collect();
    if computes.iter().any(|known| known == name) {
        return Ok(name.to_owned());
    }
    Err(LabError::UnknownHost { name: name.to_owned(), known: computes.join(", ") })
}

fn least_loaded(lab: &Lab, cloud: &Cloud) -> String {
    let load = |host: &str| cloud.instances.iter().filter(|instance| instance.host == host).count();
    let hosts = lab.shape.hosts().into_iter().take(lab.shape.hosts.into());
    hosts.min_by_key(|host| load(&host.name)).map(|host| host.name).unwrap_or_default()
}

fn network_named<'c>(cloud: &'c Cloud, label: Option<&str>) -> Result<&'c Network, LabError> {
    let found = match label {
        Some(label) => cloud.networks.iter().find(|network| network.label == label),
        None => cloud.networks.first(),
    };
    found.ok_or_else(|| LabError::UnknownNetwork {
        name: label.unwrap_or_default().to_owned(),
        known: names(cloud.networks.iter().map(|network| network.label.as_str())),
    })
}

/// The instance of this name, and what nova-compute wants of it.
pub(crate) fn instance_named<'c>(
    cloud: &'c Cloud,
    name: &str,
) -> Result<(&'c Instance, HostInstance), LabError> {
    let known = || names(cloud.instances.iter().map(|instance| instance.name.as_str()));
    let unknown = || LabError::UnknownInstance { name: name.to_owned(), known: known() };
    let instance = cloud.instances.iter().find(|instance| instance.name == name).ok_or_else(unknown)?;
    Ok((instance, wanted::host_instance(cloud, instance)))
}

fn names<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let names: Vec<&str> = names.collect();
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

fn namespace_of<'r>(rig: &'r mut Rig, name: &str) -> Result<&'r mut HostNamespace, LabError> {
    let known = names(rig.hosts.iter().map(|host| host.host.name.as_str()));
    let found = rig.hosts.iter_mut().find(|host| host.host.name == name);
    found.ok_or(LabError::UnknownHost { name: name.to_owned(), known })
}

/// Terminates an instance: its floating addresses come off, its fixed ones are given back (`force_dhcp_release`:
/// dnsmasq is told that the lease is over), and nothing of it stays.
pub fn delete(lab: &Lab, name: &str) -> Result<(), LabError> {
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut rig = Rig::open(lab)?;
    let cloud = manager::read(lab)?;
    let (instance, wanted) = instance_named(&cloud, name)?;
    // nova destroys the domain first, then gives its addresses back.
    let compute = namespace_of(&mut rig, &instance.host)?;
    manager::begin(lab, &instance.host, &wanted)?;
    libvirt::destroy(lab, &instance.host, &mut compute.ns, &wanted)?;
    ask(lab, |db| db.delete(name))?;
    // With force_dhcp_release the hosts file is rewritten first, then the lease is given back.
    manager::reconcile(lab, &mut rig)?;
    let server = namespace_of(&mut rig, &lab.shape.server_of(&instance.host))?;
    for (vif, nic) in instance.vifs.iter().zip(&wanted.nics) {
        for fixed in vif.fixed.iter().filter(|fixed| fixed.leased) {
            give_back(lab, &server.ns, &nic.bridge.name, (fixed.address, vif.mac))?;
        }
    }
    Ok(())
}

/// Tells dnsmasq that a lease is over until the database has heard of it. Where no dnsmasq is there to hear, the
/// address stays tied, as in nova.
///
/// Once is not enough: libvirt's dnsmasq listens on port 67 of every address too, and of two sockets that share a port
/// (`SO_REUSEPORT`) the kernel gives a unicast packet to one, by a hash in which the sender's port counts.
fn give_back(
    lab: &Lab,
    ns: &Namespace,
    bridge: &str,
    (address, mac): (Ipv4Addr, Mac),
) -> Result<(), LabError> {
    let deadline = Instant::now() + RELEASE_PATIENCE;
    while Instant::now() < deadline {
        dhcp_release::send(ns, bridge, address, mac)?;
        let again = Instant::now() + RELEASE_AGAIN;
        while Instant::now() < again {
            if !ask(lab, |db| db.is_leased(address))? {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
    }
    Ok(())
}

/// An instance ends badly, as in the guide: the process that terminates it dies after the domain is gone and its
/// row is marked. Its fixed address stays allocated, its floating address associated, the host's rules in place.
pub fn delete_unclean(lab: &Lab, name: &str) -> Result<(), LabError> {
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut rig = Rig::open(lab)?;
    let cloud = manager::read(lab)?;
    let (instance, wanted) = instance_named(&cloud, name)?;
    let compute = namespace_of(&mut rig, &instance.host)?;
    libvirt::destroy(lab, &instance.host, &mut compute.ns, &wanted)?;
    libvirt::undefine(lab, &instance.host, &wanted)?;
    ask(lab, |db| db.delete_unclean(name))?;
    crate::site::write(lab, &ask(lab, Database::read)?)
}

/// Switches an instance off; it keeps its addresses.
pub fn stop(lab: &Lab, name: &str) -> Result<(), LabError> {
    change(lab, |cloud| {
        instance_named(cloud, name)?;
        ask(lab, |db| db.stop(name))
    })
    .map(drop)
}

/// Switches it on again and waits until it has its address.
pub fn start(lab: &Lab, name: &str) -> Result<(), LabError> {
    let ((), cloud) = change(lab, |cloud| {
        instance_named(cloud, name)?;
        ask(lab, |db| db.start(name))
    })?;
    let (instance, _) = instance_named(&cloud, name)?;
    await_instance(lab, &cloud, instance)
}

/// One transaction, and then the services; what came of it, and what the database then says.
fn change<T>(lab: &Lab, work: impl FnOnce(&Cloud) -> Result<T, LabError>) -> Result<(T, Cloud), LabError> {
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut rig = Rig::open(lab)?;
    let cloud = manager::read(lab)?;
    let outcome = work(&cloud)?;
    Ok((outcome, manager::reconcile(lab, &mut rig)?))
}

/// The end of an instance's console, as nova's API gives it.
pub fn console(lab: &Lab, name: &str) -> Result<String, LabError> {
    let cloud = ask(lab, Database::read)?;
    let (instance, _) = instance_named(&cloud, name)?;
    let path = lab.instance_dir(&instance.host, &instance.uuid).join(CONSOLE_LOG);
    let log = fs::read(&path).map_err(file("read", path))?;
    let end = log.get(log.len().saturating_sub(CONSOLE_BYTES)..).unwrap_or_default();
    Ok(String::from_utf8_lossy(end).into_owned())
}

/// What the database says.
pub fn show(lab: &Lab) -> Result<Cloud, LabError> {
    ask(lab, Database::read)
}

/// Takes a floating address out of the pool for the first project.
pub fn floating_allocate(lab: &Lab) -> Result<Ipv4Addr, LabError> {
    ask(lab, |db| db.floating_allocate(PROJECTS[0], None))
}

/// Puts a floating address on an instance.
pub fn floating_associate(lab: &Lab, floating: Ipv4Addr, instance: &str) -> Result<(), LabError> {
    change(lab, |cloud| {
        instance_named(cloud, instance)?;
        ask(lab, |db| db.floating_associate(floating, instance, None))
    })
    .map(drop)
}

/// Takes it off.
pub fn floating_disassociate(lab: &Lab, floating: Ipv4Addr) -> Result<(), LabError> {
    change(lab, |_| ask(lab, |db| db.floating_disassociate(floating))).map(drop)
}

/// Puts it back into the pool.
pub fn floating_release(lab: &Lab, floating: Ipv4Addr) -> Result<(), LabError> {
    ask(lab, |db| db.floating_release(floating))
}

/// Makes a security group for the first project, empty.
pub fn group_create(lab: &Lab, name: &str) -> Result<u64, LabError> {
    ask(lab, |db| db.group_create(PROJECTS[0], name))
}

/// Lets something in; the rule's id.
pub fn group_rule_add(lab: &Lab, group: &str, rule: &NewRule) -> Result<u64, LabError> {
    Ok(change(lab, |_| ask(lab, |db| db.group_rule_add(PROJECTS[0], group, rule)))?.0)
}

/// Takes a rule out.
pub fn group_rule_delete(lab: &Lab, rule: u64) -> Result<(), LabError> {
    change(lab, |_| ask(lab, |db| db.group_rule_delete(rule))).map(drop)
}

/// Makes a network: under FlatDHCPManager with a bridge of its own, under VlanManager with the next VLAN, for a
/// project of its own unless it is told.
pub fn network_create(lab: &Lab, label: &str, cidr: Ipv4Net, project: Option<&str>) -> Result<u64, LabError> {
    let (id, _) = change(lab, |cloud| {
        let new = new_network(lab, cloud, label, cidr, project);
        let id = ask(lab, |db| db.network_create(&new))?;
        if !lab.shape.multi_host {
            ask(lab, |db| db.network_set_host(id, crate::layout::NETWORK_HOST))?;
        }
        Ok(id)
    })?;
    Ok(id)
}

/// nova's choice of bridge and VLAN for the next network (nova/network/manager.py `create_networks`).
pub(crate) fn new_network(
    lab: &Lab,
    cloud: &Cloud,
    label: &str,
    cidr: Ipv4Net,
    project: Option<&str>,
) -> NewNetwork {
    let last = cloud.networks.iter().filter_map(|network| network.vlan).max();
    let vlan = match lab.shape.manager {
        Manager::FlatDhcp => None,
        Manager::Vlan => Some(last.map_or(crate::layout::VLAN_START, |last| last + 1)),
    };
    let bridge = match vlan {
        Some(vlan) => format!("br{vlan}"),
        None => format!("br{}", 100 + cloud.networks.len()),
    };
    NewNetwork {
        label: label.to_owned(),
        cidr,
        bridge,
        bridge_interface: Some(FLAT_LINK.to_owned()),
        vlan,
        dns1: Some(crate::layout::EXTERNAL.addr()),
        multi_host: lab.shape.multi_host,
        share_address: lab.shape.share_address,
        project: project.map(str::to_owned),
        ..NewNetwork::default()
    }
}

/// Lets every service do what the database asks for and it has not done yet: after a hand's change of the database, or
/// an operation that could not be finished.
pub fn reconcile(lab: &Lab) -> Result<(), LabError> {
    change(lab, |_| Ok(())).map(drop)
}

/// Restarts a service of nova's on one host, or on every host that runs it. What was restarted, in words.
pub fn restart(lab: &Lab, service: Service, host: Option<&str>) -> Result<Vec<String>, LabError> {
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut rig = Rig::open(lab)?;
    let cloud = manager::read(lab)?;
    if let Some(name) = host {
        namespace_of(&mut rig, name)?;
    }
    let mut restarted = Vec::new();
    for on in rig.hosts.iter_mut().filter(|on| host.is_none_or(|name| on.host.name == name)) {
        if manager::runs(lab, &on.host.name, service) {
            manager::restart(lab, &cloud, on, service)?;
            restarted.push(format!("{} on {}", service.name(), on.host.name));
        }
    }
    Ok(restarted)
}

/// Ends the dnsmasq of one network, or every one that nova runs, and starts it anew. What was restarted, in words.
pub fn restart_dnsmasq(lab: &Lab, network: Option<&str>) -> Result<Vec<String>, LabError> {
    let _lock = record::lock(&lab.name, &lab.state)?;
    let mut rig = Rig::open(lab)?;
    let cloud = manager::read(lab)?;
    let only = network.map(|label| network_named(&cloud, Some(label))).transpose()?.map(|found| found.id);
    let mut restarted = Vec::new();
    for HostNamespace { host, ns } in &mut rig.hosts {
        let wants = wanted::network_service(&cloud, &host.name);
        for served in wants.networks.iter().filter(|served| only.is_none_or(|id| id == served.id)) {
            dnsmasq::stop(ns, served)?;
            dnsmasq::update(lab, &host.name, ns, served)?;
            restarted.push(format!("dnsmasq of {} on {}", served.bridge.name, host.name));
        }
    }
    Ok(restarted)
}
