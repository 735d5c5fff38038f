//! A cable: a veth pair with one end in each of two namespaces (veth(4)).

use std::os::fd::{AsFd, AsRawFd};

use model::Mac;
use netlink_packet_route::RouteNetlinkMessage;
use netlink_packet_route::link::{InfoData, InfoKind, InfoVeth, LinkAttribute, LinkInfo, LinkMessage};

use crate::link;
use crate::{Namespace, PlumbingError};

/// One end of a cable.
pub struct End<'a> {
    /// The namespace it comes up in.
    pub ns: &'a mut Namespace,
    /// The link's name there.
    pub link: &'a str,
    /// Its MAC; `None` for a random one.
    pub mac: Option<Mac>,
    /// Its ifindex; `None` for the next that is free.
    pub index: Option<u32>,
}

/// Makes the pair, both ends down. Each end is born in its namespace (`IFLA_NET_NS_FD`), so neither
/// is ever seen in another.
pub fn plug(near: &mut End<'_>, far: &End<'_>) -> Result<(), PlumbingError> {
    let mut peer = end_message(far);
    peer.attributes.push(LinkAttribute::NetNsFd(far.ns.handle.as_fd().as_raw_fd()));
    let mut message = end_message(near);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(peer))),
    ]));
    let attempted = format!("make the cable {} - {}:{}", near.link, far.ns.name, far.link);
    near.ns.make(attempted, RouteNetlinkMessage::NewLink(message))
}

/// Makes a pair with both ends in one namespace.
pub fn plug_within(ns: &mut Namespace, near: &str, far: &str) -> Result<(), PlumbingError> {
    let mut message = link::named(near);
    message.attributes.push(LinkAttribute::LinkInfo(vec![
        LinkInfo::Kind(InfoKind::Veth),
        LinkInfo::Data(InfoData::Veth(InfoVeth::Peer(link::named(far)))),
    ]));
    let attempted = format!("make the cable {near} - {far}");
    ns.make(attempted, RouteNetlinkMessage::NewLink(message))
}

fn end_message(end: &End<'_>) -> LinkMessage {
    let mut message = link::named(end.link);
    message.header.index = end.index.unwrap_or(0);
    if let Some(mac) = end.mac {
        message.attributes.push(LinkAttribute::Address(mac.0.to_vec()));
    }
    message
}
