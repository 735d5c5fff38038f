//! What is asked of a rung's end: which packets, by its purpose.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use checks::{Purpose, Rung, Service};
use model::dns::PORT as DNS_PORT;
use model::intent::Instance;
use model::probe::PING_OCTETS;
use probe::as_instance::{Asks, Then};
use probe::{EchoSize, dns};
use sim::World;

use super::Probe;
use crate::gather::Facts;

/// The packets that ask a rung's question, where this one comes from outside.
pub(super) fn asks(facts: &Facts, rung: &Rung, client: Option<Ipv4Addr>) -> Vec<Asks> {
    match rung.purpose {
        Purpose::Dhcp => vec![Asks::Address],
        Purpose::Gateway
        | Purpose::Outside
        | Purpose::Router(_)
        | Purpose::Inbound(_)
        | Purpose::Itself(_)
        | Purpose::Served
        | Purpose::Gateway6(_)
        | Purpose::Served6(_)
        | Purpose::Other(_)
        | Purpose::Other6(_)
        | Purpose::Outside6(_)
        | Purpose::Step => vec![Asks::Echo(EchoSize { octets: PING_OCTETS, whole: false })],
        Purpose::Large(octets) => vec![Asks::Echo(EchoSize { octets, whole: true })],
        // Whether it is there at all, what it finds out from others, which is the name of somebody outside, as sshd
        // asks, and what it tells of the instance itself.
        Purpose::Resolver => {
            let own = checks::own_name(&facts.snapshot, &facts.intent, rung.instance);
            let own = own.map(dns::Question::Ipv4Of);
            let of_client = client.into_iter().flat_map(|client| [name_of(client), v6_of(client)]);
            let asked = std::iter::once(dns::Question::Version).chain(of_client);
            asked.chain(own).map(Asks::Name).collect()
        }
        // Where nobody outside is known, for its own name: what only servers ask of each other is dropped by some.
        Purpose::Inside(_) | Purpose::Offered(_) => {
            vec![Asks::Name(client.map_or(dns::Question::NameOf(rung.to), name_of))]
        }
        Purpose::Upstream(_) | Purpose::Reverse(_) => {
            let name = client.map_or(dns::Question::NameOf(rung.to), name_of);
            let is_of_all = matches!(rung.purpose, Purpose::Upstream(_));
            let root = Some(dns::Question::Ipv6Of(ROOT.to_owned())).filter(|_| is_of_all);
            std::iter::once(name).chain(root).map(Asks::Name).collect()
        }
        Purpose::Ssh(_) | Purpose::ServedSsh => {
            vec![Asks::Connection { port: SSH_PORT, then: Then::Greeting }]
        }
        Purpose::OutsideBy(Service::Tcp(port))
        | Purpose::UpstreamBy(_, Service::Tcp(port))
        | Purpose::InboundBy(_, Service::Tcp(port))
        | Purpose::StepBy(Service::Tcp(port)) => vec![Asks::Connection { port, then: Then::Nothing }],
        // The very question that its host was answered.
        Purpose::UpstreamBy(_, Service::Udp(DNS_PORT)) => {
            vec![Asks::Name(dns::Question::Ipv6Of(ROOT.to_owned()))]
        }
        // Somebody of the site listens there, or whether anybody does is not known.
        Purpose::OutsideBy(Service::Udp(DNS_PORT)) if is_open(rung) => {
            vec![Asks::Name(dns::Question::Ipv6Of(ROOT.to_owned()))]
        }
        // Whether a datagram came is told by its receiver alone.
        Purpose::OutsideBy(Service::Udp(_))
        | Purpose::UpstreamBy(_, Service::Udp(_))
        | Purpose::InboundBy(_, Service::Udp(_))
        | Purpose::StepBy(Service::Udp(_)) => Vec::new(),
        Purpose::ResolverTcp(_) => vec![Asks::Connection { port: DNS_PORT, then: Then::Nothing }],
        Purpose::ResolverAtHome => client.map(name_of).map(Asks::Name).into_iter().collect(),
        Purpose::Metadata => vec![Asks::Connection { port: METADATA_PORT, then: Then::Page(METADATA_PAGE) }],
        Purpose::MetadataAtHome(service) => {
            vec![Asks::Connection { port: service.port(), then: Then::Page(METADATA_PAGE) }]
        }
    }
}

/// The walk lets it be answered, or cannot tell.
fn is_open(rung: &Rung) -> bool {
    rung.answer.answered || rung.undecided().is_some()
}

/// The port of the metadata service as instances see it (EC2's).
pub(super) const METADATA_PORT: u16 = 80;
/// What cloud-init asks for first: the instance's own number, which the service has of every instance.
pub(super) const METADATA_PAGE: &str = "/2009-04-04/meta-data/instance-id";

const SSH_PORT: u16 = 22;

/// The port of the server for names that a rung asks.
pub(super) fn server_port(rung: &Rung) -> u16 {
    if let Purpose::Upstream(server) | Purpose::Reverse(server) = rung.purpose {
        server.port()
    } else {
        DNS_PORT
    }
}

/// The root of all names: a server that fails at it fails at all of the outside, and not at some zone far away. It has
/// no address, and who says so has answered; asked for IPv6 addresses, it tells at once who swallows such questions.
const ROOT: &str = ".";

/// Whom a server for names that is asked by this rung asks itself.
pub(super) fn passed_on(rung: &Rung, rungs: &[Rung]) -> u32 {
    let is_resolver = matches!(rung.purpose, Purpose::Resolver | Purpose::ResolverAtHome);
    let is_behind = |other: &&Rung| {
        let is_asked = matches!(other.purpose, Purpose::Upstream(_) | Purpose::Reverse(_));
        is_resolver && is_asked && other.instance == rung.instance
    };
    u32::try_from(rungs.iter().filter(is_behind).count()).unwrap_or(u32::MAX)
}

/// What is asked is not for the server itself to know: neither what it is, nor the names that it gives.
pub(super) fn is_of_others(asks: &Asks) -> bool {
    match asks {
        Asks::Name(dns::Question::NameOf(_) | dns::Question::Ipv6Of(_)) => true,
        Asks::Name(dns::Question::Version | dns::Question::Ipv4Of(_))
        | Asks::Echo(_)
        | Asks::Address
        | Asks::Connection { .. } => false,
    }
}

/// It is asked once the client's name was told: who has nothing to say of that has nothing to say of its IPv6
/// addresses either, and all whom he asks would be asked in vain again. Where he asks one alone that costs little.
pub(super) fn waits(probe: &Probe<'_>) -> bool {
    probe.passed_on > 1 && matches!(probe.asks, Asks::Name(dns::Question::Ipv6Of(_)))
}

/// Who comes to each instance from outside, as far as anybody knows: whom the user names, if that is none of the
/// cloud's own, whose names the resolver gives itself; else the external host; else somebody beyond in their place.
pub(super) fn clients(facts: &Facts, rungs: &[Rung], to: Option<Ipv4Addr>) -> BTreeMap<usize, Ipv4Addr> {
    let is_own =
        |to: &Ipv4Addr| facts.intent.instances.iter().flat_map(Instance::fixed).any(|own| own == *to);
    let known = to.filter(|to| !is_own(to)).or_else(|| outside(facts));
    let resolved = rungs.iter().filter(|rung| rung.purpose == Purpose::Resolver).map(|rung| rung.instance);
    let world = LazyCell::new(|| World::new(&facts.snapshot, &facts.intent));
    let client = |at| known.or_else(|| checks::stand_in(&world, at));
    resolved.filter_map(|at| Some((at, client(at)?))).collect()
}

/// The question for a client's name, as sshd asks it.
fn name_of(client: Ipv4Addr) -> dns::Question {
    dns::Question::NameOf(client.into())
}

/// IPv6 addresses of the very name under which [`name_of`] asks for a client. There are none, and who says so has
/// answered: programs ask for both kinds of addresses at once and wait for both (getaddrinfo(3), AF_UNSPEC), so that
/// whoever swallows this question makes every name slow.
fn v6_of(client: Ipv4Addr) -> dns::Question {
    let [a, b, c, d] = client.octets();
    dns::Question::Ipv6Of(format!("{d}.{c}.{b}.{a}.in-addr.arpa"))
}

/// An address of the outside.
fn outside(facts: &Facts) -> Option<Ipv4Addr> {
    let host = facts.snapshot.hosts.iter().find(|host| host.role == "external")?;
    crate::who::address(facts.snapshot.main_netns(&host.name)?)
}
