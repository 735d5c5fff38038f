//! The way of a frame through a bridge: in by a port, over netfilter's bridge hooks and
//! br_netfilter's detour through iptables, out by a port or up the stack
//! (`br_handle_frame`, `br_handle_frame_finish`, `br_forward`, `br_dev_xmit`, `br_netfilter_hooks.c`).

use std::net::IpAddr;

use model::link::{Link, PortState};
use model::netfilter::{Family, Hook};
use model::packet::{Packet, Payload, Transport};
use model::path::{Disposition, Stage, Stop};
use model::vlan::Tags;

use super::br_netfilter;
use super::fdb::{self, Target};
use super::vlan;
use crate::ip::neighbour_discovery;
use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail, best, place};
use crate::wire;
use crate::wiring::{Spot, Vlans};
use crate::world::{FarEnd, LinkId, Station, World};

/// A frame arrives at a bridge port (`br_handle_frame`).
pub(crate) fn input(world: &World, mut trail: Trail, ingress: LinkId, skb: &Skb) -> Outcome {
    let ns = world.ns(ingress.ns);
    let (Some(port), Some(bridge)) = (world.link(ingress), world.bridge_of(ingress)) else {
        let here = place(ns, None, Stage::Bridge);
        return trail.drop(here, &skb.frame, Stop::DeviceMissing, Vec::new());
    };
    let bridge_id = LinkId { ns: ingress.ns, link: bridge.index };
    let at_port = place(ns, Some(port), Stage::Bridge);
    if !bridge.admin_up {
        let at_bridge = place(ns, Some(bridge), Stage::Bridge);
        return trail.drop(at_bridge, &skb.frame, Stop::BridgeDown, Vec::new());
    }
    if let Some(state) = not_forwarding(port) {
        return trail.drop(at_port, &skb.frame, Stop::PortState(state), Vec::new());
    }
    if trail.bridged.contains(&(bridge_id, skb.frame)) {
        return trail.drop(at_port, &skb.frame, Stop::Loop, Vec::new());
    }
    trail.bridged.push((bridge_id, skb.frame));
    let mut skb = skb.clone();
    skb.physin = Some(port.index);
    skb.indev = Some(bridge.index);
    trail.pass(at_port.clone(), &skb.frame, format!("port of {}", bridge.name), Vec::new());

    let around = Around { indev: Some(port.index), physin: Some(port.index), ..Around::bridge(bridge.index) };
    if let Err(end) =
        netfilter::run(world, &mut trail, ingress.ns, Family::Bridge, Hook::Prerouting, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    if let Err(end) = br_netfilter::prerouting(world, &mut trail, bridge_id, &mut skb) {
        return end.finish(trail, &skb.frame);
    }
    // From here on it is in a VLAN, where the bridge keeps them apart (`br_handle_frame_finish`).
    match vlan::admit(bridge, port, skb.frame.tags) {
        Ok(tags) => skb.frame.tags = tags,
        Err(why) => return trail.drop(at_port, &skb.frame, Stop::VlanRefused(why), Vec::new()),
    }
    let vid = vlan::vid(bridge, skb.frame.tags);
    if port.port.is_some_and(|p| p.locked)
        && fdb::lookup(world, &trail, bridge_id, vid, skb.frame.source) != Target::Port(port.index)
    {
        let why = format!("{} is locked and {} is not known behind it", port.name, skb.frame.source);
        return trail.drop(at_port, &skb.frame, Stop::NoTarget(why), Vec::new());
    }
    fdb::learn(world, &mut trail, (bridge_id, vid), port, skb.frame.source);
    dispatch(world, trail, bridge_id, port, skb)
}

/// The host itself sends through its bridge device (`br_dev_xmit`).
pub(crate) fn output(world: &World, mut trail: Trail, bridge_id: LinkId, skb: &Skb) -> Outcome {
    let ns = world.ns(bridge_id.ns);
    let Some(bridge) = world.link(bridge_id) else {
        return trail.drop(place(ns, None, Stage::Bridge), &skb.frame, Stop::DeviceMissing, Vec::new());
    };
    let here = place(ns, Some(bridge), Stage::Bridge);
    if !bridge.admin_up {
        return trail.drop(here, &skb.frame, Stop::BridgeDown, Vec::new());
    }
    if trail.bridged.contains(&(bridge_id, skb.frame)) {
        return trail.drop(here, &skb.frame, Stop::Loop, Vec::new());
    }
    trail.bridged.push((bridge_id, skb.frame));
    let mut skb = skb.clone();
    match vlan::admit(bridge, bridge, skb.frame.tags) {
        Ok(tags) => skb.frame.tags = tags,
        Err(why) => return trail.drop(here, &skb.frame, Stop::VlanRefused(why), Vec::new()),
    }
    let target = if skb.frame.destination.is_group() {
        Target::Unknown
    } else {
        let vid = vlan::vid(bridge, skb.frame.tags);
        fdb::lookup(world, &trail, bridge_id, vid, skb.frame.destination)
    };
    let detail = match target {
        Target::Port(link) => format!("to port {}", ns.link_name(link)),
        Target::Unknown | Target::Local => "flooded to its ports".to_owned(),
    };
    trail.pass(here, &skb.frame, detail, Vec::new());
    skb.physin = None;
    match target {
        Target::Port(port) => to_port(world, trail, bridge_id, None, port, &skb),
        Target::Unknown | Target::Local => flood(world, trail, bridge_id, None, &skb),
    }
}

/// After PREROUTING: up the stack, to one port, or to all (`br_handle_frame_finish`).
fn dispatch(world: &World, trail: Trail, bridge_id: LinkId, port: &Link, skb: Skb) -> Outcome {
    let Some(bridge) = world.link(bridge_id) else {
        let here = place(world.ns(bridge_id.ns), None, Stage::Bridge);
        return trail.drop(here, &skb.frame, Stop::DeviceMissing, Vec::new());
    };
    let (destination, group) = (skb.frame.destination, skb.frame.destination.is_group());
    let vid = vlan::vid(bridge, skb.frame.tags);
    let target =
        if group { Target::Unknown } else { fdb::lookup(world, &trail, bridge_id, vid, destination) };
    let up = match target {
        Target::Local => true,
        Target::Port(_) | Target::Unknown => group && meant_for_stack(world, bridge_id, &skb),
    };
    if up {
        return up_the_stack(world, trail, bridge_id, skb);
    }
    let also_up = taken_above(world, bridge_id, skb.frame.tags)
        .then(|| up_the_stack(world, trail.clone(), bridge_id, skb.clone()));
    let out = match target {
        Target::Port(to) => to_port(world, trail, bridge_id, Some(port), to, &skb),
        Target::Unknown | Target::Local => flood(world, trail, bridge_id, Some(port), &skb),
    };
    match also_up.filter(arrived) {
        Some(above) if !arrived(&out) => above,
        Some(_) | None => out,
    }
}

/// A copy goes up to a VLAN device that is a port of another bridge, since such a device makes this bridge listen
/// to everything.
fn taken_above(world: &World, bridge_id: LinkId, tags: Tags) -> bool {
    let taking = world.up_from_bridge(bridge_id, tags).ok().and_then(|t| world.vlan_taking(bridge_id, t));
    taking.is_some_and(|(device, _)| world.bridge_of(device).is_some())
}

/// Group frames go both up and out; the walk follows the copy that can be answered: up, when the
/// question is for an address of this machine, or a DHCP server is here, or the bridge has an address
/// and no server is anywhere that its ports lead.
fn meant_for_stack(world: &World, bridge_id: LinkId, skb: &Skb) -> bool {
    let ns = world.ns(bridge_id.ns);
    let Ok(worn) = world.up_from_bridge(bridge_id, skb.frame.tags) else { return false };
    // A tagged frame is some VLAN device's, or nobody's here.
    let device = match world.vlan_taking(bridge_id, worn) {
        Some((device, _)) if world.bridge_of(device).is_some() => return false,
        Some((device, _)) => device,
        None => bridge_id,
    };
    // What the ports lead to, not the stack.
    let out = Spot::inside(bridge_id, bridge_id.link, skb.frame.tags);
    let leads = |station: &Station| world.leads_to(out, *station, Vlans::Kept);
    if device == bridge_id && worn.outermost().is_some_and(|tag| tag.id != 0) {
        // Nobody's here: it is lost here only where it gets to nobody else.
        let own = matches!(&skb.frame.payload, Payload::Arp(arp) if ns.has_address(arp.target_ip.into()));
        return own && !wire::meant_for(world, (bridge_id, out), &skb.frame).iter().any(leads);
    }
    match &skb.frame.payload {
        Payload::Arp(arp) => ns.has_address(arp.target_ip.into()),
        Payload::Ip(Packet {
            transport: Transport::Neighbour { advertisement: false, target, .. }, ..
        }) => {
            let answerers = neighbour_discovery::answerers(world, (device, out), *target);
            let elsewhere = || answerers.iter().any(leads);
            let carried = ns.has_address(IpAddr::V6(*target));
            answerers.contains(&Station::Link(device)) || (carried && !elsewhere())
        }
        Payload::Ip(_) => {
            let here = Station::Link(device);
            let servers = wire::meant_for(world, (device, out), &skb.frame);
            let elsewhere = servers.iter().any(|s| *s != here && leads(s));
            servers.contains(&here) || (!elsewhere && ns.addresses_of(device.link).next().is_some())
        }
    }
}

/// `br_pass_frame_up`.
fn up_the_stack(world: &World, mut trail: Trail, bridge_id: LinkId, mut skb: Skb) -> Outcome {
    let here = place(world.ns(bridge_id.ns), world.link(bridge_id), Stage::Bridge);
    match world.up_from_bridge(bridge_id, skb.frame.tags) {
        Ok(tags) => skb.frame.tags = tags,
        Err(why) => return trail.drop(here, &skb.frame, Stop::VlanRefused(why), Vec::new()),
    }
    let around = Around { indev: skb.physin, physin: skb.physin, ..Around::bridge(bridge_id.link) };
    if let Err(end) =
        netfilter::run(world, &mut trail, bridge_id.ns, Family::Bridge, Hook::Input, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    skb.indev = Some(bridge_id.link);
    if let Err(end) = wire::at_ingress(world, &mut trail, bridge_id, &mut skb) {
        return end.finish(trail, &skb.frame);
    }
    trail.pass(here, &skb.frame, "up to the host's own stack", Vec::new());
    wire::up(world, trail, bridge_id, skb)
}

/// Forwards to one known port (`__br_forward`, `should_deliver`).
fn to_port(
    world: &World,
    trail: Trail,
    bridge_id: LinkId,
    from: Option<&Link>,
    to: u32,
    skb: &Skb,
) -> Outcome {
    let ns = world.ns(bridge_id.ns);
    let egress = LinkId { ns: bridge_id.ns, link: to };
    let Some(port) = world.link(egress) else {
        let here = place(ns, world.link(bridge_id), Stage::Bridge);
        return trail.drop(here, &skb.frame, Stop::NoTarget(format!("port if{to} is gone")), Vec::new());
    };
    if let Some(why) = refused(from, port) {
        let here = place(ns, Some(port), Stage::Bridge);
        return trail.drop(here, &skb.frame, why, Vec::new());
    }
    deliver(world, trail, bridge_id, from, egress, skb)
}

/// Unknown unicast, broadcast and multicast go to every port but the one they came by
/// (`br_flood`). Only the copies that lead to a station the frame is meant for are followed.
fn flood(world: &World, trail: Trail, bridge_id: LinkId, from: Option<&Link>, skb: &Skb) -> Outcome {
    let ns = world.ns(bridge_id.ns);
    let here = place(ns, world.link(bridge_id), Stage::Bridge);
    let copies = copies(world, bridge_id, from, skb);
    let strays = strays(world, bridge_id, &copies, skb);
    let may_leave = |port: &&Link| from.is_none_or(|f| f.index != port.index || hairpin(f));
    let copy = |port: &Link| match refused(from, port).or_else(|| flood_refused(from, port, skb)) {
        Some(why) => trail.clone().drop(place(ns, Some(port), Stage::Bridge), &skb.frame, why, Vec::new()),
        None => {
            let egress = LinkId { ns: bridge_id.ns, link: port.index };
            deliver(world, trail.clone(), bridge_id, from, egress, skb)
        }
    };
    let mut outcomes: Vec<Outcome> = copies.into_iter().filter(may_leave).map(copy).collect();
    outcomes.extend(strays.into_iter().filter(may_leave).map(copy).filter(arrived));
    if !outcomes.iter().any(arrived)
        && let Some(target) = asked_for(skb)
    {
        let out = Spot::inside(bridge_id, from.map_or(bridge_id.link, |f| f.index), skb.frame.tags);
        let guests = world.guests_behind(&[out]);
        if !guests.is_empty() {
            let why = format!("whether {} has {target}", guests.join(" or "));
            return trail.unknown(here, &skb.frame, why, wire::GUEST_NEEDS);
        }
    }
    best(outcomes).unwrap_or_else(|| {
        let why = format!("no port leads to {}", sought(&skb.frame.payload, skb));
        trail.drop(here, &skb.frame, Stop::NoTarget(why), Vec::new())
    })
}

/// The ports whose copies are worth following. Where the VLAN keeps the frame from everybody whom it is meant
/// for, the ports where it would get to them otherwise: that is where it is lost.
fn copies<'a>(world: &World<'a>, bridge_id: LinkId, from: Option<&Link>, skb: &Skb) -> Vec<&'a Link> {
    let ns = world.ns(bridge_id.ns);
    let inside = Spot::inside(bridge_id, from.map_or(bridge_id.link, |f| f.index), skb.frame.tags);
    let meant = wire::meant_for(world, (bridge_id, inside), &skb.frame);
    let leaving = |port: &Link| {
        let discharged = world.link(bridge_id).map(|b| vlan::discharge(b, port, skb.frame.tags));
        let tags = discharged.and_then(Result::ok)?;
        Some(Spot::leaving(LinkId { ns: bridge_id.ns, link: port.index }, tags))
    };
    let toward = |port: &Link| {
        let leads = |spot| meant.iter().any(|station| world.leads_to(spot, *station, Vlans::Kept));
        leaving(port).is_some_and(leads)
    };
    let copies: Vec<&Link> = ns.ports(bridge_id.link).filter(|port| toward(port)).collect();
    if !copies.is_empty() {
        return copies;
    }
    let kept_from = |port: &Link| {
        let spot = Spot::leaving(LinkId { ns: bridge_id.ns, link: port.index }, Tags::default());
        meant.iter().any(|station| world.leads_to(spot, *station, Vlans::Ignored))
    };
    // Nobody known is meant: what leaves by a cable may find somebody beyond the site.
    let leaves = |port: &Link| leaving(port).is_some_and(|spot| world.leaves_site(spot));
    ns.ports(bridge_id.link).filter(|port| kept_from(port) || leaves(port)).collect()
}

/// Ports that lead to another bridge, where br_netfilter may rewrite a copy that is meant for nobody there,
/// so that it is received after all.
fn strays<'a>(world: &World<'a>, bridge_id: LinkId, copies: &[&Link], skb: &Skb) -> Vec<&'a Link> {
    if skb.packet().is_none() || skb.frame.destination.is_group() {
        return Vec::new();
    }
    let followed = |port: &Link| copies.iter().any(|copy| copy.index == port.index);
    let bridged_on = |port: &Link| match world.far_end(LinkId { ns: bridge_id.ns, link: port.index }) {
        FarEnd::Link(other) => world.bridge_of(other).is_some(),
        FarEnd::Guest(..) | FarEnd::Beyond => false,
    };
    world.ns(bridge_id.ns).ports(bridge_id.link).filter(|p| !followed(p) && bridged_on(p)).collect()
}

fn arrived(outcome: &Outcome) -> bool {
    matches!(outcome.disposition, Disposition::Delivered { .. })
}

/// What a neighbour solicitation asks for.
fn asked_for(skb: &Skb) -> Option<IpAddr> {
    match skb.packet()?.transport {
        Transport::Neighbour { advertisement: false, target, .. } => Some(target.into()),
        Transport::Neighbour { .. }
        | Transport::Echo { .. }
        | Transport::IcmpError { .. }
        | Transport::Tcp { .. }
        | Transport::Udp { .. } => None,
    }
}

fn sought(payload: &Payload, skb: &Skb) -> String {
    if let Some(target) = asked_for(skb) {
        return target.to_string();
    }
    match payload {
        Payload::Arp(arp) if skb.frame.destination.is_group() => arp.target_ip.to_string(),
        Payload::Ip(packet) if skb.frame.destination.is_group() => packet.destination.to_string(),
        Payload::Arp(_) | Payload::Ip(_) => skb.frame.destination.to_string(),
    }
}

/// FORWARD or OUTPUT, POSTROUTING, then out (`br_forward_finish`, `br_dev_queue_push_xmit`).
fn deliver(
    world: &World,
    mut trail: Trail,
    bridge_id: LinkId,
    from: Option<&Link>,
    egress: LinkId,
    skb: &Skb,
) -> Outcome {
    let ns = bridge_id.ns;
    let mut skb = skb.clone();
    // Before the hooks (`should_deliver`, `__br_forward`).
    if let (Some(bridge), Some(port)) = (world.link(bridge_id), world.link(egress)) {
        match vlan::discharge(bridge, port, skb.frame.tags) {
            Ok(tags) => skb.frame.tags = tags,
            Err(why) => {
                let here = place(world.ns(ns), Some(port), Stage::Bridge);
                return trail.drop(here, &skb.frame, Stop::VlanRefused(why), Vec::new());
            }
        }
    }
    let out = Around {
        indev: from.map(|f| f.index),
        physin: from.map(|f| f.index),
        outdev: Some(egress.link),
        physout: Some(egress.link),
        ..Around::bridge(bridge_id.link)
    };
    // Every hook is met twice: as ebtables sees the frame, and as iptables sees the packet in it.
    let detour = |trail: &mut Trail, hook: Hook, skb: &mut Skb| match from {
        Some(_) => br_netfilter::forwarded(world, trail, bridge_id, hook, skb, &out),
        None => Ok(()),
    };
    let hooks = [if from.is_some() { Hook::Forward } else { Hook::Output }, Hook::Postrouting];
    let filtered = hooks.into_iter().try_for_each(|hook| {
        netfilter::run(world, &mut trail, ns, Family::Bridge, hook, &mut skb, &out)?;
        detour(&mut trail, hook, &mut skb)
    });
    match filtered {
        Ok(()) => wire::transmit(world, trail, egress, &skb),
        Err(end) => end.finish(trail, &skb.frame),
    }
}

/// A port's state, where it does not forward. A port whose link is down or without carrier is
/// disabled whatever was dumped (`br_port_carrier_check`).
fn not_forwarding(port: &Link) -> Option<PortState> {
    if !port.is_running() {
        return Some(PortState::Disabled);
    }
    match port.port.map_or(PortState::Forwarding, |p| p.state) {
        PortState::Forwarding => None,
        state @ (PortState::Disabled | PortState::Listening | PortState::Learning | PortState::Blocking) => {
            Some(state)
        }
    }
}

fn hairpin(port: &Link) -> bool {
    port.port.is_some_and(|p| p.hairpin)
}

/// `should_deliver`: back out of the port of arrival only with hairpin, not between isolated ports,
/// only to forwarding ports.
fn refused(from: Option<&Link>, to: &Link) -> Option<Stop> {
    let isolated = |l: &Link| l.port.is_some_and(|p| p.isolated);
    if let Some(from) = from {
        if from.index == to.index && !hairpin(to) {
            return Some(Stop::NoTarget(format!(
                "would leave by {}, where it came in: hairpin is off",
                to.name
            )));
        }
        if isolated(from) && isolated(to) {
            return Some(Stop::NoTarget(format!("{} and {} are both isolated ports", from.name, to.name)));
        }
    }
    not_forwarding(to).map(Stop::PortState)
}

/// The port's own flooding flags. Group frames of the host itself go out whatever they say (`br_flood`).
fn flood_refused(from: Option<&Link>, port: &Link, skb: &Skb) -> Option<Stop> {
    let flags = port.port.unwrap_or_default();
    let flooded = if skb.frame.destination == model::Mac::BROADCAST {
        flags.bcast_flood || from.is_none()
    } else if skb.frame.destination.is_group() {
        flags.mcast_flood || from.is_none()
    } else {
        flags.flood
    };
    (!flooded).then(|| Stop::NoTarget(format!("{} is not flooded to", port.name)))
}
