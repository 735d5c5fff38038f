//! # vxlan-wrong-vni
//!
//! The two ends of an overlay are of different VXLAN networks.
//!
//! ## What it means
//! Each packet carries the number of its network (VNI), and a host that has no VXLAN device of it throws the packet
//! away. Instances of the host reach each other, and nobody on the others. At worst its device is of another
//! project's network.
//!
//! ## How hopline knows
//! By the devices' settings: a bridge of one name has VXLAN devices of different VNIs on different hosts, and a walk
//! dies for want of a device. The wrong end is the one whose name tells another VNI than it has, else the one that all
//! others differ from; of two that differ with nothing to tell by, the one that did not take the packet, and the
//! finding is *likely* only.
//!
//! ## What it looks like
//! `tcpdump -e -i eth0 udp port 4789` shows `vni 100` come in; `ip -d link show vxlan100` says `vxlan id 101`. The
//! kernel's drop reason is VXLAN_VNI_NOT_FOUND.
//!
//! ## Nearest look-alikes
//! * `vxlan-udp-blocked`: a rule's counter rises.
//! * `vxlan-missing-fdb`: nothing leaves the near host.
//! * `vlan-tag-wrong`: the same with VLANs.
//!
//! ## Fix
//! A device keeps its VNI for life: `ip link del dev vxlan100`, then `ip link add vxlan100 type vxlan id 100 ...` with
//! the settings that `ip -d link` showed, `ip link set dev vxlan100 master br100 up`, and its entries
//! (`bridge fdb append 00:00:00:00:00:00 dev vxlan100 dst FAR_END`). Undo: the same with the old VNI.
//!
//! ## References
//! ip-link(8) "VXLAN Type Support"; RFC 7348, 4.1; `vxlan_rcv`, drivers/net/vxlan/vxlan_core.c.

use model::finding::{Confidence, Remedy};
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Mend, OverlayMend};
use crate::overlays::{self, Overlay};
use crate::view::{Stopped, View};

/// Looks for ends of an overlay that are of another network than the rest.
pub fn check(view: &View) -> Vec<Found> {
    overlays::all(view).iter().filter_map(|overlay| wrong(view, overlay)).collect()
}

fn wrong<'v>(view: &View<'v>, overlay: &Overlay<'v>) -> Option<Found> {
    let Overlay { ns, link, vxlan, .. } = *overlay;
    let others = overlay.others(view);
    let first = others.first()?.vxlan.vni;
    // What the others do not agree upon tells nothing of this one.
    if first == vxlan.vni || others.iter().any(|other| other.vxlan.vni != first) {
        return None;
    }
    let is_of = |s: &Stopped| {
        let Stop::VniNotTaken { vni, .. } = s.stop else { return false };
        *vni == vxlan.vni || (*vni == first && s.is_in(ns))
    };
    let stopped = view.stop(is_of)?;
    let named = |overlay: &Overlay| named(&overlay.link.name);
    let is_told = named(overlay) == Some(first) || others.len() > 1;
    let others_are_told = others.len() == 1 && others.iter().any(|other| named(other) == Some(vxlan.vni));
    let by_place = || stopped.is_in(ns);
    if others_are_told || (!is_told && !by_place()) {
        return None;
    }
    let name = &link.name;
    let show = |overlay: &Overlay| {
        let Overlay { ns, link, vxlan, .. } = overlay;
        let text = format!("{}: vxlan id {} dstport {}", link.name, vxlan.vni, vxlan.port);
        evidence::state(ns, &format!("ip -d link show dev {}", link.name), text)
    };
    let far: Vec<String> = others.iter().map(|other| other.ns.machine.clone()).collect();
    let fault = Fault {
        code: "vxlan-wrong-vni",
        hop: at(ns, name, Stage::Wire),
        summary: format!(
            "{name} of {} is of VXLAN network {} in place of {first}, and takes nothing from {}",
            ns.machine,
            vxlan.vni,
            far.join(", ")
        ),
        cause: format!(
            "{name} has VNI {}; {first} is what the other ends of {} have",
            vxlan.vni, overlay.bridge.name
        ),
        confidence: if is_told { Confidence::Proven } else { Confidence::Likely },
        evidence: std::iter::once(overlay).chain(&others).map(show).collect(),
        owner: "operator",
        remedy: remedies(overlay, first),
        instances: hit(view, overlay, &stopped),
        stopped: Some(stopped),
        mend: vec![Mend::Overlay(OverlayMend::Vni {
            machine: ns.machine.clone(),
            device: name.clone(),
            vni: first,
        })],
    };
    let lost_at = stopped.hop.at.clone();
    Some(fault.found().losing_at(Some(lost_at)))
}

/// The host's own instances, and who asked.
fn hit(view: &View, overlay: &Overlay, stopped: &Stopped) -> Vec<String> {
    let mut hit = view.instances_on(&overlay.ns.machine);
    let asker = view.intent().instances.get(stopped.rung.instance).map(|asker| asker.name.clone());
    hit.extend(asker.filter(|asker| !hit.contains(asker)));
    hit
}

/// `vxlan100`, `vxlan-100`: the number at its end.
fn named(device: &str) -> Option<u32> {
    device.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().ok()
}

fn remedies(overlay: &Overlay, vni: u32) -> Vec<Remedy> {
    let Overlay { ns, link, vxlan, bridge } = *overlay;
    let name = &link.name;
    let add = |vni: u32| {
        let local = vxlan.local.map(|local| format!(" local {local}")).unwrap_or_default();
        let below = vxlan.underlay.map(|below| format!(" dev {}", ns.link_name(below))).unwrap_or_default();
        format!("ip link add {name} type vxlan id {vni}{local} dstport {}{below}", vxlan.port)
    };
    let delete = format!("ip link del dev {name}");
    let master = format!("ip link set dev {name} master {} up", bridge.name);
    let entries = overlay.flooded_to().into_iter().map(|far| {
        let entry = |what: &str| format!("bridge fdb {what} 00:00:00:00:00:00 dev {name} dst {far}");
        evidence::remedy(ns, &entry("append"), &entry("del"), "")
    });
    let made = [
        evidence::remedy(ns, &delete, &add(vxlan.vni), "a VXLAN device keeps its VNI for life"),
        evidence::remedy(ns, &add(vni), &delete, ""),
        evidence::remedy(ns, &master, &format!("ip link set dev {name} nomaster"), ""),
    ];
    made.into_iter().chain(entries).collect()
}

#[cfg(test)]
mod tests {
    use model::finding::Confidence;

    use crate::fixture::{broken, codes, lacks, overlay_cloud};

    #[test]
    fn fires_at_the_end_whose_name_tells_another() {
        let cloud = broken("vxlan-wrong-vni");
        for instance in ["web1", "db1"] {
            let diagnosis = cloud.diagnose(instance);
            assert_eq!(codes(&diagnosis), ["vxlan-wrong-vni compute2//vxlan100"], "{instance}");
            assert_eq!(diagnosis.findings[0].confidence, Confidence::Proven);
        }
    }

    #[test]
    fn is_likely_only_where_no_name_tells() {
        let mut cloud = broken("vxlan-wrong-vni");
        for host in ["compute1", "compute2"] {
            cloud.link(host, "vxlan100").name = "overlay".to_owned();
        }
        let diagnosis = cloud.diagnose("web1");
        assert_eq!(codes(&diagnosis), ["vxlan-wrong-vni compute2//overlay"]);
        assert_eq!(diagnosis.findings[0].confidence, Confidence::Likely);
    }

    #[test]
    fn stays_silent_where_an_entry_sends_with_the_far_ends_network() {
        let mut cloud = overlay_cloud();
        cloud.link("compute2", "vxlan100").vxlan.as_mut().unwrap().vni = 101;
        for (host, vni) in [("compute1", 101), ("compute2", 100)] {
            // What is learned goes with the device's own network.
            cloud.link(host, "vxlan100").vxlan.as_mut().unwrap().learning = false;
            let mut entries = cloud.netns(host).fdb.iter_mut();
            entries.find_map(|entry| entry.remote.as_mut()).unwrap().vni = Some(vni);
        }
        assert!(lacks(&cloud.diagnose("web1"), "vxlan-wrong-vni"));
    }
}
