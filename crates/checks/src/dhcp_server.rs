//! The dnsmasq of a NIC's bridge: the one that serves it, and, where none does, the one that was meant to.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr};

use model::intent::Instance;
use model::path::Stage;
use model::service::{DhcpRange, Dnsmasq};

use crate::dhcp_refused;
use crate::ladder::Purpose;
use crate::mend::Mend;
use crate::nova;
use crate::view::{Seat, Stopped, View};

/// It listens on the gateway's address or on the bridge.
fn serves(seat: &Seat, server: &Dnsmasq) -> bool {
    let gateway = seat.gateway().map(IpAddr::V4);
    gateway.is_some_and(|ip| server.listen.contains(&ip))
        || seat.bridge_name().is_some_and(|bridge| server.interfaces.iter().any(|i| i == bridge))
}

/// The one that serves this NIC's bridge.
pub(crate) fn of<'v>(seat: &Seat<'v>) -> Option<&'v Dnsmasq> {
    seat.server.dnsmasq.iter().find(|server| serves(seat, server))
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
        let is_read = !seat.server.kernel.is_empty()
            && !view
                .snapshot()
                .gaps
                .iter()
                .any(|g| g.what.contains("processes") && g.what.contains(&seat.server.name));
        let is_unserved = is_novas && is_known && is_read && of(&seat).is_none();
        (is_unserved && seen.insert((&seat.server.name, bridge))).then_some((seat, gateway))
    };
    view.vifs().filter_map(lacks).collect()
}

/// Where the ladder found that the host answers no DISCOVER, or none of an instance's names.
pub(crate) fn stop<'v>(view: &View<'v>, seat: &Seat<'v>) -> Option<Stopped<'v>> {
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
        ..Dnsmasq::default()
    };
    Mend::Dnsmasq { machine: seat.server.name.clone(), server: Box::new(server) }
}

/// What the processes of a host that are dnsmasq say of themselves, as `ps aux` shows them.
pub(crate) fn described(server: &Dnsmasq) -> String {
    let listens: Vec<String> = server.listen.iter().map(ToString::to_string).collect();
    let named = [listens.as_slice(), server.interfaces.as_slice()].concat();
    let whose = if server.is_libvirts() { "libvirt's" } else { "another" };
    let on = if named.is_empty() { "every link".to_owned() } else { named.join(", ") };
    format!("{whose}, pid {}, on {on}", server.pid)
}
