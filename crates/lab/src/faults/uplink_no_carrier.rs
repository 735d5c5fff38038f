//! `uplink-no-carrier`: the switch port of the compute host's public link is down. The link is up
//! without a carrier; its routes stay and lead nowhere.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "uplink-no-carrier",
    summary: "the compute host's public link has lost its carrier",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.rig.fabric, &scene.server.host.uplink_port())?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_up(&mut scene.rig.fabric, &scene.server.host.uplink_port())?)
}
