//! # vxlan-missing-fdb
//!
//! A VXLAN device knows no far end for what is for everybody.
//!
//! ## What it means
//! Without a multicast group, a VXLAN device sends broadcasts, and what is for stations that it does not know yet, to
//! the far ends of its entry for 00:00:00:00:00:00. Without one such frames are dropped on the host: its instances
//! find nobody on other hosts, by ARP first of all. Who was asked from there before still answers, since the device
//! learns from what it receives, until that is forgotten.
//!
//! ## How hopline knows
//! The device has no such entry, the entries were read, and a walk to another host dies at it.
//!
//! ## What it looks like
//! `bridge fdb show dev vxlan100` has no line of 00:00:00:00:00:00. `ip -s link show vxlan100` counts TX drops. Nothing
//! leaves: `tcpdump -i eth0 udp port 4789` shows none of it.
//!
//! ## Nearest look-alikes
//! * `vxlan-udp-blocked`, `vxlan-wrong-vni`: packets leave this host, and die at the other.
//! * `flatif-not-enslaved`: there is no VXLAN device, and the cable is no port of the bridge.
//!
//! ## Fix
//! `bridge fdb append 00:00:00:00:00:00 dev vxlan100 dst 203.0.113.35`, once for each other host. Undo: the same with
//! `del`.
//!
//! ## References
//! bridge(8), ip-link(8) "VXLAN Type Support"; `vxlan_xmit`, drivers/net/vxlan/vxlan_core.c; RFC 7348, 4.2.

use model::finding::Confidence;
use model::path::{Stage, Stop};

use crate::evidence;
use crate::found::{Fault, Found, at};
use crate::mend::{Mend, OverlayMend};
use crate::overlays::{self, Overlay};
use crate::view::View;

/// Looks for VXLAN devices that do not know whom to send to.
pub fn check(view: &View) -> Vec<Found> {
    overlays::all(view).iter().filter_map(|overlay| missing(view, overlay)).collect()
}

fn missing<'v>(view: &View<'v>, overlay: &Overlay<'v>) -> Option<Found> {
    let Overlay { ns, link, vxlan, .. } = *overlay;
    let name = &link.name;
    if ns.fdb.is_empty() || !overlay.flooded_to().is_empty() {
        return None;
    }
    let stopped = view.stop(|s| matches!(s.stop, Stop::NoTarget(_)) && s.is_at(ns, name))?;
    let others = overlay.others(view);
    let far =
        others.iter().filter(|other| other.vxlan.vni == vxlan.vni).filter_map(|other| other.vxlan.local);
    let far: Vec<_> = far.collect();
    let entry = |what: &str, far: &str| format!("bridge fdb {what} 00:00:00:00:00:00 dev {name} dst {far}");
    let mut remedy: Vec<_> = far
        .iter()
        .map(ToString::to_string)
        .map(|far| evidence::remedy(ns, &entry("append", &far), &entry("del", &far), ""))
        .collect();
    if remedy.is_empty() {
        remedy.push(evidence::advice(entry("append", "FAR_END"), "once for each other host"));
    }
    let known = overlay.entries().count();
    let fault = Fault {
        code: "vxlan-missing-fdb",
        hop: at(ns, name, Stage::Wire),
        summary: format!("{} finds nobody on other hosts: {name} does not know where to send", ns.machine),
        cause: format!(
            "{name} (VNI {}) has no entry for 00:00:00:00:00:00, which broadcasts and unknown stations go by",
            vxlan.vni
        ),
        confidence: Confidence::Proven,
        evidence: vec![
            evidence::state(
                ns,
                &format!("bridge fdb show dev {name}"),
                format!("{known} entries with a far end, none of them of 00:00:00:00:00:00"),
            ),
            evidence::link(ns, link),
        ],
        owner: "operator",
        remedy,
        instances: view.instances_on(&ns.machine),
        stopped: Some(stopped),
        mend: far
            .iter()
            .map(|far| {
                Mend::Overlay(OverlayMend::FloodTo {
                    machine: ns.machine.clone(),
                    device: name.clone(),
                    far_end: *far,
                })
            })
            .collect(),
    };
    Some(fault.found())
}

#[cfg(test)]
mod tests {
    use crate::fixture::{broken, codes, lacks, overlay_cloud};

    #[test]
    fn fires_at_the_device_and_names_the_far_end() {
        let diagnosis = broken("vxlan-missing-fdb").diagnose("web1");
        assert_eq!(codes(&diagnosis), ["vxlan-missing-fdb compute1//vxlan100"]);
        assert!(diagnosis.findings[0].remedy[0].command.ends_with("dst 203.0.113.35"));
    }

    /// From the other end the answer is what is lost, unless it is learned.
    #[test]
    fn a_healthy_overlay_is_healthy() {
        for instance in ["web1", "web2", "db1"] {
            assert_eq!(codes(&overlay_cloud().diagnose(instance)), Vec::<String>::new(), "{instance}");
        }
        for host in ["compute1", "compute2", "fabric"] {
            assert_eq!(codes(&overlay_cloud().check(host)), Vec::<String>::new(), "{host}");
        }
    }

    #[test]
    fn stays_silent_where_the_entries_were_not_read() {
        let mut cloud = broken("vxlan-missing-fdb");
        cloud.netns("compute1").fdb.clear();
        assert!(lacks(&cloud.diagnose("web1"), "vxlan-missing-fdb"));
    }

    #[test]
    fn stays_silent_where_the_far_end_refuses() {
        for other in ["vxlan-wrong-vni", "vxlan-udp-blocked", "vxlan-mtu-1500-inside"] {
            assert!(lacks(&broken(other).diagnose("web1"), "vxlan-missing-fdb"), "{other}");
        }
    }
}
