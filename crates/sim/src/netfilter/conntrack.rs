//! Connections that an exchange opens, and how they translate (`nf_conntrack_core.c`, `nf_nat_core.c`).

use std::net::{IpAddr, Ipv4Addr};

use model::netfilter::NatTarget;
use model::packet::{Packet, Transport};

use crate::trail::Skb;

const ICMP: u8 = 1;

/// One direction's addresses and ports, as in `struct nf_conntrack_tuple`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Tuple {
    source: Ipv4Addr,
    destination: Ipv4Addr,
    protocol: u8,
    ports: (u16, u16),
    /// An echo reply: ICMP's type is part of the tuple, which tells the two apart where a machine
    /// talks to itself.
    echo_reply: bool,
}

impl Tuple {
    fn of(packet: &Packet) -> Tuple {
        let Packet { source, destination, transport, .. } = *packet;
        let (protocol, ports) = (transport.protocol(), transport.ports());
        let echo_reply = matches!(transport, Transport::Echo { reply: true, .. });
        Tuple { source, destination, protocol, ports, echo_reply }
    }

    fn inverted(self) -> Tuple {
        let Tuple { source, destination, protocol, ports: (from, to), echo_reply } = self;
        let echo_reply = if protocol == ICMP { !echo_reply } else { echo_reply };
        Tuple { source: destination, destination: source, protocol, ports: (to, from), echo_reply }
    }
}

/// A connection in one namespace.
#[derive(Debug, Clone)]
struct Entry {
    ns: usize,
    original: Tuple,
    /// What an answer looks like: differs from the inverted original where NAT rewrote.
    reply: Tuple,
    /// An answer was seen: `IPS_SEEN_REPLY`.
    answered: bool,
    bound_source: bool,
    bound_destination: bool,
}

/// Every connection of an exchange.
#[derive(Debug, Clone, Default)]
pub(crate) struct Conntrack {
    entries: Vec<Entry>,
}

/// A packet's connection and its direction in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CtRef {
    entry: usize,
    reply: bool,
}

/// What rules may ask of a packet's connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct CtView {
    pub(crate) new: bool,
    pub(crate) established: bool,
    pub(crate) dnat: bool,
    pub(crate) snat: bool,
}

/// Which half of the address pair is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manip {
    Source,
    Destination,
}

/// Finds or opens the packet's connection (`nf_conntrack_in`). A packet that has one already came
/// back over the loopback link. An answer opens none: without its question it is INVALID
/// (`icmp_new`, `tcp_new`).
pub(crate) fn track(table: &mut Conntrack, ns: usize, skb: &mut Skb) {
    if skb.ct.is_some() || skb.untracked {
        return;
    }
    let Some(tuple) = skb.packet().map(Tuple::of) else { return };
    let known = table.entries.iter().enumerate().filter(|(_, e)| e.ns == ns).find_map(|(entry, e)| {
        let reply = e.reply == tuple;
        (reply || e.original == tuple).then_some(CtRef { entry, reply: reply && e.original != tuple })
    });
    let opens = match skb.packet().map(|p| p.transport) {
        Some(Transport::Echo { reply: true, .. } | Transport::Tcp { answer: true, .. }) | None => false,
        Some(Transport::Echo { .. } | Transport::Tcp { .. } | Transport::Udp { .. }) => true,
    };
    if known.is_none() && !opens {
        return;
    }
    let found = known.unwrap_or_else(|| {
        table.entries.push(Entry {
            ns,
            original: tuple,
            reply: tuple.inverted(),
            answered: false,
            bound_source: false,
            bound_destination: false,
        });
        CtRef { entry: table.entries.len() - 1, reply: false }
    });
    if found.reply
        && let Some(entry) = table.entries.get_mut(found.entry)
    {
        entry.answered = true;
    }
    skb.ct = Some(found);
}

/// The packet's connection as rules see it; `None` before tracking, which matches as INVALID.
pub(crate) fn view(table: &Conntrack, skb: &Skb) -> Option<CtView> {
    let found = skb.ct?;
    let entry = table.entries.get(found.entry)?;
    let established = found.reply || entry.answered;
    let unrewritten = entry.original.inverted();
    Some(CtView {
        new: !established,
        established,
        // `IPS_DST_NAT`, `IPS_SRC_NAT`: the reply comes from, or goes to, another address.
        dnat: (entry.reply.source, entry.reply.ports.0) != (unrewritten.source, unrewritten.ports.0),
        snat: (entry.reply.destination, entry.reply.ports.1)
            != (unrewritten.destination, unrewritten.ports.1),
    })
}

/// Whether NAT rules may still decide this half for the packet's connection.
pub(crate) fn undecided(table: &Conntrack, manip: Manip, skb: &Skb) -> bool {
    let Some(found) = skb.ct else { return false };
    let Some(entry) = table.entries.get(found.entry) else { return false };
    let bound = match manip {
        Manip::Source => entry.bound_source,
        Manip::Destination => entry.bound_destination,
    };
    !found.reply && !entry.answered && !bound
}

/// Records a NAT decision: changes what the reply will look like (`nf_nat_setup_info`).
pub(crate) fn bind(table: &mut Conntrack, manip: Manip, target: &NatTarget, skb: &Skb) {
    let Some(entry) = skb.ct.and_then(|found| table.entries.get_mut(found.entry)) else { return };
    let address = target.addresses.and_then(|(low, _)| match low {
        IpAddr::V4(v4) => Some(v4),
        IpAddr::V6(_) => None,
    });
    let port = target.ports.map(|(low, _)| low);
    match manip {
        Manip::Destination => {
            entry.bound_destination = true;
            entry.reply.source = address.unwrap_or(entry.reply.source);
            entry.reply.ports.0 = port.unwrap_or(entry.reply.ports.0);
        }
        Manip::Source => {
            entry.bound_source = true;
            entry.reply.destination = address.unwrap_or(entry.reply.destination);
            entry.reply.ports.1 = port.unwrap_or(entry.reply.ports.1);
        }
    }
}

/// Rewrites one half of a packet as its connection says (`nf_nat_packet`). Where no rule rewrote
/// the first packet, none ever will (`nf_nat_alloc_null_binding`).
pub(crate) fn translate(table: &mut Conntrack, manip: Manip, skb: &mut Skb) {
    let Some(found) = skb.ct else { return };
    let Some(entry) = table.entries.get_mut(found.entry) else { return };
    match manip {
        Manip::Source => entry.bound_source = true,
        Manip::Destination => entry.bound_destination = true,
    }
    let wanted = if found.reply { entry.original.inverted() } else { entry.reply.inverted() };
    let Some(packet) = skb.packet_mut() else { return };
    match manip {
        Manip::Source => packet.source = wanted.source,
        Manip::Destination => packet.destination = wanted.destination,
    }
    let (from, to) = wanted.ports;
    match &mut packet.transport {
        Transport::Tcp { source, destination, .. } | Transport::Udp { source, destination } => match manip {
            Manip::Source => *source = from,
            Manip::Destination => *destination = to,
        },
        Transport::Echo { .. } => {}
    }
}
