//! `float-address-missing`: web1's floating address is not on the host's uplink: nobody answers ARP for
//! it.
//!
//! The router forgets its neighbour entry at once, which by itself would hide the fault for a minute.

use ipnet::Ipv4Net;
use plumbing::{address, neighbour};

use super::Fault;
use crate::LabError;
use crate::layout::UPLINK;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "float-address-missing",
    summary: "web1's floating address is not on the host",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    address::delete(&mut scene.server.ns, UPLINK, floating.into())?;
    Ok(neighbour::flush(&mut scene.rig.gateway)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(floating) = scene.floating else { return Ok(()) };
    Ok(address::add(&mut scene.server.ns, UPLINK, Ipv4Net::from(floating))?)
}
