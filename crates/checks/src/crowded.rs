//! What takes some packets and lets others pass: a silence in its midst tells nothing of who was asked.

use std::cell::LazyCell;

use model::Netns;
use sim::World;

use crate::catalogue::firewall::conntrack_full;
use crate::catalogue::links::l2_loop;
use crate::view::View;

/// Some pings were lost and others of them were answered.
pub(crate) fn lost_some(view: &View) -> bool {
    view.probes.iter().any(|probe| probe.lost_some() == Some(true))
}

/// Frames to all go round through a bridge of this machine's, once they are sent.
pub fn goes_round(world: &World, ns: &Netns) -> bool {
    l2_loop::has_circle(world, ns)
}

/// This host takes no new connections, or has a bridge in which frames go round and crowd out others. `read` is wired
/// once, and only where it is needed.
pub(crate) fn takes_some<'v>(
    view: &View,
    host: &str,
    read: &LazyCell<World<'v>, impl FnOnce() -> World<'v>>,
) -> bool {
    let is_crowded = |ns| conntrack_full::is_full(ns) || l2_loop::has_circle(read, ns);
    view.read.main_netns(host).is_some_and(is_crowded)
}
