//! VLAN devices as nova-network's VlanManager makes them: `vlan101` on the physical link, in `br101`
//! (`nova/network/linux_net.py` `ensure_vlan_bridge`). Without a database a device's own name tells the VLAN.

use model::Netns;
use model::intent::Network;
use model::link::{Link, LinkKind};

use crate::view::View;

/// One VLAN of one host: where its device is, or should be.
pub(crate) struct VlanSeat<'v> {
    pub(crate) ns: &'v Netns,
    /// VLAN id that is meant.
    pub(crate) id: u16,
    /// Name of the device.
    pub(crate) name: String,
    /// The device, where it is there.
    pub(crate) device: Option<&'v Link>,
    /// The link below it, where that is there.
    pub(crate) lower: Option<&'v Link>,
    /// Name of the bridge that it belongs in.
    pub(crate) bridge: String,
    /// Who says so.
    pub(crate) source: String,
    /// The records say so, not only names.
    pub(crate) recorded: bool,
}

/// The VLANs of the hosts in question, and of those at the other end, that the instances in question use.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<VlanSeat<'v>> {
    let mut seats = Vec::new();
    for (host, ns) in view.hosts_at_both_ends() {
        let networks = view.intent().networks.iter().enumerate();
        let recorded = networks.filter(|(at, _)| is_used(view, &host.name, *at));
        seats.extend(recorded.filter_map(|(_, network)| of_network(ns, network)));
        let bridges = view.vifs().filter(|seat| std::ptr::eq(seat.ns, ns)).filter_map(|seat| seat.bridge());
        for bridge in bridges {
            let named = ns.ports(bridge.index).filter_map(|port| by_name(ns, bridge, port));
            let new: Vec<VlanSeat> =
                named.filter(|s| seats.iter().all(|k| !std::ptr::eq(k.ns, ns) || k.name != s.name)).collect();
            seats.extend(new);
        }
    }
    seats
}

/// A network's VLAN device on a host, whatever it is called there, and the link below it.
pub fn vlan_device<'v>(ns: &'v Netns, network: &'v Network) -> Option<(&'v Link, Option<&'v Link>)> {
    let device = of_network(ns, network)?.device?;
    Some((device, below(ns, device)))
}

/// nova-network has the network set up on a host that runs instances of it, or is its network host. Networks of
/// other instances than those in question are not asked for.
fn is_used(view: &View, host: &str, at: usize) -> bool {
    let mut seats = view.vifs().filter(|seat| seat.vif.network == Some(at));
    seats.any(|seat| [seat.host, seat.server].iter().any(|of| of.name == host))
}

fn of_network<'v>(ns: &'v Netns, network: &'v Network) -> Option<VlanSeat<'v>> {
    let id = network.vlan?;
    let bridge = network.bridge.clone()?;
    let name = format!("vlan{id}");
    let lower = network.bridge_interface.as_deref().and_then(|name| ns.link_named(name));
    let is_vlan = |link: &&Link| link.kind == LinkKind::Vlan;
    let port = || ns.link_named(&bridge).and_then(|b| ns.ports(b.index).find(is_vlan));
    let on_lower = |link: &&Link| {
        is_vlan(link)
            && link.vlan.is_some_and(|v| v.id == id)
            && link.peer.is_some_and(|p| lower.is_some_and(|l| l.index == p.index))
    };
    let device =
        ns.link_named(&name).filter(is_vlan).or_else(port).or_else(|| ns.links.iter().find(on_lower));
    Some(VlanSeat {
        ns,
        id,
        name: device.map_or(name, |link| link.name.clone()),
        device,
        lower: device.and_then(|device| below(ns, device)).or(lower),
        bridge,
        source: format!("vlan {id} of network {}", network.label),
        recorded: true,
    })
}

/// `vlan101`, `eth1.101`.
fn by_name<'v>(ns: &'v Netns, bridge: &Link, port: &'v Link) -> Option<VlanSeat<'v>> {
    let lower = below(ns, port)?;
    let of_lower = || port.name.strip_prefix(&lower.name)?.strip_prefix('.');
    let id = port.name.strip_prefix("vlan").or_else(of_lower)?.parse().ok()?;
    Some(VlanSeat {
        ns,
        id,
        name: port.name.clone(),
        device: Some(port),
        lower: Some(lower),
        bridge: bridge.name.clone(),
        source: "its name".to_owned(),
        recorded: false,
    })
}

/// The lower link of a VLAN device, in the same namespace.
pub(crate) fn below<'v>(ns: &'v Netns, device: &Link) -> Option<&'v Link> {
    let peer = device.peer.filter(|_| device.kind == LinkKind::Vlan)?;
    ns.link(peer.index).filter(|_| peer.netns.is_none() || peer.netns == ns.inode)
}
