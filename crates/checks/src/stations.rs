//! Whose a MAC is, and where the machine that has it is plugged in.

use model::finding::Evidence;
use model::intent::{Instance, Vif};
use model::link::Link;
use model::path::{Place, Stage};
use model::{Mac, Netns};

use crate::evidence;
use crate::found::at;
use crate::view::View;

/// The instance that is meant to have a MAC, and its NIC.
pub(crate) fn instance<'v>(view: &View<'v>, mac: Mac) -> Option<(&'v Instance, &'v Vif)> {
    let instances = view.intent().instances.iter();
    let mut vifs = instances.flat_map(|instance| instance.vifs.iter().map(move |vif| (instance, vif)));
    vifs.find(|(_, vif)| vif.mac == Some(mac))
}

/// The machine of the site that has a link with this MAC, and the link; a bridge before its ports, which has the
/// addresses.
pub(crate) fn machine<'v>(view: &View<'v>, mac: Mac) -> Option<(&'v Netns, &'v Link)> {
    let all = view.snapshot().netns.iter();
    let links = all.flat_map(|ns| ns.links.iter().map(move |link| (ns, link)));
    links.filter(|(_, link)| link.mac == Some(mac)).min_by_key(|(_, link)| link.master.is_some())
}

/// Where a machine is: the NIC of an instance that has its MAC, or the port that one of these hosts' bridges has
/// learned it at, or the last one's bridge.
pub(crate) fn whereabouts(view: &View, mac: Mac, seen_from: &[(&Netns, &str)]) -> Option<(Place, Evidence)> {
    if let Some((instance, vif)) = instance(view, mac) {
        let inside = view.snapshot().main_netns(&instance.name);
        let nic = inside.and_then(|ns| Some((ns, ns.links.iter().find(|link| link.mac == Some(mac))?)));
        if let Some((ns, link)) = nic {
            return Some((at(ns, &link.name, Stage::Service), evidence::link(ns, link)));
        }
        let (ns, device) = (view.snapshot().main_netns(&instance.host)?, vif.device.as_deref()?);
        let text = format!("{device} is the NIC of {}, whose MAC is {mac}", instance.name);
        return Some((at(ns, device, Stage::Bridge), evidence::state(ns, "ip link", text)));
    }
    // The same MAC may stand behind a port of each bridge: a router's does, of each of its VLANs.
    let learned = |ns: &Netns, bridge: &str| {
        let bridge = ns.link_named(bridge)?.index;
        let mut entries = ns.fdb.iter().filter(|entry| entry.mac == mac && !entry.on_self);
        let port =
            entries.find_map(|entry| ns.link(entry.link).filter(|port| port.master == Some(bridge)))?;
        Some(port.name.clone())
    };
    let port = seen_from.iter().find_map(|(ns, bridge)| Some((*ns, learned(ns, bridge)?)));
    let (ns, device) = port.or_else(|| seen_from.last().map(|(ns, bridge)| (*ns, (*bridge).to_owned())))?;
    Some(behind(ns, mac, &device))
}

/// A port that a machine is behind.
pub(crate) fn behind(ns: &Netns, mac: Mac, device: &str) -> (Place, Evidence) {
    let command = format!("bridge fdb show | grep {mac}");
    (at(ns, device, Stage::Bridge), evidence::state(ns, &command, format!("{mac} is behind {device}")))
}
