//! Connections that an exchange opens, and how they translate (`nf_conntrack_core.c`, `nf_nat_core.c`).

use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
use std::net::IpAddr;

use model::conntrack::{CtEntry, Tuple as DumpedTuple};
use model::packet::{ICMP, ICMPV6, Packet, Segment, Transport};

use crate::trail::Skb;

/// One direction's addresses and ports, as in `struct nf_conntrack_tuple`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Tuple {
    source: IpAddr,
    destination: IpAddr,
    protocol: u8,
    ports: (u16, u16),
    /// An echo reply: ICMP's type is part of the tuple, which tells the two apart where a machine
    /// talks to itself.
    echo_reply: bool,
}

impl Tuple {
    fn of(packet: &Packet) -> Tuple {
        let Packet { source, destination, transport, .. } = *packet;
        let (protocol, ports) = (packet.protocol(), transport.ports());
        let echo_reply = matches!(transport, Transport::Echo { reply: true, .. });
        Tuple { source, destination, protocol, ports, echo_reply }
    }

    fn dumped(tuple: &DumpedTuple, protocol: u8) -> Tuple {
        let DumpedTuple { source, destination, source_port, destination_port, icmp } = *tuple;
        let echo_reply = matches!(icmp, Some((0 | 129, _)));
        Tuple { source, destination, protocol, ports: (source_port, destination_port), echo_reply }
    }

    fn inverted(self) -> Tuple {
        let Tuple { source, destination, protocol, ports: (from, to), echo_reply } = self;
        let echo_reply = if matches!(protocol, ICMP | ICMPV6) { !echo_reply } else { echo_reply };
        Tuple { source: destination, destination: source, protocol, ports: (to, from), echo_reply }
    }

    fn ends(self) -> Ends {
        ((self.source, self.destination), self.ports)
    }
}

/// Addresses and ports, source first.
type Ends = ((IpAddr, IpAddr), (u16, u16));

/// A connection in one namespace.
#[derive(Debug, Clone)]
struct Entry {
    ns: usize,
    zone: u16,
    original: Tuple,
    /// What an answer looks like: differs from the inverted original where NAT rewrote.
    reply: Tuple,
    /// An answer was seen: `IPS_SEEN_REPLY`.
    answered: bool,
    /// Not dropped early when the table fills up: `IPS_ASSURED`. Neither TCP's first two packets nor a
    /// datagram and its answer within two seconds make it so (`nf_conntrack_tcp_packet`,
    /// `nf_conntrack_udp_packet`), and ICMP never does.
    assured: bool,
    /// Its first packet has left the machine or was let in: `IPS_CONFIRMED`.
    confirmed: bool,
    bound_source: bool,
    bound_destination: bool,
    mark: u32,
}

impl Entry {
    fn opened(ns: usize, zone: u16, original: Tuple) -> Entry {
        let reply = original.inverted();
        Entry {
            ns,
            zone,
            original,
            reply,
            answered: false,
            assured: false,
            confirmed: false,
            bound_source: false,
            bound_destination: false,
            mark: 0,
        }
    }

    /// One that was there before: its NAT is decided.
    fn dumped(ns: usize, entry: &CtEntry) -> Entry {
        Entry {
            ns,
            zone: entry.zone,
            original: Tuple::dumped(&entry.original, entry.protocol),
            reply: Tuple::dumped(&entry.reply, entry.protocol),
            answered: !entry.unreplied,
            assured: entry.assured,
            confirmed: true,
            bound_source: true,
            bound_destination: true,
            mark: entry.mark,
        }
    }

    /// `IPS_DST_NAT`: the answer comes from another address than was asked.
    fn is_dnat(&self) -> bool {
        let plain = self.original.inverted();
        (self.reply.source, self.reply.ports.0) != (plain.source, plain.ports.0)
    }

    /// `IPS_SRC_NAT`: the answer goes to another address than asked.
    fn is_snat(&self) -> bool {
        let plain = self.original.inverted();
        (self.reply.destination, self.reply.ports.1) != (plain.destination, plain.ports.1)
    }
}

/// Connections that a namespace's dump holds, by zone and either tuple: a busy gateway has a great many.
///
/// One sorted list of hashes, since a diagnosis makes this anew in each changed copy of the facts: for 100,000
/// connections that takes a fifth of the time that a map of tuples does.
#[derive(Debug)]
pub(crate) struct Before<'a> {
    entries: &'a [CtEntry],
    /// Hash of zone and tuple, and index of the entry.
    places: Vec<(u64, usize)>,
}

impl<'a> Before<'a> {
    pub(crate) fn new(entries: &'a [CtEntry]) -> Before<'a> {
        let numbered = entries.iter().enumerate();
        let mut places: Vec<(u64, usize)> = numbered
            .flat_map(|(at, entry)| tuples(entry).map(|tuple| (hashed(entry.zone, tuple), at)))
            .collect();
        places.sort_unstable();
        Before { entries, places }
    }

    /// The first of the dump that has this tuple in either direction.
    fn get(&self, zone: u16, tuple: Tuple) -> Option<&'a CtEntry> {
        let hash = hashed(zone, tuple);
        let first = self.places.partition_point(|(known, _)| *known < hash);
        let alike = self.places.iter().skip(first).take_while(|(known, _)| *known == hash);
        let mut entries = alike.filter_map(|(_, at)| self.entries.get(*at));
        entries.find(|entry| entry.zone == zone && tuples(entry).contains(&tuple))
    }
}

fn tuples(entry: &CtEntry) -> [Tuple; 2] {
    [&entry.original, &entry.reply].map(|tuple| Tuple::dumped(tuple, entry.protocol))
}

fn hashed(zone: u16, tuple: Tuple) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one((zone, tuple))
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
    /// An error about the connection, or a refusal made for it: RELATED.
    related: bool,
}

impl CtRef {
    /// What is sent back because of a packet is related to its connection, in the other direction
    /// (`nf_conntrack_attach`).
    pub(crate) fn related(self) -> CtRef {
        CtRef { reply: !self.reply, related: true, ..self }
    }
}

/// What rules may ask of a packet's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CtView {
    pub(crate) new: bool,
    pub(crate) established: bool,
    pub(crate) related: bool,
    pub(crate) answered: bool,
    pub(crate) assured: bool,
    pub(crate) confirmed: bool,
    /// In the reply's direction.
    pub(crate) reply: bool,
    pub(crate) dnat: bool,
    pub(crate) snat: bool,
    pub(crate) mark: u32,
    pub(crate) zone: u16,
    pub(crate) protocol: u8,
    pub(crate) original_tuple: Ends,
    pub(crate) reply_tuple: Ends,
}

/// Which half of the address pair is rewritten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Manip {
    Source,
    Destination,
}

/// Finds or opens the packet's connection (`nf_conntrack_in`). A packet that has one already came
/// back over the loopback link, or refuses another. An answer opens none: without its question it is INVALID
/// (`icmp_new`, `tcp_new`). `before` are the connections that the namespace's dump holds.
pub(crate) fn track(table: &mut Conntrack, ns: usize, before: &Before, skb: &mut Skb) {
    if skb.ct.is_some() || skb.untracked {
        return;
    }
    let Some(packet) = skb.packet().copied() else { return };
    // The zone is a template's, which is used up here (`nf_conntrack_in`).
    let zone = std::mem::take(&mut skb.zone);
    if matches!(packet.transport, Transport::Neighbour { .. }) {
        // Neighbour discovery is none of its business (`nf_conntrack_icmpv6_error`).
        skb.untracked = true;
        return;
    }
    if matches!(packet.transport, Transport::IcmpError { .. }) {
        // The packet that the error quotes went the other way (`nf_conntrack_inet_error`).
        let about = skb.quoted.map(|quoted| Tuple::of(&quoted).inverted());
        let found = about.and_then(|tuple| table.find(ns, before, zone, tuple));
        skb.ct = found.map(|found| CtRef { related: true, ..found });
        return;
    }
    let tuple = Tuple::of(&packet);
    let found = table.find(ns, before, zone, tuple).or_else(|| {
        opens(packet.transport).then(|| {
            table.entries.push(Entry::opened(ns, zone, tuple));
            CtRef { entry: table.entries.len() - 1, reply: false, related: false }
        })
    });
    let Some(found) = found else { return };
    if found.reply
        && let Some(entry) = table.entries.get_mut(found.entry)
    {
        entry.answered = true;
    }
    skb.ct = Some(found);
}

impl Conntrack {
    fn find(&mut self, ns: usize, before: &Before, zone: u16, tuple: Tuple) -> Option<CtRef> {
        let of = |at: usize, e: &Entry| {
            let reply = e.reply == tuple;
            let found = CtRef { entry: at, reply: reply && e.original != tuple, related: false };
            (e.ns == ns && e.zone == zone && (reply || e.original == tuple)).then_some(found)
        };
        if let Some(found) = self.entries.iter().enumerate().find_map(|(at, e)| of(at, e)) {
            return Some(found);
        }
        let known = before.get(zone, tuple)?;
        self.entries.push(Entry::dumped(ns, known));
        of(self.entries.len() - 1, self.entries.last()?)
    }
}

fn opens(transport: Transport) -> bool {
    match transport {
        Transport::Echo { reply, .. } => !reply,
        Transport::Tcp { segment, .. } => segment == Segment::Syn,
        Transport::Udp { .. } => true,
        Transport::IcmpError { .. } | Transport::Neighbour { .. } => false,
    }
}

/// The packet's connection as rules see it; `None` before tracking, which matches as INVALID.
pub(crate) fn view(table: &Conntrack, skb: &Skb) -> Option<CtView> {
    let found = skb.ct?;
    let entry = table.entries.get(found.entry)?;
    let established = !found.related && (found.reply || entry.answered);
    Some(CtView {
        new: !established && !found.related,
        established,
        related: found.related,
        answered: entry.answered,
        assured: entry.assured,
        confirmed: entry.confirmed,
        reply: found.reply,
        dnat: entry.is_dnat(),
        snat: entry.is_snat(),
        mark: entry.mark,
        zone: entry.zone,
        protocol: entry.original.protocol,
        original_tuple: entry.original.ends(),
        reply_tuple: entry.reply.ends(),
    })
}

/// The last thing that happens to a packet that leaves or is let in (`nf_confirm`). A connection that
/// would be answered like another one was given another source port by then, which nobody can foresee
/// (`nf_nat_used_tuple`, `nf_nat_l4proto_unique_tuple`): the error says so.
pub(crate) fn confirm(table: &mut Conntrack, skb: &Skb) -> Result<(), String> {
    // What comes back confirms nothing, a refusal neither (`__nf_conntrack_confirm`).
    let Some(found) = skb.ct.filter(|found| !found.reply) else { return Ok(()) };
    let Some(entry) = table.entries.get(found.entry).filter(|entry| !entry.confirmed) else { return Ok(()) };
    let clashes = table.entries.iter().enumerate().any(|(at, other)| {
        let looks_alike = other.reply == entry.reply || other.original == entry.reply;
        at != found.entry && (other.ns, other.zone) == (entry.ns, entry.zone) && looks_alike
    });
    if let Some(entry) = table.entries.get_mut(found.entry) {
        entry.confirmed = true;
    }
    if clashes {
        return Err("two connections would be answered alike, and NAT takes another source port".to_owned());
    }
    Ok(())
}

/// Remembers a connection's mark.
pub(crate) fn set_mark(table: &mut Conntrack, skb: &Skb, mark: u32) {
    if let Some(entry) = skb.ct.and_then(|found| table.entries.get_mut(found.entry)) {
        entry.mark = mark;
    }
}

/// Whether NAT rules may still decide this half for the packet's connection.
pub(crate) fn undecided(table: &Conntrack, manip: Manip, skb: &Skb) -> bool {
    let Some(found) = skb.ct else { return false };
    let Some(entry) = table.entries.get(found.entry) else { return false };
    let bound = match manip {
        Manip::Source => entry.bound_source,
        Manip::Destination => entry.bound_destination,
    };
    // Related resets may still bind it; errors are translated and never asked about
    // (`nf_nat_inet_fn`, `nf_nat_ipv4_fn`).
    let may_bind = if found.related { skb.quoted.is_none() } else { !found.reply && !entry.answered };
    may_bind && !bound
}

/// Records a NAT decision: changes what the reply will look like (`nf_nat_setup_info`).
pub(crate) fn bind(
    table: &mut Conntrack,
    manip: Manip,
    (address, port): (Option<IpAddr>, Option<u16>),
    skb: &Skb,
) {
    let Some(entry) = skb.ct.and_then(|found| table.entries.get_mut(found.entry)) else { return };
    // ICMP has an identifier in place of ports, and keeps it.
    let port = port.filter(|_| !matches!(entry.original.protocol, ICMP | ICMPV6));
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
    if skb.quoted.is_some() {
        // In the reply's direction the source was a destination (`nf_nat_icmp_reply_translation`).
        let rewrote_it = match (manip, found.reply) {
            (Manip::Source, true) | (Manip::Destination, false) => entry.is_dnat(),
            (Manip::Source, false) | (Manip::Destination, true) => entry.is_snat(),
        };
        if rewrote_it {
            translate_error(manip, wanted, skb);
        }
        return;
    }
    let Some(packet) = skb.packet_mut() else { return };
    rewrite(packet, manip, wanted);
}

fn rewrite(packet: &mut Packet, manip: Manip, wanted: Tuple) {
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
        Transport::Echo { .. } | Transport::IcmpError { .. } | Transport::Neighbour { .. } => {}
    }
}

/// An error's own address, and the other half of the packet that it quotes.
fn translate_error(manip: Manip, wanted: Tuple, skb: &mut Skb) {
    if let Some(quoted) = &mut skb.quoted {
        let other = match manip {
            Manip::Source => Manip::Destination,
            Manip::Destination => Manip::Source,
        };
        rewrite(quoted, other, wanted.inverted());
    }
    if let Some(packet) = skb.packet_mut() {
        rewrite(packet, manip, wanted);
    }
}
