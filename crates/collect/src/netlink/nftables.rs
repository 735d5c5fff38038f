//! Which nf_tables tables there are, asked of the kernel itself: far cheaper than running a tool.

use netlink_packet_core::NlasIterator;
use netlink_sys::protocols::NETLINK_NETFILTER;

use super::NetlinkError;
use super::exchange::Channel;
use model::netfilter::Family;

/// `NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_GETTABLE` (`linux/netfilter/nfnetlink.h`, `nf_tables.h`).
const GET_TABLE: u16 = 10 << 8 | 1;
/// `NFTA_TABLE_NAME`.
const TABLE_NAME: u16 = 1;
/// `struct nfgenmsg`: family (0 is all), version 0, resource 0.
const ALL_FAMILIES: [u8; 4] = [0; 4];

/// Family and name of every table in the calling thread's namespace. A family that we have no word
/// for is left out: no such exists today (`NFPROTO_*`).
pub(crate) fn tables() -> Result<Vec<(Family, String)>, NetlinkError> {
    Channel::open(NETLINK_NETFILTER)?.dump(GET_TABLE, &ALL_FAMILIES, |tables: &mut Vec<_>, _, body| {
        tables.extend(table(body));
    })
}

fn table(body: &[u8]) -> Option<(Family, String)> {
    let (header, attributes) = body.split_first_chunk::<4>()?;
    let [family, ..] = *header;
    let name = NlasIterator::new(attributes).map_while(Result::ok).find(|a| a.kind() == TABLE_NAME)?;
    let name = String::from_utf8_lossy(name.value()).trim_end_matches('\0').to_owned();
    Some((family_of(family)?, name))
}

fn family_of(number: u8) -> Option<Family> {
    match i32::from(number) {
        libc::NFPROTO_INET => Some(Family::Inet),
        libc::NFPROTO_IPV4 => Some(Family::Ip),
        libc::NFPROTO_ARP => Some(Family::Arp),
        libc::NFPROTO_NETDEV => Some(Family::Netdev),
        libc::NFPROTO_BRIDGE => Some(Family::Bridge),
        libc::NFPROTO_IPV6 => Some(Family::Ip6),
        _ => None,
    }
}
