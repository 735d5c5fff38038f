//! The public links of the hosts in question, and the gateways behind them.

use std::net::{IpAddr, Ipv4Addr};

use model::Netns;
use model::link::{Link, LinkKind};
use model::path::Stop;
use model::route::TABLE_MAIN;
use model::snapshot::Host;

use crate::nova;
use crate::view::View;

/// The uplink of every host in question that is the gateway of instances.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<(&'v Netns, &'v Link)> {
    let floating: Vec<Ipv4Addr> = view
        .intent()
        .instances
        .iter()
        .flat_map(model::intent::Instance::floating)
        .map(|f| f.address)
        .collect();
    let is_server = |host: &Host| {
        let networks = &view.intent().networks;
        let is_network_host =
            networks.iter().any(|n| !n.multi_host && n.host.as_deref() == Some(host.name.as_str()));
        let serves = view.intent().instances.iter().any(|i| view.is_served_by(i, &host.name));
        serves && (host.role == "compute" || is_network_host)
    };
    let hosts = view.hosts().filter(|(host, _)| is_server(host));
    hosts.filter_map(|(host, ns)| Some((ns, nova::uplink(host, ns, &floating)?))).collect()
}

/// The gateway behind an uplink: the default route's, else the router of the site in its subnet,
/// else what another host uses there.
pub(crate) fn gateway(view: &View, ns: &Netns, link: &Link) -> Option<Ipv4Addr> {
    default_via(ns).map(|(via, _)| via).or_else(|| meant_gateway(view, ns, link))
}

/// The gateway that the rest of the site speaks for: a router's address in the link's subnet, else
/// another host's default gateway in it. Nobody is a gateway of its own.
pub(crate) fn meant_gateway(view: &View, ns: &Netns, link: &Link) -> Option<Ipv4Addr> {
    let subnets: Vec<_> =
        ns.addresses_of(link.index).map(|a| a.net).filter(|n| n.prefix_len() < 32).collect();
    let inside = |ip: Ipv4Addr| subnets.iter().any(|n| n.contains(&IpAddr::V4(ip)));
    let snapshot = view.snapshot();
    let routers = snapshot.hosts.iter().filter(|h| h.role == "router");
    let others = routers.filter_map(|h| snapshot.main_netns(&h.name));
    let of_router = others.filter(|router| !std::ptr::eq(*router, ns)).find_map(|router| {
        router.addresses.iter().find_map(|a| match a.net.addr() {
            IpAddr::V4(ip) if inside(ip) => Some(ip),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        })
    });
    of_router.or_else(|| {
        let others = snapshot.netns.iter().filter(|other| !std::ptr::eq(*other, ns) && !other.instance);
        others
            .filter_map(default_via)
            .map(|(via, _)| via)
            .find(|via| inside(*via) && !ns.has_address(IpAddr::V4(*via)))
    })
}

/// Gateway and link of the main table's default route.
pub(crate) fn default_via(ns: &Netns) -> Option<(Ipv4Addr, u32)> {
    let defaults = ns.routes.iter().filter(|r| r.table == TABLE_MAIN && r.is_default());
    let nexthops = defaults.flat_map(|r| &r.nexthops);
    nexthops.into_iter().find_map(|n| match n.via? {
        IpAddr::V4(via) => Some((via, n.link)),
        IpAddr::V6(_) => None,
    })
}

/// The default route as `ip route` prints it, for evidence.
pub(crate) fn default_text(ns: &Netns) -> String {
    default_via(ns).map_or_else(
        || "(none)".to_owned(),
        |(via, link)| format!("default via {via} dev {}", ns.link_name(link)),
    )
}

/// The other end of a veth, where it was read.
pub(crate) fn far_end<'v>(view: &View<'v>, link: &Link) -> Option<(&'v Netns, &'v Link)> {
    let peer = link.peer.filter(|_| link.kind == LinkKind::Veth)?;
    let ns = view.snapshot().netns.iter().find(|n| n.inode.is_some() && n.inode == peer.netns)?;
    Some((ns, ns.link(peer.index)?))
}

/// Stops that a missing way out causes.
pub(crate) fn kills(stop: &Stop) -> bool {
    matches!(stop, Stop::NoRoute(_) | Stop::LinkDown | Stop::ReversePath { .. })
}
