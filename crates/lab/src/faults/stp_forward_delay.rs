//! `stp-forward-delay`: the instances' bridge runs spanning tree, and web1's tap was plugged in just now: its port
//! listens, then learns, and forwards after a minute.

use plumbing::{bridge, link};

use super::Fault;
use crate::LabError;
use crate::libvirt::enslave_tap;
use crate::place::Lab;
use crate::scene::Scene;

/// The most that the kernel takes: 30 s (`BR_MAX_FORWARD_DELAY`, net/bridge/br_private_stp.h).
const DELAY_CS: u32 = 3000;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "stp-forward-delay",
    summary: "web1's tap waits a minute for the spanning tree",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    bridge::set_spanning_tree(&mut scene.compute.ns, &scene.nic.bridge.name, Some(DELAY_CS))?;
    plug_in_anew(scene)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    bridge::set_spanning_tree(&mut scene.compute.ns, &scene.nic.bridge.name, None)?;
    plug_in_anew(scene)
}

fn plug_in_anew(scene: &mut Scene) -> Result<(), LabError> {
    link::release(&mut scene.compute.ns, &scene.tap)?;
    enslave_tap(&mut scene.compute.ns, &scene.nic, &scene.tap)
}
