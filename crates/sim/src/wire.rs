//! Leaving by a link and arriving at the next: carrier, cable, tap (`dev_queue_xmit`, `netif_rx`).

use std::net::IpAddr;

use model::Mac;
use model::link::LinkKind;
use model::netfilter::{Family, Hook};
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Place, Stage, Step, Stop};
use model::queueing::{TcFilter, TcSide};
use model::route::{Route, RouteKind};
use model::service::Dnsmasq;
use model::vlan::Tags;

use crate::bond;
use crate::bridge;
use crate::dhcp::{self, Offer};
use crate::guest;
use crate::ip::{self, neighbour_discovery, scope};
use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::vxlan;
use crate::wiring::Spot;
use crate::world::{FarEnd, LinkId, Station, World};

/// What would tell of an instance's IPv6, which records say nothing about.
pub(crate) const GUEST_NEEDS: &str = "ip -6 addr inside it, or a site file that lets it be entered";

/// Sends a frame out of a link, as `dev_queue_xmit` does, and follows it to its end.
pub(crate) fn transmit(world: &World, mut trail: Trail, egress: LinkId, skb: &Skb) -> Outcome {
    let ns = world.ns(egress.ns);
    let Some(link) = world.link(egress) else {
        return trail.drop(place(ns, None, Stage::Wire), &skb.frame, Stop::DeviceMissing, Vec::new());
    };
    let skb = &mut skb.clone();
    let around = Around { outdev: Some(egress.link), ..Around::default() };
    if let Err(end) = netfilter::run(world, &mut trail, egress.ns, Family::Netdev, Hook::Egress, skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    let here = place(ns, Some(link), Stage::Wire);
    if trail.is_loop() {
        return trail.drop(here, &skb.frame, Stop::Loop, Vec::new());
    }
    if trail.forks_too_often() {
        let why = "the packet may go on by more ways than are walked: its way forks again and again";
        return trail.unknown(here, &skb.frame, why, format!("a capture on {}", link.name));
    }
    if link.is_running() {
        if let Some(filter) = link.deciding_filter(&[TcSide::Egress, TcSide::Root]) {
            return filtered(trail, here, filter, skb);
        }
        if let Some(qdisc) = link.root_qdisc().filter(|qdisc| qdisc.refuses(frame_octets(&skb.frame))) {
            return trail.drop(here, &skb.frame, Stop::QueueRefuses(qdisc.to_string()), Vec::new());
        }
    }
    if link.kind == LinkKind::Bridge {
        return bridge::output(world, trail, egress, skb);
    }
    if !link.admin_up {
        return trail.drop(here, &skb.frame, Stop::LinkDown, Vec::new());
    }
    if !link.carrier {
        return trail.drop(here, &skb.frame, Stop::NoCarrier, Vec::new());
    }
    if let Payload::Ip(packet) = &skb.frame.payload
        && u32::from(packet.length) > link.mtu
    {
        if skb.wrapped.is_some() {
            return vxlan::in_pieces(trail, here, skb, link.mtu);
        }
        return trail.drop(here, &skb.frame, Stop::TooBig { mtu: link.mtu }, Vec::new());
    }
    match link.kind {
        LinkKind::Vlan => return vlan_transmit(world, trail, egress, here, skb),
        LinkKind::Bond => return bond::transmit(world, trail, egress, here, skb),
        LinkKind::Vxlan => return vxlan::transmit(world, trail, egress, here, skb),
        LinkKind::Other(_) => {
            let why = format!("sending through {} (kind {:?}) is not modelled", link.name, link.kind);
            let need = format!("a capture on {} and on what is below it", link.name);
            return trail.unknown(here, &skb.frame, why, need);
        }
        LinkKind::Physical
        | LinkKind::Loopback
        | LinkKind::Bridge
        | LinkKind::Veth
        | LinkKind::Tun
        | LinkKind::Dummy => {}
    }
    match world.far_end(egress) {
        FarEnd::Link(ingress) => {
            trail.sent(here, &skb.frame);
            if let Some(mtu) = refused_by(world, ingress, &skb.frame) {
                let there = place(world.ns(ingress.ns), world.link(ingress), Stage::Wire);
                return trail.drop(there, &skb.frame, Stop::TooBig { mtu }, Vec::new());
            }
            let mut arrived = skb.scrubbed();
            if ingress.ns == egress.ns {
                // The mark only stays behind at a namespace's border.
                arrived.mark = skb.mark;
            }
            receive(world, trail, ingress, &arrived)
        }
        FarEnd::Guest(instance, vif) => {
            trail.sent(here, &skb.frame);
            guest_receive(world, trail, egress, (instance, vif), &skb.frame)
        }
        FarEnd::Beyond => beyond(world, trail, egress, here, skb),
    }
}

/// What a filter does that may drop is not read.
fn filtered(trail: Trail, here: Place, filter: &TcFilter, skb: &Skb) -> Outcome {
    let (device, side) = (here.device.clone(), filter.side.word());
    let why = format!("a tc filter on {device} sees each packet first, {side}: {filter}");
    let need = format!("`tc -s qdisc show dev {device}` twice: whether its drops rise meanwhile");
    trail.unknown(here, &skb.frame, why, need)
}

/// How long a frame is as a queue counts it: with its Ethernet header, without a VLAN's tag, which travels beside it.
fn frame_octets(frame: &Frame) -> u64 {
    let payload = match &frame.payload {
        Payload::Arp(_) => ARP_BYTES,
        Payload::Ip(packet) => packet.length.into(),
    };
    ETHERNET_BYTES + payload
}

/// `ETH_HLEN`.
const ETHERNET_BYTES: u64 = 14;
/// ARP for IPv4 over Ethernet (RFC 826).
const ARP_BYTES: u64 = 28;

/// The MTU of a veth that does not take a packet from its peer, which may have a larger one: its own, and room for one
/// VLAN tag (`__dev_forward_skb`, `__is_skb_forwardable`, include/linux/netdevice.h).
fn refused_by(world: &World, ingress: LinkId, frame: &Frame) -> Option<u32> {
    let link = world.link(ingress).filter(|link| link.kind == LinkKind::Veth)?;
    let Payload::Ip(packet) = &frame.payload else { return None };
    (u32::from(packet.length) > link.mtu.saturating_add(VLAN_TAG_BYTES)).then_some(link.mtu)
}

/// `VLAN_HLEN`.
const VLAN_TAG_BYTES: u32 = 4;

/// A VLAN device puts its tag on and hands the frame to its lower link (`vlan_dev_hard_start_xmit`). The tag
/// takes no part in the lower link's MTU: cards leave room for one.
fn vlan_transmit(world: &World, mut trail: Trail, egress: LinkId, here: Place, skb: &Skb) -> Outcome {
    let vlan = world.link(egress).and_then(|link| link.vlan);
    let (Some(vlan), Some(lower)) = (vlan, world.lower_of(egress)) else {
        let why = format!("which link is below {}", here.device);
        let need = format!("ip -d link show {}, and the namespace that its lower link is in", here.device);
        return trail.unknown(here, &skb.frame, why, need);
    };
    let mut skb = skb.clone();
    let has_it =
        !vlan.reorder_header && skb.frame.tags.outermost().is_some_and(|tag| tag.protocol == vlan.protocol);
    if !has_it {
        let Some(tags) = skb.frame.tags.around(vlan.tag()) else {
            let why = "a frame with more VLAN tags than are modelled";
            return trail.unknown(here, &skb.frame, why, "a capture on the lower link");
        };
        skb.frame.tags = tags;
    }
    let detail =
        format!("leaves by {} with the tag of VLAN {}", world.ns(lower.ns).link_name(lower.link), vlan.tag());
    trail.pass(here, &skb.frame, detail, Vec::new());
    transmit(world, trail, lower, &skb)
}

/// The cable leads where nothing was read. If the frame is meant for a machine of the site whose own
/// cable leads there too, they share a segment; otherwise it has left the site.
fn beyond(world: &World, mut trail: Trail, egress: LinkId, here: Place, skb: &Skb) -> Outcome {
    let tags = skb.frame.tags;
    let stations = meant_for(world, (egress, Spot::leaving(egress, tags)), &skb.frame);
    let landing = stations.into_iter().find_map(|station| world.landing(egress, tags, station));
    trail.sent(here.clone(), &skb.frame);
    match landing {
        Some(ingress) => {
            if let Some(hop) = trail.hops.last_mut() {
                let note = "the segment between was not read; both ends are known";
                hop.steps.push(Step::Note(note.to_owned()));
            }
            receive(world, trail, ingress, &skb.scrubbed())
        }
        None => trail.left_site(here, skb, egress),
    }
}

/// The stations that a frame is meant for, by what it carries: it is at `from`, and of the links there `own`
/// might answer itself.
pub(crate) fn meant_for(world: &World, (own, from): (LinkId, Spot), frame: &Frame) -> Vec<Station> {
    if !frame.destination.is_group() {
        return world.owners_of_mac(frame.destination);
    }
    match &frame.payload {
        Payload::Arp(arp) => world.owner_of_ip_from(from, arp.target_ip.into()).into_iter().collect(),
        Payload::Ip(packet) => match packet.transport {
            Transport::Udp { destination: 67, .. } => dhcp_servers(world, frame.source),
            Transport::Neighbour { advertisement: false, target, .. } => {
                neighbour_discovery::answerers(world, (own, from), target)
            }
            Transport::Udp { .. }
            | Transport::Tcp { .. }
            | Transport::Echo { .. }
            | Transport::IcmpError { .. }
            | Transport::Neighbour { .. } => Vec::new(),
        },
    }
}

/// Every link on which some dnsmasq of the site would answer this client: in a multi-host network all
/// servers hear a DISCOVER, and all but one refuse it.
fn dhcp_servers(world: &World, client: Mac) -> Vec<Station> {
    let answers = |server: &Dnsmasq| {
        !matches!(dhcp::would_offer(server, Some(client), world.snapshot.taken_at), Offer::Refused(_))
    };
    let servers = world.snapshot.hosts.iter().flat_map(|host| host.dnsmasq.iter().map(move |d| (host, d)));
    let on_links = servers.filter(|(_, d)| answers(d)).filter_map(|(host, dnsmasq)| {
        let ns = world.main_ns(&host.name)?;
        world
            .ns(ns)
            .links
            .iter()
            .map(|l| LinkId { ns, link: l.index })
            .find(|id| dhcp::serves(world, *id, dnsmasq))
    });
    on_links.map(Station::Link).collect()
}

/// A frame arrives at a link, as in `__netif_receive_skb_core`.
pub(crate) fn receive(world: &World, mut trail: Trail, ingress: LinkId, skb: &Skb) -> Outcome {
    let ns = world.ns(ingress.ns);
    let Some(link) = world.link(ingress) else {
        return trail.drop(place(ns, None, Stage::Wire), &skb.frame, Stop::DeviceMissing, Vec::new());
    };
    if !link.admin_up {
        let here = place(ns, Some(link), Stage::Wire);
        return trail.drop(here, &skb.frame, Stop::LinkDown, Vec::new());
    }
    if link.xdp {
        let here = place(ns, Some(link), Stage::Wire);
        let why = format!("an XDP program on {} sees each packet first", link.name);
        return trail.unknown(here, &skb.frame, why, "a capture behind it, or detaching the program");
    }
    if let Some(filter) = link.deciding_filter(&[TcSide::Ingress]) {
        let here = place(ns, Some(link), Stage::Wire);
        return filtered(trail, here, filter, skb);
    }
    let mut skb = skb.clone();
    if let Err(end) = at_ingress(world, &mut trail, ingress, &mut skb) {
        return end.finish(trail, &skb.frame);
    }
    // Before any bridge or bond that the link is a port of.
    if let Some((device, inner)) = world.vlan_taking(ingress, skb.frame.tags) {
        return vlan_receive(world, trail, ingress, (device, inner), skb);
    }
    if let Some(master) = world.bond_of(ingress) {
        return bond::receive(world, trail, ingress, master, &skb);
    }
    if world.bridge_of(ingress).is_some() {
        return bridge::input(world, trail, ingress, &skb);
    }
    let is_routed = match skb.packet() {
        Some(packet) if packet.is_v6() => routes_v6_for_instances(ns, link.index),
        Some(_) | None => routes_for_instances(ns, &link.name),
    };
    if world.is_tap(ingress) && !is_routed {
        let here = place(ns, Some(link), Stage::Bridge);
        return trail.drop(here, &skb.frame, Stop::NotEnslaved, Vec::new());
    }
    skb.indev = Some(ingress.link);
    up(world, trail, ingress, skb)
}

/// A frame comes up to the stack: to a VLAN device on the link, to none where the tag is nobody's, or to IP.
pub(crate) fn up(world: &World, trail: Trail, ingress: LinkId, mut skb: Skb) -> Outcome {
    if let Some((device, inner)) = world.vlan_taking(ingress, skb.frame.tags) {
        return vlan_receive(world, trail, ingress, (device, inner), skb);
    }
    match skb.frame.tags.outermost() {
        None => ip::receive(world, trail, ingress, skb),
        // A tag that only tells a priority is taken off (`check_vlan_id`).
        Some(tag) if tag.id == 0 => {
            skb.frame.tags = skb.frame.tags.inner();
            up(world, trail, ingress, skb)
        }
        Some(tag) => {
            let here = place(world.ns(ingress.ns), world.link(ingress), Stage::Wire);
            trail.drop(here, &skb.frame, Stop::VlanNotTaken(tag), Vec::new())
        }
    }
}

/// A VLAN device takes the frame from its lower link, which then is as if it had arrived at the device
/// (`vlan_do_receive`).
fn vlan_receive(
    world: &World,
    mut trail: Trail,
    lower: LinkId,
    (device, inner): (LinkId, Tags),
    mut skb: Skb,
) -> Outcome {
    let here = place(world.ns(lower.ns), world.link(lower), Stage::Wire);
    let name = world.ns(device.ns).link_name(device.link);
    let detail = match skb.frame.tags.outermost() {
        Some(tag) => format!("of VLAN {tag}: taken by {name}"),
        None => format!("taken by {name}"),
    };
    trail.pass(here, &skb.frame, detail, Vec::new());
    let own = world.link(lower).and_then(|link| link.mac);
    skb.taken_below |= own == Some(skb.frame.destination);
    skb.frame.tags = inner;
    // The bridge that the lower link is one of is left.
    skb.physin = None;
    receive(world, trail, device, &skb)
}

/// The device's own chains, before any bridge or protocol sees the frame (`nf_ingress`).
pub(crate) fn at_ingress(
    world: &World,
    trail: &mut Trail,
    ingress: LinkId,
    skb: &mut Skb,
) -> Result<(), netfilter::End> {
    let around = Around { indev: Some(ingress.link), ..Around::default() };
    netfilter::run(world, trail, ingress.ns, Family::Netdev, Hook::Ingress, skb, &around)
}

/// A tap without a bridge is no fault where the host routes to it and answers ARP on it for
/// everybody (proxy_arp), or carries an address there.
fn routes_for_instances(ns: &model::Netns, tap: &str) -> bool {
    let proxies = ns.sysctl(&format!("ipv4.conf.{tap}.proxy_arp")) == Some(1);
    let addressed =
        ns.link_named(tap).is_some_and(|l| ns.addresses_of(l.index).any(|a| a.net.addr().is_ipv4()));
    proxies || addressed
}

/// The same for IPv6: every link has an address of its own there, so only a route that leads to the tap
/// tells that it is meant.
fn routes_v6_for_instances(ns: &model::Netns, tap: u32) -> bool {
    let meant = |route: &Route| {
        let to = route.destination.addr();
        route.kind == RouteKind::Unicast && to.is_ipv6() && !scope::is_link_local(to) && !to.is_multicast()
    };
    ns.routes.iter().filter(|r| meant(r)).any(|r| r.nexthops.iter().any(|n| n.link == tap))
}

/// An instance that cannot be entered receives what is addressed to it: whether its inside then
/// does anything with it cannot be known.
fn guest_receive(
    world: &World,
    mut trail: Trail,
    tap: LinkId,
    (instance, vif): (usize, usize),
    frame: &Frame,
) -> Outcome {
    let Some(meant) = world.intent.instances.get(instance) else {
        let here = place(world.ns(tap.ns), world.link(tap), Stage::Wire);
        return trail.drop(here, frame, Stop::OtherHost, Vec::new());
    };
    let here = Place {
        host: meant.name.clone(),
        netns: String::new(),
        device: String::new(),
        stage: Stage::Instance,
    };
    let mac = meant.vifs.get(vif).and_then(|v| v.mac);
    let met = |packet: &Packet| guest::is_met_over_6(world, meant, vif, packet.destination);
    if matches!(&frame.payload, Payload::Ip(packet) if packet.is_v6() && !met(packet)) {
        let why = format!("what {} does with IPv6: no record tells its addresses", meant.name);
        return trail.unknown(here, frame, why, GUEST_NEEDS);
    }
    let addressed = frame.destination.is_group() || mac.is_none_or(|m| m == frame.destination);
    if !addressed {
        return trail.drop(here, frame, Stop::OtherHost, Vec::new());
    }
    if !frame.tags.is_empty() {
        let why = format!("whether {} has a VLAN device for {}", meant.name, frame.tags);
        return trail.unknown(here, frame, why, "ip -d link inside it");
    }
    if let (Payload::Ip(packet), Some(vif)) = (&frame.payload, meant.vifs.get(vif))
        && vif.fixed.iter().any(|own| packet.source == IpAddr::V4(*own))
    {
        // Its own address is nobody else's: a stack drops it (`fib_validate_source`).
        return trail.drop(here, frame, Stop::MartianSource, Vec::new());
    }
    trail.pass(here, frame, "handed to the instance, which cannot be looked into", Vec::new());
    trail.delivered(&meant.name, frame, Some(tap))
}
