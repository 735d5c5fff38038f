//! Addresses of links (ip-address(8)).

use std::net::IpAddr;

use ipnet::{IpNet, Ipv4Net};
use netlink_packet_route::address::{
    AddressAttribute, AddressFlags, AddressHeaderFlags, AddressMessage, AddressScope,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::link;
use crate::{Namespace, PlumbingError};

/// `ip address replace NET brd + dev LINK`; a /32 has no broadcast address. There already is fine. An IPv6
/// address is usable at once: nobody is asked whether it is taken (`nodad`).
pub fn add(ns: &mut Namespace, link: &str, net: impl Into<IpNet>) -> Result<(), PlumbingError> {
    put(ns, link, net.into(), AddressScope::Universe)
}

/// The same with `scope link`.
pub fn add_link_local(ns: &mut Namespace, link: &str, net: Ipv4Net) -> Result<(), PlumbingError> {
    put(ns, link, net.into(), AddressScope::Link)
}

/// `ip address del NET dev LINK`.
pub fn delete(ns: &mut Namespace, link: &str, net: Ipv4Net) -> Result<(), PlumbingError> {
    let message = address_message(link::index_of(ns, link)?, net.into());
    ns.remove(format!("take {net} off {link}"), RouteNetlinkMessage::DelAddress(message))
}

/// Whether the namespace carries this address on any link.
pub fn exists(ns: &mut Namespace, net: Ipv4Net) -> Result<bool, PlumbingError> {
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

/// An IPv6 address that is not usable yet: until a worker of the kernel has looked at it, its local route is
/// absent, also where nobody is asked whether it is taken (`addrconf_dad_begin`).
pub fn unsettled(ns: &mut Namespace) -> Result<Option<IpAddr>, PlumbingError> {
    let mut question = AddressMessage::default();
    question.header.family = AddressFamily::Inet6;
    let answers = ns.dump("list the addresses".to_owned(), RouteNetlinkMessage::GetAddress(question))?;
    Ok(answers.into_iter().find_map(|answer| match answer {
        RouteNetlinkMessage::NewAddress(message)
            if message.header.flags.contains(AddressHeaderFlags::Tentative) =>
        {
            message.attributes.into_iter().find_map(|attribute| match attribute {
                AddressAttribute::Address(ip) => Some(ip),
                _ => None,
            })
        }
        _ => None,
    }))
}

fn put(ns: &mut Namespace, link: &str, net: IpNet, scope: AddressScope) -> Result<(), PlumbingError> {
    let mut message = address_message(link::index_of(ns, link)?, net);
    message.header.scope = scope;
    match net {
        IpNet::V4(net) if net.prefix_len() < 31 => {
            message.attributes.push(AddressAttribute::Broadcast(net.broadcast()));
        }
        IpNet::V4(_) => {}
        IpNet::V6(_) => message.attributes.push(AddressAttribute::Flags(AddressFlags::Nodad)),
    }
    ns.put(format!("put {net} on {link}"), RouteNetlinkMessage::NewAddress(message))
}

fn address_message(index: u32, net: IpNet) -> AddressMessage {
    let mut message = AddressMessage::default();
    message.header.family = match net {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.prefix_len = net.prefix_len();
    message.header.index = index;
    message.attributes.push(AddressAttribute::Local(net.addr()));
    message.attributes.push(AddressAttribute::Address(net.addr()));
    message
}
