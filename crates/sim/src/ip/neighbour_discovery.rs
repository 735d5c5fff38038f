//! Neighbour discovery: who has an IPv6 address, and does the answer arrive (RFC 4861, `net/ipv6/ndisc.c`)?
//!
//! Unlike ARP, question and answer are packets: they meet OUTPUT and POSTROUTING where they are made,
//! PREROUTING, routing and INPUT where they arrive.

use std::net::{IpAddr, Ipv6Addr};

use model::netfilter::Hook;
use model::packet::{Frame, Packet, Payload, Transport};
use model::path::{Disposition, Stage, Stop};
use model::route::{RouteKind, Standing, TABLE_LOCAL};
use model::{Mac, Netns};

use super::local::{Refusal, refusal};
use super::neighbour::{self, Towards};
use super::route::{self, Found, Key};
use super::{scope, source_v6};
use crate::netfilter::{self, Around};
use crate::resolution::Resolution;
use crate::trail::{Outcome, Skb, Trail, place};
use crate::wire;
use crate::wiring::{Spot, Vlans};
use crate::world::{LinkId, Station, World};

/// The only hop limit that is taken: what came from farther away has less (RFC 4861, 7.1).
const HOP_LIMIT: u8 = 255;
/// Bytes of a question or answer: header, message, and the link-layer address option.
const LENGTH: u16 = 40 + 24 + 8;

/// Asks by a link for an address, on behalf of a packet from `source`.
pub(super) fn ask(
    world: &World,
    trail: &mut Trail,
    link: LinkId,
    source: IpAddr,
    target: Ipv6Addr,
) -> Resolution {
    let own = asker(world.ns(link.ns), link.link, source);
    let mac = world.link(link).and_then(|l| l.mac).unwrap_or_default();
    let (group, group_mac) = scope::solicited_node(target);
    let transport = Transport::Neighbour { advertisement: false, target, mac };
    let from = own.unwrap_or(Ipv6Addr::UNSPECIFIED.into());
    let frame = Frame { source: mac, ..framed(from, group.into(), group_mac, transport) };
    let start = trail.aside();
    if start.asks_too_much() {
        let here = place(world.ns(link.ns), world.link(link), Stage::Neighbour);
        let why = format!("asking for {target} needs an answer that needs to be asked for");
        let question = start.unknown(here, &frame, why, "ip -6 neigh");
        return Resolution { question, answer: None };
    }
    let Some(own) = own else {
        let here = place(world.ns(link.ns), world.link(link), Stage::Neighbour);
        let why = "no link-local address to ask from".to_owned();
        return Resolution {
            question: start.drop(here, &frame, Stop::Ipv6Off(why), Vec::new()),
            answer: None,
        };
    };
    let asked = send(world, start, link, Skb::new(frame));
    let (Disposition::Delivered { .. }, Some(at)) = (&asked.disposition, asked.at) else {
        return Resolution { question: asked, answer: None };
    };
    trail.learned.clone_from(&asked.trail.learned);
    // Who answers a question remembers who asked (`ndisc_recv_ns`).
    trail.neighbours.push((at, own, mac));
    let answered = answer(world, trail, at, (own, target));
    if matches!(answered.disposition, Disposition::Delivered { .. }) {
        trail.learned.clone_from(&answered.trail.learned);
    }
    Resolution { question: asked, answer: Some(answered) }
}

/// The advertisement: unicast, to the MAC that its sender knows the asker by.
fn answer(world: &World, trail: &Trail, at: LinkId, (asker, target): (IpAddr, Ipv6Addr)) -> Outcome {
    let ns = world.ns(at.ns);
    let mut start = trail.aside();
    start.neighbours.clone_from(&trail.neighbours);
    let mac = world.link(at).and_then(|l| l.mac).unwrap_or_default();
    let transport = Transport::Neighbour { advertisement: true, target, mac };
    // Who answers for another speaks for itself (`ndisc_send_na`).
    let own = if carries(ns, at.link, target) { Some(target.into()) } else { speaks_to(ns, at.link, asker) };
    let frame = framed(own.unwrap_or(target.into()), asker, Mac::ZERO, transport);
    if own.is_none() {
        let here = place(ns, world.link(at), Stage::Neighbour);
        let why = format!("no address to answer {asker} with");
        return start.drop(here, &frame, Stop::Ipv6Off(why), Vec::new());
    }
    send(world, start, at, Skb::new(frame))
}

fn speaks_to(ns: &Netns, link: u32, asker: IpAddr) -> Option<IpAddr> {
    match asker {
        IpAddr::V4(_) => None,
        IpAddr::V6(asker) => source_v6::choose(ns, Some(link), asker),
    }
}

fn framed(source: IpAddr, destination: IpAddr, to: Mac, transport: Transport) -> Frame {
    let packet = Packet { source, destination, ttl: HOP_LIMIT, length: LENGTH, transport };
    Frame::untagged(Mac::ZERO, to, Payload::Ip(packet))
}

/// The packet's own source, where it is an address of the link, else the link-local address
/// (`ndisc_solicit`, `ipv6_get_lladdr`).
fn asker(ns: &Netns, link: u32, source: IpAddr) -> Option<IpAddr> {
    let settled = |standing| matches!(standing, Standing::Preferred | Standing::Deprecated);
    let own = || ns.addresses_of(link).filter(|a| settled(a.standing)).map(|a| a.net.addr());
    own().find(|ip| *ip == source).or_else(|| own().filter(|ip| scope::is_link_local(*ip)).last())
}

/// `ndisc_send_skb`: out by the link, without asking for a route.
fn send(world: &World, mut trail: Trail, link: LinkId, mut skb: Skb) -> Outcome {
    let around = Around { outdev: Some(link.link), ..Around::default() };
    if let Err(end) =
        netfilter::run(world, &mut trail, link.ns, skb.family(), Hook::Output, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    if skb.remarked
        && let Err(refusal) = keeps_its_way(world.ns(link.ns), link.link, &skb)
    {
        let here = place(world.ns(link.ns), world.link(link), Stage::Route);
        return match refusal {
            Refusal::Stop(stop) => trail.drop(here, &skb.frame, *stop, Vec::new()),
            Refusal::Unknown(why) => {
                trail.unknown(here, &skb.frame, why, "a capture of ICMPv6 types 135 and 136")
            }
        };
    }
    if let Err(end) =
        netfilter::run(world, &mut trail, link.ns, skb.family(), Hook::Postrouting, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    if skb.frame.destination.is_group() {
        return wire::transmit(world, trail, link, &skb);
    }
    neighbour::send(world, trail, link.ns, skb, &Towards { link: link.link, via: None })
}

/// What a chain of type route changed does have its route looked up (`ip6_route_me_harder`): it may be
/// refused, or lead somewhere else.
fn keeps_its_way(ns: &Netns, link: u32, skb: &Skb) -> Result<(), Refusal> {
    let Some(packet) = skb.packet() else { return Ok(()) };
    let Packet { source, destination, .. } = *packet;
    let oif = scope::needs_link(destination).then_some(link);
    match route::lookup(ns, &Key { destination, source, iif: "lo", oif, mark: skb.mark }) {
        Found::Route(_, Some(nexthop)) if nexthop.link == link && nexthop.via.is_none() => Ok(()),
        Found::Route(_, Some(_)) => {
            Err(Refusal::Unknown("a rule sends neighbour discovery by another route".to_owned()))
        }
        found => Err(refusal(ns, found, destination)),
    }
}

/// A solicitation or advertisement has passed INPUT (`ndisc_rcv`): delivered to the machine that will
/// answer, or that asked.
pub(super) fn receive(
    world: &World,
    mut trail: Trail,
    ingress: LinkId,
    frame: Frame,
    (ttl, advertisement, target): (u8, bool, Ipv6Addr),
) -> Outcome {
    let ns = world.ns(ingress.ns);
    let here = place(ns, world.link(ingress), Stage::Neighbour);
    if ttl != HOP_LIMIT {
        let why = format!("its hop limit is {ttl}: neighbour discovery from beyond the link is ignored");
        return trail.drop(here, &frame, Stop::Unanswered(why), Vec::new());
    }
    let takes = if advertisement {
        // What tells of one's own address is somebody else's mistake (`ndisc_recv_na`).
        !carries(ns, ingress.link, target)
    } else {
        answers(ns, ingress.link, target)
    };
    if !takes {
        return trail.drop(here, &frame, Stop::OtherHost, Vec::new());
    }
    let detail = if advertisement { "learned".to_owned() } else { format!("{} answers", ns.machine) };
    trail.pass(here, &frame, detail, Vec::new());
    trail.delivered(&ns.machine, &frame, Some(ingress))
}

/// Whether the stack behind a link answers for an address: it is an address of this very link, or one
/// that it answers for on behalf of another (`ndisc_recv_ns`).
pub(crate) fn answers(ns: &Netns, link: u32, target: Ipv6Addr) -> bool {
    carries(ns, link, target) || is_anycast(ns, link, target) || proxies(ns, link, target)
}

fn carries(ns: &Netns, link: u32, ip: Ipv6Addr) -> bool {
    ns.addresses_of(link).any(|a| a.net.addr() == IpAddr::V6(ip) && a.standing.is_usable())
}

fn is_anycast(ns: &Netns, link: u32, ip: Ipv6Addr) -> bool {
    ns.routes.iter().any(|route| {
        route.kind == RouteKind::Anycast
            && route.table == TABLE_LOCAL
            && route.destination.addr() == IpAddr::V6(ip)
            && route.nexthops.iter().any(|n| n.link == link)
    })
}

/// A proxy entry counts where the link forwards and proxies.
fn proxies(ns: &Netns, link: u32, ip: Ipv6Addr) -> bool {
    let name = ns.link_name(link);
    let of = |link: &str, what: &str| ns.sysctl(&format!("ipv6.conf.{link}.{what}")).unwrap_or(0) != 0;
    ns.neighbours.iter().any(|n| n.proxy && n.ip == IpAddr::V6(ip) && n.link == link)
        && of(&name, "forwarding")
        && (of("all", "proxy_ndp") || of(&name, "proxy_ndp"))
}

/// The stations that answer for an address where a link's frames can get to: those that carry it before
/// those that stand in for others, who take their time (`pneigh_enqueue`). All of the site, where none
/// can be got to.
pub(crate) fn answerers(world: &World, (own, from): (LinkId, Spot), target: Ipv6Addr) -> Vec<Station> {
    let everywhere = all_answerers(world, target);
    let near: Vec<(Station, bool)> = everywhere
        .iter()
        .copied()
        .filter(|(s, _)| *s == Station::Link(own) || world.leads_to(from, *s, Vlans::Kept))
        .collect();
    let answerers = if near.is_empty() { everywhere } else { near };
    let carried = answerers.iter().any(|(_, carries)| *carries);
    answerers.into_iter().filter(|(_, carries)| *carries || !carried).map(|(station, _)| station).collect()
}

/// Every station of the site that answers for an address, and whether it carries it.
fn all_answerers(world: &World, target: Ipv6Addr) -> Vec<(Station, bool)> {
    let ip = IpAddr::V6(target);
    let mut answerers = Vec::new();
    for (at, ns) in world.snapshot.netns.iter().enumerate() {
        let carried = ns.addresses.iter().filter(|a| a.net.addr() == ip).map(|a| a.link);
        let proxied = ns.neighbours.iter().filter(|n| n.proxy && n.ip == ip).map(|n| n.link);
        let anycast = ns.routes.iter().filter(|r| r.kind == RouteKind::Anycast);
        let anycast =
            anycast.filter(|r| r.destination.addr() == ip).flat_map(|r| &r.nexthops).map(|n| n.link);
        for link in carried.chain(proxied).chain(anycast) {
            let answerer = (Station::Link(LinkId { ns: at, link }), carries(ns, link, target));
            if answers(ns, link, target) && !answerers.contains(&answerer) {
                answerers.push(answerer);
            }
        }
    }
    answerers
}

/// Whether a link listens to a group that neighbour discovery uses (`addrconf_join_solict`,
/// `pndisc_constructor`).
pub(super) fn listens(ns: &Netns, link: u32, group: Ipv6Addr) -> bool {
    let is_all_nodes = group == Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);
    let asks_for = |ip: IpAddr| match ip {
        IpAddr::V4(_) => false,
        IpAddr::V6(v6) => scope::solicited_node(v6).0 == group,
    };
    let own = || ns.addresses_of(link).any(|a| asks_for(a.net.addr()));
    let anycast = || {
        let here = ns.routes.iter().filter(|r| r.kind == RouteKind::Anycast);
        here.filter(|r| r.nexthops.iter().any(|n| n.link == link)).any(|r| asks_for(r.destination.addr()))
    };
    let proxied = || ns.neighbours.iter().any(|n| n.proxy && n.link == link && asks_for(n.ip));
    is_all_nodes || own() || anycast() || proxied()
}
