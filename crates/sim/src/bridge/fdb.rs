//! Where a bridge sends a frame: its own stack, one port, or every port (`br_fdb_find_rcu`).

use model::Mac;
use model::link::{FdbEntry, FdbKind, Link};

use super::vlan;
use crate::trail::{Behind, Learned, Trail};
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

/// Looks a unicast MAC up in a bridge's FDB, in one VLAN. What this walk itself taught overrules the dump, unless
/// the dumped entry cannot move: local, or sticky.
pub(crate) fn lookup(world: &World, trail: &Trail, bridge: LinkId, vid: u16, mac: Mac) -> Target {
    let ns = world.ns(bridge.ns);
    let is_port =
        |link: u32| link == bridge.link || ns.link(link).and_then(|l| l.master) == Some(bridge.link);
    let in_vlan = |e: &FdbEntry| e.vlan.unwrap_or(0) == vid;
    let entries = || ns.fdb.iter().filter(|e| e.mac == mac && in_vlan(e) && !e.on_self && is_port(e.link));
    let own = ns.link(bridge.link).is_some_and(|facts| {
        let mut gates = ns.ports(bridge.link).chain([facts]);
        gates.any(|gate| gate.mac == Some(mac) && vlan::is_known_in(facts, gate, vid))
    });
    if own || entries().any(|e| e.kind == FdbKind::Local) {
        return Target::Local;
    }
    if let Some(pinned) = entries().find(|e| e.sticky) {
        return Target::Port(pinned.link);
    }
    let here = |l: &&Learned| (l.device, l.vid, l.mac) == (bridge, vid, mac);
    if let Some(Learned { behind: Behind::Port(port), .. }) = trail.learned.iter().rev().find(here) {
        return Target::Port(*port);
    }
    // Learned entries behind a port that is down are flushed by the kernel (br_stp_disable_port).
    let up = |link: u32| ns.link(link).is_some_and(Link::is_running);
    entries()
        .find(|e| e.kind == FdbKind::Static || up(e.link))
        .map_or(Target::Unknown, |e| Target::Port(e.link))
}

/// Remembers the source of a frame that came in by a port, where the port learns.
pub(crate) fn learn(world: &World, trail: &mut Trail, (bridge, vid): (LinkId, u16), port: &Link, mac: Mac) {
    let learns = port.port.is_none_or(|p| p.learning);
    let learned = Learned { device: bridge, vid, mac, behind: Behind::Port(port.index) };
    let known = trail.learned.contains(&learned);
    if learns && !known && !mac.is_group() && world.link(bridge).is_some() {
        trail.learned.push(learned);
    }
}
