//! What the cloud's database begins with: services, networks, floating addresses, groups and the first instances.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use novadb::rows::Cloud;
use novadb::{Database, DbError, NewInstance, NewNetwork, NewRule};

use crate::database::ask;
use crate::error::LabError;
use crate::layout::{
    BRIDGE, DHCP_START, EXTERNAL, FIRST_INSTANCES, FLAT_LINK, FLOATING_MORE, FLOATING_POOL, NETWORK,
    NETWORK_GATEWAY, NETWORK_HOST, NETWORK_LABEL, PROJECTS, UPLINK, VLAN_START, WEB1, WEB1_FLOATING,
};
use crate::manager;
use crate::place::Lab;
use crate::shape::Manager;

/// The pool that floating addresses are in (`default_floating_pool`).
const POOL: &str = "nova";

/// What to begin with.
pub(crate) struct Seed {
    networks: Vec<NewNetwork>,
    /// Instances, each with the index of its network.
    instances: Vec<(NewInstance, usize)>,
}

/// The networks of the manager, and `count` instances: two on the first host, then one on each other in turn.
pub(crate) fn plan(lab: &Lab, count: Option<u16>) -> Seed {
    let hosts = u16::from(lab.shape.hosts);
    let count = count.unwrap_or(hosts + 1);
    let mut instances: Vec<(NewInstance, usize)> = (0..count).map(|at| (web(lab, at, hosts), 0)).collect();
    let networks = match lab.shape.manager {
        Manager::FlatDhcp => vec![flat_network(lab)],
        Manager::Vlan => {
            // Another project has an instance of its own beside each of the first two hosts' web servers.
            instances.extend((1..=hosts.min(2)).map(|number| (other_projects(number), 1)));
            vec![vlan_network(lab, 0), vlan_network(lab, 1)]
        }
    };
    Seed { networks, instances }
}

fn flat_network(lab: &Lab) -> NewNetwork {
    NewNetwork {
        label: NETWORK_LABEL.to_owned(),
        cidr: NETWORK,
        bridge: BRIDGE.to_owned(),
        bridge_interface: Some(FLAT_LINK.to_owned()),
        gateway: Some(NETWORK_GATEWAY),
        dhcp_start: Some(DHCP_START),
        dns1: Some(EXTERNAL.addr()),
        multi_host: lab.shape.multi_host,
        share_address: lab.shape.share_address,
        ..NewNetwork::default()
    }
}

/// The network of the project of this index: its own VLAN, bridge and prefix.
fn vlan_network(lab: &Lab, at: u8) -> NewNetwork {
    let vlan = VLAN_START + u16::from(at);
    NewNetwork {
        label: ["demo", "other"].get(usize::from(at)).map(|label| (*label).to_owned()).unwrap_or_default(),
        cidr: Ipv4Net::new_assert(Ipv4Addr::new(10, 1, at, 0), 24),
        bridge: format!("br{vlan}"),
        bridge_interface: Some(FLAT_LINK.to_owned()),
        vlan: Some(vlan),
        dns1: Some(EXTERNAL.addr()),
        multi_host: lab.shape.multi_host,
        share_address: lab.shape.share_address,
        project: PROJECTS.get(usize::from(at)).map(|project| (*project).to_owned()),
        ..NewNetwork::default()
    }
}

fn web(lab: &Lab, at: u16, hosts: u16) -> NewInstance {
    let host = if at < 2 { 1 } else { (at - 1) % hosts + 1 };
    let mut new = NewInstance {
        name: format!("web{}", at + 1),
        host: format!("compute{host}"),
        project: PROJECTS[0].to_owned(),
        groups: vec!["default".to_owned()],
        ..NewInstance::default()
    };
    if let Some(first) = FIRST_INSTANCES.get(usize::from(at)) {
        new.uuid = Some(first.uuid.to_owned());
        new.vif_uuid = Some(first.vif_uuid.to_owned());
        new.mac = Some(first.mac);
        // The network's id comes when it is made; the address is the flat network's.
        if lab.shape.manager == Manager::FlatDhcp {
            new.networks = vec![(0, Some(first.fixed))];
        }
    }
    new
}

fn other_projects(number: u16) -> NewInstance {
    NewInstance {
        name: format!("db{number}"),
        host: format!("compute{number}"),
        project: PROJECTS[1].to_owned(),
        groups: vec!["default".to_owned()],
        ..NewInstance::default()
    }
}

/// Writes all of it, and returns what the database then says.
pub(crate) fn sow(lab: &Lab, seed: &Seed) -> Result<Cloud, LabError> {
    ask(lab, |db| {
        db.create_schema(&lab.name)?;
        for host in lab.shape.hosts() {
            for service in services(&host.name, lab.shape.multi_host) {
                db.service_create(&host.name, service)?;
            }
        }
        let mut ids = Vec::new();
        for network in &seed.networks {
            let id = db.network_create(network)?;
            if !lab.shape.multi_host {
                db.network_set_host(id, NETWORK_HOST)?;
            }
            ids.push(id);
        }
        for (id, host, address) in host_addresses(lab, &ids) {
            db.host_address(id, &host, Some(address))?;
        }
        floating(db)?;
        groups(db)?;
        for (instance, network) in &seed.instances {
            let Some(id) = ids.get(*network) else { continue };
            let address = instance.networks.first().and_then(|(_, address)| *address);
            db.boot(&NewInstance { networks: vec![(*id, address)], ..instance.clone() })?;
        }
        if seed.instances.iter().any(|(instance, _)| instance.name == WEB1) {
            db.floating_associate(WEB1_FLOATING, WEB1, None)?;
        }
        Ok(())
    })?;
    manager::read(lab)
}

/// Hosts' own addresses in the flat network, before instances come to have them.
fn host_addresses(lab: &Lab, networks: &[u64]) -> Vec<(u64, String, Ipv4Addr)> {
    let has_own = lab.shape.multi_host && !lab.shape.share_address;
    let flat = match lab.shape.manager {
        Manager::FlatDhcp if has_own => networks.first(),
        Manager::FlatDhcp | Manager::Vlan => None,
    };
    let of =
        |id: u64| lab.shape.hosts().into_iter().map(move |host| (id, host.name.clone(), host.flat_gateway()));
    flat.copied().into_iter().flat_map(of).collect()
}

fn services(host: &str, multi_host: bool) -> Vec<&'static str> {
    match (multi_host, host == NETWORK_HOST) {
        (true, _) => vec!["nova-network", "nova-compute"],
        (false, true) => vec!["nova-network"],
        (false, false) => vec!["nova-compute"],
    }
}

fn floating(db: &Database) -> Result<(), DbError> {
    let [first, last] = FLOATING_POOL;
    let [more_first, more_last] = FLOATING_MORE;
    let range = |first: Ipv4Addr, last: Ipv4Addr| (u32::from(first)..=u32::from(last)).map(Ipv4Addr::from);
    let all: Vec<Ipv4Addr> = range(first, last).chain(range(more_first, more_last)).collect();
    db.floating_create(&all, POOL, UPLINK)?;
    db.floating_allocate_address(PROJECTS[0], first)
}

/// The first project's group `default` lets in ping, ssh and the web from anywhere; the other's is as nova makes
/// it: nothing but its own network.
fn groups(db: &Database) -> Result<(), DbError> {
    for project in PROJECTS {
        db.group_create(project, "default")?;
    }
    for (protocol, port) in [("icmp", -1), ("tcp", 22), ("tcp", 80)] {
        let rule = NewRule {
            protocol: Some(protocol.to_owned()),
            from_port: Some(port),
            to_port: Some(port),
            cidr: Some(Ipv4Net::default()),
            group: None,
        };
        db.group_rule_add(PROJECTS[0], "default", &rule)?;
    }
    Ok(())
}
