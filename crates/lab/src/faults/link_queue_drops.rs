//! `link-queue-drops`: the uplink of the host that is web1's gateway has a queue without room for a single packet.

use plumbing::queue;

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "link-queue-drops",
    summary: "the compute host's uplink has a queue without room",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(queue::add_pfifo(&mut scene.server.ns, UPLINK, 0)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(queue::remove_root(&mut scene.server.ns, UPLINK)?)
}
