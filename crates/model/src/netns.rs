//! One network namespace: everything in it that decides a packet's fate.

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::conntrack::CtEntry;
use crate::link::{FdbEntry, Link, LinkKind};
use crate::netfilter::Ruleset;
use crate::route::{Address, FibRule, Neighbour, NeighbourTable, Route};
use crate::service::ResolvConf;

/// A network namespace as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Netns {
    /// Name of the host or instance it belongs to.
    pub machine: String,
    /// Empty for the machine's main namespace.
    pub name: String,
    /// How to enter it by hand: the name under /run/netns, where it has one.
    pub enter: Option<String>,
    /// Inode of the namespace; `None` from files.
    pub inode: Option<u64>,
    /// It is the inside of an instance.
    pub instance: bool,
    /// Links in order of ifindex.
    pub links: Vec<Link>,
    /// Addresses in the kernel's order.
    pub addresses: Vec<Address>,
    /// Routes of all tables.
    pub routes: Vec<Route>,
    /// FIB rules by ascending priority, IPv4's.
    pub rules: Vec<FibRule>,
    /// IPv6's.
    pub rules6: Vec<FibRule>,
    /// Neighbour entries.
    pub neighbours: Vec<Neighbour>,
    /// The machine's tables that these are in; empty where they were not read.
    pub neighbour_tables: Vec<NeighbourTable>,
    /// Forwarding databases of all bridges.
    pub fdb: Vec<FdbEntry>,
    /// Netfilter.
    pub ruleset: Ruleset,
    /// Connections that were tracked when it was read.
    pub conntrack: Vec<CtEntry>,
    /// Sysctls by dotted name without the `net.` prefix: `ipv4.ip_forward`.
    pub sysctls: BTreeMap<String, String>,
    /// Bound sockets that receive: UDP and TCP listeners.
    pub sockets: Vec<Socket>,
    /// Whom programs in it ask for names; `None` where that is not known.
    pub resolver: Option<ResolvConf>,
}

impl Netns {
    /// The link of this ifindex.
    pub fn link(&self, index: u32) -> Option<&Link> {
        self.links.iter().find(|l| l.index == index)
    }

    /// The link of this name.
    pub fn link_named(&self, name: &str) -> Option<&Link> {
        self.links.iter().find(|l| l.name == name)
    }

    /// Name of the link, or its number where it is gone.
    pub fn link_name(&self, index: u32) -> String {
        self.link(index).map_or_else(|| format!("if{index}"), |l| l.name.clone())
    }

    /// Ports of a bridge, by ifindex.
    pub fn ports(&self, bridge: u32) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(move |l| l.master == Some(bridge))
    }

    /// Bridges, in order of ifindex.
    pub fn bridges(&self) -> impl Iterator<Item = &Link> {
        self.links.iter().filter(|l| l.kind == LinkKind::Bridge)
    }

    /// Whether the machine carries this address on any link.
    pub fn has_address(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|a| a.net.addr() == ip)
    }

    /// Addresses of a link.
    pub fn addresses_of(&self, link: u32) -> impl Iterator<Item = &Address> {
        self.addresses.iter().filter(move |a| a.link == link)
    }

    /// A sysctl's number; `None` where it was not read.
    pub fn sysctl(&self, name: &str) -> Option<i64> {
        self.sysctls.get(name)?.trim().parse().ok()
    }
}

/// A bound, receiving socket (`ss -lunpt`).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Socket {
    /// IP protocol number: 6 or 17.
    pub protocol: u8,
    /// Address bound to; unspecified for any of its family. A `::` that takes IPv4 too is told as two
    /// sockets, `0.0.0.0` and `::`.
    pub address: IpAddr,
    /// Port bound to, host order.
    pub port: u16,
    /// Link it is bound to (`SO_BINDTODEVICE`), where known.
    pub device: Option<String>,
    /// Bytes waiting to be read.
    #[serde(default)]
    pub receive_queue: u32,
}
