//! ARP: who answers whom (`net/ipv4/arp.c`, `arp_process`).

use std::net::IpAddr;

use model::Netns;
use model::netfilter::{Family, Hook};
use model::packet::Arp;
use model::path::{Disposition, Stage, Stop};
use model::route::{Neighbour, RouteKind};

use super::receive::forwards;
use super::reverse_path::{self, Arrival, either};
use super::route::{self, Found, Key};
use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::world::{LinkId, World};

/// ARP arrives at a stack. A question is delivered to the machine that will answer it, an answer to
/// the machine that asked; everything else is ignored, as bystanders do.
pub(super) fn receive(
    world: &World,
    mut trail: Trail,
    ingress: LinkId,
    skb: &Skb,
    arp: Arp,
    addressed: bool,
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let link = world.link(ingress);
    let here = place(ns, link, Stage::Neighbour);
    if !addressed {
        // Not even looked at by the rules (`arp_rcv`).
        return trail.drop(here, &skb.frame, Stop::OtherHost, Vec::new());
    }
    let mut skb = skb.clone();
    let around = Around { indev: Some(ingress.link), ..Around::default() };
    if let Err(end) =
        netfilter::run(world, &mut trail, ingress.ns, Family::Arp, Hook::Input, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    // An answer to somebody else's question changes no entry here (`arp_process`).
    let is_bystander = arp.reply && !arp.target_ip.is_unspecified() && !ns.has_address(arp.target_ip.into());
    if is_bystander || (!arp.reply && !answers(world, ingress, arp)) {
        return trail.drop(here, &skb.frame, Stop::OtherHost, Vec::new());
    }
    let detail = if arp.reply { "learned".to_owned() } else { format!("{} answers", ns.machine) };
    trail.pass(here, &skb.frame, detail, Vec::new());
    let disposition = Disposition::Delivered { machine: ns.machine.clone() };
    Outcome { trail, disposition, frame: skb.frame, at: Some(ingress) }
}

/// Whether the stack behind this link answers a question (`arp_process`): it must be able to route it as if it
/// were a packet, and then answers for its own addresses, and for others' where told to (proxy_arp,
/// proxy entries).
fn answers(world: &World, ingress: LinkId, arp: Arp) -> bool {
    let ns = world.ns(ingress.ns);
    let name = ns.link_name(ingress.link);
    let Arp { sender_ip, target_ip, .. } = arp;
    let (source, destination) = (IpAddr::V4(sender_ip), IpAddr::V4(target_ip));
    let key = Key { destination, source, iif: &name, oif: None, mark: 0 };
    let Found::Route(route, nexthop) = route::lookup(ns, &key) else { return false };
    let towards = match nexthop {
        Some(nexthop) if route.kind != RouteKind::Local => ns.link_name(nexthop.link),
        Some(_) | None => "lo".to_owned(),
    };
    let arrival = Arrival { link: ingress.link, source, destination, mark: 0, towards: &towards };
    // A question from 0.0.0.0 asks whether the address is taken.
    if !sender_ip.is_unspecified() && reverse_path::refuse(ns, &arrival).is_some() {
        return false;
    }
    match route.kind {
        RouteKind::Local => !ignores(ns, ingress.link, arp) && !filters(ns, ingress.link, &name, arp),
        RouteKind::Unicast => {
            let entry = |n: &Neighbour| n.proxy && n.ip == IpAddr::V4(target_ip) && n.link == ingress.link;
            let proxies = either(ns, &name, "proxy_arp") || ns.neighbours.iter().any(entry);
            let elsewhere = nexthop.is_some_and(|n| n.link != ingress.link);
            forwards(ns, &name) && proxies && elsewhere
        }
        RouteKind::Broadcast
        | RouteKind::Multicast
        | RouteKind::Anycast
        | RouteKind::Blackhole
        | RouteKind::Unreachable
        | RouteKind::Prohibit
        | RouteKind::Throw => false,
    }
}

/// A question for an address of this machine's that comes by this link stays unanswered: `arp_ignore`, the larger of
/// `all` and the link's own (`ip-sysctl.rst`).
pub fn ignores(ns: &Netns, link: u32, arp: Arp) -> bool {
    let name = ns.link_name(link);
    let of = |link: &str| ns.sysctl(&format!("ipv4.conf.{link}.arp_ignore")).unwrap_or(0);
    let wanted = IpAddr::V4(arp.target_ip);
    let here = || ns.addresses_of(link).filter(|a| a.net.addr() == wanted && a.scope != "host");
    match of("all").max(of(&name)) {
        1 => here().next().is_none(),
        2 => {
            // One subnet of the link must hold both, not that of the address itself (`confirm_addr_indev`).
            let sender = IpAddr::V4(arp.sender_ip);
            let holds_both =
                ns.addresses_of(link).any(|a| a.net.contains(&wanted) && a.net.contains(&sender));
            here().next().is_none() || !holds_both
        }
        3 => !ns.addresses.iter().any(|a| a.net.addr() == wanted && a.scope != "host"),
        8 => true,
        _ => false,
    }
}

/// `arp_filter`: answers only on the link that packets to the asker would leave by.
fn filters(ns: &Netns, link: u32, name: &str, arp: Arp) -> bool {
    let (source, destination) = (arp.target_ip.into(), arp.sender_ip.into());
    let key = Key { destination, source, iif: "lo", oif: None, mark: 0 };
    let by_here = || match route::lookup(ns, &key) {
        Found::Route(_, Some(nexthop)) => nexthop.link == link,
        Found::Route(_, None) | Found::Refused(..) | Found::Nothing | Found::Unknown(_) => false,
    };
    either(ns, name, "arp_filter") && !by_here()
}
