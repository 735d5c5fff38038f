//! The asking stack's own entry for an address, which follows whoever answers, and is made right again.

use std::io;
use std::time::{Duration, Instant};

use collect::netlink::bridges;
use model::Mac;
use model::route::NeighbourState;
use sys::netns;

use super::{Inquiry, NeighbourError, NeighbourPlan};
use crate::socket::Asker;

/// For so long after a change an entry of ARP follows no other answer (`locktime`, arp(7)), and a little more. One of
/// IPv6 follows whoever overrides, at once (net/ipv6/ndisc.c `ndisc_recv_na`).
const LOCKED: Duration = Duration::from_millis(1050);
/// How long the right machine may take to answer, and how often it is looked whether it has.
const PATIENCE: Duration = Duration::from_millis(500);
const LOOK: Duration = Duration::from_millis(20);

/// The MAC that the asking stack knows the address by, on the link that it is asked on; `None` where it knows none.
pub(super) fn known(asker: &Asker<'_>, plan: &NeighbourPlan<'_>) -> Result<Option<Mac>, NeighbourError> {
    let name = || asker.name.to_owned();
    let read = netns::within(asker.netns, bridges::stations)
        .map_err(|source| NeighbourError::Enter { name: name(), source })?;
    let stations =
        read.map_err(|source| NeighbourError::Read { name: name(), link: plan.link.to_owned(), source })?;
    let link = stations.links.iter().find(|link| link.name == plan.link);
    let entry = stations.neighbours.iter().find(|entry| {
        let is_here = link.is_some_and(|link| link.index == entry.link);
        is_here && entry.ip == plan.asked && !entry.proxy && entry.state != NeighbourState::Failed
    });
    Ok(entry.and_then(|entry| entry.mac))
}

/// Asks the right machine alone, once the entry may change again, and waits until it has. It would not by itself: the
/// kernel asks only the one that it knows (`neigh_probe`, net/core/neighbour.c), who goes on answering.
pub(super) fn ask(asker: &Asker<'_>, inquiry: &mut Inquiry<'_>, right: Mac) -> Result<(), NeighbourError> {
    let plan = inquiry.plan;
    if plan.asked.is_ipv4() {
        // Only those that changed it can have locked it, and they came no later than now.
        inquiry.pause(LOCKED).map_err(super::failed(asker, plan, "listen"))?;
    }
    let question = inquiry.question.frame_to(right, inquiry.place.mac);
    let sent: io::Result<()> = inquiry.place.wire.send(&question);
    sent.map_err(super::failed(asker, plan, "ask again"))?;
    inquiry.sent += 1;
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline && known(asker, plan)? != Some(right) {
        inquiry.pause(LOOK).map_err(super::failed(asker, plan, "listen"))?;
    }
    Ok(())
}
