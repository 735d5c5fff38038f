//! Routes of all tables (`RTM_GETROUTE`).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::route::{Nexthop, Preference, Route, RouteKind};
use netlink_packet_route::route::{
    RouteAddress, RouteAttribute, RouteFlags, RouteHeader, RouteMessage, RouteMetric, RouteNextHop,
    RouteNextHopFlags, RoutePreference, RouteProtocol, RouteScope, RouteType, RouteVia,
};
use netlink_packet_route::{AddressFamily, RouteNetlinkMessage};

use super::{NetlinkError, Socket};

/// Every route of every table, IPv4 and IPv6.
pub(crate) fn read(socket: &mut Socket) -> Result<Vec<Route>, NetlinkError> {
    let mut routes = Vec::new();
    for family in [AddressFamily::Inet, AddressFamily::Inet6] {
        let mut wanted = RouteMessage::default();
        wanted.header.address_family = family;
        for answer in socket.dump(RouteNetlinkMessage::GetRoute(wanted))? {
            if let RouteNetlinkMessage::NewRoute(message) = answer
                // Cached exceptions (learned path MTUs) are not routes of a table.
                && !message.header.flags.contains(RouteFlags::Cloned)
            {
                routes.extend(route(&message));
            }
        }
    }
    Ok(routes)
}

fn route(message: &RouteMessage) -> Option<Route> {
    let header = &message.header;
    let mut out = Route {
        tos: header.tos,
        protocol: protocol(header.protocol),
        scope: scope(header.scope),
        ..Route::new(u32::from(header.table), everywhere(header), kind(header.kind)?)
    };
    let (mut via, mut link) = (None, None);
    for attribute in &message.attributes {
        match attribute {
            RouteAttribute::Table(table) => out.table = *table,
            RouteAttribute::Destination(to) => {
                out.destination = IpNet::new(ip(to)?, header.destination_prefix_length).ok()?;
            }
            RouteAttribute::Source(from) => {
                out.source = Some(IpNet::new(ip(from)?, header.source_prefix_length).ok()?);
            }
            RouteAttribute::Preference(preference) => out.preference = self::preference(*preference),
            RouteAttribute::Priority(metric) => out.metric = *metric,
            RouteAttribute::PrefSource(from) => out.preferred_source = ip(from),
            RouteAttribute::Gateway(gateway) => via = ip(gateway),
            RouteAttribute::Via(gateway) => via = via_ip(gateway),
            RouteAttribute::Oif(index) => link = Some(*index),
            RouteAttribute::MultiPath(hops) => out.nexthops = hops.iter().map(nexthop).collect(),
            RouteAttribute::Metrics(metrics) => {
                let mtu =
                    metrics.iter().find_map(|m| if let RouteMetric::Mtu(m) = m { Some(*m) } else { None });
                out.mtu = mtu.unwrap_or(0);
            }
            _ => {}
        }
    }
    if let (Some(link), true, true) = (link, out.nexthops.is_empty(), goes_somewhere(out.kind)) {
        let flags = header.flags;
        out.nexthops.push(Nexthop {
            via,
            link,
            weight: 1,
            onlink: flags.contains(RouteFlags::Onlink),
            dead: flags.contains(RouteFlags::Dead),
            linkdown: flags.contains(RouteFlags::Linkdown),
        });
    }
    Some(out)
}

/// IPv6 names lo as the way out of what it drops.
fn goes_somewhere(kind: RouteKind) -> bool {
    match kind {
        RouteKind::Unicast
        | RouteKind::Local
        | RouteKind::Broadcast
        | RouteKind::Multicast
        | RouteKind::Anycast => true,
        RouteKind::Blackhole | RouteKind::Unreachable | RouteKind::Prohibit | RouteKind::Throw => false,
    }
}

/// What is neither low nor high is medium (`inet6_rtm_newroute`).
fn preference(told: RoutePreference) -> Preference {
    match told {
        RoutePreference::Low => Preference::Low,
        RoutePreference::High => Preference::High,
        _ => Preference::Medium,
    }
}

fn nexthop(hop: &RouteNextHop) -> Nexthop {
    let via = hop.attributes.iter().find_map(|a| match a {
        RouteAttribute::Gateway(gateway) => ip(gateway),
        RouteAttribute::Via(gateway) => via_ip(gateway),
        _ => None,
    });
    Nexthop {
        via,
        link: hop.interface_index,
        weight: u32::from(hop.hops) + 1,
        onlink: hop.flags.contains(RouteNextHopFlags::Onlink),
        dead: hop.flags.contains(RouteNextHopFlags::Dead),
        linkdown: hop.flags.contains(RouteNextHopFlags::Linkdown),
    }
}

fn everywhere(header: &RouteHeader) -> IpNet {
    match header.address_family {
        AddressFamily::Inet6 => IpNet::V6(ipnet::Ipv6Net::new_assert(Ipv6Addr::UNSPECIFIED, 0)),
        _ => IpNet::V4(ipnet::Ipv4Net::new_assert(Ipv4Addr::UNSPECIFIED, 0)),
    }
}

fn ip(address: &RouteAddress) -> Option<IpAddr> {
    match address {
        RouteAddress::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteAddress::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

fn via_ip(via: &RouteVia) -> Option<IpAddr> {
    match via {
        RouteVia::Inet(v4) => Some(IpAddr::V4(*v4)),
        RouteVia::Inet6(v6) => Some(IpAddr::V6(*v6)),
        _ => None,
    }
}

fn kind(kind: RouteType) -> Option<RouteKind> {
    Some(match kind {
        RouteType::Unicast => RouteKind::Unicast,
        RouteType::Local => RouteKind::Local,
        RouteType::Broadcast => RouteKind::Broadcast,
        RouteType::Multicast => RouteKind::Multicast,
        RouteType::Anycast => RouteKind::Anycast,
        RouteType::BlackHole => RouteKind::Blackhole,
        RouteType::Unreachable => RouteKind::Unreachable,
        RouteType::Prohibit => RouteKind::Prohibit,
        RouteType::Throw => RouteKind::Throw,
        _ => return None,
    })
}

/// As `ip route` prints it (iproute2 `rt_protos`).
fn protocol(protocol: RouteProtocol) -> String {
    match protocol {
        RouteProtocol::Kernel => "kernel".to_owned(),
        RouteProtocol::Boot => "boot".to_owned(),
        RouteProtocol::Static => "static".to_owned(),
        RouteProtocol::Dhcp => "dhcp".to_owned(),
        RouteProtocol::Ra => "ra".to_owned(),
        RouteProtocol::Bird => "bird".to_owned(),
        RouteProtocol::Zebra => "zebra".to_owned(),
        RouteProtocol::Bgp => "bgp".to_owned(),
        RouteProtocol::Ospf => "ospf".to_owned(),
        RouteProtocol::Isis => "isis".to_owned(),
        RouteProtocol::Rip => "rip".to_owned(),
        RouteProtocol::KeepAlived => "keepalived".to_owned(),
        RouteProtocol::IcmpRedirect => "redirect".to_owned(),
        other => u8::from(other).to_string(),
    }
}

fn scope(scope: RouteScope) -> String {
    match scope {
        RouteScope::Universe => "global".to_owned(),
        RouteScope::Site => "site".to_owned(),
        RouteScope::Link => "link".to_owned(),
        RouteScope::Host => "host".to_owned(),
        RouteScope::NoWhere => "nowhere".to_owned(),
        other => u8::from(other).to_string(),
    }
}
