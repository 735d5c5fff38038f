//! The link layer and its tags, down to IP or ARP.

use model::sighting::{Address, Kind, Sighting};

use super::identity::Hash;
use super::{Inside, ip, u16_at, u32_at};

// Numbers of tcpdump.org/linktypes.html.
const LINK_NULL: u32 = 0;
const LINK_ETHERNET: u32 = 1;
const LINK_RAW_BSD: u32 = 12;
const LINK_RAW_OPENBSD: u32 = 14;
const LINK_RAW: u32 = 101;
const LINK_LOOP: u32 = 108;
const LINK_SLL: u32 = 113;
const LINK_IPV4: u32 = 228;
const LINK_IPV6: u32 = 229;
const LINK_SLL2: u32 = 276;

// include/uapi/linux/if_ether.h
const ETH_P_IP: u16 = 0x0800;
const ETH_P_ARP: u16 = 0x0806;
const ETH_P_TEB: u16 = 0x6558;
const ETH_P_8021Q: u16 = 0x8100;
const ETH_P_IPV6: u16 = 0x86dd;
const ETH_P_MPLS: u16 = 0x8847;
const ETH_P_PPP_SESSION: u16 = 0x8864;
const ETH_P_8021AD: u16 = 0x88a8;
const ETH_P_QINQ1: u16 = 0x9100;

const PPP_IP: u16 = 0x0021;
const PPP_IPV6: u16 = 0x0057;

/// The ifindex that `tcpdump -i any` has kept of a packet (SLL2 alone has it).
pub fn cooked_interface(link_type: u32, octets: &[u8]) -> Option<u32> {
    if link_type == LINK_SLL2 { u32_at(octets, 4) } else { None }
}

pub(super) fn read(link_type: u32, octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    match link_type {
        LINK_ETHERNET => ethernet(octets, seen, inside),
        LINK_RAW | LINK_RAW_BSD | LINK_RAW_OPENBSD | LINK_IPV4 | LINK_IPV6 => ip::read(octets, seen, inside),
        // The address family in four octets, of either order.
        LINK_NULL | LINK_LOOP => ip::read(octets.get(4..)?, seen, inside),
        LINK_SLL => {
            if u16_at(octets, 4)? == 6 {
                seen.sender = mac(octets.get(6..)?)?;
            }
            protocol(u16_at(octets, 14)?, octets.get(16..)?, seen, inside)
        }
        LINK_SLL2 => {
            if *octets.get(11)? == 6 {
                seen.sender = mac(octets.get(12..)?)?;
            }
            protocol(u16_at(octets, 0)?, octets.get(20..)?, seen, inside)
        }
        _ => None,
    }
}

pub(super) fn ethernet(octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    seen.sender = mac(octets.get(6..)?)?;
    protocol(u16_at(octets, 12)?, octets.get(14..)?, seen, inside)
}

/// What an EtherType announces.
pub(super) fn protocol(kind: u16, octets: &[u8], seen: &mut Sighting, inside: Inside<'_>) -> Option<()> {
    match kind {
        ETH_P_IP | ETH_P_IPV6 => ip::read(octets, seen, inside),
        ETH_P_ARP => arp(octets, seen),
        ETH_P_8021Q | ETH_P_8021AD | ETH_P_QINQ1 => {
            protocol(u16_at(octets, 2)?, octets.get(4..)?, seen, inside.deeper()?)
        }
        ETH_P_TEB => ethernet(octets, seen, inside.deeper()?),
        ETH_P_PPP_SESSION => match u16_at(octets, 6)? {
            PPP_IP | PPP_IPV6 => ip::read(octets.get(8..)?, seen, inside.deeper()?),
            _ => None,
        },
        ETH_P_MPLS => {
            let bottom = octets.get(2)? & 1 == 1;
            let rest = octets.get(4..)?;
            if bottom {
                ip::read(rest, seen, inside.deeper()?)
            } else {
                protocol(ETH_P_MPLS, rest, seen, inside.deeper()?)
            }
        }
        _ => None,
    }
}

/// ARP for IPv4 over Ethernet (RFC 826).
fn arp(octets: &[u8], seen: &mut Sighting) -> Option<()> {
    const REQUEST: u16 = 1;
    const REPLY: u16 = 2;
    let address = |at: usize| octets.get(at..)?.first_chunk::<4>().copied();
    if u16_at(octets, 2)? != ETH_P_IP || octets.get(4..6)? != [6, 4] {
        return None;
    }
    let operation = u16_at(octets, 6)?;
    let (from, to) = (address(14)?, address(24)?);
    seen.source = Address::v4(from);
    seen.destination = Address::v4(to);
    seen.sender = mac(octets.get(8..)?)?;
    seen.length = 28;
    let (from, to) = (u64::from(u32::from_be_bytes(from)), u64::from(u32::from_be_bytes(to)));
    let link = Hash::of(u64::from(ETH_P_ARP));
    seen.identity = link.word(u64::from(operation)).word(seen.sender).word(from << 32 | to).finish();
    match operation {
        REQUEST => {
            seen.kind = Kind::ArpRequest;
            seen.ask = link.word(from << 32 | to).finish();
        }
        REPLY => {
            seen.kind = Kind::ArpReply;
            seen.answer = link.word(to << 32 | from).finish();
        }
        _ => return None,
    }
    Some(())
}

fn mac(octets: &[u8]) -> Option<u64> {
    let octets = octets.first_chunk::<6>()?;
    Some(octets.iter().fold(0, |mac, octet| mac << 8 | u64::from(*octet)))
}
