//! `default-route-missing`: the compute host has no default route while its uplink is up.

use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::rig::default_route;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "default-route-missing", summary: "the compute host has no default route", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(route::delete(&mut scene.server.ns, DEFAULT)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    default_route(&mut scene.server.ns)
}
