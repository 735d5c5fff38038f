//! Where an instance takes its gateway to be, and whose that MAC is: by its entry where it can be entered, else by the
//! frames that it sends.

use std::net::{IpAddr, Ipv4Addr};

use model::link::{FdbKind, Link};
use model::probe::FrameSeen;
use model::route::Neighbour;
use model::{Mac, Netns};
use sim::world::Station;

use crate::frames;
use crate::ladder::Rung;
use crate::purpose::Part;
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
    let (link, right) = carrying(seat, ip).filter(|(_, right)| *right != mac)?;
    let whose = if entry.state.is_by_hand() {
        Whose::ByHand
    } else if is_anothers(view, seat.server_ns, mac) {
        Whose::Another
    } else {
        Whose::Nobodys
    };
    Some(Taken { inside, nic, gateway, link, mac, right, whose })
}

/// The link that carries the gateway's address, and its MAC.
fn carrying<'v>(seat: &Seat<'v>, gateway: IpAddr) -> Option<(&'v Link, Mac)> {
    let carried = seat.server_ns.addresses.iter().find(|address| address.net.addr() == gateway)?;
    let link = seat.server_ns.link(carried.link)?;
    Some((link, link.mac?))
}

/// What an instance that cannot be entered sends by its gateway in a frame for another station.
pub(crate) struct Misled<'v> {
    /// The question that it answers so.
    pub(crate) rung: &'v Rung,
    /// The host's side of its NIC.
    pub(crate) tap: &'v Link,
    pub(crate) gateway: Ipv4Addr,
    /// The link that carries the gateway's address.
    pub(crate) link: &'v Link,
    /// What that link wears.
    pub(crate) right: Mac,
    /// What it sent.
    pub(crate) frame: FrameSeen,
    /// To the gateway itself: no other route leads there, and only the entry can be wrong.
    pub(crate) is_for_gateway: bool,
    /// A link of the gateway's own host wears that MAC.
    pub(crate) is_own: bool,
}

/// Its answers are all that it sends itself: what is asked in its name is sent by its host, which knows the gateway.
pub(crate) fn misled<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Misled<'v>> {
    let bridge = seat.bridge()?;
    let tap = seat.tap().filter(|tap| tap.master == Some(bridge.index) && !seat.instance.entered)?;
    let gateway = seat.gateway()?;
    let (link, right) = carrying(seat, gateway.into())?;
    let network = seat.network.and_then(|network| network.cidr)?;
    let is_far = |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if !network.contains(&ip));
    let is_router = |mac: Mac| {
        let hosts = view.snapshot().netns.iter().filter(|ns| !ns.instance);
        let on_network = |ns: &Netns, link: &Link| {
            ns.addresses
                .iter()
                .any(|one| one.link == link.index && !is_far(one.net.addr()) && one.net.addr().is_ipv4())
        };
        let mut links = hosts.flat_map(|ns| ns.links.iter().map(move |link| (ns, link)));
        links.any(|(ns, link)| link.mac == Some(mac) && on_network(ns, link))
    };
    let is_wrong = |frame: &&FrameSeen| {
        let is_its = frame.is_answer && frame.station != right && !frame.station.is_group();
        // By another router of the network's its default route may well lead.
        let is_by_gateway = frame.destination == IpAddr::V4(gateway)
            || (is_far(frame.destination) && !is_router(frame.station));
        is_its && is_by_gateway
    };
    let is_lost = |rung: &&Rung| rung.purpose.part() == Part::IsAsked && view.silent(rung).is_some();
    let sent = view.rungs_of(seat.instance).filter(is_lost).flat_map(|rung| {
        let frames = frames::at(view, (seat.ns, &tap.name), rung);
        frames.filter(is_wrong).map(move |frame| (rung, *frame)).collect::<Vec<_>>()
    });
    let (rung, frame) = sent.min_by_key(|(_, frame)| frame.destination != IpAddr::V4(gateway))?;
    let is_for_gateway = frame.destination == IpAddr::V4(gateway);
    let is_own = seat.server_ns.links.iter().any(|link| link.mac == Some(frame.station));
    Some(Misled { rung, tap, gateway, link, right, frame, is_for_gateway, is_own })
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
