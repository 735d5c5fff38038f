//! # vlan-device-down
//!
//! The VLAN device in the instances' bridge is administratively down.
//!
//! ## What it means
//! The bridge has no way to other hosts: instances of one project network on different hosts cannot reach each
//! other, nor a gateway on another host. What stays on the host works.
//!
//! ## How hopline knows
//! The database names the network's VLAN (or the bridge has a VLAN device as its port); the device lacks the
//! `UP` flag, and its lower link has it.
//!
//! ## What it looks like
//! `ip link show vlan101` lacks UP; `bridge link`: `vlan101 ... state disabled`. On the wire the tagged frames of
//! others still arrive, and are thrown away.
//!
//! ## Nearest look-alikes
//! * `flatif-down`: the physical link below is set down, and takes its VLAN devices with it.
//! * `vlan-tag-wrong`: the device is up, and of another VLAN.
//!
//! ## Fix
//! `ip link set dev vlan101 up`. Undo: `ip link set dev vlan101 down`.
//!
//! ## References
//! Kernel `net/8021q/vlan_core.c` `vlan_do_receive`, `net/8021q/vlan.c` `vlan_device_event`; nova
//! `nova/network/linux_net.py` `ensure_vlan`.

use model::finding::Confidence;
use model::link::LinkKind;
use model::path::Stage;

use crate::evidence;
use crate::flat_interface::{self, FlatInterface};
use crate::found::{Fault, Found, at};
use crate::mend::Mend;
use crate::view::View;

/// Looks for VLAN devices that are set down by themselves.
pub fn check(view: &View) -> Vec<Found> {
    let alone = |flat: &FlatInterface| {
        flat.link.kind == LinkKind::Vlan && flat.set_down().is_some_and(|down| std::ptr::eq(down, flat.link))
    };
    let down = flat_interface::all(view).into_iter().filter(alone);
    down.map(|FlatInterface { ns, link, bridge, source }| {
        let name = &link.name;
        Fault {
            code: "vlan-device-down",
            hop: at(ns, name, Stage::Bridge),
            summary: format!("{bridge} on {} has no way to other hosts: {name} is set down", ns.machine),
            cause: format!("{name}, the VLAN device of {bridge} ({source}), is administratively down"),
            confidence: Confidence::Proven,
            evidence: vec![evidence::link(ns, link)],
            owner: "operator",
            remedy: vec![evidence::remedy(
                ns,
                &format!("ip link set dev {name} up"),
                &format!("ip link set dev {name} down"),
                "",
            )],
            instances: view.instances_on(&ns.machine),
            stopped: flat_interface::stopped(view, ns, &[name, &bridge]),
            mend: vec![Mend::LinkUp { machine: ns.machine.clone(), device: name.clone() }],
        }
        .found()
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use crate::fixture::{Hosting, Manager, broken, codes, lacks, nova_cloud};

    #[test]
    fn fires_on_the_device_set_down() {
        assert_eq!(
            codes(&broken("vlan-device-down").diagnose("web1")),
            ["vlan-device-down compute1//vlan101"]
        );
    }

    #[test]
    fn is_found_at_the_other_end_too() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::NetworkHost);
        cloud.set_down("network1", "vlan101");
        assert_eq!(codes(&cloud.diagnose("web1")), ["vlan-device-down network1//vlan101"]);
    }

    #[test]
    fn stays_silent_where_the_link_below_is_down() {
        let mut cloud = nova_cloud(Manager::Vlan, Hosting::Each);
        cloud.set_down("compute1", "eth1");
        let diagnosis = cloud.diagnose("web1");
        assert!(lacks(&diagnosis, "vlan-device-down"), "{:?}", codes(&diagnosis));
        assert!(codes(&diagnosis).contains(&"flatif-down compute1//eth1".to_owned()));
    }
}
