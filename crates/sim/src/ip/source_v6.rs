//! The address that a machine speaks IPv6 with (`ipv6_dev_get_saddr`, RFC 6724 section 5).

use std::net::{IpAddr, Ipv6Addr};

use model::Netns;
use model::route::{Address, Standing};

use super::scope;

/// The best of this machine's addresses to speak with towards another; `link` is the one that it would
/// leave by, where there is one.
pub(crate) fn choose(ns: &Netns, link: Option<u32>, towards: Ipv6Addr) -> Option<IpAddr> {
    let stays = towards.is_multicast() || scope::of(towards) <= scope::LINK;
    let of_link_only = |link: u32| stays || speaks_with_own_only(ns, link);
    let only = link.filter(|link| of_link_only(*link));
    let candidates = ns.addresses.iter().filter_map(|address| {
        let own = address.standing.is_usable() && only.is_none_or(|link| link == address.link);
        match address.net.addr() {
            IpAddr::V6(ip) if own && !ip.is_unspecified() => Some((address, ip)),
            IpAddr::V4(_) | IpAddr::V6(_) => None,
        }
    });
    let rated = candidates.map(|(address, ip)| (rate(ns, address, ip, link, towards), ip));
    // The first of equals, in the kernel's order of links and addresses.
    let best = rated.collect::<Vec<_>>().into_iter().rev().max_by_key(|(rating, _)| *rating);
    best.map(|(_, ip)| IpAddr::V6(ip))
}

/// The address of a link that REDIRECT takes in a destination's stead: the first, and of the destination's
/// own scope where that is less than the world (`nf_nat_redirect_ipv6_usable`).
pub(crate) fn stands_in(ns: &Netns, link: u32, destination: Ipv6Addr) -> Option<IpAddr> {
    let here = ns.addresses_of(link).filter(|a| a.net.addr().is_ipv6() && a.standing.is_usable());
    let wanted = scope::of(destination);
    let fits = |ip: &IpAddr| match ip {
        IpAddr::V6(v6) => wanted == scope::GLOBAL || scope::of(*v6) == wanted,
        IpAddr::V4(_) => false,
    };
    here.map(|a| a.net.addr()).find(fits)
}

/// `use_oif_addrs_only`.
fn speaks_with_own_only(ns: &Netns, link: u32) -> bool {
    ns.sysctl(&format!("ipv6.conf.{}.use_oif_addrs_only", ns.link_name(link))) == Some(1)
}

/// What the kernel compares, rule by rule, the higher the better (`ipv6_get_saddr_eval`).
type Rating = (bool, i16, bool, bool, bool, bool, bool, u8, bool);

fn rate(ns: &Netns, address: &Address, ip: Ipv6Addr, link: Option<u32>, towards: Ipv6Addr) -> Rating {
    let private = ns.sysctl(&format!("ipv6.conf.{}.use_tempaddr", ns.link_name(address.link)));
    let same_bits = (ip.to_bits() ^ towards.to_bits()).leading_zeros();
    (
        ip == towards,
        reach(scope::of(ip), scope::of(towards)),
        is_preferred(address.standing, ip),
        link.is_none_or(|link| link == address.link),
        label(ip) == label(towards),
        address.temporary == (private.unwrap_or(0) >= 2),
        is_orchid(ip) == is_orchid(towards),
        u8::try_from(same_bits).unwrap_or(128).min(address.net.prefix_len()),
        address.standing != Standing::Optimistic,
    )
}

/// Large enough is best, and then as small as possible; too small is worse than anything.
fn reach(own: u8, wanted: u8) -> i16 {
    if own >= wanted { -i16::from(own) } else { i16::from(own) - 128 }
}

fn is_preferred(standing: Standing, ip: Ipv6Addr) -> bool {
    let embedded = ip.is_loopback() || matches!(ip.segments(), [0, 0, 0, 0, 0, 0 | 0xffff, _, _]);
    embedded || standing == Standing::Preferred
}

/// The kernel's own table of address labels (`ip6addrlbl_init_table`), which almost nobody changes.
fn label(ip: Ipv6Addr) -> u8 {
    match ip.segments() {
        [0, 0, 0, 0, 0, 0, 0, 1] => 0,
        [0, 0, 0, 0, 0, 0xffff, _, _] => 4,
        [0, 0, 0, 0, 0, 0, _, _] => 3,
        [0x2002, ..] => 2,
        [0x2001, 0, ..] => 6,
        [0x2001, 0x0010..=0x001f, ..] => 7,
        [0x3ffe, ..] => 12,
        [0xfec0..=0xfeff, ..] => 11,
        [0xfc00..=0xfdff, ..] => 5,
        _ => 1,
    }
}

/// 2001:10::/28.
fn is_orchid(ip: Ipv6Addr) -> bool {
    matches!(ip.segments(), [0x2001, 0x0010..=0x001f, ..])
}
