//! Addresses of links (ip-address(8)).

use std::net::IpAddr;

use ipnet::Ipv4Net;
use netlink_packet_route::address::{AddressAttribute, AddressMessage, AddressScope};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::link;
use crate::LabError;
use crate::namespace::Namespace;

/// `ip address replace NET brd + dev LINK`; a /32 has no broadcast address. There already is fine.
pub(crate) fn add(ns: &mut Namespace, link: &str, net: Ipv4Net) -> Result<(), LabError> {
    put(ns, link, net, AddressScope::Universe)
}

/// The same with `scope link`.
pub(crate) fn add_link_local(ns: &mut Namespace, link: &str, net: Ipv4Net) -> Result<(), LabError> {
    put(ns, link, net, AddressScope::Link)
}

/// `ip address del NET dev LINK`.
pub(crate) fn delete(ns: &mut Namespace, link: &str, net: Ipv4Net) -> Result<(), LabError> {
    let message = address_message(link::index_of(ns, link)?, net);
    ns.remove(format!("take {net} off {link}"), RouteNetlinkMessage::DelAddress(message))
}

/// Whether the namespace carries this address on any link.
pub(crate) fn exists(ns: &mut Namespace, net: Ipv4Net) -> Result<bool, LabError> {
    let mut question = AddressMessage::default();
    question.header.family = AddressFamily::Inet;
    let answers = ns.dump("list the addresses".to_owned(), RouteNetlinkMessage::GetAddress(question))?;
    let local = AddressAttribute::Local(IpAddr::V4(net.addr()));
    Ok(answers.iter().any(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message) => {
            message.header.prefix_len == net.prefix_len() && message.attributes.contains(&local)
        }
        _ => false,
    }))
}

fn put(ns: &mut Namespace, link: &str, net: Ipv4Net, scope: AddressScope) -> Result<(), LabError> {
    let mut message = address_message(link::index_of(ns, link)?, net);
    message.header.scope = scope;
    if net.prefix_len() < 31 {
        message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
    }
    ns.put(format!("put {net} on {link}"), RouteNetlinkMessage::NewAddress(message))
}

fn address_message(index: u32, net: Ipv4Net) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = AddressFamily::Inet;
    message.header.prefix_len = net.prefix_len();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(IpAddr::V4(net.addr())));
    message.attributes.push(AddressAttribute::Address(IpAddr::V4(net.addr())));
    message
}
