//! What is meant: instances, networks and addresses as the cloud's own records tell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::{Ipv4Net, Ipv6Net};
use serde::{Deserialize, Serialize};

use crate::Mac;
use crate::finding::Finding;

/// What the cloud means to be true. Empty for a bare machine.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Intent {
    /// Where it was read: `database sqlite:/...`, `libvirt`, `site file`; empty where nowhere.
    pub sources: Vec<String>,
    /// Read from nova's tables (and so complete), not only pieced together from XML and site file.
    pub from_database: bool,
    /// Instances that live.
    pub instances: Vec<Instance>,
    /// Networks.
    pub networks: Vec<Network>,
    /// What is still recorded of instances that live no more.
    pub remains: Remains,
    /// What is inconsistent in the records of instances in question, each as it is told of the database alone: it stops
    /// nothing there.
    pub inconsistent: Vec<Finding>,
}

/// Rows of the database that speak of instances which live no more: nothing gives them back by itself.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Remains {
    /// Floating addresses that hang on a fixed address of nobody's.
    pub floating: Vec<TiedFloating>,
    /// Fixed addresses that are out of the pool, with nobody who has them.
    pub fixed: Vec<LeakedFixed>,
    /// In which words this database's rows are spoken of.
    pub words: RowWords,
}

/// In which words a person speaks of rows to the database: nova's series and the servers differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct RowWords {
    /// The column that ties a row to an instance: `instance_uuid`, or Essex's `instance_id`.
    pub instance: String,
    /// What is true of a row that lives: `deleted = 0`, or `deleted = false` where that is a flag of PostgreSQL's.
    pub live: String,
}

impl Default for RowWords {
    /// As every series since Grizzly has them.
    fn default() -> RowWords {
        RowWords { instance: "instance_uuid".to_owned(), live: "deleted = 0".to_owned() }
    }
}

impl RowWords {
    /// hopline's own repairs are written in these words alone.
    pub fn are_usual(&self) -> bool {
        *self == RowWords::default()
    }
}

/// A floating address that hangs on a fixed address of nobody's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TiedFloating {
    /// `floating_ips.id`.
    pub id: u64,
    /// The outside address, the fixed one, and the host that carries it.
    pub floating: Floating,
    /// `fixed_ips.id`.
    pub fixed_id: u64,
    /// Whose it was, by uuid (Essex: number); `None` where the fixed address is tied to nobody any more.
    pub instance: Option<String>,
    /// Its name, where its row is still there.
    pub name: Option<String>,
}

/// A fixed address that is out of the pool, with nobody who has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LeakedFixed {
    /// `fixed_ips.id`.
    pub id: u64,
    /// The address.
    pub address: Ipv4Addr,
    /// Index into `Intent::networks`.
    pub network: Option<usize>,
    /// `fixed_ips.allocated`.
    pub allocated: bool,
    /// `fixed_ips.leased`.
    pub leased: bool,
    /// Whose it was, by uuid (Essex: number); `None` where it is tied to nobody.
    pub instance: Option<String>,
    /// Its name, where its row is still there.
    pub name: Option<String>,
}

/// A cloud instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Instance {
    /// `instances.id`, the N of `nova-compute-inst-N`; `None` where no database tells it.
    pub id: Option<u64>,
    /// uuid, where known.
    pub uuid: Option<String>,
    /// The name that people use: hostname or display name.
    pub name: String,
    /// libvirt's name: `instance-0000000a`.
    pub libvirt_name: Option<String>,
    /// Host it runs on, by its name in the site.
    pub host: String,
    /// `instances.host`, by its name in the site: where the database has it; `None` where no database tells.
    pub recorded_host: Option<String>,
    /// nova's vm_state, where known.
    pub vm_state: Option<String>,
    /// nova's task_state: what is being done with it at the moment.
    pub task: Option<String>,
    /// `instances.project_id`: whose it is, where known.
    pub project: Option<String>,
    /// Its NICs.
    pub vifs: Vec<Vif>,
    /// Its security groups.
    pub security_groups: Vec<SecurityGroup>,
    /// Its inside can be read: it is the machine of this name in the snapshot.
    pub entered: bool,
}

/// `vm_state` of what is meant to have no domain that works (nova/compute/vm_states.py).
pub const OFF: [&str; 6] = ["stopped", "paused", "suspended", "shelved", "shelved_offloaded", "soft-delete"];

impl Instance {
    /// Switched off on purpose: it answers nobody, and that is no fault.
    pub fn is_meant_off(&self) -> bool {
        self.vm_state.as_deref().is_some_and(|state| OFF.contains(&state))
    }

    /// nova is not done with it, or gave it up, before it had a NIC: it has never sent a packet.
    pub fn was_never_plugged(&self) -> bool {
        self.vifs.is_empty() && matches!(self.vm_state.as_deref(), Some("building" | "error"))
    }

    /// Every fixed address.
    pub fn fixed(&self) -> impl Iterator<Item = Ipv4Addr> {
        self.vifs.iter().flat_map(|v| v.fixed.iter().copied())
    }

    /// Every floating address with the fixed one it hangs on.
    pub fn floating(&self) -> impl Iterator<Item = &Floating> {
        self.vifs.iter().flat_map(|v| v.floating.iter())
    }
}

/// One NIC of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Vif {
    /// Its MAC.
    pub mac: Option<Mac>,
    /// The link on the host's side, where anything tells its name.
    pub device: Option<String>,
    /// The bridge that link belongs in, where anything tells it.
    pub bridge: Option<String>,
    /// Index into `Intent::networks`.
    pub network: Option<usize>,
    /// Fixed addresses.
    pub fixed: Vec<Ipv4Addr>,
    /// The IPv6 address that the instance is meant to make of its network's range and this MAC: no table has it.
    /// `None` where nova uses no IPv6, or makes it of something else.
    pub made_v6: Option<Ipv6Addr>,
    /// Floating addresses that hang on them.
    pub floating: Vec<Floating>,
    /// What nova's tables lack of it.
    pub lacks: RowLack,
    /// Which record names device and bridge, for evidence: `/etc/libvirt/qemu/instance-00000001.xml`.
    pub source: String,
}

/// What nova's tables lack of a NIC that they have something of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum RowLack {
    /// Nothing; or no table tells of it.
    #[default]
    Nothing,
    /// A fixed address: the NIC's row stands alone.
    Address {
        /// `virtual_interfaces.id`.
        vif_id: u64,
    },
    /// The NIC's row: its fixed address stands alone.
    Nic {
        /// `fixed_ips.id`.
        fixed_id: u64,
    },
}

/// A floating address and what it hangs on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Floating {
    /// `floating_ips.id`; `None` where no database tells it.
    #[serde(default)]
    pub id: Option<u64>,
    /// The outside address.
    pub address: Ipv4Addr,
    /// The fixed address.
    pub fixed: Ipv4Addr,
    /// `floating_ips.host`: which host carries it.
    pub host: Option<String>,
}

/// A nova network.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Network {
    /// `networks.id`.
    pub id: Option<u64>,
    /// Label.
    pub label: String,
    /// Its prefix.
    pub cidr: Option<Ipv4Net>,
    /// Its range of IPv6, with the bits that the row has behind the prefix: nova makes addresses of them, too.
    pub cidr_v6: Option<Ipv6Net>,
    /// `networks.gateway_v6`: as nova-network sets it, the link-local address of the last host that served the network.
    pub gateway_v6: Option<Ipv6Addr>,
    /// Bridge on every host that serves it.
    pub bridge: Option<String>,
    /// Physical link in that bridge.
    pub bridge_interface: Option<String>,
    /// VLAN id, of a VlanManager's network.
    pub vlan: Option<u16>,
    /// `networks.gateway`; in multi-host mode each host has its own beside.
    pub gateway: Option<Ipv4Addr>,
    /// `networks.dhcp_server`.
    pub dhcp_server: Option<Ipv4Addr>,
    /// First address that DHCP gives out.
    pub dhcp_start: Option<Ipv4Addr>,
    /// Each compute host is gateway and DHCP server of its own instances.
    pub multi_host: bool,
    /// All hosts carry the same gateway address.
    pub share_address: bool,
    /// multi-host without sharing: each host's own address (fixed_ips rows with `host` set).
    pub host_addresses: Vec<(String, Ipv4Addr)>,
    /// Network host of a single-host network.
    pub host: Option<String>,
    /// Fixed addresses free to be given, and all that are not reserved; `None` without a database.
    pub free: Option<(u64, u64)>,
}

impl Intent {
    /// Hosts that are gateways of the instance: the one that it runs on in multi-host mode, else its networks' one
    /// host. The former too where nothing tells its networks.
    pub fn servers_of<'i>(&'i self, instance: &'i Instance) -> Vec<&'i str> {
        let networks = instance.vifs.iter().filter_map(|vif| self.networks.get(vif.network?));
        let mut servers: Vec<&str> = networks.map(|network| network.server_for(&instance.host)).collect();
        servers.dedup();
        if servers.is_empty() { vec![&instance.host] } else { servers }
    }

    /// The host that is to carry a floating address, where the database records another one, or none: the instance's in
    /// multi-host mode, else the network's. `None` where the record is right, and where nobody can say: while nova is
    /// at work with the instance, or where that is itself recorded on a host that it does not run on.
    pub fn misrecorded<'i>(&'i self, instance: &'i Instance, vif: &Vif, of: &Floating) -> Option<&'i str> {
        let recorded = instance.recorded_host.as_deref()?;
        let network = self.networks.get(vif.network?)?;
        let right = if network.multi_host { recorded } else { network.host.as_deref()? };
        let is_settled =
            instance.task.is_none() && of.id.is_some() && (!network.multi_host || recorded == instance.host);
        // As nova's database compares them.
        let is_it =
            of.host.as_deref().is_some_and(|host| host.trim_end().eq_ignore_ascii_case(right.trim_end()));
        (is_settled && !right.trim_end().is_empty() && !is_it).then_some(right)
    }
}

impl Network {
    /// The host that is gateway, DHCP and DNS server of instances that run on this one.
    pub fn server_for<'n>(&'n self, host: &'n str) -> &'n str {
        if self.multi_host { host } else { self.host.as_deref().unwrap_or(host) }
    }

    /// The address that instances on this host have as gateway and DHCP server.
    pub fn gateway_on(&self, host: &str) -> Option<Ipv4Addr> {
        if self.multi_host && !self.share_address {
            let own = self.host_addresses.iter().find(|(name, _)| name == host).map(|(_, ip)| *ip);
            return own.or(self.dhcp_server).or(self.gateway);
        }
        self.gateway
    }
}

/// A security group of an instance.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityGroup {
    /// Name.
    pub name: String,
    /// Rules: each lets something in.
    pub rules: Vec<SecurityGroupRule>,
}

/// One ingress rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct SecurityGroupRule {
    /// tcp, udp, icmp; `None` for all.
    pub protocol: Option<String>,
    /// First port, or ICMP type; -1 for all.
    pub from_port: Option<i32>,
    /// Last port, or ICMP code; -1 for all.
    pub to_port: Option<i32>,
    /// Source prefix, where the rule is by address.
    pub cidr: Option<Ipv4Net>,
    /// Source group, where the rule is by group.
    pub group: Option<String>,
}

impl SecurityGroupRule {
    /// Whether the rule lets a packet in from this address; `None` where it depends on a group's members.
    pub fn allows(&self, protocol: u8, port: Option<u16>, source: IpAddr) -> Option<bool> {
        let wanted = match self.protocol.as_deref() {
            None => None,
            Some("icmp") => Some(1),
            Some("tcp") => Some(6),
            Some("udp") => Some(17),
            Some(_) => return Some(false),
        };
        if wanted.is_some_and(|w| w != protocol) {
            return Some(false);
        }
        if let (true, Some(port)) = (protocol != 1, port)
            && let (Some(from), Some(to)) = (self.from_port, self.to_port)
            && from >= 0
            && !(from..=to).contains(&i32::from(port))
        {
            return Some(false);
        }
        match (self.cidr, source) {
            (Some(cidr), IpAddr::V4(v4)) => Some(cidr.contains(&v4)),
            (Some(_), IpAddr::V6(_)) => Some(false),
            (None, _) if self.group.is_some() => None,
            (None, _) => Some(true),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
    const OWN: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 3);

    fn network(multi_host: bool, share_address: bool) -> Network {
        Network {
            gateway: Some(GATEWAY),
            dhcp_server: Some(GATEWAY),
            multi_host,
            share_address,
            host_addresses: vec![("compute1".to_owned(), OWN)],
            host: (!multi_host).then(|| "network1".to_owned()),
            ..Network::default()
        }
    }

    #[test]
    fn each_mode_has_its_gateway() {
        let gateways = [(true, false), (true, true), (false, false)]
            .map(|(multi_host, share)| network(multi_host, share).gateway_on("compute1"));
        assert_eq!(gateways, [Some(OWN), Some(GATEWAY), Some(GATEWAY)]);
        assert_eq!(network(true, false).gateway_on("compute2"), Some(GATEWAY), "what the record says");
    }

    #[test]
    fn a_floating_address_belongs_to_its_instances_host_or_to_the_networks() {
        let told = |multi_host: bool, host: Option<&str>, change: fn(&mut Instance)| {
            let floating =
                Floating { id: Some(1), address: GATEWAY, fixed: OWN, host: host.map(str::to_owned) };
            let vif = Vif { network: Some(0), floating: vec![floating.clone()], ..Vif::default() };
            let on = "compute1".to_owned();
            let mut web1 = Instance { host: on.clone(), recorded_host: Some(on), ..Instance::default() };
            change(&mut web1);
            let intent = Intent { networks: vec![network(multi_host, false)], ..Intent::default() };
            intent.misrecorded(&web1, &vif, &floating).map(str::to_owned)
        };
        let as_it_is: fn(&mut Instance) = |_| {};
        assert_eq!(told(true, Some("compute2"), as_it_is).as_deref(), Some("compute1"));
        assert_eq!(
            told(true, None, as_it_is).as_deref(),
            Some("compute1"),
            "nobody carries it after a restart"
        );
        assert_eq!(told(false, Some("compute1"), as_it_is).as_deref(), Some("network1"));
        assert_eq!(told(true, Some("Compute1 "), as_it_is), None, "one host to nova's database");
        assert_eq!(told(false, Some("network1"), as_it_is), None);
        assert_eq!(told(true, Some("compute2"), |web1| web1.task = Some("migrating".to_owned())), None);
        assert_eq!(told(true, Some("compute2"), |web1| web1.recorded_host = None), None, "shelved");
        let moved: fn(&mut Instance) = |web1| web1.recorded_host = Some("compute2".to_owned());
        assert_eq!(told(true, Some("compute1"), moved), None, "it runs there");
    }

    #[test]
    fn who_serves_is_the_own_host_or_the_network_host() {
        assert_eq!(network(true, true).server_for("compute1"), "compute1");
        assert_eq!(network(false, false).server_for("compute1"), "network1");
        assert_eq!(Network::default().server_for("compute1"), "compute1", "where no record tells");
    }
}
