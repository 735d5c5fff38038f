//! Links that a remedy makes.

use std::net::IpAddr;

use model::link::{BridgePort, FdbEntry, FdbKind, Link, LinkKind, Peer};
use model::vlan::VlanDevice;
use model::vxlan::VxlanRemote;
use model::{Mac, Netns};

/// A VLAN device on a link, up, as a port of a bridge.
pub(super) fn stack_vlan(ns: &mut Netns, device: &str, lower: &str, id: u16, bridge: &str) {
    let Some(master) = ns.link_named(bridge).map(|b| b.index) else { return };
    let Some(below) = ns.link_named(lower).cloned() else { return };
    let index = ns.links.iter().map(|l| l.index).max().unwrap_or(0) + 1;
    ns.links.push(Link {
        index,
        name: device.to_owned(),
        kind: LinkKind::Vlan,
        admin_up: true,
        carrier: below.is_running(),
        mac: below.mac,
        master: Some(master),
        master_name: Some(bridge.to_owned()),
        port: Some(BridgePort::default()),
        peer: Some(Peer { index: below.index, netns: ns.inode }),
        vlan: Some(VlanDevice::of(id)),
        ..Link::default()
    });
}

/// An entry of a VXLAN device for whatever station it does not know.
pub(super) fn flood_to(ns: &mut Netns, device: &str, far_end: IpAddr) {
    let Some(link) = ns.link_named(device).map(|link| link.index) else { return };
    let remote = Some(VxlanRemote { ip: far_end, port: None, vni: None, via: None });
    let (mac, kind) = (Mac::ZERO, FdbKind::Local);
    ns.fdb.push(FdbEntry { mac, link, vlan: None, kind, sticky: false, remote, on_self: true });
}

/// A tap whose inside is taken to be in order, as a port of a bridge.
pub(super) fn plug(ns: &mut Netns, device: &str, bridge: &str, mac: Option<Mac>) {
    let Some(master) = ns.link_named(bridge).map(|b| b.index) else { return };
    ns.links.retain(|l| l.name != device);
    let index = ns.links.iter().map(|l| l.index).max().unwrap_or(0) + 1;
    ns.links.push(Link {
        index,
        name: device.to_owned(),
        kind: LinkKind::Tun,
        mac: mac.map(Mac::of_tap),
        admin_up: true,
        carrier: true,
        master: Some(master),
        master_name: Some(bridge.to_owned()),
        port: Some(BridgePort { hairpin: true, ..Default::default() }),
        ..Link::default()
    });
}
