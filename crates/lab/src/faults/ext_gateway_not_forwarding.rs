//! `ext-gateway-not-forwarding`: the router nearest the hosts forwards nothing, and answers for itself.

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "ext-gateway-not-forwarding",
    summary: "the router nearest the hosts forwards nothing",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(scene.rig.gateway.set_sysctl("ipv4/ip_forward", "0")?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(scene.rig.gateway.set_sysctl("ipv4/ip_forward", "1")?)
}
