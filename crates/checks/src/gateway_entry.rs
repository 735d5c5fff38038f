//! Where an instance that can be entered takes its gateway to be, and whose that MAC is.

use std::net::{IpAddr, Ipv4Addr};

use model::link::{FdbKind, Link};
use model::route::Neighbour;
use model::{Mac, Netns};
use sim::world::Station;

use crate::view::{Seat, View};

/// Whose MAC an entry has that is not the gateway's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Whose {
    /// Set by hand.
    ByHand,
    /// Some station's that is there.
    Another,
    /// No station's that is known: at most a link of the gateway's own host wears it.
    Nobodys,
}

/// An entry for the gateway with a MAC that the gateway has not got.
pub(crate) struct Taken<'v> {
    pub(crate) inside: &'v Netns,
    pub(crate) nic: &'v Link,
    pub(crate) gateway: Ipv4Addr,
    /// The link that carries the gateway's address.
    pub(crate) link: &'v Link,
    /// What the entry says.
    pub(crate) mac: Mac,
    /// What that link wears.
    pub(crate) right: Mac,
    pub(crate) whose: Whose,
}

/// The instance's entry for its gateway, where it is wrong. What was learned on a wrong segment is no fault of its own.
pub(crate) fn wrong<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Taken<'v>> {
    let bridge = seat.bridge()?;
    let is_plugged = seat.tap().and_then(|tap| tap.master) == Some(bridge.index);
    let (inside, nic) = seat.inside(view).filter(|_| is_plugged)?;
    let gateway = seat.gateway()?;
    let ip = IpAddr::V4(gateway);
    let is_of_gateway = |n: &&Neighbour| n.link == nic.index && n.ip == ip && !n.proxy && n.state.is_valid();
    let entry = inside.neighbours.iter().find(is_of_gateway)?;
    let mac = entry.mac?;
    let carried = seat.server_ns.addresses.iter().find(|address| address.net.addr() == ip)?;
    let link = seat.server_ns.link(carried.link)?;
    let right = link.mac.filter(|right| *right != mac)?;
    let whose = if entry.state.is_by_hand() {
        Whose::ByHand
    } else if is_anothers(view, seat.server_ns, mac) {
        Whose::Another
    } else {
        Whose::Nobodys
    };
    Some(Taken { inside, nic, gateway, link, mac, right, whose })
}

/// Some station wears it that is not the gateway's own host, or a bridge has learned it from one that is not known.
fn is_anothers(view: &View, ns: &Netns, mac: Mac) -> bool {
    let is_own = |station: &Station| match station {
        Station::Link(id) => std::ptr::eq(view.world.ns(id.ns), ns),
        Station::Guest { .. } => false,
    };
    let owners = view.world.owners_of_mac(mac);
    if !owners.is_empty() {
        return !owners.iter().all(is_own);
    }
    let mut entries = view.snapshot().netns.iter().flat_map(|ns| &ns.fdb);
    entries.any(|entry| entry.mac == mac && entry.kind == FdbKind::Learned && !entry.on_self)
}
