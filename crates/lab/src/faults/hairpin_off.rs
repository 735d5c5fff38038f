//! `hairpin-off`: web1's port of the bridge sends nothing back where it came from.

use model::link::BridgePort;
use plumbing::bridge;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "hairpin-off", summary: "web1's tap has hairpin off", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(bridge::set_port(&mut scene.compute.ns, &scene.tap, &BridgePort::default())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(bridge::set_hairpin(&mut scene.compute.ns, &scene.tap)?)
}
