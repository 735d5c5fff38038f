//! Overlays: VXLAN devices in instances' bridges, which lead to other hosts in a physical link's place.

use std::net::IpAddr;

use model::link::{FdbEntry, Link, LinkKind};
use model::path::{Path, Predicted, Stage, Stop};
use model::vxlan::VxlanDevice;
use model::{Mac, Netns};

use crate::view::{Seat, Stopped, View};

/// A VXLAN device that is a port of an instance's bridge.
#[derive(Clone, Copy)]
pub(crate) struct Overlay<'v> {
    pub(crate) ns: &'v Netns,
    pub(crate) bridge: &'v Link,
    pub(crate) link: &'v Link,
    pub(crate) vxlan: VxlanDevice,
}

/// Those of the hosts in question, and of those at the other end.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<Overlay<'v>> {
    let is_asked = |seat: &Seat| view.hosts_at_both_ends().any(|(_, ns)| std::ptr::eq(ns, seat.ns));
    of_seats(view.seats_of_all().filter(is_asked))
}

/// Those of every host that was read.
pub(crate) fn of_site<'v>(view: &View<'v>) -> Vec<Overlay<'v>> {
    of_seats(view.seats_of_all())
}

/// The one that leads out of an instance's bridge.
pub(crate) fn of<'v>(seat: &Seat<'v>) -> Option<Overlay<'v>> {
    of_bridge(seat.ns, seat.bridge()?).next()
}

fn of_seats<'v>(seats: impl Iterator<Item = Seat<'v>>) -> Vec<Overlay<'v>> {
    let mut all: Vec<Overlay> = Vec::new();
    for (ns, bridge) in seats.filter_map(|seat| Some((seat.ns, seat.bridge()?))) {
        for overlay in of_bridge(ns, bridge) {
            if !all.iter().any(|known| std::ptr::eq(known.link, overlay.link)) {
                all.push(overlay);
            }
        }
    }
    all
}

/// Those in a bridge.
pub(crate) fn of_bridge<'v>(ns: &'v Netns, bridge: &'v Link) -> impl Iterator<Item = Overlay<'v>> {
    let ports = ns.ports(bridge.index).filter(|port| port.kind == LinkKind::Vxlan);
    let known = ports.filter_map(|link| Some((link, link.vxlan.filter(|vxlan| !vxlan.external)?)));
    known.map(move |(link, vxlan)| Overlay { ns, bridge, link, vxlan })
}

impl<'v> Overlay<'v> {
    /// The ends on other hosts, in bridges of the same name.
    pub(crate) fn others(&self, view: &View<'v>) -> Vec<Overlay<'v>> {
        let is_other = |o: &Overlay| !std::ptr::eq(o.ns, self.ns) && o.bridge.name == self.bridge.name;
        of_site(view).into_iter().filter(is_other).collect()
    }

    /// Its entries that lead to far ends.
    pub(crate) fn entries(&self) -> impl Iterator<Item = &'v FdbEntry> {
        let index = self.link.index;
        self.ns.fdb.iter().filter(move |entry| entry.link == index && entry.remote.is_some())
    }

    /// Where frames go whose station no entry of its own tells.
    pub(crate) fn flooded_to(&self) -> Vec<IpAddr> {
        let for_others = self.entries().filter(|entry| entry.mac == Mac::ZERO);
        for_others.filter_map(|entry| entry.remote).map(|remote| remote.ip).collect()
    }
}

/// What died was a packet of an overlay, with the frame still in it.
pub(crate) fn is_inside(view: &View, stopped: &Stopped) -> bool {
    let mut paths = stopped.rung.answer.paths.iter();
    let Some(path) = paths.find_map(|path| ending_at(path, stopped)) else { return false };
    let is_end = |hop: &&model::path::Hop| {
        let device = view.netns_at(&hop.at).and_then(|ns| ns.link_named(&hop.at.device));
        hop.at.stage == Stage::Wire
            && hop.predicted == Predicted::Pass
            && device.is_some_and(|device| device.kind == LinkKind::Vxlan)
    };
    // In at one end, out at the other.
    path.hops.iter().filter(is_end).count() % 2 == 1
}

/// The path that a stop ended, which may be a question for a neighbour for the sake of another.
fn ending_at<'p>(path: &'p Path, stopped: &Stopped) -> Option<&'p Path> {
    let (hop, stop) = path.stop()?;
    if std::ptr::eq(hop, stopped.hop) {
        return Some(path);
    }
    let Stop::NeighbourUnresolved { because: Some(because), .. } = stop else { return None };
    ending_at(because, stopped)
}
