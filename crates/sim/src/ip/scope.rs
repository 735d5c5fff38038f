//! How far an IPv6 address is meant (`__ipv6_addr_type`, `include/net/ipv6.h`).

use std::net::{IpAddr, Ipv6Addr};

/// Of the link, as the scopes of multicast addresses number it.
pub(super) const LINK: u8 = 2;
const SITE: u8 = 5;
pub(super) const GLOBAL: u8 = 14;

/// `__ipv6_addr_src_scope`: `::1` counts as the link's, a unique local address as global.
pub(super) fn of(ip: Ipv6Addr) -> u8 {
    let [first, second, ..] = ip.octets();
    match (first, second & 0xc0) {
        (0xff, _) => second & 0x0f,
        (0xfe, 0x80) => LINK,
        (0xfe, 0xc0) => SITE,
        _ if ip.is_loopback() => LINK,
        _ => GLOBAL,
    }
}

/// fe80::/10.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => v6.is_unicast_link_local(),
    }
}

/// Means something on its own link only, so that the link is part of the question.
pub(super) fn needs_link(ip: IpAddr) -> bool {
    is_link_local(ip) || ip.is_multicast()
}

/// The same of a route's look-up, to which `::1` is such too (`rt6_need_strict`).
pub(super) fn stays_on_link(ip: IpAddr) -> bool {
    needs_link(ip) || ip.is_loopback()
}

/// The multicast group that everybody with this address listens to (RFC 4291, 2.7.1), and its MAC.
pub(super) fn solicited_node(target: Ipv6Addr) -> (Ipv6Addr, model::Mac) {
    let [.., a, b, c] = target.octets();
    let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 1, 0xff00 | u16::from(a), u16::from_be_bytes([b, c]));
    (group, model::Mac([0x33, 0x33, 0xff, a, b, c]))
}
