//! `fdb-static-stale`: the bridge on web1's host is told for good that web1 is behind its port towards the other hosts.

use plumbing::fdb;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "fdb-static-stale",
    summary: "web1's bridge is told that web1 is on another host",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(fdb::pin(&mut scene.compute.ns, &scene.nic.bridge.port(), scene.nic.mac)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(fdb::forget(&mut scene.compute.ns, &scene.nic.bridge.port(), scene.nic.mac)?)
}
