//! What a lab is asked to be: which manager, how many hosts, who is the instances' gateway, and what an
//! instance is made of.

use serde::{Deserialize, Serialize};

use crate::error::LabError;
use crate::layout::{Host, NETWORK_HOST};

/// Most compute hosts: their public addresses end before the floating ones begin.
pub const MAX_HOSTS: u8 = 16;

/// A lab's shape.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Shape {
    /// `network_manager`.
    pub manager: Manager,
    /// Compute hosts, 1 to [`MAX_HOSTS`].
    pub hosts: u8,
    /// Each compute host is gateway, DHCP and metadata server of its own instances; else one network host
    /// is, of all.
    pub multi_host: bool,
    /// In multi-host mode every host carries the network's gateway address itself (`share_dhcp_address`).
    pub share_address: bool,
    /// What an instance is.
    pub guest: GuestKind,
}

impl Default for Shape {
    fn default() -> Shape {
        Shape {
            manager: Manager::FlatDhcp,
            hosts: 1,
            multi_host: true,
            share_address: false,
            guest: GuestKind::Netns,
        }
    }
}

/// `network_manager`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Manager {
    /// FlatDHCPManager: one network, one bridge, for all.
    FlatDhcp,
    /// VlanManager: a network, a VLAN and a bridge for each project.
    Vlan,
}

impl Manager {
    /// The class that `network_manager` names.
    pub(crate) fn class(self) -> &'static str {
        match self {
            Manager::FlatDhcp => "nova.network.manager.FlatDHCPManager",
            Manager::Vlan => "nova.network.manager.VlanManager",
        }
    }
}

/// What an instance is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum GuestKind {
    /// A network namespace at the end of a veth pair.
    Netns,
    /// A virtual machine under QEMU, on a tap.
    Qemu,
}

impl Shape {
    /// The hosts: compute hosts, and the network host where there is one.
    pub fn hosts(&self) -> Vec<Host> {
        let mut hosts: Vec<Host> = (1..=self.hosts).map(Host::compute).collect();
        if !self.multi_host {
            hosts.push(Host { name: NETWORK_HOST.to_owned(), number: MAX_HOSTS + 1 });
        }
        hosts
    }

    /// The host that is the gateway of instances on this compute host.
    pub fn server_of(&self, compute: &str) -> String {
        if self.multi_host { compute.to_owned() } else { NETWORK_HOST.to_owned() }
    }

    /// Refuses what cannot be.
    pub(crate) fn check(&self) -> Result<(), LabError> {
        let complaint = if self.hosts == 0 || self.hosts > MAX_HOSTS {
            Some(format!("--hosts takes 1 to {MAX_HOSTS}, and got {}", self.hosts))
        } else if self.share_address && !self.multi_host {
            Some("--share-address is of multi-host mode: leave out --no-multi-host".to_owned())
        } else {
            None
        };
        complaint.map_or(Ok(()), |complaint| Err(LabError::BadShape { complaint }))
    }
}
