//! `vxlan-wrong-vni`: VXLAN joins the hosts, and the other host's device is of another network.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::overlay;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "vxlan-wrong-vni",
    summary: "the VXLAN device of the other host is of another network",
    inject,
    heal,
};

/// Beside the right one.
const ASTRAY: u32 = overlay::VNI + 1;

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::join(lab, scene)?;
    let (ends, bridge) = (overlay::ends(scene), scene.nic.bridge.name.clone());
    let Some(far) = overlay::far(scene) else { return Ok(()) };
    link::delete(&mut far.ns, overlay::DEVICE)?;
    overlay::make(far, ASTRAY, &bridge, &ends)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::part(lab, scene)
}
