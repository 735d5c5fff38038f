//! The ladder: the questions an operator asks, in the order that narrows a fault down fastest
//! (the guide's chapter, "Network Troubleshooting").

use std::net::{IpAddr, Ipv4Addr, SocketAddrV4};

use model::Snapshot;
use model::intent::Instance;
use model::netfilter::Hook;
use model::path::{Direction, Disposition, Exchange, Path, Stop};
use model::probe::{PING_OCTETS, ProbeResult};
use sim::{Answer, Endpoint, Protocol, Question, World};

pub use crate::purpose::{OverTcp, Purpose};

use crate::mend::{self, Mend};
use crate::view::View;
use crate::way_out::{self, ANYWHERE};
use crate::{dns, ipv6, metadata, nova, protocols, size};

/// What the user complains of; narrows the ladder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Symptom {
    /// Everything.
    #[default]
    Auto,
    /// No answer to ping.
    Ping,
    /// No address.
    Dhcp,
    /// Names do not resolve.
    Dns,
    /// No ssh from outside.
    Ssh,
    /// No metadata.
    Metadata,
}

/// One question of the ladder and what became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rung {
    /// The instance it is about: index into `Intent::instances`.
    pub instance: usize,
    /// Why it is asked.
    pub purpose: Purpose,
    /// Who asks and whom, by name and address.
    pub from: String,
    /// Whom.
    pub to: IpAddr,
    /// What became of it.
    pub answer: Answer,
}

impl Rung {
    /// It was put by who asks to whom is asked: to that server, of a question for a name.
    pub(crate) fn is_put_to(&self, probe: &ProbeResult) -> bool {
        let is_same_port = probe.asked.server_port().is_none_or(|port| port == self.purpose.server_port());
        is_same_port && probe.from == self.from && probe.to == self.to
    }

    /// How long an echo's packets are that ask this; of what is no echo nobody asks.
    pub fn octets(&self) -> u16 {
        match self.purpose {
            Purpose::Large(octets) => octets,
            Purpose::Dhcp
            | Purpose::Gateway
            | Purpose::Outside
            | Purpose::OutsideBy(_)
            | Purpose::Router(_)
            | Purpose::Inbound(_)
            | Purpose::InboundBy(..)
            | Purpose::Itself(_)
            | Purpose::Ssh(_)
            | Purpose::Served
            | Purpose::ServedSsh
            | Purpose::Gateway6(_)
            | Purpose::Served6(_)
            | Purpose::Other(_)
            | Purpose::Other6(_)
            | Purpose::Outside6(_)
            | Purpose::Resolver
            | Purpose::Inside(_)
            | Purpose::Offered(_)
            | Purpose::Upstream(_)
            | Purpose::Reverse(_)
            | Purpose::UpstreamBy(..)
            | Purpose::ResolverTcp(_)
            | Purpose::ResolverAtHome
            | Purpose::Metadata
            | Purpose::MetadataAtHome(_)
            | Purpose::Step
            | Purpose::StepBy(_) => PING_OCTETS,
        }
    }

    /// A path of this rung that could not be decided: why, and what would settle it.
    pub fn undecided(&self) -> Option<(&str, &str)> {
        self.answer.paths.iter().find_map(|p| match &p.disposition {
            Disposition::Unknown { why, would_need } => Some((why.as_str(), would_need.as_str())),
            Disposition::Delivered { .. } | Disposition::Dropped(_) | Disposition::LeftSite => None,
        })
    }
}

/// At most this many other instances of a network are asked for, nearest first: one host's worth of
/// neighbours already tells what the bridge does, one instance a further host what the segment does.
const OTHERS_MAX: usize = 8;

/// ssh's port.
pub(crate) const SSH_PORT: u16 = 22;

/// Climbs the ladder for one instance.
pub(crate) fn climb(world: &World, instance: usize, to: Option<Ipv4Addr>, symptom: Symptom) -> Vec<Rung> {
    if world.intent.instances.get(instance).is_some_and(Instance::was_never_plugged) {
        return Vec::new();
    }
    let purposes = purposes(world, instance, to, symptom);
    let mut rungs: Vec<Rung> =
        purposes.into_iter().filter_map(|purpose| ask(world, instance, to, purpose)).collect();
    match symptom {
        Symptom::Auto => rungs.extend(protocols::rungs(world, instance, to, &rungs)),
        Symptom::Dns => rungs.extend(protocols::over_udp(world, instance, to, &rungs)),
        Symptom::Ping | Symptom::Dhcp | Symptom::Ssh | Symptom::Metadata => {}
    }
    rungs
}

/// The same question in facts that are so changed; `None` where nobody would ask it there.
pub(crate) fn again_with(view: &View, rung: &Rung, change: &Mend) -> Option<Rung> {
    again_with_all(view, rung, std::slice::from_ref(change))
}

fn mended(view: &View, mends: &[Mend]) -> Snapshot {
    let mut snapshot = view.snapshot().clone();
    mends.iter().for_each(|change| mend::apply(&mut snapshot, change));
    snapshot
}

/// The same with all of these.
pub(crate) fn again_with_all(view: &View, rung: &Rung, mends: &[Mend]) -> Option<Rung> {
    again_in(view, rung, &mended(view, mends))
}

/// The same question in other facts.
pub(crate) fn again_in(view: &View, rung: &Rung, snapshot: &Snapshot) -> Option<Rung> {
    again_by(&World::new(snapshot, view.intent()), rung)
}

/// The same question in a world that others are asked in too.
pub(crate) fn again_by(world: &World, rung: &Rung) -> Option<Rung> {
    let to = match rung.to {
        IpAddr::V4(to) => Some(to),
        // The purpose tells it.
        IpAddr::V6(_) => None,
    };
    ask(world, rung.instance, to, rung.purpose)
}

/// It would be answered when all of this is mended, or nobody would ask it any more.
pub(crate) fn is_settled_with(view: &View, rung: &Rung, mends: &[Mend]) -> bool {
    let is_asked = |snapshot: &Snapshot| {
        let world = World::new(snapshot, view.intent());
        purposes(&world, rung.instance, None, Symptom::Auto).contains(&rung.purpose)
    };
    let is_needless = || is_asked(view.snapshot()) && !is_asked(&mended(view, mends));
    again_with_all(view, rung, mends).is_none_or(|again| again.answer.answered) || is_needless()
}

/// It would be answered then; where not, what is changed is not what it dies of, as far as anybody can tell.
pub(crate) fn is_answered_with(view: &View, rung: &Rung, change: &Mend) -> bool {
    again_with(view, rung, change).is_some_and(|again| again.answer.answered)
}

fn purposes(world: &World, instance: usize, to: Option<Ipv4Addr>, symptom: Symptom) -> Vec<Purpose> {
    let inbound = || floating(world, instance).map(Purpose::Inbound);
    let itself = || {
        let own = world.intent.instances.get(instance).into_iter();
        let carried = own.filter(|own| world.intent.servers_of(own).contains(&own.host.as_str()));
        carried.flat_map(model::intent::Instance::floating).map(|f| Purpose::Itself(f.address))
    };
    let served =
        || world.intent.instances.get(instance).filter(|instance| !instance.entered).map(|_| Purpose::Served);
    let ssh = || floating(world, instance).map(Purpose::Ssh);
    // Nobody outside can be asked to try it.
    let is_tried = external(world).is_some() && ssh().next().is_some();
    let beyond = || {
        let known = if to.is_none() { way_out::beyond(world, instance) } else { Vec::new() };
        known.into_iter().map(Purpose::Router)
    };
    let mut purposes = match symptom {
        Symptom::Auto | Symptom::Ping | Symptom::Ssh => vec![Purpose::Gateway, Purpose::Outside],
        Symptom::Dhcp => vec![Purpose::Dhcp],
        Symptom::Dns => vec![Purpose::Gateway, Purpose::Resolver, Purpose::Outside],
        Symptom::Metadata => vec![Purpose::Gateway, Purpose::Metadata],
    };
    match symptom {
        Symptom::Auto => {
            purposes.extend(beyond());
            purposes.extend(inbound());
            purposes.extend(served());
            purposes.extend(over_ipv6(world, instance));
            if to.is_none() {
                purposes.extend(others(world, instance).into_iter().map(Purpose::Other));
                purposes.extend(further_over_ipv6(world, instance));
                purposes.extend(itself());
            }
            if serves_names(world, instance) {
                purposes.push(Purpose::Dhcp);
                purposes.extend(names(world, instance, OverTcp::WhereCutShort));
            }
            if metadata::is_served(world, instance) {
                purposes.push(Purpose::Metadata);
                purposes.extend(metadata::at_home(world, instance).map(Purpose::MetadataAtHome));
            }
        }
        Symptom::Ping => {
            purposes.extend(beyond());
            purposes.extend(inbound());
            purposes.extend(served());
            purposes.extend(over_ipv6(world, instance));
            if to.is_none() {
                purposes.extend(others(world, instance).into_iter().map(Purpose::Other));
                purposes.extend(further_over_ipv6(world, instance));
                purposes.extend(itself());
            }
        }
        Symptom::Ssh => {
            purposes.extend(beyond().chain(inbound()).chain(served()).chain(ssh()));
            purposes.extend((!is_tried).then_some(Purpose::ServedSsh));
            if serves_names(world, instance) {
                purposes.extend([Purpose::Resolver, Purpose::ResolverTcp(OverTcp::WhereCutShort)]);
                purposes.push(Purpose::ResolverAtHome);
                // Whom sshd really asks for the client's name, where that is somebody else.
                purposes.extend(dns::asked_inside(world, instance).into_iter().map(Purpose::Inside));
                purposes.extend(offered(world, instance));
                purposes.extend(upstreams(world, instance).into_iter().map(Purpose::Reverse));
            }
        }
        Symptom::Dns => purposes.extend(names(world, instance, OverTcp::Always).into_iter().skip(1)),
        Symptom::Dhcp => purposes.extend(offered(world, instance)),
        Symptom::Metadata => {
            purposes.extend(metadata::at_home(world, instance).map(Purpose::MetadataAtHome));
        }
    }
    match symptom {
        Symptom::Auto | Symptom::Ping | Symptom::Ssh => {
            purposes.extend(size::largest(world, instance).map(Purpose::Large));
        }
        Symptom::Dhcp | Symptom::Dns | Symptom::Metadata => {}
    }
    purposes
}

/// Between the instance and the host that serves it, where both have IPv6.
fn over_ipv6(world: &World, instance: usize) -> Vec<Purpose> {
    let Some(((own, _), gateway)) = ipv6::of_instance(world, instance).zip(ipv6::gateway(world, instance))
    else {
        let gateway = ipv6::gateway_of_closed(world, instance).map(|(_, gateway)| Purpose::Gateway6(gateway));
        return gateway.into_iter().chain(ipv6::of_closed(world, instance).map(Purpose::Served6)).collect();
    };
    vec![Purpose::Gateway6(gateway), Purpose::Served6(own)]
}

/// Beyond that host, where the network has a range of IPv6: its neighbours, and the outside.
fn further_over_ipv6(world: &World, instance: usize) -> Vec<Purpose> {
    let others = ipv6::neighbours(world, instance, &others(world, instance)).into_iter().map(Purpose::Other6);
    others.chain(ipv6::outside(world, instance).map(Purpose::Outside6)).collect()
}

fn floating(world: &World, instance: usize) -> impl Iterator<Item = Ipv4Addr> {
    let instance = world.intent.instances.get(instance).into_iter();
    instance.flat_map(model::intent::Instance::floating).map(|floating| floating.address)
}

/// Whether the host that serves the instance is meant to give addresses and names: nova-network runs one dnsmasq a
/// network; elsewhere only a server that is seen to serve the bridge tells.
fn serves_names(world: &World, instance: usize) -> bool {
    let Some(instance) = world.intent.instances.get(instance) else { return false };
    let network = instance.vifs.iter().find_map(|v| world.intent.networks.get(v.network?));
    let server = network.map_or(instance.host.as_str(), |n| n.server_for(&instance.host));
    let host = world.snapshot.host(server).zip(world.snapshot.main_netns(server));
    let Some((host, ns)) = host else { return false };
    let bridges = instance.vifs.iter().filter_map(|v| ns.link_named(v.bridge.as_deref()?));
    let link = |bridge: &model::link::Link| world.link_named_in(ns, &bridge.name);
    let mut served = bridges.filter_map(link).flat_map(|id| host.dnsmasq.iter().map(move |d| (id, d)));
    nova::manages(host, ns) || served.any(|(id, server)| sim::dhcp::serves(world, id, server))
}

/// Its network's own server for names, whom that one asks, and whom the instance asks beside.
fn names(world: &World, instance: usize, over_tcp: OverTcp) -> Vec<Purpose> {
    let upstreams = upstreams(world, instance).into_iter().map(Purpose::Upstream);
    let inside = dns::asked_inside(world, instance).into_iter().map(Purpose::Inside);
    let over_tcp = [Purpose::ResolverTcp(over_tcp), Purpose::ResolverAtHome];
    let own = [Purpose::Resolver].into_iter().chain(upstreams).chain(inside);
    own.chain(offered(world, instance)).chain(over_tcp).collect()
}

fn offered(world: &World, instance: usize) -> impl Iterator<Item = Purpose> {
    dns::offered(world, instance).into_iter().map(Purpose::Offered)
}

pub(crate) fn upstreams(world: &World, instance: usize) -> Vec<SocketAddrV4> {
    let server = dns::server(world, instance);
    server.iter().flat_map(dns::Server::upstreams).map(|upstream| upstream.address).collect()
}

/// The other instances of the same network that are meant to run, those on the same host first.
fn others(world: &World, instance: usize) -> Vec<usize> {
    let Some(own) = world.intent.instances.get(instance) else { return Vec::new() };
    let networks: Vec<_> = own.vifs.iter().filter_map(|v| v.network).collect();
    let shares = |at: &usize| {
        let other = world.intent.instances.get(*at).filter(|other| !other.is_meant_off());
        let theirs = other.into_iter().flat_map(|i| &i.vifs);
        *at != instance && theirs.filter_map(|v| v.network).any(|n| same_network(world, &networks, n))
    };
    let mut all: Vec<usize> = (0..world.intent.instances.len()).filter(shares).collect();
    let elsewhere = |at: &usize| world.intent.instances.get(*at).is_some_and(|i| i.host != own.host);
    all.sort_by_key(elsewhere);
    let far = all.iter().position(elsewhere).unwrap_or(all.len());
    let (near, far) = all.split_at(far);
    near.iter().take(OTHERS_MAX / 2).chain(far.iter().take(OTHERS_MAX / 2)).copied().collect()
}

/// Without a database each host's share of a network is a network of its own: the prefix tells.
fn same_network(world: &World, own: &[usize], other: usize) -> bool {
    let cidr = |n: usize| world.intent.networks.get(n).and_then(|n| n.cidr);
    own.iter().any(|n| *n == other || (cidr(*n).is_some() && cidr(*n) == cidr(other)))
}

pub(crate) fn ask(world: &World, at: usize, to: Option<Ipv4Addr>, purpose: Purpose) -> Option<Rung> {
    let instance = world.intent.instances.get(at)?;
    let own = Endpoint::instance(world, at);
    let (from, target, protocol): (Endpoint, IpAddr, Protocol) = match purpose {
        Purpose::Dhcp => {
            let paths = sim::dhcp::ask(world, at);
            let answered = paths.len() > 1 && paths.iter().all(is_delivered);
            let answer = Answer { answered, ..Answer::of(paths) };
            let from = instance.name.clone();
            return Some(Rung { instance: at, purpose, from, to: Ipv4Addr::BROADCAST.into(), answer });
        }
        Purpose::Gateway => (own, gateway(world, at)?.into(), Protocol::Icmp),
        Purpose::Outside => (own, to.or_else(|| outside(world)).unwrap_or(ANYWHERE).into(), Protocol::Icmp),
        Purpose::Large(octets) => {
            (own, to.or_else(|| outside(world)).unwrap_or(ANYWHERE).into(), Protocol::WholeIcmp(octets))
        }
        Purpose::OutsideBy(service) => {
            (own, to.or_else(|| outside(world)).unwrap_or(ANYWHERE).into(), service.protocol())
        }
        Purpose::Inbound(floating) => (way_out::asker(world, floating)?, floating.into(), Protocol::Icmp),
        Purpose::InboundBy(floating, service) => {
            (way_out::asker(world, floating)?, floating.into(), service.protocol())
        }
        Purpose::Ssh(floating) => {
            (way_out::asker(world, floating)?, floating.into(), Protocol::Tcp(SSH_PORT))
        }
        Purpose::Router(router) => (own, router.into(), Protocol::Icmp),
        Purpose::Itself(floating) => (own, floating.into(), Protocol::Icmp),
        Purpose::Served => (gateways_host(world, at)?, instance.fixed().next()?.into(), Protocol::Icmp),
        Purpose::ServedSsh => {
            (gateways_host(world, at)?, instance.fixed().next()?.into(), Protocol::Tcp(SSH_PORT))
        }
        Purpose::Gateway6(to) | Purpose::Outside6(to) => {
            (ipv6::endpoint(world, at), to.into(), Protocol::Icmp)
        }
        Purpose::Other6(other) => {
            (ipv6::endpoint(world, at), ipv6::as_neighbour(world, other)?.into(), Protocol::Icmp)
        }
        Purpose::Served6(own) => (gateways_host(world, at)?, own.into(), Protocol::Icmp),
        Purpose::Other(other) => {
            (own, world.intent.instances.get(other)?.fixed().next()?.into(), Protocol::Icmp)
        }
        Purpose::Resolver => (own, gateway(world, at)?.into(), Protocol::Udp(53)),
        Purpose::Inside(server) | Purpose::Offered(server) => (own, server.into(), Protocol::Udp(dns::PORT)),
        Purpose::Upstream(server) | Purpose::Reverse(server) => {
            (gateways_host(world, at)?, (*server.ip()).into(), Protocol::Udp(server.port()))
        }
        Purpose::UpstreamBy(server, service) => (own, server.into(), service.protocol()),
        Purpose::ResolverTcp(_) => (own, gateway(world, at)?.into(), Protocol::Tcp(dns::PORT)),
        Purpose::ResolverAtHome => {
            (gateways_host(world, at)?, gateway(world, at)?.into(), Protocol::Udp(dns::PORT))
        }
        Purpose::Metadata => (own, metadata::ADDRESS.into(), Protocol::Tcp(80)),
        Purpose::MetadataAtHome(service) => {
            (gateways_host(world, at)?, (*service.ip()).into(), Protocol::Tcp(service.port()))
        }
        Purpose::Step | Purpose::StepBy(_) => return None,
    };
    let question = Question { from, to: target, protocol, reply: true };
    let answer = sim::ask(world, &question);
    if is_policy(purpose, &answer) || way_out::is_policy(instance, &question, &answer) {
        return None;
    }
    let mut rung = Rung { instance: at, purpose, from: from.name(world).to_owned(), to: target, answer };
    if ipv6::is_guessed(world, &rung) {
        rung.answer = ipv6::unknown(rung.answer, &instance.name);
    }
    Some(rung)
}

/// A gateway and a router may refuse to be pinged, and another instance's groups may not let ping in: none of it is
/// this instance's fault, nor keeps anything else from working.
fn is_policy(purpose: Purpose, answer: &Answer) -> bool {
    // Who does not hear the question for its address at all refuses nothing, nor does who is answered and loses that.
    let is_question = |path: &&Path| path.exchange != Exchange::Arp && path.direction == Direction::Request;
    let own = || answer.paths.iter().filter(is_question);
    let is_pinged = matches!(purpose, Purpose::Gateway | Purpose::Gateway6(_) | Purpose::Router(_));
    // net.ipv4.icmp_echo_ignore_all, and its kin of IPv6.
    let is_ignored = |path: &Path| matches!(path.stop(), Some((_, Stop::Unanswered(_))));
    if is_pinged && own().any(is_ignored) {
        return true;
    }
    let refusal = own().find_map(|path| match path.stop() {
        Some((_, Stop::Rule(rule) | Stop::Policy(rule))) => Some(rule),
        Some(_) | None => None,
    });
    let Some(rule) = refusal else { return false };
    match purpose {
        Purpose::Gateway | Purpose::Gateway6(_) | Purpose::Router(_) => rule.hook == Hook::Input,
        Purpose::Other(_)
        | Purpose::Other6(_)
        | Purpose::Served
        | Purpose::ServedSsh
        | Purpose::Served6(_)
        | Purpose::Itself(_) => nova::is_fallback(rule.chain()) && nova::wrote(rule),
        Purpose::Dhcp
        | Purpose::Outside
        | Purpose::Outside6(_)
        | Purpose::OutsideBy(_)
        | Purpose::Large(_)
        | Purpose::Inbound(_)
        | Purpose::InboundBy(..)
        | Purpose::Ssh(_)
        | Purpose::Resolver
        | Purpose::Inside(_)
        | Purpose::Offered(_)
        | Purpose::Upstream(_)
        | Purpose::Reverse(_)
        | Purpose::UpstreamBy(..)
        | Purpose::ResolverTcp(_)
        | Purpose::ResolverAtHome
        | Purpose::Metadata
        | Purpose::MetadataAtHome(_)
        | Purpose::Step
        | Purpose::StepBy(_) => false,
    }
}

fn is_delivered(path: &Path) -> bool {
    matches!(path.disposition, Disposition::Delivered { .. })
}

/// The instance's gateway as the cloud means it.
pub(crate) fn gateway(world: &World, instance: usize) -> Option<Ipv4Addr> {
    let instance = world.intent.instances.get(instance)?;
    let network = instance.vifs.iter().find_map(|v| v.network).and_then(|n| world.intent.networks.get(n))?;
    network.gateway_on(&instance.host)
}

/// The host that is the instance's gateway.
pub(crate) fn gateways_host(world: &World, instance: usize) -> Option<Endpoint> {
    let server = *world.intent.servers_of(world.intent.instances.get(instance)?).first()?;
    world.main_ns(server).map(Endpoint::Machine)
}

/// The first host of role external, as someone who asks.
pub(crate) fn external(world: &World) -> Option<Endpoint> {
    let host = world.snapshot.hosts.iter().find(|h| h.role == "external")?;
    world.main_ns(&host.name).map(Endpoint::Machine)
}

/// An address of the first external host: not loopback, not link-local.
pub(crate) fn outside(world: &World) -> Option<Ipv4Addr> {
    let host = world.snapshot.hosts.iter().find(|h| h.role == "external")?;
    let ns = world.ns(world.main_ns(&host.name)?);
    let instances = || world.intent.instances.iter();
    let is_clouds = |ip: Ipv4Addr| instances().flat_map(Instance::floating).any(|known| known.address == ip);
    ns.addresses.iter().find_map(|a| match a.net.addr() {
        IpAddr::V4(ip) if !ip.is_loopback() && !ip.is_link_local() && !is_clouds(ip) => Some(ip),
        IpAddr::V4(_) | IpAddr::V6(_) => None,
    })
}

#[cfg(test)]
mod tests;
