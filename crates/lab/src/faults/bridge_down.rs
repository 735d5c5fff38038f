//! `bridge-down`: the instances' bridge is down. Its connected route is gone, and frames from every
//! port are dropped at its ingress.

use plumbing::link;

use super::Fault;
use crate::LabError;
use crate::layout::BRIDGE;
use crate::place::Lab;
use crate::wiring::Namespaces;

/// The fault.
pub(super) const FAULT: Fault =
    Fault { code: "bridge-down", summary: "the instances' bridge is down", inject, heal };

fn inject(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_down(&mut all.compute, BRIDGE)?)
}

fn heal(_lab: &Lab, all: &mut Namespaces) -> Result<(), LabError> {
    Ok(link::set_up(&mut all.compute, BRIDGE)?)
}
