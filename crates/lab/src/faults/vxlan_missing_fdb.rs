//! `vxlan-missing-fdb`: VXLAN joins the hosts, and the device of web1's host knows no far end.

use plumbing::{bridge, vxlan};

use super::Fault;
use crate::LabError;
use crate::overlay;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "vxlan-missing-fdb",
    summary: "the VXLAN device of web1's host knows no far end",
    inject,
    heal,
};

fn inject(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::join(lab, scene)?;
    let own = scene.compute.host.public().addr();
    for far_end in overlay::ends(scene).into_iter().filter(|end| *end != own) {
        vxlan::stop_flooding_to(&mut scene.compute.ns, overlay::DEVICE, far_end)?;
    }
    Ok(bridge::forget_all(&mut scene.compute.ns, overlay::DEVICE)?)
}

fn heal(lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    overlay::part(lab, scene)
}
