//! An instance that cannot be entered: its stack is taken to be as the cloud means it, and its
//! frames start at the host's side of its NIC.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::Mac;
use model::intent::{Instance, Vif};
use model::packet::{Frame, Packet, Payload};
use model::path::{Path, Place, Stage, Stop};

use crate::exchange::instance_place;
use crate::resolution::{self, Asker};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::wire;
use crate::world::{LinkId, World};

/// The MAC of whoever has an address beyond what was read. No machine's: it is one for documentation (RFC 7042, 2.1.2).
const BEYOND: Mac = Mac([0x00, 0x00, 0x5e, 0x00, 0x53, 0xff]);

/// Sends a packet as an instance would: to its network directly, elsewhere by its gateway.
pub(crate) fn send(world: &World, mut trail: Trail, at: usize, mut packet: Packet) -> Outcome {
    let blank = Frame::untagged(Mac::ZERO, Mac::ZERO, Payload::Ip(packet));
    let Some(instance) = world.intent.instances.get(at) else {
        return trail.drop(instance_place(""), &blank, Stop::DeviceMissing, Vec::new());
    };
    let Some(vif) = instance.vifs.first() else {
        let why = format!("no NIC of {} is known", instance.name);
        return trail.unknown(
            instance_place(&instance.name),
            &blank,
            why,
            "its libvirt XML, or a site entry",
        );
    };
    if packet.source == IpAddr::V4(Ipv4Addr::UNSPECIFIED) {
        packet.source = vif.fixed.first().map_or(packet.source, |ip| IpAddr::V4(*ip));
    }
    if let (IpAddr::V6(source), IpAddr::V6(destination)) = (packet.source, packet.destination)
        && !source.is_unspecified()
    {
        return send_over_6(world, trail, (at, instance, vif), (packet, destination));
    }
    let (IpAddr::V4(source), IpAddr::V4(destination)) = (packet.source, packet.destination) else {
        let why = format!("what {} sends by IPv6: no record tells its addresses", instance.name);
        return trail.unknown(instance_place(&instance.name), &blank, why, wire::GUEST_NEEDS);
    };
    trail.asker.get_or_insert(packet.source);
    let own = vif.mac.unwrap_or_default();
    let frame = Frame::untagged(own, Mac::ZERO, Payload::Ip(packet));
    let (tap, mut trail) = match outlet(world, trail, (at, instance, vif), &frame) {
        Ok(outlet) => outlet,
        Err(ended) => return *ended,
    };
    trail.pass(instance_place(&instance.name), &frame, "sent by the instance (assumed)", Vec::new());
    let next = next_hop(world, instance, vif, destination);
    let asker = Asker { link: tap, guest: true, mac: own, ip: source };
    let asked = resolution::ask(world, &mut trail, asker, next);
    match (asked.mac(), asked.unknown()) {
        (Some(mac), _) => wire::receive(world, trail, tap, &Skb::new(Frame { destination: mac, ..frame })),
        (None, Some((why, would_need))) => {
            let why = format!("who answers for {next}: {why}");
            trail.unknown(instance_place(&instance.name), &frame, why, would_need)
        }
        // Nor is its gateway known then: it was asked for as nobody, at an address that may be nobody's there.
        (None, None) if vif.fixed.is_empty() && !asked.is_dropped() => {
            let why = format!("which address {} has, and which gateway", instance.name);
            let need = "the cloud's database, dnsmasq's hosts file, or `addresses` in the site file";
            trail.unknown(instance_place(&instance.name), &frame, why, need)
        }
        (None, None) => {
            if asked.has_left() && !is_of_what_was_read(world, instance, next) {
                let detail = format!("next hop {next} is beyond what was read");
                trail.pass(instance_place(&instance.name), &frame, detail, Vec::new());
                return wire::receive(world, trail, tap, &Skb::new(Frame { destination: BEYOND, ..frame }));
            }
            let because = Some(Box::new(asked.died_on()));
            let stop = Stop::NeighbourUnresolved { ip: next.into(), because };
            trail.drop(instance_place(&instance.name), &frame, stop, Vec::new())
        }
    }
}

/// Sends to who is on the instance's link, and elsewhere by its router.
fn send_over_6(
    world: &World,
    mut trail: Trail,
    (at, instance, vif): (usize, &Instance, &Vif),
    (packet, destination): (Packet, Ipv6Addr),
) -> Outcome {
    trail.asker.get_or_insert(packet.source);
    let frame = Frame::untagged(vif.mac.unwrap_or_default(), Mac::ZERO, Payload::Ip(packet));
    let (tap, mut trail) = match outlet(world, trail, (at, instance, vif), &frame) {
        Ok(outlet) => outlet,
        Err(ended) => return *ended,
    };
    let mac = station_over_6(world, instance, destination)
        .or_else(|| neighbour_over_6(world, (instance, vif), destination))
        .or_else(|| router_over_6(world, instance, vif, destination));
    let Some(mac) = mac else {
        let why = format!("who answers {} for {destination}", instance.name);
        return trail.unknown(instance_place(&instance.name), &frame, why, wire::GUEST_NEEDS);
    };
    trail.pass(instance_place(&instance.name), &frame, "sent by the instance (assumed)", Vec::new());
    wire::receive(world, trail, tap, &Skb::new(Frame { destination: mac, ..frame }))
}

/// Who has an address of its host's own.
fn station_over_6(world: &World, instance: &Instance, to: Ipv6Addr) -> Option<Mac> {
    let host = world.ns(world.main_ns(&instance.host)?);
    let carried = host.addresses.iter().find(|own| own.net.addr() == IpAddr::V6(to))?;
    host.link(carried.link)?.mac
}

/// Another instance of the same network, as it was read or as its host has met it. Of several nobody knows which
/// answers.
fn neighbour_over_6(world: &World, (instance, vif): (&Instance, &Vif), to: Ipv6Addr) -> Option<Mac> {
    let to = IpAddr::V6(to);
    let others =
        world.intent.instances.iter().enumerate().filter(|(_, other)| !std::ptr::eq(*other, instance));
    let mut macs = others.flat_map(|(at, other)| {
        let same = other.vifs.iter().enumerate().filter(|(_, theirs)| theirs.network == vif.network);
        same.filter_map(move |(nth, theirs)| {
            let mac = theirs.mac?;
            let has_it = match world.inside(at).map(|inside| world.ns(inside)) {
                Some(inside) => {
                    let nic = inside.links.iter().find(|link| link.mac == Some(mac))?;
                    inside.addresses_of(nic.index).any(|own| own.net.addr() == to && own.standing.is_usable())
                }
                None => is_met_over_6(world, other, nth, to),
            };
            has_it.then_some(mac)
        })
    });
    macs.next().filter(|_| macs.next().is_none())
}

/// The bridge of the host that serves its network, for what is not of that network's range.
fn router_over_6(world: &World, instance: &Instance, vif: &Vif, to: Ipv6Addr) -> Option<Mac> {
    let network = world.intent.networks.get(vif.network?)?;
    let range = network.cidr_v6?.trunc();
    let server = world.ns(world.main_ns(network.server_for(&instance.host))?);
    let bridge = server.link_named(vif.bridge.as_deref()?)?;
    bridge.mac.filter(|_| !range.contains(&to))
}

/// Its host has met one of its NICs with this address, which so is the instance's own.
pub(crate) fn is_met_over_6(world: &World, instance: &Instance, vif: usize, own: IpAddr) -> bool {
    let met = || {
        let (host, vif) = (world.snapshot.main_netns(&instance.host)?, instance.vifs.get(vif)?);
        let bridge = host.link_named(vif.bridge.as_deref()?)?.index;
        let mut entries = host.neighbours.iter().filter(|entry| entry.link == bridge && entry.ip == own);
        Some(entries.any(|entry| {
            entry.mac.is_some() && entry.mac == vif.mac && entry.state.is_valid() && !entry.proxy
        }))
    };
    met() == Some(true)
}

/// The host's side of the NIC that a frame of the instance leaves by, or where it ends before.
fn outlet(
    world: &World,
    trail: Trail,
    (at, instance, vif): (usize, &Instance, &Vif),
    frame: &Frame,
) -> Result<(LinkId, Trail), Box<Outcome>> {
    let tap = match tap_of(world, at, instance, vif) {
        Ok(tap) => tap,
        Err(Missing::Device(place)) => {
            return Err(Box::new(trail.drop(place, frame, Stop::DeviceMissing, Vec::new())));
        }
        Err(Missing::Knowledge(why)) => {
            let need = "the instance's live libvirt XML (virsh dumpxml), or `device` in the site file";
            return Err(Box::new(trail.unknown(instance_place(&instance.name), frame, why, need)));
        }
    };
    match cut_off(world, tap) {
        Some(stop) => {
            let here = place(world.ns(tap.ns), world.link(tap), Stage::Wire);
            Err(Box::new(trail.drop(here, frame, stop, Vec::new())))
        }
        None => Ok((tap, trail)),
    }
}

/// Whoever is meant to have an address in the instance's network is on a host that was read: the host that is the
/// gateway of the instance's, or that of another instance. Nobody has it then who is not met there.
fn is_of_what_was_read(world: &World, instance: &Instance, ip: Ipv4Addr) -> bool {
    let was_read = |host: &str| world.main_ns(host).is_some();
    let host = &instance.host;
    let mut gateways = world.intent.networks.iter().filter(|network| network.gateway_on(host) == Some(ip));
    let mut others = world.intent.instances.iter();
    gateways.any(|network| was_read(network.server_for(host)))
        || others.any(|other| other.vifs.iter().any(|vif| vif.fixed.contains(&ip)) && was_read(&other.host))
}

/// The ARP exchange for an address from an instance that cannot be entered; `None` where its NIC is
/// not known, or cut off.
pub(crate) fn arp_paths(world: &World, at: usize, ip: IpAddr) -> Option<Vec<Path>> {
    let IpAddr::V4(ip) = ip else { return None };
    let instance = world.intent.instances.get(at)?;
    let vif = instance.vifs.first()?;
    let link = tap_of(world, at, instance, vif).ok().filter(|tap| cut_off(world, *tap).is_none())?;
    let asker = Asker { link, guest: true, mac: vif.mac?, ip: *vif.fixed.first()? };
    Some(resolution::ask(world, &mut Trail::default(), asker, ip).paths())
}

/// Sends a frame as the instance, from its NIC.
pub(crate) fn send_frame(world: &World, mut trail: Trail, at: usize, payload: Payload) -> Outcome {
    let vif = world.intent.instances.get(at).and_then(|i| i.vifs.first().map(|v| (i, v)));
    let own = vif.and_then(|(_, v)| v.mac).unwrap_or_default();
    let frame = Frame::untagged(own, Mac::BROADCAST, payload);
    let Some((instance, vif)) = vif else {
        return trail.drop(instance_place(""), &frame, Stop::DeviceMissing, Vec::new());
    };
    match tap_of(world, at, instance, vif) {
        Ok(tap) => {
            if let Some(stop) = cut_off(world, tap) {
                let here = place(world.ns(tap.ns), world.link(tap), Stage::Wire);
                return trail.drop(here, &frame, stop, Vec::new());
            }
            trail.pass(instance_place(&instance.name), &frame, "sent by the instance (assumed)", Vec::new());
            wire::receive(world, trail, tap, &Skb::new(frame))
        }
        Err(Missing::Device(place)) => trail.drop(place, &frame, Stop::DeviceMissing, Vec::new()),
        Err(Missing::Knowledge(why)) => {
            let need = "the instance's live libvirt XML (virsh dumpxml), or `device` in the site file";
            trail.unknown(instance_place(&instance.name), &frame, why, need)
        }
    }
}

enum Missing {
    /// The records name a device that the host has not got.
    Device(Place),
    /// No record names it.
    Knowledge(String),
}

fn tap_of(world: &World, at: usize, instance: &Instance, vif: &Vif) -> Result<LinkId, Missing> {
    let nth = instance.vifs.iter().position(|v| std::ptr::eq(v, vif)).unwrap_or(0);
    if let Some(tap) = world.tap(at, nth) {
        return Ok(tap);
    }
    match (&vif.device, world.main_ns(&instance.host)) {
        (Some(device), Some(ns)) => {
            let facts = world.ns(ns);
            Err(Missing::Device(Place {
                host: facts.machine.clone(),
                netns: facts.name.clone(),
                device: device.clone(),
                stage: Stage::Bridge,
            }))
        }
        (None, Some(_)) => Err(Missing::Knowledge(format!("which link of {} is its NIC", instance.host))),
        (_, None) => Err(Missing::Knowledge(format!("host {} was not read", instance.host))),
    }
}

/// The instance's NIC has no carrier when its host's side is down; the host's side has none when
/// the instance's NIC is down, or nobody holds the tap.
fn cut_off(world: &World, tap: LinkId) -> Option<Stop> {
    let link = world.link(tap)?;
    if !link.admin_up {
        return Some(Stop::LinkDown);
    }
    (!link.carrier).then_some(Stop::NoCarrier)
}

fn next_hop(world: &World, instance: &Instance, vif: &Vif, to: Ipv4Addr) -> Ipv4Addr {
    let network = vif.network.and_then(|n| world.intent.networks.get(n));
    let direct = network.and_then(|n| n.cidr).is_some_and(|cidr| cidr.contains(&to));
    let gateway = network.and_then(|n| n.gateway_on(&instance.host));
    if direct { to } else { gateway.unwrap_or(to) }
}
