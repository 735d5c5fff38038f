//! `guest-no-default-route`: web1's default route is gone.

use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::scene::Scene;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "guest-no-default-route", summary: "web1 has no default route", inject, heal };

fn inject(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    Ok(route::delete(inside, DEFAULT)?)
}

fn heal(_lab: &Lab, scene: &mut Scene) -> Result<(), LabError> {
    let Some(inside) = &mut scene.inside else { return Err(LabError::NoInside { code: FAULT.code }) };
    Ok(route::replace(inside, DEFAULT, scene.served.gateway)?)
}
