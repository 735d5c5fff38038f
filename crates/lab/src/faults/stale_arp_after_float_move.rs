//! `stale-arp-after-float-move`: the router nearest the hosts takes web1's floating address to be at a MAC that nobody
//! has any more.

use model::Mac;
use plumbing::neighbour;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "stale-arp-after-float-move",
    summary: "the nearest router takes web1's floating address to be at an old MAC",
    inject,
    heal,
};

/// The router's link to the public network.
const INNER: &str = "eth0";
/// From the range for documentation (RFC 7042, 2.1.2).
const NOBODY: Mac = Mac([0x02, 0x00, 0x5e, 0x00, 0x53, 0x01]);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    Ok(neighbour::pin(&mut scene.rig.gateway, INNER, floating.into(), NOBODY)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    Ok(neighbour::forget(&mut scene.rig.gateway, INNER, floating.into())?)
}
