//! What a rejected packet's sender is told (`nf_reject_ipv4.c`, `nf_reject_ipv6.c`), and the sender of one that is
//! too large or has no TTL left (`ip_forward`): an ICMP error or a TCP reset, sent by the machine that refused, and
//! walked like any other packet.

use model::netfilter::RejectWith;
use model::packet::{Frame, Packet, Payload, Segment, Transport};
use model::path::Disposition;

use crate::exchange::unspecified;
use crate::ip;
use crate::netfilter::conntrack::CtRef;
use crate::trail::{Carried, Outcome, Skb, Trail};
use crate::wire;
use crate::world::{LinkId, World};

/// Octets of an error beside what it quotes: IPv4's header and its own.
pub(crate) const ERROR_OCTETS: u16 = 28;
/// ICMP's type of it (RFC 792).
pub(crate) const TIME_EXCEEDED: u8 = 11;

/// Where a rule, a route's MTU, or its TTL, refused a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Refused {
    /// In which namespace.
    pub(crate) ns: usize,
    /// By which link it had come; none, of one made there.
    pub(crate) link: Option<u32>,
    /// By which bridge port it had come, where br_netfilter met it there.
    pub(crate) port: Option<u32>,
    /// Its connection.
    pub(crate) ct: Option<CtRef>,
    /// How.
    pub(crate) with: Word,
}

/// What the sender is told.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Word {
    /// What a rule rejects with, or which size would pass.
    Rejected(RejectWith),
    /// Its TTL ran out.
    TimeExceeded,
}

/// Walks what the sender of a refused packet is told; `None` where nobody refused, or nothing is said.
pub(crate) fn walk(world: &World, asked: &Outcome) -> Option<Outcome> {
    // Of an overlay's packet its own machine is told, and not the sender of what is inside.
    let refused = asked.trail.refused.as_deref().copied().filter(|_| asked.trail.overlays == 0)?;
    let (Disposition::Dropped(_), Payload::Ip(packet)) = (&asked.disposition, &asked.frame.payload) else {
        return None;
    };
    let told = answer(world, refused, packet)?;
    let trail = Trail::from(Carried {
        conntrack: asked.trail.conntrack.clone(),
        learned: asked.trail.learned.clone(),
        neighbours: asked.trail.neighbours.clone(),
        choices: asked.trail.choices.clone(),
        asker: asked.trail.asker,
        ..Carried::default()
    });
    let is_error = matches!(told.transport, Transport::IcmpError { .. });
    let back_to = asked.frame.source;
    let frame = Frame::untagged(asked.frame.destination, back_to, Payload::Ip(told));
    // An error is of precedence *internetwork control* (`__icmp_send`); IPv6's is of none.
    let dscp = if is_error && !packet.is_v6() { 0x30 } else { 0 };
    // The word is of the refused packet's connection before any hook has seen it (`nf_ct_attach`).
    let ct = refused.ct.map(CtRef::related);
    let skb = Skb { quoted: is_error.then_some(*packet), ct, dscp, ..Skb::new(frame) };
    match refused.port {
        // What came by a port has its reset leave by that port, past all hooks, even where it was to be
        // routed (`nf_send_reset`).
        Some(port) if !is_error => {
            // A route to the sender must be there all the same, and is not used (`ip_route_me_harder`).
            if !ip::has_route_out(world, refused.ns, &told) {
                return None;
            }
            Some(wire::transmit(world, trail, LinkId { ns: refused.ns, link: port }, &skb))
        }
        Some(_) | None => {
            // A link-local address is answered by the link that it was met on (`icmp6_send`).
            let by = refused.link.filter(|_| is_error && ip::scope::is_link_local(told.destination));
            Some(ip::send_frame(world, trail, ip::From { ns: refused.ns, by }, skb))
        }
    }
}

fn answer(world: &World, refused: Refused, packet: &Packet) -> Option<Packet> {
    let Packet { source, destination, .. } = *packet;
    if destination.is_multicast() || source.is_unspecified() {
        return None;
    }
    let v6 = packet.is_v6();
    let (transport, from) = match (refused.with, packet.transport) {
        (Word::Rejected(RejectWith::TcpReset), Transport::Tcp { source: from, destination: to, segment }) => {
            if segment == Segment::Reset {
                return None;
            }
            let reset = Transport::Tcp { source: to, destination: from, segment: Segment::Reset };
            (reset, destination)
        }
        (Word::Rejected(RejectWith::TcpReset), _) => return None,
        // An error is no reason for another (RFC 1122, 3.2.2).
        (_, Transport::IcmpError { .. } | Transport::Neighbour { .. }) => return None,
        (with, _) => {
            let (kind, code) = error(with, v6)?;
            let own = world.ns(refused.ns).has_address(destination);
            (Transport::IcmpError { kind, code }, if own { destination } else { unspecified(destination) })
        }
    };
    Some(Packet { source: from, destination: source, ttl: 64, length: length(v6, packet), transport })
}

/// Type and code; `None` where the kind is not of the packet's family.
fn error(with: Word, v6: bool) -> Option<(u8, u8)> {
    let with = match with {
        Word::Rejected(with) => with,
        Word::TimeExceeded => return Some((if v6 { 3 } else { TIME_EXCEEDED }, 0)),
    };
    match (with, v6) {
        (RejectWith::Icmp(code), false) => Some((3, code)),
        (RejectWith::Icmp6(code), true) => Some((1, code)),
        // `nft_reject_icmp_code`, `nft_reject_icmpv6_code`.
        (RejectWith::Icmpx(code), false) => Some((3, *[0, 3, 1, 13].get(usize::from(code))?)),
        (RejectWith::Icmpx(code), true) => Some((1, *[0, 4, 3, 1].get(usize::from(code))?)),
        (RejectWith::Icmp(_) | RejectWith::Icmp6(_) | RejectWith::TcpReset, _) => None,
    }
}

/// The error quotes all of a short packet behind a header and eight octets of its own.
fn length(v6: bool, packet: &Packet) -> u16 {
    let own = if v6 { 48 } else { ERROR_OCTETS };
    let most = if v6 { 1280 } else { 576 };
    packet.length.saturating_add(own).min(most)
}
