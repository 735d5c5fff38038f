//! The legs of what was asked beside a silent question: of each echo with its own TTL, and each of its own size, the
//! way that the walk has it go, and that of what was said of it, with where both were seen.

use std::net::IpAddr;

use model::path::{Direction, Disposition, Exchange, Path};
use model::probe::SideEcho;
use sim::{Endpoint, Protocol, Question, World};

use crate::diagnose::Case;
use crate::ladder::{Purpose, Rung};

/// Each of them as a question of its own, which nothing but its length tells from others.
pub(crate) fn rungs<'c>(world: &World, case: &Case<'c>, own: &[Rung]) -> Vec<(Rung, &'c SideEcho)> {
    let rung = |side: &'c SideEcho| {
        let instance = own.iter().find(|rung| rung.to == side.came.to)?.instance;
        Some((rung(world, side, instance)?, side))
    };
    case.sides.iter().filter_map(rung).collect()
}

fn rung(world: &World, side: &SideEcho, instance: usize) -> Option<Rung> {
    let octets = side.came.asked.octets()?;
    let router = match side.router {
        Some(IpAddr::V4(router)) => Some(router),
        Some(IpAddr::V6(_)) | None => None,
    };
    let protocol = side.ttl.map_or(Protocol::WholeIcmp(octets), |ttl| Protocol::Traced { ttl, router });
    let from = Endpoint::Machine(world.main_ns(&side.came.from)?);
    let mut answer = sim::ask(world, &Question { from, to: side.came.to, protocol, reply: router.is_none() });
    answer.paths.extend(answer.too_big_told.take());
    // Who has an address is told beside the question itself, and who beyond would say anything nobody knows.
    let leaves = |path: &Path| path.disposition == Disposition::LeftSite;
    let is_unsaid = side.ttl.is_some() && side.came.received == 0 && answer.paths.iter().any(leaves);
    answer
        .paths
        .retain(|path| path.exchange != Exchange::Arp && !(is_unsaid && path.direction == Direction::Reply));
    let (purpose, from, to) = (Purpose::Large(octets), side.came.from.clone(), side.came.to);
    Some(Rung { instance, purpose, from, to, answer })
}
