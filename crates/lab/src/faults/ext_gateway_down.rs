//! `ext-gateway-down`: the router nearest the compute host has its link to the public network down: the
//! carrier is there, and nobody answers ARP for the gateway.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "ext-gateway-down", summary: "the gateway of the public network is down", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_down(&mut scene.rig.gateway, "eth0")?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(link::set_up(&mut scene.rig.gateway, "eth0")?)
}
