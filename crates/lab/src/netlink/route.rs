//! Routes of the main table (ip-route(8)).

use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::LabError;
use crate::namespace::Namespace;

/// Everywhere: `0.0.0.0/0`.
pub(crate) const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

/// `ip route replace NET via GATEWAY`.
pub(crate) fn replace(ns: &mut Namespace, net: Ipv4Net, gateway: Ipv4Addr) -> Result<(), LabError> {
    let mut message = route_message(net);
    message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    ns.put(format!("route {net} via {gateway}"), RouteNetlinkMessage::NewRoute(message))
}

/// `ip route del NET`. A route that is not there is fine: it goes with its link.
pub(crate) fn delete(ns: &mut Namespace, net: Ipv4Net) -> Result<(), LabError> {
    let mut message = route_message(net);
    // The kernel compares scope and protocol only where they are given (net/ipv4/fib_trie.c
    // fib_table_delete); "nowhere" and "unspecified" are how ip(8) leaves them open.
    message.header.scope = RouteScope::NoWhere;
    message.header.protocol = RouteProtocol::Unspec;
    ns.remove(format!("delete the route to {net}"), RouteNetlinkMessage::DelRoute(message))
}

/// Whether the main table has a route to just this prefix.
pub(crate) fn exists(ns: &mut Namespace, net: Ipv4Net) -> Result<bool, LabError> {
    let mut question = RouteMessage::default();
    question.header.address_family = AddressFamily::Inet;
    let answers = ns.dump("list the routes".to_owned(), RouteNetlinkMessage::GetRoute(question))?;
    let destination = RouteAttribute::Destination(RouteAddress::Inet(net.network()));
    Ok(answers.iter().any(|answer| match answer {
        RouteNetlinkMessage::NewRoute(route) => {
            route.header.table == RouteHeader::RT_TABLE_MAIN
                && route.header.destination_prefix_length == net.prefix_len()
                && (net.prefix_len() == 0 || route.attributes.contains(&destination))
        }
        _ => false,
    }))
}

fn route_message(net: Ipv4Net) -> RouteMessage {
    let mut message = RouteMessage::default();
    message.header.address_family = AddressFamily::Inet;
    message.header.destination_prefix_length = net.prefix_len();
    message.header.table = RouteHeader::RT_TABLE_MAIN;
    message.header.protocol = RouteProtocol::Boot;
    message.header.scope = RouteScope::Universe;
    message.header.kind = RouteType::Unicast;
    if net.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(RouteAddress::Inet(net.network())));
    }
    message
}
