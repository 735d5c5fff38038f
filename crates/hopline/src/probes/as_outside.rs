//! Questions of somebody outside whom nobody knows: asked in his name where his packets come into the site.

use std::net::{IpAddr, Ipv4Addr};

use checks::Rung;
use collect::MachinePlan;
use model::path::{Direction, Disposition, Exchange, Hop};
use model::route::Route;
use model::vlan::Tags;
use probe::as_instance::{Seat, Sender};
use sim::{WayIn, World};

use super::Nic;
use crate::gather::Facts;

/// The link that a rung's question comes in by in the name of `stranger`, and who has it of these machines. `None`
/// where that is no link of a host's main namespace, or frames carry tags there, which none of ours do; and where the
/// answer may leave by another link, at which nobody listens for it.
pub(super) fn uplink<'a>(
    facts: &Facts,
    rung: &Rung,
    stranger: Ipv4Addr,
    host: impl Fn(&str) -> Option<&'a MachinePlan>,
) -> Option<Nic<'a>> {
    let IpAddr::V4(to) = rung.to else { return None };
    let world = World::new(&facts.snapshot, &facts.intent);
    let WayIn { link, mac, tags } = sim::way_in(&world, stranger, to)?;
    let ns = facts.snapshot.netns.get(link.ns).filter(|ns| ns.name.is_empty() && !ns.instance)?;
    let has_choice =
        |route: &Route| route.nexthops.len() > 1 && route.destination.contains(&IpAddr::V4(stranger));
    if tags != Tags::default() || leaves_elsewhere(rung) || ns.routes.iter().any(has_choice) {
        return None;
    }
    let sender = Sender {
        name: rung.from.clone(),
        device: ns.link(link.link)?.name.clone(),
        mac: sim::OUTSIDE_ROUTER,
        addresses: vec![stranger.into()],
        seat: Seat::Uplink,
    };
    let host = host(&ns.machine)?;
    Some(Nic { host, sender, source: stranger.into(), next_hop: rung.to, next_hop_mac: Some(mac) })
}

/// The walk has the answer leave by another device than the question comes in by.
fn leaves_elsewhere(rung: &Rung) -> bool {
    let own = || rung.answer.paths.iter().filter(|path| path.exchange != Exchange::Arp);
    let mut questions = own().filter(|path| path.direction == Direction::Request);
    let comes_in = questions.next().and_then(|path| path.hops.first());
    let is_other = |leaves: &Hop| comes_in.is_none_or(|comes_in| !comes_in.at.same_device(&leaves.at));
    let mut answers = own().filter(|path| path.disposition == Disposition::LeftSite);
    answers.any(|path| path.direction == Direction::Reply && path.hops.last().is_some_and(is_other))
}
