//! Which link leads out of which bridge: by nova.conf, by the database, or by what a walk to another host's
//! instance lacks. With VLANs it is the network's VLAN device.

use model::Netns;
use model::link::{Link, LinkKind};
use model::path::Stage;

use crate::overlays;
use crate::view::{Stopped, View};
use crate::vlans::{self, VlanSeat};

/// A physical link, or a VLAN device, and the bridge it belongs in.
pub(crate) struct FlatInterface<'v> {
    pub(crate) ns: &'v Netns,
    pub(crate) link: &'v Link,
    pub(crate) bridge: String,
    /// Who says so.
    pub(crate) source: String,
}

impl<'v> FlatInterface<'v> {
    /// The link that is set down where this one has it from there: a VLAN device goes down with its lower
    /// link (`vlan_device_event`).
    pub(crate) fn set_down(&self) -> Option<&'v Link> {
        let lower = vlans::below(self.ns, self.link).filter(|lower| !lower.admin_up);
        lower.or(Some(self.link).filter(|link| !link.admin_up))
    }
}

/// What dies for want of a link that leads out of a host: at its devices, or on the way to its instances from
/// others, who find nobody there.
pub(crate) fn stopped<'v>(view: &View<'v>, ns: &Netns, devices: &[&str]) -> Option<Stopped<'v>> {
    // What the host's own stack does with a packet at the same device is none of the link's.
    let is_between_ports = |s: &Stopped| matches!(s.hop.at.stage, Stage::Bridge | Stage::Wire);
    let here = |s: &Stopped| is_between_ports(s) && devices.iter().any(|device| s.is_at(ns, device));
    let is_here = |at: usize| view.intent().instances.get(at).is_some_and(|i| i.host == ns.machine);
    // Two instances of one host do not need it.
    let towards = |s: &Stopped| s.rung.purpose.other().is_some_and(is_here) && !is_here(s.rung.instance);
    view.stop(here).or_else(|| view.stop(towards))
}

/// The links that lead out of the bridges of the hosts in question, and of those at the other end.
pub(crate) fn all<'v>(view: &View<'v>) -> Vec<FlatInterface<'v>> {
    let mut found: Vec<FlatInterface> = Vec::new();
    let tagged = vlans::all(view);
    for (host, ns) in view.hosts_at_both_ends() {
        // An overlay leads out in its place.
        let is_replaced = |flat: &FlatInterface| {
            let bridge = ns.link_named(&flat.bridge);
            let is_port = flat.link.master.is_some() && flat.link.master == bridge.map(|bridge| bridge.index);
            !is_port && bridge.is_some_and(|bridge| overlays::of_bridge(ns, bridge).next().is_some())
        };
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
        let own: Vec<&VlanSeat> = tagged.iter().filter(|seat| std::ptr::eq(seat.ns, ns)).collect();
        // What could be the way out is not asked where it is known.
        let missed = || missed(view, ns).filter(|_| own.is_empty());
        found.extend(configured.or_else(recorded).or_else(missed).filter(|flat| !is_replaced(flat)));
        let devices = own.iter().filter_map(|VlanSeat { ns, device, bridge, source, .. }| {
            Some(FlatInterface { ns, link: (*device)?, bridge: bridge.clone(), source: source.clone() })
        });
        found.extend(devices);
    }
    found
}

/// A walk from this host to an instance elsewhere died for want of a port: the one cable without
/// address that is, or could be, the bridge's way out.
fn missed<'v>(view: &View<'v>, ns: &'v Netns) -> Option<FlatInterface<'v>> {
    let elsewhere = |at: usize| view.intent().instances.get(at).is_some_and(|i| i.host != ns.machine);
    let died = view.stop(|s| s.rung.purpose.other().is_some_and(elsewhere) && s.is_in(ns))?;
    let bridge = view.vifs().find(|seat| std::ptr::eq(seat.ns, ns)).and_then(|seat| seat.bridge())?;
    if died.hop.at.device != bridge.name && ns.link_named(&died.hop.at.device)?.master != Some(bridge.index) {
        return None;
    }
    let is_tap = |l: &Link| view.world.link_named_in(ns, &l.name).is_some_and(|id| view.world.is_tap(id));
    let carries_vlans = |l: &Link| {
        let lower = |v: &Link| vlans::below(ns, v).is_some_and(|lower| lower.index == l.index);
        ns.links.iter().any(lower)
    };
    let cable = |l: &&Link| {
        matches!(l.kind, LinkKind::Physical | LinkKind::Veth | LinkKind::Bond | LinkKind::Vlan)
            && l.master.is_none_or(|m| m == bridge.index)
            && !is_tap(l)
            && !carries_vlans(l)
            && !ns.addresses_of(l.index).any(|a| a.net.addr().is_ipv4())
    };
    let mut cables = ns.links.iter().filter(cable);
    let link = cables.next().filter(|_| cables.next().is_none())?;
    let source = "the only cable without an address of its own".to_owned();
    Some(FlatInterface { ns, link, bridge: bridge.name.clone(), source })
}
