//! Questions of somebody outside whom nobody knows: asked in his name where his packets come into the site, by the link
//! of the host that carries their destination.

use std::net::{IpAddr, Ipv4Addr};

use checks::Rung;
use collect::MachinePlan;
use model::vlan::Tags;
use probe::as_instance::{Seat, Sender};
use sim::{WayIn, World};

use super::Nic;
use crate::gather::Facts;

/// The link that a rung's question comes in by in the name of `stranger`, and who has it of these machines. `None`
/// where that is no link of a host's main namespace, or frames carry tags there, which none of ours do.
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
    if tags != Tags::default() {
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
