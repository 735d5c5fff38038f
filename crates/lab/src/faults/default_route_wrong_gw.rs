//! `default-route-wrong-gw`: the compute host's default route leads to a next hop that does not exist:
//! ARP for it fails.

use std::net::Ipv4Addr;

use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::rig::default_route;
use crate::scene::Scene;

/// An address of the public network that nobody has.
const NOBODY: Ipv4Addr = Ipv4Addr::new(203, 0, 113, 254);

/// The fault.
pub(super) const FAULT: Fault = Fault {
    code: "default-route-wrong-gw",
    summary: "the compute host's default route leads to a gateway that does not exist",
    inject,
    heal,
};

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(route::replace(&mut scene.server.ns, DEFAULT, NOBODY)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    default_route(&mut scene.server.ns)
}
