//! Who answered a DISCOVER in an instance's name and is not the server that it is meant to hear: somebody unknown, or
//! another host of the cloud.

use std::net::{IpAddr, Ipv4Addr};

use model::dhcp::HeardReply;
use model::finding::{Evidence, EvidenceKind};
use model::intent::Vif;
use model::link::Link;
use model::service::Dnsmasq;
use model::snapshot::Host;
use model::{Mac, Netns};

use crate::evidence;
use crate::view::{Seat, View};

/// A server that is not the network's own.
#[derive(Clone, Copy)]
pub(crate) enum Stranger<'v> {
    /// None of the cloud's hosts, as far as they were read.
    Unknown,
    /// A host of the cloud other than the one that serves the instance, and the link that it answers from.
    Host(&'v Netns, &'v Link),
}

/// The server that it says it is.
pub(crate) fn server(heard: &HeardReply) -> Ipv4Addr {
    heard.reply.server.unwrap_or(heard.from)
}

/// Who it is; `None` for the network's own, by whichever of its host's addresses. Where hosts share an address, only
/// the MAC tells them apart.
pub(crate) fn of<'v>(view: &View<'v>, seat: Seat, heard: &HeardReply) -> Option<Stranger<'v>> {
    of_address(view, seat, server(heard), heard.from_mac)
}

/// The same of whoever answers by this address and MAC.
pub(crate) fn of_address<'v>(
    view: &View<'v>,
    seat: Seat,
    server: Ipv4Addr,
    mac: Mac,
) -> Option<Stranger<'v>> {
    let (server, own) = (IpAddr::V4(server), IpAddr::V4(seat.gateway()?));
    let is_shared = seat.network.is_some_and(|network| network.share_address);
    if server == own && !is_shared {
        return None;
    }
    let carries = |ns: &Netns| ns.addresses.iter().any(|carried| carried.net.addr() == server);
    let by_mac = |ns: &'v Netns| {
        let links = ns.links.iter().filter(|link| link.mac == Some(mac));
        // A bridge has the MAC of one of its ports, and the addresses.
        links.min_by_key(|link| link.master.is_some())
    };
    let is_own_mac = seat.server_ns.links.iter().any(|link| link.mac == Some(mac));
    if is_own_mac || (carries(seat.server_ns) && server != own) {
        return None;
    }
    let hosts = view.snapshot().hosts.iter().filter(|host| host.name != seat.server.name);
    let mut others = hosts.filter_map(|host| view.snapshot().main_netns(&host.name));
    let named = others.clone().find_map(|ns| Some(Stranger::Host(ns, by_mac(ns)?)));
    if server == own {
        return named;
    }
    let addressed = || {
        others.find_map(|ns| {
            let carried = ns.addresses.iter().find(|carried| carried.net.addr() == server)?;
            Some(Stranger::Host(ns, ns.link(carried.link)?))
        })
    };
    Some(named.or_else(addressed).unwrap_or(Stranger::Unknown))
}

/// The dnsmasq of a host that answers by this link or address, where one is known to.
pub(crate) fn process<'v>(host: &'v Host, link: &Link, server: Ipv4Addr) -> Option<&'v Dnsmasq> {
    let is_told =
        |one: &&Dnsmasq| one.listen.contains(&IpAddr::V4(server)) || one.interfaces.contains(&link.name);
    let is_open = |one: &&Dnsmasq| one.listen.is_empty() && one.interfaces.is_empty();
    let mut all = host.dnsmasq.iter();
    all.clone().find(is_told).or_else(|| all.find(is_open))
}

/// It was started by nova, as its hosts file's name tells.
pub(crate) fn is_novas(server: &Dnsmasq) -> bool {
    let name = server.hosts_file.as_deref().and_then(|path| path.rsplit('/').next());
    name.is_some_and(|name| name.starts_with("nova-"))
}

/// Its line for a NIC.
pub(crate) fn line(server: &Dnsmasq, vif: &Vif) -> Option<Evidence> {
    let line = server.hosts.iter().flatten().find(|line| Some(line.mac) == vif.mac)?;
    let file = server.hosts_file.as_deref().unwrap_or("--dhcp-hostsfile");
    let address = line.ip.map_or_else(|| "an address of its choice".to_owned(), |ip| ip.to_string());
    let text = format!("line {} gives {} to {}", line.line, address, line.mac);
    Some(evidence::record(EvidenceKind::Config, file, text))
}
