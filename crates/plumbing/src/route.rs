//! Routes (ip-route(8)).

use std::net::{IpAddr, Ipv4Addr};

use ipnet::{IpNet, Ipv4Net};
use model::route::{Route, RouteKind};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteHeader, RouteMessage, RouteProtocol, RouteScope, RouteType,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use crate::{Namespace, PlumbingError, link};

/// Everywhere: `0.0.0.0/0`.
pub const DEFAULT: Ipv4Net = Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0);

/// `ip route replace NET via GATEWAY`.
pub fn replace(ns: &mut Namespace, net: Ipv4Net, gateway: Ipv4Addr) -> Result<(), PlumbingError> {
    let mut message = route_message(net);
    message.attributes.push(RouteAttribute::Gateway(RouteAddress::Inet(gateway)));
    ns.put(format!("route {net} via {gateway}"), RouteNetlinkMessage::NewRoute(message))
}

/// `ip route del NET`. A route that is not there is fine: it goes with its link.
pub fn delete(ns: &mut Namespace, net: Ipv4Net) -> Result<(), PlumbingError> {
    let mut message = route_message(net);
    // The kernel compares scope and protocol only where they are given (net/ipv4/fib_trie.c
    // fib_table_delete); "nowhere" and "unspecified" are how ip(8) leaves them open.
    message.header.scope = RouteScope::NoWhere;
    message.header.protocol = RouteProtocol::Unspec;
    ns.remove(format!("delete the route to {net}"), RouteNetlinkMessage::DelRoute(message))
}

/// Whether the main table has a route to just this prefix.
pub fn exists(ns: &mut Namespace, net: Ipv4Net) -> Result<bool, PlumbingError> {
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

/// `ip route add`, for every kind of route in any table. Of its nexthops only the first is taken: what
/// is made here has one way.
pub fn add(ns: &mut Namespace, route: &Route) -> Result<(), PlumbingError> {
    let attempted = format!("route {} in table {}", route.destination, route.table);
    ns.make(attempted, RouteNetlinkMessage::NewRoute(message_of(route)))
}

/// `ip route del`, of a route that [`add`] made. One that is not there is fine.
pub fn remove(ns: &mut Namespace, route: &Route) -> Result<(), PlumbingError> {
    let attempted = format!("delete the route {} of table {}", route.destination, route.table);
    ns.remove(attempted, RouteNetlinkMessage::DelRoute(message_of(route)))
}

fn message_of(route: &Route) -> RouteMessage {
    let mut message = RouteMessage::default();
    let nexthop = route.nexthops.first();
    message.header.address_family = match route.destination {
        IpNet::V4(_) => AddressFamily::Inet,
        IpNet::V6(_) => AddressFamily::Inet6,
    };
    message.header.destination_prefix_length = route.destination.prefix_len();
    message.header.protocol = RouteProtocol::Boot;
    message.header.kind = kind(route.kind);
    // As ip(8) chooses it: what needs no gateway is on the link (iproute2 `iproute_modify`).
    message.header.scope = match nexthop {
        Some(nexthop) if nexthop.via.is_none() && route.kind == RouteKind::Unicast => RouteScope::Link,
        Some(_) | None => RouteScope::Universe,
    };
    message.attributes.push(RouteAttribute::Table(route.table));
    if route.destination.prefix_len() > 0 {
        message.attributes.push(RouteAttribute::Destination(address(route.destination.network())));
    }
    if route.metric != 0 {
        message.attributes.push(RouteAttribute::Priority(route.metric));
    }
    message.attributes.extend(route.preferred_source.map(|ip| RouteAttribute::PrefSource(address(ip))));
    if let Some(nexthop) = nexthop {
        message.attributes.extend(nexthop.via.map(|ip| RouteAttribute::Gateway(address(ip))));
        if nexthop.link != 0 {
            message.attributes.push(RouteAttribute::Oif(nexthop.link));
        }
    }
    message
}

/// `ip route get IP`: the link that a packet would leave by, and the address it would ask for there.
/// `None` where nothing leads there, or the address is this machine's own.
pub fn next_hop(ns: &mut Namespace, ip: IpAddr) -> Result<Option<(String, IpAddr)>, PlumbingError> {
    let mut question = RouteMessage::default();
    let (family, length) = match ip {
        IpAddr::V4(_) => (AddressFamily::Inet, 32),
        IpAddr::V6(_) => (AddressFamily::Inet6, 128),
    };
    question.header.address_family = family;
    question.header.destination_prefix_length = length;
    question.attributes.push(RouteAttribute::Destination(address(ip)));
    let answer = ns.look_up(RouteNetlinkMessage::GetRoute(question));
    let Some(RouteNetlinkMessage::NewRoute(route)) = answer else { return Ok(None) };
    if route.header.kind != RouteType::Unicast {
        return Ok(None);
    }
    let (mut link, mut next) = (None, ip);
    for attribute in route.attributes {
        match attribute {
            RouteAttribute::Oif(index) => link = Some(index),
            RouteAttribute::Gateway(RouteAddress::Inet(gateway)) => next = gateway.into(),
            RouteAttribute::Gateway(RouteAddress::Inet6(gateway)) => next = gateway.into(),
            _ => {}
        }
    }
    let name = match link {
        Some(index) => link::name_of(ns, index)?,
        None => None,
    };
    Ok(name.map(|name| (name, next)))
}

fn address(ip: IpAddr) -> RouteAddress {
    match ip {
        IpAddr::V4(v4) => RouteAddress::Inet(v4),
        IpAddr::V6(v6) => RouteAddress::Inet6(v6),
    }
}

fn kind(kind: RouteKind) -> RouteType {
    match kind {
        RouteKind::Unicast => RouteType::Unicast,
        RouteKind::Local => RouteType::Local,
        RouteKind::Broadcast => RouteType::Broadcast,
        RouteKind::Multicast => RouteType::Multicast,
        RouteKind::Anycast => RouteType::Anycast,
        RouteKind::Blackhole => RouteType::BlackHole,
        RouteKind::Unreachable => RouteType::Unreachable,
        RouteKind::Prohibit => RouteType::Prohibit,
        RouteKind::Throw => RouteType::Throw,
    }
}
