//! `flood-off-unknown-unicast`: web1's port of the bridge neither learns nor is flooded to, and no entry leads there.

use model::link::BridgePort;
use plumbing::{bridge, fdb};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "flood-off-unknown-unicast",
    summary: "web1's tap neither learns nor is flooded to",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let shut = BridgePort { hairpin: true, learning: false, flood: false, ..BridgePort::default() };
    bridge::set_port(&mut scene.compute.ns, &scene.tap, &shut)?;
    Ok(fdb::forget(&mut scene.compute.ns, &scene.tap, scene.nic.mac)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let open = BridgePort { hairpin: true, ..BridgePort::default() };
    Ok(bridge::set_port(&mut scene.compute.ns, &scene.tap, &open)?)
}
