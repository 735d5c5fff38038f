//! VLAN devices (`ip link add link LOWER name NAME type vlan id ID`).

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVlan, LinkAttribute, LinkInfo, LinkMessage};

use crate::link;
use crate::{Namespace, PlumbingError};

/// Names of the VLAN devices that stand on a link.
pub fn on(ns: &mut Namespace, lower: &str) -> Result<Vec<String>, PlumbingError> {
    let below = LinkAttribute::Link(link::index_of(ns, lower)?);
    let is_on_it =
        |message: &LinkMessage| link::is_of(message, &InfoKind::Vlan) && message.attributes.contains(&below);
    Ok(link::all(ns)?.into_iter().filter(is_on_it).filter_map(link::name).collect())
}

/// A VLAN device (802.1Q, ids 1 to 4094) over a link, down.
///
/// [`PlumbingError::is_unsupported`] tells of a kernel without module 8021q.
pub fn create(ns: &mut Namespace, name: &str, lower: &str, id: u16) -> Result<(), PlumbingError> {
    let mut message = link::named(name);
    message.attributes.push(LinkAttribute::Link(link::index_of(ns, lower)?));
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Vlan),
        LinkInfo::Data(InfoData::Vlan(vec![InfoVlan::Id(id)])),
    ]));
    ns.make(format!("make the VLAN device {name}"), RouteNetlinkMessage::NewLink(message))
}
