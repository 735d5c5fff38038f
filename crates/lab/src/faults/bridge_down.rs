//! `bridge-down`: the instances' bridge is down. Its connected route is gone, and frames from every
//! port are dropped at its ingress.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "bridge-down", summary: "the instances' bridge is down", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.compute.ns, &scene.nic.bridge.name)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_up(&mut scene.compute.ns, &scene.nic.bridge.name)?)
}
