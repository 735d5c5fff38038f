//! Which physical link belongs in which bridge: by nova.conf, by the database, or by what a walk to
//! another host's instance lacks.

use model::Netns;
use model::link::{Link, LinkKind};

use crate::ladder::Purpose;
use crate::view::View;

/// A physical link and the bridge it belongs in.
pub(crate) struct FlatInterface<'v> {
    pub(crate) ns: &'v Netns,
    pub(crate) link: &'v Link,
    pub(crate) bridge: String,
    /// Who says so.
    pub(crate) source: String,
}

/// The flat interfaces of the hosts in question.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<FlatInterface<'v>> {
    let mut found: Vec<FlatInterface> = Vec::new();
    for (host, ns) in view.hosts() {
        let configured = host.nova.as_ref().and_then(|nova| {
            let link = ns.link_named(nova.get("flat_interface")?)?;
            let bridge = nova.get("flat_network_bridge").unwrap_or("br100").to_owned();
            Some(FlatInterface { ns, link, bridge, source: format!("flat_interface in {}", nova.file) })
        });
        let recorded = || {
            let mut networks = view.intent().networks.iter().filter(|n| n.vlan.is_none());
            networks.find_map(|n| {
                let link = ns.link_named(n.bridge_interface.as_ref()?)?;
                let source = format!("bridge_interface of network {}", n.label);
                Some(FlatInterface { ns, link, bridge: n.bridge.clone()?, source })
            })
        };
        found.extend(configured.or_else(recorded).or_else(|| missed(view, ns)));
    }
    found
}

/// A walk from this host to an instance elsewhere died for want of a port: the one cable without
/// address that is, or could be, the bridge's way out.
fn missed<'v>(view: &View<'v>, ns: &'v Netns) -> Option<FlatInterface<'v>> {
    let elsewhere = |at: usize| view.intent().instances.get(at).is_some_and(|i| i.host != ns.machine);
    let died = view.stop(|s| match s.rung.purpose {
        Purpose::Other(at) => elsewhere(at) && s.is_in(ns),
        Purpose::Dhcp
        | Purpose::Gateway
        | Purpose::Outside
        | Purpose::Inbound(_)
        | Purpose::Resolver
        | Purpose::Metadata => false,
    })?;
    let bridge = view.vifs().find(|seat| std::ptr::eq(seat.ns, ns)).and_then(|seat| seat.bridge())?;
    if died.hop.at.device != bridge.name && ns.link_named(&died.hop.at.device)?.master != Some(bridge.index) {
        return None;
    }
    let is_tap = |l: &Link| view.world.link_named_in(ns, &l.name).is_some_and(|id| view.world.is_tap(id));
    let cable = |l: &&Link| {
        matches!(l.kind, LinkKind::Physical | LinkKind::Veth | LinkKind::Bond | LinkKind::Vlan)
            && l.master.is_none_or(|m| m == bridge.index)
            && !is_tap(l)
            && !ns.addresses_of(l.index).any(|a| a.net.addr().is_ipv4())
    };
    let mut cables = ns.links.iter().filter(cable);
    let link = cables.next().filter(|_| cables.next().is_none())?;
    let source = "the only cable without an address of its own".to_owned();
    Some(FlatInterface { ns, link, bridge: bridge.name.clone(), source })
}
