//! `flatif-not-enslaved`: the flat network's physical link is up but not in the bridge. The bridge
//! keeps its MAC, which nova has set by hand.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::nova::linux_net::ensure_bridge;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "flatif-not-enslaved",
    summary: "the flat network's physical link is not in the bridge",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::release(&mut scene.compute.ns, &scene.nic.bridge.port())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    ensure_bridge(&mut scene.compute.ns, &scene.compute.host, &scene.nic.bridge)
}
