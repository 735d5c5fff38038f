//! Whether an instance has an address at all: what went wrong with DHCP once matters to whoever has none.

use std::net::IpAddr;

use ipnet::Ipv4Net;
use model::Netns;
use model::link::Link;
use model::path::{Direction, Disposition, Exchange, Place, Stage, Stop};
use model::service::ConsoleEventKind;

use crate::dhcp_told::console_of;
use crate::found::{Fault, Found, Reach};
use crate::mend::{Mend, Setting};
use crate::uplinks;
use crate::view::{Seat, Stopped, View};

/// Whether a NIC's instance has an address on it.
pub(crate) enum Known<'v> {
    Without(Addressless<'v>),
    /// It has one, or is meant to have none.
    Settled,
    /// Its console alone tells of a lease, and not when that was.
    HadLease,
    /// Nothing tells.
    Unknown,
}

/// A NIC's instance is known to have no address on it.
pub(crate) struct Addressless<'v> {
    /// Its inside and its own side of the NIC, where it can be entered.
    inside: Option<(&'v Netns, &'v Link)>,
}

/// It is known to have none.
pub(crate) fn of<'v>(view: &View<'v>, seat: &Seat) -> Option<Addressless<'v>> {
    match known(view, seat) {
        Known::Without(addressless) => Some(addressless),
        Known::Settled | Known::HadLease | Known::Unknown => None,
    }
}

/// By its inside, as that was read; else by who answers for its addresses, and by its console.
pub(crate) fn known<'v>(view: &View<'v>, seat: &Seat) -> Known<'v> {
    if seat.instance.is_meant_off() || seat.vif.fixed.is_empty() {
        return Known::Settled;
    }
    if let Some((inside, nic)) = seat.inside(view) {
        let Some(read) = view.read.netns.iter().find(|ns| ns.inode == inside.inode) else {
            return Known::Unknown;
        };
        // A client that gets no lease gives itself an address of the link's (RFC 3927).
        let counts = |ip: IpAddr| matches!(ip, IpAddr::V4(ip) if !ip.is_link_local());
        let has = read.addresses_of(nic.index).any(|address| counts(address.net.addr()));
        // Where its NIC does not run, that is what is wrong.
        let is_without = !has && nic.is_running();
        return if is_without {
            Known::Without(Addressless { inside: Some((inside, nic)) })
        } else {
            Known::Settled
        };
    }
    let without = || Known::Without(Addressless { inside: None });
    match (answers(view, seat), ended_without(seat)) {
        (Some(true), _) => Known::Settled,
        (Some(false), _) | (None, Some(true)) => without(),
        (None, Some(false)) => Known::HadLease,
        (None, None) => Known::Unknown,
    }
}

/// Whether it answers at one of its addresses; `None` where nobody asked by ARP, for pings its groups may keep out, and
/// where what is asked may not come to it.
fn answers(view: &View, seat: &Seat) -> Option<bool> {
    let is_its = |ip: IpAddr| seat.vif.fixed.iter().any(|own| IpAddr::V4(*own) == ip);
    let holders = || view.holders.iter().filter(|holders| is_its(holders.address));
    let macs = holders().flat_map(|holders| &holders.stations).map(|station| station.mac);
    let is_held = macs.into_iter().any(|mac| Some(mac) == seat.vif.mac);
    let is_reached = view.probes.iter().any(|probe| is_its(probe.to) && probe.received > 0);
    let is_asked = holders().next().is_some() && is_way_open(view, seat);
    (is_held || is_reached || is_asked).then_some(is_held || is_reached)
}

/// Every walk of ARP for and by it is open, there and back.
fn is_way_open(view: &View, seat: &Seat) -> bool {
    let mut paths = view.rungs_of(seat.instance).flat_map(|rung| &rung.answer.paths);
    paths.all(|path| match path.exchange {
        Exchange::Arp => matches!(path.disposition, Disposition::Delivered { .. }),
        Exchange::Dhcp | Exchange::Icmp | Exchange::Dns | Exchange::Tcp | Exchange::Udp | Exchange::None => {
            true
        }
    })
}

/// Whether the last that its console tells of DHCP is that there is no lease; `None` where it tells nothing of it.
fn ended_without(seat: &Seat) -> Option<bool> {
    let console = console_of(seat.host, seat.instance)?;
    console.events.iter().rev().find_map(|event| match event.kind {
        ConsoleEventKind::DhcpLease(_) => Some(false),
        ConsoleEventKind::DhcpStarted(_)
        | ConsoleEventKind::DhcpDiscover
        | ConsoleEventKind::DhcpSelect
        | ConsoleEventKind::DhcpNoLease
        | ConsoleEventKind::DhcpFailed => Some(true),
        ConsoleEventKind::MetadataAsked
        | ConsoleEventKind::MetadataUnreachable(_)
        | ConsoleEventKind::NicMissing
        | ConsoleEventKind::Login => None,
    })
}

impl<'v> Addressless<'v> {
    /// The instance's own side of the NIC.
    pub(crate) fn place(&self, seat: &Seat) -> Place {
        let (netns, device) = match self.inside {
            Some((inside, nic)) => (inside.name.clone(), nic.name.clone()),
            None => (String::new(), String::new()),
        };
        Place { host: seat.instance.name.clone(), netns, device, stage: Stage::Instance }
    }

    /// What dies first for want of the address: inside, and where others look for who has it.
    pub(crate) fn stop(&self, view: &View<'v>, seat: &Seat) -> Option<Stopped<'v>> {
        let (inside, _) = self.inside?;
        let is_its = |ip: IpAddr| seat.vif.fixed.iter().any(|own| IpAddr::V4(*own) == ip);
        view.stop_of(seat.instance, |s| {
            s.is_in(inside) || matches!(s.stop, Stop::NeighbourUnresolved { ip, .. } if is_its(*ip))
        })
    }

    /// In the model, it has been given what its record says.
    pub(crate) fn mend(&self, seat: &Seat) -> Vec<Mend> {
        let Some((inside, nic)) = self.inside else { return Vec::new() };
        let (machine, device) = (inside.machine.clone(), nic.name.clone());
        let bits = seat.network.and_then(|network| network.cidr).map(|cidr| cidr.prefix_len());
        let meant = seat.vif.fixed.first().zip(bits).and_then(|(ip, bits)| Ipv4Net::new(*ip, bits).ok());
        let route = seat.gateway().filter(|_| uplinks::default_via(inside).is_none());
        let route =
            route.map(|via| Mend::DefaultRoute { machine: machine.clone(), via, device: device.clone() });
        let address = meant.map(|meant| Mend::Set { machine, device, setting: Setting::Address(meant) });
        address.into_iter().chain(route).collect()
    }
}

/// A fault of DHCP's that has left an instance without an address: whatever else dies, dies of that.
pub(crate) fn left_by(fault: Fault) -> Found {
    let mut found = fault.found();
    if found.order.is_some() {
        (found.finding.exchange, found.finding.direction) = (Exchange::Dhcp, Direction::Reply);
    }
    found.breaks(Exchange::Dhcp, Direction::Reply).reaching(Reach::Instances)
}
