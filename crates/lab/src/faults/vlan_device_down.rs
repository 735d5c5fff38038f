//! `vlan-device-down`: the VLAN device in web1's bridge is down, and the link below it is not. Instances of the
//! network on other hosts are out of reach.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "vlan-device-down", summary: "the VLAN device in web1's bridge is down", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.compute.ns, &scene.nic.bridge.port())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_up(&mut scene.compute.ns, &scene.nic.bridge.port())?)
}
