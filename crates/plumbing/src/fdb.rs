//! What a bridge is told of stations behind its ports (`bridge fdb`, bridge(8)).

use model::Mac;
use netlink_packet_route::neighbour::{NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::{Namespace, PlumbingError, link};

/// `bridge fdb replace MAC dev PORT master static sticky`: the station stays behind this port, wherever it speaks.
pub fn pin(ns: &mut Namespace, port: &str, mac: Mac) -> Result<(), PlumbingError> {
    let mut message = entry(ns, port, mac)?;
    message.header.state = NeighbourState::Noarp;
    message.header.flags |= NeighbourFlags::Sticky;
    ns.put(format!("pin {mac} behind {port}"), RouteNetlinkMessage::NewNeighbour(message))
}

/// `bridge fdb del MAC dev PORT master`. An entry that is not there is fine.
pub fn forget(ns: &mut Namespace, port: &str, mac: Mac) -> Result<(), PlumbingError> {
    let message = entry(ns, port, mac)?;
    ns.remove(format!("forget {mac} behind {port}"), RouteNetlinkMessage::DelNeighbour(message))
}

fn entry(ns: &mut Namespace, port: &str, mac: Mac) -> Result<NeighbourMessage, PlumbingError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = link::index_of(ns, port)?;
    message.header.flags = NeighbourFlags::Controller;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(mac.0.to_vec()));
    Ok(message)
}
