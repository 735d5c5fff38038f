//! VXLAN devices (`ip link add NAME type vxlan id VNI local ADDRESS dstport 4789 dev LOWER`) and where they send what
//! is for everybody (`bridge fdb append`).

use std::net::Ipv4Addr;

use model::Mac;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVxlan, LinkAttribute, LinkInfo};
use netlink_packet_route::neighbour::{
    NeighbourAddress, NeighbourAttribute, NeighbourFlags, NeighbourMessage, NeighbourState,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::{Namespace, PlumbingError, link};

/// IANA's port of VXLAN (RFC 7348, 8).
pub const PORT: u16 = 4789;

/// A device of a network (VNI, 0 to 2^24 - 1) over a link, down. Its MTU is the link's less 50 octets.
pub fn create(
    ns: &mut Namespace,
    name: &str,
    vni: u32,
    (local, lower): (Ipv4Addr, &str),
) -> Result<(), PlumbingError> {
    let settings = vec![
        InfoVxlan::Id(vni),
        InfoVxlan::Local(local),
        InfoVxlan::Link(link::index_of(ns, lower)?),
        InfoVxlan::Port(PORT),
    ];
    let mut message = link::named(name);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vxlan),
        LinkInfo::Data(InfoData::Vxlan(settings)),
    ]));
    ns.make(format!("make the VXLAN device {name}"), RouteNetlinkMessage::NewLink(message))
}

/// `bridge fdb append 00:00:00:00:00:00 dev NAME dst FAR_END`: what no other entry tells the way of goes there, too.
pub fn flood_to(ns: &mut Namespace, name: &str, far_end: Ipv4Addr) -> Result<(), PlumbingError> {
    let message = for_all(ns, name, far_end)?;
    ns.append(format!("have {name} send to {far_end}"), RouteNetlinkMessage::NewNeighbour(message))
}

/// The same with `del`.
pub fn stop_flooding_to(ns: &mut Namespace, name: &str, far_end: Ipv4Addr) -> Result<(), PlumbingError> {
    let message = for_all(ns, name, far_end)?;
    ns.remove(format!("have {name} not send to {far_end}"), RouteNetlinkMessage::DelNeighbour(message))
}

fn for_all(ns: &mut Namespace, name: &str, far_end: Ipv4Addr) -> Result<NeighbourMessage, PlumbingError> {
    let mut message = NeighbourMessage::default();
    message.header.family = AddressFamily::Bridge;
    message.header.ifindex = link::index_of(ns, name)?;
    message.header.flags = NeighbourFlags::Own;
    message.header.state = NeighbourState::Permanent;
    message.attributes.push(NeighbourAttribute::LinkLayerAddress(Mac::ZERO.0.to_vec()));
    message.attributes.push(NeighbourAttribute::Destination(NeighbourAddress::Inet(far_end)));
    Ok(message)
}
