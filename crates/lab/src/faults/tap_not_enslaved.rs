//! `tap-not-enslaved`: web1's tap is up but in no bridge: its frames end in the host's own IP stack.
//! Nothing counts a drop.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::libvirt::enslave_tap;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "tap-not-enslaved", summary: "web1's tap is not in the bridge", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::release(&mut scene.compute.ns, &scene.tap)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    enslave_tap(&mut scene.compute.ns, &scene.nic, &scene.tap)
}
