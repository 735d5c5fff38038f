//! MTUs, as the kernel changes them.

use model::Netns;

/// A bridge follows its ports unless somebody gave it an MTU of its own (`br_mtu_auto_adjust`).
pub(super) fn set(ns: &mut Netns, device: &str, mtu: u32) {
    let Some(link) = ns.links.iter_mut().find(|link| link.name == device) else { return };
    let followed = link.mtu;
    link.mtu = mtu;
    let Some(bridge) = link.master else { return };
    let least = ns.ports(bridge).map(|port| port.mtu).min().unwrap_or(mtu);
    if let Some(bridge) = ns.links.iter_mut().find(|link| link.index == bridge && link.mtu == followed) {
        bridge.mtu = least;
    }
}
