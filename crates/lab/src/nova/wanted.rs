//! What nova's services on one host want there, as the database says: pure data, out of its rows.
//!
//! A service keeps this in mind and acts where it has changed (`service_memory`), as nova's keep their rules and
//! networks in memory.

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::Mac;
use novadb::rows::{Cloud, Group, Instance, Network, Vif};
use serde::{Deserialize, Serialize};

use crate::layout::FLAT_LINK;

/// What nova-network on a host wants there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkService {
    /// Networks that this host is gateway and DHCP server of, by ascending id.
    pub networks: Vec<Served>,
    /// Floating addresses that this host carries, in the order of their rows.
    pub floating: Vec<FloatingRule>,
}

/// A network that a host is gateway and DHCP server of.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Served {
    /// `networks.id`.
    pub id: u64,
    /// `networks.label`.
    pub label: String,
    /// Its bridge.
    pub bridge: Bridge,
    /// Its prefix.
    pub cidr: Ipv4Net,
    /// The host's address on the bridge: gateway, DHCP and DNS server of the instances.
    pub gateway: Ipv4Addr,
    /// First address that instances may get.
    pub dhcp_start: Ipv4Addr,
    /// Other hosts carry the same gateway address, so that it must not be seen beyond the physical link.
    pub is_shared: bool,
    /// Whom DHCP gives which address, in the order of the rows.
    pub entries: Vec<DhcpEntry>,
}

/// A bridge of instances.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Bridge {
    /// Its name.
    pub name: String,
    /// The physical link below it.
    pub interface: String,
    /// The VLAN on that link, of a VlanManager's network.
    pub vlan: Option<u16>,
}

impl Bridge {
    /// The bridge's port towards the other hosts.
    pub(crate) fn port(&self) -> String {
        self.vlan.map_or_else(|| self.interface.clone(), |vlan| format!("vlan{vlan}"))
    }

    fn of(network: &Network) -> Bridge {
        Bridge {
            name: network.bridge.clone(),
            interface: network.bridge_interface.clone().unwrap_or_else(|| FLAT_LINK.to_owned()),
            vlan: network.vlan,
        }
    }
}

/// A line of dnsmasq's hosts file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct DhcpEntry {
    /// The NIC.
    pub mac: Mac,
    /// The instance's host name.
    pub hostname: String,
    /// Its address.
    pub address: Ipv4Addr,
}

/// A floating address and what hangs on it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct FloatingRule {
    /// The outside address.
    pub floating: Ipv4Addr,
    /// The fixed address.
    pub fixed: Ipv4Addr,
    /// The bridge of the fixed address's network, and its prefix.
    pub inside: (String, Ipv4Net),
}

/// What nova-compute on a host wants there.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ComputeService {
    /// Instances on this host, by ascending id.
    pub instances: Vec<HostInstance>,
}

/// An instance on a host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HostInstance {
    /// `instances.id`, which names its chain and, in hexadecimal, its domain.
    pub id: u32,
    /// `instances.uuid`.
    pub uuid: String,
    /// Host name.
    pub name: String,
    /// It is meant to run, not stopped.
    pub runs: bool,
    /// Its NICs.
    pub nics: Vec<Nic>,
    /// What its security groups let in.
    pub groups: Vec<GroupRule>,
}

impl HostInstance {
    /// libvirt's name for it (`instance_name_template`, hexadecimal).
    pub(crate) fn domain(&self) -> String {
        format!("instance-{:08x}", self.id)
    }
}

/// An instance's NIC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Nic {
    /// Its MAC.
    pub mac: Mac,
    /// Its bridge.
    pub bridge: Bridge,
    /// Its fixed addresses.
    pub fixed: Vec<Ipv4Addr>,
    /// Their network.
    pub cidr: Ipv4Net,
    /// Where its DHCP answers come from.
    pub dhcp_server: Option<Ipv4Addr>,
}

impl Nic {
    /// The tap wears the instance's MAC with `fe` in front (libvirt `virnetdevtap.c`).
    pub(crate) fn tap_mac(&self) -> Mac {
        self.mac.of_tap()
    }

    /// Its first address with the network's prefix length.
    pub(crate) fn fixed_net(&self) -> Option<Ipv4Net> {
        let first = self.fixed.first()?;
        Some(Ipv4Net::new_assert(*first, self.cidr.prefix_len()))
    }
}

/// A rule of a security group, with its source group's members in its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GroupRule {
    /// `security_group_rules.protocol`; `None` for all.
    pub protocol: Option<String>,
    /// First port, or ICMP type; -1 for all.
    pub from_port: Option<i32>,
    /// Last port, or ICMP code; -1 for all.
    pub to_port: Option<i32>,
    /// From where; every address is /0.
    pub source: Ipv4Net,
}

/// Whether nova-network on this host sets up the network: it has instances or an address of its own there, or
/// is the network's one host (nova/db/sqlalchemy/api.py `network_get_all_by_host`).
pub(crate) fn is_served(cloud: &Cloud, network: &Network, host: &str) -> bool {
    if !network.multi_host {
        return network.host.as_deref() == Some(host);
    }
    let has_address = network.host_addresses.iter().any(|(name, _)| name == host);
    has_address || has_instances(cloud, network, host)
}

/// Whether an instance on this host has a NIC in the network.
pub(crate) fn has_instances(cloud: &Cloud, network: &Network, host: &str) -> bool {
    let here = cloud.instances.iter().filter(|instance| instance.host == host);
    here.flat_map(|instance| &instance.vifs).any(|vif| vif.network_id == network.id)
}

/// What nova-network wants on a host.
pub(crate) fn network_service(cloud: &Cloud, host: &str) -> NetworkService {
    let served = cloud.networks.iter().filter(|network| is_served(cloud, network, host));
    let networks = served.filter_map(|network| {
        Some(Served {
            id: network.id,
            label: network.label.clone(),
            bridge: Bridge::of(network),
            cidr: network.cidr,
            gateway: network.gateway_on(host)?,
            dhcp_start: network.dhcp_start,
            is_shared: network.multi_host && network.share_address,
            entries: dhcp_entries(cloud, network, host),
        })
    });
    let networks = networks.collect();
    let carried = cloud.floating.iter().filter(|floating| floating.host.as_deref() == Some(host));
    let floating = carried.filter_map(|floating| {
        let fixed = floating.fixed?;
        let network = cloud.networks.iter().find(|network| network.cidr.contains(&fixed))?;
        let inside = (network.bridge.clone(), network.cidr);
        Some(FloatingRule { floating: floating.address, fixed, inside })
    });
    NetworkService { networks, floating: floating.collect() }
}

/// In multi-host mode each host serves its own instances only.
fn dhcp_entries(cloud: &Cloud, network: &Network, host: &str) -> Vec<DhcpEntry> {
    let instances = cloud.instances.iter().filter(|instance| !network.multi_host || instance.host == host);
    let nics = instances.flat_map(|instance| instance.vifs.iter().map(move |vif| (instance, vif)));
    let entries = nics.filter(|(_, vif)| vif.network_id == network.id).flat_map(|(instance, vif)| {
        let allocated = vif.fixed.iter().filter(|fixed| fixed.allocated);
        allocated.map(move |fixed| DhcpEntry {
            mac: vif.mac,
            hostname: instance.name.clone(),
            address: fixed.address,
        })
    });
    entries.collect()
}

/// What nova-compute wants on a host.
pub(crate) fn compute_service(cloud: &Cloud, host: &str) -> ComputeService {
    let here = cloud.instances.iter().filter(|instance| instance.host == host);
    ComputeService { instances: here.map(|instance| host_instance(cloud, instance)).collect() }
}

/// What nova-compute wants of an instance, on the host that runs it.
pub(crate) fn host_instance(cloud: &Cloud, instance: &Instance) -> HostInstance {
    let groups = cloud.groups.iter().filter(|group| instance.groups.contains(&group.id));
    HostInstance {
        id: instance.id,
        uuid: instance.uuid.clone(),
        name: instance.name.clone(),
        runs: instance.vm_state == "active",
        nics: instance.vifs.iter().filter_map(|vif| nic(cloud, vif, &instance.host)).collect(),
        groups: groups.flat_map(|group| group_rules(cloud, group)).collect(),
    }
}

fn nic(cloud: &Cloud, vif: &Vif, host: &str) -> Option<Nic> {
    let network = cloud.networks.iter().find(|network| network.id == vif.network_id)?;
    Some(Nic {
        mac: vif.mac,
        bridge: Bridge::of(network),
        fixed: vif.fixed.iter().filter(|fixed| fixed.allocated).map(|fixed| fixed.address).collect(),
        cidr: network.cidr,
        dhcp_server: network.gateway_on(host),
    })
}

/// A rule with a source group becomes one for each address of its members (nova/virt/firewall.py
/// `instance_rules`).
fn group_rules(cloud: &Cloud, group: &Group) -> Vec<GroupRule> {
    let mut rules = Vec::new();
    for rule in &group.rules {
        let sources = match (rule.cidr, rule.group) {
            (Some(cidr), _) => vec![cidr],
            (None, Some(source)) => members(cloud, source),
            (None, None) => vec![Ipv4Net::default()],
        };
        rules.extend(sources.into_iter().map(|source| GroupRule {
            protocol: rule.protocol.clone(),
            from_port: rule.from_port,
            to_port: rule.to_port,
            source,
        }));
    }
    rules
}

fn members(cloud: &Cloud, group: u64) -> Vec<Ipv4Net> {
    let instances = cloud.instances.iter().filter(|instance| instance.groups.contains(&group));
    let fixed = instances.flat_map(|instance| &instance.vifs).flat_map(|vif| &vif.fixed);
    fixed.filter(|fixed| fixed.allocated).map(|fixed| Ipv4Net::from(fixed.address)).collect()
}
