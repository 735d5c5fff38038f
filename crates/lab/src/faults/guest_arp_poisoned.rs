//! `guest-arp-poisoned`: web1 takes its gateway to be at a MAC that nobody has.

use model::Mac;
use plumbing::neighbour;

use super::Fault;
use crate::LabError;
use crate::layout::GUEST_NIC;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "guest-arp-poisoned",
    summary: "web1 takes its gateway to be at a MAC that nobody has",
    inject,
    heal,
};

const NOBODY: Mac = Mac([0x02, 0xde, 0xad, 0, 0, 0x01]);

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    Ok(neighbour::pin(inside, GUEST_NIC, scene.served.gateway.into(), NOBODY)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    Ok(neighbour::forget(inside, GUEST_NIC, scene.served.gateway.into())?)
}
