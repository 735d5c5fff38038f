//! `tap-wrong-bridge`: web1's tap is in libvirt's bridge, where libvirt's dnsmasq offers it an address of its own;
//! under VlanManager in the bridge of another project's VLAN, if web1's host has one.

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
    let other = scene.bridge_of_others.as_deref().unwrap_or(LIBVIRT_BRIDGE);
    Ok(link::enslave(&mut scene.compute.ns, &scene.tap, other)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    enslave_tap(&mut scene.compute.ns, &scene.nic, &scene.tap)
}
