//! `ext-no-return-route`: the external server has no route back to the cloud.

use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::rig::external_route;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "ext-no-return-route", summary: "the external server has no route back", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    Ok(route::delete(&mut scene.rig.external, DEFAULT)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    external_route(&mut scene.rig.external)
}
