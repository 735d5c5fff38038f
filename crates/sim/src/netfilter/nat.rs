//! What a NAT rule rewrites to (`nf_nat_core.c`, `get_unique_tuple`).
//!
//! Where the kernel may choose among several addresses, the walk takes one and says that there were
//! others; whoever asked walks again for each of them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use ipnet::IpNet;
use model::netfilter::{Action, Hook, NatTarget};
use model::packet::{TCP, UDP};

use super::chain::Effect;
use super::conntrack::Manip;
use super::fields::bits;
use super::look::Look;
use crate::trail::{Choices, Skb};

/// Addresses of a range that are walked one by one, at most.
const ADDRESSES_MAX: u128 = 8;

/// What a target comes to for a packet: address and port, each kept where `None`; or why it cannot be
/// told.
pub(super) fn chosen(
    target: &NatTarget,
    manip: Manip,
    skb: &Skb,
    choices: &mut Choices,
) -> Result<(Option<IpAddr>, Option<u16>), String> {
    let Some(packet) = skb.packet() else { return Ok((None, None)) };
    let (ports, address) = (packet.transport.ports(), (packet.source, packet.destination));
    let (own_port, own_address) = match manip {
        Manip::Source => (ports.0, address.0),
        Manip::Destination => (ports.1, address.1),
    };
    // What ICMP has in place of ports is never out of range (`nf_nat_l4proto_in_range`).
    let ranged = target.ports.filter(|_| matches!(packet.protocol(), TCP | UDP));
    let port = match (ranged, target.base) {
        (None, _) => None,
        (Some(range), Some(base)) => Some(in_step(range, base, own_port)),
        (Some((low, high)), None) if low == high => Some(low),
        // A port within the range is kept (`nf_nat_l4proto_in_range`).
        (Some((low, high)), None) if (low..=high).contains(&own_port) => Some(own_port),
        (Some(_), None) => return Err(format!("NAT picks one of the ports of {target}")),
    };
    let address = match target.addresses {
        None => None,
        Some((low, high)) if low == high => Some(low),
        // So is a source that lies in the range already (`nf_nat_inet_in_range`).
        Some((low, high)) if manip == Manip::Source && (low..=high).contains(&own_address) => {
            Some(own_address)
        }
        Some((low, high)) => {
            let count = bits(high).saturating_sub(bits(low)).saturating_add(1);
            if count > ADDRESSES_MAX {
                return Err(format!("NAT picks one of {target}"));
            }
            let nth = choices.choose(usize::try_from(count).unwrap_or(usize::MAX));
            Some(from_bits(low, bits(low) + nth as u128))
        }
    };
    Ok((address, port))
}

/// As far from the range's first port as the own one is from the base, around its end
/// (`nf_nat_l4proto_unique_tuple`, `NF_NAT_RANGE_PROTO_OFFSET`).
fn in_step((low, high): (u16, u16), base: u16, port: u16) -> u16 {
    let size = u32::from(high.saturating_sub(low)) + 1;
    let off = u32::from(port.wrapping_sub(base)) % size;
    low.wrapping_add(u16::try_from(off).unwrap_or_default())
}

fn from_bits(like: IpAddr, bits: u128) -> IpAddr {
    match like {
        IpAddr::V4(_) => Ipv4Addr::from_bits(u32::try_from(bits).unwrap_or(u32::MAX)).into(),
        IpAddr::V6(_) => Ipv6Addr::from_bits(bits).into(),
    }
}

impl Look<'_, '_> {
    /// NETMAP: the network part of the destination before routing, of the source after it
    /// (`netmap_tg4`, `netmap_tg6`).
    pub(super) fn netmapped(&self, action: &Action) -> Option<Effect> {
        let Action::Netmap(net) = action else { return None };
        let packet = self.packet()?;
        let is_destination = match self.hook {
            Hook::Prerouting | Hook::Output => true,
            Hook::Input | Hook::Postrouting => false,
            Hook::Forward | Hook::Ingress | Hook::Egress => return None,
        };
        let mapped = map_into(net, if is_destination { packet.destination } else { packet.source })?;
        let target = NatTarget { addresses: Some((mapped, mapped)), ..NatTarget::default() };
        Some(if is_destination { Effect::Dnat(target) } else { Effect::Snat(target) })
    }
}

/// The prefix's network part with the address's host part.
fn map_into(net: &IpNet, ip: IpAddr) -> Option<IpAddr> {
    let host = bits(net.hostmask());
    let mapped = bits(net.network()) | (bits(ip) & host);
    (net.addr().is_ipv4() == ip.is_ipv4()).then(|| from_bits(ip, mapped))
}
