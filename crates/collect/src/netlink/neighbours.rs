//! Neighbour entries, IPv4 and IPv6 (`RTM_GETNEIGH`).

use std::net::IpAddr;

use model::Mac;
use model::route::{Neighbour, NeighbourState};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState as RawState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{NetlinkError, Socket};

/// Every neighbour entry, the proxied ones last.
pub(crate) fn read(socket: &mut Socket) -> Result<Vec<Neighbour>, NetlinkError> {
    let mut all = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        for flags in [NeighbourFlags::empty(), NeighbourFlags::Proxy] {
            let mut wanted = NeighbourMessage::default();
            wanted.header.family = family;
            wanted.header.flags = flags;
            for answer in socket.dump(RouteNetlinkMessage::GetNeighbour(wanted))? {
                if let RouteNetlinkMessage::NewNeighbour(message) = answer {
                    all.extend(neighbour(&message));
                }
            }
        }
    }
    Ok(all)
}

fn neighbour(message: &NeighbourMessage) -> Option<Neighbour> {
    let ip = message.attributes.iter().find_map(|a| match a {
        NeighbourAttribute::Destination(NeighbourAddress::Inet(v4)) => Some(IpAddr::V4(*v4)),
        NeighbourAttribute::Destination(NeighbourAddress::Inet6(v6)) => Some(IpAddr::V6(*v6)),
        _ => None,
    })?;
    let state = match message.header.state {
        RawState::Incomplete => NeighbourState::Incomplete,
        RawState::Reachable => NeighbourState::Reachable,
        RawState::Stale => NeighbourState::Stale,
        RawState::Delay => NeighbourState::Delay,
        RawState::Probe => NeighbourState::Probe,
        RawState::Failed => NeighbourState::Failed,
        RawState::Noarp => NeighbourState::Noarp,
        RawState::Permanent => NeighbourState::Permanent,
        _ => NeighbourState::None,
    };
    Some(Neighbour {
        link: message.header.ifindex,
        ip,
        mac: mac(message),
        state,
        proxy: message.header.flags.contains(NeighbourFlags::Proxy),
    })
}

/// The link-layer address of an entry.
pub(super) fn mac(message: &NeighbourMessage) -> Option<Mac> {
    message.attributes.iter().find_map(|a| match a {
        NeighbourAttribute::LinkLayerAddress(bytes) => <[u8; 6]>::try_from(bytes.as_slice()).ok().map(Mac),
        _ => None,
    })
}
