//! `default-route-missing`: the compute host has no default route while its uplink is up.

use plumbing::route::{self, DEFAULT};

use super::Fault;
use crate::LabError;
use crate::place::Lab;
use crate::wiring::Namespaces;
use crate::wiring::default_route;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "default-route-missing", summary: "the compute host has no default route", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(route::delete(&mut all.compute, DEFAULT)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    default_route(&mut all.compute)
}
