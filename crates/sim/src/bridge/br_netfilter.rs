//! br_netfilter: the detour of bridged IP through iptables (`net/bridge/br_netfilter_hooks.c`,
//! `br_netfilter_ipv6.c`).

use std::net::IpAddr;

use model::Mac;
use model::netfilter::{Family, Hook};
use model::packet::{Packet, Payload};
use model::path::{Stage, Stop};

use crate::ip;
use crate::ip::neighbour::Next;
use crate::netfilter::{self, Around};
use crate::trail::{Skb, Trail};
use crate::world::{LinkId, World};

/// A frame with a tag is shown to the tables only with `bridge-nf-filter-vlan-tagged`, and one with two never
/// (`is_vlan_ip`). Inside a bridge that filters by VLAN every frame has one, until it is taken off for the port
/// that it leaves by.
fn is_looked_into(world: &World, ns: usize, skb: &Skb) -> bool {
    let tags = skb.frame.tags;
    let filters_tagged = || world.ns(ns).sysctl("bridge.bridge-nf-filter-vlan-tagged") == Some(1);
    tags.is_empty() || (tags.inner().is_empty() && filters_tagged())
}

/// `bridge-nf-pass-vlan-input-dev`: the rules see a VLAN device on the bridge as the link of arrival
/// (`brnf_get_logical_dev`).
fn logical_in(world: &World, bridge_id: LinkId, skb: &Skb) -> u32 {
    let passes = world.ns(bridge_id.ns).sysctl("bridge.bridge-nf-pass-vlan-input-dev") == Some(1);
    let device = world.vlan_taking(bridge_id, skb.frame.tags).filter(|_| passes);
    device.filter(|(device, _)| device.ns == bridge_id.ns).map_or(bridge_id.link, |(device, _)| device.link)
}

/// `bridge-nf-call-iptables`, `bridge-nf-call-ip6tables`: bridged packets also pass the tables of their
/// family. Unset means that br_netfilter is not loaded.
fn calls_iptables(world: &World, ns: usize, skb: &Skb) -> bool {
    let tables = match skb.packet() {
        Some(packet) if packet.is_v6() => "bridge.bridge-nf-call-ip6tables",
        Some(_) => "bridge.bridge-nf-call-iptables",
        None => return false,
    };
    let ns_facts = world.ns(ns);
    // Where no setting at all was read, nor the rules, those may see it or not.
    let may_call = || ns_facts.sysctls.is_empty() && ns_facts.ruleset.unread_of(skb.family()).is_some();
    (ns_facts.sysctl(tables) == Some(1) || may_call()) && is_looked_into(world, ns, skb)
}

/// `bridge-nf-call-arptables`: bridged ARP also passes arptables' FORWARD.
fn calls_arptables(world: &World, ns: usize, skb: &Skb) -> bool {
    let is_arp = matches!(skb.frame.payload, Payload::Arp(_));
    let calls = world.ns(ns).sysctl("bridge.bridge-nf-call-arptables") == Some(1);
    is_arp && calls && is_looked_into(world, ns, skb)
}

/// PREROUTING of iptables for a frame that came in by a port, and what a DNAT there does to the frame
/// (`br_nf_pre_routing`, `br_nf_pre_routing_finish`).
pub(super) fn prerouting(
    world: &World,
    trail: &mut Trail,
    bridge_id: LinkId,
    skb: &mut Skb,
) -> Result<(), netfilter::End> {
    if !calls_iptables(world, bridge_id.ns, skb) {
        return Ok(());
    }
    let before = skb.packet().map(|p| p.destination);
    let indev = logical_in(world, bridge_id, skb);
    let around = Around { indev: Some(indev), physin: skb.physin, ..Around::default() };
    netfilter::run(world, trail, bridge_id.ns, skb.family(), Hook::Prerouting, skb, &around)?;
    skb.prerouted = true;
    let Some(packet) = skb.packet().copied().filter(|p| before != Some(p.destination)) else {
        return Ok(());
    };
    // Rewritten: bridged on if it would be routed back out by this very bridge, else up the stack.
    let next = match turned_back(world, trail, bridge_id, (&packet, skb.mark)) {
        Ok(next) => next,
        Err(stop) => return Err(netfilter::End::dropped(world, bridge_id, Stage::Route, *stop)),
    };
    let own = world.link(bridge_id).and_then(|bridge| bridge.mac).unwrap_or(skb.frame.destination);
    skb.frame.destination = match next {
        Some(next) => neighbour_on(world, trail, bridge_id, next, &packet)?,
        None => {
            skb.other_host = false;
            own
        }
    };
    Ok(())
}

/// The MAC of a station on the bridge (`br_nf_pre_routing_finish_bridge`).
fn neighbour_on(
    world: &World,
    trail: &mut Trail,
    bridge_id: LinkId,
    next: IpAddr,
    packet: &Packet,
) -> Result<Mac, netfilter::End> {
    let stage = Stage::Neighbour;
    match ip::neighbour::resolve(world, trail, bridge_id, next, packet.source) {
        Next::Known(mac, _) => Ok(mac),
        Next::Beyond => {
            let why = format!("next hop {next} is beyond what was read");
            Err(netfilter::End::unknown(world, bridge_id, stage, why, "the segment's other hosts".to_owned()))
        }
        Next::Unanswered(because) => {
            let stop = Stop::NeighbourUnresolved { ip: next, because: Some(because) };
            Err(netfilter::End::dropped(world, bridge_id, stage, stop))
        }
        Next::Unknown { why, would_need } => {
            let why = format!("who answers for {next}: {why}");
            Err(netfilter::End::unknown(world, bridge_id, stage, why, would_need))
        }
    }
}

/// The address on the bridge that a rewritten packet goes to next, where it stays on it.
fn turned_back(
    world: &World,
    trail: &mut Trail,
    bridge_id: LinkId,
    (packet, mark): (&Packet, u32),
) -> Result<Option<IpAddr>, Box<Stop>> {
    if packet.is_v6() {
        return ip::redirected(world.ns(bridge_id.ns), bridge_id.link, (packet, mark), trail);
    }
    Ok(ip::turned_back(world, bridge_id, packet, mark))
}

/// FORWARD and POSTROUTING of iptables for a frame that leaves by another port. `out` are the ports
/// around it, as ebtables sees them.
pub(super) fn forwarded(
    world: &World,
    trail: &mut Trail,
    bridge_id: LinkId,
    hook: Hook,
    skb: &mut Skb,
    out: &Around,
) -> Result<(), netfilter::End> {
    if hook == Hook::Forward && calls_arptables(world, bridge_id.ns, skb) {
        // The ports themselves are what arptables sees (`br_nf_forward_arp`).
        let ports = Around { bridge: None, bridged: false, ..*out };
        return netfilter::run(world, trail, bridge_id.ns, Family::Arp, hook, skb, &ports);
    }
    // What PREROUTING was not shown, nothing later is (`nf_bridge_info_get`).
    if !skb.prerouted || !calls_iptables(world, bridge_id.ns, skb) {
        return Ok(());
    }
    let around = Around {
        indev: (hook == Hook::Forward).then(|| logical_in(world, bridge_id, skb)),
        outdev: Some(bridge_id.link),
        bridge: None,
        ..*out
    };
    netfilter::run(world, trail, bridge_id.ns, skb.family(), hook, skb, &around)
}
