//! `tap-missing`: web1's tap was deleted. A veth pair dies whole, so the instance has lost its NIC too;
//! a real tap would live as long as QEMU holds it.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;
use crate::{guest, libvirt};

/// The fault.
pub(super) const FAULT: Fault = Fault { code: "tap-missing", summary: "web1's tap is gone", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::delete(&mut scene.compute.ns, &scene.tap)?)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Scene { compute, inside, web1, nic, tap, .. } = scene;
    let Some(inside) = inside else {
        // The machine holds a tap without a name; it is started anew on one that has.
        libvirt::destroy(lab, &compute.host.name, &mut compute.ns, web1)?;
        return libvirt::ensure_running(lab, &compute.host.name, &mut compute.ns, web1);
    };
    // The new NIC is asked an address for anew, as after a hard reboot.
    libvirt::plug_in(&mut compute.ns, inside, nic, tap, GUEST_NIC)?;
    guest::restart_dhcp_client(lab, &compute.host.name, inside, web1)
}
