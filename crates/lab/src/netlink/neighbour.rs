//! Neighbour entries (ip-neighbour(8)).

use netlink_packet_route::neighbour::{NeighbourMessage, NeighbourState};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::LabError;
use crate::namespace::Namespace;

/// Forgets every IPv4 neighbour that was learned or asked for in vain, so that a mended way is
/// taken at once and no FAILED entry tells of a fault that is gone.
pub(crate) fn flush(ns: &mut Namespace) -> Result<(), LabError> {
    let mut question = NeighbourMessage::default();
    question.header.family = AddressFamily::Inet;
    let answers = ns.dump("list the neighbours".to_owned(), RouteNetlinkMessage::GetNeighbour(question))?;
    for answer in answers {
        let RouteNetlinkMessage::NewNeighbour(entry) = answer else { continue };
        if matches!(entry.header.state, NeighbourState::Permanent | NeighbourState::Noarp) {
            continue;
        }
        ns.remove("forget a neighbour".to_owned(), RouteNetlinkMessage::DelNeighbour(entry))?;
    }
    Ok(())
}
