//! Steps: the ladder's questions put from further along their way, by the hosts that it crosses. Nobody misses their
//! answers; they are asked only to part what another's silence leaves possible.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::path::{Direction, Exchange};
use sim::{Endpoint, Protocol, Question, World};

use crate::ladder::{Purpose, Rung};
use crate::protocols::Service;

/// Every step of these questions that is predicted to be answered: a host may be kept from what it lets others do, and
/// that is not the instance's trouble.
pub(crate) fn of(world: &World, rungs: &[Rung]) -> Vec<Rung> {
    let mut known = BTreeSet::new();
    let mut steps = Vec::new();
    for rung in rungs {
        let service = if let Purpose::OutsideBy(service) = rung.purpose { Some(service) } else { None };
        for from in crossed(rung, service) {
            if known.insert((from, rung.to, service)) {
                steps.extend(step(world, rung, from, service));
            }
        }
    }
    steps
}

/// The hosts that a ping crosses, or what asks for this service, in its order, without who sends it.
fn crossed(rung: &Rung, service: Option<Service>) -> Vec<&str> {
    let exchange = match service {
        None => Exchange::Icmp,
        Some(Service::Tcp(_)) => Exchange::Tcp,
        Some(Service::Udp(_)) => Exchange::Udp,
    };
    let asked = |path: &&model::Path| path.exchange == exchange && path.direction == Direction::Request;
    let hops = rung.answer.paths.iter().filter(asked).flat_map(|path| &path.hops);
    let mut hosts: Vec<&str> =
        hops.map(|hop| hop.at.host.as_str()).filter(|host| *host != rung.from).collect();
    hosts.dedup();
    hosts
}

fn step(world: &World, rung: &Rung, from: &str, service: Option<Service>) -> Option<Rung> {
    let at = world.main_ns(from)?;
    let ns = world.ns(at);
    let own = ns.addresses.iter().map(|address| address.net.addr());
    let has_address = own.clone().any(|ip| matches!(ip, IpAddr::V4(ip) if !ip.is_loopback()));
    // A switch has none, and whoever is asked needs not ask itself.
    if ns.instance || !has_address || own.clone().any(|ip| ip == rung.to) {
        return None;
    }
    let protocol = service.map_or(Protocol::Icmp, Service::protocol);
    let question = Question { from: Endpoint::Machine(at), to: rung.to, protocol, reply: true };
    let answer = sim::ask(world, &question);
    let (instance, to, from) = (rung.instance, rung.to, from.to_owned());
    let purpose = service.map_or(Purpose::Step, Purpose::StepBy);
    answer.answered.then_some(Rung { instance, purpose, from, to, answer })
}
