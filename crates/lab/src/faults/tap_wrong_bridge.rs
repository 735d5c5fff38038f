//! `tap-wrong-bridge`: web1's tap is in libvirt's bridge, where libvirt's dnsmasq offers it an address
//! of its own.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::LIBVIRT_BRIDGE;
use crate::libvirt::enslave_tap;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "tap-wrong-bridge", summary: "web1's tap is in another bridge", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::enslave(&mut scene.compute.ns, &scene.tap, LIBVIRT_BRIDGE)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    enslave_tap(&mut scene.compute.ns, &scene.nic, &scene.tap)
}
