//! Which namespace the other end of a link is in: `IFLA_LINK_NETNSID` against every namespace of the
//! site (`RTM_GETNSID`).

use std::collections::HashMap;
use std::os::fd::{AsFd, AsRawFd};

use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::nsid::{NsidAttribute, NsidMessage};
use sys::netns::NetnsFd;

use super::Socket;

/// The ids that the socket's namespace has for the namespaces given, as id -> inode. To be asked
/// after the links were dumped: the dump allocates the ids that are missing.
pub(crate) fn ids(socket: &mut Socket, known: &[&NetnsFd]) -> HashMap<i32, u64> {
    let mut ids = HashMap::new();
    for netns in known {
        let Ok(fd) = u32::try_from(netns.as_fd().as_raw_fd()) else { continue };
        let mut wanted = NsidMessage::default();
        wanted.attributes.push(NsidAttribute::Fd(fd));
        // A namespace without an id here is the other end of nothing here.
        for answer in socket.request(RouteNetlinkMessage::GetNsId(wanted), 0).unwrap_or_default() {
            let RouteNetlinkMessage::NewNsId(message) = answer else { continue };
            for attribute in message.attributes {
                if let NsidAttribute::Id(id) = attribute
                    && id >= 0
                {
                    ids.insert(id, netns.inode());
                }
            }
        }
    }
    ids
}
