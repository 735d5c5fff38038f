//! `ip-forward-0`: the compute host does not forward: what is not for itself is dropped at input
//! routing.

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "ip-forward-0", summary: "the compute host does not forward packets", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(scene.server.ns.set_sysctl("ipv4/ip_forward", "0")?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(scene.server.ns.set_sysctl("ipv4/ip_forward", "1")?)
}
