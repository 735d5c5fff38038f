//! `guest-wrong-gateway`: web1's default route leads to the last address of its network, which nobody has.

use std::net::Ipv4Addr;

use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "guest-wrong-gateway",
    summary: "web1's default route leads to an address that nobody has",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    let nobody = Ipv4Addr::from(u32::from(scene.nic.cidr.broadcast()) - 1);
    Ok(route::replace(inside, DEFAULT, nobody)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    Ok(route::replace(inside, DEFAULT, scene.served.gateway)?)
}
