//! Delivery to the machine itself: INPUT, then whoever listens (`ip_local_deliver`, `ip6_input`).

use model::Netns;
use model::netfilter::Hook;
use model::packet::{Packet, Segment, Transport};
use model::path::{Stage, Stop};
use model::route::RouteKind;
use model::service::Dnsmasq;

use super::{neighbour_discovery, route};
use crate::exchange::ASKING_PORT;
use crate::netfilter::{self, Around};
use crate::trail::{Outcome, Skb, Trail, place};
use crate::vxlan;
use crate::world::{LinkId, World};

/// A packet for here.
pub(super) fn deliver(world: &World, mut trail: Trail, ingress: LinkId, mut skb: Skb) -> Outcome {
    let ns = world.ns(ingress.ns);
    let around = Around { indev: Some(ingress.link), physin: skb.physin_of_iptables(), ..Around::default() };
    if let Err(end) =
        netfilter::run(world, &mut trail, ingress.ns, skb.family(), Hook::Input, &mut skb, &around)
    {
        return end.finish(trail, &skb.frame);
    }
    if let Some(Packet { ttl, transport: Transport::Neighbour { advertisement, target, .. }, .. }) =
        skb.packet().copied()
    {
        let message = (ttl, advertisement, target);
        return neighbour_discovery::receive(world, trail, ingress, skb.frame, message);
    }
    if let Some(wrapped) = skb.wrapped.take() {
        return vxlan::receive(world, trail, ingress, skb, *wrapped);
    }
    let here = place(ns, world.link(ingress), Stage::Local);
    let deaf = skb.packet().copied().and_then(|p| {
        unheard(ns, &p).or_else(|| stopped_resolver(world, ns, &p)).or_else(|| ignored(ns, &p))
    });
    if let Some(stop) = deaf {
        return trail.drop(here, &skb.frame, stop, Vec::new());
    }
    if matches!(skb.packet(), Some(Packet { transport: Transport::Echo { reply: false, .. }, .. })) {
        trail.echoed_dscp = skb.dscp;
    }
    trail.pass(here, &skb.frame, format!("received by {}", ns.machine), Vec::new());
    trail.delivered(&ns.machine, &skb.frame, Some(ingress))
}

/// Nothing listens on the port, where the namespace's sockets were read. Answers to what this
/// machine asked itself always find their socket, and DHCP is judged by its servers, not by sockets:
/// udp/67 is bound per device.
fn unheard(ns: &Netns, packet: &Packet) -> Option<Stop> {
    let (protocol, port) = match packet.transport {
        Transport::Tcp { destination, segment: Segment::Syn, .. } => (6, destination),
        Transport::Udp { destination, .. } if !matches!(destination, 67 | 68 | ASKING_PORT) => {
            (17, destination)
        }
        Transport::Tcp { .. }
        | Transport::Udp { .. }
        | Transport::Echo { .. }
        | Transport::IcmpError { .. }
        | Transport::Neighbour { .. } => return None,
    };
    if ns.sockets.is_empty() {
        return None;
    }
    let hears = ns.sockets.iter().any(|s| {
        let of_family = s.address.is_ipv4() == packet.destination.is_ipv4();
        let address = (s.address.is_unspecified() && of_family) || s.address == packet.destination;
        s.protocol == protocol && s.port == port && address
    });
    (!hears).then_some(Stop::NoListener { protocol, port })
}

/// A question for names whose dnsmasq is stopped by a signal: it waits in the socket. A connection is opened all the
/// same, since that is the kernel's doing.
fn stopped_resolver(world: &World, ns: &Netns, packet: &Packet) -> Option<Stop> {
    let Transport::Udp { destination: 53, .. } = packet.transport else { return None };
    let host = world.snapshot.host(&ns.machine)?;
    let is_there = |server: &&Dnsmasq| server.netns.is_none() || server.netns == ns.inode;
    let mut servers = host.dnsmasq.iter().filter(is_there);
    let stopped = servers.find(|server| {
        server.listen.contains(&packet.destination) && server.is_stopped() && !server.is_told_no_names()
    })?;
    Some(Stop::Unanswered(format!("dnsmasq (pid {}) is stopped", stopped.pid)))
}

/// An echo request that the machine was told not to answer (`icmp_echo`, `icmpv6_rcv`).
fn ignored(ns: &Netns, packet: &Packet) -> Option<Stop> {
    let is_request = matches!(packet.transport, Transport::Echo { reply: false, .. });
    if packet.destination.is_ipv4() {
        let ignores = is_request && ns.sysctl("ipv4.icmp_echo_ignore_all") == Some(1);
        return ignores.then(|| Stop::Unanswered("net.ipv4.icmp_echo_ignore_all is 1".to_owned()));
    }
    let is_set = |name: &str| ns.sysctl(&format!("ipv6.icmp.{name}")) == Some(1);
    let is_anycast = || route::local_kind(ns, packet.destination) == Some(RouteKind::Anycast);
    let name = if is_set("echo_ignore_all") {
        "echo_ignore_all"
    } else if is_set("echo_ignore_anycast") && is_anycast() {
        "echo_ignore_anycast"
    } else {
        return None;
    };
    is_request.then(|| Stop::Unanswered(format!("net.ipv6.icmp.{name} is 1")))
}
