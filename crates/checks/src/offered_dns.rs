//! DNS servers that an instance is told of by DHCP, other than its network's dnsmasq, and that do not answer it.

use std::net::{IpAddr, Ipv4Addr};

use model::dhcp::HeardReply;
use model::dns::Rcode;
use model::finding::{Evidence, EvidenceKind};
use model::path::{Direction, Stop};
use model::probe::{Asked, ProbeResult};
use model::service::Dnsmasq;

use crate::dhcp_server;
use crate::diagnose::is_probe_of;
use crate::dns;
use crate::evidence;
use crate::ladder::{Purpose, Rung};
use crate::mend::Mend;
use crate::said;
use crate::view::{Seat, View};

/// A server that does not answer.
pub(crate) struct Mute<'v> {
    pub(crate) rung: &'v Rung,
    pub(crate) address: Ipv4Addr,
    /// As an offer has it: `DNS server 10.0.0.53, which does not answer`.
    pub(crate) said: String,
    pub(crate) evidence: Evidence,
}

/// Those of a NIC's network, by what is configured; where an offer was heard, only those that stand in it.
pub(crate) fn mute<'v>(view: &View<'v>, seat: &Seat, heard: Option<&HeardReply>) -> Vec<Mute<'v>> {
    let is_in_it = |server: &Ipv4Addr| heard.is_none_or(|heard| heard.reply.dns.contains(server));
    let rungs = view.rungs_of(seat.instance);
    let offered = rungs.filter_map(|rung| {
        let Purpose::Offered(server) = rung.purpose else { return None };
        is_in_it(&server).then_some((rung, server))
    });
    offered.filter_map(|(rung, server)| judged(view, rung, server)).collect()
}

fn judged<'v>(view: &View<'v>, rung: &'v Rung, address: Ipv4Addr) -> Option<Mute<'v>> {
    let probe = view.probes.iter().find(|probe| is_probe_of(probe, rung));
    let (how, seen) = if let Some((how, text)) = ends(rung) {
        (how, evidence::record(EvidenceKind::State, "the walk", text))
    } else if dns::is_nobody(view, rung) && dnsmasq_is_there(view, rung) {
        ("which does not answer", said::evidence(probe?))
    } else if refuses(probe) && dnsmasq_is_there(view, rung) {
        ("which refuses", said::evidence(probe?))
    } else {
        return None;
    };
    let said = format!("DNS server {address}, {how}");
    Some(Mute { rung, address, said, evidence: seen })
}

/// Where the question ends for want of anybody: no neighbour of that address, no listener, or one that is stopped. A
/// router without a route says nothing of the server, and a way back that is broken even less.
fn ends(rung: &Rung) -> Option<(&'static str, String)> {
    let mut asked = rung.answer.paths.iter().filter(|path| path.direction == Direction::Request);
    asked.find_map(|path| {
        let (hop, stop) = path.stop()?;
        let how = match stop {
            Stop::NeighbourUnresolved { ip, .. } if *ip == rung.to => "which is not there",
            Stop::NoListener { .. } => "which is not there",
            Stop::Unanswered(_) => "which does not answer",
            Stop::NeighbourUnresolved { .. }
            | Stop::NoRoute(_)
            | Stop::RouteRefuses(_)
            | Stop::LinkDown
            | Stop::NoCarrier
            | Stop::DeviceMissing
            | Stop::NoTarget(_)
            | Stop::NotEnslaved
            | Stop::BridgeDown
            | Stop::PortState(_)
            | Stop::VlanNotTaken(_)
            | Stop::VniNotTaken { .. }
            | Stop::VlanRefused(_)
            | Stop::OtherHost
            | Stop::ForwardingOff
            | Stop::ReversePath { .. }
            | Stop::MartianSource
            | Stop::BeyondScope
            | Stop::Ipv6Off(_)
            | Stop::TtlExceeded
            | Stop::Rule(_)
            | Stop::Policy(_)
            | Stop::NotAsked { .. }
            | Stop::TooBig { .. }
            | Stop::QueueRefuses(_)
            | Stop::Loop => return None,
        };
        Some((how, hop.detail.clone()))
    })
}

/// The network's own server answers the instance: names are to be had.
fn dnsmasq_is_there(view: &View, rung: &Rung) -> bool {
    let mut own = view.rungs.iter().filter(|other| other.instance == rung.instance);
    let is_answered =
        |other: &Rung| view.probes.iter().any(|probe| is_probe_of(probe, other) && probe.received > 0);
    own.any(|other| other.purpose == Purpose::Resolver && is_answered(other))
}

fn refuses(probe: Option<&ProbeResult>) -> bool {
    probe.is_some_and(|probe| match &probe.asked {
        Asked::Name { answer, .. } => answer.as_ref().is_some_and(|said| said.rcode == Rcode::Refused),
        Asked::Echo { .. } | Asked::Address { .. } | Asked::Connection { .. } => false,
    })
}

/// In the model, the same dnsmasq that no longer names them, and an instance that no longer asks them.
pub(crate) fn without(view: &View, seat: &Seat, server: &Dnsmasq, mute: &[Mute]) -> Vec<Mend> {
    if mute.is_empty() {
        return Vec::new();
    }
    let mut server = server.clone();
    let is_gone = |ip: Ipv4Addr| mute.iter().any(|gone| gone.address == ip);
    server.offered_dns.retain(|ip| !is_gone(*ip));
    let machine = seat.instance.name.clone();
    let conf = view.snapshot().main_netns(&machine).and_then(|ns| ns.resolver.as_ref());
    let asked = conf.iter().flat_map(|conf| conf.servers.iter().copied());
    let asked = asked.filter(|server| !matches!(server, IpAddr::V4(ip) if is_gone(*ip)));
    let servers = asked.chain(seat.gateway().map(IpAddr::V4)).collect();
    vec![dhcp_server::put_right(seat, server), Mend::Resolver { machine, servers }]
}
