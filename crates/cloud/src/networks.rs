//! Networks of instances that the database does not place in one, pieced together from what each host
//! is set up to do: its bridges' addresses, its dnsmasq's command line, the instance's own routes.
//!
//! A host that has lost an address is just what hopline is asked about, so each source stands in for
//! the one before it, and what one host has lost another may still tell.

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::intent::{Instance, Intent, Network, Vif};
use model::link::Link;
use model::route::Address;
use model::service::{Dnsmasq, range_network};
use model::{Netns, Snapshot};

/// What a host tells of the network that an address belongs to.
struct Evidence {
    cidr: Ipv4Net,
    bridge: Option<String>,
    /// The host's own address there: gateway and DHCP server of its instances.
    gateway: Option<Ipv4Addr>,
    dhcp_server: Option<Ipv4Addr>,
    dhcp_start: Option<Ipv4Addr>,
}

/// Gives every vif its network and bridge, where anything tells them.
pub(crate) fn complete(intent: &mut Intent, snapshot: &Snapshot) {
    let Intent { instances, networks, .. } = intent;
    let from_database = networks.len();
    // What a host itself tells goes first, so that a host with nothing to tell finds it.
    for instance in instances.iter_mut() {
        let Instance { host, vifs, .. } = instance;
        for vif in vifs.iter_mut().filter(|vif| vif.network.is_none()) {
            let Some(&ip) = vif.fixed.first() else { continue };
            vif.network = networks.iter().take(from_database).position(|network| holds(network, ip, vif));
            let told = if vif.network.is_none() { evidence(snapshot, host, ip, vif) } else { None };
            let Some(told) = told else { continue };
            vif.bridge = vif.bridge.take().or_else(|| told.bridge.clone());
            vif.network = Some(add_multi_host(networks, host, told));
        }
    }
    for instance in instances.iter_mut() {
        for at in 0..instance.vifs.len() {
            place_by_others(networks, snapshot, instance, at);
        }
        let Instance { host, vifs, .. } = instance;
        for vif in vifs.iter_mut().filter(|vif| vif.bridge.is_none()) {
            let network = vif.network.and_then(|at| networks.get(at));
            let of_network = network.and_then(|network| network.bridge.clone());
            vif.bridge = of_network.or_else(|| named_bridge(snapshot, host, vif));
        }
    }
}

/// A vif whose own host tells nothing: by a network already known, then from inside the instance, then
/// by another host that is gateway for it (a single network host).
fn place_by_others(networks: &mut Vec<Network>, snapshot: &Snapshot, instance: &mut Instance, at: usize) {
    let inside = inside(snapshot, instance, at);
    let Instance { host, vifs, .. } = instance;
    let Some(vif) = vifs.get_mut(at).filter(|vif| vif.network.is_none()) else { return };
    let Some(&ip) = vif.fixed.first() else { return };
    let routed_by = inside.as_ref().and_then(|told| told.gateway);
    vif.network = networks.iter().position(|network| holds(network, ip, vif));
    if let Some(known) = vif.network.and_then(|at| networks.get_mut(at)) {
        if let (None, Some(gateway)) = (known.id, routed_by) {
            add_host_address(known, host, gateway);
        }
        return;
    }
    let others = snapshot.hosts.iter().filter(|other| other.name != *host);
    let mut served =
        others.filter_map(|other| Some((&other.name, evidence(snapshot, &other.name, ip, vif)?)));
    let network_host = served.find(|(_, told)| routed_by.is_none() || told.gateway == routed_by);
    vif.network = match (network_host, inside) {
        (Some((name, told)), _) => {
            networks.push(Network { host: Some(name.clone()), ..network(&told) });
            Some(networks.len() - 1)
        }
        (None, Some(told)) => Some(add_multi_host(networks, host, told)),
        (None, None) => None,
    };
}

/// The network has room for the address, and the vif is not known to be in another bridge.
fn holds(network: &Network, ip: Ipv4Addr, vif: &Vif) -> bool {
    let other_bridge = network.bridge.is_some() && vif.bridge.is_some() && network.bridge != vif.bridge;
    network.cidr.is_some_and(|cidr| cidr.contains(&ip)) && !other_bridge
}

/// Joins what a host tells to the network of this prefix, or makes that network.
fn add_multi_host(networks: &mut Vec<Network>, host: &str, told: Evidence) -> usize {
    let same = |network: &Network| {
        let other_bridge = network.bridge.is_some() && told.bridge.is_some() && network.bridge != told.bridge;
        network.id.is_none() && network.multi_host && network.cidr == Some(told.cidr) && !other_bridge
    };
    let at = networks.iter().position(same).unwrap_or_else(|| {
        networks.push(Network { multi_host: true, ..network(&told) });
        networks.len() - 1
    });
    if let Some(network) = networks.get_mut(at) {
        network.bridge = network.bridge.take().or(told.bridge);
        network.gateway = network.gateway.or(told.gateway);
        network.dhcp_server = network.dhcp_server.or(told.dhcp_server);
        network.dhcp_start = network.dhcp_start.or(told.dhcp_start);
        if let Some(gateway) = told.gateway {
            let shared = network.host_addresses.iter().any(|(other, ip)| other != host && *ip == gateway);
            network.share_address |= shared;
            if network.host_addresses.iter().all(|(known, _)| known != host) {
                network.host_addresses.push((host.to_owned(), gateway));
            }
        }
    }
    at
}

/// The gateway that an instance routes by is its host's own address, unless it is known as another
/// host's.
fn add_host_address(network: &mut Network, host: &str, gateway: Ipv4Addr) {
    let known = network.host_addresses.iter().any(|(name, ip)| name == host || *ip == gateway);
    if network.multi_host && !known {
        network.host_addresses.push((host.to_owned(), gateway));
    }
}

fn network(told: &Evidence) -> Network {
    Network {
        label: told.bridge.clone().unwrap_or_else(|| told.cidr.to_string()),
        cidr: Some(told.cidr),
        bridge: told.bridge.clone(),
        gateway: told.gateway,
        dhcp_server: told.dhcp_server,
        dhcp_start: told.dhcp_start,
        ..Network::default()
    }
}

/// The host's bridge whose subnet has the address, and the dnsmasq that serves it. Where both speak,
/// dnsmasq's listening address is the gateway: it was given once, an address on a link comes and goes.
fn evidence(snapshot: &Snapshot, host: &str, ip: Ipv4Addr, vif: &Vif) -> Option<Evidence> {
    let live = snapshot.main_netns(host).and_then(|netns| bridge_address(netns, ip, vif));
    let servers = snapshot.host(host).map(|host| host.dnsmasq.as_slice()).unwrap_or_default();
    let mut served = servers.iter().filter_map(|dnsmasq| Some((dnsmasq, served_range(dnsmasq, ip)?)));
    let (dnsmasq, range, start) = match served.next() {
        Some((dnsmasq, (range, start))) => (Some(dnsmasq), Some(range), Some(start)),
        None => (None, None, None),
    };
    let cidr = live.as_ref().map(|(_, net)| net.trunc()).or(range)?;
    let listens = dnsmasq.and_then(|dnsmasq| listen_address(dnsmasq, cidr));
    let bridge = live.as_ref().map(|(bridge, _)| bridge.name.clone());
    // A file may be called by more than its bridge: a name that no link has comes after what the host has.
    let served = dnsmasq.and_then(served_bridge);
    let has_link = |name: &String| snapshot.main_netns(host).is_some_and(|ns| ns.link_named(name).is_some());
    let is_there = served.as_ref().is_some_and(has_link);
    let by_files =
        || served.clone().filter(|_| is_there).or_else(|| named_bridge(snapshot, host, vif)).or(served);
    Some(Evidence {
        cidr,
        bridge: bridge.or_else(|| vif.bridge.clone()).or_else(by_files),
        gateway: listens.or(live.map(|(_, net)| net.addr())),
        dhcp_server: listens,
        dhcp_start: start,
    })
}

/// A bridge's address in whose subnet the instance's address is, unless it is that very address.
fn bridge_address<'n>(netns: &'n Netns, ip: Ipv4Addr, vif: &Vif) -> Option<(&'n Link, Ipv4Net)> {
    let bridges = netns.bridges().filter(|link| vif.bridge.as_ref().is_none_or(|name| *name == link.name));
    let mut addresses =
        bridges.flat_map(|link| netns.addresses_of(link.index).filter_map(move |a| Some((link, v4(a)?))));
    addresses.find(|(_, net)| net.prefix_len() < 32 && net.contains(&ip) && net.addr() != ip)
}

fn served_range(dnsmasq: &Dnsmasq, ip: Ipv4Addr) -> Option<(Ipv4Net, Ipv4Addr)> {
    let mut ranges = dnsmasq.ranges.iter().filter_map(|range| Some((range_network(range)?, range.start)));
    ranges.find(|(net, _)| net.contains(&ip))
}

fn listen_address(dnsmasq: &Dnsmasq, cidr: Ipv4Net) -> Option<Ipv4Addr> {
    let v4 = |ip: &IpAddr| match ip {
        IpAddr::V4(ip) => Some(*ip),
        IpAddr::V6(_) => None,
    };
    dnsmasq.listen.iter().filter_map(v4).find(|ip| cidr.contains(ip))
}

/// nova names the files of a bridge's dnsmasq `nova-BRIDGE.pid` and `nova-BRIDGE.conf` (linux_net.py
/// `_dhcp_file`); others name the bridge itself.
fn served_bridge(dnsmasq: &Dnsmasq) -> Option<String> {
    let file = |path: &Option<String>| {
        let name = path.as_deref()?.rsplit('/').next()?.strip_prefix("nova-")?;
        name.strip_suffix(".pid").or_else(|| name.strip_suffix(".conf")).map(str::to_owned)
    };
    let interface = || dnsmasq.interfaces.iter().find(|name| *name != "lo").cloned();
    interface().or_else(|| file(&dnsmasq.pid_file)).or_else(|| file(&dnsmasq.hosts_file))
}

/// What the instance itself has: the prefix of its address and its default route.
fn inside(snapshot: &Snapshot, instance: &Instance, vif_at: usize) -> Option<Evidence> {
    let ip = *instance.vifs.get(vif_at)?.fixed.first()?;
    let netns = snapshot.main_netns(&instance.name).filter(|_| instance.entered)?;
    let net = netns.addresses.iter().filter_map(v4).find(|net| net.addr() == ip && net.prefix_len() < 32)?;
    let gateways = netns.routes.iter().filter(|route| route.is_default()).flat_map(|route| &route.nexthops);
    let gateway = gateways.filter_map(|hop| hop.via).find_map(|via| match via {
        IpAddr::V4(via) => Some(via).filter(|via| net.contains(via)),
        IpAddr::V6(_) => None,
    });
    let bridge = instance.vifs.get(vif_at).and_then(|vif| vif.bridge.clone());
    Some(Evidence { cidr: net.trunc(), bridge, gateway, dhcp_server: None, dhcp_start: None })
}

/// Last resorts: the bridge that nova.conf names, or the only bridge on the host that may be it, since
/// it has no address of some other subnet.
fn named_bridge(snapshot: &Snapshot, host: &str, vif: &Vif) -> Option<String> {
    let nova = snapshot.host(host).and_then(|host| host.nova.as_ref());
    if let Some(bridge) = nova.and_then(|nova| nova.get("flat_network_bridge")) {
        return Some(bridge.to_owned());
    }
    let netns = snapshot.main_netns(host)?;
    let fits = |bridge: &&Link| {
        let mut nets = netns.addresses_of(bridge.index).filter_map(v4).peekable();
        nets.peek().is_none() || nets.any(|net| vif.fixed.iter().any(|ip| net.contains(ip)))
    };
    let mut bridges = netns.bridges().filter(fits);
    bridges.next().filter(|_| bridges.next().is_none()).map(|bridge| bridge.name.clone())
}

fn v4(address: &Address) -> Option<Ipv4Net> {
    match address.net {
        IpNet::V4(net) => Some(net),
        IpNet::V6(_) => None,
    }
}
