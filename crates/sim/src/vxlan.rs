//! A VXLAN device: to which far end a frame goes, inside which packet, and what takes it there (RFC 7348;
//! `vxlan_xmit`, `vxlan_rcv` of drivers/net/vxlan/vxlan_core.c).

use std::net::IpAddr;

use model::Mac;
use model::link::{FdbEntry, FdbKind};
use model::netfilter::Family;
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Place, Stage, Stop};
use model::vxlan::{VxlanDevice, VxlanRemote};

use crate::exchange::{ASKING_PORT, unspecified};
use crate::ip;
use crate::trail::{Behind, Learned, Outcome, Skb, Trail, Wrapped, best, place};
use crate::wire;
use crate::world::{LinkId, World};

/// Octets that a frame is longer by inside IPv4, its own Ethernet header included (`VXLAN_HEADROOM`).
const HEADROOM: u16 = 50;
/// The same inside IPv6 (`VXLAN6_HEADROOM`).
const HEADROOM_V6: u16 = 70;
/// ARP for IPv4 over Ethernet (RFC 826).
const ARP_BYTES: u16 = 28;
/// What packets of an overlay start with, where nothing else is told.
const TTL: u8 = 64;

/// Sends a frame into the overlay: a copy to each far end that its entry names.
pub(crate) fn transmit(world: &World, mut trail: Trail, egress: LinkId, here: Place, skb: &Skb) -> Outcome {
    let ns = world.ns(egress.ns);
    let device = here.device.clone();
    let Some(vxlan) = world.link(egress).and_then(|link| link.vxlan) else {
        let why = format!("which overlay {device} is an end of");
        return trail.unknown(here, &skb.frame, why, format!("ip -d link show {device}"));
    };
    if let Some(why) = not_walked(&vxlan) {
        let need = format!("a capture on {device}, and of UDP port {} below it", vxlan.port);
        return trail.unknown(here, &skb.frame, format!("{device} {why}"), need);
    }
    let Some(underlay) = world.underlay_of(egress) else {
        let why = format!("in which namespace the packets of {device} travel");
        return trail.unknown(here, &skb.frame, why, "the namespace that it was made in");
    };
    // Every link has multicast entries of its own there.
    if ns.fdb.is_empty() {
        let why = format!("where {device} sends frames to: its entries were not read");
        return trail.unknown(here, &skb.frame, why, format!("bridge fdb show dev {device}"));
    }
    let remotes = remotes(world, &trail, egress, skb.frame.destination);
    if remotes.is_empty() {
        let what = skb.frame.destination;
        let why = format!("no entry of {device} tells where {what} is, and none is for all others");
        return trail.drop(here, &skb.frame, Stop::NoTarget(why), Vec::new());
    }
    trail.overlays = trail.overlays.saturating_add(1);
    let copies = remotes.into_iter().map(|remote| {
        let tunnel = Tunnel { underlay, vxlan, remote };
        encapsulate(world, trail.clone(), &tunnel, here.clone(), skb)
    });
    // At least one, since there was a far end.
    best(copies.collect()).unwrap_or_else(|| trail.drop(here, &skb.frame, Stop::DeviceMissing, Vec::new()))
}

/// What of a device's settings makes it another thing than the walk knows.
fn not_walked(vxlan: &VxlanDevice) -> Option<&'static str> {
    if vxlan.external {
        return Some("is told its far ends with each packet, which is not modelled");
    }
    vxlan
        .answers_itself
        .then_some("answers or routes out of the neighbour table (proxy, rsc), which is not modelled")
}

/// The far ends of a MAC: of its own entry, else of the one for all others (`vxlan_find_mac`). What this walk itself
/// taught overrules the dump, unless the dumped entry cannot move.
fn remotes(world: &World, trail: &Trail, device: LinkId, mac: Mac) -> Vec<VxlanRemote> {
    let of = |wanted: Mac| entries(world, device).filter(move |entry| entry.mac == wanted);
    let pinned = of(mac).any(|entry| entry.kind != FdbKind::Learned);
    if !pinned && let Some(far_end) = learned(trail, device, mac) {
        return vec![VxlanRemote { ip: far_end, port: None, vni: None, via: None }];
    }
    let own: Vec<VxlanRemote> = of(mac).filter_map(|entry| entry.remote).collect();
    if own.is_empty() { of(Mac::ZERO).filter_map(|entry| entry.remote).collect() } else { own }
}

fn entries<'w>(world: &World<'w>, device: LinkId) -> impl Iterator<Item = &'w FdbEntry> {
    world.ns(device.ns).fdb.iter().filter(move |entry| entry.link == device.link && entry.remote.is_some())
}

fn learned(trail: &Trail, device: LinkId, mac: Mac) -> Option<IpAddr> {
    let mut shown = trail.learned.iter().rev().filter(|l| (l.device, l.mac) == (device, mac));
    shown.find_map(|l| match l.behind {
        Behind::FarEnd(far_end) => Some(far_end),
        Behind::Port(_) => None,
    })
}

/// One way into the overlay.
struct Tunnel {
    /// Namespace that the packet is made in.
    underlay: usize,
    vxlan: VxlanDevice,
    remote: VxlanRemote,
}

/// Puts the frame into a packet to one far end, and sends that from the host's own stack (`vxlan_xmit_one`).
fn encapsulate(world: &World, mut trail: Trail, tunnel: &Tunnel, here: Place, skb: &Skb) -> Outcome {
    let Tunnel { underlay, vxlan, remote } = tunnel;
    let ns = world.ns(*underlay);
    let (to, vni) = (remote.ip, remote.vni.unwrap_or(vxlan.vni));
    let port = remote.port.unwrap_or(vxlan.port);
    if to.is_multicast() {
        let why = format!("who has joined the group {to}");
        return trail.unknown(here, &skb.frame, why, "ip maddr on the other hosts, and the network between");
    }
    if ns.has_address(to) {
        let why = format!("a far end that is this machine itself ({to}) is not modelled");
        let need = format!("a capture on {}", here.device);
        return trail.unknown(here, &skb.frame, why, need);
    }
    if let Some(local) = vxlan.local.filter(|local| !ns.has_address(*local)) {
        // `ip_route_output_key_hash_rcu`.
        let why = format!("{local} is no address of {}", ns.machine);
        return trail.drop(here, &skb.frame, Stop::RouteRefuses(why), Vec::new());
    }
    let bound = remote.via.or(vxlan.underlay);
    if let (Some(bound), Some((by, _))) = (bound, ip::next_hop(world, *underlay, to))
        && by.link != bound
    {
        let (bound, by) = (ns.link_name(bound), ns.link_name(by.link));
        let why = format!("packets are bound to {bound}, and the route to {to} is by {by}");
        return trail.unknown(here, &skb.frame, why, format!("ip route get {to} oif {bound}"));
    }
    trail.pass(here, &skb.frame, format!("into VNI {vni}, to {to} port {port}"), Vec::new());
    let packet = Packet {
        source: vxlan.local.unwrap_or(unspecified(to)),
        destination: to,
        ttl: TTL,
        length: length(&skb.frame, to),
        transport: Transport::Udp { source: ASKING_PORT, destination: port },
    };
    let frame = Frame::untagged(Mac::ZERO, Mac::ZERO, Payload::Ip(packet));
    let wrapped = Some(Box::new(Wrapped { vni, skb: skb.scrubbed() }));
    ip::send_frame(world, trail, ip::From { ns: *underlay, by: None }, Skb { wrapped, ..Skb::new(frame) })
}

/// How long the packet is that carries a frame, in bytes.
fn length(frame: &Frame, to: IpAddr) -> u16 {
    let payload = match &frame.payload {
        Payload::Arp(_) => ARP_BYTES,
        Payload::Ip(packet) => packet.length,
    };
    payload.saturating_add(if to.is_ipv4() { HEADROOM } else { HEADROOM_V6 })
}

/// A packet of an overlay that a link has no room for: without *don't fragment*, as VXLAN devices send, it goes in
/// pieces, which the walk does not follow.
pub(crate) fn in_pieces(trail: Trail, here: Place, skb: &Skb, mtu: u32) -> Outcome {
    let why =
        format!("whether all pieces arrive: the overlay's packet is larger than the MTU of {mtu} bytes");
    let need = format!("a capture on {} and on the far end's", here.device);
    trail.unknown(here, &skb.frame, why, need)
}

/// A packet of an overlay is for this machine: the device of its network takes the frame out, as if it had arrived
/// there (`vxlan_rcv`).
pub(crate) fn receive(
    world: &World,
    mut trail: Trail,
    ingress: LinkId,
    skb: Skb,
    wrapped: Wrapped,
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let here = place(ns, world.link(ingress), Stage::Local);
    let Some(Packet { source, transport: Transport::Udp { destination: port, .. }, .. }) =
        skb.packet().copied()
    else {
        return trail.drop(here, &skb.frame, Stop::OtherHost, Vec::new());
    };
    let is_v6 = skb.family() == Family::Ip6;
    let listening: Vec<(LinkId, VxlanDevice)> = listening(world, ingress.ns, port, is_v6).collect();
    if listening.iter().any(|(_, vxlan)| vxlan.external) {
        let why = format!("what a device without a network of its own does with VNI {}", wrapped.vni);
        return trail.unknown(here, &skb.frame, why, "ip -d link show type vxlan");
    }
    let Some((device, vxlan)) = listening.iter().find(|(_, vxlan)| vxlan.vni == wrapped.vni).copied() else {
        return match listening.as_slice() {
            [] => trail.drop(
                here,
                &skb.frame,
                Stop::NoListener { protocol: model::packet::UDP, port },
                Vec::new(),
            ),
            others => {
                let only = if let [(only, _)] = others { *only } else { ingress };
                let there = place(world.ns(only.ns), world.link(only), Stage::Wire);
                trail.drop(there, &skb.frame, Stop::VniNotTaken { vni: wrapped.vni, port }, Vec::new())
            }
        };
    };
    let there = place(world.ns(device.ns), world.link(device), Stage::Wire);
    let mut inner = wrapped.skb;
    if device.ns == ingress.ns {
        // The mark only stays behind at a namespace's border (`__iptunnel_pull_header`).
        inner.mark = skb.mark;
    }
    let mac = inner.frame.source;
    if world.link(device).and_then(|link| link.mac) == Some(mac) {
        // `vxlan_set_mac`.
        let why = format!("{mac} is the device's own address");
        return trail.drop(there, &inner.frame, Stop::NoTarget(why), Vec::new());
    }
    if vxlan.learning {
        let mut known =
            entries(world, device).filter(|entry| entry.mac == mac && entry.kind != FdbKind::Learned);
        let elsewhere = |entry: &FdbEntry| entry.remote.is_some_and(|remote| remote.ip != source);
        if let Some(entry) = known.next().filter(|entry| elsewhere(entry)) {
            // `vxlan_snoop` does not move what was set by hand.
            let at = entry.remote.map(|remote| remote.to_string()).unwrap_or_default();
            let why = format!("{mac} comes from {source}, and an entry set by hand has it at {at}");
            return trail.drop(there, &inner.frame, Stop::NoTarget(why), Vec::new());
        }
        trail.learned.push(Learned { device, vid: 0, mac, behind: Behind::FarEnd(source) });
    }
    trail.overlays = trail.overlays.saturating_sub(1);
    trail.pass(there, &inner.frame, format!("out of VNI {}, from {source}", wrapped.vni), Vec::new());
    wire::receive(world, trail, device, &inner)
}

/// Devices that listen at a port: those that are up (`vxlan_open`), with a socket of the packet's family.
fn listening(
    world: &World,
    ns: usize,
    port: u16,
    is_v6: bool,
) -> impl Iterator<Item = (LinkId, VxlanDevice)> {
    let of_family = move |vxlan: &VxlanDevice| {
        vxlan.external || vxlan.remote.or(vxlan.local).map_or(!is_v6, |told| told.is_ipv6() == is_v6)
    };
    let up = |device: LinkId| world.link(device).is_some_and(|link| link.admin_up);
    world
        .overlays_over(ns)
        .filter(move |(device, vxlan)| vxlan.port == port && of_family(vxlan) && up(*device))
}
