//! What the tables say of everything that lives (`deleted` = 0 on every side).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use model::Mac;

/// All of it, each table by ascending id.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cloud {
    /// `networks`.
    pub networks: Vec<Network>,
    /// `instances`.
    pub instances: Vec<Instance>,
    /// `floating_ips`.
    pub floating: Vec<Floating>,
    /// `security_groups`.
    pub groups: Vec<Group>,
    /// `services`.
    pub services: Vec<Service>,
}

/// A network.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Network {
    /// `id`.
    pub id: u64,
    /// `uuid`.
    pub uuid: String,
    /// `label`.
    pub label: String,
    /// `cidr`.
    pub cidr: Ipv4Net,
    /// `bridge`.
    pub bridge: String,
    /// `bridge_interface`.
    pub bridge_interface: Option<String>,
    /// `vlan`.
    pub vlan: Option<u16>,
    /// `gateway`.
    pub gateway: Option<Ipv4Addr>,
    /// `dhcp_server`.
    pub dhcp_server: Option<Ipv4Addr>,
    /// `dhcp_start`.
    pub dhcp_start: Ipv4Addr,
    /// `dns1`.
    pub dns1: Option<Ipv4Addr>,
    /// `multi_host`.
    pub multi_host: bool,
    /// `share_address`.
    pub share_address: bool,
    /// `project_id`.
    pub project: Option<String>,
    /// `host`, of a network that is not multi-host.
    pub host: Option<String>,
    /// `vpn_private_address`.
    pub vpn_private_address: Option<Ipv4Addr>,
    /// Rows of `fixed_ips` with `host` set: in multi-host mode each host's own address.
    pub host_addresses: Vec<(String, Ipv4Addr)>,
}

impl Network {
    /// The address that instances on this host have as gateway and DHCP server: the host's own in multi-host mode
    /// without sharing, where it has one yet, else the network's.
    pub fn gateway_on(&self, host: &str) -> Option<Ipv4Addr> {
        if self.multi_host && !self.share_address {
            return self.host_addresses.iter().find(|(name, _)| name == host).map(|(_, address)| *address);
        }
        self.gateway
    }
}

/// An instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// `id`.
    pub id: u32,
    /// `uuid`.
    pub uuid: String,
    /// `hostname`.
    pub name: String,
    /// `host`.
    pub host: String,
    /// `project_id`.
    pub project: String,
    /// `vm_state`: active, stopped, ...
    pub vm_state: String,
    /// `power_state`: 1 running, 4 shut down (nova/compute/power_state.py).
    pub power_state: i32,
    /// Its rows of `virtual_interfaces`.
    pub vifs: Vec<Vif>,
    /// Ids of its security groups.
    pub groups: Vec<u64>,
}

/// A NIC of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vif {
    /// `id`.
    pub id: u64,
    /// `uuid`.
    pub uuid: String,
    /// `address`.
    pub mac: Mac,
    /// `network_id`.
    pub network_id: u64,
    /// Rows of `fixed_ips` that are tied to it.
    pub fixed: Vec<Fixed>,
}

/// A fixed address of an instance.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fixed {
    /// `id`.
    pub id: u64,
    /// `address`.
    pub address: Ipv4Addr,
    /// `allocated`.
    pub allocated: bool,
    /// `leased`.
    pub leased: bool,
}

/// A floating address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Floating {
    /// `id`.
    pub id: u64,
    /// `address`.
    pub address: Ipv4Addr,
    /// The address of the row that `fixed_ip_id` names, whoever has it.
    pub fixed: Option<Ipv4Addr>,
    /// `fixed_ip_id`.
    pub fixed_ip_id: Option<u64>,
    /// `project_id`.
    pub project: Option<String>,
    /// `host`.
    pub host: Option<String>,
    /// `pool`.
    pub pool: String,
    /// `interface`.
    pub interface: Option<String>,
}

/// A security group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Group {
    /// `id`.
    pub id: u64,
    /// `name`.
    pub name: String,
    /// `project_id`.
    pub project: String,
    /// Its rows of `security_group_rules`.
    pub rules: Vec<GroupRule>,
}

/// A rule of a security group: what it lets in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupRule {
    /// `id`.
    pub id: u64,
    /// `protocol`; `None` for all.
    pub protocol: Option<String>,
    /// `from_port`: first port, or ICMP type; -1 for all.
    pub from_port: Option<i32>,
    /// `to_port`: last port, or ICMP code; -1 for all.
    pub to_port: Option<i32>,
    /// `cidr`, where the source is a prefix.
    pub cidr: Option<Ipv4Net>,
    /// `group_id`, where the source is a group.
    pub group: Option<u64>,
}

/// A service on a host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Service {
    /// `host`.
    pub host: String,
    /// `binary`: nova-network, nova-compute.
    pub binary: String,
}
