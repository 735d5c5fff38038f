//! Entries that a remedy takes out of a machine's tables, and what it sets a link to.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::link::BridgePort;
use model::queueing::QdiscPlace;
use model::route::{Address, FibRule, RouteKind, TABLE_LOCAL};
use model::{Mac, Netns};

/// An entry of one of a machine's tables.
#[derive(Debug, Clone)]
pub enum Entry {
    /// Routes of this kind to just this prefix.
    Route {
        /// Number of the table.
        table: u32,
        /// The prefix.
        destination: IpNet,
        /// What they do.
        kind: RouteKind,
    },
    /// A FIB rule, boxed for its size.
    Rule(Box<FibRule>),
    /// What an address is taken to be at.
    Neighbour {
        /// Link.
        device: String,
        /// The address.
        ip: IpAddr,
    },
    /// What a bridge knows of a station behind one of its ports.
    Station {
        /// Port.
        device: String,
        /// The station.
        mac: Mac,
    },
    /// A link's address, with the routes that it brought.
    Address {
        /// Link.
        device: String,
        /// The address.
        net: IpNet,
    },
}

/// What a link is set to.
#[derive(Debug, Clone)]
pub enum Setting {
    /// Its switches as a bridge's port.
    Port(BridgePort),
    /// Its MAC.
    Mac(Mac),
    /// Its one IPv4 address.
    Address(Ipv4Net),
    /// An IPv4 address beside those that it has, with the routes that it brings.
    Beside(Ipv4Net),
    /// No XDP program on it.
    NoXdp,
    /// A port of no bridge; what was learned behind it is forgotten.
    NoMaster,
    /// No tc filter on it.
    NoFilters,
    /// The kernel's own queueing discipline.
    NoQueue,
}

/// Takes an entry out.
pub(super) fn forget(ns: &mut Netns, entry: &Entry) {
    match entry {
        Entry::Route { table, destination, kind } => {
            ns.routes.retain(|r| (r.table, r.destination, r.kind) != (*table, *destination, *kind));
        }
        Entry::Rule(rule) => {
            ns.rules.retain(|r| *r != **rule);
            ns.rules6.retain(|r| *r != **rule);
        }
        Entry::Neighbour { device, ip } => {
            let Some(link) = ns.link_named(device).map(|l| l.index) else { return };
            ns.neighbours.retain(|n| n.proxy || (n.link, n.ip) != (link, *ip));
        }
        Entry::Station { device, mac } => {
            let Some(link) = ns.link_named(device).map(|l| l.index) else { return };
            ns.fdb.retain(|e| e.on_self || (e.link, e.mac) != (link, *mac));
        }
        Entry::Address { device, net } => {
            let Some(link) = ns.link_named(device).map(|l| l.index) else { return };
            ns.addresses.retain(|a| (a.link, a.net) != (link, *net));
            let brought = [net.trunc(), IpNet::from(net.addr()), IpNet::from(net.broadcast())];
            ns.routes.retain(|r| {
                let by_it = r.nexthops.iter().any(|n| n.link == link && n.via.is_none());
                !(by_it && brought.contains(&r.destination))
            });
        }
    }
}

/// Sets a link.
pub(super) fn set(ns: &mut Netns, device: &str, setting: &Setting) {
    let Some(link) = ns.links.iter_mut().find(|l| l.name == device) else { return };
    match setting {
        Setting::Port(port) => link.port = Some(*port),
        Setting::Mac(mac) => link.mac = Some(*mac),
        Setting::NoXdp => link.xdp = false,
        Setting::NoMaster => {
            let index = link.index;
            (link.master, link.master_name, link.port) = (None, None, None);
            ns.fdb.retain(|entry| entry.link != index);
        }
        Setting::NoFilters => link.filters.clear(),
        Setting::NoQueue => link.qdiscs.retain(|qdisc| qdisc.place != QdiscPlace::Root),
        Setting::Address(net) => {
            let index = link.index;
            readdress(ns, index, *net);
        }
        Setting::Beside(net) => {
            let index = link.index;
            address(ns, index, *net);
        }
    }
}

/// What is left of routes by gateways stays, as long as they still are on the link.
fn readdress(ns: &mut Netns, link: u32, net: Ipv4Net) {
    let is_v4 = |net: &IpNet| net.addr().is_ipv4();
    let Some(device) = ns.link(link).map(|l| l.name.clone()) else { return };
    let old: Vec<IpNet> = ns.addresses_of(link).map(|a| a.net).filter(is_v4).collect();
    old.into_iter().for_each(|net| forget(ns, &Entry::Address { device: device.clone(), net }));
    ns.routes.retain(|r| r.preferred_source.is_none_or(|ip| ip.is_ipv6() || ip == IpAddr::V4(net.addr())));
    address(ns, link, net);
}

/// The routes that an address brings are its own (`fib_add_ifaddr`).
fn address(ns: &mut Netns, link: u32, net: Ipv4Net) {
    ns.addresses.push(Address::global(link, net.into()));
    let mut brought = vec![
        super::route(super::TABLE_MAIN, net.trunc().into(), RouteKind::Unicast, super::nexthop(link)),
        super::route(TABLE_LOCAL, Ipv4Net::from(net.addr()).into(), RouteKind::Local, super::nexthop(link)),
    ];
    if net.broadcast() != Ipv4Addr::BROADCAST {
        let broadcast = Ipv4Net::from(net.broadcast()).into();
        brought.push(super::route(TABLE_LOCAL, broadcast, RouteKind::Broadcast, super::nexthop(link)));
    }
    ns.routes.extend(brought);
}
