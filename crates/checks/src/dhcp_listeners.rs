//! Who would hear a DISCOVER beside the network's own server: an instance on the same bridge with a socket on port 67.

use std::collections::BTreeSet;

use model::link::{Link, LinkKind};
use model::netns::Socket;
use model::service::Process;
use model::{Intent, Netns, Snapshot};
use sim::World;

use crate::ladder::{Purpose, Rung};
use crate::view::{Seat, View};

/// Port of DHCP servers, and of relays (RFC 2131, section 4.1).
const SERVER_PORT: u16 = 67;

/// Programs that listen there and hand on what they hear, by how their names begin.
const RELAYS: [&str; 4] = ["dhcrelay", "dhcp-helper", "dhcp-fwd", "isc-dhcp-relay"];

/// An instance that listens as a DHCP server does.
pub(crate) struct Listener<'v> {
    /// Its NIC on the same bridge.
    pub(crate) seat: Seat<'v>,
    /// Its inside, and its own side of that NIC.
    pub(crate) inside: (&'v Netns, &'v Link),
    /// The socket.
    pub(crate) socket: &'v Socket,
    /// A DHCP server among its processes, where one is known by its arguments.
    pub(crate) server: Option<&'v Process>,
}

/// The other instances on a NIC's bridge that listen. What is further away may be kept apart on purpose, as nova keeps
/// the servers of its hosts.
pub(crate) fn beside<'v>(view: &View<'v>, seat: Seat<'v>) -> Vec<Listener<'v>> {
    let is_beside = |other: &Seat<'v>| {
        let same_bridge = other.bridge().zip(seat.bridge()).is_some_and(|(a, b)| a.index == b.index);
        let is_port = other.tap().is_some_and(|tap| tap.master == seat.bridge().map(|bridge| bridge.index));
        other.host.name == seat.host.name
            && other.instance.name != seat.instance.name
            && same_bridge
            && is_port
    };
    view.seats_of_all().filter(is_beside).filter_map(|other| listener(view, other)).collect()
}

/// By which NICs on their host's side instances hear a DISCOVER of this rung that listen as servers do. Many a server
/// pings an address before it offers it: that one's answer is worth waiting for.
pub fn others_listening(snapshot: &Snapshot, intent: &Intent, rung: &Rung) -> BTreeSet<String> {
    let is_server = |ns: &Netns| ns.instance && ns.sockets.iter().any(|socket| socket.port == SERVER_PORT);
    if rung.purpose != Purpose::Dhcp || !snapshot.netns.iter().any(is_server) {
        return BTreeSet::new();
    }
    let world = World::new(snapshot, intent);
    let view = View::of_facts(&world, std::slice::from_ref(&rung.instance));
    let listeners = view.vifs().flat_map(|seat| beside(&view, seat));
    listeners.filter_map(|listener| Some(listener.seat.tap()?.name.clone())).collect()
}

fn listener<'v>(view: &View<'v>, seat: Seat<'v>) -> Option<Listener<'v>> {
    let inside @ (ns, nic) = seat.inside(view)?;
    let socket = ns.sockets.iter().find(|socket| hears(ns, nic, socket))?;
    let hosts = view.snapshot().hosts.iter();
    let own = || hosts.clone().flat_map(|host| &host.processes).filter(|process| process.netns == ns.inode);
    let is_relayed = ns.inode.is_some() && own().any(is_relay);
    let server = own().find(|process| ns.inode.is_some() && is_server(process));
    (!is_relayed).then_some(Listener { seat, inside, socket, server })
}

/// A broadcast to port 67 that comes in by the NIC is for this socket. One that is bound to no device may be meant for
/// another of the instance's links, as that of a bridge for its own guests.
fn hears(ns: &Netns, nic: &Link, socket: &Socket) -> bool {
    let is_any = socket.address.is_ipv4() && socket.address.is_unspecified();
    let is_only = || ns.links.iter().all(|link| link.index == nic.index || link.kind == LinkKind::Loopback);
    let is_on_nic = socket.device.as_ref().map_or_else(is_only, |device| *device == nic.name);
    socket.protocol == 17 && socket.port == SERVER_PORT && is_any && is_on_nic
}

fn program(process: &Process) -> &str {
    process.argv.first().and_then(|path| path.rsplit('/').next()).unwrap_or_default()
}

fn is_relay(process: &Process) -> bool {
    RELAYS.iter().any(|relay| program(process).starts_with(relay))
        || process.argv.iter().any(|argument| argument.starts_with("--dhcp-relay"))
}

fn is_server(process: &Process) -> bool {
    matches!(program(process), "dhcpd" | "udhcpd" | "kea-dhcp4")
        || process.argv.iter().any(|argument| argument.starts_with("--dhcp-range"))
}
