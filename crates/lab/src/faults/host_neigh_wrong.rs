//! `host-neigh-wrong`: the host that is web1's gateway takes web1 to be at a MAC that nobody has.

use model::Mac;
use plumbing::neighbour;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "host-neigh-wrong",
    summary: "web1's gateway takes web1 to be at a MAC that nobody has",
    inject,
    heal,
};

/// From the range for documentation (RFC 7042, 2.1.2).
const NOBODY: Mac = Mac([0x02, 0x00, 0x5e, 0x00, 0x53, 0x02]);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let fixed = scene.fixed().into();
    Ok(neighbour::pin(&mut scene.server.ns, &scene.nic.bridge.name, fixed, NOBODY)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let fixed = scene.fixed().into();
    Ok(neighbour::forget(&mut scene.server.ns, &scene.nic.bridge.name, fixed)?)
}
