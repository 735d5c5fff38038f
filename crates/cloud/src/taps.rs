//! The link on the host's side of each instance's NIC, where libvirt's XML does not name it.

use std::collections::BTreeMap;

use model::intent::{Instance, Intent, Vif};
use model::link::{Link, LinkKind};
use model::{Mac, Netns, Snapshot};

/// Looks for each vif's link among those of its host; an instance whose host nothing tells is looked
/// for on every host, and found where its link is.
pub(crate) fn name(intent: &mut Intent, snapshot: &Snapshot, vif_uuids: &BTreeMap<Mac, String>) {
    for instance in &mut intent.instances {
        if instance.host.is_empty() {
            instance.host = host_with_link_of(instance, snapshot, vif_uuids).unwrap_or_default();
        }
        let Some(netns) = snapshot.main_netns(&instance.host) else { continue };
        for vif in instance.vifs.iter_mut().filter(|vif| vif.device.is_none()) {
            vif.device = link_of(vif, netns, vif_uuids).map(|link| link.name.clone());
        }
    }
}

fn host_with_link_of(
    instance: &Instance,
    snapshot: &Snapshot,
    vif_uuids: &BTreeMap<Mac, String>,
) -> Option<String> {
    let has_link = |netns: &Netns| instance.vifs.iter().any(|vif| link_of(vif, netns, vif_uuids).is_some());
    let mut hosts =
        snapshot.hosts.iter().filter(|host| snapshot.main_netns(&host.name).is_some_and(has_link));
    hosts.next().map(|host| host.name.clone())
}

fn link_of<'n>(vif: &Vif, netns: &'n Netns, vif_uuids: &BTreeMap<Mac, String>) -> Option<&'n Link> {
    let mac = vif.mac?;
    let by_uuid = vif_uuids.get(&mac).and_then(|uuid| netns.link_named(&nova_tap_name(uuid)));
    by_uuid.or_else(|| {
        // A bridge takes over the lowest MAC among its ports', so a tap's may be the bridge's as well.
        let can_be_tap = |link: &&Link| !matches!(link.kind, LinkKind::Bridge | LinkKind::Vlan);
        netns.links.iter().filter(can_be_tap).find(|link| link.mac.is_some_and(|m| m.is_tap_of(mac)))
    })
}

/// Newton and later: `nic` and the first 11 characters of the vif's uuid, which fits `IFNAMSIZ`
/// (nova/virt/libvirt/vif.py `get_vif_devname`).
fn nova_tap_name(vif_uuid: &str) -> String {
    format!("nic{}", vif_uuid.chars().take(11).collect::<String>())
}
