//! Where a bridge sends a frame: its own stack, one port, or every port (`br_fdb_find_rcu`).

use model::Mac;
use model::link::{FdbKind, Link};

use crate::trail::Trail;
use crate::world::{LinkId, World};

/// What the forwarding database says of a destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Target {
    /// The bridge's own stack.
    Local,
    /// One port, by ifindex.
    Port(u32),
    /// Unknown: flood.
    Unknown,
}

/// Looks a unicast MAC up in a bridge's FDB. What this walk itself taught overrules the dump, unless
/// the dumped entry cannot move: local, or sticky.
pub(crate) fn lookup(world: &World, trail: &Trail, bridge: LinkId, mac: Mac) -> Target {
    let ns = world.ns(bridge.ns);
    let is_port =
        |link: u32| link == bridge.link || ns.link(link).and_then(|l| l.master) == Some(bridge.link);
    if ns.link(bridge.link).is_some_and(|b| b.mac == Some(mac)) {
        return Target::Local;
    }
    let entries = || ns.fdb.iter().filter(|e| e.mac == mac && !e.on_self && is_port(e.link));
    if entries().any(|e| e.kind == FdbKind::Local) || ns.ports(bridge.link).any(|p| p.mac == Some(mac)) {
        return Target::Local;
    }
    if let Some(pinned) = entries().find(|e| e.sticky) {
        return Target::Port(pinned.link);
    }
    let learned = trail.learned.iter().rev().find(|(b, m, _)| *b == bridge && *m == mac);
    if let Some((_, _, port)) = learned {
        return Target::Port(*port);
    }
    // Learned entries behind a port that is down are flushed by the kernel (br_stp_disable_port).
    let up = |link: u32| ns.link(link).is_some_and(Link::is_running);
    entries()
        .find(|e| e.kind == FdbKind::Static || up(e.link))
        .map_or(Target::Unknown, |e| Target::Port(e.link))
}

/// Remembers the source of a frame that came in by a port, where the port learns.
pub(crate) fn learn(world: &World, trail: &mut Trail, bridge: LinkId, port: &Link, mac: Mac) {
    let learns = port.port.is_none_or(|p| p.learning);
    let known = trail.learned.contains(&(bridge, mac, port.index));
    if learns && !known && !mac.is_group() && world.link(bridge).is_some() {
        trail.learned.push((bridge, mac, port.index));
    }
}
