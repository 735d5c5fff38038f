//! `vlan-device-missing`: web1's bridge has no VLAN device as its port towards the other hosts. The bridge keeps
//! its MAC, which nova has set by hand.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::nova::linux_net::ensure_bridge;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "vlan-device-missing", summary: "web1's bridge has no VLAN device", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::delete(&mut scene.compute.ns, &scene.nic.bridge.port())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    ensure_bridge(&mut scene.compute.ns, &scene.compute.host, &scene.nic.bridge)
}
