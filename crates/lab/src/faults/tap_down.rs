//! `tap-down`: the host's end of web1's NIC is down; the instance sees a lost carrier.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault { code: "tap-down", summary: "web1's tap is down", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.compute.ns, &scene.tap)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_up(&mut scene.compute.ns, &scene.tap)?)
}
