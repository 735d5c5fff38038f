//! The value of a field of a packet at a hook.

use std::net::IpAddr;

use model::Mac;
use model::link::LinkKind;
use model::netfilter::{AddressOf, CtTuple, Family, Field, Hook, Side};
use model::packet::Packet;

use super::conntrack::CtView;
use super::fib;
use super::look::Look;
use super::marking::Marking;
use super::sets::Value;

/// A field's value as rules compare it; `None` where the packet has not got it; or what of it cannot
/// be told.
pub(super) fn value<'l>(look: &'l Look, field: &Field, now: Marking) -> Result<Option<Value<'l>>, String> {
    let packet = look.packet();
    let around = look.around;
    let number = |number: Option<u128>| Ok(number.map(Value::Number));
    match field {
        Field::Ip(of) => number(packet.map(|p| bits(end(p, *of)))),
        Field::Port(of) => number(look.ports().map(|(from, to)| match of {
            AddressOf::Source => from.into(),
            AddressOf::Destination => to.into(),
        })),
        Field::Protocol => number(packet.map(|p| p.protocol().into())),
        Field::NfProto => number(Some(nf_proto(look.family, packet))),
        Field::Ttl => number(packet.map(|_| now.ttl.into())),
        Field::Length => number(packet.map(|p| p.length.into())),
        Field::FrameLength => match frame_lengths(look)? {
            (bare, padded) if bare == padded => number(Some(bare)),
            _ => Err(UNTOLD_PADDING.to_owned()),
        },
        Field::Dscp => number(packet.map(|_| now.dscp.into())),
        Field::IcmpType => number(packet.and_then(Packet::icmp).map(|(kind, _)| kind.into())),
        Field::IcmpCode => number(packet.and_then(Packet::icmp).map(|(_, code)| code.into())),
        Field::TcpFlags => number(look.tcp_flags().map(u128::from)),
        Field::In => Ok(Some(Value::Name(look.link_name(around.indev)))),
        Field::Out => Ok(Some(Value::Name(look.link_name(around.outdev)))),
        // Without a bridge around it, a packet has no such name (`nft_meta_bridge_get_eval`).
        Field::LogicalIn => Ok(around.indev.and(around.bridge).map(|b| Value::Name(look.link_name(Some(b))))),
        Field::LogicalOut => {
            Ok(around.outdev.and(around.bridge).map(|b| Value::Name(look.link_name(Some(b)))))
        }
        Field::LinkType(side) => Ok(link_type(look, *side)?.map(Value::Number)),
        Field::NextHop => number(next_hop(look)),
        Field::PacketType => number(Some(packet_type(look).into())),
        Field::Mark => number(Some(now.mark.into())),
        Field::Ether(AddressOf::Source) => number(ether(look, now.ether_source)),
        Field::Ether(AddressOf::Destination) => number(ether(look, now.ether_destination)),
        Field::EtherType => Ok(Some(Value::Number(look.told_ether_type()?.into()))),
        Field::Vlan => number(look.tag().map(|tag| tag.id.into())),
        Field::ArpOperation => number(now.arp.map(|a| if a.reply { 2 } else { 1 })),
        Field::ArpIp(AddressOf::Source) => number(now.arp.map(|a| a.sender_ip.to_bits().into())),
        Field::ArpIp(AddressOf::Destination) => number(now.arp.map(|a| a.target_ip.to_bits().into())),
        Field::ArpEther(AddressOf::Source) => number(now.arp.map(|a| mac_bits(a.sender_mac))),
        Field::ArpEther(AddressOf::Destination) => number(now.arp.map(|a| mac_bits(a.target_mac))),
        Field::CtState
        | Field::CtStatus
        | Field::CtDirection
        | Field::CtMark
        | Field::CtZone
        | Field::CtProtocol
        | Field::Ct(_)
            if look.untold_connection(now).is_some() =>
        {
            Err(look.untold_connection(now).unwrap_or_default().to_owned())
        }
        Field::CtState => number(Some(ct_state(look, now))),
        Field::CtStatus => number(look.ct.as_ref().map(ct_status)),
        Field::CtDirection => number(look.ct.map(|ct| ct.reply.into())),
        Field::CtMark => number(look.ct.map(|_| now.ct_mark.into())),
        Field::CtZone => number(look.ct.map(|ct| ct.zone.into())),
        Field::CtProtocol => number(look.ct.map(|ct| ct.protocol.into())),
        Field::Ct(part) => number(look.ct.map(|ct| tuple_part(&ct, *part))),
        Field::Fib(question) => fib::ask(look, *question, now),
        Field::Unmodelled(text) => Err(text.clone()),
    }
}

/// An address as a number: 32 bits or 128.
pub(super) fn bits(ip: IpAddr) -> u128 {
    match ip {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

/// One end of a packet.
pub(super) fn end(packet: &Packet, of: AddressOf) -> IpAddr {
    match of {
        AddressOf::Source => packet.source,
        AddressOf::Destination => packet.destination,
    }
}

/// Why a short frame's length is not told.
pub(super) const UNTOLD_PADDING: &str = "whether a wire has padded the frame";

/// A frame's length at the hook, as it was made and as it is where a wire has padded it (`skb->len`). What has come in
/// is counted without its Ethernet header (`eth_type_trans`), and on a bridge stays so; what leaves by a device is
/// counted with it (`nf_hook_egress`; `arp_create`, before ARP's own output hook). The outermost tag is kept beside the
/// frame.
pub(super) fn frame_lengths(look: &Look) -> Result<(u128, u128), String> {
    const HEADER: u128 = 14;
    const ARP: u128 = 28;
    /// Octets behind the header of the shortest frame that Ethernet carries.
    const PAYLOAD_MIN: u128 = 46;
    if let Some(tag) = look.tag().filter(|_| look.is_tagged_twice()) {
        return Err(format!("the length of a frame with tags inside that of VLAN {tag}"));
    }
    let is_out = look.hook == Hook::Egress || look.family == Family::Arp && look.hook == Hook::Output;
    let out = || look.around.outdev.and_then(|link| look.world.ns(look.ns).link(link));
    let has_header = is_out && out().is_some_and(|link| link.mac.is_some());
    let header = if has_header { HEADER } else { 0 };
    let bare = look.packet().map_or(ARP, |packet| packet.length.into());
    let may_be_padded = look.around.indev.is_some() || look.hook == Hook::Egress;
    let padded = if may_be_padded { bare.max(PAYLOAD_MIN) } else { bare };
    Ok((bare + header, padded + header))
}

fn mac_bits(mac: Mac) -> u128 {
    mac.0.iter().fold(0, |bits, octet| bits << 8 | u128::from(*octet))
}

/// Frames of Ethernet only: see `mac_mt`.
fn ether(look: &Look, mac: Mac) -> Option<u128> {
    (!look.has_no_ether_header(look.around.indev)).then(|| mac_bits(mac))
}

/// `ARPHRD_*`. What nft calls the link of arrival is the one that the packet is at (`nft_meta_get_eval`, which
/// takes `skb->dev`): none when it is just made, and once it is routed the one that it leaves by.
fn link_type(look: &Look, side: Side) -> Result<Option<u128>, String> {
    const ETHER: u128 = 1;
    const LOOPBACK: u128 = 772;
    let around = look.around;
    let link = match (side, look.hook) {
        (Side::Out, _) | (Side::In, Hook::Postrouting | Hook::Egress) => around.outdev,
        (Side::In, Hook::Output) => None,
        (Side::In, Hook::Ingress | Hook::Prerouting | Hook::Input | Hook::Forward) => around.indev,
    };
    // Bridges have ports of Ethernet only (`br_add_if`).
    if look.family == Family::Bridge {
        let link = if side == Side::Out { around.outdev } else { around.indev.or(around.outdev) };
        return Ok(link.map(|_| ETHER));
    }
    let Some(link) = link.and_then(|link| look.world.ns(look.ns).link(link)) else { return Ok(None) };
    match (&link.kind, link.mac) {
        (LinkKind::Loopback, _) => Ok(Some(LOOPBACK)),
        (_, Some(_)) => Ok(Some(ETHER)),
        (_, None) => Err(format!("the hardware type of {}", link.name)),
    }
}

/// Of a packet that routing has not seen there is none (`nft_rt_get_eval`, `rt_nexthop`, `rt6_nexthop`).
fn next_hop(look: &Look) -> Option<u128> {
    let routed = match look.hook {
        Hook::Input | Hook::Forward | Hook::Output | Hook::Postrouting => true,
        // What comes by the loopback link was routed when it was made.
        Hook::Prerouting => look.arrived_by_loopback(),
        Hook::Ingress | Hook::Egress => false,
    };
    let packet = look.packet().filter(|_| routed && look.family != Family::Bridge)?;
    Some(bits(look.around.via.unwrap_or(packet.destination)))
}

/// `NFPROTO_IPV4`, `NFPROTO_IPV6`; the family's own number elsewhere.
fn nf_proto(family: Family, packet: Option<&Packet>) -> u128 {
    match family {
        Family::Bridge => 7,
        Family::Arp => 3,
        Family::Netdev => 5,
        Family::Ip | Family::Ip6 | Family::Inet => {
            if packet.is_some_and(Packet::is_v6) {
                10
            } else {
                2
            }
        }
    }
}

fn ct_state(look: &Look, now: Marking) -> u128 {
    match look.ct {
        Some(ct) if ct.related => 4,
        Some(ct) if ct.established => 2,
        Some(_) => 8,
        None if now.untracked => 64,
        None => 1,
    }
}

/// `enum ip_conntrack_status`.
fn ct_status(ct: &CtView) -> u128 {
    let bits = [(ct.answered, 1), (ct.assured, 2), (ct.confirmed, 3), (ct.snat, 4), (ct.dnat, 5)];
    bits.into_iter().map(|(set, at)| u128::from(set) << at).sum()
}

fn tuple_part(ct: &CtView, part: CtTuple) -> u128 {
    let (addresses, ports) = if part.reply { ct.reply_tuple } else { ct.original_tuple };
    match (part.of, part.port) {
        (AddressOf::Source, false) => bits(addresses.0),
        (AddressOf::Destination, false) => bits(addresses.1),
        (AddressOf::Source, true) => ports.0.into(),
        (AddressOf::Destination, true) => ports.1.into(),
    }
}

/// `skb->pkt_type`: by the frame's destination; a bridge takes what is for its own address as its
/// own, and br_netfilter what is for others too (`eth_type_trans`, `br_handle_frame`,
/// `setup_pre_routing`). What is made here is for this host until it leaves.
fn packet_type(look: &Look) -> u8 {
    let Marking { addressed_to: destination, other_host, .. } = look.marking();
    let made_here = look.around.indev.is_none() || matches!(look.hook, Hook::Output);
    if made_here {
        return 0;
    }
    if destination == Mac::BROADCAST {
        return 1;
    }
    if destination.is_group() {
        return 2;
    }
    let ns = look.world.ns(look.ns);
    let wears = |link: Option<u32>| {
        link.and_then(|l| ns.link(l)).and_then(|l| l.mac).is_some_and(|mac| mac == destination)
    };
    let is_frame = matches!(look.family, Family::Bridge | Family::Netdev);
    if other_host || is_frame && !wears(look.around.indev) && !wears(look.around.bridge) { 3 } else { 0 }
}
