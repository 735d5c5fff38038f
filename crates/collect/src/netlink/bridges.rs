//! Forwarding databases of bridges (`RTM_GETNEIGH`, `AF_BRIDGE`).

use std::net::IpAddr;

use model::link::{FdbEntry, FdbKind, Link};
use model::route::Neighbour;
use model::vxlan::VxlanRemote;
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::neighbours::mac;
use super::{NetlinkError, Socket, links, neighbours};

/// Where frames go in a namespace: what its bridges and its own stack know of stations.
#[derive(Debug, Clone, Default)]
pub struct Stations {
    /// Links, by ifindex.
    pub links: Vec<Link>,
    /// Forwarding databases of all bridges.
    pub fdb: Vec<FdbEntry>,
    /// Neighbour entries.
    pub neighbours: Vec<Neighbour>,
}

/// Of the calling thread's namespace, as it is now.
pub fn stations() -> Result<Stations, NetlinkError> {
    let mut socket = Socket::open()?;
    let links = links::read(&mut socket)?.into_iter().map(|raw| raw.link).collect();
    let fdb = read(&mut socket)?;
    Ok(Stations { links, fdb, neighbours: neighbours::read(&mut socket)? })
}

/// Every FDB entry of the namespace.
pub(crate) fn read(socket: &mut Socket) -> Result<Vec<FdbEntry>, NetlinkError> {
    let mut wanted = NeighbourMessage::default();
    wanted.header.family = AddressFamily::Bridge;
    let answers = socket.dump(RouteNetlinkMessage::GetNeighbour(wanted))?;
    let entries = answers.into_iter().filter_map(|m| match m {
        RouteNetlinkMessage::NewNeighbour(message) => entry(&message),
        _ => None,
    });
    Ok(entries.collect())
}

fn entry(message: &NeighbourMessage) -> Option<FdbEntry> {
    let header = &message.header;
    // As bridge(8) prints: NUD_PERMANENT is `permanent`, NUD_NOARP is `static`. They are bits, and
    // entries of VXLAN links have both (iproute2 `bridge/fdb.c state_n2a`).
    let state = u16::from(header.state);
    let has = |bit: NeighbourState| state & u16::from(bit) != 0;
    let kind = if has(NeighbourState::Permanent) {
        FdbKind::Local
    } else if has(NeighbourState::Noarp) {
        FdbKind::Static
    } else {
        FdbKind::Learned
    };
    let vlan = message.attributes.iter().find_map(|a| match a {
        NeighbourAttribute::Vlan(id) => Some(*id),
        _ => None,
    });
    Some(FdbEntry {
        mac: mac(message)?,
        link: header.ifindex,
        vlan,
        kind,
        sticky: header.flags.contains(NeighbourFlags::Sticky),
        remote: remote(&message.attributes),
        on_self: header.flags.contains(NeighbourFlags::Own),
    })
}

/// What an entry of a VXLAN link leaves out is the link's own (`vxlan_fdb_info`).
fn remote(attributes: &[NeighbourAttribute]) -> Option<VxlanRemote> {
    // Addresses are decoded by the message's family, which here is the bridge's: bytes they stay.
    let ip = attributes.iter().find_map(|a| match a {
        NeighbourAttribute::Destination(NeighbourAddress::Other(bytes)) => ip(bytes),
        _ => None,
    })?;
    let mut remote = VxlanRemote { ip, port: None, vni: None, via: None };
    for attribute in attributes {
        match attribute {
            NeighbourAttribute::Port(port) => remote.port = Some(*port),
            NeighbourAttribute::Vni(vni) => remote.vni = Some(*vni),
            NeighbourAttribute::IfIndex(link) => remote.via = Some(*link),
            _ => {}
        }
    }
    Some(remote)
}

fn ip(bytes: &[u8]) -> Option<IpAddr> {
    let v4 = || <[u8; 4]>::try_from(bytes).ok().map(IpAddr::from);
    let v6 = || <[u8; 16]>::try_from(bytes).ok().map(IpAddr::from);
    v4().or_else(v6)
}
