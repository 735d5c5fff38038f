//! The dnsmasq of a NIC's bridge: the one that serves it, and, where none does, the one that was meant to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use model::intent::Instance;
use model::netns::Socket;
use model::path::Stage;
use model::service::{DhcpRange, Dnsmasq, range_network};

use crate::dhcp_refused;
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::nova;
use crate::view::{Seat, Stopped, View};

/// It listens on the gateway's address or on the bridge, or it was told nothing of the kind and has the network's
/// range.
fn serves(seat: &Seat, server: &Dnsmasq) -> bool {
    let gateway = seat.gateway().map(IpAddr::V4);
    let is_open = server.listen.is_empty() && server.interfaces.is_empty();
    gateway.is_some_and(|ip| server.listen.contains(&ip))
        || seat.bridge_name().is_some_and(|bridge| server.interfaces.iter().any(|i| i == bridge))
        || (is_open && has_range_of(seat, server))
}

/// One of its ranges is the network's.
fn has_range_of(seat: &Seat, server: &Dnsmasq) -> bool {
    let Some(cidr) = seat.network.and_then(|network| network.cidr) else { return false };
    server.ranges.iter().any(|range| match range_network(range) {
        Some(network) => network == cidr,
        None => cidr.contains(&range.start),
    })
}

/// The one that serves this NIC's bridge: of several nova's, where one has the name of nova's file.
pub(crate) fn of<'v>(seat: &Seat<'v>) -> Option<&'v Dnsmasq> {
    let all = seat.server.dnsmasq.iter().filter(|server| serves(seat, server));
    all.min_by_key(|server| !has_novas_file(seat, server))
}

/// The others on the same host that hear what this NIC asks, and have addresses for its network.
pub(crate) fn beside<'v>(seat: &Seat<'v>) -> Vec<&'v Dnsmasq> {
    let (ns, own) = (seat.server_ns, of(seat));
    let Some(bridge) = seat.bridge_name().and_then(|name| ns.link_named(name)) else { return Vec::new() };
    let hears = |server: &&Dnsmasq| {
        let is_here = server.netns.zip(ns.inode).is_none_or(|(theirs, here)| theirs == here);
        let is_told = server.interfaces.contains(&bridge.name)
            || ns.addresses_of(bridge.index).any(|address| server.listen.contains(&address.net.addr()));
        let is_open = server.interfaces.is_empty() && server.listen.is_empty();
        let is_kept_out = server.except_interfaces.contains(&bridge.name) || server.is_stopped();
        is_here && !is_kept_out && (is_told || is_open) && sim::dhcp::has_range(ns, bridge.index, server)
    };
    let others = seat.server.dnsmasq.iter().filter(hears);
    // Where a listing of processes tells no parents, dnsmasq's own helper stands beside it with the same arguments; two
    // servers cannot have all of them, their addresses and their pid file.
    let is_other =
        |server: &Dnsmasq| own.is_some_and(|own| !std::ptr::eq(own, server) && own.argv != server.argv);
    others.filter(|server| is_other(server)).collect()
}

/// Its hosts file is called as nova calls that of this NIC's bridge.
fn has_novas_file(seat: &Seat, server: &Dnsmasq) -> bool {
    let named = server.hosts_file.as_deref().and_then(|path| path.rsplit('/').next());
    let file = named.and_then(|name| name.strip_prefix("nova-")?.strip_suffix(".conf"));
    file.is_some() && file == seat.bridge_name()
}

/// Every bridge of the instances in question that nobody serves, though nova means its dnsmasq to.
pub(crate) fn unserved<'v>(view: &View<'v>) -> Vec<(Seat<'v>, Ipv4Addr)> {
    let mut seen = BTreeSet::new();
    let lacks = |seat: Seat<'v>| {
        let (bridge, gateway) = (seat.bridge_name()?, seat.gateway()?);
        // Only nova is known to mean a dnsmasq to be there.
        let is_novas = view.intent().from_database || nova::manages(seat.server, seat.server_ns);
        let is_known = seat.network.is_some_and(|network| {
            let told = network.multi_host || network.host.is_some();
            told && network.server_for(&seat.host.name) == seat.server.name
        });
        // Processes that could not be read tell nothing.
        let is_read =
            !seat.server.kernel.is_empty() && view.snapshot().unread_processes(&seat.server.name).is_none();
        let is_unserved = is_novas && is_known && is_read && of(&seat).is_none();
        (is_unserved && seen.insert((&seat.server.name, bridge))).then_some((seat, gateway))
    };
    view.vifs().filter_map(lacks).collect()
}

/// Where the ladder found that the host answers no DISCOVER, or none of an instance's names.
pub(crate) fn stop<'v>(view: &View<'v>, seat: &Seat) -> Option<Stopped<'v>> {
    let bridge = seat.bridge_name()?;
    view.stop_of(seat.instance, |s| {
        matches!(s.rung.purpose, Purpose::Dhcp | Purpose::Resolver)
            && s.hop.at.stage == Stage::Service
            && s.is_at(seat.server_ns, bridge)
    })
}

/// The instances that a host serves on a NIC's network.
pub(crate) fn clients<'v>(view: &View<'v>, seat: &Seat) -> Vec<&'v Instance> {
    let is_client = |i: &&Instance| {
        i.vifs.iter().any(|vif| vif.network == seat.vif.network) && view.is_served_by(i, &seat.server.name)
    };
    view.intent().instances.iter().filter(is_client).collect()
}

/// In the model, nova-network starts the server of a NIC's bridge.
pub(crate) fn start_anew(view: &View, seat: &Seat, gateway: Ipv4Addr) -> Mend {
    let vifs = view.intent().instances.iter().flat_map(|i| &i.vifs);
    let here = vifs.filter(|vif| vif.network == seat.vif.network);
    let range = DhcpRange {
        tag: None,
        start: gateway,
        end: None,
        is_static: true,
        netmask: seat.network.and_then(|n| n.cidr).map(|cidr| cidr.netmask()),
        lease_seconds: None,
    };
    let server = Dnsmasq {
        listen: vec![IpAddr::V4(gateway)],
        ranges: vec![range],
        hosts: Some(here.filter_map(dhcp_refused::host_line).collect()),
        // One that is not there asks nobody for names yet: its host's resolv.conf is judged when it runs.
        no_resolv: true,
        ..Dnsmasq::default()
    };
    Mend::Dnsmasq { machine: seat.server.name.clone(), server: Box::new(server) }
}

/// Where a server listens, by its arguments.
pub(crate) fn listens(server: &Dnsmasq) -> String {
    let addresses: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    let named = [addresses.as_slice(), server.interfaces.as_slice()].concat();
    if named.is_empty() { "every link".to_owned() } else { named.join(", ") }
}

/// What the processes of a host that are dnsmasq say of themselves, as `ps aux` shows them.
pub(crate) fn described(server: &Dnsmasq) -> String {
    let whose = if server.is_libvirts() { "libvirt's" } else { "another" };
    format!("{whose}, pid {}, on {}", server.pid, listens(server))
}
/// Every bridge of the instances in question with the dnsmasq that serves it.
pub(crate) fn each<'v>(view: &View<'v>) -> Vec<(Seat<'v>, &'v Dnsmasq)> {
    let mut seen = BTreeSet::new();
    let served = view.vifs().filter_map(|seat| Some((seat, of(&seat)?)));
    served.filter(|(seat, _)| seen.insert((seat.server.name.as_str(), seat.bridge_name()))).collect()
}

/// A dnsmasq that was started for this NIC's network, wherever it listens: by nova's name for its hosts file, or by
/// its range.
pub(crate) fn started_for<'v>(seat: &Seat<'v>) -> Option<&'v Dnsmasq> {
    seat.bridge_name()?;
    let mut novas = seat.server.dnsmasq.iter().filter(|server| !server.is_libvirts());
    novas.find(|server| has_novas_file(seat, server) || has_range_of(seat, server))
}

/// In the model, a server that runs has been put right.
pub(crate) fn put_right(seat: &Seat, server: Dnsmasq) -> Mend {
    Mend::Dnsmasq { machine: seat.server.name.clone(), server: Box::new(server) }
}

/// The sockets of DHCP and DNS that this server may have open: all of port 67 look alike, those of 53 have its
/// addresses.
pub(crate) fn sockets<'v>(seat: &Seat<'v>, server: &'v Dnsmasq) -> impl Iterator<Item = &'v Socket> {
    let is_its = |socket: &&Socket| match socket.port {
        67 => socket.protocol == 17,
        53 => server.listen.contains(&socket.address),
        _ => false,
    };
    seat.server_ns.sockets.iter().filter(is_its)
}

/// A socket as `ss -lun` shows it.
pub(crate) fn socket_text(socket: &Socket) -> String {
    let protocol = if socket.protocol == 6 { "tcp" } else { "udp" };
    let bound = SocketAddr::new(socket.address, socket.port);
    format!("{protocol} {bound}, Recv-Q {}", socket.receive_queue)
}
