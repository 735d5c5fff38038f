//! What nova's rules on a host follow from, and the lab's own case of it.

use std::net::{Ipv4Addr, SocketAddrV4};

use ipnet::Ipv4Net;
use plumbing::route::DEFAULT;

use crate::layout::{BRIDGE, BRIDGE_ADDRESS, HOST_PUBLIC, INSTANCES, METADATA_PORT, NETWORK, UPLINK};

/// Everything that decides nova's rules on one host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostRules {
    /// The instances' bridge.
    pub bridge: String,
    /// Their network.
    pub network: Ipv4Net,
    /// The host's own address on the bridge, where their DHCP answers come from.
    pub dhcp_server: Ipv4Addr,
    /// `public_interface`.
    pub public_link: String,
    /// `routing_source_ip`.
    pub source: Ipv4Addr,
    /// `metadata_host` and `metadata_port`.
    pub metadata: SocketAddrV4,
    /// The instances on this host.
    pub instances: Vec<InstanceRules>,
    /// Floating addresses on this host.
    pub floating: Vec<FloatingRule>,
}

/// An instance's part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct InstanceRules {
    /// `instances.id`, which names its chain.
    pub id: u32,
    /// Its fixed address.
    pub fixed: Ipv4Addr,
    /// Rules of its security groups.
    pub groups: Vec<GroupRule>,
}

/// A floating address and what hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FloatingRule {
    /// The outside address.
    pub floating: Ipv4Addr,
    /// The fixed address.
    pub fixed: Ipv4Addr,
}

/// A rule of a security group, as its row in the database says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct GroupRule {
    /// What it lets in.
    pub traffic: Traffic,
    /// From where.
    pub source: Ipv4Net,
}

/// What a security group's rule lets in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Traffic {
    /// Any ICMP (type -1, code -1).
    Icmp,
    /// TCP to ports from the first to the last.
    Tcp(u16, u16),
}

impl Traffic {
    /// `security_group_rules.protocol`, `.from_port`, `.to_port`.
    pub(crate) fn columns(self) -> (&'static str, i32, i32) {
        match self {
            Traffic::Icmp => ("icmp", -1, -1),
            Traffic::Tcp(first, last) => ("tcp", i32::from(first), i32::from(last)),
        }
    }
}

/// The group `default`: ping, ssh and the web from anywhere.
pub(crate) const DEFAULT_GROUP: [GroupRule; 3] = [
    GroupRule { traffic: Traffic::Icmp, source: DEFAULT },
    GroupRule { traffic: Traffic::Tcp(22, 22), source: DEFAULT },
    GroupRule { traffic: Traffic::Tcp(80, 80), source: DEFAULT },
];

/// The lab's compute host in health.
pub(crate) fn healthy() -> HostRules {
    HostRules {
        bridge: BRIDGE.to_owned(),
        network: NETWORK,
        dhcp_server: BRIDGE_ADDRESS.addr(),
        public_link: UPLINK.to_owned(),
        source: HOST_PUBLIC.addr(),
        metadata: SocketAddrV4::new(HOST_PUBLIC.addr(), METADATA_PORT),
        instances: INSTANCES
            .iter()
            .map(|i| InstanceRules { id: i.id, fixed: i.fixed, groups: DEFAULT_GROUP.to_vec() })
            .collect(),
        floating: INSTANCES
            .iter()
            .filter_map(|i| i.floating.map(|floating| FloatingRule { floating, fixed: i.fixed }))
            .collect(),
    }
}
